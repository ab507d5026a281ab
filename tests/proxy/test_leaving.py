"""Callers who go away at the worst moment: what was opened for them is closed all the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from guardrails.proxy.closing import Closing
from guardrails.proxy.leaving import ClientGone, while_there
from guardrails.proxy.live import reading
from guardrails.proxy.serve import Relay
from guardrails.proxy.upstream import Relayed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Connection:
    """What a stream reads from."""

    def __init__(self) -> None:
        self.closed = 0

    async def items(self) -> AsyncGenerator[bytes, None]:
        for item in (b"a", b"b"):
            yield item

    async def close(self) -> None:
        self.closed += 1


class Stream:
    """A provider's open stream of events."""

    headers: dict[str, str] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.closed = 0

    async def __aiter__(self) -> Any:
        yield {}

    async def aclose(self) -> None:
        self.closed += 1


async def never() -> Any:
    await asyncio.Event().wait()


async def gone() -> Any:
    return {"type": "http.disconnect"}


@pytest.mark.parametrize("read", [0, 1, 2])
def test_closing_closes_what_is_behind_however_much_was_read(read: int) -> None:
    """Nothing at all included: a generator alone would do nothing then."""

    async def run() -> None:
        connection = Connection()
        items = Closing(connection.items(), connection.close)
        assert [await anext(items) for _ in range(read)] == [b"a", b"b"][:read]
        await items.aclose()
        assert connection.closed
        with pytest.raises(StopAsyncIteration):
            await anext(items)

    asyncio.run(run())


def test_a_stream_of_events_that_nobody_began_is_closed() -> None:
    """The provider is told."""

    async def run() -> None:
        stream = Stream()
        await reading(stream).aclose()
        assert stream.closed == 1

    asyncio.run(run())


@pytest.mark.parametrize("how", ["goes away", "is cancelled"])
def test_a_relay_is_closed_although_its_first_byte_was_never_sent(how: str) -> None:
    """The caller leaves, or time is up, before the response began."""

    async def run() -> None:
        connection = Connection()
        chunks = Closing(connection.items(), connection.close)
        relay = Relay(Relayed(200, {}, chunks))
        receive = gone if how == "goes away" else never
        task = asyncio.create_task(relay({}, receive, lambda _: never()))
        if how == "is cancelled":
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            await task
        assert connection.closed

    asyncio.run(run())


def test_a_relay_that_was_read_to_its_end_is_closed() -> None:
    """Everything goes out, and nothing stays open."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        connection = Connection()
        chunks = Closing(connection.items(), connection.close)
        await Relay(Relayed(200, {}, chunks))({}, never, send)
        assert connection.closed

    asyncio.run(run())
    assert b"".join(message.get("body", b"") for message in sent) == b"ab"


def test_a_result_that_comes_when_nobody_waits_any_more_is_let_go() -> None:
    """Cancelled in the very turn of the loop in which the work was done."""

    async def run() -> None:
        let_go: list[str] = []

        async def drop(result: str) -> None:
            let_go.append(result)

        work: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(while_there(never, work, drop=drop))
        await asyncio.sleep(0)
        work.set_result("a connection")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert let_go == ["a connection"]

    asyncio.run(run())


def test_a_result_that_is_handed_on_is_kept() -> None:
    """Whoever gets it closes it."""

    async def run() -> None:
        let_go: list[str] = []

        async def drop(result: str) -> None:
            let_go.append(result)

        async def work() -> str:
            return "a connection"

        assert await while_there(never, work(), drop=drop) == "a connection"
        with pytest.raises(ClientGone):
            await while_there(gone, never(), drop=drop)
        assert let_go == []

    asyncio.run(run())
