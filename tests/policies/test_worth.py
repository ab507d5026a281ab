"""Which claims a second opinion is asked about: those whose decision it can change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from policies.engine import decide, settle
from policies.errors import PolicyInvalid
from policies.load import load_policy
from policies.types import Spent
from policies.worth import Standing, to_judge, to_sample
from verifiers.types import Consistency, Judgement, ScorerName


def policy(table="consistency", base="balanced", **changes):
    rules = {
        "when": "both" if table == "consistency" else "unsupported",
        **changes.pop("rules", {}),
    }
    return load_policy({"extends": base, table: rules, **changes})


def named(found, *names):
    return [replace(a, claim=replace(a.claim, id=n)) for a, n in zip(found, names, strict=True)]


def ids(found):
    return [a.claim.id for a in found]


@pytest.fixture
def mixed(make):
    """One of each: settled either way, grey on both sides, without evidence, failed, skipped."""
    found = [
        make.scored(0.95, 0.0),
        make.scored(0.05, 0.0),
        make.scored(0.4, 0.0),
        make.scored(0.6, 0.0),
        make.contradicted(),
        make.conflict(),
        make.unverifiable(),
        make.error(),
        make.skipped(),
    ]
    return named(found, "yes", "no", "low", "high", "wrong", "conflict", "none", "error", "skip")


def test_samples_are_for_what_the_sources_left_open(mixed):
    """Grey on either side, and without evidence; nothing that is settled, failed or skipped."""
    loose = {
        "on_contradicted": "annotate",
        "on_conflict": "annotate",
        "answer": {"action": "review"},
    }
    for when, wanted in (
        ("no_evidence", ["none"]),
        ("grey", ["low", "high"]),
        ("both", ["low", "high", "none"]),
        ("never", []),
    ):
        chosen = policy(rules={"when": when}, **loose)
        assert ids(to_sample(mixed, Standing(chosen))) == wanted


def test_a_judge_is_for_claims_with_evidence(mixed):
    """Never without: it would judge from memory. No more than it may be asked about."""
    loose = {
        "on_contradicted": "annotate",
        "on_conflict": "annotate",
        "answer": {"action": "review"},
    }
    chosen = policy("judge", **loose)
    assert ids(to_judge(mixed, Standing(chosen))) == ["no", "low", "high"]
    assert ids(to_judge(mixed, Standing(policy("judge", rules={"claims": 2}, **loose)))) == [
        "no",
        "low",
    ]
    grey = policy("judge", rules={"when": "grey"}, **loose)
    assert ids(to_judge(mixed, Standing(grey))) == ["low", "high"]
    assert to_judge(mixed, Standing(load_policy("balanced"))) == ()


def test_what_samples_settled_is_not_asked_again(make):
    """A grey claim that samples decided needs no judge."""
    chosen = load_policy(
        {"extends": "balanced", "consistency": {"when": "grey"}, "judge": {"when": "grey"}}
    )
    grey = make.scored(0.4, 0.0)
    told = Consistency(ScorerName.NLI, 0.9, 5, 5)
    assert to_judge([replace(grey, consistency=told)], Standing(chosen)) == ()
    assert to_judge([grey], Standing(chosen)) == (grey,)


def test_an_answer_that_is_lost_anyway_needs_no_second_opinion(make):
    """Refused or asked for again whatever comes: nobody is paid."""
    grey = make.scored(0.4, 0.0)
    wrong = make.contradicted()
    refusing = policy(on_contradicted="refuse")
    assert to_sample([grey, wrong], Standing(refusing)) == ()
    again = policy(on_contradicted="regenerate")
    assert to_sample([grey, wrong], Standing(again)) == ()
    # With no attempt left the wrong one is taken out, and the other matters again.
    last = Standing(again, spent=Spent(attempts=9))
    assert to_sample([grey, wrong], last) == (grey,)


def test_measure_asks_all_the_same(make):
    """For those who want to see what it would have said."""
    grey = make.scored(0.4, 0.0)
    never = {
        "on_unsupported": "pass",
        "on_no_evidence": "pass",
        "answer": {"max_unsupported_share": None},
    }
    assert to_sample([grey], Standing(policy(**never))) == ()
    assert to_sample([grey], Standing(policy(rules={"measure": True}, **never))) == (grey,)


def test_a_limit_on_the_whole_answer_makes_a_claim_matter(make):
    """Though nothing is done with the claim itself."""
    grey = make.scored(0.4, 0.0)
    limit = {"max_unsupported": 0, "action": "review"}
    chosen = policy(on_unsupported="pass", answer=limit)
    assert to_sample([grey], Standing(chosen)) == (grey,)


supports = st.sampled_from([0.1, 0.35, 0.45, 0.55, 0.65, 0.9])


@given(
    st.lists(st.none() | supports, min_size=1, max_size=5),
    st.sampled_from(["strict", "balanced", "observe"]),
    st.lists(st.floats(0, 1), min_size=5, max_size=5),
    st.sampled_from(["pass", "annotate", "redact", "review"]),
)
def test_what_is_not_asked_about_could_not_have_changed_the_decision(found, base, scores, action):
    """Whatever samples might have said of the claims left out, the settled action is the same."""
    from tests.policies.conftest import Make

    make = Make()
    claims = [make.unverifiable() if s is None else make.scored(s, 0.0) for s in found]
    claims = named(claims, *(f"c{n}" for n in range(len(claims))))
    try:
        chosen = policy(base=base, on_no_evidence=action)
    except PolicyInvalid:  # unordered
        reject()
    standing = Standing(chosen)
    asked = set(ids(to_sample(claims, standing)))
    told = [
        replace(c, consistency=Consistency(ScorerName.NLI, score, 9, 9))
        for c, score in zip(claims, scores, strict=False)
    ]

    def settled(some):
        return settle(decide(some, chosen), chosen, Spent(), can_regenerate=True).action

    if not asked:
        before, after = settled(claims), settled(told)
        assert before in {after, "regenerate"}
        return
    without = [t if c.claim.id in asked else c for c, t in zip(claims, told, strict=False)]
    assert settled(without) == settled(told)


def test_the_judge_hears_no_claim_twice(mixed):
    """Its own earlier word is no reason to ask again under the same policy."""
    chosen = policy("judge", on_contradicted="annotate", on_conflict="annotate")
    heard = [replace(a, judgement=Judgement("unsupported", None, "j")) for a in mixed]
    assert set(ids(to_judge(heard, Standing(chosen)))) <= {"no", "low", "high"}
