"""Directions, names and quotations that a sentence of the evidence gives differently."""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from verifiers.types import MismatchKind, Span
from verifiers.values._context import (
    Case,
    Sentence,
    Token,
    sentences,
    tokens,
)
from verifiers.values._lexicon import NEGATION
from verifiers.values._mismatch import Difference
from verifiers.values._names import names, swap
from verifiers.values._polarity import polarity
from verifiers.values._roles import roles

if TYPE_CHECKING:
    from collections.abc import Sequence

# Words that point one way, and those that point the other. Word pairs that also swap who does it
# to whom (win and lose, buy and sell) are left to the model.
# fmt: off
_AXES: tuple[tuple[str, str], ...] = (
    (
        ("rise rises rose risen rising increase increases increased increasing grow grows grew "
        "grown growing climb climbs climbed climbing gain gained jump jumped surge surged soared"),
        ("fall falls fell fallen falling decrease decreases decreased decreasing decline declines "
        "declined declining drop drops dropped dropping shrink shrank shrunk dip dipped plunged "
        "slumped slipped reduced lowered"),
    ),
    ("more higher greater", "less lower fewer"),
    ("increase raise raised raises expand expanded", "reduce reduced lower cut cuts decrease"),
    ("maximum most", "minimum least"),
    ("highest largest biggest longest oldest tallest", "lowest smallest shortest youngest"),
    ("above over", "below under"),
    ("before", "after"),
    ("north northern", "south southern"),
    ("east eastern", "west western"),
    ("earlier", "later"),
    ("open opens opened", "close closes closed"),
    ("first", "last"),
    ("allowed permitted allows permits", "forbidden prohibited forbids prohibits banned"),
    ("accepted approved approve accept", "rejected reject refused"),
    ("mandatory compulsory required", "optional voluntary"),
    ("enabled enable", "disabled disable"),
    ("import imports imported", "export exports exported"),
    ("inside", "outside"),
    ("upper", "lower"),
    ("warmer hotter", "colder cooler"),
    ("faster quicker", "slower"),
    ("gain gains profit profits surplus", "loss losses deficit"),
)
# fmt: on
_QUOTED = re.compile(r"[\"“„«](?P<inner>(?=\S)[^\"“”„«»]{8,400}(?<=\S))[\"”“»]")
_SAID = re.compile(r"[\"“„«](?P<inner>[^\"“”„«»]{1,400})[\"”“»]")
_SHARE = 0.7
_LEAST_SHARED = 3
_NAME_SHARE = 0.5
_LONGEST_NAME = 4
_LEADS = frozenset({"in", "at", "from", "by", "near", "to", "of", "for", "with"})
_CLEARLY = 0.4
_LEAST_WORDS = 2
_TITLE_CASE = 0.7
_QUOTE_WORDS = 4
_QUOTE_NEAR = 0.6
_QUOTE_SLACK = 2


def wording(claim_text: str, hypothesis: str, evidence: str) -> list[Difference]:
    """What is not a figure and stands differently in the evidence.

    Quotations, denials and hedges, sides that changed places, names, and directions.
    """
    found = (
        [] if NEGATION.search(_QUOTED.sub("", claim_text)) else _quotations(claim_text, evidence)
    )
    own = sentences(claim_text)
    if len(own) != 1:
        return found
    words = own[0].words | frozenset(w for s in sentences(hypothesis) for w in s.words)
    read = sentences(evidence)
    case = Case(claim_text, own[0], words, read, evidence)
    found += polarity(case)
    if NEGATION.search(claim_text):
        return found
    found += roles(case)
    found += names(case)
    best = _nearest(words, read)
    if best is None or NEGATION.search(best.span.of(evidence)):
        return found
    return [*found, *_directions(own[0], best, evidence)]


def _nearest(words: frozenset[str], read: Sequence[Sentence]) -> Sentence | None:
    """The sentence with most of the claim's words, where no other has as many."""
    ranked = sorted(read, key=lambda s: -len(words & s.words))
    least = min(_LEAST_SHARED, max(_LEAST_WORDS, len(words) - 1))
    if not ranked or len(words & ranked[0].words) < least:
        return None
    if len(ranked) > 1 and len(words & ranked[1].words) == len(words & ranked[0].words):
        return None
    return ranked[0]


# --------------------------------------------------------------------------- directions


def _directions(claim: Sentence, source: Sentence, evidence: str) -> list[Difference]:
    found: list[Difference] = []
    for one, other in _AXES:
        up, down = frozenset(one.split()), frozenset(other.split())
        for here, there in ((up, down), (down, up)):
            ours = [t for t in claim.tokens if t.text.casefold() in here]
            opposite = [t for t in claim.tokens if t.text.casefold() in there]
            theirs = [t for t in source.tokens if t.text.casefold() in there]
            if len(ours) != 1 or opposite or len(theirs) != 1 or _compares(ours[0], claim):
                continue
            # The same word elsewhere in that part of the sentence may be the one that was meant.
            clause = _clause(evidence, source, theirs[0])
            if any(t.text.casefold() in here for t in clause):
                continue
            words = claim.words - {ours[0].stem}
            shared = words & source.words & {t.stem for t in clause}
            if len(shared) < _LEAST_SHARED or len(shared) < _SHARE * len(words):
                continue
            if not _same_place(ours[0], theirs[0], claim, source, shared):
                continue
            found.append(swap(MismatchKind.DIRECTION, ours, theirs))
    return found[:1]


def _compares(token: Token, sentence: Sentence) -> bool:
    """Whether a word belongs to a *than*: then it matters which side is which."""
    at = sentence.tokens.index(token)
    return any(t.text == "than" for t in sentence.tokens[at + 1 : at + 4])


def _clause(evidence: str, source: Sentence, at: Token) -> list[Token]:
    """The words between the commas around one."""
    low = max(evidence.rfind(mark, source.span.start, at.start) for mark in ",;:")
    ends = [i for mark in ",;:" if (i := evidence.find(mark, at.end, source.span.end)) >= 0]
    high = min(ends, default=source.span.end)
    return [t for t in source.tokens if low < t.start and t.end <= high]


def _same_place(
    ours: Token, theirs: Token, claim: Sentence, source: Sentence, shared: frozenset[str]
) -> bool:
    """Whether the same shared word stands nearest on one side of both: no roles were swapped."""
    for before in (True, False):
        a = _neighbour(ours, claim, shared, before=before)
        b = _neighbour(theirs, source, shared, before=before)
        if a is not None and a == b:
            return True
    return False


def _neighbour(
    token: Token, sentence: Sentence, shared: frozenset[str], *, before: bool
) -> str | None:
    if before:
        side = [t.stem for t in sentence.tokens if t.end <= token.start and t.stem in shared]
        return side[-1] if side else None
    side = [t.stem for t in sentence.tokens if t.start >= token.end and t.stem in shared]
    return side[0] if side else None


# --------------------------------------------------------------------------- quotations


def _quotations(claim_text: str, evidence: str) -> list[Difference]:
    """A quotation that stands almost, and not quite, in the evidence."""
    found: list[Difference] = []
    theirs = tokens(evidence)
    folded = [_fold(t.text) for t in theirs]
    together = "".join(folded)
    # "We will," she said, "in spring": what was said goes on behind who said it.
    spoken = "".join(
        _fold(t.text)
        for part in _SAID.finditer(evidence)
        for t in tokens(evidence, *part.span("inner"))
    )
    for match in _QUOTED.finditer(claim_text):
        words = [
            _fold(t.text) for t in tokens(claim_text, match.start("inner"), match.end("inner"))
        ]
        if len(words) < _QUOTE_WORDS or "".join(words) in f"{together} {spoken}":
            continue
        place = None if "..." in match.group() or "…" in match.group() else _near(words, folded)
        if place is None:
            continue
        low, high = place
        span = Span(theirs[low].start, theirs[high - 1].end)
        found.append(
            Difference(
                MismatchKind.QUOTATION,
                Span(match.start("inner"), match.end("inner")),
                span,
                match["inner"],
                span.of(evidence),
            )
        )
    return found


def _near(words: Sequence[str], evidence: Sequence[str]) -> tuple[int, int] | None:
    """Where a quotation stands nearly: around the longest run of words that it shares."""
    longest = SequenceMatcher(None, words, evidence, autojunk=False).find_longest_match()
    first = max(0, longest.b - longest.a - _QUOTE_SLACK)
    last = longest.b + len(words) - longest.a + _QUOTE_SLACK
    part = evidence[first:last]
    matcher = SequenceMatcher(None, words, part, autojunk=False)
    pieces = [m for m in matcher.get_matching_blocks() if m.size]
    if sum(m.size for m in pieces) < _QUOTE_NEAR * len(words) or not pieces:
        return None
    head, tail = pieces[0], pieces[-1]
    low = max(0, head.b - head.a)
    high = min(len(part), tail.b + tail.size + (len(words) - tail.a - tail.size))
    return (first + low, first + high) if high - low <= len(words) + _QUOTE_SLACK else None


def _fold(word: str) -> str:
    return re.sub(r"[^\w]", "", unicodedata.normalize("NFKC", word).casefold())
