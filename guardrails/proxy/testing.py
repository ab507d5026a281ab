"""Serving an application on a real socket of this machine, for tests."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_TIMEOUT_S = 60.0


class Served:
    """An ASGI application on a free port of 127.0.0.1, in a thread. A context manager.

    Attributes:
        url: Where it listens, once entered.
    """

    def __init__(self, app: ASGIApp, *, graceful_s: int = 10) -> None:
        """Say what to serve.

        Args:
            app: The application.
            graceful_s: Seconds that requests at work have when the server is left.
        """
        self._server = _Server(
            uvicorn.Config(
                app,
                host="127.0.0.1",
                port=0,
                log_config=None,
                access_log=False,
                ws="none",
                timeout_graceful_shutdown=graceful_s,
            )
        )
        self._thread = threading.Thread(target=self._server.run, name="served", daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        """Start it; return when it listens."""
        self._thread.start()
        if not self._server.listening.wait(_TIMEOUT_S) or not self._server.started:
            raise RuntimeError("the application did not start")
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.should_exit = True
        self._thread.join(_TIMEOUT_S)
        if self._thread.is_alive():
            raise RuntimeError("the server did not stop")


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        try:
            await super().startup(sockets)  # type: ignore[arg-type]
        finally:
            self.listening.set()
