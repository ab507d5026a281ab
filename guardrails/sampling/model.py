"""Samples from the model itself, through the gateway: ``n`` at once where the provider can.

What a provider can do is learnt from what it does. One that rejects ``n`` (or a temperature, a
seed, log probabilities), or answers with fewer choices than asked for, is asked one answer at a
time from then on. Only extras of ours are ever left out: the conversation, the tools and every
other setting go as the caller gave them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from guardrails._flow_values import failure_of
from guardrails.effects import Called, Fault
from guardrails.errors import GuardrailsError, ProviderFailed, TimedOut
from guardrails.responses import read_usage
from guardrails.sampling.reading import read_samples
from guardrails.sampling.together import NotAsked, atogether, together
from guardrails.sampling.values import Batch

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from guardrails.gateway import Gateway
    from guardrails.sampling.values import SampleSettings

_REJECTED: Final = frozenset({400, 422})
_TOO_MANY: Final = 429
_LATE: Final = 408
# What we add to a call, in the order in which it is given up when the provider does not say.
_EXTRAS: Final = ("logprobs", "n", "seed", "temperature")
_MOST_KNOWN: Final = 1_000
# Never sent with a sample: it is read whole.
_UNWANTED: Final = frozenset({"stream", "stream_options", "n"})
# How a call reaches its provider. These belong to the model they were given for, and a key of one
# provider must never travel to another.
CONNECTION: Final = frozenset(
    {
        "api_base",
        "api_key",
        "api_version",
        "aws_access_key_id",
        "aws_region_name",
        "aws_secret_access_key",
        "aws_session_token",
        "azure_ad_token",
        "base_url",
        "client",
        "custom_llm_provider",
        "default_headers",
        "deployment_id",
        "extra_body",
        "extra_headers",
        "extra_query",
        "fallbacks",
        "headers",
        "model_list",
        "organization",
        "vertex_credentials",
        "vertex_location",
        "vertex_project",
    }
)


class Abilities:
    """What providers were seen not to do, by model and address. Shared by all calls of a guard."""

    def __init__(self) -> None:
        self._missing: dict[tuple[str, str], frozenset[str]] = {}
        self._lock = threading.Lock()

    def missing(self, key: tuple[str, str]) -> frozenset[str]:
        """What this provider is not asked for any more."""
        with self._lock:
            return self._missing.get(key, frozenset())

    def learn(self, key: tuple[str, str], missing: frozenset[str]) -> None:
        """Remember it."""
        with self._lock:
            if len(self._missing) >= _MOST_KNOWN and key not in self._missing:
                self._missing.clear()  # learning again costs a rejected call each
            self._missing[key] = self._missing.get(key, frozenset()) | missing


def connection_for(
    request: Mapping[str, Any], model: str, own: Mapping[str, Any]
) -> dict[str, Any]:
    """The request as it goes to another model: without the first one's keys and addresses.

    Args:
        request: The caller's.
        model: The other model.
        own: How that one is reached.
    """
    if model == request.get("model"):
        return {**request, **own}
    kept = {key: value for key, value in request.items() if key not in CONNECTION}
    return {**kept, **own, "model": model}


@dataclass(slots=True)
class _Step:
    """What one step has gathered."""

    batch: Batch = field(default_factory=Batch)

    def take(self, called: Called) -> int:
        """Count one answer of the provider in; gives the number of choices.

        Raises:
            ResponseUnreadable: If there is none in it. What it cost was counted.
            StreamingUnsupported: Likewise.
        """
        batch = self.batch
        self.batch = replace(
            batch,
            usage=batch.usage + replace(read_usage(called.response), cost_usd=called.cost_usd),
            cost_known=batch.cost_known and called.cost_usd is not None,
            calls=batch.calls + 1,
        )
        found = read_samples(called.response)
        self.batch = replace(self.batch, samples=(*batch.samples, *found.samples))
        return len(found.samples)

    def fail(self, error: Exception) -> None:
        """Count a failure in. What a call that was cut off cost, nobody says."""
        self.batch = replace(
            self.batch,
            failures=(*self.batch.failures, failure_of(Fault(error))),
            cost_known=self.batch.cost_known and not is_late(error),
        )


class ModelSampler:
    """Asks the model of a guarded call again, the same question, for other answers."""

    def __init__(
        self,
        gateway: Gateway,
        request: Mapping[str, Any],
        settings: SampleSettings,
        abilities: Abilities,
        connections: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            gateway: Makes the calls.
            request: LiteLLM's arguments of the guarded call. Not changed.
            settings: How to sample.
            abilities: What is known of providers.
            connections: LiteLLM's arguments by model, for another model than the call's.
        """
        model = settings.model or str(request.get("model"))
        base = connection_for(request, model, connections.get(model, {}))
        self._request = {key: value for key, value in base.items() if key not in _UNWANTED}
        self._gateway = gateway
        self._settings = settings
        self._abilities = abilities
        self._key = (model, str(base.get("api_base") or base.get("base_url") or ""))
        self._asked = 0
        self._slow = False

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self._key[0]

    @property
    def priced(self) -> bool:
        """Whether LiteLLM knows what it costs."""
        return self._gateway.priced(self._request)

    def sample(self, wanted: int, *, seconds: float | None) -> Batch:
        """Up to ``wanted`` more answers, calls side by side on threads."""
        steps = self._steps(wanted)
        requests = next(steps)
        deadline = Deadline.after(seconds)
        while True:
            left = deadline.left
            works = [partial(self._gateway.complete, timed(one, left)) for one in requests]
            outcomes = together(works, at_once=self._at_once, seconds=left, halts=is_rate_limit)
            try:
                requests = steps.send(outcomes)
            except StopIteration as stop:
                batch: Batch = stop.value
                return batch

    async def asample(self, wanted: int, *, seconds: float | None) -> Batch:
        """Up to ``wanted`` more answers, calls side by side on the event loop."""
        steps = self._steps(wanted)
        requests = next(steps)
        deadline = Deadline.after(seconds)
        while True:
            left = deadline.left
            works = [partial(self._gateway.acomplete, timed(one, left)) for one in requests]
            outcomes = await atogether(
                works, at_once=self._at_once, seconds=left, halts=is_rate_limit
            )
            try:
                # Reading a response is quick, but a response may be large.
                requests = await asyncio.to_thread(_sent, steps, outcomes)
            except _Done as done:
                return done.batch

    @property
    def _at_once(self) -> int:
        return 1 if self._slow else self._settings.at_once

    # ------------------------------------------------------------------ what to ask, and what came

    def _steps(
        self, wanted: int
    ) -> Generator[list[dict[str, Any]], list[Called | Exception], Batch]:
        """Requests to make side by side; is sent what came of each. Ends in the batch."""
        step = _Step()
        left_out = self._abilities.missing(self._key)
        learnt: frozenset[str] = frozenset()
        missing = wanted
        while missing > 0:
            requests, extras = self._requests(missing, left_out)
            outcomes = yield requests
            rejected = [outcome for outcome in outcomes if is_rejection(outcome)]
            if extras and len(rejected) == len(outcomes):
                # Not learnt yet: perhaps it is the call itself that is wrong.
                drop = _blamed(rejected[0], extras)
                learnt |= drop
                left_out |= drop
                continue
            got = self._count(step, outcomes)
            if got and learnt:
                self._abilities.learn(self._key, learnt)
            if "n" in extras and 0 < got < missing:
                self._abilities.learn(self._key, frozenset({"n"}))
                left_out |= {"n"}
                missing -= got
                continue
            break
        return step.batch

    def _count(self, step: _Step, outcomes: list[Called | Exception]) -> int:
        got = 0
        for outcome in outcomes:
            if isinstance(outcome, NotAsked):
                continue
            if isinstance(outcome, Exception):
                self._slow = self._slow or is_rate_limit(outcome)
                step.fail(outcome)
                continue
            try:
                got += step.take(outcome)
            except GuardrailsError as error:
                step.fail(error)
        return got

    def _requests(
        self, wanted: int, left_out: frozenset[str]
    ) -> tuple[list[dict[str, Any]], frozenset[str]]:
        """The requests that give ``wanted`` answers, and which extras of ours are in them."""
        settings = self._settings
        base = dict(self._request)
        extras = set()
        if settings.temperature is not None and settings.temperature != base.get("temperature"):
            base.pop("temperature", None)
            if "temperature" not in left_out:
                base["temperature"] = settings.temperature
                extras.add("temperature")
        if settings.logprobs and not base.get("logprobs") and "logprobs" not in left_out:
            base["logprobs"] = True
            extras.add("logprobs")
        first = settings.seed if settings.seed is not None else base.pop("seed", None)
        seeded = isinstance(first, int) and "seed" not in left_out
        if seeded:
            extras.add("seed")
        if wanted > 1 and "n" not in left_out:
            extras.add("n")
            base["n"] = wanted
            requests = [base]
        else:
            requests = [dict(base) for _ in range(wanted)]
        for request in requests:
            self._asked += 1
            if seeded and isinstance(first, int):
                # The answer has the caller's own seed; the same again would give the same again.
                request["seed"] = first + self._asked
        return requests, frozenset(extras)


class _Done(Exception):
    """The steps are over; ``StopIteration`` cannot be raised through a future."""

    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self.batch = batch


def _sent(
    steps: Generator[list[dict[str, Any]], list[Called | Exception], Batch],
    outcomes: list[Called | Exception],
) -> list[dict[str, Any]]:
    try:
        return steps.send(outcomes)
    except StopIteration as stop:
        raise _Done(stop.value) from None


def timed(request: Mapping[str, Any], seconds: float | None) -> Mapping[str, Any]:
    """The time left as the call's own timeout, unless that is shorter."""
    if seconds is None:
        return request
    own = request.get("timeout")
    return {**request, "timeout": min(own, seconds) if isinstance(own, int | float) else seconds}


@dataclass(frozen=True, slots=True)
class Deadline:
    """When to stop waiting, over several rounds of calls."""

    at: float | None

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """So many seconds from now; None for never."""
        return cls(None if seconds is None else time.monotonic() + seconds)

    @property
    def left(self) -> float | None:
        """Seconds until then, never quite none: a timeout of 0 means "no timeout" to some."""
        return None if self.at is None else max(self.at - time.monotonic(), 0.001)

    @property
    def over(self) -> bool:
        """Whether it is past."""
        return self.at is not None and time.monotonic() >= self.at


def is_rate_limit(error: Exception) -> bool:
    """Whether the provider asks for fewer calls."""
    return isinstance(error, ProviderFailed) and error.status == _TOO_MANY


def is_late(error: Exception) -> bool:
    """Whether the call was cut off, so that nobody says what it cost."""
    return isinstance(error, TimedOut) or getattr(error, "status", None) == _LATE


def is_rejection(outcome: object) -> bool:
    """Whether the provider will not take the call as it is."""
    return isinstance(outcome, ProviderFailed) and outcome.status in _REJECTED


def _blamed(outcome: object, extras: frozenset[str]) -> frozenset[str]:
    """Which extra to leave out: the ones the provider names, else one by one."""
    said = str(getattr(outcome, "__cause__", None) or "")
    named = {name for name in extras if f"'{name}'" in said or f"`{name}`" in said}
    return frozenset(named or {next(name for name in _EXTRAS if name in extras)})
