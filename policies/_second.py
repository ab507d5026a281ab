"""The tables for second opinions: samples of the answer, and a model as judge. Both off unless set.

They are asked only about claims that the sources left unsettled, and what they may make of a claim
stands here. Scores become verdicts in ``verifiers.aggregate``; this says where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from policies._values import Dollars, Seconds, Share
from verifiers.types import ScorerName

if TYPE_CHECKING:
    from pydantic import SerializerFunctionWrapHandler

Samples = Annotated[int, Field(strict=True, ge=1, le=100)]
AtOnce = Annotated[int, Field(strict=True, ge=1, le=32)]
Temperature = Annotated[float, Field(strict=True, ge=0, le=2, allow_inf_nan=False)]
Level = Annotated[float, Field(strict=True, ge=0, lt=1, allow_inf_nan=False)]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**31)]
Model = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^\S+$")]
Band = tuple[Share, Share]
Characters = Annotated[int, Field(strict=True, ge=1_000, le=2_000_000)]
Claims = Annotated[int, Field(strict=True, ge=1, le=200)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ConsistencyRules(_Table):
    """When the model is asked again, how often, and what its agreement with itself means.

    Attributes:
        when: For which claims: those without evidence, those in the grey zone of ``grey``, both.
        scorer: How agreement is measured.
        samples: The most samples of one call, over all its claims and choices.
        min_samples: Fewer than this settle nothing.
        step: Samples asked for at a time.
        level: The largest acceptable probability, a claim, that all samples would have decided
            otherwise than those it was settled by; 0 stops early only where that is impossible.
        differing: The expected share of an answer's claims that all samples would have decided
            otherwise, at which drawing stops with some not settled; 0 waits for all.
        support: Agreement from which a claim counts as consistent.
        unsupported: Agreement below which it counts as inconsistent.
        grey: From and up to which support by the sources their reading counts as unsure.
        on_consistent: What a consistent claim becomes; ``keep`` leaves it as the sources left it.
        on_inconsistent: What an inconsistent one becomes.
        model: Sampled instead of the model of the call; None for that one.
        temperature: Of the samples; None for the call's own.
        seed: Samples get seeds counted from here; None leaves it to the provider.
        logprobs: Ask for log probabilities.
        at_once: The most calls in flight.
        seconds: For all sampling of a call; None for no limit.
        cost_usd: For all sampling of a call; None for no limit. Where prices are not known, a
            limit counts as reached.
        measure: Sample also where no outcome could change the decision.
    """

    when: Literal["never", "no_evidence", "grey", "both"] = "never"
    scorer: ScorerName = ScorerName.NLI
    samples: Samples = 10
    min_samples: Samples = 3
    step: Samples = 2
    level: Level = 0.2
    differing: Level = 0.05
    support: Share = 0.7
    unsupported: Share = 0.4
    grey: Band = (0.3, 0.7)
    on_consistent: Literal["supported", "keep"] = "supported"
    on_inconsistent: Literal["unsupported", "keep"] = "unsupported"
    model: Model | None = None
    temperature: Temperature | None = 1.0
    seed: Seed | None = None
    logprobs: StrictBool = False
    at_once: AtOnce = 4
    seconds: Seconds | None = 30.0
    cost_usd: Dollars | None = None
    measure: StrictBool = False

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.min_samples > self.samples:
            raise _unordered("min_samples", "samples", "no claim would ever be settled")
        if self.unsupported > self.support:
            raise _unordered("unsupported", "support", "a score could be both")
        _ordered(self.grey)
        return self


class JudgeRules(_Table):
    """When another model is asked to read the sources, and how far it is believed.

    Attributes:
        when: For which claims: those in the grey zone of ``grey``, or these and all that were
            not found supported.
        model: The judge, as LiteLLM names it; None for the model of the call, where there is one.
        grey: From and up to which support by the sources their reading counts as unsure.
        floor: The least support, by the reading, of the passage the judge quotes; below it the
            judge is not believed when it says that the passage supports the claim.
        may_raise: Whether it may turn a claim into a supported one.
        may_lower: Whether it may turn a claim into an unsupported or contradicted one.
        claims: The most claims of one answer that it is asked about.
        characters: The most characters of sources that it is shown at a time.
        at_once: The most calls in flight.
        seconds: For all judging of a call; None for no limit.
        cost_usd: For all judging of a call; None for no limit.
        measure: Ask also where no outcome could change the decision.
    """

    when: Literal["never", "grey", "unsupported"] = "never"
    model: Model | None = None
    grey: Band = (0.3, 0.7)
    floor: Share = 0.3
    may_raise: StrictBool = True
    may_lower: StrictBool = True
    claims: Claims = 20
    characters: Characters = 20_000
    at_once: AtOnce = 4
    seconds: Seconds | None = 30.0
    cost_usd: Dollars | None = None
    measure: StrictBool = False

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        _ordered(self.grey)
        return self


def _ordered(grey: Band) -> None:
    if not grey[0] < grey[1]:
        raise PydanticCustomError("grey", "grey: the first number must be below the second", {})


def _unordered(small: str, large: str, why: str) -> PydanticCustomError:
    return PydanticCustomError(
        "second_opinion",
        "{small} is more than {large}: {why}",
        {"small": small, "large": large, "why": why},
    )


class _Changes(_Table):
    """Some keys of a table. What was not written down is the policy's own."""

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


class ConsistencyChanges(_Changes):
    """Some consistency rules. Here null lifts a limit, or means the call's own."""

    when: Literal["never", "no_evidence", "grey", "both"] = "never"
    scorer: ScorerName = ScorerName.NLI
    samples: Samples = 10
    min_samples: Samples = 3
    step: Samples = 2
    level: Level = 0.2
    differing: Level = 0.05
    support: Share = 0.7
    unsupported: Share = 0.4
    grey: Band = (0.3, 0.7)
    on_consistent: Literal["supported", "keep"] = "supported"
    on_inconsistent: Literal["unsupported", "keep"] = "unsupported"
    model: Model | None = None
    temperature: Temperature | None = None
    seed: Seed | None = None
    logprobs: StrictBool = False
    at_once: AtOnce = 4
    seconds: Seconds | None = None
    cost_usd: Dollars | None = None
    measure: StrictBool = False


class JudgeChanges(_Changes):
    """Some judge rules. Here null lifts a limit, or means the call's own."""

    when: Literal["never", "grey", "unsupported"] = "never"
    model: Model | None = None
    grey: Band = (0.3, 0.7)
    floor: Share = 0.3
    may_raise: StrictBool = True
    may_lower: StrictBool = True
    claims: Claims = 20
    characters: Characters = 20_000
    at_once: AtOnce = 4
    seconds: Seconds | None = None
    cost_usd: Dollars | None = None
    measure: StrictBool = False
