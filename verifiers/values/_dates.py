# ruff: noqa: RUF001 - marks of other scripts are meant as written
"""Dates and times of day as written, with offsets. Nothing relative ("yesterday") is resolved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verifiers.types import Span
from verifiers.values._lexicon import MONTHS, ORDINALS, WEEKDAYS
from verifiers.values._model import Day, Kind, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_WEEKDAY = "|".join(WEEKDAYS)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_YEAR = r"(?:1\d{3}|20\d{2}|2100)"
_EDGE = r"(?<![\w.,/$£€#-])"
_CENTURY = "|".join(w for w, n in ORDINALS.items() if n <= 21)  # noqa: PLR2004
_PATTERNS = (
    # 2021-05-12, 2021/05/12
    rf"{_EDGE}(?P<y1>{_YEAR})[-/](?P<m1>0[1-9]|1[0-2])[-/](?P<d1>0[1-9]|[12]\d|3[01])(?![\w/-])",
    # 12 May 2021, 12th of May, 12 May
    rf"(?<![\w.,/$£€#])(?P<d2>{_DAY})(?:\s+of)?\s+(?P<n2>{_MONTH})\b\.?(?:,?\s+(?P<y2>{_YEAR})\b)?",
    # May 12, 2021, May 12th, May 2021
    rf"\b(?P<n3>{_MONTH})\b\.?\s+(?P<d3>{_DAY})(?!\d|:|\.\d|,\d|%)\b(?:,?\s+(?P<y3>{_YEAR})\b)?",
    rf"\b(?P<n4>{_MONTH})\b\.?,?\s+(?:of\s+)?(?P<y4>{_YEAR})\b",
    # 5/6/2021, 5.6.2021
    rf"{_EDGE}(?P<a5>\d{{1,2}})(?P<s5>[/.])(?P<b5>\d{{1,2}})(?P=s5)(?P<y5>{_YEAR})(?![\w/.-]\d)",
    # Q3 2023, third quarter of 2023
    rf"\bQ(?P<q6>[1-4])(?:\s+(?:of\s+)?(?P<y6>{_YEAR})\b)?",
    rf"\b(?P<q7>first|second|third|fourth)\s+quarter(?:\s+(?:of\s+)?(?P<y7>{_YEAR})\b)",
    # 1990s, '90s, 19th century
    rf"\b(?P<y8>{_YEAR})'?s\b",
    rf"\b(?P<c9>\d{{1,2}}(?:st|nd|rd|th)|{_CENTURY})[\s-]century\b",
    rf"\b(?P<w10>{_WEEKDAY})s?\b",
)
_DATE = re.compile("|".join(f"(?:{p})" for p in _PATTERNS), re.IGNORECASE)
_LONE_YEAR = re.compile(rf"{_EDGE}(?P<y>{_YEAR})(?P<after>[–—-]\d{{2}})?(?!\d|[.,]\d|%|\w)")
_RANGE_YEAR = re.compile(rf"(?<=\d[–—-])(?P<y>{_YEAR})(?!\d|[.,]\d|%|\w)")
_LONE_MONTH = re.compile(
    r"\b(?:in|since|by|until|till|from|during|every|each|to|through|of|last|next|early|late|mid)"
    rf"[\s-]+(?P<n>{_MONTH})\b",
    re.IGNORECASE,
)
_YEAR_BEFORE = re.compile(
    r"(?:\b(?:in|since|by|until|till|from|during|of|before|after|year|between|and|to|around|circa"
    r"|early|late|mid|spring|summer|autumn|fall|winter|fiscal|fy|\()[\s-]*|[(\[–—,]\s*)$",
    re.IGNORECASE,
)
_PLURAL_AFTER = re.compile(r"\s+[a-z]*(?:s|people|men|women|children)\b")
_TIME = re.compile(
    r"(?<![\d.,:])(?:(?P<h>[01]?\d|2[0-3])[:.](?P<m>[0-5]\d)(?:\s*(?P<p>[ap])\.?m\b\.?)?"
    r"|(?P<h2>0?[1-9]|1[0-2])\s*(?P<p2>[ap])\.?m\b\.?|(?P<word>\bnoon\b|\bmidnight\b))(?!\d|[:.]\d|%)",
    re.IGNORECASE,
)
_NOON = 12 * 60
_DAYS_IN_MONTH = 31
_MONTHS_IN_YEAR = 12


def find_dates(text: str) -> Iterator[Value]:
    """Dates with more to them than a year or a month alone."""
    for match in _DATE.finditer(text):
        month = match["n2"] or match["n3"]
        if month and month in {"may", "march"}:
            continue  # "may 5 ..." is a verb
        day = _read(match)
        if day is not None:
            yield _value(text, match.span(), day)


def find_years(text: str) -> Iterator[Value]:
    """Years alone, and months alone after a word that says so."""
    for pattern in (_LONE_YEAR, _RANGE_YEAR):
        for match in pattern.finditer(text):
            before = text[max(0, match.start("y") - 12) : match.start("y")]
            after = text[match.end("y") : match.end("y") + 40]
            plural = _PLURAL_AFTER.match(after)
            if plural is None or _YEAR_BEFORE.search(before):
                yield _value(text, match.span("y"), Day(year=int(match["y"])))
    for match in _LONE_MONTH.finditer(text):
        if match["n"][0].isupper():
            yield _value(text, match.span("n"), Day(month=MONTHS[match["n"].lower()]))


def find_times(text: str) -> Iterator[Value]:
    """Times of day, in minutes after midnight."""
    for match in _TIME.finditer(text):
        half = (match["p"] or match["p2"] or "").lower()
        if match["word"]:
            minutes = _NOON if match["word"].lower() == "noon" else 0
        elif "." in match.group() and not half:
            continue  # 3.50 is a number
        else:
            hour = int(match["h"] or match["h2"])
            hour = hour % 12 if half else hour
            minutes = hour * 60 + int(match["m"] or 0) + (_NOON if half == "p" else 0)
        # Without am or pm a time may be either; the unit says so to whoever compares.
        unit = "" if half or match["word"] else "12h"
        yield Value(
            Kind.TIME,
            Span(*match.span()),
            match.group(),
            amount=float(minutes),
            unit=unit,
        )


def _value(text: str, span: tuple[int, int], day: Day) -> Value:
    start, end = span
    end -= text[end - 1] == "."  # the full stop of a sentence that ends in a month
    return Value(Kind.DATE, Span(start, end), text[start:end], day=day)


def _read(match: re.Match[str]) -> Day | None:
    group = match.groupdict()
    if group["w10"]:
        return Day(weekday=WEEKDAYS[group["w10"].lower()])
    if group["c9"]:
        word = group["c9"].lower()
        number = ORDINALS.get(word) or int(re.sub(r"\D", "", word))
        return Day(year=number * 100 - 99, until=number * 100)
    if group["y8"]:
        year = int(group["y8"])
        return Day(year=year, until=year + (99 if year % 100 == 0 else 9))
    if group["q6"] or group["q7"]:
        quarter = int(group["q6"]) if group["q6"] else ORDINALS[group["q7"].lower()]
        return Day(year=_int(group["y6"] or group["y7"]), quarter=quarter)
    if group["y5"]:
        return _numeric(int(group["a5"]), int(group["b5"]), int(group["y5"]))
    month = group["n2"] or group["n3"] or group["n4"]
    return Day(
        year=_int(group["y1"] or group["y2"] or group["y3"] or group["y4"]),
        month=int(group["m1"]) if group["m1"] else MONTHS[month.lower()],
        day=_int(group["d1"] or group["d2"] or group["d3"]),
    )


def _numeric(first: int, second: int, year: int) -> Day | None:
    """``5/6/2021`` in both readings, as far as each is a date."""
    readings = [
        Day(year=year, month=m, day=d)
        for d, m in ((first, second), (second, first))
        if 1 <= m <= _MONTHS_IN_YEAR and 1 <= d <= _DAYS_IN_MONTH
    ]
    if not readings:
        return None
    if len(readings) == 1 or readings[0] == readings[1]:
        return readings[0]
    return Day(year=year, month=second, day=first, other=readings[1])


def _int(text: str | None) -> int | None:
    return None if text is None else int(re.sub(r"\D", "", text))
