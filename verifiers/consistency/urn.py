"""What the samples still to come may add up to, forecast from those that came: Polya's urn.

The urn holds what each sample said so far, and half a sample that says nothing of a claim (0) and
half a one that bears it out in full (1). Each sample to come is drawn from it and put back with
another like it. This is the predictive distribution of a Dirichlet process (Blackwell and MacQueen,
"Ferguson distributions via Polya urn schemes", Annals of Statistics 1, 1973); where every sample
says 0 or 1 it is the beta-binomial forecast of Jeffreys' prior. Two halves are what keeps samples
that all said the same from being taken for certain, and nothing else is assumed: that the scores
are many or few, torn or graded, is read off the samples.

The mean of ``r`` draws has a known expectation and variance. Its distribution is taken to be the
beta distribution with these two, which is exact in the two limits (many draws of zeros and ones;
one draw of them) and lies in [0, 1] as scores do.
"""

from __future__ import annotations

import math
from typing import Final

PRIOR: Final = 0.5
"""Samples that say 0, and as many that say 1, in the urn before any came."""

_TINY: Final = 1e-300
_PRECISE: Final = 1e-12
_TERMS: Final = 500
# Below this the two parameters together are as good as none: all at 0 or all at 1.
_TWO_POINTS: Final = 1e-9


def above(needed: float, *, seen: int, total: float, squares: float, left: int) -> float:
    """The probability that the mean of the samples to come is ``needed`` or more.

    Args:
        needed: Any number; above 1 is impossible and 0 or less certain.
        seen: How many said something so far.
        total: The sum of what they said.
        squares: The sum of its squares.
        left: How many come; 1 or more.
    """
    if needed <= 0.0:
        return 1.0
    if needed > 1.0:
        return 0.0
    weight = seen + 2 * PRIOR
    mean = (total + PRIOR) / weight
    spread = max((squares + PRIOR) / weight - mean * mean, 0.0)
    of_mean = spread * (weight + left) / (left * (weight + 1.0))
    # At least 0: no variable in [0, 1] spreads further than mean * (1 - mean).
    both = max(mean * (1.0 - mean) / of_mean - 1.0, 0.0) if of_mean > 0.0 else math.inf
    if both < _TWO_POINTS:
        return mean
    if math.isinf(both):
        return float(mean >= needed)
    return 1.0 - beta_below(needed, mean * both, (1.0 - mean) * both)


def beta_below(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function: P(X <= x) for X distributed as Beta(a, b).

    By its continued fraction (NIST Digital Library of Mathematical Functions, 8.17.22), evaluated
    forwards as Lentz does, on the side of the mean where it converges quickly.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_below(1.0 - x, b, a)
    scale = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    # 1 / (1 + d(1) / (1 + d(2) / (1 + ...))), begun where its first term is 1.
    value, numerator, denominator = 1.0, math.inf, 1.0
    for term in range(1, _TERMS):
        half = term // 2
        if term % 2:
            d = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1.0))
        else:
            d = half * (b - half) * x / ((a + 2 * half - 1.0) * (a + 2 * half))
        denominator = 1.0 / _away(1.0 + d * denominator)
        numerator = _away(1.0 + d / numerator)
        step = numerator * denominator
        value *= step
        if abs(step - 1.0) < _PRECISE:
            break
    return min(max(scale * value / a, 0.0), 1.0)


def _away(value: float) -> float:
    """Not quite zero, so that it can be divided by."""
    return value if abs(value) > _TINY else _TINY
