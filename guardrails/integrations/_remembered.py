"""What LiteLLM sent before a call, kept until the answer comes. Bounded in bytes and in time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

# A call of an hour is given up by every provider; what nobody asked for by then goes.
KEEP_S: Final = 3600.0
LIMIT_BYTES: Final = 256 * 1024 * 1024
_OVERHEAD_BYTES: Final = 200  # of an entry beside its body, roughly


class Remembering(Protocol):
    """Keeps bodies by key for a while. Blocks: on an event loop, call it in a thread."""

    def put(self, key: str, body: bytes) -> bool:
        """Keep a body, instead of what was there. False: it is too big to be kept."""
        ...

    def get(self, key: str) -> bytes | None:
        """What is kept, or None when there is nothing or it is too old."""
        ...


class _Entry(NamedTuple):
    body: bytes
    until: float


class InMemory:
    """For one process. Over the limit the oldest go first."""

    def __init__(
        self,
        *,
        keep_s: float = KEEP_S,
        limit_bytes: int = LIMIT_BYTES,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an empty one.

        Args:
            keep_s: How long a body is kept, in seconds.
            limit_bytes: Of all bodies together.
            ticks: Monotonic seconds.
        """
        self._keep_s = keep_s
        self._limit = limit_bytes
        self._ticks = ticks
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def put(self, key: str, body: bytes) -> bool:
        """See :class:`Remembering`."""
        now = self._ticks()
        with self._lock:
            self._drop(key)
            if _size(body) > self._limit:
                return False
            self._entries[key] = _Entry(body, now + self._keep_s)
            self._size += _size(body)
            while self._entries:
                oldest, entry = next(iter(self._entries.items()))
                if self._size <= self._limit and entry.until > now:
                    break
                self._drop(oldest)
            return True

    def get(self, key: str) -> bytes | None:
        """See :class:`Remembering`."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.until <= self._ticks():
                self._drop(key)
                return None
            return entry.body

    @property
    def size_bytes(self) -> int:
        """Of everything that is kept."""
        return self._size

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= _size(entry.body)


class InStore:
    """For several replicas on one database, which is opened when it is first needed."""

    def __init__(self, find: Callable[[], Remembering]) -> None:
        """Make one.

        Args:
            find: Gives the store's own; raises ``StoreUnavailable`` when it cannot be reached.
        """
        self._find = find

    @cached_property
    def _kept(self) -> Remembering:
        return self._find()

    def put(self, key: str, body: bytes) -> bool:
        """See :class:`Remembering`."""
        return self._kept.put(key, body)

    def get(self, key: str) -> bytes | None:
        """See :class:`Remembering`."""
        return self._kept.get(key)


def _size(body: bytes) -> int:
    return len(body) + _OVERHEAD_BYTES
