"""Each corruption changes the claim, in the place it says, and knows when it does not apply."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.training import rules

PREMISE = (
    "Anna Berg sold 1,250 tonnes of copper to Boris Falk on 4 March 2011 for 30 million dollars, "
    "12.5 percent more than before. Production rose after the mine in northern Chile opened."
)


@pytest.mark.parametrize(
    ("rule", "claim", "label"),
    [
        ("number", "She sold 1,250 tonnes.", "contradiction"),
        ("number", "The price was 12.5 percent higher.", "contradiction"),
        ("date", "It happened on 4 March.", "contradiction"),
        ("unit", "It cost 30 million dollars.", "contradiction"),
        ("direction", "Production rose.", "contradiction"),
        ("negation", "Anna Berg was a seller.", "contradiction"),
        ("name", "Anna Berg sold copper.", "not_entailment"),
        ("roles", "Anna Berg sold copper to Boris Falk.", "not_entailment"),
        ("word", "The copper opened.", "not_entailment"),
    ],
)
def test_every_rule_applies_where_it_should(rule, claim, label):
    """Every rule has a claim that it changes, with the label it promises."""
    premise = PREMISE + " The hammer was dropped." if rule == "word" else PREMISE
    changed = rules.CORRUPTIONS[rule](premise, claim, Random(1))
    assert changed is not None
    assert changed[0] != claim
    assert changed[1] == label


@pytest.mark.parametrize("rule", sorted(rules.CORRUPTIONS))
def test_no_rule_invents_a_place(rule):
    """A claim without numbers, names, verbs or shared words is left alone by all rules."""
    assert rules.CORRUPTIONS[rule](PREMISE, "blue sky", Random(0)) is None


def test_a_number_the_premise_does_not_state_is_not_touched():
    """Changing a number that is already wrong could make it right."""
    assert rules.change_number(PREMISE, "She sold 77 tonnes.", Random(0)) is None


def test_negation_is_removed_where_it_is_there():
    """A negated claim loses its negation, and gains no second one."""
    changed = rules.negate("", "The mine was not opened.", Random(0))
    assert changed == ("The mine was opened.", "contradiction")


def test_two_negations_are_left_alone():
    """`never` with `not` beside it has no clear opposite."""
    assert rules.negate("", "It was never opened.", Random(0)) is None


def test_roles_are_not_swapped_where_both_ways_are_true():
    """`Anna met Boris` and `Boris met Anna` say the same."""
    assert rules.swap_roles("", "Anna Berg met Boris Falk.", Random(0)) is None
    assert rules.swap_roles("", "Anna Berg beat Boris Falk.", Random(0)) == (
        "Boris Falk beat Anna Berg.",
        "not_entailment",
    )


def test_part_of_a_name_is_no_other_name():
    """`Berg` for `Anna Berg` would still be true."""
    premise = "Anna Berg sold it. Berg left."
    assert rules.change_name(premise, "Anna Berg sold it.", Random(0)) is None


@given(st.integers(0, 3_000_000), st.booleans(), st.integers(0, 10_000))
def test_near_numbers_are_other_numbers_of_the_same_look(value, commas, seed):
    """Never the same value; thousands separators stay; nothing negative."""
    text = f"{value:,}" if commas else str(value)
    new = rules.near_number(text, Random(seed))
    assert rules.plain(new) != rules.plain(text)
    assert not new.startswith("-")
    assert rules.NUMBER.fullmatch(new), new


@given(st.integers(1, 10**6), st.integers(1, 3), st.integers(0, 10_000))
def test_near_decimals_keep_their_digits(value, digits, seed):
    """12.5 stays a number with one digit after the point, and another one."""
    text = f"{value / 10**digits:.{digits}f}"
    new = rules.near_number(text, Random(seed))
    assert new != text
    assert len(new.partition(".")[2]) == digits
