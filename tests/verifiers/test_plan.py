"""What has to be read for each claim, and what the readings mean, without a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.aggregate import clean_support
from verifiers.plan import VERBATIM, Reading, finish
from verifiers.plan import plan as plan_with
from verifiers.types import (
    Citation,
    Claim,
    ClaimKind,
    Coverage,
    EvidenceSpan,
    Failed,
    MismatchKind,
    NLIProbs,
    NoEvidence,
    Scored,
    Skipped,
    SkipReason,
    Span,
    ValueMismatch,
    Window,
)
from verifiers.values import value_lowered

UNIT = st.floats(0, 1)


def claim(number: int, *, skip: SkipReason | None = None, cites: tuple[str, ...] = ()) -> Claim:
    text = f"claim {number}"
    span = Span(number * 20, number * 20 + len(text))
    citations = tuple(Citation(span, f"[{source}]", source, source) for source in cites)
    return Claim(
        f"c{number}", span, text, ClaimKind.SENTENCE, span, text, skip=skip, citations=citations
    )


def window(source: str, index: int) -> Window:
    text = f"{source} window {index}"
    return Window(source, index, Span(index * 100, index * 100 + len(text)), text)


def probs(entailment: float, contradiction: float) -> NLIProbs:
    return NLIProbs(entailment, 1 - entailment - contradiction, contradiction)


def whole(w: Window, _text: str, _place: Span | None) -> EvidenceSpan:
    return EvidenceSpan(w.source_id, w.span, w.text)


def reading(*windows: Window, total: int | None = None) -> Reading:
    sources = len({w.source_id for w in windows})
    return Reading(windows, Coverage(len(windows), total or len(windows), sources, sources))


def never(_claim: Claim, _window: Window) -> bool:
    return False


def plan(claims, *, select, has_evidence, verbatim=never):
    return plan_with(claims, select=select, verbatim=verbatim, has_evidence=has_evidence)


def none_differ(_claim: Claim, _window: Window) -> list[ValueMismatch]:
    return []


def differs(claim: Claim, window: Window) -> list[ValueMismatch]:
    evidence = EvidenceSpan(window.source_id, window.span, window.text)
    return [ValueMismatch(MismatchKind.NUMBER, claim.span, evidence, "60 against 30")]


def test_skipped_claims_ask_for_nothing() -> None:
    """A claim that is not checkworthy is settled before anything is read."""
    made = plan(
        [claim(1, skip=SkipReason.QUESTION)],
        select=lambda _: pytest.fail("read"),
        has_evidence=True,
    )
    (assessment,) = finish(made, [], narrow=whole, check_values=none_differ)
    assert assessment.outcome == Skipped(SkipReason.QUESTION)


def test_without_sources_a_claim_has_no_evidence() -> None:
    """No source is unverifiable, which is neither supported nor unsupported."""
    made = plan([claim(1)], select=lambda _: pytest.fail("read"), has_evidence=False)
    (assessment,) = finish(made, [], narrow=whole, check_values=none_differ)
    assert isinstance(assessment.outcome, NoEvidence)


def test_a_claim_that_does_not_fit_fails_alone() -> None:
    """A claim no window can be read with is an error; its neighbours are read."""
    readings = {"c1": Failed("GR105", "too long"), "c2": reading(window("a", 0))}
    made = plan([claim(1), claim(2)], select=lambda c: readings[c.id], has_evidence=True)
    first, second = finish(made, [probs(0.9, 0.0)], narrow=whole, check_values=none_differ)
    assert first.outcome == Failed("GR105", "too long")
    assert isinstance(second.outcome, Scored)


def test_one_window_that_failed_fails_its_claim() -> None:
    """However well the others support it: the failed one might have contradicted."""
    made = plan(
        [claim(1)], select=lambda _: reading(window("a", 0), window("a", 1)), has_evidence=True
    )
    failure = Failed("GR106", "server down")
    (assessment,) = finish(
        made, [probs(0.99, 0.0), failure], narrow=whole, check_values=none_differ
    )
    assert assessment.outcome == failure


@given(st.lists(st.tuples(UNIT, UNIT).map(lambda p: probs(p[0] / 2, p[1] / 2)), min_size=1))
def test_the_best_window_supports_and_the_best_contradicts(scores: list[NLIProbs]) -> None:
    """Support and contradiction are each one window's; more evidence never lowers either."""
    windows = [window("a", i) for i in range(len(scores))]
    made = plan([claim(1)], select=lambda _: reading(*windows), has_evidence=True)
    (assessment,) = finish(made, scores, narrow=whole, check_values=none_differ)
    scored = assessment.outcome
    assert isinstance(scored, Scored)
    assert scored.support == max(s.entailment for s in scores)
    assert scored.contradiction == max(s.contradiction for s in scores)
    assert [w.probs for w in scored.windows] == scores


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_scores_reach_their_own_claim(counts: list[int]) -> None:
    """Every claim gets the scores of its own pairs, whatever the others asked for."""
    readings = {
        f"c{i}": reading(*(window(f"s{i}", j) for j in range(count)))
        if count
        else Failed("GR105", "x")
        for i, count in enumerate(counts)
    }
    claims = [claim(i) for i in range(len(counts))]
    made = plan(claims, select=lambda c: readings[c.id], has_evidence=True)
    assert [p.hypothesis for p in made.pairs] == [
        f"claim {i}" for i, count in enumerate(counts) for _ in range(count)
    ]
    scores = [probs((i + 1) / (len(made.pairs) + 1), 0.0) for i in range(len(made.pairs))]
    done = finish(made, scores, narrow=whole, check_values=none_differ)
    for i, assessment in enumerate(done):
        own = [s for s, p in zip(scores, made.pairs, strict=True) if p.hypothesis == f"claim {i}"]
        if own:
            assert isinstance(assessment.outcome, Scored)
            assert [w.probs for w in assessment.outcome.windows] == own
        else:
            assert isinstance(assessment.outcome, Failed)


def test_a_citation_is_scored_by_the_source_it_names() -> None:
    """Support from another source does not make a citation right."""
    made = plan(
        [claim(1, cites=("a", "b", "nowhere"))],
        select=lambda _: reading(window("a", 0), window("b", 0)),
        has_evidence=True,
    )
    (assessment,) = finish(
        made, [probs(0.1, 0.0), probs(0.9, 0.0)], narrow=whole, check_values=none_differ
    )
    assert [c.support for c in assessment.citations] == [0.1, 0.9, None]


def test_a_different_value_lowers_the_support_of_its_window() -> None:
    """What is left is the best of what the windows still give once values had their say."""
    made = plan(
        [claim(1)], select=lambda _: reading(window("a", 0), window("a", 1)), has_evidence=True
    )

    def first_differs(c: Claim, w: Window) -> list[ValueMismatch]:
        return differs(c, w) if w.index == 0 else []

    (assessment,) = finish(
        made, [probs(0.9, 0.0), probs(0.4, 0.0)], narrow=whole, check_values=first_differs
    )
    assert isinstance(assessment.outcome, Scored)
    assert assessment.outcome.support == 0.9
    assert clean_support(assessment.outcome) == 0.4
    assert value_lowered(0.9, {MismatchKind.NUMBER}) < 0.4


def test_every_window_that_could_support_has_its_values_compared() -> None:
    """A second window with the same wrong figure must not rescue a claim."""
    made = plan(
        [claim(1)], select=lambda _: reading(window("a", 0), window("a", 1)), has_evidence=True
    )
    (assessment,) = finish(
        made, [probs(0.9, 0.0), probs(0.8, 0.0)], narrow=whole, check_values=differs
    )
    assert isinstance(assessment.outcome, Scored)
    assert clean_support(assessment.outcome) == value_lowered(0.9, {MismatchKind.NUMBER})


def test_a_missing_score_is_refused() -> None:
    """A score too few would shift every verdict after it."""
    made = plan([claim(1)], select=lambda _: reading(window("a", 0)), has_evidence=True)
    with pytest.raises(ValueError, match="0 scores for 1 pairs"):
        finish(made, [], narrow=whole, check_values=none_differ)


def test_a_window_with_the_very_words_asks_no_model_and_the_others_are_still_read() -> None:
    """A verbatim window supports; another one may contradict all the same."""
    made = plan(
        [claim(1), claim(2)],
        select=lambda _: reading(window("a", 0), window("a", 1)),
        verbatim=lambda c, w: c.id == "c1" and w.index == 0,
        has_evidence=True,
    )
    assert len(made.pairs) == 3
    scores = [probs(0.1, 0.8), probs(0.2, 0.0), probs(0.3, 0.0)]
    first, second = finish(made, scores, narrow=whole, check_values=none_differ)
    assert isinstance(first.outcome, Scored)
    assert isinstance(second.outcome, Scored)
    assert first.outcome.support == VERBATIM.entailment
    assert first.outcome.contradiction == 0.8
    assert [w.probs for w in second.outcome.windows] == scores[1:]
