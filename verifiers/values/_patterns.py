"""The patterns of the value parser, one a kind. Built once at import, in a few milliseconds."""

from __future__ import annotations

# ruff: noqa: E501, RUF001 - patterns are read as one line; dashes and quotes are meant as written
import re
from typing import TYPE_CHECKING

from verifiers.values._lexicon import (
    CURRENCY_CODES,
    CURRENCY_SYMBOLS,
    CURRENCY_WORDS,
    DURATIONS,
    FRACTIONS,
    MEASURES,
    ORDINALS,
    SCALES,
    SMALL,
    TENS,
)
from verifiers.values._numbers import NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable


def _any(words: Iterable[str]) -> str:
    return "|".join(re.escape(w) for w in sorted(words, key=lambda w: (-len(w), w)))


_I = re.IGNORECASE
_TO = r"\s*(?:-|–|—|\bto\b|\band\b|\bor\b)\s*"
# A number, or the end of a range whose start shares its unit.
_RANGE = rf"(?P<lead>\bbetween\s+|\bfrom\s+)?(?:(?P<low>{NUMBER})(?P<lows>[kKMBT]|bn)?(?P<to>{_TO}))?(?P<num>{NUMBER})"
_EDGE = r"(?<![\w.,/#])(?<![A-Za-z][-–])"
_SYMBOL = _any(CURRENCY_SYMBOLS)
CODE = _any(CURRENCY_CODES)
MASK = re.compile(
    r"https?://\S+|www\.\S+|(?<![\w.+-])[\w.+-]{1,64}@[\w.-]{1,255}|\[\^?\d+\](?::)?|【[^】]*】|\d[\d.,]*\s*[×x·*]\s*10(?:\s*(?:\^|\*\*)\s*[-−]?\d+|[⁻⁰¹²³⁴-⁹]+)|^\s*(?:\d+[.)]|[-*•])\s",
    re.MULTILINE,
)
IDENTIFIER = re.compile(
    r"\bv(?:er(?:sion)?\.?\s*)?\d+(?:\.\d+)*(?:[-+][\w.]+)?\b(?!%)|\bversion\s+\d+(?:\.\d+)*\b"
    r"|(?<![\w.])\d+(?:\.\d+){2,}(?:[-+]\w+)?\b(?!%)"
    r"|\b[A-Z]{2,}(?:/[A-Z]+)?[ -]?\d[\w.]*(?:[-/:]\w*\d\w*)*\b"
    r"|\b[A-Z][a-z]*-\d+\b"
    r"|(?<![\w.,$£€-])(?=\w*\d)(?=\w*[A-Za-z])[A-Za-z0-9]+(?:-\w*\d\w*)*\b",
)
NOT_IDENTIFIER = re.compile(
    r"\d+(?:st|nd|rd|th|s|k|K|M|B|T|bn|mn|tn|m|b|x|am|pm|D)|\d+(?:[a-zA-Z°²]+/?[a-z]*)|Q[1-4]|\d+e\d+",
)
MONEY_BEFORE = re.compile(
    rf"(?P<cur>{_SYMBOL}|\b(?:{CODE})\b)\s?(?:(?P<low>{NUMBER})(?P<lows>[kKMBTmbt]|bn|mn|tn)?"
    rf"(?P<to>\s*(?:-|–|—|\bto\b|\band\b)\s*)(?:{_SYMBOL})?)?(?P<num>{NUMBER})"
    r"(?P<suf>(?:[kKMBTmbt]|bn|mn|tn)\b)?",
)
MONEY_AFTER = re.compile(
    rf"{_EDGE}{_RANGE}(?P<suf>(?:[kKMBTmbt]|bn|mn|tn)\b)?\s?(?P<cur>{_any(s for s in CURRENCY_SYMBOLS if s in '€£¥₹₩₽₺')}"
    rf"|\b(?:{CODE})\b|(?:US\s+|U\.S\.\s+)?\b(?:{_any(CURRENCY_WORDS)})\b)",
    _I,
)
PERCENT = re.compile(
    rf"{_EDGE}{_RANGE}\s?(?:-\s?)?(?P<unit>percentage[\s-]points?|%[\s-]points?|pp\b|ppts?\b|pts\b|basis\s+points?|bps\b"
    r"|%|per\s?cent\b|percent\b|pct\b)",
    _I,
)
DURATION = re.compile(
    rf"{_EDGE}{_RANGE}[\s-]*(?P<unit>{_any(DURATIONS)})\b(?:[\s-]+(?P<old>olds?)\b)?"
    rf"(?P<rest>(?:,?\s+(?:and\s+)?(?!an?\b){NUMBER}[\s-]*(?:{_any(DURATIONS)})\b)*)",
    _I,
)
PART = re.compile(rf"(?P<num>{NUMBER})[\s-]*(?P<unit>{_any(DURATIONS)})\b", _I)
HALF_UNIT = re.compile(r"\bhalf\s+an?\s+(?P<unit>hour|day|year|century|decade|minute)\b", _I)
SQUARE = re.compile(
    rf"{_EDGE}{_RANGE}\s*(?P<sq>square|sq\.?|cubic)\s*-?(?P<unit>km|kilomet(?:er|re)s?|met(?:er|re)s?|m|miles?|mi|feet|foot|ft)\b",
    _I,
)
FEET = re.compile(
    r"(?<![\w.,])(?P<feet>\d{1,3})\s?(?:ft\b\.?|feet\b|foot\b|['′])[\s,]*(?:and\s+)?"
    r"(?P<inches>\d{1,2}(?:\.\d+)?)\s?(?:in\b|inch(?:es)?\b|[\"″])",
    _I,
)
_WORDY = [u for u in MEASURES if len(u) > 2 or u in {"km", "kg", "cm", "mm", "°c", "°f", "m²"}]  # noqa: PLR2004
MEASURE = re.compile(
    rf"{_EDGE}{_RANGE}(?:[\s-]*(?:degrees\s+)?(?P<unit>{_any(_WORDY)})(?![\w²])"
    rf"|\s?(?P<short>{_any(u for u in MEASURES if u not in _WORDY)})(?![\w²/]))",
    _I,
)
ORDINAL = re.compile(
    rf"(?<![\w.,])(?P<fig>\d[\d,]*)(?:st|nd|rd|th)\b|\b(?:(?P<tens>{_any(TENS)})[\s-])?(?P<word>{_any(ORDINALS)})\b",
    _I,
)
FRACTION = re.compile(
    rf"(?<![\w.,/])(?P<a>\d+)/(?P<b>\d+)(?![\w/])|\b(?P<n>{_any([*SMALL, 'a'])})[\s-](?P<d>{_any(FRACTIONS)})\b(?!\s+(?:of\s+)?(?:19|20)\d\d)"
    r"|(?<!\w)(?P<half>half)\b(?!\s+(?:an?|time)\b)|(?P<sym>[½⅓⅔¼¾⅕⅛])"
    rf"|\b(?P<x>one|two|three|four|five|\d+)\s+(?:in|out\s+of)(?:\s+every)?\s+(?P<y>{_any(SMALL)}|\d+)\b(?!\s*(?:{_any(DURATIONS)})\b)",
    _I,
)
SYMBOLS = {"½": 0.5, "⅓": 1 / 3, "⅔": 2 / 3, "¼": 0.25, "¾": 0.75, "⅕": 0.2, "⅛": 0.125}
PLAIN = re.compile(rf"{_EDGE}{_RANGE}(?P<suf>(?:[kKMBT]|bn|mn|tn)\b)?(?![\w%])", _I)
WORDS = re.compile(r"[a-z~+≈<>≥≤]+")
QUICK = re.compile(
    rf"\d|[½⅓⅔¼¾⅕⅛]|\b(?:{_any([*SMALL, *TENS, *SCALES, *ORDINALS, *FRACTIONS, 'noon', 'midnight'])}|\w+days?)\b"
    rf"|\b(?:in|since|by|until|from|of)\s+[A-Z]",
    _I,
)
