"""Generator functions of applications as streams."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from guardrails.streaming.guarded import AsyncGuardedStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from guardrails.report import Report

_DONE: Final = object()


async def as_async(found: Any) -> AsyncGenerator[Any, None]:
    """What a generator yields, sync or async. A sync one runs in one thread of its own."""
    if hasattr(found, "__anext__"):
        try:
            async for item in found:
                yield item
        finally:
            close = getattr(found, "aclose", None)
            if callable(close):
                await close()
        return
    loop = asyncio.get_running_loop()
    context = copy_context()
    with ThreadPoolExecutor(1, thread_name_prefix="groundrail-generator") as thread:
        try:
            while True:
                item = await loop.run_in_executor(thread, context.run, _following, found)
                if item is _DONE:
                    return
                yield item
        finally:
            close = getattr(found, "close", None)
            if callable(close):
                # In its thread, behind the step that may still run there.
                thread.submit(context.run, close)


def _following(iterator: Iterator[Any]) -> Any:
    return next(iterator, _DONE)


def deferred(make: Callable[[], Awaitable[AsyncGuardedStream]]) -> AsyncGuardedStream:
    """A stream that is opened when its first event is asked for."""
    opened: list[AsyncGuardedStream] = []

    async def events() -> AsyncGenerator[Any, None]:
        stream = await make()
        opened.append(stream)
        async with stream:
            async for event in stream:
                yield event

    def reports() -> tuple[Report, ...]:
        return opened[0].so_far if opened else ()

    return AsyncGuardedStream(events(), reports)
