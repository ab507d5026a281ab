"""Figures of systems on sets: what counts, what is left out, means, differences, groups; and how
they are shown: as JSON, as a page, as Markdown.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from verifiers.bench import markdown
from verifiers.bench.items import Item
from verifiers.bench.markdown import BEGIN, END, write
from verifiers.bench.page import render
from verifiers.bench.plots import draw, reliability_curve, trade_off_curve
from verifiers.bench.report import Report, figure
from verifiers.bench.resample import draw_counts
from verifiers.bench.suite import (
    BELOW,
    arrays,
    choose_threshold,
    difference,
    groups,
    mean,
    measure,
)
from verifiers.bench.systems import Result
from verifiers.errors import BenchDataInvalid
from verifiers.types import Span


def counts_of(items, resamples=20):
    return draw_counts(len(items), name="set", resamples=resamples)


def result_of(item: Item, score: float, **more) -> Result:
    return replace(
        Result(item.digest, score, None, ((0, len(item.text), score),), 1, 1, 10, None), **more
    )


def scored(items, shift=0.0):
    """Results that are right by and large."""
    rng = np.random.default_rng(5)
    return [
        result_of(item, float(np.clip(0.5 + (0.2 if item.supported else -0.2) + shift + e, 0, 1)))
        for item, e in zip(items, rng.normal(scale=0.25, size=len(items)), strict=True)
    ]


def many(name: str, n: int, *, granularity="claim") -> list[Item]:
    return [
        Item(str(i), name, ("s",), f"{name} {i}", None, granularity, i % 3 == 0, None)
        for i in range(n)
    ]


def test_what_could_not_be_looked_at_counts_as_called_unsupported() -> None:
    """An item without a score is not left out of the figures, and the commonest cause is told."""
    items = many("s", 3)
    results = [result_of(item, 0.9) for item in items]
    failed = [replace(results[0], score=None, error="down"), *results[1:]]
    row = measure("x", "set", items, failed, threshold=0.5, counts=counts_of(items)).figures
    assert (row.errors, row.why, row.items) == (1, "down", 3)
    assert arrays(items, failed)[0][0] == 0.0
    assert arrays(items, failed, failed=BELOW)[0][0] < 0.0


def test_a_failed_item_is_called_unsupported_at_every_threshold() -> None:
    """Also at 0, from which a score of 0 reads as supported; its calibration stays that of 0."""
    items = many("s", 6)
    items = [replace(item, supported=i % 2 == 0) for i, item in enumerate(items)]
    results = [result_of(item, 0.0 if i > 2 else 0.8) for i, item in enumerate(items)]
    failed = [replace(results[0], score=None, error="down"), *results[1:]]
    row = measure("x", "s", items, failed, threshold=0.0, counts=counts_of(items)).figures
    # One of three supported ones is lost; no unsupported one is caught.
    assert row.balanced_accuracy.value == pytest.approx((2 / 3 + 0) / 2)
    assert row.f1_unsupported.value == 0.0
    # Below what was read and scored 0: not tied with the two unsupported ones there.
    assert row.auroc.value == pytest.approx((0 + 2.5 + 1) / 9)
    as_zero = [result_of(items[0], 0.0), *results[1:]]
    zero = measure("x", "s", items, as_zero, threshold=0.0, counts=counts_of(items)).figures
    assert row.calibration_error == zero.calibration_error


@pytest.mark.parametrize("scores", [[None] * 4, [None, 0.2, 0.9, None], [0.9, 0.9, None, None]])
def test_the_best_threshold_is_one_that_can_be_given(scores) -> None:
    """Never below 0, and what is said to be reached at it is what is reached at it."""
    items = [replace(item, supported=i < 2) for i, item in enumerate(many("s", 4))]
    results = [
        replace(result_of(item, 0.5), score=score, error="down" if score is None else None)
        for item, score in zip(items, scores, strict=True)
    ]
    row = measure("x", "s", items, results, threshold=0.5, counts=counts_of(items)).figures
    assert row.best_at >= 0.0
    again = measure("x", "s", items, results, threshold=row.best_at, counts=counts_of(items))
    assert again.figures.balanced_accuracy.value == row.best_balanced_accuracy.value >= 0.5


def test_sets_without_marks_have_no_span_figure() -> None:
    """Empty lists throughout are no marks; an unsupported item without any was not marked."""
    items = many("s", 3)
    items[2] = replace(items[2], text="x" * 60, spans=(Span(27, 60),))
    blank = [replace(item, spans=()) for item in items]
    results = [result_of(item, 0.1) for item in items]
    counts = counts_of(items)
    assert measure("x", "s", blank, results, threshold=0.5, counts=counts).figures.span_f1 is None
    some = [replace(items[0], spans=()), replace(items[1], spans=()), items[2]]
    found = measure("x", "s", some, results, threshold=0.5, counts=counts).figures.span_f1
    assert found is not None
    # Flagged: all of the first (no mark in it) and all of the third; the second is left out.
    flagged, marked = len(items[0].text) + len(items[2].text), 33
    assert found.value == pytest.approx(2 * marked / (flagged + marked))


def test_latency_is_of_items_alone_and_pairs_of_all() -> None:
    """Median and 95th percentile of those that were timed."""
    items = many("s", 3)
    results = [result_of(item, 0.5) for item in items]
    results[1] = replace(results[1], seconds=0.04)
    row = measure("x", "s", items, results, threshold=0.5, counts=counts_of(items)).figures
    assert row.timed == 1
    assert row.milliseconds == pytest.approx((40.0, 40.0))
    assert (row.pairs, row.tokens) == (1, 10)


def test_thresholds_give_every_data_set_its_say() -> None:
    """Or every item, where that is asked for."""
    kinds = [("large", 0.1, False)] * 45 + [("large", 0.3, True)] * 45
    kinds += [("small", 0.2, False)] * 3 + [("small", 0.35, False)] * 3 + [("small", 0.4, True)] * 2
    items = [
        Item(str(i), name, ("s",), f"t{i}", None, "claim", label, None)
        for i, (name, _, label) in enumerate(kinds)
    ]
    results = [result_of(item, kinds[i][1]) for i, item in enumerate(items)]
    assert choose_threshold(items, results, rule="pooled") == pytest.approx(0.25, abs=0.005)
    kinds[45:90] = [("large", 0.38, True)] * 45
    results = [result_of(item, kinds[i][1]) for i, item in enumerate(items)]
    assert choose_threshold(items, results, rule="equal") == pytest.approx(0.365, abs=0.005)


def test_the_mean_over_sets_is_as_sure_as_its_sets_together() -> None:
    """Each set counts alike; the interval is narrower than that of any one of them."""
    small, large = many("small", 60), many("large", 240)
    own = [
        measure(
            "x",
            name,
            items,
            scored(items),
            threshold=0.5,
            counts=draw_counts(len(items), name=name),
        )
        for name, items in (("small", small), ("large", large))
    ]
    row, _ = mean("both", own)
    values = [one.figures.balanced_accuracy for one in own]
    assert row.balanced_accuracy.value == pytest.approx(sum(v.value for v in values) / 2)
    assert row.sets == ("small", "large")
    width = row.balanced_accuracy.high - row.balanced_accuracy.low
    assert width < values[0].high - values[0].low
    assert row.balanced_accuracy.low < row.balanced_accuracy.value < row.balanced_accuracy.high


def test_a_set_with_one_class_is_in_no_mean() -> None:
    """Its balanced accuracy does not exist."""
    one_sided = [replace(item, supported=True) for item in many("one", 12)]
    both = many("two", 12)
    own = [
        measure("x", name, items, scored(items), threshold=0.5, counts=counts_of(items))
        for name, items in (("one", one_sided), ("two", both))
    ]
    assert math.isnan(own[0].figures.balanced_accuracy.value)
    assert mean("g", own)[0].sets == ("two",)
    with pytest.raises(ValueError, match="both labels"):
        mean("g", own[:1])


def test_a_system_does_not_differ_from_itself() -> None:
    """Resampled together, equal systems differ by exactly nothing, and better ones by less noise."""
    items = many("s", 120)
    counts = draw_counts(120, name="s")
    first = measure("a", "s", items, scored(items), threshold=0.5, counts=counts)
    same = measure("b", "s", items, scored(items), threshold=0.5, counts=counts)
    assert difference(same, first).balanced_accuracy == (0.0, 0.0, 0.0)
    assert difference(same, first).auroc == (0.0, 0.0, 0.0)
    shifted = measure("c", "s", items, scored(items, 0.05), threshold=0.5, counts=counts)
    apart = difference(shifted, first).balanced_accuracy
    alone = first.figures.balanced_accuracy
    assert apart.high - apart.low < alone.high - alone.low


def test_groups_are_those_asked_for_and_those_of_one_kind() -> None:
    """A group of sets that were not measured is an error."""
    rows = [
        measure("x", name, items, scored(items), threshold=0.5, counts=counts_of(items)).figures
        for name, items in (
            ("a", many("a", 9)),
            ("b", many("b", 9)),
            ("c", many("c", 9, granularity="answer")),
            ("d", many("d", 9, granularity="answer")),
        )
    ]
    found = groups(rows, {"mine": ["a", "c"]})
    assert found == {
        "mine": ("a", "c"),
        "claims": ("a", "b"),
        "answers": ("c", "d"),
        "all sets": ("a", "b", "c", "d"),
    }
    assert groups(rows[:1], {}) == {}
    with pytest.raises(ValueError, match="names e"):
        groups(rows, {"mine": ["a", "e"]})
    with pytest.raises(ValueError, match="a set twice"):
        groups(rows, {"mine": ["a", "a"]})


NAME = "<script>alert(1)</script> | x"


@pytest.fixture
def report() -> Report:
    """Three sets, two systems, thresholds from a fourth; one item could not be looked at."""
    sets = {"held": many("held", 40), NAME: many("n", 60), "b": many("b", 60)}
    sets["b"] = [replace(item, spans=() if item.supported else (Span(0, 1),)) for item in sets["b"]]
    results = {
        (system, name): scored(items, shift)
        for name, items in sets.items()
        for system, shift in (("overlap", 0.0), ("model", 0.02))
    }
    results["model", "b"][0] = replace(
        results["model", "b"][0], score=None, error="there is no source to read", seconds=0.02
    )
    found = figure(
        sets,
        results,
        {"overlap": 0.5, "model": 0.4},
        baseline="overlap",
        named={"mine": [NAME, "b"]},
        held_out="held",
        resamples=50,
    )
    own = {system: arrays(sets[NAME], results[system, NAME]) for system in ("overlap", "model")}
    plots = [
        draw(NAME, [reliability_curve(n, *one) for n, one in own.items()], x="x", y="y"),
        draw("t", [trade_off_curve(n, *one, 0.5) for n, one in own.items()], x="x", y="y"),
    ]
    return Report(
        command="groundrail bench <x>",
        facts={"model": NAME},
        systems=("overlap", "model"),
        baseline="overlap",
        thresholds={"overlap": 0.5, "model": 0.4},
        held_out=found.held_out,
        rows=found.rows,
        means=found.means,
        differences=found.differences,
        plots={NAME: plots},
    )


def test_the_set_thresholds_come_from_is_in_no_mean(report) -> None:
    """It is reported apart; all other sets are there for every system."""
    assert {row.dataset for row in report.held_out} == {"held"}
    assert [(row.dataset, row.system) for row in report.rows] == [
        (name, system) for name in (NAME, "b") for system in ("overlap", "model")
    ]
    assert all("held" not in row.sets for row in report.means)
    assert {one.dataset for one in report.differences} == {"mine", NAME, "b"}


def test_the_page_loads_nothing_and_escapes_what_it_shows(report) -> None:
    """Names of sets come from files of others."""
    page = render(report)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page
    assert "1 of 60 (there is no source to read)" in page
    assert page.count("<svg") == page.count("</svg>") == 2
    for row in report.rows:
        assert f"{row.auroc.value:.3f}" in page


def test_a_plot_is_a_file_of_its_own_too(report) -> None:
    """Well-formed XML with a namespace."""
    from xml.etree import ElementTree as ET

    for plot in report.plots[NAME]:
        tree = ET.fromstring(plot.file)
        assert tree.tag == "{http://www.w3.org/2000/svg}svg"


def test_json_is_plain_and_has_no_nan(report) -> None:
    """Intervals by name; a figure that does not exist is null; names stay as they are."""
    found = report.to_json()
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text) == found
    first = found["figures"][0]
    assert set(first["auroc"]) == {"value", "low", "high"}
    assert first["span_f1"] is None
    assert first["dataset"] == NAME
    assert found["figures"][3]["span_f1"]["value"] is not None
    broken = replace(report, rows=(replace(report.rows[0], best_at=math.nan, dataset="NaN set"),))
    assert broken.to_json()["figures"][0]["best_at"] is None
    assert broken.to_json()["figures"][0]["dataset"] == "NaN set"


def test_markdown_goes_between_its_marks_and_nowhere_else(report, tmp_path) -> None:
    """A page is kept around it, a second run replaces the first, a stranger's file is refused."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nformer figures\n{END}\n\nafter\n")
    write(report, page)
    once = page.read_text()
    assert once.startswith("before\n\n" + BEGIN)
    assert once.endswith(END + "\n\nafter\n")
    assert "former figures" not in once
    write(report, page)
    assert page.read_text() == once
    new = tmp_path / "new.md"
    write(report, new)
    assert new.read_text().startswith(BEGIN)
    other = tmp_path / "other.md"
    other.write_text("mine")
    with pytest.raises(BenchDataInvalid, match="no place"):
        write(report, other)
    assert other.read_text() == "mine"


def test_the_markdown_tables_hold_the_figures(report) -> None:
    """Every row has as many cells as its head, bars in names escaped; the means are in."""
    text = markdown.markdown(report)
    row = report.rows[1]
    assert f"{row.balanced_accuracy.value:.3f} / {row.auroc.value:.3f}" in text
    assert f"**mean: mine** | 2 sets | **{report.means[0].balanced_accuracy.value:.3f} /" in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            cells = {line.replace("\\|", "").count("|") for line in block.splitlines()}
            assert len(cells) == 1


def test_markdown_opens_no_tag_of_somebody_else(report) -> None:
    """The page it goes into is often shown as HTML, and names of sets come from files of others."""
    text = markdown.markdown(report)
    assert "<script" not in text
    assert "&lt;script>" in text
