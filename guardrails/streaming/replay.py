"""Whole responses as the stream events that tell the same. Pure.

For answers that were held until they were decided as a whole, and for scripted servers.
"""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Event = dict[str, Any]

_WORD = re.compile(r"\s*\S+|\s+")
# What of a chat completion its chunks say in a way of their own.
_TOLD_APART = frozenset({"choices", "object", "usage"})
_IN_DELTAS = frozenset({"content", "reasoning_content", "refusal", "tool_calls"})


def words(text: str) -> list[str]:
    """A text in pieces as models give it: words with the blanks before them."""
    return _WORD.findall(text)


def events_of(
    response: Mapping[str, Any],
    *,
    cut: Callable[[str], Sequence[str]] = words,
    usage: bool = True,
) -> list[Event]:
    """The events that tell a whole response, of whichever protocol it is.

    Args:
        response: The JSON of a chat completion, an OpenAI response or an Anthropic message.
        cut: Cuts texts into pieces.
        usage: Whether a chat completion's stream ends with its usage.
    """
    whole = copy.deepcopy(dict(response))
    if whole.get("type") == "message":
        return list(_message(whole, cut))
    if whole.get("object") == "response":
        return [
            {**event, "sequence_number": number}
            for number, event in enumerate(_responses(whole, cut))
        ]
    return list(_chat(whole, cut, usage=usage))


# --------------------------------------------------------------------------- chat completions


def _chat(
    whole: dict[str, Any], cut: Callable[[str], Sequence[str]], *, usage: bool
) -> Iterator[Event]:
    head = {key: value for key, value in whole.items() if key not in _TOLD_APART}
    head["object"] = "chat.completion.chunk"

    def chunk(index: int, delta: dict[str, Any], reason: str | None = None) -> Event:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "choices": [choice]}

    lanes = []
    for number, choice in enumerate(whole.get("choices") or ()):
        index, message = choice.get("index", number), choice.get("message") or {}
        besides = {k: v for k, v in message.items() if k not in _IN_DELTAS and v is not None}
        deltas: list[dict[str, Any]] = [{"role": "assistant", **besides, "content": ""}]
        deltas += [{"reasoning_content": p} for p in cut(message.get("reasoning_content") or "")]
        content = message.get("content") or ""
        deltas += [{"content": p} for p in (cut(content) if isinstance(content, str) else content)]
        deltas += [{"refusal": p} for p in cut(message.get("refusal") or "")]
        for place, call in enumerate(message.get("tool_calls") or ()):
            deltas += _tool_call(call, place, cut)
        events = [chunk(index, delta) for delta in deltas]
        events[0]["choices"][0]["logprobs"] = choice.get("logprobs")
        lanes.append([*events, chunk(index, {}, choice.get("finish_reason"))])
    # Choices arrive side by side.
    for turn in range(max(map(len, lanes), default=0)):
        for lane in lanes:
            if turn < len(lane):
                yield lane[turn]
    if usage and "usage" in whole:
        yield {**head, "choices": [], "usage": whole["usage"]}


def _tool_call(
    call: dict[str, Any], place: int, cut: Callable[[str], Sequence[str]]
) -> list[dict[str, Any]]:
    function = call.get("function")
    if not isinstance(function, dict):
        return [{"tool_calls": [{**call, "index": place}]}]
    first = {**function, "arguments": ""}
    return [
        {"tool_calls": [{**call, "index": place, "function": first}]},
        *(
            {"tool_calls": [{"index": place, "function": {"arguments": piece}}]}
            for piece in cut(function.get("arguments") or "")
        ),
    ]


# --------------------------------------------------------------------------- Anthropic


def _message(whole: dict[str, Any], cut: Callable[[str], Sequence[str]]) -> Iterator[Event]:
    blocks, usage = whole.get("content") or (), whole.get("usage") or {}
    started = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": started}
    yield {"type": "ping"}
    for index, block in enumerate(blocks):
        empty, deltas = _block(block, cut)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {key: whole.get(key) for key in ("stop_reason", "stop_sequence")}
    yield {
        "type": "message_delta",
        "delta": delta,
        "usage": {"output_tokens": usage.get("output_tokens", 0)},
    }
    yield {"type": "message_stop"}


def _block(
    block: dict[str, Any], cut: Callable[[str], Sequence[str]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The empty block a stream starts with, and the deltas that fill it."""
    match block.get("type"):
        case "text":
            cited = block.get("citations") or ()
            deltas = [{"type": "text_delta", "text": piece} for piece in cut(block["text"])]
            deltas += [{"type": "citations_delta", "citation": mark} for mark in cited]
            return {**block, "text": "", **({"citations": []} if cited else {})}, deltas
        case "thinking":
            pieces = cut(block.get("thinking") or "")
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
            signature = {"type": "signature_delta", "signature": block.get("signature") or ""}
            return {**block, "thinking": "", "signature": ""}, [*deltas, signature]
        case "tool_use":
            written = json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in ("", *cut(written))]
            return {**block, "input": {}}, deltas
        case _:
            return block, []


# --------------------------------------------------------------------------- OpenAI Responses


def _responses(whole: dict[str, Any], cut: Callable[[str], Sequence[str]]) -> Iterator[Event]:
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    begun["incomplete_details"] = None
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(whole.get("output") or ()):
        yield from _item(index, item, cut)
    yield {"type": f"response.{whole.get('status') or 'completed'}", "response": whole}


def _item(index: int, item: dict[str, Any], cut: Callable[[str], Sequence[str]]) -> Iterator[Event]:
    place = {"output_index": index, "item_id": item.get("id")}
    added, done = "response.output_item.added", "response.output_item.done"
    match item.get("type"):
        case "message":
            empty = {**item, "status": "in_progress", "content": []}
            yield {"type": added, "output_index": index, "item": empty}
            for number, part in enumerate(item.get("content") or ()):
                yield from _part({**place, "content_index": number}, part, cut)
        case "function_call":
            empty = {**item, "status": "in_progress", "arguments": ""}
            yield {"type": added, "output_index": index, "item": empty}
            name = "response.function_call_arguments"
            for piece in cut(item.get("arguments") or ""):
                yield {"type": f"{name}.delta", **place, "delta": piece}
            yield {"type": f"{name}.done", **place, "arguments": item.get("arguments")}
        case "reasoning":
            yield {"type": added, "output_index": index, "item": {**item, "summary": []}}
            for number, part in enumerate(item.get("summary") or ()):
                at = {**place, "summary_index": number}
                name = "response.reasoning_summary_text"
                bare = {**part, "text": ""}
                yield {"type": "response.reasoning_summary_part.added", **at, "part": bare}
                for piece in cut(part.get("text") or ""):
                    yield {"type": f"{name}.delta", **at, "delta": piece}
                yield {"type": f"{name}.done", **at, "text": part.get("text")}
                yield {"type": "response.reasoning_summary_part.done", **at, "part": part}
        case _:
            yield {"type": added, "output_index": index, "item": item}
    yield {"type": done, "output_index": index, "item": item}


def _part(
    at: dict[str, Any], part: dict[str, Any], cut: Callable[[str], Sequence[str]]
) -> Iterator[Event]:
    key, name = ("text", "response.output_text")
    if part.get("type") == "refusal":
        key, name = ("refusal", "response.refusal")
    empty = {**part, key: ""}
    if "annotations" in empty:
        empty["annotations"] = []
    extra: Event = {"logprobs": []} if key == "text" else {}
    yield {"type": "response.content_part.added", **at, "part": empty}
    for piece in cut(part.get(key) or ""):
        yield {"type": f"{name}.delta", **at, "delta": piece, **extra}
    for number, mark in enumerate(part.get("annotations") or ()):
        yield {
            "type": "response.output_text.annotation.added",
            **at,
            "annotation_index": number,
            "annotation": mark,
        }
    yield {"type": f"{name}.done", **at, key: part.get(key), **extra}
    yield {"type": "response.content_part.done", **at, "part": part}
