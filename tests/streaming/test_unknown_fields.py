"""Words in places where nobody looks for them: they stay where the answer's own words stay."""

from __future__ import annotations

import asyncio
import copy
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guardrails import Guard, Settings
from guardrails.engine import Options
from guardrails.proxy.wire import encode
from guardrails.report import Entry
from guardrails.scripted_streams import events_of, message_response, responses_response
from guardrails.streaming.known import known_chunk, known_message, known_response_event
from guardrails.streaming.stages import stages
from guardrails.streaming.ways import reasoning_of
from guardrails.testing import ScriptedVerifier, chat_response
from policies.load import load_policy
from verifiers.errors import GroundrailError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

Event = dict[str, Any]
Path = tuple[Any, ...]

GOOD = "Paris is in France."
BAD = "Atlantis sank in Sweden, önce."
NEVER = ("Atlantis", "Sweden", "\\u00f6nce", "önce")
MESSAGES = [{"role": "user", "content": "Where is it?"}]
WIRES = ["chat", "responses", "messages"]
POLICIES = {
    "refuse": {"extends": "strict", "on_unsupported": "refuse"},
    "redact": {
        "extends": "balanced",
        "on_unsupported": "redact",
        "on_empty": "annotate",
        "answer": {"max_unsupported_share": None},
    },
    "observe": {"extends": "observe"},
}


@pytest.fixture(scope="module")
def guards() -> Iterator[dict[str, Guard]]:
    """A guard a policy."""
    made = {
        name: Guard(
            load_policy(rules), settings=Settings(), verifier=ScriptedVerifier(), store=False
        )
        for name, rules in POLICIES.items()
    }
    yield made
    for guard in made.values():
        guard.close()


def sent(guard: Guard, wire: Any, events: Sequence[Event]) -> tuple[bytes, Any]:
    """Every byte that leaves as it does in the proxy, and the stream; errors end it."""

    async def upstream() -> AsyncIterator[Event]:
        for event in events:
            yield copy.deepcopy(event)

    async def opened(_: object) -> AsyncIterator[Event]:
        return upstream()

    async def reading() -> tuple[bytes, Any]:
        options = Options(sources=[GOOD])
        job = guard.engine.job(Entry.PROXY, options, messages=MESSAGES)
        shape, outlet = stages(wire, reasoning_of(job))
        stream = guard.engine.astream(job, options, open_stream=opened, shape=shape)
        out = b""
        with suppress(GroundrailError):
            async with asyncio.timeout(20):
                async for event in stream:
                    out += b"".join(encode(found, wire) for found in outlet.send(event))
        return out, stream

    return asyncio.run(reading())


def whole_of(wire: str, text: str) -> Event:
    """A response of a protocol, with what usually stands beside a text."""
    if wire == "chat":
        return chat_response(text, reasoning_content=text)
    if wire == "messages":
        thought = {"type": "thinking", "thinking": text, "signature": "s"}
        return message_response(text, before=[thought])
    thought = {"id": "rs", "type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}
    return responses_response(text, before=[thought])


# Where the caller's own words are repeated, and what is counted and named.
ECHOES = {"metadata", "tools", "format", "instructions", "reasoning", "tool_calls", "input"}
KEYS = [
    "message",
    "text",
    "content",
    "delta",
    "reasoning",
    "reasoning_text",
    "thinking",
    "refusal",
    "audio",
    "annotations",
    "transcript",
    "citations",
    "search_results",
    "logprobs",
    "provider_specific_fields",
    "output_text",
    "obfuscation",
    "token_ids",
    "guardrails",
    "x_new",
    BAD,
]
VALUES = st.sampled_from(
    [
        BAD,
        [BAD],
        {"content": BAD},
        {"transcript": BAD, "data": "AAAA"},
        [{"type": "text", "text": BAD}],
        {BAD: None},
        None,
        1,
        [{"type": "url_citation", "title": BAD}],
        {"content": [{"token": BAD, "logprob": -0.5, "bytes": None, "top_logprobs": []}]},
        {"usage": {"by": BAD}},
    ]
)
ODD: dict[str, list[Event]] = {
    "chat": [
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": BAD}}]},
        {"choices": [{"index": 0, "delta": {"audio": {"id": "a", "transcript": BAD}}}]},
        {"choices": [{"index": 0, "delta": {"content": [{"type": "thinking", "text": BAD}]}}]},
        {"choices": [], "text": BAD},
        {"type": "note", "note": BAD, "choices": None},
    ],
    "responses": [
        {"type": "response.new.delta", "delta": BAD},
        {"type": "response.audio.transcript.delta", "delta": BAD, "output_index": 1},
        {"type": "response.output_text.delta", "delta": BAD, "output_index": 0},
        {"type": "response.output_text.delta", "delta": BAD, "output_index": 9},
        {"type": "response.output_item.added", "output_index": 4, "item": {"type": "x", "t": BAD}},
        {"type": "response.web_search_call.searching", "output_index": 1, "query": BAD},
        {"type": "response.in_progress", "response": {"output_text": BAD, "said": BAD}},
        {
            "type": "response.refusal.delta",
            "delta": BAD,
            "output_index": 1,
            "content_index": 0,
        },
    ],
    "messages": [
        {"type": "new_event", "text": BAD},
        {"type": "ping", "text": BAD},
        {"type": "content_block_start", "index": 7, "content_block": {"type": "x", "text": BAD}},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": BAD}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "new_delta", "text": BAD}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": BAD}},
    ],
}


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The objects in an event, by the way to them."""
    if isinstance(value, dict):
        yield path
        for key, held in value.items():
            if key not in ECHOES:
                yield from places(held, (*path, key))
    elif isinstance(value, list):
        for number, held in enumerate(value):
            yield from places(held, (*path, number))


@st.composite
def streams(draw: st.DrawFn, text: str) -> tuple[str, list[Event]]:
    """A stream of some protocol with words in odd places of it."""
    wire = draw(st.sampled_from(WIRES))
    events = copy.deepcopy(events_of(whole_of(wire, text)))
    for _ in range(draw(st.integers(1, 4))):
        number = draw(st.integers(0, len(events) - 1))
        if draw(st.integers(0, 3)) == 0:
            events.insert(number, copy.deepcopy(draw(st.sampled_from(ODD[wire]))))
            continue
        into: Any = events[number]
        for step in draw(st.sampled_from(list(places(into)))):
            into = into[step]
        key = draw(st.sampled_from([key for key in KEYS if key not in into] or ["y_new"]))
        into[key] = copy.deepcopy(draw(VALUES))
    return wire, events


def odd(wire: str, number: int) -> tuple[str, list[Event]]:
    """A stream with one of the odd events in its middle."""
    events = events_of(whole_of(wire, f"{GOOD} {BAD}"))
    return wire, [*events[:-3], ODD[wire][number], *events[-3:]]


@pytest.mark.parametrize("policy", ["refuse", "redact"])
@given(made=streams(f"{GOOD} {BAD} {GOOD}"))
@example(made=odd("chat", 0))
@example(made=odd("chat", 1))
@example(made=odd("responses", 2))
@example(made=odd("responses", 7))
@example(made=odd("messages", 4))
@example(made=odd("messages", 5))
def test_what_is_withheld_is_in_no_byte_wherever_it_stands(
    guards: dict[str, Guard], policy: str, made: tuple[str, list[Event]]
) -> None:
    """Random fields at random places of events, and events that nobody knows."""
    wire, events = made
    out, _ = sent(guards[policy], wire, events)
    for word in NEVER:
        assert word.encode() not in out


@pytest.mark.parametrize("wire", WIRES)
def test_every_odd_event_of_a_supported_answer_is_left_out(
    guards: dict[str, Guard], wire: str
) -> None:
    """The answer arrives whole without it, and the record says that something was left out."""
    events = events_of(whole_of(wire, GOOD))
    clean, _ = sent(guards["refuse"], wire, events)
    strange = [e for e in ODD[wire] if e["type"] not in SAID] if wire != "chat" else ODD[wire][3:4]
    for event in strange:
        for place in range(1, len(events)):
            out, stream = sent(guards["refuse"], wire, [*events[:place], event, *events[place:]])
            assert told(out) == told(clean)
            assert any("not known" in note for note in stream.report.notes)


# What is the answer's own, or a provider's word of an item that is none.
SAID = {"response.refusal.delta", "response.in_progress", "ping", "content_block_delta"}


def told(raw: bytes) -> list[Event]:
    """The events in bytes, without their numbers."""
    lines = [line.removeprefix(b"data: ") for line in raw.split(b"\n") if line[:6] == b"data: "]
    found = [json.loads(line) for line in lines]
    return [
        {k: v for k, v in e.items() if k != "sequence_number"}
        for e in found
        if e.get("choices") != []
    ]


@pytest.mark.parametrize("wire", WIRES)
def test_where_reasoning_goes_unchecked_so_does_what_nobody_knows(
    guards: dict[str, Guard], wire: str
) -> None:
    """That is a choice of the policy's, in writing."""
    events = events_of(whole_of(wire, GOOD))
    for event in events:
        event["x_new"] = {"said": BAD}
    out, stream = sent(guards["observe"], wire, events)
    assert out.count(b"Atlantis") >= len(events) - 1
    assert not any("not known" in note for note in stream.report.notes)


# What providers say beside their texts today.
USUAL: dict[str, Event] = {
    "Azure": {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]},
    "OpenRouter": {"provider": "Google AI Studio", "system_fingerprint": "fp_44709d6fcb"},
    "Groq": {"x_groq": {"id": "req_01j", "usage": {"queue_time": 0.01}}},
    "OpenAI": {"service_tier": "default", "usage": None},
    "llama.cpp": {"timings": {"prompt_n": 1, "prompt_ms": 0.4}},
}
FILTER = {"hate": {"filtered": False, "severity": "safe"}}
USUAL_CHOICE = {"content_filter_results": FILTER, "stop_reason": None, "matched_stop": 2}


@pytest.mark.parametrize("provider", list(USUAL))
def test_what_providers_say_today_passes(guards: dict[str, Guard], provider: str) -> None:
    """Names, ids and counts in every chunk, and reasoning behind which the text comes."""
    events = events_of(whole_of("chat", GOOD))
    for event in events:
        event.update(USUAL[provider])
        for choice in event["choices"]:
            choice.update(USUAL_CHOICE)
    assert all(known_chunk(event) == (event, False) for event in events)
    out, stream = sent(guards["refuse"], "chat", events)
    key = next(iter(USUAL[provider]))
    assert all(event[key] == USUAL[provider][key] for event in told(out))
    assert json.dumps(FILTER, separators=(",", ":")).encode() in out
    assert not any("not known" in note for note in stream.report.notes)


@pytest.mark.parametrize(("text", "times"), [(GOOD, 1), (f"{GOOD} {BAD}", 0)])
def test_sources_beside_chunks_are_told_once_at_the_end(
    guards: dict[str, Guard], text: str, times: int
) -> None:
    """They wait for the whole answer, and are dropped when words of it were withheld."""
    events = [
        {**e, "citations": ["https://example.org/x"]} for e in events_of(whole_of("chat", text))
    ]
    for policy in ("refuse", "redact"):
        out, _ = sent(guards[policy], "chat", events)
        assert out.count(b"example.org") == times


def test_log_probabilities_of_other_words_wait_for_the_answer(guards: dict[str, Guard]) -> None:
    """Of the next sentence, or of a token whose text comes later: at the end, or not at all."""
    for text, told_of in ((GOOD, True), (f"{GOOD} {BAD}", False)):
        events = events_of(chat_response(text))
        entry = {"token": "Atlantis", "logprob": -0.5, "bytes": None, "top_logprobs": []}
        for event in events[:2]:
            event["choices"][0]["logprobs"] = {"content": [entry]}
        for policy in ("refuse", "redact"):
            out, _ = sent(guards[policy], "chat", events)
            assert (b"Atlantis" in out) is told_of
            if told_of:
                assert out.index(b"France") < out.index(b"Atlantis")


def test_parts_of_a_content_that_are_no_text_are_no_answer(guards: dict[str, Guard]) -> None:
    """Thinking among the parts waits as reasoning does, and the text beside it does not."""
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": BAD}]}]
    events = events_of(chat_response(f"{GOOD} {BAD}"))
    events[1]["choices"][0]["delta"]["content"] = [*parts, {"type": "text", "text": "Paris"}]
    out, _ = sent(guards["redact"], "chat", events)
    assert b"Atlantis" not in out
    assert b"France" in out


# --------------------------------------------------------------------------- whole answers


@st.composite
def wholes(draw: st.DrawFn) -> Event:
    """A whole response of some protocol with words in odd places of it."""
    whole = whole_of(draw(st.sampled_from(WIRES)), f"{GOOD} {BAD}")
    for _ in range(draw(st.integers(1, 4))):
        into: Any = whole
        for step in draw(st.sampled_from(list(places(whole)))):
            into = into[step]
        key = draw(st.sampled_from([key for key in KEYS if key not in into] or ["y_new"]))
        into[key] = copy.deepcopy(draw(VALUES))
    for items, item in (("output", {"type": "x", "text": BAD}), ("content", {"type": "x"})):
        if isinstance(whole.get(items), list) and draw(st.booleans()):
            whole[items].append({**item, "said": BAD})
    return whole


@pytest.mark.parametrize("policy", ["refuse", "redact"])
@given(whole=wholes())
def test_what_is_withheld_of_a_whole_answer_is_nowhere_in_it(
    guards: dict[str, Guard], policy: str, whole: Event
) -> None:
    """Refused or taken out: the fields beside the text do not tell it."""
    before = json.dumps(whole)
    with suppress(GroundrailError):
        made = guards[policy].check(whole, messages=MESSAGES, sources=[GOOD])
        out = json.dumps(made.response, ensure_ascii=False)
        assert not any(word in out for word in NEVER)
    assert json.dumps(whole) == before


def test_words_in_the_place_of_a_list() -> None:
    """Marks, parts and items are lists; what stands there instead is left out."""
    text = {"type": "text", "text": GOOD, "citations": BAD}
    block = {"type": "content_block_start", "index": 0, "content_block": text}
    part = {"type": "output_text", "text": GOOD, "annotations": BAD}
    item = {"type": "message", "id": "m", "content": [part]}
    added = {"type": "response.output_item.added", "output_index": 0, "item": item}
    loose = {**added, "item": {**item, "content": BAD}}
    whole = {"type": "response.completed", "response": {"output": BAD}}
    told = [
        known_message(block, {}),
        *(known_response_event(event, {}) for event in (added, loose, whole)),
    ]
    for known, left_out in told:
        assert left_out
        assert known is not None
        assert not any(word in json.dumps(known, ensure_ascii=False) for word in NEVER)
