"""A report made by hand, with one claim of every verdict."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from guardrails.report import Attempt, Disposition, Report
from policies.types import Action, ClaimDecision, Decision, RuleHit
from verifiers.types import (
    CheckError,
    CitationStatus,
    Claim,
    ClaimKind,
    Contradicted,
    Coverage,
    EvidenceSpan,
    MismatchKind,
    ModelInfo,
    NotCheckworthy,
    SkipReason,
    Source,
    Span,
    Supported,
    Unsupported,
    Unverifiable,
    ValueMismatch,
    Verdict,
    Verification,
)

SOURCE = "A day costs 18 euros. It opens at 8 a.m. \x1b[31mRED\x1b[0m ends."
ANSWER = (
    "Hello! A day costs 18 euros. It opens at 9 a.m. Dogs are welcome. "
    "Marta runs it. Both say so. It broke."
)


def _claim(number: int, text: str, skip: SkipReason | None = None) -> Claim:
    start = ANSWER.index(text)
    span = Span(start, start + len(text))
    return Claim(f"c{number}", span, text, ClaimKind.SENTENCE, span, text, skip=skip)


def build() -> Report:
    """One claim of each verdict, decided as review."""
    day = EvidenceSpan("handbook.md", Span(0, 21), SOURCE[0:21])
    opens = EvidenceSpan("handbook.md", Span(22, len(SOURCE)), SOURCE[22:])
    full, part = Coverage(3, 3, 1, 1), Coverage(3, 90, 1, 1)
    wrong = ValueMismatch(
        MismatchKind.NUMBER, Span(38, 39), opens, "claim says 9 a.m., source says 8 a.m."
    )
    verdicts: list[tuple[Verdict, Action, str]] = [
        (
            NotCheckworthy(_claim(1, "Hello!", SkipReason.GREETING), SkipReason.GREETING),
            Action.PASS,
            "-",
        ),
        (
            Supported(
                _claim(2, "A day costs 18 euros."),
                0.98765,
                0.001,
                day,
                full,
                "r",
                CitationStatus.CITED,
            ),
            Action.PASS,
            "on_supported",
        ),
        (
            Contradicted(
                _claim(3, "It opens at 9 a.m."),
                0.01,
                0.97,
                opens,
                full,
                "r",
                CitationStatus.MISCITED,
                mismatches=(wrong,),
            ),
            Action.REGENERATE,
            "on_contradicted",
        ),
        (
            Unsupported(
                _claim(4, "Dogs are welcome."), 0.1, 0.2, day, part, "r", CitationStatus.UNCITED
            ),
            Action.REDACT,
            "on_unsupported",
        ),
        (
            Unverifiable(_claim(5, "Marta runs it."), "no evidence", CitationStatus.UNCITED),
            Action.ANNOTATE,
            "on_no_evidence",
        ),
        (
            Contradicted(
                _claim(6, "Both say so."),
                0.9,
                0.9,
                opens,
                full,
                "r",
                CitationStatus.UNCITED,
                True,
                day,
            ),
            Action.REVIEW,
            "on_conflict",
        ),
        (
            CheckError(_claim(7, "It broke."), "GR106", "the model failed"),
            Action.REVIEW,
            "on_error",
        ),
    ]
    decision = Decision(
        Action.REVIEW,
        tuple(ClaimDecision(verdict, action, rule) for verdict, action, rule in verdicts),
        (RuleHit("on_conflict", Action.REVIEW, "sources disagree", "c6"),),
        "balanced",
        "b2:0123456789abcdef0123",
    )
    verification = Verification(
        (),
        ModelInfo("bundled", "r1", "onnx", 512, "none", "fp32/CPU", ("a", "b", "c")),
        9,
        7,
        {"total": 0.5},
    )
    return Report(
        record_id="rec-1",
        call_id="call-1",
        choice=0,
        started=datetime(2026, 1, 2, tzinfo=UTC),
        answer=ANSWER,
        text="A person is looking.",
        decision=decision,
        disposition=Disposition.HELD,
        verification=verification,
        attempts=(Attempt(1, ANSWER, verification, decision),),
        sources=(Source("handbook.md", SOURCE, title="Customer handbook"),),
        seconds={"total": 0.7},
        notes=("the price of this model is not known",),
    )


@pytest.fixture
def report() -> Report:
    """One claim of each verdict, decided as review."""
    return build()
