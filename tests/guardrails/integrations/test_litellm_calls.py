"""What a call through LiteLLM is, by its call type and its request."""

from __future__ import annotations

from typing import Any

import pytest

from guardrails.errors import ConfigInvalid
from guardrails.gateway import load_litellm
from guardrails.integrations._litellm_calls import Answers, answers_of, messages_of, trusted_of


@pytest.mark.parametrize(
    ("call_type", "answers"),
    [
        ("acompletion", Answers.CHECKED),
        ("completion", Answers.CHECKED),
        ("atext_completion", Answers.CHECKED),
        ("aresponses", Answers.CHECKED),
        ("anthropic_messages", Answers.CHECKED),
        ("aembedding", Answers.NONE),
        ("afile_content", Answers.NONE),
        ("call_mcp_tool", Answers.NONE),
        ("pass_through_endpoint", Answers.UNSEEN),
        ("allm_passthrough_route", Answers.UNSEEN),
        ("acreate_batch", Answers.UNSEEN),
        ("arun_thread_stream", Answers.UNSEEN),
        ("a_add_message", Answers.UNSEEN),
        ("_arealtime", Answers.UNSEEN),
        ("_aresponses_websocket", Answers.UNSEEN),
        ("asend_message", Answers.UNSEEN),
        ("agenerate_content", Answers.UNSEEN),
        ("something_new", Answers.UNSEEN),
        (None, Answers.UNSEEN),
    ],
)
def test_call_types(call_type: object, answers: Answers) -> None:
    assert answers_of(call_type) is answers


def test_every_call_type_of_litellm_is_one_of_three() -> None:
    """And sync and async variants are the same."""
    load_litellm()
    from litellm.types.utils import CallTypes

    names = {kind.value for kind in CallTypes}
    for name in names:
        if f"a{name}" in names:
            assert answers_of(name) is answers_of(f"a{name}"), name
    assert {answers_of(kind) for kind in CallTypes} == set(Answers)


@pytest.mark.parametrize(
    ("data", "roles"),
    [
        ({"messages": [{"role": "user", "content": "a"}]}, ["user"]),
        ({"system": "s", "messages": [{"role": "user", "content": "a"}]}, ["system", "user"]),
        ({"instructions": "s", "input": "a"}, ["system", "user"]),
        ({"input": [{"role": "user", "content": "a"}]}, ["user"]),
        ({"prompt": ["a", "b"]}, ["user", "user"]),
        ({}, []),
    ],
)
def test_conversations(data: dict[str, Any], roles: list[str]) -> None:
    """Instructions first, whatever the protocol calls them."""
    assert [message["role"] for message in messages_of(data)] == roles


def test_trusted_metadata() -> None:
    """From whichever of LiteLLM's two places it stands in; nothing but what we know."""
    said = {"sources": ["x"], "question": "q"}
    assert trusted_of({"metadata": {"groundrail": said}}) == said
    assert trusted_of({"litellm_metadata": {"groundrail": said}, "metadata": {}}) == said
    assert trusted_of({"metadata": "text"}) == {}
    for wrong in ("x", {"source": []}, {"policy": "observe"}):
        with pytest.raises(ConfigInvalid):
            trusted_of({"metadata": {"groundrail": wrong}})
