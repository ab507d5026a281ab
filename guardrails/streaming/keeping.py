"""What is kept of a stream: a report an answer, its review item, its record."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from guardrails._flow_values import attempt_of, failure_of
from guardrails.effects import Queued, Saved
from guardrails.errors import Blocked, GuardrailsError
from guardrails.report import Attempt, Disposition, Report
from guardrails.responses import Choice, Reading
from guardrails.streaming.shapes import Closing
from guardrails.streaming.values import Streamed
from policies.types import Action, AnswerFacts, Decision, RuleHit, Spent
from verifiers.errors import GroundrailError
from verifiers.types import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from guardrails._flow_values import Job
    from guardrails.effects import Fault, Instant
    from guardrails.runner import Ports
    from guardrails.streaming.lane import Lane
    from policies.schema import Policy
    from verifiers.types import Source

T = TypeVar("T")

_NO_SECOND = (
    "A streamed answer is not asked for again, so after_attempts was applied where the policy says "
    "regenerate."
)
_TOO_LATE = "The whole answer was decided when its beginning had gone out."
_OFFERED = "Its record was made when the stream ended, and could not be kept in the store."
_NO_QUEUE = "There is no store, so nobody was asked to review the answer."


@dataclass(frozen=True, slots=True)
class Ended:
    """How one lane of a stream stands at its end.

    Attributes:
        lane: The lane.
        reading: What the whole stream told.
        lanes: How many answers the stream has.
        verification: The last one made of the lane.
        sources: What it was checked against.
        notes: About the evidence.
        started: When the call came in.
        seconds: Wall-clock seconds by stage.
        checks: Verifications made.
        first: Seconds to the first text that went out.
        longest: The longest check.
        cost: What the stream cost, from its reading.
    """

    lane: Lane
    reading: Reading
    lanes: int
    verification: Verification | None
    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    started: Instant
    seconds: Mapping[str, float]
    checks: int
    first: float | None
    longest: float
    cost: Callable[[Reading], float | None] | None


class Keeper:
    """Makes reports and keeps them."""

    def __init__(self, job: Job, ports: Ports, rules: Policy) -> None:
        """Make one for a call."""
        self._job = job
        self._ports = ports
        self._rules = rules
        self._offered: set[str] = set()  # one record an answer, whatever happens after it

    async def keep(self, states: Sequence[Ended]) -> tuple[Report, ...]:
        """The reports of a stream that came to its end, once they are kept.

        Raises:
            GroundrailError: If one could not be kept and must be.
        """
        kept, failed = list[Report](), None
        for state in states:
            try:
                kept.append(await self._kept(state))
            except GroundrailError as error:
                failed = failed or error  # the others are kept all the same
        if failed is not None:
            raise failed
        return tuple(kept)

    async def _kept(self, state: Ended) -> Report:
        report = await asyncio.to_thread(self._report, state)
        if report.decision.action is Action.REVIEW:
            report = await self._queued(report)
        return self._decided(await self._recorded(report))

    async def broken(self, states: Sequence[Ended], fault: Fault) -> tuple[Report, ...]:
        """The reports of a stream that did not come to its end. Never raises for a store."""
        return tuple([await self._kept_broken(state, fault) for state in states])

    async def _kept_broken(self, state: Ended, fault: Fault) -> Report:
        report = await asyncio.to_thread(self._failed_report, state, fault)
        saved = await self._save(report)
        notes = report.notes if saved.note is None else (*report.notes, saved.note)
        return self._decided(replace(report, recorded=saved.recorded, notes=notes))

    def raise_blocked(self, reports: Sequence[Report]) -> None:
        """Raise for an answer that was withheld.

        Raises:
            Blocked: With the reports.
        """
        withheld = [report for report in reports if report.blocked]
        if withheld:
            first = withheld[0]
            rule = f" by {first.decision.hits[0].rule}" if first.decision.hits else ""
            raise Blocked(
                f"Policy {self._job.policy.name!r} did not let the answer through"
                f" ({first.disposition.value}{rule}); nothing more was released.",
                report=first,
                reports=tuple(reports),
                hint="The report of this error says why, claim by claim.",
            )

    def mark(self, error: BaseException, reports: Sequence[Report]) -> None:
        """Leave the report with an error of ours."""
        if isinstance(error, GuardrailsError) and error.report is None and reports:
            error.report = reports[-1]

    def closing_text(self, report: Report) -> str:
        """What is said where a lane was closed: a refusal, or that somebody is looking."""
        if report.decision.action is not Action.REVIEW:
            return self._rules.refusal
        text = self._rules.review.text
        return text if report.review_id is None else f"{text} (review {report.review_id})"

    # ------------------------------------------------------------------ reports

    def _report(self, state: Ended) -> Report:
        lane, decision = state.lane, state.lane.decision
        assert decision is not None  # noqa: S101 - a lane that is over was decided
        notes = list(state.notes)
        if any("Not regenerated" in hit.message for hit in decision.hits):
            notes.append(_NO_SECOND)
        late = lane.closing is not None and lane.whole and bool(lane.delivered)
        if late:
            notes.append(_TOO_LATE)
        attempt = self._attempt(state)
        verification = self._verification(state)
        facts = AnswerFacts(has_evidence=bool(state.sources))
        if lane.whole:
            facts = self._choice(state).facts(has_evidence=bool(state.sources))
        attempt = replace(attempt, verification=verification, decision=decision, facts=facts)
        said = "".join(lane.delivered)
        report = self._whole(
            state,
            attempt,
            decision=decision,
            disposition=lane.disposition,
            text=said,
            notes=tuple(notes),
        )
        if lane.closing is None:
            return report
        held = lane.closing is Closing.HELD
        text = self._rules.review.text if held else self._rules.refusal
        if held:
            text = f"{text} (review {report.record_id})"
        gap = "\n\n" if said and not lane.ordered else ""
        return replace(report, text=f"{said}{gap}{text}")

    def _failed_report(self, state: Ended, fault: Fault) -> Report:
        failure = failure_of(fault)
        attempt = replace(
            self._attempt(state), verification=self._verification(state), failure=failure
        )
        hit = RuleHit("call", Action.REFUSE, "there is no answer: the stream broke")
        policy = self._job.policy
        decision = Decision(Action.REFUSE, (), (hit,), policy.name, policy.digest, self._job.route)
        said = "".join(state.lane.handed)
        return self._whole(
            state,
            attempt,
            decision=decision,
            disposition=Disposition.FAILED,
            text=said,
            notes=state.notes,
        )

    def _attempt(self, state: Ended) -> Attempt:
        lane, reading = state.lane, state.reading
        choices = list(reading.choices)
        while len(choices) <= lane.index:
            choices.append(Choice(""))
        cost = None
        if lane.index == 0 and state.cost is not None:
            cost = state.cost(reading)
        usage = replace(reading.usage, cost_usd=cost)
        read = replace(reading, choices=tuple(choices), usage=usage)
        attempt = attempt_of(1, read, lane.index, state.seconds.get("call", 0.0))
        seconds = {k: v for k, v in state.seconds.items() if k in {"call", "verify"}}
        return replace(
            attempt,
            answer=lane.text,
            seconds=seconds,
            spent=Spent(seconds=self._ports.clock().tick - state.started.tick, cost_usd=cost),
            stream=Streamed(
                whole=lane.whole,
                released=lane.released,
                checks=state.checks,
                first_seconds=state.first,
                longest_hold_seconds=state.longest,
            ),
        )

    def _choice(self, state: Ended) -> Choice:
        return state.reading.choices[state.lane.index]

    def _verification(self, state: Ended) -> Verification:
        found = state.verification or Verification(assessments=(), model=None)
        return replace(found, assessments=state.lane.assessments)

    def _whole(
        self,
        state: Ended,
        attempt: Attempt,
        *,
        decision: Decision,
        disposition: Disposition,
        text: str,
        notes: tuple[str, ...],
    ) -> Report:
        job, lane = self._job, state.lane
        total = self._ports.clock().tick - state.started.tick
        name = job.call_id if state.lanes == 1 else f"{job.call_id}.{lane.index}"
        return Report(
            record_id=name,
            call_id=job.call_id,
            choice=lane.index,
            started=state.started.at,
            answer=lane.text,
            text=text,
            decision=decision,
            disposition=disposition,
            verification=attempt.verification or Verification(assessments=(), model=None),
            attempts=(attempt,),
            sources=state.sources,
            question=job.question,
            usage=attempt.usage,
            seconds={**state.seconds, "total": total},
            removed=lane.removed if disposition is not Disposition.FAILED else (),
            notes=(*job.notes, *notes),
        )

    # ------------------------------------------------------------------ keeping

    async def _queued(self, report: Report) -> Report:
        held = report.disposition in {Disposition.HELD, Disposition.STOPPED}
        recorder = self._ports.recorder
        if recorder is None:
            queued = Queued(None, note=_NO_QUEUE)
        else:
            queued = await self._in_thread(lambda: recorder.enqueue(report, held=held))
        if queued.error is not None:
            raise queued.error
        notes = report.notes if queued.note is None else (*report.notes, queued.note)
        if queued.review_id is not None:
            return replace(report, review_id=queued.review_id, notes=notes)
        text = report.text.replace(f" (review {report.record_id})", "") if held else report.text
        return replace(report, text=text, notes=notes)

    async def _recorded(self, report: Report) -> Report:
        saved = await self._save(report)
        if saved.error is not None:
            raise saved.error
        notes = report.notes if saved.note is None else (*report.notes, saved.note)
        return replace(report, recorded=saved.recorded, notes=notes)

    async def _save(self, report: Report) -> Saved:
        recorder, job = self._ports.recorder, self._job
        if recorder is None:
            return Saved(recorded=False)
        if report.record_id in self._offered:
            return Saved(recorded=False, note=_OFFERED)
        self._offered.add(report.record_id)
        return await self._in_thread(lambda: recorder.save(report, job.request, job.policy))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        context = copy_context()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._ports.executor, lambda: context.run(work))
        except RuntimeError:
            # The guard was closed under a stream that had begun: it is recorded all the same.
            return await loop.run_in_executor(None, lambda: context.run(work))

    def _decided(self, report: Report) -> Report:
        self._ports.telemetry.decided(report, entry=self._job.request.entry, span=None)
        return report
