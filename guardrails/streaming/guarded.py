"""What a guarded stream is for its consumer: the events as decided, and the reports at its end."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

from guardrails.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine
    from concurrent.futures import Future

    from guardrails.report import Report
    from policies.types import Action

T = TypeVar("T")


class _Reports:
    """What both kinds of stream tell once they have ended."""

    _of: Callable[[], tuple[Report, ...]]

    @property
    def so_far(self) -> tuple[Report, ...]:
        """The reports, or none before the end."""
        return self._of()

    @property
    def reports(self) -> tuple[Report, ...]:
        """One a choice, in order.

        Raises:
            ConfigInvalid: If the stream was not read to its end yet.
        """
        found = self._of()
        if not found:
            raise ConfigInvalid(
                "The stream has not come to its end, so there is no report yet.",
                hint="Read the stream to its end, or close it, and then ask.",
            )
        return found

    @property
    def report(self) -> Report:
        """The report of the first choice."""
        return self.reports[0]

    @property
    def text(self) -> str:
        """The text of the first choice, as it went out."""
        return self.reports[0].text

    @property
    def action(self) -> Action:
        """The most severe action over all choices."""
        return max((report.action for report in self.reports), key=lambda action: action.severity)


class AsyncGuardedStream(_Reports):
    """An asynchronous iterator over the events that were let go. Iterate it once.

    Leave it early by ``aclose`` or ``async with``: then the provider is told, and it is recorded.
    """

    def __init__(
        self, events: AsyncGenerator[Any, None], reports: Callable[[], tuple[Report, ...]]
    ) -> None:
        """Wrap a stream.

        Args:
            events: The events.
            reports: Gives the reports; none before the end.
        """
        self._events = events
        self._of = reports

    def __aiter__(self) -> Self:
        """The stream itself."""
        return self

    async def __anext__(self) -> Any:
        return await self._events.__anext__()

    async def aclose(self) -> None:
        """Stop reading. The provider's stream is closed, and what was let go is recorded."""
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        """The stream itself."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


class GuardedStream(_Reports):
    """An iterator over the events that were let go, for code without an event loop.

    Leave it early by ``close`` or ``with``: then the provider is told, and it is recorded. The
    stream itself runs on an event loop in a thread of the guard's; it works only while it is asked
    for its next event.
    """

    def __init__(
        self,
        make: Callable[[], Coroutine[Any, Any, AsyncGuardedStream]],
        loop: LoopThread,
    ) -> None:
        """Wrap a stream.

        Args:
            make: Opens it; run on the loop.
            loop: Where it runs.
        """
        self._loop = loop
        self._stream = loop.run(make())
        loop.adopt(self._stream)
        self._of = lambda: self._stream.so_far

    def __iter__(self) -> Self:
        """The stream itself."""
        return self

    def __next__(self) -> Any:
        done = object()

        async def following() -> Any:
            try:
                return await self._stream.__anext__()
            except StopAsyncIteration:
                return done

        event = self._loop.run(following())
        if event is done:
            raise StopIteration
        return event

    def close(self) -> None:
        """Stop reading. The provider's stream is closed, and what was let go is recorded."""
        if not self._loop.closed:  # else the guard did that when it was closed
            self._loop.run(self._stream.aclose())

    def __enter__(self) -> Self:
        """The stream itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class LoopThread:
    """An event loop in a daemon thread, started with the first stream that needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._streams: WeakSet[AsyncGuardedStream] = WeakSet()
        self.closed = False

    def adopt(self, stream: AsyncGuardedStream) -> None:
        """Close this stream before the loop is."""
        self._streams.add(stream)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` on the loop and wait for it. What interrupts the wait cancels the work.

        Raises:
            ConfigInvalid: If the guard was closed.
        """
        if self.closed:
            work.close()
            raise ConfigInvalid(
                "The guard was closed, and the stream with it; what had gone out is recorded.",
                hint="Read the stream to its end before you close the guard.",
            )
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=loop.run_forever, name="groundrail-streams", daemon=True
                )
                self._thread.start()
                self._loop = loop
            return self._loop

    def close(self) -> None:
        """Stop the loop. Streams that are open on it are closed first, and recorded."""
        with self._lock:
            loop, self._loop = self._loop, None
            self.closed = True
        if loop is None:
            return

        async def everything() -> None:
            others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            closing = [stream.aclose() for stream in list(self._streams)]
            await asyncio.gather(*closing, return_exceptions=True)
            await asyncio.get_running_loop().shutdown_default_executor()

        asyncio.run_coroutine_threadsafe(everything(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        if self._thread is not None:
            self._thread.join()
        loop.close()
