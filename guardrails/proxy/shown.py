"""The report as callers of the proxy get it: in the body, in a stream, and as short headers.

Text that was withheld stays withheld: a claim whose sentence did not go out is told by its place,
its verdict and what was done, without its words, and so is everything else that may quote it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from guardrails._report_dict import claim_dict
from guardrails.report import Disposition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardrails.report import Report
    from policies.types import ClaimDecision

Much = Literal["full", "short", "none"]

# In a full report: what is the caller's already, or repeats answers that nobody got.
_LEFT_OUT = ("answer", "attempts", "question", "text")
# What is told of a claim whose words did not go out.
_WORDLESS = (
    "id",
    "span",
    "kind",
    "verdict",
    "action",
    "rule",
    "basis",
    "citation",
    "support",
    "contradiction",
    "conflict",
    "coverage",
    "code",
)


def body_of(reports: Sequence[Report], much: Much) -> dict[str, Any] | None:
    """What goes under ``guardrails`` in a response; None for nothing."""
    if much == "none" or not reports:
        return None
    worst = max(reports, key=lambda report: report.action.severity)
    return {
        "call_id": reports[0].call_id,
        "action": worst.action.value,
        "disposition": worst.disposition.value,
        "reports": [short(report) if much == "short" else full(report) for report in reports],
    }


def short(report: Report) -> dict[str, Any]:
    """What was decided and done, with a count of verdicts."""
    return {
        "record_id": report.record_id,
        "choice": report.choice,
        "action": report.action.value,
        "disposition": report.disposition.value,
        "policy": report.decision.policy,
        "route": report.decision.route,
        "review_id": report.review_id,
        "recorded": report.recorded,
        "attempts": len(report.attempts),
        "verdicts": _counted(report),
        "notes": list(report.notes),
    }


def full(report: Report) -> dict[str, Any]:
    """Claim by claim, with the evidence, without anything that was withheld."""
    told = {key: value for key, value in report.to_dict().items() if key not in _LEFT_OUT}
    told["attempts"] = len(report.attempts)
    told["verdicts"] = _counted(report)
    told["claims"] = [
        claim if _released(report, claim["span"]) else _unquoted(claim) for claim in told["claims"]
    ]
    withheld = {claim["id"] for claim in told["claims"] if "text" not in claim}
    told["rules"] = [
        {**rule, "message": None} if rule["claim"] in withheld else rule for rule in told["rules"]
    ]
    return told


def _counted(report: Report) -> dict[str, int]:
    return dict(Counter(verdict.label for verdict in report.verdicts))


def _released(report: Report, span: list[int]) -> bool:
    """Whether the words of a claim went out."""
    if report.disposition not in {
        Disposition.RELEASED,
        Disposition.FLAGGED,
        Disposition.REDACTED,
    }:
        return False
    return not any(gone.start < span[1] and span[0] < gone.end for gone in report.removed)


def _unquoted(claim: dict[str, Any]) -> dict[str, Any]:
    return {key: claim[key] for key in _WORDLESS if key in claim}


def beside(claims: Sequence[ClaimDecision]) -> dict[str, Any] | None:
    """What is said of the claims of a stream so far: verdicts and places, no words."""
    if not claims:
        return None
    return {"claims": [_unquoted(claim_dict(claim)) for claim in claims]}


def headers_of(reports: Sequence[Report]) -> dict[str, str]:
    """Short headers: what was done, and where to find the record."""
    if not reports:
        return {}
    worst = max(reports, key=lambda report: report.action.severity)
    return {
        "x-groundrail-action": worst.action.value,
        "x-groundrail-disposition": worst.disposition.value,
        "x-groundrail-record": worst.record_id,
        "x-groundrail-call": worst.call_id,
    }
