"""Assessments by hand."""

from __future__ import annotations

from typing import Any

import pytest

from verifiers.types import (
    Assessment,
    Citation,
    CitationScore,
    Claim,
    ClaimKind,
    Coverage,
    EvidenceSpan,
    Facet,
    Failed,
    NoEvidence,
    Outcome,
    Scored,
    Skipped,
    SkipReason,
    Span,
)

_PLACE = EvidenceSpan("s", Span(0, 10), "x" * 10)


class Make:
    """Assessments by hand; numbered by the order they are made in."""

    def __init__(self) -> None:
        self.number = 0

    def _assess(
        self,
        outcome: Outcome,
        *,
        kind: ClaimKind = ClaimKind.SENTENCE,
        facets: frozenset[Facet] = frozenset(),
        cited: float | None = None,
        uncited: bool = True,
    ) -> Assessment:
        self.number += 1
        span = Span(self.number, self.number + 1)
        marks = (
            ()
            if uncited and cited is None
            else (CitationScore(Citation(span, "[1]", "1", "s"), cited),)
        )
        claim = Claim(
            id=f"c{self.number}",
            span=span,
            text="x",
            kind=kind,
            sentence=span,
            hypothesis="x",
            facets=facets,
            citations=tuple(mark.citation for mark in marks),
        )
        return Assessment(claim, outcome, marks)

    def scored(self, support: float, contradiction: float, **claim: Any) -> Assessment:
        outcome = Scored(support, contradiction, _PLACE, _PLACE, Coverage(3, 3, 1, 1))
        return self._assess(outcome, **claim)

    def supported(self, **claim: Any) -> Assessment:
        return self.scored(1.0, 0.0, **claim)

    def unsupported(self, **claim: Any) -> Assessment:
        return self.scored(0.0, 0.0, **claim)

    def contradicted(self, **claim: Any) -> Assessment:
        return self.scored(0.0, 1.0, **claim)

    def conflict(self, **claim: Any) -> Assessment:
        return self.scored(1.0, 1.0, **claim)

    def unverifiable(self, **claim: Any) -> Assessment:
        return self._assess(NoEvidence("There were no sources."), **claim)

    def error(self, **claim: Any) -> Assessment:
        return self._assess(Failed("GR106", "The model failed."), **claim)

    def skipped(self, **claim: Any) -> Assessment:
        return self._assess(Skipped(SkipReason.GREETING), **claim)


@pytest.fixture
def make() -> Make:
    return Make()
