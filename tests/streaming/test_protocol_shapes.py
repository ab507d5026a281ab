"""Anthropic's and OpenAI's Responses streams: lossless when all is let through, tight when not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import openai
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from hypothesis import given
from hypothesis import strategies as st
from openai._models import construct_type_unchecked
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent

from guardrails.responses import read
from guardrails.scripted_streams import events_of, message_response, responses_response
from guardrails.streaming.anthropic import AnthropicOutlet, AnthropicShape
from guardrails.streaming.responses import ResponsesShape
from guardrails.streaming.responses_outlet import ResponsesOutlet
from guardrails.streaming.shapes import Closing, Kind, Piece

Event = dict[str, Any]
REFUSAL = "I am not saying that."
SECRET = "Atlantis sank in Sweden."

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
CUTS = st.sampled_from(
    [
        list,
        lambda text: [text[i : i + 3] for i in range(0, len(text), 3)],
        lambda text: [text] if text else [],
    ]
)


def stages(whole: Event) -> tuple[Any, Any]:
    if whole.get("type") == "message":
        return AnthropicShape(), AnthropicOutlet()
    shape = ResponsesShape()
    return shape, ResponsesOutlet(shape)


def through(
    whole: Event,
    events: Sequence[Event],
    *,
    change: Callable[[str], str | None] | None = None,
    stop_after: int | None = None,
    drop_held: bool = False,
) -> list[Event]:
    """What leaves when TEXT goes through ``change`` (None: stop), END after everything else."""
    shape, outlet = stages(whole)
    out: list[Event] = []
    ends: list[Piece] = []
    closed = False
    texts = 0
    for event in events:
        for piece in shape.split(event):
            if piece.kind is Kind.END:
                if not (closed and piece.lane == 0):
                    ends.append(piece)
                continue
            if closed or (drop_held and piece.kind in {Kind.HELD, Kind.ALOUD}):
                continue
            if piece.kind is not Kind.TEXT:
                out += outlet.send(piece.event)
                continue
            texts += 1
            if stop_after is not None and texts > stop_after:
                closed = True
                for ours in shape.closing(0, REFUSAL, Closing.REFUSED):
                    out += outlet.send(ours)
                continue
            new = piece.text if change is None else change(piece.text)
            if new is not None:
                same = new == piece.text
                out += outlet.send(piece.event if same else shape.with_text(piece, new))
    if stop_after is not None and not closed:  # as when rules about the whole answer refuse it
        for ours in shape.closing(0, REFUSAL, Closing.REFUSED):
            out += outlet.send(ours)
        ends = [piece for piece in ends if piece.lane != 0]
    for piece in ends:
        out += outlet.send(shape.ending(piece, {}))
    return out


THOUGHT = {"type": "thinking", "thinking": SECRET, "signature": "sig"}
TOOL = {"type": "tool_use", "id": "t1", "name": "look", "input": {"city": "Paris"}}
REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": SECRET}],
}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "c1",
    "name": "look",
    "arguments": '{"city": "Paris"}',
    "status": "completed",
}
MARK = {
    "type": "url_citation",
    "url": "http://x",
    "title": "X",
    "start_index": 0,
    "end_index": 1,
}


def wholes(text: str) -> list[Event]:
    response = responses_response(text, before=[REASONING], after=[CALL])
    response["output"][1]["content"][0]["annotations"] = [MARK]
    two = responses_response(text)
    two["output"][0]["content"].append(
        {"type": "output_text", "text": "And more.", "annotations": [MARK], "logprobs": []}
    )
    return [
        message_response(text, before=[THOUGHT], after=[TOOL], stop_reason="tool_use"),
        message_response(text),
        message_response(text, after=[{"type": "text", "text": "And more."}]),
        response,
        two,
        responses_response(text, status="incomplete"),
    ]


@given(text=TEXTS, cut=CUTS, which=st.integers(0, 5))
def test_letting_everything_through_is_lossless(text: str, cut: Any, which: int) -> None:
    """The very same events, whatever the answer holds and however it is cut."""
    whole = wholes(text)[which]
    events = events_of(whole, cut=cut)
    before = json.dumps(events)
    left = through(whole, events)
    assert left == events
    assert json.dumps(events) == before


@given(text=TEXTS, cut=CUTS, which=st.integers(0, 5))
def test_the_reading_of_a_stream_is_that_of_the_whole(text: str, cut: Any, which: int) -> None:
    """Text, tool calls, finish reason and usage."""
    whole = wholes(text)[which]
    shape, _ = stages(whole)
    for event in events_of(whole, cut=cut):
        shape.split(event)
    found, expected = shape.reading(), read(whole)
    assert found.choices[0].text == expected.choices[0].text
    assert found.choices[0].tool_calls == expected.choices[0].tool_calls
    assert found.choices[0].finish_reason == expected.choices[0].finish_reason
    assert found.usage == expected.usage
    assert found.model == expected.model


@given(cut=CUTS, which=st.integers(0, 5), stop=st.integers(0, 8))
def test_after_a_refusal_nothing_repeats_what_was_withheld(cut: Any, which: int, stop: int) -> None:
    """Wherever the stream is stopped: in deltas, done events and the whole response alike."""
    text = f"Paris is in France. {SECRET}"
    whole = wholes(text)[which]
    left = through(whole, events_of(whole, cut=cut), stop_after=stop, drop_held=True)
    sent = "".join(_texts(left))
    told = json.dumps(left)
    assert REFUSAL in told
    assert told.count(SECRET) == 0 or SECRET in sent
    final = accumulated(whole, left)
    assert read(final).choices[0].refused
    assert _all_text(final).startswith(sent.replace(REFUSAL, ""))


@given(cut=CUTS, which=st.integers(0, 5))
def test_a_changed_text_is_repeated_as_it_was_delivered(cut: Any, which: int) -> None:
    """Deltas, done events and the whole response say the same."""
    whole = wholes("abc abc")[which]
    left = through(whole, events_of(whole, cut=cut), change=lambda t: t.replace("b", ""))
    final = accumulated(whole, left)
    expected = "".join(_texts(left))
    assert "b" not in expected
    assert read(final).choices[0].text == expected
    dones = [e["text"] for e in left if e["type"] == "response.output_text.done"]
    if dones:
        assert "".join(dones) == expected


@pytest.mark.parametrize("which", range(6))
def test_what_is_left_out_leaves_no_gap(which: int) -> None:
    """Without thinking and tools the blocks are numbered again, and SDKs read the rest."""
    whole = wholes("Paris is in France.")[which]
    left = through(whole, events_of(whole), drop_held=True)
    assert SECRET not in json.dumps(left)
    assert "look" not in json.dumps(left)
    assert read(accumulated(whole, left)).choices[0].text == read(whole).choices[0].text


def test_sequence_numbers_have_no_gaps() -> None:
    """Whatever was dropped or added, and from wherever the provider counts."""
    whole = wholes(SECRET)[3]
    events = [{**e, "sequence_number": e["sequence_number"] + 5} for e in events_of(whole)]
    for stop in (None, 1):
        left = through(whole, events, stop_after=stop, drop_held=True)
        assert [e["sequence_number"] for e in left] == list(range(5, 5 + len(left)))


def test_text_in_unusual_places_is_text() -> None:
    """In the first event of a block or a part, or in the response that a stream begins with."""
    shape = AnthropicShape()
    block = {"type": "text", "text": SECRET}
    pieces = shape.split({"type": "content_block_start", "index": 0, "content_block": block})
    assert [(p.kind, p.text) for p in pieces] == [(Kind.ORDERED, ""), (Kind.TEXT, SECRET)]
    assert SECRET not in json.dumps(pieces[0].event)
    message = message_response(SECRET)
    (begun,) = shape.split({"type": "message_start", "message": message})
    assert SECRET not in json.dumps(begun.event)
    other = ResponsesShape()
    (begun,) = other.split({"type": "response.created", "response": responses_response(SECRET)})
    assert SECRET not in json.dumps(begun.event)
    item = responses_response(SECRET)["output"][0]
    added = {"type": "response.output_item.added", "output_index": 0, "item": item}
    assert SECRET not in json.dumps([piece.event for piece in other.split(added)])
    part = {
        "type": "response.content_part.added",
        "output_index": 0,
        "content_index": 0,
        "item_id": "m",
        "part": item["content"][0],
    }
    pieces = other.split(part)
    assert [(p.kind, p.text) for p in pieces] == [(Kind.ORDERED, ""), (Kind.TEXT, SECRET)]
    assert SECRET not in json.dumps(pieces[0].event)


def test_only_text_pieces_carry_the_answer() -> None:
    """Whoever sends all but TEXT without an outlet sends no word of it."""
    for whole in wholes(f"Paris is in France. {SECRET}")[1:]:
        shape, _ = stages(whole)
        pieces = [piece for event in events_of(whole) for piece in shape.split(event)]
        others = [p.event for p in pieces if p.kind in {Kind.ORDERED, Kind.END}]
        assert "Sweden" not in json.dumps(others)


@pytest.mark.parametrize(
    "event",
    [{"type": "new_kind", "text": "x"}, {"type": "response.new", "text": "x"}, {}, {"type": 4}],
)
def test_events_nobody_knows_are_left_out(event: Event) -> None:
    """They may hold text of the answer; where reasoning goes unchecked, so do they."""
    for kind in (AnthropicShape, ResponsesShape):
        shape = kind()
        assert shape.split(event) == ()
        assert shape.left_out
        free = kind(reasoning=Kind.ORDERED)
        assert [(p.kind, p.event) for p in free.split(event)] == [(Kind.ORDERED, event)]
        assert not free.left_out


def test_reasoning_goes_out_at_once_only_where_that_is_said() -> None:
    """It may repeat what is withheld."""
    for kind in (Kind.ALOUD, Kind.ORDERED):
        message = AnthropicShape(reasoning=kind)
        start = {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}}
        assert message.split(start)[0].kind is kind
        response = ResponsesShape(reasoning=kind)
        added = {"type": "response.output_item.added", "output_index": 0, "item": REASONING}
        assert response.split(added)[0].kind is kind


@pytest.mark.parametrize("shape", [AnthropicShape(), ResponsesShape()])
def test_payloads_are_attached_to_copies(shape: Any) -> None:
    """Under one key, in every protocol."""
    event = {"type": "ping"}
    assert shape.attach(event, {"claims": []}) == {"type": "ping", "guardrails": {"claims": []}}
    assert event == {"type": "ping"}


# --------------------------------------------------------------------------- the SDKs' accumulators


def accumulated(whole: Event, events: Sequence[Event]) -> Event:
    """What the unmodified SDK makes of a stream."""
    if whole.get("type") == "message":
        snapshot: Any = None
        buffers: dict[int, bytes] = {}
        for event in events:
            if event["type"] != "ping":
                snapshot = accumulate_event(
                    event=event, current_snapshot=snapshot, json_bufs=buffers
                )
        assert events[-1]["type"] == "message_stop"
        assert [e["type"] for e in events].count("message_stop") == 1
        return snapshot.to_dict()
    state: Any = ResponseStreamState(input_tools=openai.omit, text_format=openai.omit)
    for event in events:
        state.handle_event(construct_type_unchecked(type_=ResponseStreamEvent, value=event))
    if events[-1]["type"] != "response.completed":
        assert events[-1]["type"] == "response.incomplete"
        return events[-1]["response"]
    return state._completed_response.to_dict()


def _texts(events: Sequence[Event]) -> list[str]:
    """The text deltas of a stream."""
    found = []
    for event in events:
        if event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta":
            found.append(event["delta"]["text"])
        if event["type"] == "response.output_text.delta":
            found.append(event["delta"])
    return found


def _all_text(final: Event) -> str:
    return read(final).choices[0].text
