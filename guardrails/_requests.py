"""LiteLLM's arguments as a dict of our own: named, without secrets for the record, by attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from guardrails._copies import listed
from guardrails.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardrails.effects import CallModel

# LiteLLM's positional parameters, as far as anybody passes them by position.
_POSITIONAL: Final = ("model", "messages", "timeout", "temperature", "top_p", "n")
# Settings of a call worth a place in its record. Nothing that could hold a key or user text.
_PARAMS: Final = frozenset(
    {
        "frequency_penalty",
        "max_completion_tokens",
        "max_tokens",
        "n",
        "num_retries",
        "presence_penalty",
        "reasoning_effort",
        "seed",
        "temperature",
        "timeout",
        "top_p",
    }
)


def params_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """The plain settings of a call, for its record."""
    return {
        key: value
        for key, value in request.items()
        if key in _PARAMS and isinstance(value, int | float | str)
    }


def named(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name, in a dict of our own.

    Raises:
        ConfigInvalid: If one was given twice, or there are too many.
    """
    if len(args) > len(_POSITIONAL):
        raise ConfigInvalid(
            f"completion() takes at most {len(_POSITIONAL)} arguments by position; "
            "nothing was sent.",
            hint="Pass the others by name.",
        )
    named = dict(zip(_POSITIONAL, args, strict=False))
    twice = sorted(named.keys() & kwargs.keys())
    if twice:
        raise ConfigInvalid(
            f"completion() got {', '.join(twice)} by position and by name; nothing was sent.",
            hint="Pass it once.",
        )
    request = {**named, **kwargs}
    if "messages" in request:
        request["messages"] = listed(request["messages"])
    return request


def of_attempt(request: Mapping[str, Any], effect: CallModel) -> dict[str, Any]:
    """The request of one attempt: the budget as its timeout, the feedback as its last message."""
    own = dict(request)
    if effect.timeout is not None:
        wanted = own.get("timeout")
        short = wanted if isinstance(wanted, int | float) else effect.timeout
        own["timeout"] = min(short, effect.timeout)
    followup = effect.followup
    if followup is not None:
        own.pop("n", None)
        said = [{"role": "assistant", "content": followup.answer}] if followup.answer else []
        asked = {"role": "user", "content": followup.message}
        own["messages"] = [*(own.get("messages") or ()), *said, asked]
    return own
