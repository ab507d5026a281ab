"""What samples may decide, what they may not, and what the verdict then says of itself."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.aggregate import judge, wants_samples
from verifiers.types import (
    Assessment,
    Basis,
    CheckError,
    Claim,
    ClaimKind,
    Consistency,
    ConsistencyThresholds,
    Coverage,
    EvidenceSpan,
    Failed,
    NoEvidence,
    SampleScore,
    Scored,
    ScorerName,
    Skipped,
    SkipReason,
    Span,
    Supported,
    Thresholds,
    Unsupported,
    Unverifiable,
)

AT = Thresholds(support=0.6, contradiction=0.6)
SAMPLES = ConsistencyThresholds(support=0.7, unsupported=0.4, min_samples=3)
GREY = replace(SAMPLES, grey=(0.3, 0.7))
CLAIM = Claim("c1", Span(0, 3), "Yes", ClaimKind.SENTENCE, Span(0, 3), "Yes")
PLACE = EvidenceSpan("a", Span(0, 5), "Maybe")
NOTHING = NoEvidence("there is no source to read")


def agreement(score: float | None, n: int = 5, **more: Any) -> Consistency:
    rows = () if score is None else (SampleScore(0, n, score, 1 - score),)
    seen = Coverage(n, n, n, n)
    return Consistency(ScorerName.NLI, score, n, n, samples=rows, coverage=seen, **more)


def read(support: float, contradiction: float = 0.1) -> Scored:
    return Scored(support, contradiction, PLACE, PLACE, Coverage(1, 1, 1, 1))


def test_samples_support_a_claim_without_sources() -> None:
    """The verdict names its basis, shows no passage, and says that this is not truth."""
    found = judge(Assessment(CLAIM, NOTHING, consistency=agreement(0.7)), AT, SAMPLES)
    assert isinstance(found, Supported)
    assert (found.basis, found.evidence, found.support) == (Basis.CONSISTENCY, None, 0.7)
    assert found.contradiction == pytest.approx(0.3)
    assert found.coverage == Coverage(5, 5, 5, 5)
    assert found.reason == (
        "No source was read. The agreement of 5 samples supports it (0.70 >= 0.70);"
        " consistency is not truth."
    )


def test_samples_that_differ_make_it_unsupported() -> None:
    """What is made up differently each time is not borne out; it is never called contradicted."""
    found = judge(Assessment(CLAIM, NOTHING, consistency=agreement(0.0, refused=2)), AT, SAMPLES)
    assert isinstance(found, Unsupported)
    assert found.basis is Basis.CONSISTENCY
    assert found.reason == (
        "No source was read. The agreement of 5 samples (2 declined) does not bear it out"
        " (0.00 < 0.40); consistency is not truth."
    )


@pytest.mark.parametrize("score", [0.4, 0.5, math.nextafter(0.7, 0)])
def test_between_the_thresholds_nothing_is_concluded(score: float) -> None:
    """The claim stays unverifiable, and the reason says what the samples came to."""
    found = judge(Assessment(CLAIM, NOTHING, consistency=agreement(score)), AT, SAMPLES)
    assert isinstance(found, Unverifiable)
    assert "settles nothing" in found.reason


def test_reasons_are_sentences() -> None:
    """What the samples add stands behind the full stop of what the sources left."""
    for found in (agreement(0.5), agreement(1.0, 2)):
        outcome = NoEvidence("there is no source to read")
        verdict = judge(Assessment(CLAIM, outcome, consistency=found), AT, SAMPLES)
        assert isinstance(verdict, Unverifiable)
        assert verdict.reason.startswith("there is no source to read. ")


def test_too_few_samples_conclude_nothing() -> None:
    """Refused and empty samples are counted, and are no evidence either way."""
    few = agreement(1.0, 2, refused=3, empty=1)
    found = judge(Assessment(CLAIM, NOTHING, consistency=few), AT, SAMPLES)
    assert isinstance(found, Unverifiable)
    assert found.reason.endswith("2 of the 3 samples it takes could be read (3 declined, 1 empty).")
    none = replace(few, score=None, n=0, samples=())
    at = replace(SAMPLES, min_samples=0)
    assert isinstance(judge(Assessment(CLAIM, NOTHING, consistency=none), AT, at), Unverifiable)


def test_samples_that_could_not_be_had_are_an_error() -> None:
    """A claim without sources whose samples failed was not looked at: never clean."""
    failed = Failed("GR106", "The model failed.")
    found = judge(Assessment(CLAIM, NOTHING, consistency=failed), AT, SAMPLES)
    assert found == CheckError(CLAIM, "GR106", "The model failed.", Basis.CONSISTENCY)
    found = judge(Assessment(CLAIM, read(0.65), consistency=failed), AT, GREY)
    assert isinstance(found, CheckError)
    found = judge(Assessment(CLAIM, read(0.35), consistency=failed), AT, GREY)
    assert isinstance(found, Unsupported)
    assert found.basis is Basis.EVIDENCE
    assert "GR106" in found.reason


def test_the_grey_zone_is_decided_by_samples_and_keeps_its_passage() -> None:
    """Unsure evidence is shown beside the verdict that samples gave."""
    found = judge(Assessment(CLAIM, read(0.3), consistency=agreement(0.9)), AT, GREY)
    assert isinstance(found, Supported)
    assert (found.basis, found.evidence) == (Basis.CONSISTENCY, PLACE)
    assert found.coverage == Coverage(1, 1, 1, 1)
    found = judge(Assessment(CLAIM, read(0.69), consistency=agreement(0.1)), AT, GREY)
    assert isinstance(found, Unsupported)
    found = judge(Assessment(CLAIM, read(0.65), consistency=agreement(0.5)), AT, GREY)
    assert isinstance(found, Supported)
    assert found.basis is Basis.EVIDENCE


def test_samples_left_out_of_it_change_nothing() -> None:
    """Without thresholds for samples, or without samples, the sources alone speak."""
    with_samples = Assessment(CLAIM, NOTHING, consistency=agreement(1.0))
    assert judge(with_samples, AT) == judge(Assessment(CLAIM, NOTHING), AT, SAMPLES)


@pytest.mark.parametrize("score", [math.nan, -0.1, 1.1])
def test_scores_that_are_no_probabilities_are_errors(score: float) -> None:
    """They never read as clean."""
    found = judge(Assessment(CLAIM, NOTHING, consistency=agreement(score)), AT, SAMPLES)
    assert isinstance(found, CheckError)


def test_thresholds_in_the_wrong_order_are_errors() -> None:
    """A gap that is turned round would call one score two things."""
    at = ConsistencyThresholds(support=0.3, unsupported=0.6)
    found = judge(Assessment(CLAIM, NOTHING, consistency=agreement(0.5)), AT, at)
    assert isinstance(found, CheckError)


unit = st.floats(0, 1)


@given(unit, unit, unit, st.none() | st.tuples(unit, unit))
def test_what_the_sources_decided_stays(
    support: float, contradiction: float, score: float, grey: tuple[float, float] | None
) -> None:
    """Outside the grey zone the samples change nothing, and nobody needs to ask for them."""
    at = replace(SAMPLES, grey=grey)
    plain = Assessment(CLAIM, read(support, contradiction))
    sampled = replace(plain, consistency=agreement(score))
    unsure = grey is not None and grey[0] <= support < grey[1] and contradiction < AT.contradiction
    assert wants_samples(plain, AT, at) is unsure
    if not unsure:
        assert judge(sampled, AT, at) == judge(plain, AT)


@pytest.mark.parametrize(
    "outcome", [Skipped(SkipReason.GREETING), Failed("GR106", "It broke.")], ids=["skip", "fail"]
)
def test_what_was_not_looked_at_wants_no_samples(outcome: Skipped | Failed) -> None:
    """Samples are drawn for claims that were looked at in vain."""
    plain = Assessment(CLAIM, outcome)
    assert not wants_samples(plain, AT, GREY)
    assert judge(replace(plain, consistency=agreement(1.0)), AT, GREY) == judge(plain, AT)


@given(unit, unit)
def test_more_agreement_is_never_worse(low: float, high: float) -> None:
    """Raising the score moves the verdict from unsupported through unverifiable to supported."""
    order = [Unsupported, Unverifiable, Supported]
    low, high = sorted((low, high))
    first, second = (
        judge(Assessment(CLAIM, NOTHING, consistency=agreement(score)), AT, SAMPLES)
        for score in (low, high)
    )
    assert order.index(type(first)) <= order.index(type(second))
