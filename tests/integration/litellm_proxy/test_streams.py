"""Streams through LiteLLM's real proxy with our class in it: what is supported arrives whole, what
is not never arrives in any byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.litellm

QUESTIONS = ["supported", "unknown", "all wrong"]
MODELS = ["assistant", "claude", "vllm"]
GONE = ["Berlin", "sisters", "four hundred"]


def events(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    lines = [line for line in response.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def test_whole_streams_through_the_openai_sdk(stack: Any) -> None:
    """The text, finish reason and usage the provider gave, and the report at the end."""
    url, expected = f"{stack.by_class.url}/v1", stack.client("supported").text
    with openai.OpenAI(base_url=url, api_key="sk-litellm-master") as client:
        chunks = list(
            client.chat.completions.create(
                **stack.body("supported"), stream=True, stream_options={"include_usage": True}
            )
        )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == expected
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert [reason for reason in reasons if reason is not None] == ["stop"]
    assert [c.usage.total_tokens for c in chunks if c.usage is not None] == [30]
    reports = [getattr(c, "guardrails", None) for c in chunks]
    told = [report for report in reports if report is not None]
    assert [report["reports"][0]["disposition"] for report in told] == ["released"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_chat_streams(stack: Any, model: str, question: str) -> None:
    """As the client decides, whatever the provider; what was taken out is in no byte."""
    answer = stack.chat(stack.by_class, question, model=model, stream=True)
    found = events(answer)
    deltas = [choice["delta"] for event in found for choice in event["choices"]]
    text = "".join(delta.get("content") or "" for delta in deltas)
    assert text == stack.client(question).text
    assert not any(word in answer.text for word in GONE)
    assert answer.text.rstrip().endswith("data: [DONE]")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_messages_streams(stack: Any, model: str, question: str) -> None:
    """On Anthropic's route, through its own SDK."""
    with (
        anthropic.Anthropic(base_url=stack.by_class.url, api_key="sk-litellm-master") as client,
        client.messages.stream(
            model=model,
            max_tokens=100,
            system=stack.system,
            messages=[{"role": "user", "content": f"{question}?"}],
        ) as stream,
    ):
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == stack.client(question).text
    assert final.stop_reason == "end_turn"
    assert not any(word in final.model_dump_json() for word in GONE)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_responses_streams(stack: Any, model: str, question: str) -> None:
    """On the Responses route: the deltas, and every event that repeats the text."""
    body = {
        "model": model,
        "instructions": stack.system,
        "input": f"{question}?",
        "stream": True,
    }
    answer = stack.by_class.post("/v1/responses", body)
    found = events(answer)
    expected = stack.client(question).text
    deltas = [e["delta"] for e in found if e["type"] == "response.output_text.delta"]
    assert "".join(deltas) == expected
    done = next(e for e in found if e["type"] == "response.completed")["response"]
    items = [item for item in done["output"] if item["type"] == "message"]
    assert "".join(part["text"] for item in items for part in item["content"]) == expected
    assert not any(word in answer.text for word in GONE)


def test_choices_of_a_stream_are_kept_apart(stack: Any) -> None:
    answer = stack.chat(stack.by_class, "unknown", n=2, stream=True)
    texts = {0: "", 1: ""}
    for event in events(answer):
        for choice in event["choices"]:
            texts[choice["index"]] += choice["delta"].get("content") or ""
    assert set(texts.values()) == {stack.client("unknown").text}


def test_tool_calls_of_a_stream_survive(stack: Any) -> None:
    answer = stack.chat(stack.by_class, "tool", stream=True)
    deltas = [choice["delta"] for event in events(answer) for choice in event["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    assert calls[0]["function"]["name"] == "look_up"
    arguments = "".join(call["function"].get("arguments") or "" for call in calls)
    assert json.loads(arguments) == {"what": "refunds"}


def test_a_stream_that_breaks_releases_nothing(stack: Any) -> None:
    answer = stack.chat(stack.by_class, "broken stream", stream=True)
    assert "refund" not in answer.text
    assert "error" in answer.text


def test_what_is_no_stream_releases_nothing(stack: Any) -> None:
    """LiteLLM takes it for an answer without text; the policy refuses empty ones."""
    answer = stack.chat(stack.by_class, "no stream", stream=True)
    assert "refund" not in answer.text
    reports = [e["guardrails"]["reports"] for e in events(answer) if "guardrails" in e]
    assert [report["disposition"] for told in reports for report in told] == ["refused"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
@pytest.mark.parametrize("stream", [1, "true"])
def test_a_stream_by_another_name_is_refused(stack: Any, path: str, stream: object) -> None:
    """LiteLLM takes only ``true`` for a stream, providers take more: nothing is sent."""
    before = len(stack.provider.requests)
    body = {**stack.body("supported"), "stream": stream, "max_tokens": 100}
    if path == "/v1/responses":
        body = {"model": "assistant", "input": "supported?", "stream": stream}
    answer = stack.by_class.post(path, body)
    assert answer.status_code == 400, answer.text
    assert len(stack.provider.requests) == before


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_errors_do_not_quote_the_provider(stack: Any, path: str, stream: object) -> None:
    """LiteLLM puts a response it cannot read into its error, answer and all."""
    body = {
        **stack.body("not readable"),
        "stream": stream,
        "max_tokens": 100,
        "model": "vllm",
    }
    answer = stack.by_class.post(path, body)
    assert "refund" not in answer.text.replace(stack.guard.policy.refusal, "")
    if not stream:
        assert "GR304" in answer.text
