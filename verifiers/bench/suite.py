"""The figures of systems on labelled sets, their differences, and their means over sets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from verifiers.bench.metrics import (
    SpanCounts,
    auroc,
    balanced_accuracy,
    best_threshold,
    calibration_error,
    equal_say,
    f1_unsupported,
    span_counts,
    span_f1,
    steady_threshold,
)
from verifiers.bench.resample import (
    Interval,
    balanced_accuracy_drawn,
    calibration_error_drawn,
    centred_interval,
    f1_drawn,
    interval,
    ranked_drawn,
    span_f1_drawn,
)
from verifiers.types import Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.bench.items import Item
    from verifiers.bench.metrics import Bools, Floats
    from verifiers.bench.resample import Counts
    from verifiers.bench.systems import Result

ThresholdRule = Literal["equal", "pooled"]

# Below every threshold, and 0 is one: what could not be looked at is never called supported.
BELOW = -1.0


@dataclass(frozen=True, slots=True)
class Figures:
    """One system on one set.

    Attributes:
        system: Its name.
        dataset: Name of the set.
        granularity: What was labelled: ``claim``, ``answer``, or ``mixed``.
        items: How many.
        supported: How many of them are.
        errors: Items the system could not look at; they count as called unsupported.
        why: What kept it from looking, the commonest cause; None without errors.
        threshold: Fixed beforehand, not chosen here.
        best_at: The threshold that would have been best on these very items.
        span_f1: Over characters; None where the set marks none.
        pairs: Pairs of window and claim read, a mean over the items.
        tokens: Tokens of their texts, a mean over the items.
        milliseconds: Median and 95th percentile of an item alone; None where none was timed.
        timed: Items that were.
    """

    system: str
    dataset: str
    granularity: Literal["claim", "answer", "mixed"]
    items: int
    supported: int
    errors: int
    why: str | None
    threshold: float
    balanced_accuracy: Interval
    best_balanced_accuracy: Interval
    best_at: float
    auroc: Interval
    f1_unsupported: Interval
    calibration_error: Interval
    span_f1: Interval | None
    pairs: float
    tokens: float
    milliseconds: tuple[float, float] | None
    timed: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures with their resamples, ``[resamples]`` each, for differences and means."""

    figures: Figures
    balanced_accuracy: Floats
    auroc: Floats


def measure(
    system: str,
    dataset: str,
    items: Sequence[Item],
    results: Sequence[Result],
    *,
    threshold: float,
    counts: Counts,
) -> Measured:
    """The figures of one system on one set. Items that failed count as unsupported, never away.

    Args:
        system: Its name.
        dataset: Name of the set.
        items: The set.
        results: One an item, in order.
        threshold: From which score an item reads as supported.
        counts: The resamples of this set, the same for all systems.
    """
    probabilities, labels = arrays(items, results)
    scores, _ = arrays(items, results, failed=BELOW)
    at = _best_at(scores, labels)
    drawn = balanced_accuracy_drawn(counts, scores, labels, threshold)
    areas, bests = ranked_drawn(counts, scores, labels)
    kinds = {item.granularity for item in items}
    causes = [result.error for result in results if result.error is not None]
    clocked = [result.seconds * 1000 for result in results if result.seconds is not None]
    figures = Figures(
        system=system,
        dataset=dataset,
        granularity=kinds.pop() if len(kinds) == 1 else "mixed",
        items=len(items),
        supported=int(labels.sum()),
        errors=len(causes),
        why=max(sorted(set(causes)), key=causes.count, default=None),
        threshold=threshold,
        balanced_accuracy=interval(balanced_accuracy(scores, labels, threshold), drawn),
        best_balanced_accuracy=centred_interval(balanced_accuracy(scores, labels, at), bests),
        best_at=at,
        auroc=interval(auroc(scores, labels), areas),
        f1_unsupported=interval(
            f1_unsupported(scores, labels, threshold), f1_drawn(counts, scores, labels, threshold)
        ),
        calibration_error=centred_interval(
            calibration_error(probabilities, labels),
            calibration_error_drawn(counts, probabilities, labels),
        ),
        span_f1=_span_f1(items, results, threshold, counts),
        pairs=float(np.mean([result.pairs for result in results])),
        tokens=float(np.mean([result.tokens for result in results])),
        milliseconds=(
            (float(np.median(clocked)), float(np.percentile(clocked, 95))) if clocked else None
        ),
        timed=len(clocked),
    )
    return Measured(figures, drawn, areas)


def arrays(
    items: Sequence[Item], results: Sequence[Result], *, failed: float = 0.0
) -> tuple[Floats, Bools]:
    """Scores and labels side by side.

    Args:
        items: The set.
        results: One an item, in order.
        failed: The score of an item that could not be looked at: 0 where scores are read as
            probabilities, ``BELOW`` where they are compared with a threshold.
    """
    scores = np.asarray([failed if r.score is None else r.score for r in results], dtype=np.float64)
    return scores, np.asarray([item.supported for item in items], dtype=np.bool_)


def _best_at(scores: Floats, labels: Bools) -> float:
    """The best threshold of those there can be, from 0: failed items stay below it."""
    at = best_threshold(scores, labels)
    if at <= BELOW:
        # Calling all supported would do, but failed items are not: calling none so does as well.
        at = float(np.nextafter(scores.max(), 2))
    return max(at, 0.0)


def choose_threshold(
    items: Sequence[Item], results: Sequence[Result], *, rule: ThresholdRule
) -> float:
    """The threshold of best balanced accuracy on items set apart for that, steadied by resampling.

    Args:
        items: Those.
        results: One an item, in order.
        rule: ``equal`` gives every data set among them an equal say, and in it both classes;
            ``pooled`` counts items, so that the largest set decides.
    """
    scores, labels = arrays(items, results)
    sets = [item.dataset for item in items]
    weights = equal_say(sets, labels) if rule == "equal" else None
    return steady_threshold(scores, labels, sets, weights)


def _span_f1(
    items: Sequence[Item], results: Sequence[Result], threshold: float, counts: Counts
) -> Interval | None:
    """None for sets without marks. An unsupported item without any was not marked: left out."""
    if not any(item.spans for item in items):
        return None
    marked: list[SpanCounts | None] = []
    for item, result in zip(items, results, strict=True):
        if item.spans is None or (not item.spans and not item.supported):
            marked.append(None)
            continue
        below = [Span(a, b) for a, b, score in result.flagged if score < threshold]
        if result.score is None:
            below = [Span(0, len(item.text))]
        marked.append(span_counts(below, item.spans))
    value = span_f1([one for one in marked if one is not None])
    return interval(value, span_f1_drawn(counts, marked))


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one system is than another, on the same items of a set or group of sets."""

    dataset: str
    system: str
    baseline: str
    balanced_accuracy: Interval
    auroc: Interval


def difference(ours: Measured, theirs: Measured) -> Difference:
    """Paired difference of two systems on one set, resampled together."""
    a, b = ours.figures, theirs.figures
    return Difference(
        dataset=a.dataset,
        system=a.system,
        baseline=b.system,
        balanced_accuracy=interval(
            a.balanced_accuracy.value - b.balanced_accuracy.value,
            ours.balanced_accuracy - theirs.balanced_accuracy,
        ),
        auroc=interval(a.auroc.value - b.auroc.value, ours.auroc - theirs.auroc),
    )


@dataclass(frozen=True, slots=True)
class Mean:
    """One system's unweighted mean over a group of sets."""

    group: str
    sets: tuple[str, ...]
    system: str
    balanced_accuracy: Interval
    best_balanced_accuracy: float
    auroc: Interval
    f1_unsupported: float
    calibration_error: float
    pairs: float
    tokens: float


def mean(group: str, own: Sequence[Measured]) -> tuple[Mean, Measured]:
    """The mean over the sets of a group, as a row and as something to take differences of.

    Args:
        group: Its name.
        own: One system on each set of the group. Sets with one class only, where the figures do
            not exist, are left out; ``Mean.sets`` says which are in.
    """
    inside = [one for one in own if not np.isnan(one.figures.balanced_accuracy.value)]
    if not inside:
        raise ValueError(f"no set of {group} has both labels")
    rows = [one.figures for one in inside]
    accuracy = np.mean([one.balanced_accuracy for one in inside], axis=0)
    area = np.mean([one.auroc for one in inside], axis=0)
    row = Mean(
        group=group,
        sets=tuple(one.dataset for one in rows),
        system=rows[0].system,
        balanced_accuracy=interval(
            float(np.mean([one.balanced_accuracy.value for one in rows])), accuracy
        ),
        best_balanced_accuracy=float(np.mean([one.best_balanced_accuracy.value for one in rows])),
        auroc=interval(float(np.mean([one.auroc.value for one in rows])), area),
        f1_unsupported=float(np.mean([one.f1_unsupported.value for one in rows])),
        calibration_error=float(np.mean([one.calibration_error.value for one in rows])),
        pairs=float(np.mean([one.pairs for one in rows])),
        tokens=float(np.mean([one.tokens for one in rows])),
    )
    return row, Measured(_standing_for(row, rows[0]), accuracy, area)


def _standing_for(row: Mean, like: Figures) -> Figures:
    return replace(
        like, dataset=row.group, balanced_accuracy=row.balanced_accuracy, auroc=row.auroc
    )


def groups(
    figures: Sequence[Figures], named: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Which sets to take means over: the groups asked for, and the sets of one granularity.

    Raises:
        ValueError: If a group names a set that was not measured, or one set twice.
    """
    kinds: dict[str, str] = {row.dataset: row.granularity for row in figures}
    found: dict[str, tuple[str, ...]] = {}
    for name, sets in named.items():
        unknown = [one for one in sets if one not in kinds]
        if unknown or not sets:
            raise ValueError(
                f"the group {name} names {', '.join(unknown) or 'no set'}; "
                f"measured are {', '.join(kinds)}"
            )
        if len(set(sets)) < len(sets):
            raise ValueError(f"the group {name} names a set twice; it would count twice")
        found[name] = tuple(sets)
    for kind, label in (
        ("claim", "claims"),
        ("answer", "answers"),
        ("mixed", "claims and answers"),
    ):
        own = tuple(name for name, granularity in kinds.items() if granularity == kind)
        if len(own) > 1 and own not in found.values():
            found.setdefault(label, own)
    if len(kinds) > 1 and tuple(kinds) not in found.values():
        found.setdefault("all sets", tuple(kinds))
    return found
