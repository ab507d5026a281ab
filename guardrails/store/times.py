"""Times as the database keeps them: microseconds since 1970 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Exact, without a detour over floats.

    Raises:
        ValueError: If the time has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a zone says nothing; pass an aware datetime")
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The inverse of :func:`to_micros`, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def opt_micros(moment: datetime | None) -> int | None:
    """:func:`to_micros`, None for None."""
    return None if moment is None else to_micros(moment)


def opt_moment(micros: int | None) -> datetime | None:
    """:func:`from_micros`, None for None."""
    return None if micros is None else from_micros(micros)
