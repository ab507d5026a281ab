"""What reading less spares: the counts add up, and the same claims are compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from verifiers.bench import cascade
from verifiers.bench.items import read_items
from verifiers.claims import make_extractor
from verifiers.engine import NLIEngine
from verifiers.pipeline import Verifier
from verifiers.testing import ScriptedScorer

if TYPE_CHECKING:
    from pathlib import Path

FACTS = [
    f"The {thing} shop in {place} opened in {year} and sells {thing} of every kind to those who "
    f"come by ship, by train or on foot, every day of the week but Monday. {'It rained. ' * 40}"
    for thing, place, year in [
        ("violin", "Cremona", 1701),
        ("clock", "Bern", 1850),
        ("cheese", "Gouda", 1912),
        ("glass", "Murano", 1440),
        ("hat", "Panama", 1899),
        ("carpet", "Tabriz", 1620),
        ("tea", "Colombo", 1875),
        ("knife", "Solingen", 1731),
    ]
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Two items over a long source: one word for word, one made up."""
    source = " ".join(FACTS)
    path = tmp_path / "shops.jsonl"
    path.write_text(
        "".join(
            json.dumps({"source": source, "claim": claim.split(" It rained")[0], "label": label})
            + "\n"
            for claim, label in [
                (FACTS[2], "supported"),
                ("The knife shop in Solingen opened in 1999.", "unsupported"),
            ]
        )
    )
    return path


def test_every_way_reads_no_more_than_the_one_before(rows: Path) -> None:
    """And says of how many claims its verdict is the same."""
    engine = NLIEngine(ScriptedScorer)
    verifiers = {
        name: Verifier(extractor=make_extractor("xx"), engine=engine, evidence=evidence)
        for name, evidence in cascade.WAYS.items()
    }
    try:
        found = cascade.measure(
            read_items(rows),
            verifiers,
            lambda texts: [len(text.split()) for text in texts],
        )
    finally:
        for verifier in verifiers.values():
            verifier.close()
        engine.close()
    ways = ["whole", "exact", "near", "default"]
    assert list(found) == ways
    assert {row["claims"] for row in found.values()} == {2}
    for key in ("pairs", "tokens"):
        spent = [found[way][key] for way in ways]
        assert spent == sorted(spent, reverse=True)
        assert spent[0] > spent[1] > spent[2] > 0
    assert found["exact"]["same"] == 1.0
    assert "near" in cascade.shown({"shops": found})


def test_items_are_chosen_by_length(rows: Path) -> None:
    """Only texts with long sources tell anything."""
    assert len(cascade.chosen(cascade.parse([str(rows)]))["shops"]) == 2
    short = cascade.parse([str(rows), "--least-words", "1000"])
    assert cascade.chosen(short) == {}
