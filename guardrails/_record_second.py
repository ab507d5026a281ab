"""Record, version 1: what samples and a judge said. Import from :mod:`guardrails.record`."""

# ruff: noqa: TC001, TC002 - pydantic reads annotations at run time

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt

from guardrails._record_base import (
    CoverageRecord,
    Digest,
    EvidenceRecord,
    FailureRecord,
    Model,
    UsageRecord,
)
from verifiers.consistency.stopping import StopReason
from verifiers.types import ScorerName


class SampleScoreRecord(Model):
    """What one distinct sample says of a claim."""

    sample: NonNegativeInt
    """Index of the first of these samples among those of the attempt."""
    count: NonNegativeInt
    """How many samples were equal to it, itself included."""
    support: float
    against: float
    cluster: int | None
    """Which meaning it has, for scorers that cluster; 0 is the answer's own."""


class ConsistencyRecord(Model):
    """How far samples of the answer agree with a claim. Consistency is not truth."""

    outcome: Literal["compared"] = "compared"
    scorer: ScorerName
    score: float | None
    """Null when no sample could be read."""
    n: NonNegativeInt
    distinct: NonNegativeInt
    refused: NonNegativeInt
    empty: NonNegativeInt
    samples: tuple[SampleScoreRecord, ...]
    coverage: CoverageRecord
    entropy: float | None


class JudgementRecord(Model):
    """What a judge said of a claim, in every pass alike."""

    outcome: Literal["judged"] = "judged"
    label: Literal["supported", "contradicted", "unsupported"]
    quote: EvidenceRecord | None
    """The passage it named, found in a source word for word."""
    model: str


class SampleRecord(Model):
    """One sample, by digest. The text itself may be in the store, under this digest."""

    digest: Digest
    length: NonNegativeInt
    refused: bool
    logprob: float | None


class SamplingRecord(Model):
    """What asking the model again gave."""

    scorer: ScorerName
    model: str | None
    """What was sampled; null where the samples came with the call."""
    claims: tuple[str, ...]
    """The claims it was done for."""
    samples: tuple[SampleRecord, ...]
    """All that were compared, in order."""
    distinct: NonNegativeInt
    stop: StopReason
    """Why no more were drawn."""
    drawn: NonNegativeInt
    """How many were drawn for this attempt; the others were there."""
    calls: NonNegativeInt
    failures: tuple[FailureRecord, ...]
    usage: UsageRecord
    cost_known: bool
    """Whether the cost in `usage` is all of it."""
    pairs: NonNegativeInt
    pairs_scored: NonNegativeInt


class JudgingRecord(Model):
    """What asking a judge gave."""

    model: str
    claims: tuple[str, ...]
    """The claims it was asked about."""
    calls: NonNegativeInt
    failures: tuple[FailureRecord, ...]
    usage: UsageRecord
    cost_known: bool
    """Whether the cost in `usage` is all of it."""
