"""Lexical ranking: BM25 over short texts in any language.

BM25 is as in Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond",
2009, in the form of Lucene (idf never negative), computed by ``bm25s``, which is imported only
here and only when something is ranked.

Tokens are language-neutral: case and compatibility forms are folded, digits are kept and
``2,023`` reads as ``2023``, scripts that do not put spaces between words become character
bigrams, and English plural, ``-ed`` and ``-ing`` endings are taken off. There is no stop list: idf
does that work.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

# Han, kana, and the South-East Asian scripts written without spaces. Hangul has spaces.
_UNSPACED = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
_TOKEN = re.compile(
    rf"(?P<unspaced>[{_UNSPACED}\U00020000-\U0003134f]+)"
    r"|(?P<number>\d+(?:[.,]\d+)*)"
    rf"|(?P<word>[^\W\d_{_UNSPACED}]+)"
)
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_VOWEL = re.compile(r"[aeiouy]")

# Shorter words and shorter stems are left alone.
_SHORTEST_WORD = 4
_SHORTEST_STEM = 3

# Values with which the figures in docs/evidence.md were taken.
K1 = 1.2
B = 0.75


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Take the commonest English inflections off a folded word; leave other words alone.

    Deliberately lighter than Porter's: it must not join words that a claim could swap.
    """
    if len(word) < _SHORTEST_WORD or not word.isascii():
        return word
    out = word
    if out.endswith("ies") and len(out) > _SHORTEST_WORD:
        out = out[:-3] + "y"
    elif out.endswith(("sses", "shes", "ches", "xes", "zes")):
        out = out[:-2]
    elif out.endswith("s") and not out.endswith(("ss", "us", "is")):
        out = out[:-1]
    for ending in ("ing", "ed"):
        base = out[: -len(ending)]
        if out.endswith(ending) and len(base) >= _SHORTEST_STEM and _VOWEL.search(base):
            doubled = base[-1] == base[-2] and base[-1] not in "lsz"
            return base[:-1] if doubled else base
    return out[:-1] if out.endswith("e") and len(out) > _SHORTEST_STEM else out


def tokenise(text: str) -> list[str]:
    """The index terms of ``text``, in order, repetitions kept."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    terms: list[str] = []
    for match in _TOKEN.finditer(folded):
        token = match.group()
        match match.lastgroup:
            case "unspaced":
                pairs = [token[i : i + 2] for i in range(len(token) - 1)]
                terms.extend(pairs or [token])
            case "number":
                terms.append(token.replace(",", "") if _GROUPED.fullmatch(token) else token)
            case _:
                terms.append(stem(token))
    return terms


class Ranking:
    """BM25 over a fixed list of texts. Built once, then read-only and safe to share."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Index ``texts``; linear in their length."""
        self._size = len(texts)
        self._vocabulary: dict[str, int] = {}
        number = self._vocabulary.setdefault
        rows = [[number(term, len(self._vocabulary)) for term in tokenise(t)] for t in texts]
        self._terms = [frozenset(row) for row in rows]
        self._texts_with = Counter(term for terms in self._terms for term in terms)
        self._model = _index(rows, self._vocabulary) if self._vocabulary else None

    def scores(self, query: str) -> NDArray[np.float32]:
        """The BM25 score of each text for ``query``, in the order of the texts.

        Deterministic: the same texts and query give the same bits.
        """
        import numpy as np

        known = [i for t in tokenise(query) if (i := self._vocabulary.get(t)) is not None]
        if self._model is None or not known:
            return np.zeros(self._size, dtype=np.float32)
        return np.asarray(self._model.get_scores_from_ids(sorted(known)), dtype=np.float32)

    def told(self, query: str, place: int) -> float:
        """The share of what ``query`` says that the text at ``place`` has words for, in [0, 1].

        Each term of the query once, by its weight: a word that few of the texts have weighs more
        than one that all have, a word that none has weighs most. 1 when the query has no terms.
        """
        held, weight, total = self._terms[place], 0.0, 0.0
        for term in sorted(set(tokenise(query))):
            number = self._vocabulary.get(term)
            worth = self._weight(0 if number is None else self._texts_with[number])
            total += worth
            weight += worth if number in held else 0.0
        return weight / total if total else 1.0

    def _weight(self, texts_with: int) -> float:
        return math.log1p((self._size - texts_with + 0.5) / (texts_with + 0.5))

    def order(self, query: str) -> list[int]:
        """The indices of all texts, best first; equal scores in the order of the texts."""
        import numpy as np

        return [int(i) for i in np.argsort(-self.scores(query), kind="stable")]


def _index(rows: list[list[int]], vocabulary: dict[str, int]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    import bm25s

    model = bm25s.BM25(k1=K1, b=B, method="lucene")
    model.index((rows, vocabulary), create_empty_token=False, show_progress=False)
    return model
