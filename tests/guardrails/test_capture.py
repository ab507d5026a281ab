from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.capture import Captured, capture
from verifiers.types import Origin, Trust

FACT = "Refunds are paid within 30 days."


def texts(captured: Captured) -> list[str]:
    return [s.text for s in captured.sources]


def system(content: object) -> Captured:
    return capture(
        [{"role": "system", "content": content}, {"role": "user", "content": "How long?"}]
    )


def tool(content: object) -> Captured:
    return capture(
        [
            {"role": "user", "content": "How long?"},
            {"role": "tool", "tool_call_id": "x", "content": content},
        ]
    )


# ------------------------------------------------------------------ where evidence may stand

TEXT_DOC = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": FACT},
    "title": "Terms",
}
PLACES = {
    "tool message": [{"role": "tool", "content": FACT}],
    "function message": [{"role": "function", "name": "f", "content": FACT}],
    "tool parts": [{"role": "tool", "content": [{"type": "text", "text": FACT}]}],
    "anthropic tool_result": [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": FACT}]}
    ],
    "anthropic tool_result blocks": [
        {
            "role": "user",
            "content": [{"type": "tool_result", "content": [{"type": "text", "text": FACT}]}],
        }
    ],
    "tool_result with search_result": [
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "content": [
                        {
                            "type": "search_result",
                            "source": "https://a",
                            "title": "T",
                            "content": [{"type": "text", "text": FACT}],
                        }
                    ],
                }
            ],
        }
    ],
    "anthropic document": [
        {"role": "user", "content": [TEXT_DOC, {"type": "text", "text": "How long?"}]}
    ],
    "anthropic content document": [
        {
            "role": "user",
            "content": [
                {
                    "type": "document",
                    "source": {"type": "content", "content": [{"type": "text", "text": FACT}]},
                }
            ],
        }
    ],
    "anthropic base64 text": [
        {
            "role": "user",
            "content": [
                {
                    "type": "document",
                    "source": {
                        "type": "base64",
                        "media_type": "text/plain",
                        "data": base64.b64encode(FACT.encode()).decode(),
                    },
                }
            ],
        }
    ],
    "search_result": [
        {
            "role": "user",
            "content": [
                {
                    "type": "search_result",
                    "source": "https://a",
                    "title": "T",
                    "content": [{"type": "text", "text": FACT}],
                }
            ],
        }
    ],
    "web fetch": [
        {
            "role": "assistant",
            "content": [
                {
                    "type": "web_fetch_tool_result",
                    "content": {
                        "type": "web_fetch_result",
                        "url": "https://a",
                        "content": TEXT_DOC,
                    },
                }
            ],
        }
    ],
    "openai file": [
        {
            "role": "user",
            "content": [
                {
                    "type": "file",
                    "file": {
                        "filename": "a.txt",
                        "file_data": "data:text/plain;base64,"
                        + base64.b64encode(FACT.encode()).decode(),
                    },
                }
            ],
        }
    ],
    "openai file plain": [
        {
            "role": "user",
            "content": [
                {
                    "type": "input_file",
                    "filename": "a.txt",
                    "file_data": "data:text/plain,Refunds%20are%20paid%20within%2030%20days.",
                }
            ],
        }
    ],
    "function_call_output": [{"type": "function_call_output", "call_id": "c", "output": FACT}],
    "function_call_output parts": [
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_text", "text": FACT}],
        }
    ],
    "file_search_call": [
        {
            "type": "file_search_call",
            "results": [{"file_id": "f", "filename": "a", "score": 0.5, "text": FACT}],
        }
    ],
    "mcp_call": [{"type": "mcp_call", "name": "f", "output": FACT}],
    "code interpreter": [
        {"type": "code_interpreter_call", "outputs": [{"type": "logs", "logs": FACT}]}
    ],
    "mcp content in a text": [
        {
            "role": "tool",
            "content": json.dumps({"content": [{"type": "text", "text": FACT}], "isError": False}),
        }
    ],
    "tagged system": [
        {"role": "system", "content": f"Answer from this. <context>{FACT}</context>"}
    ],
    "tagged developer parts": [
        {
            "role": "developer",
            "content": [
                {"type": "text", "text": "<context>"},
                {"type": "text", "text": FACT},
                {"type": "text", "text": "</context>"},
            ],
        }
    ],
    "responses developer": [
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": f"<source>{FACT}</source>"}],
        }
    ],
    "objects": [SimpleNamespace(role="tool", content=[SimpleNamespace(type="text", text=FACT)])],
    "langchain": [SimpleNamespace(type="tool", content=FACT)],
}


@pytest.mark.parametrize("place", PLACES)
def test_evidence_is_found(place: str):
    """Each place where a provider or an application puts evidence is read, exactly."""
    assert texts(capture(PLACES[place])) == [FACT]


def test_system_beside_the_messages():
    """Instructions that an API keeps outside the messages are read too."""
    found = capture(
        [{"role": "user", "content": "How long?"}],
        system=[{"type": "text", "text": f"<context>{FACT}</context>"}],
    )
    assert texts(found) == [FACT]
    assert found.question == "How long?"


NOT_EVIDENCE = {
    "user text": {"role": "user", "content": FACT},
    "user parts": {"role": "user", "content": [{"type": "text", "text": FACT}]},
    "user tags": {"role": "user", "content": f"<context>{FACT}</context>"},
    "user tags in parts": {
        "role": "user",
        "content": [{"type": "input_text", "text": f"<document>{FACT}</document>"}],
    },
    "assistant": {"role": "assistant", "content": f"<context>{FACT}</context>"},
    "assistant document": {"role": "assistant", "content": [TEXT_DOC]},
    "plain instructions": {"role": "system", "content": FACT},
    "failed tool": {
        "role": "user",
        "content": [{"type": "tool_result", "is_error": True, "content": FACT}],
    },
    "failed tool message": {"role": "tool", "status": "error", "content": FACT},
    "failed mcp": {
        "role": "tool",
        "content": json.dumps({"content": [{"type": "text", "text": FACT}], "isError": True}),
    },
    "bare string item": FACT,
}


@pytest.mark.parametrize("kind", NOT_EVIDENCE)
def test_not_evidence(kind: str):
    """What people and the model wrote, and failed tools, support nothing."""
    assert capture([NOT_EVIDENCE[kind]]).sources == ()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["text", "user", "tool", "document", "<context>", "</document>", "tool_result"]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "role",
                    "content",
                    "text",
                    "source",
                    "data",
                    "output",
                    "results",
                    "file",
                    "title",
                    "id",
                    "is_error",
                    "input",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(JSON, JSON, st.booleans())
def test_any_json_is_read(messages, system, user):
    """Nothing that JSON can say crashes the reader, and ids are unique."""
    found = capture(messages, system=system, evidence_from_user=user)
    ids = [s.id for s in found.sources]
    assert len(set(ids)) == len(ids)
    assert all(s.text.strip() for s in found.sources)


@given(
    st.text()
    | st.lists(
        st.sampled_from(["<context>", "</context>", "<document id='1'>", "<source>", "fact", "\n"])
    ).map(" ".join),
    st.sampled_from(["string", "parts", "input", "bare"]),
)
def test_user_strings_never_become_sources(text: str, form: str):
    """Whatever the user writes, tags included, is no evidence; asked for, it is, and says so."""
    forms = {
        "string": [{"role": "user", "content": text}],
        "parts": [{"role": "user", "content": [{"type": "text", "text": text}]}],
        "input": text,
        "bare": [text],
    }
    assert capture(forms[form]).sources == ()
    assert all(
        (s.origin, s.trust) == (Origin.USER, Trust.USER)
        for s in capture(forms[form], evidence_from_user=True).sources
    )


def test_user_evidence_when_configured():
    """Configured, the user's words and tagged texts are sources, marked as the user's."""
    found = capture(
        [{"role": "user", "content": f"<context>{FACT}</context>\nHow long?"}],
        evidence_from_user=True,
    )
    assert texts(found) == [FACT, "How long?"]
    assert {s.trust for s in found.sources} == {Trust.USER}
    assert found.question == "How long?"


# ------------------------------------------------------------------ questions, ids, notes


def test_question_is_the_last_user_text():
    """Tool results in a user message do not hide the question before them."""
    messages = [
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": "Yes."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Second?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,xx"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "content": FACT}]},
    ]
    found = capture(messages)
    assert found.question == "Second?"
    assert found.notes == ("message 3: image_url cannot be read as evidence",)


def test_no_question():
    """Without a user there is no question."""
    assert capture([{"role": "system", "content": "Be kind."}]) == Captured((), None, ())
    assert capture(None) == Captured((), None, ())


def test_ids_stay_when_the_conversation_grows():
    """Messages added at the end change no id."""
    messages = [{"role": "tool", "content": "One fact."}, {"role": "tool", "content": "Two facts."}]
    first = capture(messages)
    second = capture([*messages, {"role": "tool", "content": "Three."}])
    assert [s.id for s in first.sources] == ["tool-1", "tool-2"]
    assert second.sources[:2] == first.sources


def test_ids_as_written_are_kept_and_made_unique():
    """Explicit ids are kept; a repeated one is renamed and noted, never dropped."""
    found = system(
        '<document id="a">One.</document><document id="a">Two.</document><document>Three.</document>'
    )
    assert [s.id for s in found.sources] == ["a", "a~2", "tagged-3"]
    assert any("one id" in n for n in found.notes)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "x"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
        },
        {"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "hologram"},
        b"bytes",
    ],
)
def test_unreadable_parts_are_noted(part):
    """What cannot be read is said, not dropped in silence."""
    found = capture([{"role": "user", "content": [part]}])
    assert found.sources == ()
    assert len(found.notes) == 1


# ------------------------------------------------------------------ JSON from tools


def test_a_list_of_documents_is_a_source_each():
    """Search results become one source an item, with what is known about each."""
    found = tool(
        json.dumps(
            {
                "query": "refund",
                "results": [
                    {
                        "title": "Terms",
                        "url": "https://a/terms",
                        "content": FACT,
                        "score": 0.97,
                        "published_date": "2024-05-01",
                    },
                    {
                        "title": "FAQ",
                        "url": "https://a/faq",
                        "content": "Ask us.",
                        "score": 0.5,
                        "price": 12,
                    },
                ],
            }
        )
    )
    first, second, rest = found.sources
    assert (first.title, first.uri, first.timestamp.year) == ("Terms", "https://a/terms", 2024)
    assert first.text == f"{FACT}\npublished date: 2024-05-01"
    assert second.text == "Ask us.\nprice: 12"
    assert rest.text == "query: refund"
    assert {s.origin for s in found.sources} == {Origin.TOOL}
    assert {s.trust for s in found.sources} == {Trust.EXTERNAL}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            '{"city": "Oslo", "temperature_c": 21, "raining": false, "wind": {"speed": 4}}',
            ["city: Oslo\ntemperature c: 21\nraining: no\nwind speed: 4"],
        ),
        ('{"text": "A fact.", "id": "d1"}', ["A fact."]),
        ('["First fact.", "Second fact."]', ["First fact.", "Second fact."]),
        ('["red", "green"]', ["red, green"]),
        (
            '[{"name": "A", "price": 1}, {"name": "B", "price": 2}]',
            ["name: A\nprice: 1\nname: B\nprice: 2"],
        ),
        ("42", ["42"]),
        ("{broken json", ["{broken json"]),
        ("[]", []),
        ("", []),
        ('{"type": "savings", "position": 3}', ["type: savings\nposition: 3"]),
        ([{"type": "text", "text": '{"a": 1}'}, {"type": "text", "text": "B."}], ["a: 1", "B."]),
        ({"a": [1, 2]}, ["a: 1, 2"]),
        ("[" * 200_000, ["[" * 200_000]),
    ],
)
def test_tool_results_are_flattened(content, expected):
    """JSON is read as plain lines, texts as they are."""
    assert texts(tool(content)) == expected


def test_deep_json_is_bounded():
    """Nesting deeper than anyone writes is cut with a word, not with a crash."""
    value: object = "end"
    for _ in range(500):
        value = {"k": value}
    (source,) = tool(value).sources
    assert source.text.endswith("(nested too deeply to read)")


# ------------------------------------------------------------------ tags


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"<context>{FACT}</context>", [FACT]),
        (f"<CONTEXT>\n{FACT}\n</Context>", [FACT]),
        (
            "<documents><document>One.</document><document>Two.</document></documents>",
            ["One.", "Two."],
        ),
        ("<context>Intro. <document>One.</document> Tail.</context>", ["Intro.\nTail.", "One."]),
        ("<search_results><source id=3>One.</source></search_results>", ["One."]),
        (f"Use what is in <context> tags.\n<context>\n{FACT}\n</context>", [FACT]),
        (f"Read <context></context> only.\n<context>{FACT}</context>", [FACT]),
        ("It stands between <context> and </context> tags.", []),
        ("Use the <context> tags well. Be kind.", []),
        (f"<context>\n{FACT}", [FACT]),
        ("<document>\nOne.\n<document>\nTwo.\n</document>", ["One.", "Two."]),
        ("</context> stray <context>One.</context> </document>", ["One."]),
        ("<context>a < b && c > d</context>", ["a < b && c > d"]),
        ("<contexture>no</contexture>", []),
        ("<context/>", []),
        ("<document><title>T</title>Body.</document>", ["Body."]),
        (
            "<document><document_content>Body.<passage>P.</passage></document_content></document>",
            ["Body.", "P."],
        ),
    ],
)
def test_tags(text: str, expected: list[str]):
    """Nested, unclosed, mentioned and malformed tags are read as a person would."""
    assert texts(system(text)) == expected


def test_tags_say_where_they_are_from():
    """Attributes and naming tags become id, title, link and time."""
    found = system(
        '<document id="d7" title="Terms &amp; more" url=https://a/t date="2024-05-01">One.</document>'
        "<document index='2'><source>report.pdf</source><document_content>Two.</document_content></document>"
        '<source source="https://b">Three.</source>'
    )
    one, two, three = found.sources
    assert (one.id, one.title, one.uri, one.timestamp.year) == (
        "d7",
        "Terms & more",
        "https://a/t",
        2024,
    )
    assert (two.id, two.title, two.text) == ("2", "report.pdf", "Two.")
    assert three.uri == "https://b"
    assert {(s.origin, s.trust) for s in found.sources} == {(Origin.TAGGED, Trust.APPLICATION)}


def test_unclosed_tags_are_noted():
    """A tag that was never closed is read and reported."""
    assert system("<context>\nOne.").notes == ("message 1: 1 context tag(s) were never closed",)


@pytest.mark.parametrize(
    "text",
    [
        "<context>" * 30_000,
        "<context>\n" * 30_000,
        "<" * 200_000,
        "<context " + "a=" * 100_000,
        "</context>" * 30_000,
        "<document>x</document>" * 20_000,
    ],
)
def test_hostile_tags_stay_linear(text: str):
    """Prompts made to be slow are read in one pass; a quadratic reader would not end."""
    system(text)
