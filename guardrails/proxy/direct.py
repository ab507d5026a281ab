"""Providers that speak the caller's own protocol, over one pooled HTTP client.

The body goes out as it came, with the model's name mapped and the deployment's own fields added;
responses and events come back as they are. A group of deployments shares the load by weight; a
deployment that cannot be reached, or answers 429 or 5xx, hands over to the next one as long as
nothing of an answer has been seen.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import orjson

from guardrails.proxy.closing import Closing
from guardrails.proxy.sse import EventReader
from guardrails.proxy.upstream import (
    JSON,
    PROVIDER_KEY_HEADER,
    Answer,
    ErrorAnswer,
    Relayed,
    UpstreamFailed,
    Wire,
    refused_by,
)
from guardrails.proxy.wire import ends, read_event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    import aiohttp

    from guardrails.proxy.deployments import Deployment

_PATHS: Final[Mapping[Wire, str]] = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "messages": "/v1/messages",
}
_ANTHROPIC_VERSION: Final = "2023-06-01"
_CONNECT_SECONDS: Final = 10.0
_TIMEOUT_SECONDS: Final = 600.0
_POOL: Final = 1000
_ERROR_BYTES: Final = 1024 * 1024
_TRY_NEXT: Final = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_SUCCESS: Final = range(200, 300)
_ERRORS: Final = range(400, 600)
_FIRST_WAIT_SECONDS: Final = 0.25
_LONGEST_WAIT_SECONDS: Final = 5.0

# The caller's headers that mean something to a provider. Never credentials or cookies.
_SENT_ON: Final = frozenset(
    {
        "anthropic-beta",
        "anthropic-version",
        "idempotency-key",
        "openai-beta",
        "traceparent",
        "tracestate",
        "x-client-request-id",
    }
)
_SENT_BACK: Final = ("anthropic-", "openai-", "x-ratelimit-")
_SENT_BACK_EXACT: Final = frozenset(
    {
        "content-type",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "x-request-id",
        "x-should-retry",
    }
)


class DirectUpstream:
    """Calls deployments whose provider speaks the protocol. One for a whole process."""

    def __init__(
        self,
        group: Callable[[str], Sequence[Deployment]],
        *,
        retries: int = 0,
        timeout: float | None = None,
        choose: random.Random | None = None,
    ) -> None:
        """Make one; connections are opened by the first calls.

        Args:
            group: The deployments of a model's name.
            retries: How often a call is tried again, beyond one try a deployment.
            timeout: Seconds a call may take where the deployment says nothing.
            choose: Chooses among deployments; for tests.
        """
        self._group = group
        self._retries = retries
        self._timeout = timeout or _TIMEOUT_SECONDS
        self._random = choose or random.Random()  # noqa: S311 - spreads load, no secret
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[str, str | None] = {}

    async def call(
        self, wire: Wire, body: JSON, headers: Mapping[str, str], *, within: float | None = None
    ) -> Answer:
        """One whole response."""
        response = await self._begin(wire, body, headers, within)
        try:
            raw = await response.read()
            answer = orjson.loads(raw)
        except (OSError, _client_error(), TimeoutError) as error:
            raise _broken_off(error) from error
        except orjson.JSONDecodeError as error:
            raise _no_answer() from error
        finally:
            _let_go(response)
        if not isinstance(answer, dict):
            raise _no_answer()
        return Answer(answer, None, _back(response.headers))

    async def stream(
        self, wire: Wire, body: JSON, headers: Mapping[str, str], *, within: float | None = None
    ) -> DirectEvents:
        """The stream, once the provider began to answer."""
        response = await self._begin(wire, body, headers, within)
        return DirectEvents(response, wire)

    async def relay(self, wire: Wire, body: JSON, headers: Mapping[str, str]) -> Relayed:
        """Status, headers and bytes as they come."""
        try:
            response = await self._begin(wire, body, headers, None)
        except UpstreamFailed as error:
            if error.answer is None:
                raise
            return Relayed(error.answer.status, error.answer.headers, _once(error.answer.body))
        back = _back(response.headers)
        length = response.headers.get("content-length")
        if length is not None and "content-encoding" not in response.headers:
            back["content-length"] = length

        async def close() -> None:
            _let_go(response)

        return Relayed(response.status, back, Closing(_bytes_of(response), close))

    async def aclose(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # ------------------------------------------------------------------ one request

    async def _begin(
        self, wire: Wire, body: JSON, headers: Mapping[str, str], within: float | None
    ) -> aiohttp.ClientResponse:
        """A response of status 2xx, from the first deployment that gives one.

        Raises:
            UpstreamFailed: The last deployment's failure.
        """
        order = self._order(self._group(str(body.get("model"))))
        tries = len(order) + self._retries
        for number in range(tries):
            deployment = order[number % len(order)]
            try:
                return await self._send(wire, body, headers, deployment, within)
            except UpstreamFailed as error:
                if number + 1 == tries or not _worth_another(error):
                    raise
                if number + 1 >= len(order):
                    await asyncio.sleep(self._wait(number + 1 - len(order)))
        raise AssertionError("a group has a deployment")

    def _order(self, group: Sequence[Deployment]) -> list[Deployment]:
        """The group in an order drawn by weight."""
        if len(group) == 1:
            return list(group)
        draw = self._random.random
        return sorted(group, key=lambda deployment: draw() ** (1 / deployment.weight), reverse=True)

    def _wait(self, number: int) -> float:
        longest = min(_FIRST_WAIT_SECONDS * 2**number, _LONGEST_WAIT_SECONDS)
        return self._random.uniform(longest / 2, longest)

    async def _send(
        self,
        wire: Wire,
        body: JSON,
        headers: Mapping[str, str],
        deployment: Deployment,
        within: float | None,
    ) -> aiohttp.ClientResponse:
        import aiohttp

        sent = {**deployment.defaults, **body, "model": deployment.model}
        limit = deployment.timeout or self._timeout
        if within is not None:
            limit = min(limit, within)
        try:
            response = await self._opened().post(
                _address(deployment, wire),
                data=orjson.dumps(sent),
                headers=_headers(deployment, wire, headers),
                timeout=aiohttp.ClientTimeout(
                    total=None if body.get("stream") else limit,
                    sock_connect=min(_CONNECT_SECONDS, limit),
                    sock_read=limit,
                ),
                allow_redirects=False,
                proxy=self._proxy(deployment.base or ""),
            )
        except TimeoutError as error:
            raise _late(limit) from error
        except (OSError, aiohttp.ClientError) as error:
            raise _unreachable(error) from error
        if response.status in _SUCCESS:
            return response
        raise await _refused(response)

    def _proxy(self, base: str) -> str | None:
        """The HTTP proxy for an address, as the environment had it when it was first asked for.

        aiohttp's own look at the environment costs two thread hand-overs a request.
        """
        if base not in self._proxies:
            self._proxies[base] = _proxy_for(base)
        return self._proxies[base]

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_POOL, ttl_dns_cache=60, keepalive_timeout=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=2**18,
            )
        return self._session


class DirectEvents:
    """An open stream of a provider; see ``Events``."""

    def __init__(self, response: aiohttp.ClientResponse, wire: Wire) -> None:
        self.headers: Final = _back(response.headers)
        self._response = response
        self._wire = wire

    async def __aiter__(self) -> AsyncIterator[JSON]:
        """The events, one by one."""
        reader, ended = EventReader(), False
        try:
            async for chunk in self._response.content.iter_any():
                for event in reader.feed(chunk):
                    if event.data == b"[DONE]":
                        ended = True
                        continue
                    found = read_event(event.data)
                    ended = ended or ends(found, self._wire)
                    yield found
        except (OSError, _client_error(), TimeoutError) as error:
            raise _broken_off(error) from error
        finally:
            _let_go(self._response)
        if not ended:
            raise _broken_off(None)

    async def aclose(self) -> None:
        """Close the connection, unless the stream was read to its end: then it is used again."""
        _let_go(self._response)


# --------------------------------------------------------------------------- requests


def _address(deployment: Deployment, wire: Wire) -> str:
    base = deployment.base or ""
    path = _PATHS[wire]
    if base.endswith(path):
        return base
    if wire == "messages" and base.endswith("/v1"):
        return f"{base}/messages"
    return base + path


def _proxy_for(base: str) -> str | None:
    parts = urlsplit(base)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _headers(deployment: Deployment, wire: Wire, given: Mapping[str, str]) -> dict[str, str]:
    headers = {name: given[name] for name in given.keys() & _SENT_ON}
    headers |= deployment.headers
    headers["content-type"] = "application/json"
    headers["accept-encoding"] = "identity"
    key = given.get(PROVIDER_KEY_HEADER) or deployment.key
    if wire == "messages":
        headers.setdefault("anthropic-version", _ANTHROPIC_VERSION)
        if key:
            headers["x-api-key"] = key
    elif key:
        headers["authorization"] = f"Bearer {key}"
    return headers


def _back(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a response that the caller may see."""
    kept = {}
    for name, value in headers.items():
        low = name.lower()
        if (low in _SENT_BACK_EXACT or low.startswith(_SENT_BACK)) and value.isascii():
            kept[low] = value
    return kept


def _let_go(response: aiohttp.ClientResponse) -> None:
    """Back into the pool when it was read to its end; else the connection is closed."""
    if response.content.at_eof():
        response.release()
    else:
        response.close()


async def _bytes_of(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (OSError, _client_error(), TimeoutError) as error:
        raise _broken_off(error) from error
    finally:
        _let_go(response)


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


# --------------------------------------------------------------------------- failures


def _client_error() -> type[Exception]:
    import aiohttp

    return aiohttp.ClientError


def _worth_another(error: UpstreamFailed) -> bool:
    return error.answer is None or error.answer.status in _TRY_NEXT


async def _refused(response: aiohttp.ClientResponse) -> UpstreamFailed:
    """The provider's own error."""
    body = b""
    with suppress(OSError, _client_error(), TimeoutError):
        body = await response.content.read(_ERROR_BYTES)
    response.close()
    status = response.status if response.status in _ERRORS else 502
    return refused_by(response.status, ErrorAnswer(status, body, _back(response.headers)))


def _late(seconds: float) -> UpstreamFailed:
    return UpstreamFailed(
        f"The provider did not begin to answer within {seconds:.3g} s; there is no answer.",
        status=504,
        hint="Raise the deployment's timeout, or use a faster model.",
    )


def _unreachable(error: Exception) -> UpstreamFailed:
    return UpstreamFailed(
        f"The provider cannot be reached ({type(error).__name__}); there is no answer.",
        hint="Check the deployment's api_base, and that the provider is up.",
    )


def _broken_off(error: Exception | None) -> UpstreamFailed:
    kind = f" ({type(error).__name__})" if error is not None else ""
    return UpstreamFailed(
        f"The provider broke off before its answer was whole{kind}.",
        status=504 if isinstance(error, TimeoutError) else None,
        hint="Try again. If it goes on, look at the provider, and at timeouts on the way to it.",
    )


def _no_answer() -> UpstreamFailed:
    return UpstreamFailed(
        "The provider answered with something that is no JSON object; there is no answer.",
        status=502,
        hint="Look at what answers at the deployment's api_base.",
    )
