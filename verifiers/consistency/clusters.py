"""Answers put together by meaning, and how far apart the meanings lie. Pure.

Semantic entropy is of Kuhn, Gal and Farquhar, "Semantic uncertainty", ICLR 2023, and Farquhar,
Kossen, Kuhn and Gal, "Detecting hallucinations in large language models using semantic entropy",
Nature 630, 2024: the entropy of the distribution over meanings, estimated from samples either by
counting them (discrete) or from their probabilities (Rao-Blackwellised).

Both put an answer into the first cluster whose first member it entails and is entailed by, which
makes the clusters depend on the order of the samples. Here the answer that is checked opens
cluster 0, which holds what says the same as it, directly; the rest is put together by the
transitive closure of entailment both ways. That is an equivalence in any order, and whether a
sample agrees with the answer depends on that sample alone, which the stopping rule needs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def partition(agrees: Sequence[bool], alike: Collection[tuple[int, int]]) -> list[int]:
    """The cluster of each text; 0 is the answer's own.

    Args:
        agrees: Whether each text says the same as the answer.
        alike: Pairs of texts that say the same as each other, in either order.

    Returns:
        Cluster numbers, the others from 1 in the order of their first text.
    """
    parent = list(range(len(agrees)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for one, other in alike:
        if not agrees[one] and not agrees[other]:
            low, high = sorted((root(one), root(other)))
            parent[high] = low
    numbers: dict[int, int] = {}
    return [
        0 if own else numbers.setdefault(root(place), len(numbers) + 1)
        for place, own in enumerate(agrees)
    ]


def masses(
    clusters: Sequence[int], counts: Sequence[int], logprobs: Sequence[float | None]
) -> dict[int, float]:
    """The probability of each cluster; the answer's own, 0, is always there.

    Rao-Blackwellised when every text has a log probability: each distinct text weighs what it was
    worth to the model, however often it came up. Otherwise each sample counts as one.

    Args:
        clusters: Of each distinct text.
        counts: How many samples have it.
        logprobs: Its length-normalised log probability.
    """
    known = [value for value in logprobs if value is not None]
    weights: list[float]
    if known and len(known) == len(logprobs) and all(math.isfinite(value) for value in known):
        top = max(known)
        weights = [math.exp(value - top) for value in known]
    else:
        weights = [float(count) for count in counts]
    total = math.fsum(weights)
    parts: dict[int, list[float]] = {0: []}
    for cluster, weight in zip(clusters, weights, strict=True):
        parts.setdefault(cluster, []).append(weight)
    return {
        cluster: min(1.0, math.fsum(own) / total) if total else 0.0
        for cluster, own in parts.items()
    }


def entropy(probabilities: Collection[float]) -> float:
    """In nats."""
    return max(0.0, -math.fsum(p * math.log(p) for p in sorted(probabilities) if p > 0.0))
