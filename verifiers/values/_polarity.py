# ruff: noqa: SIM905 - word lists are easier to read and extend as text
"""Whether a sentence of the evidence says the same thing with a *not* or a *may* more or less."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from verifiers.types import MismatchKind, Span
from verifiers.values._compare import Relation, relate
from verifiers.values._context import Case, Sentence, Token, is_content
from verifiers.values._mismatch import Difference
from verifiers.values._names import in_title_case

if TYPE_CHECKING:
    from collections.abc import Sequence

# How much of the claim a sentence must say for one word more to be the difference.
_SHARE = 0.8
_OWN_SHARE = 0.6
_LEAST_WORDS = 2
# How far behind "not" or "may" the word stands that it is about.
_REACH = 4
# Words that only stress what is said.
_ASSURING = frozenset({"fact", "indeed", "actually", "really", "certainly", "truly"})
_NOT = frozenset({"not", "never", "cannot", "neither"})
_DENYING = _NOT | {"failed", "refused", "declined", "fails", "refuses", "declines"}
_MAY = frozenset({"may", "might", "could", "possibly", "perhaps", "allegedly", "reportedly"})
_PLANNED = frozenset(
    (
        "expected planned believed thought rumoured rumored hopes plans intends alleged proposed "
        "likely"
    ).split()
)
# Words with which a claim leaves it open too.
_OPEN = _MAY | _PLANNED | {"can", "would", "should", "if", "whether", "seems", "appears"}
# Anything here and the sentence is not plainly a yes or a no.
_TANGLED = re.compile(
    r"\b(?:only|just|but|yet|until|unless|except|neither|nor|no longer|because|rather|instead|"
    r"hardly|false|untrue|incorrect|wrong|myth|den(?:y|ies|ied)|doubt\w*|if|whether|without|none|"
    r"nothing|nobody|than|used to|suspected|all|every|always|necessarily|merely|simply|solely|"
    r"why)\b|\?",
    re.IGNORECASE,
)
_NO = re.compile(
    r"\b(?:no|not|never|cannot|neither|nor|none|without)\b|n['\u2019]t\b", re.IGNORECASE
)
# What is said of the rest is not said of these, whatever marks stand between.
_EXCEPTED = re.compile(
    r"\b(?:except(?:ing|ions?)?|other than|apart from|aside from|save for|exclud(?:ing|es)|"
    r"barring)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:()]")


class _Turned(NamedTuple):
    """A word that a *not* or a *may* stands before."""

    cue: Token
    word: Token


def polarity(case: Case) -> list[Difference]:
    """The claim denies what the evidence says, says what it denies, or says flatly what it hedges.

    Only where one sentence of the evidence holds nearly all words of the claim and every value,
    and the word that is turned stands in both.
    """
    claim_text, claim, words, read, evidence = case
    if _TANGLED.search(claim_text) or in_title_case(claim) or len(claim.words) < _LEAST_WORDS:
        return []
    denied = _turned(claim, claim_text, _DENYING)
    about = words - {turned.cue.stem for turned in denied} - _ASSURING
    close = [s for number, s in enumerate(read) if _says_it(claim, about, read, number)]
    # A sentence that says it otherwise speaks against all that others seem to say.
    found = [_turn(claim_text, claim, denied, sentence, evidence) for sentence in close]
    return [f for f in found if f is not None][:1] if all(found) else []


def _turn(
    claim_text: str, claim: Sentence, denied: list[_Turned], sentence: Sentence, evidence: str
) -> Difference | None:
    """How the one sentence turns what the other says, where one word is turned in one of them."""
    theirs = _turned(sentence, evidence, _DENYING)
    ours: Token | _Turned | None
    other: Token | _Turned | None
    if not theirs and len(denied) == 1:
        plain = not _NO.search(sentence.span.of(evidence)) and not _hedged(sentence)
        ours, other = denied[0], _word(sentence, denied[0].word.stem) if plain else None
        place = other
    elif denied or _NO.search(claim_text) or len(theirs) > 1:
        return None
    elif not theirs:
        return _flat(claim_text, claim, sentence, evidence)
    else:
        ours, other = _word(claim, theirs[0].word.stem), theirs[0]
        place = _word(sentence, theirs[0].word.stem)
    if ours is None or other is None or place is None:
        return None
    if not _untangled(evidence, sentence, place):
        return None
    return _difference(MismatchKind.NEGATION, claim_text, ours, evidence, other)


def _word(sentence: Sentence, stem: str) -> Token | None:
    """The one word of a stem: where there are two, one may be denied and the other not."""
    found = [t for t in sentence.tokens if t.stem == stem]
    return found[0] if len(found) == 1 else None


def _flat(claim_text: str, claim: Sentence, sentence: Sentence, evidence: str) -> Difference | None:
    """A claim that says flatly what the sentence says may be."""
    if any(t.text.casefold() in _OPEN for t in claim.tokens):
        return None
    hedged = [h for h in _turned(sentence, evidence, _MAY | _PLANNED) if h.cue.text.islower()]
    if len(hedged) != 1:
        return None
    ours = _word(claim, hedged[0].word.stem)
    if ours is None:
        return None
    return _difference(MismatchKind.HEDGING, claim_text, ours, evidence, hedged[0])


def _says_it(claim: Sentence, words: frozenset[str], read: Sequence[Sentence], number: int) -> bool:
    """Whether a sentence holds nearly all the claim does, values and names included.

    What it leans on may stand in the sentence before it.
    """
    sentence = read[number]
    before = read[number - 1].words if number else frozenset()
    if len(words & sentence.words) < max(_LEAST_WORDS, _OWN_SHARE * len(words)):
        return False
    if len(words & (sentence.words | before)) < _SHARE * len(words):
        return False
    named = {t.stem for t in claim.tokens[1:] if t.text[0].isupper() and is_content(t)}
    if not named <= ({t.stem for t in sentence.tokens} | before):
        return False
    return all(
        any(relate(value, other) is Relation.SAME for other in sentence.values)
        for value in claim.values
    )


def _turned(sentence: Sentence, text: str, cues: frozenset[str]) -> list[_Turned]:
    """The words right behind a cue, one a cue, in one clause with it."""
    found: list[_Turned] = []
    words = sentence.tokens
    for at, token in enumerate(words):
        low = token.text.casefold()
        if low not in cues and not (cues is _DENYING and low.endswith(("n't", "n\u2019t"))):
            continue
        if low in _PLANNED and [t.text for t in words[at + 1 : at + 2]] != ["to"]:
            continue  # "a planned visit" is one; "planned to visit" is none yet
        for behind in words[at + 1 : at + 1 + _REACH]:
            if _CLAUSE.search(text, token.end, behind.start) or behind.start in sentence.valued:
                break  # "not 30 of them": the figure is what is denied
            if is_content(behind) and behind.text.casefold() not in cues and behind.text.islower():
                found.append(_Turned(token, behind))
                break
    return found


def _hedged(sentence: Sentence) -> bool:
    return any(t.text in _MAY | _PLANNED for t in sentence.tokens)


def _untangled(text: str, sentence: Sentence, at: Token) -> bool:
    """Whether the part of a sentence around a word, between marks, is a plain statement."""
    low, high = sentence.span.start, sentence.span.end
    if _EXCEPTED.search(text, low, high):
        return False
    for mark in _CLAUSE.finditer(text, low, high):
        if mark.end() <= at.start:
            low = mark.end()
        elif mark.start() >= at.end:
            high = mark.start()
            break
    return _TANGLED.search(text, low, high) is None


def _difference(
    kind: MismatchKind,
    claim_text: str,
    ours: Token | _Turned,
    evidence: str,
    theirs: Token | _Turned,
) -> Difference:
    here, there = _span(ours), _span(theirs)
    return Difference(kind, here, there, here.of(claim_text), there.of(evidence))


def _span(place: Token | _Turned) -> Span:
    if isinstance(place, _Turned):
        return Span(place.cue.start, place.word.end)
    return Span(place.start, place.end)
