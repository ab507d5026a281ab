"""The engine's benchmark runs, and what it counts without a clock holds the promise."""

from __future__ import annotations

from verifiers.bench.engine import make_pairs, throughput, turns
from verifiers.testing import ScriptedScorer


class Shared(ScriptedScorer):
    """May be used from two threads in turns, as the benchmark does."""

    def _own(self) -> None:
        pass


def test_callers_cost_hardly_more_work_than_one_big_batch() -> None:
    """Padded tokens of 50 concurrent callers against the same pairs packed beforehand."""
    found = throughput(Shared(), callers=50, each=6, repeat=2, max_tokens=1024)
    assert found["work_share"] >= 0.9
    assert found["batches"]["callers"] <= 1.25 * found["batches"]["at_once"]
    assert set(found["median_seconds"]) == {"at_once", "one_request", "callers"}


def test_turns_are_measured() -> None:
    """The second half runs too and reports ratios."""
    found = turns(Shared(), long_answers=3, each=4, repeat=1, max_tokens=1024)
    assert found["among_to_first_come"] > 0


def test_pairs_are_distinct_and_repeatable() -> None:
    """The cache and the sharing of identical pairs must not flatter the figures."""
    pairs = make_pairs(200, shortest=5, longest=50, seed=1)
    assert len(set(pairs)) == 200
    assert pairs == make_pairs(200, shortest=5, longest=50, seed=1)
