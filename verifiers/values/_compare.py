"""Whether two values say the same, tolerant of rounding, format and hedges."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from verifiers.values._model import Bound, Day, Kind, Value

# "About 30 %" may stand for 27.9; "nearly 1,000" for 940.
_ABOUT = 0.07
# Rounding to what was written never moves a value by more than this.
_ROUNDED = 0.1
_EXACT = 1e-9
# Months and years in days are averages, pounds and miles are rounded when converted.
_CONVERTED = 0.025
_PERCENT = 100.0
# "A third" and "35 %" are one share.
_SHARES = 2
_COARSER = 10


class Relation(Enum):
    """What two values have to do with each other."""

    SAME = "same"  # equal, or one may stand for the other
    DIFFERENT = "different"  # of one kind, and they cannot both hold
    UNLIKE = "unlike"  # not comparable


def relate(claim: Value, source: Value) -> Relation:
    """Compare a value of a claim with a value of a source. Not symmetric: the source decides."""
    if claim.kind is Kind.DATE or source.kind is Kind.DATE:
        return _dates(claim, source)
    if claim.kind is Kind.IDENTIFIER or source.kind is Kind.IDENTIFIER:
        return _identifiers(claim, source)
    if claim.kind is not source.kind:
        return _mixed(claim, source)
    if claim.kind is Kind.TIME:
        return _times(claim, source)
    if claim.unit != source.unit:
        return Relation.UNLIKE if claim.kind is not Kind.MONEY else _currencies(claim, source)
    return Relation.SAME if _near(claim, source) else Relation.DIFFERENT


def _near(claim: Value, source: Value) -> bool:
    """Whether the amounts agree within how finely and how surely they were written."""
    size = max(abs(claim.amount), abs(source.amount))
    gap = abs(claim.amount - source.amount)
    if {claim.bound, source.bound} == {Bound.AT_LEAST, Bound.AT_MOST}:
        return _left_open(claim, source)
    return (
        gap <= _EXACT * max(size, 1.0)
        or _in_range(claim, source)
        or _left_open(claim, source)
        or (Bound.ABOUT in {claim.bound, source.bound} and gap <= _ABOUT * size)
        or _converted(claim, source, gap, size)
        or (
            gap <= _ROUNDED * size
            and (_rounds(claim, source.amount) or _rounds(source, claim.amount))
        )
    )


def _in_range(claim: Value, source: Value) -> bool:
    """Whether one is an end of a range that holds the other."""
    return any(
        one.inside is not None
        and other.inside is None
        and one.inside[0] <= other.amount <= one.inside[1]
        for one, other in ((claim, source), (source, claim))
    )


def _left_open(claim: Value, source: Value) -> bool:
    """Whether a hedge leaves room for the other value."""
    a, b = claim.amount, source.amount
    if {claim.bound, source.bound} == {Bound.AT_LEAST, Bound.AT_MOST}:
        # "More than 500" and "less than 500" leave no number in common.
        return a < b if claim.bound is Bound.AT_LEAST else b < a
    if claim.bound is source.bound:
        # "Over 250" holds where the source says over 300; "up to 45" is a limit, and another one.
        return claim.bound is Bound.AT_LEAST and a <= b
    # Only what the claim leaves open: "more than 1,000" in a source does not give 5,000.
    return _bounded(claim.bound, a, b) or (_bounded(source.bound, b, a) and b / 2 <= a <= 2 * b)


def _converted(claim: Value, source: Value, gap: float, size: float) -> bool:
    """Whether two amounts in different units, or of different fineness, are one."""
    if claim.kind is Kind.DURATION and any(
        x.written and x.amount / x.written >= _COARSER * y.step and gap <= x.amount / x.written / 2
        for x, y in ((claim, source), (source, claim))
    ):
        return True  # "8 minutes" for 8 minutes and 20 seconds
    units = claim.kind in {Kind.DURATION, Kind.MEASURE} and not _same_unit(claim, source)
    return units and gap <= _CONVERTED * size


def _same_unit(claim: Value, source: Value) -> bool:
    if not (claim.written and source.written):
        return False
    one, other = claim.amount / claim.written, source.amount / source.written
    return abs(one - other) <= _EXACT * max(one, other)


def _rounds(coarse: Value, amount: float) -> bool:
    """Whether ``coarse`` is ``amount`` rounded to what was written.

    A small whole number is a count and is exact; 1,200 or 3.5 million are rounded to their last
    digit that is not zero, and a count that ends in one zero (150) hardly at all.
    """
    half = coarse.step / 2 * (1 + _EXACT)
    whole = float(coarse.written).is_integer() and coarse.written == coarse.amount
    if whole and coarse.kind in {Kind.NUMBER, Kind.ORDINAL}:
        if not float(amount).is_integer():
            return abs(amount - coarse.amount) <= half and coarse.step > 1
        if coarse.step < 100:  # noqa: PLR2004 - no two zeros at the end
            return False
    elif float(coarse.written).is_integer() and coarse.kind in {Kind.DURATION, Kind.MEASURE}:
        return abs(amount - coarse.amount) < min(half, 0.02 * coarse.amount)
    return abs(amount - coarse.amount) <= half


def _bounded(bound: Bound, limit: float, amount: float) -> bool:
    match bound:
        case Bound.AT_LEAST:
            return limit <= amount
        case Bound.AT_MOST:
            return amount <= limit
        case _:
            return False


def _mixed(claim: Value, source: Value) -> Relation:
    kinds = {claim.kind, source.kind}
    if kinds == {Kind.PERCENT, Kind.FRACTION}:
        here, there = _in_percent(claim), _in_percent(source)
        near = abs(here.amount - there.amount) <= _SHARES or _near(here, there)
        return Relation.SAME if near else Relation.DIFFERENT
    if kinds == {Kind.PERCENT, Kind.POINTS}:
        # The same figure in the other unit is the mistake people make; another says nothing.
        equal = abs(claim.amount - source.amount) <= _EXACT
        return Relation.DIFFERENT if equal else Relation.UNLIKE
    if Kind.NUMBER in kinds and _loose(claim, source):
        return Relation.SAME
    return Relation.UNLIKE


def _in_percent(value: Value) -> Value:
    if value.kind is Kind.PERCENT:
        return value
    return replace(
        value, kind=Kind.PERCENT, amount=_PERCENT * value.amount, step=_PERCENT * value.step
    )


def _loose(claim: Value, source: Value) -> bool:
    """A bare number beside one with a unit: the unit may stand elsewhere in the sentence."""
    return claim.written == source.written or _near_bare(claim.amount, source.amount)


def _near_bare(a: float, b: float) -> bool:
    return abs(a - b) <= _EXACT * max(abs(a), abs(b), 1.0)


def _currencies(claim: Value, source: Value) -> Relation:
    equal = abs(claim.amount - source.amount) <= _EXACT * max(claim.amount, source.amount)
    return Relation.DIFFERENT if equal else Relation.UNLIKE


def _times(claim: Value, source: Value) -> Relation:
    gap = abs(claim.amount - source.amount)
    if _bounded(claim.bound, claim.amount, source.amount):
        return Relation.SAME
    if gap == 0 or (gap == 12 * 60 and "12h" in {claim.unit, source.unit}):
        return Relation.SAME
    return Relation.DIFFERENT


def _identifiers(claim: Value, source: Value) -> Relation:
    if claim.kind is not source.kind:
        code, other = (claim, source) if claim.kind is Kind.IDENTIFIER else (source, claim)
        bare = other.text.lower().replace(",", "")
        return Relation.SAME if bare == code.code else Relation.UNLIKE
    if claim.code == source.code:
        return Relation.SAME
    if claim.code.startswith(f"{source.code}.") or source.code.startswith(f"{claim.code}."):
        return Relation.SAME  # 1.2 may stand for 1.2.3
    return Relation.DIFFERENT if _shape(claim.code) == _shape(source.code) else Relation.UNLIKE


def _shape(code: str) -> str:
    """The letters before the first digit: ``iso9001`` and ``iso27001`` are one series."""
    for at, letter in enumerate(code):
        if letter.isdigit():
            return code[:at]
    return code


# --------------------------------------------------------------------------- dates


def _dates(claim: Value, source: Value) -> Relation:
    if claim.day is None or source.day is None:
        number, date = (source, claim) if claim.day is not None else (claim, source)
        year = date.day.year if date.day is not None else None
        if number.kind is not Kind.NUMBER or year is None:
            return Relation.UNLIKE
        # A figure that looks like a year may be a count: "over 1,200" of 1217.
        count = replace(date, kind=Kind.NUMBER, amount=float(year), written=float(year))
        same = _near(claim, count) if source is date else _near(count, source)
        return Relation.SAME if same else Relation.UNLIKE
    if claim.bound in {Bound.AT_LEAST, Bound.AT_MOST} and claim.day.year and source.day.year:
        return _dated_bound(claim, source)
    relations = {
        _days(a, b)
        for a in (claim.day, claim.day.other)
        for b in (source.day, source.day.other)
        if a is not None and b is not None
    }
    for relation in (Relation.SAME, Relation.DIFFERENT):
        if relation in relations:
            return relation
    return Relation.UNLIKE


def _dated_bound(claim: Value, source: Value) -> Relation:
    """Whether a date lies in "after 2008" or "before 2000"."""
    assert claim.day is not None and source.day is not None  # noqa: S101, PT018 - asked before
    limit, year = claim.day.year, source.day.year
    if limit is None or year is None:
        return Relation.UNLIKE
    last = source.day.until or year
    met = last >= limit if claim.bound is Bound.AT_LEAST else year <= (claim.day.until or limit)
    return Relation.SAME if met else Relation.DIFFERENT


def _days(claim: Day, source: Day) -> Relation:
    """Dates agree when every part that both give agrees, and they share one."""
    shared = differing = 0
    if claim.year is not None and source.year is not None:
        shared += 1
        differing += not _years_meet(claim, source)
    for field in ("month", "day", "weekday", "quarter"):
        a, b = getattr(claim, field), getattr(source, field)
        if a is not None and b is not None:
            shared += 1
            differing += a != b
    if _quarters_clash(claim, source) or _quarters_clash(source, claim):
        shared, differing = shared + 1, differing + 1
    if not shared:
        return Relation.UNLIKE
    if claim.month is None and source.month is not None and claim.year is None:
        return Relation.UNLIKE
    return Relation.DIFFERENT if differing else Relation.SAME


def _years_meet(claim: Day, source: Day) -> bool:
    assert claim.year is not None and source.year is not None  # noqa: S101, PT018 - asked before
    return claim.year <= (source.until or source.year) and source.year <= (
        claim.until or claim.year
    )


def _quarters_clash(one: Day, other: Day) -> bool:
    """Whether a month of one lies outside the quarter of the other."""
    if one.quarter is None or other.month is None:
        return False
    return (other.month - 1) // 3 + 1 != one.quarter
