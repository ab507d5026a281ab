"""The guard: LiteLLM's own call with every claim of the answer checked, and ``check`` alone.

A ``Guard`` is made once and shared: it may be called from any thread and any event loop. It holds
one verifier (one loaded model), one store and one policy; everything else comes with each call and
nothing the caller passes is changed.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar, overload

from guardrails._copies import listed
from guardrails._requests import named, of_attempt, params_of
from guardrails.build import assemble
from guardrails.effects import Called, CallModel
from guardrails.engine import UNSET, Engine, OnBlocked, Options
from guardrails.report import Entry, Guarded
from guardrails.runner import system_clock
from guardrails.streaming.chat import ChatShape
from guardrails.streaming.guarded import GuardedStream
from guardrails.streaming.ways import by_answer, holds_answers, reasoning_of
from verifiers.types import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from guardrails._flow_values import Job
    from guardrails._second_hands import ConsistencyPort
    from guardrails.build import Parts
    from guardrails.decorator import Decorator
    from guardrails.gateway import Gateway
    from guardrails.recorder import RecordStore
    from guardrails.runner import Clock, Hands, VerifierPort
    from guardrails.settings import Settings
    from guardrails.streaming.guarded import AsyncGuardedStream
    from guardrails.telemetry import Telemetry
    from policies.schema import Policy

T = TypeVar("T")


class Guard:
    """Guarded model calls and checks under one policy.

    >>> from guardrails import Guard
    >>> guard = Guard(policy="strict")                                      # doctest: +SKIP
    >>> result = guard.completion(                                          # doctest: +SKIP
    ...     model="openai/gpt-4.1-mini",
    ...     messages=[{"role": "user", "content": "How long is the refund period?"}],
    ...     sources=["Refunds are possible within 30 days of purchase."],
    ... )
    >>> result.text, result.action                                          # doctest: +SKIP
    """

    def __init__(
        self,
        policy: str | Path | Mapping[str, object] | Policy | None = None,
        *,
        settings: Settings | str | Path | None = None,
        verifier: VerifierPort | None = None,
        gateway: Gateway | None = None,
        store: RecordStore | str | bool | None = None,
        retriever: object = None,
        telemetry: Telemetry | None = None,
        clock: Clock = system_clock,
        consistency: ConsistencyPort | None = None,
        connections: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        """Wire a guard. Loads nothing heavy: the model comes with the first answer.

        Args:
            policy: A preset (``strict``, ``balanced``, ``observe``), a file, a mapping or a
                ``Policy``; by default the settings'.
            settings: Settings or the path of a settings file; by default ``groundrail.yaml`` and
                ``GROUNDRAIL_*`` are read, here and now.
            verifier: Instead of the one the settings describe. Yours to close.
            gateway: Instead of LiteLLM.
            store: A store (yours to close) or the URL of one; False for no records.
            retriever: Asked for evidence when a call brings no sources: a function of the
                question, or a LangChain or LlamaIndex retriever.
            telemetry: Instead of the one the settings describe.
            clock: Read for timings and budgets.
            consistency: Compares samples of answers, instead of the one the settings describe.
            connections: LiteLLM's arguments by model (``api_base``, ``api_key`` ...) for models
                that the policy samples or asks to judge beside the model of the call.

        Raises:
            ConfigInvalid: If settings or arguments make no sense.
            PolicyError: If the policy cannot be loaded.
        """
        wire = partial(
            assemble,
            verifier=verifier,
            gateway=gateway,
            store=store,
            retriever=retriever,
            telemetry=telemetry,
            clock=clock,
            consistency=consistency,
            connections=connections,
        )
        self.engine: Final = Engine(
            wire(policy=policy, settings=settings),
            lambda made: wire(policy=made.policy, settings=made.settings),
        )

    @property
    def _parts(self) -> Parts:
        return self.engine.parts

    @property
    def policy(self) -> Policy:
        """The policy of calls that name none."""
        return self._parts.policy

    @property
    def settings(self) -> Settings:
        """What the guard was made by."""
        return self._parts.settings

    # ------------------------------------------------------------------ guarded calls

    @overload
    def completion(self, *args: Any, stream: Literal[True], **kwargs: Any) -> GuardedStream: ...

    @overload
    def completion(self, *args: Any, **kwargs: Any) -> Guarded[Any]: ...

    def completion(
        self,
        *args: Any,
        sources: object = None,
        question: str | None = None,
        policy: str | Path | Mapping[str, object] | Policy | None = None,
        route: str | None = None,
        retriever: object = UNSET,
        blocked: OnBlocked | None = None,
        record_metadata: Mapping[str, str] | None = None,
        samples: object = None,
        sampler: Callable[[int], object] | None = None,
        **kwargs: Any,
    ) -> Guarded[Any] | GuardedStream:
        """``litellm.completion`` with its answer checked before anyone gets it.

        Args:
            *args: As LiteLLM's: ``model``, ``messages`` ...
            sources: What the answer must hold against: texts, mappings, ``Source`` objects,
                documents of LangChain or LlamaIndex. They are then all the evidence. None: the
                retriever's and what is found in the messages.
            question: What was asked; by default the last user message.
            policy: Instead of the guard's.
            route: The kind of query, for the policy's ``routes``.
            retriever: Instead of the guard's; None for none.
            blocked: Instead of the policy's ``blocked``: ``respond`` puts the policy's text in
                place of a refused or held answer, ``raise`` raises.
            record_metadata: What to find the record by.
            samples: Other answers to the same question, where there are some already; used where
                the policy asks for samples, instead of asking the model again.
            sampler: A function of how many more answers are wanted, sync or async; likewise.
            **kwargs: As LiteLLM's. Not changed.

        Returns:
            The provider's response with the text as decided, and a report a choice. With
            ``stream=True`` an iterator over the provider's chunks, each sentence let go once it
            was decided, with the reports at its end; see ``guardrails/docs/streaming.md``.

        Raises:
            Blocked: If the answer was withheld and ``raise`` is configured. With several choices,
                if any was.
            ProviderFailed: If the model call failed; recorded first.
            StoreUnavailable: If the record could not be kept and must be.
        """
        options = Options(
            sources, question, policy, route, retriever, record_metadata, blocked, samples, sampler
        )
        request = named(args, kwargs)
        if request.pop("stream", False):
            return GuardedStream(lambda: self._streamed(request, options), self.engine.loop)
        job, hands = self._prepare(request, options)
        return self.engine.run(job, hands, options)

    @overload
    async def acompletion(
        self, *args: Any, stream: Literal[True], **kwargs: Any
    ) -> AsyncGuardedStream: ...

    @overload
    async def acompletion(self, *args: Any, **kwargs: Any) -> Guarded[Any]: ...

    async def acompletion(
        self,
        *args: Any,
        sources: object = None,
        question: str | None = None,
        policy: str | Path | Mapping[str, object] | Policy | None = None,
        route: str | None = None,
        retriever: object = UNSET,
        blocked: OnBlocked | None = None,
        record_metadata: Mapping[str, str] | None = None,
        samples: object = None,
        sampler: Callable[[int], object] | None = None,
        **kwargs: Any,
    ) -> Guarded[Any] | AsyncGuardedStream:
        """As :meth:`completion`, for event loops. Cancelling it is recorded and goes on."""
        options = Options(
            sources, question, policy, route, retriever, record_metadata, blocked, samples, sampler
        )
        request = named(args, kwargs)
        if request.pop("stream", False):
            return await self._streamed(request, options)
        job, hands = await asyncio.to_thread(self._prepare, request, options)
        return await self.engine.arun(job, hands, options)

    # ------------------------------------------------------------------ answers made elsewhere

    def check(
        self,
        answer: T,
        *,
        sources: object = None,
        question: str | None = None,
        messages: Sequence[Any] = (),
        policy: str | Path | Mapping[str, object] | Policy | None = None,
        route: str | None = None,
        retriever: object = UNSET,
        blocked: OnBlocked | None = None,
        record_metadata: Mapping[str, str] | None = None,
        samples: object = None,
        sampler: Callable[[int], object] | None = None,
    ) -> Guarded[T]:
        """Check an answer that is there already: text, or a provider's response.

        Nothing can be asked again, so where the policy says ``regenerate``, its ``after_attempts``
        applies. Arguments and errors are those of :meth:`completion`; ``messages`` is the
        conversation, where evidence and the question may be found.
        """
        options = Options(
            sources, question, policy, route, retriever, record_metadata, blocked, samples, sampler
        )
        job = self.engine.job(Entry.CHECK, options, messages=messages, can_regenerate=False)
        hands = self.engine.hands(job, options, call=lambda _: Called(answer))
        return self.engine.run(job, hands, options)

    async def acheck(
        self,
        answer: T,
        *,
        sources: object = None,
        question: str | None = None,
        messages: Sequence[Any] = (),
        policy: str | Path | Mapping[str, object] | Policy | None = None,
        route: str | None = None,
        retriever: object = UNSET,
        blocked: OnBlocked | None = None,
        record_metadata: Mapping[str, str] | None = None,
        samples: object = None,
        sampler: Callable[[int], object] | None = None,
    ) -> Guarded[T]:
        """As :meth:`check`, for event loops."""
        options = Options(
            sources, question, policy, route, retriever, record_metadata, blocked, samples, sampler
        )

        async def given(_: CallModel) -> Called:
            return Called(answer)

        job = await asyncio.to_thread(
            self.engine.job, Entry.CHECK, options, messages=messages, can_regenerate=False
        )
        hands = self.engine.hands(job, options, acall=given)
        return await self.engine.arun(job, hands, options)

    def guarded(
        self,
        *,
        sources: object = None,
        sources_from: str | None = None,
        question_from: str | None = None,
        messages_from: str | None = None,
        feedback_to: str | None = None,
        policy: str | Path | Mapping[str, object] | Policy | None = None,
        route: str | None = None,
        retriever: object = UNSET,
        blocked: OnBlocked | None = None,
        samples_from: str | None = None,
        sampler: Callable[[int], object] | None = None,
    ) -> Decorator:
        """A decorator for functions that give an answer; see ``guardrails.decorator.Decorator``."""
        from guardrails.decorator import Decorator

        return Decorator(
            engine=self.engine,
            options=Options(
                listed(sources), None, policy, route, retriever, None, blocked, None, sampler
            ),
            samples_from=samples_from,
            sources_from=sources_from,
            question_from=question_from,
            messages_from=messages_from,
            feedback_to=feedback_to,
        )

    # ------------------------------------------------------------------ life and death

    def warm(self) -> None:
        """Load model, language pipeline and LiteLLM now rather than with the first answer.

        For servers: their first answer then has its whole budget. On an event loop, call it in a
        thread.

        Raises:
            VerifierError: If the model cannot be loaded.
        """
        line = "This sentence is a sentence."
        self._parts.ports.verifier.verify(line, sources=[Source("warm", line)])
        self._parts.gateway.prepare()

    def close(self) -> None:
        """Let go of the model, the store and the threads. May be called twice."""
        self.engine.close()

    def __enter__(self) -> Self:
        """The guard itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def _streamed(self, request: dict[str, Any], options: Options) -> AsyncGuardedStream:
        """A stream that was prepared; nothing is sent before its first event is asked for."""
        job, hands = await asyncio.to_thread(self._prepare, request, options)
        gateway = self._parts.gateway
        if holds_answers(job):
            return by_answer(
                self.engine, job, hands, options, lambda made: gateway.chunks_of(made.response)
            )
        return self.engine.astream(
            job,
            options,
            open_stream=lambda effect: gateway.astream(of_attempt(request, effect)),
            shape=ChatShape(reasoning=reasoning_of(job)),
            cost=lambda reading: gateway.stream_cost(request, reading),
        )

    def _prepare(self, request: dict[str, Any], options: Options) -> tuple[Job, Hands]:
        job = self.engine.job(
            Entry.CLIENT,
            options,
            messages=request.get("messages"),
            model=request.get("model"),
            params=params_of(request),
        )
        gateway = self._parts.gateway
        gateway.prepare()

        def call(effect: CallModel) -> Called:
            return gateway.complete(of_attempt(request, effect))

        async def acall(effect: CallModel) -> Called:
            return await gateway.acomplete(of_attempt(request, effect))

        hands = self.engine.hands(job, options, call=call, acall=acall, bound=True, request=request)
        return job, hands
