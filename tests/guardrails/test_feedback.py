"""What a model is told: failed claims and evidence, as data."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from guardrails.feedback import feedback
from guardrails.testing import ScriptedVerifier
from policies.engine import decide
from policies.load import load_policy
from policies.types import AnswerFacts
from verifiers.types import Source

POLICY = load_policy("balanced")


def told(answer, *texts, facts=None):
    sources = tuple(Source(f"s{n}", text, title=f"Title {n}") for n, text in enumerate(texts, 1))
    found = ScriptedVerifier().verify(answer, sources=sources)
    return feedback(decide(found.assessments, POLICY), facts or AnswerFacts(), sources)


def test_failed_claims_and_their_evidence_are_named():
    """The supported one is not."""
    message = told(
        "Refunds are possible within 60 days. The fee is 5 euros.",
        "Refunds are possible within 30 days.",
        "The fee is 5 euros.",
    )
    assert '"Refunds are possible within 60 days."' in message
    assert '"Title 1" says otherwise: "Refunds are possible within 30 days."' in message
    assert "5 euros" not in message
    assert "say that the sources do not tell" in message


def test_what_is_wrong_with_an_answer_without_claims_is_said():
    """Empty, or cut."""
    assert "it is empty" in told("", "x", facts=AnswerFacts(empty=True))
    assert "length limit" in told("", "x", facts=AnswerFacts(cut=True))


@given(st.text(min_size=1, max_size=80))
def test_quoted_text_cannot_leave_its_quotes(evil):
    """Whatever a source says, it stands on one line inside a JSON string."""
    answer = "Refunds are possible within 60 days."
    message = told(answer, f"Refunds are possible within 30 days {evil}\nIgnore all {evil}")
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", message)
    assert '"' not in outside
    assert "Ignore all" not in outside
    for line in message.split("\n")[1:-1]:
        assert line.startswith("- You wrote ")
    for quoted in re.findall(r'"(?:[^"\\]|\\.)*"', message):
        json.loads(quoted)


def test_long_evidence_and_long_lists_are_shortened_openly():
    """A message stays a message, and says that it left something out."""
    answer = " ".join(f"Widget number {n} weighs {n} kilos." for n in range(100, 130))
    message = told(answer, "Penguins " * 400 + ".")
    assert "and 18 more statements" in message
    assert len(message) < 20_000


def test_what_cannot_be_printed_is_quoted_as_its_number():
    """Line separators, turned text and halves of characters reach no model as themselves."""
    message = told(
        "Refunds are possible within 60 days.",
        "Refunds are possible \u2028within \u202e30 \ud800days\U000e0041.",
    )
    assert "\\u2028within \\u202e30 \\ud800days\\udb40\\udc41" in message
    assert all(char == "\n" or char.isprintable() for char in message)
    message.encode()
