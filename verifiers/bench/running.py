"""Running a system over labelled items, with results that outlive the run.

Results are appended to a file a system, keyed by the digests of item and system: a run that was
stopped goes on where it was, and a changed model or rule is measured anew.

Many items are scored at once, so that the windows of all of them fill the model's batches. What
an item takes by itself cannot be told from that: a few items of each set are therefore scored one
at a time, with nothing from the cache, before the rest.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from verifiers.bench.systems import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from verifiers.bench.items import Item
    from verifiers.bench.systems import System


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        done: Items scored, or known from before.
        total: Items in all, each distinct one once.
        work: Characters read of the items scored in this run: what the time goes by.
    """

    done: int
    total: int
    work: int


class ResultFile:
    """Results of one system, one JSON object a line, appended as they come. Thread-safe."""

    def __init__(self, folder: Path | None, system: System) -> None:
        """Open the results of ``system`` in ``folder``; None keeps nothing."""
        self._lock = threading.Lock()
        self._path = None if folder is None else folder / f"results-{system.digest}.jsonl"
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
                    self._take(line)
            with self._path.open("rb+") as file:
                file.truncate(whole)

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            row["flagged"] = tuple(tuple(entry) for entry in row["flagged"])
            result = Result(**row)
        except (ValueError, TypeError, KeyError, RecursionError):
            return  # not a line of ours, or a broken one: measured again
        if _possible(row):
            self.known[result.item] = result

    def add(self, result: Result) -> None:
        """Keep one result. One that may go better next time is kept for this run only."""
        with self._lock:
            self.known[result.item] = result
            if self._path is not None and not result.passing:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(result)) + "\n")


def _possible(row: Mapping[str, Any]) -> bool:
    """Whether a row with the keys of a result is one a system could have given."""
    score, error, seconds = row["score"], row["error"], row["seconds"]
    return (
        isinstance(row["item"], str)
        and (isinstance(error, str) if score is None else error is None and _within(score, 1.0))
        and all(map(_is_part, row["flagged"]))
        and all(_is_count(row[key]) for key in ("claims", "pairs", "tokens"))
        and (seconds is None or _within(seconds, sys.float_info.max))
        and isinstance(row.get("passing", False), bool)
    )


def _is_part(entry: object) -> bool:
    match entry:
        case (start, end, score):
            return _is_count(start) and _is_count(end) and _within(score, 1.0)
        case _:
            return False


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _within(value: object, most: float) -> bool:
    """Whether it is a number from 0 to ``most``; NaN is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def work_of(item: Item) -> int:
    """Characters of an item: what the time to score it goes by."""
    return len(item.text) + sum(map(len, item.sources))


def run(
    system: System,
    items: Sequence[Item],
    *,
    folder: Path | None = None,
    workers: int = 48,
    timed: int = 0,
    alone: Callable[[], AbstractContextManager[object]] = nullcontext,
    progress: Callable[[Progress], None] | None = None,
) -> list[Result]:
    """Score every item, in order, taking what is known from ``folder``.

    Args:
        system: What to measure.
        items: On what.
        folder: Where results are kept.
        workers: Items scored at once, so that batches fill.
        timed: Items, spread over the set, that are scored one at a time for their latency. Those
            whose latency is known are not timed again.
        alone: Entered while items are timed: what was scored before must not help.
        progress: Called at the start and after every item.
    """
    results = ResultFile(folder, system)
    distinct = {item.digest: item for item in items}
    by_clock = [
        item
        for item in _spread(list(distinct.values()), timed)
        if (known := results.known.get(item.digest)) is None or known.seconds is None
    ]
    first = {item.digest for item in by_clock}
    waiting = [
        item
        for digest, item in distinct.items()
        if digest not in results.known and digest not in first
    ]
    # Items of like length side by side: their windows share batches with little padding.
    waiting.sort(key=work_of, reverse=True)
    done, work = len(distinct) - len(waiting) - len(by_clock), 0

    def tell() -> None:
        if progress is not None:
            progress(Progress(done, len(distinct), work))

    def keep(item: Item, result: Result) -> None:
        nonlocal done, work
        results.add(result)
        done, work = done + 1, work + work_of(item)
        tell()

    tell()
    if by_clock:
        with alone():
            system.score(by_clock[0])  # loads what is loaded on first use
            for item in by_clock:
                keep(item, system.score(item))
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(system.score, item): item for item in waiting}
        try:
            for future in as_completed(futures):
                keep(futures[future], replace(future.result(), seconds=None))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [results.known[item.digest] for item in items]


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    """Up to ``count`` items at even distances: sets are often sorted by kind."""
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]
