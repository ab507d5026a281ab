"""What LiteLLM's callers and logs are told: decisions without text, and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import HTTPException

from guardrails.errors import Blocked, GuardrailsError
from verifiers.errors import GroundrailError, SourceInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardrails.report import Report


def summary(report: Report) -> dict[str, Any]:
    """What was decided about one answer, without text of the conversation."""
    return {
        "record_id": report.record_id,
        "call_id": report.call_id,
        "choice": report.choice,
        "action": report.action.value,
        "disposition": report.disposition.value,
        "policy": report.decision.policy,
        "route": report.decision.route,
        "sources": len(report.sources),
        "claims": [
            {"id": entry.verdict.claim.id, "verdict": entry.verdict.label, "action": entry.action}
            for entry in report.claims
        ],
        "review_id": report.review_id,
        "recorded": report.recorded,
        "notes": list(report.notes),
    }


def summaries(reports: Sequence[Report]) -> dict[str, Any]:
    """What goes under ``guardrails`` in an answer."""
    return {"reports": [summary(report) for report in reports]}


def failed(error: Exception) -> Exception:
    """What LiteLLM's proxy shall answer with. Never the text of an error we do not know."""
    if isinstance(error, HTTPException):
        return error
    if isinstance(error, Blocked | SourceInvalid):
        return http_error(400, error)
    if isinstance(error, GroundrailError):
        return http_error(500, error)
    return http_error(
        500,
        GuardrailsError(
            f"Checking the answer raised {type(error).__name__}; nothing was released.",
            hint="LiteLLM's log has the traceback.",
        ),
    )


def http_error(status: int, error: GroundrailError) -> HTTPException:
    """An error of ours as LiteLLM's proxy passes it on."""
    said = " ".join(part for part in (error.message, error.hint) if part)
    return HTTPException(status_code=status, detail=f"{error.code}: {said}")
