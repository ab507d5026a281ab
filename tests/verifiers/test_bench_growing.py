"""The benchmark of growing answers runs, and what it reads is what it says."""

from __future__ import annotations

import json

import pytest

from verifiers.bench.growing import SHAPES, boundaries_of, main
from verifiers.claims import make_extractor


def test_a_row_for_each_shape_and_length(capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure is there, and there are as many calls as boundaries."""
    assert main(["--sentences", "4", "9", "--language", "xx"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(r["shape"], r["sentences"]) for r in rows] == [(s, n) for s in SHAPES for n in (4, 9)]
    for row in rows:
        assert row["calls"] == len(boundaries_of(SHAPES[row["shape"]](row["sentences"]), ()))
        assert row["check_growing_cpu"] > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_texts_have_about_the_sentences_asked_for(shape: str) -> None:
    """Twice the sentences are twice the claims."""
    extractor = make_extractor("xx")
    short, long = (len(extractor.extract(SHAPES[shape](n))) for n in (45, 90))
    assert long == 2 * short
