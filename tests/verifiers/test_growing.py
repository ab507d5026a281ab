"""Claims of an answer that grows: those of the answer at once, without reading it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from verifiers.claims import Extractor, make_extractor
from verifiers.claims.boundaries import Boundaries
from verifiers.claims.reader import Reader
from verifiers.rules import RuleParser
from verifiers.text import Memo
from verifiers.types import Citation, Source, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES = (
    Source("s1", "x", title="Policy 2023", uri="https://example.com/policy"),
    Source("doc-2", "y", title="policy.md"),
)
# What a later line can still change, and what depends on what stood before.
PARTS = [
    "\n```The fee is 5 euros now.\n",
    "The fee is $30.",
    " It is due in May.",
    " He left early [1].",
    " [2]",
    "[1-3] ",
    " (see",
    ")",
    "\n[1])",
    "\n\n[1]: Policy 2023\n",
    "\n[2] policy.md\n",
    "\n[^1]: note",
    "[^1]",
    "\n\n",
    "\n",
    "\r\n",
    "\r",
    "\n\n# Refunds\n",
    "\n\n**Summary**\n",
    "\n\nSources:\n",
    "\n- Report, 2020.",
    "\n\nIt includes:\n- food\n- drink\n",
    "\n  - more\n",
    "\n1. Rome",
    "\n> quoted",
    "\n| a | b |",
    "\n|---|---|",
    "\n| 1 | 2 |",
    "\n```\n",
    "x = f(1)",
    "\n    y = 2\n",
    '{"a": 1}',
    "[",
    "](u)",
    "*",
    "**",
    "`",
    "<b>",
    "&amp;",
    "  ",
    "Yes.",
    "No, it isn't.",
    "Paris",
    " She said so, and it rose.",
    " Dr.",
    " U.S.",
    " Who?",
    " Is that so?",
    "。",
    " list",
    " =",
    "---\n",
    "***",
]
ANSWERS = st.one_of(
    st.lists(st.sampled_from(PARTS), max_size=30).map("".join),
    st.lists(st.sampled_from(PARTS), max_size=12).map("\n\n".join),
    st.text(alphabet="aB. *_`[]()|\n-#>1!:?\"'<&\r", max_size=60),
)
QUESTIONS = st.sampled_from([None, "Who was it?", "Is it so?", "How many days are there?"])
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
RULES = Extractor(RuleParser())


@pytest.fixture(scope="module")
def english() -> Extractor:
    return make_extractor()  # type: ignore[return-value]


def places_of(data: st.DataObject, text: str) -> list[int]:
    """Where a text is read: its boundaries, or anywhere; not always going on."""
    if data.draw(st.booleans()):
        boundaries = Boundaries(SOURCES)
        return [*boundaries.push(text), *boundaries.finish()]
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=10))
    return [*(sorted(places) if data.draw(st.booleans()) else places), len(text)]


def assert_the_same(extractor: Extractor, text: str, places: Sequence[int], question) -> Memo:
    """At every place the claims are those of a reader who sees the text for the first time."""
    memo = Memo()
    for place in places:
        part = text[:place]
        once = extractor.extract(part, question=question, sources=SOURCES)
        assert extractor.extract(part, question=question, sources=SOURCES, memo=memo) == once
    return memo


@settings(SLOW, max_examples=200)
@given(ANSWERS, QUESTIONS, st.data())
def test_a_growing_answer_has_the_claims_of_the_whole(text, question, data) -> None:
    """Whatever its markup, wherever it is cut, and when it goes back."""
    assert_the_same(RULES, text, places_of(data, text), question)


@pytest.mark.integration
@settings(SLOW, max_examples=40)
@given(answer=ANSWERS, question=QUESTIONS, data=st.data())
def test_a_growing_english_answer_has_the_claims_of_the_whole(
    english, answer, question, data
) -> None:
    """Pronouns, short answers and lead-ins reach back over what is not read again."""
    assert_the_same(english, answer, places_of(data, answer), question)


@settings(SLOW, max_examples=60)
@given(ANSWERS.filter(str.strip), st.data())
def test_annotations_are_read_whenever_they_come(text, data) -> None:
    """A call with annotations, between calls without, changes none of them."""
    start = data.draw(st.integers(0, len(text)))
    notes = [Citation(Span(start, start + 5), "", "s1", "s1")]
    memo = Memo()
    for place in places_of(data, text):
        for found in ((), notes, ()):
            once = RULES.extract(text[:place], sources=SOURCES, annotations=found)
            again = RULES.extract(text[:place], sources=SOURCES, annotations=found, memo=memo)
            assert again == once


def test_another_question_is_another_reading() -> None:
    """What is remembered is of one answer to one question about one set of sources."""
    memo = Memo()
    text = "Paris.\n\nIt is old [1]. It\n\nis big."
    for question, sources in (("Where?", SOURCES), ("Is it so?", SOURCES), (None, SOURCES[1:])):
        once = RULES.extract(text, question=question, sources=sources)
        assert RULES.extract(text, question=question, sources=sources, memo=memo) == once


PROSE = " ".join(f"Item {n} costs {n} euros, and it is sold in town {n} [1]." for n in range(120))
MIXED = "\n\n".join(
    f"## Item {n}\n\nIt costs {n} euros [1]. It is sold in May. Ask the shop.\n\nIt has:\n"
    f"- one part of {n} grams\n- one box\n\n| Year | Sold |\n|---|---|\n| 2019 | {n} |\n"
    f"| 2020 | {n} |\n\n```\nx = f({n})\n```"
    for n in range(20)
)
ROWS = "| Year | Sold |\n|---|---|\n" + "".join(f"| {n} | {n + 1} |\n" for n in range(150))
LISTED = "It rose [1]. It fell [7].\n\nSources:\n" + "".join(f"[{n}] Note {n}\n" for n in range(60))


@pytest.mark.parametrize("text", [PROSE, MIXED, ROWS, LISTED], ids=["one", "mixed", "rows", "refs"])
def test_what_was_read_is_not_read_again(english, monkeypatch, text) -> None:
    """The sentences and rows read, each time counted, stay a small multiple of what there is."""
    read: list[int] = []
    for name in ("_sentence", "_row"):
        step = getattr(Reader, name)

        def counting(self, *args, step=step):
            read.append(1)
            return step(self, *args)

        monkeypatch.setattr(Reader, name, counting)
    english.extract(text, sources=SOURCES)
    once = len(read)
    boundaries = Boundaries(SOURCES)
    places = [*boundaries.push(text), *boundaries.finish()]
    assert len(places) > once / 3
    assert_the_same(english, text, [len(text)], None)
    read.clear()
    memo = Memo()
    for place in places:
        found = english.extract(text[:place], sources=SOURCES, memo=memo)
    assert len(read) <= 3 * once
    assert found == english.extract(text, sources=SOURCES)
    assert memo.parsed <= 2 * once


def test_what_is_kept_stays_in_proportion() -> None:
    """An answer that grows by single characters leaves no heap of halves behind."""
    memo = Memo()
    for size in range(1, 1_000):
        memo.begin(size)
        memo.put("x" * size, ())
        assert memo.held <= 16_384 + 5 * size
    assert memo.get("x" * 999) == ()
    assert memo.get("x" * 10) is None
