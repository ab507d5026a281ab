"""A provider on a loopback socket that answers from a script, faults included.

For tests of anything that calls a provider over HTTP::

    with ScriptedProvider(["Paris is in France.", Status(500)]) as provider:
        litellm.completion("openai/any", messages, api_base=provider.url, api_key="x")

It speaks chat completions, OpenAI Responses (``/responses``) and Anthropic Messages
(``/messages``), whole and streaming: a scripted text, or the JSON of a response, is sent as events
when the request says ``"stream": true``. A ``Stream`` says itself what goes over the wire, and how.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self

from guardrails.scripted_streams import events_of, message_response, responses_response
from guardrails.testing import chat_response

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Status:
    """An HTTP error with a body as OpenAI writes it."""

    code: int
    message: str = "scripted failure"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Raw:
    """These bytes as the body of a success, whatever they are."""

    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Cut:
    """Headers that promise a whole answer, the first bytes of it, and then a closed connection.

    ``after`` 0 closes before a byte of the response.
    """

    text: str = "This answer never arrives in full."
    after: int = 40


@dataclass(frozen=True, slots=True)
class Slow:
    """Another reply, after so many seconds (sooner when the server is closed)."""

    seconds: float
    then: str | Mapping[str, Any] = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """In a stream: nothing for so many seconds, or until an event is set or the client is gone."""

    seconds: float = 60.0
    until: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class Die:
    """In a stream: the connection is gone, with no end to the response."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Server-sent events.

    Attributes:
        parts: Events as JSON; bytes that go out as they are; pauses; death.
        size: Bytes a write; by default an event a write.
        finished: Whether the end of the stream is told (``[DONE]`` for chat completions).
        headers: Further headers of the response.
    """

    parts: Sequence[Mapping[str, Any] | bytes | Pause | Die]
    size: int | None = None
    finished: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


Scripted = str | Mapping[str, Any] | Status | Raw | Cut | Slow | Stream
Handler = Callable[[Mapping[str, Any]], Scripted]
Wire = Literal["chat", "responses", "messages"]


@dataclass(slots=True)
class _Script:
    handler: Handler | None
    replies: list[Scripted]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def next(self, request: dict[str, Any], headers: dict[str, str], path: str) -> Scripted:
        with self.lock:
            self.requests.append(request)
            self.headers.append(headers)
            self.paths.append(path)
            number = len(self.requests) - 1
        if self.handler is not None:
            return self.handler(request)
        return self.replies[min(number, len(self.replies) - 1)]


class ScriptedProvider:
    """The server. A context manager; listens on a free port of 127.0.0.1.

    Attributes:
        url: For ``api_base`` or ``base_url``.
        requests: The JSON bodies it got, in order.
        headers: Their headers, names in lower case.
        paths: Their paths.
        gone: Set once a client went away in the middle of a stream.
    """

    def __init__(self, script: Iterable[Scripted] | Handler) -> None:
        """Write the script.

        Args:
            script: Replies in order, the last one again for every further request: a text, the
                JSON of a response, or a fault. Or a function of the request.
        """
        handler = script if callable(script) else None
        replies = [] if callable(script) else list(script)
        self._script = _Script(handler, replies)
        self._server = _Server(self._script)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="scripted-provider",
            daemon=True,
        )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self.requests = self._script.requests
        self.headers = self._script.headers
        self.paths = self._script.paths
        self.gone = self._script.gone

    def __enter__(self) -> Self:
        """Start serving."""
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._script.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: _Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handling)
        self.script = script


class _Handling(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def _script(self) -> _Script:
        assert isinstance(self.server, _Server)  # noqa: S101
        return self.server.script

    @property
    def _wire(self) -> Wire:
        path = self.path.partition("?")[0]
        if path.endswith("/messages"):
            return "messages"
        return "responses" if path.endswith("/responses") else "chat"

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self._script.next(body, headers, self.path), body)

    def _send(self, reply: Scripted, request: dict[str, Any]) -> None:
        match reply:
            case Slow():
                self._script.closing.wait(reply.seconds)
                self._send(reply.then, request)
            case Status():
                self._write(reply.code, _error(reply, self._wire), headers=reply.headers)
            case Raw():
                self._write(200, reply.body, reply.content_type)
            case Cut():
                self._cut(reply, request)
            case Stream():
                self._stream(reply)
            case str():
                self._answer(_response(reply, self._wire, request), request)
            case _:
                self._answer(dict(reply), request)

    def _answer(self, response: dict[str, Any], request: dict[str, Any]) -> None:
        if request.get("stream") is True:
            options = request.get("stream_options")
            asked = isinstance(options, dict) and options.get("include_usage") is True
            self._stream(Stream(events_of(response, usage=asked)))
        else:
            self._write(200, json.dumps(response).encode())

    def _write(
        self,
        status: int,
        body: bytes,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        try:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client did not wait

    # ------------------------------------------------------------------ streams

    def _stream(self, reply: Stream) -> None:
        try:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream; charset=utf-8")
            self.send_header("transfer-encoding", "chunked")
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            for part in reply.parts:
                match part:
                    case Pause():
                        self._pause(part)
                    case Die():
                        self._die()
                        return
                    case bytes():
                        self._pieces(part, reply.size)
                    case _:
                        self._pieces(_event(part, self._wire), reply.size)
            if reply.finished and self._wire == "chat":
                self._pieces(b"data: [DONE]\n\n", reply.size)
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self._script.gone.set()
            self.close_connection = True

    def _pieces(self, data: bytes, size: int | None) -> None:
        step = size or len(data) or 1
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def _pause(self, pause: Pause) -> None:
        """Wait, with an eye on whether the client is still there."""
        end = time.monotonic() + pause.seconds
        while time.monotonic() < end and not self._script.closing.is_set():
            if pause.until is not None and pause.until.is_set():
                return
            readable, _, _ = select.select([self.connection], [], [], 0.01)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionResetError

    def _die(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def _cut(self, reply: Cut, request: dict[str, Any]) -> None:
        body = json.dumps(_response(reply.text, self._wire, request)).encode()
        if reply.after:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: reply.after])
        self._die()

    def log_message(self, *_: object) -> None:
        """Nothing: the tests say what they want to know."""


def _response(text: str, wire: Wire, request: Mapping[str, Any]) -> dict[str, Any]:
    model = str(request.get("model", "scripted"))
    if wire == "messages":
        return message_response(text, model=model)
    if wire == "responses":
        return responses_response(text, model=model)
    return chat_response(text, model=model)


def _error(reply: Status, wire: Wire) -> bytes:
    error: dict[str, Any] = {"message": reply.message, "type": "scripted"}
    if wire == "messages":
        return json.dumps({"type": "error", "error": error}).encode()
    return json.dumps({"error": {**error, "code": reply.code}}).encode()


def _event(event: Mapping[str, Any], wire: Wire) -> bytes:
    data = json.dumps(event, ensure_ascii=False).encode()
    if wire == "chat":
        return b"data: %b\n\n" % data
    return b"event: %b\ndata: %b\n\n" % (str(event.get("type", "")).encode(), data)
