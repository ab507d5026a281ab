"""Streams on their way to the caller, checked sentence by sentence."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from guardrails.proxy.closing import Closing
from guardrails.proxy.leaving import ClientGone, while_there
from guardrails.proxy.upstream import JSON, Events, UpstreamFailed, Wire
from guardrails.proxy.wire import DONE, encode
from guardrails.responses import legible

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from starlette.types import Receive, Scope, Send

    from guardrails.streaming.guarded import AsyncGuardedStream
    from guardrails.streaming.shapes import Outlet


def _says_why(event: JSON, wire: Wire) -> bool:
    """Whether clients of the protocol would take an event for an error."""
    return bool(event.get("error")) or (wire == "responses" and "message" in event)


def reading(events: Events) -> Closing[JSON]:
    """The events of an open stream; closing this closes it."""
    return Closing(_each(events), events.aclose)


async def _each(events: Events) -> AsyncGenerator[JSON, None]:
    try:
        async for event in events:
            yield event
    finally:
        await events.aclose()


class Live(Response):
    """A guarded stream as server-sent events, as long as somebody is there to read them."""

    def __init__(
        self,
        first: Any,
        stream: AsyncGuardedStream,
        outlet: Outlet,
        wire: Wire,
        headers: Mapping[str, str],
    ) -> None:
        """Make one.

        Args:
            first: The first event, or None for a stream without any: it was waited for, so that
                what fails before it has a status of its own.
            stream: The rest. Closed here.
            outlet: The last stage before the wire.
            wire: The protocol.
            headers: Beside the events.
        """
        super().__init__(None, 200, dict(headers), "text/event-stream")
        del self.headers["content-length"]
        self._first, self._stream, self._outlet, self._wire = first, stream, outlet, wire

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything."""
        del scope

        async def everything() -> None:
            start = {"type": "http.response.start", "status": self.status_code}
            await send({**start, "headers": self.raw_headers})
            try:
                async for data in self._written():
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            except UpstreamFailed as error:
                if error.event is None or not _says_why(error.event, self._wire):
                    raise
                data = encode(error.event, self._wire)
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        try:
            with suppress(ClientGone):
                await while_there(receive, everything())
        finally:
            await self._stream.aclose()

    async def _written(self) -> AsyncIterator[bytes]:
        if self._first is not None:
            yield self._encoded(self._first)
        async for event in self._stream:
            data = self._encoded(event)
            if data:
                yield data
        if self._wire == "chat":
            yield DONE

    def _encoded(self, event: JSON) -> bytes:
        with legible():
            leaving = self._outlet.send(event)
        return b"".join(encode(sent, self._wire) for sent in leaving)
