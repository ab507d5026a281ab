"""What samples and a judge said, into a record and out of it again.

Imported by the record modules alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, assert_never

from guardrails import _record_base as b
from guardrails import _record_second as m
from guardrails import _record_values as v
from verifiers.types import Consistency, Coverage, Failed, Judgement, SampleScore

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardrails.report import Judging, Sampling
    from verifiers.types import EvidenceSpan


def number(value: float | None) -> float | None:
    """JSON has no infinity: a log probability that is none is left out."""
    return value if value is not None and math.isfinite(value) else None


def consistency(found: Consistency | Failed | None) -> m.ConsistencyRecord | b.FailedRecord | None:
    """What samples said of a claim."""
    match found:
        case None:
            return None
        case Failed():
            return _failed(found)
        case Consistency():
            return m.ConsistencyRecord(
                scorer=found.scorer,
                score=None if found.score is None else v.score(found.score),
                n=found.n,
                distinct=found.distinct,
                refused=found.refused,
                empty=found.empty,
                samples=tuple(
                    m.SampleScoreRecord(
                        sample=one.sample,
                        count=one.count,
                        support=v.score(one.support),
                        against=v.score(one.against),
                        cluster=one.cluster,
                    )
                    for one in found.samples
                ),
                coverage=b.CoverageRecord(
                    windows_read=found.coverage.windows_read,
                    windows_total=found.coverage.windows_total,
                    sources_read=found.coverage.sources_read,
                    sources_total=found.coverage.sources_total,
                ),
                entropy=number(found.entropy),
            )
        case _:
            assert_never(found)


def consistency_of(
    record: m.ConsistencyRecord | b.FailedRecord | None,
) -> Consistency | Failed | None:
    """Back again."""
    match record:
        case None:
            return None
        case b.FailedRecord():
            return Failed(record.code, record.cause)
        case m.ConsistencyRecord():
            read = record.coverage
            return Consistency(
                scorer=record.scorer,
                score=record.score,
                n=record.n,
                distinct=record.distinct,
                refused=record.refused,
                empty=record.empty,
                samples=tuple(
                    SampleScore(one.sample, one.count, one.support, one.against, one.cluster)
                    for one in record.samples
                ),
                coverage=Coverage(
                    read.windows_read, read.windows_total, read.sources_read, read.sources_total
                ),
                entropy=record.entropy,
            )
        case _:
            assert_never(record)


def judgement(
    found: Judgement | Failed | None, evidence: Callable[[EvidenceSpan], b.EvidenceRecord]
) -> m.JudgementRecord | b.FailedRecord | None:
    """What a judge said of a claim."""
    match found:
        case None:
            return None
        case Failed():
            return _failed(found)
        case Judgement():
            return m.JudgementRecord(
                label=found.label,
                quote=None if found.quote is None else evidence(found.quote),
                model=v.clean(found.model),
            )
        case _:
            assert_never(found)


def judgement_of(
    record: m.JudgementRecord | b.FailedRecord | None,
    evidence: Callable[[b.EvidenceRecord], EvidenceSpan],
) -> Judgement | Failed | None:
    """Back again."""
    match record:
        case None:
            return None
        case b.FailedRecord():
            return Failed(record.code, record.cause)
        case m.JudgementRecord():
            quote = None if record.quote is None else evidence(record.quote)
            return Judgement(record.label, quote, record.model)
        case _:
            assert_never(record)


def sampling(found: Sampling | None, keep: Callable[[str], str]) -> m.SamplingRecord | None:
    """What asking again gave; the texts by digest."""
    if found is None:
        return None
    return m.SamplingRecord(
        scorer=found.scorer,
        model=v.clean_opt(found.model),
        claims=found.claims,
        samples=tuple(
            m.SampleRecord(
                digest=keep(sample.text),
                length=len(sample.text),
                refused=sample.refused,
                logprob=number(sample.logprob),
            )
            for sample in found.samples
        ),
        distinct=found.distinct,
        stop=found.stop,
        drawn=found.drawn,
        calls=found.calls,
        failures=tuple(f for f in map(v.failure, found.failures) if f is not None),
        usage=v.usage(found.usage),
        cost_known=found.cost_known,
        pairs=found.pairs,
        pairs_scored=found.pairs_scored,
    )


def judging(found: Judging | None) -> m.JudgingRecord | None:
    """What asking a judge gave."""
    if found is None:
        return None
    return m.JudgingRecord(
        model=v.clean(found.model),
        claims=found.claims,
        calls=found.calls,
        failures=tuple(f for f in map(v.failure, found.failures) if f is not None),
        usage=v.usage(found.usage),
        cost_known=found.cost_known,
    )


def _failed(found: Failed) -> b.FailedRecord:
    return b.FailedRecord(code=v.clean(found.code), cause=v.clean(found.cause))
