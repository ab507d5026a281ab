"""Reading and rewriting responses, on the real types of LiteLLM and OpenAI and on JSON."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.errors import ResponseUnreadable, StreamingUnsupported
from guardrails.responses import read, with_choice, with_texts
from guardrails.testing import chat_response, chat_responses

SECRET = "The moon is made of cheese."
TOOL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def litellm_response(data):
    import litellm

    return litellm.ModelResponse(**copy.deepcopy(data))


def openai_chat(data):
    from openai.types.chat import ChatCompletion

    return ChatCompletion.model_validate(data)


def responses_json(text, **changes):
    data = {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "model": "m",
        "status": "completed",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "output": [
            {
                "type": "reasoning",
                "id": "r1",
                "summary": [{"type": "summary_text", "text": text}],
            },
            {
                "type": "message",
                "id": "m1",
                "role": "assistant",
                "status": "completed",
                "content": [
                    {
                        "type": "output_text",
                        "text": text,
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url": "https://example.org",
                                "title": "t",
                                "start_index": 0,
                                "end_index": 3,
                            }
                        ],
                    }
                ],
            },
        ],
        "usage": {
            "input_tokens": 3,
            "output_tokens": 4,
            "total_tokens": 7,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }
    return {**data, **changes}


def openai_responses(data):
    from openai.types.responses import Response

    return Response.model_validate(data)


def anthropic_json(text):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "stop_reason": "end_turn",
        "content": [
            {"type": "thinking", "thinking": text, "signature": "x"},
            {
                "type": "text",
                "text": text[:10],
                "citations": [{"type": "char_location", "document_index": 0, "cited_text": "x"}],
            },
            {"type": "text", "text": text[10:]},
        ],
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }


def completion_json(text):
    return {
        "id": "c",
        "object": "text_completion",
        "model": "m",
        "choices": [
            {"index": 0, "text": text, "finish_reason": "stop", "logprobs": {"tokens": [text]}}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    }


def loud_chat(text):
    """A chat completion that says its text everywhere a provider may repeat it."""
    data = chat_response(
        text, reasoning_content=text, thinking_blocks=[{"type": "thinking", "thinking": text}]
    )
    data["choices"][0]["logprobs"] = {
        "content": [{"token": text, "logprob": -0.1, "top_logprobs": []}]
    }
    return data


SHAPES = {
    "text": str,
    "chat json": loud_chat,
    "litellm": lambda text: litellm_response(loud_chat(text)),
    "openai chat": lambda text: openai_chat(loud_chat(text)),
    "responses json": responses_json,
    "openai responses": lambda text: openai_responses(responses_json(text)),
    "anthropic json": anthropic_json,
    "completion json": completion_json,
}


def everything(response):
    """All a caller could print of a response."""
    dump = getattr(response, "model_dump_json", None)
    return f"{response!r} {vars(response) if hasattr(response, '__dict__') else ''} " + (
        dump(warnings="error") if dump else json.dumps(response)
    )


@pytest.fixture(params=sorted(SHAPES))
def make(request):
    return SHAPES[request.param]


def test_every_shape_is_read(make):
    """Text, exactly."""
    reading = read(make(SECRET))
    assert [choice.text for choice in reading.choices] == [SECRET]
    assert not reading.choices[0].refused
    assert not reading.choices[0].cut


def test_text_is_replaced_in_a_copy_of_the_same_type(make):
    """The original keeps its text and its type; the copy says the new text."""
    response = make(SECRET)
    before = copy.deepcopy(response)
    changed = with_texts(response, {0: "New text."})
    assert type(response) is type(changed)
    assert read(changed).choices[0].text == "New text."
    assert before == response
    assert read(response).choices[0].text == SECRET


def test_withheld_text_is_nowhere_in_the_copy(make):
    """Not in reasoning, log probabilities, annotations or anything else that can be printed."""
    changed = with_texts(make(SECRET), {0: "No."}, withheld=frozenset({0}))
    assert SECRET not in everything(changed)
    assert "cheese" not in everything(changed)


def test_nothing_to_change_gives_the_very_object(make):
    """No needless copies: what passes is the provider's own response."""
    response = make(SECRET)
    assert with_texts(response, {}) is response


def test_usage_and_ids_are_read():
    """Both spellings of token counts."""
    chat = read(litellm_response(chat_response("Hi there.")))
    assert (chat.usage.input_tokens, chat.usage.output_tokens) == (10, 2)
    other = read(anthropic_json(SECRET))
    assert (
        other.usage.input_tokens,
        other.usage.output_tokens,
        other.model,
        other.response_id,
    ) == (3, 4, "claude", "msg_1")


@pytest.mark.parametrize("wrap", [dict, litellm_response, openai_chat])
def test_tool_calls_without_text(wrap):
    """Counted; there is no text, and that is not empty."""
    (choice,) = read(
        wrap(chat_response(None, finish_reason="tool_calls", tool_calls=[TOOL]))
    ).choices
    assert (choice.text, choice.tool_calls) == ("", 1)
    facts = choice.facts(has_evidence=True)
    assert (facts.tool_calls, facts.empty) == (True, False)


@pytest.mark.parametrize("wrap", [dict, litellm_response, openai_chat])
def test_a_refusal_field_is_a_refusal(wrap):
    """Wherever the library puts it."""
    (choice,) = read(wrap(chat_response(None, refusal="I will not."))).choices
    assert choice.refused
    assert not choice.facts(has_evidence=True).empty


@pytest.mark.parametrize(
    ("response", "cut", "refused"),
    [
        (chat_response("x", finish_reason="length"), True, False),
        (chat_response("x", finish_reason="content_filter"), False, True),
        ({**anthropic_json("x" * 12), "stop_reason": "max_tokens"}, True, False),
        ({**anthropic_json("x" * 12), "stop_reason": "refusal"}, False, True),
        (
            responses_json(
                "x", status="incomplete", incomplete_details={"reason": "max_output_tokens"}
            ),
            True,
            False,
        ),
        (
            responses_json(
                "x", status="incomplete", incomplete_details={"reason": "content_filter"}
            ),
            False,
            True,
        ),
    ],
)
def test_finish_reasons(response, cut, refused):
    """Each provider's words for cut and refused."""
    (choice,) = read(response).choices
    assert (cut, refused) == (choice.cut, choice.refused)


def test_url_citations_are_read_with_their_places():
    """Chat completions nest them, Responses do not; indices that do not fit stand at the end."""
    text = "Cheap. Fast."
    annotation = {
        "type": "url_citation",
        "url_citation": {"url": "u1", "start_index": 0, "end_index": 6},
    }
    broken = {
        "type": "url_citation",
        "url_citation": {"url": "u2", "start_index": 5, "end_index": 99},
    }
    (choice,) = read(chat_response(text, annotations=[annotation, broken])).choices
    assert [(mark.target, mark.span.of(text)) for mark in choice.annotations] == [
        ("u1", "Cheap."),
        ("u2", "."),
    ]
    (other,) = read(responses_json(text)).choices
    assert [(m.target, m.marker) for m in other.annotations] == [("https://example.org", "Che")]


def test_anthropic_citations_name_documents_from_one():
    """Their index counts from 0, our source numbers from 1; the mark is the cited block."""
    (choice,) = read(anthropic_json(SECRET)).choices
    (mark,) = choice.annotations
    assert ("1", SECRET[:10]) == (mark.target, mark.span.of(SECRET))


@pytest.mark.parametrize("wrap", [dict, litellm_response, openai_chat])
def test_one_choice_of_several_is_replaced(wrap):
    """The others stay, and the index is that of its new place."""
    response = wrap(chat_responses(["one", "two"]))
    merged = with_choice(response, 1, wrap(chat_response("new")))
    assert [choice.text for choice in read(merged).choices] == ["one", "new"]
    assert [choice.text for choice in read(response).choices] == ["one", "two"]
    assert type(response) is type(merged)


@pytest.mark.parametrize("wrap", [dict, openai_responses])
def test_a_responses_object_without_text_can_be_given_one(wrap):
    """A refusal text instead of nothing but tool calls."""
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "f", "arguments": "{}"}
    response = wrap(responses_json("x", output=[call]))
    assert read(response).choices[0].tool_calls == 1
    changed = with_texts(response, {0: "No."}, withheld=frozenset({0}))
    assert type(response) is type(changed)
    assert (read(changed).choices[0].text, read(changed).choices[0].tool_calls) == ("No.", 0)


@pytest.mark.parametrize("value", [None, 3, object(), {}, {"choices": [{"delta": {}}]}, b"x", []])
def test_other_things_are_unreadable_by_name(value):
    """The error names the type."""
    with pytest.raises(ResponseUnreadable, match="GR305"):
        read(value)


def test_a_stream_is_refused_unread():
    """Nothing of it is consumed."""
    stream = iter(["a"])
    with pytest.raises(StreamingUnsupported):
        read(stream)
    assert list(stream) == ["a"]


@given(st.text(), st.text())
def test_any_text_goes_in_and_out(old, new):
    """Exact in every shape of JSON."""
    for make_it in (str, chat_response, responses_json, completion_json):
        assert old == read(make_it(old)).choices[0].text
        assert new == read(with_texts(make_it(old), {0: new})).choices[0].text


@pytest.mark.parametrize("kind", ["markdown", "some_new_kind", None])
def test_a_text_part_of_an_unknown_kind_is_read_and_replaced(kind):
    """What is not read would be released unchecked; what was decided otherwise must go."""
    parts = [{"type": "text", "text": "One."}, {"type": kind, "text": " Two."}]
    response = {"choices": [{"message": {"content": parts}}]}
    assert read(response).choices[0].text == "One. Two."
    changed = with_texts(response, {0: "One."})
    assert "Two" not in json.dumps(changed)
    assert read(changed).choices[0].text == "One."


@pytest.mark.parametrize("kind", ["thinking", "reasoning", "refusal"])
def test_a_part_that_is_no_answer_is_not_read(kind):
    """Thoughts are not the answer, though some providers call them text."""
    parts = [{"type": "text", "text": "One."}, {"type": kind, "text": "Two."}]
    assert read({"choices": [{"message": {"content": parts}}]}).choices[0].text == "One."


@pytest.mark.parametrize("content", [{"text": "Secret."}, 42, True])
def test_content_that_is_neither_text_nor_parts_is_not_called_empty(content):
    """An answer we cannot read is an error, and its text stays out of the message."""
    with pytest.raises(ResponseUnreadable) as caught:
        read({"choices": [{"message": {"content": content}}]})
    assert "Secret" not in str(caught.value)
