"""Responses of the three protocols for scripted servers.

A test says what an answer is once; ``guardrails.streaming.replay`` gives the stream that tells it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardrails.streaming.replay import Event, events_of, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["events_of", "message_response", "responses_response", "words"]


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
