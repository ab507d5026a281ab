"""Where a growing answer may be cut: for good, early, and however the text arrives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from verifiers.claims import Extractor, make_extractor
from verifiers.claims.boundaries import Boundaries
from verifiers.rules import RuleParser
from verifiers.types import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifiers.types import Claim

SOURCES = (
    Source("s1", "x", title="Policy 2023", uri="https://example.com/policy"),
    Source("doc-2", "y", title="policy.md"),
    Source("Foo. Bar c", "z"),
)
PIECES = [
    "\n```The fee is 5 euros now.\n",
    "The fee is $30.",
    " It costs 3.5 million.",
    " Paris",
    "e.g. this",
    " Dr. Who left.",
    " [1]",
    "[^1]",
    "\n[^1]: note",
    "[a. B](b)",
    "[Foo. Bar c]",
    " [1, 2]",
    "[1-3]",
    " (Source: x)",
    " (Yes. No one)",
    " 【1†source】",
    " https://a.b/c.",
    "**",
    "*",
    "_",
    "`",
    "```",
    "\n```\n",
    "~~~",
    "\n# ",
    "##",
    "\n- ",
    "\n1. ",
    "\n> ",
    ">",
    "\\",
    "\n",
    "\n\n",
    "\n---\n",
    "***",
    "===",
    "<b>",
    "</b>",
    "<br>",
    ' <a href="x. y">',
    "&amp;",
    "&#x2e;",
    " who was here,",
    " and it won;",
    "?",
    "!",
    "…",
    "。",
    "؟",
    "中文句子",
    "नमस्ते।",
    " שלום",
    "\u200b",
    "\u200d",
    "\xad",
    "\r\n",
    "\r",
    "\t",
    "    code = 1\n",
    " Inc. The",
    " U.S. Army.",
    " No. 5",
    ". ",
    " ",
    '"Yes." he',
    " '",
    "”",
    "👍",
    " ✅ ",
    "é",
    '\n{"a": 1}',
    "{",
    "[",
    "]",
    "(",
    ")",
    "<",
    '![x. Y](z "T. U")',
    " Upper Case",
    " 3.",
    " in 1990.",
    " :\n",
    "Sources:\n",
    " Here is the list:\n",
    "¹",
    " Foo.¹",
    " array [0, 1]",
    "\u2028",
    "-->",
    " - ",
    "x = [1]",
    "It is",
    "They were. ",
]
ANSWERS = st.one_of(
    st.lists(st.sampled_from([*PIECES, "|", "\n| a | b |", "\n|---|---|"]), max_size=25).map(
        "".join
    ),
    st.text(alphabet="aB. *_`[]()|\n-#>1!:?\"'<&\r", max_size=60),
    st.text(max_size=60),
)
REAL = {
    "prose": (
        "Refunds are paid within 5 days. Dr. Smith, of Acme Inc., said so in 2019... twice. "
        "Is that right? Yes! It costs $3.50, i.e. 10% more than in Jan. 2020.\n\n"
        'The U.S. office opened on 3 Mar. 2021. "We are glad." He left.\n'
    ),
    "citations": (
        "The fee is $30.[1] It is due in May. [2] Late fees apply [1][2]. See (Source: 2).\n\n"
        "【1†source】 The office (in Bonn) is closed. [Read more](https://a.b/c). Done."
    ),
    "markdown": (
        "# Refunds\n\n**Summary.** You may return items.\n\nSteps:\n1. **Ask:** Write to us. Wait.\n"
        "   - Keep the box. It is needed\n   - Print the label\n2. Send it\n\n> Quoted text. More.\n"
        "> Still quoted.\n\n---\n\n*All prices net. No tax.* Ask _us_. Thanks! 👍\n"
    ),
    "table": (
        "Prices:\n\n| Plan | Price |\n|---|---|\n| Basic. | $10 |\n| Pro | $20 |\n\nThat is all. Bye\n"
        "a | b\nc. D | e\n"
    ),
    "code": "Run this. Then wait:\n\n```py\nx = f(1). y\n\nprint(x)\n```\nIt prints. Done\n\n    z = 1\n",
    "json": '{"fee": "30. Euros", "terms": ["a", 2.5]}\n',
    "json that is none": '[1] The fee is 30. It is due.\n\n{"a": 1}\n\nSo. There.',
    "footnotes": "It rose[^1]. It fell.[^2]\n\n[^1]: Report. 2020.\n[^2]: https://a.b\n\nSources:\n- A\n",
    "scripts": "价格是三十元。**请**注意！“好。”他说。\r\n\r\nनमस्ते। यह है। שלום. وداعا؟ نعم.\n",
    "fields": "Name: Foo\nCity: Bonn\nThis line is longer than the fifty characters it takes to wrap\nOne. Two.\n",
}


def offsets(
    text: str, cuts: Iterable[int] | None = None, sources=None
) -> tuple[list[int], list[int]]:
    """The boundaries of a text pushed in pieces, and how much was there when each was given."""
    boundaries = Boundaries(sources)
    places = [*sorted(set(cuts if cuts is not None else range(len(text)))), len(text)]
    found: list[int] = []
    known: list[int] = []
    at = 0
    for place in places:
        new = boundaries.push(text[at:place])
        found.extend(new)
        known.extend([place] * len(new))
        at = place
    new = boundaries.finish()
    return [*found, *new], [*known, *[len(text)] * len(new)]


def settled(claims: Iterable[Claim]) -> list[Claim]:
    """Claims without what a list of references further down may say: which source a number is."""
    return [
        replace(c, citations=tuple(replace(m, source_id=None) for m in c.citations)) for c in claims
    ]


def assert_closed(extractor: Extractor, text: str, sources=(), known=None) -> None:
    """At every boundary the claims before it are those of the whole text."""
    found, _ = offsets(text, sources=known)
    assert found == sorted(set(found))
    assert found[-1:] == ([len(text)] if text else [])
    whole = settled(extractor.extract(text, sources=sources))
    for place in found:
        part = settled(extractor.extract(text[:place], sources=sources))
        assert part == [c for c in whole if c.span.start < place], (place, text[:place])


@pytest.fixture(scope="module")
def rules() -> Extractor:
    return Extractor(RuleParser())


@pytest.mark.parametrize("text", REAL.values(), ids=REAL)
def test_claims_before_a_boundary_are_those_of_the_whole_answer(text: str) -> None:
    """With syntax and citations: whatever followed, nothing before the cut reads otherwise."""
    assert_closed(make_extractor(), text, SOURCES)  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANSWERS, st.sampled_from(["none", "unknown", "known"]))
@example("The fee is $30. [1, 2]&#x2e; :\n", "none")  # what a marker leaves ends with the entity
@example("The fee is $30. [1]\U000e0041 :\n", "none")  # or with a letter in disguise
def test_no_text_moves_what_was_given(rules: Extractor, text: str, mode: str) -> None:
    """The same for arbitrary markup, whether or not the sources are known."""
    sources = () if mode == "none" else SOURCES
    assert_closed(rules, text, sources, SOURCES if mode == "known" else None)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANSWERS, st.data())
def test_the_pieces_a_text_comes_in_do_not_matter(text: str, data: st.DataObject) -> None:
    """One push, any pieces and single characters give the same offsets."""
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    single, _ = offsets(text)
    assert offsets(text, cuts)[0] == single
    assert offsets(text, [])[0] == single


@pytest.mark.parametrize("following", ["B", "7", "“B"])
def test_a_sentence_is_given_with_the_first_character_behind_it(following: str) -> None:
    """Not a character later: the space and one more."""
    boundaries = Boundaries()
    assert boundaries.push("The fee is thirty euros. ") == ()
    assert boundaries.push(following) == (24,)


def test_a_blank_line_ends_a_paragraph_at_once() -> None:
    """No character of the next one is waited for."""
    boundaries = Boundaries()
    assert boundaries.push("No full stop here\n") == ()
    assert boundaries.push("\n") == (17,)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("It costs 3.5 million e", []),
        ("Write to Dr. Who and M", []),
        ("See [the. Terms](u", []),
        ("```\ncode. More\n", []),
        ("你好。\u0301x", []),
        ("One.\r\n\r\nT", [4]),
        ('{"a": "B. C"', []),
        ("| A. | B |\nx", []),
    ],
)
def test_nothing_is_cut_that_belongs_together(text: str, whole: list[int]) -> None:
    """Numbers, abbreviations, links, fences, combining marks, line ends, JSON, heads of tables."""
    assert [p for c in [Boundaries()] for ch in text for p in c.push(ch)] == whole


def test_rows_and_items_are_given_one_by_one() -> None:
    """Each with the end of its line, or what shows that the next one begins."""
    text = "| A | B |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\n- one\n- two\n- three"
    found, _ = offsets(text)
    assert [text[a:b].strip() for a, b in zip([0, *found], found, strict=False)] == [
        "| A | B |\n|---|---|",
        "| 1 | 2 |",
        "| 3 | 4 |",
        "- one",
        "- two",
        "- three",
    ]


def test_nothing_may_follow_the_end() -> None:
    """A finished answer takes no more text, and finishing twice gives nothing."""
    boundaries = Boundaries()
    assert boundaries.push("   ") == ()
    assert boundaries.finish() == (3,)
    assert boundaries.finish() == ()
    with pytest.raises(ValueError, match="finished"):
        boundaries.push("x")
    assert Boundaries().finish() == ()
