"""The figure of :mod:`verifiers.bench.length` as SVG, in plain Python.

It brings its own background and changes with the reader's colour scheme, so that it can be read on
light and dark pages alike.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH: Final = 760
HEIGHT: Final = 470
_LEFT, _RIGHT = 64, 150
# Of the two panels: accuracy above, coverage below.
_PANELS: Final = ((46, 300), (336, 420))
_STYLE: Final = """
.ground { fill: #ffffff } .text { fill: #1b1f24 } .grid { stroke: #d4d8de } .line { fill: none }
.start { stroke: #0b62b8; fill: #0b62b8 } .middle { stroke: #b04a00; fill: #b04a00 }
.end { stroke: #6b3fa0; fill: #6b3fa0 } .alone { stroke: #4a5058; fill: #4a5058 }
@media (prefers-color-scheme: dark) {
.ground { fill: #14181d } .text { fill: #e6e9ed } .grid { stroke: #3a424c }
.start { stroke: #6db3f5; fill: #6db3f5 } .middle { stroke: #f5a262; fill: #f5a262 }
.end { stroke: #c4a3ef; fill: #c4a3ef } .alone { stroke: #b4bbc4; fill: #b4bbc4 }
}
.line, .bar { fill: none } text { font: 13px system-ui, sans-serif; stroke: none }
"""
_TITLE: Final = (
    "Balanced accuracy and coverage by the words of the source and by where in it the supporting"
    " text stands"
)
_NAMES: Final = {"start": "at the start", "middle": "in the middle", "end": "at the end"}
# Told apart by more than colour.
_DASHES: Final = {"start": "", "middle": "7 4", "end": "2 3", "alone": ""}


def figure(points: Mapping[tuple[int, str], tuple[tuple[float, float, float], float]]) -> str:
    """The figure.

    Args:
        points: By words (0 for the planted text alone) and position: balanced accuracy with the
            ends of its interval, and the share of items whose planted text was found.

    Raises:
        ValueError: If there is no length to draw.
    """
    lengths = sorted({words for words, _ in points if words})
    if not lengths:
        raise ValueError("there is no length to draw")
    positions = [p for p in ("start", "middle", "end") if any((w, p) in points for w in lengths)]
    ends = [end for (estimate, _) in points.values() for end in estimate if not math.isnan(end)]
    accuracy = _Panel(*_PANELS[0], *_scale(min(ends), max(ends)))
    found = [share for _, share in points.values()]
    coverage = _Panel(*_PANELS[1], *_scale(min(*found, 0.95), 1.0))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{_TITLE}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
        _text(_LEFT, 26, "Balanced accuracy, with 95 % intervals"),
        _text(_LEFT, _PANELS[1][0] - 12, "Share of claims whose planted text was read"),
        *accuracy.grid(),
        *coverage.grid(),
    ]
    across = [_x(place, len(lengths)) for place in range(len(lengths) + 1)]
    for place, x in enumerate(across):
        label = f"{lengths[place - 1]:,}" if place else "alone"
        parts.append(_text(x, _PANELS[1][1] + 20, label, anchor="middle"))
    parts.append(_text(across[-1] / 2 + _LEFT / 2, HEIGHT - 10, "words of the source", "middle"))
    if (0, "alone") in points:
        estimate, share = points[0, "alone"]
        parts += accuracy.mark("alone", across[0], estimate)
        parts += coverage.mark("alone", across[0], [share])
    for place, position in enumerate(positions):
        shift = (place - (len(positions) - 1) / 2) * 7
        own = [
            (across[at] + shift, points[words, position])
            for at, words in enumerate(lengths, start=1)
            if (words, position) in points
        ]
        parts.append(accuracy.line(position, [(x, told[0][0]) for x, told in own]))
        parts.append(coverage.line(position, [(x, told[1]) for x, told in own]))
        for x, (estimate, share) in own:
            parts += accuracy.mark(position, x, estimate)
            parts += coverage.mark(position, x, [share])
        y = _PANELS[0][0] + 14 + 22 * place
        parts.append(_path(position, [(WIDTH - _RIGHT + 14, y), (WIDTH - _RIGHT + 44, y)]))
        parts.append(_text(WIDTH - _RIGHT + 52, y + 4, _NAMES[position]))
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Panel:
    """One pair of axes: from pixels ``top`` to ``bottom``, from value ``low`` to ``high``."""

    def __init__(self, top: float, bottom: float, low: float, high: float) -> None:
        self._top, self._bottom, self._low, self._high = top, bottom, low, high

    def grid(self) -> list[str]:
        """Lines across, with their values."""
        step = 0.05 if self._high - self._low <= _MANY else 0.1
        out = []
        for number in range(round(self._low / step), round(self._high / step) + 1):
            y = self._y(number * step)
            out.append(
                f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            out.append(_text(_LEFT - 8, y + 4, f"{number * step:.2f}", "end"))
        return out

    def line(self, name: str, points: Sequence[tuple[float, float]]) -> str:
        """A line through values."""
        return _path(name, [(x, self._y(value)) for x, value in points])

    def mark(self, name: str, x: float, estimate: Sequence[float]) -> list[str]:
        """A dot, and a bar where there is an interval."""
        value, *ends = estimate
        out = [f'<circle class="{name}" cx="{x:.1f}" cy="{self._y(value):.1f}" r="3.5"/>']
        if ends:
            low, high = (self._y(end) for end in ends)
            out.append(_path(name, [(x, low), (x, high)], solid=True))
        return out

    def _y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return self._bottom - share * (self._bottom - self._top)


_MANY: Final = 0.3


def _scale(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis around values, on full steps, never empty."""
    bottom = math.floor(low * 20 + 1e-9) / 20
    top = math.ceil(high * 20 - 1e-9) / 20
    return bottom, max(top, bottom + 0.05)


def _x(place: int, lengths: int) -> float:
    width = WIDTH - _LEFT - _RIGHT
    return _LEFT + width * (place + 0.5) / (lengths + 1)


def _path(name: str, points: Sequence[tuple[float, float]], *, solid: bool = False) -> str:
    dashes = "" if solid else _DASHES[name]
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    width = 1 if solid else 2
    return f'<polyline class="{name} line" stroke-width="{width}"{dash} points="{way}"/>'


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text class="text" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'
