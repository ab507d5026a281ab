"""Figures of :mod:`verifiers.bench.length`: by length and position, and how they differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from verifiers.bench.metrics import auroc, balanced_accuracy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Position = Literal["alone", "start", "middle", "end"]
Cell = tuple[int, Position]
POSITIONS: Final[tuple[Position, ...]] = ("start", "middle", "end")
_COMPARED: Final[tuple[tuple[Position, Position], ...]] = (
    ("start", "middle"),
    ("end", "middle"),
    ("start", "end"),
)
LENGTHS: Final = (100, 500, 2_000, 10_000, 50_000)
_RESAMPLES: Final = 2_000


class Estimate(NamedTuple):
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of one item in one cell.

    Attributes:
        support: Of its least supported claim.
        found: Whether some planted text was read for every claim.
        whole: Whether all of it was.
        strayed: Whether other text alone supported a claim, or contradicted one.
        read: Windows read and windows there were, summed over claims.
    """

    support: float
    found: bool
    whole: bool
    strayed: bool
    read: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One length and position.

    Attributes:
        words: Of the source, about; 0 for the planted text alone.
        position: Where the planted text stands.
        items: How many were checked.
        balanced_accuracy: At the threshold.
        auroc: Of the least supported claim of each item.
        supported_right: The share of the supported items called so.
        unsupported_right: The share of the unsupported items called so.
        found: The share of items of which some of the planted text was read for each claim.
        whole: The share of which all of it was.
        strayed: The share of items of which other text alone supported or contradicted a claim.
        read: Windows read, mean over items.
        share: Windows read of all windows.
    """

    words: int
    position: Position
    items: int
    balanced_accuracy: Estimate
    auroc: float
    supported_right: float
    unsupported_right: float
    found: float
    whole: float
    strayed: float
    read: float
    share: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Balanced accuracy of one thing less that of another, on the same items."""

    what: str
    balanced_accuracy: Estimate


def row_of(cell: Cell, labels: NDArray[np.bool_], done: Sequence[Checked], threshold: float) -> Row:
    """The figures of one cell."""
    scores = np.array([checked.support for checked in done])
    right = _right(labels, done, threshold)
    read, there = (sum(checked.read[place] for checked in done) for place in (0, 1))
    return Row(
        words=cell[0],
        position=cell[1],
        items=len(done),
        balanced_accuracy=_estimate(
            labels, right, value=balanced_accuracy(scores, labels, threshold)
        ),
        auroc=auroc(scores, labels),
        supported_right=float(right[labels].mean()),
        unsupported_right=float(right[~labels].mean()),
        found=sum(checked.found for checked in done) / len(done),
        whole=sum(checked.whole for checked in done) / len(done),
        strayed=sum(checked.strayed for checked in done) / len(done),
        read=read / len(done),
        share=read / there if there else 1.0,
    )


def differences(
    labels: NDArray[np.bool_],
    cells: Mapping[Cell, Sequence[Checked]],
    threshold: float,
) -> list[Difference]:
    """How lengths and positions differ, each pair on the same items.

    A length is the mean of its positions, and a position the mean of its lengths.
    """
    right = {cell: _right(labels, done, threshold) for cell, done in cells.items()}
    lengths = sorted({words for words, position in right if position != "alone"})
    by_length = {w: np.mean([right[w, p] for p in POSITIONS], axis=0) for w in lengths}
    found = []
    if (0, "alone") in right:
        found += [
            Difference(
                f"{words:,} words less the text alone",
                _estimate(labels, own - right[0, "alone"]),
            )
            for words, own in by_length.items()
        ]
    found += [
        Difference(
            f"{longer:,} words less {shorter:,} words",
            _estimate(labels, by_length[longer] - by_length[shorter]),
        )
        for shorter, longer in pairwise(lengths)
    ]
    groups = {"all lengths": lengths} | {f"{words:,} words": [words] for words in lengths}
    found += [
        Difference(
            f"{one} less {other}, {name}",
            _estimate(labels, np.mean([right[w, one] - right[w, other] for w in own], axis=0)),
        )
        for name, own in groups.items()
        if own
        for one, other in _COMPARED
    ]
    return found


def _right(
    labels: NDArray[np.bool_], done: Sequence[Checked], threshold: float
) -> NDArray[np.float64]:
    said = np.array([checked.support >= threshold for checked in done])
    return np.asarray(said == labels, dtype=np.float64)


def _estimate(
    labels: NDArray[np.bool_], values: NDArray[np.float64], *, value: float | None = None
) -> Estimate:
    """The mean of the two labels' means, with its interval over items drawn anew by label."""
    rng = np.random.default_rng(0)
    drawn = np.zeros(_RESAMPLES)
    mean = 0.0
    for label in (True, False):
        own = values[labels == label]
        if not len(own):
            return Estimate(math.nan, math.nan, math.nan)
        mean += float(own.mean()) / 2
        drawn += own[rng.integers(0, len(own), (_RESAMPLES, len(own)))].mean(axis=1) / 2
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(mean if value is None else value, float(low), float(high))


def shown(rows: Sequence[Row], found: Sequence[Difference]) -> str:
    """Two tables for people."""
    lines = ["| words | position | balanced accuracy | AUROC | supported | unsupported | found |"]
    lines[0] += " whole | strayed | windows read | of all |"
    lines.append("| --- " * 11 + "|")
    lines += [
        f"| {row.words or 'as it is'} | {row.position} | {_told(row.balanced_accuracy)} | "
        f"{row.auroc:.3f} | {row.supported_right:.3f} | {row.unsupported_right:.3f} | "
        f"{row.found:.3f} | {row.whole:.3f} | {row.strayed:.3f} | {row.read:.1f} | "
        f"{row.share:.3f} |"
        for row in rows
    ]
    lines += ["", "| difference | balanced accuracy |", "| --- | --- |"]
    lines += [f"| {d.what} | {_told(d.balanced_accuracy, '+')} |" for d in found]
    return "\n".join(lines) + "\n"


def _told(estimate: Estimate, sign: str = "") -> str:
    value, low, high = (format(figure, f"{sign}.3f") for figure in estimate)
    return f"{value} ({low} to {high})"
