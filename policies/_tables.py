"""The tables of a policy file: complete ones, and the partial ones of ``kinds`` and ``routes``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StrictBool,
    field_validator,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from policies._second import (  # noqa: TC001 - pydantic reads annotations
    ConsistencyChanges,
    JudgeChanges,
)
from policies._values import (
    Attempts,
    Count,
    Dollars,
    FinalAction,
    FrozenDict,
    LimitAction,
    OnAnswer,
    OnSupported,
    OnUnchecked,
    RouteName,
    Seconds,
    Share,
    Text,
    Threshold,
)
from policies.types import Action
from verifiers.types import ClaimKind, Facet

if TYPE_CHECKING:
    from pydantic import SerializerFunctionWrapHandler


class Table(BaseModel):
    """Frozen; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Changes(Table):
    """A partial table: only what was written down counts, and nothing is written down as null."""

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        if value is None:
            raise PydanticCustomError(
                "empty_override", "has no value; give one or leave it out", {}
            )
        return value

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


class ThresholdTable(Table):
    """Where scores become verdicts, compared with ``>=``."""

    support: Threshold = 0.5
    contradiction: Threshold = 0.8


class ThresholdChanges(_Changes):
    """Some thresholds."""

    support: Threshold | None = None
    contradiction: Threshold | None = None


class AnswerRules(Table):
    """Limits on a whole answer.

    Counted are the claims that were to be checked and were not found supported: ``unsupported``,
    ``contradicted`` and ``error``. The share is of all claims with evidence to read; claims with
    none (``unverifiable``) are ``on_no_evidence``'s business and count on neither side.

    Attributes:
        max_unsupported: The most such claims that are let be; None for no limit.
        max_unsupported_share: The largest share of them, 0 to 1; None for no limit.
        action: What to do beyond either limit.
        after_attempts: What that becomes when ``action`` is ``regenerate`` and no attempt is left;
            None for the policy's own ``after_attempts``.
    """

    max_unsupported: Count | None = None
    max_unsupported_share: Share | None = 0.5
    action: LimitAction = Action.REGENERATE
    after_attempts: FinalAction | None = Action.REFUSE


class AnswerChanges(_Changes):
    """Some answer-level rules. Here null lifts a limit."""

    max_unsupported: Count | None = None
    max_unsupported_share: Share | None = None
    action: LimitAction = Action.REGENERATE
    after_attempts: FinalAction | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        return value


class Limits(Table):
    """What one guarded call may use before ``regenerate`` gives up.

    Attributes:
        attempts: Model calls in all, the first one included.
        seconds: No new attempt once this much time has passed; None for no limit.
        cost_usd: No new attempt once this much was spent; None for no limit. With a limit and a
            provider whose prices are not known, there is no new attempt.
    """

    attempts: Attempts = 2
    seconds: Seconds | None = 60.0
    cost_usd: Dollars | None = None


class LimitChanges(_Changes):
    """Some limits. Here null lifts a limit."""

    attempts: Attempts = 2
    seconds: Seconds | None = None
    cost_usd: Dollars | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        return value


class ReviewRules(Table):
    """What the caller gets while a person looks.

    Attributes:
        hold: True: ``text`` instead of the answer. False: the answer, with a flag.
        text: What is said meanwhile.
    """

    hold: StrictBool = True
    text: Text = "A person is checking this answer before it is released."


class ReviewChanges(_Changes):
    """Some review rules."""

    hold: StrictBool | None = None
    text: Text | None = None


class StreamRules(Table):
    """How an answer that is streamed is let go.

    Attributes:
        release: ``sentence`` lets each sentence go once it was decided; what the whole answer
            would have changed comes too late for what is gone. ``answer`` holds everything until
            the whole answer was decided, so that it can still be asked again.
        reasoning: What the model thinks aloud is not checked. ``hold`` keeps it back until its
            answer was decided, and for good when words of it were withheld; ``release`` lets it
            through unchecked.
        seconds: How long the check of a sentence may take before it counts as failed
            (``on_error``); None for no limit.
    """

    release: Literal["sentence", "answer"] = "sentence"
    reasoning: Literal["hold", "release"] = "hold"
    seconds: Seconds | None = 10.0


class StreamChanges(_Changes):
    """Some rules of streams. Here null lifts the limit."""

    release: Literal["sentence", "answer"] = "sentence"
    reasoning: Literal["hold", "release"] = "hold"
    seconds: Seconds | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        return value


class KindRules(_Changes):
    """What is different for one kind of claim."""

    thresholds: ThresholdChanges | None = None
    on_supported: OnSupported | None = None
    on_contradicted: Action | None = None
    on_conflict: Action | None = None
    on_unsupported: Action | None = None
    on_no_evidence: OnUnchecked | None = None
    on_error: OnUnchecked | None = None
    on_miscited: Action | None = None
    on_uncited: Action | None = None


Kinds = Annotated[dict[ClaimKind | Facet, KindRules], AfterValidator(FrozenDict)]


class RouteRules(KindRules):
    """What is different for one route: anything but the name, the version and the routes."""

    on_no_claims: OnAnswer | None = None
    on_empty: OnAnswer | None = None
    on_refused: OnAnswer | None = None
    on_cut: OnAnswer | None = None
    kinds: Kinds | None = None
    answer: AnswerChanges | None = None
    consistency: ConsistencyChanges | None = None
    judge: JudgeChanges | None = None
    limits: LimitChanges | None = None
    after_attempts: FinalAction | None = None
    refusal: Text | None = None
    review: ReviewChanges | None = None
    stream: StreamChanges | None = None
    blocked: Literal["respond", "raise"] | None = None


Routes = Annotated[dict[RouteName, RouteRules], AfterValidator(FrozenDict)]
