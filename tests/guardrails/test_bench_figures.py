"""Figures of the proxy's benchmark and of the soak: computed right, and able to fail."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.bench.figures import Cell, compared, percentile, summarised, table
from guardrails.bench.soak import Seen, grown, growth
from guardrails.bench.texts import facts, first_sentence, pieces, plain_answer


def cell(target: str, number: int, *last: float, rate: float = 1.0, errors: int = 0) -> Cell:
    return Cell("plain", target, 1, False, number, last, last, rate=rate, errors=errors)


@given(st.lists(st.floats(0, 100), min_size=1))
def test_percentiles(values: list[float]) -> None:
    """Between the least and the greatest, the middle one in the middle."""
    assert percentile(values, 0) == min(values)
    assert percentile(values, 1) == max(values)
    assert percentile(values, 0.5) == pytest.approx(statistics.median(values))


def test_differences_are_taken_within_a_round() -> None:
    """A round in which the machine was slow for all adds nothing."""
    cells = [
        cell("straight", 0, 0.010),
        cell("ours", 0, 0.012),
        cell("straight", 1, 0.110),
        cell("ours", 1, 0.112),
        cell("straight", 2, 0.010),
        cell("ours", 2, 0.013),
    ]
    row = next(row for row in summarised(cells) if row["target"] == "ours")
    assert row["added_last_ms"]["median"] == pytest.approx(2.0)
    assert row["requests"] == 3


def test_ratios_are_of_answers_a_second() -> None:
    cells = [
        cell("straight", 0, 0.01),
        cell("groundrail", 0, 0.02, rate=300.0),
        cell("LiteLLM", 0, 0.05, rate=100.0),
    ]
    (row,) = compared(summarised(cells), "groundrail", "LiteLLM")
    assert row["requests_a_second_ratio"] == pytest.approx(3.0)
    assert row["added_last_ms"]["groundrail"] == pytest.approx(10.0)


def test_the_table_shows_every_row_and_every_error() -> None:
    rows = summarised([cell("straight", 0, 0.01), cell("ours", 0, 0.02, errors=2)])
    lines = table(rows).splitlines()
    assert len(lines) == 4
    assert "| ours | 1 | 2 |" in lines[3]


@given(st.integers(0, 10**9))
def test_texts_are_the_same_for_the_same_number(number: int) -> None:
    """A thousand words, an answer of five sentences in other words, pieces that lose nothing."""
    source, answer = facts(number)
    assert (source, answer) == facts(number)
    assert 1000 <= len(source.split()) < 1020
    assert answer.count(".") == 5
    assert first_sentence(answer) not in source
    assert "".join(pieces(answer)) == answer


def test_the_plain_answer_is_about_a_hundred_words() -> None:
    assert 90 <= len(plain_answer().split()) <= 120


def seen(at: float, rss: int = 100_000, threads: int = 10, files: int = 50, tasks: int = 9) -> Seen:
    return Seen(at, rss, threads, files, tasks)


def test_what_stays_flat_has_not_grown() -> None:
    flat = [seen(at, files=50 + at % 5) for at in range(90)]
    assert grown(growth(flat)) == []


def test_filling_caches_is_no_growth() -> None:
    filling = [seen(at, rss=50_000 + 2_000 * min(at, 30)) for at in range(90)]
    assert grown(growth(filling)) == []


@pytest.mark.parametrize("name", ["rss", "threads", "files", "tasks"])
def test_what_grows_is_found(name: str) -> None:
    """Each on its own."""
    steps = {"rss": 1_000, "threads": 1, "files": 3, "tasks": 1}
    base = {"rss": 100_000, "threads": 10, "files": 50, "tasks": 9}
    leaking = [seen(at, **{name: base[name] + at * steps[name]}) for at in range(90)]
    (fault,) = grown(growth(leaking))
    assert fault.startswith(name)
