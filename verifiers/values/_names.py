# ruff: noqa: SIM905 - word lists are easier to read and extend as text
"""Names: who did it, where it was, what it is called, and whether the evidence says another.

A name of the claim that the evidence does not hold is compared with the names that stand in the
same place there: the same side of the same verb ("X designed it", "designed by X"), behind the
same preposition ("born in X"), beside the same noun ("the engineer was X", "engineer X").
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from verifiers.ranking import stem
from verifiers.types import MismatchKind, Span
from verifiers.values._context import Case, Sentence, Token, is_content
from verifiers.values._lexicon import BROAD, COUNTRIES, NEGATION, PARTICIPLES
from verifiers.values._mismatch import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Slots = Mapping[tuple[str, str], float]

_SHARE = 0.5
_LEAST_WORDS = 2
_LONGEST_NAME = 4
_TITLE_CASE = 0.75
_TITLE_WORDS = 6
# How surely the best place must be the one, and by how much before the next.
_SURE = 0.5
_CLEARLY = 0.25
_FALL = 0.25
_ANCHORS = 3
_LEADS = frozenset("in at from by near to of for with under against".split())
_BE = frozenset({"is", "are", "was", "were", "be", "been", "being"})
_SKIPPED = _BE | {"has", "have", "had", "will", "would", "also", "then", "later", "first"}
_SKIPPED |= {"who", "which", "that"}
_OPENERS = frozenset({"who", "which", "that", "on", "as"})
_ARTICLES = frozenset({"a", "an", "the", "its", "his", "her", "their"})
_JOINTS = re.compile(r"['\u2019.-]s?")
# Words that open with as many equal letters are taken for one family.
_OPENING = 5
_REACH = 8
_ROOT = 3
_CALLED = frozenset({"called", "named"})
# What can have several holders at once: another one named says nothing against the claim's.
_SHARED_ROLES = frozenset(
    stem(word)
    for word in (
        "starring featuring including appeared visited such supported performed sang member known"
    ).split()
)


def names(case: Case) -> list[Difference]:
    """A name in the claim that the evidence does not hold, where it has another in its place."""
    claim_text, claim = case.claim_text, case.claim
    runs = [r for r in name_runs(claim, claim_text) if not _bracketed(claim_text, r)]
    if not runs or in_title_case(claim):
        return []
    known = frozenset(p for s in case.read for t in _once(s.tokens) for p in _parts(t))
    common = frozenset(t.stem for s in case.read for t in s.tokens if t.text[0].islower())
    mine = [r for r in (_untitled(r, claim, common) for r in runs) if r and _unknown(r, known)]
    if len(mine) != 1:
        return []
    best = _clearly(_rivals(case, mine[0]))
    if best is None or _one_is_broader(mine[0], best):
        return []
    return [swap(MismatchKind.NAME, mine[0], best)]


def _rivals(case: Case, name: Sequence[Token]) -> list[tuple[float, Sequence[Token]]]:
    """The names of the evidence that stand where the claim has its own, the surest first."""
    claim_text, claim, words, read, evidence = case
    here = slots(claim, name, claim_text)
    about = words - {t.stem for t in name}
    said = frozenset(part for t in claim.tokens for part in _parts(t))
    found: list[tuple[float, Sequence[Token]]] = []
    for number, sentence in enumerate(read):
        if not here or not _about(about, read, number) or in_title_case(sentence):
            continue
        for run in name_runs(sentence, evidence):
            other = _untitled(run, sentence, said)
            if not other or not _unknown(other, said) or _alike(name, other):
                continue
            if _denied(evidence, sentence, other):
                continue
            there = slots(sentence, other, evidence)
            score = sum(min(here[key], there[key]) for key in here.keys() & there.keys())
            if score >= _SURE:
                found.append((score, other))
    return sorted(found, key=lambda r: -r[0])


def _once(words: Sequence[Token]) -> Iterator[Token]:
    seen: dict[str, Token] = {t.text: t for t in words}
    yield from seen.values()


def _denied(text: str, sentence: Sentence, name: Sequence[Token]) -> bool:
    """Whether a *not* stands before a name in its part of the sentence."""
    start = max(text.rfind(mark, sentence.span.start, name[0].start) for mark in ",;:")
    return NEGATION.search(text, max(start, sentence.span.start), name[0].start) is not None


def _clearly(ranked: Sequence[tuple[float, Sequence[Token]]]) -> Sequence[Token] | None:
    """The best, where no other name stands in the place nearly as surely."""
    if not ranked:
        return None
    rivals = {_text(name) for score, name in ranked if ranked[0][0] - score < _CLEARLY}
    return ranked[0][1] if len(rivals) == 1 else None


def _about(words: frozenset[str], read: Sequence[Sentence], number: int) -> bool:
    """Whether a sentence, with the one it may lean on, is about what the claim is about."""
    here = words & (read[number].words | (read[number - 1].words if number else frozenset()))
    least = 1 if len(words) <= _LEAST_WORDS else _LEAST_WORDS
    return len(here) >= max(least, _SHARE * len(words))


def _parts(token: Token) -> Iterator[str]:
    """A word, what it is made of ("Spielberg-directed" holds Spielberg), and how it opens."""
    yield token.stem
    pieces = _JOINTS.split(token.text) if _JOINTS.search(token.text) else [token.text]
    for piece in map(_plain, pieces):
        yield piece
        if len(piece) >= _OPENING:
            yield f"{piece[:_OPENING]}~"


def _unknown(name: Sequence[Token], known: frozenset[str]) -> bool:
    """Whether no word of a name is known, nor one that opens alike: Uruguayan, Uruguay."""
    return not any(p in known for token in name for p in _parts(token) if len(p) > 1)


def slots(sentence: Sentence, name: Sequence[Token], text: str) -> Slots:
    """The places a name stands in, each a word and how the name hangs on it, with a weight."""
    at = sentence.tokens.index(name[0])
    found = dict(_before(sentence.tokens, at, text))
    found.update(_behind(sentence.tokens, at + len(name), text))
    for (word, role), weight in list(found.items()):
        # "The director is X" and "X directed it" give X one place.
        if role == "by":
            found[_root(word), "does"] = weight
        elif role == "is" and word.endswith(("er", "or")):
            found[_root(word[:-2]), "does"] = weight
    return {key: weight for key, weight in found.items() if key[0] not in _SHARED_ROLES}


def _root(word: str) -> str:
    """A verb without its last e or its doubled consonant: what "writer" and "write" share."""
    bare = word.rstrip("e")
    return bare[:-1] if len(bare) > _ROOT and bare[-1] == bare[-2] else bare


def _before(words: Sequence[Token], at: int, text: str) -> dict[tuple[str, str], float]:
    last = at - 1
    while last >= 0 and words[last].text.casefold() in _ARTICLES:
        last -= 1
    found: dict[tuple[str, str], float] = {}
    if last < 0:
        return found
    token = words[last]
    noun = is_content(token) and (token.text[0].islower() or last == 0)
    if _broken(text, words, last):
        # "the judge, X, dismissed it": what stands before the mark is what X is.
        if noun and text[token.end : words[at].start].strip() == ",":
            found[token.stem, "is"] = 1.0
        return found
    if noun:
        if token.text not in _CALLED:
            # "conductor X" is what X is, "beat X" what was done to X.
            found[token.stem, "object"] = found[token.stem, "is"] = 1.0
        last -= 1
        if last < 0 or _broken(text, words, last):
            return found
    lead = words[last].text.casefold()
    if lead in _LEADS:
        found |= _led(words, last, at, text)
    elif lead in _BE:
        found |= _defined(words[:last])
    return found


def _led(
    words: Sequence[Token], lead_at: int, name_at: int, text: str
) -> dict[tuple[str, str], float]:
    """The words a preposition may belong to, the nearest first; at the start those behind it."""
    found: dict[tuple[str, str], float] = {}
    lead = words[lead_at].text.casefold()
    opens = not lead_at or _broken(text, words, lead_at - 1)
    places = (
        range(name_at + 1, min(len(words), name_at + 1 + _REACH))
        if opens
        else range(lead_at - 1, max(-1, lead_at - 1 - _REACH), -1)
    )
    for at in places:
        if len(found) == _ANCHORS or (not opens and _broken(text, words, at)):
            break
        if is_content(words[at]) and (words[at].text[0].islower() or not at):
            found[words[at].stem, lead] = 1 - _FALL * len(found)
    return found


def _defined(words: Sequence[Token]) -> dict[tuple[str, str], float]:
    """What "the coach who led the team is X" says X is and does."""
    found: dict[tuple[str, str], float] = {}
    head = _head(words)
    if head is not None:
        found[head.stem, "is"] = 1.0
    for opener, token in itertools.pairwise(words):
        if opener.text.casefold() in {"who", "that", "to"} and is_content(token):
            found[token.stem, "by"] = 1.0
    return found


def _behind(words: Sequence[Token], at: int, text: str) -> dict[tuple[str, str], float]:
    first = at
    while at < len(words) and _skipped(words[at]):
        at += 1
    if at >= len(words):
        return {}
    being = any(t.text.casefold() in _BE for t in words[first:at])
    between = text[words[first - 1].end : words[at].start]
    if any(mark in between for mark in ".;:()") or ("," in between and at == first):
        return {}
    token, low = words[at], words[at].text.casefold()
    found: dict[tuple[str, str], float] = {}
    if (being and low in _ARTICLES) or (at == first and low == "as"):
        head = _head(words[at + 1 : at + 6])
        if head is not None:
            found[head.stem, "is"] = 1.0
    elif is_content(token) and token.text[0].islower():
        if not being:
            found[token.stem, "by"] = 1.0
        elif _participle(low):
            found[token.stem, "object"] = 1.0
        if at == first:
            found[token.stem, "beside"] = 1.0
    return found


def _participle(word: str) -> bool:
    return word.endswith(("ed", "en")) or word in PARTICIPLES


def _skipped(token: Token) -> bool:
    low = token.text.casefold()
    return low in _SKIPPED or low.endswith("ly")


def _head(words: Sequence[Token]) -> Token | None:
    """The noun of a group of words: the last before a preposition or a word that opens a clause."""
    head: Token | None = None
    for token in words:
        low = token.text.casefold()
        if head is not None and (low in _LEADS or low in _OPENERS):
            break
        if is_content(token) and not (head is not None and _participle(low)):
            head = token
    return head if head is not None and (head.text[0].islower() or head is words[0]) else None


def _broken(text: str, words: Sequence[Token], at: int) -> bool:
    """Whether a mark stands between a word and the next."""
    return any(mark in text[words[at].end : words[at + 1].start] for mark in ",.;:()")


def _bracketed(text: str, run: Sequence[Token]) -> bool:
    """Whether a name stands in brackets: "(TV series)" says which, and no more."""
    return text.rfind("(", 0, run[0].start) > text.rfind(")", 0, run[0].start)


def _untitled(run: Sequence[Token], sentence: Sentence, common: frozenset[str]) -> Sequence[Token]:
    """A name without the word that opens the sentence or says what its bearer is."""
    first = run[0]
    if first.stem in common and (len(run) > 1 or first is sentence.tokens[0]):
        return run[1:]
    return run


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


def in_title_case(sentence: Sentence) -> bool:
    content = [t for t in sentence.tokens if is_content(t)]
    return len(content) >= _TITLE_WORDS and sum(
        t.text[0].isupper() for t in content
    ) > _TITLE_CASE * len(content)


def _one_is_broader(mine: Sequence[Token], other: Sequence[Token]) -> bool:
    """Whether one is a country and the other not: a town may lie in it."""
    return (_text(mine).casefold() in COUNTRIES) != (_text(other).casefold() in COUNTRIES)


def _text(name: Sequence[Token]) -> str:
    return " ".join(t.text for t in name)


def _plain(word: str) -> str:
    """Without marks on letters: ``Zlín`` and ``Zlin`` are one town."""
    if word.isascii():
        return word.casefold()
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def _alike(mine: Sequence[Token], other: Sequence[Token]) -> bool:
    """Whether two names may be one: initials, a common start, one inside the other, a misspelling.

    A short name in capitals (TV, WBC) stands for nothing but another one.
    """
    a = _plain("".join(t.text for t in mine))
    b = _plain("".join(t.text for t in other))
    if a[:3] == b[:3] or a in b or b in a or _capitals(mine) != _capitals(other):
        return True
    initials = (
        "".join(t.text[0] for t in mine).casefold(),
        "".join(t.text[0] for t in other).casefold(),
    )
    if a.replace(".", "") == initials[1] or b.replace(".", "") == initials[0]:
        return True
    pairs = [(a, b), *((_plain(x.text), _plain(y.text)) for x in mine for y in other)]
    return any(_close(x, y) for x, y in pairs)


def _capitals(name: Sequence[Token]) -> bool:
    return len(name) == 1 and name[0].text.isupper()


def _close(one: str, other: str) -> bool:
    if one == other:
        return len(one) > 1
    # The ratio is costly, and cannot be high for words of very different length.
    short, long = sorted((len(one), len(other)))
    return short > 0.6 * long and (
        SequenceMatcher(None, one, other, autojunk=False).ratio() > 0.75  # noqa: PLR2004
    )


def swap(kind: MismatchKind, ours: Sequence[Token], theirs: Sequence[Token]) -> Difference:
    """A run of words of the claim, and the one that stands in its place in the evidence."""
    here, there = Span(ours[0].start, ours[-1].end), Span(theirs[0].start, theirs[-1].end)
    return Difference(
        kind, here, there, " ".join(t.text for t in ours), " ".join(t.text for t in theirs)
    )
