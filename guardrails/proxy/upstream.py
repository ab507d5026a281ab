"""The port to providers. Adapters: ``direct`` (the same protocol, over HTTP) and ``litellm``.

What leaves an adapter is the JSON of the protocol that was asked for, whichever provider answered:
a dict a response, a dict a stream event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from guardrails.effects import Called
from guardrails.errors import ProviderFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from guardrails.report import Usage

Wire = Literal["chat", "responses", "messages"]
"""Chat completions, OpenAI Responses, Anthropic Messages."""

JSON = dict[str, Any]

# Among the headers that a route hands to an upstream: the key that the caller brought for the
# provider. Set by the route alone; what a caller sends under this name is thrown away.
PROVIDER_KEY_HEADER: Final = "x-provider-key"

_KEY_REFUSED: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An HTTP error as the provider wrote it, for the caller to get it unchanged.

    Attributes:
        status: The HTTP status.
        body: The body's bytes.
        headers: Content type, ``retry-after`` and the provider's own ids.
    """

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class UpstreamFailed(ProviderFailed):
    """The provider did not answer, or answered with an error.

    Attributes:
        answer: The provider's own error, where there was one.
        event: The provider's error event, where a stream ended in one.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        hint: str = "",
        answer: ErrorAnswer | None = None,
        event: JSON | None = None,
    ) -> None:
        super().__init__(message, status=status, hint=hint)
        self.answer = answer
        self.event = event


def refused_by(status: int, answer: ErrorAnswer | None = None) -> UpstreamFailed:
    """The failure that a provider's HTTP error is."""
    return UpstreamFailed(
        f"The provider answered with HTTP {status}; there is no answer.",
        status=status,
        hint="Look at the key of the deployment."
        if status in _KEY_REFUSED
        else "The provider's own error is passed on.",
        answer=answer,
    )


class ModelUnknown(ProviderFailed):
    """No deployment answers to the model's name. Nothing was sent."""

    def __init__(self) -> None:
        super().__init__(
            "No deployment of this proxy answers to the requested model; nothing was sent.",
            status=404,
            hint="GET /v1/models lists the models; they come from model_list in the configuration.",
        )


@dataclass(frozen=True, slots=True)
class Answer(Called):
    """A whole response; ``response`` is its JSON. ``headers``: what the caller may see of them."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Events(Protocol):
    """An open stream. Close it, also when it was read to its end."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What the caller may see of the response's headers."""
        ...

    def __aiter__(self) -> AsyncIterator[JSON]:
        """The events, without the ``[DONE]`` of chat completions.

        Raises:
            UpstreamFailed: If the stream ends in an error, or before its end.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection to the provider."""
        ...


class Chunks(Protocol):
    """Bytes as they come."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes."""
        ...

    async def aclose(self) -> None:
        """Close the connection to the provider, unless all was read: then it is used again."""
        ...


@dataclass(frozen=True, slots=True)
class Relayed:
    """A response passed through as it comes: the provider's own status and bytes.

    Close ``chunks``, also when they were read to their end or not at all.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    chunks: Chunks = field(repr=False)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model callers may name."""

    name: str
    owner: str


class Upstream(Protocol):
    """What the proxy needs of providers. Never changes ``body``."""

    def models(self) -> Sequence[ModelInfo]:
        """Every model callers may name, in the configuration's order."""
        ...

    async def prepare(self) -> None:
        """Load what the first call needs."""
        ...

    async def call(
        self, wire: Wire, body: JSON, headers: Mapping[str, str], *, within: float | None = None
    ) -> Answer:
        """One whole response.

        Args:
            wire: The protocol of ``body``.
            body: The request; its ``model`` is a name of ours.
            headers: The caller's headers, names in lower case.
            within: Seconds it may take; the deployment's own timeout when that is shorter.

        Raises:
            UpstreamFailed: Nothing, or an error, came back.
            ModelUnknown: No deployment has this name.
        """
        ...

    async def stream(
        self, wire: Wire, body: JSON, headers: Mapping[str, str], *, within: float | None = None
    ) -> Events:
        """The response as a stream of events, once the provider began to answer.

        ``body`` says ``"stream": true``. ``within``: seconds until it begins.
        """
        ...

    async def relay(self, wire: Wire, body: JSON, headers: Mapping[str, str]) -> Relayed:
        """The response, or the stream, or the error, as it comes; nobody looks at it."""
        ...

    def price(self, model: str, usage: Usage) -> float | None:
        """What so many tokens of a model cost in US dollars; None where prices are not known."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...
