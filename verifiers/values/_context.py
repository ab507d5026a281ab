# ruff: noqa: RUF001 - marks of other scripts are meant as written
"""What a value is about: the words around it, and the sentence it stands in."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from verifiers.ranking import stem
from verifiers.types import Span
from verifiers.values._lexicon import STOP, SYNONYMS
from verifiers.values._parse import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.values._model import Value

_TOKEN = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
# A sentence ends at a mark followed by space and no small letter, or at a line break.
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"'”’)\]]*\s+(?=[^a-z\s])|\n+|(?<=[。！？])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|vs|etc|approx|Inc|Ltd|Co|Corp|Jr|Sr|Fig|Jan|Feb|Mar|Apr|Jun|"
    r"Jul|Aug|Sept?|Oct|Nov|Dec|e\.g|i\.e|[A-Z])\.)$"
)
_POSSESSIVE = re.compile(r"['’]s$")
_NEAR = 4
# Content words further off say nothing about a value.
_REACH = 24
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
    valued: frozenset[int]  # where the tokens inside values start


class Case(NamedTuple):
    """A claim of one sentence, and the evidence it is held against.

    Attributes:
        claim_text: The claim as it stands.
        claim: Its one sentence.
        words: Stems of what it is about.
        read: The sentences of the evidence.
        evidence: Its text.
    """

    claim_text: str
    claim: Sentence
    words: frozenset[str]
    read: Sequence[Sentence]
    evidence: str


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
    folded = stem(_POSSESSIVE.sub("", word.casefold()))
    return SYNONYMS.get(folded, folded)


def is_content(token: Token) -> bool:
    """Whether a word says what is talked about."""
    return token.text.casefold() not in STOP and (len(token.text) > 1 or token.text.isupper())


def sentences(text: str) -> tuple[Sentence, ...]:
    """The sentences of a text with their values."""
    return _remembered(text) if len(text) <= _REMEMBERED else _read(text)


_REMEMBERED = 8192


@lru_cache(maxsize=1024)
def _remembered(text: str) -> tuple[Sentence, ...]:
    return _read(text)


def _read(text: str) -> tuple[Sentence, ...]:
    values = parse(text)
    made: list[Sentence] = []
    at = 0
    for span in _split(text):
        while at < len(values) and values[at].span.start < span.start:
            at += 1
        last = at
        while last < len(values) and values[last].span.end <= span.end:
            last += 1
        inside = values[at:last]
        words = tokens(text, span.start, span.end)
        valued = _inside(words, inside)
        content = frozenset(t.stem for t in words if is_content(t) and t.start not in valued)
        made.append(Sentence(span, words, inside, content, valued))
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


def _inside(words: Sequence[Token], values: Sequence[Value]) -> frozenset[int]:
    """The starts of the words that lie in values; both are in order."""
    found: list[int] = []
    at = 0
    for value in values:
        while at < len(words) and words[at].start < value.span.start:
            at += 1
        while at < len(words) and words[at].end <= value.span.end:
            found.append(words[at].start)
            at += 1
    return frozenset(found)


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
    first = bisect_left(sentence.tokens, value.span.start, key=lambda t: t.start)
    last = bisect_left(sentence.tokens, value.span.end, key=lambda t: t.start)
    before = sentence.tokens[max(0, first - _REACH) : first]
    after = sentence.tokens[last : last + _REACH]
    content = [
        [t.stem for t in side if is_content(t) and t.start not in sentence.valued]
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
        if re.search(r"[^\s-]", text[at : token.start]) or token.start in sentence.valued:
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
