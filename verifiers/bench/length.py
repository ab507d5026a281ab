"""Does a long source hide what supports a claim?: ``python -m verifiers.bench.length FILE...``.

Takes labelled claims with short sources (see :mod:`verifiers.bench.items`) and plants each source,
as it is, at the start, in the middle and at the end of other text, so that the whole has a given
number of words. The other text is sources of other rows with no rare word of the claim's, in an
order that depends on the claim, the same for all lengths (a longer text begins as a shorter one
does). Each claim is checked with the whole path.

A table tells, for each length and position: balanced accuracy at ``--threshold`` and AUROC of the
least supported claim, ``found`` (the share of items of which some planted text was read for every
claim), windows read and the share of windows they are. A position effect is the difference between
positions at one length; a cliff is a drop from one length to the next.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from verifiers.aggregate import clean_support
from verifiers.bench.items import read_items
from verifiers.bench.metrics import auroc, balanced_accuracy
from verifiers.ranking import tokenise
from verifiers.types import Scored, Source, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verifiers.bench.items import Item
    from verifiers.pipeline import Verifier
    from verifiers.types import Verification

Position = Literal["alone", "start", "middle", "end"]
POSITIONS: Final[tuple[Position, ...]] = ("start", "middle", "end")
LENGTHS: Final = (100, 500, 2_000, 10_000, 50_000)
_MOST_WORDS: Final = 60
# A word in fewer of the texts than this share tells what a text is about.
_RARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Row:
    """One length and position.

    Attributes:
        words: Of the source, about; 0 for the planted text alone.
        position: Where the planted text stands.
        items: How many claims were checked.
        balanced_accuracy: At the threshold.
        auroc: Of the least supported claim of each item.
        found: The share of items of which some of the planted text was read for each claim.
        read: Windows read, mean over claims.
        share: Windows read of all windows, mean over claims.
    """

    words: int
    position: Position
    items: int
    balanced_accuracy: float
    auroc: float
    found: float
    read: float
    share: float


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


def measure(
    items: Sequence[Item],
    verifier: Verifier,
    haystack: Haystack,
    *,
    words: int,
    position: Position,
    threshold: float,
    progress: Callable[[], object] = lambda: None,
) -> Row:
    """Check every item with its source planted in about ``words`` words."""
    scores: list[float] = []
    found: list[bool] = []
    read: list[tuple[int, int]] = []
    for item in items:
        own = sum(len(source.split()) for source in item.sources)
        others = haystack.others(item, words - own) if words > own else []
        text, span = planted(item, others, position)
        verification = verifier.verify(
            item.text, sources=[Source("s", text)], question=item.question
        )
        outcomes = _scored(verification)
        scores.append(min((clean_support(outcome) for outcome in outcomes), default=1.0))
        found.append(all(any(w.window.overlaps(span) for w in o.windows) for o in outcomes))
        read += [(o.coverage.windows_read, o.coverage.windows_total) for o in outcomes]
        progress()
    values, labels = np.array(scores), np.array([item.supported for item in items])
    return Row(
        words,
        position,
        len(items),
        balanced_accuracy(values, labels, threshold),
        auroc(values, labels),
        sum(found) / len(found),
        sum(some for some, _ in read) / len(read),
        sum(some / total for some, total in read) / len(read),
    )


def _scored(verification: Verification) -> list[Scored]:
    return [a.outcome for a in verification.assessments if isinstance(a.outcome, Scored)]


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
    parser.add_argument("--json", action="store_true", help="write JSON instead of a table")
    return parser.parse_args(arguments)


def shown(rows: Sequence[Row]) -> str:
    """A table for people."""
    lines = ["| words | position | balanced accuracy | AUROC | found | windows read | of all |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    lines += [
        f"| {row.words or 'as it is'} | {row.position} | {row.balanced_accuracy:.3f} | "
        f"{row.auroc:.3f} | {row.found:.3f} | {row.read:.1f} | {row.share:.3f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the bundled model and print."""
    from verifiers.backends import ModelSpec, batch_tokens, load_scorer
    from verifiers.cache import MemoryCache
    from verifiers.claims import make_extractor
    from verifiers.engine import NLIEngine
    from verifiers.pipeline import Verifier

    options = parse(arguments)
    items, haystack = chosen(options.files, options.limit, options.seed)
    cells: list[tuple[int, Position]] = [(0, "alone")]
    cells += [(words, position) for words in options.lengths for position in POSITIONS]
    done = 0

    def progress() -> None:
        nonlocal done
        done += 1
        if sys.stderr.isatty() or done % len(items) == 0:
            sys.stderr.write(f"\r{done} of {len(cells) * len(items)} checks")

    spec = ModelSpec()
    engine = NLIEngine(
        partial(load_scorer, spec),
        cache=MemoryCache(1_000_000),
        max_batch_tokens=batch_tokens(spec),
    )
    with Verifier(extractor=make_extractor(), engine=engine) as verifier:
        rows = [
            measure(
                items,
                verifier,
                haystack,
                words=words,
                position=position,
                threshold=options.threshold,
                progress=progress,
            )
            for words, position in cells
        ]
    engine.close()
    sys.stderr.write("\n")
    told = [asdict(row) for row in rows]
    sys.stdout.write(json.dumps(told, indent=2) + "\n" if options.json else shown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
