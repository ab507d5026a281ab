"""The value layer on the minimal pairs, alone and with a model.

    python -m verifiers.bench.values [--json] [--errors]
    python -m verifiers.bench.values --threshold-from HELD_OUT.jsonl.gz [--model MODEL]
    python -m verifiers.bench.values --set FILE.jsonl.gz [FILE.jsonl.gz ...] [--limit N]

By itself it prints, by kind of value, how many contradicted claims get a mismatch (recall) and
how many consistent ones do (false alarms), for the passages that were open while the rules were
written and for those held out, with 95 % intervals (Wilson, "Probable inference, the law of
succession, and statistical inference", 1927).

With ``--threshold-from`` or ``--threshold`` it prints what the layer adds to a model: recall and
false alarms of the model alone and of model and values, each at the threshold chosen on that file
(or at the one given), and the differences with intervals. ``--alarms 0.03`` chooses thresholds at
which that share of the file's supported items is flagged, instead of the best balanced accuracy. A
model is written as for ``groundrail bench``: ``bundled``, ``big=minicheck-roberta,device=cuda``.

``--set`` takes labelled claims instead (``source``, ``claim``, ``label`` supported or unsupported,
``granularity``, ``question``), at most ``--limit`` of each file.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import sys
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from verifiers.bench.metrics import hits_text
from verifiers.bench.minimal_pairs import MinimalPair, minimal_pairs
from verifiers.bench.value_gain import Gain, gains, items_of
from verifiers.bench.value_gain import table as gain_table
from verifiers.types import Claim, ClaimKind, EvidenceSpan, Span
from verifiers.values import mismatches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from verifiers.bench.items import Item
    from verifiers.bench.systems import Result
    from verifiers.types import ValueMismatch


class Row(NamedTuple):
    """Counts of one group of pairs."""

    group: str
    contradicted: int
    caught: int
    consistent: int
    alarms: int

    @property
    def recall(self) -> float:
        """Share of contradicted claims with a mismatch."""
        return self.caught / self.contradicted if self.contradicted else math.nan

    @property
    def false_alarms(self) -> float:
        """Share of consistent claims with a mismatch."""
        return self.alarms / self.consistent if self.consistent else math.nan


def check(pair: MinimalPair) -> tuple[ValueMismatch, ...]:
    """The mismatches of one pair."""
    span = Span(0, len(pair.claim))
    claim = Claim("c1", span, pair.claim, ClaimKind.SENTENCE, span, pair.claim)
    passage = EvidenceSpan("passage", Span(0, len(pair.passage)), pair.passage)
    return mismatches(claim, passage)


def check_set(file: Path, *, limit: int = 2500, seed: int = 1) -> Row:
    """Counts on a labelled set: unsupported claims stand where contradicted ones do."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    random.Random(seed).shuffle(rows)  # noqa: S311 - reproducible, not secret
    counts: Counter[tuple[bool, bool]] = Counter()
    for row in rows[:limit]:
        text, source = row["claim"], row["source"]
        if not text.strip() or not source.strip():
            continue
        span = Span(0, len(text))
        asked = row.get("question") if row.get("granularity") == "answer" else None
        claim = Claim(
            "c1", span, text, ClaimKind.SENTENCE, span, f"{asked} {text}" if asked else text
        )
        hit = bool(mismatches(claim, EvidenceSpan("s", Span(0, len(source)), source)))
        counts[row["label"] == "supported", hit] += 1
    return Row(
        file.name.partition(".")[0],
        counts[False, True] + counts[False, False],
        counts[False, True],
        counts[True, True] + counts[True, False],
        counts[True, True],
    )


def evaluate(pairs: Sequence[MinimalPair]) -> list[Row]:
    """Counts by kind and rule, for open and held-out passages, and over all."""
    counts: Counter[tuple[str, bool, bool]] = Counter()
    for pair in pairs:
        hit = bool(check(pair))
        part = "held out" if pair.held_out else "open"
        for group in ("all", part, f"kind {pair.kind}", f"rule {pair.rule}"):
            counts[group, pair.consistent, hit] += 1
    groups = sorted({g for g, _, _ in counts}, key=lambda g: ("aohkr".index(g[0]), g))
    return [
        Row(
            g,
            counts[g, False, True] + counts[g, False, False],
            counts[g, False, True],
            counts[g, True, True] + counts[g, True, False],
            counts[g, True, True],
        )
        for g in groups
    ]


def _table(rows: Iterable[Row]) -> str:
    lines = [
        "| group | contradicted | recall | consistent | false alarms |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row.group, str(row.contradicted), hits_text(row.caught, row.contradicted)]
        cells += [str(row.consistent), hits_text(row.alarms, row.consistent)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def gained(
    model: str,
    held_out: Path | None,
    *,
    threshold: float = 0.5,
    alarms: float | None = None,
    limit: int = 2000,
    cache: Path = Path(".groundrail-bench"),
    workers: int = 8,
) -> list[Gain]:
    """What the layer adds to a model on the minimal pairs.

    Args:
        model: As for ``groundrail bench``.
        held_out: Labelled pairs on which each system's threshold is chosen; None for none.
        threshold: Of both systems where there are none.
        alarms: Choose thresholds not by balanced accuracy, but so that this share of the supported
            items of ``held_out`` is flagged.
        limit: Items drawn from ``held_out``.
        cache: Where scores are kept, so that a stopped run goes on.
        workers: Items scored at once.
    """
    from verifiers.backends import ModelSpec, batch_tokens, load_scorer
    from verifiers.bench.items import read_items
    from verifiers.bench.running import run
    from verifiers.bench.scores import FileScores
    from verifiers.bench.specs import parse_models
    from verifiers.bench.suite import choose_threshold
    from verifiers.bench.systems import BareModel
    from verifiers.claims import make_extractor
    from verifiers.engine import NLIEngine
    from verifiers.pipeline import EvidenceSettings

    (spec,) = parse_models([model], configured=ModelSpec()).values()
    pairs = minimal_pairs()
    chosen_on = read_items(held_out, limit=limit) if held_out is not None else None
    found = []
    with (
        FileScores(cache / "scores.sqlite") as scores,
        NLIEngine(
            partial(load_scorer, spec), cache=scores, max_batch_tokens=batch_tokens(spec)
        ) as engine,
    ):
        extractor = make_extractor()
        for values in (False, True):
            system = BareModel(extractor, engine, EvidenceSettings(), values=values)
            try:
                at = threshold
                if chosen_on is not None:
                    known = run(system, chosen_on, workers=workers)
                    _require_scored(known, f"of {held_out}")
                    at = (
                        choose_threshold(chosen_on, known, rule="equal")
                        if alarms is None
                        else float(np.quantile(_supported(chosen_on, known), alarms))
                    )
                results = run(system, items_of(pairs), workers=workers)
                _require_scored(results, "of the minimal pairs")
                found.append((results, at))
                sys.stderr.write(f"{system.name}: threshold {at:.3f}\n")
            finally:
                system.close()
    return gains(pairs, *found)


def _require_scored(results: Sequence[Result], whose: str) -> None:
    """Figures of a model that could look at nothing would look like figures of a strict one."""
    if all(result.score is None for result in results):
        why = next((result.error for result in results), None)
        sys.exit(f"verifiers.bench.values: none {whose} could be scored: {why}")


def _supported(items: Sequence[Item], results: Sequence[Result]) -> list[float]:
    """The scores of supported items; one that could not be looked at scores 0."""
    both = zip(items, results, strict=True)
    return [result.score or 0.0 for item, result in both if item.supported]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table, or JSON, to standard output; with ``--errors`` what went wrong too."""
    parser = argparse.ArgumentParser(
        prog="python -m verifiers.bench.values",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--set", type=Path, nargs="+", default=[], dest="files")
    parser.add_argument("--limit", type=int, default=2500, help="rows of each file of --set")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--errors", action="store_true", help="print those of open passages")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--threshold-from", type=Path)
    parser.add_argument("--alarms", type=float, help="share of supported items of that file")
    parser.add_argument("--threshold-limit", type=int, default=2000)
    parser.add_argument("--cache", type=Path, default=Path(".groundrail-bench"))
    parser.add_argument("--workers", type=int, default=8)
    asked = parser.parse_args(arguments)
    if asked.files:
        rows = [check_set(file, limit=asked.limit) for file in asked.files]
        sys.stdout.write(_table(rows) + "\n")
    elif asked.threshold_from is not None or asked.threshold is not None:
        found = gained(
            asked.model,
            asked.threshold_from,
            threshold=0.5 if asked.threshold is None else asked.threshold,
            alarms=asked.alarms,
            limit=asked.threshold_limit,
            cache=asked.cache,
            workers=asked.workers,
        )
        as_json = json.dumps([asdict(row) for row in found])
        sys.stdout.write((as_json if asked.json else gain_table(found)) + "\n")
    else:
        _alone(as_json=asked.json, errors=asked.errors)


def _alone(*, as_json: bool, errors: bool) -> None:
    pairs = minimal_pairs()
    rows = evaluate(pairs)
    written = json.dumps([r._asdict() for r in rows]) if as_json else _table(rows)
    sys.stdout.write(written + "\n")
    for pair in pairs if errors else []:
        found = check(pair)
        # Held-out passages stay unread.
        if bool(found) == pair.consistent and not pair.held_out:
            said = "; ".join(m.message for m in found) or "nothing found"
            sys.stdout.write(f"{pair.id}: {pair.claim} [{said}]\n")


if __name__ == "__main__":
    main()
