"""What is legal and worth a second look."""

from __future__ import annotations

from typing import Any

import pytest

from policies.lint import lint
from policies.load import load_policy


@pytest.mark.parametrize(
    ("body", "rule", "key"),
    [
        ({"on_error": "pass"}, "fail-open", "on_error"),
        ({"on_no_evidence": "pass"}, "fail-open", "on_no_evidence"),
        ({"on_unsupported": "pass"}, "fail-open", "on_unsupported"),
        ({"on_empty": "pass"}, "fail-open", "on_empty"),
        ({"on_cut": "pass"}, "fail-open", "on_cut"),
        ({"kinds": {"number": {"on_error": "pass"}}}, "fail-open", "kinds.number.on_error"),
        ({"after_attempts": "annotate"}, "fail-open", "after_attempts"),
        ({"thresholds": {"support": 0.49}}, "low-threshold", "thresholds.support"),
        ({"thresholds": {"contradiction": 0.95}}, "low-threshold", "thresholds.contradiction"),
        (
            {"kinds": {"date": {"thresholds": {"support": 0.2}}}},
            "low-threshold",
            "kinds.date.thresholds.support",
        ),
        ({"on_contradicted": "redact", "on_unsupported": "refuse"}, "order", "on_unsupported"),
        ({"on_conflict": "redact"}, "order", "on_contradicted"),
        ({"on_unsupported": "review"}, "order", "after_attempts"),
        (
            {"kinds": {"date": {"on_unsupported": "refuse"}}},
            "order",
            "kinds.date.on_unsupported",
        ),
        ({"limits": {"attempts": 1}}, "budget", "limits.attempts"),
        ({"limits": {"seconds": 0.5}}, "budget", "limits.seconds"),
        ({"limits": {"cost_usd": 0.5}}, "cost", "limits.cost_usd"),
        ({"kinds": {"number": {}}}, "no-effect", "kinds.number"),
        ({"answer": {"max_unsupported_share": 1}}, "no-effect", "answer.max_unsupported_share"),
        ({"answer": {"action": "redact"}}, "no-effect", "answer.action"),
        ({"routes": {"a": {}}}, "no-effect", "routes.a"),
        ({"routes": {"a": {"on_error": "pass"}}}, "fail-open", "routes.a.on_error"),
    ],
)
def test_findings(body: dict[str, Any], rule: str, key: str) -> None:
    """Each is found, once, with its rule and where it stands."""
    found = [(finding.rule, finding.key) for finding in lint(load_policy(body))]
    assert found.count((rule, key)) == 1


def test_conflicts_may_always_go_to_a_person() -> None:
    """Refusing what is contradicted and asking a person where sources disagree is no slip."""
    assert lint(load_policy({"on_contradicted": "refuse"})) == ()


def test_a_route_does_not_repeat_the_top_level() -> None:
    """What is said of the top level is not said again of every route."""
    body = {"on_error": "pass", "routes": {"a": {"on_empty": "annotate"}}}
    assert [f.key for f in lint(load_policy(body))] == ["on_error"]


def test_a_kind_does_not_repeat_the_top_level() -> None:
    """An entry answers for its own keys only."""
    body = {"on_error": "pass", "kinds": {"number": {"on_no_evidence": "refuse"}}}
    assert [f.key for f in lint(load_policy(body))] == ["on_error"]


def test_a_policy_that_never_blocks_says_so() -> None:
    """One rule that does more than annotate is enough not to be called that."""
    assert [f.rule for f in lint(load_policy({"extends": "observe"}))] == ["never-blocks"]
    assert lint(load_policy({"extends": "observe", "on_error": "review"})) == ()
    limited = {"extends": "observe", "answer": {"max_unsupported": 3, "action": "refuse"}}
    assert lint(load_policy(limited)) == ()


def test_a_policy_that_never_regenerates_needs_no_budget() -> None:
    """Attempts matter only where something asks for them."""
    body = {"extends": "observe", "on_error": "review", "limits": {"attempts": 1, "cost_usd": 1}}
    assert lint(load_policy(body)) == ()


def test_findings_read_as_sentences() -> None:
    """For logs: the key, what it means, and the rule's name."""
    (finding,) = lint(load_policy({"on_cut": "pass"}))
    assert str(finding).startswith("on_cut: an answer cut at its length limit goes out unmarked")
    assert str(finding).endswith("[fail-open]")
