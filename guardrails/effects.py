"""What the flow asks for, and what it gets back. Pure values: the flow does no I/O itself.

Every effect has one result type. What went wrong comes back as a ``Fault``, so that the flow
decides what a failure means; a driver never does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from guardrails.judging.values import Opinions, Question
    from guardrails.report import Report, RequestInfo
    from guardrails.sampling.values import Batch
    from policies.types import Decision
    from verifiers.consistency import ConsistencyRun, Sample, Stopping
    from verifiers.types import (
        Citation,
        Claim,
        ConsistencyThresholds,
        ScorerName,
        Source,
        Verification,
    )


@dataclass(frozen=True, slots=True)
class Followup:
    """What a second attempt adds to the conversation.

    Attributes:
        answer: What the model said, for the conversation to continue from; may be empty.
        message: What was wrong with it, as the next user message.
    """

    answer: str = field(repr=False)
    message: str = field(repr=False)


# --------------------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class CallModel:
    """Call the model. Gives ``Called``. ``timeout``: seconds left of the budget, or None."""

    number: int
    followup: Followup | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Ask the registered retriever. Gives ``Retrieved``."""

    question: str = field(repr=False)
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Verify:
    """Assess every claim of ``answer``. Gives a ``Verification``."""

    answer: str = field(repr=False)
    sources: tuple[Source, ...] = field(repr=False)
    question: str | None = field(repr=False)
    annotations: Sequence[Citation] = field(default=(), repr=False)
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class DrawSamples:
    """Ask the model again, or whoever has samples. Gives a ``Batch``.

    Attributes:
        wanted: The most to draw.
        timeout: Seconds left for it, or None.
        priced: Draw none where what they cost would not be known.
    """

    wanted: int
    timeout: float | None = None
    priced: bool = False


@dataclass(frozen=True, slots=True)
class OpenRun:
    """Begin to compare claims of an answer with samples of it. Gives a ``ConsistencyRun``."""

    answer: str = field(repr=False)
    claims: tuple[Claim, ...] = field(repr=False)
    question: str | None = field(repr=False)
    scorer: ScorerName
    thresholds: Mapping[str, ConsistencyThresholds]
    stopping: Stopping


@dataclass(frozen=True, slots=True)
class Compare:
    """Let a run take samples in; none says that there are no more. Gives ``Compared``."""

    run: ConsistencyRun
    samples: tuple[Sample, ...] = field(repr=False)
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class AskJudge:
    """Have a judge read the sources for these claims. Gives ``Opinions``."""

    questions: tuple[Question, ...]
    sources: tuple[Source, ...] = field(repr=False)
    timeout: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Put the answer before a person. Gives ``Queued``."""

    report: Report
    request: RequestInfo
    held: bool


@dataclass(frozen=True, slots=True)
class Save:
    """Keep the record. Gives ``Saved``."""

    report: Report
    request: RequestInfo


@dataclass(frozen=True, slots=True)
class ReadClock:
    """Gives an ``Instant``."""


SecondEffect = DrawSamples | OpenRun | Compare | AskJudge
Effect = CallModel | Retrieve | Verify | SecondEffect | Enqueue | Save | ReadClock


# --------------------------------------------------------------------------- results


@dataclass(frozen=True, slots=True)
class Instant:
    """``at``: wall clock, UTC. ``tick``: monotonic seconds, only for differences."""

    at: datetime
    tick: float


@dataclass(frozen=True, slots=True)
class Called:
    """The provider's response object, untouched, and what it cost, where prices are known."""

    response: object = field(repr=False)
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What the retriever found, in its order, and what the report should say about it."""

    sources: tuple[Source, ...] = field(repr=False)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """A run has taken its samples in."""


@dataclass(frozen=True, slots=True)
class Queued:
    """``review_id`` is None when the item could not be queued; ``error`` then says why."""

    review_id: str | None
    note: str | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """Where the record went.

    Attributes:
        recorded: It is in the store.
        note: What the reader of the report should know (it was spilled, there is no store).
        error: Set when the answer must not be released because its record was not kept.
    """

    recorded: bool
    note: str | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """An effect failed. ``cancelled``: the caller went away, or the program is being stopped."""

    error: BaseException
    cancelled: bool = False


Result: TypeAlias = (
    "Instant | Called | Retrieved | Verification | Batch | ConsistencyRun | Compared | Opinions"
    " | Queued | Saved | Fault"
)


# --------------------------------------------------------------------------- what a flow ends in


@dataclass(frozen=True, slots=True)
class Finished:
    """There is an answer, or a refusal in its place: the response as decided, and its reports."""

    response: object = field(repr=False)
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """There is no answer. Drivers raise ``error`` from ``cause``."""

    error: BaseException
    reports: tuple[Report, ...]
    cause: BaseException | None = None


Ending = Finished | Broken


@dataclass(frozen=True, slots=True)
class Settled:
    """One attempt's decision after the budget had its say, with what it depended on."""

    decision: Decision
    can_regenerate: bool
