"""How much of a labelled set stands in the training data: runs of words that both have."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import chain, product
from typing import TYPE_CHECKING, Any, Final

from verifiers.training.data import read_rows
from verifiers.training.evaluate import read_grounding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

RUN: Final = 8
# Set, row, and which of its texts.
_Text = tuple[int, int, str]
_WORD: Final = re.compile(r"\w+")


def runs(text: str, *, size: int = RUN) -> Iterator[str]:
    """Each ``size`` words in a row, lower case, without punctuation; a shorter text as a whole."""
    words = _WORD.findall(text.lower())
    for start in range(max(1, len(words) - size + 1)):
        if words:
            yield " ".join(words[start : start + size])


def overlap(
    data: Iterable[Path], sets: Sequence[Path], *, size: int = RUN
) -> Iterator[dict[str, Any]]:
    """Rows of each labelled set whose claim, and whose source, shares a run of words with the data.

    A run is found wherever it stands in a training pair. Runs of fewer words than ``size`` are
    whole texts, and are found as whole texts only.

    Args:
        data: Training pairs, JSON lines.
        sets: Labelled sets: JSON lines with source, claim and label.
        size: Words in a run.

    Yields:
        ``set``, ``rows`` (those that have a source), ``claims`` and ``sources``: how many of the
        rows' texts share one.

    Raises:
        ValueError: At a size below 1, or a line that does not fit.
    """
    if size < 1:
        raise ValueError(f"a run has one word at least, not {size}")
    sizes, owners = _owners(sets, size)
    found: set[_Text] = set()
    for pair in (row for path in data for row in read_rows(path)):
        for run in chain(runs(pair.premise, size=size), runs(pair.hypothesis, size=size)):
            if run in owners:
                found.update(owners.pop(run))
    for number, path in enumerate(sets):
        hits = [key for place, _, key in found if place == number]
        yield {
            "set": path.name.partition(".")[0],
            "rows": sizes[number],
            "claims": hits.count("claim"),
            "sources": hits.count("source"),
        }


def _owners(sets: Sequence[Path], size: int) -> tuple[list[int], dict[str, list[_Text]]]:
    """Rows of each set, and which of their texts have a run."""
    owners: dict[str, list[_Text]] = defaultdict(list)
    sizes = []
    for number, path in enumerate(sets):
        rows = read_grounding(path, sample=None)
        sizes.append(len(rows))
        for (at, row), key in product(enumerate(rows), ("claim", "source")):
            for run in runs(row[key], size=size):
                owners[run].append((number, at, key))
    return sizes, owners
