"""What one request, one key and the whole proxy may take.

Each limit is a setting of ``proxy.limits``. A request over one is refused before any work, with
413 for what is too large and 429 for what is too much at once.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.exceptions import HTTPException

from guardrails.errors import RequestRefused, RequestTooLarge, StoreUnavailable, TooManyRequests
from guardrails.rates import Rate, Taken, take

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.types import Message, Receive

    from guardrails._proxy_settings import LimitSettings
    from guardrails.store.rates import SharedRates

_IN_THREAD: Final = 256 * 1024
_DIGITS: Final = 20
_LEAST: Final = -(2**63)
_GREATEST: Final = 2**64 - 1
_KEYS: Final = 100_000


class BodyTooLarge(HTTPException):
    """Raised out of ``receive``: FastAPI lets no other exception through from there."""

    def __init__(self, limit: int) -> None:
        super().__init__(413)
        self.problem = RequestTooLarge(
            f"The body is larger than {limit} bytes; it was not read.",
            hint="Send less, or raise proxy.limits.body_bytes.",
        )


def limited(receive: Receive, limit: int, length: bytes | None) -> Receive:
    """``receive`` that refuses a body over ``limit`` bytes, before reading it where it can.

    Args:
        receive: The server's.
        limit: Bytes.
        length: The ``content-length`` of the request, or None.

    Raises:
        RequestTooLarge: If the request says that its body is larger.
    """
    if length is not None and length.isdigit() and int(length) > limit:
        raise BodyTooLarge(limit).problem
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            if read > limit:
                raise BodyTooLarge(limit)
        return message

    return counted


async def read_json(request: Request, limits: LimitSettings) -> dict[str, Any]:
    """The JSON object in the body of a request, as everybody would read it.

    A name that is there twice is refused: which of the two counts is read one way here and
    another way elsewhere.

    Raises:
        RequestRefused: If the body is no JSON object, is nested too deep, or has a name twice.
        RequestTooLarge: If the body is over its limit.
    """
    body = await request.body()
    if len(body) > _IN_THREAD:
        return await asyncio.to_thread(parse_json, body, limits.json_depth)
    return parse_json(body, limits.json_depth)


def parse_json(body: bytes, depth: int) -> dict[str, Any]:
    """The JSON object in ``body``; see :func:`read_json`."""
    try:
        # As text: the decoder would take lone surrogates out of bytes.
        value = _DECODER.decode(body.decode("utf-8-sig"))
        if b"\\u" in body:
            orjson.loads(body)  # takes no lone surrogates, which nothing behind us could encode
    except RecursionError:
        raise _too_deep(depth) from None
    except ValueError:  # the decoder's message may quote the body
        raise RequestRefused(
            "The body is not valid JSON; nothing was sent.",
            hint="Send one JSON object in UTF-8, with whole characters, finite numbers, and "
            "integers of 64 bits.",
        ) from None
    if not isinstance(value, dict):
        raise RequestRefused("The body is not a JSON object; nothing was sent.")
    # The number of brackets bounds the depth, and most bodies have few.
    if body.count(b"[") + body.count(b"{") > depth and _deeper(value, depth):
        raise _too_deep(depth)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise RequestRefused(
            "A name is there twice in one JSON object; nothing was sent.",
            hint="Send each name once.",
        )
    return out


def _constant(_: str) -> None:
    raise ValueError("no JSON number")


def _integer(text: str) -> int:
    """Those that every reader takes for the same number."""
    if len(text) > _DIGITS or not _LEAST <= (number := int(text)) <= _GREATEST:
        raise ValueError("no integer of 64 bits")
    return number


def _real(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("no finite number")
    return number


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_real
)


def _too_deep(depth: int) -> RequestRefused:
    return RequestRefused(
        f"The body is nested deeper than {depth}; nothing was sent.",
        hint="Send flatter JSON, or raise proxy.limits.json_depth.",
    )


def _deeper(value: object, depth: int) -> bool:
    level: list[object] = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (
                outer.values()
                if isinstance(outer, dict)
                else outer
                if isinstance(outer, list)
                else ()
            )
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def check_sources(texts: Sequence[str], limits: LimitSettings) -> None:
    """Refuse sources that are too many or too long.

    Raises:
        RequestTooLarge: Names the limit.
    """
    if len(texts) > limits.sources:
        raise _sources(f"more than {limits.sources} sources", "sources")
    if any(len(text) > limits.source_chars for text in texts):
        raise _sources(f"a source of more than {limits.source_chars} characters", "source_chars")
    if sum(map(len, texts)) > limits.sources_chars:
        raise _sources(
            f"sources of more than {limits.sources_chars} characters together", "sources_chars"
        )


def _sources(what: str, setting: str) -> RequestTooLarge:
    return RequestTooLarge(
        f"The request has {what}; nothing was sent.",
        hint=f"Send less, or raise proxy.limits.{setting}.",
        param="guardrails.sources",
    )


class Places:
    """So many requests at work, so many waiting in line, the others are refused. For one loop."""

    def __init__(self, places: int, queue: int, seconds: float) -> None:
        """Make them.

        Args:
            places: How many may work at once.
            queue: How many may wait.
            seconds: How long one may wait.
        """
        self._free = places
        self._queue = queue
        self._seconds = seconds
        self._line: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._line)

    async def enter(self) -> None:
        """Take a place, waiting in line for it.

        Raises:
            TooManyRequests: If the line is full, or it took too long.
        """
        if self._free:
            self._free -= 1
            return
        if len(self._line) >= self._queue:
            raise self._full("all places to work and to wait are taken")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            async with asyncio.timeout(self._seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave()  # it was given to us at this very moment
            elif turn in self._line:
                self._line.remove(turn)
            if isinstance(error, TimeoutError):
                raise self._full(f"no place got free in {self._seconds:g} seconds") from None
            raise

    def leave(self) -> None:
        """Give a place back: to whoever has waited longest."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _full(self, why: str) -> TooManyRequests:
        return TooManyRequests(
            f"The proxy is busy: {why}; nothing was sent.",
            hint="Try again later, send less at once, or run more replicas.",
            retry_after=max(1.0, self._seconds / 2),
        )


class Rates:
    """The rate of each key: shared by the replicas where the store can, else in memory."""

    def __init__(
        self,
        limits: LimitSettings,
        shared: Callable[[], SharedRates | None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make them.

        Args:
            limits: The settings' rate.
            shared: Gives where replicas share them; called in a thread, may raise
                ``StoreUnavailable``. None when they do not.
            clock: Monotonic seconds, for what is in memory.
        """
        self._limits = limits
        self._shared = shared
        self._clock = clock
        self._due: OrderedDict[str, int] = OrderedDict()

    async def take(self, key: str, own: float | None) -> None:
        """Count a request of a key.

        Args:
            key: The key's id.
            own: Requests a minute instead of the settings', or None.

        Raises:
            TooManyRequests: If it is over its rate.
        """
        per_minute = own or self._limits.rate_per_minute
        if per_minute is None:
            return
        # A key with a rate of its own gets no more at once than that rate gives in a minute.
        burst = self._limits.rate_burst if own is None else min(self._limits.rate_burst, int(own))
        rate = Rate(per_minute, max(1, burst))
        taken = await self._take_shared(key, rate) or self._take_here(key, rate)
        if not taken.allowed:
            raise TooManyRequests(
                f"This key is over its rate of {per_minute:g} requests a minute; nothing was sent.",
                hint="Try again after the time in Retry-After.",
                retry_after=taken.wait_s,
            )

    async def _take_shared(self, key: str, rate: Rate) -> Taken | None:
        if self._shared is None:
            return None
        where = self._shared

        def ask() -> Taken | None:
            shared = where()
            return None if shared is None else shared.take(key, rate)

        try:
            return await asyncio.to_thread(ask)
        except StoreUnavailable:
            return None  # each replica counts for itself until the store is back

    def _take_here(self, key: str, rate: Rate) -> Taken:
        taken = take(self._due.get(key), int(self._clock() * 1e6), rate)
        self._due[key] = taken.due
        self._due.move_to_end(key)
        if len(self._due) > _KEYS:
            self._due.popitem(last=False)
        return taken
