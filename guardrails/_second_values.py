"""Values that second opinions work with. Imported by ``guardrails.second`` and the flow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from guardrails.report import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from guardrails.effects import Effect
    from guardrails.report import Attempt, Failure
    from guardrails.sampling.values import Batch
    from policies.worth import Standing
    from verifiers.types import Source, Verification


class Asked(NamedTuple):
    """One attempt to hear others about, and what that depends on.

    Attributes:
        attempt: With its verification.
        sources: The evidence.
        standing: What the decision depends on besides.
        choices: How many answers the attempt's call gave.
        left: Seconds left of the call's budget, as of the last look at the clock.
        now: Looks at the clock.
    """

    attempt: Attempt
    sources: tuple[Source, ...]
    standing: Standing
    choices: int
    left: Callable[[], float | None]
    now: Callable[[], Generator[Effect, Any, float]]

    @property
    def found(self) -> Verification:
        """What was found out so far."""
        assert self.attempt.verification is not None  # noqa: S101
        return self.attempt.verification

    @property
    def price(self) -> float | None:
        """What one answer cost, where known: what a sample may be expected to cost."""
        cost = self.attempt.usage.cost_usd
        return None if cost is None else cost / self.choices


@dataclass(slots=True)
class Draw:
    """What was drawn for one attempt."""

    calls: int = 0
    drawn: int = 0
    failures: list[Failure] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    cost_known: bool = True

    def count(self, batch: Batch) -> None:
        """Add a step."""
        self.calls += batch.calls
        self.drawn += len(batch.samples)
        self.failures += batch.failures
        self.usage += batch.usage
        self.cost_known = self.cost_known and batch.cost_known
