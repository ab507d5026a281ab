"""What a judge may make of a verdict, and what it may not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.aggregate import judge, wants_judge
from verifiers.opinions import support_of
from verifiers.types import (
    Assessment,
    Basis,
    Claim,
    ClaimKind,
    Coverage,
    EvidenceSpan,
    Failed,
    Judgement,
    JudgeThresholds,
    MismatchKind,
    NLIProbs,
    NoEvidence,
    Scored,
    Span,
    Thresholds,
    ValueMismatch,
    WindowScore,
)

AT = Thresholds(0.5, 0.8)
BELIEVED = JudgeThresholds(grey=(0.3, 0.7), unsupported=True, floor=0.1)
CLAIM = Claim("c1", Span(0, 5), "claim", ClaimKind.SENTENCE, Span(0, 5), "claim")
NEAR = EvidenceSpan("a", Span(0, 20), "near")
FAR = EvidenceSpan("a", Span(40, 60), "far")


def found(support=0.35, contradiction=0.1, **changes):
    """A claim with two windows read: one at ``support``, one that says nothing."""
    scored = Scored(
        support,
        contradiction,
        NEAR,
        NEAR,
        Coverage(2, 2, 1, 1),
        windows=(
            WindowScore("a", Span(0, 30), NLIProbs(support, 1 - support, 0.0)),
            WindowScore("a", Span(30, 60), NLIProbs(0.01, 0.98, 0.01)),
        ),
    )
    return Assessment(CLAIM, replace(scored, **changes))


def said(label, quote=NEAR):
    return Judgement(label, quote, "judge")


def verdict(assessment, opinion, at=BELIEVED):
    return judge(replace(assessment, judgement=opinion), AT, None, at)


def test_a_quotation_of_a_near_passage_supports():
    """The verdict rests on the judge, and shows its passage."""
    got = verdict(found(), said("supported"))
    assert (got.label, got.basis, got.evidence) == ("supported", Basis.JUDGE, NEAR)


@pytest.mark.parametrize("quote", [None, FAR, EvidenceSpan("b", Span(0, 20), "elsewhere")])
def test_a_passage_that_hardly_bears_on_the_claim_supports_nothing(quote):
    """Nor does one of a source, or a part of one, that was not read."""
    got = verdict(found(), said("supported", quote))
    assert (got.label, got.basis) == ("unsupported", Basis.EVIDENCE)


def test_a_quotation_over_two_windows_counts_as_its_worst_part():
    """So a long quotation cannot borrow the support of what it runs into."""
    long = EvidenceSpan("a", Span(0, 60), "all")
    assert support_of(long, found().outcome) == 0.01
    assert verdict(found(), said("supported", long)).label == "unsupported"


def test_a_claim_whose_values_differ_is_not_asked_about():
    """Arithmetic has settled it, however near the wording is."""
    differs = ValueMismatch(MismatchKind.NUMBER, Span(0, 1), NEAR, "30, not 60")
    mixed = found(0.45, mismatches=(differs,))
    assert not wants_judge(mixed, AT, None, BELIEVED)
    assert verdict(mixed, said("supported")).label == "contradicted"


def test_what_the_policy_forbids_it_does_not_do():
    """May not raise, may not lower."""
    may_not = replace(BELIEVED, may_raise=False, may_lower=False)
    assert verdict(found(), said("supported"), may_not).label == "unsupported"
    assert verdict(found(0.55), said("contradicted"), may_not).label == "supported"
    assert verdict(found(0.55), said("unsupported", None), may_not).label == "supported"


def test_it_lowers_what_was_just_so_supported():
    """In the grey zone, and with a quotation where it says otherwise."""
    assert verdict(found(0.55), said("unsupported", None)).label == "unsupported"
    assert verdict(found(0.55), said("contradicted")).label == "contradicted"
    assert verdict(found(0.55), said("contradicted", None)).label == "supported"
    assert verdict(found(0.9), said("contradicted")).basis is Basis.EVIDENCE


def test_a_judge_that_failed_never_reads_as_clean():
    """What was supported becomes an error, what was not stays what it was."""
    broken = Failed("GR316", "said nothing")
    error = verdict(found(0.55), broken)
    assert (error.label, error.code, error.basis) == ("error", "GR316", Basis.JUDGE)
    assert verdict(found(), broken).label == "unsupported"


def test_it_has_no_say_where_there_is_nothing_to_read_or_all_is_settled():
    """No evidence, clear support, a contradiction: the judge is neither asked nor heard."""
    settled = [
        Assessment(CLAIM, NoEvidence("none")),
        Assessment(CLAIM, Failed("GR106", "failed")),
        found(0.9),
        found(0.2, 0.9),
    ]
    for assessment in settled:
        assert not wants_judge(assessment, AT, None, BELIEVED)
        for label in ("supported", "contradicted", "unsupported"):
            assert verdict(assessment, said(label)) == judge(assessment, AT)


def test_only_the_grey_zone_unless_every_unsupported_claim_is_asked_about():
    """``grey`` alone leaves a claim far from every passage as it is."""
    narrow = replace(BELIEVED, unsupported=False)
    assert wants_judge(found(0.3), AT, None, narrow)
    assert not wants_judge(found(0.29), AT, None, narrow)
    assert wants_judge(found(0.29), AT, None, BELIEVED)


@given(
    support=st.floats(0, 1),
    contradiction=st.floats(0, 1),
    quote=st.none()
    | st.builds(EvidenceSpan, st.sampled_from("ab"), st.just(Span(0, 20)), st.just("q")),
    label=st.sampled_from(["supported", "contradicted", "unsupported"]),
    floor=st.floats(0.01, 1),
)
def test_no_judge_supports_below_the_floor(support, contradiction, quote, label, floor):
    """Whatever it says and quotes: a supported verdict has its threshold or its floor."""
    at = replace(BELIEVED, floor=floor)
    got = verdict(found(support, contradiction), said(label, quote), at)
    if got.label == "supported":
        assert got.support >= (floor if got.basis is Basis.JUDGE else AT.support)
