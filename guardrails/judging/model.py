"""A judge through the gateway: two passes over the claims, a structured reply, and a budget.

The reply is asked for by JSON schema. A model that cannot is asked by a tool it must call, and one
that cannot do that either in words; what it then replies is read just as strictly. What a model
cannot do is learnt once and remembered.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from guardrails._flow_values import failure_of
from guardrails._response_access import get, items_of
from guardrails.effects import Called, Fault
from guardrails.errors import GuardrailsError, JudgeUnusable
from guardrails.judging.frame import Token, draw, passes
from guardrails.judging.passages import choose
from guardrails.judging.replies import Said, agreed, read_reply
from guardrails.judging.values import Opinions
from guardrails.responses import read, read_usage
from guardrails.sampling.model import (
    CONNECTION,
    Deadline,
    is_late,
    is_rate_limit,
    is_rejection,
    timed,
)
from guardrails.sampling.together import NotAsked, atogether, together
from verifiers.types import Failed

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from guardrails.gateway import Gateway
    from guardrails.judging.frame import Asked
    from guardrails.judging.values import Budget, Question
    from guardrails.sampling.model import Abilities
    from verifiers.types import Judgement, Source

_PER_CALL: Final = 8
_TOOL: Final = "give_verdicts"
# Of a guarded call, what may go with a call of the same model besides how to reach it.
_HABITS: Final = frozenset({"max_retries", "num_retries", "timeout"})
# What is given up, in this order, when a provider rejects a call and does not say why.
_EXTRAS: Final = ("response_format", "tools", "temperature")


@dataclass(slots=True)
class _Heard:
    """What came of the calls so far."""

    opinions: Opinions = field(default_factory=Opinions)

    def took(self, called: Called) -> None:
        """Count an answer's cost in, whatever it says."""
        was = self.opinions
        self.opinions = replace(
            was,
            usage=was.usage + replace(read_usage(called.response), cost_usd=called.cost_usd),
            cost_known=was.cost_known and called.cost_usd is not None,
            calls=was.calls + 1,
        )

    def failed(self, error: Exception) -> Failed:
        """Count a failure in; gives it as the outcome of a claim."""
        failure = failure_of(Fault(error))
        was = self.opinions
        self.opinions = replace(
            was,
            failures=(*was.failures, failure),
            cost_known=was.cost_known and not is_late(error),
        )
        return Failed(failure.code, failure.message)

    def say(self, found: Mapping[str, Judgement | Failed]) -> None:
        """Add what was said of some claims."""
        was = self.opinions
        self.opinions = replace(was, by_claim={**was.by_claim, **found})


class ModelJudge:
    """Asks any model LiteLLM knows."""

    def __init__(
        self,
        gateway: Gateway,
        request: Mapping[str, Any],
        *,
        abilities: Abilities,
        at_once: int = 4,
        characters: int = 20_000,
        token: Token = draw,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            gateway: Makes the calls.
            request: The judge's ``model`` and how it is reached; anything else is left out.
            abilities: What is known of providers.
            at_once: The most calls in flight.
            characters: The most characters of sources in one call.
            token: Draws letters for the frame; only tests pass one.
        """
        self._gateway = gateway
        self._request = {
            key: value
            for key, value in request.items()
            if key in CONNECTION or key in _HABITS or key == "model"
        }
        self._abilities = abilities
        self._at_once = at_once
        self._characters = characters
        self._token = token
        base = request.get("api_base") or request.get("base_url") or ""
        self._key = (f"judge:{self.model}", str(base))

    @property
    def model(self) -> str:
        """The judge."""
        return str(self._request.get("model"))

    def judge(
        self, questions: Sequence[Question], sources: Sequence[Source], budget: Budget
    ) -> Opinions:
        """Ask about every claim, both passes side by side on threads."""
        deadline = Deadline.after(budget.seconds)
        steps = self._steps(questions, sources, budget, deadline)
        try:
            requests = next(steps)
            while True:
                left = deadline.left
                works = [partial(self._gateway.complete, timed(one, left)) for one in requests]
                outcomes = together(works, at_once=self._at_once, seconds=left, halts=is_rate_limit)
                requests = steps.send(outcomes)
        except StopIteration as stop:
            opinions: Opinions = stop.value
            return opinions

    async def ajudge(
        self, questions: Sequence[Question], sources: Sequence[Source], budget: Budget
    ) -> Opinions:
        """Ask about every claim, both passes side by side on the event loop."""
        deadline = Deadline.after(budget.seconds)
        steps = self._steps(questions, sources, budget, deadline)
        outcomes: list[Called | Exception] | None = None
        while True:
            # Choosing passages and looking for quotations takes time for long sources.
            requests = await asyncio.to_thread(_advance, steps, outcomes)
            if isinstance(requests, Opinions):
                return requests
            left = deadline.left
            works = [partial(self._gateway.acomplete, timed(one, left)) for one in requests]
            outcomes = await atogether(
                works, at_once=self._at_once, seconds=left, halts=is_rate_limit
            )

    # ------------------------------------------------------------------ what to ask, and what came

    def _steps(
        self,
        questions: Sequence[Question],
        sources: Sequence[Source],
        budget: Budget,
        deadline: Deadline,
    ) -> Generator[list[dict[str, Any]], list[Called | Exception], Opinions]:
        heard = _Heard()
        for start in range(0, len(questions), _PER_CALL):
            group = questions[start : start + _PER_CALL]
            if why := self._over(heard.opinions, budget, deadline):
                failed = heard.failed(JudgeUnusable(why, hint="Raise the limits of `judge`."))
                rest = questions[start:]
                heard.say({question.claim_id: failed for question in rest})
                break
            asked = passes(group, choose(group, sources, self._characters), self._token)
            outcomes = yield from self._asked(asked)
            heard.say(self._concluded(group, asked, outcomes, heard))
        return heard.opinions

    def _over(self, so_far: Opinions, budget: Budget, deadline: Deadline) -> str | None:
        """Why nothing more is asked, or None."""
        if deadline.over:
            return f"The {budget.seconds or 0:.3g} s for judging were used up; it was not asked."
        if budget.cost_usd is None:
            return None
        if not (so_far.cost_known and self._gateway.priced(self._request)):
            return "The judge's prices are not known, so its limit counts as reached."
        spent = so_far.usage.cost_usd or 0.0
        if not spent < budget.cost_usd:
            return f"{spent:g} of {budget.cost_usd:g} USD for judging were spent; it was not asked."
        return None

    def _asked(
        self, asked: Sequence[Asked]
    ) -> Generator[list[dict[str, Any]], list[Called | Exception], list[Called | Exception]]:
        """The outcome of each pass, in the best form of reply the provider takes."""
        missing = self._abilities.missing(self._key)
        learnt: frozenset[str] = frozenset()
        while True:
            extras = [name for name in _EXTRAS if name not in missing | learnt]
            outcomes = yield [self._formed(one, frozenset(extras)) for one in asked]
            if extras and all(is_rejection(outcome) for outcome in outcomes):
                learnt |= _blamed(outcomes[0], extras)
                continue
            if learnt and any(isinstance(outcome, Called) for outcome in outcomes):
                self._abilities.learn(self._key, learnt)
            return outcomes

    def _formed(self, asked: Asked, extras: frozenset[str]) -> dict[str, Any]:
        request = {**self._request, "messages": [dict(message) for message in asked.messages]}
        if "temperature" in extras:
            request["temperature"] = 0.0
        if "response_format" in extras:
            shape = {"name": _TOOL, "strict": True, "schema": asked.schema}
            request["response_format"] = {"type": "json_schema", "json_schema": shape}
        elif "tools" in extras:
            function = {"name": _TOOL, "parameters": asked.schema}
            request["tools"] = [{"type": "function", "function": function}]
            request["tool_choice"] = {"type": "function", "function": {"name": _TOOL}}
        return request

    def _concluded(
        self,
        group: Sequence[Question],
        asked: Sequence[Asked],
        outcomes: Sequence[Called | Exception],
        heard: _Heard,
    ) -> dict[str, Judgement | Failed]:
        said: list[Mapping[str, Said] | Failed] = []
        for one, outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, NotAsked):
                why = JudgeUnusable("The judge's provider limits the rate; one pass is missing.")
                said.append(Failed(why.code, why.message))
            elif isinstance(outcome, Exception):
                said.append(heard.failed(outcome))
            else:
                heard.took(outcome)
                try:
                    said.append(read_reply(_reply(outcome.response), one))
                except GuardrailsError as error:
                    said.append(heard.failed(error))
        first, second = said
        found: dict[str, Judgement | Failed] = {}
        for question in group:
            name = question.claim_id
            if isinstance(first, Failed):
                found[name] = first
            elif isinstance(second, Failed):
                found[name] = second
            else:
                found[name] = agreed(first[name], second[name], self.model)
        return found


def _advance(
    steps: Generator[list[dict[str, Any]], list[Called | Exception], Opinions],
    outcomes: list[Called | Exception] | None,
) -> list[dict[str, Any]] | Opinions:
    try:
        return next(steps) if outcomes is None else steps.send(outcomes)
    except StopIteration as stop:
        opinions: Opinions = stop.value
        return opinions


def _reply(response: object) -> str:
    """The reply: the arguments of the tool it was told to call, else its text.

    Raises:
        JudgeUnusable: If the judge declined, or was cut off.
        ResponseUnreadable: If it is of no shape we know.
    """
    choice = read(response).choices[0]
    if choice.refused:
        raise JudgeUnusable("The judge declined to answer; nothing was concluded.")
    if choice.cut:
        raise JudgeUnusable("The judge's reply was cut at its length; nothing was concluded.")
    if choice.tool_calls:
        message = get(items_of(response, "choices")[0], "message")
        calls = items_of(message, "tool_calls")
        arguments = get(get(calls[0], "function"), "arguments") if len(calls) == 1 else None
        if isinstance(arguments, str):
            return arguments
    return choice.text


def _blamed(outcome: object, extras: Sequence[str]) -> frozenset[str]:
    said = str(getattr(outcome, "__cause__", None) or "")
    named = {name for name in extras if f"'{name}'" in said or f"`{name}`" in said}
    return frozenset(named or {extras[0]})
