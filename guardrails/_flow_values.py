"""Values the flow works with, and the pure functions that make them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from guardrails.report import Attempt, Failure, Usage
from verifiers.errors import GroundrailError
from verifiers.types import Assessment, Claim, ClaimKind, Failed, Span, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guardrails.effects import Fault
    from guardrails.report import RequestInfo
    from guardrails.responses import Reading
    from policies.schema import Policy
    from verifiers.types import Source


@dataclass(frozen=True, slots=True)
class Job:
    """Everything one guarded call needs to know before it starts.

    Attributes:
        call_id: Shared by the records of its choices.
        request: What was asked.
        policy: The whole policy.
        route: The route it is decided under; known to the policy.
        question: What was asked, in words.
        sources: Passed with the call: then they are all the evidence. None: not given.
        captured: Found in the messages; read together with what the retriever gives.
        retrieve: Whether there is a retriever to ask.
        can_regenerate: Whether the model can be asked again with feedback.
        notes: What the report should say from the start.
        sampled: Who draws samples: the name of a model, ``""`` for the caller, None for nobody.
        judge: The model that judges, or None.
    """

    call_id: str
    request: RequestInfo
    policy: Policy
    route: str | None = None
    question: str | None = field(default=None, repr=False)
    sources: tuple[Source, ...] | None = field(default=None, repr=False)
    captured: tuple[Source, ...] = field(default=(), repr=False)
    retrieve: bool = False
    can_regenerate: bool = True
    notes: tuple[str, ...] = ()
    sampled: str | None = None
    judge: str | None = None


class Stopped(Exception):
    """The call ends without an answer."""

    def __init__(self, fault: Fault, failure: Failure) -> None:
        super().__init__()
        self.fault = fault
        self.failure = failure


def attempt_of(number: int, reading: Reading, choice: int, seconds: float) -> Attempt:
    """An attempt before anything was checked. The first choice carries what the call cost."""
    answer = reading.choices[choice]
    return Attempt(
        number,
        answer=answer.text,
        model=reading.model,
        response_id=reading.response_id,
        finish_reason=answer.finish_reason,
        tool_calls=answer.tool_calls,
        usage=reading.usage if choice == 0 else Usage(),
        seconds={"call": seconds},
        logprob=answer.logprob,
    )


def failure_of(fault: Fault) -> Failure:
    """Why there is no answer, as a record tells it."""
    error = fault.error
    kind = type(error.__cause__ or error).__name__
    if fault.cancelled:
        return Failure("cancelled", kind, "the caller went away before there was an answer")
    if isinstance(error, GroundrailError):
        return Failure(error.code, kind, error.message, getattr(error, "status", None))
    # Messages of foreign exceptions often quote the request.
    return Failure("GR304", kind, f"the call raised {kind}", None)


def failed_of(error: BaseException) -> Failed:
    """A check that could not be made, as the outcome of a claim."""
    if isinstance(error, GroundrailError):
        return Failed(error.code, error.message)
    return Failed("GR100", f"checking raised {type(error).__name__}")


def unchecked(text: str, failed: Failed) -> Verification:
    """The whole answer as one claim that could not be looked at."""
    start = len(text) - len(text.lstrip())
    span = Span(start, len(text.rstrip()))
    words = span.of(text)
    claim = Claim("c1", span, words, ClaimKind.SENTENCE, span, words)
    return Verification(assessments=(Assessment(claim, failed),), model=None)


def distinct(sources: Sequence[Source]) -> tuple[Source, ...]:
    """The first of each id; a later one with other text gets an id of its own."""
    seen: dict[str, Source] = {}
    for source in sources:
        held = seen.get(source.id)
        if held is None:
            seen[source.id] = source
        elif held.text != source.text:
            fresh = _free_id(source.id, seen.__contains__)
            seen[fresh] = replace(source, id=fresh)
    return tuple(seen.values())


def _free_id(wanted: str, taken: Callable[[str], bool]) -> str:
    number = 2
    while taken(f"{wanted}#{number}"):
        number += 1
    return f"{wanted}#{number}"
