"""Second opinions in the flow: samples of the answer, then a judge, where they can change it.

Part of ``guardrails.flow`` and as pure: it yields effects and is sent their results. Samples are
drawn once a call and shared by its choices and attempts, which ask the same question; each answer
takes them in a few at a time, until more cannot be expected to change its decision.

Sampling that stops before enough was read (the provider, the time, the money) leaves a ``Failed``
on the claims it was wanted for: the operator asked for a second look and it could not be had. What
was paid for and read in full counts, whatever ended it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from guardrails._flow_values import Stopped, failed_of, failure_of
from guardrails._second_values import Asked, Draw
from guardrails.effects import AskJudge, Compare, DrawSamples, Effect, Fault, OpenRun
from guardrails.errors import SamplingFailed, TimedOut
from guardrails.judging.values import Opinions, Question
from guardrails.report import Attempt, Failure, Judging, Sampling
from guardrails.sampling.values import Batch
from policies.rules import samples_for
from policies.worth import to_judge, to_sample
from verifiers.consistency import ConsistencyRun, Stopping, StopReason
from verifiers.types import Consistency, Failed, Scored

if TYPE_CHECKING:
    from guardrails._flow_values import Job
    from policies.schema import Policy
    from verifiers.consistency import Sample
    from verifiers.types import Assessment, ConsistencyThresholds, Verification

_NO_SAMPLER = (
    "The policy asks for samples of the answer; here there is nobody to ask, so none were compared."
)
_NO_JUDGE = "The policy asks for a judge and names none, so none was asked."
_WHY = {
    StopReason.FAILED: "the calls failed",
    StopReason.BUDGET: "the money for it was used up, or prices are not known",
    StopReason.LATENCY: "the time for it was used up",
}

Steps = Generator[Effect, Any, Attempt]


@dataclass(slots=True)
class Cascade:
    """The second opinions of one guarded call."""

    job: Job
    rules: Policy  # the policy as it stands on the route
    pool: list[Sample] = field(default_factory=list)
    ended: StopReason | None = None  # why no more can be drawn by anybody
    why: Failure | None = None  # what the last failure was
    seconds: dict[str, float] = field(default_factory=lambda: {"sample": 0.0, "judge": 0.0})
    spent: dict[str, float] = field(default_factory=lambda: {"sample": 0.0, "judge": 0.0})
    unknown: set[str] = field(default_factory=set)  # what has costs that nobody told
    before: float = 0.0  # what they had cost when the attempt in hand began
    notes: list[str] = field(default_factory=list)

    @property
    def cost(self) -> float | None:
        """What was spent in all, as far as it is known; None for nothing."""
        return sum(self.spent.values()) or None

    @property
    def cost_known(self) -> bool:
        """Whether that is all of it."""
        return not self.unknown

    @property
    def took(self) -> dict[str, float]:
        """Seconds by stage, without those that were not reached."""
        return {stage: seconds for stage, seconds in self.seconds.items() if seconds}

    def heard(self, asked: Asked) -> Steps:
        """The attempt once whoever can change its decision was asked.

        Raises:
            Stopped: If the caller went away.
        """
        self.before = self.cost or 0.0
        attempt = yield from self._sampled(asked)
        return (yield from self._judged(asked._replace(attempt=attempt)))

    def _timed(self, attempt: Attempt, stage: str, seconds: float) -> Attempt:
        self.seconds[stage] += seconds
        return replace(attempt, seconds={**attempt.seconds, stage: seconds})

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    # ------------------------------------------------------------------ samples

    def _sampled(self, asked: Asked) -> Steps:
        attempt = asked.attempt
        if self.rules.consistency.when == "never":
            return attempt
        wanted = to_sample(asked.found.assessments, asked.standing)
        if not wanted:
            return attempt
        if self.job.sampled is None:
            self._note(_NO_SAMPLER)
            return attempt
        began = yield from asked.now()
        result, sampling = yield from self._compared(asked, wanted, began)
        attempt = self._timed(attempt, "sample", (yield from asked.now()) - began)
        found = _with_consistency(asked.found, result)
        return replace(attempt, verification=found, sampling=sampling)

    def _compared(
        self, asked: Asked, wanted: tuple[Assessment, ...], began: float
    ) -> Generator[Effect, Any, tuple[dict[str, Consistency | Failed], Sampling]]:
        rules = self.rules.consistency
        draw = Draw()
        used: list[Sample] = []
        stop: StopReason | None = None
        found: dict[str, Consistency | Failed] = {}
        run = yield self._opening(asked, wanted)
        if isinstance(run, Fault):
            stop = self._failed(run)
        while stop is None:
            assert isinstance(run, ConsistencyRun)  # noqa: S101 - what drivers promise
            stop = run.stop
            if stop is not None:
                break
            if len(used) >= len(self.pool) and self.ended is None:
                stop = yield from self._drawn(asked, run.wanted, draw, began)
            elif len(used) >= len(self.pool) and self.ended is not StopReason.EXHAUSTED:
                stop = self.ended
            if stop is not None:
                break
            step = tuple(self.pool[len(used) : len(used) + run.wanted])
            left = yield from self._time_left("sample", asked, began)
            result = yield Compare(run, step, None if left is None else max(left, 0.001))
            if isinstance(result, Fault):
                stop = self._failed(result)
                break
            used += step
            # A copy: a comparison that is late may still be going on behind our back.
            found = dict(run.result())
        judged = {
            assessment.claim.id: self._outcome(found.get(assessment.claim.id), stop)
            for assessment in wanted
        }
        pairs = (run.pairs, run.pairs_scored) if isinstance(run, ConsistencyRun) else (0, 0)
        return judged, Sampling(
            scorer=rules.scorer,
            model=self.job.sampled or None,
            claims=tuple(assessment.claim.id for assessment in wanted),
            samples=tuple(used),
            distinct=len({sample.text.strip() for sample in used if not sample.silent}),
            stop=stop,
            drawn=draw.drawn,
            calls=draw.calls,
            failures=tuple(draw.failures),
            usage=draw.usage,
            cost_known=draw.cost_known,
            pairs=pairs[0],
            pairs_scored=pairs[1],
        )

    def _opening(self, asked: Asked, wanted: tuple[Assessment, ...]) -> OpenRun:
        rules = self.rules.consistency
        return OpenRun(
            asked.attempt.answer,
            tuple(assessment.claim for assessment in wanted),
            self.job.question,
            rules.scorer,
            {assessment.claim.id: self._thresholds(assessment) for assessment in wanted},
            Stopping(
                cap=rules.samples,
                step=min(rules.step, rules.samples),
                level=rules.level,
                differing=rules.differing,
            ),
        )

    def _thresholds(self, assessment: Assessment) -> ConsistencyThresholds:
        at = samples_for(assessment, self.rules)
        assert at is not None  # noqa: S101 - only claims that have some are asked about
        # A side that may change nothing need not be told from the middle: that saves samples.
        if not at.may_raise:
            return replace(at, support=at.unsupported)
        if not at.may_lower:
            return replace(at, unsupported=at.support)
        return at

    def _drawn(
        self, asked: Asked, wanted: int, draw: Draw, began: float
    ) -> Generator[Effect, Any, StopReason | None]:
        """Put more samples into the pool; gives why that was not possible."""
        left = yield from self._time_left("sample", asked, began)
        if left is not None and left <= 0.0:
            self.ended = StopReason.LATENCY
            return self.ended
        money = self._money_left("sample", self.rules.consistency.cost_usd, asked)
        if money is not None:
            affordable = self._affordable(wanted, money, asked, draw)
            if "sample" in self.unknown or money <= 0.0 or affordable < 1:
                self.ended = StopReason.BUDGET
                return self.ended
            wanted = affordable
        batch = yield DrawSamples(wanted, left, priced=money is not None)
        if isinstance(batch, Fault):
            stop = self._failed(batch)
            self.ended = stop
            return stop
        assert isinstance(batch, Batch)  # noqa: S101
        draw.count(batch)
        self.pool += batch.samples
        self.spent["sample"] += batch.usage.cost_usd or 0.0
        if not batch.cost_known:
            self.unknown.add("sample")
        self.why = batch.failures[-1] if batch.failures else self.why
        self.ended = self._ending(batch, draw)
        return None if batch.samples or self.ended is StopReason.EXHAUSTED else self.ended

    def _ending(self, batch: Batch, draw: Draw) -> StopReason | None:
        """Why nobody can draw any more after this batch, or None."""
        if batch.unpriced:
            return StopReason.BUDGET
        if batch.exhausted:
            return StopReason.EXHAUSTED
        late = [failure for failure in batch.failures if failure.code == TimedOut.code]
        if not batch.samples:
            return StopReason.LATENCY if late else StopReason.FAILED
        # A provider that fails more often than it may be asked is not asked for ever.
        return StopReason.FAILED if len(draw.failures) >= self.rules.consistency.samples else None

    def _affordable(self, wanted: int, money: float, asked: Asked, draw: Draw) -> int:
        """How many samples the money left is good for, by what the calls before them cost.

        A call costs its prompt however few answers it gives, so calls are counted and not answers.
        """
        cost = draw.usage.cost_usd
        if cost and draw.calls:
            each = ceil(draw.drawn / draw.calls)
            return min(wanted, floor(money / (cost / draw.calls)) * each)
        same = self.rules.consistency.model in {None, self.job.request.model}
        price = asked.price if self.job.sampled and same else None
        return min(wanted, floor(money / price)) if price else wanted

    def _outcome(
        self, found: Consistency | Failed | None, stop: StopReason
    ) -> Consistency | Failed:
        why = _WHY.get(stop)
        if found is None or (
            why is not None
            and isinstance(found, Consistency)
            and found.n < self.rules.consistency.min_samples
        ):
            read = found.n if isinstance(found, Consistency) else 0
            code = "" if self.why is None else f" (last {self.why.code})"
            return Failed(
                SamplingFailed.code,
                f"{read} of the {self.rules.consistency.min_samples} samples it takes could be "
                f"compared: {why or stop.value}{code}",
            )
        return found

    # ------------------------------------------------------------------ the judge

    def _judged(self, asked: Asked) -> Steps:
        attempt = asked.attempt
        if self.rules.judge.when == "never":
            return attempt
        wanted = to_judge(asked.found.assessments, asked.standing)
        if not wanted:
            return attempt
        if self.job.judge is None:
            self._note(_NO_JUDGE)
            return attempt
        questions = tuple(
            Question(assessment.claim.id, assessment.claim.hypothesis, assessment.outcome)
            for assessment in wanted
            if isinstance(assessment.outcome, Scored)
        )
        began = yield from asked.now()
        left = yield from self._time_left("judge", asked, began)
        money = self._money_left("judge", self.rules.judge.cost_usd, asked)
        timeout = None if left is None else max(left, 0.001)
        result = yield AskJudge(questions, asked.sources, timeout, money)
        attempt = self._timed(attempt, "judge", (yield from asked.now()) - began)
        if isinstance(result, Fault):
            if result.cancelled:
                raise Stopped(result, failure_of(result))
            failed = failed_of(result.error)
            result = Opinions(
                {question.claim_id: failed for question in questions},
                cost_known=False,
                failures=(failure_of(result),),
            )
        assert isinstance(result, Opinions)  # noqa: S101
        self.spent["judge"] += result.usage.cost_usd or 0.0
        if not result.cost_known:
            self.unknown.add("judge")
        judging = Judging(
            model=self.job.judge,
            claims=tuple(question.claim_id for question in questions),
            calls=result.calls,
            failures=result.failures,
            usage=result.usage,
            cost_known=result.cost_known,
        )
        assessments = tuple(
            replace(a, judgement=result.by_claim[a.claim.id])
            if a.claim.id in result.by_claim
            else a
            for a in asked.found.assessments
        )
        found = replace(asked.found, assessments=assessments)
        return replace(attempt, verification=found, judging=judging)

    # ------------------------------------------------------------------ time and money

    def _time_left(
        self, what: str, asked: Asked, began: float
    ) -> Generator[Effect, Any, float | None]:
        """Seconds left, of its own limit and of the call's; None without either."""
        now = yield from asked.now()
        table = self.rules.consistency if what == "sample" else self.rules.judge
        limits = []
        if table.seconds is not None:
            limits.append(table.seconds - self.seconds[what] - (now - began))
        whole = asked.left()
        if whole is not None:
            limits.append(whole)
        return min(limits, default=None)

    def _money_left(self, what: str, own: float | None, asked: Asked) -> float | None:
        """Dollars left, of its own limit and of the call's; None without either."""
        limits = [] if own is None else [own - self.spent[what]]
        whole = self.rules.limits.cost_usd
        if whole is not None:
            spent = asked.standing.spent.cost_usd
            since = (self.cost or 0.0) - self.before
            known = spent is not None and self.cost_known
            limits.append(whole - (spent or 0.0) - since if known else 0.0)
        return min(limits, default=None)

    def _failed(self, fault: Fault) -> StopReason:
        if fault.cancelled:
            raise Stopped(fault, failure_of(fault))
        self.why = failure_of(fault)
        late = isinstance(fault.error, TimeoutError | TimedOut)
        return StopReason.LATENCY if late else StopReason.FAILED


def _with_consistency(found: Verification, result: dict[str, Consistency | Failed]) -> Verification:
    return replace(
        found,
        assessments=tuple(
            replace(a, consistency=result[a.claim.id]) if a.claim.id in result else a
            for a in found.assessments
        ),
    )
