"""Ranking quality on a collection of documents, queries and judgements.

    python -m verifiers.bench.retrieval DIRECTORY [DIRECTORY ...]
    python -m verifiers.bench.retrieval --planted FILE.jsonl.gz [FILE.jsonl.gz ...]

A directory holds ``corpus.jsonl`` and ``queries.jsonl`` (``_id``, ``text``, ``title``),
``qrels.tsv`` (query, document, grade) and optionally ``exclude.tsv`` (query, document: pairs left
out of both ranking and judgements, such as a document that is the query's own text).

``--planted`` takes labelled claims (``source``, ``claim``, ``label``) with short sources, hides the
source of each supported claim among the sources of 300 other rows of the file, cuts the whole into
windows as in production (words for tokens) and reports how often the claim's own text is wholly
among the windows read, for several ``k``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import re
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from verifiers.ranking import Ranking
from verifiers.types import Source, Span
from verifiers.windows import WindowIndex, cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEPTH = 10


class Figures(NamedTuple):
    """Means over the judged queries of one collection."""

    collection: str
    documents: int
    queries: int
    ndcg_at_10: float
    mrr_at_10: float
    index_seconds: float
    query_milliseconds: float


def evaluate(directory: Path) -> Figures:
    """Rank every judged query of one collection."""
    ids, texts = _documents(directory / "corpus.jsonl")
    query_ids, query_texts = _documents(directory / "queries.jsonl")
    queries = dict(zip(query_ids, query_texts, strict=True))
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    for query, document, grade in _rows(directory / "qrels.tsv")[1:]:
        judged[query][document] = int(grade)
    excluded = {(row[0], row[1]) for row in _rows(directory / "exclude.tsv")}
    started = time.perf_counter()
    ranking = Ranking(texts)
    built = time.perf_counter()
    gains: list[tuple[float, float]] = []
    for query, grades in sorted(judged.items()):
        kept = {d: g for d, g in grades.items() if (query, d) not in excluded and g > 0}
        if not kept or query not in queries:
            continue
        ranked = (ids[i] for i in ranking.order(queries[query]))
        top = [d for d in ranked if (query, d) not in excluded][:_DEPTH]
        gains.append((_ndcg(top, kept), _reciprocal_rank(top, kept)))
    asked = time.perf_counter()
    return Figures(
        directory.name,
        len(ids),
        len(gains),
        sum(n for n, _ in gains) / len(gains),
        sum(r for _, r in gains) / len(gains),
        built - started,
        1000 * (asked - built) / len(gains),
    )


class Planted(NamedTuple):
    """How often the text a claim rests on is read, by how many windows are."""

    collection: str
    claims: int
    windows: float
    recall: dict[int, float]


def planted(file: Path, *, claims: int = 200, others: int = 300, seed: int = 1) -> Planted:
    """Hide the source of each claim in a long text and count how often it is selected."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    short = [r for r in rows if 0 < len(r["source"].split()) <= _SHORT and r["claim"].strip()]
    asked = [r for r in short if r["label"] == "supported"]
    chance.shuffle(asked)
    texts = sorted({r["source"] for r in short})
    found: dict[int, int] = dict.fromkeys(_KS, 0)
    windows = 0
    asked = asked[:claims]
    for row in asked:
        parts = [t for t in chance.sample(texts, min(others, len(texts))) if t != row["source"]]
        parts.insert(chance.randrange(len(parts) + 1), row["source"])
        spans = _read_spans(parts, row["claim"], row["source"])
        windows += spans.total
        for k in _KS:
            found[k] += spans.rank <= k
    total = len(asked)
    recall = {k: found[k] / total for k in _KS}
    return Planted(file.name, total, windows / total, recall)


class _Rank(NamedTuple):
    rank: int
    total: int


def _read_spans(parts: Sequence[str], claim: str, wanted: str) -> _Rank:
    """The smallest k with which the wanted part is read whole."""
    text = "\n".join(parts)
    start = sum(len(p) + 1 for p in parts[: parts.index(wanted)])
    target = Span(start, start + len(wanted))
    sentences = [Span(m.start(), m.end()) for m in _SENTENCE.finditer(text)]
    windows = cut(
        Source("s", text),
        sentences,
        count_text=lambda texts: [len(t.split()) for t in texts],
        budget_tokens=_BUDGET,
    )
    order = WindowIndex(windows).select(claim, k=len(windows)).windows
    missing = {i for i in range(target.start, target.end) if not text[i].isspace()}
    for rank, window in enumerate(order, 1):
        missing.difference_update(range(window.span.start, window.span.end))
        if not missing:
            return _Rank(rank, len(order))
    raise AssertionError("windows cover the text")


_KS = (1, 2, 4, 6, 8, 10, 12, 16)
_SHORT = 60
_BUDGET = 130
_SENTENCE = re.compile(r"[^.!?\n\s][^.!?\n]*[.!?]*")


def _ndcg(top: Sequence[str], grades: Mapping[str, int]) -> float:
    found = sum(grades.get(d, 0) / math.log2(i + 2) for i, d in enumerate(top))
    ideal = sorted(grades.values(), reverse=True)[:_DEPTH]
    return found / sum(g / math.log2(i + 2) for i, g in enumerate(ideal))


def _reciprocal_rank(top: Sequence[str], grades: Mapping[str, int]) -> float:
    return next((1 / (i + 1) for i, d in enumerate(top) if d in grades), 0.0)


def _documents(path: Path) -> tuple[list[str], list[str]]:
    ids, texts = [], []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            title, text = row.get("title") or "", row["text"]
            ids.append(row["_id"])
            texts.append(text if text.startswith(title) else f"{title} {text}")
    return ids, texts


def _rows(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write one line a collection to standard output."""
    parser = argparse.ArgumentParser(
        prog="python -m verifiers.bench.retrieval",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", type=Path, nargs="+", help="collections, or files of claims")
    parser.add_argument("--planted", action="store_true", help="the paths are files of claims")
    asked = parser.parse_args(arguments)
    measure = planted if asked.planted else evaluate
    for path in asked.paths:
        sys.stdout.write(f"{measure(path)}\n")


if __name__ == "__main__":
    main()
