"""One guarded stream: upstream's events in, decided events out. Runs on an event loop.

Three things go on at once: the provider's events are read, one sentence of each answer is checked,
and the consumer takes what was decided. Nothing is read ahead of a consumer that does not take:
the generator only works while it is asked for its next event. Checks run on the verifier's own
threads; whatever blocks runs on worker threads.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from guardrails._flow_values import failed_of
from guardrails.effects import CallModel, Fault
from guardrails.errors import ProviderFailed, ResponseUnreadable
from guardrails.gateway import provider_failed
from guardrails.responses import legible
from guardrails.streaming.evidence import Evidence, Unread
from guardrails.streaming.keeping import Ended, Keeper
from guardrails.streaming.lane import Lane
from guardrails.streaming.shapes import Kind, Piece
from guardrails.streaming.steps import DONE, following, silent, to_its_end
from guardrails.streaming.values import Out
from policies.engine import Judged, decide, settle
from policies.types import AnswerFacts, Spent
from verifiers.claims.boundaries import Boundaries

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from guardrails._flow_values import Job
    from guardrails.effects import Instant
    from guardrails.report import Report
    from guardrails.responses import Choice
    from guardrails.runner import Ports, SessionPort
    from guardrails.streaming.hands import StreamHands
    from policies.schema import Policy
    from policies.types import Decision
    from verifiers.types import Assessment, Verification

# Undecided text from which on the provider waits for the checks.
_MOST_WAITING: Final = 64_000
_LEFT_OUT: Final = "The provider's events had fields that are not known; they were left out."
_UNHEARD: Final = (
    "The policy asks for samples or a judge; sentence by sentence nobody asks them, so no verdict "
    "rests on them. With `stream.release: answer` they are asked."
)
# A provider's own timeout should speak first: its error says more than ours.
_GRACE_SECONDS: Final = 0.5


@dataclass(slots=True)
class _Work:
    """What goes on for one lane."""

    lane: Lane
    session: SessionPort | None = None
    check: asyncio.Task[Verification] | None = None
    upto: int = 0
    final: bool = False
    begun: float = 0.0
    verification: Verification | None = None
    checks: int = 0
    longest: float = 0.0


class StreamRun:
    """One guarded stream. Iterate :meth:`events` once; ``reports`` stand when it has ended."""

    def __init__(self, job: Job, hands: StreamHands, ports: Ports) -> None:
        """Make one; nothing is called yet."""
        self.reports: tuple[Report, ...] = ()
        self._job = job
        self._hands = hands
        self._ports = ports
        self._rules: Policy = job.policy.for_route(job.route)
        self._shape = hands.shape
        self._works: dict[int, _Work] = {}
        self._tail: list[Piece] = []
        self._upstream: AsyncIterator[Any] | None = None
        self._read: asyncio.Task[Any] | None = None
        self._exhausted = False
        self._evidence: Evidence | None = None
        self._seconds: dict[str, float] = {}
        self._first: float | None = None
        self._started: Instant | None = None

    async def events(self) -> AsyncGenerator[Any, None]:
        """The stream as decided.

        Raises:
            Blocked: If an answer was withheld and that is to be raised.
            ProviderFailed: If the provider failed or went silent; recorded first. What was
                decided before has been released.
            GroundrailError: If the record could not be kept and must be.
        """
        self._started = self._ports.clock()
        self._evidence = Evidence(self._job, self._ports, self._rules, self._hands.retriever)
        keeper = Keeper(self._job, self._ports, self._rules)
        try:
            async for out in self._released():
                yield self._told(out)
            self._seconds["call"] = self._now() - self._started.tick
            lanes = [work for _, work in sorted(self._works.items())]
            self.reports = await keeper.keep([self._state(work) for work in lanes])
            if self._hands.raises:
                keeper.raise_blocked(self.reports)
            for event in self._last(lanes, keeper):
                yield event
        except (GeneratorExit, asyncio.CancelledError) as stop:
            if not self.reports:
                await to_its_end(self._broken(keeper, Fault(stop, cancelled=True)))
            raise
        except Exception as error:
            if not self.reports:
                await to_its_end(self._broken(keeper, Fault(error)))
            keeper.mark(error, self.reports)
            raise
        finally:
            await to_its_end(self._close())

    # ------------------------------------------------------------------ the loop

    async def _released(self) -> AsyncGenerator[Out | Any, None]:
        """Events whose text was decided, until every answer is over."""
        await self._open()
        while True:
            for work in list(self._works.values()):
                for out in work.lane.take():
                    yield out
            if self._over():
                return
            self._begin_checks()
            if self._read is None and self._may_read():
                assert self._upstream is not None  # noqa: S101 - opened above
                self._read = asyncio.create_task(following(self._upstream))
            await self._something()
            for piece in self._arrived():
                yield piece.event
            self._finished_checks()

    async def _open(self) -> None:
        limit = self._rules.limits.seconds
        try:
            async with asyncio.timeout(None if limit is None else limit + _GRACE_SECONDS):
                self._upstream = await self._hands.open(CallModel(1, None, limit))
        except TimeoutError as late:
            raise silent(limit) from late

    def _may_read(self) -> bool:
        if self._exhausted:
            return False
        works = self._works.values()
        waiting = sum(work.lane.waiting for work in works)
        return waiting < _MOST_WAITING or all(work.check is None for work in works)

    async def _something(self) -> None:
        """Wait until an event came or a check ended.

        Raises:
            ProviderFailed: If the provider said nothing for longer than the policy's limit.
        """
        tasks: set[asyncio.Task[Any]] = {w.check for w in self._works.values() if w.check}
        if self._read is not None:
            tasks.add(self._read)
        limit = self._rules.limits.seconds if self._read is not None else None
        patience = None if limit is None else limit + _GRACE_SECONDS
        done, _ = await asyncio.wait(tasks, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise silent(limit)

    def _arrived(self) -> list[Piece]:
        """Take in an event that came; gives what goes out at once because it is no answer's."""
        task = self._read
        if task is None or not task.done():
            return []
        self._read = None
        try:
            event = task.result()
        except Exception as error:
            raise provider_failed(error) from error
        if event is DONE:
            self._exhausted = True
            self._check_whole()
            for work in self._works.values():
                work.lane.end()
            return []
        now = []
        with legible():
            for piece in self._shape.split(event):
                if piece.lane is not None:
                    self._add(piece)
                elif piece.kind is Kind.ORDERED:
                    now.append(piece)
                else:
                    self._tail.append(piece)
        return now

    def _add(self, piece: Piece) -> None:
        assert piece.lane is not None  # noqa: S101 - asked before
        work = self._works.get(piece.lane)
        if work is None:
            work = self._works[piece.lane] = _Work(self._lane(piece.lane))
        work.lane.add(piece)
        if piece.kind is Kind.END:
            work.lane.end()

    def _check_whole(self) -> None:
        """See that the stream told its answers to the end.

        Raises:
            ProviderFailed: If it broke off.
            ResponseUnreadable: If there was no answer in it at all.
        """
        with legible():
            choices = self._shape.reading().choices
        if not choices:
            raise ResponseUnreadable(
                "The stream ended and held no answer; nothing was released.",
                hint="Look at the provider's raw stream; this is usually an error in disguise.",
            )
        if any(choice.finish_reason is None for choice in choices):
            raise ProviderFailed(
                "The provider's stream broke off before the answer was complete; what was not "
                "decided by then was not released.",
                hint="Try again; if it happens often, look at the provider or what stands between.",
            )
        for index in range(len(choices)):
            if index not in self._works:
                self._works[index] = _Work(self._lane(index))

    def _over(self) -> bool:
        works = self._works.values()
        if works and all(w.lane.over and w.lane.closing is not None for w in works):
            return True  # nobody waits for the rest
        return self._exhausted and all(w.lane.over and w.check is None for w in works)

    # ------------------------------------------------------------------ checks

    def _lane(self, index: int) -> Lane:
        known = self._read_by.known
        return Lane(
            index,
            self._rules,
            self._shape,
            Boundaries(known if isinstance(known, tuple) else None),
            partial(self._decision, index, Judged()),
            ordered=getattr(self._shape, "ordered", True),
            hold=self._hands.hold,
        )

    def _decision(
        self,
        index: int,
        judged: Judged,
        assessments: Sequence[Assessment],
        whole: bool,  # noqa: FBT001
    ) -> Decision:
        job = self._job
        has_evidence = bool(self._read_by.sources)
        facts = AnswerFacts(has_evidence=has_evidence)
        if whole:
            facts = self._choice(index).facts(has_evidence=has_evidence)
        policy, route = job.policy, job.route
        raw = decide(assessments, policy, route=route, facts=facts, whole=whole, judged=judged)
        return settle(raw, job.policy, Spent(), can_regenerate=False)

    def _choice(self, index: int) -> Choice:
        with legible():
            return self._shape.reading().choices[index]

    def _begin_checks(self) -> None:
        for work in self._works.values():
            if work.check is not None:
                continue
            upto = work.lane.due()
            if upto is None:
                continue
            text = work.lane.text[:upto]
            work.upto, work.final, work.begun = upto, work.lane.ended, self._now()
            work.checks += 1
            work.check = asyncio.create_task(self._checked(work, text))

    async def _checked(self, work: _Work, text: str) -> Verification:
        marks = self._choice(work.lane.index).annotations if work.final else ()
        made, work.session = await self._read_by.checked(
            work.session, text, annotations=marks, final=work.final
        )
        return made

    def _finished_checks(self) -> None:
        for work in self._works.values():
            task = work.check
            if task is None or not task.done():
                continue
            work.check = None
            took = self._now() - work.begun
            work.longest = max(work.longest, took)
            self._seconds["verify"] = self._seconds.get("verify", 0.0) + took
            lane, final = work.lane, work.final
            try:
                found = task.result()
            except Exception as error:  # noqa: BLE001 - a check that failed is an error verdict
                failed = error.failed if isinstance(error, Unread) else failed_of(error)
                lane.missed(work.upto, failed, final=final)
                continue
            work.verification = found
            lane.found(work.upto, found.assessments, final=final)

    # ------------------------------------------------------------------ the end

    def _state(self, work: _Work) -> Ended:
        assert self._started is not None  # noqa: S101 - set first
        notes = [*self._read_by.notes]
        if getattr(self._shape, "left_out", False):
            notes.append(_LEFT_OUT)
        if self._rules.consistency.when != "never" or self._rules.judge.when != "never":
            notes.append(_UNHEARD)
        return Ended(
            lane=work.lane,
            reading=self._shape.reading(),
            lanes=len(self._works),
            verification=work.verification,
            sources=self._read_by.sources,
            notes=tuple(notes),
            started=self._started,
            seconds={**self._seconds, **self._read_by.seconds},
            checks=work.checks,
            first=self._first,
            longest=work.longest,
            cost=self._hands.cost,
        )

    def _last(self, works: Sequence[_Work], keeper: Keeper) -> list[Any]:
        """Everything that was held to the end, with the reports on the last event."""
        outs: list[Any] = []
        for work, report in zip(works, self.reports, strict=True):
            outs += [self._told(out) for out in work.lane.settle(keeper.closing_text(report))]
        delivered = {work.lane.index: "".join(work.lane.delivered) for work in works}
        closed = [work.lane.closing is not None for work in works]
        withheld = any(closed) or any(work.lane.removed for work in works)
        for piece in self._tail:
            if piece.kind is Kind.END:
                outs.append(self._shape.ending(piece, delivered))
            elif not (withheld if piece.kind is Kind.ALOUD else closed and all(closed)):
                outs.append(piece.event)
        said = self._hands.ending(self.reports) if self._hands.ending else None
        if said is not None and outs:
            outs[-1] = self._shape.attach(outs[-1], said)
        return outs

    def _told(self, out: Out | Any) -> Any:
        if not isinstance(out, Out):
            return out
        if out.text:
            self._works[out.lane].lane.handed.append(out.text)
        if self._first is None and self._started is not None:
            self._first = self._now() - self._started.tick
        said = self._hands.verdicts(out.claims) if out.claims and self._hands.verdicts else None
        return out.event if said is None else self._shape.attach(out.event, said)

    async def _broken(self, keeper: Keeper, fault: Fault) -> None:
        """Record a stream that did not come to its end."""
        works = [work for _, work in sorted(self._works.items())] or [_Work(self._lane(0))]
        states = [self._state(work) for work in works]
        self.reports = await keeper.broken(states, fault)

    async def _close(self) -> None:
        """Stop whatever still runs, the provider first."""
        tasks: list[asyncio.Task[Any]] = [w.check for w in self._works.values() if w.check]
        tasks += [task for task in (self._read, self._read_by.task) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        close = getattr(self._upstream, "aclose", None)
        if callable(close):
            with suppress(Exception):
                await close()

    @property
    def _read_by(self) -> Evidence:
        assert self._evidence is not None  # noqa: S101 - made before anything else
        return self._evidence

    def _now(self) -> float:
        return self._ports.clock().tick
