# ruff: noqa: SIM905 - word lists are easier to read and extend as text
"""Who did it to whom, and which is the larger: two sides of one word that have changed places."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from verifiers.ranking import stem
from verifiers.types import MismatchKind, Span
from verifiers.values._context import Case, Sentence, Token, is_content
from verifiers.values._lexicon import IRREGULAR, NEGATION, PARTICIPLES
from verifiers.values._mismatch import Difference
from verifiers.values._model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIDE = 4
_REACH = 10
_BE = frozenset({"is", "are", "was", "were", "be", "been", "being", "got", "get", "gets"})
# Words that end the group of words a side is made of, and those that only hang more on to it.
_ENDS = frozenset(
    "and but or while when where after before because although though if than by".split()
)
_HANGING = frozenset("in on at for to from with during until as into over against under".split())
_ARTICLES = frozenset({"a", "an", "the", "its", "his", "her", "their"})
_RELATIVE = frozenset({"who", "which", "that"})
# What joins a thing with what it is more of.
_LINKS = _BE | {"has", "have", "had", "weighs", "costs", "grew", "earns", "earned", "sold"}
# Verbs that say the same of both sides.
_MUTUAL = frozenset(
    stem(word)
    for word in (
        "married divorced met merged equalled matched resembled joined bordered neighboured "
        "played faced tied collaborated cooperated fought differed competed shared based located "
        "used called named said noted added reported announced"
    ).split()
)
_PAST = frozenset({"beat", "sued", "owns", "overtook", "outsold", "knew", "shook", "overthrew"})
_PRESENT = re.compile(
    r"(?:acquire|defeat|beat|own|employ|supply|teach|succeed|replace|sue|hire|support|fund|advise|"
    r"manage|train|kill|attack|chase|follow|precede|outsell|overtake|protect|feed|pay|help|treat|"
    r"serve|govern|control|invade|supplie|teache|owe|lend|rent)s"
)
# Comparatives of one property: those that say more, and those that say less.
_SCALES = (
    ("larger bigger greater", "smaller"),
    ("longer", "shorter"),
    ("taller higher", "shorter lower"),
    ("older", "younger newer"),
    ("heavier", "lighter"),
    ("faster quicker", "slower"),
    ("stronger", "weaker"),
    ("richer wealthier", "poorer"),
    ("warmer hotter", "colder cooler"),
    ("cheaper", "dearer costlier"),
    ("better", "worse"),
    ("wider broader", "narrower"),
    ("deeper", "shallower"),
    ("thicker", "thinner"),
    ("earlier sooner", "later"),
    ("harder", "softer easier"),
    ("brighter", "darker dimmer"),
    ("louder", "quieter"),
    ("nearer closer", "farther further"),
    ("more", "less fewer"),
)
_SCALE = {
    word: (number, sign)
    for number, pair in enumerate(_SCALES)
    for sign, words in zip((1, -1), pair, strict=True)
    for word in words.split()
}


class _Sides(NamedTuple):
    """What stands on either side of one word.

    Attributes:
        word: It.
        key: What it says, in a form that can be compared.
        sign: -1 where it says the opposite of its key ("smaller" for *large*).
        doer: Stems of who does it, or of what is the more.
        other: Stems of whom it is done to, or what it is compared with.
        span: From the first word of one side to the last of the other.
    """

    word: Token
    key: str
    sign: int
    doer: frozenset[str]
    other: frozenset[str]
    span: Span


def roles(case: Case) -> list[Difference]:
    """Sides of a verb or a comparison that stand the other way round in the evidence.

    "A acquired B" where the source says that B acquired A, or that A was acquired by B; "A is
    larger than B" where it says that B is, or that A is smaller.
    """
    evidence = case.evidence
    ours = list(_all_sides(case.claim, case.claim_text))
    if not ours:
        return []
    for sentence in case.read:
        if not (case.claim.words & sentence.words) or NEGATION.search(sentence.span.of(evidence)):
            continue
        for theirs in _all_sides(sentence, evidence):
            for mine in ours:
                if mine.key == theirs.key and _swapped(mine, theirs):
                    return [_difference(mine, theirs, case.claim_text, evidence)]
    return []


def _swapped(mine: _Sides, theirs: _Sides) -> bool:
    """Whether the two say it of the sides the other way round, and agree in nothing."""
    doer, other = theirs.doer, theirs.other
    if mine.sign != theirs.sign:
        doer, other = other, doer
    # What both sides share ("Lake A", "Lake B") tells them not apart.
    side, against = mine.doer - mine.other, mine.other - mine.doer
    theirs_doer, theirs_other = doer - other, other - doer
    if not (side & theirs_other and against & theirs_doer) or side & theirs_doer:
        return False
    return len(against & theirs_other) < len(against & theirs_doer)


def _difference(mine: _Sides, theirs: _Sides, claim_text: str, evidence: str) -> Difference:
    kind = MismatchKind.DIRECTION if mine.key.startswith("than ") else MismatchKind.ROLE
    here, there = mine.span.of(claim_text), theirs.span.of(evidence)
    return Difference(kind, mine.span, theirs.span, here, there)


def _all_sides(sentence: Sentence, text: str) -> Iterator[_Sides]:
    words = sentence.tokens
    for at, token in enumerate(words):
        if not token.text.islower():
            continue
        low = token.text
        if low in _SCALE:
            yield from _compared(sentence, at, text)
        elif _is_verb(low) and token.stem not in _MUTUAL:
            yield from _acted(sentence, at, text)


def _is_verb(word: str) -> bool:
    return (
        (word.endswith("ed") and len(word) > 4)  # noqa: PLR2004 - not "need", "seed"
        or word in PARTICIPLES
        or word in IRREGULAR
        or word in _PAST
        or _PRESENT.fullmatch(word) is not None
    )


def _acted(sentence: Sentence, at: int, text: str) -> Iterator[_Sides]:
    words = sentence.tokens
    behind = words[at + 1].text.casefold() if at + 1 < len(words) else ""
    passive = behind == "by"
    being = any(t.text.casefold() in _BE for t in words[max(0, at - 2) : at])
    if being != passive:
        return
    left, first = _left(sentence, at, text)
    right, last = _right(sentence, at + 1 + passive, text)
    if left and right:
        doer, other = (right, left) if passive else (left, right)
        yield _Sides(words[at], words[at].stem, 1, doer, other, Span(first.start, last.end))


def _compared(sentence: Sentence, at: int, text: str) -> Iterator[_Sides]:
    words = sentence.tokens
    near = range(at + 1, min(at + 4, len(words)))
    than = next((i for i in near if words[i].text == "than"), None)
    if than is None or not any(t.text.casefold() in _LINKS for t in words[max(0, at - 3) : at]):
        return
    between = " ".join(t.stem for t in words[at + 1 : than])
    number, sign = _SCALE[words[at].text]
    left, first = _left(sentence, at, text)
    right, last = _right(sentence, than + 1, text)
    if left and right:
        yield _Sides(
            words[at], f"than {number} {between}", sign, left, right, Span(first.start, last.end)
        )


def _left(sentence: Sentence, at: int, text: str) -> tuple[frozenset[str], Token]:
    """The content words before a word: the nearest group, and what it is *of*."""
    words = sentence.tokens
    found: set[str] = set()
    first = words[at]
    for i in range(at - 1, max(-1, at - 1 - _REACH), -1):
        token, low = words[i], words[i].text.casefold()
        if _parted(text, token, words[i + 1]) or low in _ENDS or len(found) == _SIDE:
            break
        if found and (low in _RELATIVE or low in _HANGING):
            break
        if found and low in _ARTICLES and (not i or words[i - 1].text != "of"):
            break
        if _counts(sentence, token):
            found.add(token.stem)
            first = token
    return frozenset(found), first


def _counts(sentence: Sentence, token: Token) -> bool:
    """Whether a word names a thing: amounts and dates do not, identifiers do."""
    if token.start not in sentence.valued:
        return is_content(token)
    return any(
        v.kind is Kind.IDENTIFIER and v.span.start <= token.start < v.span.end
        for v in sentence.values
    )


def _right(sentence: Sentence, at: int, text: str) -> tuple[frozenset[str], Token]:
    """The content words from a place on, to where their group ends."""
    words = sentence.tokens
    found: set[str] = set()
    last = words[min(at, len(words) - 1)]
    for i in range(at, min(at + _REACH, len(words))):
        token, low = words[i], words[i].text.casefold()
        if (i > at and _parted(text, words[i - 1], token)) or len(found) == _SIDE:
            break
        if low in _ENDS or low in _HANGING or low in _RELATIVE:
            break
        if _counts(sentence, token):
            found.add(token.stem)
            last = token
    return frozenset(found), last


def _parted(text: str, one: Token, other: Token) -> bool:
    return any(mark in text[one.end : other.start] for mark in ",.;:()")
