"""What the proxy is made of while it runs, for its routes: ``context(request)``."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request

from guardrails.errors import Unavailable
from verifiers.errors import GroundrailError

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardrails.client import Guard
    from guardrails.proxy.auth import Caller, KeyRing
    from guardrails.proxy.limits import Places, Rates
    from guardrails.proxy.metrics import Metrics
    from guardrails.proxy.policies import PolicyBook
    from guardrails.proxy.table import Route, Table
    from guardrails.proxy.upstream import Upstream
    from guardrails.settings import Settings
    from guardrails.store.sql import SqlStore

_log = logging.getLogger("groundrail.proxy")
_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 30.0


class StoreHandle:
    """The store, opened on first use and shared by all threads. Blocking."""

    def __init__(self, open_it: Callable[[], SqlStore] | None) -> None:
        """Make one; None for no store."""
        self._open = open_it
        self._lock = threading.Lock()
        self._store: SqlStore | None = None

    @property
    def configured(self) -> bool:
        """Whether there is one at all."""
        return self._open is not None

    def get(self) -> SqlStore:
        """The store.

        Raises:
            StoreUnavailable: If it cannot be opened.
            Unavailable: If none is configured.
        """
        if self._open is None:
            raise Unavailable("No store is configured.", hint="Set store.url.")
        with self._lock:
            if self._store is None:
                self._store = self._open()
            return self._store

    def close(self) -> None:
        """Let go of it. May be called twice."""
        with self._lock:
            store, self._store = self._store, None
        if store is not None:
            store.close()


@dataclass(slots=True)
class Health:
    """Whether the proxy can work.

    Attributes:
        warm: Set once the model is loaded.
        failure: The code of why it is not, after the last try.
        draining: Whether the process was told to stop; it may still take requests for a while.
        stopping: Set when it takes no more.
    """

    warm: asyncio.Event = field(default_factory=asyncio.Event)
    failure: str | None = None
    draining: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def warm_up(self, guard: Guard, upstream: Upstream | None = None) -> None:
        """Load the model and what calls need, trying again until it works or the process stops."""
        wait = _FIRST_RETRY_S
        while not self.stopping.is_set():
            try:
                await asyncio.to_thread(guard.warm)
                if upstream is not None:
                    await upstream.prepare()
            except Exception as error:  # noqa: BLE001 - shown in /readyz, and tried again
                self.failure = error.code if isinstance(error, GroundrailError) else "GR000"
                _log.error(
                    "groundrail.not_ready",
                    extra={
                        "groundrail": {
                            "error": self.failure,
                            "error_kind": type(error).__name__,
                            "message": error.message if isinstance(error, GroundrailError) else "",
                            "retry_s": wait,
                        }
                    },
                )
            else:
                self.failure = None
                self.warm.set()
                _log.info("groundrail.ready")
                return
            try:
                async with asyncio.timeout(wait):
                    await self.stopping.wait()
            except TimeoutError:
                wait = min(wait * 2, _LAST_RETRY_S)


@dataclass(frozen=True, slots=True)
class Context:
    """What every route may use.

    Attributes:
        settings: All settings; the proxy's own are ``settings.proxy``.
        guard: Checks answers.
        store: Records, reviews and keys.
        keys: Tells who calls.
        rates: How often each key may.
        places: How many requests may work at once.
        metrics: What is counted.
        health: Whether the proxy can work.
        table: The routes.
        book: The policies, retrievers and rules of the configuration.
        upstream: What makes model calls; see ``guardrails.proxy.upstream``.
    """

    settings: Settings
    guard: Guard
    store: StoreHandle
    keys: KeyRing
    rates: Rates
    places: Places
    metrics: Metrics
    health: Health
    table: Table
    book: PolicyBook
    upstream: Upstream | None = None


@dataclass(slots=True)
class Seen:
    """What the gate knows of one request: ``request.state.groundrail``.

    Attributes:
        id: Given by us; in the header ``x-groundrail-request-id`` and in the log.
        route: Its row of the table.
        caller: Who sent it, or None where nobody needs to say.
    """

    id: str
    route: Route
    caller: Caller | None = None


def context(request: Request) -> Context:
    """The context of the application that got this request: a FastAPI dependency."""
    found: Context = request.app.state.context
    return found
