"""Callers who go away: what is done for them is stopped."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from verifiers.errors import GroundrailError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive

T = TypeVar("T")


class ClientGone(Exception):
    """The caller went away; what was under way was cancelled."""


async def while_there(
    receive: Receive, work: Awaitable[T], *, drop: Callable[[T], Awaitable[None]] | None = None
) -> T:
    """Do ``work`` as long as the caller is there.

    Args:
        receive: Tells when the caller goes away.
        work: What is done.
        drop: Lets go of a result that came at the moment at which nobody waited for it any more.

    Raises:
        ClientGone: If the caller went away first. The work was cancelled and has ended.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_disconnected(receive))
    handed = False
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        handed = task.done()
        if not handed:
            raise ClientGone
        return task.result()
    finally:
        watch.cancel()
        if not task.done():
            await _stopped(task)
        if drop is not None and not handed and not task.cancelled() and task.exception() is None:
            await drop(task.result())


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stopped(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait until it has wound up."""
    task.cancel()
    with suppress(asyncio.CancelledError, GroundrailError):
        await task
