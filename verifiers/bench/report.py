"""All that a run of the bench found, for whoever shows it: a terminal, JSON, a page, Markdown."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from verifiers.bench.resample import RESAMPLES, draw_counts
from verifiers.bench.suite import (
    Difference,
    Figures,
    Mean,
    Measured,
    difference,
    groups,
    mean,
    measure,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.bench.items import Item
    from verifiers.bench.plots import Plot
    from verifiers.bench.systems import Result

    # Name of a set, or of the file thresholds come from -> its items.
    Sets = Mapping[str, Sequence[Item]]


@dataclass(frozen=True, slots=True)
class Report:
    """What came out.

    Attributes:
        command: What was typed.
        facts: Models, digests, versions and whatever else a reader needs to trust the figures.
        systems: Names, in order; the first that is measured against is ``baseline``.
        baseline: What the others are compared with.
        thresholds: By system.
        held_out: Figures on the items the thresholds were chosen on, if they were: an optimist's,
            but for the calibration error.
        rows: One a set and system, sets in order.
        means: One a group of sets and system.
        differences: Of every two systems, on every set and group; the later against the earlier,
            and all against the baseline.
        plots: Set -> its plots.
    """

    command: str
    facts: Mapping[str, str]
    systems: tuple[str, ...]
    baseline: str
    thresholds: Mapping[str, float]
    held_out: tuple[Figures, ...]
    rows: tuple[Figures, ...]
    means: tuple[Mean, ...]
    differences: tuple[Difference, ...]
    plots: Mapping[str, Sequence[Plot]] = field(default_factory=dict)

    def against_baseline(self) -> tuple[Difference, ...]:
        """The differences from the baseline alone."""
        return tuple(one for one in self.differences if one.baseline == self.baseline)

    def to_json(self) -> dict[str, Any]:
        """Plain objects; what is not defined is None."""
        found: dict[str, Any] = _plain(
            {
                "command": self.command,
                "facts": dict(self.facts),
                "systems": self.systems,
                "baseline": self.baseline,
                "thresholds": dict(self.thresholds),
                "held_out": [asdict(row) for row in self.held_out],
                "figures": [asdict(row) for row in self.rows],
                "means": [asdict(row) for row in self.means],
                "differences": [asdict(row) for row in self.differences],
            }
        )
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


@dataclass(frozen=True, slots=True)
class Found:
    """The figures of a run, before they are dressed."""

    held_out: tuple[Figures, ...]
    rows: tuple[Figures, ...]
    means: tuple[Mean, ...]
    differences: tuple[Difference, ...]


def figure(
    sets: Sets,
    results: Mapping[tuple[str, str], Sequence[Result]],
    thresholds: Mapping[str, float],
    *,
    baseline: str,
    named: Mapping[str, Sequence[str]],
    held_out: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Found:
    """All figures, means and differences.

    Args:
        sets: By name; the one called ``held_out``, if any, is reported apart.
        results: By system and set.
        thresholds: By system, in the order in which systems are shown.
        baseline: The system that others are compared with first.
        named: Groups of sets to take means over.
        held_out: Name of the set that thresholds were chosen on.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """
    systems = list(thresholds)
    measured: dict[str, list[Measured]] = {}
    for name, items in sets.items():
        counts = draw_counts(len(items), name=name, resamples=resamples, seed=seed)
        measured[name] = [
            measure(
                system,
                name,
                items,
                results[system, name],
                threshold=thresholds[system],
                counts=counts,
            )
            for system in systems
        ]
    apart = measured.pop(held_out, []) if held_out is not None else []
    rows = [one.figures for own in measured.values() for one in own]
    means: list[Mean] = []
    differences: list[Difference] = []
    for name, members in groups(rows, named).items():
        if not any(_defined(measured[one]) for one in members):
            continue
        both = [
            mean(name, [measured[one][place] for one in members]) for place in range(len(systems))
        ]
        means += [row for row, _ in both]
        differences += _differences([one for _, one in both], baseline)
    for own in measured.values():
        differences += _differences(own, baseline)
    return Found(tuple(one.figures for one in apart), tuple(rows), tuple(means), tuple(differences))


def _defined(own: Sequence[Measured]) -> bool:
    return not math.isnan(own[0].figures.balanced_accuracy.value)


def _differences(own: Sequence[Measured], baseline: str) -> list[Difference]:
    first = next(one for one in own if one.figures.system == baseline)
    others = [one for one in own if one is not first]
    ordered = [first, *others]
    return [
        difference(later, earlier)
        for i, earlier in enumerate(ordered)
        for later in ordered[i + 1 :]
    ]
