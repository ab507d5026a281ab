"""The sync and the async driver of one flow: they carry out its effects and decide nothing.

What is awaited on an event loop is awaited; everything else of the async driver, the flow's own
steps included, runs on worker threads, so that nothing we do blocks the loop. A caller that goes
away cancels what is under way; the flow is told, records it, and the cancellation goes on.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, assert_never

from guardrails._second_hands import ConsistencyPort, aperform, perform
from guardrails.effects import (
    AskJudge,
    Broken,
    CallModel,
    Compare,
    DrawSamples,
    Enqueue,
    Fault,
    Finished,
    Instant,
    OpenRun,
    Queued,
    ReadClock,
    Retrieve,
    Retrieved,
    Save,
    Saved,
    SecondEffect,
    Verify,
)
from guardrails.errors import ProviderFailed, RetrieverFailed, TimedOut
from guardrails.ports import SessionPort, VerifierPort

__all__ = [
    "Clock",
    "Hands",
    "Ports",
    "SessionPort",
    "VerifierPort",
    "adrive",
    "drive",
    "system_clock",
]

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator

    from guardrails.effects import Called, Effect, Ending, Result
    from guardrails.judging.values import Judge
    from guardrails.recorder import Recorder
    from guardrails.retrievers import Retriever
    from guardrails.sampling.values import Sampler
    from guardrails.telemetry import Telemetry
    from policies.schema import Policy

T = TypeVar("T")

# A provider's own timeout should speak first: its error says more than ours.
_GRACE_SECONDS = 0.5


class Clock(Protocol):
    """Reads the time."""

    def __call__(self) -> Instant:
        """Now."""
        ...


def system_clock() -> Instant:
    """The machine's clocks."""
    return Instant(datetime.now(UTC), time.perf_counter())


@dataclass(frozen=True, slots=True)
class Ports:
    """What a driver works with, shared by all calls of a guard.

    ``recorder`` None keeps no records, ``consistency`` None compares no samples.
    """

    verifier: VerifierPort
    recorder: Recorder | None
    telemetry: Telemetry
    clock: Clock
    executor: ThreadPoolExecutor
    consistency: ConsistencyPort | None = None


@dataclass(frozen=True, slots=True)
class Hands:
    """What is particular to one call.

    Attributes:
        call: Makes the model call, blocking.
        acall: Makes it on the event loop, or None when there is only ``call``, which then runs in
            a worker thread.
        retriever: Asked for evidence, or None.
        policy: Goes into the record.
        bound: Whether ``call`` may run in a thread of its own, so that it cannot outlast the
            budget. Not for an application's own functions, which may care for their thread.
        sampler: Draws samples of the answer, or None.
        judge: Reads sources, or None.
    """

    policy: Policy
    call: Callable[[CallModel], Called] | None = None
    acall: Callable[[CallModel], Awaitable[Called]] | None = None
    retriever: Retriever | None = None
    bound: bool = False
    sampler: Sampler | None = None
    judge: Judge | None = None


Flow = "Generator[Effect, Any, Ending]"


def drive(flow: Generator[Effect, Any, Ending], ports: Ports, hands: Hands) -> Ending:
    """Run a flow to its end in this thread."""
    result: Result | None = None
    while True:
        step = _advance(flow, result, ports.clock)
        if isinstance(step, Finished | Broken):
            return step
        try:
            result = _perform(step, ports, hands)
        except (KeyboardInterrupt, SystemExit) as stop:
            result = Fault(stop, cancelled=True)
        except Exception as error:  # noqa: BLE001 - the flow says what a failure means; never "fine"
            result = Fault(error)


async def adrive(flow: Generator[Effect, Any, Ending], ports: Ports, hands: Hands) -> Ending:
    """Run a flow to its end on the running event loop, without blocking it."""
    result: Result | None = None
    while True:
        # A step that has begun is waited for: a generator cannot be left half-way.
        advancing = _submit(ports, partial(_advance, flow, result, ports.clock))
        cancelled: asyncio.CancelledError | None = None
        while not advancing.done():
            try:
                await asyncio.shield(advancing)
            except asyncio.CancelledError as stop:
                cancelled = stop
            except Exception:  # noqa: BLE001, S110 - raised again by result() below
                pass
        step = advancing.result()
        if isinstance(step, Finished | Broken):
            if cancelled is not None:
                raise cancelled
            return step
        if cancelled is not None:
            result = Fault(cancelled, cancelled=True)
            continue
        try:
            result = await _aperform(step, ports, hands)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit) as stop:
            result = Fault(stop, cancelled=True)
        except Exception as error:  # noqa: BLE001 - the flow says what a failure means; never "fine"
            result = Fault(error)


Step = Finished | Broken | CallModel | Retrieve | Verify | SecondEffect | Enqueue | Save


def _advance(flow: Generator[Effect, Any, Ending], result: Result | None, clock: Clock) -> Step:
    """The next effect that takes time, or the end. Reads the clock on the way."""
    while True:
        try:
            effect = flow.send(result)
        except StopIteration as stop:
            ending: Ending = stop.value
            return ending
        if not isinstance(effect, ReadClock):
            return effect
        result = clock()


# --------------------------------------------------------------------------- effects, blocking


def _perform(  # noqa: PLR0911 - one return an effect
    effect: Step, ports: Ports, hands: Hands
) -> Result:
    match effect:
        case CallModel():
            call = hands.call
            assert call is not None  # noqa: S101 - sync ways in always have one
            with ports.telemetry.span("model_call", attempt=effect.number):
                if not hands.bound or effect.timeout is None:
                    return call(effect)
                try:
                    return _bounded(lambda: call(effect), effect.timeout + _GRACE_SECONDS)
                except TimeoutError as late:
                    raise _call_late(effect.timeout) from late
        case Retrieve():
            with ports.telemetry.span("retrieve"), _retriever_deadline(effect.timeout):
                retriever = _retriever(hands)
                found = _bounded(lambda: retriever.retrieve(effect.question), effect.timeout)
                return Retrieved(found.sources, found.notes)
        case Verify():
            with (
                ports.telemetry.span("verify", sources=len(effect.sources)),
                _verify_deadline(effect.timeout),
            ):
                return _bounded(
                    lambda: ports.verifier.verify(
                        effect.answer,
                        sources=effect.sources,
                        question=effect.question,
                        annotations=effect.annotations,
                    ),
                    effect.timeout,
                )
        case DrawSamples() | OpenRun() | Compare() | AskJudge():
            return perform(effect, ports.consistency, hands, ports.telemetry)
        case Enqueue():
            return _enqueue(effect, ports)
        case Save():
            with ports.telemetry.span("record", record_id=effect.report.record_id):
                return _save(effect, ports, hands)
        case Finished() | Broken():
            raise AssertionError("an ending is not an effect")
        case _:
            assert_never(effect)


def _enqueue(effect: Enqueue, ports: Ports) -> Queued:
    if ports.recorder is None:
        return Queued(None, note="There is no store, so nobody was asked to review the answer.")
    return ports.recorder.enqueue(effect.report, held=effect.held)


def _save(effect: Save, ports: Ports, hands: Hands) -> Saved:
    if ports.recorder is None:
        return Saved(recorded=False)
    return ports.recorder.save(effect.report, effect.request, hands.policy)


def _bounded(work: Callable[[], T], timeout: float | None) -> T:
    """Run ``work``, here without a deadline, else in a thread that is left behind when it is late.

    Raises:
        TimeoutError: If it is not done after ``timeout`` seconds. Its result is thrown away.
    """
    if timeout is None:
        return work()
    future: Future[T] = Future()
    context = copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001 - raised again by the waiting thread
            future.set_exception(error)

    # A daemon: a call that never ends must not keep the program from ending.
    threading.Thread(target=run, name="groundrail-bounded", daemon=True).start()
    return future.result(timeout)


# --------------------------------------------------------------------------- effects, awaited


async def _aperform(  # noqa: PLR0911 - one return an effect
    effect: Step, ports: Ports, hands: Hands
) -> Result:
    match effect:
        case CallModel():
            with ports.telemetry.span("model_call", attempt=effect.number):
                if hands.acall is None:
                    return await _in_thread(ports, lambda: _call(effect, hands))
                if not hands.bound or effect.timeout is None:
                    return await hands.acall(effect)
                try:
                    async with asyncio.timeout(effect.timeout + _GRACE_SECONDS):
                        return await hands.acall(effect)
                except TimeoutError as late:
                    raise _call_late(effect.timeout) from late
        case Retrieve():
            with ports.telemetry.span("retrieve"), _retriever_deadline(effect.timeout):
                async with asyncio.timeout(effect.timeout):
                    found = await _retriever(hands).aretrieve(effect.question)
                return Retrieved(found.sources, found.notes)
        case Verify():
            with (
                ports.telemetry.span("verify", sources=len(effect.sources)),
                _verify_deadline(effect.timeout),
            ):
                async with asyncio.timeout(effect.timeout):
                    return await ports.verifier.averify(
                        effect.answer,
                        sources=effect.sources,
                        question=effect.question,
                        annotations=effect.annotations,
                    )
        case DrawSamples() | OpenRun() | Compare() | AskJudge():
            return await aperform(effect, ports.consistency, hands, ports.telemetry)
        case Enqueue() | Save():
            return await _in_thread(ports, lambda: _perform(effect, ports, hands))
        case Finished() | Broken():
            raise AssertionError("an ending is not an effect")
        case _:
            assert_never(effect)


def _call(effect: CallModel, hands: Hands) -> Called:
    assert hands.call is not None  # noqa: S101 - a call has a sync or an async hand
    return hands.call(effect)


async def _in_thread(ports: Ports, work: Callable[[], T]) -> T:
    context = copy_context()
    return await _submit(ports, lambda: context.run(work))


def _submit(ports: Ports, work: Callable[[], T]) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    try:
        return loop.run_in_executor(ports.executor, work)
    except RuntimeError:
        # The guard was closed under a call that had begun: it ends, and is recorded, all the same.
        return loop.run_in_executor(None, work)


# --------------------------------------------------------------------------- deadlines


def _call_late(seconds: float) -> ProviderFailed:
    return ProviderFailed(
        f"The model did not answer within the {seconds:.3g} s left of the budget; "
        "nothing was released.",
        status=408,
        hint="Raise limits.seconds of the policy, or use a faster model.",
    )


@contextmanager
def _verify_deadline(seconds: float | None) -> Iterator[None]:
    try:
        yield
    except TimeoutError as late:
        raise TimedOut(
            f"Checking took longer than the {seconds or 0:.3g} s left of the budget; "
            "the claims count as errors.",
            hint="Raise limits.seconds of the policy, or read less evidence.",
        ) from late


@contextmanager
def _retriever_deadline(seconds: float | None) -> Iterator[None]:
    try:
        yield
    except TimeoutError as late:
        raise RetrieverFailed(
            f"The retriever gave nothing within the {seconds or 0:.3g} s left of the budget; "
            "the claims count as errors.",
            hint="Raise limits.seconds of the policy, or use a faster retriever.",
        ) from late


def _retriever(hands: Hands) -> Retriever:
    assert hands.retriever is not None  # noqa: S101 - the flow asks only where there is one
    return hands.retriever
