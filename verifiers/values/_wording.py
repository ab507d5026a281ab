# ruff: noqa: RUF001 - quotation marks are meant as written
"""Directions, names and quotations that a sentence of the evidence gives differently."""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from verifiers.types import MismatchKind, Span
from verifiers.values._context import (
    Sentence,
    Surroundings,
    Token,
    is_content,
    likeness,
    sentences,
    surroundings,
    tokens,
)
from verifiers.values._lexicon import BROAD, NEGATION
from verifiers.values._mismatch import Difference
from verifiers.values._model import Kind, Value

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
_QUOTED = re.compile(r"[\"“„«](?P<inner>[^\"“”„«»]{8,400})[\"”“»]")
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


def wording(claim_text: str, hypothesis: str, evidence: str) -> list[Difference]:
    """Directions, names and quotations that the evidence gives differently."""
    found = _quotations(claim_text, evidence)
    own = sentences(claim_text)
    if len(own) != 1 or NEGATION.search(claim_text):
        return found
    words = own[0].words | frozenset(w for s in sentences(hypothesis) for w in s.words)
    best = _nearest(words, sentences(evidence))
    if best is None or NEGATION.search(best.span.of(evidence)):
        return found
    return [
        *found,
        *_directions(own[0], best, evidence),
        *_names(claim_text, own[0], words, best, evidence),
    ]


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
            if len(ours) != 1 or opposite or len(theirs) != 1:
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
            found.append(_swap(MismatchKind.DIRECTION, ours, theirs))
    return found[:1]


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


# --------------------------------------------------------------------------- names


def _names(
    claim_text: str, claim: Sentence, words: frozenset[str], source: Sentence, evidence: str
) -> list[Difference]:
    """A name in the claim that the evidence does not hold, where it has another in its place."""
    if len(words & source.words) < _NAME_SHARE * len(words) or _in_title_case(claim, source):
        return []
    known = {t.stem for t in tokens(evidence)}
    said = {t.stem for t in claim.tokens}
    mine = [n for n in name_runs(claim, claim_text) if not any(t.stem in known for t in n)]
    theirs = [n for n in name_runs(source, evidence) if not any(t.stem in said for t in n)]
    if len(mine) != 1:
        return []
    here = _name_surroundings(claim, mine[0], claim_text)
    ranked: list[tuple[float, Sequence[Token]]] = []
    for other in theirs:
        if (len(other) > 1) != (len(mine[0]) > 1) or _alike(mine[0], other):
            continue
        there = _name_surroundings(source, other, evidence)
        shared, near = likeness(here, there)
        # Only "born in X", "written by X": a name in front is often a pronoun in the source.
        if here.lead != there.lead or here.lead not in _LEADS or shared < _LEAST_WORDS:
            continue
        ranked.append((near, other))
    ranked.sort(key=lambda r: -r[0])
    if not ranked or (len(ranked) > 1 and ranked[0][0] - ranked[1][0] < _CLEARLY):
        return []
    return [_swap(MismatchKind.NAME, mine[0], ranked[0][1])]


def _name_surroundings(sentence: Sentence, name: Sequence[Token], text: str) -> Surroundings:
    span = Span(name[0].start, name[-1].end)
    return surroundings(sentence, Value(Kind.NUMBER, span, span.of(text)), text)


def name_runs(sentence: Sentence, text: str) -> list[Sequence[Token]]:
    """Runs of capitalised words that are names: not the sentence's first word alone."""
    runs: list[list[Token]] = []
    for token in sentence.tokens:
        capital = token.text[0].isupper() and is_content(token) and not _has_digit(token)
        if not capital or any(v.span.start <= token.start < v.span.end for v in sentence.values):
            continue
        if runs and text[runs[-1][-1].end : token.start] == " ":
            runs[-1].append(token)
        else:
            runs.append([token])
    first = sentence.tokens[0] if sentence.tokens else None
    named = [r for r in runs if len(r) <= _LONGEST_NAME and not (r[0] is first and len(r) == 1)]
    return [r for r in named if not {t.text.casefold() for t in r} & BROAD]


def _has_digit(token: Token) -> bool:
    return any(c.isdigit() for c in token.text)


def _in_title_case(*read: Sentence) -> bool:
    for sentence in read:
        content = [t for t in sentence.tokens if is_content(t)]
        if sum(t.text[0].isupper() for t in content) > _TITLE_CASE * len(content):
            return True
    return False


def _alike(mine: Sequence[Token], other: Sequence[Token]) -> bool:
    """Whether two names may be one: initials, a common start, one inside the other."""
    a = "".join(t.text for t in mine).casefold()
    b = "".join(t.text for t in other).casefold()
    if a[:3] == b[:3] or a in b or b in a:
        return True
    initials = (
        "".join(t.text[0] for t in mine).casefold(),
        "".join(t.text[0] for t in other).casefold(),
    )
    if a.replace(".", "") == initials[1] or b.replace(".", "") == initials[0]:
        return True
    return SequenceMatcher(None, a, b, autojunk=False).ratio() > 0.75  # noqa: PLR2004


# --------------------------------------------------------------------------- quotations


def _quotations(claim_text: str, evidence: str) -> list[Difference]:
    """A quotation that stands almost, and not quite, in the evidence."""
    found: list[Difference] = []
    theirs = tokens(evidence)
    folded = [_fold(t.text) for t in theirs]
    for match in _QUOTED.finditer(claim_text):
        words = [
            _fold(t.text) for t in tokens(claim_text, match.start("inner"), match.end("inner"))
        ]
        if len(words) < _QUOTE_WORDS or _holds(folded, words):
            continue
        matcher = SequenceMatcher(None, words, folded, autojunk=False)
        pieces = [m for m in matcher.get_matching_blocks() if m.size]
        size = sum(m.size for m in pieces)
        if not pieces or size < _QUOTE_NEAR * len(words):
            continue
        first, last = pieces[0], pieces[-1]
        low = max(0, first.b - first.a)
        high = min(len(folded), last.b + last.size + (len(words) - last.a - last.size))
        if high - low > len(words) + 2 or "..." in match.group() or "…" in match.group():
            continue
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


def _fold(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold().replace("’", "'")


def _holds(words: Sequence[str], part: Sequence[str]) -> bool:
    return any(
        list(words[i : i + len(part)]) == list(part) for i in range(len(words) - len(part) + 1)
    )


def _swap(kind: MismatchKind, ours: Sequence[Token], theirs: Sequence[Token]) -> Difference:
    here, there = Span(ours[0].start, ours[-1].end), Span(theirs[0].start, theirs[-1].end)
    return Difference(
        kind, here, there, " ".join(t.text for t in ours), " ".join(t.text for t in theirs)
    )
