"""What a short answer states: its numbers, dates and names, in a form that can be compared.

The mismatch rules ask what differs *in one place*; here it is only asked what is stated at all, so
that answers to one question can be put together by what they say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from verifiers.values._compare import Relation, relate
from verifiers.values._context import is_content, sentences, tokens
from verifiers.values._lexicon import NEGATION
from verifiers.values._names import name_runs
from verifiers.values._parse import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verifiers.values._model import Value

# An answer without a number or a name is still a short one up to so many content words: "blue".
_SHORT = 5


class Stated(Enum):
    """What a text does with a fact of another."""

    SAME = "same"
    OTHER = "other"  # it has another value of the kind in its place
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing a text states.

    Attributes:
        key: Equal for equal values, whatever their format: ``5 km`` and ``5000 m``.
        value: The number or date, or None for a name or a word.
        words: Stems of a name, or of the words of a short answer.
    """

    key: str
    value: Value | None
    words: frozenset[str] = frozenset()


def facts(text: str, *, known: str = "") -> tuple[Fact, ...]:
    """The facts ``text`` states beyond ``known``, in order, each once.

    Numbers, dates and identifiers, then names. Where there is neither, the words of a text of few
    words are one fact. Empty for a longer text without any: it is no short factual answer.

    Args:
        text: What to read.
        known: What was given, such as the question: its values and names state nothing new.
    """
    given = parse(known)
    values = [
        value for value in parse(text) if not any(relate(value, g) is Relation.SAME for g in given)
    ]
    found = [Fact(_key(value), value) for value in values]
    said = frozenset(token.stem for token in tokens(known))
    found += [_named(words) for words in _names(text, said)]
    if not found:
        words = _content(text) - said
        if 0 < len(words) <= _SHORT:
            found.append(_named(words))
    return tuple({fact.key: fact for fact in found}.values())


def stated(fact: Fact, text: str) -> Stated:
    """Whether ``text`` states the fact too, or another in its place."""
    if fact.value is not None:
        relations = {relate(fact.value, value) for value in parse(text)}
        if Relation.SAME in relations:
            return Stated.SAME
        return Stated.OTHER if Relation.DIFFERENT in relations else Stated.ABSENT
    here, others = _worded(text)
    if fact.words <= here:
        return Stated.SAME
    touching = [name for name in others if name & fact.words]
    # "Obama" stands for "Barack Obama"; "Michelle Obama" does not.
    if fact.words & here and all(name <= fact.words for name in touching):
        return Stated.SAME
    return Stated.OTHER if others else Stated.ABSENT


def negated(text: str) -> bool:
    """Whether the text says that something is not so."""
    return NEGATION.search(text) is not None


def _named(words: frozenset[str]) -> Fact:
    return Fact("name:" + " ".join(sorted(words)), None, words)


def _names(text: str, said: frozenset[str]) -> Iterator[frozenset[str]]:
    for name in _worded(text)[1]:
        words = name - said
        if words:
            yield words


# One sample is asked for each fact of each claim.
@lru_cache(maxsize=1024)
def _worded(text: str) -> tuple[frozenset[str], tuple[frozenset[str], ...]]:
    """The stems of a text, and those of each name in it."""
    names = (run for sentence in sentences(text) for run in name_runs(sentence, text))
    return (
        frozenset(token.stem for token in tokens(text)),
        tuple(frozenset(token.stem for token in run) for run in names),
    )


def _content(text: str) -> frozenset[str]:
    return frozenset(token.stem for token in tokens(text) if is_content(token))


def _key(value: Value) -> str:
    parts: Sequence[object]
    if value.day is not None:
        day = value.day
        parts = (day.year, day.month, day.day, day.weekday, day.quarter, day.until)
    elif value.code:
        parts = (value.code,)
    else:
        parts = (value.unit, f"{value.amount:.6g}")
    return ":".join([value.kind.value, *("" if part is None else str(part) for part in parts)])
