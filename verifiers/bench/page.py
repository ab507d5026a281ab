"""A self-contained HTML page of a bench run: tables, reliability and trade-off plots.

The page loads nothing and runs no script.
"""

from __future__ import annotations

import math
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifiers.bench.report import Report
    from verifiers.bench.resample import Interval


def render(report: Report) -> str:
    """The page."""
    from jinja2 import Environment

    source = resources.files("verifiers.bench").joinpath("page.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": figure, "telling": telling}
    return environment.from_string(source).render(report=report, anchor=_anchors(report))


def figure(value: float | None, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"  # noqa: RUF001 - a dash
    return f"{value:.{digits}f}"


def telling(found: Interval) -> str:
    """``better`` or ``worse`` where an interval of a difference leaves zero out, else nothing."""
    if found.low > 0:
        return "better"
    return "worse" if found.high < 0 else ""


def _anchors(report: Report) -> dict[str, str]:
    names = dict.fromkeys([*report.plots, *(row.dataset for row in report.rows)])
    return {name: f"set-{place}" for place, name in enumerate(names)}
