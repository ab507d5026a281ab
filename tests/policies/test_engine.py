"""Which rule decides: claims, kinds, routes, the whole answer, facts and budgets."""

from __future__ import annotations

import math
from typing import Any

import pytest

from policies.engine import decide, rules_of, settle, thresholds_for
from policies.errors import RouteUnknown
from policies.load import load_policy
from policies.types import Action, AnswerFacts, Decision, Spent
from verifiers.types import ClaimKind, Facet, Thresholds

NUMBER = frozenset({Facet.NUMBER})
BOTH = frozenset({Facet.NUMBER, Facet.NAME})
LOOSE = {"answer": {"max_unsupported_share": None}}


def rules(decision: Decision) -> list[str]:
    return [hit.rule for hit in decision.hits]


# --------------------------------------------------------------------------- kinds


def test_a_kind_replaces_the_top_level(make: Any) -> None:
    """What an entry sets holds for its claims alone, milder or not."""
    policy = load_policy({**LOOSE, "kinds": {"number": {"on_unsupported": "annotate"}}})
    decision = decide([make.unsupported(facets=NUMBER), make.unsupported()], policy)
    assert [(c.action, c.rule) for c in decision.claims] == [
        (Action.ANNOTATE, "kinds.number.on_unsupported"),
        (Action.REDACT, "on_unsupported"),
    ]


def test_of_several_kinds_the_most_severe_wins(make: Any) -> None:
    """A claim under two entries gets the more severe answer, whichever stands first."""
    policy = load_policy(
        {
            **LOOSE,
            "kinds": {
                "number": {"on_unsupported": "refuse"},
                "name": {"on_unsupported": "annotate"},
                "list_item": {"on_unsupported": "redact"},
            },
        }
    )
    claim = make.unsupported(facets=BOTH, kind=ClaimKind.LIST_ITEM)
    decision = decide([claim], policy)
    assert decision.action is Action.REFUSE
    assert rules(decision) == ["kinds.number.on_unsupported"]


def test_an_entry_answers_in_full(make: Any) -> None:
    """An entry without a key of its own brings the top level's, and may win with it."""
    policy = load_policy(
        {**LOOSE, "kinds": {"number": {"on_error": "refuse"}, "name": {"on_unsupported": "pass"}}}
    )
    decision = decide([make.unsupported(facets=BOTH)], policy)
    assert decision.claims[0].action is Action.REDACT
    assert rules(decision) == ["on_unsupported"]


def test_of_several_thresholds_the_strictest_applies(make: Any) -> None:
    """Hardest to support and easiest to contradict, each on its own."""
    policy = load_policy(
        {
            "kinds": {
                "number": {"thresholds": {"support": 0.9, "contradiction": 0.9}},
                "name": {"thresholds": {"contradiction": 0.3}},
            }
        }
    )
    assert thresholds_for(make.supported(facets=BOTH).claim, policy) == Thresholds(0.9, 0.3)
    assert thresholds_for(make.supported(facets=NUMBER).claim, policy) == Thresholds(0.9, 0.9)
    assert thresholds_for(make.supported().claim, policy) == Thresholds(0.5, 0.8)


# --------------------------------------------------------------------------- routes


def test_a_route_replaces_what_it_sets(make: Any) -> None:
    """On its route a key holds instead of the top level's; the rest stays as it is."""
    policy = load_policy(
        {
            **LOOSE,
            "kinds": {"number": {"on_unsupported": "refuse"}},
            "routes": {
                "chat": {
                    "on_unsupported": "annotate",
                    "kinds": {"number": {"on_unsupported": "review"}},
                    "on_empty": "pass",
                },
                "billing": {},
            },
        }
    )
    answer = [make.unsupported(), make.unsupported(facets=NUMBER)]
    chat = decide(answer, policy, route="chat")
    assert [(c.action, c.rule) for c in chat.claims] == [
        (Action.ANNOTATE, "routes.chat.on_unsupported"),
        (Action.REVIEW, "routes.chat.kinds.number.on_unsupported"),
    ]
    assert (chat.route, chat.digest) == ("chat", policy.digest)
    assert decide(answer, policy, route="billing").action is Action.REFUSE
    assert decide([], policy, route="chat", facts=AnswerFacts(empty=True)).action is Action.PASS
    hits = rules_of(chat.claims[0].verdict, policy, "chat")
    assert hits[0].rule == "routes.chat.on_unsupported"


def test_an_unknown_route_is_an_error_that_lists_the_routes() -> None:
    """A misspelt route must not fall back to rules that were not meant for it."""
    policy = load_policy({"routes": {"billing": {}, "chat": {}}})
    with pytest.raises(RouteUnknown, match=r"GR203.*'biling'.*billing, chat"):
        decide([], policy, route="biling")
    with pytest.raises(RouteUnknown):
        policy.for_route("biling")


def test_without_routes_a_route_is_a_label() -> None:
    """Where every route is decided alike, naming one only says what kind of query it was."""
    policy = load_policy("balanced")
    decision = decide([], policy, route="anything")
    assert decision.route == "anything"
    assert policy.for_route("anything") is policy


# --------------------------------------------------------------------------- the whole answer


@pytest.mark.parametrize(("bad", "fires"), [(1, False), (2, True)])
def test_how_many_unsupported(make: Any, bad: int, fires: bool) -> None:
    """The limit is the most that is let be; contradicted and failed claims count."""
    policy = load_policy(
        {"answer": {"max_unsupported": 1, "max_unsupported_share": None, "action": "refuse"}}
    )
    found = [make.unsupported(), make.contradicted()][:bad]
    decision = decide([make.supported(), *found], policy)
    assert ("answer.max_unsupported" in rules(decision)) is fires
    assert ("answer.max_unsupported" in rules(decide([make.error()] * bad, policy))) is fires


@pytest.mark.parametrize(("share", "fires"), [(0.1, False), (math.nextafter(0.1, 0), True)])
def test_the_share_is_exact(make: Any, share: float, fires: bool) -> None:
    """One of ten is not more than a share of 0.1, and is more than the number just below."""
    policy = load_policy({"answer": {"max_unsupported_share": share, "action": "refuse"}})
    found = [make.unsupported(), *(make.supported() for _ in range(9))]
    decision = decide(found, policy)
    assert ("answer.max_unsupported_share" in rules(decision)) is fires


def test_claims_without_evidence_count_on_neither_side(make: Any) -> None:
    """Where there was nothing to read, on_no_evidence speaks and the limits do not."""
    policy = load_policy({"answer": {"max_unsupported": 0, "action": "refuse"}})
    found = [make.unverifiable(), make.skipped(), make.supported()]
    assert rules(decide(found, policy)) == ["on_no_evidence"]
    two = [make.unverifiable() for _ in range(9)]
    share = load_policy({"answer": {"max_unsupported_share": 0.4, "action": "refuse"}})
    decision = decide([*two, make.unsupported(), make.supported()], share)
    assert decision.hits[0].rule == "answer.max_unsupported_share"


def test_a_limit_that_redacts_takes_out_what_it_counts(make: Any) -> None:
    """Redaction by the whole answer names the claims that go."""
    policy = load_policy(
        {
            "on_unsupported": "annotate",
            "on_contradicted": "annotate",
            "on_error": "annotate",
            "answer": {"max_unsupported": 1, "max_unsupported_share": None, "action": "redact"},
        }
    )
    found = [make.supported(), make.unsupported(), make.contradicted(), make.unverifiable()]
    decision = decide(found, policy)
    assert decision.action is Action.REDACT
    assert [(c.action, c.rule) for c in decision.claims] == [
        (Action.PASS, "on_supported"),
        (Action.REDACT, "answer.action"),
        (Action.REDACT, "answer.action"),
        (Action.ANNOTATE, "on_no_evidence"),
    ]


def test_citations_add_to_the_verdict(make: Any) -> None:
    """A wrong citation is asked about beside the verdict, and the more severe rule names the claim."""
    policy = load_policy({"on_miscited": "review", "on_uncited": "annotate"})
    found = [
        make.supported(cited=0.0),
        make.supported(cited=1.0),
        make.supported(),
        make.error(),
        make.error(uncited=False),
    ]
    decision = decide(found, policy)
    assert [(c.action.value, c.rule) for c in decision.claims] == [
        ("review", "on_miscited"),
        ("pass", "on_supported"),
        ("annotate", "on_uncited"),
        ("review", "on_error"),
        ("review", "on_error"),
    ]
    of_errors = [h.rule for h in decision.hits if h.claim_id in {"c4", "c5"}]
    assert of_errors == ["on_error", "on_error", "on_uncited"]


@pytest.mark.parametrize(
    ("known", "rule"),
    [
        (AnswerFacts(), "on_no_claims"),
        (AnswerFacts(empty=True), "on_empty"),
        (AnswerFacts(refused=True), "on_refused"),
        (AnswerFacts(tool_calls=True), "facts.tool_calls"),
    ],
)
def test_why_an_answer_without_claims_is_as_it_is(known: AnswerFacts, rule: str) -> None:
    """Nothing to check has one reason, and it is recorded even when it passes."""
    assert rules(decide([], load_policy("balanced"), facts=known)) == [rule]


def test_facts_and_claims_are_both_heard(make: Any) -> None:
    """A cut answer with a contradicted claim is decided by the more severe of the two."""
    decision = decide(
        [make.contradicted()],
        load_policy({**LOOSE, "on_cut": "review"}),
        facts=AnswerFacts(cut=True),
    )
    assert decision.action is Action.REVIEW
    assert rules(decision) == ["on_cut", "on_contradicted"]


def test_claims_that_are_not_checkworthy_pass(make: Any) -> None:
    """A greeting is no reason for anything."""
    decision = decide([make.skipped(), make.supported()], load_policy("strict"))
    assert decision.claims[0].rule == "not_checkworthy"
    assert decision.claims[0].action is Action.PASS


# --------------------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("limits", "spent", "why"),
    [
        ({"attempts": 2}, Spent(1), None),
        ({"attempts": 2}, Spent(2), "2 of 2 attempts"),
        ({"seconds": 10}, Spent(1, 9.99), None),
        ({"seconds": 10}, Spent(1, 10.0), "10.0 of 10 seconds"),
        ({"seconds": 10}, Spent(1, math.nan), "nan of 10 seconds"),
        ({"seconds": None}, Spent(1, 1e9), None),
        ({"cost_usd": 0.5}, Spent(1, 0, 0.49), None),
        ({"cost_usd": 0.5}, Spent(1, 0, 0.5), "0.5 of 0.5 USD"),
        ({"cost_usd": 0.5}, Spent(1, 0, math.nan), "nan of 0.5 USD"),
        ({"cost_usd": 0.5}, Spent(1, 0, None), "cost so far is not known"),
        ({"cost_usd": None}, Spent(1, 0, None), None),
    ],
)
def test_budgets(make: Any, limits: dict[str, Any], spent: Spent, why: str | None) -> None:
    """Reaching any limit ends asking again; an unknown or broken figure counts as reached."""
    policy = load_policy({"limits": limits})
    decision = decide([make.supported(), make.contradicted()], policy)
    settled = settle(decision, policy, spent, can_regenerate=True)
    if why is None:
        assert settled == decision
        return
    assert settled.action is Action.REDACT
    assert why in settled.hits[0].message
    assert settled.hits[0].message.endswith("; redact instead.")
    assert [claim.action for claim in settled.claims] == [Action.PASS, Action.REDACT]


def test_nobody_to_ask(make: Any) -> None:
    """Where there is only an answer to check, regenerate is what comes after the attempts."""
    policy = load_policy({"routes": {"a": {"after_attempts": "review"}, "b": {}}})
    found = [make.supported(), make.contradicted()]
    for route, action in (("a", Action.REVIEW), ("b", Action.REDACT), (None, Action.REDACT)):
        decision = decide(found, policy, route=route)
        assert settle(decision, policy, Spent(), can_regenerate=False).action is action


def test_a_limit_has_its_own_end(make: Any) -> None:
    """More than half wrong is refused where a single wrong claim is taken out."""
    policy = load_policy("balanced")
    wrong = [make.contradicted(), make.unsupported(), make.supported()]
    settled = settle(decide(wrong, policy), policy, Spent(2), can_regenerate=True)
    assert settled.action is Action.REFUSE
    assert rules(settled)[0] == "answer.max_unsupported_share"
    body = {
        "answer": {"after_attempts": None, "action": "regenerate"},
        "on_unsupported": "annotate",
    }
    policy = load_policy(body)
    found = [make.unsupported(), make.error(), make.supported()]
    policy = load_policy({**body, "on_error": "annotate"})
    settled = settle(decide(found, policy), policy, Spent(2), can_regenerate=True)
    assert settled.action is Action.REDACT
    assert [claim.action.value for claim in settled.claims] == ["redact", "redact", "pass"]
    assert settled.claims[0].rule == "answer.after_attempts"


def test_a_more_severe_rule_is_not_settled(make: Any) -> None:
    """A decision that is not to regenerate stays as it is, its claims included."""
    policy = load_policy("balanced")
    decision = decide([make.contradicted(), make.conflict()], policy)
    assert decision.action is Action.REVIEW
    assert settle(decision, policy, Spent(9), can_regenerate=False) is decision
