"""Which claims a second opinion is worth asking about: those whose decision it can change. Pure.

A second opinion costs money and time, so it is asked for only where some outcome of it would
change what is done: with the claim itself, or with the answer. An answer that is asked for again
or refused whatever it says needs none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from policies.engine import decide, settle
from policies.rules import (
    Found,
    counts_as_unsupported,
    opinions_for,
    samples_for,
    thresholds_for,
)
from policies.types import Action, AnswerFacts, Spent
from verifiers.aggregate import wants_judge, wants_samples
from verifiers.types import (
    Consistency,
    Judgement,
    NoEvidence,
    Scored,
    Unverifiable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from policies.schema import Policy
    from verifiers.types import Assessment


class Standing(NamedTuple):
    """What a decision depends on besides the claims.

    Attributes:
        policy: The whole policy.
        route: The route it is decided under.
        facts: What is known of the answer.
        spent: What the call has used.
        can_regenerate: Whether the model can be asked again with feedback.
    """

    policy: Policy
    route: str | None = None
    facts: AnswerFacts = AnswerFacts()
    spent: Spent = Spent()
    can_regenerate: bool = True


_Outcomes = tuple["Assessment", "Assessment"]  # at its best, and at its worst


def to_sample(found: Sequence[Assessment], standing: Standing) -> tuple[Assessment, ...]:
    """The claims to sample for, in the order of the answer."""
    active = standing.policy.for_route(standing.route)
    rules = active.consistency

    def wanted(assessment: Assessment) -> bool:
        at = samples_for(assessment, active)
        if at is None or not isinstance(assessment.outcome, NoEvidence | Scored):
            return False
        return wants_samples(assessment, thresholds_for(assessment.claim, active), at)

    def outcomes(assessment: Assessment) -> _Outcomes:
        best = Consistency(rules.scorer, 1.0, rules.samples, rules.samples)
        return (
            replace(assessment, consistency=best),
            replace(assessment, consistency=replace(best, score=0.0)),
        )

    asked = [assessment for assessment in found if wanted(assessment)]
    return tuple(asked) if rules.measure else _worth(found, asked, outcomes, standing, active)


def to_judge(found: Sequence[Assessment], standing: Standing) -> tuple[Assessment, ...]:
    """The claims to ask a judge about, in the order of the answer; no more than it may be asked."""
    active = standing.policy.for_route(standing.route)
    at = opinions_for(active)
    if at is None:
        return ()

    def outcomes(assessment: Assessment) -> _Outcomes:
        scored = assessment.outcome
        assert isinstance(scored, Scored)  # noqa: S101 - wants_judge asks for evidence
        best = Judgement("supported", scored.best_support, "")
        worst = Judgement("contradicted", scored.best_support, "")
        return replace(assessment, judgement=best), replace(assessment, judgement=worst)

    asked = [
        assessment
        for assessment in found
        if wants_judge(
            assessment,
            thresholds_for(assessment.claim, active),
            samples_for(assessment, active),
            at,
        )
    ]
    if not active.judge.measure:
        asked = list(_worth(found, asked, outcomes, standing, active))
    return tuple(asked[: active.judge.claims])


def _worth(
    found: Sequence[Assessment],
    asked: Sequence[Assessment],
    outcomes: Callable[[Assessment], _Outcomes],
    standing: Standing,
    active: Policy,
) -> tuple[Assessment, ...]:
    if not asked:
        return ()
    chosen = {assessment.claim.id: assessment for assessment in asked}
    at_best = [
        outcomes(assessment)[0] if assessment.claim.id in chosen else assessment
        for assessment in found
    ]
    best = _settled(at_best, standing)
    lost = best is Action.REGENERATE and _settled(found, standing) is Action.REGENERATE
    if best is Action.REFUSE or lost:
        return ()
    return tuple(a for a in asked if _matters(a, outcomes(a), active))


def _settled(found: Sequence[Assessment], standing: Standing) -> Action:
    raw = decide(found, standing.policy, route=standing.route, facts=standing.facts)
    return settle(
        raw, standing.policy, standing.spent, can_regenerate=standing.can_regenerate
    ).action


def _matters(assessment: Assessment, outcomes: _Outcomes, active: Policy) -> bool:
    as_it_is = _bearing(assessment, active)
    return any(_bearing(outcome, active) != as_it_is for outcome in outcomes)


def _bearing(assessment: Assessment, active: Policy) -> tuple[object, ...]:
    """What a claim has on the decision: its own action, and how the limits count it."""
    found = Found.of(assessment, active)
    worst = found.worst
    action = Action.PASS if worst is None else worst.action
    limits = active.answer
    if limits.max_unsupported is None and limits.max_unsupported_share is None:
        return (action,)
    verdict = found.verdict
    return (action, counts_as_unsupported(verdict), isinstance(verdict, Unverifiable))
