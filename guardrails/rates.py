"""A rate for each key: so many requests a minute, and so many at once. Pure.

A token bucket, kept as one time: when the next request would be due if requests came at exactly
the rate. A request may come early by the burst, and each moves the time on by one interval. One
number a key is what several replicas can share in one row, and change in one statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

_MICROS_A_MINUTE: Final = 60_000_000


class Taken(NamedTuple):
    """What became of a request.

    Attributes:
        allowed: Whether it may go on.
        due: The time to keep; the old one when it may not.
        wait_s: Seconds until one may go on; 0 when this one does.
    """

    allowed: bool
    due: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests a minute.

    Attributes:
        per_minute: In the long run.
        burst: How many at once after a quiet time; at least 1.
    """

    per_minute: float
    burst: int

    def __post_init__(self) -> None:
        if not (self.per_minute > 0 and self.burst >= 1):
            raise ValueError("a rate is more than 0 requests a minute, and a burst at least 1")

    @property
    def interval(self) -> int:
        """Microseconds between two requests at this rate."""
        return max(1, round(_MICROS_A_MINUTE / self.per_minute))

    @property
    def early(self) -> int:
        """Microseconds that a request may come before it is due."""
        return self.interval * (self.burst - 1)


def take(due: int | None, now: int, rate: Rate) -> Taken:
    """Let a request through, or say how long to wait.

    Args:
        due: What was kept of the key, in microseconds; None for nothing.
        now: The time in microseconds, of the clock that ``due`` is of.
        rate: The rate of the key.
    """
    turn = now if due is None else max(due, now)
    if turn - now <= rate.early:
        return Taken(True, turn + rate.interval, 0.0)
    return Taken(False, turn, (turn - now - rate.early) / 1e6)
