"""Streaming routes: unmodified SDKs against the proxy before a scripted provider."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from guardrails.scripted_provider import Die, Pause, Status, Stream
from guardrails.scripted_streams import events_of, message_response, responses_response
from guardrails.testing import chat_response, chat_responses

GOOD = "Paris is in France. Größe: 3 €."
BAD = "Atlantis sank in Sweden."
SOURCES = ["Paris is in France. Größe: 3 €."]
EXTRA = {"guardrails": {"sources": SOURCES, "report": "none"}}
ASKED = [{"role": "user", "content": "Where is Paris?"}]
TOOL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look", "arguments": '{"city": "Paris"}'},
}
USE = {"type": "tool_use", "id": "t1", "name": "look", "input": {"city": "Paris"}}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
CALL = {
    "id": "fc",
    "type": "function_call",
    "call_id": "c1",
    "name": "look",
    "arguments": '{"city": "Paris"}',
    "status": "completed",
}
REASONING = {"id": "rs", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}


def joined(chunks: list[Any]) -> Any:
    """A chat stream, put together: text, tool calls and finish reason a choice, and the usage."""
    choices: dict[int, dict[str, Any]] = {}
    usage = None
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            one = choices.setdefault(choice.index, {"text": "", "calls": {}, "reason": None})
            one["text"] += choice.delta.content or ""
            one["reason"] = choice.finish_reason or one["reason"]
            for call in choice.delta.tool_calls or ():
                kept = one["calls"].setdefault(call.index, ["", "", ""])
                kept[0] += call.id or ""
                kept[1] += (call.function.name if call.function else "") or ""
                kept[2] += (call.function.arguments if call.function else "") or ""
    return choices, None if usage is None else usage.model_dump()


CHATS = [
    chat_response(GOOD),
    chat_response(None, finish_reason="tool_calls", tool_calls=[TOOL]),
    chat_response(GOOD, finish_reason="tool_calls", tool_calls=[TOOL, {**TOOL, "id": "call_2"}]),
    chat_responses([GOOD, "Paris is in France."]),
]


@pytest.mark.parametrize("response", CHATS)
@pytest.mark.parametrize("usage", [False, True])
def test_openai_chat_streams_what_it_streams_straight(
    serving: Any, response: dict[str, Any], usage: bool, opened: Any
) -> None:
    """Sync and async: the same text, tool calls, finish reasons and usage after joining."""
    ask: dict[str, Any] = {"model": "m", "messages": ASKED, "stream": True}
    if usage:
        ask["stream_options"] = {"include_usage": True}
    with serving([response]) as (url, provider):
        straight = opened(
            openai.OpenAI(base_url=provider.url, api_key="x")
        ).chat.completions.create(**ask)
        expected = joined(list(straight))
        client = opened(openai.OpenAI(base_url=f"{url}/v1", api_key="x"))
        assert joined(list(client.chat.completions.create(**ask, extra_body=EXTRA))) == expected

        async def also() -> Any:
            async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x") as later:
                stream = await later.chat.completions.create(**ask, extra_body=EXTRA)
                return [chunk async for chunk in stream]

        assert joined(asyncio.run(also())) == expected


RESPONSES = [
    responses_response(GOOD),
    responses_response(GOOD, before=[REASONING], after=[CALL]),
    responses_response(None, after=[CALL]),
]


@pytest.mark.parametrize("response", RESPONSES)
def test_openai_responses_stream_what_they_stream_straight(
    serving: Any, response: dict[str, Any], opened: Any
) -> None:
    """By the SDK's own helper: the same final response, sync and async."""
    ask: dict[str, Any] = {"model": "m", "input": "Where is Paris?"}
    with serving([response]) as (url, provider):
        straight = opened(openai.OpenAI(base_url=provider.url, api_key="x"))
        with straight.responses.stream(**ask) as stream:
            expected = stream.get_final_response().model_dump()
        ours = opened(openai.OpenAI(base_url=f"{url}/v1", api_key="x"))
        with ours.responses.stream(**ask, extra_body=EXTRA) as stream:
            assert stream.get_final_response().model_dump() == expected

        async def also() -> Any:
            async with (
                openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x") as later,
                later.responses.stream(**ask, extra_body=EXTRA) as stream,
            ):
                return await stream.get_final_response()

        assert asyncio.run(also()).model_dump() == expected


MESSAGES = [
    message_response(GOOD),
    message_response(GOOD, before=[THOUGHT], after=[USE], stop_reason="tool_use"),
    message_response(None, after=[USE], stop_reason="tool_use"),
]


@pytest.mark.parametrize("response", MESSAGES)
def test_anthropic_streams_what_it_streams_straight(
    serving: Any, response: dict[str, Any], opened: Any
) -> None:
    """By the SDK's own helper: the same final message, sync and async."""
    ask: dict[str, Any] = {"model": "claude", "max_tokens": 99, "messages": ASKED}
    with serving([response]) as (url, provider):
        base = provider.url.removesuffix("/v1")
        with opened(anthropic.Anthropic(base_url=base, api_key="x")).messages.stream(
            **ask
        ) as stream:
            expected = stream.get_final_message().model_dump()
        client = opened(anthropic.Anthropic(base_url=url, api_key="x"))
        with client.messages.stream(**ask, extra_body=EXTRA) as stream:
            assert stream.get_final_message().model_dump() == expected

        async def also() -> Any:
            async with (
                anthropic.AsyncAnthropic(base_url=url, api_key="x") as later,
                later.messages.stream(**ask, extra_body=EXTRA) as stream,
            ):
                return await stream.get_final_message()

        assert asyncio.run(also()).model_dump() == expected


# --------------------------------------------------------------------------- refusals


def test_chat_refuses_in_the_stream(serving: Any, opened: Any) -> None:
    """The refusal is the text, and the finish reason says why; the report is on the last event."""
    with serving([f"{GOOD} {BAD}"]) as (url, _):
        client = opened(openai.OpenAI(base_url=f"{url}/v1", api_key="x"))
        chunks = list(
            client.chat.completions.create(
                model="by-refuse",
                messages=ASKED,
                stream=True,
                extra_body={"guardrails": {"sources": SOURCES}},
            )
        )
    choices, _ = joined(chunks)
    assert choices[0]["text"].startswith("Paris is in France.")
    assert "could not confirm" in choices[0]["text"]
    assert choices[0]["reason"] == "content_filter"
    refusal = "".join(c.choices[0].delta.refusal or "" for c in chunks if c.choices)
    assert "could not confirm" in refusal
    assert chunks[-1].model_extra["guardrails"]["disposition"] == "stopped"


def test_responses_refuse_in_the_stream(serving: Any, opened: Any) -> None:
    """The SDK's helper ends with a refusal part."""
    with serving([responses_response(BAD)]) as (url, _):
        client = opened(openai.OpenAI(base_url=f"{url}/v1", api_key="x"))
        with client.responses.stream(
            model="by-refuse", input="Where?", extra_body={"guardrails": {"sources": SOURCES}}
        ) as stream:
            final = stream.get_final_response()
    assert [part.type for item in final.output for part in item.content][-1] == "refusal"
    assert final.status == "completed"
    assert "Atlantis" not in final.model_dump_json()


def test_anthropic_refuses_in_the_stream(serving: Any, opened: Any) -> None:
    """The SDK's helper ends with ``stop_reason`` refusal."""
    rules = [{"model": "claude", "policy": "strict"}]
    with serving([message_response(BAD)], routes=rules) as (url, _):
        client = opened(anthropic.Anthropic(base_url=url, api_key="x"))
        with client.messages.stream(
            model="claude",
            max_tokens=9,
            messages=ASKED,
            extra_body={"guardrails": {"sources": SOURCES}},
        ) as stream:
            final = stream.get_final_message()
    assert final.stop_reason == "refusal"
    assert "could not confirm" in final.content[-1].text


@pytest.mark.parametrize("model", ["by-refuse", "by-redact"])
@pytest.mark.parametrize("report", ["short", "full"])
@pytest.mark.parametrize(
    ("path", "said", "response"),
    [
        ("/v1/chat/completions", {"messages": ASKED}, chat_response(f"{GOOD} {BAD}")),
        ("/v1/responses", {"input": "Where?"}, responses_response(f"{GOOD} {BAD}")),
    ],
)
def test_withheld_words_are_in_no_byte_of_a_stream(
    serving: Any, path: str, said: Any, response: Any, *, model: str, report: str
) -> None:
    """Neither in text nor in the report."""
    own = {"sources": SOURCES, "report": report}
    with serving([response]) as (url, _):
        found = httpx.post(
            url + path,
            json={**said, "model": model, "stream": True, "guardrails": own},
            timeout=60,
        )
    assert found.headers["content-type"].startswith("text/event-stream")
    assert "Atlantis" not in found.text
    assert "Sweden" not in found.text
    assert "guardrails" in found.text


# --------------------------------------------------------------------------- faults


class Told(list[Any]):
    """Parts of a stream; says when the last of them is reached."""

    def __init__(self, parts: list[Any], reached: threading.Event) -> None:
        super().__init__(parts)
        self._reached = reached

    def __iter__(self) -> Iterator[Any]:
        *before, last = super().__iter__()
        yield from before
        self._reached.set()
        yield last


BEGUN = events_of(chat_response(f"{GOOD} {BAD}"))[:4]


@pytest.mark.parametrize(
    "fault",
    [
        Status(500),
        Stream([*BEGUN, Die()], finished=False),
        Stream([*BEGUN, b"data: {\n\n"], finished=False),
        Stream([*BEGUN, b'data: {"error": {"message": "no", "code": 500}}\n\n'], finished=False),
    ],
)
def test_a_provider_that_fails_never_reads_as_a_whole_answer(serving: Any, fault: Any) -> None:
    """An error, with a status or as an event; no unchecked word."""
    with serving([fault]) as (url, _):
        seen: list[Any] = []

        def read() -> None:
            ask: dict[str, Any] = {"model": "m", "messages": ASKED, "stream": True}
            with (
                openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client,
                client.chat.completions.create(**ask, extra_body=EXTRA) as stream,
            ):
                seen.extend(stream)

        with pytest.raises(openai.APIError):
            read()
        assert "Atlantis" not in json.dumps([chunk.to_dict() for chunk in seen])


def test_a_caller_who_leaves_a_stream_cancels_the_provider(serving: Any, leave_early: Any) -> None:
    """Checked or not, in the middle of it."""
    for model in ("m", "unchecked"):
        begun = threading.Event()

        def script(_: Any, begun: threading.Event = begun) -> Stream:
            return Stream(Told([*BEGUN, Pause(60)], begun))

        with serving(script) as (url, provider):
            body = {"model": model, "messages": ASKED, "stream": True, **EXTRA}
            leave_early(url, "/v1/chat/completions", body, once=begun)
            assert provider.gone.wait(20)
