"""What reading less spares, and what it changes: ``python -m verifiers.bench.cascade FILE...``.

Takes labelled texts (see :mod:`verifiers.bench.items`) with long sources and checks each with the
whole path four times, from reading every window that could be chosen to the defaults:

``whole``
    Every window, each scored by the model.
``exact``
    Windows that hold the claim word for word are not scored.
``near``
    Besides, windows far behind the best by rank are left out (``EvidenceSettings.near``).
``default``
    Besides, the best windows come first and the rest only where they can matter
    (``EvidenceSettings.first``, ``enough``).

For each: pairs and tokens read, the share of claims whose verdict is as with ``exact`` (the same
scores but for exact matches, read whole), balanced accuracy of "every claim is supported" and AUROC
of the least supported claim. Scores are cached between the four, so a pair is scored once and the
same pair has the same score in all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from verifiers.aggregate import clean_support, judge
from verifiers.bench.items import by_dataset, read_items
from verifiers.bench.metrics import auroc, balanced_accuracy
from verifiers.pipeline import EvidenceSettings
from verifiers.plan import VERBATIM
from verifiers.types import Scored, Source, Supported, Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verifiers.bench.items import Item
    from verifiers.pipeline import Verifier
    from verifiers.types import Assessment, Verification

DEFAULT: Final = EvidenceSettings()
EXACT: Final = replace(DEFAULT, near=0.0, enough=2.0)
WAYS: Final = {"exact": EXACT, "near": replace(DEFAULT, enough=2.0), "default": DEFAULT}
# Those of the policies that ship.
THRESHOLDS: Final = Thresholds(support=0.5, contradiction=0.8)


@dataclass(slots=True)
class Tally:
    """What one way of reading came to over one set of items."""

    items: int = 0
    claims: int = 0
    pairs: int = 0
    tokens: int = 0
    same: int = 0


@dataclass(frozen=True, slots=True)
class _Seen:
    labels: tuple[str, ...]
    support: float
    supported: bool


def measure(
    items: Sequence[Item],
    verifiers: dict[str, Verifier],
    count: Callable[[Sequence[str]], list[int]],
    progress: Callable[[], object] = lambda: None,
) -> dict[str, dict[str, Any]]:
    """Check ``items`` in every way and compare.

    Args:
        items: Of one set.
        verifiers: By the name of the way; ``exact`` is what others are compared with.
        count: Tokens of each text.
        progress: Called after each item.

    Returns:
        By way: items, claims, pairs, tokens, ``same`` (share of claims with the verdict of
        ``exact``), ``balanced_accuracy`` and ``auroc`` (None where one label is missing).
    """
    tallies = {name: Tally() for name in ("whole", *verifiers)}
    seen: dict[str, list[_Seen]] = {name: [] for name in verifiers}
    truth: list[bool] = []
    for item in items:
        sources = [Source(f"s{i}", text) for i, text in enumerate(item.sources, start=1)]
        texts = {source.id: source.text for source in sources}
        found = {
            name: verifier.verify(item.text, sources=sources, question=item.question)
            for name, verifier in verifiers.items()
        }
        reference = _seen(found["exact"])
        progress()
        if not reference.labels:
            continue
        truth.append(item.supported)
        for name, verification in found.items():
            one = _seen(verification)
            seen[name].append(one)
            tally = tallies[name]
            tally.items += 1
            tally.claims += len(one.labels)
            tally.pairs += verification.pairs
            tally.tokens += _tokens(verification, texts, count, spared=True)
            tally.same += sum(map(str.__eq__, one.labels, reference.labels))
        whole = tallies["whole"]
        whole.items += 1
        whole.claims += len(reference.labels)
        whole.pairs += sum(len(o.windows) for o in _scored(found["exact"]))
        whole.tokens += _tokens(found["exact"], texts, count, spared=False)
    rows: dict[str, dict[str, Any]] = {}
    for name, tally in tallies.items():
        rows[name] = asdict(tally)
        if name in seen:
            rows[name] |= _quality(truth, seen[name], tally)
        else:
            del rows[name]["same"]
    return rows


def _quality(truth: list[bool], seen: list[_Seen], tally: Tally) -> dict[str, Any]:
    labels = np.array(truth)
    both = 0 < sum(truth) < len(truth)
    called = np.array([float(one.supported) for one in seen])
    return {
        "same": tally.same / tally.claims if tally.claims else None,
        "balanced_accuracy": balanced_accuracy(called, labels, 0.5) if both else None,
        "auroc": auroc(np.array([one.support for one in seen]), labels) if both else None,
    }


def _scored(verification: Verification) -> list[Scored]:
    return [a.outcome for a in verification.assessments if isinstance(a.outcome, Scored)]


def _seen(verification: Verification) -> _Seen:
    kept: list[Assessment] = [a for a in verification.assessments if isinstance(a.outcome, Scored)]
    verdicts = [judge(assessment, THRESHOLDS) for assessment in kept]
    return _Seen(
        tuple(verdict.label for verdict in verdicts),
        min((clean_support(outcome) for outcome in _scored(verification)), default=1.0),
        all(isinstance(verdict, Supported) for verdict in verdicts),
    )


def _tokens(
    verification: Verification,
    texts: dict[str, str],
    count: Callable[[Sequence[str]], list[int]],
    *,
    spared: bool,
) -> int:
    """Tokens of all pairs of window and claim, those of exact matches only if not ``spared``."""
    total = 0
    for assessment in verification.assessments:
        outcome = assessment.outcome
        if not isinstance(outcome, Scored):
            continue
        read = [w for w in outcome.windows if not (spared and w.probs == VERBATIM)]
        windows = [texts[w.source_id][w.window.start : w.window.end] for w in read]
        own, *rest = count([assessment.claim.hypothesis, *windows])
        total += sum(rest) + len(rest) * own
    return total


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m verifiers.bench.cascade",
        description="What reading fewer windows spares, and which verdicts it changes.",
    )
    parser.add_argument("files", nargs="+", type=Path, help="labelled JSONL, plain or gzipped")
    parser.add_argument("--limit", type=int, default=60, help="items a set (60)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    parser.add_argument("--least-words", type=int, default=200, help="of the sources (200)")
    parser.add_argument("--most-words", type=int, default=5000, help="of the sources (5000)")
    parser.add_argument("--json", action="store_true", help="write JSON instead of a table")
    return parser.parse_args(arguments)


def chosen(options: argparse.Namespace) -> dict[str, list[Item]]:
    """The items to measure, by set."""
    kept: list[Item] = []
    for path in options.files:
        rng = np.random.default_rng(options.seed)
        items = [
            item
            for item in read_items(path)
            if options.least_words <= sum(len(s.split()) for s in item.sources)
            and sum(len(s.split()) for s in item.sources) <= options.most_words
        ]
        kept += [items[i] for i in sorted(rng.permutation(len(items))[: options.limit])]
    return by_dataset(kept)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the bundled model and print."""
    from verifiers.backends import ModelSpec, batch_tokens, load_scorer
    from verifiers.cache import MemoryCache
    from verifiers.claims import make_extractor
    from verifiers.engine import NLIEngine
    from verifiers.pipeline import Verifier

    options = parse(arguments)
    sets = chosen(options)
    total, done = sum(map(len, sets.values())), Counter[str]()

    def progress() -> None:
        done["items"] += 1
        if sys.stderr.isatty() or done["items"] % 50 == 0:
            sys.stderr.write(f"\r{done['items']} of {total} items")

    spec = ModelSpec()
    engine = NLIEngine(
        partial(load_scorer, spec),
        cache=MemoryCache(1_000_000),
        max_batch_tokens=batch_tokens(spec),
    )
    extractor = make_extractor()
    made = {
        name: Verifier(extractor=extractor, engine=engine, evidence=evidence)
        for name, evidence in WAYS.items()
    }
    try:
        rows = {
            name: measure(items, made, engine.count_text, progress) for name, items in sets.items()
        }
    finally:
        for verifier in made.values():
            verifier.close()
        engine.close()
    sys.stderr.write("\n")
    sys.stdout.write(json.dumps(rows, indent=2) + "\n" if options.json else shown(rows))
    return 0


def shown(rows: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A table for people, every set and all together."""
    lines = ["set | way | claims | pairs | tokens | same verdict | balanced accuracy | AUROC"]
    lines.append(" | ".join(["---"] * 8))

    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.3f}"

    for name, ways in rows.items():
        for way, row in ways.items():
            cells = [name, way, row["claims"], row["pairs"], row["tokens"]]
            cells += [share(row.get(key)) for key in ("same", "balanced_accuracy", "auroc")]
            lines.append(" | ".join(map(str, cells)))
    for way in ("whole", *WAYS):
        of = [ways[way] for ways in rows.values()]
        claims, whole = (
            sum(r["claims"] for r in of),
            sum(w["whole"]["tokens"] for w in rows.values()),
        )
        tokens = sum(r["tokens"] for r in of)
        same = sum(r["same"] * r["claims"] for r in of if r.get("same") is not None)
        lines.append(
            f"all | {way} | {claims} | {sum(r['pairs'] for r in of)} | {tokens} "
            f"({tokens / whole:.2f}) | {'' if way == 'whole' else f'{same / claims:.4f}'} | "
            f"{_mean(of, 'balanced_accuracy')} | {_mean(of, 'auroc')}"
        )
    return "\n".join(lines) + "\n"


def _mean(rows: Sequence[dict[str, Any]], key: str) -> str:
    values = [row[key] for row in rows if row.get(key) is not None]
    return f"{sum(values) / len(values):.3f}" if values else ""


if __name__ == "__main__":
    sys.exit(main())
