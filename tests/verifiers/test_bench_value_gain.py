"""What the value layer adds to a model, counted on made-up results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from verifiers.bench import running, values
from verifiers.bench.minimal_pairs import MinimalPair, minimal_pairs
from verifiers.bench.systems import Result
from verifiers.bench.value_gain import GROUPS, gains, items_of, table

if TYPE_CHECKING:
    from pathlib import Path

    from verifiers.bench.items import Item


def pair(number: int, kind: str, *, consistent: bool) -> MinimalPair:
    return MinimalPair(
        f"p{number}", kind, f"Passage {number}.", f"Claim {number}.", consistent, False, "made"
    )


def results(scores: list[float | None]) -> list[Result]:
    return [
        Result(
            item=str(i), score=s, error=None, flagged=(), claims=1, pairs=1, tokens=9, seconds=None
        )
        for i, s in enumerate(scores)
    ]


PAIRS = [
    pair(0, "number", consistent=False),
    pair(1, "number", consistent=False),
    pair(2, "name", consistent=False),
    pair(3, "number", consistent=True),
    pair(4, "date", consistent=True),
]


def test_recall_and_alarms_are_counted_at_each_systems_own_threshold() -> None:
    """A claim below the threshold is flagged; one that could not be looked at is, too."""
    found = gains(
        PAIRS,
        (results([0.9, 0.2, 0.9, 0.9, 0.4]), 0.5),
        (results([0.1, 0.2, None, 0.9, 0.4]), 0.3),
    )
    rows = {row.group: row for row in found}
    assert rows["numbers"].recall == (0.5, 1.0)
    assert rows["numbers"].gain[0] == 0.5
    assert rows["names"].recall == (0.0, 1.0)
    assert rows["dates"].alarms == (1.0, 0.0)
    together = rows["numbers, dates and names"]
    assert (together.contradicted, together.consistent) == (3, 2)
    assert together.recall == (pytest.approx(1 / 3), 1.0)
    assert together.added[0] == -0.5


def test_intervals_hold_the_gain_and_come_out_the_same() -> None:
    """The interval is around the difference, wider where passages disagree, and seeded."""
    alone, together = results([0.9, 0.2, 0.9, 0.9, 0.9]), results([0.1, 0.2, 0.1, 0.9, 0.9])
    first = gains(PAIRS, (alone, 0.5), (together, 0.5))
    # Groups without pairs have no figure, and no figure equals none: their text is compared.
    assert table(first) == table(gains(PAIRS, (alone, 0.5), (together, 0.5)))
    row = next(r for r in first if r.group == "numbers, dates and names")
    value, low, high = row.gain
    assert low <= value <= high
    assert low < high
    assert "+66.7 (" in table(first)


def test_every_kind_of_minimal_pair_is_in_a_group() -> None:
    """No pair is left out of the figures, and every group has pairs of both labels."""
    pairs = minimal_pairs()
    assert {p.kind for p in pairs} == frozenset().union(*GROUPS.values())
    for kinds in GROUPS.values():
        assert {p.consistent for p in pairs if p.kind in kinds} == {True, False}


def test_pairs_become_items() -> None:
    """The passage is the one source, and the label stays."""
    items = items_of(PAIRS)
    assert [item.supported for item in items] == [p.consistent for p in PAIRS]
    assert items[0].sources == ("Passage 0.",)
    assert len({item.id for item in items}) == len(PAIRS)


def test_the_command_measures_a_model_with_and_without_values(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the bundled model: the layer only adds flags, at thresholds chosen in either way."""
    some = [p for p in minimal_pairs() if p.id.startswith(("p0.", "p1.3", "p66.0"))]
    monkeypatch.setattr(values, "minimal_pairs", lambda: some)
    held_out = tmp_path / "held_out.jsonl"
    held_out.write_text(
        "".join(
            json.dumps(
                {
                    "dataset": "made",
                    "source": p.passage,
                    "claim": p.claim,
                    "label": "supported" if p.consistent else "unsupported",
                }
            )
            + "\n"
            for p in some
        ),
        "utf-8",
    )
    for more in ([], ["--alarms", "0.5"]):
        values.main(
            ["--json", "--threshold-from", str(held_out), "--cache", str(tmp_path / "c"), *more]
        )
        rows = {row["group"]: row for row in json.loads(capsys.readouterr().out)}
        every = rows["all"]
        assert every["contradicted"] == every["consistent"] == len(some) / 2
        assert every["recall"][1] >= 0.5
    # Half of the supported were to be flagged, by each system's own scores.
    assert every["alarms"] == [0.5, 0.5]


def test_a_model_that_could_look_at_nothing_has_no_figures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a server that went down reads as a model that calls everything unsupported."""

    def down(_system: object, items: list[Item], **_: object) -> list[Result]:
        return [Result(item.digest, None, "it went away", (), 0, 0, 0, None) for item in items]

    some = [p for p in minimal_pairs() if p.id.startswith("p0.")]
    monkeypatch.setattr(values, "minimal_pairs", lambda: some)
    monkeypatch.setattr(running, "run", down)
    with pytest.raises(SystemExit, match="none of the minimal pairs could be scored: it went away"):
        values.main(["--threshold", "0.5", "--cache", str(tmp_path / "c")])
    assert not capsys.readouterr().out
