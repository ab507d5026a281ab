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
    SMALL,
    SUFFIXES,
    TENS,
)
from verifiers.values._model import Bound, Kind, Value
from verifiers.values._numbers import read_number
from verifiers.values._patterns import (
    CODE,
    DURATION,
    FEET,
    FRACTION,
    HALF_UNIT,
    IDENTIFIER,
    MASK,
    MEASURE,
    MONEY_AFTER,
    MONEY_BEFORE,
    NOT_IDENTIFIER,
    ORDINAL,
    PART,
    PERCENT,
    PLAIN,
    QUICK,
    SQUARE,
    SYMBOLS,
    WORDS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def parse(text: str) -> tuple[Value, ...]:
    """The values of a text, in order, none overlapping another.

    Numbers with scale words, percentages and percentage points, money, dates, times, durations,
    measures, ordinals, fractions, version numbers and identifiers. The pronoun-like "one" and
    values inside links, citation markers and list numbers are left out.
    """
    if len(text) > _REMEMBERED:
        return _parsed(text)
    return _remembered(text)


# A window is parsed once for all claims; long texts would fill the memory.
_REMEMBERED = 8192


@lru_cache(maxsize=2048)
def _remembered(text: str) -> tuple[Value, ...]:
    return _parsed(text)


def _parsed(text: str) -> tuple[Value, ...]:
    if not QUICK.search(text):
        return ()
    taken = bytearray(len(text))
    found: list[Value] = []
    for match in MASK.finditer(text):
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
    for match in IDENTIFIER.finditer(text):
        written = match.group()
        if written.split()[0] in {*CURRENCY_CODES, "AD", "BC", "CE", "BCE"} or re.match(
            rf"(?:{CODE})\s?\d", written
        ):
            continue
        if NOT_IDENTIFIER.fullmatch(written) or not any(c.isdigit() for c in written):
            continue
        code = re.sub(r"^(?:version|ver\.?|v)\s*(?=\d)", "", written.lower())
        yield Value(
            Kind.IDENTIFIER,
            Span(*match.span()),
            written,
            code=re.sub(r"[\s-]", "", code),
        )


def _money(text: str) -> Iterator[Value]:
    for pattern in (MONEY_BEFORE, MONEY_AFTER):
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
    for match in PERCENT.finditer(text):
        unit = match["unit"].lower()
        if unit.startswith(("basis", "bps")):
            yield from _ranged(match, Kind.POINTS, 0.01)
        elif "point" in unit or unit.startswith(("pp", "pts")):
            yield from _ranged(match, Kind.POINTS, 1.0)
        else:
            yield from _ranged(match, Kind.PERCENT, 1.0)


def _durations(text: str) -> Iterator[Value]:
    for match in HALF_UNIT.finditer(text):
        size = DURATIONS[match["unit"].lower()]
        yield _plain(match, Kind.DURATION, size / 2, size / 10, written=0.5)
    for match in DURATION.finditer(text):
        if match["num"].lower() in {"a", "an"}:
            continue  # "a year" is a rate more often than a length
        size = DURATIONS[match["unit"].lower()]
        unit = "age" if match["old"] else ""
        parts = list(PART.finditer(match["rest"]))
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
    for match in FEET.finditer(text):
        inch = MEASURES["inches"][1]
        total = 12 * int(match["feet"]) + float(match["inches"])
        yield replace(
            _plain(match, Kind.MEASURE, total * inch, inch, written=total),
            unit=MEASURES["inches"][0],
        )
    for match in SQUARE.finditer(text):
        dimension, size = MEASURES[match["unit"].lower()]
        power = 3 if match["sq"].lower() == "cubic" else 2
        yield from _ranged(
            match,
            Kind.MEASURE,
            size**power,
            unit="area" if power == 2 else f"{dimension}3",  # noqa: PLR2004
        )
    for match in MEASURE.finditer(text):
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
    return unit in _SHORT_UNITS


_SHORT_UNITS = frozenset(
    {"m", "g", "t", "l", "L", "W", "V", "ft", "yd", "mi", "mg", "lb", "oz", "ml", "mL", "cl", "ha"}
    | {"kW", "MW", "mW", "GW", "hp", "Wh", "KB", "kB", "MB", "GB", "TB", "Hz", "kV", "Pa", "m2"}
    | {"°", "℃", "℉"}
)


def _ordinals(text: str) -> Iterator[Value]:
    for match in ORDINAL.finditer(text):
        if match["fig"]:
            number = int(match["fig"].replace(",", ""))
        else:
            number = ORDINALS[match["word"].lower()] + TENS.get((match["tens"] or "").lower(), 0)
        yield _plain(match, Kind.ORDINAL, float(number), 0.0)


def _fractions(text: str) -> Iterator[Value]:
    for match in FRACTION.finditer(text):
        if match["sym"]:
            amount = SYMBOLS[match["sym"]]
        elif match["half"]:
            amount = 0.5
        elif match["a"]:
            if int(match["b"]) == 0 or int(match["a"]) >= int(match["b"]):
                continue
            amount = int(match["a"]) / int(match["b"])
        elif match["d"]:
            one = match["n"].lower() in {"a", "one"} and match["d"].lower() not in {
                "half",
                "quarter",
            }
            if one and not re.match(r"\s+of\b|\s*[,.;)]", text[match.end() : match.end() + 4]):
                continue  # "a fifth theatre"
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
    for match in PLAIN.finditer(text):
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
    front = match.start() if match.re is MONEY_BEFORE else None
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
    before = WORDS.findall(text[max(0, value.span.start - 24) : value.span.start].lower())[-3:]
    after = WORDS.findall(text[value.span.end : value.span.end + 16].lower())[:3]
    dated = value.kind in {Kind.DATE, Kind.TIME}
    bound = _dated(before) if dated else _hedge(before, after)
    return value if bound is Bound.EXACT else replace(value, bound=bound)


def _dated(before: list[str]) -> Bound:
    last, pair = before[-1] if before else "", " ".join(before[-2:])
    if last in {"after", "post"} or pair == "later than":
        return Bound.AT_LEAST
    if last in {"before", "by"} or pair in {"prior to", "earlier than"}:
        return Bound.AT_MOST
    return Bound.EXACT


def _hedge(before: list[str], after: list[str]) -> Bound:
    last, pair, behind = before[-1] if before else "", " ".join(before[-2:]), tuple(after[:2])
    if last == "than":
        negated = "no" in before or "not" in before
        more = bool({"more", "greater", "higher", "longer", "larger"} & set(before))
        return Bound.AT_LEAST if more != negated else Bound.AT_MOST
    if last in {*AT_MOST, "<", "≤"} or pair in {"up to", "at most"} or behind in _OR_LESS:
        return Bound.AT_MOST
    if last in {*AT_LEAST, ">", "≥"} or after[:1] == ["+"] or behind in _OR_MORE:
        return Bound.AT_LEAST
    if last in {*ABOUT, "~", "≈"} or pair == "close to" or behind == ("or", "so"):
        return Bound.ABOUT
    return Bound.EXACT


_OR_MORE = {("or", "more"), ("or", "over"), ("and", "over")}
_OR_LESS = {("or", "less"), ("or", "fewer"), ("and", "under")}
