"""Record, version 1: the models. Import them from :mod:`guardrails.record`.

Field docstrings become the descriptions of the published JSON Schema. Spans are ``[start, end)``
pairs of code points into the text whose digest stands beside them.
"""

# ruff: noqa: TC001 - pydantic reads annotations at run time

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from guardrails._record_base import (
    CoverageRecord,
    Digest,
    EvidenceRecord,
    FailedRecord,
    FailureRecord,
    Model,
    Span,
    TextRef,
    UsageRecord,
)
from guardrails._record_second import (
    ConsistencyRecord,
    JudgementRecord,
    JudgingRecord,
    SamplingRecord,
)
from guardrails.digests import canonical_json
from guardrails.report import Disposition, Entry
from policies.types import Action
from verifiers.types import (
    Basis,
    CitationStatus,
    ClaimKind,
    Facet,
    MismatchKind,
    Origin,
    SkipReason,
    Trust,
    VerdictLabel,
)

VERSION: Literal[1] = 1

Moment = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]
Seconds = dict[str, float]


class MessageRecord(Model):
    """One message of the conversation."""

    role: str
    digest: Digest
    """Of the content when that is all there is, else of the message as canonical JSON."""
    length: NonNegativeInt


class RequestRecord(Model):
    """What was asked."""

    model: str | None
    """As requested; null when groundrail did not make the call."""
    params: Digest
    """Of the call's settings (temperature, n ...) as canonical JSON."""
    messages: tuple[MessageRecord, ...]
    metadata: dict[str, str]
    """What the application asked to find the record by, in the clear."""


class SourceRecord(Model):
    """What the answer was checked against."""

    id: str
    digest: Digest
    length: NonNegativeInt
    origin: Origin
    trust: Trust
    title: Digest | None
    uri: Digest | None
    timestamp: datetime | None


class CitationRecord(Model):
    """A citation marker in the answer."""

    span: Span
    marker: Digest
    target: Digest
    source: str | None
    """The source it was resolved to; null when it names nothing there was."""


class ClaimRecord(Model):
    """One statement of the answer."""

    id: str
    span: Span
    kind: ClaimKind
    sentence: Span
    text: Digest
    hypothesis: Digest
    """What the model read: the text made to stand alone."""
    facets: tuple[Facet, ...]
    skip: SkipReason | None
    citations: tuple[CitationRecord, ...]


class MismatchRecord(Model):
    """A value the claim states and its evidence states differently."""

    kind: MismatchKind
    claim_span: Span
    evidence: EvidenceRecord
    message: Digest
    """The sentence for people quotes both texts, so it is kept by digest."""


class WindowRecord(Model):
    """What the model said of one claim against one window."""

    source: str
    span: Span
    probs: tuple[float, float, float]
    """Entailment, neutral, contradiction."""


class ScoredRecord(Model):
    """Evidence was read."""

    outcome: Literal["scored"] = "scored"
    support: float
    contradiction: float
    best_support: EvidenceRecord
    best_contradiction: EvidenceRecord
    coverage: CoverageRecord
    mismatches: tuple[MismatchRecord, ...]
    windows: tuple[WindowRecord, ...]


class NoEvidenceRecord(Model):
    """There was nothing to read."""

    outcome: Literal["no_evidence"] = "no_evidence"
    reason: str


class SkippedRecord(Model):
    """Not checkworthy."""

    outcome: Literal["skipped"] = "skipped"
    reason: SkipReason


OutcomeRecord = Annotated[
    ScoredRecord | NoEvidenceRecord | SkippedRecord | FailedRecord, Field(discriminator="outcome")
]


class CitationScoreRecord(Model):
    """How well the source a citation names supports its claim; null when it names none."""

    citation: CitationRecord
    support: float | None


class AssessmentRecord(Model):
    """What was found out about one claim, before any threshold."""

    claim: ClaimRecord
    result: OutcomeRecord
    citations: tuple[CitationScoreRecord, ...]
    consistency: ConsistencyRecord | FailedRecord | None = None
    """What samples of the answer said; null when nobody asked for them."""
    judgement: JudgementRecord | FailedRecord | None = None
    """What a judge said; null when none was asked."""


class ModelRecord(Model):
    """What produced the scores."""

    name: str
    revision: str
    backend: str
    max_tokens: int
    calibration: str
    form: str
    labels: tuple[str, ...]


class FactsRecord(Model):
    """What else is known of the answer. Input of the decision."""

    empty: bool
    tool_calls: bool
    refused: bool
    cut: bool
    has_evidence: bool


class SpentRecord(Model):
    """What the call had used when the attempt was settled. Input of the decision."""

    attempts: NonNegativeInt
    seconds: float
    cost_usd: float | None


class HitRecord(Model):
    """One rule that spoke."""

    rule: str
    action: Action
    message: str
    claim: str | None


class VerdictRecord(Model):
    """What the policy made of one claim."""

    claim: str
    verdict: VerdictLabel
    conflict: bool
    citation: CitationStatus | None
    """Null for verdicts that do not look at citations."""
    basis: Basis = Basis.EVIDENCE
    """What the verdict rests on. Consistency is not truth."""
    action: Action
    rule: str


class DecisionRecord(Model):
    """The settled decision on one attempt."""

    action: Action
    verdicts: tuple[VerdictRecord, ...]
    hits: tuple[HitRecord, ...]


class VerificationRecord(Model):
    """Every claim of the attempt's answer, assessed."""

    model: ModelRecord | None
    pairs: NonNegativeInt
    pairs_scored: NonNegativeInt
    seconds: Seconds
    assessments: tuple[AssessmentRecord, ...]


class StreamRecord(Model):
    """How an answer was let go, sentence by sentence."""

    whole: bool
    """Whether it was read to its end. Input of the decision."""
    released: NonNegativeInt
    """How many code points of the answer were decided and passed, redacted ones included."""
    checks: NonNegativeInt
    first_seconds: float | None
    """From the start of the call to the first text that went out."""
    longest_hold_seconds: float
    """The longest that a finished sentence waited to be decided."""


class AttemptRecord(Model):
    """One model call and what was made of it."""

    number: PositiveInt
    answer: TextRef
    feedback: TextRef | None
    """What was appended to the conversation for this attempt."""
    model: str | None
    response_id: str | None
    finish_reason: str | None
    tool_calls: NonNegativeInt
    facts: FactsRecord
    spent: SpentRecord
    can_regenerate: bool
    verification: VerificationRecord | None
    decision: DecisionRecord | None
    failure: FailureRecord | None
    usage: UsageRecord
    """Of the answer alone."""
    seconds: Seconds
    logprob: float | None = None
    """Mean log probability of the answer's tokens, where the provider sent them."""
    sampling: SamplingRecord | None = None
    judging: JudgingRecord | None = None
    stream: StreamRecord | None = None
    """Null when the answer came as a whole."""


class PolicyRecord(Model):
    """The whole policy the answer was decided under."""

    name: str
    digest: str
    body: dict[str, JsonValue]


class Record(Model):
    """One guarded answer: enough to decide it again, without its text."""

    version: Literal[1] = VERSION
    id: str = Field(min_length=1, max_length=128)
    call_id: str
    """Shared by the choices of one call."""
    choice: NonNegativeInt
    created: Moment
    """When the call came in, UTC."""
    groundrail: str
    """The release that wrote it."""
    entry: Entry
    route: str | None
    request: RequestRecord
    question: TextRef | None
    sources: tuple[SourceRecord, ...]
    attempts: tuple[AttemptRecord, ...] = Field(min_length=1)
    answered: NonNegativeInt
    """Index of the attempt that was decided on."""
    action: Action
    disposition: Disposition
    delivered: TextRef
    """What the caller got."""
    removed: tuple[Span, ...]
    """What redaction took out of the answer."""
    policy: PolicyRecord
    usage: UsageRecord
    """Of all attempts together, samples and judging included."""
    seconds: Seconds
    review_id: str | None
    notes: tuple[str, ...]
    text_stored: bool
    """Whether the texts behind the digests were given to the store."""

    @model_validator(mode="after")
    def _answered_is_an_attempt(self) -> Self:
        if self.answered >= len(self.attempts):
            raise ValueError("answered is not the index of an attempt")
        return self

    @property
    def attempt(self) -> AttemptRecord:
        """The attempt that was decided on."""
        return self.attempts[self.answered]

    @property
    def failed(self) -> bool:
        """Whether there was no answer to decide on."""
        return self.disposition is Disposition.FAILED

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, ASCII only. Equal records give equal text."""
        return canonical_json(self.model_dump(mode="json"))
