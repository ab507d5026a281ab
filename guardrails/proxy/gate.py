"""The gate: plain ASGI around the whole application. Every request passes it, in this order.

1. The route is looked up in the table: nothing else can be reached.
2. The key is looked up where the route needs a role, and the role is checked.
3. The body's size is bounded, the key's rate counted, a place taken; all before any work.
4. The request runs under its time limit. What escapes it becomes an error in the route's protocol:
   a whole response, or the last event of a stream that has begun.
5. It is counted and logged: method, route, status, key id and seconds. No path, no query, no text.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

from guardrails.errors import NoSuchRoute, NotAllowed, TimedOut, Unavailable
from guardrails.proxy.context import Seen
from guardrails.proxy.errors import Problem, body_of, problem_of, stream_error, unexpected
from guardrails.proxy.limits import BodyTooLarge, limited
from guardrails.proxy.metrics import UNKNOWN
from guardrails.proxy.table import Route, protocol_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from guardrails.proxy.auth import Caller
    from guardrails.proxy.context import Context

REQUEST_ID: Final = b"x-groundrail-request-id"

_log = logging.getLogger("groundrail.proxy")
_CLIENT_GONE: Final = 499


class _Response:
    """What was sent so far, and whether an event could be put behind it."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = request_id.encode()
        self.status = 0
        self.ended = False
        self._events = False
        self._tail = b""

    @property
    def can_add_event(self) -> bool:
        """Whether it is a stream of events that is open, between two of them."""
        between = not self._tail or self._tail.endswith((b"\n\n", b"\r\n\r\n"))
        return self._events and not self.ended and between

    async def __call__(self, message: Message) -> None:
        match message["type"]:
            case "http.response.start":
                headers = list(message.get("headers", ()))
                kinds = [value for name, value in headers if name.lower() == b"content-type"]
                self._events = any(kind.startswith(b"text/event-stream") for kind in kinds)
                self.status = message["status"]
                message = {**message, "headers": [*headers, (REQUEST_ID, self._id)]}
            case "http.response.body":
                body = message.get("body", b"")
                if body:
                    self._tail = (self._tail + bytes(body[-4:]))[-4:]
                self.ended = not message.get("more_body", False)
        await self._send(message)


class _Incoming:
    """The request as it comes in; tells when the client goes away while it waits for an answer."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._whole = asyncio.Event()
        self.gone = asyncio.Event()

    async def __call__(self) -> Message:
        if self._whole.is_set():
            await self.gone.wait()
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.gone.set()
        elif not message.get("more_body", False):
            self._whole.set()
        return message

    async def watch(self, task: asyncio.Task[Any]) -> None:
        """Cancel ``task`` when the client goes away."""
        await self._whole.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone.set()
        task.cancel()


class Gate:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008, "reason": "no such route"})
            return
        metrics = self._context.metrics
        begun = time.perf_counter()
        seen = Seen(secrets.token_hex(12), _no_route(scope["path"]))
        response = _Response(send, seen.id)
        metrics.in_flight.inc()
        try:
            await self._pass(seen, scope, receive, response)
        finally:
            metrics.in_flight.dec()
            seconds = time.perf_counter() - begun
            status = response.status or _CLIENT_GONE
            route = seen.route.path or UNKNOWN
            metrics.request(route, scope["method"], status, seconds)
            _log.info(
                "groundrail.request",
                extra={
                    "groundrail": {
                        "request_id": seen.id,
                        "method": scope["method"] if seen.route.path else None,
                        "route": route,
                        "status": status,
                        "seconds": round(seconds, 6),
                        "key_id": None if seen.caller is None else seen.caller.key_id,
                        "complete": response.ended,
                    }
                },
            )

    async def _pass(self, seen: Seen, scope: Scope, receive: Receive, send: _Response) -> None:
        try:
            self._find(scope, seen)
            headers = scope["headers"]
            if seen.route.roles:
                seen.caller = await self._context.keys.caller(headers)
                _need_role(seen.caller, seen.route)
            limits = self._context.settings.proxy.limits
            length = next((value for name, value in headers if name == b"content-length"), None)
            receive = limited(receive, limits.body_bytes, length)
            if seen.caller is not None:
                await self._context.rates.take(seen.caller.key_id, seen.caller.rate_per_minute)
            scope.setdefault("state", {})["groundrail"] = seen
            if seen.route.work:
                await self._work(scope, receive, send)
            else:
                await self._run(scope, receive, send)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._context.health.stopping.is_set() or task is None:
                raise
            task.uncancel()  # the time to finish is over; who waits is told
            await self._fail(_stopping(), seen, send)
        except Exception as error:  # noqa: BLE001 - the outermost edge; told, counted, logged
            await self._fail(error, seen, send)

    def _find(self, scope: Scope, seen: Seen) -> None:
        found = self._context.table.at(scope["path"])
        if not found:
            raise NoSuchRoute(
                "There is nothing at this path.", hint="guardrails/docs/proxy.md lists every route."
            )
        seen.route = found.get(scope["method"]) or next(iter(found.values()))
        if scope["method"] not in found:
            raise NoSuchRoute(
                "This path has no such method.",
                hint=f"It has: {', '.join(sorted(found))}.",
                allow=tuple(sorted(found)),
            )

    async def _work(self, scope: Scope, receive: Receive, send: _Response) -> None:
        if self._context.health.stopping.is_set():
            raise _stopping()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one
        await self._context.places.enter()
        incoming = _Incoming(receive)
        watcher = asyncio.create_task(incoming.watch(task))
        try:
            await self._run(scope, incoming, send)
        except asyncio.CancelledError:
            # The client went away: what it asked for was stopped, and nobody is left to tell.
            if not incoming.gone.is_set() or task.uncancel():
                raise
        finally:
            watcher.cancel()
            self._context.places.leave()

    async def _run(self, scope: Scope, receive: Receive, send: _Response) -> None:
        seconds = self._context.settings.proxy.limits.request_seconds
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                await self._app(scope, receive, send)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimedOut(
                f"The request took longer than {seconds:g} seconds; it was stopped.",
                hint="Ask for less, or raise proxy.limits.request_seconds.",
            ) from error

    async def _fail(self, error: Exception, seen: Seen, send: _Response) -> None:
        problem = error.problem if isinstance(error, BodyTooLarge) else None
        told = problem_of(problem or error)
        if told is None:
            told = unexpected(seen.id)
            log_unexpected(error, seen.id)
        self._context.metrics.failed(told.code)
        if not send.status:
            await respond(send, told, body_of(told, seen.route.protocol))
        elif send.can_add_event:
            event = stream_error(told, seen.route.protocol)
            await send({"type": "http.response.body", "body": event, "more_body": False})
        elif not send.ended:
            # Half an answer cannot be mended; closing the connection says that it is half.
            raise ConnectionAbortedError("the answer ended early") from None


def _stopping() -> Unavailable:
    return Unavailable(
        "The proxy is shutting down; this request got no whole answer.",
        hint="Try again: another replica will answer.",
        retry_after=1.0,
    )


def _need_role(caller: Caller, route: Route) -> None:
    if not caller.roles & route.roles:
        wanted = " or ".join(sorted(route.roles))
        raise NotAllowed(
            "This key does not have the role that this route needs.",
            hint=f"It needs: {wanted}.",
        )


def _no_route(path: str) -> Route:
    """Stands in until the route is found, so that errors have a protocol."""
    return Route("", "", None, "", protocol=protocol_of(path))


async def respond(send: Send, problem: Problem, body: dict[str, Any]) -> None:
    """Send an error as a whole response."""
    data = json.dumps(body).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(data)),
        "cache-control": "no-store",
        **problem.headers,
    }
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": raw})
    await send({"type": "http.response.body", "body": data})


def log_unexpected(error: BaseException, reference: str) -> None:
    """Log where an exception came from. Not its text: that may quote users, or secrets."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    _log.error(
        "groundrail.unexpected",
        extra={
            "groundrail": {
                "request_id": reference,
                "error_kind": type(error).__name__,
                "where": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
            }
        },
    )
