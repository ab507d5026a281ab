"""What a guarded call found and did: the typed report beside every answer.

One ``Report`` is about one answer: one choice of one call, through all its attempts. A call with
``n > 1`` gives one report a choice; they share ``call_id``. What the provider charged for such a
call stands in the report of choice 0 only, so that sums over reports are right.

Values that hold user text stay out of ``repr``, so that a logged report does not leak it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from guardrails._report_dict import attempt_dict, claim_dict, source_dict, usage_dict
from policies.types import Action, AnswerFacts, Decision, Spent
from verifiers.consistency.stopping import StopReason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from guardrails.streaming.values import Streamed
    from policies.types import ClaimDecision
    from verifiers.consistency.samples import Sample
    from verifiers.types import ScorerName, Source, Span, Verdict, Verification

T = TypeVar("T")


class Entry(StrEnum):
    """Which way in a guarded call took."""

    CLIENT = "client"
    DECORATOR = "decorator"
    CHECK = "check"
    PROXY = "proxy"
    AUDIT = "audit"


class Disposition(StrEnum):
    """What was done with the answer in the end."""

    RELEASED = "released"  # as written (pass, annotate)
    REDACTED = "redacted"  # with sentences taken out
    FLAGGED = "flagged"  # as written, with an open review item
    HELD = "held"  # the holding text instead, until a person has looked
    REFUSED = "refused"  # the refusal text instead
    STOPPED = "stopped"  # streamed: its first sentences, then the refusal or holding text
    FAILED = "failed"  # there was no answer, or no end of it: the call failed or was cancelled

    @property
    def blocks(self) -> bool:
        """Whether the answer, or its rest, was kept from the caller."""
        return self.value in {"refused", "held", "stopped", "failed"}


@dataclass(frozen=True, slots=True)
class Usage:
    """What the provider charged for. None means it did not say; never a guess of zero."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            plus(self.input_tokens, other.input_tokens),
            plus(self.output_tokens, other.output_tokens),
            plus(self.cost_usd, other.cost_usd),
        )


def plus(a: Any, b: Any) -> Any:
    """The sum of what is known; None when nothing is."""
    if a is None or b is None:
        return a if b is None else b
    return a + b


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt gave no answer.

    Attributes:
        code: One of our codes, or ``cancelled``.
        kind: Class name of the original exception.
        message: What happened, without user text.
        status: HTTP status, where known.
    """

    code: str
    kind: str
    message: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What was asked, as far as a record needs it.

    Attributes:
        entry: Which way in.
        model: The model as requested, or None when we did not make the call.
        messages: Copy of the conversation sent at the first attempt. User text.
        params: The call's plain settings (``temperature``, ``n`` ...): numbers, booleans and
            short names only; never keys, never messages.
        metadata: What the application wants to find the record by.
    """

    entry: Entry
    model: str | None = None
    messages: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    params: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sampling:
    """What asking the model again gave, for one attempt.

    Attributes:
        scorer: How agreement was measured.
        model: What was sampled; None where the samples came with the call.
        claims: Ids of the claims it was done for.
        samples: Every sample that was compared, in order.
        distinct: Different texts among those that say something.
        stop: Why no more were drawn: ``decided``, ``exhausted``, ``cap``, ``failed``, ``budget``
            or ``latency``.
        drawn: How many of the samples were drawn for this attempt; the others were there.
        calls: Model calls that gave some.
        failures: Calls that gave none.
        usage: What was spent on them for this attempt.
        cost_known: Whether ``usage.cost_usd`` is all of it.
        pairs: Pairs compared.
        pairs_scored: Pairs the NLI model ran for it.
    """

    scorer: ScorerName
    model: str | None = None
    claims: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = field(default=(), repr=False)
    distinct: int = 0
    stop: StopReason = StopReason.FAILED
    drawn: int = 0
    calls: int = 0
    failures: tuple[Failure, ...] = ()
    usage: Usage = field(default_factory=Usage)
    cost_known: bool = True
    pairs: int = 0
    pairs_scored: int = 0


@dataclass(frozen=True, slots=True)
class Judging:
    """What asking a judge gave, for one attempt.

    Attributes:
        model: The judge.
        claims: Ids of the claims it was asked about.
        calls: Model calls that gave an answer.
        failures: Calls that gave none, and answers that could not be used.
        usage: What was spent on them.
        cost_known: Whether ``usage.cost_usd`` is all of it.
    """

    model: str
    claims: tuple[str, ...] = ()
    calls: int = 0
    failures: tuple[Failure, ...] = ()
    usage: Usage = field(default_factory=Usage)
    cost_known: bool = True


@dataclass(frozen=True, slots=True)
class Attempt:
    """One model call and what was made of it.

    Attributes:
        number: From 1.
        answer: The exact text the model gave; empty when it gave none.
        verification: Every claim assessed, or None when there was no answer to look at.
        decision: The settled decision on this attempt (``regenerate`` for all but the last), or
            None when the call failed.
        facts: What else is known of the answer; input of ``decide``.
        spent: What the call had used when this attempt was settled; input of ``settle``.
        can_regenerate: Whether another attempt was possible; input of ``settle``.
        feedback: What was appended to the conversation for this attempt. User text.
        model: The model that answered, as the provider names it.
        response_id: The provider's id of the response.
        finish_reason: As the provider gave it.
        tool_calls: How many tools the answer calls.
        usage: What the answer cost; samples and judging have their own.
        seconds: Wall-clock seconds by stage: ``call``, ``evidence``, ``verify``, ``sample``,
            ``judge``.
        failure: Set when the call failed.
        logprob: Mean log probability of the answer's tokens, where the provider sent them.
        sampling: What asking the model again gave, or None when it was not asked.
        judging: What asking a judge gave, or None when none was asked.
        stream: How it was streamed, or None when it came as a whole.
    """

    number: int
    answer: str = field(default="", repr=False)
    verification: Verification | None = field(default=None, repr=False)
    decision: Decision | None = field(default=None, repr=False)
    facts: AnswerFacts = field(default_factory=AnswerFacts)
    spent: Spent = field(default_factory=Spent)
    can_regenerate: bool = False
    feedback: str | None = field(default=None, repr=False)
    model: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    tool_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    seconds: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    logprob: float | None = None
    sampling: Sampling | None = None
    judging: Judging | None = None
    stream: Streamed | None = None

    @property
    def total_usage(self) -> Usage:
        """Of the answer, the samples and the judge together."""
        usage = self.usage
        for part in (self.sampling, self.judging):
            if part is not None:
                usage += part.usage
        return usage


@dataclass(frozen=True, slots=True)
class Report:
    """Everything about one answer: what was found, what was decided, what was done.

    Attributes:
        record_id: Id of its record in the store (and of the log lines about it).
        call_id: Shared by the choices of one call.
        choice: Which choice of the call, from 0.
        started: When the call came in, UTC.
        answer: The exact text of the last answer, before the decision was acted on.
        text: What the caller gets: as written, redacted, or a refusal.
        decision: The settled decision on the last answer. When the call failed it refuses, by the
            rule ``call``.
        disposition: What was done.
        verification: The claims of ``answer``, assessed.
        attempts: Every model call, in order. ``answer`` is that of ``attempts[answered]``.
        answered: Index into ``attempts`` of the attempt that ``answer`` and ``decision`` are of.
        sources: What the answer was checked against.
        question: What was asked, where known; short answers are read with it.
        usage: Cost of all attempts together, samples and judging included.
        seconds: Wall-clock seconds by stage over all attempts, and ``total``.
        removed: Spans of ``answer`` that redaction took out.
        review_id: The review item, when there is one.
        recorded: Whether the record is in the store (False: spilled to a file, or no store).
        notes: What else the reader should know, without user text.
    """

    record_id: str
    call_id: str
    choice: int
    started: datetime
    answer: str = field(repr=False)
    text: str = field(repr=False)
    decision: Decision = field(repr=False)
    disposition: Disposition
    verification: Verification = field(repr=False)
    attempts: tuple[Attempt, ...]
    answered: int = 0
    sources: tuple[Source, ...] = field(default=(), repr=False)
    question: str | None = field(default=None, repr=False)
    usage: Usage = field(default_factory=Usage)
    seconds: Mapping[str, float] = field(default_factory=dict)
    removed: tuple[Span, ...] = ()
    review_id: str | None = None
    recorded: bool = False
    notes: tuple[str, ...] = ()

    @property
    def action(self) -> Action:
        """The settled action."""
        return self.decision.action

    @property
    def failure(self) -> Failure | None:
        """Why there is no answer, or None when there is one."""
        return self.attempts[-1].failure if self.disposition is Disposition.FAILED else None

    @property
    def blocked(self) -> bool:
        """Whether the answer, or its rest, was kept from the caller."""
        return self.disposition.blocks

    @property
    def usage_by(self) -> dict[str, Usage]:
        """The usage by what it was for: ``answer``, and ``samples`` and ``judge`` if there were."""
        parts: dict[str, Usage] = {}
        for attempt in self.attempts:
            spent: dict[str, Usage] = {"answer": attempt.usage}
            if attempt.sampling is not None:
                spent["samples"] = attempt.sampling.usage
            if attempt.judging is not None:
                spent["judge"] = attempt.judging.usage
            for name, usage in spent.items():
                parts[name] = parts.get(name, Usage()) + usage
        return parts

    @property
    def claims(self) -> tuple[ClaimDecision, ...]:
        """Every claim with its verdict and action, in the order of the answer."""
        return self.decision.claims

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts, in the order of the answer."""
        return tuple(claim.verdict for claim in self.decision.claims)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-able values, user text included. Spans are ``[start, end]``."""
        model = self.verification.model
        return {
            "record_id": self.record_id,
            "call_id": self.call_id,
            "choice": self.choice,
            "started": self.started.isoformat(),
            "action": self.action.value,
            "disposition": self.disposition.value,
            "policy": self.decision.policy,
            "policy_digest": self.decision.digest,
            "route": self.decision.route,
            "question": self.question,
            "answer": self.answer,
            "text": self.text,
            "claims": [claim_dict(entry) for entry in self.decision.claims],
            "rules": [
                {
                    "rule": hit.rule,
                    "action": hit.action.value,
                    "message": hit.message,
                    "claim": hit.claim_id,
                }
                for hit in self.decision.hits
            ],
            "attempts": [attempt_dict(attempt) for attempt in self.attempts],
            "sources": [source_dict(source) for source in self.sources],
            "model": None
            if model is None
            else {
                "name": model.name,
                "revision": model.revision,
                "backend": model.backend,
                "calibration": model.calibration,
                "form": model.form,
            },
            "pairs": self.verification.pairs,
            "pairs_scored": self.verification.pairs_scored,
            "usage": usage_dict(self.usage),
            "usage_by": {name: usage_dict(usage) for name, usage in self.usage_by.items()},
            "seconds": dict(self.seconds),
            "removed": [[span.start, span.end] for span in self.removed],
            "review_id": self.review_id,
            "recorded": self.recorded,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Guarded(Generic[T]):
    """What a guarded call gives back: the provider's own response, and the reports beside it.

    Attributes:
        response: The original type, with the text as decided. Never the caller's or the
            provider's object itself when text was changed.
        reports: One a choice, in order.
    """

    response: T
    reports: tuple[Report, ...]

    @property
    def report(self) -> Report:
        """The report of the first choice."""
        return self.reports[0]

    @property
    def text(self) -> str:
        """The text of the first choice, as decided."""
        return self.reports[0].text

    @property
    def action(self) -> Action:
        """The most severe action over all choices."""
        return max((report.action for report in self.reports), key=lambda action: action.severity)
