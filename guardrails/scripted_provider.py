"""An OpenAI-compatible server on a loopback socket that answers from a script, faults included.

For tests of anything that calls a provider over HTTP::

    with ScriptedProvider(["Paris is in France.", Status(500)]) as provider:
        litellm.completion("openai/any", messages, api_base=provider.url, api_key="x")
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from guardrails.testing import chat_response

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Status:
    """An HTTP error with a body as OpenAI writes it."""

    code: int
    message: str = "scripted failure"


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


Scripted = str | Mapping[str, Any] | Status | Raw | Cut | Slow
Handler = Callable[[Mapping[str, Any]], Scripted]


@dataclass(slots=True)
class _Script:
    handler: Handler | None
    replies: list[Scripted]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def next(self, request: dict[str, Any], headers: dict[str, str]) -> Scripted:
        with self.lock:
            self.requests.append(request)
            self.headers.append(headers)
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

    @property
    def _script(self) -> _Script:
        assert isinstance(self.server, _Server)  # noqa: S101
        return self.server.script

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self._script.next(body, headers), body)

    def _send(self, reply: Scripted, request: dict[str, Any]) -> None:
        match reply:
            case Slow():
                self._script.closing.wait(reply.seconds)
                self._send(reply.then, request)
            case Status():
                error = {"message": reply.message, "type": "scripted", "code": reply.code}
                self._write(reply.code, json.dumps({"error": error}).encode())
            case Raw():
                self._write(200, reply.body, reply.content_type)
            case Cut():
                self._cut(reply, request)
            case str():
                model = str(request.get("model", "scripted"))
                self._write(200, json.dumps(chat_response(reply, model=model)).encode())
            case _:
                self._write(200, json.dumps(dict(reply)).encode())

    def _write(self, status: int, body: bytes, kind: str = "application/json") -> None:
        try:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client did not wait

    def _cut(self, reply: Cut, request: dict[str, Any]) -> None:
        model = str(request.get("model", "scripted"))
        body = json.dumps(chat_response(reply.text, model=model)).encode()
        if reply.after:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: reply.after])
            self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Nothing: the tests say what they want to know."""
