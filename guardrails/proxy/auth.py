"""Who calls: from a request's headers to a :class:`Caller`, or a refusal.

Keys are looked up in the store and remembered for ``proxy.key_cache`` seconds, so that a revoked
key stops working within that time on every replica. When the store does not answer, a key that
was good goes on for ``proxy.key_grace`` seconds more; one that is not remembered is refused with
503, for nobody can say whether it is good.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from fastapi import Request

from guardrails.errors import NotAllowed, NotAuthenticated, StoreUnavailable, Unavailable
from guardrails.keys import Key, Permissions, Role, id_of, key_digest, same
from guardrails.store.protocol import system_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from guardrails._proxy_settings import ProxySettings
    from guardrails.store.protocol import Clock

_CACHE: Final = 10_000
_OWN_HEADER: Final = b"x-groundrail-key"
# In this order: who sends our own header means it.
_HEADERS: Final = (_OWN_HEADER, b"authorization", b"x-api-key")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        key_id: The public part of the key; ``admin`` for the settings' own, ``anonymous`` for
            nobody.
        name: Whose key it is.
        roles: What it may be used for.
        may: What its calls may ask for.
        rate_per_minute: The key's own rate, or None for the settings'.
    """

    key_id: str
    name: str
    roles: frozenset[Role]
    may: Permissions
    rate_per_minute: float | None = None

    @property
    def reviewer(self) -> str:
        """The name under which it holds review items: no other key can take it."""
        return f"{self.name} ({self.key_id})"

    def need(
        self,
        *,
        sources: bool = False,
        names: Iterable[str] = (),
        model: str | None = None,
    ) -> None:
        """Check what a request asks for against the key's permissions.

        Args:
            sources: Whether it brings sources.
            names: The policies and routes it names. What the configuration chose is not named.
            model: The model it asks for.

        Raises:
            NotAllowed: Says what, and how to get a key that may.
        """
        if sources and not self.may.sources:
            raise NotAllowed(
                "This key may not pass sources; nothing was sent.",
                hint="Leave `sources` out, or use a key made with --sources.",
            )
        allowed = self.may.policies
        if allowed is not None and not allowed.issuperset(names):
            raise NotAllowed(
                "This key may not choose this policy or route; nothing was sent.",
                hint="Leave `policy` and `route` out, or use a key made with --policy NAME.",
            )
        if model is not None and self.may.models is not None and model not in self.may.models:
            raise NotAllowed(
                "This key may not use this model; nothing was sent.",
                hint="GET /v1/models lists what it may use.",
            )


ANONYMOUS: Final = Caller(
    "anonymous",
    "anonymous",
    frozenset({Role.CALL, Role.METRICS}),
    Permissions(sources=True, policies=None, models=None),
)
_ADMIN: Final = Caller(
    "admin", "admin key of the settings", frozenset({Role.ADMIN}), Permissions(sources=False)
)


class _Known(NamedTuple):
    key: Key
    seen: float


class KeyRing:
    """Tells who calls. For one event loop; the store is asked in threads."""

    def __init__(
        self,
        settings: ProxySettings,
        find: Callable[[str], Key | None],
        *,
        clock: Clock = system_clock,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make one.

        Args:
            settings: How keys are asked for, and remembered for how long.
            find: Looks a key up by its id. Blocks.
            clock: Read for expiry.
            ticks: Monotonic seconds, for what is remembered.
        """
        admin = settings.admin_key
        self._admin = None if admin is None else key_digest(admin.get_secret_value())
        self._open = settings.auth == "off"
        self._headers = (_OWN_HEADER,) if settings.provider_keys == "pass" else _HEADERS
        self._ttl = settings.key_cache
        self._grace = settings.key_grace
        self._find = find
        self._clock = clock
        self._ticks = ticks
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asked: dict[str, asyncio.Task[Key | None]] = {}

    async def caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Who sent these headers.

        Raises:
            NotAuthenticated: If there is no key, or no valid one.
            Unavailable: If the store has to be asked and does not answer.
        """
        secret = self._secret(headers)
        if secret is None:
            if self._open:
                return ANONYMOUS
            raise NotAuthenticated(
                "There is no key in this request.",
                hint=f"Send one as {self._places()}.",
            )
        if self._admin is not None and same(secret, self._admin):
            return _ADMIN
        key_id = id_of(secret)
        if key_id is None and self._open:
            return ANONYMOUS  # what SDKs send when nobody gave them a key
        key = None if key_id is None else await self._look_up(key_id)
        if key is None or not same(secret, key.digest) or not key.valid(self._clock()):
            raise NotAuthenticated(
                "The key in this request is not valid.",
                hint="It may have been revoked or have expired; an administrator can make another.",
            )
        return Caller(key.id, key.name, key.roles, key.may, key.rate_per_minute)

    def forget(self, key_id: str) -> None:
        """Ask the store again when the key comes next."""
        self._known.pop(key_id, None)

    def _secret(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        found: dict[bytes, str] = {}
        for name, raw in headers:
            if name in self._headers:
                if name in found:
                    raise NotAuthenticated(
                        "A header with a key is there twice.", hint="Send it once."
                    )
                found[name] = raw.decode("latin-1").strip()
        for name in self._headers:
            value = found.get(name, "")
            if name == b"authorization":
                scheme, _, rest = value.partition(" ")
                value = rest.strip() if scheme.lower() == "bearer" else ""
            if value:
                return value
        return None

    def _places(self) -> str:
        if self._headers == _HEADERS:
            return "`Authorization: Bearer gr_...`, `x-api-key` or `x-groundrail-key`"
        return "`x-groundrail-key`; Authorization and x-api-key are passed to the provider"

    async def _look_up(self, key_id: str) -> Key | None:
        now = self._ticks()
        known = self._known.get(key_id)
        if known is not None and now - known.seen < self._ttl:
            return known.key
        try:
            return await self._ask(key_id)
        except StoreUnavailable as error:
            if known is not None and now - known.seen < self._ttl + self._grace:
                return known.key
            raise Unavailable(
                f"The store does not answer ({error.code}), so the key cannot be looked up.",
                hint="Try again.",
                retry_after=1.0,
            ) from error

    async def _ask(self, key_id: str) -> Key | None:
        """Ask the store, once for all who want to know at this moment."""
        task = self._asked.get(key_id)
        if task is None:
            task = asyncio.create_task(self._fetch(key_id))
            self._asked[key_id] = task
            task.add_done_callback(lambda done: self._done(key_id, done))
        # One caller who goes away must not take the answer from the others.
        return await asyncio.shield(task)

    async def _fetch(self, key_id: str) -> Key | None:
        asked = self._ticks()  # before the look: it cannot be known to be newer
        key = await asyncio.to_thread(self._find, key_id)
        if key is None:
            self._known.pop(key_id, None)
            return None
        self._known[key_id] = _Known(key, asked)
        self._known.move_to_end(key_id)
        if len(self._known) > _CACHE:
            self._known.popitem(last=False)
        return key

    def _done(self, key_id: str, task: asyncio.Task[Key | None]) -> None:
        self._asked.pop(key_id, None)
        if not task.cancelled():
            task.exception()  # seen: whoever waited has got it


def caller(request: Request) -> Caller:
    """Who sent this request: a FastAPI dependency. The gate has found out already."""
    found = request.state.groundrail.caller
    if not isinstance(found, Caller):
        raise NotAuthenticated("There is no key in this request.", hint="Send one.")
    return found
