"""Whole responses from the events of their streams."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.errors import ResponseUnreadable
from guardrails.integrations._stream_fold import error_in, fold
from guardrails.responses import read
from guardrails.scripted_streams import events_of, message_response, responses_response
from guardrails.testing import chat_responses

CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"a": 1}'}}


def cut(text: str) -> list[str]:
    """Every character alone."""
    return list(text)


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_chat_streams_tell_what_was_whole(texts: list[str]) -> None:
    """Texts, reasons and usage, choice by choice, and so does reading them."""
    whole = chat_responses(texts)
    told = fold("chat", events_of(whole, cut=cut))
    assert [c["message"]["content"] for c in told["choices"]] == texts
    assert [c["finish_reason"] for c in told["choices"]] == ["stop"] * len(texts)
    assert read(told).usage == read(whole).usage


def test_chat_streams_tell_tool_calls_and_refusals() -> None:
    whole = chat_responses(["a"], finish_reason="tool_calls", tool_calls=[CALL], refusal="no")
    message = fold("chat", events_of(whole, cut=cut))["choices"][0]["message"]
    assert message["tool_calls"] == [{**CALL}]
    assert message["refusal"] == "no"


@given(st.text())
def test_messages_and_responses_tell_what_was_whole(text: str) -> None:
    """Text and reason, with a block or item before it."""
    message = message_response(
        text, before=[{"type": "thinking", "thinking": "hm", "signature": "s"}]
    )
    told = fold("messages", events_of(message, cut=cut))
    assert told["content"] == message["content"]
    assert told["stop_reason"] == "end_turn"
    response = responses_response(text)
    assert fold("responses", events_of(response, cut=cut)) == response


def test_text_completions() -> None:
    parts = ["Par", "is."]
    events: list[dict[str, Any]] = [
        {"id": "1", "choices": [{"index": 0, "text": part, "finish_reason": None}]}
        for part in parts
    ]
    events.append({"id": "1", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
    told = fold("completion", events)
    assert told["choices"] == [{"index": 0, "text": "Paris.", "finish_reason": "stop"}]


@pytest.mark.parametrize("wire", ["messages", "responses"])
def test_a_stream_that_does_not_tell_a_whole_is_unreadable(wire: Any) -> None:
    """Nothing may be released of it."""
    with pytest.raises(ResponseUnreadable):
        fold(wire, [{"type": "response.output_text.delta", "delta": "x"}])


def test_a_chat_stream_without_choices_cannot_be_read() -> None:
    with pytest.raises(ResponseUnreadable):
        read(fold("chat", []))


def test_errors_in_streams_are_found() -> None:
    assert error_in([{"choices": []}, {"error": {"message": "x"}}]) == {"error": {"message": "x"}}
    assert error_in([{"type": "error"}]) == {"type": "error"}
    assert error_in([{"choices": []}]) is None
