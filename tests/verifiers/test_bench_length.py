"""Sources planted in longer text: nothing of them is lost, and the rest is about something else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from verifiers.bench import length
from verifiers.claims import make_extractor
from verifiers.engine import NLIEngine
from verifiers.pipeline import Verifier
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


def test_every_item_is_checked(rows: Path) -> None:
    """And what was read of the planted text is counted."""
    items, haystack = length.chosen([rows], 10, 0)
    engine = NLIEngine(ScriptedScorer)
    with Verifier(extractor=make_extractor("xx"), engine=engine) as verifier:
        row = length.measure(items, verifier, haystack, words=60, position="middle", threshold=0.5)
    engine.close()
    assert (row.items, row.words, row.position) == (10, 60, "middle")
    assert row.found == 1.0
    assert 0.0 < row.share <= 1.0
    assert "middle" in length.shown([row])
