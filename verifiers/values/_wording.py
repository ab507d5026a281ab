"""Directions, names and quotations: differences in words, found by laying two sentences side by side."""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from verifiers.ranking import stem
from verifiers.types import MismatchKind, Span
from verifiers.values._context import Sentence, Token, is_content, sentences, tokens
from verifiers.values._mismatch import Difference

if TYPE_CHECKING:
    from collections.abc import Sequence

# Words that point one way, and those that point the other. Word pairs that also swap who does it
# to whom (win and lose, buy and sell) are left to the model.
_AXES: tuple[tuple[str, str], ...] = (
    (
        "rise rises rose risen rising increase increases increased increasing grow grows grew grown "
        "growing climb climbs climbed climbing gain gains gained jump jumped jumps surge surged soared",
        "fall falls fell fallen falling decrease decreases decreased decreasing decline declines "
        "declined declining drop drops dropped dropping shrink shrank shrunk dip dipped plunged "
        "slumped slipped reduced lowered",
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
_NEGATION = re.compile(
    r"\b(?:not|no|never|neither|nor|none|without|cannot|hardly|false|untrue|incorrect|wrong)\b|n't\b|n’t\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“„«](?P<inner>[^\"“”„«»]{8,400})[\"”“»]")
_SHARE = 0.7
_LEAST_SHARED = 3
_NAME_SHARE = 0.6
_LONGEST_NAME = 4
_QUOTE_WORDS = 4
_QUOTE_NEAR = 0.6


def wording(claim_text: str, hypothesis: str, evidence: str) -> list[Difference]:
    """Directions, names and quotations that the evidence gives differently."""
    found = _quotations(claim_text, evidence)
    own = sentences(claim_text)
    if len(own) != 1 or _NEGATION.search(claim_text):
        return found
    words = own[0].words | frozenset(w for s in sentences(hypothesis) for w in s.words)
    best = _nearest(words, sentences(evidence))
    if best is None or _NEGATION.search(best.span.of(evidence)):
        return found
    return [
        *found,
        *_directions(claim_text, own[0], best, evidence),
        *_names(own[0], best, evidence),
    ]


def _nearest(words: frozenset[str], read: Sequence[Sentence]) -> Sentence | None:
    """The sentence with most of the claim's words, where no other has as many."""
    ranked = sorted(read, key=lambda s: -len(words & s.words))
    if not ranked or len(words & ranked[0].words) < _LEAST_SHARED:
        return None
    if len(ranked) > 1 and len(words & ranked[1].words) == len(words & ranked[0].words):
        return None
    return ranked[0]


# --------------------------------------------------------------------------- directions


def _directions(
    claim_text: str, claim: Sentence, source: Sentence, evidence: str
) -> list[Difference]:
    found: list[Difference] = []
    for one, other in _AXES:
        up, down = frozenset(one.split()), frozenset(other.split())
        for here, there in ((up, down), (down, up)):
            ours = [t for t in claim.tokens if t.text.casefold() in here]
            opposite = [t for t in claim.tokens if t.text.casefold() in there]
            theirs = [t for t in source.tokens if t.text.casefold() in there]
            if len(ours) != 1 or opposite or len(theirs) != 1:
                continue
            # The same word anywhere in the evidence may be the one that was meant.
            if any(t.text.casefold() in here for t in tokens(evidence)):
                continue
            words = claim.words - {ours[0].stem}
            shared = words & source.words
            if len(shared) < _LEAST_SHARED or len(shared) < _SHARE * len(words):
                continue
            if not _same_place(ours[0], theirs[0], claim, source, shared):
                continue
            found.append(_swap(MismatchKind.DIRECTION, ours, theirs, claim_text, evidence))
    return found[:1]


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


def _names(claim: Sentence, source: Sentence, evidence: str) -> list[Difference]:
    """A name in the claim where the evidence has another, all around it being the same."""
    ours, theirs = claim.tokens, source.tokens
    words = claim.words
    if len(words & source.words) < _NAME_SHARE * len(words):
        return []
    known = {t.stem for t in tokens(evidence)}
    said = {t.stem for t in ours}
    matcher = SequenceMatcher(
        None, [t.stem for t in ours], [t.stem for t in theirs], autojunk=False
    )
    blocks = matcher.get_opcodes()
    found: list[Difference] = []
    for at, (tag, a, b, c, d) in enumerate(blocks):
        if tag != "replace" or b - a > _LONGEST_NAME or d - c > _LONGEST_NAME:
            continue
        mine, other = _trim(ours[a:b]), _trim(theirs[c:d])
        if not mine or not other or not _is_name(mine, claim) or not _is_name(other, source):
            continue
        if any(t.stem in known for t in mine) or any(t.stem in said for t in other):
            continue
        if not _held(blocks, at, ours) or _alike(mine, other):
            continue
        found.append(_swap(MismatchKind.NAME, mine, other, None, None))
    return found if len(found) == 1 else []


def _trim(block: Sequence[Token]) -> Sequence[Token]:
    """Without small words at either end."""
    start, end = 0, len(block)
    while start < end and not is_content(block[start]):
        start += 1
    while start < end and not is_content(block[end - 1]):
        end -= 1
    return block[start:end]


def _is_name(block: Sequence[Token], sentence: Sentence) -> bool:
    """Capitals throughout, and not only because the sentence starts there."""
    if not all(t.text[0].isupper() for t in block if is_content(t)):
        return False
    if any(c.isdigit() for t in block for c in t.text):
        return False
    return block[0] is not sentence.tokens[0] or len(block) > 1


def _held(blocks: Sequence[tuple[str, int, int, int, int]], at: int, ours: Sequence[Token]) -> bool:
    """Whether the swap is held in place by equal words on both sides, or on one at an edge."""

    def equal(index: int) -> bool:
        if not 0 <= index < len(blocks):
            return True
        tag, a, b, _, _ = blocks[index]
        return tag == "equal" and (b - a > 1 or is_content(ours[a]))

    return equal(at - 1) and equal(at + 1)


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


def _swap(
    kind: MismatchKind,
    ours: Sequence[Token],
    theirs: Sequence[Token],
    claim_text: str | None,
    evidence: str | None,
) -> Difference:
    del claim_text, evidence
    here, there = Span(ours[0].start, ours[-1].end), Span(theirs[0].start, theirs[-1].end)
    return Difference(
        kind, here, there, " ".join(t.text for t in ours), " ".join(t.text for t in theirs)
    )


__all__ = ["stem", "wording"]
