"""Plots of a bench run as SVG, drawn here from the figures: no library, no script, nothing loaded.

A plot looks the same inside the page and as a file of its own.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from verifiers.bench.metrics import reliability, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.bench.metrics import Bools, Floats

_SIDE = 260
_LEFT, _TOP, _BOTTOM, _RIGHT = 46, 34, 40, 14
_LINE = 16
_COLOURS = ("#0b6e99", "#c4541a", "#4f7a28", "#7a3e9d", "#8a6d00", "#444444")
# Told apart without colour, too.
_DASHES = ("", "6 3", "2 2", "8 3 2 3", "1 3", "12 4")
# With more curves than this their intervals would cover each other.
_BARRED = 2


class Curve(NamedTuple):
    """A line of a plot, in the unit square.

    Attributes:
        name: In the legend.
        points: Of the line.
        dots: Points to mark, each with the share of items it stands for (its area).
        bars: Vertical intervals: place, low, high.
    """

    name: str
    points: list[tuple[float, float]]
    dots: list[tuple[float, float, float]]
    bars: list[tuple[float, float, float]]


class Plot(NamedTuple):
    """One plot: what it shows and its SVG."""

    title: str
    svg: str

    @property
    def file(self) -> str:
        """The plot as the content of an ``.svg`` file."""
        return self.svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def reliability_curve(name: str, scores: Floats, labels: Bools) -> Curve:
    """Predicted against observed share of supported items, in equally filled bins."""
    rows = reliability(scores, labels)
    total = max(len(scores), 1)
    return Curve(
        name,
        [(row.predicted, row.observed) for row in rows],
        [(row.predicted, row.observed, row.size / total) for row in rows],
        [(row.predicted, *wilson(row.observed, row.size)) for row in rows],
    )


def trade_off_curve(name: str, scores: Floats, labels: Bools, threshold: float) -> Curve:
    """Supported items wrongly flagged against unsupported items caught, over all thresholds.

    The dot is where the threshold stands that was fixed beforehand.
    """
    positives, negatives = max(int(labels.sum()), 1), max(int((~labels).sum()), 1)

    def at(cut: float) -> tuple[float, float]:
        flagged = scores < cut
        return (
            int((flagged & labels).sum()) / positives,
            int((flagged & ~labels).sum()) / negatives,
        )

    cuts = np.unique(np.quantile(scores, np.linspace(0, 1, 101))) if len(scores) else scores
    points = [(0.0, 0.0), *(at(float(cut)) for cut in cuts), (1.0, 1.0)]
    return Curve(name, points, [(*at(threshold), 0.0)], [])


def draw(title: str, curves: Sequence[Curve], *, x: str, y: str) -> Plot:
    """A square plot with both axes from 0 to 1, the diagonal for comparison, and a legend."""
    width = _LEFT + _SIDE + _RIGHT
    height = _TOP + _SIDE + _BOTTOM + _LINE * len(curves)

    def across(value: float) -> float:
        return _LEFT + value * _SIDE

    def down(value: float) -> float:
        return _TOP + (1 - value) * _SIDE

    middle = _TOP + _SIDE / 2
    parts = [
        (
            f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
            f' aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="11">'
        ),
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        (
            f'<text x="{_LEFT}" y="20" font-size="13" font-weight="600" fill="#1a1a1a">'
            f"{escape(title)}</text>"
        ),
        (
            f'<text x="{across(0.5):.1f}" y="{_TOP + _SIDE + 32}" text-anchor="middle"'
            f' fill="#1a1a1a">{escape(x)}</text>'
        ),
        (
            f'<text x="12" y="{middle}" text-anchor="middle" fill="#1a1a1a"'
            f' transform="rotate(-90 12 {middle})">{escape(y)}</text>'
        ),
    ]
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts += [
            (
                f'<path d="M{across(value):.1f} {_TOP}V{_TOP + _SIDE}M{_LEFT} {down(value):.1f}'
                f'H{_LEFT + _SIDE}" stroke="#e3e3e3" fill="none"/>'
            ),
            (
                f'<text x="{across(value):.1f}" y="{_TOP + _SIDE + 15}" text-anchor="middle"'
                f' fill="#555555">{value:g}</text>'
            ),
            (
                f'<text x="{_LEFT - 5}" y="{down(value) + 4:.1f}" text-anchor="end"'
                f' fill="#555555">{value:g}</text>'
            ),
        ]
    parts.append(
        f'<path d="M{_LEFT} {_TOP + _SIDE}L{_LEFT + _SIDE} {_TOP}" stroke="#9a9a9a"'
        ' stroke-dasharray="4 4" fill="none"/>'
    )
    for index, curve in enumerate(curves):
        colour, dash = _COLOURS[index % len(_COLOURS)], _DASHES[index % len(_DASHES)]
        for place, low, high in curve.bars if len(curves) <= _BARRED else ():
            parts.append(
                f'<path d="M{across(place):.1f} {down(low):.1f}V{down(high):.1f}"'
                f' stroke="{colour}" stroke-opacity="0.4" stroke-width="2" fill="none"/>'
            )
        joined = " ".join(f"{across(a):.1f},{down(b):.1f}" for a, b in curve.points)
        parts.append(
            f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="1.6"'
            f' stroke-dasharray="{dash}"/>'
        )
        parts += [
            f'<circle cx="{across(a):.1f}" cy="{down(b):.1f}" r="{2.6 + 8 * share**0.5 / 2:.1f}"'
            f' fill="{colour}"/>'
            for a, b, share in curve.dots
        ]
        row = _TOP + _SIDE + _BOTTOM + _LINE * index + 6
        parts.append(
            f'<path d="M{_LEFT} {row}h26" stroke="{colour}" stroke-width="2"'
            f' stroke-dasharray="{dash}"/>'
            f'<text x="{_LEFT + 34}" y="{row + 4}" fill="#1a1a1a">{escape(curve.name)}</text>'
        )
    parts.append("</svg>")
    return Plot(title, "\n".join(parts))
