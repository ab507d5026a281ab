"""Why: every rule that spoke, those that passed included."""

from __future__ import annotations

from typing import Any

from policies.engine import decide, explain, explain_json, settle
from policies.load import load_policy
from policies.types import AnswerFacts, Spent


def test_rule_by_rule(make: Any) -> None:
    """The decision, what decided it, each claim's rules and the limits of the answer."""
    policy = load_policy("balanced")
    found = [make.supported(), make.scored(0.25, 0.0), make.skipped(), make.supported()]
    share = "1 of 3 claims were not found supported; within the limit of 0.5."
    assert explain(decide(found, policy), policy) == [
        f"redact: policy balanced ({policy.digest})",
        "because of c2 on_unsupported asks for redact",
        "c1 supported -> pass",
        "  on_supported: pass. Supported. A passage supports it (1.00 >= 0.50).",
        "  on_uncited: pass. It cites no source.",
        "  judged at support >= 0.5, contradiction >= 0.8",
        "c2 unsupported -> redact",
        "  on_unsupported: redact. Unsupported. No passage read supports it (best 0.25 < 0.50).",
        "  on_uncited: pass. It cites no source.",
        "  judged at support >= 0.5, contradiction >= 0.8",
        "c3 not_checkworthy -> pass",
        "  not_checkworthy: pass. Nothing to check: greeting.",
        "c4 supported -> pass",
        "  on_supported: pass. Supported. A passage supports it (1.00 >= 0.50).",
        "  on_uncited: pass. It cites no source.",
        "  judged at support >= 0.5, contradiction >= 0.8",
        "the whole answer",
        "  answer.max_unsupported: pass. 1 of 3 claims were not found supported; no limit is set.",
        f"  answer.max_unsupported_share: pass. {share}",
    ]


def test_what_budgets_changed_is_shown(make: Any) -> None:
    """A settled decision is explained as settled, with the reason."""
    policy = load_policy("balanced")
    decision = decide([make.conflict(), make.contradicted()], policy)
    told = explain_json(decision, policy)
    assert told["because"] == ["of c1 on_conflict asks for review"]
    assert [claim["verdict"] for claim in told["claims"]] == ["conflict", "contradicted"]

    found = [make.supported(), make.contradicted()]
    settled = settle(decide(found, policy), policy, Spent(2), can_regenerate=True)
    lines = explain(settled, policy)
    assert lines[0].startswith("redact: ")
    assert (
        "  on_contradicted: redact. Contradicted. A passage contradicts it (1.00 >= 0.80). Not "
        in ("\n".join(lines))
    )
    assert any("2 of 2 attempts were made; redact instead." in line for line in lines)


def test_routes_and_limits_are_named_where_they_are_written(make: Any) -> None:
    """A rule that a route sets is named with its route, and not told twice."""
    policy = load_policy({"routes": {"r": {"answer": {"max_unsupported": 0, "action": "refuse"}}}})
    decision = decide([make.unsupported()], policy, route="r")
    told = explain_json(decision, policy)
    assert told["because"] == [
        "routes.r.answer.max_unsupported asks for refuse",
        "answer.max_unsupported_share asks for refuse",
    ]
    assert [rule["rule"] for rule in told["answer"]] == [
        "routes.r.answer.max_unsupported",
        "answer.max_unsupported_share",
    ]
    assert explain(decision, policy)[0].startswith("refuse: policy custom, route r (v1:b2:")


def test_nothing_asked_for_more() -> None:
    """A pass has a reason, too."""
    policy = load_policy("balanced")
    told = explain_json(decide([], policy, facts=AnswerFacts(tool_calls=True)), policy)
    assert told["because"] == ["facts.tool_calls asks for pass"]


def test_all_supported_has_no_hit(make: Any) -> None:
    """When every rule passes there is no hit, and the explanation says so."""
    policy = load_policy("balanced")
    told = explain_json(decide([make.supported()], policy), policy)
    assert told["because"] == ["no rule asked for more than pass"]


def test_another_policy_is_said_to_be_another(make: Any) -> None:
    """Explaining a decision with a policy it was not made under must not pass unnoticed."""
    decision = decide([make.supported()], load_policy("balanced"))
    lines = explain(decision, load_policy("strict"))
    assert lines[1].startswith("note: the decision was made under balanced (v1:b2:")
    assert "which is another policy" in lines[1]
