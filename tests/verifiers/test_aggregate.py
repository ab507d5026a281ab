"""From scores to verdicts: each rule, its boundaries, and what is never concluded."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from verifiers.aggregate import citation_status, judge
from verifiers.types import (
    Assessment,
    CheckError,
    Citation,
    CitationScore,
    CitationStatus,
    Claim,
    ClaimKind,
    Contradicted,
    Coverage,
    EvidenceSpan,
    Failed,
    MismatchKind,
    NLIProbs,
    NoEvidence,
    NotCheckworthy,
    Scored,
    Skipped,
    SkipReason,
    Span,
    Supported,
    Thresholds,
    Unsupported,
    Unverifiable,
    ValueMismatch,
    WindowScore,
)
from verifiers.values import value_lowered

AT = Thresholds(support=0.6, contradiction=0.6)
SECRET = "Zanzibar"
CLAIM = Claim("c1", Span(0, 8), SECRET, ClaimKind.SENTENCE, Span(0, 8), SECRET)
FOR = EvidenceSpan("a", Span(10, 20), SECRET)
AGAINST = EvidenceSpan("b", Span(30, 40), SECRET)
MARK = Citation(Span(4, 7), "[1]", "1", "a")


def scored(support: float, contradiction: float, **more: Any) -> Assessment:
    citations = more.pop("citations", ())
    outcome = Scored(support, contradiction, FOR, AGAINST, Coverage(2, 2, 1, 1), **more)
    return Assessment(CLAIM, outcome, citations)


def differs(source: str = "a", start: int = 12) -> ValueMismatch:
    where = EvidenceSpan(source, Span(start, start + 2), SECRET)
    return ValueMismatch(MismatchKind.NUMBER, Span(0, 2), where, f"{SECRET} 60, not 30")


def window(source: str, start: int, entailment: float) -> WindowScore:
    rest = (1 - entailment) / 2
    return WindowScore(source, Span(start, start + 20), NLIProbs(entailment, rest, rest))


def test_one_passage_supports() -> None:
    """The best passage's entailment is enough, with that passage as evidence."""
    found = judge(scored(0.6, 0.1), AT)
    assert isinstance(found, Supported)
    assert found.evidence == FOR
    assert found.reason == "A passage supports it (0.60 >= 0.60)."


def test_one_passage_contradicts() -> None:
    """The best passage's contradiction is enough, with that passage as evidence."""
    found = judge(scored(0.1, 0.9), AT)
    assert isinstance(found, Contradicted)
    assert (found.evidence, found.conflict, found.supporting) == (AGAINST, False, None)
    assert found.reason == "A passage contradicts it (0.90 >= 0.60)."


def test_both_is_a_conflict() -> None:
    """Two passages that disagree are both kept, and nothing is averaged."""
    found = judge(scored(0.95, 0.7), AT)
    assert isinstance(found, Contradicted)
    assert (found.evidence, found.conflict, found.supporting) == (AGAINST, True, FOR)
    assert "one contradicts it" in found.reason


def test_neither_is_unsupported() -> None:
    """Without a passage that says so, the nearest one is shown."""
    found = judge(scored(0.59, 0.59), AT)
    assert isinstance(found, Unsupported)
    assert found.evidence == FOR
    assert found.reason == "No passage read supports it (best 0.59 < 0.60)."


def test_a_reason_shows_no_more_decimals_than_tell_the_side() -> None:
    """Near a threshold one or two more than usual, not sixteen."""
    found = judge(scored(0.1, 0.6043711365294312), AT)
    assert isinstance(found, Contradicted)
    assert found.reason == "A passage contradicts it (0.604 >= 0.600)."


def test_thresholds_are_exact_and_shown_so() -> None:
    """The nearest number below a threshold does not reach it, and the reason does not hide it."""
    below = math.nextafter(0.6, 0)
    found = judge(scored(below, below), AT)
    assert isinstance(found, Unsupported)
    assert found.reason == f"No passage read supports it (best {below!r} < {0.6:.16f})."


def test_a_value_that_differs_overturns_support() -> None:
    """60 days against 30 in the one passage that supports the claim contradicts it."""
    found = judge(scored(0.97, 0.01, mismatches=(differs(),)), AT)
    assert isinstance(found, Contradicted)
    assert found.evidence == differs().evidence
    assert found.mismatches == (differs(),)
    assert not found.conflict
    assert found.reason == (
        "A value (number) differs from the evidence, close as the wording is (0.97 >= 0.60)."
    )


def test_a_value_that_differs_contradicts_without_support() -> None:
    """The value layer needs no help from the model."""
    found = judge(scored(0.2, 0.1, mismatches=(differs(),)), AT)
    assert isinstance(found, Contradicted)
    assert found.reason == "A value (number) differs from the evidence."


@pytest.mark.parametrize(
    ("windows", "label"),
    [
        ((window("a", 0, 0.97), window("b", 0, 0.8)), "supported"),  # b says so, b's values agree
        ((window("a", 0, 0.97), window("b", 0, 0.59)), "contradicted"),  # b does not say so
        ((window("a", 0, 0.97), window("a", 5, 0.9)), "contradicted"),  # both hold the other value
        ((window("a", 0, 0.97), window("a", 14, 0.9)), "supported"),  # begins where it ends
    ],
)
def test_support_from_another_passage_stands(windows: tuple[WindowScore, ...], label: str) -> None:
    """A value that differs in one passage does not undo another that supports the claim."""
    found = judge(scored(0.97, 0.01, mismatches=(differs(),), windows=windows), AT)
    assert found.label == label


def test_a_hedge_left_out_is_no_contradiction() -> None:
    """What only weakens the support leaves the claim unsupported, and says so."""
    place = EvidenceSpan("a", Span(12, 14), SECRET)
    hedge = ValueMismatch(MismatchKind.HEDGING, Span(0, 2), place, "it may be")
    left = value_lowered(0.97, {MismatchKind.HEDGING})
    at = Thresholds(support=(left + 0.97) / 2, contradiction=0.6)
    found = judge(scored(0.97, 0.01, mismatches=(hedge,)), at)
    assert isinstance(found, Unsupported)
    assert found.support == left
    assert found.reason.startswith(
        "A value (hedging) differs from the evidence, which leaves too little support (best "
    )
    assert judge(scored(0.97, 0.01, mismatches=(hedge,)), replace(at, support=left)).label == (
        "supported"
    )


def test_values_never_support() -> None:
    """No mismatch is no support: only a passage supports."""
    assert judge(scored(0.0, 0.0), AT).label == "unsupported"


def test_partial_reading_is_said() -> None:
    """Every verdict on a claim for which not all was read says so."""
    for support, contradiction in ((0.9, 0.0), (0.0, 0.9), (0.0, 0.0), (0.9, 0.9)):
        assessment = scored(support, contradiction)
        assert isinstance(assessment.outcome, Scored)
        outcome = replace(assessment.outcome, coverage=Coverage(16, 900, 1, 2))
        found = judge(replace(assessment, outcome=outcome), AT)
        assert isinstance(found, Supported | Contradicted | Unsupported)
        assert found.reason.endswith(" Only 16 of 900 windows of the evidence were read.")


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.01, 1.01, math.nextafter(1, 2)])
@pytest.mark.parametrize("place", ["support", "contradiction", "window", "citation"])
def test_what_is_no_probability_is_an_error(score: float, place: str) -> None:
    """A broken score anywhere never reads as clean, whatever the other scores say."""
    assessment = scored(
        score if place == "support" else 0.9,
        score if place == "contradiction" else 0.0,
        windows=(window("a", 0, 0.9), WindowScore("a", Span(0, 9), NLIProbs(0.9, 0.1, score)))
        if place == "window"
        else (),
        citations=(CitationScore(MARK, score),) if place == "citation" else (),
    )
    found = judge(assessment, AT)
    assert isinstance(found, CheckError)
    assert found.code == "GR106"


@pytest.mark.parametrize("bad", [math.nan, 0.0, 1.5, -1.0])
@pytest.mark.parametrize("which", ["support", "contradiction"])
def test_thresholds_that_are_no_probabilities_are_an_error(bad: float, which: str) -> None:
    """A threshold nothing can be compared with gives no verdict."""
    found = judge(scored(0.9, 0.0), replace(AT, **{which: bad}))
    assert isinstance(found, CheckError)
    assert found.code == "GR100"


def test_what_was_not_scored() -> None:
    """No evidence, nothing to check and a failure are three different things."""
    found = judge(Assessment(CLAIM, NoEvidence("There were no sources.")), AT)
    assert found == Unverifiable(CLAIM, "There were no sources.", CitationStatus.UNCITED)
    found = judge(Assessment(CLAIM, Skipped(SkipReason.GREETING)), AT)
    assert found == NotCheckworthy(CLAIM, SkipReason.GREETING)
    found = judge(Assessment(CLAIM, Failed("GR106", "It broke.")), AT)
    assert found == CheckError(CLAIM, "GR106", "It broke.")


@pytest.mark.parametrize(
    ("scores", "status"),
    [
        ((), CitationStatus.UNCITED),
        ((0.6,), CitationStatus.CITED),
        ((math.nextafter(0.6, 0),), CitationStatus.MISCITED),
        ((None,), CitationStatus.MISCITED),
        ((None, 0.1, 0.9), CitationStatus.CITED),
    ],
)
def test_citations(scores: tuple[float | None, ...], status: CitationStatus) -> None:
    """One cited source that carries the claim is enough; one that is not there carries nothing."""
    citations = tuple(CitationScore(MARK, score) for score in scores)
    found = judge(scored(0.9, 0.0, citations=citations), AT)
    assert isinstance(found, Supported)
    assert found.citation is status


def test_a_marker_that_was_not_scored_is_miscited() -> None:
    """A claim that names a source nobody looked at does not count as citing none."""
    claim = replace(CLAIM, citations=(MARK,))
    assessment = Assessment(claim, NoEvidence("There were no sources."))
    assert citation_status(assessment, AT) is CitationStatus.MISCITED


def test_reasons_hold_no_text() -> None:
    """What the answer and the sources say stays in the spans; reasons can be logged."""
    for support, contradiction, mismatches in (
        (0.9, 0.0, ()),
        (0.0, 0.9, ()),
        (0.9, 0.9, (differs(),)),
        (0.0, 0.0, ()),
        (0.9, 0.0, (differs(),)),
        (0.0, 0.0, (differs(),)),
    ):
        found = judge(scored(support, contradiction, mismatches=mismatches), AT)
        assert SECRET not in str(found.reason)
