"""From samples to figures: medians, percentiles, ratios within a round, and a table. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Cell:
    """What one target did in one round.

    Attributes:
        scenario: What was asked for.
        target: Who was asked.
        clients: How many at once.
        stream: Whether streamed.
        round: Which repetition, from 0.
        first: Seconds to the first character, one a request.
        last: Seconds to the end.
        sentence: Seconds from the last character of the first sentence at the provider to its
            arrival, where that was measured.
        rate: Answers a second.
        errors: How many requests failed.
    """

    scenario: str
    target: str
    clients: int
    stream: bool
    round: int
    first: tuple[float, ...]
    last: tuple[float, ...]
    sentence: tuple[float, ...] = ()
    rate: float = 0.0
    errors: int = 0


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of all lies, between neighbours in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def summarised(cells: Sequence[Cell], *, base: str = "straight") -> list[dict[str, Any]]:
    """A row for each scenario, number of clients, kind and target, against ``base``.

    Differences and ratios are taken within a round and then their median over rounds, so that
    what a whole round had to bear does not count.
    """
    rows: list[dict[str, Any]] = []
    names = list(dict.fromkeys(cell.target for cell in cells))
    order = {name: place for place, name in enumerate(sorted(names, key=lambda n: n != base))}
    keys = dict.fromkeys((c.scenario, c.clients, c.stream, c.target) for c in cells)
    for key in sorted(keys, key=lambda k: (*k[:3], order[k[3]])):
        scenario, clients, stream, target = key
        own = _of(cells, *key)
        them = {cell.round: cell for cell in _of(cells, scenario, clients, stream, base)}
        row: dict[str, Any] = {
            "scenario": scenario,
            "clients": clients,
            "stream": stream,
            "target": target,
            "requests": sum(len(cell.last) for cell in own),
            "errors": sum(cell.errors for cell in own),
            "per_second": _median(cell.rate for cell in own),
        }
        for name in ("first", "last"):
            row[f"{name}_ms"] = _pooled(own, name)
            if them and target != base:
                row[f"added_{name}_ms"] = {
                    "median": _added(own, them, name, 0.5),
                    "p95": _added(own, them, name, 0.95),
                }
        if any(cell.sentence for cell in own):
            row["sentence_ms"] = _pooled(own, "sentence")
        rows.append(row)
    return rows


def compared(rows: Sequence[Mapping[str, Any]], one: str, other: str) -> list[dict[str, Any]]:
    """How much more of everything ``one`` does than ``other``, where both were measured."""
    found = []
    by_key = {(r["scenario"], r["clients"], r["stream"], r["target"]): r for r in rows}
    for (scenario, clients, stream, target), row in by_key.items():
        theirs = by_key.get((scenario, clients, stream, other))
        if target != one or theirs is None:
            continue
        ratio = row["per_second"] / theirs["per_second"] if theirs["per_second"] else None
        found.append(
            {
                "scenario": scenario,
                "clients": clients,
                "stream": stream,
                "requests_a_second_ratio": ratio,
                "added_last_ms": {
                    one: row["added_last_ms"]["median"],
                    other: theirs["added_last_ms"]["median"],
                },
            }
        )
    return found


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows for people, as Markdown."""
    names = (
        "scenario",
        "clients",
        "stream",
        "target",
        "requests",
        "errors",
        "a second",
        *(
            f"{what} ms (p95)"
            for what in ("first", "last", "added first", "added last", "first sentence")
        ),
    )
    lines = [f"| {' | '.join(names)} |", "| --- | ---: | --- | --- |" + " ---: |" * 8]
    for row in rows:
        cells = [
            row["scenario"],
            str(row["clients"]),
            "yes" if row["stream"] else "no",
            row["target"],
            str(row["requests"]),
            str(row["errors"]),
            f"{row['per_second']:.1f}",
            *(
                _shown(row.get(name))
                for name in (
                    "first_ms",
                    "last_ms",
                    "added_first_ms",
                    "added_last_ms",
                    "sentence_ms",
                )
            ),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shown(pair: Mapping[str, float] | None) -> str:
    return "" if pair is None else f"{pair['median']:.1f} ({pair['p95']:.1f})"


def _of(
    cells: Sequence[Cell], scenario: str, clients: int, stream: object, target: str
) -> list[Cell]:
    wanted = (scenario, clients, stream, target)
    return [c for c in cells if (c.scenario, c.clients, c.stream, c.target) == wanted]


def _pooled(cells: Sequence[Cell], name: str) -> dict[str, float] | None:
    values = [1000 * value for cell in cells for value in getattr(cell, name)]
    if not values:
        return None
    return {"median": percentile(values, 0.5), "p95": percentile(values, 0.95)}


def _added(cells: Sequence[Cell], base: Mapping[int, Cell], name: str, share: float) -> float:
    return _median(
        1000
        * (
            percentile(getattr(cell, name), share)
            - percentile(getattr(base[cell.round], name), share)
        )
        for cell in cells
        if cell.round in base and cell.last and base[cell.round].last
    )


def _median(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.median(found) if found else 0.0
