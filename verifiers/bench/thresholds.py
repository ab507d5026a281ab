"""Does a threshold chosen on some data sets hold on another?

    python -m verifiers.bench.thresholds FILE.jsonl.gz

Takes a labelled file whose lines name their data set, leaves out each set in turn, chooses the
threshold on the others by either rule of :func:`verifiers.bench.suite.choose_threshold`, and
measures the balanced accuracy on the set left out. What a rule loses against the set's own best
threshold is what it costs not to know the data. A third column has the single best threshold under
an equal say, without the resampling that steadies the other two.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np

from verifiers.bench.items import by_dataset, read_items
from verifiers.bench.metrics import balanced_accuracy, best_threshold, equal_say
from verifiers.bench.suite import ThresholdRule, arrays, choose_threshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.bench.items import Item
    from verifiers.bench.systems import Result

RULES: tuple[ThresholdRule, ...] = get_args(ThresholdRule)


class LeftOut(NamedTuple):
    """One data set, measured at thresholds chosen on the others.

    Attributes:
        dataset: Its name.
        items: How many.
        best: Its balanced accuracy at its own best threshold.
        reached: By rule, at the threshold chosen on the others.
        thresholds: Those.
        single: Its balanced accuracy at the single best threshold of the others, under an equal
            say.
        single_at: That threshold.
    """

    dataset: str
    items: int
    best: float
    reached: dict[ThresholdRule, float]
    thresholds: dict[ThresholdRule, float]
    single: float
    single_at: float


def leave_one_out(items: Sequence[Item], results: Sequence[Result]) -> list[LeftOut]:
    """Each data set in turn. Sets with one class only are never the one left out."""
    known = {result.item: result for result in results}
    found: list[LeftOut] = []
    for name, own in by_dataset(items).items():
        others = [item for item in items if item.dataset != name]
        scores, labels = arrays(own, [known[item.digest] for item in own])
        if not others or labels.all() or not labels.any():
            continue
        theirs = [known[item.digest] for item in others]
        thresholds = {rule: choose_threshold(others, theirs, rule=rule) for rule in RULES}
        single = _single(others, theirs)
        found.append(
            LeftOut(
                name,
                len(own),
                balanced_accuracy(scores, labels, best_threshold(scores, labels)),
                {rule: balanced_accuracy(scores, labels, at) for rule, at in thresholds.items()},
                thresholds,
                balanced_accuracy(scores, labels, single),
                single,
            )
        )
    return found


def _single(items: Sequence[Item], results: Sequence[Result]) -> float:
    """The best threshold under an equal say, as it falls out of these very items."""
    scores, labels = arrays(items, results)
    return best_threshold(scores, labels, equal_say([item.dataset for item in items], labels))


def table(rows: Sequence[LeftOut]) -> str:
    """As Markdown, with the mean over the sets."""
    lines = [
        f"| left out | items | own best | {' | '.join(RULES)} | equal, not steadied |",
        f"| --- | ---: | ---: | {' | '.join('---:' for _ in RULES)} | ---: |",
    ]
    for row in rows:
        cells = [f"{row.reached[rule]:.3f} (at {row.thresholds[rule]:.2f})" for rule in RULES]
        cells.append(f"{row.single:.3f} (at {row.single_at:.2f})")
        lines.append(f"| {row.dataset} | {row.items} | {row.best:.3f} | {' | '.join(cells)} |")
    best = np.mean([row.best for row in rows])
    means = [f"{np.mean([row.reached[rule] for row in rows]):.3f}" for rule in RULES]
    means.append(f"{np.mean([row.single for row in rows]):.3f}")
    lines.append(f"| **mean** | | {best:.3f} | {' | '.join(means)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m verifiers.bench.thresholds", description=__doc__.partition("\n\n    ")[0]
    )
    parser.add_argument("file", type=Path, help="labelled JSONL with a 'dataset' on every line")
    parser.add_argument("--limit", type=int, default=3000, help="items, drawn at random")
    parser.add_argument("--model", default="bundled", help="NLI model")
    parser.add_argument("--cache", type=Path, default=Path(".groundrail-bench"))
    asked = parser.parse_args(arguments)

    from verifiers.backends import ModelSpec, batch_tokens, load_scorer
    from verifiers.bench.running import run
    from verifiers.bench.scores import FileScores
    from verifiers.bench.systems import BareModel
    from verifiers.claims import make_extractor
    from verifiers.engine import NLIEngine
    from verifiers.pipeline import EvidenceSettings

    items = read_items(asked.file, limit=asked.limit)
    spec = ModelSpec(model=asked.model)
    with (
        FileScores(asked.cache / "scores.sqlite") as scores,
        NLIEngine(
            partial(load_scorer, spec), cache=scores, max_batch_tokens=batch_tokens(spec)
        ) as engine,
    ):
        system = BareModel(make_extractor(), engine, EvidenceSettings(), values=False)
        try:
            results = run(system, items, folder=asked.cache)
        finally:
            system.close()
    rows = leave_one_out(items, results)
    if not rows:
        sys.stderr.write("The file needs two data sets or more, with both labels.\n")
        return 2
    sys.stdout.write(table(rows) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
