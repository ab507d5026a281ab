"""Sources planted in longer text: nothing of them is lost, and the rest is about something else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from verifiers.bench import length
from verifiers.bench.items import Item
from verifiers.bench.length_figure import figure
from verifiers.bench.length_rows import Checked, differences, row_of, shown
from verifiers.bench.scores import FileScores
from verifiers.claims import make_extractor
from verifiers.engine import NLIEngine
from verifiers.pipeline import EvidenceSettings, Verifier
from verifiers.testing import ScriptedScorer

if TYPE_CHECKING:
    from pathlib import Path

THINGS = ["violin", "clock", "cheese", "glass", "hat", "carpet", "tea", "knife", "rope", "bell"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Ten short sources, half of the claims about them right."""
    path = tmp_path / "shops.jsonl"
    lines = [
        {
            "source": f"The {thing} shop opened in {1900 + place} and is closed on Mondays.",
            "claim": f"The {thing} shop opened in {1900 + place if place % 2 else 1850}.",
            "label": "supported" if place % 2 else "unsupported",
        }
        for place, thing in enumerate(THINGS)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_source_is_planted_whole(rows: Path) -> None:
    """At its place, among text with none of its rare words."""
    items, haystack = length.chosen([rows], 4, 0)
    assert sorted(item.supported for item in items) == [False, False, True, True]
    for item in items:
        others = haystack.others(item, 40)
        assert sum(len(text.split()) for text in others) >= 40
        assert item.sources[0] not in others
        assert haystack.others(item, 20) == others[: len(haystack.others(item, 20))]
        for position in length.POSITIONS:
            text, span = length.planted(item, others, position)
            assert text[span.start : span.end] == item.sources[0]
            assert all(other in text for other in others)
    assert length.planted(items[0], others, "start")[1].start == 0
    text, span = length.planted(items[0], others, "end")
    assert span.end == len(text)


def test_too_little_other_text_is_an_error(rows: Path) -> None:
    """A length that cannot be reached is not measured at another."""
    items, haystack = length.chosen([rows], 2, 0)
    with pytest.raises(ValueError, match="words of other text"):
        haystack.others(items[0], 10_000)


CELLS: list[length.Cell] = [(0, "alone"), (60, "start"), (60, "middle"), (60, "end")]


def test_every_item_is_checked(rows: Path) -> None:
    """In every cell, and what was read of the planted text is counted."""
    items, haystack = length.chosen([rows], 10, 0)
    seen = []
    engine = NLIEngine(ScriptedScorer)
    with Verifier(extractor=make_extractor("xx"), engine=engine) as verifier:
        done = length.measure(
            items, verifier, haystack, CELLS, threshold=0.5, progress=lambda: seen.append(1)
        )
    engine.close()
    assert len(seen) == len(items) * len(CELLS)
    labels = np.array([item.supported for item in items])
    for cell in CELLS:
        row = row_of(cell, labels, done[cell], 0.5)
        assert (row.words, row.position, row.items) == (*cell, 10)
        assert row.found == row.whole == 1.0
        assert 0.0 < row.share <= 1.0
        # The scripted model finds every figure, and no other shop has the thing.
        assert row.balanced_accuracy.value == 1.0
        assert row.strayed == 0.0
    assert "middle" in shown([row], differences(labels, done, 0.5))


def _checked(supports: list[float], **other: object) -> list[Checked]:
    filled = {"found": True, "whole": True, "strayed": False, "read": (1, 2), **other}
    return [Checked(support=support, **filled) for support in supports]  # type: ignore[arg-type]


def test_differences_are_paired() -> None:
    """Items that are right in both cells say nothing of a difference; one that changes does."""
    labels = np.array([True, True, False, False])
    right, worse = [0.9, 0.8, 0.1, 0.2], [0.9, 0.4, 0.1, 0.2]
    cells: dict[length.Cell, list[Checked]] = {
        (0, "alone"): _checked(right),
        (100, "start"): _checked(right),
        (100, "middle"): _checked(worse),
        (100, "end"): _checked(right),
    }
    found = {d.what: d.balanced_accuracy for d in differences(labels, cells, 0.5)}
    assert found["start less end, all lengths"] == (0.0, 0.0, 0.0)
    value, low, high = found["start less middle, 100 words"]
    assert value == pytest.approx(0.25)
    assert low == 0.0
    assert high == pytest.approx(0.5)
    assert found["100 words less the text alone"].value == pytest.approx(-0.25 / 3)
    row = row_of((100, "middle"), labels, cells[100, "middle"], 0.5)
    assert (row.supported_right, row.unsupported_right) == (0.5, 1.0)
    assert (row.read, row.share) == (1.0, 0.5)


def test_other_text_that_decides_is_told() -> None:
    """A haystack that supports the claim itself is counted, so that a figure cannot hide it."""
    item = Item(
        "1", "shops", ("Rain fell.",), "The hat shop opened in 1904.", None, "claim", True, None
    )

    class Same(length.Haystack):
        def others(self, item: Item, words: int) -> list[str]:
            return [*["Whales sing at night."] * 20, "So the hat shop opened in 1904 then."]

    engine = NLIEngine(ScriptedScorer)
    settings = EvidenceSettings(window_tokens=32)
    with Verifier(extractor=make_extractor("xx"), engine=engine, evidence=settings) as verifier:
        checked = length.check(item, verifier, Same([]), (200, "start"), threshold=0.5)
    engine.close()
    assert checked.strayed
    assert checked.support >= 0.5


def test_a_stopped_run_goes_on(rows: Path, tmp_path: Path) -> None:
    """With the same file of scores nothing is scored twice."""
    items, haystack = length.chosen([rows], 4, 0)

    def run() -> int:
        scorer = ScriptedScorer()
        with FileScores(tmp_path / "scores.sqlite") as scores:
            engine = NLIEngine(lambda: scorer, cache=scores)
            with Verifier(extractor=make_extractor("xx"), engine=engine) as verifier:
                length.measure(items, verifier, haystack, CELLS, threshold=0.5)
            engine.close()
        return sum(map(len, scorer.batches))

    assert run() > 0
    assert run() == 0


def test_the_figure_can_be_read() -> None:
    """Well-formed, with every length, both colour schemes, its own ground, and nothing outside."""
    estimate = (0.7, 0.6, 0.8)
    points = {(0, "alone"): (estimate, 1.0)} | {
        (words, position): (estimate, 0.97)
        for words in (100, 50_000)
        for position in length.POSITIONS
    }
    text = figure(points)
    root = ET.fromstring(text)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    said = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {"alone", "100", "50,000", "at the start", "in the middle"} <= set(said)
    assert "prefers-color-scheme: dark" in text
    assert 'class="ground"' in text
    for element in root.iter():
        for key, most in (("cx", width), ("x", width), ("cy", height), ("y", height)):
            assert 0 <= float(element.attrib.get(key, 0)) <= most
    with pytest.raises(ValueError, match="no length"):
        figure({(0, "alone"): (estimate, 1.0)})


@pytest.mark.integration
def test_the_command(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table on the console, and figures and drawing in files."""
    told, drawn = tmp_path / "length.json", tmp_path / "length.svg"
    arguments = [str(rows), "--limit", "4", "--lengths", "40"]
    arguments += ["--json", str(told), "--svg", str(drawn), "--scores", str(tmp_path / "s.sqlite")]
    assert length.main(arguments) == 0
    out = capsys.readouterr().out
    assert "40 words less the text alone" in out
    body = json.loads(told.read_text())
    assert body["items"] == 4
    assert [(row["words"], row["position"]) for row in body["rows"]][:2] == [
        (0, "alone"),
        (40, "start"),
    ]
    assert ET.fromstring(drawn.read_text()) is not None


@pytest.mark.integration
def test_sources_read_another_way(rows: Path, tmp_path: Path) -> None:
    """Settings of evidence reach the verifier and the report."""
    told = {}
    for evidence in ("unsure=1", "window_tokens=32,enough=1.1"):
        file = tmp_path / "length.json"
        arguments = [str(rows), "--limit", "4", "--lengths", "40", "--json", str(file)]
        assert length.main([*arguments, "--evidence", evidence]) == 0
        told[evidence] = json.loads(file.read_text())
    few, more = told.values()
    assert few["evidence"]["unsure"] == 1.0
    assert more["evidence"]["enough"] == 1.1
    assert sum(row["read"] for row in few["rows"]) < sum(row["read"] for row in more["rows"])


def test_an_unknown_setting_is_refused(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is measured, with those there are."""
    with pytest.raises(SystemExit):
        length.main([str(rows), "--evidence", "unsur=1"])
    assert "known are window_tokens" in capsys.readouterr().err
