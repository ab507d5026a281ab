"""Looking into responses of every shape, as objects or as JSON, without changing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from guardrails.errors import ResponseUnreadable, StreamingUnsupported

Shape = Literal["text", "chat", "completion", "responses", "anthropic"]

# Parts that hold a text which is not the answer's.
_NO_ANSWER = frozenset(
    {"refusal", "thinking", "redacted_thinking", "reasoning", "reasoning_text", "summary_text"}
)


def shape_of(response: object) -> Shape:
    """Which shape a response has.

    Raises:
        ResponseUnreadable: If it has none we know; names its type.
        StreamingUnsupported: If it is a stream.
    """
    if isinstance(response, str):
        return "text"
    if hasattr(response, "__anext__") or hasattr(response, "__next__"):
        raise StreamingUnsupported(
            "The call gave a stream; it was not read, and nothing was released.",
            hint="Call with stream=False, or yield the events from a generator function.",
        )
    choices = get(response, "choices")
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        if choices and get(choices[0], "message") is None and get(choices[0], "text") is not None:
            return "completion"
        if all(get(choice, "message") is not None for choice in choices):
            return "chat"
    if isinstance(get(response, "output"), Sequence) and not isinstance(
        get(response, "output"), str
    ):
        return "responses"
    if isinstance(get(response, "content"), list) and get(response, "role") == "assistant":
        return "anthropic"
    kind = type(response)
    raise ResponseUnreadable(
        f"Cannot find the answer in a response of type {kind.__module__}.{kind.__qualname__}; "
        "nothing was released.",
        hint="Return text, an OpenAI, LiteLLM or Anthropic response, or the JSON of one.",
    )


def get(value: object, key: str) -> Any:
    """A key of a mapping, or an attribute of an object; None where there is neither."""
    if isinstance(value, Mapping):
        return value.get(key)
    return getattr(value, key, None)


def is_text(part: object) -> bool:
    """Whether a part of a message is text that a reader gets.

    Also one of a type nobody has told us of: text that is not read would be released unchecked.
    """
    return isinstance(get(part, "text"), str) and get(part, "type") not in _NO_ANSWER


def has(value: object, key: str) -> bool:
    """Whether there is such a key or attribute."""
    return key in value if isinstance(value, Mapping) else hasattr(value, key)


def put(value: Any, key: str, new: object) -> None:
    """Set a key or attribute."""
    if isinstance(value, Mapping):
        value[key] = new  # type: ignore[index]  # a copy we made of a JSON object
    else:
        setattr(value, key, new)


def clear(value: Any, keys: Sequence[str]) -> None:
    """Take keys out of a mapping; set attributes that say something to None."""
    for key in keys:
        if isinstance(value, Mapping):
            value.pop(key, None)  # type: ignore[attr-defined]  # as above
        elif getattr(value, key, None):
            setattr(value, key, None)


def items_of(value: object, key: str) -> list[Any]:
    """What is under a key, as a list; the very list where it is one."""
    found = get(value, key)
    if isinstance(found, list):
        return found
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else []
