"""Small steps of a stream's run: the provider's next event, and winding up whoever cancels."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from guardrails.errors import ProviderFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

DONE: Final = object()


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Wind up, whoever cancels: a record half written is none, and a provider left open costs."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as stop:
            cancelled = stop
    task.result()
    if cancelled is not None:
        raise cancelled


async def following(upstream: AsyncIterator[Any]) -> Any:
    """The provider's next event; ``DONE`` when there is none."""
    try:
        return await anext(upstream)
    except StopAsyncIteration:
        return DONE


def silent(limit: float | None) -> ProviderFailed:
    """What is said of a provider that was silent for longer than ``limit`` seconds."""
    return ProviderFailed(
        f"The provider was silent for {limit or 0:.3g} s; what was not decided by then was not "
        "released.",
        status=408,
        hint="Raise limits.seconds of the policy, or use a faster model.",
    )
