"""The engine every way in shares: from options to a job, through a driver, to a result or an error.

The client, the decorator, ``check`` and the proxy are faces of it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from guardrails._copies import listed, own_copy
from guardrails._flow_values import Job
from guardrails.capture import capture
from guardrails.digests import sortable_id
from guardrails.effects import Broken
from guardrails.errors import Blocked, ConfigInvalid, GuardrailsError
from guardrails.flow import guard_flow
from guardrails.report import Guarded, RequestInfo
from guardrails.retrievers import adapt, normalise_sources
from guardrails.runner import Hands, adrive, drive
from guardrails.second_build import judge_of, sampler_of
from guardrails.streaming.guarded import LoopThread
from guardrails.streaming.hands import StreamHands
from guardrails.streaming.ways import by_sentence, raises
from policies.load import load_policy
from policies.schema import Policy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from guardrails.build import Parts
    from guardrails.effects import Called, CallModel, Ending
    from guardrails.report import Entry, Report
    from guardrails.responses import Reading
    from guardrails.streaming.guarded import AsyncGuardedStream
    from guardrails.streaming.shapes import Shape
    from policies.types import ClaimDecision

OnBlocked = Literal["respond", "raise"]


class Unset:
    """Not given, where None has a meaning of its own."""


UNSET: Final = Unset()


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller says about one guarded call; see ``Guard.completion`` for each."""

    sources: object = field(default=None, repr=False)
    question: str | None = field(default=None, repr=False)
    policy: str | Path | Mapping[str, object] | Policy | None = None
    route: str | None = None
    retriever: object = UNSET
    metadata: Mapping[str, str] | None = None
    blocked: OnBlocked | None = None
    samples: object = field(default=None, repr=False)
    sampler: Callable[[int], object] | None = None


class Engine:
    """Runs guarded calls. Shared by all calls of a guard, on any thread and any loop."""

    def __init__(self, parts: Parts, remake: Callable[[Parts], Parts] | None = None) -> None:
        """Take the wired parts.

        Args:
            parts: What calls are made of.
            remake: Wires the same again in a process forked from this one: threads do not live
                through a fork, and a call there would wait for them for ever.
        """
        self._by_process = {os.getpid(): parts}
        self._first: Final = parts
        self._remake = remake
        self._loops: dict[int, LoopThread] = {}

    @property
    def parts(self) -> Parts:
        """The parts of this process."""
        here = os.getpid()
        found = self._by_process.get(here)
        if found is None:
            made = self._first if self._remake is None else self._remake(self._first)
            found = self._by_process.setdefault(here, made)
            if found is not made:
                made.owned.close()
        return found

    @property
    def loop(self) -> LoopThread:
        """Where this process runs the streams of callers without an event loop."""
        return self._loops.setdefault(os.getpid(), LoopThread())

    def close(self) -> None:
        """Let go of what this process made."""
        loop = self._loops.pop(os.getpid(), None)
        if loop is not None:
            loop.close()
        parts = self._by_process.get(os.getpid())
        if parts is not None:
            parts.closed.set()
            parts.owned.close()

    def job(
        self,
        entry: Entry,
        options: Options,
        *,
        messages: Sequence[Any] | str | None = (),
        can_regenerate: bool = True,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        notes: tuple[str, ...] = (),
    ) -> Job:
        """What one guarded call needs to know. Blocks: it may read a policy file.

        Raises:
            ConfigInvalid: If an argument makes no sense, or the guard was closed.
            SourceInvalid: If the sources hold something that is no source.
            PolicyError: If the policy cannot be loaded, or names routes and this is none of them.
        """
        if self.parts.closed.is_set():
            raise ConfigInvalid(
                "The guard was closed; nothing was sent or checked.",
                hint="Close it when its last call has ended, or make another.",
            )
        _sensible(options, model)
        messages = listed(messages)
        chosen = self.parts.policy if options.policy is None else load_policy(options.policy)
        rules = chosen.for_route(options.route)
        evidence = self.parts.settings.evidence
        found = capture(messages, evidence_from_user=evidence.from_user)
        given = None if options.sources is None else normalise_sources(options.sources)
        read = given is None and evidence.from_messages
        return Job(
            call_id=sortable_id(self.parts.ports.clock().at, secrets.token_bytes(10)),
            request=RequestInfo(
                entry=entry,
                model=model,
                messages=_plain_all(messages),
                params=dict(params or {}),
                metadata=dict(options.metadata or {}),
            ),
            policy=chosen,
            route=options.route,
            question=found.question if options.question is None else options.question,
            sources=given,
            captured=found.sources if read else (),
            retrieve=given is None and self._retriever(options) is not None,
            can_regenerate=can_regenerate,
            notes=(*found.notes, *notes) if read else notes,
            sampled=_sampled(options, rules, model),
            judge=rules.judge.model or model,
        )

    def hands(
        self,
        job: Job,
        options: Options,
        *,
        call: Callable[[CallModel], Called] | None = None,
        acall: Callable[[CallModel], Awaitable[Called]] | None = None,
        bound: bool = False,
        request: Mapping[str, Any] | None = None,
    ) -> Hands:
        """What is particular to one call; see ``Hands``.

        Args:
            job: The call.
            options: What the caller said about it.
            call: Makes the model call, blocking.
            acall: Makes it on the event loop.
            bound: Whether it may run in a thread of its own.
            request: LiteLLM's arguments of it, where it is a call of LiteLLM.

        Raises:
            ConfigInvalid: If ``samples`` holds something that is no answer.
        """
        retriever = adapt(self._retriever(options)) if job.retrieve else None
        parts = self.parts
        return Hands(
            job.policy,
            call,
            acall,
            retriever,
            bound,
            sampler=sampler_of(parts, job, options, request),
            judge=judge_of(parts, job, request),
        )

    def run(self, job: Job, hands: Hands, options: Options) -> Guarded[Any]:
        """Drive a job to its end in this thread.

        Raises:
            Blocked: If the answer was withheld and that is to be raised.
            GroundrailError: If there is no answer; whatever the call raised, once recorded.
        """
        telemetry = self.parts.ports.telemetry
        with telemetry.span("guard", call_id=job.call_id) as span:
            ending = drive(guard_flow(job), self.parts.ports, hands)
            for report in ending.reports:
                telemetry.decided(report, entry=job.request.entry, span=span)
            return _conclude(ending, job, options.blocked)

    async def arun(self, job: Job, hands: Hands, options: Options) -> Guarded[Any]:
        """As :meth:`run`, on the running event loop. Cancelling it is recorded and goes on."""
        telemetry = self.parts.ports.telemetry
        with telemetry.span("guard", call_id=job.call_id) as span:
            ending = await adrive(guard_flow(job), self.parts.ports, hands)
            for report in ending.reports:
                telemetry.decided(report, entry=job.request.entry, span=span)
            return _conclude(ending, job, options.blocked)

    def astream(
        self,
        job: Job,
        options: Options,
        *,
        open_stream: Callable[[CallModel], Awaitable[AsyncIterator[Any]]],
        shape: Shape,
        cost: Callable[[Reading], float | None] | None = None,
        verdicts: Callable[[Sequence[ClaimDecision]], Mapping[str, Any] | None] | None = None,
        ending: Callable[[Sequence[Report]], Mapping[str, Any] | None] | None = None,
        hold: bool = False,
    ) -> AsyncGuardedStream:
        """A guarded stream that lets each sentence go once it was decided.

        Args:
            job: The call.
            options: What the caller said about it.
            open_stream: Opens the provider's stream.
            shape: Its protocol, made for this stream; see ``guardrails.streaming.shapes``.
            cost: What it cost in US dollars, from what it told.
            verdicts: What is attached to a released text about the claims in it.
            ending: What is attached to the last event about the reports.
            hold: Whether everything waits until the whole answer was decided. Where the answer can
                be asked again, ``guardrails.streaming.ways.by_answer`` does more.
        """
        hands = StreamHands(
            open=open_stream,
            shape=shape,
            retriever=adapt(self._retriever(options)) if job.retrieve else None,
            cost=cost,
            verdicts=verdicts,
            ending=ending,
            raises=raises(job, options),
            hold=hold,
        )
        return by_sentence(self, job, hands)

    def _retriever(self, options: Options) -> object:
        given = options.retriever
        return self.parts.retriever if isinstance(given, Unset) else given


def _sampled(options: Options, rules: Policy, model: str | None) -> str | None:
    """Who draws samples, as ``Job.sampled`` tells it."""
    if options.samples is not None or options.sampler is not None:
        return ""
    return None if model is None else rules.consistency.model or model


def _sensible(options: Options, model: object) -> None:
    """Refuse before anything is sent what could only fail when the record is written.

    Raises:
        ConfigInvalid: Names the argument.
    """
    texts = {"question": options.question, "route": options.route, "model": model}
    wrong = [key for key, value in texts.items() if not isinstance(value, str | None)]
    metadata: object = options.metadata
    if metadata is not None and not (
        isinstance(metadata, Mapping)
        and all(isinstance(part, str) for item in metadata.items() for part in item)
    ):
        wrong.append("record_metadata")
    if not isinstance(options.policy, str | os.PathLike | Mapping | Policy | None):
        wrong.append("policy")
    if options.sampler is not None and not callable(options.sampler):
        wrong.append("sampler")
    if options.blocked not in {None, "respond", "raise"}:
        wrong.append("blocked")
    if wrong:
        raise ConfigInvalid(
            f"{', '.join(wrong)}: no value that makes sense there; nothing was sent or checked.",
            hint="question, route and model are texts, record_metadata maps texts to texts, policy "
            "is a preset, a file, a mapping or a Policy, blocked is 'respond' or 'raise'.",
        )


def _conclude(ending: Ending, job: Job, blocked: OnBlocked | None) -> Guarded[Any]:
    if isinstance(ending, Broken):
        if isinstance(ending.error, GuardrailsError):
            ending.error.report = ending.reports[-1]
        raise ending.error
    withheld = [report for report in ending.reports if report.blocked]
    if withheld and (blocked or job.policy.for_route(job.route).blocked) == "raise":
        first = withheld[0]
        rule = f" by {first.decision.hits[0].rule}" if first.decision.hits else ""
        raise Blocked(
            f"Policy {job.policy.name!r} did not let the answer through"
            f" ({first.disposition.value}{rule}); nothing was released.",
            report=first,
            reports=ending.reports,
            hint="The report of this error says why, claim by claim.",
        )
    return Guarded(ending.response, ending.reports)


def _plain_all(messages: Sequence[Any] | str | None) -> tuple[Mapping[str, Any], ...]:
    if messages is None:
        return ()
    if isinstance(messages, str):
        return (_plain(messages),)
    return tuple(_plain(message) for message in messages)


def _plain(message: object) -> Mapping[str, Any]:
    """A copy of a message as a mapping."""
    if isinstance(message, Mapping):
        return {str(key): own_copy(value) for key, value in message.items()}
    if isinstance(message, str):
        return {"role": "user", "content": message}
    dump = getattr(message, "model_dump", None)
    dumped = dump() if callable(dump) else None
    if isinstance(dumped, dict):
        return dumped
    return {key: str(getattr(message, key, "")) for key in ("role", "content")}
