"""The SDKs get the same however the provider's bytes were cut, and so do the decisions.

What is the same with bytes that come event by event is in ``test_routes`` and ``test_streams``.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from guardrails.scripted_provider import Stream
from guardrails.scripted_streams import events_of, message_response, responses_response
from guardrails.testing import chat_response

if TYPE_CHECKING:
    from collections.abc import Sequence

WAIT_S = 30.0
TEXT = "Größe: 3 €. Das ist 🙂 gut. Paris is in France."
SOURCES = ["Größe: 3 €. Das ist 🙂 gut. Paris is in France."]
EXTRA: dict[str, Any] = {"guardrails": {"sources": SOURCES, "report": "none"}}
ASKED: list[Any] = [{"role": "user", "content": "Wie groß?"}]
TOOL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": "é🙂"}'}}
CALL = {
    "id": "fc",
    "type": "function_call",
    "call_id": "c1",
    "name": "f",
    "arguments": '{"a": "é🙂"}',
    "status": "completed",
}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": "é🙂"}}
CHAT = chat_response(TEXT, finish_reason="tool_calls", tool_calls=[TOOL])
MESSAGE = message_response(TEXT, after=[USE], stop_reason="tool_use")
RESPONSE = responses_response(TEXT, after=[CALL])


def letters(text: str) -> list[str]:
    """A text in pieces of one character."""
    return list(text)


@pytest.mark.parametrize("size", [1, 7])
def test_chat_streams_in_single_bytes(serving: Any, size: int) -> None:
    """The SDK's own putting together gives the same completion, sync and async."""
    ask: dict[str, Any] = {"model": "by-redact", "messages": ASKED}
    ask["stream_options"] = {"include_usage": True}
    with serving([Stream(events_of(CHAT, cut=letters), size=size)]) as (url, provider):
        with (
            openai.OpenAI(base_url=provider.url, api_key="x") as client,
            client.chat.completions.stream(**ask) as stream,
        ):
            expected = stream.get_final_completion().model_dump()
        with (
            openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client,
            client.chat.completions.stream(**ask, extra_body=EXTRA) as stream,
        ):
            found = stream.get_final_completion().model_dump()

        async def also() -> Any:
            async with (
                openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x") as later,
                later.chat.completions.stream(**ask, extra_body=EXTRA) as stream,
            ):
                return await stream.get_final_completion()

        assert asyncio.run(also()).model_dump() == found == expected
    assert expected["choices"][0]["message"]["content"] == TEXT
    assert expected["usage"]["total_tokens"]


@pytest.mark.parametrize("size", [1, 7])
def test_responses_stream_in_single_bytes(serving: Any, size: int) -> None:
    """The same deltas, joined, and the same final response."""
    ask: dict[str, Any] = {"model": "by-redact", "input": "Wie groß?", "stream": True}

    def read(events: Sequence[Any]) -> Any:
        said = [e.delta for e in events if e.type == "response.output_text.delta"]
        given = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
        return "".join(said), "".join(given), events[-1].response.model_dump()

    with serving([Stream(events_of(RESPONSE, cut=letters), size=size)]) as (url, provider):
        with openai.OpenAI(base_url=provider.url, api_key="x") as client:
            expected = read(list(client.responses.create(**ask)))
        with openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client:
            found = read(list(client.responses.create(**ask, extra_body=EXTRA)))

        async def also() -> list[Any]:
            async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x") as later:
                stream = await later.responses.create(**ask, extra_body=EXTRA)
                return [event async for event in stream]

        assert read(asyncio.run(also())) == found == expected
    assert expected[0] == TEXT


@pytest.mark.parametrize("size", [1, 7])
def test_messages_stream_in_single_bytes(serving: Any, size: int) -> None:
    """The same text, and the same final message, tool input and usage in it."""
    ask: dict[str, Any] = {"model": "claude", "max_tokens": 99, "messages": ASKED}
    with serving([Stream(events_of(MESSAGE, cut=letters), size=size)]) as (url, provider):
        base = provider.url.removesuffix("/v1")
        with (
            anthropic.Anthropic(base_url=base, api_key="x") as client,
            client.messages.stream(**ask) as stream,
        ):
            expected = ("".join(stream.text_stream), stream.get_final_message().model_dump())
        with (
            anthropic.Anthropic(base_url=url, api_key="x") as client,
            client.messages.stream(**ask, extra_body=EXTRA) as stream,
        ):
            found = ("".join(stream.text_stream), stream.get_final_message().model_dump())

        async def also() -> Any:
            async with (
                anthropic.AsyncAnthropic(base_url=url, api_key="x") as later,
                later.messages.stream(**ask, extra_body=EXTRA) as stream,
            ):
                text = "".join([piece async for piece in stream.text_stream])
                return text, (await stream.get_final_message()).model_dump()

        assert asyncio.run(also()) == found == expected
    assert expected[0] == TEXT


def test_whole_responses_for_the_async_sdk(serving: Any) -> None:
    """Responses without a stream, asynchronously."""
    ask: dict[str, Any] = {"model": "by-redact", "input": "Wie groß?"}
    with serving([RESPONSE]) as (url, provider):

        async def both() -> list[Any]:
            found = []
            for base, extra in ((provider.url, None), (f"{url}/v1", EXTRA)):
                async with openai.AsyncOpenAI(base_url=base, api_key="x") as client:
                    found.append(await client.responses.create(**ask, extra_body=extra))
            return found

        straight, ours = asyncio.run(both())
    assert ours.model_dump() == straight.model_dump()


# --------------------------------------------------------------------------- any cut

KNOWN = ["Größe: 3 €.", "Das ist 🙂 gut.", "Paris is in France."]
UNKNOWN = ["Atlantis sank in Sweden.", "Ünter Atlantis 🙂 liegt Sweden."]
CUTS = st.lists(st.integers(1, 40), min_size=1, max_size=12)
WIRES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "m", "messages": ASKED}),
    "responses": ("/v1/responses", {"model": "m", "input": ASKED}),
    "messages": ("/v1/messages", {"model": "claude", "max_tokens": 99, "messages": ASKED}),
}


def cut_by(steps: Sequence[int], whole: Any) -> list[Any]:
    """Pieces whose lengths go round and round."""
    pieces, start, turn = [], 0, 0
    while start < len(whole):
        pieces.append(whole[start : start + steps[turn % len(steps)]])
        start, turn = start + len(pieces[-1]), turn + 1
    return pieces


def whole_of(wire: str, answer: str, *, aloud: bool) -> dict[str, Any]:
    """A response of a protocol; thought aloud, it says the answer twice."""
    if wire == "chat":
        return chat_response(answer, **({"reasoning_content": answer} if aloud else {}))
    if wire == "messages":
        thought = {"type": "thinking", "thinking": answer, "signature": "s"}
        return message_response(answer, before=[thought] if aloud else [])
    summary = {**REASONING, "summary": [{"type": "summary_text", "text": answer}]}
    return responses_response(answer, before=[summary] if aloud else [])


REASONING = {"id": "rs", "type": "reasoning"}


@pytest.mark.parametrize("wire", list(WIRES))
def test_however_the_provider_cuts_its_bytes(serving: Any, wire: str) -> None:
    """What is withheld is in no byte, and what is decided is what a check of the whole decides."""
    reply: list[Any] = []
    path, ask = WIRES[wire]
    with (
        serving(lambda _: reply[-1]) as (url, _),
        httpx.Client(base_url=url, timeout=WAIT_S) as client,
    ):

        @settings(
            max_examples=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate),
            derandomize=True,
            database=None,
        )
        @given(
            said=st.lists(st.sampled_from([*KNOWN, *UNKNOWN]), min_size=1, max_size=5),
            policy=st.sampled_from(["redact", "refuse"]),
            aloud=st.booleans(),
            letters=CUTS,
            bytes_=CUTS,
        )
        @example(said=KNOWN, policy="refuse", aloud=True, letters=[1], bytes_=[1])
        @example(said=[*KNOWN, *UNKNOWN], policy="redact", aloud=True, letters=[1], bytes_=[1])
        def holds(said: list[str], policy: str, *, aloud: bool, letters: Any, bytes_: Any) -> None:
            answer = " ".join(said)
            made = whole_of(wire, answer, aloud=aloud)
            events = events_of(made, cut=lambda text: cut_by(letters, text))
            name = "" if wire == "chat" else "event: x\n"
            lines = [f"{name}data: {json.dumps(e, ensure_ascii=False)}\n\n" for e in events]
            raw = "".join(lines).encode()
            reply.append(Stream(cut_by(bytes_, raw), finished=False))
            own = {"sources": KNOWN, "report": "full", "policy": policy}
            body = {**ask, "stream": True, "guardrails": own}
            with client.stream("POST", path, json=body) as response:
                sent = b"".join(response.iter_raw())
            for word in ("Atlantis", "Sweden", "Ünter"):
                assert word.encode() not in sent
                assert json.dumps(word)[1:-1].encode() not in sent
            lines = [line for line in sent.decode().split("\n") if line.startswith("data: {")]
            told = [json.loads(line.removeprefix("data: ")) for line in lines]
            (report,) = told[-1]["guardrails"]["reports"]
            checked = client.post(
                "/v1/check", json={"answer": answer, **own, "messages": ASKED}
            ).json()
            (expected,) = checked["guardrails"]["reports"]
            assert report["action"] == expected["action"]
            if not set(said) & set(UNKNOWN):
                assert text_of(told) == answer
                assert (thoughts_of(told) == answer) is aloud
            decided = [(c["span"], c["verdict"], c["action"]) for c in report["claims"]]
            whole = [(c["span"], c["verdict"], c["action"]) for c in expected["claims"]]
            if policy == "redact" or expected["action"] == "pass":
                assert decided == whole
                # A rule on the whole answer comes too late for what had gone out.
                if expected["action"] != "refuse":
                    assert text_of(told).split() == checked["answer"].split()
            else:
                assert decided == whole[: len(decided)]
                assert decided[-1][2] == "refuse"

        holds()


def deltas_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The deltas of chat completions and messages."""
    found = [c["delta"] for e in events for c in e.get("choices") or ()]
    return found + [e["delta"] for e in events if e.get("type") == "content_block_delta"]


def text_of(events: list[dict[str, Any]]) -> str:
    """The answer, joined."""
    parts = [d.get("content") or d.get("text") or "" for d in deltas_of(events)]
    parts += [e["delta"] for e in events if e.get("type") == "response.output_text.delta"]
    return "".join(parts)


def thoughts_of(events: list[dict[str, Any]]) -> str:
    """What was thought aloud, joined."""
    parts = [d.get("reasoning_content") or d.get("thinking") or "" for d in deltas_of(events)]
    parts += [
        e["delta"] for e in events if e.get("type") == "response.reasoning_summary_text.delta"
    ]
    return "".join(parts)
