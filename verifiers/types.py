"""The shared vocabulary: what an answer, a claim, a source and a verdict are.

Every offset in groundrail counts Python code points into one exact, unmodified string. Nothing is
ever found again by searching for its text: spans are carried. Convert at the edge if a browser
needs UTF-16 units.

All values are frozen. Outcomes are closed unions: ``match`` on them and finish with
``assert_never``, so that a new variant breaks the type check and not production.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open, non-empty range ``[start, end)`` of code points in some text.

    Raises:
        ValueError: If the range is empty, reversed or negative.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"empty, reversed or negative span {self.start}:{self.end}")

    def of(self, text: str) -> str:
        """The characters of ``text`` this span covers.

        Raises:
            ValueError: If the span ends after the text.
        """
        if self.end > len(text):
            raise ValueError(f"span {self.start}:{self.end} ends after a text of {len(text)}")
        return text[self.start : self.end]

    def contains(self, other: Span) -> bool:
        """Whether ``other`` lies wholly inside this span."""
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Span) -> bool:
        """Whether the two spans share at least one code point."""
        return self.start < other.end and other.start < self.end


# --------------------------------------------------------------------------- sources


class Origin(StrEnum):
    """How a source reached us."""

    CALL = "call"  # passed with the call
    RETRIEVER = "retriever"  # a retriever the application registered
    TOOL = "tool"  # a tool message in the conversation
    DOCUMENT = "document"  # a document or search-result block
    TAGGED = "tagged"  # <context>, <document>, <source> in a system or developer message
    USER = "user"  # the end user's own words; evidence only where configured


class Trust(StrEnum):
    """Who vouches for a source. The end user vouches for nothing."""

    APPLICATION = "application"  # the application put it there
    EXTERNAL = "external"  # fetched at run time: tools, search
    USER = "user"


@dataclass(frozen=True, slots=True)
class Source:
    """A text claims may be checked against.

    Attributes:
        id: Unique within one check; quoted in verdicts.
        text: The exact text. Evidence spans point into it.
        title: Name for people and for citations by name.
        uri: Where it came from, for citations by link.
        timestamp: When the content was current, if known.
    """

    id: str
    text: str
    title: str | None = None
    uri: str | None = None
    origin: Origin = Origin.CALL
    trust: Trust = Trust.APPLICATION
    timestamp: datetime | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A run of sentences of one source that fits the model.

    ``text`` is what the model reads: ``span`` of the source, exactly. ``index`` is its place among
    the windows of its source, from 0.
    """

    source_id: str
    index: int
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class EvidenceSpan:
    """The place in a source that decided a verdict, narrowed to the best sentences."""

    source_id: str
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the evidence was read for one claim. Nothing is left out in silence."""

    windows_read: int
    windows_total: int
    sources_read: int
    sources_total: int

    def __post_init__(self) -> None:
        if not (
            0 <= self.windows_read <= self.windows_total
            and 0 <= self.sources_read <= self.sources_total
        ):
            raise ValueError(f"coverage reads more than there is: {self!r}")

    @property
    def complete(self) -> bool:
        """Whether every window of every source was read."""
        return self.windows_read == self.windows_total


# --------------------------------------------------------------------------- claims


class ClaimKind(StrEnum):
    """The form a claim has in the answer."""

    SENTENCE = "sentence"
    CLAUSE = "clause"  # a coordinated or relative clause inside a sentence
    LIST_ITEM = "list_item"
    TABLE_ROW = "table_row"
    HEADING = "heading"
    QUOTATION = "quotation"
    FRAGMENT = "fragment"  # "Paris.": read with the question
    CODE = "code"


class Facet(StrEnum):
    """What a claim talks about that a policy may want to treat apart."""

    NUMBER = "number"
    DATE = "date"
    NAME = "name"
    QUOTE = "quote"
    NEGATION = "negation"


class SkipReason(StrEnum):
    """Why a stretch of the answer is not checkworthy."""

    QUESTION = "question"
    GREETING = "greeting"
    META = "meta"  # about the conversation itself: "I hope this helps"
    HEDGE = "hedge"  # "I could not find this in the documents"
    INSTRUCTION = "instruction"  # "Let me know if ..."
    CODE = "code"
    HEADING = "heading"
    CITATION_LIST = "citation_list"  # a bibliography line, not a statement
    NO_CONTENT = "no_content"  # punctuation, a rule, an emoji


@dataclass(frozen=True, slots=True)
class Citation:
    """A marker in the answer that names a source.

    Attributes:
        span: Where the marker stands in the answer.
        marker: Its text there, such as ``[1]`` or ``[^2]``.
        target: What it names: a source number, id, title or link, as written.
        source_id: The source it was resolved to, or None when it names nothing we have.
    """

    span: Span
    marker: str
    target: str
    source_id: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """One checkable (or skipped) statement of an answer.

    Attributes:
        id: ``c1``, ``c2``, ... in the order of the answer.
        span: Its place in the exact answer.
        text: ``span.of(answer)``, exactly.
        kind: Its form.
        sentence: The sentence, list item or table row it stands in; what redaction takes out.
        hypothesis: What the model reads: the text made to stand alone (question, antecedent,
            list lead-in or table header read in; citation markers taken out).
        facets: What it talks about.
        skip: Why it is not checkworthy, or None when it is to be checked.
        citations: The markers that stand behind it.
    """

    id: str
    span: Span
    text: str
    kind: ClaimKind
    sentence: Span
    hypothesis: str
    facets: frozenset[Facet] = frozenset()
    skip: SkipReason | None = None
    citations: tuple[Citation, ...] = ()

    @property
    def checkworthy(self) -> bool:
        """Whether there is something to check."""
        return self.skip is None


# --------------------------------------------------------------------------- scores


class Pair(NamedTuple):
    """What an NLI model reads."""

    premise: str
    hypothesis: str


class NLIProbs(NamedTuple):
    """Calibrated probabilities, summing to 1."""

    entailment: float
    neutral: float
    contradiction: float


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What produced a score; part of every record and every cache key.

    Attributes:
        name: Name or path as configured.
        revision: Pinned revision, or the digest of the weights.
        backend: ``onnx``, ``torch``, ``tei``, ``vllm``, ``kserve``.
        max_tokens: Longest input in tokens, pair and specials together.
        calibration: Id of the calibration in use, ``none`` when raw softmax.
        form: Numeric form and provider actually run, such as ``fp32/CPUExecutionProvider``.
        labels: The model's labels in column order, as read from its config.
    """

    name: str
    revision: str
    backend: str
    max_tokens: int
    calibration: str
    form: str
    labels: tuple[str, ...]


class MismatchKind(StrEnum):
    """What the value layer found to differ."""

    NUMBER = "number"
    UNIT = "unit"
    PERCENT = "percent"
    CURRENCY = "currency"
    DATE = "date"
    DURATION = "duration"
    RANGE = "range"
    ORDINAL = "ordinal"
    DIRECTION = "direction"
    NAME = "name"
    ROLE = "role"
    QUOTATION = "quotation"
    NEGATION = "negation"
    HEDGING = "hedging"
    IDENTIFIER = "identifier"


@dataclass(frozen=True, slots=True)
class ValueMismatch:
    """A value the claim states and its evidence states differently.

    Attributes:
        claim_span: The value in the answer.
        evidence: The value in the source.
        message: For people: "claim says 60 days, source says 30 days".
    """

    kind: MismatchKind
    claim_span: Span
    evidence: EvidenceSpan
    message: str


@dataclass(frozen=True, slots=True)
class WindowScore:
    """What the model said of one claim against one window."""

    source_id: str
    window: Span
    probs: NLIProbs


@dataclass(frozen=True, slots=True)
class CitationScore:
    """How well the source a citation names supports its claim; None when it names none we have."""

    citation: Citation
    support: float | None


@dataclass(frozen=True, slots=True)
class Scored:
    """Evidence was read. ``support`` and ``contradiction`` are each the best window's."""

    support: float
    contradiction: float
    best_support: EvidenceSpan
    best_contradiction: EvidenceSpan
    coverage: Coverage
    mismatches: tuple[ValueMismatch, ...] = ()
    windows: tuple[WindowScore, ...] = ()


@dataclass(frozen=True, slots=True)
class NoEvidence:
    """There was nothing to read."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Not checkworthy."""

    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Failed:
    """We could not look. Never a number, never "fine"."""

    code: str
    cause: str


Outcome = Scored | NoEvidence | Skipped | Failed


class ScorerName(StrEnum):
    """How agreement between an answer and samples of it is measured."""

    NLI = "nli"  # how far each sample supports a claim, by the NLI model
    SEMANTIC_ENTROPY = "semantic_entropy"  # who says the same, by entailment both ways
    VALUES = "values"  # who states the same number, date or name


@dataclass(frozen=True, slots=True)
class SampleScore:
    """What one distinct sample says of a claim.

    Attributes:
        sample: Index, from 0, of the first of these samples in the order they were given.
        count: How many samples were equal to it, itself included.
        support: How far it speaks for the claim, in [0, 1].
        against: How far it speaks against it, in [0, 1].
        cluster: Which meaning it has, for scorers that cluster; 0 is the answer's own.
    """

    sample: int
    count: int
    support: float
    against: float
    cluster: int | None = None


@dataclass(frozen=True, slots=True)
class Consistency:
    """How far samples of the same model's answer agree with a claim.

    Consistency is not truth: a model that is wrong in the same way each time is consistent.

    Attributes:
        score: Support by the samples, in [0, 1]; None when no sample could be read.
        n: Samples read, equal ones each counted.
        distinct: Different texts among them.
        refused: Samples in which the model declined. They speak neither for nor against.
        empty: Samples without text. Likewise.
        samples: The detail, in the order the samples came.
        coverage: Windows of the samples that were read for the claim; a sample counts as a source.
        entropy: Semantic entropy of the samples in nats, for scorers that cluster.
    """

    scorer: ScorerName
    score: float | None
    n: int
    distinct: int
    refused: int = 0
    empty: int = 0
    samples: tuple[SampleScore, ...] = ()
    coverage: Coverage = Coverage(0, 0, 0, 0)
    entropy: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a model that was asked to read the sources said of a claim, in every pass alike.

    Attributes:
        label: What it said. A judge finds passages; that there is no source it cannot say.
        quote: The passage it named, found in a source word for word. Always there when the label
            is ``supported`` or ``contradicted``.
        model: The judge, as configured.
    """

    label: Literal["supported", "contradicted", "unsupported"]
    quote: EvidenceSpan | None
    model: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """What was found out about one claim, before any threshold was applied.

    Thresholds belong to the policy. Keeping scores and thresholds apart is what lets a record be
    decided again under another policy.

    Attributes:
        outcome: What the sources said.
        citations: What the sources it cites said.
        consistency: What samples of the answer said, ``Failed`` when they could not be had or
            read, None when nobody asked for them.
        judgement: What another model said of the claim and the sources, ``Failed`` when it gave
            nothing that can be used, None when nobody asked it.
    """

    claim: Claim
    outcome: Outcome
    citations: tuple[CitationScore, ...] = ()
    consistency: Consistency | Failed | None = None
    judgement: Judgement | Failed | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """Every claim of one answer, assessed, with what it took.

    Attributes:
        assessments: In the order of the answer.
        model: What scored, or None when nothing had to be scored.
        pairs: Pairs the claims asked for.
        pairs_scored: Pairs the model actually ran (the rest came from the cache).
        seconds: Wall-clock time, by stage (``claims``, ``evidence``, ``nli``, ``total``).
    """

    assessments: tuple[Assessment, ...]
    model: ModelInfo | None
    pairs: int = 0
    pairs_scored: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


# --------------------------------------------------------------------------- verdicts


class CitationStatus(StrEnum):
    """Whether the cited source carries the claim."""

    CITED = "cited"  # a source it names supports it
    MISCITED = "miscited"  # the sources it names do not support it, or do not exist
    UNCITED = "uncited"  # it names none


class Basis(StrEnum):
    """What a verdict rests on."""

    EVIDENCE = "evidence"  # the sources, or that there are none
    CONSISTENCY = "consistency"  # samples of the same model's answer, which is not truth
    JUDGE = "judge"  # another model's reading


VerdictLabel = Literal[
    "supported", "contradicted", "unsupported", "unverifiable", "not_checkworthy", "error"
]


@dataclass(frozen=True, slots=True)
class Supported:
    """A source says so; or, where ``basis`` says consistency, samples of the answer do.

    Attributes:
        support: Of what the verdict rests on: the best window's entailment, or the samples' score.
        contradiction: Likewise.
        evidence: The passage, or None when no source was read.
        coverage: Of the sources; of the samples when no source was read.
        consistency: What the samples said, when that is what the verdict rests on.
    """

    label: ClassVar[VerdictLabel] = "supported"
    claim: Claim
    support: float
    contradiction: float
    evidence: EvidenceSpan | None
    coverage: Coverage
    reason: str
    citation: CitationStatus
    basis: Basis = Basis.EVIDENCE
    consistency: Consistency | None = None


@dataclass(frozen=True, slots=True)
class Contradicted:
    """A source says otherwise. ``conflict`` is set when another says so: that goes to review.

    Samples of the answer never contradict a claim: that a model says something else the next time
    shows that it does not know, and not that the claim is false.
    """

    label: ClassVar[VerdictLabel] = "contradicted"
    claim: Claim
    support: float
    contradiction: float
    evidence: EvidenceSpan
    coverage: Coverage
    reason: str
    citation: CitationStatus
    conflict: bool = False
    supporting: EvidenceSpan | None = None
    mismatches: tuple[ValueMismatch, ...] = ()
    basis: Basis = Basis.EVIDENCE


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Evidence was read and none supports it; or samples of the answer do not bear it out.

    ``evidence`` is the nearest there was, None when no source was read. The scores and
    ``consistency`` are as on :class:`Supported`.
    """

    label: ClassVar[VerdictLabel] = "unsupported"
    claim: Claim
    support: float
    contradiction: float
    evidence: EvidenceSpan | None
    coverage: Coverage
    reason: str
    citation: CitationStatus
    basis: Basis = Basis.EVIDENCE
    consistency: Consistency | None = None


@dataclass(frozen=True, slots=True)
class Unverifiable:
    """There was no evidence to read, and samples, where there were any, settled nothing."""

    label: ClassVar[VerdictLabel] = "unverifiable"
    claim: Claim
    reason: str
    citation: CitationStatus
    basis: Basis = Basis.EVIDENCE


@dataclass(frozen=True, slots=True)
class NotCheckworthy:
    """Nothing to check."""

    label: ClassVar[VerdictLabel] = "not_checkworthy"
    claim: Claim
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class CheckError:
    """We could not look. An error never reads as clean."""

    label: ClassVar[VerdictLabel] = "error"
    claim: Claim
    code: str
    reason: str
    basis: Basis = Basis.EVIDENCE


Verdict = Supported | Contradicted | Unsupported | Unverifiable | NotCheckworthy | CheckError


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where scores become verdicts. Compared with ``>=``, never rounded first.

    Attributes:
        support: Probability of entailment from which a claim counts as supported.
        contradiction: Probability of contradiction from which it counts as contradicted.
    """

    support: float
    contradiction: float


@dataclass(frozen=True, slots=True)
class ConsistencyThresholds:
    """Where the samples' score becomes a verdict, and on which claims it may. Never rounded.

    Attributes:
        support: Score from which (``>=``) the samples support a claim.
        unsupported: Score below which (``<``) they do not bear it out. Between the two nothing is
            concluded from them.
        min_samples: Samples read below which nothing is concluded.
        grey: Support by the sources, from the first number up to below the second, at which their
            reading counts as unsure and the samples may decide. None: only where there is no
            source to read.
        may_raise: Whether agreement may make a claim a supported one.
        may_lower: Whether disagreement may make it an unsupported one.
    """

    support: float
    unsupported: float
    min_samples: int = 3
    grey: tuple[float, float] | None = None
    may_raise: bool = True
    may_lower: bool = True


@dataclass(frozen=True, slots=True)
class JudgeThresholds:
    """On which claims a judge is asked, and how far it is believed.

    Attributes:
        grey: Support by the sources, from the first number up to below the second, at which their
            reading counts as unsure.
        unsupported: Ask about every unsupported claim, not only those in the grey zone.
        floor: The least support (``>=``) the reading gave the passage the judge quotes. Below it
            the judge is not believed that the passage supports the claim.
        may_raise: Whether an unsupported claim may become a supported one.
        may_lower: Whether a claim may become an unsupported or contradicted one.
    """

    grey: tuple[float, float]
    unsupported: bool = False
    floor: float = 0.3
    may_raise: bool = True
    may_lower: bool = True
