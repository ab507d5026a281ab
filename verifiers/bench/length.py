"""Does a long source hide what supports a claim?: ``python -m verifiers.bench.length FILE...``.

Takes labelled claims with short sources (see :mod:`verifiers.bench.items`) and plants each source,
as it is, at the start, in the middle and at the end of other text, so that the whole has a given
number of words. The other text is sources of other rows with no rare word of the claim's, in an
order that depends on the claim, the same for all lengths (a longer text begins as a shorter one
does). Each claim is checked with the whole path, the same claims at every length and position, so
that differences are paired.

That other text neither supports nor contradicts is not taken for granted: ``strayed`` tells of how
many claims it decided without the planted text. Scores are kept in a file, so that a run that was
stopped scores nothing twice.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from verifiers.aggregate import clean_support
from verifiers.bench.items import read_items
from verifiers.bench.length_figure import figure
from verifiers.bench.length_rows import (
    LENGTHS,
    POSITIONS,
    Cell,
    Checked,
    Estimate,
    Position,
    differences,
    row_of,
    shown,
)
from verifiers.bench.specs import parse_evidence
from verifiers.ranking import tokenise
from verifiers.types import Scored, Source, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verifiers.bench.items import Item
    from verifiers.pipeline import Verifier
    from verifiers.types import Verification

_MOST_WORDS: Final = 60
# A word in fewer of the texts than this share tells what a text is about.
_RARE: Final = 0.01
# From this contradiction on a claim counts as contradicted by other text.
_AGAINST: Final = 0.5
# One claim is cut and ranked while another is scored.
_AT_ONCE: Final = 2


class Haystack:
    """Other text to hide a source in."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Take texts; each is used whole."""
        self._texts = list(dict.fromkeys(texts))
        self._terms = [frozenset(tokenise(text)) for text in self._texts]
        counts: dict[str, int] = {}
        for terms in self._terms:
            for term in terms:
                counts[term] = counts.get(term, 0) + 1
        most = max(1.0, _RARE * len(self._texts))
        self._rare = {term for term, count in counts.items() if count <= most}

    def others(self, item: Item, words: int) -> list[str]:
        """Texts of at least ``words`` words together that are about something else.

        Raises:
            ValueError: If there are too few.
        """
        about = {t for t in tokenise(f"{item.text} {' '.join(item.sources)}") if t in self._rare}
        order = list(range(len(self._texts)))
        random.Random(item.digest).shuffle(order)  # noqa: S311 - repeatable, not secret
        kept: list[str] = []
        written = 0
        for place in order:
            if written >= words:
                return kept
            if not about & self._terms[place]:
                kept.append(self._texts[place])
                written += len(self._texts[place].split())
        if written < words:
            raise ValueError(f"{written} words of other text are not the {words} asked for")
        return kept


def planted(item: Item, others: Sequence[str], position: Position) -> tuple[str, Span]:
    """The item's source among others, and where it stands."""
    own = " ".join(item.sources)
    place = {"alone": 0, "start": 0, "middle": len(others) // 2, "end": len(others)}[position]
    before = "".join(f"{text}\n" for text in others[:place])
    after = "".join(f"\n{text}" for text in others[place:])
    return f"{before}{own}{after}", Span(len(before), len(before) + len(own))


def check(
    item: Item, verifier: Verifier, haystack: Haystack, cell: Cell, *, threshold: float
) -> Checked:
    """Check one item with its source planted in about as many words as the cell says."""
    words, position = cell
    own = sum(len(source.split()) for source in item.sources)
    others = haystack.others(item, words - own) if words > own else []
    text, span = planted(item, others, position)
    outcomes = _scored(
        verifier.verify(item.text, sources=[Source("s", text)], question=item.question)
    )
    return Checked(
        support=min((clean_support(outcome) for outcome in outcomes), default=1.0),
        found=all(any(w.window.overlaps(span) for w in o.windows) for o in outcomes),
        whole=all(_covered(span, [w.window for w in o.windows]) for o in outcomes),
        strayed=any(_strayed(outcome, span, threshold) for outcome in outcomes),
        read=(
            sum(o.coverage.windows_read for o in outcomes),
            sum(o.coverage.windows_total for o in outcomes),
        ),
    )


def _scored(verification: Verification) -> list[Scored]:
    return [a.outcome for a in verification.assessments if isinstance(a.outcome, Scored)]


def _covered(span: Span, windows: Sequence[Span]) -> bool:
    reached = span.start
    for window in sorted(windows):
        # Between sentences there is a space that no window holds.
        if window.start <= reached + 1:
            reached = max(reached, window.end)
    return reached >= span.end


def _strayed(outcome: Scored, span: Span, threshold: float) -> bool:
    """Whether windows without a character of the planted text decide, and those with one do not."""

    def most(kind: str, *, own: bool) -> float:
        return max(
            (
                float(getattr(w.probs, kind))
                for w in outcome.windows
                if w.window.overlaps(span) is own
            ),
            default=0.0,
        )

    return any(
        most(kind, own=False) >= least > most(kind, own=True)
        for kind, least in (("entailment", threshold), ("contradiction", _AGAINST))
    )


def chosen(files: Sequence[Path], limit: int, seed: int) -> tuple[list[Item], Haystack]:
    """The items to measure, half of each label, and what to hide them in."""
    items: list[Item] = []
    texts: list[str] = []
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for path in files:
        known = read_items(path)
        texts += [source for item in known for source in item.sources]
        short = [
            item
            for item in known
            if item.sources and sum(len(s.split()) for s in item.sources) <= _MOST_WORDS
        ]
        for label in (True, False):
            of = [item for item in short if item.supported is label]
            items += chance.sample(of, min(limit // 2, len(of)))
    return items, Haystack(texts)


def measure(
    items: Sequence[Item],
    verifier: Verifier,
    haystack: Haystack,
    cells: Sequence[Cell],
    *,
    threshold: float,
    progress: Callable[[], object] = lambda: None,
) -> dict[Cell, list[Checked]]:
    """Check every item in every cell."""

    def one(cell: Cell, item: Item) -> Checked:
        checked = check(item, verifier, haystack, cell, threshold=threshold)
        progress()
        return checked

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return {cell: list(pool.map(partial(one, cell), items)) for cell in cells}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m verifiers.bench.length",
        description="Accuracy and coverage by the length of the source and where the text stands.",
    )
    parser.add_argument("files", nargs="+", type=Path, help="labelled JSONL with short sources")
    parser.add_argument("--limit", type=int, default=100, help="items a file (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    parser.add_argument("--threshold", type=float, default=0.5, help="of support (0.5)")
    parser.add_argument(
        "--lengths",
        type=lambda text: [int(part) for part in text.split(",")],
        default=list(LENGTHS),
        help="words of the whole source (100,500,2000,10000,50000)",
    )
    parser.add_argument("--model", default="bundled", help="as in the settings (bundled)")
    parser.add_argument(
        "--evidence",
        metavar="KEY=VALUE,...",
        default="",
        help="settings of evidence, such as unsure=1 (as usual)",
    )
    parser.add_argument("--scores", type=Path, help="file to keep scores in, to go on from")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here, too")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the figure here, too")
    options = parser.parse_args(arguments)
    try:
        options.evidence = parse_evidence(options.evidence)
    except ValueError as exc:
        parser.error(str(exc))
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a model with the whole path and print."""
    from verifiers.backends import ModelSpec, batch_tokens, load_scorer
    from verifiers.bench.scores import FileScores
    from verifiers.cache import MemoryCache
    from verifiers.claims import make_extractor
    from verifiers.engine import NLIEngine
    from verifiers.pipeline import Verifier

    options = parse(arguments)
    items, haystack = chosen(options.files, options.limit, options.seed)
    cells: list[Cell] = [(0, "alone")]
    cells += [(words, position) for words in options.lengths for position in POSITIONS]
    spec = ModelSpec(model=options.model)
    cache = MemoryCache(1_000_000) if options.scores is None else FileScores(options.scores)
    engine = NLIEngine(partial(load_scorer, spec), cache=cache, max_batch_tokens=batch_tokens(spec))
    with Verifier(extractor=make_extractor(), engine=engine, evidence=options.evidence) as verifier:
        info = verifier.info
        done = measure(
            items,
            verifier,
            haystack,
            cells,
            threshold=options.threshold,
            progress=_Progress(len(cells) * len(items)),
        )
    engine.close()
    labels = np.array([item.supported for item in items])
    rows = [row_of(cell, labels, done[cell], options.threshold) for cell in cells]
    found = differences(labels, done, options.threshold)
    if options.json is not None:
        told = {
            "model": info.name,
            "revision": info.revision,
            "form": info.form,
            "files": [path.name for path in options.files],
            "items": len(items),
            "seed": options.seed,
            "threshold": options.threshold,
            "evidence": asdict(options.evidence),
            "rows": [asdict(row) for row in rows],
            "differences": [asdict(difference) for difference in found],
        }
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if options.svg is not None:
        points: dict[tuple[int, str], tuple[Estimate, float]] = {
            (row.words, row.position): (row.balanced_accuracy, row.found) for row in rows
        }
        options.svg.write_text(figure(points), encoding="utf-8")
    sys.stdout.write(shown(rows, found))
    return 0


class _Progress:
    """Says on stderr how far it is and how long it will take."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._told = total, 0, 0.0
        self._began = time.monotonic()

    def __call__(self) -> None:
        self._done += 1
        now = time.monotonic()
        often = 1.0 if sys.stderr.isatty() else 30.0
        if now - self._told >= often or self._done == self._total:
            self._told = now
            left = (now - self._began) / self._done * (self._total - self._done)
            end = "\n" if self._done == self._total or not sys.stderr.isatty() else "\r"
            sys.stderr.write(f"{self._done} of {self._total} checks, {left:.0f} s left{end}")


if __name__ == "__main__":
    sys.exit(main())
