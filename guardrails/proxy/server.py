"""The process: one listening socket, JSON logs, and an orderly end.

The first SIGTERM or SIGINT begins the end: ``/readyz`` says no, after ``proxy.shutdown_delay``
nothing new is accepted, what is at work has ``proxy.shutdown`` seconds to finish, then the guard
and the store are closed and the process exits with 0. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from guardrails.errors import ConfigInvalid
from guardrails.proxy.app import create_app, need_keys
from guardrails.proxy.context import Context

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from fastapi import FastAPI

    from guardrails.settings import Settings

_log = logging.getLogger("groundrail.proxy")
_BACKLOG: Final = 2048
_KEEP_ALIVE_S: Final = 75
_LINGER_S: Final = 5.0


def serve(settings: Settings, *, make: Callable[[Settings], FastAPI] = create_app) -> None:
    """Run the proxy until it is told to stop.

    Args:
        settings: Where to listen, and all else.
        make: Makes the application.

    Raises:
        ConfigInvalid: If settings make no sense, there is no key, or the address is taken.
        StoreUnavailable: If the store cannot be opened to look for keys.
    """
    write_logs(settings)
    app = make(settings)
    context: Context = app.state.context
    need_keys(settings, context.store)
    sock = listen(settings.proxy.host, settings.proxy.port)
    asyncio.run(_serve(app, context, sock))


async def _serve(app: FastAPI, context: Context, sock: socket.socket) -> None:
    server = Server(app, context)
    await server.serve([sock])
    if server.ended_by is not None:
        # At once means at once: no thread is waited for, whatever it is doing.
        logging.shutdown()
        os._exit(128 + server.ended_by)
    _log.info("groundrail.stopped")
    # All is closed. A thread that hangs in somebody's call must not keep the process.
    watchdog = threading.Timer(_LINGER_S, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()


class Server(uvicorn.Server):
    """uvicorn, with our idea of signals.

    Attributes:
        ended_by: The signal that ended it at once, or None.
    """

    def __init__(self, app: FastAPI, context: Context) -> None:
        proxy = context.settings.proxy
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,  # the gate writes one line a request
                ws="none",
                lifespan="on",
                server_header=False,
                proxy_headers=False,  # nothing here depends on where a request came from
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(1, round(proxy.shutdown)),
            )
        )
        self.ended_by: int | None = None
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._told = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where."""
        await super().startup(sockets)
        settings = self._context.settings
        host, port = (sockets or self.servers[0].sockets)[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        store = None if settings.store.url is None else settings.store.url.partition("://")[0]
        _tell(
            "groundrail.listening",
            url=f"http://{shown}:{port}",
            auth=settings.proxy.auth,
            policy=self._context.guard.policy.name,
            model=settings.model.model,
            store=store,
            limits=settings.proxy.limits.model_dump(exclude_none=True),
        )
        if settings.proxy.auth == "off":
            _log.warning(
                "groundrail.no_keys", extra={"groundrail": {"reason": "proxy.auth is off"}}
            )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Begin the end; at the second time, end."""
        if self._told:
            self.ended_by = sig
            self.force_exit = True
            self.should_exit = True
            return
        self._told = True
        self._loop.call_soon_threadsafe(self._begin_end, signal.Signals(sig).name)

    def _begin_end(self, name: str) -> None:
        proxy = self._context.settings.proxy
        self._context.health.draining = True
        _tell(
            "groundrail.stopping", signal=name, delay_s=proxy.shutdown_delay, for_s=proxy.shutdown
        )
        self._loop.call_later(proxy.shutdown_delay, self._stop)

    def _stop(self) -> None:
        self._context.health.stopping.set()
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigInvalid: If the address cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        sock = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigInvalid(
            f"Cannot listen at {host}:{port} ({error.strerror}); nothing was started.",
            hint="Another process may have the port: choose one with proxy.port or --port.",
        ) from None
    # asyncio does this for sockets it makes itself; connections inherit it. Without it the body of
    # an answer waits for the client's delayed acknowledgement of the headers: 40 ms each time.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


def _tell(event: str, **fields: Any) -> None:
    _log.info(event, extra={"groundrail": fields})


# ------------------------------------------------------------------ logs


def write_logs(settings: Settings) -> None:
    """Send log events of this process to standard error: ours from info, others' from warning."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.proxy.log == "json" else TextLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("groundrail").setLevel(logging.INFO)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a record says: an event of ours with its fields, or another's message.

    Of an exception its kind and where it came from; not its text, which may quote users.
    """
    own = getattr(record, "groundrail", None)
    ours = record.name.partition(".")[0] == "groundrail"
    # asyncio puts exceptions, text and all, behind the first line.
    said = record.getMessage().partition("\n")[0]
    event = said.partition(" ")[0] if ours else said
    out: dict[str, Any] = {"event": event, "level": record.levelname.lower(), "logger": record.name}
    if isinstance(own, dict):
        out |= {key: value for key, value in own.items() if value is not None}
    if record.exc_info and record.exc_info[0] is not None:
        kind, _, trace = record.exc_info
        out["error_kind"] = kind.__name__
        out["where"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(trace)[-12:]
        ]
    return out


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"time": moment, **_fields(record)}, default=str)


class TextLines(logging.Formatter):
    """A line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = _fields(record)
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        head = f"{moment} {fields.pop('level'):<7} {fields.pop('event')}"
        fields.pop("logger")
        shown = " ".join(f"{key}={_short(value)}" for key, value in fields.items())
        return f"{head} {shown}".rstrip()


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return json.dumps(text) if any(not c.isprintable() or c == " " for c in text) else text
