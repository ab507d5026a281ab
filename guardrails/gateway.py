"""Model calls through LiteLLM. The only import of it, and only when the first call is made.

LiteLLM fetches its price list over the network while it is imported, unless
``LITELLM_LOCAL_MODEL_COST_MAP`` is set. It is set for the length of the import and then put back
as it was: the one place outside ``settings`` that touches the environment. Everything else of
LiteLLM stays as the application has it: settings travel with each call.
"""

from __future__ import annotations

import importlib
import math
import os
import re
import threading
from typing import TYPE_CHECKING, Any, Protocol

from guardrails._copies import own_copy
from guardrails.effects import Called
from guardrails.errors import ConfigInvalid, GuardrailsError, ProviderFailed
from guardrails.responses import read_usage
from verifiers.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from types import ModuleType

    from guardrails.responses import Reading

_SWITCH = "LITELLM_LOCAL_MODEL_COST_MAP"

# Class names of LiteLLM's and the OpenAI SDK's errors, and what to do about them.
_HINTS = {
    400: "Check the model's name, as provider/model, and the arguments of the call.",
    401: "Check the provider's API key.",
    403: "Check that the key may use this model.",
    404: "Check the model name and api_base.",
    408: "The provider took too long; raise the policy's limits.seconds or the call's timeout.",
    413: "Send less: shorten the messages or the documents in them.",
    422: "Check the arguments of the call.",
    429: "The provider limits the rate; wait, or set num_retries.",
}
_NO_KEY = "Set the provider's API key: as api_key, or in its environment variable (OPENAI_API_KEY)."
# Some providers' libraries fail with HTTP 500 for want of a key, before anything was sent.
_KEYLESS = re.compile(
    r"missing credentials|missing [\w ]{0,40}api key|api_key client option must be set",
    re.IGNORECASE,
)
_TRY_AGAIN = "Try again, or set num_retries."


class Gateway(Protocol):
    """What the client needs of a provider. ``guardrails.testing.ScriptedLLM`` is one too."""

    def prepare(self) -> None:
        """Load what the first call needs. Called before a call's budget begins to run."""
        ...

    def priced(self, request: Mapping[str, Any]) -> bool:
        """Whether what such a call costs will be known. Sends nothing."""
        ...

    def complete(self, request: Mapping[str, Any]) -> Called:
        """Make one call with LiteLLM's arguments. Never changes ``request``.

        Raises:
            ProviderFailed: With the original exception as its cause.
        """
        ...

    async def acomplete(self, request: Mapping[str, Any]) -> Called:
        """As ``complete``, without blocking the event loop."""
        ...

    async def astream(self, request: Mapping[str, Any]) -> AsyncIterator[Any]:
        """Begin a streamed call: the chunks, as the provider or LiteLLM gives them."""
        ...

    def chunks_of(self, response: Any) -> list[Any]:
        """The chunks that tell a whole response."""
        ...

    def stream_cost(self, request: Mapping[str, Any], reading: Reading) -> float | None:
        """What a stream cost in US dollars, by what it told; None where that is not known."""
        ...


class LiteLLMGateway:
    """Calls any provider LiteLLM knows."""

    def __init__(self, load: Callable[[], ModuleType] | None = None) -> None:
        """Make a gateway; nothing is imported yet.

        Args:
            load: Gives the ``litellm`` module; only for tests.
        """
        self._load = load or load_litellm

    def prepare(self) -> None:
        """Import LiteLLM, which takes seconds the first time."""
        self._load()

    def priced(self, request: Mapping[str, Any]) -> bool:
        """Whether LiteLLM knows the model's prices, or the call brings its own."""
        litellm = self._load()
        try:
            litellm.cost_per_token(
                model=str(request.get("model")),
                prompt_tokens=1,
                completion_tokens=1,
                custom_llm_provider=request.get("custom_llm_provider"),
            )
        except Exception:  # noqa: BLE001 - it raises bare Exception for models without a price
            own = ("input_cost_per_token", "output_cost_per_token")
            return all(request.get(key) is not None for key in own)
        return True

    def complete(self, request: Mapping[str, Any]) -> Called:
        """Make one call."""
        own = _own(request)
        litellm = self._load()
        try:
            response = litellm.completion(**own)
        except Exception as error:
            raise provider_failed(error) from error
        return Called(response, cost_of(litellm, response))

    async def acomplete(self, request: Mapping[str, Any]) -> Called:
        """Make one call without blocking the event loop."""
        import asyncio

        own = await asyncio.to_thread(_own, request)
        # The first import takes seconds.
        litellm = await asyncio.to_thread(self._load)
        try:
            response = await litellm.acompletion(**own)
        except Exception as error:
            raise provider_failed(error) from error
        return Called(response, await asyncio.to_thread(cost_of, litellm, response))

    async def astream(self, request: Mapping[str, Any]) -> AsyncIterator[Any]:
        """Begin a streamed call."""
        import asyncio

        own = await asyncio.to_thread(_own, request)
        litellm = await asyncio.to_thread(self._load)
        try:
            stream: AsyncIterator[Any] = await litellm.acompletion(**{**own, "stream": True})
        except Exception as error:
            raise provider_failed(error) from error
        return stream

    def chunks_of(self, response: Any) -> list[Any]:
        """The chunks that tell a whole response, as LiteLLM's own objects."""
        from guardrails.streaming.replay import events_of

        litellm = self._load()
        whole = response if isinstance(response, dict) else response.model_dump()
        return [litellm.ModelResponseStream(**event) for event in events_of(whole)]

    def stream_cost(self, request: Mapping[str, Any], reading: Reading) -> float | None:
        """What a stream cost, by LiteLLM's prices."""
        usage = reading.usage
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        litellm = self._load()
        try:
            parts = litellm.cost_per_token(
                model=str(request.get("model")),
                prompt_tokens=usage.input_tokens,
                completion_tokens=usage.output_tokens,
                custom_llm_provider=request.get("custom_llm_provider"),
            )
        except Exception:  # noqa: BLE001 - it raises bare Exception for models without a price
            return None
        return float(sum(parts))


def _own(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request LiteLLM may scribble on: it rewrites messages, and adds keys to ``metadata``."""
    return {key: own_copy(value) for key, value in request.items()}


def provider_failed(error: Exception) -> GuardrailsError:
    """Our error for what a provider's library raised. Quotes nothing of the original's text."""
    if isinstance(error, GuardrailsError):
        return error
    if isinstance(error, TypeError):
        return ConfigInvalid(
            "The arguments of the call do not fit LiteLLM's completion(); nothing was sent.",
            hint="The original exception, which names the argument, is the cause of this one.",
        )
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) else None
    if status is None and isinstance(error, TimeoutError):
        status = 408
    kind = type(error).__name__
    hint = _HINTS.get(status or 0, _TRY_AGAIN)
    if status in {None, 401, 500} and _KEYLESS.search(str(error)):
        hint = _NO_KEY
    where = f" (HTTP {status})" if status is not None else ""
    return ProviderFailed(
        f"The model call failed: {kind}{where}. There is no answer; nothing was released.",
        status=status,
        hint=hint,
    )


def cost_of(litellm: ModuleType, response: object) -> float | None:
    """What a call cost in US dollars; None where prices, or the tokens they are for, are not known.

    LiteLLM's sum for a provider that tells no tokens, or negative ones, is no cost: taken at its
    word, it would never use up a budget, or fill it again.
    """
    hidden = getattr(response, "_hidden_params", None)
    cost = hidden.get("response_cost") if isinstance(hidden, dict) else None
    if cost is None:
        try:
            cost = litellm.completion_cost(completion_response=response)
        except Exception:  # noqa: BLE001 - it raises bare Exception for models without a price
            return None
    if not isinstance(cost, int | float) or not 0.0 <= cost < math.inf:
        return None
    told = read_usage(response)
    if not cost and told.input_tokens is None and told.output_tokens is None:
        return None
    return float(cost)


_importing = threading.Lock()


def load_litellm() -> ModuleType:
    """Import LiteLLM without its import-time network call.

    Raises:
        MissingExtra: If it is not installed.
    """
    with _importing:
        environment = os.environ  # noqa: TID251 - see the module docstring
        before = environment.get(_SWITCH)
        environment[_SWITCH] = "True"
        try:
            module = importlib.import_module("litellm")
        except ModuleNotFoundError as error:
            if error.name != "litellm":
                raise  # installed but broken
            raise MissingExtra(
                "'litellm' is not installed, so no model can be called.",
                hint="Run: pip install groundrail",
            ) from error
        finally:
            if before is None:
                environment.pop(_SWITCH, None)
            else:
                environment[_SWITCH] = before
    return module
