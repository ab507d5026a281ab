"""How drivers carry out the effects of second opinions. Imported by ``guardrails.runner`` alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar, assert_never

from guardrails.effects import AskJudge, Compare, Compared, DrawSamples, OpenRun
from guardrails.errors import TimedOut
from guardrails.judging.values import Budget
from guardrails.sampling.together import together
from guardrails.sampling.values import Batch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardrails.effects import SecondEffect
    from guardrails.judging.values import Judge, Opinions
    from guardrails.sampling.values import Sampler
    from guardrails.telemetry import Telemetry
    from verifiers.consistency import ConsistencyRun, Stopping
    from verifiers.types import Claim, ConsistencyThresholds, ScorerName

T = TypeVar("T")
SecondResult = "Batch | ConsistencyRun | Compared | Opinions"


class ConsistencyPort(Protocol):
    """What a guard needs of ``verifiers.consistency.ConsistencyVerifier``."""

    def open(
        self,
        *,
        answer: str,
        claims: Sequence[Claim],
        question: str | None,
        scorer: ScorerName,
        thresholds: ConsistencyThresholds | Mapping[str, ConsistencyThresholds],
        stopping: Stopping,
    ) -> ConsistencyRun:
        """A run over the claims of one answer."""
        ...


class Seconds(Protocol):
    """Who is asked for second opinions in one call; None where there is nobody."""

    @property
    def sampler(self) -> Sampler | None:
        """Draws samples."""
        ...

    @property
    def judge(self) -> Judge | None:
        """Reads sources."""
        ...


def perform(
    effect: SecondEffect,
    consistency: ConsistencyPort | None,
    hands: Seconds,
    telemetry: Telemetry,
) -> Batch | ConsistencyRun | Compared | Opinions:
    """Carry one out, blocking."""
    match effect:
        case DrawSamples():
            sampler = _there(hands.sampler)
            with telemetry.span("sample", wanted=effect.wanted):
                if effect.priced and not sampler.priced:
                    return Batch(unpriced=True)
                return sampler.sample(effect.wanted, seconds=effect.timeout)
        case OpenRun():
            return _open(effect, consistency)
        case Compare():
            with telemetry.span("compare", samples=len(effect.samples)):
                (done,) = together(
                    [lambda: effect.run.add(effect.samples)],
                    at_once=1,
                    seconds=effect.timeout,
                    halts=lambda _: False,
                )
                if isinstance(done, TimedOut):
                    raise _late()
                if isinstance(done, Exception):
                    raise done
                return Compared()
        case AskJudge():
            budget = Budget(effect.timeout, effect.cost_usd)
            with telemetry.span("judge", claims=len(effect.questions)):
                return _there(hands.judge).judge(effect.questions, effect.sources, budget)
        case _:
            assert_never(effect)


async def aperform(
    effect: SecondEffect,
    consistency: ConsistencyPort | None,
    hands: Seconds,
    telemetry: Telemetry,
) -> Batch | ConsistencyRun | Compared | Opinions:
    """Carry one out on the event loop, without blocking it."""
    match effect:
        case DrawSamples():
            sampler = _there(hands.sampler)
            with telemetry.span("sample", wanted=effect.wanted):
                # Prices are LiteLLM's, and its import takes seconds.
                if effect.priced and not await asyncio.to_thread(lambda: sampler.priced):
                    return Batch(unpriced=True)
                return await sampler.asample(effect.wanted, seconds=effect.timeout)
        case OpenRun():
            return await asyncio.to_thread(_open, effect, consistency)
        case Compare():
            with telemetry.span("compare", samples=len(effect.samples)):
                try:
                    async with asyncio.timeout(effect.timeout):
                        await effect.run.aadd(effect.samples)
                except TimeoutError as late:
                    raise _late() from late
                return Compared()
        case AskJudge():
            budget = Budget(effect.timeout, effect.cost_usd)
            with telemetry.span("judge", claims=len(effect.questions)):
                return await _there(hands.judge).ajudge(effect.questions, effect.sources, budget)
        case _:
            assert_never(effect)


def _open(effect: OpenRun, consistency: ConsistencyPort | None) -> ConsistencyRun:
    return _there(consistency).open(
        answer=effect.answer,
        claims=effect.claims,
        question=effect.question,
        scorer=effect.scorer,
        thresholds=effect.thresholds,
        stopping=effect.stopping,
    )


def _there(found: T | None) -> T:
    assert found is not None  # noqa: S101 - the flow asks only whom there is
    return found


def _late() -> TimedOut:
    return TimedOut(
        "Comparing samples took longer than the time left for it; what was compared before counts.",
        hint="Raise consistency.seconds of the policy.",
    )
