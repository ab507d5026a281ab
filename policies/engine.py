"""From assessments and a policy to a decision, and from a decision to its reasons.

Everything here is pure: no clock, no I/O, nothing remembered. ``decide`` raises for no assessment
and no policy; its one error is a route the policy does not have.

Two rules hold for every policy that loads, and the tests hold them:

* Adding a claim that was not found supported never makes the decision milder.
* A claim found supported, turned into one that was not, never makes it milder.

Between two bad verdicts (unsupported, contradicted, could not be checked) it is the policy that
says which is worse.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from policies.explain import explain, explain_json
from policies.rules import (
    Found,
    Judged,
    changes_on,
    counts_as_unsupported,
    on_route,
    rules_of,
    thresholds_for,
)
from policies.types import Action, AnswerFacts, ClaimDecision, Decision, RuleHit
from verifiers.types import NotCheckworthy, Unverifiable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from policies.schema import Policy
    from policies.types import Spent
    from verifiers.types import Assessment

__all__ = [
    "Judged",
    "counts_as_unsupported",
    "decide",
    "explain",
    "explain_json",
    "rules_of",
    "settle",
    "thresholds_for",
]


def decide(
    assessments: Sequence[Assessment],
    policy: Policy,
    *,
    route: str | None = None,
    facts: AnswerFacts = AnswerFacts(),  # noqa: B008 - frozen, without state
    whole: bool = True,
    judged: Judged | None = None,
) -> Decision:
    """What to do with an answer: the most severe action any rule asks for.

    Args:
        assessments: What was found out about its claims, in the order of the answer.
        policy: The whole policy, routes included.
        route: The kind of query this is. Only a label where the policy names no routes.
        facts: What is known of the answer besides its claims.
        whole: False for the beginning of an answer that is still being written: then only the
            rules speak that no later sentence can take back. What they ask for stands, and adding
            claims never makes it milder.
        judged: What was found on claims of this answer before, under this policy and route: for
            answers that are decided on again and again. The decision is the same without it.

    Raises:
        RouteUnknown: If the policy names routes and this is none of them.
    """
    active = policy.for_route(route)
    of = Found.of if judged is None else judged.of
    found = [of(assessment, active) for assessment in assessments]
    hits = [hit for claim in found for hit in claim.hits]
    limits = list(_answer_hits(found, active, whole=whole))
    hits += limits
    if whole:
        hits += _fact_hits(found, active, facts)

    take_out = any(hit.action is Action.REDACT for hit in limits)
    claims = tuple(_with_limit(claim, take_out=take_out) for claim in found)
    changes = changes_on(policy, route)
    if changes:
        hits = [replace(hit, rule=on_route(hit.rule, changes, route)) for hit in hits]
        claims = tuple(replace(c, rule=on_route(c.rule, changes, route)) for c in claims)
    return Decision(
        action=max((hit.action for hit in hits), key=_severity, default=Action.PASS),
        claims=claims,
        hits=tuple(sorted(hits, key=lambda hit: -hit.action.severity)),
        policy=policy.name,
        digest=policy.digest,
        route=route,
    )


def _with_limit(found: Found, *, take_out: bool) -> ClaimDecision:
    """What becomes of the claim itself. A limit that redacts takes out every claim it counts."""
    worst = found.worst
    action, rule = (worst.action, worst.rule) if worst else (Action.PASS, "not_checkworthy")
    if take_out and counts_as_unsupported(found.verdict) and action.severity < _REDACT:
        action, rule = Action.REDACT, "answer.action"
    return ClaimDecision(found.verdict, action, rule)


_REDACT = Action.REDACT.severity


# --------------------------------------------------------------------------- the whole answer


def _answer_hits(found: Sequence[Found], policy: Policy, *, whole: bool) -> Iterator[RuleHit]:
    rules = policy.answer
    with_evidence = [
        claim.verdict
        for claim in found
        if not isinstance(claim.verdict, NotCheckworthy | Unverifiable)
    ]
    total = len(with_evidence)
    count = sum(counts_as_unsupported(verdict) for verdict in with_evidence)
    if rules.max_unsupported is not None and count > rules.max_unsupported:
        yield RuleHit(
            "answer.max_unsupported",
            rules.action,
            f"{count} of {total} claims were not found supported; at most "
            f"{rules.max_unsupported} may be.",
        )
    # A share may fall again with the next sentence; a count does not.
    limit = rules.max_unsupported_share if whole else None
    # Division rounds correctly, so 1 of 10 is not more than a limit of 0.1.
    if limit is not None and total and count / total > limit:
        yield RuleHit(
            "answer.max_unsupported_share",
            rules.action,
            f"{count} of {total} claims were not found supported, which is more than a share "
            f"of {limit:g}.",
        )


def _fact_hits(found: Sequence[Found], policy: Policy, facts: AnswerFacts) -> Iterator[RuleHit]:
    if facts.tool_calls:
        yield RuleHit(
            "facts.tool_calls",
            Action.PASS,
            "The answer calls tools and says nothing yet; what it says later will be checked.",
        )
    if facts.empty:
        yield RuleHit("on_empty", policy.on_empty, "The answer is empty.")
    if facts.refused:
        yield RuleHit("on_refused", policy.on_refused, "The model declined to answer.")
    if facts.cut:
        yield RuleHit("on_cut", policy.on_cut, "The answer was cut at its length limit.")
    explained = facts.tool_calls or facts.empty or facts.refused
    if not explained and all(isinstance(claim.verdict, NotCheckworthy) for claim in found):
        yield RuleHit(
            "on_no_claims", policy.on_no_claims, "The answer states nothing that can be checked."
        )


def _severity(action: Action) -> int:
    return action.severity


# --------------------------------------------------------------------------- budgets


def settle(decision: Decision, policy: Policy, spent: Spent, *, can_regenerate: bool) -> Decision:
    """The decision once budgets are looked at: ``regenerate`` stays only while it can be done.

    Only a decision whose action is ``regenerate`` changes. Each rule that asked for it gets what
    the policy has for after the attempts, and the most severe action is taken again.

    Args:
        decision: From ``decide``, under the same policy.
        policy: The whole policy.
        spent: What the call has used, the answer just decided included.
        can_regenerate: False where there is nobody to ask again, as in ``check``.

    Raises:
        RouteUnknown: If the decision was made under a route this policy does not have.
    """
    if decision.action is not Action.REGENERATE:
        return decision
    active = policy.for_route(decision.route)
    why = _exhausted(active, spent, can_regenerate=can_regenerate)
    if why is None:
        return decision

    general = active.after_attempts
    limit = active.answer.after_attempts or general
    hits = [_after(hit, limit if _is_limit(hit) else general, why) for hit in decision.hits]
    take_out = any(hit.action is Action.REDACT for hit in hits if _is_limit(hit))
    claims = tuple(_settled(claim, general, take_out=take_out) for claim in decision.claims)
    return replace(
        decision,
        action=max((hit.action for hit in hits), key=_severity),
        claims=claims,
        hits=tuple(sorted(hits, key=lambda hit: -hit.action.severity)),
    )


def _exhausted(policy: Policy, spent: Spent, *, can_regenerate: bool) -> str | None:
    """Why there can be no further attempt, or None. Every comparison is one that NaN fails."""
    limits = policy.limits
    if not can_regenerate:
        return "there is nobody to ask again"
    if not spent.attempts < limits.attempts:
        return f"{spent.attempts} of {limits.attempts} attempts were made"
    if limits.seconds is not None and not spent.seconds < limits.seconds:
        return f"{spent.seconds:.1f} of {limits.seconds:g} seconds were used"
    if limits.cost_usd is not None:
        if spent.cost_usd is None:
            return (
                f"the cost so far is not known, so the limit of {limits.cost_usd:g} USD counts as "
                "reached"
            )
        if not spent.cost_usd < limits.cost_usd:
            return f"{spent.cost_usd:g} of {limits.cost_usd:g} USD were spent"
    return None


def _is_limit(hit: RuleHit) -> bool:
    return hit.claim_id is None and "answer.max_unsupported" in hit.rule


def _after(hit: RuleHit, fallback: Action, why: str) -> RuleHit:
    if hit.action is not Action.REGENERATE:
        return hit
    message = f"{hit.message} Not regenerated: {why}; {fallback.value} instead."
    return replace(hit, action=fallback, message=message)


def _settled(claim: ClaimDecision, fallback: Action, *, take_out: bool) -> ClaimDecision:
    if claim.action is Action.REGENERATE:
        claim = replace(claim, action=fallback)
    if take_out and counts_as_unsupported(claim.verdict) and claim.action.severity < _REDACT:
        claim = replace(claim, action=Action.REDACT, rule="answer.after_attempts")
    return claim
