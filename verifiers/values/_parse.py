"""Values in a text, with exact offsets: one pass a kind, the more specific kinds first."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from verifiers.types import Span
from verifiers.values._dates import find_dates, find_times, find_years
from verifiers.values._lexicon import (
    ABOUT,
    AT_LEAST,
    AT_MOST,
    CURRENCY_CODES,
    CURRENCY_SYMBOLS,
    CURRENCY_WORDS,
    DURATIONS,
    FRACTIONS,
    MEASURES,
    MONEY_SUFFIXES,
    ORDINALS,
    SCALES,
    SMALL,
    SUFFIXES,
    TENS,
)
from verifiers.values._model import Bound, Kind, Value
from verifiers.values._numbers import NUMBER, read_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def _any(words: Iterable[str]) -> str:
    return "|".join(re.escape(w) for w in sorted(words, key=lambda w: (-len(w), w)))


_I = re.IGNORECASE
_TO = r"\s*(?:-|–|—|\bto\b|\band\b|\bor\b)\s*"
# A number, or the end of a range whose start shares its unit.
_RANGE = rf"(?P<lead>\bbetween\s+|\bfrom\s+)?(?:(?P<low>{NUMBER})(?P<lows>[kKMBT]|bn)?(?P<to>{_TO}))?(?P<num>{NUMBER})"
_EDGE = r"(?<![\w.,/#])"
_SYMBOL = _any(CURRENCY_SYMBOLS)
_CODE = _any(CURRENCY_CODES)
_MASK = re.compile(
    r"https?://\S+|www\.\S+|\S+@\S+\.\w+|\[\^?\d+\](?::)?|【[^】]*】|^\s*(?:\d+[.)]|[-*•])\s",
    re.MULTILINE,
)
_IDENTIFIER = re.compile(
    r"\bv(?:er(?:sion)?\.?\s*)?\d+(?:\.\d+)*(?:[-+][\w.]+)?\b(?!%)|\bversion\s+\d+(?:\.\d+)*\b"
    r"|(?<![\w.])\d+(?:\.\d+){2,}(?:[-+]\w+)?\b(?!%)"
    r"|\b[A-Z]{2,}(?:/[A-Z]+)?[ -]?\d[\w.]*(?:[-/:]\w*\d\w*)*\b"
    r"|\b[A-Z][a-z]*-\d+\b"
    r"|(?<![\w.,$£€-])(?=\w*\d)(?=\w*[A-Za-z])[A-Za-z0-9]+(?:-\w*\d\w*)*\b",
)
_NOT_IDENTIFIER = re.compile(
    r"\d+(?:st|nd|rd|th|s|k|K|M|B|T|bn|mn|tn|m|b|x|am|pm|D)|\d+(?:[a-zA-Z°²]+/?[a-z]*)|Q[1-4]|\d+e\d+",
)
_MONEY_BEFORE = re.compile(
    rf"(?P<cur>{_SYMBOL}|\b(?:{_CODE})\b)\s?(?:(?P<low>{NUMBER})(?P<lows>[kKMBTmbt]|bn|mn|tn)?"
    rf"(?P<to>\s*(?:-|–|—|\bto\b|\band\b)\s*)(?:{_SYMBOL})?)?(?P<num>{NUMBER})"
    r"(?P<suf>(?:[kKMBTmbt]|bn|mn|tn)\b)?",
)
_MONEY_AFTER = re.compile(
    rf"{_EDGE}{_RANGE}(?P<suf>(?:[kKMBTmbt]|bn|mn|tn)\b)?\s?(?P<cur>{_any(s for s in CURRENCY_SYMBOLS if s in '€£¥₹₩₽₺')}"
    rf"|\b(?:{_CODE})\b|(?:US\s+|U\.S\.\s+)?\b(?:{_any(CURRENCY_WORDS)})\b)",
    _I,
)
_PERCENT = re.compile(
    rf"{_EDGE}{_RANGE}\s?(?:-\s?)?(?P<unit>percentage[\s-]points?|%[\s-]points?|pp\b|ppts?\b|pts\b|basis\s+points?|bps\b"
    r"|%|per\s?cent\b|percent\b|pct\b)",
    _I,
)
_LOW_PERCENT = re.compile(rf"{_EDGE}(?P<num>{NUMBER})\s?%")
_DURATION = re.compile(
    rf"{_EDGE}{_RANGE}[\s-]*(?P<unit>{_any(DURATIONS)})\b(?:[\s-]+(?P<old>olds?)\b)?"
    rf"(?P<rest>(?:,?\s+(?:and\s+)?{NUMBER}[\s-]*(?:{_any(DURATIONS)})\b)*)",
    _I,
)
_PART = re.compile(rf"(?P<num>{NUMBER})[\s-]*(?P<unit>{_any(DURATIONS)})\b", _I)
_HALF_UNIT = re.compile(r"\bhalf\s+an?\s+(?P<unit>hour|day|year|century|decade|minute)\b", _I)
_SQUARE = re.compile(
    rf"{_EDGE}{_RANGE}\s*(?P<sq>square|sq\.?|cubic)\s*-?(?P<unit>km|kilomet(?:er|re)s?|met(?:er|re)s?|m|miles?|mi|feet|foot|ft)\b",
    _I,
)
_WORDY = [u for u in MEASURES if len(u) > 2 or u in {"km", "kg", "cm", "mm", "°c", "°f", "m²"}]  # noqa: PLR2004
_MEASURE = re.compile(
    rf"{_EDGE}{_RANGE}(?:[\s-]*(?:degrees\s+)?(?P<unit>{_any(_WORDY)})(?![\w²])"
    rf"|\s?(?P<short>{_any(u for u in MEASURES if u not in _WORDY)})(?![\w²/]))",
    _I,
)
_ORDINAL = re.compile(
    rf"(?<![\w.,])(?P<fig>\d[\d,]*)(?:st|nd|rd|th)\b|\b(?:(?P<tens>{_any(TENS)})-)?(?P<word>{_any(ORDINALS)})\b",
    _I,
)
_FRACTION = re.compile(
    rf"(?<![\w.,/])(?P<a>\d+)/(?P<b>\d+)(?![\w/])|\b(?P<n>{_any([*SMALL, 'a'])})[\s-](?P<d>{_any(FRACTIONS)})\b(?!\s+(?:of\s+)?(?:19|20)\d\d)"
    r"|(?<!\w)(?P<half>half)\b(?!\s+(?:an?|time)\b)|(?P<sym>[½⅓⅔¼¾⅕⅛])"
    rf"|\b(?P<x>one|two|three|four|five|\d+)\s+(?:in|out\s+of)(?:\s+every)?\s+(?P<y>{_any(SMALL)}|\d+)\b(?!\s*(?:{_any(DURATIONS)})\b)",
    _I,
)
_SYMBOLS = {"½": 0.5, "⅓": 1 / 3, "⅔": 2 / 3, "¼": 0.25, "¾": 0.75, "⅕": 0.2, "⅛": 0.125}
_PLAIN = re.compile(rf"{_EDGE}{_RANGE}(?P<suf>(?:[kKMBT]|bn|mn|tn)\b)?(?![\w%])", _I)
_WORDS = re.compile(r"[a-z~+≈<>≥≤]+")
_QUICK = re.compile(
    rf"\d|[½⅓⅔¼¾⅕⅛]|\b(?:{_any([*SMALL, *TENS, *SCALES, *ORDINALS, *FRACTIONS, 'noon', 'midnight'])}|\w+day)\b"
    rf"|\b(?:in|since|by|until|from|of)\s+[A-Z]",
    _I,
)


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Value, ...]:
    """The values of a text, in order, none overlapping another.

    Numbers with scale words, percentages and percentage points, money, dates, times, durations,
    measures, ordinals, fractions, version numbers and identifiers. The pronoun-like "one" and
    values inside links, citation markers and list numbers are left out.
    """
    if not _QUICK.search(text):
        return ()
    taken = bytearray(len(text))
    found: list[Value] = []
    for match in _MASK.finditer(text):
        taken[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    for finder in _FINDERS:
        for value in finder(text):
            span = value.span
            if not any(taken[span.start : span.end]):
                taken[span.start : span.end] = b"\1" * (span.end - span.start)
                found.append(value)
    found.sort(key=lambda v: v.span)
    return tuple(_bounded(text, v) for v in found)


# --------------------------------------------------------------------------- one kind each


def _identifiers(text: str) -> Iterator[Value]:
    for match in _IDENTIFIER.finditer(text):
        written = match.group()
        if written.split()[0] in CURRENCY_CODES or re.match(rf"(?:{_CODE})\s?\d", written):
            continue
        if _NOT_IDENTIFIER.fullmatch(written) or not any(c.isdigit() for c in written):
            continue
        code = re.sub(r"^(?:version|ver\.?|v)\s*(?=\d)", "", written.lower())
        yield Value(
            Kind.IDENTIFIER,
            Span(*match.span()),
            written,
            code=re.sub(r"[\s-]", "", code),
        )


def _money(text: str) -> Iterator[Value]:
    for pattern in (_MONEY_BEFORE, _MONEY_AFTER):
        for match in pattern.finditer(text):
            written = match["cur"]
            unit = CURRENCY_SYMBOLS.get(written.upper(), "")
            words = written.lower().removeprefix("us ").removeprefix("u.s. ").strip()
            unit = unit or CURRENCY_WORDS.get(words, "") or written.upper()
            size = MONEY_SUFFIXES.get(match["suf"] or "", 1.0)
            if unit == "USD/100":
                unit, size = "USD", size / 100
            yield from _ranged(match, Kind.MONEY, size, unit=unit)


def _percents(text: str) -> Iterator[Value]:
    for match in _PERCENT.finditer(text):
        unit = match["unit"].lower()
        if unit.startswith(("basis", "bps")):
            yield from _ranged(match, Kind.POINTS, 0.01)
        elif "point" in unit or unit.startswith(("pp", "pts")):
            yield from _ranged(match, Kind.POINTS, 1.0)
        else:
            yield from _ranged(match, Kind.PERCENT, 1.0)


def _durations(text: str) -> Iterator[Value]:
    for match in _HALF_UNIT.finditer(text):
        size = DURATIONS[match["unit"].lower()]
        yield _plain(match, Kind.DURATION, size / 2, size / 10, written=0.5)
    for match in _DURATION.finditer(text):
        if match["num"].lower() in {"a", "an"}:
            continue  # "a year" is a rate more often than a length
        size = DURATIONS[match["unit"].lower()]
        unit = "age" if match["old"] else ""
        parts = list(_PART.finditer(match["rest"]))
        if not parts:
            yield from _ranged(match, Kind.DURATION, size, unit=unit)
            continue
        numbers = [read_number(match["num"]), *(read_number(p["num"]) for p in parts)]
        sizes = [size, *(DURATIONS[p["unit"].lower()] for p in parts)]
        if all(n is not None for n in numbers):
            total = sum(n.value * s for n, s in zip(numbers, sizes, strict=True) if n is not None)
            yield Value(
                Kind.DURATION,
                Span(match.start("num"), match.end()),
                match.string[match.start("num") : match.end()],
                amount=total,
                step=sizes[-1],
                unit=unit,
            )


def _measures(text: str) -> Iterator[Value]:
    for match in _SQUARE.finditer(text):
        dimension, size = MEASURES[match["unit"].lower()]
        power = 3 if match["sq"].lower() == "cubic" else 2
        yield from _ranged(
            match,
            Kind.MEASURE,
            size**power,
            unit="area" if power == 2 else f"{dimension}3",  # noqa: PLR2004
        )
    for match in _MEASURE.finditer(text):
        short = match["short"]
        written = match["unit"] or short
        if short and not _short_unit(match["num"], short):
            continue
        dimension, size = MEASURES[written.lower()]
        yield from _ranged(match, Kind.MEASURE, size, unit=dimension)


def _short_unit(number: str, unit: str) -> bool:
    """Whether a one or two letter unit is one: after a figure, and in the usual case."""
    if not number[-1].isdigit():
        return False
    return unit in {"m", "g", "t", "l", "W", "V", "ft", "yd", "mi", "mg", "lb", "oz", "ml", "cl",
                    "ha", "kW", "MW", "GW", "hp", "Wh", "KB", "kB", "MB", "GB", "TB", "Hz", "kV", "Pa",
                    "m2", "°", "L", "mL", "mW", "℃", "℉"}  # fmt: skip


def _ordinals(text: str) -> Iterator[Value]:
    for match in _ORDINAL.finditer(text):
        if match["fig"]:
            number = int(match["fig"].replace(",", ""))
        else:
            number = ORDINALS[match["word"].lower()] + TENS.get((match["tens"] or "").lower(), 0)
        yield _plain(match, Kind.ORDINAL, float(number), 0.0)


def _fractions(text: str) -> Iterator[Value]:
    for match in _FRACTION.finditer(text):
        if match["sym"]:
            amount = _SYMBOLS[match["sym"]]
        elif match["half"]:
            amount = 0.5
        elif match["a"]:
            if int(match["b"]) == 0 or int(match["a"]) >= int(match["b"]):
                continue
            amount = int(match["a"]) / int(match["b"])
        elif match["d"]:
            amount = SMALL.get(match["n"].lower(), 1) / FRACTIONS[match["d"].lower()]
        else:
            top, bottom = (_small(match[g]) for g in ("x", "y"))
            if bottom <= top:
                continue
            amount = top / bottom
        if 0 < amount < 1:
            yield _plain(match, Kind.FRACTION, amount, 0.01, spelled=True)


def _small(word: str) -> int:
    return SMALL.get(word.lower(), 0) if not word.isdigit() else int(word)


def _numbers(text: str) -> Iterator[Value]:
    for match in _PLAIN.finditer(text):
        if match["num"].lower() in {"one", "a", "an"} and not match["low"]:
            continue
        if match["suf"] and not match["num"][-1].isdigit():
            continue
        size = SUFFIXES.get(match["suf"] or "", 1.0)
        yield from _ranged(match, Kind.NUMBER, size)


_FINDERS: tuple[Callable[[str], Iterator[Value]], ...] = (
    find_dates,
    find_times,
    _money,
    _percents,
    _durations,
    _measures,
    _identifiers,
    _fractions,
    _ordinals,
    find_years,
    _numbers,
)


# --------------------------------------------------------------------------- shared


def _ranged(match: re.Match[str], kind: Kind, size: float, *, unit: str = "") -> Iterator[Value]:
    """The value of a match, and the start of its range where it has one."""
    number = read_number(match["num"])
    if number is None:
        return
    text = match.string
    low = read_number(match["low"]) if match["low"] else None
    groups = match.groupdict()
    joined = (match["to"] or "").strip().lower() in {"and", "or"} and not groups.get("lead")
    # The currency sign stands before the first number; all else after the last.
    front = match.start() if match.re is _MONEY_BEFORE else None
    if front is not None and joined and low is not None:  # "$5 and 30 days"
        size = MONEY_SUFFIXES.get(groups.get("lows") or "", 1.0)
        end = match.end("lows") if match["lows"] else match.end("low")
        yield Value(
            kind,
            Span(front, end),
            text[front:end],
            amount=low.value * size,
            step=low.step * size,
            unit=unit,
            written=low.value,
        )
        return
    amount, inside = number.value * size, None
    starts = front if front is not None and low is None else match.start("num")
    if low is not None and not joined:
        # "3 to 5 million": the first shares the scale of the second unless it has its own.
        bottom = low.value * size
        if low.step < number.step and low.value < number.value / 1000:
            shared = next((s for s in (1e12, 1e9, 1e6, 1e3) if number.value >= s), 1.0)
            bottom = low.value * size * shared
        suffix = MONEY_SUFFIXES.get(groups.get("lows") or "", None)
        if suffix is not None:
            bottom = low.value * suffix
        if bottom < amount:
            inside = (bottom, amount)
            begin = front if front is not None else match.start("low")
            yield Value(
                kind,
                Span(begin, match.end("low")),
                text[begin : match.end("low")],
                amount=bottom,
                step=low.step * (bottom / low.value if low.value else size),
                unit=unit,
                inside=inside,
                spelled=low.spelled,
                written=low.value,
            )
    yield Value(
        kind,
        Span(starts, match.end()),
        text[starts : match.end()],
        amount=amount,
        step=number.step * size,
        unit=unit,
        inside=inside,
        spelled=number.spelled,
        written=number.value,
    )


def _plain(
    match: re.Match[str],
    kind: Kind,
    amount: float,
    step: float,
    *,
    written: float = 0.0,
    spelled: bool = False,
) -> Value:
    return Value(
        kind,
        Span(*match.span()),
        match.group(),
        amount=amount,
        step=step,
        written=written or amount,
        spelled=spelled,
    )


def _bounded(text: str, value: Value) -> Value:
    """The value with the hedge that stands before or behind it."""
    before = _WORDS.findall(text[max(0, value.span.start - 24) : value.span.start].lower())[-3:]
    after = _WORDS.findall(text[value.span.end : value.span.end + 16].lower())[:3]
    last = before[-1] if before else ""
    pair = " ".join(before[-2:])
    if last in {"than"}:
        negated = "no" in before or "not" in before
        more = bool({"more", "greater", "higher", "longer", "larger"} & set(before))
        bound = Bound.AT_LEAST if more != negated else Bound.AT_MOST
    elif (
        pair in {"up to", "at most", "as many", "no more"} or last in AT_MOST or last in {"<", "≤"}
    ):
        bound = Bound.AT_MOST
    elif pair == "at least" or last in AT_LEAST or last in {">", "≥"}:
        bound = Bound.AT_LEAST
    elif after[:1] == ["+"] or after[:2] in (["or", "more"], ["or", "over"], ["and", "over"]):
        bound = Bound.AT_LEAST
    elif after[:2] in (["or", "less"], ["or", "fewer"], ["and", "under"]):
        bound = Bound.AT_MOST
    elif last in ABOUT or last in {"~", "≈"} or pair == "close to" or after[:2] == ["or", "so"]:
        bound = Bound.ABOUT
    else:
        return value
    return replace(value, bound=bound)
