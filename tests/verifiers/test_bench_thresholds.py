"""Data sets left out in turn, and what thresholds chosen on the others reach on them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from verifiers.bench import thresholds
from verifiers.bench.items import Item
from verifiers.bench.systems import Result
from verifiers.bench.thresholds import leave_one_out

if TYPE_CHECKING:
    from pathlib import Path


def test_each_set_is_measured_at_thresholds_of_the_others() -> None:
    """The large set decides when items are pooled; a set of one class is never left out."""
    kinds = [("large", 0.1, False)] * 45 + [("large", 0.3, True)] * 45
    kinds += [("small", 0.7, False)] * 5 + [("small", 0.9, True)] * 5
    kinds += [("third", 0.6, False)] * 5 + [("third", 0.8, True)] * 5
    kinds += [("one-sided", 0.5, True)] * 3
    items = [
        Item(str(i), name, ("s",), f"t{i}", None, "claim", label, None)
        for i, (name, _, label) in enumerate(kinds)
    ]
    results = [
        Result(item.digest, score, None, (), 1, 1, 1, None)
        for item, (_, score, _) in zip(items, kinds, strict=True)
    ]
    rows = {row.dataset: row for row in leave_one_out(items, results)}
    assert set(rows) == {"large", "small", "third"}
    assert all(row.best == 1.0 for row in rows.values())
    assert rows["small"].thresholds["pooled"] == pytest.approx(0.2)
    assert rows["small"].reached["pooled"] == 0.5
    # At 0.7 the third set is right, and so is half of the large one's kind of item: none above.
    assert rows["large"].reached["equal"] == 0.5
    assert rows["large"].thresholds["equal"] > 0.6


def test_the_command_prints_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the bundled model; a file with one set only is refused."""
    monkeypatch.chdir(tmp_path)
    source = "The library opens at nine. Members may borrow four books."
    rows = [
        {"source": source, "claim": claim, "label": label, "dataset": name}
        for name in ("a", "b")
        for claim, label in (
            (f"The library opens at nine, {name}.", "supported"),
            (f"The library never opens, {name}.", "unsupported"),
        )
    ]
    both, one = tmp_path / "both.jsonl", tmp_path / "one.jsonl"
    both.write_text("\n".join(map(json.dumps, rows)))
    one.write_text("\n".join(map(json.dumps, rows[:2])))
    assert thresholds.main([str(both)]) == 0
    out = capsys.readouterr().out
    assert "| a | 2 | 1.000 |" in out
    assert "| **mean** |" in out
    assert thresholds.main([str(one)]) == 2
    assert "two data sets" in capsys.readouterr().err
