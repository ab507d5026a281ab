"""Samples the caller has already, and samples from a function of theirs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from guardrails._flow_values import failure_of
from guardrails.effects import Fault
from guardrails.errors import ConfigInvalid
from guardrails.sampling.reading import read_each
from guardrails.sampling.together import together
from guardrails.sampling.values import Batch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from verifiers.consistency import Sample


def as_samples(values: object) -> tuple[Sample, ...]:
    """What a caller passed as ``samples=``: texts, ``Sample`` objects or responses.

    Raises:
        ConfigInvalid: If it is no list of these.
    """
    if isinstance(values, str | Mapping) or not isinstance(values, Sequence):
        values = [values]  # one response, perhaps with several choices
    found, errors = read_each(values)
    if errors:
        raise ConfigInvalid(
            f"samples= holds something that is no answer ({errors[0].code}); nothing was sent or "
            "checked.",
            hint="Pass texts, or responses of LiteLLM, OpenAI or Anthropic.",
        ) from errors[0]
    return found.samples


class GivenSamples:
    """Samples that came with the call. They cost nothing: they are paid for."""

    model = None
    priced = True

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._left = list(samples)

    def sample(self, wanted: int, *, seconds: float | None) -> Batch:
        """The next of them."""
        del seconds
        taken, self._left = self._left[:wanted], self._left[wanted:]
        return Batch(tuple(taken), exhausted=not self._left)

    async def asample(self, wanted: int, *, seconds: float | None) -> Batch:
        """The next of them."""
        return self.sample(wanted, seconds=seconds)


class FunctionSampler:
    """Samples from a function of the application: so many more answers, please.

    It gives texts, ``Sample`` objects or responses, fewer than asked where there are no more. What
    it costs is the application's own knowledge, so with a limit on money it is not asked.
    """

    model = None
    priced = False

    def __init__(self, function: Callable[[int], object]) -> None:
        self._function = function

    def sample(self, wanted: int, *, seconds: float | None) -> Batch:
        """Ask the function in a thread, for ``seconds`` at most."""
        (outcome,) = together(
            [lambda: self._called(wanted)], at_once=1, seconds=seconds, halts=lambda _: False
        )
        return _batch(outcome, wanted)

    async def asample(self, wanted: int, *, seconds: float | None) -> Batch:
        """Await the function, or ask it in a thread."""
        try:
            async with asyncio.timeout(seconds):
                if inspect.iscoroutinefunction(self._function):
                    outcome: object = await self._function(wanted)
                else:
                    outcome = await asyncio.to_thread(self._function, wanted)
                    if inspect.isawaitable(outcome):
                        outcome = await outcome
        except Exception as error:  # noqa: BLE001 - a sample that failed is counted, not raised
            outcome = error
        return await asyncio.to_thread(_batch, outcome, wanted)

    def _called(self, wanted: int) -> object:
        given = self._function(wanted)
        if inspect.isawaitable(given):
            return asyncio.run(_as_coroutine(given))  # in a thread of its own: no loop runs here
        return given


async def _as_coroutine(work: Awaitable[object]) -> object:
    return await work


def _batch(outcome: object, wanted: int) -> Batch:
    if isinstance(outcome, Exception):
        return Batch(failures=(failure_of(Fault(outcome)),), cost_known=False)
    if outcome is None:
        return Batch(exhausted=True, cost_known=False)
    single = isinstance(outcome, str | Mapping) or not isinstance(outcome, Sequence)
    found, errors = read_each([outcome] if single else outcome)  # type: ignore[arg-type]
    return Batch(
        samples=found.samples[:wanted],
        usage=found.usage,
        cost_known=False,
        calls=1,
        failures=tuple(failure_of(Fault(error)) for error in errors),
        exhausted=len(found.samples) + len(errors) < wanted,
    )
