"""Ranking quality on a collection of documents, queries and judgements.

    python -m verifiers.bench.retrieval DIRECTORY [DIRECTORY ...]

A directory holds ``corpus.jsonl`` and ``queries.jsonl`` (``_id``, ``text``, ``title``),
``qrels.tsv`` (query, document, grade) and optionally ``exclude.tsv`` (query, document: pairs left
out of both ranking and judgements, such as a document that is the query's own text).
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from verifiers.ranking import Ranking

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


def main(directories: Sequence[str]) -> None:
    """Write one line a collection to standard output."""
    for name in directories:
        sys.stdout.write(f"{evaluate(Path(name))}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
