"""Rewriting responses: a deep copy of the original type with text as decided.

Only text that was decided otherwise is touched, and with it everything that repeats the withheld
text: log probabilities, reasoning, annotations, and every field that nobody knows.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from guardrails._known_fields import CHAT_SOURCES
from guardrails._known_whole import strip_whole
from guardrails._response_access import Shape, clear, get, has, is_text, items_of, put, shape_of

T = TypeVar("T")

# Everything beside the text that may repeat what the text said.
_ECHOES = (
    "annotations",
    "audio",
    "images",
    "provider_specific_fields",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "reasoning_items",
    "thinking_blocks",
)


def with_texts(
    response: T, texts: Mapping[int, str], *, withheld: frozenset[int] = frozenset()
) -> T:
    """A copy of ``response`` with the text of some choices replaced.

    Args:
        response: Anything ``read`` reads; never changed.
        texts: New text by choice. Choices not named stay as they are.
        withheld: Choices of which nothing may be released: their tool calls go too.

    Returns:
        ``response`` itself when there is nothing to change, else a deep copy of its type.
    """
    if not texts:
        return response
    shape = shape_of(response)
    if shape == "text":
        return texts[0]  # type: ignore[return-value]  # T is str here
    fresh = copy.deepcopy(response)
    strip_whole(fresh, shape)
    if shape in {"chat", "completion"}:
        clear(fresh, CHAT_SOURCES)
    if shape in {"responses", "anthropic"} and not _has_text_part(fresh, shape):
        fresh = _with_text_part(fresh, shape)
    for index, text in texts.items():
        drop_tools = index in withheld
        match shape:
            case "chat":
                _write_chat(items_of(fresh, "choices")[index], text, drop_tools=drop_tools)
            case "completion":
                choice = items_of(fresh, "choices")[index]
                put(choice, "text", text)
                clear(choice, ("logprobs",))
            case "responses":
                _write_responses(fresh, text, drop_tools=drop_tools)
            case "anthropic":
                _write_anthropic(fresh, text, drop_tools=drop_tools)
    return fresh


def with_choice(response: T, index: int, other: object) -> T:
    """A copy of ``response`` in which choice ``index`` is the first choice of ``other``.

    For calls with ``n > 1`` of which one choice was asked for again. Both must be chat or text
    completions.
    """
    fresh = copy.deepcopy(response)
    choices = items_of(fresh, "choices")
    replacement = copy.deepcopy(items_of(other, "choices")[0])
    if has(replacement, "index"):
        put(replacement, "index", index)
    choices[index] = replacement
    return fresh


_EMPTY_MESSAGE = {
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "id": "msg_guardrails",
    "content": [{"type": "output_text", "text": "", "annotations": []}],
}
_EMPTY_BLOCK = {"type": "text", "text": ""}


def _has_text_part(response: object, shape: Shape) -> bool:
    if shape == "anthropic":
        parts = items_of(response, "content")
    else:
        parts = [
            part for item in items_of(response, "output") for part in items_of(item, "content")
        ]
    return any(is_text(part) for part in parts)


def _with_text_part(response: T, shape: Shape) -> T:
    """The same response with an empty text part to write into. Goes by way of its JSON."""
    kind = type(response)
    dump = getattr(response, "model_dump", None)
    data: Any = dump() if dump is not None else response
    if shape == "anthropic":
        data["content"] = [*(data.get("content") or ()), copy.deepcopy(_EMPTY_BLOCK)]
    else:
        messages = [item for item in data["output"] if item.get("type") != "message"]
        data["output"] = [*messages, copy.deepcopy(_EMPTY_MESSAGE)]
    if dump is None:
        return data  # type: ignore[no-any-return]
    try:
        return kind.model_validate(data)  # type: ignore[attr-defined, no-any-return]
    except ValueError:
        # SDKs build responses without validating them, so a server may have left fields out.
        return kind.model_construct(**data)  # type: ignore[attr-defined, no-any-return]


def _write_parts(parts: list[Any], text: str) -> list[Any]:
    """All the text into the first text part, the other text parts away, the rest as it was."""
    kept: list[Any] = []
    written = False
    for part in parts:
        if isinstance(part, str):
            if not written:
                kept.append(text)
            written = True
            continue
        kind = get(part, "type")
        if kind in {"refusal", "thinking", "redacted_thinking", "reasoning"}:
            continue
        if is_text(part):
            if written:
                continue
            written = True
            put(part, "text", text)
            if get(part, "annotations"):
                put(part, "annotations", [])
            clear(part, ("citations", "logprobs"))
        kept.append(part)
    return kept if written else [*kept, {"type": "text", "text": text}]


def _write_chat(choice: Any, text: str, *, drop_tools: bool) -> None:
    message = get(choice, "message")
    content = get(message, "content")
    put(message, "content", _write_parts(content, text) if isinstance(content, list) else text)
    clear(message, (*_ECHOES, "refusal"))
    clear(choice, ("logprobs", "provider_specific_fields"))
    if drop_tools:
        clear(message, ("tool_calls", "function_call"))
        if get(choice, "finish_reason") in {"tool_calls", "function_call"}:
            put(choice, "finish_reason", "stop")


def _write_responses(response: Any, text: str, *, drop_tools: bool) -> None:
    kept: list[Any] = []
    written = False
    for item in items_of(response, "output"):
        kind = get(item, "type")
        if kind == "reasoning" or (drop_tools and str(kind).endswith("_call")):
            continue
        if kind == "message":
            parts = items_of(item, "content")
            if written or not any(is_text(part) for part in parts):
                continue
            written = True
            put(item, "content", _write_parts(parts, text))
        kept.append(item)
    put(response, "output", kept)
    if isinstance(response, Mapping) and "output_text" in response:
        put(response, "output_text", text)  # a property of the object, a field of some JSON


def _write_anthropic(response: Any, text: str, *, drop_tools: bool) -> None:
    kept = _write_parts(items_of(response, "content"), text)
    if drop_tools:
        kept = [part for part in kept if get(part, "type") != "tool_use"]
        if get(response, "stop_reason") == "tool_use":
            put(response, "stop_reason", "end_turn")
    put(response, "content", kept)
