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
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from guardrails.digests import canonical_json
from guardrails.report import Disposition, Entry
from policies.types import Action
from verifiers.types import (
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

Digest = Annotated[
    str,
    Field(
        pattern=r"^v1:b2k?:[0-9a-f]{64}$",
        description="`v1:b2:` and the BLAKE2b-256 of the UTF-8 text, or `v1:b2k:` when keyed.",
    ),
]


def _forward(span: tuple[int, int]) -> tuple[int, int]:
    if span[0] >= span[1]:
        raise ValueError("a span must end after it starts")
    return span


Span = Annotated[tuple[NonNegativeInt, NonNegativeInt], AfterValidator(_forward)]
Moment = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]
Seconds = dict[str, float]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class TextRef(_Model):
    """A text, by digest. The text itself may be in the store, under this digest."""

    digest: Digest
    length: NonNegativeInt
    """In code points."""


class MessageRecord(_Model):
    """One message of the conversation."""

    role: str
    digest: Digest
    """Of the content when that is all there is, else of the message as canonical JSON."""
    length: NonNegativeInt


class RequestRecord(_Model):
    """What was asked."""

    model: str | None
    """As requested; null when groundrail did not make the call."""
    params: Digest
    """Of the call's settings (temperature, n ...) as canonical JSON."""
    messages: tuple[MessageRecord, ...]
    metadata: dict[str, str]
    """What the application asked to find the record by, in the clear."""


class SourceRecord(_Model):
    """What the answer was checked against."""

    id: str
    digest: Digest
    length: NonNegativeInt
    origin: Origin
    trust: Trust
    title: Digest | None
    uri: Digest | None
    timestamp: datetime | None


class CitationRecord(_Model):
    """A citation marker in the answer."""

    span: Span
    marker: Digest
    target: Digest
    source: str | None
    """The source it was resolved to; null when it names nothing there was."""


class ClaimRecord(_Model):
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


class EvidenceRecord(_Model):
    """A place in a source."""

    source: str
    span: Span
    digest: Digest


class MismatchRecord(_Model):
    """A value the claim states and its evidence states differently."""

    kind: MismatchKind
    claim_span: Span
    evidence: EvidenceRecord
    message: Digest
    """The sentence for people quotes both texts, so it is kept by digest."""


class CoverageRecord(_Model):
    """How much of the evidence was read."""

    windows_read: NonNegativeInt
    windows_total: NonNegativeInt
    sources_read: NonNegativeInt
    sources_total: NonNegativeInt

    @model_validator(mode="after")
    def _not_more_than_there_is(self) -> Self:
        if self.windows_read > self.windows_total or self.sources_read > self.sources_total:
            raise ValueError("coverage reads more than there is")
        return self


class WindowRecord(_Model):
    """What the model said of one claim against one window."""

    source: str
    span: Span
    probs: tuple[float, float, float]
    """Entailment, neutral, contradiction."""


class ScoredRecord(_Model):
    """Evidence was read."""

    outcome: Literal["scored"] = "scored"
    support: float
    contradiction: float
    best_support: EvidenceRecord
    best_contradiction: EvidenceRecord
    coverage: CoverageRecord
    mismatches: tuple[MismatchRecord, ...]
    windows: tuple[WindowRecord, ...]


class NoEvidenceRecord(_Model):
    """There was nothing to read."""

    outcome: Literal["no_evidence"] = "no_evidence"
    reason: str


class SkippedRecord(_Model):
    """Not checkworthy."""

    outcome: Literal["skipped"] = "skipped"
    reason: SkipReason


class FailedRecord(_Model):
    """It could not be checked."""

    outcome: Literal["failed"] = "failed"
    code: str
    cause: str


OutcomeRecord = Annotated[
    ScoredRecord | NoEvidenceRecord | SkippedRecord | FailedRecord, Field(discriminator="outcome")
]


class CitationScoreRecord(_Model):
    """How well the source a citation names supports its claim; null when it names none."""

    citation: CitationRecord
    support: float | None


class AssessmentRecord(_Model):
    """What was found out about one claim, before any threshold."""

    claim: ClaimRecord
    result: OutcomeRecord
    citations: tuple[CitationScoreRecord, ...]


class ModelRecord(_Model):
    """What produced the scores."""

    name: str
    revision: str
    backend: str
    max_tokens: int
    calibration: str
    form: str
    labels: tuple[str, ...]


class FactsRecord(_Model):
    """What else is known of the answer. Input of the decision."""

    empty: bool
    tool_calls: bool
    refused: bool
    cut: bool
    has_evidence: bool


class SpentRecord(_Model):
    """What the call had used when the attempt was settled. Input of the decision."""

    attempts: NonNegativeInt
    seconds: float
    cost_usd: float | None


class HitRecord(_Model):
    """One rule that spoke."""

    rule: str
    action: Action
    message: str
    claim: str | None


class VerdictRecord(_Model):
    """What the policy made of one claim."""

    claim: str
    verdict: VerdictLabel
    conflict: bool
    citation: CitationStatus | None
    """Null for verdicts that do not look at citations."""
    action: Action
    rule: str


class DecisionRecord(_Model):
    """The settled decision on one attempt."""

    action: Action
    verdicts: tuple[VerdictRecord, ...]
    hits: tuple[HitRecord, ...]


class UsageRecord(_Model):
    """What the provider charged for. Null is unknown, never zero."""

    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None


class FailureRecord(_Model):
    """Why an attempt gave no answer."""

    code: str
    kind: str
    message: str
    status: int | None


class VerificationRecord(_Model):
    """Every claim of the attempt's answer, assessed."""

    model: ModelRecord | None
    pairs: NonNegativeInt
    pairs_scored: NonNegativeInt
    seconds: Seconds
    assessments: tuple[AssessmentRecord, ...]


class AttemptRecord(_Model):
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
    seconds: Seconds


class PolicyRecord(_Model):
    """The whole policy the answer was decided under."""

    name: str
    digest: str
    body: dict[str, JsonValue]


class Record(_Model):
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
    """Of all attempts together."""
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
