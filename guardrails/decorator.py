"""``@guard.guarded(...)``: any function that gives an answer, sync or async, guarded.

The function stays what it is: it is called with its own arguments and may return text, or a
response of LiteLLM, OpenAI or Anthropic. What it returned comes back inside a ``Guarded``. An
exception of its own is recorded and raised unchanged.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from guardrails.effects import Called
from guardrails.errors import ConfigInvalid
from guardrails.report import Entry, Guarded
from guardrails.streaming.generators import as_async, deferred
from guardrails.streaming.guarded import AsyncGuardedStream, GuardedStream
from guardrails.streaming.text import AnyShape
from guardrails.streaming.ways import holds_answers, reasoning_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator

    from guardrails._flow_values import Job
    from guardrails.effects import CallModel
    from guardrails.engine import Engine, Options

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Decorator:
    """Makes guarded functions.

    Attributes:
        engine: Runs the calls.
        options: What holds for every call.
        sources_from: Name of the parameter that brings the sources.
        question_from: Name of the parameter that is the question.
        messages_from: Name of the parameter that is the conversation: evidence and, without
            ``question_from``, the question are taken from it.
        samples_from: Name of the parameter that brings other answers to the same question.
        feedback_to: Name of a parameter to pass feedback to when the answer is to be written
            again: what was wrong, as a message to the model. Without one a function is never
            called twice.
    """

    engine: Engine
    options: Options
    sources_from: str | None = None
    question_from: str | None = None
    messages_from: str | None = None
    feedback_to: str | None = None
    samples_from: str | None = None

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine is also some R
        self, function: Callable[P, Coroutine[Any, Any, R]]
    ) -> Callable[P, Coroutine[Any, Any, Guarded[R]]]: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a generator is also some R
        self, function: Callable[P, AsyncIterator[Any]]
    ) -> Callable[P, AsyncGuardedStream]: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]  # as above
        self, function: Callable[P, Generator[Any, Any, Any]]
    ) -> Callable[P, GuardedStream]: ...

    @overload
    def __call__(self, function: Callable[P, R]) -> Callable[P, Guarded[R]]: ...

    def __call__(self, function: Callable[P, Any]) -> Callable[P, Any]:
        """Guard ``function``.

        Raises:
            ConfigInvalid: If a parameter is named that it does not have.
        """
        signature = inspect.signature(function)
        self._check_names(function, signature)
        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            return self._streaming(function, signature)
        if inspect.iscoroutinefunction(function):
            return self._async(function, signature)
        return self._sync(function, signature)

    def _sync(
        self, function: Callable[P, R], signature: inspect.Signature
    ) -> Callable[P, Guarded[R]]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Guarded[R]:
            job, options = self._job(signature.bind(*args, **kwargs))

            def call(effect: CallModel) -> Called:
                bound = self._arguments(signature.bind(*args, **kwargs), effect)
                return Called(function(*bound.args, **bound.kwargs))

            hands = self.engine.hands(job, options, call=call)
            return self.engine.run(job, hands, options)

        return guarded

    def _async(
        self, function: Callable[P, Awaitable[R]], signature: inspect.Signature
    ) -> Callable[P, Coroutine[Any, Any, Guarded[R]]]:
        @functools.wraps(function)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> Guarded[R]:
            given = signature.bind(*args, **kwargs)
            job, options = await asyncio.to_thread(self._job, given)

            async def acall(effect: CallModel) -> Called:
                bound = self._arguments(signature.bind(*args, **kwargs), effect)
                return Called(await function(*bound.args, **bound.kwargs))

            hands = self.engine.hands(job, options, acall=acall)
            return await self.engine.arun(job, hands, options)

        return guarded

    def _streaming(
        self, function: Callable[..., Any], signature: inspect.Signature
    ) -> Callable[..., Any]:
        """A generator function, whose strings or chunks are let go as they are decided."""
        if self.feedback_to is not None:
            raise ConfigInvalid(
                "A generator is not called again, so feedback_to has no use; nothing was guarded.",
                hint="Leave feedback_to out, or guard a function that returns the whole answer.",
            )

        async def stream(*args: Any, **kwargs: Any) -> AsyncGuardedStream:
            job, options = await asyncio.to_thread(self._job, signature.bind(*args, **kwargs))

            async def opened(_: CallModel) -> AsyncIterator[Any]:
                return as_async(function(*args, **kwargs))

            return self.engine.astream(
                job,
                options,
                open_stream=opened,
                shape=AnyShape(reasoning=reasoning_of(job)),
                hold=holds_answers(job),
            )

        if inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            def aguarded(*args: Any, **kwargs: Any) -> AsyncGuardedStream:
                return deferred(lambda: stream(*args, **kwargs))

            return aguarded

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> GuardedStream:
            return GuardedStream(lambda: stream(*args, **kwargs), self.engine.loop)

        return guarded

    def _check_names(self, function: Callable[..., Any], signature: inspect.Signature) -> None:
        has = signature.parameters
        takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in has.values())
        for key in (
            "sources_from",
            "question_from",
            "messages_from",
            "feedback_to",
            "samples_from",
        ):
            name = getattr(self, key)
            if name is None or name in has or takes_any:
                continue
            raise ConfigInvalid(
                f"{key}={name!r}, but {getattr(function, '__name__', 'the function')}() has no "
                "such parameter; nothing was guarded.",
                hint=f"It has: {', '.join(has) or 'none'}.",
            )
        feedback = None if self.feedback_to is None else has.get(self.feedback_to)
        if feedback is not None and feedback.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise ConfigInvalid(
                f"feedback_to={self.feedback_to!r} is positional-only; nothing was guarded.",
                hint="It is passed by name: make it an ordinary or keyword-only parameter.",
            )

    def _job(self, bound: inspect.BoundArguments) -> tuple[Job, Options]:
        bound.apply_defaults()
        arguments = bound.arguments
        for parameter in bound.signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                arguments = {**arguments.get(parameter.name, {}), **arguments}
        options = self.options
        if self.sources_from is not None:
            options = replace(options, sources=arguments.get(self.sources_from))
        if self.question_from is not None:
            question = arguments.get(self.question_from)
            options = replace(options, question=None if question is None else str(question))
        if self.samples_from is not None:
            options = replace(options, samples=arguments.get(self.samples_from))
        messages = None if self.messages_from is None else arguments.get(self.messages_from)
        job = self.engine.job(
            Entry.DECORATOR,
            options,
            messages=messages,
            can_regenerate=self.feedback_to is not None,
        )
        return job, options

    def _arguments(
        self, bound: inspect.BoundArguments, effect: CallModel
    ) -> inspect.BoundArguments:
        """The caller's arguments, with the feedback of a second attempt in its parameter."""
        name = self.feedback_to
        if effect.followup is None or name is None:
            return bound
        message = effect.followup.message
        if name in bound.signature.parameters:
            bound.arguments[name] = message
        else:
            (rest,) = (
                parameter.name
                for parameter in bound.signature.parameters.values()
                if parameter.kind is inspect.Parameter.VAR_KEYWORD
            )
            bound.arguments[rest] = {**bound.arguments.get(rest, {}), name: message}
        return bound
