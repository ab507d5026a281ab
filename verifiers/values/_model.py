"""What a parsed value is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifiers.types import Span


class Kind(StrEnum):
    """What sort of thing a value measures. Only values of one kind are compared."""

    NUMBER = "number"
    PERCENT = "percent"
    POINTS = "points"  # percentage points
    MONEY = "money"
    DATE = "date"
    TIME = "time"  # of day, in minutes
    DURATION = "duration"  # in seconds
    MEASURE = "measure"  # in the base unit of its dimension
    ORDINAL = "ordinal"
    FRACTION = "fraction"
    IDENTIFIER = "identifier"


class Bound(StrEnum):
    """How a value was hedged."""

    EXACT = "exact"
    ABOUT = "about"
    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True, slots=True)
class Day:
    """A date, as far as it was written: any of year, month, day, weekday may be missing.

    ``other`` is the second reading of an ambiguous ``5/6/2021``. ``until`` makes the year the
    first of a run: a decade or a century.
    """

    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None
    quarter: int | None = None
    until: int | None = None
    other: Day | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A value in a text.

    Attributes:
        span: Where it stands in the parsed text, unit and currency included.
        text: Its text there.
        amount: In the base unit of its kind; 0 where ``day`` or ``code`` says it.
        step: How finely it was written, in the same unit.
        unit: Dimension of a measure, or ISO code of a currency; empty otherwise.
        bound: How it was hedged.
        inside: The range it is an end of, if it is.
        day: For dates.
        code: For identifiers, folded.
        spelled: Whether it was written in words.
        written: The number as written, in its own unit (60 for "60 days").
    """

    kind: Kind
    span: Span
    text: str
    amount: float = 0.0
    step: float = 1.0
    unit: str = ""
    bound: Bound = Bound.EXACT
    inside: tuple[float, float] | None = None
    day: Day | None = None
    code: str = ""
    spelled: bool = False
    written: float = 0.0
