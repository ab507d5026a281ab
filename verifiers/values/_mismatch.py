"""Values of a claim against the values of one piece of evidence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from verifiers.types import MismatchKind, Span
from verifiers.values._compare import Relation, relate
from verifiers.values._context import Sentence, Surroundings, likeness, sentences, surroundings
from verifiers.values._lexicon import NEGATION
from verifiers.values._model import Kind, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

# A sentence is about the same thing when it has this share of the claim's content words ...
_SHARE = 0.5
# ... and, for a date or a lone figure, this one.
_STRICT_SHARE = 0.6
_LEAST_WORDS = 2
_MOST_COUNTS = 12
# What the same leading word ("to", "from", "in") adds beside shared neighbours.
_LEAD = 0.75
# A claim that tells what somebody worked out: "by 100 units", "35 more", "in total".
_RECKONED = re.compile(
    r"\b(?:by|more|fewer|less|(?:added|lost|gained)(?=\s+[\d£$€])|total(?:s|ed|ling)?|altogether|combined|"
    r"together|overall|difference|remain(?:s|ed|ing)?|left|apart|net)\b",
    re.IGNORECASE,
)
_OFTEN = re.compile(r"\b(twice|thrice|two times|three times|four times)\b", re.IGNORECASE)
_TIMES = {"twice": 2, "two times": 2, "thrice": 3, "three times": 3, "four times": 4}
_DERIVED = frozenset({Kind.NUMBER, Kind.MONEY, Kind.DURATION, Kind.MEASURE})
_SAME = 1e-6
# Digits are looked for in groups from here on, and up to so many of them.
_LEAST_GROUPED = 1000
_LONGEST_GROUPED = 40
# Two places whose scores are this near cannot be told apart.
_RIVAL = 0.25


@dataclass(frozen=True, slots=True)
class Difference:
    """A value of a claim and the value that stands in its place in the evidence."""

    kind: MismatchKind
    claim: Span
    evidence: Span
    claim_text: str
    evidence_text: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    value: Value
    source: Value
    sentence: int
    score: float


def differences(
    claim_text: str, claim_values: Sequence[Value], hypothesis: str, evidence: str
) -> list[Difference]:
    """The values of a claim that its evidence states differently.

    Args:
        claim_text: The claim as it stands in the answer.
        claim_values: Its values that count.
        hypothesis: The claim made to stand alone; its words say what it is about.
        evidence: What to compare with.
    """
    if not claim_values or NEGATION.search(claim_text):
        return []
    read = sentences(evidence)
    everywhere = [v for s in read for v in s.values]
    open_values = [
        c
        for c in claim_values
        if not any(relate(c, v) is Relation.SAME for v in everywhere)
        and not _adds_up(c, everywhere)
        and not _derived(c, claim_text, read, evidence)
        and not _grouped(c, everywhere, evidence)
    ]
    if not open_values:
        return []
    words = frozenset(w for s in sentences(hypothesis) for w in s.words)
    words |= frozenset(w for s in sentences(claim_text) for w in s.words)
    if not words:
        return []
    taken = [v for v in everywhere if any(relate(c, v) is Relation.SAME for c in claim_values)]
    found: list[_Candidate] = []
    claim_sentences = sentences(claim_text)
    for value in open_values:
        home = next((s for s in claim_sentences if s.span.contains(value.span)), None)
        if home is None:
            continue
        around = surroundings(home, value, claim_text)
        places = _places(value, around, words, read, evidence)
        best = _clear([p for p in places if p.source not in taken])
        if best is not None:
            found.append(best)
    return [_difference(c) for c in found if not _another_fact(c.sentence, read, claim_values)]


def _adds_up(value: Value, everywhere: Sequence[Value]) -> bool:
    """Whether a count is the sum of two in the evidence: "8 red and 4 black" are 12."""
    if value.kind is not Kind.NUMBER or value.amount <= 1:
        return False
    counts = [v.amount for v in everywhere if v.kind is Kind.NUMBER][:_MOST_COUNTS]
    return any(a + b == value.amount for a, b in combinations(counts, 2))


def _derived(value: Value, claim_text: str, read: Sequence[Sentence], evidence: str) -> bool:
    """Whether an amount is worked out of two that one sentence of the evidence has.

    "From 200 to 300" is a rise by 100, "25 days and 8 days" are 33 in total, "500 mg twice a day"
    is 1 g. Sums and differences only where the claim says that it tells one: among a few figures
    something adds up to nearly anything.
    """
    if value.kind not in _DERIVED or not value.amount:
        return False
    for sentence in read:
        like = [v.amount for v in sentence.values if v.kind is value.kind and v.unit == value.unit]
        if value.kind is Kind.DURATION:  # "25 days and 8 holidays"
            size = value.amount / value.written if value.written else 0.0
            like += [v.amount * size for v in sentence.values if v.kind is Kind.NUMBER]
        del like[_MOST_COUNTS:]
        made = [
            a * _TIMES[t.lower()] for a in like for t in _OFTEN.findall(sentence.span.of(evidence))
        ]
        if _RECKONED.search(claim_text):
            pairs = list(combinations(like, 2))
            made += [abs(a - b) for a, b in pairs] + [a + b for a, b in pairs]
        if any(abs(value.amount - one) <= _SAME * value.amount for one in made):
            return True
    return False


def _grouped(value: Value, everywhere: Sequence[Value], evidence: str) -> bool:
    """Whether the evidence writes the same digits in groups: 12 345, DE89 3704 0044."""
    if value.kind is Kind.IDENTIFIER:
        digits = value.code
    elif any(v.written == value.written for v in everywhere):
        return False  # read as it is, and something else: 1,200 of another currency
    elif value.written >= _LEAST_GROUPED and float(value.written).is_integer():
        digits = str(int(value.written))
    else:
        return False
    if len(digits) > _LONGEST_GROUPED:
        return False
    spaced = r"[ ._/-]?".join(map(re.escape, digits))
    return re.search(rf"(?<!\w){spaced}(?!\w)", evidence, re.IGNORECASE) is not None


def _places(
    value: Value,
    around: Surroundings,
    words: frozenset[str],
    read: Sequence[Sentence],
    evidence: str,
) -> list[_Candidate]:
    """The values that may stand in the claim's place and differ from it."""
    found: list[_Candidate] = []
    for number, sentence in enumerate(read):
        share = _share(words, read, number)
        if share < (_STRICT_SHARE if value.kind in {Kind.DATE, Kind.TIME} else _SHARE):
            continue
        for other in sentence.values:
            if relate(value, other) is not Relation.DIFFERENT:
                continue
            score = _likeness(value, around, other, surroundings(sentence, other, evidence))
            if score > 0:
                found.append(_Candidate(value, other, number, score + share))
    return found


def _clear(candidates: Sequence[_Candidate]) -> _Candidate | None:
    """The best of several places; None when another value stands in one nearly as good."""
    ranked = sorted(candidates, key=lambda c: (-c.score, c.source.span))
    if not ranked:
        return None
    if ranked[0].value.kind is Kind.IDENTIFIER:
        return max(ranked, key=lambda c: _alike(c.value.code, c.source.code))
    rivals = [c for c in ranked[1:] if c.score >= ranked[0].score - _RIVAL]
    if any(relate(ranked[0].source, c.source) is not Relation.SAME for c in rivals):
        return None
    return ranked[0]


def _alike(one: str, other: str) -> int:
    """How many places of two identifiers agree: the nearest is shown."""
    return sum(a == b for a, b in zip(one, other, strict=False))


def _share(words: frozenset[str], read: Sequence[Sentence], number: int) -> float:
    """How much of the claim a sentence talks about; with the one before where it leans on it."""
    sentence = read[number]
    here = words & sentence.words
    if not here:
        return 0.0
    if number:
        here |= words & read[number - 1].words
    if len(here) < min(_LEAST_WORDS, len(words)):
        return 0.0
    return len(here) / len(words)


def _likeness(value: Value, around: Surroundings, other: Value, there: Surroundings) -> float:
    """How surely two values stand in one place; 0 when nothing says so."""
    shared, near = likeness(around, there)
    if around.compared != there.compared:
        return 0.0
    if value.kind in {Kind.NUMBER, Kind.ORDINAL}:
        if around.after and there.after:
            if not around.after & there.after:
                return 0.0
        elif shared < _LEAST_WORDS or bool(around.after) != bool(there.after):
            return 0.0
    elif shared < (1 if value.kind is not Kind.DATE or around.lead == there.lead else _LEAST_WORDS):
        return 0.0
    if value.unit == "age" or other.unit == "age":
        near += value.unit == other.unit
    # The same figure under another unit is the likeliest slip of all.
    if value.written == other.written and value.written:
        near += 1
    lead = _LEAD if around.lead and around.lead == there.lead else 0.0
    return near + len(around.after & there.after) + lead


def _another_fact(number: int, read: Sequence[Sentence], claim_values: Sequence[Value]) -> bool:
    """Whether a sentence differs from the claim in two values or more and agrees in none.

    Then it reports something else (another year, another product), not the same thing otherwise.
    """
    differing = agreeing = 0
    ranges: set[tuple[float, float]] = set()
    for value in claim_values:
        if value.inside is not None and value.inside in ranges:
            continue  # both ends of a range are one statement
        if value.inside is not None:
            ranges.add(value.inside)
        relations = {relate(value, v) for v in read[number].values}
        if Relation.SAME in relations:
            agreeing += 1
        elif Relation.DIFFERENT in relations:
            differing += 1
    return differing > 1 and not agreeing


_KINDS = {
    Kind.NUMBER: MismatchKind.NUMBER,
    Kind.PERCENT: MismatchKind.PERCENT,
    Kind.POINTS: MismatchKind.PERCENT,
    Kind.FRACTION: MismatchKind.PERCENT,
    Kind.MONEY: MismatchKind.CURRENCY,
    Kind.DATE: MismatchKind.DATE,
    Kind.TIME: MismatchKind.DATE,
    Kind.DURATION: MismatchKind.DURATION,
    Kind.MEASURE: MismatchKind.NUMBER,
    Kind.ORDINAL: MismatchKind.ORDINAL,
    Kind.IDENTIFIER: MismatchKind.IDENTIFIER,
}


def _difference(candidate: _Candidate) -> Difference:
    claim, source = candidate.value, candidate.source
    kind = _KINDS[claim.kind]
    if claim.inside is not None and source.inside is not None:
        kind = MismatchKind.RANGE
    elif {claim.kind, source.kind} == {Kind.PERCENT, Kind.POINTS} or (
        claim.kind is Kind.MEASURE and claim.written == source.written
    ):
        kind = MismatchKind.UNIT
    return Difference(kind, claim.span, source.span, claim.text, source.text)
