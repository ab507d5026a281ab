# ruff: noqa: RUF001 - marks of other scripts are meant as written
"""Whether a source says a claim word for word."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from verifiers.types import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

# One word, or one mark that changes what is said: "1.5", "-5", "a/b".
_PART = re.compile(r"[^\W_]+(?:[.,'’:/-](?=[^\W_])[^\W_]+)*|[%$€£¥₹°+−<>=≠≤≥]|(?<!\w)-(?=\d)")
_TERMINAL = re.compile(r"[.!?。！？\n;]")
# What may stand before a sentence and take it back.
_TAKES_BACK = re.compile(
    r"\b(?:not|never|no|false|untrue|incorrect|wrong|wrongly|myth|myths|misconception|rumou?rs?|rumou?red|hoax|"
    r"allege[sd]?|alleged(?:ly)?|claim(?:s|ed|ing)?|said|says?|saying|believe[sd]?|believing|den(?:y|ies|ied)|if|"
    r"unless|whether|would|could|might|may|supposed(?:ly)?|reported(?:ly)?|suppose|imagine|pretend(?:ed)?|doubts?|"
    r"doubted|unlikely|hardly|neither|nor|without|who|mistaken(?:ly)?|fails?|failed|contrary|thought|thinks?|"
    r"question|asked|hypothetical|fiction(?:al)?|novel|dream(?:ed|t)?|once|formerly|except|until)\b|n't\b|n’t\b",
    re.IGNORECASE,
)
_LEAST_PARTS = 4


def exact_match(hypothesis: str, text: str) -> Span | None:
    """Where a text says a claim word for word, as a whole sentence or as its clear part.

    Case, spaces, quotation marks and the final full stop do not count; every word, figure and sign
    does. The rest of the sentence it stands in may add to it and must not take it back: where that
    holds a negation, a hedge, a condition or a report ("it is false that ...", "some say ..."), or
    ends in a question mark, there is no match.

    Args:
        hypothesis: The claim made to stand alone. Shorter than four words never matches.
        text: A window or a source.

    Returns:
        The span of the sentence's matching words, or None. A strong sign of support, never a
        verdict: what the text says elsewhere is not looked at.
    """
    wanted = [_fold(m.group()) for m in _PART.finditer(hypothesis)]
    if len(wanted) < _LEAST_PARTS:
        return None
    if text.isascii():
        # Where folding is lower case and no more, a word that is missing shows at once.
        low = text.lower()
        if any(word.isalpha() and word not in low for word in wanted):
            return None
    parts = list(_PART.finditer(text))
    folded = [_fold(p.group()) for p in parts]
    for at in _places(folded, wanted):
        first, last = parts[at], parts[at + len(wanted) - 1]
        start, end = _sentence(text, first.start(), last.end())
        around = f"{text[start : first.start()]} | {text[last.end() : end]}"
        previous = text[max(0, start - 200) : start]
        if _TAKES_BACK.search(around) or text[end : end + 1] in {"?", "？"}:
            continue
        if _leads_in(previous):
            continue
        return Span(first.start(), last.end())
    return None


def _places(words: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where a run of words stands. Rare first word or not, linear but for repetition."""
    found: list[int] = []
    size = len(wanted)
    for at, word in enumerate(words[: len(words) - size + 1]):
        if word == wanted[0] and list(words[at : at + size]) == list(wanted):
            found.append(at)
    return found


def _sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """The sentence around a stretch of text."""
    before = 0
    for match in _TERMINAL.finditer(text, max(0, start - 600), start):
        after = text[match.end() : match.end() + 1]
        if match.group() == "\n" or not after or after.isspace() or after in "\"'”’)":
            before = match.end()
    found = None
    for match in _TERMINAL.finditer(text, end):
        after = text[match.end() : match.end() + 1]
        if match.group() == "\n" or not after or after.isspace() or after in "\"'”’)":
            found = match.start()
            break
    return before, len(text) if found is None else found


def _leads_in(previous: str) -> bool:
    """Whether what stands right before is a heading that takes back ("Myth:", "False.")."""
    last = previous.rstrip().rsplit("\n", 1)[-1].strip()
    short = len(last.split()) <= _LEAST_PARTS
    return bool(last) and short and bool(_TAKES_BACK.search(last))


def _fold(word: str) -> str:
    folded = unicodedata.normalize("NFKC", word).casefold().replace("’", "'")
    return folded.replace(",", "") if folded[:1].isdigit() else folded
