"""When more samples cannot change a decision: a test that stays valid under looking.

The decision worth agreeing with is the one all samples up to the cap would give. So the samples
up to the cap are a finite population, drawn one after another without replacement, and the
question at every look is on which side of a threshold its mean will lie. For each side a bettor
plays against the hypothesis that it lies there: he pays for each sample what the hypothesis
expects of it, given the samples before, and is paid by what it scores. While the hypothesis holds,
his capital is a non-negative supermartingale, so that the probability of its ever reaching
``1 / level`` is at most ``level`` (Ville 1939), however often one looks. When it does reach it,
the hypothesis is given up.

This is testing by betting without replacement, Waudby-Smith and Ramdas, "Confidence sequences for
sampling without replacement", NeurIPS 2020, and "Estimating means of bounded random variables by
betting", JRSS B 86, 2024, section 5; the lineage is Wald 1945 and Robbins 1970. It assumes no
distribution, only that scores lie in [0, 1] and that every order of the samples was as likely.

**Guarantee.** For each claim, the probability that the run stops with another decision than the
whole of its samples up to the cap would give is at most ``level``, whatever the model is like.
With two different thresholds each test runs at half the level. A claim whose remaining samples
cannot change its side even if all were 0 or all 1 is settled for certain.

A sample that says nothing (declined, empty) counts as one that lies exactly on the threshold: it
moves the mean to neither side.

**The answer as a whole.** Samples are paid for by the answer, and the claim nearest to a threshold
is the one that takes longest and matters least: whatever is concluded of it, it is nearly the
other. So the run also stops when the expected share of claims whose decision would differ is at
most ``differing``, the expectation being the mean of each claim's chance by the forecast of
:mod:`verifiers.consistency.urn`. An expectation needs no independence: that claims share samples
does it no harm. It holds at whatever moment one looks, for samples that come as the urn draws them;
it is a forecast, and no bound that holds for any model as the test's does. With ``differing`` 0
there is the test alone, and with ``level`` 0 neither.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from verifiers.consistency.urn import above

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.types import ConsistencyThresholds

# The shares of his capital the bettor stakes, each kept up from first to last, in equal parts: the
# boldest wins soonest when all samples agree, the others survive one that does not. Chosen by
# simulation over uniformly spread means, not on data.
STAKES = (0.4, 0.7, 0.97)


class StopReason(StrEnum):
    """Why no more samples were drawn."""

    DECIDED = "decided"  # no more decisions are expected to change than may
    EXHAUSTED = "exhausted"  # there were no more samples to be had
    CAP = "cap"  # as many as the operator allows
    FAILED = "failed"  # the samples could not be drawn, or not be read for any claim
    BUDGET = "budget"  # money
    LATENCY = "latency"  # time


@dataclass(frozen=True, slots=True)
class Stopping:
    """How many samples to draw.

    Attributes:
        cap: The most samples of one answer, those that decline or are empty included.
        step: How many to ask for at a time.
        level: The largest acceptable probability, a claim, of settling it with another decision
            than ``cap`` samples would give. 0 stops only where that is impossible, whatever
            ``differing`` says.
        differing: The expected share of an answer's claims whose decision may differ from that of
            ``cap`` samples when the run stops with some not settled. 0 waits for all of them.

    Raises:
        ValueError: If a number makes no sense.
    """

    cap: int = 10
    step: int = 2
    level: float = 0.2
    differing: float = 0.05

    def __post_init__(self) -> None:
        if self.cap < 1 or self.step < 1 or not 0.0 <= self.level < 1.0:
            raise ValueError(
                "cap and step are 1 or more and level is at least 0 and below 1, not "
                f"{self.cap}, {self.step} and {self.level}"
            )
        if not 0.0 <= self.differing < 1.0:
            raise ValueError(f"differing is at least 0 and below 1, not {self.differing}")

    def enough(self, chances: Sequence[float]) -> bool:
        """Whether to stop though not all claims are settled.

        Args:
            chances: :meth:`Watch.chance` of each claim, of a settled one as it then was.
        """
        return self.level > 0.0 and math.fsum(chances) <= self.differing * len(chances)


class Bet:
    """Whether the mean of ``size`` values in [0, 1] will reach a threshold.

    Values are told one by one; :attr:`above` and :attr:`below` say whether one side was given up.
    """

    def __init__(self, threshold: float, *, size: int, level: float) -> None:
        """Start with nothing seen.

        Args:
            threshold: The mean counts as above from here on (``>=``).
            size: How many values there will be.
            level: See :class:`Stopping`.
        """
        self._threshold = threshold
        self._size = size
        self._level = level
        self._seen = 0
        self._sum = 0.0
        self._high = [1.0] * len(STAKES)
        self._low = [1.0] * len(STAKES)
        self.above = False
        self.below = False
        self._look()

    def add(self, value: float | None) -> None:
        """Tell the next value; None says nothing.

        Raises:
            ValueError: If all values were told already.
        """
        if self._seen == self._size:
            raise ValueError(f"all {self._size} values were told already")
        value = self._threshold if value is None else value
        expected = self._rest()
        if expected > 0.0:
            self._high = [
                capital * (1.0 - stake + stake * value / expected)
                for capital, stake in zip(self._high, STAKES, strict=True)
            ]
        if expected < 1.0:
            odds = (1.0 - value) / (1.0 - expected)
            self._low = [
                capital * (1.0 - stake + stake * odds)
                for capital, stake in zip(self._low, STAKES, strict=True)
            ]
        self._sum += value
        self._seen += 1
        self._look()

    def _rest(self) -> float:
        """The mean of the values to come that would put the whole on the threshold."""
        return (self._size * self._threshold - self._sum) / (self._size - self._seen)

    def _look(self) -> None:
        # Sums of fractions miss a threshold by a rounding error; such a hair decides nothing here.
        missing = self._size * self._threshold - self._sum
        left = self._size - self._seen
        self.above = self.above or missing <= 0.0 or self._won(self._high)
        self.below = self.below or missing > left or self._won(self._low)

    def _won(self, capital: Sequence[float]) -> bool:
        return sum(capital) * self._level >= len(STAKES)


class Watch:
    """Whether one claim's decision may still change. Fed sample by sample."""

    def __init__(self, at: ConsistencyThresholds, stopping: Stopping) -> None:
        """Watch a claim that has seen nothing yet.

        Args:
            at: Where its score becomes a verdict.
            stopping: The cap and the error level.
        """
        self._at = at
        self._size = stopping.cap
        # A decision in the middle can go wrong on two sides.
        split = at.support != at.unsupported
        level = stopping.level / 2 if split else stopping.level
        self._support = Bet(at.support, size=stopping.cap, level=level)
        self._unsupported = (
            Bet(at.unsupported, size=stopping.cap, level=level) if split else self._support
        )
        self._seen = 0
        self._read = 0
        self._total = 0.0
        self._squares = 0.0

    def add(self, value: float | None) -> None:
        """Tell what the next sample says, None when it says nothing."""
        self._seen += 1
        if value is not None:
            self._read += 1
            self._total += value
            self._squares += value * value
        self._support.add(value)
        if self._unsupported is not self._support:
            self._unsupported.add(value)

    def settled(self, score: float | None) -> bool:
        """Whether the decision that ``score`` now gives can be taken for that of all samples."""
        if score is None or self._read < self._at.min_samples:
            return False
        if score >= self._at.support:
            return self._support.above and self._unsupported.above
        if score < self._at.unsupported:
            return self._unsupported.below and self._support.below
        return self._unsupported.above and self._support.below

    def chance(self, score: float | None) -> float:
        """How probable it is that all samples decide otherwise than ``score`` now does.

        A forecast; it takes the samples to come for ones that say something. Infinite while too
        few were read for a decision.
        """
        if score is None or self._read < self._at.min_samples:
            return math.inf
        if self._seen == self._size:
            return 0.0
        if score >= self._at.support:
            return 1.0 - self._ends_above(self._at.support)
        if score < self._at.unsupported:
            return self._ends_above(self._at.unsupported)
        below = 1.0 - self._ends_above(self._at.unsupported)
        return min(1.0, below + self._ends_above(self._at.support))

    def _ends_above(self, threshold: float) -> float:
        left = self._size - self._seen
        return above(
            (threshold * (self._read + left) - self._total) / left,
            seen=self._read,
            total=self._total,
            squares=self._squares,
            left=left,
        )
