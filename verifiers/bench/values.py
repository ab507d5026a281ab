"""The value layer alone on the minimal pairs.

    python -m verifiers.bench.values [--json] [--errors]
    python -m verifiers.bench.values --set FILE.jsonl.gz [FILE.jsonl.gz ...]

Prints, by kind of value, how many contradicted claims get a mismatch (recall) and how many
consistent ones do (false alarms), for the passages that were open while the rules were written and
for those held out, with 95 % intervals (Wilson, "Probable inference, the law of succession, and
statistical inference", 1927). ``--set`` takes labelled claims instead (``source``, ``claim``,
``label`` supported or unsupported, ``granularity``, ``question``), at most 2,500 of each file.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from verifiers.bench.minimal_pairs import MinimalPair, minimal_pairs
from verifiers.types import Claim, ClaimKind, EvidenceSpan, Span
from verifiers.values import mismatches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from verifiers.types import ValueMismatch

_Z = 1.96


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


def interval(hits: int, total: int) -> tuple[float, float]:
    """The Wilson interval of a share."""
    if not total:
        return math.nan, math.nan
    share, square = hits / total, _Z * _Z
    middle = (share + square / (2 * total)) / (1 + square / total)
    reach = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    reach /= 1 + square / total
    return middle - reach, middle + reach


def _table(rows: Iterable[Row]) -> str:
    lines = [
        "| group | contradicted | recall | consistent | false alarms |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row.group, str(row.contradicted), _share(row.caught, row.contradicted)]
        cells += [str(row.consistent), _share(row.alarms, row.consistent)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _share(hits: int, total: int) -> str:
    if not total:
        return "-"
    low, high = interval(hits, total)
    return f"{hits / total:.3f} ({low:.3f} to {high:.3f})"


def main(arguments: Sequence[str]) -> None:
    """Write the table, or JSON, to standard output; with ``--errors`` what went wrong too."""
    if "--set" in arguments:
        files = [Path(a) for a in arguments if not a.startswith("--")]
        sys.stdout.write(_table(check_set(f) for f in files) + "\n")
        return
    pairs = minimal_pairs()
    rows = evaluate(pairs)
    if "--json" in arguments:
        sys.stdout.write(json.dumps([r._asdict() for r in rows]) + "\n")
    else:
        sys.stdout.write(_table(rows) + "\n")
    if "--errors" in arguments:
        for pair in pairs:
            found = check(pair)
            # Held-out passages stay unread.
            if bool(found) == pair.consistent and not pair.held_out:
                said = "; ".join(m.message for m in found) or "nothing found"
                sys.stdout.write(f"{pair.id}: {pair.claim} [{said}]\n")


if __name__ == "__main__":
    main(sys.argv[1:])
