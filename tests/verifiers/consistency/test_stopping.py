"""Stopping early: how often it goes wrong, and that it cannot where it must not."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.consistency import Stopping
from verifiers.consistency.stopping import Bet, Watch
from verifiers.consistency.urn import PRIOR, above, beta_below
from verifiers.types import ConsistencyThresholds

if TYPE_CHECKING:
    from collections.abc import Sequence

ONE = ConsistencyThresholds(0.5, 0.5, min_samples=1)
TWO = ConsistencyThresholds(0.7, 0.3, min_samples=1)
unit = st.floats(0, 1)
said = st.none() | unit


def mean(values: Sequence[float | None]) -> float | None:
    read = [value for value in values if value is not None]
    return sum(read) / len(read) if read else None


def region(score: float | None, at: ConsistencyThresholds) -> int | None:
    if score is None:
        return None
    return (score >= at.support) + (score >= at.unsupported)


def stops(
    values: Sequence[float | None], at: ConsistencyThresholds, stopping: Stopping
) -> tuple[int, int | None]:
    """After how many samples the watch settles, and what the decision then is."""
    watch = Watch(at, stopping)
    for seen, value in enumerate(values, start=1):
        watch.add(value)
        score = mean(values[:seen])
        if watch.settled(score):
            return seen, region(score, at)
    return len(values), region(mean(values), at)


def streams(count: int, size: int, seed: int) -> list[list[float | None]]:
    """Unanimous, torn, graded and partly silent streams, many of them near a threshold."""
    chance = random.Random(seed)
    made: list[list[float | None]] = []
    for _ in range(count):
        centre = chance.choice([0.1, 0.3, 0.45, 0.5, 0.55, 0.7, 0.9])
        spread = chance.choice(["bits", "beta", "near"])
        silent = chance.choice([0.0, 0.2])
        row: list[float | None] = []
        for _ in range(size):
            if chance.random() < silent:
                row.append(None)
            elif spread == "bits":
                row.append(float(chance.random() < centre))
            elif spread == "beta":
                row.append(chance.betavariate(centre * 2, (1 - centre) * 2))
            else:
                row.append(min(1.0, max(0.0, chance.gauss(centre, 0.1))))
        made.append(row)
    return made


@pytest.mark.parametrize("at", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("level", [0.05, 0.2])
def test_false_stops_are_rarer_than_the_level(at: ConsistencyThresholds, level: float) -> None:
    """On streams crowded around the thresholds, looked at after each sample."""
    stopping = Stopping(cap=20, step=1, level=level)
    made = streams(3000, 20, seed=7)
    wrong = sum(stops(row, at, stopping)[1] != region(mean(row), at) for row in made)
    # The guarantee is on the expectation; 3000 streams put its estimate within .015 of it.
    assert wrong / len(made) <= level
    assert wrong > 0 or level < 0.1


def test_the_worst_stream_for_one_level_stays_below_it() -> None:
    """Every order of a population just below the threshold, one that looks above it at first."""
    chance = random.Random(3)
    population = [1.0] * 9 + [0.0] * 11
    stopping = Stopping(cap=20, step=1, level=0.1)
    wrong = 0
    for _ in range(4000):
        chance.shuffle(population)
        wrong += stops(population, ONE, stopping)[1] != 0
    assert 0 < wrong / 4000 <= 0.1


def test_agreement_stops_soon() -> None:
    """Unanimous samples settle a claim with at most a quarter of twenty, either way."""
    for value in (0.0, 1.0):
        assert stops([value] * 20, ONE, Stopping(cap=20, step=1, level=0.1))[0] <= 5


@given(st.lists(said, min_size=1, max_size=12), st.sampled_from([ONE, TWO]))
def test_without_a_level_it_stops_only_where_nothing_can_change(
    values: list[float | None], at: ConsistencyThresholds
) -> None:
    """Level 0 gives the decision of all samples, always."""
    stopping = Stopping(cap=len(values), step=1, level=0.0)
    seen, decision = stops(values, at, stopping)
    for rest in (0.0, 1.0):
        score = mean([*values[:seen], *[rest] * (len(values) - seen)])
        if seen < len(values) and score is not None:
            # Means of other lengths may miss a threshold by a rounding error.
            near = min(abs(score - at.support), abs(score - at.unsupported)) < 1e-9
            assert near or region(score, at) == decision


@given(st.lists(unit, min_size=1, max_size=20), unit)
def test_silence_moves_nothing(values: list[float], threshold: float) -> None:
    """Samples that say nothing do not change on which side of the threshold the rest lie."""
    bet = Bet(threshold, size=2 * len(values), level=0.0)
    for value in values:
        bet.add(value)
        bet.add(None)
    over = sum(values) / len(values)
    if abs(over - threshold) > 1e-9:
        assert (bet.above, bet.below) == (over > threshold, over < threshold)


def test_too_few_readable_samples_never_settle() -> None:
    """A claim is not settled by two samples where three must be read."""
    watch = Watch(replace(ONE, min_samples=3), Stopping(cap=4, step=1, level=0.5))
    for value in (1.0, None, 1.0):
        watch.add(value)
    assert not watch.settled(1.0)
    watch.add(1.0)
    assert watch.settled(1.0)


def test_a_bet_takes_no_more_than_its_size() -> None:
    """More values than the cap is a mistake of the caller."""
    bet = Bet(0.5, size=1, level=0.1)
    bet.add(1.0)
    with pytest.raises(ValueError, match="all 1 values"):
        bet.add(1.0)


def drawn_from_the_urn(chance: random.Random, size: int) -> list[float]:
    """A stream as the forecast assumes it: draws that are put back with another like them."""
    urn: list[float] = []
    for _ in range(size):
        place = chance.random() * (len(urn) + 2 * PRIOR)
        fresh = float(chance.random() < 0.5)
        urn.append(urn[int(place)] if place < len(urn) else fresh)
    return urn


def answers_stopped(
    answers: Sequence[Sequence[Sequence[float | None]]], at: ConsistencyThresholds, how: Stopping
) -> tuple[float, float]:
    """The share of claims with another decision than all samples give, and of samples drawn."""
    wrong: list[bool] = []
    drawn: list[int] = []
    for answer in answers:
        watches = [Watch(at, how) for _ in answer]
        seen = 0
        while seen < how.cap:
            for watch, row in zip(watches, answer, strict=True):
                watch.add(row[seen])
            seen += 1
            scores = [mean(row[:seen]) for row in answer]
            if how.enough([w.chance(s) for w, s in zip(watches, scores, strict=True)]):
                break
        wrong += [region(mean(row[:seen]), at) != region(mean(row), at) for row in answer]
        drawn.append(seen)
    return sum(wrong) / len(wrong), sum(drawn) / len(drawn) / how.cap


@pytest.mark.parametrize("at", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("claims", [1, 8])
@pytest.mark.parametrize("differing", [0.03, 0.1])
def test_what_is_expected_to_differ_is_what_differs(
    at: ConsistencyThresholds, claims: int, differing: float
) -> None:
    """Samples as the urn draws them, looked at after each: the forecast is kept."""
    chance = random.Random(11)
    answers = [
        [drawn_from_the_urn(chance, 20) for _ in range(claims)] for _ in range(2400 // claims)
    ]
    how = Stopping(cap=20, step=1, differing=differing)
    wrong, drawn = answers_stopped(answers, at, how)
    assert wrong <= differing + 0.01  # 2400 claims put the estimate within that
    assert drawn < 0.9


def test_the_forecast_is_kept_for_streams_it_was_not_made_for() -> None:
    """Torn, graded and partly silent ones crowded around a threshold: not promised, and so here."""
    rows = streams(2400, 20, seed=5)
    answers = [rows[start : start + 8] for start in range(0, len(rows), 8)]
    wrong, _ = answers_stopped(answers, ONE, Stopping(cap=20, step=2, differing=0.03))
    assert wrong <= 0.04


@given(st.lists(said, min_size=1, max_size=12), st.sampled_from([ONE, TWO]))
def test_without_a_level_nothing_is_forecast(
    values: list[float | None], at: ConsistencyThresholds
) -> None:
    """However much may differ; and where nothing may, only what is certain stops a run."""
    exact = Stopping(cap=20, step=1, level=0.0, differing=0.99)
    watch = Watch(at, exact)
    for value in values:
        watch.add(value)
    score = mean(values)
    assert not exact.enough([watch.chance(score)])
    if Stopping(cap=20, differing=0.0).enough([watch.chance(score)]):
        assert watch.settled(score)


@given(st.lists(unit, min_size=1, max_size=19), unit)
def test_chances_are_chances(values: list[float], threshold: float) -> None:
    """Between 0 and 1, and nothing once all is seen."""
    at = ConsistencyThresholds(threshold, threshold, min_samples=1)
    watch = Watch(at, Stopping(cap=len(values) + 1, step=1))
    for value in values:
        watch.add(value)
    assert 0.0 <= watch.chance(mean(values)) <= 1.0
    watch.add(None)
    assert watch.chance(mean(values)) == 0.0


@given(st.lists(unit, min_size=1, max_size=20), st.integers(1, 30), unit, unit)
def test_the_forecast_falls_as_more_is_needed(
    values: list[float], left: int, one: float, other: float
) -> None:
    """A distribution function, whatever was seen; certain and impossible at its ends."""
    squares = sum(value * value for value in values)

    def chance(needed: float) -> float:
        return above(needed, seen=len(values), total=sum(values), squares=squares, left=left)

    low, high = sorted((one, other))
    assert 1.0 >= chance(low) >= chance(high) - 1e-9 >= -1e-9
    assert chance(0.0) == 1.0
    assert chance(1.0 + 1e-9) == 0.0


@given(st.integers(1, 30), st.integers(1, 30), unit)
def test_the_beta_distribution_is_the_binomial_one_at_whole_parameters(
    a: int, b: int, x: float
) -> None:
    """The probability of ``a`` successes or more in ``a + b - 1`` trials, summed term by term."""
    trials = a + b - 1
    terms = [math.comb(trials, k) * x**k * (1 - x) ** (trials - k) for k in range(a, trials + 1)]
    assert beta_below(x, a, b) == pytest.approx(math.fsum(terms), abs=1e-9)


@given(st.floats(1e-6, 200), st.floats(1e-6, 200), st.floats(1e-3, 1 - 1e-3))
def test_the_beta_distribution_has_two_sides(a: float, b: float, x: float) -> None:
    """What is not below x is below 1 - x of the mirrored one."""
    assert beta_below(x, a, b) + beta_below(1.0 - x, b, a) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("differing", [-0.1, 1.0])
def test_a_share_that_may_differ_is_below_one(differing: float) -> None:
    """All of them differing is no rule."""
    with pytest.raises(ValueError, match="differing"):
        Stopping(differing=differing)


@pytest.mark.parametrize("broken", [{"cap": 0}, {"step": 0}, {"level": 1.0}, {"level": -0.1}])
def test_stopping_makes_sense(broken: dict[str, float]) -> None:
    """Caps and steps count samples, the level is a probability below one."""
    with pytest.raises(ValueError, match="cap and step"):
        Stopping(**broken)  # type: ignore[arg-type]
