"""Responses of the three protocols, and the stream events that tell the same, for scripted servers.

``events_of`` turns the JSON of any whole response into the events a provider would send for it,
so that a test can say what an answer is once and have it whole or in pieces.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Wire = Literal["chat", "responses", "messages"]
Event = dict[str, Any]
Cut = "Callable[[str], Sequence[str]]"

_WORD = re.compile(r"\s*\S+|\s+")


def words(text: str) -> list[str]:
    """A text in pieces as models give it: words with the blanks before them."""
    return _WORD.findall(text)


def message_response(
    text: str | None,
    *,
    model: str = "scripted",
    stop_reason: str = "end_turn",
    before: Sequence[Mapping[str, Any]] = (),
    after: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The JSON of an Anthropic message: blocks before, the text (None: no text block), after."""
    texts = [] if text is None else [{"type": "text", "text": text}]
    return {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [*map(dict, before), *texts, *map(dict, after)],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": len((text or "").split())},
    }


def responses_response(
    text: str | None,
    *,
    model: str = "scripted",
    status: str = "completed",
    before: Sequence[Mapping[str, Any]] = (),
    after: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The JSON of an OpenAI response: items before, a message with the text, items after."""
    part: Event = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    made = len((text or "").split())
    return {
        "id": "resp_scripted",
        "object": "response",
        "created_at": 0,
        "status": status,
        "error": None,
        "incomplete_details": ({"reason": "max_output_tokens"} if status == "incomplete" else None),
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [*map(dict, before), *([] if text is None else [message]), *map(dict, after)],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 10 + made,
        },
    }


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
    head = {key: whole[key] for key in ("id", "created", "model")}
    head["object"] = "chat.completion.chunk"

    def chunk(index: int, delta: dict[str, Any], reason: str | None = None) -> Event:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "choices": [choice]}

    lanes = []
    for choice in whole["choices"]:
        index, message = choice["index"], choice["message"]
        deltas: list[dict[str, Any]] = [{"role": message["role"], "content": ""}]
        deltas += [{"reasoning_content": p} for p in cut(message.get("reasoning_content") or "")]
        deltas += [{"content": p} for p in cut(message.get("content") or "")]
        deltas += [{"refusal": p} for p in cut(message.get("refusal") or "")]
        for number, call in enumerate(message.get("tool_calls") or ()):
            function = call["function"]
            first = {"name": function["name"], "arguments": ""}
            deltas.append({"tool_calls": [{**call, "index": number, "function": first}]})
            deltas += [
                {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}
                for piece in cut(function["arguments"])
            ]
        events = [chunk(index, delta) for delta in deltas]
        lanes.append([*events, chunk(index, {}, choice["finish_reason"])])
    # Choices arrive side by side.
    for turn in range(max(map(len, lanes))):
        for lane in lanes:
            if turn < len(lane):
                yield lane[turn]
    if usage and "usage" in whole:
        yield {**head, "choices": [], "usage": whole["usage"]}


# --------------------------------------------------------------------------- Anthropic


def _message(whole: dict[str, Any], cut: Callable[[str], Sequence[str]]) -> Iterator[Event]:
    blocks, usage = whole["content"], whole["usage"]
    started = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": started}
    yield {"type": "ping"}
    for index, block in enumerate(blocks):
        empty, deltas = _block(block, cut)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": whole["stop_sequence"]}
    yield {
        "type": "message_delta",
        "delta": delta,
        "usage": {"output_tokens": usage["output_tokens"]},
    }
    yield {"type": "message_stop"}


def _block(
    block: dict[str, Any], cut: Callable[[str], Sequence[str]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The empty block a stream starts with, and the deltas that fill it."""
    match block["type"]:
        case "text":
            cited = block.get("citations") or ()
            deltas = [{"type": "text_delta", "text": piece} for piece in cut(block["text"])]
            deltas += [{"type": "citations_delta", "citation": mark} for mark in cited]
            return {**block, "text": "", **({"citations": []} if cited else {})}, deltas
        case "thinking":
            pieces = cut(block["thinking"])
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
            signature = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*deltas, signature]
        case "tool_use":
            import json

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
    for index, item in enumerate(whole["output"]):
        yield from _item(index, item, cut)
    yield {"type": f"response.{whole['status']}", "response": whole}


def _item(index: int, item: dict[str, Any], cut: Callable[[str], Sequence[str]]) -> Iterator[Event]:
    place = {"output_index": index, "item_id": item["id"]}
    added, done = "response.output_item.added", "response.output_item.done"
    match item["type"]:
        case "message":
            empty = {**item, "status": "in_progress", "content": []}
            yield {"type": added, "output_index": index, "item": empty}
            for number, part in enumerate(item["content"]):
                yield from _part({**place, "content_index": number}, part, cut)
        case "function_call":
            empty = {**item, "status": "in_progress", "arguments": ""}
            yield {"type": added, "output_index": index, "item": empty}
            name = "response.function_call_arguments"
            for piece in cut(item["arguments"]):
                yield {"type": f"{name}.delta", **place, "delta": piece}
            yield {"type": f"{name}.done", **place, "arguments": item["arguments"]}
        case "reasoning":
            yield {"type": added, "output_index": index, "item": {**item, "summary": []}}
            for number, part in enumerate(item["summary"]):
                at = {**place, "summary_index": number}
                name = "response.reasoning_summary_text"
                bare = {**part, "text": ""}
                yield {"type": "response.reasoning_summary_part.added", **at, "part": bare}
                for piece in cut(part["text"]):
                    yield {"type": f"{name}.delta", **at, "delta": piece}
                yield {"type": f"{name}.done", **at, "text": part["text"]}
                yield {"type": "response.reasoning_summary_part.done", **at, "part": part}
        case _:
            yield {"type": added, "output_index": index, "item": item}
    yield {"type": done, "output_index": index, "item": item}


def _part(
    at: dict[str, Any], part: dict[str, Any], cut: Callable[[str], Sequence[str]]
) -> Iterator[Event]:
    key, name = ("text", "response.output_text")
    if part["type"] == "refusal":
        key, name = ("refusal", "response.refusal")
    empty = {**part, key: ""}
    if "annotations" in empty:
        empty["annotations"] = []
    extra: Event = {"logprobs": []} if key == "text" else {}
    yield {"type": "response.content_part.added", **at, "part": empty}
    for piece in cut(part[key]):
        yield {"type": f"{name}.delta", **at, "delta": piece, **extra}
    for number, mark in enumerate(part.get("annotations") or ()):
        yield {
            "type": "response.output_text.annotation.added",
            **at,
            "annotation_index": number,
            "annotation": mark,
        }
    yield {"type": f"{name}.done", **at, key: part[key], **extra}
    yield {"type": "response.content_part.done", **at, "part": part}
