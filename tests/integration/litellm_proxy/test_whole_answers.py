"""Whole answers through LiteLLM's real proxy: by the class in its process and by the Generic
Guardrail API, against what the client decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.litellm

WAYS = ["by_class", "by_api"]
QUESTIONS = ["supported", "unknown", "all wrong"]


def chat_text(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    content: str = response.json()["choices"][0]["message"]["content"]
    return content


def responses_text(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    items = [item for item in response.json()["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in items for part in item["content"])


def messages_text(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return "".join(part["text"] for part in response.json()["content"] if part["type"] == "text")


def straight(stack: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """The provider's own answer."""
    answer = httpx.post(f"{stack.provider.url}/chat/completions", json=body, timeout=30)
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_both_ways_decide_as_the_client(stack: Any, way: str, question: str) -> None:
    """The same text as from the client, for what is supported, redacted and refused."""
    expected = stack.client(question)
    answer = stack.chat(getattr(stack, way), question)
    assert chat_text(answer) == expected.text
    assert (expected.text == expected.report.answer) == (question == "supported")


@pytest.mark.parametrize("way", WAYS)
def test_what_is_supported_passes_as_it_is(stack: Any, way: str) -> None:
    """Text, finish reason and usage as straight from the provider, through OpenAI's SDK."""
    proxy = getattr(stack, way)
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="sk-litellm-master") as client:
        got = client.chat.completions.create(**stack.body("supported"))
    there = straight(stack, stack.body("supported"))
    assert got.choices[0].message.content == there["choices"][0]["message"]["content"]
    assert got.choices[0].finish_reason == "stop"
    assert got.usage is not None
    assert got.usage.total_tokens == there["usage"]["total_tokens"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", ["assistant", "claude", "vllm"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_responses_and_messages_are_checked(
    stack: Any, way: str, model: str, question: str
) -> None:
    """On both routes, whatever LiteLLM makes of them for the provider."""
    proxy, facts, expected = getattr(stack, way), stack.system, stack.client(question).text
    user = [{"role": "user", "content": f"{question}?"}]
    body = {"model": model, "max_tokens": 100, "system": facts, "messages": user}
    assert messages_text(proxy.post("/v1/messages", body)) == expected
    body = {"model": model, "instructions": facts, "input": f"{question}?"}
    assert responses_text(proxy.post("/v1/responses", body)) == expected


@pytest.mark.parametrize("way", WAYS)
def test_choices_are_decided_each(stack: Any, way: str) -> None:
    """With n = 2 there are two texts."""
    answer = stack.chat(getattr(stack, way), "unknown", n=2)
    texts = [choice["message"]["content"] for choice in answer.json()["choices"]]
    assert texts == [stack.client("unknown").text] * 2


@pytest.mark.parametrize("way", WAYS)
def test_what_the_user_wrote_is_no_evidence(stack: Any, way: str) -> None:
    """A user's own context tag supports nothing: there is no evidence, and the policy says so."""
    system, question = stack.system, "supported?"
    body = {
        "model": "assistant",
        "messages": [{"role": "user", "content": f"{system} {question}"}],
    }
    got = getattr(stack, way).post("/v1/chat/completions", body)
    expected = stack.guard.check(
        straight(stack, body)["choices"][0]["message"]["content"], messages=body["messages"]
    )
    assert chat_text(got) == expected.text
    assert {verdict.label for verdict in expected.report.verdicts} == {"unverifiable"}
    if way == "by_class":
        report = got.json()["guardrails"]["reports"][0]
        assert report["sources"] == 0
        assert {claim["verdict"] for claim in report["claims"]} == {"unverifiable"}


def test_the_report_stands_beside_the_answer_and_quotes_nothing(stack: Any) -> None:
    """What was decided, claim by claim; nothing of what was taken out."""
    answer = stack.chat(stack.by_class, "unknown")
    report = answer.json()["guardrails"]["reports"][0]
    assert report["disposition"] == "redacted"
    assert [claim["action"] for claim in report["claims"]].count("redact") == 1
    assert "Berlin" not in answer.text


def test_a_tool_call_passes(stack: Any) -> None:
    """An answer that only calls tools states nothing."""
    answer = stack.chat(stack.by_class, "tool")
    message = answer.json()["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["name"] == "look_up"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/openai/v1/chat/completions", {"model": "m", "messages": []}),
        ("/v1beta/models/assistant:generateContent", {"contents": []}),
    ],
)
def test_routes_that_show_no_answer_are_refused(
    stack: Any, path: str, body: Mapping[str, Any]
) -> None:
    """Before the model is called."""
    before = len(stack.provider.requests)
    answer = stack.by_class.post(path, body)
    assert answer.status_code == 403, answer.text
    assert "GR302" in answer.text
    assert len(stack.provider.requests) == before


def test_embeddings_pass(stack: Any) -> None:
    """There is no answer in them to check."""
    answer = stack.by_class.post("/v1/embeddings", {"model": "assistant", "input": "embed?"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"][0]["embedding"] == [0.5]


@pytest.mark.parametrize("way", WAYS)
def test_an_error_of_ours_blocks(stack: Any, way: str) -> None:
    """The text does not go out when it cannot be checked."""
    if way == "by_class":
        # The class does not read such an answer; it must not take that for a clean one.
        answer = stack.chat(stack.by_class, "no choices")
    else:
        with stack.broken_api():
            answer = stack.chat(stack.by_api, "supported")
    assert answer.status_code >= 500, answer.text
    assert "refund" not in answer.text


def test_the_api_gets_the_conversation_first_and_no_conversation_later(stack: Any) -> None:
    """As LiteLLM 1.106 sends it: evidence with the request, the same call id with the answer."""
    stack.checker.asked.clear()
    stack.chat(stack.by_api, "supported")
    before, after = stack.checker.asked
    assert [before["input_type"], after["input_type"]] == ["request", "response"]
    assert before["litellm_call_id"] == after["litellm_call_id"] is not None
    keys = [one["request_data"].get("user_api_key_hash") for one in (before, after)]
    assert keys[0] == keys[1] is not None
    assert [message["role"] for message in before["structured_messages"]] == ["system", "user"]
    assert after["structured_messages"] is None


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_the_api_refuses_streams_before_the_model_is_called(stack: Any, path: str) -> None:
    """LiteLLM would let text of a stream go before it asks."""
    before = len(stack.provider.requests)
    body = {
        **stack.body("supported"),
        "stream": True,
        "max_tokens": 100,
        "input": "supported?",
    }
    if path == "/v1/responses":
        del body["messages"]
    else:
        del body["input"]
    answer = stack.by_api.post(path, body)
    assert "Streaming is not available here" in answer.text
    assert answer.status_code >= 400
    assert "refund" not in answer.text
    assert len(stack.provider.requests) == before
