"""What a short answer states, and whether another states it too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.values import Stated, facts, negated, stated

CAPITAL = "What is the capital of France?"


@pytest.mark.parametrize(
    ("answer", "other", "relation"),
    [
        ("Paris.", "The capital of France is Paris.", Stated.SAME),
        ("Paris.", "Surely it is Lyon, as everybody in France knows.", Stated.OTHER),
        ("Paris.", "Nobody can tell.", Stated.ABSENT),
        ("The tower is 330 m tall.", "330 metres", Stated.SAME),
        ("The tower is 330 m tall.", "0.33 km", Stated.SAME),
        ("The tower is 330 m tall.", "It is 12 m tall.", Stated.OTHER),
        ("5 May 1990", "On May 5, 1990.", Stated.SAME),
        ("5 May 1990", "On May 6, 1990.", Stated.OTHER),
        ("About 30 %", "28.5 percent", Stated.SAME),
        ("It was Barack Obama.", "Obama won.", Stated.SAME),
        ("It was Michelle Obama.", "It was Barack Obama.", Stated.OTHER),
        ("blue", "It is blue.", Stated.SAME),
        ("blue", "It is red.", Stated.ABSENT),
    ],
)
def test_facts_are_found_in_other_words(answer: str, other: str, relation: Stated) -> None:
    """Format, unit, order and fullness of a name do not matter; what is said does."""
    (fact,) = facts(answer, known=CAPITAL)
    assert stated(fact, other) is relation


def test_what_the_question_gave_is_no_fact_of_the_answer() -> None:
    """Repeating the question agrees with nothing."""
    found = facts("In 1998 France won in Paris.", known="Where did France win in 1998?")
    assert [fact.key for fact in found] == ["name:paris"]


def test_a_long_text_without_values_states_no_fact() -> None:
    """It is no short factual answer."""
    text = "many people like to look at it from the far side of the river on warm evenings"
    assert facts(text) == ()


def test_equal_values_have_equal_keys() -> None:
    """So that answers can be put together by them."""
    for one, other in [("5 km", "5000 m"), ("5 May 1990", "May 5, 1990"), ("Paris", "paris.")]:
        assert {fact.key for fact in facts(one)} == {fact.key for fact in facts(other)}


@given(st.text(max_size=60))
def test_every_text_states_its_own_facts(text: str) -> None:
    """And reading facts fails on no text."""
    for fact in facts(text):
        assert stated(fact, text) is Stated.SAME
    assert negated(text) in {True, False}
