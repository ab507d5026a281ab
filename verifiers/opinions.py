"""What a judge, a model that was asked to read the sources, may make of a verdict.

``a judge quotes``
    A judge speaks only of claims for which evidence was read and which it left unsettled. Its word
    alone is worth nothing: to support or to contradict a claim it must name a passage, and the
    passage must stand in a source word for word, which is checked before it gets here. To support,
    the reading must have given the passage at least ``floor``. (A claim whose values differ from
    the evidence's is contradicted, so no judge is asked about it.) So a judge that was talked
    round can choose among the passages that come near a claim, and cannot make one support it
    that has nothing to do with it.

Pure. Reasons hold scores and no text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from verifiers.types import (
    Basis,
    CheckError,
    Contradicted,
    EvidenceSpan,
    Failed,
    Judgement,
    NotCheckworthy,
    Scored,
    Supported,
    Unsupported,
    Unverifiable,
)

if TYPE_CHECKING:
    from verifiers.types import JudgeThresholds, Outcome, Verdict

Unsettled = Supported | Unsupported


def unsettled_by(verdict: Verdict, at: JudgeThresholds) -> Unsettled | None:
    """The verdict where a judge may speak, else None."""
    match verdict:
        case Supported() | Unsupported() if verdict.basis is Basis.EVIDENCE:
            low, high = at.grey
            if low <= verdict.support < high:
                return verdict
            return verdict if at.unsupported and isinstance(verdict, Unsupported) else None
        case (
            Supported()
            | Unsupported()
            | Contradicted()
            | Unverifiable()
            | NotCheckworthy()
            | CheckError()
        ):
            return None
        case _:
            assert_never(verdict)


def with_judgement(
    verdict: Verdict, said: Judgement | Failed, outcome: Outcome, at: JudgeThresholds
) -> Verdict:
    """The verdict after a judge was heard.

    Args:
        verdict: Without it.
        said: What it said, or why there is nothing that can be used.
        outcome: What the sources said of the claim.
        at: How far it is believed.
    """
    unsettled = unsettled_by(verdict, at)
    if unsettled is None or not isinstance(outcome, Scored):
        return verdict
    if isinstance(said, Failed):
        if isinstance(unsettled, Unsupported):
            return _noted(unsettled, f"The judge gave nothing that can be used ({said.code}).")
        return CheckError(verdict.claim, said.code, said.cause, Basis.JUDGE)
    match said.label:
        case "supported":
            return _raised(unsettled, said.quote, outcome, at)
        case "contradicted":
            return _contradicted(unsettled, said.quote, at)
        case "unsupported":
            return _lowered(unsettled, at)
        case _:
            assert_never(said.label)


def _raised(
    verdict: Unsettled, quote: EvidenceSpan | None, scored: Scored, at: JudgeThresholds
) -> Verdict:
    if isinstance(verdict, Supported):
        return _noted(verdict, "A judge agrees.")
    if not at.may_raise:
        return _noted(verdict, "A judge thinks otherwise and may not raise it.")
    if quote is None:
        return _noted(verdict, "A judge thinks otherwise and quotes nothing.")
    read = support_of(quote, scored)
    if not read >= at.floor:
        return _noted(
            verdict,
            f"A judge quotes a passage that hardly bears on it ({read:.2f} < {at.floor:.2f}).",
        )
    return Supported(
        claim=verdict.claim,
        support=read,
        contradiction=verdict.contradiction,
        evidence=quote,
        coverage=verdict.coverage,
        reason=f"No passage alone supports it by the reading; a judge says that this one does "
        f"({read:.2f} >= {at.floor:.2f}).",
        citation=verdict.citation,
        basis=Basis.JUDGE,
    )


def _contradicted(verdict: Unsettled, quote: EvidenceSpan | None, at: JudgeThresholds) -> Verdict:
    if not at.may_lower or quote is None:
        return _noted(verdict, "A judge says otherwise and may not lower it, or quotes nothing.")
    return Contradicted(
        claim=verdict.claim,
        support=verdict.support,
        contradiction=verdict.contradiction,
        evidence=quote,
        coverage=verdict.coverage,
        reason=f"The sources leave it unsure ({verdict.support:.2f}); a judge says that this "
        "passage contradicts it.",
        citation=verdict.citation,
        basis=Basis.JUDGE,
    )


def _lowered(verdict: Unsettled, at: JudgeThresholds) -> Verdict:
    if isinstance(verdict, Unsupported):
        return _noted(verdict, "A judge agrees.")
    if not at.may_lower:
        return _noted(verdict, "A judge thinks otherwise and may not lower it.")
    return Unsupported(
        claim=verdict.claim,
        support=verdict.support,
        contradiction=verdict.contradiction,
        evidence=verdict.evidence,
        coverage=verdict.coverage,
        reason=f"The sources leave it unsure ({verdict.support:.2f}); a judge says that none "
        "supports it.",
        citation=verdict.citation,
        basis=Basis.JUDGE,
    )


def support_of(quote: EvidenceSpan, scored: Scored) -> float:
    """How far the reading saw a passage support the claim: the best window that holds all of it.

    A passage that no window holds whole counts as its worst part.
    """
    if not scored.windows:  # only the best passage is known
        best = scored.best_support
        here = best.source_id == quote.source_id and best.span.contains(quote.span)
        return scored.support if here else 0.0
    near = [
        window
        for window in scored.windows
        if window.source_id == quote.source_id and window.window.overlaps(quote.span)
    ]
    whole = [w.probs.entailment for w in near if w.window.contains(quote.span)]
    if whole:
        return max(whole)
    return min((window.probs.entailment for window in near), default=0.0)


def _noted(verdict: Unsettled, words: str) -> Unsettled:
    return replace(verdict, reason=f"{verdict.reason} {words}")
