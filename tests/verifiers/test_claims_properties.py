"""Properties that hold for any answer."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from verifiers import rules
from verifiers.citations import find_citations
from verifiers.claims import Extractor, make_extractor
from verifiers.claims.blocks import segment
from verifiers.rules import RuleParser
from verifiers.types import Citation, Source, Span

SOURCES = (
    Source("s1", "x", title="Policy 2023", uri="https://example.com/policy"),
    Source("doc-2", "y", title="policy.md"),
)

# Any text without surrogates, and text dense in what the segmenter looks for.
PIECES = st.sampled_from(
    [
        "The fee is $30.",
        "It costs 3.5 million.",
        "Paris",
        "e.g. this",
        "Dr. Who left.",
        "[1]",
        "[^1]",
        "[^1]: note",
        "[a](b)",
        "[1, 2]",
        "[1-3]",
        "(Source: x)",
        "【1†source】",
        "https://a.b/c",
        "**",
        "*",
        "_",
        "`",
        "```",
        "~~~",
        "#",
        "##",
        "- ",
        "1. ",
        "> ",
        ">",
        "\\",
        "",
        "\\",
        "---\\",
        "",
        "---",
        "***",
        "===",
        "<b>",
        "</b>",
        "<br>",
        "&amp;",
        "&#x2e;",
        "\\\\",
        "who was here,",
        ", which is old,",
        "and it won;",
        "?",
        "!",
        "…",
        "。",
        "؟",
        "中文句子",
        "नमस्ते।",
        "שלום",
        "\u200b",
        "\u200d",
        "\xad",
        "\ufeff",
        "é",
        "😀",
        "👩\u200d💻",
        "✅",
        "\u2028",
        "\x0c",
        "\t",
        "Sources:",
        "Yes.",
        "No, it isn't.",
        "She left and he stayed.",
        "If so, we go.",
        '"Quoted," he said.',
        "(",
        ")",
        "[",
        "]",
    ]
).map(lambda piece: piece.replace("\\", "") if piece != "\\\\" else "\\")
DENSE = st.lists(
    st.tuples(PIECES, st.sampled_from(["", " ", "\n", "\r\n", "\n\n", "\r", "  \n", "    "])),
    max_size=24,
).map(lambda parts: "".join(piece + gap for piece, gap in parts))
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
ANSWERS = st.one_of(ANY, DENSE)
QUESTIONS = st.one_of(
    st.none(), ANY, st.sampled_from(["Who was it?", "Is it so?", "How many days?", "?", "When?"])
)
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

RULES = Extractor(RuleParser())


@pytest.fixture(scope="module")
def english():
    """One English extractor; its pipeline is loaded once."""
    return make_extractor()


def uncovered(text: str, spans: list[Span]) -> str:
    """Non-space characters of a text that no span holds."""
    held = bytearray(len(text))
    for span in spans:
        held[span.start : span.end] = b"\x01" * (span.end - span.start)
    return "".join(c for c, h in zip(text, held, strict=True) if not h and not c.isspace())


def check(answer: str, claims) -> None:
    """All that holds for the claims of any answer."""
    assert [f"c{n}" for n in range(1, len(claims) + 1)] == [c.id for c in claims]
    assert uncovered(answer, [c.sentence for c in claims]) == ""
    by_sentence: dict[Span, list] = {}
    for claim in claims:
        assert claim.text == claim.span.of(answer)
        assert claim.text.strip()
        assert claim.sentence.contains(claim.span)
        assert bool(claim.hypothesis.strip()) or not claim.checkworthy
        assert not claim.facets or claim.checkworthy
        for citation in claim.citations:
            assert citation.marker == citation.span.of(answer)
        by_sentence.setdefault(claim.sentence, []).append(claim)
    starts = [c.span.start for c in claims]
    assert sorted(starts) == starts
    sentences = sorted(by_sentence)
    assert all(a.end <= b.start for a, b in itertools.pairwise(sentences))


@given(ANSWERS, QUESTIONS)
@SLOW
def test_claims_of_any_answer_by_rule(answer, question):
    """Spans are exact, in order, and sentences hold every character, whatever the text."""
    check(answer, RULES.extract(answer, question=question, sources=SOURCES))


@pytest.mark.integration
@given(answer=ANSWERS, question=QUESTIONS)
@SLOW
def test_claims_of_any_answer_in_english(english, answer, question):
    """The same with syntax: clauses, pronouns and short answers never lose a character."""
    check(answer, english.extract(answer, question=question, sources=SOURCES))


@given(ANSWERS)
def test_sentences_hold_every_character(text):
    """The cheap splitter for sources loses nothing, never overlaps and never returns space."""
    spans = rules.split(text)
    assert uncovered(text, spans) == ""
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    assert all(span.of(text) == span.of(text).strip() for span in spans)


@given(ANSWERS)
def test_blocks_hold_every_character_once(text):
    """Every non-space character stands in one block, and content stands inside its block."""
    blocks = segment(text)
    assert uncovered(text, [block.span for block in blocks]) == ""
    assert all(a.span.end <= b.span.start for a, b in itertools.pairwise(blocks))
    assert all(block.span.contains(line) for block in blocks for line in block.lines)


@given(ANSWERS)
def test_citations_are_what_stands_there(text):
    """A marker is the text at its span, and a resolved one names a source we have."""
    for citation in find_citations(text, SOURCES):
        assert citation.marker == citation.span.of(text)
        assert citation.source_id in {None, "s1", "doc-2"}


@given(
    ANSWERS.filter(str.strip),
    st.lists(st.tuples(st.integers(0, 250), st.integers(1, 30)), max_size=4),
)
def test_provider_annotations_anywhere_never_crash(answer, places):
    """Annotations may stand anywhere, even past the end; each inside one is attached to a claim."""
    notes = [Citation(Span(a, a + n), "", "s1", "s1") for a, n in places]
    claims = RULES.extract(answer, sources=SOURCES, annotations=notes)
    inside = {a for a, _ in places if a < len(answer)}
    attached = {c.span.start for claim in claims for c in claim.citations if c.marker == ""}
    assert inside <= attached


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\t \r\n"])
def test_nothing_said_gives_no_claims(text):
    """An empty answer has no claims, and an empty source no sentences."""
    assert RULES.extract(text, question="Who?") == ()
    assert RULES.sentences(text) == []


LONG = 100_000
MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "unit",
    [
        "The fee is $30 [1]. It rose! ",
        "a",
        "a ",
        "*",
        "**",
        "`",
        "[",
        "(",
        "[1]",
        "[a](",
        "> ",
        ">",
        "- ",
        "|",
        "| a |\n",
        "#",
        "\n",
        "---\n",
        "e.g. ",
        "U.S. ",
        "(see ",
        "[^1]: ",
        "<b ",
        "&",
        "_",
        "'",
        "“a ",
        "https://a.b ",
        "。",
        "- a:\n  - b\n",
        "```\n",
        "1. ",
        "?",
        " (a",
        "a[1]",
    ],
)
def test_long_runs_are_read(unit):
    """A hundred thousand characters of anything are read: a quadratic step would take an hour."""
    text = (unit * (LONG // len(unit) + 1))[:LONG]
    claims = RULES.extract(text, sources=SOURCES)
    assert uncovered(text, [c.sentence for c in claims]) == ""
    assert uncovered(text, RULES.sentences(text)) == ""


def test_a_megabyte_is_read():
    """An answer of a megabyte keeps every character and every claim."""
    text = "The fee is $30 [1]. It rose!\n\n" * (MEGABYTE // 30)
    claims = RULES.extract(text, sources=SOURCES)
    assert uncovered(text, [c.sentence for c in claims]) == ""
    assert len(claims) == 2 * (MEGABYTE // 30)


@pytest.mark.integration
def test_a_long_run_without_a_sentence_is_parsed_in_pieces(english):
    """What never ends is cut where the parser can take it, and nothing is lost."""
    text = "word " * 4_000 + "x" * 5_000
    claims = english.extract(text)
    assert uncovered(text, [c.sentence for c in claims]) == ""
    assert len(claims) > 10
