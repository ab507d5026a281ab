"""How far each verifier agrees with the people who reviewed its answers.

A reviewer labels claims; the record of the answer says what the reading, the samples and the judge
made of them. Compared is the one question they all answer: is the claim supported? Reviewed answers
are those a policy sent to people, not a fair draw of the traffic: figures here compare verifiers on
the same hard claims, and are no error rates of the traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from guardrails.record import assessments_of
from guardrails.review import ClaimRuling
from policies.engine import decide
from policies.load import load_policy
from verifiers.types import Consistency, Judgement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from guardrails.record import Record
    from guardrails.review import Review
    from policies.schema import Policy
    from verifiers.types import Assessment, Failed

VERIFIERS = ("reading", "samples", "judge", "final")
_Z = 1.959963984540054  # of a 95 % interval
_SUPPORTED = {
    ClaimRuling.SUPPORTED: True,
    ClaimRuling.CONTRADICTED: False,
    ClaimRuling.UNSUPPORTED: False,
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """One verifier against the reviewers.

    Attributes:
        verifier: ``reading`` (the NLI model alone), ``samples``, ``judge`` or ``final`` (the
            verdict that was acted on).
        asked: Labelled claims it was asked about.
        answered: Those of them on which it said anything.
        both_supported: Both said supported.
        both_not: Both said that it is not.
        missed: It said supported, and the reviewer did not.
        flagged: The reviewer said supported, and it did not.
    """

    verifier: str
    asked: int = 0
    answered: int = 0
    both_supported: int = 0
    both_not: int = 0
    missed: int = 0
    flagged: int = 0

    @property
    def share(self) -> float | None:
        """The share of answered claims on which they agree; None without any."""
        agreed = self.both_supported + self.both_not
        return agreed / self.answered if self.answered else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of ``share``."""
        share, n = self.share, self.answered
        if share is None:
            return None
        middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        return max(0.0, middle - half), min(1.0, middle + half)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa: agreement beyond chance; None where chance alone would agree always."""
        share, n = self.share, self.answered
        if share is None:
            return None
        says = (self.both_supported + self.missed) / n
        said = (self.both_supported + self.flagged) / n
        chance = says * said + (1 - says) * (1 - said)
        return None if chance == 1.0 else (share - chance) / (1 - chance)


def agreement(reviewed: Iterable[tuple[Review, Record]]) -> tuple[Agreement, ...]:
    """Every verifier that was asked about some labelled claim, against the reviewers."""
    counts = {name: dict.fromkeys(_FIELDS, 0) for name in VERIFIERS}
    for review, record in reviewed:
        for claim, truth in _labels(review):
            for name, said in _said(record, claim):
                count = counts[name]
                count["asked"] += 1
                if said is None:
                    continue
                count["answered"] += 1
                count[_CELLS[said, truth]] += 1
    return tuple(Agreement(name, **count) for name, count in counts.items() if count["asked"])


_CELLS = {
    (True, True): "both_supported",
    (False, False): "both_not",
    (True, False): "missed",
    (False, True): "flagged",
}
_FIELDS = ("asked", "answered", *_CELLS.values())


def _labels(review: Review) -> Iterator[tuple[str, bool]]:
    if review.resolution is None:
        return
    for claim, ruling in review.resolution.labels:
        if ruling in _SUPPORTED:
            yield claim, _SUPPORTED[ruling]


def _said(record: Record, claim: str) -> Iterator[tuple[str, bool | None]]:
    """What each verifier said of a claim: supported, not supported, or nothing it could say."""
    attempt = record.attempt
    if attempt.verification is None or attempt.decision is None:
        return
    found = {a.claim.id: a for a in assessments_of(attempt.verification)}.get(claim)
    if found is None:
        return
    policy = load_policy(record.policy.body)
    here = policy.for_route(record.route)
    yield "reading", _label(_verdict(found, here.model_copy(update=_ALONE)))
    if found.consistency is not None:
        yield "samples", _agreed(found.consistency, here)
    if found.judgement is not None:
        said = found.judgement
        yield "judge", said.label == "supported" if isinstance(said, Judgement) else None
    final = {verdict.claim: verdict.verdict for verdict in attempt.decision.verdicts}
    yield "final", _label(final[claim])


_ALONE = {"consistency": {"when": "never"}, "judge": {"when": "never"}}


def _verdict(found: Assessment, policy: Policy) -> str:
    (claim,) = decide([found], policy).claims
    return claim.verdict.label


def _label(verdict: str) -> bool | None:
    if verdict in {"error", "unverifiable", "not_checkworthy"}:
        return None
    return verdict == "supported"


def _agreed(found: Consistency | Failed, rules: Policy) -> bool | None:
    at = rules.consistency
    if not isinstance(found, Consistency) or found.score is None or found.n < at.min_samples:
        return None
    if at.unsupported <= found.score < at.support:
        return None
    return found.score >= at.support
