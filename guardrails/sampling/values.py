"""What a sampler is asked, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from guardrails.report import Failure, Usage

if TYPE_CHECKING:
    from verifiers.consistency import Sample


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """How a model is sampled.

    Attributes:
        temperature: Of the samples; None for the call's own.
        seed: Each sample gets one of its own, counted from here; None for the provider's chance,
            or, where the call has a seed, counted from that.
        logprobs: Ask for log probabilities where the provider gives them.
        at_once: The most calls in flight.
        model: Another model than the answer's, or None.
    """

    temperature: float | None = 1.0
    seed: int | None = None
    logprobs: bool = False
    at_once: int = 4
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step of sampling gave.

    Attributes:
        samples: The answers, refusals and empty ones among them.
        usage: What they cost. ``cost_usd`` is of the calls whose cost is known.
        cost_known: Whether that is all of it.
        calls: Model calls that gave an answer.
        failures: Calls that gave none.
        exhausted: There will be no more.
        unpriced: Nothing was drawn, because what it costs would not be known.
    """

    samples: tuple[Sample, ...] = field(default=(), repr=False)
    usage: Usage = field(default_factory=Usage)
    cost_known: bool = True
    calls: int = 0
    failures: tuple[Failure, ...] = ()
    exhausted: bool = False
    unpriced: bool = False


class Sampler(Protocol):
    """More answers to the question of one guarded call. Used by that call alone."""

    @property
    def model(self) -> str | None:
        """What is asked, for the record; None where the samples came with the call."""
        ...

    @property
    def priced(self) -> bool:
        """Whether what a sample costs will be known."""
        ...

    def sample(self, wanted: int, *, seconds: float | None) -> Batch:
        """Up to ``wanted`` more answers. Blocks, for ``seconds`` at most.

        Never raises for what a provider does: what failed is in the batch.
        """
        ...

    async def asample(self, wanted: int, *, seconds: float | None) -> Batch:
        """As ``sample``, on the event loop. Cancelling it cancels the calls in flight."""
        ...
