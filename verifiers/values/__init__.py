"""Deterministic value checks: the figures and names of a claim against one piece of evidence.

They run before and beside the model. A mismatch says why a claim looks wrong, with both places;
finding none says nothing: values never support a claim alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verifiers.types import EvidenceSpan, Span, ValueMismatch
from verifiers.values._exact import exact_match
from verifiers.values._facts import Fact, Stated, facts, negated, stated
from verifiers.values._mismatch import Difference, differences
from verifiers.values._model import Bound, Day, Kind, Value
from verifiers.values._parse import parse
from verifiers.values._rule import learnt
from verifiers.values._wording import wording

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifiers.types import Claim, MismatchKind, Window

__all__ = [
    "Bound",
    "Day",
    "Fact",
    "Kind",
    "Stated",
    "Value",
    "exact_match",
    "facts",
    "mismatches",
    "negated",
    "parse",
    "stated",
    "value_contradicts",
    "value_lowered",
]


def mismatches(claim: Claim, evidence: Window | EvidenceSpan) -> tuple[ValueMismatch, ...]:
    """The values a claim states and its evidence states differently.

    Conservative: a value of the claim is compared only with a value of the same kind, in a
    sentence about the same thing and in the same place there. A value that the evidence holds
    anywhere, within rounding and format, is no mismatch; nor is one whose place cannot be told.

    Args:
        claim: What to check. Values are read from its text (so that spans point into the answer);
            its hypothesis says what they are about. Citation markers are passed over.
        evidence: What to check it against: a window, or sentences of it.

    Returns:
        In the order of the answer, spans in the answer and in the source.
    """
    masked = [
        Span(c.span.start - claim.span.start, c.span.end - claim.span.start)
        for c in claim.citations
        if claim.span.contains(c.span)
    ]
    values = [v for v in parse(claim.text) if not any(v.span.overlaps(m) for m in masked)]
    found = differences(claim.text, values, claim.hypothesis, evidence.text)
    found += wording(claim.text, claim.hypothesis, evidence.text)
    return tuple(_located(claim, evidence, d) for d in sorted(found, key=lambda d: d.claim))


def value_lowered(entailment: float, kinds: Iterable[MismatchKind]) -> float:
    """The support left of a passage in which values of these kinds differ from the claim.

    By the rule learnt on training pairs (:mod:`verifiers.values.learn`). Never more than
    ``entailment``, and ``entailment`` itself where no value differs.

    Args:
        entailment: What the model gave, in [0, 1].
        kinds: Of the mismatches that stand in the passage.
    """
    return learnt().lowered(entailment, kinds)


def value_contradicts(kind: MismatchKind) -> bool:
    """Whether a mismatch of a kind is taken for a contradiction, or only for weaker support."""
    return learnt().contradicts(kind)


def _located(claim: Claim, evidence: Window | EvidenceSpan, found: Difference) -> ValueMismatch:
    start, offset = claim.span.start, evidence.span.start
    place = Span(offset + found.evidence.start, offset + found.evidence.end)
    return ValueMismatch(
        kind=found.kind,
        claim_span=Span(start + found.claim.start, start + found.claim.end),
        evidence=EvidenceSpan(evidence.source_id, place, found.evidence.of(evidence.text)),
        message=f"claim says {_short(found.claim_text)}, source says {_short(found.evidence_text)}",
    )


def _short(text: str) -> str:
    flat = re.sub(r"\s+", " ", text).strip()
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…"


_LONGEST = 80
