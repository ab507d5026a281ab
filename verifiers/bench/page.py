"""A self-contained HTML page of a bench run: tables, reliability and trade-off plots.

Plots are inline SVG drawn here from the figures; the page loads nothing and runs no script.
"""

from __future__ import annotations

from html import escape
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from verifiers.bench.metrics import reliability

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.bench.metrics import Bools, Floats
    from verifiers.bench.suite import Difference, Figures

_SIZE = 220
_COLOURS = ("#0b6e99", "#c4541a", "#4f7a28", "#7a3e9d", "#8a6d00", "#444444")


class Curve(NamedTuple):
    """A line or the points of a plot, in the unit square."""

    name: str
    points: list[tuple[float, float]]


class Plot(NamedTuple):
    """One plot: what it shows and its SVG."""

    title: str
    svg: str


def reliability_curve(name: str, scores: Floats, labels: Bools) -> Curve:
    """Predicted against observed share of supported items."""
    return Curve(name, [(row.predicted, row.observed) for row in reliability(scores, labels)])


def trade_off_curve(name: str, scores: Floats, labels: Bools) -> Curve:
    """Supported items wrongly flagged against unsupported items caught, over all thresholds."""
    positives, negatives = max(int(labels.sum()), 1), max(int((~labels).sum()), 1)
    cuts = np.unique(np.quantile(scores, np.linspace(0, 1, 101))) if len(scores) else scores
    points = [(0.0, 0.0)]
    for cut in cuts:
        flagged = scores < cut
        wrongly, rightly = int((flagged & labels).sum()), int((flagged & ~labels).sum())
        points.append((wrongly / positives, rightly / negatives))
    return Curve(name, [*points, (1.0, 1.0)])


def draw(title: str, curves: Sequence[Curve], *, x: str, y: str) -> Plot:
    """A square plot with both axes from 0 to 1 and the diagonal for comparison."""
    margin = 34
    full = _SIZE + 2 * margin

    def at(point: tuple[float, float]) -> str:
        return f"{margin + point[0] * _SIZE:.1f},{margin + (1 - point[1]) * _SIZE:.1f}"

    parts = [
        f'<svg viewBox="0 0 {full} {full}" role="img" aria-label="{escape(title)}">',
        f'<rect x="{margin}" y="{margin}" width="{_SIZE}" height="{_SIZE}" class="frame"/>',
        f'<polyline points="{at((0, 0))} {at((1, 1))}" class="diagonal"/>',
        f'<text x="{full / 2}" y="{full - 8}" text-anchor="middle">{x}</text>',
        (
            f'<text x="12" y="{full / 2}" text-anchor="middle" '
            f'transform="rotate(-90 12 {full / 2})">{y}</text>'
        ),
    ]
    for value in (0.0, 0.5, 1.0):
        parts.append(
            f'<text x="{margin + value * _SIZE}" y="{margin + _SIZE + 12}" '
            f'text-anchor="middle">{value:g}</text>'
        )
        parts.append(
            f'<text x="{margin - 4}" y="{margin + (1 - value) * _SIZE + 3}" '
            f'text-anchor="end">{value:g}</text>'
        )
    for index, curve in enumerate(curves):
        colour = _COLOURS[index % len(_COLOURS)]
        joined = " ".join(at(point) for point in curve.points)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}"/>')
        parts.append(
            f'<text x="{margin + 6}" y="{margin + 12 + 12 * index}" fill="{colour}">'
            f"{escape(curve.name)}</text>"
        )
    parts.append("</svg>")
    return Plot(title, "\n".join(parts))


def render(
    *,
    command: str,
    facts: Mapping[str, str],
    rows: Sequence[Figures],
    means: Mapping[str, tuple[float, float]],
    differences: Sequence[Difference],
    plots: Mapping[str, Sequence[Plot]],
) -> str:
    """The page.

    Args:
        command: What was typed.
        facts: Model, digests, versions and whatever else a reader needs to trust the figures.
        rows: One a system and set.
        means: As of :func:`verifiers.bench.suite.means`.
        differences: Paired, each system against the first.
        plots: Set -> its plots.
    """
    from jinja2 import Environment

    source = resources.files("verifiers.bench").joinpath("page.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True)
    return environment.from_string(source).render(
        command=command,
        facts=facts,
        rows=rows,
        means=means,
        differences=differences,
        plots=plots,
    )
