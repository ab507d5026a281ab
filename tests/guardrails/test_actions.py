"""Acting on decisions: what is cut stays cut, and everything else stays."""

from __future__ import annotations

import string
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.actions import apply, cut, merge
from guardrails.report import Disposition
from policies.types import Action, ClaimDecision, Decision
from verifiers.types import (
    CitationStatus,
    Claim,
    ClaimKind,
    Coverage,
    EvidenceSpan,
    NotCheckworthy,
    SkipReason,
    Span,
    Supported,
    Unsupported,
)

EVIDENCE = EvidenceSpan("s", Span(0, 1), "x")
COVERAGE = Coverage(1, 1, 1, 1)


def claim(answer, part, number=1, skip=None):
    start = answer.index(part)
    span = Span(start, start + len(part))
    return Claim(f"c{number}", span, part, ClaimKind.SENTENCE, span, part, skip=skip)


def entry(answer, part, action, number=1):
    it = claim(answer, part, number)
    kind = Supported if action is Action.PASS else Unsupported
    verdict = kind(it, 0.5, 0.1, EVIDENCE, COVERAGE, "reason", CitationStatus.UNCITED)
    return ClaimDecision(verdict, action, "rule")


def decision(action, *claims):
    return Decision(action, tuple(claims), (), "p", "d")


def acted(answer, decided, hold=True):
    return apply(answer, decided, refusal="REFUSED", hold=hold, holding="HELD")


def spans(text, *parts):
    return [Span(text.index(part), text.index(part) + len(part)) for part in parts]


@pytest.mark.parametrize(
    ("action", "hold", "text", "disposition"),
    [
        (Action.PASS, True, "One. Two.", Disposition.RELEASED),
        (Action.ANNOTATE, True, "One. Two.", Disposition.RELEASED),
        (Action.REGENERATE, True, "REFUSED", Disposition.REFUSED),
        (Action.REVIEW, True, "HELD", Disposition.HELD),
        (Action.REVIEW, False, "One. Two.", Disposition.FLAGGED),
        (Action.REFUSE, True, "REFUSED", Disposition.REFUSED),
    ],
)
def test_each_action_gives_its_text(action, hold, text, disposition):
    """A regenerate that was never settled lets nothing out."""
    answer = "One. Two."
    done = acted(answer, decision(action, entry(answer, "One.", action)), hold)
    assert (text, disposition) == (done.text, done.disposition)


def test_redact_takes_out_the_claims_that_ask_for_it_or_worse():
    """Annotated sentences stay; redacted and worse ones go."""
    answer = "One is fine. Two is bad. Three is noted. Four is worse."
    done = acted(
        answer,
        decision(
            Action.REDACT,
            entry(answer, "One is fine.", Action.PASS, 1),
            entry(answer, "Two is bad.", Action.REDACT, 2),
            entry(answer, "Three is noted.", Action.ANNOTATE, 3),
            entry(answer, "Four is worse.", Action.REFUSE, 4),
        ),
    )
    assert done.text == "One is fine. Three is noted."
    assert done.disposition == Disposition.REDACTED


def test_redact_without_a_named_claim_takes_out_all_that_is_not_supported():
    """An answer-level rule asked for it; no single claim did."""
    answer = "One is fine. Two is bad."
    done = acted(
        answer,
        decision(
            Action.REDACT,
            entry(answer, "One is fine.", Action.PASS, 1),
            entry(answer, "Two is bad.", Action.ANNOTATE, 2),
        ),
    )
    assert done.text == "One is fine."


def test_redact_that_leaves_nothing_worth_checking_refuses():
    """A greeting alone is no answer."""
    answer = "Hello! Two is bad."
    hello = ClaimDecision(
        NotCheckworthy(claim(answer, "Hello!", skip=SkipReason.GREETING), SkipReason.GREETING),
        Action.PASS,
        "not_checkworthy",
    )
    done = acted(
        answer, decision(Action.REDACT, hello, entry(answer, "Two is bad.", Action.REDACT, 2))
    )
    assert (done.text, done.disposition) == ("REFUSED", Disposition.REFUSED)


def test_redact_with_nothing_to_take_out_refuses():
    """Releasing the whole answer would be milder than what was decided."""
    answer = "One is fine."
    done = acted(answer, decision(Action.REDACT, entry(answer, "One is fine.", Action.PASS)))
    assert done.text == "REFUSED"


@pytest.mark.parametrize(
    ("text", "parts", "left"),
    [
        ("A one. B two. C three.", ["B two."], "A one. C three."),
        ("A one. B two.", ["A one."], "B two."),
        ("A one. B two.", ["B two."], "A one."),
        ("A one. B two. C three.", ["B two.", "C three."], "A one."),
        ("A one. B two. C three.", ["A one.", "B two."], "C three."),
        ("Intro:\n- a\n- b\n- c\n\nEnd.", ["b"], "Intro:\n- a\n- c\n\nEnd."),
        ("Intro:\n- a\n- b\n- c", ["c"], "Intro:\n- a\n- b"),
        ("1. a\n2) b\n3. c", ["b"], "1. a\n3. c"),
        ("- a\n  - [x] b\n- c", ["b"], "- a\n- c"),
        ("P1.\n\nP2.\n\nP3.", ["P2."], "P1.\n\nP3."),
        ("P1.\n\nP2.", ["P1."], "P2."),
        ("P1.\r\n\r\nP2.\r\n\r\nP3.", ["P2."], "P1.\r\n\r\nP3."),
        ("A one. B\ntwo. C three.", ["B\ntwo."], "A one. C three."),
        (
            "| h | k |\n|---|---|\n| a | b |\n| c | d |\n",
            ["a | b"],
            "| h | k |\n|---|---|\n| c | d |\n",
        ),
        ("A one [1]. **B two.** [2]\nC.", ["B two."], "A one [1]. [2]\nC."),
        ("A.\n**B two.** [2]\nC.", ["B two."], "A.\nC."),
        ("> q one. q two.", ["q one."], "> q two."),
        ("甲。乙。丙。", ["乙。"], "甲。 丙。"),
    ],
)
def test_what_a_cut_leaves(text, parts, left):
    """White space, list markers and emptied lines go with the sentence; nothing else does."""
    assert left == cut(text, spans(text, *parts))[0]


word = st.text(string.ascii_letters + string.digits + "äß中🎉'", min_size=1, max_size=6)
separator = st.sampled_from([" ", "  ", "\n", "\n\n", "\n- ", "\n1. ", "\t", "\r\n", " \n \n"])


@st.composite
def documents(draw):
    """Sentences that occur once each, with separators, and which of them are to go."""
    count = draw(st.integers(1, 12))
    parts, places = [draw(st.sampled_from(["", "- ", "# ", "\n"]))], []
    for number in range(count):
        words = " ".join(draw(st.lists(word, min_size=1, max_size=4)))
        sentence = f"s{number}q {words}."
        start = sum(map(len, parts))
        places.append(Span(start, start + len(sentence)))
        parts += [sentence, draw(separator)]
    text = "".join(parts)
    gone = draw(st.lists(st.sampled_from(places), unique=True))
    return text, places, gone


@given(documents())
def test_a_cut_sentence_never_appears_and_the_others_survive_in_order(document):
    """Property of redaction, for prose, lists, blank lines and any letters."""
    text, places, gone = document
    left, removed = cut(text, gone)
    at = 0
    for place in places:
        sentence = place.of(text)
        if place in gone:
            assert sentence not in left
        else:
            found = left.find(sentence, at)
            assert found >= at
            at = found + len(sentence)
    # Everything else that went is white space, list markers or headings.
    covered = "".join(span.of(text) for span in removed)
    for place in sorted(gone):
        covered = covered.replace(place.of(text), "", 1)
    assert not covered.strip(string.whitespace + "-#.0123456789")


@given(
    st.text(max_size=60), st.lists(st.tuples(st.integers(0, 59), st.integers(1, 20)), max_size=6)
)
def test_any_spans_of_any_text_can_be_cut(text, pairs):
    """Total: overlapping, adjacent, whatever; the text left is what the removed spans leave."""
    chosen = [Span(a, min(a + n, len(text))) for a, n in pairs if a < min(a + n, len(text))]
    left, removed = cut(text, chosen)
    assert list(removed) == sorted(removed)
    kept = "".join(
        char for i, char in enumerate(text) if not any(s.start <= i < s.end for s in removed)
    )
    assert kept.replace(" ", "") == left.replace(" ", "")
    assert len(left) <= len(text)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9))))
def test_merged_spans_cover_the_same_ground_apart(pairs):
    """No two of them overlap and no place is lost or gained."""
    given_spans = [Span(a, a + n) for a, n in pairs]
    merged = merge(given_spans)
    assert {i for s in given_spans for i in range(s.start, s.end)} == {
        i for s in merged for i in range(s.start, s.end)
    }
    assert all(a.end <= b.start for a, b in pairwise(merged))


def test_a_long_answer_is_cut_quickly_enough():
    """A megabyte with thousands of cuts is linear work; quadratic work would take minutes."""
    sentence = "This is sentence number 0000001. "
    text = sentence * 30_000
    step = len(sentence)
    left, _ = cut(text, [Span(i, i + step - 1) for i in range(0, len(text), 2 * step)])
    assert len(text) // 2 == pytest.approx(len(left), abs=step)


def test_a_line_break_inside_a_span_stays():
    """A paragraph that ends with the span keeps its end."""
    assert cut("A one.\nB two. \nC.", [Span(7, 15)])[0] == "A one.\nC."
    assert cut("Hi. A one.\nB.", [Span(4, 11)])[0] == "Hi.\nB."
