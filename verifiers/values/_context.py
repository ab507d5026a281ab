# ruff: noqa: RUF001 - marks of other scripts are meant as written
"""What a value is about: the words around it, and the sentence it stands in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from verifiers.ranking import stem
from verifiers.types import Span
from verifiers.values._lexicon import STOP, SYNONYMS
from verifiers.values._parse import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verifiers.values._model import Value

_TOKEN = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
# A sentence ends at a mark followed by space and no small letter, or at a line break.
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"'”’)\]]*\s+(?=[^a-z\s])|\n+|(?<=[。！？])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|vs|etc|approx|Inc|Ltd|Co|Corp|Jr|Sr|Fig|Jan|Feb|Mar|Apr|Jun|"
    r"Jul|Aug|Sept?|Oct|Nov|Dec|e\.g|i\.e|[A-Z])\.)$"
)
_NEAR = 4
_FALL = 0.2
_OTHER_SIDE = 0.8
_AFTER = 3
_COMPARING = frozenset(
    (  # noqa: SIM905 - easier to read as text
        "more less fewer higher lower times older younger longer shorter taller larger smaller "
        "faster slower later earlier greater ahead behind apart"
    ).split()
)


class Token(NamedTuple):
    """A word with its place in the text."""

    text: str
    stem: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its words and values, in the offsets of the whole text."""

    span: Span
    tokens: tuple[Token, ...]
    values: tuple[Value, ...]
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The words around one value.

    Attributes:
        near: The four nearest content words on either side, each with a weight that falls with
            distance and its side: -1 before, 1 behind.
        after: Content words right behind it: what is counted.
        lead: The word right before it, such as "to" or "in".
        compared: Whether it is a difference: "600 more", "five years older".
    """

    near: Mapping[str, tuple[float, int]]
    after: frozenset[str]
    lead: str
    compared: bool


def tokens(text: str, start: int = 0, end: int | None = None) -> tuple[Token, ...]:
    """Words with offsets, stems folded."""
    stop = len(text) if end is None else end
    return tuple(
        Token(m.group(), _folded(m.group()), m.start(), m.end())
        for m in _TOKEN.finditer(text, start, stop)
    )


def _folded(word: str) -> str:
    """A word's stem; words for one property under one name: a length of 5 m is 5 m long."""
    folded = stem(word.casefold())
    return SYNONYMS.get(folded, folded)


def is_content(token: Token) -> bool:
    """Whether a word says what is talked about."""
    return token.text.casefold() not in STOP and (len(token.text) > 1 or token.text.isupper())


@lru_cache(maxsize=1024)
def sentences(text: str) -> tuple[Sentence, ...]:
    """The sentences of a text with their values."""
    values = parse(text)
    made: list[Sentence] = []
    for span in _split(text):
        inside = tuple(v for v in values if span.contains(v.span))
        words = tokens(text, span.start, span.end)
        content = frozenset(t.stem for t in words if is_content(t) and not _within(t, inside))
        made.append(Sentence(span, words, inside, content))
    return tuple(made)


def _split(text: str) -> list[Span]:
    spans: list[Span] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if match.start() <= start or (
            "\n" not in match.group()
            and _ABBREVIATION.search(text[max(0, match.start() - 8) : match.start()])
        ):
            continue
        spans.append(Span(start, match.start()))
        start = match.end()
    if start < len(text):
        spans.append(Span(start, len(text)))
    return [s for s in spans if text[s.start : s.end].strip()]


def _within(token: Token, values: tuple[Value, ...]) -> bool:
    return any(v.span.start <= token.start and token.end <= v.span.end for v in values)


def likeness(one: Surroundings, other: Surroundings) -> tuple[int, float]:
    """How many words two places share, and how near they stand: less on the other side."""
    total = 0.0
    shared = one.near.keys() & other.near.keys()
    for word in shared:
        (a, here), (b, there) = one.near[word], other.near[word]
        total += min(a, b) * (1.0 if here == there else _OTHER_SIDE)
    return len(shared), total


def surroundings(sentence: Sentence, value: Value, text: str) -> Surroundings:
    """The words around a value of a sentence."""
    before = [t for t in sentence.tokens if t.end <= value.span.start]
    after = [t for t in sentence.tokens if t.start >= value.span.end]
    content = [
        [t.stem for t in side if is_content(t) and not _within(t, sentence.values)]
        for side in (before, after)
    ]
    near: dict[str, tuple[float, int]] = {}
    for words, side in ((reversed(content[0]), -1), (content[1], 1)):
        for distance, word in enumerate(list(words)[:_NEAR]):
            weight = 1 - _FALL * distance
            if weight > near.get(word, (0.0, 0))[0]:
                near[word] = (weight, side)
    tail = after[0].text.casefold() if after else ""
    counted: list[str] = []
    at = value.span.end
    for token in after[:_AFTER]:
        if re.search(r"[^\s-]", text[at : token.start]) or _within(token, sentence.values):
            break
        at = token.end
        if is_content(token):
            counted.append(token.stem)
        elif counted or token.text.casefold() not in {"of", "more", "other", "such"}:
            break
    return Surroundings(
        near=near,
        after=frozenset(counted),
        lead=before[-1].text.casefold() if before else "",
        compared=tail in _COMPARING,
    )
