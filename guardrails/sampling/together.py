"""Several calls at once, so many at a time and no longer than so long; on threads or on a loop."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from guardrails.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")


class NotAsked(Exception):
    """A call that was not made, because one before it said that there are too many."""


def together(
    works: Sequence[Callable[[], T]],
    *,
    at_once: int,
    seconds: float | None,
    halts: Callable[[Exception], bool],
) -> list[T | Exception]:
    """Run blocking works, each in a daemon thread that is left behind when it is late.

    Args:
        works: What to do.
        at_once: The most that run at a time.
        seconds: For all of them; None waits for as long as it takes.
        halts: Whether an error means that no further work is begun.

    Returns:
        What each gave or raised, in their order; ``TimedOut`` for one that is late and
        ``NotAsked`` for one that was not begun.
    """
    board: _Board[T] = _Board(len(works), halts)
    deadline = None if seconds is None else time.monotonic() + seconds
    for _ in range(min(at_once, len(works))):
        context = copy_context()
        # Daemons: a provider that never answers must not keep the program from ending.
        threading.Thread(
            target=context.run, args=(board.work, works), name="groundrail-sample", daemon=True
        ).start()
    try:
        with board.changed:
            board.changed.wait_for(
                board.settled, None if deadline is None else deadline - time.monotonic()
            )
            return board.close()
    except BaseException:
        board.close()  # an interrupted caller begins nothing more
        raise


@dataclass(slots=True)
class _Board(Generic[T]):
    """Which works are begun and done. Held by ``changed``."""

    total: int
    halts: Callable[[Exception], bool]
    done: dict[int, T | Exception] = field(default_factory=dict)
    begun: int = 0
    stopped: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def settled(self) -> bool:
        return len(self.done) == (self.begun if self.stopped else self.total)

    def work(self, works: Sequence[Callable[[], T]]) -> None:
        while True:
            with self.changed:
                if self.stopped or self.begun == self.total:
                    return
                index = self.begun
                self.begun += 1
            try:
                outcome: T | Exception = works[index]()
            except Exception as error:  # noqa: BLE001 - given to whoever waits
                outcome = error
            with self.changed:
                self.done[index] = outcome
                if isinstance(outcome, Exception) and self.halts(outcome):
                    self.stopped = True
                self.changed.notify_all()

    def close(self) -> list[T | Exception]:
        self.stopped = True
        return [
            self.done.get(index, _late() if index < self.begun else NotAsked())
            for index in range(self.total)
        ]


async def atogether(
    works: Sequence[Callable[[], Awaitable[T]]],
    *,
    at_once: int,
    seconds: float | None,
    halts: Callable[[Exception], bool],
) -> list[T | Exception]:
    """As :func:`together` on the event loop. Late ones are cancelled; so are all when we are."""
    room = asyncio.Semaphore(at_once)
    halted = asyncio.Event()
    done: dict[int, T | Exception] = {}
    begun: set[int] = set()

    async def one(index: int) -> None:
        async with room:
            if halted.is_set():
                return
            begun.add(index)
            try:
                done[index] = await works[index]()
            except Exception as error:  # noqa: BLE001 - given to whoever waits
                done[index] = error
                if halts(error):
                    halted.set()

    tasks = [asyncio.create_task(one(index)) for index in range(len(works))]
    try:
        await asyncio.wait(tasks, timeout=seconds)
    finally:
        for task in tasks:
            task.cancel()
        # Their end is waited for: a cancelled call lets go of its connection before we go on.
        await asyncio.gather(*tasks, return_exceptions=True)
    return [
        done.get(index, _late() if index in begun else NotAsked()) for index in range(len(works))
    ]


def _late() -> TimedOut:
    return TimedOut(
        "A sample did not come within the time left for sampling; it was not waited for.",
        hint="Raise consistency.seconds of the policy, or sample a faster model.",
    )
