"""What the policy says of one claim: its thresholds, its verdict, the rules that speak of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, assert_never

from policies.types import Action, RuleHit
from verifiers.aggregate import judge
from verifiers.types import (
    CheckError,
    CitationStatus,
    ConsistencyThresholds,
    Contradicted,
    JudgeThresholds,
    NoEvidence,
    NotCheckworthy,
    Scored,
    Supported,
    Thresholds,
    Unsupported,
    Unverifiable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.schema import Policy, Row
    from verifiers.types import Assessment, Claim, Verdict


def thresholds_for(claim: Claim, policy: Policy) -> Thresholds:
    """The strictest thresholds of every entry that matches.

    Strict is hard to support and easy to contradict.

    Args:
        claim: Its kind and its facets choose the entries.
        policy: A policy as it stands on one route; see ``Policy.for_route``.
    """
    rows = _matching(claim, policy)
    return Thresholds(
        support=max(row.thresholds.support for row in rows),
        contradiction=min(row.thresholds.contradiction for row in rows),
    )


def samples_for(assessment: Assessment, policy: Policy) -> ConsistencyThresholds | None:
    """Where agreement between samples becomes a verdict on this claim; None where it never may.

    Args:
        assessment: Whether there was evidence chooses what ``consistency.when`` says of it.
        policy: A policy as it stands on one route.
    """
    rules = policy.consistency
    match rules.when:
        case "never":
            return None
        case "no_evidence":
            wanted = isinstance(assessment.outcome, NoEvidence)
        case "grey":
            wanted = isinstance(assessment.outcome, Scored)
        case "both":
            wanted = True
        case _:
            assert_never(rules.when)
    if not wanted:
        return None
    return ConsistencyThresholds(
        support=rules.support,
        unsupported=rules.unsupported,
        min_samples=rules.min_samples,
        grey=rules.grey,
        may_raise=rules.on_consistent == "supported",
        may_lower=rules.on_inconsistent == "unsupported",
    )


def opinions_for(policy: Policy) -> JudgeThresholds | None:
    """How far a judge is believed; None where it is not asked.

    Args:
        policy: A policy as it stands on one route.
    """
    rules = policy.judge
    if rules.when == "never":
        return None
    return JudgeThresholds(
        grey=rules.grey,
        unsupported=rules.when == "unsupported",
        floor=rules.floor,
        may_raise=rules.may_raise,
        may_lower=rules.may_lower,
    )


def counts_as_unsupported(verdict: Verdict) -> bool:
    """Whether the answer-level limits count this claim: evidence was there and did not carry it."""
    return isinstance(verdict, Unsupported | Contradicted | CheckError)


@dataclass(frozen=True, slots=True)
class Found:
    """A claim, its verdict, and what each rule about it asks for."""

    verdict: Verdict
    rules: tuple[RuleHit, ...]

    @classmethod
    def of(cls, assessment: Assessment, policy: Policy) -> Found:
        """Judge the claim, and ask every rule about it."""
        claim = assessment.claim
        verdict = judge(
            assessment,
            thresholds_for(claim, policy),
            samples_for(assessment, policy),
            opinions_for(policy),
        )
        return cls(verdict, tuple(_asked(verdict, policy)))

    @property
    def hits(self) -> Iterator[RuleHit]:
        """What asks for more than ``pass``."""
        return (hit for hit in self.rules if hit.action is not Action.PASS)

    @property
    def worst(self) -> RuleHit | None:
        """The most severe, or None for a claim that is not checkworthy."""
        # max keeps the first of equals, and the verdict's own rule comes before its citation's.
        return max(self.rules, key=lambda hit: hit.action.severity, default=None)


class Judged:
    """What was found on the claims of one growing answer, so that each is judged once.

    For one policy as it stands on one route. Holds on to the assessments it was shown.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Assessment, Found]] = {}

    def of(self, assessment: Assessment, policy: Policy) -> Found:
        """As :meth:`Found.of`; the very same assessment is not judged again."""
        known = self._known.get(id(assessment))
        if known is None:
            known = self._known[id(assessment)] = (assessment, Found.of(assessment, policy))
        return known[1]


def _matching(claim: Claim, policy: Policy) -> list[Row]:
    rows = policy.rows
    if len(rows) == 1:
        return [rows[""]]
    names = sorted({claim.kind.value, *(facet.value for facet in claim.facets)})
    return [rows[name] for name in names if name in rows] or [rows[""]]


def rules_of(verdict: Verdict, policy: Policy, route: str | None = None) -> tuple[RuleHit, ...]:
    """Every rule that speaks of this verdict, those included that let it pass.

    Empty for a claim that is not checkworthy: there is nothing for a rule to say.

    Raises:
        RouteUnknown: If the policy names routes and this is none of them.
    """
    changes = changes_on(policy, route)
    return tuple(
        replace(hit, rule=on_route(hit.rule, changes, route))
        for hit in _asked(verdict, policy.for_route(route))
    )


def _asked(verdict: Verdict, policy: Policy) -> Iterator[RuleHit]:
    rows = _matching(verdict.claim, policy)
    for name, message in _rules_for(verdict):
        yield _ask(name, message, rows, verdict.claim.id)


def _ask(name: str, message: str, rows: list[Row], claim_id: str) -> RuleHit:
    row = max(rows, key=lambda row: row.actions[name].severity)
    return RuleHit(row.key(name), row.actions[name], message, claim_id)


def _rules_for(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """The keys of the policy that speak of this verdict, each with the reason, in fixed order."""
    match verdict:
        case Supported(reason=reason):
            yield "on_supported", f"Supported. {reason}"
        case Contradicted(reason=reason, conflict=True):
            yield "on_conflict", f"The sources disagree. {reason}"
        case Contradicted(reason=reason):
            yield "on_contradicted", f"Contradicted. {reason}"
        case Unsupported(reason=reason):
            yield "on_unsupported", f"Unsupported. {reason}"
        case Unverifiable(reason=reason):
            yield "on_no_evidence", f"No evidence to read. {reason}"
        case CheckError(code=code, reason=reason):
            yield "on_error", f"Could not be checked ({code}). {reason}"
        case NotCheckworthy():
            return
        case _:
            assert_never(verdict)
    yield from _citation_rules(verdict)


def _citation_rules(
    verdict: Supported | Contradicted | Unsupported | Unverifiable | CheckError,
) -> Iterator[tuple[str, str]]:
    status = _citation(verdict)
    match status:
        case CitationStatus.MISCITED:
            yield "on_miscited", "No source it cites supports it, or it cites none that we have."
        case CitationStatus.UNCITED:
            yield "on_uncited", "It cites no source."
        case CitationStatus.CITED | None:
            return
        case _:
            assert_never(status)


def _citation(
    verdict: Supported | Contradicted | Unsupported | Unverifiable | CheckError,
) -> CitationStatus | None:
    if isinstance(verdict, CheckError):
        # Nothing was read, so nothing is known of the sources it cites.
        return None if verdict.claim.citations else CitationStatus.UNCITED
    return verdict.citation


def changes_on(policy: Policy, route: str | None) -> dict[str, Any]:
    """What the policy writes down for this route."""
    found = policy.routes.get(route) if route is not None else None
    return found.model_dump(mode="json") if found is not None else {}


def on_route(rule: str, changes: dict[str, Any], route: str | None) -> str:
    """The key with its route before it, where it is the route that sets it."""
    node: object = changes
    for part in rule.split("."):
        if not isinstance(node, dict) or part not in node:
            return rule
        node = node[part]
    return f"routes.{route}.{rule}"
