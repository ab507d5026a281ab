"""Samples out of whatever holds answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from guardrails.errors import GuardrailsError
from guardrails.report import Usage
from guardrails.responses import read
from verifiers.consistency import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence


class Read(NamedTuple):
    """What a response holds: its answers, refusals and empty ones included, and its usage."""

    samples: tuple[Sample, ...]
    usage: Usage


def read_samples(response: object) -> Read:
    """The samples in a response.

    Raises:
        ResponseUnreadable: If it is of no shape we know.
        StreamingUnsupported: If it is a stream.
    """
    reading = read(response)
    samples = tuple(
        Sample(choice.text, refused=choice.refused, logprob=choice.logprob)
        for choice in reading.choices
    )
    return Read(samples, reading.usage)


def read_each(values: Sequence[object]) -> tuple[Read, list[GuardrailsError]]:
    """The samples in texts, ``Sample`` objects and responses; what cannot be read as errors."""
    samples: list[Sample] = []
    usage = Usage()
    errors: list[GuardrailsError] = []
    for value in values:
        if isinstance(value, Sample):
            samples.append(value)
            continue
        try:
            found = read_samples(value)
        except GuardrailsError as error:
            errors.append(error)
            continue
        samples += found.samples
        usage += found.usage
    return Read(tuple(samples), usage), errors
