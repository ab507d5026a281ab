"""The gate over real sockets: routes, keys, roles, limits, errors, streams that break."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from guardrails.keys import Role
from guardrails.proxy.auth import Caller, caller
from guardrails.proxy.context import Context, context
from guardrails.proxy.limits import read_json
from guardrails.proxy.table import ROUTES, Protocol, Route
from guardrails.proxy.testing import Served
from verifiers.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from fastapi import FastAPI

    from guardrails.settings import Settings

ADMIN = "an-admin-key-that-is-long-enough-for-the-settings"
SECRET = "what a user wrote, which no log may hold"
CALL = frozenset({Role.CALL})
WAIT_S = 30.0


# The tiny routes below stand where the protocols' own are.
_TAKEN = {"/v1/chat/completions", "/v1/responses", "/v1/messages"}
OTHERS = tuple(route for route in ROUTES if route.path not in _TAKEN)


class Tiny:
    """Routes that do what a test says, one for each protocol."""

    def __init__(self) -> None:
        self.router = APIRouter()
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.cancelled = threading.Event()
        paths = {
            "/v1/chat/completions": Protocol.CHAT,
            "/v1/responses": Protocol.RESPONSES,
            "/v1/messages": Protocol.MESSAGES,
            "/v1/tiny": Protocol.OWN,
        }
        for path in paths:
            self.router.add_api_route(
                path, self.answer, methods=["POST"], include_in_schema=False, response_model=None
            )
        self.rows = tuple(
            Route("POST", path, None, "", CALL, protocol, work=True)
            for path, protocol in paths.items()
        )

    async def answer(
        self,
        request: Request,
        who: Annotated[Caller, Depends(caller)],
        here: Annotated[Context, Depends(context)],
    ) -> Any:
        body = await read_json(request, here.settings.proxy.limits)
        match body.get("do"):
            case "fail":
                raise RuntimeError(SECRET)
            case "overloaded":
                raise Overloaded("the queue is full; nothing was scored")
            case "hold":
                await self._hold()
            case "stream":
                return StreamingResponse(self._events(body), media_type="text/event-stream")
        return {"who": who.name, "key_id": who.key_id, "read": len(json.dumps(body))}

    async def _hold(self) -> None:
        self.entered.set()
        try:
            await asyncio.to_thread(self.leave.wait, WAIT_S)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def _events(self, body: dict[str, Any]) -> AsyncIterator[bytes]:
        yield b"data: {}\n\n"
        if body.get("half"):
            yield b"data: {"
        if body.get("then") == "hold":
            await self._hold()
        raise RuntimeError(SECRET)


@pytest.fixture
def tiny() -> Tiny:
    return Tiny()


@pytest.fixture
def serve(
    make_settings: Callable[..., Settings], make_app: Callable[..., FastAPI], tiny: Tiny
) -> Callable[..., Any]:
    """Serves the tiny routes under settings of the section ``proxy``; gives a client."""

    @contextmanager
    def serving(**proxy: Any) -> Iterator[httpx.Client]:
        settings = make_settings(**{"auth": "off", **proxy})
        app = make_app(settings, routes=(*OTHERS, *tiny.rows), routers=[tiny.router])
        with Served(app) as served, httpx.Client(base_url=served.url, timeout=WAIT_S) as client:
            try:
                yield client
            finally:
                tiny.leave.set()

    return serving


def shape(path: str, answer: httpx.Response) -> tuple[str, str]:
    """The kind and the text of an error, in the shape that its protocol demands."""
    body = answer.json()
    if path == "/v1/messages":
        assert set(body) == {"type", "error"}
        assert body["type"] == "error"
        assert set(body["error"]) == {"type", "message"}
        return body["error"]["type"], body["error"]["message"]
    assert set(body) == {"error"}
    if path == "/v1/tiny":
        assert set(body["error"]) == {"code", "message", "hint"}
        return body["error"]["code"], body["error"]["message"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]["type"], body["error"]["message"]


PATHS = ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/tiny"]


@pytest.mark.parametrize("path", PATHS)
def test_errors_have_the_shape_of_the_protocol(
    serve: Callable[..., Any], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Bad JSON, a bug, an overloaded verifier: each in its protocol, none with user text."""
    caplog.set_level(logging.DEBUG)
    with serve() as client:
        bad = client.post(path, content=b'{"a": ' + SECRET.encode())
        bug = client.post(path, json={"do": "fail"})
        busy = client.post(path, json={"do": "overloaded"})
        wrong = client.put(path, json={})
    assert (bad.status_code, bug.status_code, busy.status_code, wrong.status_code) == (
        400,
        500,
        429,
        405,
    )
    for answer in (bad, bug, busy, wrong):
        _, text = shape(path, answer)
        assert text
        assert SECRET not in answer.text
    assert int(busy.headers["retry-after"]) >= 1
    assert wrong.headers["allow"] == "POST"
    assert bug.headers["x-groundrail-request-id"] in bug.text
    assert SECRET not in caplog.text
    assert "RuntimeError" in str([vars(record).get("groundrail") for record in caplog.records])


def test_unknown_routes_are_denied(serve: Callable[..., Any]) -> None:
    """Whatever is not in the table is a 404, in the shape of what is nearest; docs pages too."""
    with serve() as client:
        for path in ("/", "/docs", "/redoc", "/admin", "/v1", "/v1/messages/x", "/healthz/", "//"):
            assert client.get(path).status_code == 404, path
        assert set(client.get("/v1/messages/x").json()) == {"type", "error"}
        assert "type" in client.get("/v1/nothing").json()["error"]
        assert client.get("/nothing").json()["error"]["code"] == "GR326"


def test_a_proxy_with_keys_lets_nobody_in_without(serve: Callable[..., Any]) -> None:
    """No key, a wrong one, the right one without the role: 401, 401, 403."""
    with serve(auth="keys", admin_key=ADMIN) as client:
        url = "/v1/tiny"
        none = client.post(url, json={})
        wrong = client.post(url, json={}, headers={"authorization": f"Bearer {ADMIN}x"})
        role = client.post(url, json={}, headers={"authorization": f"Bearer {ADMIN}"})
        counted = client.get("/metrics", headers={"x-api-key": ADMIN})
        twice = client.post(url, headers=[("x-api-key", "a"), ("x-api-key", "b")], json={})
        assert client.get("/metrics").status_code == 401
        line = 'groundrail_requests_total{method="POST",route="/v1/tiny",status="401"} 3.0'
        _until(lambda: line in client.get("/metrics", headers={"x-api-key": ADMIN}).text)
    assert (none.status_code, wrong.status_code, role.status_code) == (401, 401, 403)
    assert none.headers["www-authenticate"] == "Bearer"
    assert twice.status_code == 401
    assert counted.status_code == 200


def test_large_bodies_are_refused_before_they_are_read(
    serve: Callable[..., Any],
) -> None:
    """By what the request says of its length, and by counting where it says nothing."""
    with serve(limits={"body_bytes": 1000}) as client:
        assert client.post("/v1/tiny", json={"a": "x" * 900}).status_code == 200
        large = client.post("/v1/chat/completions", content=b"x" * 1001)
        assert large.status_code == 413
        assert shape("/v1/chat/completions", large)

        def pieces() -> Iterator[bytes]:
            yield from [b"x" * 600] * 2

        assert client.post("/v1/tiny", content=pieces()).status_code == 413
        # Never sent: the answer comes on the header alone.
        with socket.create_connection((client.base_url.host, client.base_url.port)) as raw:
            raw.settimeout(WAIT_S)
            raw.sendall(b"POST /v1/tiny HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "body",
    [b"[]", b"1", b"", b"\xff", b'{"a": NaN}', b'{"guardrails": 1, "guardrails": 2}', b'{"a":1}x'],
)
def test_bodies_that_are_no_object_are_refused(serve: Callable[..., Any], body: bytes) -> None:
    """And those that two readers would read differently."""
    with serve() as client:
        assert client.post("/v1/tiny", content=body).status_code == 400


def test_deep_bodies_are_refused(serve: Callable[..., Any]) -> None:
    """At the limit is fine, one more is not, and a stack's worth neither."""
    with serve(limits={"json_depth": 5}) as client:
        status = [
            client.post("/v1/tiny", content=b'{"a":' + b"[" * n + b"]" * n + b"}").status_code
            for n in (4, 5, 100_000)
        ]
    assert status == [200, 400, 400]


def test_places_are_limited_and_the_line_is_too(serve: Callable[..., Any], tiny: Tiny) -> None:
    """One works, one waits and gets the place, a third is told to come back."""
    with serve(limits={"concurrency": 1, "queue": 1, "queue_seconds": WAIT_S}) as client:
        done: list[int] = []

        def ask(body: dict[str, str]) -> None:
            done.append(client.post("/v1/tiny", json=body).status_code)

        first = threading.Thread(target=ask, args=({"do": "hold"},))
        first.start()
        assert tiny.entered.wait(WAIT_S)
        second = threading.Thread(target=ask, args=({},))
        second.start()
        _until(lambda: "groundrail_requests_waiting 1.0" in client.get("/metrics").text)
        third = client.post("/v1/tiny", json={})
        assert third.status_code == 429
        assert int(third.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200  # health takes no place
        tiny.leave.set()
        first.join(WAIT_S)
        second.join(WAIT_S)
        assert done == [200, 200]


def test_waiting_in_line_ends(serve: Callable[..., Any], tiny: Tiny) -> None:
    """With 429, and the line is free again."""
    with serve(limits={"concurrency": 1, "queue": 1, "queue_seconds": 0.05}) as client:
        first = threading.Thread(target=client.post, args=("/v1/tiny",), kwargs={"json": HOLD})
        first.start()
        assert tiny.entered.wait(WAIT_S)
        assert [client.post("/v1/tiny", json={}).status_code for _ in range(3)] == [429] * 3
        tiny.leave.set()
        first.join(WAIT_S)
        _until(lambda: client.post("/v1/tiny", json={}).status_code == 200)


HOLD = {"do": "hold"}


def test_rates_are_counted_by_key(serve: Callable[..., Any]) -> None:
    """After the burst a key is told when to come back; health asks for no key and has no rate."""
    with serve(limits={"rate_per_minute": 1, "rate_burst": 2}) as client:
        answers = [client.post("/v1/tiny", json={}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 30 < int(answers[2].headers["retry-after"]) <= 60
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_requests_have_a_time_limit(serve: Callable[..., Any], tiny: Tiny, path: str) -> None:
    """Past it the work is cancelled and the answer is a 504; in a stream, the protocol's error."""
    for limit in (0.2, 2, 20):  # the shortest in which this machine begins the work at all
        for event in (tiny.entered, tiny.leave, tiny.cancelled):
            event.clear()
        with serve(limits={"request_seconds": limit}) as client:
            late = client.post(path, json=HOLD)
            assert late.status_code == 504
            shape(path, late)
            if not tiny.entered.is_set():
                continue
            assert tiny.cancelled.wait(WAIT_S)
            stream = client.post(path, json={"do": "stream", "then": "hold"})
            if stream.status_code == 200:
                break
            assert stream.status_code == 504
    assert tiny.entered.is_set()
    assert stream.status_code == 200
    assert f"{limit:g} seconds".encode() in stream.content


@pytest.mark.parametrize("path", PATHS)
def test_a_stream_that_breaks_ends_with_an_error_event(
    serve: Callable[..., Any], path: str
) -> None:
    """In the protocol's own form; and in the middle of an event the connection is closed."""
    with serve() as client:
        broken = client.post(path, json={"do": "stream"})
        assert broken.status_code == 200
        *_, event = broken.text.strip().split("\n\n")
        assert SECRET not in broken.text
        named = event.startswith("event: error\n")
        assert named == (path != "/v1/chat/completions")
        data = json.loads(event.partition("data: ")[2])
        assert "error" in data
        assert broken.headers["x-groundrail-request-id"] in event
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(path, json={"do": "stream", "half": True})
        assert client.post(path, json={}).status_code == 200


def test_a_client_that_goes_away_cancels_the_work(serve: Callable[..., Any], tiny: Tiny) -> None:
    """And its place is free again."""
    with serve(limits={"concurrency": 1, "queue": 0}) as client:
        address = (client.base_url.host, client.base_url.port)
        with socket.create_connection(address) as raw:
            body = json.dumps(HOLD).encode()
            raw.sendall(
                b"POST /v1/tiny HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%s" % (len(body), body)
            )
            assert tiny.entered.wait(WAIT_S)
        assert tiny.cancelled.wait(WAIT_S)
        _until(lambda: client.post("/v1/tiny", json={}).status_code == 200)
        _until(lambda: 'route="/v1/tiny",status="499"' in client.get("/metrics").text)


def test_readiness_says_what_is_missing(serve: Callable[..., Any]) -> None:
    """Ready once the model is loaded and the store answers."""
    with serve() as client:
        _until(lambda: client.get("/readyz").status_code == 200)
        assert client.get("/readyz").json() == {
            "ready": True,
            "model": "ok",
            "store": "ok",
            "shutdown": "no",
        }


def test_openapi_describes_our_routes_only(serve: Callable[..., Any]) -> None:
    """The protocols are the providers' own specifications."""
    with serve() as client:
        described = client.get("/openapi.json").json()
    assert "/healthz" in described["paths"]
    assert [path for path in described["paths"] if path.startswith("/v1/")] == ["/v1/check"]


def test_no_route_exists_outside_the_table(
    make_settings: Callable[..., Settings], make_app: Callable[..., FastAPI], tiny: Tiny
) -> None:
    """A router with a route that no row names is a programming error at start; so is the reverse."""
    settings = make_settings(auth="off")
    with pytest.raises(AssertionError, match="disagree"):
        make_app(settings, routers=[tiny.router])
    with pytest.raises(AssertionError, match="disagree"):
        make_app(settings, routes=(*OTHERS, *tiny.rows))


def _until(true: Callable[[], bool]) -> None:
    """Wait for something another thread does; fail when it does not come."""
    done = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        if true():
            return
        done.wait(0.02)
    raise AssertionError("it did not happen")
