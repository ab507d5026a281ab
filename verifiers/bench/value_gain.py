"""What the value layer adds to a model on the minimal pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from verifiers.bench.items import Item
from verifiers.bench.metrics import share_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from verifiers.bench.minimal_pairs import MinimalPair
    from verifiers.bench.systems import Result

    Bools = NDArray[np.bool_]

_NUMBERS = frozenset({"number", "percent", "points", "money", "measure", "duration", "ordinal"})
GROUPS: dict[str, frozenset[str]] = {
    "numbers": _NUMBERS | {"range"},
    "dates": frozenset({"date", "time"}),
    "names": frozenset({"name"}),
    "numbers, dates and names": _NUMBERS | {"range", "date", "time", "name"},
    "the other kinds": frozenset(
        {"role", "comparison", "negation", "hedging", "quotation", "direction", "identifier"}
    ),
}
_COLUMNS = (
    *("group", "contradicted", "recall alone", "with values", "gain, points"),
    *("consistent", "false alarms alone", "with values", "added, points"),
)
_RESAMPLES = 2000
_ENDS = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Gain:
    """One group of pairs, read by the model alone and with the value layer.

    Recall is the share of contradicted claims below the threshold, a false alarm a consistent
    claim below it. Each system has its own threshold.

    Attributes:
        group: Which pairs.
        contradicted: How many of them are.
        recall: By the model alone, and with values.
        gain: Difference of the two recalls, with a 95 % interval over resampled passages.
        consistent: How many pairs are.
        alarms: By the model alone, and with values: shares of the consistent.
        added: Difference of the two, with its interval.
    """

    group: str
    contradicted: int
    recall: tuple[float, float]
    gain: tuple[float, float, float]
    consistent: int
    alarms: tuple[float, float]
    added: tuple[float, float, float]


def items_of(pairs: Sequence[MinimalPair]) -> list[Item]:
    """The pairs as items of the bench."""
    return [
        Item(
            id=f"{number}:{pair.id}",
            dataset="minimal pairs",
            sources=(pair.passage,),
            text=pair.claim,
            question=None,
            granularity="claim",
            supported=pair.consistent,
            spans=None,
        )
        for number, pair in enumerate(pairs)
    ]


def gains(
    pairs: Sequence[MinimalPair],
    alone: tuple[Sequence[Result], float],
    together: tuple[Sequence[Result], float],
    *,
    seed: int = 0,
) -> list[Gain]:
    """What the layer adds, by group, and on all passages held out.

    Args:
        pairs: The minimal pairs.
        alone: Results of the model alone, one a pair, and its threshold.
        together: Those with the value layer, and theirs.
        seed: Of the resampling.
    """
    flagged = [_flagged(*system) for system in (alone, together)]
    passages = np.unique([pair.passage for pair in pairs], return_inverse=True)[1]
    told = GROUPS["numbers, dates and names"]
    wanted: list[tuple[str, list[bool]]] = [
        (name, [pair.kind in kinds for pair in pairs]) for name, kinds in GROUPS.items()
    ]
    held = [pair.held_out and pair.kind in told for pair in pairs]
    wanted.append(("numbers, dates and names, held out", held))
    wanted.append(("all", [True] * len(pairs)))
    wrong = np.array([not pair.consistent for pair in pairs])
    found = []
    for name, inside in wanted:
        own = np.array(inside)
        lost, kept = own & wrong, own & ~wrong
        found.append(
            Gain(
                name,
                int(lost.sum()),
                (_share(flagged[0], lost), _share(flagged[1], lost)),
                _difference(flagged[0], flagged[1], lost, passages, seed),
                int(kept.sum()),
                (_share(flagged[0], kept), _share(flagged[1], kept)),
                _difference(flagged[0], flagged[1], kept, passages, seed),
            )
        )
    return found


def _flagged(results: Sequence[Result], threshold: float) -> Bools:
    return np.array([r.score is None or r.score < threshold for r in results], dtype=np.bool_)


def _share(flagged: Bools, inside: Bools) -> float:
    return float(flagged[inside].mean()) if inside.any() else float("nan")


def _difference(
    alone: Bools, together: Bools, inside: Bools, passages: NDArray[np.intp], seed: int
) -> tuple[float, float, float]:
    """Second share less the first; claims of one passage are drawn together."""
    if not inside.any():
        return (float("nan"),) * 3
    delta = together[inside].astype(float) - alone[inside].astype(float)
    size = int(passages.max()) + 1
    sums = np.bincount(passages[inside], weights=delta, minlength=size)
    counts = np.bincount(passages[inside], minlength=size)
    own = np.flatnonzero(counts)
    drawn = np.random.default_rng(seed).choice(own, (_RESAMPLES, len(own)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, _ENDS)
    return float(delta.mean()), float(low), float(high)


def table(rows: Sequence[Gain]) -> str:
    """As Markdown; shares with Wilson intervals, differences in points."""
    lines = [
        f"| {' | '.join(_COLUMNS)} |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            row.group,
            str(row.contradicted),
            *(share_text(share, row.contradicted) for share in row.recall),
            _points(row.gain),
            str(row.consistent),
            *(share_text(share, row.consistent) for share in row.alarms),
            _points(row.added),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _points(difference: tuple[float, float, float]) -> str:
    value, low, high = (100 * part for part in difference)
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
