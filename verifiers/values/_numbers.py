"""Numbers as written: ``2,023``, ``3.5 million``, ``twenty-one``, ``half a million``."""

from __future__ import annotations

import re
from typing import NamedTuple

from verifiers.values._lexicon import SCALES, SMALL, TENS

_FIGURE = (
    r"\d{1,3}(?:,\d{3}){1,8}(?:\.\d{1,20})?(?![\d])"  # 2,023
    r"|\d{1,3}(?:\.\d{3}){1,8},\d{1,2}(?![\d.,]*\d)"  # 1.234,50, which nothing else can be
    r"|\d{1,2}(?:,\d{2}){1,8},\d{3}(?:\.\d{1,20})?"  # 12,34,567
    r"|\d{1,3}(?:[\u00a0\u202f\u2009]\d{3}){1,8}(?:\.\d{1,20})?"  # 2 023 with a thin space
    r"|\d{1,30}(?:\.\d{1,20})?"
    r"|(?<![\d.])\.\d{1,20}"
)
_UNITS = "|".join(sorted({*SMALL, *TENS}, key=len, reverse=True))
_BIG = "|".join(sorted(SCALES, key=len, reverse=True))
_SPELLED = (
    rf"(?:half\s+a\s+(?:{_BIG})\b"
    rf"|(?:an?|{_UNITS})\b(?:[\s-]+(?:(?:{_BIG})\b(?:\s+and(?=\s+(?:{_UNITS})\b))?|(?:{_UNITS})\b)){{0,12}})"
)
# As a part of larger patterns, without groups; atomic, so that no pattern takes half of one.
NUMBER = rf"(?>(?:(?:{_FIGURE})(?:\s*-?(?:{_BIG})\b){{0,3}}|\b{_SPELLED})(?:\s+and\s+a\s+half\b)?)"
_FIGURE_RE = re.compile(_FIGURE)
_WORD = re.compile(r"[a-z]+")


class Number(NamedTuple):
    """A number and how finely it was written.

    Attributes:
        value: What it says.
        step: The place of its last digit that counts: 0.1 for ``3.5``, 100,000 for ``3.5 million``.
        spelled: Whether it was written in words.
    """

    value: float
    step: float
    spelled: bool


def read_number(text: str, *, suffix: float = 1.0) -> Number | None:
    """Read what :data:`NUMBER` matched; None when the words make no number ("a", "hundred and").

    ``suffix`` is the size of a letter that stood behind it, such as 1,000 for ``k``.
    """
    folded = text.lower()
    half = re.search(r"\s+and\s+a\s+half$", folded)
    if half:
        folded = folded[: half.start()]
    figure = _FIGURE_RE.match(folded)
    if figure is None:
        number = _spelled(folded)
        if number is None:
            return None
        value, step, spelled = number, _trailing_step(number), True
    else:
        written = figure.group()
        if "." in written and written.find(",") > written.find("."):
            written = written.replace(".", "").replace(",", ".")
        digits = re.sub(r"[,\s\u00a0\u202f\u2009]", "", written)
        value, spelled = float(digits), False
        whole, _, decimals = digits.partition(".")
        step = 10.0 ** -len(decimals) if decimals else _trailing_step(float(whole))
        for word in _WORD.findall(folded[figure.end() :]):
            value, step = value * SCALES[word], step * SCALES[word]
    value, step = value * suffix, step * suffix
    if half:
        scale = next((SCALES[w] for w in reversed(_WORD.findall(folded)) if w in SCALES), 1.0)
        value, step = value + scale / 2, scale / 10
    return Number(value, step, spelled)


def _trailing_step(value: float) -> float:
    """The place of the last digit that is not zero: 100 for 1,200."""
    step = 1.0
    while value and value % (step * 10) == 0:
        step *= 10
    return step


def _spelled(text: str) -> float | None:
    words = [w for w in re.split(r"[\s-]+", text) if w and w != "and"]
    if words[:2] == ["half", "a"]:
        return SCALES[words[2]] / 2
    total, group, seen = 0.0, 0.0, False
    for word in words:
        if word in {"a", "an"}:
            if seen:
                return None
            continue
        small = SMALL.get(word, TENS.get(word))
        if small is not None:
            # "twenty one" adds up; "one nine" and "nine eighty" are no numbers.
            if group % 100 and not (20 <= group % 100 < 100 and group % 10 == 0 and small < 10):  # noqa: PLR2004
                return None
            group += small
        elif word == "hundred":
            group = (group or 1) * 100
        else:
            total += (group or 1) * SCALES[word]
            group = 0.0
        seen = True
    return total + group if seen else None
