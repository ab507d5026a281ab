"""Labelled answers with samples of them, read from JSONL."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from verifiers.consistency import Sample
from verifiers.errors import BenchDataInvalid
from verifiers.types import Claim, ClaimKind, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

# What an annotated sentence is worth, as in the paper.
_GRADES = {"accurate": 0.0, "minor_inaccurate": 0.5, "major_inaccurate": 1.0}


@dataclass(frozen=True, slots=True)
class Labelled:
    """One sentence of an answer and what people said of it.

    Attributes:
        wrong: Human score of being wrong, in [0, 1].
    """

    claim: Claim
    supported: bool
    wrong: float
    baselines: Mapping[str, float]


@dataclass(slots=True)
class Answer:
    """An answer, its labelled sentences, and samples of it."""

    group: str
    text: str
    question: str | None
    samples: tuple[Sample, ...]
    sentences: list[Labelled] = field(default_factory=list)


def read_answers(path: Path, samples: Path | None = None) -> list[Answer]:
    """The answers of a labelled file, in its order.

    Raises:
        BenchDataInvalid: If a line cannot be read or a question has no samples.
    """
    apart: dict[str, list[Sample]] = {}
    for row in _rows(samples) if samples is not None else ():
        apart.setdefault(row["question"], []).append(Sample(row["text"]))
    answers: dict[str, Answer] = {}
    for number, row in enumerate(_rows(path), start=1):
        try:
            question = row.get("question")
            group = str(row.get("group") or question)
            if group not in answers:
                own = (
                    tuple(Sample(text) for text in row["samples"])
                    if "samples" in row
                    else tuple(apart.get(str(question), ()))
                )
                text = row.get("passage") or row.get("response") or row["claim"]
                answers[group] = Answer(group, text, question, own)
            answer, text = answers[group], row["claim"]
            span = Span(0, len(text))
            name = f"c{len(answer.sentences) + 1}"
            supported = {"supported": True, "unsupported": False}[row["label"]]
            answer.sentences.append(
                Labelled(
                    Claim(name, span, text, ClaimKind.SENTENCE, span, text),
                    supported,
                    _GRADES.get(row.get("fine_label", ""), float(not supported)),
                    row.get("baselines") or {},
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BenchDataInvalid(
                f"line {number} of {path.name} cannot be read ({error}); nothing was measured.",
                hint="It needs claim, label, and a group or question.",
            ) from None
    return [answer for answer in answers.values() if answer.samples]


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    opened: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def open_half(group: str) -> bool:
    """Whether a group was looked at while the form of the score was chosen."""
    return hashlib.blake2b(group.encode(), digest_size=2).digest()[1] % 2 == 0
