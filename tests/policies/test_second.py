"""The tables for second opinions: what loads, what reaches the verdict, what lint says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.engine import decide
from policies.errors import PolicyInvalid
from policies.lint import lint
from policies.load import load_policy, preset_names
from policies.types import Action
from verifiers.types import Basis, Consistency, Failed, Judgement, ScorerName


def agreement(score, n=5):
    return Consistency(ScorerName.NLI, score, n, n)


def policy(**changes):
    return load_policy({"extends": "balanced", **changes})


def labels(assessments, chosen, **options):
    return [c.verdict.label for c in decide(assessments, chosen, **options).claims]


def test_both_are_off_in_every_preset(make):
    """Sampling and judging cost money: nobody pays for them without having said so."""
    for name in preset_names():
        chosen = load_policy(name)
        assert (chosen.consistency.when, chosen.judge.when) == ("never", "never")
        unsure = replace(make.unverifiable(), consistency=agreement(1.0))
        assert labels([unsure], chosen) == ["unverifiable"]


@pytest.mark.parametrize(
    ("when", "without", "grey"),
    [
        ("never", "unverifiable", "unsupported"),
        ("no_evidence", "supported", "unsupported"),
        ("grey", "unverifiable", "supported"),
        ("both", "supported", "supported"),
    ],
)
def test_when_says_which_claims_samples_decide(make, when, without, grey):
    """Of two consistent claims: one without evidence, one in the grey zone."""
    chosen = policy(consistency={"when": when})
    found = [
        replace(make.unverifiable(), consistency=agreement(0.9)),
        replace(make.scored(0.4, 0.0), consistency=agreement(0.9)),
    ]
    assert labels(found, chosen) == [without, grey]


def test_keep_lets_samples_only_find_fault(make):
    """on_consistent: keep never clears; on_inconsistent: keep never blames."""
    good = replace(make.unverifiable(), consistency=agreement(0.9))
    bad = replace(make.unverifiable(), consistency=agreement(0.1))
    only_fault = policy(consistency={"when": "both", "on_consistent": "keep"})
    only_clear = policy(consistency={"when": "both", "on_inconsistent": "keep"})
    assert labels([good, bad], only_fault) == ["unverifiable", "unsupported"]
    assert labels([good, bad], only_clear) == ["supported", "unverifiable"]


def test_samples_that_could_not_be_had_are_the_policys_on_error(make):
    """Never the milder verdict they might have given."""
    chosen = policy(consistency={"when": "both"}, on_error="refuse")
    failed = Failed("GR304", "the provider failed")
    decision = decide([replace(make.unverifiable(), consistency=failed)], chosen)
    assert decision.action is Action.REFUSE
    assert decision.claims[0].verdict.basis is Basis.CONSISTENCY


def test_a_judge_is_heard_where_the_policy_says(make):
    """And not under one that does not ask it."""
    unsure = make.scored(0.4, 0.0)
    found = replace(unsure, judgement=Judgement("unsupported", None, "judge"))
    near = make.scored(0.55, 0.0)
    doubted = replace(near, judgement=Judgement("unsupported", None, "judge"))
    assert labels([found, doubted], policy()) == ["unsupported", "supported"]
    asked = policy(judge={"when": "grey"})
    assert labels([found, doubted], asked) == ["unsupported", "unsupported"]


def test_a_route_may_switch_it_on():
    """Key by key, with null for no limit."""
    chosen = policy(
        consistency={"seconds": 5},
        routes={"open": {"consistency": {"when": "no_evidence", "seconds": None}}},
    )
    there = chosen.for_route("open").consistency
    assert (there.when, there.seconds, there.samples) == ("no_evidence", None, 10)
    assert chosen.consistency.seconds == 5


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"consistency": {"min_samples": 20}}, "min_samples is more than samples"),
        ({"consistency": {"unsupported": 0.9}}, "unsupported is more than support"),
        ({"consistency": {"grey": [0.7, 0.3]}}, "below the second"),
        ({"consistency": {"scorer": "vibes"}}, "no scorer"),
        ({"consistency": {"level": 1.0}}, "less than 1"),
        ({"judge": {"grey": [0.5, 0.5]}}, "below the second"),
        ({"judge": {"floor": 1.5}}, "less than or equal to 1"),
        ({"judge": {"models": "x"}}, "unknown key"),
        ({"routes": {"a": {"consistency": {"samples": 2}}}}, "min_samples is more than samples"),
    ],
)
def test_what_makes_no_sense_does_not_load(table, words):
    """With the key and the reason."""
    with pytest.raises(PolicyInvalid, match=words):
        policy(**table)


@pytest.mark.parametrize(
    ("table", "rule", "key"),
    [
        ({"consistency": {"when": "both"}}, "fail-open", "consistency.on_consistent"),
        ({"consistency": {"when": "both"}}, "cost", "consistency.cost_usd"),
        ({"consistency": {"when": "both", "seconds": 0.5}}, "budget", "consistency.seconds"),
        ({"consistency": {"when": "both", "seconds": 90}}, "budget", "consistency.seconds"),
        (
            {"consistency": {"when": "both", "temperature": 0}},
            "fail-open",
            "consistency.temperature",
        ),
        (
            {"consistency": {"when": "both", "on_consistent": "keep", "on_inconsistent": "keep"}},
            "no-effect",
            "consistency.on_consistent",
        ),
        ({"judge": {"when": "grey"}}, "cost", "judge.cost_usd"),
        ({"judge": {"when": "grey", "floor": 0.0}}, "fail-open", "judge.floor"),
        (
            {"judge": {"when": "grey", "may_raise": False, "may_lower": False}},
            "no-effect",
            "judge.may_raise",
        ),
    ],
)
def test_what_is_legal_and_risky_is_pointed_at(table, rule, key):
    """One finding each."""
    assert (rule, key) in {(finding.rule, finding.key) for finding in lint(policy(**table))}


def test_a_careful_use_has_no_finding():
    """Agreement finds fault only, within a budget."""
    careful = {"when": "no_evidence", "on_consistent": "keep", "cost_usd": 0.01}
    assert lint(policy(consistency=careful, judge={"when": "grey", "cost_usd": 0.01})) == ()
