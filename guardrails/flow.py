"""The guarded call as one generator: call, evidence, verify, decide, act or ask again, record.

No I/O, no clock, no threads: the flow yields effects and is sent their results, so that the sync
and the async driver, and every way in, run the very same steps. What it guarantees:

* nothing is released before its decision, and a check that failed is an ``error`` verdict, which
  the policy answers for; it is never a clean pass;
* a call that gave no answer ends in an error *and* in a record;
* every attempt is in the record, with what its decision depended on;
* when asking again fails, the policy's ``after_attempts`` decides on the answer there is.

With ``n > 1`` every choice is decided on its own. A choice that is to be regenerated is asked for
again alone, with ``n = 1``; attempts are counted a choice, time and cost over the whole call.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from guardrails._flow_values import (
    Job,
    Stopped,
    attempt_of,
    distinct,
    failed_of,
    failure_of,
    unchecked,
)
from guardrails._second_values import Asked
from guardrails.actions import Applied, apply
from guardrails.effects import (
    Broken,
    Called,
    CallModel,
    Effect,
    Ending,
    Enqueue,
    Fault,
    Finished,
    Followup,
    Instant,
    Queued,
    ReadClock,
    Retrieve,
    Retrieved,
    Save,
    Saved,
    Verify,
)
from guardrails.errors import GuardrailsError
from guardrails.feedback import feedback
from guardrails.report import Attempt, Disposition, Report, plus
from guardrails.responses import Reading, read, with_choice, with_texts
from guardrails.second import Cascade
from policies.engine import decide, settle
from policies.types import Action, Decision, RuleHit, Spent
from policies.worth import Standing
from verifiers.types import Failed, Verification

if TYPE_CHECKING:
    from collections.abc import Generator

    from guardrails.responses import Choice
    from policies.schema import Policy
    from verifiers.types import Source

_NO_SECOND = "The answer cannot be asked for again here, so after_attempts was applied."
_SECOND_FAILED = "Asking again failed, so after_attempts was applied to the answer before it."
# A verification gets this long even when the model used up the budget: the answer is paid for.
_LEAST_VERIFY_SECONDS = 5.0


def guard_flow(job: Job) -> Generator[Effect, Any, Ending]:
    """Run one guarded call. Send each effect's result, or a ``Fault``; ends in an ``Ending``."""
    started: Instant = yield ReadClock()
    rules = job.policy.for_route(job.route)
    flow = _Flow(job, rules, started, Cascade(job, rules))
    try:
        return (yield from flow.run())
    except Stopped as stop:
        return (yield from flow.broken(stop))


@dataclass(slots=True)
class _Flow:
    """What one run has gathered so far."""

    job: Job
    rules: Policy  # the policy as it stands on the route
    started: Instant
    cascade: Cascade
    tick: float = 0.0
    attempts: list[Attempt] = field(default_factory=list)  # of the choice in hand
    evidence: tuple[Source, ...] | None = None
    evidence_failed: Failed | None = None
    cost: float | None = None
    cost_known: bool = True
    seconds: dict[str, float] = field(default_factory=dict)
    choice: int = 0
    choices: int = 1
    saving: bool = False
    done: list[Report] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # about the evidence: for every choice
    own_notes: list[str] = field(default_factory=list)  # about the choice in hand

    # ------------------------------------------------------------------ the steps

    def run(self) -> Generator[Effect, Any, Ending]:
        response, reading, took = yield from self._call(1, None)
        base = response
        self.choices = len(reading.choices)
        texts: dict[int, str] = {}
        withheld: set[int] = set()
        for index, answer in enumerate(reading.choices):
            self.choice, self.attempts, self.own_notes, self.saving = index, [], [], False
            first = attempt_of(1, reading, index, took if index == 0 else 0.0)
            replaced, last = yield from self._settle_choice(first, answer)
            if replaced is not None:
                one = self.choices == 1
                base = replaced if one else with_choice(base, index, replaced)
            report = yield from self._act(last)
            if report.text != report.answer:
                texts[index] = report.text
                if report.blocked:
                    withheld.add(index)
            self.done.append(report)
        final = with_texts(base, texts, withheld=frozenset(withheld))
        return Finished(final, tuple(self.done))

    def _call(
        self, number: int, followup: Followup | None
    ) -> Generator[Effect, Any, tuple[object, Reading, float]]:
        """One model call, read. Stops the flow when it fails."""
        before = yield from self._now()
        result = yield CallModel(number, followup, self._left())
        took = (yield from self._now()) - before
        self._add("call", took)
        if isinstance(result, Fault):
            raise Stopped(result, failure_of(result))
        assert isinstance(result, Called)  # noqa: S101 - what drivers promise
        try:
            reading = read(result.response)
        except GuardrailsError as error:
            raise Stopped(Fault(error), failure_of(Fault(error))) from None
        if result.cost_usd is None:
            self.cost_known = False
        else:
            self.cost = (self.cost or 0.0) + result.cost_usd
            reading = replace(reading, usage=replace(reading.usage, cost_usd=result.cost_usd))
        return result.response, reading, took

    def _settle_choice(
        self, attempt: Attempt, answer: Choice
    ) -> Generator[Effect, Any, tuple[object | None, Choice]]:
        """Verify, decide and settle one choice, asking again as long as that is the decision.

        Returns:
            The response that replaced the first one, if any, and the answer decided on.
        """
        replaced: object | None = None
        while True:
            self.attempts.append(attempt)
            attempt = yield from self._decided(attempt, answer)
            self.attempts[-1] = attempt
            assert attempt.decision is not None  # noqa: S101
            if attempt.decision.action is not Action.REGENERATE:
                return replaced, answer
            message = feedback(attempt.decision, attempt.facts, self.evidence or ())
            number = len(self.attempts) + 1
            try:
                response, reading, took = yield from self._call(
                    number, Followup(attempt.answer, message)
                )
            except Stopped as stop:
                failed = Attempt(number, feedback=message, failure=stop.failure)
                self.attempts.append(failed)
                if stop.fault.cancelled:
                    raise
                # Decide on the answer there is, as if no attempt were left.
                self.own_notes.append(_SECOND_FAILED)
                self.attempts[-2] = yield from self._settled(attempt, can_regenerate=False)
                return replaced, answer
            replaced, answer = response, reading.choices[0]
            attempt = replace(attempt_of(number, reading, 0, took), feedback=message)

    def _decided(self, attempt: Attempt, answer: Choice) -> Generator[Effect, Any, Attempt]:
        verification, took = yield from self._verified(answer)
        facts = answer.facts(has_evidence=bool(self.evidence))
        attempt = replace(
            attempt,
            verification=verification,
            facts=facts,
            seconds={**attempt.seconds, "verify": took},
        )
        attempt = yield from self._second_opinions(attempt)
        return (yield from self._settled(attempt, can_regenerate=self.job.can_regenerate))

    def _second_opinions(self, attempt: Attempt) -> Generator[Effect, Any, Attempt]:
        """The attempt with what samples and a judge say of what the sources left open."""
        job, spent = self.job, self._spent((yield from self._now()))
        standing = Standing(job.policy, job.route, attempt.facts, spent, job.can_regenerate)
        evidence = self.evidence or ()
        asked = Asked(attempt, evidence, standing, self.choices, self._left, self._now)
        return (yield from self.cascade.heard(asked))

    def _spent(self, now: float) -> Spent:
        known = self.cost_known and self.cascade.cost_known
        return Spent(
            attempts=len(self.attempts),
            seconds=now - self.started.tick,
            cost_usd=plus(self.cost, self.cascade.cost) if known else None,
        )

    def _settled(
        self, attempt: Attempt, *, can_regenerate: bool
    ) -> Generator[Effect, Any, Attempt]:
        """The attempt with its decision, as the budget stands now."""
        assert attempt.verification is not None  # noqa: S101
        now = yield from self._now()
        spent = self._spent(now)
        policy, route = self.job.policy, self.job.route
        raw = decide(attempt.verification.assessments, policy, route=route, facts=attempt.facts)
        decision = settle(raw, policy, spent, can_regenerate=can_regenerate)
        if raw.action is Action.REGENERATE and not self.job.can_regenerate:
            self.own_notes.append(_NO_SECOND)
        return replace(attempt, decision=decision, spent=spent, can_regenerate=can_regenerate)

    # ------------------------------------------------------------------ evidence and verification

    def _verified(self, answer: Choice) -> Generator[Effect, Any, tuple[Verification, float]]:
        text = answer.text
        if not text.strip():
            yield from self._evidence_known()
            return Verification(assessments=(), model=None), 0.0
        yield from self._gathered()
        if self.evidence_failed is not None:
            return unchecked(text, self.evidence_failed), 0.0
        before = yield from self._now()
        result = yield Verify(
            text,
            self.evidence or (),
            self.job.question,
            answer.annotations,
            self._left(floor=_LEAST_VERIFY_SECONDS),
        )
        took = (yield from self._now()) - before
        self._add("verify", took)
        if isinstance(result, Fault):
            if result.cancelled:
                raise Stopped(result, failure_of(result))
            return unchecked(text, failed_of(result.error)), took
        return result, took

    def _evidence_known(self) -> Generator[Effect, Any, None]:
        """What evidence there is without asking the retriever: there is nothing to check."""
        if self.evidence is None and not self.job.retrieve:
            yield from self._gathered()

    def _gathered(self) -> Generator[Effect, Any, None]:
        """The evidence, once a call: what was passed, or what was retrieved and captured."""
        if self.evidence is not None or self.evidence_failed is not None:
            return
        job = self.job
        if job.sources is not None or not job.retrieve:
            self.evidence = job.captured if job.sources is None else job.sources
            return
        before = yield from self._now()
        result = yield Retrieve(job.question or "", self._left(floor=_LEAST_VERIFY_SECONDS))
        self._add("evidence", (yield from self._now()) - before)
        if isinstance(result, Fault):
            if result.cancelled:
                raise Stopped(result, failure_of(result))
            self.evidence_failed = failed_of(result.error)
            return
        assert isinstance(result, Retrieved)  # noqa: S101
        self.evidence = distinct((*result.sources, *job.captured))
        self.notes.extend(result.notes)

    # ------------------------------------------------------------------ acting and recording

    def _act(self, answer: Choice) -> Generator[Effect, Any, Report]:
        """Carry out the decision, put it before a person where it says so, and keep the record."""
        index = max(i for i, attempt in enumerate(self.attempts) if attempt.decision is not None)
        decision = self.attempts[index].decision
        assert decision is not None  # noqa: S101
        review = self.rules.review
        # A review is known by the id of its record, so that text and record can name it at once.
        asked = decision.action is Action.REVIEW
        applied = apply(
            answer.text,
            decision,
            refusal=self.rules.refusal,
            hold=review.hold,
            holding=f"{review.text} (review {self._record_id})",
        )
        report = yield from self._report(index, decision, applied)
        if asked:
            report = yield from self._queued(report)
        return (yield from self._recorded(report))

    def _queued(self, report: Report) -> Generator[Effect, Any, Report]:
        """The report once its review item is kept; without a queue the answer is withheld."""
        held = report.disposition is Disposition.HELD
        queued = yield Enqueue(report, self.job.request, held)
        if isinstance(queued, Fault):
            raise Stopped(queued, failure_of(queued))
        assert isinstance(queued, Queued)  # noqa: S101
        if queued.error is not None:
            fault = Fault(queued.error)
            raise Stopped(fault, failure_of(fault))
        notes = report.notes if queued.note is None else (*report.notes, queued.note)
        if queued.review_id is not None:
            return replace(report, review_id=queued.review_id, notes=notes)
        # Nobody will look at it: a held answer stays away for good, without naming a review.
        text = self.rules.review.text if held else report.text
        return replace(report, text=text, notes=notes)

    def _recorded(self, report: Report) -> Generator[Effect, Any, Report]:
        """The report once its record is kept. Stops the flow when it was not and must be."""
        self.saving = True
        saved = yield Save(report, self.job.request)
        if isinstance(saved, Fault):
            raise Stopped(saved, failure_of(saved))
        assert isinstance(saved, Saved)  # noqa: S101
        if saved.error is not None:
            fault = Fault(saved.error)
            raise Stopped(fault, failure_of(fault))
        notes = report.notes if saved.note is None else (*report.notes, saved.note)
        return replace(report, recorded=saved.recorded, notes=notes)

    def broken(self, stop: Stopped) -> Generator[Effect, Any, Broken]:
        """The end of a call without an answer: recorded, then raised by the driver."""
        if self.attempts and self.attempts[-1].failure is None:
            self.attempts[-1] = replace(self.attempts[-1], failure=stop.failure)
        elif not self.attempts:
            seconds = {"call": self.seconds.get("call", 0.0)}
            self.attempts.append(Attempt(1, failure=stop.failure, seconds=seconds))
        hit = RuleHit("call", Action.REFUSE, "there is no answer: the call failed")
        policy = self.job.policy
        decision = Decision(Action.REFUSE, (), (hit,), policy.name, policy.digest, self.job.route)
        nothing = Applied("", Disposition.FAILED)
        report = yield from self._report(len(self.attempts) - 1, decision, nothing)
        if not self.saving:
            saved = yield Save(report, self.job.request)
            if isinstance(saved, Saved):
                notes = report.notes if saved.note is None else (*report.notes, saved.note)
                report = replace(report, recorded=saved.recorded, notes=notes)
        return Broken(stop.fault.error, (*self.done, report))

    def _report(
        self, index: int, decision: Decision, applied: Applied
    ) -> Generator[Effect, Any, Report]:
        now = yield from self._now()
        attempt = self.attempts[index]
        usage = self.attempts[0].total_usage
        for other in self.attempts[1:]:
            usage += other.total_usage
        job = self.job
        return Report(
            record_id=self._record_id,
            call_id=job.call_id,
            choice=self.choice,
            started=self.started.at,
            answer=attempt.answer,
            text=applied.text,
            decision=decision,
            disposition=applied.disposition,
            verification=attempt.verification or Verification(assessments=(), model=None),
            attempts=tuple(self.attempts),
            answered=index,
            sources=self.evidence or (),
            question=job.question,
            usage=usage,
            seconds={**self.seconds, **self.cascade.took, "total": now - self.started.tick},
            removed=applied.removed,
            notes=(*job.notes, *self.notes, *self.own_notes, *self.cascade.notes),
        )

    # ------------------------------------------------------------------ small things

    @property
    def _record_id(self) -> str:
        call_id = self.job.call_id
        return call_id if self.choices == 1 else f"{call_id}.{self.choice}"

    def _now(self) -> Generator[Effect, Any, float]:
        instant: Instant = yield ReadClock()
        self.tick = instant.tick
        return instant.tick

    def _left(self, *, floor: float = 0.0) -> float | None:
        """Seconds of the budget that are left, as of the last look at the clock."""
        limit = self.rules.limits.seconds
        if limit is None:
            return None
        return max(limit - (self.tick - self.started.tick), min(floor, limit), 0.001)

    def _add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
