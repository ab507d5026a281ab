"""Verdicts written by hand, to try a policy on: what ``groundrail policy explain`` reads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from guardrails.errors import RecordInvalid
from policies.types import AnswerFacts, Spent
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

Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_PLACE = EvidenceSpan("source", Span(0, 1), "")
_SEEN = Coverage(1, 1, 1, 1)
_CERTAIN = {
    "supported": (1.0, 0.0),
    "contradicted": (0.0, 1.0),
    "conflict": (1.0, 1.0),
    "unsupported": (0.0, 0.0),
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HandClaim(_Model):
    """A claim with a verdict, or with the scores a verdict is made from.

    Attributes:
        verdict: What was found, with certainty. Left out: ``support`` and ``contradiction`` decide.
        cited: Whether a source it cites carries it; None when it cites none.
    """

    id: str | None = None
    verdict: (
        Literal[
            "supported",
            "contradicted",
            "conflict",
            "unsupported",
            "unverifiable",
            "not_checkworthy",
            "error",
        ]
        | None
    ) = None
    support: Score = 0.0
    contradiction: Score = 0.0
    kind: ClaimKind = ClaimKind.SENTENCE
    facets: frozenset[Facet] = frozenset()
    cited: bool | None = None

    def assessment(self, number: int) -> Assessment:
        """As the verifier would have handed it over."""
        span = Span(number, number + 1)
        skip = SkipReason.NO_CONTENT if self.verdict == "not_checkworthy" else None
        marks: tuple[CitationScore, ...] = ()
        if self.cited is not None:
            mark = Citation(span, "[1]", "1", "source")
            marks = (CitationScore(mark, 1.0 if self.cited else 0.0),)
        claim = Claim(
            id=self.id or f"c{number + 1}",
            span=span,
            text="",
            kind=self.kind,
            sentence=span,
            hypothesis="",
            facets=self.facets,
            skip=skip,
            citations=tuple(score.citation for score in marks),
        )
        return Assessment(claim, self._outcome(), marks)

    def _outcome(self) -> Outcome:
        match self.verdict:
            case "unverifiable":
                return NoEvidence("So it was written by hand.")
            case "not_checkworthy":
                return Skipped(SkipReason.NO_CONTENT)
            case "error":
                return Failed("GR100", "So it was written by hand.")
            case _:
                support, contradiction = _CERTAIN.get(
                    self.verdict or "", (self.support, self.contradiction)
                )
                return Scored(support, contradiction, _PLACE, _PLACE, _SEEN)


class HandFacts(_Model):
    """What is known of the answer besides its claims."""

    empty: bool = False
    tool_calls: bool = False
    refused: bool = False
    cut: bool = False


class HandSpent(_Model):
    """What the call has used."""

    attempts: Annotated[int, Field(ge=1)] = 1
    seconds: Annotated[float, Field(ge=0)] = 0.0
    cost_usd: Annotated[float, Field(ge=0)] | None = None


class Hand(_Model):
    """An answer made up of verdicts."""

    claims: tuple[HandClaim, ...] = ()
    facts: HandFacts = HandFacts()
    spent: HandSpent = HandSpent()
    can_regenerate: bool = True

    def assessments(self) -> list[Assessment]:
        """Its claims as the verifier would have handed them over."""
        return [claim.assessment(number) for number, claim in enumerate(self.claims)]

    def answer_facts(self) -> AnswerFacts:
        """Its facts as the engine takes them."""
        return AnswerFacts(**self.facts.model_dump())

    def spent_so_far(self) -> Spent:
        """What was spent as the engine takes it."""
        return Spent(**self.spent.model_dump())


def load_verdicts(text: str) -> Hand:
    """Read verdicts written by hand.

    Raises:
        RecordInvalid: With every place that is wrong.
    """
    try:
        return Hand.model_validate_json(text)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        shown = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in faults
        )
        raise RecordInvalid(
            f"These verdicts cannot be read: {shown}. Nothing was explained.",
            hint='Write such as {"claims": [{"verdict": "supported"}, {"support": 0.4}]}.',
        ) from None
