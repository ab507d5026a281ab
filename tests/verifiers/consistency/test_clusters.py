"""Clusters are an equivalence in any order; entropies are those of the papers."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.consistency.clusters import entropy, masses, partition

sizes = st.integers(1, 8)


@st.composite
def drawn(draw: st.DrawFn) -> tuple[list[bool], set[tuple[int, int]]]:
    size = draw(sizes)
    agrees = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    pairs = list(combinations(range(size), 2))
    return agrees, draw(st.sets(st.sampled_from(pairs))) if pairs else set()


@given(drawn(), st.randoms(use_true_random=False))
def test_clusters_do_not_depend_on_the_order(
    case: tuple[list[bool], set[tuple[int, int]]], chance: object
) -> None:
    """Who is with whom stays the same when the texts come in another order."""
    agrees, alike = case
    order = list(range(len(agrees)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    at = {old: new for new, old in enumerate(order)}
    first = partition(agrees, alike)
    second = partition([agrees[old] for old in order], {(at[a], at[b]) for a, b in alike})
    for a, b in combinations(range(len(agrees)), 2):
        assert (first[a] == first[b]) == (second[at[a]] == second[at[b]])


@given(drawn())
def test_clusters_hold_what_is_alike(case: tuple[list[bool], set[tuple[int, int]]]) -> None:
    """Cluster 0 is what agrees with the answer; others that are alike share a cluster."""
    agrees, alike = case
    found = partition(agrees, alike)
    assert [number == 0 for number in found] == agrees
    for a, b in alike:
        if not agrees[a] and not agrees[b]:
            assert found[a] == found[b]


def test_counting_gives_the_discrete_estimate() -> None:
    """Three of four samples mean the same: masses by count, entropy in nats."""
    found = masses([0, 1], [3, 1], [None, None])
    assert found == {0: 0.75, 1: 0.25}
    assert entropy(found.values()) == pytest.approx(0.5623351446)


def test_probabilities_give_the_rao_blackwellised_estimate() -> None:
    """Distinct texts weigh what the model gave them, not how often they came up."""
    found = masses([0, 1, 1], [5, 1, 1], [math.log(0.5), math.log(0.3), math.log(0.2)])
    assert found == {0: pytest.approx(0.5), 1: pytest.approx(0.5)}
    assert entropy(found.values()) == pytest.approx(math.log(2))


def test_one_missing_probability_means_counting() -> None:
    """Weights of two kinds are not mixed."""
    assert masses([0, 1], [3, 1], [-0.1, None]) == {0: 0.75, 1: 0.25}
    assert masses([0, 1], [3, 1], [-0.1, -math.inf]) == {0: 0.75, 1: 0.25}


def test_nobody_agrees() -> None:
    """The answer's own cluster is there even when no sample is in it."""
    assert masses([1, 1], [1, 1], [None, None]) == {0: 0.0, 1: 1.0}
    assert entropy([0.0, 1.0]) == 0.0
