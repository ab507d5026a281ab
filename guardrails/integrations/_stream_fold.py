"""A whole response from the events of its stream, as JSON, for each protocol. Pure.

What is read of a response to check it is here: texts, tool calls, reasons, usage. The events
themselves are kept beside it and go out as they came when nothing is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, assert_never

from guardrails.errors import ResponseUnreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

Wire = Literal["chat", "completion", "responses", "messages"]
Event = dict[str, Any]

_JOINED: Final = ("content", "reasoning_content", "refusal")
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


def fold(wire: Wire, events: Sequence[Event]) -> dict[str, Any]:
    """The response that a stream tells.

    Raises:
        ResponseUnreadable: If it does not tell a whole one.
    """
    match wire:
        case "chat":
            return _chat(events)
        case "completion":
            return _completion(events)
        case "messages":
            return _message(events)
        case "responses":
            return _response(events)
        case _:
            assert_never(wire)


def error_in(events: Sequence[Event]) -> Event | None:
    """The event by which the provider says that it failed, if there is one."""
    return next((e for e in events if e.get("type") == "error" or "error" in e), None)


def _head(events: Sequence[Event]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for event in events:
        for key in ("id", "created", "model", "usage"):
            if event.get(key) is not None:
                found[key] = event[key]
    return found


def _chat(events: Sequence[Event]) -> dict[str, Any]:
    lanes: dict[int, dict[str, Any]] = {}
    for event in events:
        for choice in event.get("choices") or ():
            index = choice.get("index") or 0
            lane = lanes.setdefault(
                index,
                {
                    "index": index,
                    "message": {"role": "assistant", "content": None},
                    "finish_reason": None,
                },
            )
            lane["finish_reason"] = choice.get("finish_reason") or lane["finish_reason"]
            _add_delta(lane["message"], choice.get("delta") or {})
    for lane in lanes.values():
        calls = lane["message"].get("tool_calls")
        if calls is not None:
            lane["message"]["tool_calls"] = [calls[place] for place in sorted(calls)]
    choices = [lanes[index] for index in sorted(lanes)]
    return {"object": "chat.completion", **_head(events), "choices": choices}


def _add_delta(message: dict[str, Any], delta: Event) -> None:
    for key in _JOINED:
        if isinstance(delta.get(key), str):
            message[key] = (message.get(key) or "") + delta[key]
    if delta.get("annotations"):
        message.setdefault("annotations", []).extend(delta["annotations"])
    if delta.get("function_call"):
        message.setdefault("function_call", {}).update(delta["function_call"])
    for call in delta.get("tool_calls") or ():
        calls = message.setdefault("tool_calls", {})
        known = calls.setdefault(
            call.get("index") or 0, {"type": "function", "function": {"name": "", "arguments": ""}}
        )
        known.update({k: v for k, v in call.items() if k not in {"index", "function"} and v})
        for key, value in (call.get("function") or {}).items():
            known["function"][key] = (known["function"].get(key) or "") + (value or "")


def _completion(events: Sequence[Event]) -> dict[str, Any]:
    lanes: dict[int, dict[str, Any]] = {}
    for event in events:
        for choice in event.get("choices") or ():
            index = choice.get("index") or 0
            lane = lanes.setdefault(index, {"index": index, "text": "", "finish_reason": None})
            lane["text"] += choice.get("text") or ""
            lane["finish_reason"] = choice.get("finish_reason") or lane["finish_reason"]
    choices = [lanes[index] for index in sorted(lanes)]
    return {"object": "text_completion", **_head(events), "choices": choices}


def _message(events: Sequence[Event]) -> dict[str, Any]:
    whole: dict[str, Any] | None = None
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        match event.get("type"):
            case "message_start":
                whole = {**event["message"]}
            case "content_block_start":
                blocks[event["index"]] = {**event["content_block"]}
            case "content_block_delta":
                _add_block_delta(blocks.setdefault(event["index"], {}), event["delta"])
            case "message_delta" if whole is not None:
                whole.update(event.get("delta") or {})
                whole["usage"] = {**(whole.get("usage") or {}), **(event.get("usage") or {})}
    if whole is None:
        raise ResponseUnreadable(
            "The stream ended before a message began; nothing was released.",
            hint="Look at the provider's raw stream; this is usually an error in disguise.",
        )
    return {**whole, "content": [blocks[place] for place in sorted(blocks)]}


def _add_block_delta(block: dict[str, Any], delta: Event) -> None:
    for key in ("text", "thinking", "signature", "partial_json"):
        if isinstance(delta.get(key), str):
            block[key] = (block.get(key) or "") + delta[key]
    if delta.get("type") == "text_delta":
        block.setdefault("type", "text")
    if delta.get("type") == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]


def _response(events: Sequence[Event]) -> dict[str, Any]:
    for event in reversed(events):
        if event.get("type") in _ENDS:
            whole: dict[str, Any] = event["response"]
            return whole
    raise ResponseUnreadable(
        "The stream ended before the response was complete; nothing was released.",
        hint="Look at the provider's raw stream; it may have been cut.",
    )
