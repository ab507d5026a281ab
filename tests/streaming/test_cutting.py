"""What is left of an answer while it grows joins to what is left of the whole answer."""

from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from guardrails.actions import cut
from guardrails.streaming.cutting import Cutting
from verifiers.types import Span

_STARTS = ["", "- ", "* ", "1. ", "> ", "# ", "  - ", "| ", "**", "*", '"', "  ", "- [x] "]
_ENDS = ["", " ", "  ", "**", "*", '"', " |", " [1]", "."]
_BREAKS = ["\n", "\r\n", "\n\n", "\r\n\r\n", "\n \n", "\r", " ", "  "]


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, list[Span], list[int]]:
    """A text, sentences of it that are to go, and places between sentences."""
    text, bad, places = "", [], []
    for number in range(draw(st.integers(1, 8))):
        text += draw(st.sampled_from(_STARTS))
        said = f"s{number} is so."
        if draw(st.booleans()):
            bad.append(Span(len(text), len(text) + len(said)))
        text += said
        places.append(len(text))
        text += draw(st.sampled_from(_ENDS))
        if text[-1] != " ":
            places.append(len(text))
        text += draw(st.sampled_from(_BREAKS))
    return text, bad, places


@given(answers(), st.data())
@example(("- a s0.\n\n- b\n\nc", [Span(2, 7)], [7, 12]), None)
def test_pieces_join_to_what_the_whole_answer_becomes(given_answer, data) -> None:
    """However many sentences are decided at once, and however much is taken at a time."""
    text, bad, places = given_answer
    steps = sorted(data.draw(st.sets(st.sampled_from(places)))) if data else places
    cutting = Cutting()
    sent, out = 0, []
    for before, upto in itertools.pairwise([0, *steps, len(text)]):
        last = upto == len(text)
        new = [span for span in bad if before < span.end <= upto]
        cutting.grow(text[:upto], new, last=last)
        if last and before == upto and sent == upto:
            break
        while sent < cutting.certain:
            most = cutting.certain - sent
            size = data.draw(st.integers(1, most)) if data else most
            out.append(cutting.kept(sent, sent + size))
            sent += size
    expected, removed = cut(text, bad) if bad else (text, ())
    assert "".join(out) == expected
    assert cutting.removed == removed
    for span in bad:
        assert span.of(text) not in "".join(out)
