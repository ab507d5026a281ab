"""Pairs that were written for this project: claims as language models and people word them.

Each text file in ``written/`` is a domain, and holds documents with an empty line between them::

    # topic
    A: a passage, on one line
    B: a second passage on the same subject, with other facts; up to H
    EC a claim that A entails (E) and B contradicts (C)
    NE a claim that A leaves open (N) and B entails

Every claim stands against every passage, mostly with another label, so that no claim tells its
label by itself. One document in ten is kept aside and never trained on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from verifiers.training.data import Label, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).parent / "written"
PREFIX: Final = "written_"
KEPT_ASIDE: Final = 10

_LETTERS: Final = "ABCDEFGH"
_LABELS: Final[dict[str, Label]] = {"E": "entailment", "N": "neutral", "C": "contradiction"}
_PASSAGE: Final = re.compile(r"([A-H]): +(\S.*)")
_CLAIM: Final = re.compile(r"([ENC]+) +(\S.*)")


@dataclass(frozen=True, slots=True)
class Document:
    """Passages on one subject, and claims with their labels against each.

    Attributes:
        topic: What it is about; names the document.
        passages: The texts ``A``, ``B`` and so on, two at least.
        claims: Each claim with its labels, one a passage.
    """

    topic: str
    passages: tuple[str, ...]
    claims: tuple[tuple[tuple[Label, ...], str], ...]

    def rows(self, dataset: str) -> Iterator[Row]:
        """Its labelled pairs: claims against passages.

        Neutral ones are at most as many as the others: what is left out is spread evenly. Most
        passages that a search finds leave a claim open, and a model need not see them all.
        """
        cells = [
            (f"{self.topic}/{number}{letter}", passage, claim, label)
            for number, (labels, claim) in enumerate(self.claims)
            for letter, passage, label in zip(_LETTERS, self.passages, labels, strict=False)
        ]
        neutral = sum(label == "neutral" for *_, label in cells)
        wanted, seen = min(neutral, len(cells) - neutral), 0
        for name, passage, claim, label in cells:
            if label == "neutral":
                seen += 1
                if seen * wanted // neutral == (seen - 1) * wanted // neutral:
                    continue
            yield Row(dataset, passage, claim, label, name)


def read_documents(path: Path) -> Iterator[Document]:
    """The documents of a file, in its order.

    Raises:
        ValueError: At a line that is none of a document's, or at a document that lacks a part;
            says where.
    """
    text = path.read_text(encoding="utf-8")
    number = 1
    for block in text.split("\n\n"):
        if block.strip():
            yield _document(block, path.name, number)
        number += block.count("\n") + 2


def _document(block: str, name: str, number: int) -> Document:
    topic, passages = "", list[str]()
    claims: list[tuple[tuple[Label, ...], str]] = []
    for at, line in enumerate(block.split("\n"), start=number):
        if not line.strip():
            continue
        if line.startswith("# ") and not topic:
            topic = line[2:].strip()
        elif (found := _PASSAGE.fullmatch(line)) and found[1] == _LETTERS[len(passages) :][:1]:
            passages.append(found[2].strip())
        elif (found := _CLAIM.fullmatch(line)) and len(found[1]) == len(passages):
            claims.append((tuple(_LABELS[letter] for letter in found[1]), found[2].strip()))
        else:
            raise ValueError(
                f"{name}:{at}: neither a topic, nor the next passage,"
                " nor a claim with a label for each passage"
            )
    if not (topic and len(passages) > 1 and claims):
        raise ValueError(f"{name}:{number}: a document needs a topic, two passages and claims")
    return Document(topic, tuple(passages), tuple(claims))


def written_rows(folder: Path = FOLDER, *, aside: bool = False) -> Iterator[Row]:
    """All pairs to train on, or those kept aside; ``dataset`` is ``written_`` and the file's name.

    Raises:
        FileNotFoundError: If the folder holds no text file.
        ValueError: At the first line that does not fit.
    """
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no .txt file")
    for path in paths:
        for number, document in enumerate(read_documents(path), start=1):
            if (number % KEPT_ASIDE == 0) == aside:
                yield from document.rows(PREFIX + path.stem)
