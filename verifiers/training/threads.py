"""How many threads to train with on a machine that does other work as well.

Several threads wait for each other at every operation, so where another process holds one core,
two threads are slower than one (measured: 580 tokens/s against 2,500, while two reach 4,200 on an
idle machine). The governor goes to all threads when the rest of the machine is idle, and back to
one when the speed falls below what one thread gave.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_WINDOW: Final = 8
_IDLE_ENOUGH: Final = 0.6
_STAT: Final = Path("/proc/stat")


def read_idle(stat: Path = _STAT) -> tuple[float, float] | None:
    """Idle and total CPU time of the machine since boot, in ticks; None where nobody says."""
    try:
        line = stat.read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return None
    ticks = [float(value) for value in line.split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


class Governor:
    """Chooses one thread or ``most`` from what it sees.

    Args:
        most: Threads to use while the machine is idle.
        apply: Sets the number of threads.
        clock: Seconds, monotonic.
        idle: See :func:`read_idle`.
    """

    def __init__(
        self,
        most: int,
        *,
        apply: Callable[[int], None],
        clock: Callable[[], float],
        idle: Callable[[], tuple[float, float] | None] = read_idle,
    ) -> None:
        self._most, self._apply, self._clock, self._idle = most, apply, clock, idle
        self.threads = 1
        self._alone = 0.0  # tokens a second that one thread gave
        self._begin()
        apply(1)

    def after_step(self, tokens: int) -> None:
        """Tell of a finished step; may change the number of threads."""
        self._tokens += tokens
        self._steps += 1
        if self._steps < _WINDOW:
            return
        rate = self._tokens / max(self._clock() - self._since, 1e-9)
        if self.threads == 1:
            self._alone = rate if not self._alone else 0.7 * self._alone + 0.3 * rate
            if self._idle_cores() > _IDLE_ENOUGH:
                self._use(self._most)
        elif rate < self._alone:
            self._use(1)
        self._begin()

    def _use(self, threads: int) -> None:
        if threads != self.threads:
            self.threads = threads
            self._apply(threads)

    def _idle_cores(self) -> float:
        """How many of the cores beyond our own were idle, as a share of ``most - 1``."""
        now = self._idle()
        if now is None or self._ticks is None or self._most == 1:
            return 0.0
        idle, total = now[0] - self._ticks[0], now[1] - self._ticks[1]
        return (idle / total) * self._most / (self._most - 1) if total > 0 else 0.0

    def _begin(self) -> None:
        self._tokens, self._steps = 0, 0
        self._since, self._ticks = self._clock(), self._idle()
