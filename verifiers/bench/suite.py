"""Running systems over labelled items, and what came out.

Results are appended to a file a system, keyed by the digests of item and system: a run that was
stopped goes on where it was, and a changed model or rule is measured anew.
"""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from verifiers.bench.metrics import (
    Interval,
    auroc,
    balanced_accuracy,
    best_threshold,
    bootstrap,
    calibration_error,
    f1_unsupported,
    paired_difference,
    span_counts,
    span_f1,
)
from verifiers.bench.systems import Result
from verifiers.types import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from verifiers.bench.items import Item
    from verifiers.bench.systems import System

    Progress = Callable[[int, int], None]


class ResultFile:
    """Results of one system, one JSON object a line, appended as they come. Thread-safe."""

    def __init__(self, folder: Path | None, system: System) -> None:
        """Open the results of ``system`` in ``folder``; None keeps nothing."""
        self._lock = threading.Lock()
        self._path = None if folder is None else folder / f"{system.name}-{system.digest}.jsonl"
        self.known: dict[str, Result] = {}
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            whole = 0
            with self._path.open("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        break  # cut off in the middle of writing: measured again
                    whole += len(line)
                    row = json.loads(line)
                    row["flagged"] = tuple(tuple(entry) for entry in row["flagged"])
                    self.known[row["item"]] = Result(**row)
            with self._path.open("rb+") as file:
                file.truncate(whole)

    def add(self, result: Result) -> None:
        """Keep one result."""
        with self._lock:
            self.known[result.item] = result
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(result)) + "\n")


def run(
    system: System,
    items: Sequence[Item],
    *,
    folder: Path | None = None,
    workers: int = 4,
    progress: Progress | None = None,
) -> list[Result]:
    """Score every item, in order, taking what is known from ``folder``.

    Args:
        system: What to measure.
        items: On what.
        folder: Where results are kept.
        workers: Items scored at once, so that batches fill.
        progress: Called with done and total after every item.
    """
    results = ResultFile(folder, system)
    waiting = {item.digest: item for item in items if item.digest not in results.known}
    done = len({item.digest for item in items}) - len(waiting)
    total = done + len(waiting)
    if progress is not None:
        progress(done, total)
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(system.score, item) for item in waiting.values()]
        try:
            for future in as_completed(futures):
                results.add(future.result())
                done += 1
                if progress is not None:
                    progress(done, total)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [results.known[item.digest] for item in items]


@dataclass(frozen=True, slots=True)
class Figures:
    """One system on one set.

    Attributes:
        threshold: Fixed beforehand, not chosen here.
        best_at: The threshold that would have been best on these very items.
        errors: Items the system could not look at; they count as called unsupported.
        milliseconds: Median and 95th percentile an item.
    """

    system: str
    dataset: str
    items: int
    supported: int
    errors: int
    threshold: float
    balanced_accuracy: Interval
    best_balanced_accuracy: float
    best_at: float
    auroc: Interval
    f1_unsupported: Interval
    calibration_error: float
    span_f1: float | None
    pairs_per_item: float
    milliseconds: tuple[float, float]


def figures(
    system: str,
    dataset: str,
    items: Sequence[Item],
    results: Sequence[Result],
    *,
    threshold: float,
    resamples: int = 1000,
) -> Figures:
    """The figures of one system on one set. Items that failed count as unsupported, never away."""
    scores, labels = arrays(items, results)
    at = partial(balanced_accuracy, threshold=threshold)
    best_at = best_threshold(scores, labels)
    draw = partial(bootstrap, scores=scores, labels=labels, resamples=resamples)
    milliseconds = np.asarray([result.seconds * 1000 for result in results])
    return Figures(
        system=system,
        dataset=dataset,
        items=len(items),
        supported=int(labels.sum()),
        errors=sum(result.score is None for result in results),
        threshold=threshold,
        balanced_accuracy=draw(at),
        best_balanced_accuracy=balanced_accuracy(scores, labels, best_at),
        best_at=best_at,
        auroc=draw(auroc),
        f1_unsupported=draw(partial(f1_unsupported, threshold=threshold)),
        calibration_error=calibration_error(scores, labels),
        span_f1=_span_f1(items, results, threshold),
        pairs_per_item=float(np.mean([result.pairs for result in results])),
        milliseconds=(
            float(np.median(milliseconds)),
            float(np.percentile(milliseconds, 95)),
        ),
    )


def arrays(items: Sequence[Item], results: Sequence[Result]) -> tuple[Any, Any]:
    """Scores and labels side by side; an item that could not be looked at scores 0."""
    scores = np.asarray([0.0 if r.score is None else r.score for r in results], dtype=np.float64)
    return scores, np.asarray([item.supported for item in items], dtype=np.bool_)


def _span_f1(items: Sequence[Item], results: Sequence[Result], threshold: float) -> float | None:
    marked = [
        span_counts(
            [Span(start, end) for start, end, score in result.flagged if score < threshold],
            item.spans,
        )
        for item, result in zip(items, results, strict=True)
        if item.spans is not None
    ]
    if not marked or not any(result.flagged for result in results):
        return None
    return span_f1(marked)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one system is than another on the same items of one set."""

    dataset: str
    system: str
    baseline: str
    balanced_accuracy: Interval
    auroc: Interval


def difference(
    dataset: str,
    items: Sequence[Item],
    ours: tuple[str, Sequence[Result], float],
    theirs: tuple[str, Sequence[Result], float],
    *,
    resamples: int = 1000,
) -> Difference:
    """Paired difference of two systems, each given as name, results and threshold."""
    scores, labels = arrays(items, ours[1])
    base, _ = arrays(items, theirs[1])
    return Difference(
        dataset=dataset,
        system=ours[0],
        baseline=theirs[0],
        balanced_accuracy=paired_difference(
            partial(balanced_accuracy, threshold=ours[2]),
            scores,
            partial(balanced_accuracy, threshold=theirs[2]),
            base,
            labels,
            resamples=resamples,
        ),
        auroc=paired_difference(auroc, scores, auroc, base, labels, resamples=resamples),
    )


def means(rows: Sequence[Figures]) -> Mapping[str, tuple[float, float]]:
    """Unweighted mean over sets of balanced accuracy and AUROC, a system."""
    systems: dict[str, list[Figures]] = {}
    for row in rows:
        systems.setdefault(row.system, []).append(row)
    return {
        name: (
            float(np.nanmean([row.balanced_accuracy.value for row in own])),
            float(np.nanmean([row.auroc.value for row in own])),
        )
        for name, own in systems.items()
    }
