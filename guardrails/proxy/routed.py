"""Everything LiteLLM can route to, through LiteLLM's own Router.

A request's fields become arguments of LiteLLM's functions, and many of those are not the caller's
to set: where to send the request, with which key, which callbacks run. So only fields of the
protocol are passed on; a request with any other is refused, and told which.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import orjson

from guardrails._copies import own_copy
from guardrails.gateway import cost_of, load_litellm, provider_failed
from guardrails.proxy.closing import Closing
from guardrails.proxy.sse import EventReader
from guardrails.proxy.upstream import (
    JSON,
    PROVIDER_KEY_HEADER,
    Answer,
    Relayed,
    UpstreamFailed,
    Wire,
)
from guardrails.proxy.wire import DONE, encode, read_event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
    from types import ModuleType

    from guardrails.proxy.deployments import Deployments
    from guardrails.report import Usage

_COMMON: Final = frozenset(
    {"model", "service_tier", "stream", "temperature", "tool_choice", "tools", "top_p"}
)
_ALLOWED: Final[Mapping[Wire, frozenset[str]]] = {
    "chat": _COMMON
    | {
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "stop",
        "store",
        "stream_options",
        "thinking",
        "top_k",
        "top_logprobs",
        "user",
        "verbosity",
        "web_search_options",
    },
    "responses": _COMMON
    | {
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "store",
        "stream_options",
        "text",
        "top_logprobs",
        "truncation",
        "user",
    },
    "messages": _COMMON
    | {
        "max_tokens",
        "messages",
        "metadata",
        "output_config",
        "stop_sequences",
        "system",
        "thinking",
        "top_k",
    },
}
# LiteLLM keeps its own affairs under ``metadata``, so that of a caller must not get there.
_DROPPED: Final[Mapping[Wire, frozenset[str]]] = {
    "chat": frozenset({"metadata"}),
    "responses": frozenset({"metadata"}),
    "messages": frozenset(),
}
_FUNCTIONS: Final[Mapping[Wire, str]] = {
    "chat": "acompletion",
    "responses": "aresponses",
    "messages": "aanthropic_messages",
}


class RoutedUpstream:
    """Calls whatever the Router knows. One for a whole process."""

    def __init__(
        self, deployments: Deployments, load: Callable[[], ModuleType] = load_litellm
    ) -> None:
        """Make one; LiteLLM is imported by ``prepare`` or the first call, which takes seconds.

        Args:
            deployments: The list, as it was written.
            load: Gives the ``litellm`` module.
        """
        self._deployments = deployments
        self._load = load
        self._router: Any = None
        self._lock = asyncio.Lock()

    async def prepare(self) -> None:
        """Import LiteLLM and make its Router."""
        await self._ready()

    async def call(
        self, wire: Wire, body: JSON, headers: Mapping[str, str], *, within: float | None = None
    ) -> Answer:
        """One whole response."""
        _no_key(headers)
        response = await self._ask(wire, body, within)
        cost = await asyncio.to_thread(cost_of, self._load(), response)
        return Answer(_plain(response, wire), cost)

    async def stream(
        self, wire: Wire, body: JSON, headers: Mapping[str, str], *, within: float | None = None
    ) -> RoutedEvents:
        """The stream, once LiteLLM has one."""
        _no_key(headers)
        return RoutedEvents(await self._ask(wire, body, within), wire)

    async def relay(self, wire: Wire, body: JSON, headers: Mapping[str, str]) -> Relayed:
        """As the others, as bytes."""
        if not body.get("stream"):
            answer = await self.call(wire, body, headers)
            return Relayed(200, _JSON_TYPE, _once(orjson.dumps(answer.response)))
        events = await self.stream(wire, body, headers)
        return Relayed(200, _SSE_TYPE, Closing(_written(events, wire), events.aclose))

    async def aclose(self) -> None:
        """Let go of the Router, and of the connections LiteLLM opened for it."""
        router, self._router = self._router, None
        if router is not None:
            litellm = self._load()
            await litellm.close_litellm_async_clients()
            # It would hand out the closed ones again.
            litellm.in_memory_llm_clients_cache.flush_cache()

    async def _ask(self, wire: Wire, body: JSON, within: float | None) -> Any:
        odd = sorted(body.keys() - _ALLOWED[wire])
        if odd:
            raise UpstreamFailed(
                f"This model is called through LiteLLM, and {', '.join(odd[:8])} "
                "cannot be passed on to it; nothing was sent.",
                status=400,
                hint="Leave those fields out, or set them for the deployment in litellm_params.",
            )
        asked = {k: own_copy(v) for k, v in body.items() if k not in _DROPPED[wire]}
        if within is not None:
            asked["timeout"] = within
        try:
            return await getattr(await self._ready(), _FUNCTIONS[wire])(**asked)
        except Exception as error:
            raise provider_failed(error) from error

    async def _ready(self) -> Any:
        if self._router is None:
            async with self._lock:
                if self._router is None:
                    self._router = await asyncio.to_thread(self._made)
        return self._router

    def _made(self) -> Any:
        litellm = self._load()
        return litellm.Router(
            model_list=self._deployments.litellm_list(), **self._deployments.router
        )


class RoutedEvents:
    """A stream of LiteLLM's, as JSON; see ``Events``."""

    def __init__(self, stream: Any, wire: Wire) -> None:
        self.headers: Mapping[str, str] = {}
        self._stream = stream
        self._wire = wire

    async def __aiter__(self) -> AsyncIterator[JSON]:
        """The events, one by one."""
        reader = EventReader()
        try:
            async for item in self._stream:
                if isinstance(item, bytes | str):  # Messages come as they stand on the wire
                    raw = item.encode() if isinstance(item, str) else item
                    for event in reader.feed(raw):
                        if event.data != b"[DONE]":
                            yield read_event(event.data)
                else:
                    yield _plain(item, self._wire)
        except Exception as error:
            raise provider_failed(error) from error

    async def aclose(self) -> None:
        """Close what LiteLLM opened."""
        close = getattr(self._stream, "aclose", None)
        if callable(close):
            await close()


def _no_key(headers: Mapping[str, str]) -> None:
    """Refuse a key of the caller's: LiteLLM would remember every one that it is ever given."""
    if PROVIDER_KEY_HEADER in headers:
        raise UpstreamFailed(
            "This model is called through LiteLLM, which takes no keys of callers here; "
            "nothing was sent.",
            status=400,
            hint="Use a model whose provider speaks this protocol itself.",
        )


_JSON_TYPE: Final = {"content-type": "application/json"}
_SSE_TYPE: Final = {"content-type": "text/event-stream; charset=utf-8"}


def _plain(response: Any, wire: Wire) -> JSON:
    """LiteLLM's object as the JSON of the protocol."""
    if isinstance(response, dict):
        return response
    found: JSON = response.model_dump(mode="json", exclude_none=wire == "chat")
    if wire == "chat":
        for choice in found.get("choices", ()):
            message = choice.get("message")
            if message is not None:
                message.setdefault("content", None)  # the protocol has null there
            elif "delta" in choice:
                choice.setdefault("finish_reason", None)
    return found


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


async def _written(events: RoutedEvents, wire: Wire) -> AsyncGenerator[bytes, None]:
    try:
        async for event in events:
            yield encode(event, wire)
        if wire == "chat":
            yield DONE
    finally:
        await events.aclose()


def tokens_price(litellm: ModuleType, model: str, usage: Usage) -> float | None:
    """What LiteLLM's price table says of so many tokens."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    try:
        spent = litellm.cost_per_token(
            model=model, prompt_tokens=usage.input_tokens, completion_tokens=usage.output_tokens
        )
    except Exception:  # noqa: BLE001 - it raises bare Exception for models without a price
        return None
    return float(sum(spent))
