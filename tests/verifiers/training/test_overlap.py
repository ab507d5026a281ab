"""What labelled sets and training pairs share."""

from __future__ import annotations

import json

import pytest

from verifiers.training.__main__ import main
from verifiers.training.overlap import overlap, runs

SHARED = "the old ferry sails at nine from the northern pier"


@pytest.fixture
def files(tmp_path):
    """Writes training pairs and a labelled set; gives both paths."""

    def make(pairs, rows):
        data, labelled = tmp_path / "data.jsonl", tmp_path / "boats.jsonl"
        lines = [
            {"dataset": "d", "premise": p, "hypothesis": h, "label": "neutral"} for p, h in pairs
        ]
        data.write_text("".join(json.dumps(line) + "\n" for line in lines))
        lines = [{"source": s, "claim": c, "label": "supported"} for s, c in rows]
        labelled.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return data, labelled

    return make


def test_runs_of_words():
    """Lower case, without punctuation; a short text is one run."""
    assert list(runs("One, two: THREE!", size=2)) == ["one two", "two three"]
    assert list(runs("One.", size=2)) == ["one"]
    assert list(runs("...", size=2)) == []


def test_claims_and_sources_are_counted_by_row(files):
    """Wherever the run stands, whatever its case; once a row; and less than a run is none."""
    data, labelled = files(
        [("It rained. " + SHARED.upper() + ".", "Yes."), ("Nothing.", "So " + SHARED)],
        [(SHARED, "Yes!"), ("Else.", f"{SHARED}, {SHARED}"), (SHARED[:20], "No."), ("", "Yes.")],
    )
    (row,) = overlap([data], [labelled])
    assert row == {"set": "boats", "rows": 3, "claims": 2, "sources": 1}


def test_the_command_prints_a_line_a_set(files, capsys):
    """For people."""
    data, labelled = files([("A b c.", "D.")], [("x a b c y", "q r s")])
    command = ["overlap", "--data", str(data), "--grounding", str(labelled), "--words", "3"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "3 words in a row:"
    assert out.splitlines()[-1].split() == ["boats", "1", "0", "1"]


def test_no_run_without_words(files, capsys):
    """Which would be in every text."""
    data, labelled = files([("A.", "B.")], [("x", "y")])
    command = ["overlap", "--data", str(data), "--grounding", str(labelled), "--words", "0"]
    assert main(command) == 2
    assert "one word at least" in capsys.readouterr().err
