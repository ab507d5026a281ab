"""Why a decision is what it is: rule by rule, for people and for programs.

Nothing here decides. The rules are asked again, so that those that let a claim pass are shown
beside those that did not, and what the budgets changed is shown as changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policies.rules import counts_as_unsupported, rules_of, thresholds_for
from policies.types import Action
from verifiers.types import Contradicted, NotCheckworthy, Unverifiable

if TYPE_CHECKING:
    from policies.schema import Policy
    from policies.types import ClaimDecision, Decision, RuleHit


def explain(decision: Decision, policy: Policy) -> list[str]:
    """The decision as lines for people, most important first. No text of the answer is in them.

    Args:
        decision: From ``decide`` or ``settle``.
        policy: The policy it was made under. With another one the lines say that they are about
            two different things.

    Raises:
        RouteUnknown: If the decision was made under a route this policy does not have.
    """
    told = explain_json(decision, policy)
    route = f", route {decision.route}" if decision.route is not None else ""
    lines = [f"{decision.action.value}: policy {decision.policy}{route} ({decision.digest})"]
    if told["other_policy"]:
        lines.append(f"note: {told['other_policy']}")
    lines += [f"because {reason}" for reason in told["because"]]
    for claim in told["claims"]:
        lines.append(f"{claim['id']} {claim['verdict']} -> {claim['action']}")
        lines += [
            f"  {rule['rule']}: {rule['action']}. {rule['message']}" for rule in claim["rules"]
        ]
        if claim["thresholds"]:
            lines.append(f"  {_thresholds(claim['thresholds'])}")
    lines.append("the whole answer")
    lines += [f"  {rule['rule']}: {rule['action']}. {rule['message']}" for rule in told["answer"]]
    return lines


def explain_json(decision: Decision, policy: Policy) -> dict[str, Any]:
    """The same as plain data: ``action``, ``because``, ``claims`` and ``answer`` with their rules.

    Raises:
        RouteUnknown: If the decision was made under a route this policy does not have.
    """
    active = policy.for_route(decision.route)
    top = [hit for hit in decision.hits if hit.action is decision.action]
    return {
        "action": decision.action.value,
        "policy": decision.policy,
        "digest": decision.digest,
        "route": decision.route,
        "other_policy": _other(decision, policy),
        "because": [_reason(hit) for hit in top] or ["no rule asked for more than pass"],
        "claims": [_claim(claim, decision, policy, active) for claim in decision.claims],
        "answer": _answer(decision, active),
    }


def _other(decision: Decision, policy: Policy) -> str | None:
    if policy.digest == decision.digest:
        return None
    return (
        f"the decision was made under {decision.policy} ({decision.digest}) and is explained with "
        f"{policy.name} ({policy.digest}), which is another policy"
    )


def _reason(hit: RuleHit) -> str:
    about = f"of {hit.claim_id} " if hit.claim_id is not None else ""
    return f"{about}{hit.rule} asks for {hit.action.value}"


def _claim(
    claim: ClaimDecision, decision: Decision, policy: Policy, active: Policy
) -> dict[str, Any]:
    verdict = claim.verdict
    named = "conflict" if isinstance(verdict, Contradicted) and verdict.conflict else verdict.label
    spoke = {hit.rule: hit for hit in decision.hits if hit.claim_id == verdict.claim.id}
    asked = rules_of(verdict, policy, decision.route)
    at = None if isinstance(verdict, NotCheckworthy) else thresholds_for(verdict.claim, active)
    return {
        "id": verdict.claim.id,
        "verdict": named,
        "action": claim.action.value,
        "rule": claim.rule,
        "counted": counts_as_unsupported(verdict),
        "thresholds": at and {"support": at.support, "contradiction": at.contradiction},
        "rules": [_rule(spoke.get(hit.rule, hit)) for hit in asked] or [_skipped(verdict.reason)],
    }


def _rule(hit: RuleHit) -> dict[str, str]:
    return {"rule": hit.rule, "action": hit.action.value, "message": hit.message}


def _skipped(reason: str) -> dict[str, str]:
    return {
        "rule": "not_checkworthy",
        "action": Action.PASS.value,
        "message": f"Nothing to check: {reason}.",
    }


def _thresholds(at: dict[str, float]) -> str:
    return f"judged at support >= {at['support']:g}, contradiction >= {at['contradiction']:g}"


def _answer(decision: Decision, active: Policy) -> list[dict[str, str]]:
    """The rules about the whole answer: those that spoke, and the limits that were kept."""
    lines = [_rule(hit) for hit in decision.hits if hit.claim_id is None]
    spoke = {line["rule"].removeprefix(f"routes.{decision.route}.") for line in lines}
    verdicts = [claim.verdict for claim in decision.claims]
    total = sum(not isinstance(verdict, NotCheckworthy | Unverifiable) for verdict in verdicts)
    count = sum(counts_as_unsupported(verdict) for verdict in verdicts)
    rules = active.answer
    for name, limit in (
        ("max_unsupported", rules.max_unsupported),
        ("max_unsupported_share", rules.max_unsupported_share),
    ):
        if f"answer.{name}" in spoke:
            continue
        kept = "no limit is set" if limit is None else f"within the limit of {limit:g}"
        message = f"{count} of {total} claims were not found supported; {kept}."
        lines.append({"rule": f"answer.{name}", "action": Action.PASS.value, "message": message})
    return lines
