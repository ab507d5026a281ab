"""Best windows first: what is left unread, and that it is only ever what a cascade allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.plan import (
    Cascade,
    Reading,
    finish,
    looked_closer,
    opening,
    plan,
    settled_early,
)
from verifiers.types import (
    Citation,
    Claim,
    ClaimKind,
    Coverage,
    EvidenceSpan,
    Failed,
    NLIProbs,
    Scored,
    Span,
    Window,
)

CASCADE = Cascade(first=2, enough=0.9)


def claim(*, cites: str | None = None) -> Claim:
    span = Span(0, 7)
    citations = () if cites is None else (Citation(span, f"[{cites}]", cites, cites),)
    return Claim("c1", span, "claim 1", ClaimKind.SENTENCE, span, "claim 1", citations=citations)


def windows(number: int) -> tuple[Window, ...]:
    return tuple(Window("s", i, Span(i * 10, i * 10 + 8), f"window {i}") for i in range(number))


def planned(number: int, *, cites: str | None = None):
    found = windows(number)
    return plan(
        [claim(cites=cites)],
        select=lambda _: Reading(found, Coverage(number, number, 1, 1)),
        verbatim=lambda _c, _w: False,
        has_evidence=True,
    )


def outcome(made, scores):
    (assessment,) = finish(
        made,
        scores,
        narrow=lambda w, _t, _p: EvidenceSpan(w.source_id, w.span, w.text),
        check_values=lambda _c, _w: (),
    )
    return assessment.outcome


UNIT = st.floats(0, 1)


@given(st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=8))
def test_it_stops_exactly_when_a_first_window_supports_and_none_disputes(pairs):
    """And what was read is what the outcome is of."""
    scores = [NLIProbs(e, 0.0, c) for e, c in pairs]
    whole = planned(len(scores))
    first = opening(whole, CASCADE)
    assert first == list(range(min(2, len(scores))))
    made = settled_early(whole, {i: scores[i] for i in first}, CASCADE)
    stops = (
        len(scores) > 2
        and max(e for e, _ in pairs[:2]) >= 0.9
        and max(c for _, c in pairs[:2]) < 0.5
    )
    read = 2 if stops else len(scores)
    assert len(made.claims[0].places) == read
    found = outcome(made, scores)
    assert isinstance(found, Scored)
    assert found.coverage == Coverage(read, len(scores), 1, 1)
    assert found.support == max(e for e, _ in pairs[:read])
    assert found.contradiction == max(c for _, c in pairs[:read])


def test_a_claim_that_cites_is_read_whole():
    """Whether the source it names supports it is another question than whether any does."""
    whole = planned(5, cites="s")
    assert opening(whole, CASCADE) == [0, 1, 2, 3, 4]
    scores = {i: NLIProbs(0.99, 0.01, 0.0) for i in range(5)}
    assert settled_early(whole, scores, CASCADE) == whole


def test_a_first_window_that_failed_stops_nothing():
    """It might have held the contradiction."""
    whole = planned(4)
    scores = {0: NLIProbs(0.99, 0.01, 0.0), 1: Failed("GR106", "the model failed")}
    assert settled_early(whole, scores, CASCADE) == whole


def _first_half(window: Window, _text: str, _place: Span | None) -> EvidenceSpan:
    half = Span(window.span.start, window.span.start + 4)
    return EvidenceSpan(window.source_id, half, window.text[:4])


@pytest.mark.parametrize(
    ("entailment", "looks"), [(0.05, False), (0.1, True), (0.69, True), (0.7, False), (0.99, False)]
)
def test_only_where_the_best_window_is_unsure_its_sentences_are_read_alone(
    entailment: float, looks: bool
) -> None:
    """One passage of the best window more, which may support; coverage counts windows as before."""
    whole = planned(3)
    weak = NLIProbs(0.01, 0.98, 0.01)
    scores = {0: weak, 1: NLIProbs(entailment, 1 - entailment, 0.0), 2: weak}
    made = looked_closer(whole, scores, narrow=_first_half, between=(0.1, 0.7))
    if not looks:
        assert made == whole
        return
    assert made.pairs[:3] == whole.pairs
    assert [tuple(pair) for pair in made.pairs[3:]] == [("wind", "claim 1")]
    found = outcome(made, [*scores.values(), NLIProbs(0.9, 0.05, 0.05)])
    assert isinstance(found, Scored)
    assert found.support == 0.9
    assert found.best_support.span == Span(10, 14)
    assert found.coverage == Coverage(3, 3, 1, 1)


def test_there_is_nothing_closer_to_read() -> None:
    """Where the window is the sentence, where a window failed, and where nothing was read."""
    unsure = {0: NLIProbs(0.4, 0.6, 0.0), 1: NLIProbs(0.3, 0.7, 0.0)}

    def whole_window(window: Window, _text: str, _place: Span | None) -> EvidenceSpan:
        return EvidenceSpan(window.source_id, window.span, f"{window.text} ")

    made = planned(2)
    assert looked_closer(made, unsure, narrow=whole_window, between=(0.1, 0.7)) == made
    failed = {**unsure, 1: Failed("GR106", "it broke")}
    assert looked_closer(made, failed, narrow=_first_half, between=(0.1, 0.7)) == made
    assert looked_closer(planned(0), {}, narrow=_first_half, between=(0.1, 0.7)) == planned(0)
