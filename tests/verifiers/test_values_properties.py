"""What holds of value checks whatever the texts are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from verifiers.aggregate import clean_support, judge
from verifiers.bench.minimal_pairs import minimal_pairs
from verifiers.types import (
    Assessment,
    Claim,
    ClaimKind,
    Coverage,
    EvidenceSpan,
    MismatchKind,
    NLIProbs,
    Scored,
    Span,
    Thresholds,
    ValueMismatch,
    WindowScore,
)
from verifiers.values import mismatches

if TYPE_CHECKING:
    from random import Random

    from verifiers.bench.minimal_pairs import MinimalPair

PAIRS = minimal_pairs()
# Sentences of every kind the layer reads, so that random pairs of them meet its rules.
TEXTS = sorted({p.claim for p in PAIRS} | {p.passage for p in PAIRS})
OFFSET = 50


def claim_of(text: str, at: int = 0) -> Claim:
    span = Span(at, at + len(text))
    return Claim("c1", span, text, ClaimKind.SENTENCE, span, text)


def found(claim: str, evidence: str, *, at: int = 0) -> tuple[ValueMismatch, ...]:
    place = Span(OFFSET, OFFSET + len(evidence))
    return mismatches(claim_of(claim, at), EvidenceSpan("s", place, evidence))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TEXTS),
    st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3),
    st.integers(0, 99),
)
def test_spans_lie_in_the_texts(claim: str, sources: list[str], at: int) -> None:
    """Both spans of every mismatch are words of their texts, and the message quotes them."""
    evidence = " ".join(sources)
    for mismatch in found(claim, evidence, at=at):
        here, there = mismatch.claim_span, mismatch.evidence.span
        assert at <= here.start < here.end <= at + len(claim)
        assert OFFSET <= there.start < there.end <= OFFSET + len(evidence)
        assert evidence[there.start - OFFSET : there.end - OFFSET] == mismatch.evidence.text
        assert mismatch.message.startswith("claim says ")
        assert ", source says " in mismatch.message


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TEXTS))
def test_a_text_never_contradicts_itself(text: str) -> None:
    """What is said word for word differs in nothing."""
    assert found(text, text) == ()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([p for p in PAIRS if p.consistent]), st.sampled_from(TEXTS))
def test_the_very_words_elsewhere_are_no_mismatch(pair: MinimalPair, other: str) -> None:
    """Evidence that also holds the claim itself is not said to differ in figures or names."""
    evidence = f"{other} {pair.claim}"
    kinds = {m.kind for m in found(pair.claim, evidence)}
    assert not kinds & {MismatchKind.NUMBER, MismatchKind.DATE, MismatchKind.NAME}


@given(st.integers(1_000, 9_999_999))
def test_the_format_of_a_number_does_not_count(number: int) -> None:
    """Separators, and the words thousand and million, say the same number."""
    source = f"The depot holds {number} crates of tea."
    assert found(f"The depot holds {number:,} crates of tea.", source) == ()
    assert found(f"The depot holds {number / 1e6:.7g} million crates of tea.", source) == ()


@given(st.integers(1_000, 9_999_999), st.integers(1, 3))
def test_rounding_is_no_mismatch(number: int, digits: int) -> None:
    """About so many, rounded to its first digits, is what the source says."""
    assume(digits > 1 or number >= 10_000)
    rounded = int(float(f"{number:.{digits}g}"))
    assume(abs(rounded - number) <= 0.07 * number)
    source = f"The depot holds {number:,} crates of tea."
    assert found(f"The depot holds about {rounded:,} crates of tea.", source) == ()


@given(st.integers(20, 900), st.floats(1.5, 9))
def test_another_number_is_a_mismatch(number: int, factor: float) -> None:
    """Half as much again or more is another number, whichever is the larger."""
    other = int(number * factor)
    for said, held in ((number, other), (other, number)):
        (mismatch,) = found(
            f"The depot holds {said} crates of tea.", f"The depot holds {held} crates of tea."
        )
        assert mismatch.kind is MismatchKind.NUMBER


WINDOWS = st.lists(
    st.tuples(st.floats(0, 1), st.sets(st.sampled_from(MismatchKind), max_size=2)),
    min_size=1,
    max_size=5,
)


@given(WINDOWS, st.randoms(use_true_random=False), st.floats(0.01, 1))
def test_the_order_of_sources_does_not_matter(
    read: list[tuple[float, set[MismatchKind]]], chance: Random, threshold: float
) -> None:
    """The same passages in another order leave the same support and give the same verdict."""
    windows = [
        WindowScore(f"s{i}", Span(0, 10), NLIProbs(p, 1 - p, 0.0)) for i, (p, _) in enumerate(read)
    ]
    differing = [
        ValueMismatch(kind, Span(0, 1), EvidenceSpan(f"s{i}", Span(2, 4), "23"), "differs")
        for i, (_, kinds) in enumerate(read)
        for kind in sorted(kinds)
    ]
    best = max(windows, key=lambda w: w.probs.entailment)
    place = EvidenceSpan(best.source_id, best.window, "0123456789")

    def outcome() -> Scored:
        support = best.probs.entailment
        coverage = Coverage(len(windows), len(windows), 1, 1)
        return Scored(support, 0.0, place, place, coverage, tuple(differing), tuple(windows))

    at = Thresholds(support=threshold, contradiction=threshold)
    before = outcome()
    chance.shuffle(windows)
    chance.shuffle(differing)
    after = outcome()
    assert clean_support(before) == clean_support(after)
    first, second = (judge(Assessment(claim_of("x"), o, ()), at) for o in (before, after))
    assert first.label == second.label


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.lists(st.sampled_from(MismatchKind), max_size=3),
    st.floats(0.01, 1),
)
def test_values_never_support_alone(
    support: float, contradiction: float, kinds: list[MismatchKind], threshold: float
) -> None:
    """A claim is supported only where the model said so, and with mismatches no more often."""
    place = EvidenceSpan("s", Span(0, 10), "0123456789")
    made = tuple(ValueMismatch(kind, Span(0, 1), place, "differs") for kind in kinds)
    at = Thresholds(support=threshold, contradiction=threshold)

    def label(of: tuple[ValueMismatch, ...]) -> str:
        outcome = Scored(support, contradiction, place, place, Coverage(1, 1, 1, 1), of)
        return judge(Assessment(claim_of("x"), outcome, ()), at).label

    if label(made) == "supported":
        assert support >= threshold
        assert label(()) == "supported"
