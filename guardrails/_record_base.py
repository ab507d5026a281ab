"""Record, version 1: the models that others are made of. Imported by the record modules alone."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    model_validator,
)

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


class Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class TextRef(Model):
    """A text, by digest. The text itself may be in the store, under this digest."""

    digest: Digest
    length: NonNegativeInt
    """In code points."""


class EvidenceRecord(Model):
    """A place in a source."""

    source: str
    span: Span
    digest: Digest


class CoverageRecord(Model):
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


class FailedRecord(Model):
    """It could not be checked."""

    outcome: Literal["failed"] = "failed"
    code: str
    cause: str


class UsageRecord(Model):
    """What the provider charged for. Null is unknown, never zero."""

    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None


class FailureRecord(Model):
    """Why an attempt gave no answer."""

    code: str
    kind: str
    message: str
    status: int | None
