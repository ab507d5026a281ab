"""The drivers: deadlines, cancellation, and an event loop that is never blocked."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback

import pytest

from guardrails import Disposition, Guard, ProviderFailed, Settings
from guardrails.effects import Called
from guardrails.testing import ScriptedLLM, ScriptedVerifier
from policies.load import load_policy
from policies.types import Action

MESSAGES = [{"role": "user", "content": "How long?"}]
SOURCE = "Refunds are possible within 30 days of purchase. The fee is 5 euros."
RIGHT = "Refunds are possible within 30 days of purchase."


class Memory:
    """A store that keeps records in a list."""

    def __init__(self):
        self.records = []

    def save(self, record, *, texts=()):
        self.records.append(record)

    def enqueue(self, item):
        return item.id

    def close(self):
        pass


class Hanging(ScriptedLLM):
    """A provider that never answers, whatever timeout it is given."""

    def __init__(self, begun=None):
        super().__init__([RIGHT])
        self.release = threading.Event()
        self.begun = begun or threading.Event()

    def complete(self, request):
        self.begun.set()
        self.release.wait(30)
        return Called(RIGHT)

    async def acomplete(self, request):
        self.begun.set()
        await asyncio.sleep(30)
        return Called(RIGHT)


class Endless(ScriptedVerifier):
    """A verifier whose checks end only when they are cancelled."""

    def __init__(self, begun):
        super().__init__()
        self.begun = begun

    async def averify(self, answer, **given):
        self.begun.set()
        await asyncio.Event().wait()


def guard(gateway=None, store=None, verifier=None, **policy):
    chosen = load_policy({"extends": "balanced", "refusal": "REFUSED", **policy})
    return Guard(
        chosen,
        settings=Settings(),
        gateway=gateway or ScriptedLLM([RIGHT]),
        verifier=verifier or ScriptedVerifier(),
        store=Memory() if store is None else store,
    )


def ask(made, mode):
    if mode == "sync":
        return made.completion("m", MESSAGES, sources=[SOURCE])
    return asyncio.run(made.acompletion("m", MESSAGES, sources=[SOURCE]))


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_provider_that_ignores_its_timeout_is_left_behind(mode):
    """The budget holds even when the provider's library does not keep to it."""
    hanging, store = Hanging(), Memory()
    with guard(hanging, store, limits={"seconds": 0.2}) as made:
        with pytest.raises(ProviderFailed) as caught:
            ask(made, mode)
        hanging.release.set()
    assert caught.value.status == 408
    assert store.records[0].disposition is Disposition.FAILED


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_slow_retriever_is_an_error_verdict(mode):
    """Evidence that comes too late was not read."""
    release = threading.Event()

    def slow(question):
        release.wait(30)
        return [SOURCE]

    async def aslow(question):
        await asyncio.sleep(30)
        return [SOURCE]

    with guard(limits={"seconds": 0.2}, on_error="refuse") as made:
        if mode == "sync":
            result = made.check(RIGHT, question="q", retriever=slow)
        else:
            result = asyncio.run(made.acheck(RIGHT, question="q", retriever=aslow))
    release.set()
    assert result.report.verdicts[0].code == "GR306"
    assert result.text == "REFUSED"


@pytest.mark.parametrize("stage", ["call", "verify"])
def test_cancellation_goes_on_and_is_recorded(stage):
    """The task ends as cancelled; the record says so and names no error of ours."""
    store = Memory()
    begun = threading.Event()
    gateway = Hanging(begun) if stage == "call" else None
    verifier = Endless(begun) if stage == "verify" else None

    async def main():
        with guard(gateway, store, verifier) as made:
            task = asyncio.create_task(made.acompletion("m", MESSAGES, sources=[SOURCE]))
            assert await asyncio.to_thread(begun.wait, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()

    asyncio.run(main())
    (record,) = store.records
    assert record.attempts[0].failure.code == "cancelled"
    assert record.disposition is Disposition.FAILED


def test_a_timeout_around_the_call_works_as_usual():
    """asyncio.timeout of the application sees its own cancellation come back."""
    store = Memory()

    hanging = Hanging()

    async def main():
        async def end_it(limit):
            assert await asyncio.to_thread(hanging.begun.wait, 30)
            limit.reschedule(asyncio.get_running_loop().time())

        async def ask_in_time(made):
            async with asyncio.timeout(None) as limit:
                ending = asyncio.create_task(end_it(limit))
                try:
                    await made.acompletion("m", MESSAGES, sources=[SOURCE])
                finally:
                    await ending

        with guard(hanging, store) as made, pytest.raises(TimeoutError):
            await ask_in_time(made)

    asyncio.run(main())
    assert store.records[0].attempts[0].failure.code == "cancelled"


def test_control_c_is_recorded_and_goes_on():
    """A program that is being stopped leaves a record of what it was doing."""
    store = Memory()

    def interrupted(_):
        raise KeyboardInterrupt

    interrupting = guard(ScriptedLLM(interrupted), store, limits={"seconds": None})
    with interrupting as made, pytest.raises(KeyboardInterrupt):
        made.completion("m", MESSAGES, sources=[SOURCE])
    assert store.records[0].attempts[0].failure.code == "cancelled"


def test_cancelling_while_the_flow_thinks_loses_nothing():
    """At whatever moment it comes, there is one record or none was due, and no hang."""
    outcomes = set()

    async def main():
        for step in range(25):
            store = Memory()
            with guard(store=store) as made:
                task = asyncio.create_task(made.acompletion("m", MESSAGES, sources=[SOURCE]))
                for _ in range(step):
                    await asyncio.sleep(0)
                await asyncio.sleep(step * 0.0003)
                task.cancel()
                try:
                    result = await asyncio.wait_for(task, 20)
                    outcomes.add("done")
                    assert result.report.recorded
                except asyncio.CancelledError:
                    outcomes.add("cancelled")
            assert len(store.records) <= 1

    asyncio.run(main())
    assert "cancelled" in outcomes


# --------------------------------------------------------------------------- the event loop


class LoopWatch:
    """Finds out when, and in which code, an event loop is held up.

    A heartbeat notes when the loop last ran. When it is late, a thread looks at the loop thread's
    own stack. A late heartbeat alone proves nothing on a busy machine: the loop may be waiting for
    the processor, idle in select, or take many short turns. What counts is one and the same
    callback found running at two looks ``limit`` apart, having used processor time in between, or
    standing in a call that waits.
    """

    def __init__(self, limit=0.05):
        self.limit = limit
        self.stalls = []
        self._beat = time.perf_counter()
        self._thread_id = threading.get_ident()
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    async def __aenter__(self):
        self._heart = asyncio.create_task(self._run())
        self._watcher.start()
        return self

    async def __aexit__(self, *exc_info):
        self._stop.set()
        self._heart.cancel()
        await asyncio.to_thread(self._watcher.join)

    async def _run(self):
        while True:
            self._beat = time.perf_counter()
            await asyncio.sleep(0.002)

    def _watch(self):
        clock = time.pthread_getcpuclockid(self._thread_id)
        first = None  # the callback of the first late look, when, and its processor time
        while not self._stop.wait(0.005):
            now, used = time.perf_counter(), time.clock_gettime(clock)
            if now - self._beat < 0.01:
                first = None
                continue
            innermost = sys._current_frames().get(self._thread_id)
            callback = _callback(innermost)
            if callback is None or first is None or callback is not first[0]:
                first = (callback, now, used)
            elif now - first[1] >= self.limit:
                stack = traceback.extract_stack(innermost)
                if used - first[2] >= self.limit * 0.8 or _waits(stack[-1]):
                    self.stalls.append(" < ".join(f"{e.name}:{e.lineno}" for e in stack[:-9:-1]))
                    first = None


def _callback(frame):
    """The loop's own frame that runs the callback in progress; None when it is idle."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "_run" and code.co_filename.endswith("events.py"):
            return frame
        frame = frame.f_back
    return None


def _waits(entry):
    """Whether the innermost line is a call that waits: a sleep, a lock, a result."""
    return any(word in (entry.line or "") for word in ("sleep(", "acquire(", "wait(", "result("))


if sys.platform != "linux":  # pragma: no cover
    pytest.skip("needs per-thread processor clocks", allow_module_level=True)


@pytest.mark.parametrize("how", ["sleep", "compute"])
def test_the_watch_finds_what_blocks(how):
    """A detector that cannot fail proves nothing."""

    def culprit():
        until = time.perf_counter() + 0.6
        while time.perf_counter() < until:
            if how == "sleep":
                time.sleep(0.3)

    async def main():
        async with LoopWatch() as watch:
            await asyncio.sleep(0.05)
            culprit()
            await asyncio.sleep(0.05)
        return watch.stalls

    stalls = asyncio.run(main())
    assert stalls
    assert all("culprit" in stall for stall in stalls)


async def fifty(made, answers, sources):
    async with LoopWatch() as watch:
        results = await asyncio.gather(
            *(made.acheck(answer, sources=sources, question="How long?") for answer in answers)
        )
    return results, watch.stalls


def test_fifty_checks_never_block_the_loop():
    """With a scripted verifier and a real store: the flow, the records, the drivers."""
    long = " ".join(f"Refund number {n} is possible within 30 days." for n in range(40))
    answers = [RIGHT if n % 2 else long for n in range(50)]
    with guard() as made:
        results, stalls = asyncio.run(fifty(made, answers, [SOURCE]))
    assert stalls == []
    assert len(results) == 50


@pytest.mark.integration
def test_fifty_checks_with_the_real_model_never_block_the_loop(store_url):
    """Claims, evidence, scoring, records: model, pipeline and database as shipped."""
    answers = [
        f"Refunds are possible within {days} days of purchase. The fee is 5 euros."
        for days in range(10, 60)
    ]
    with Guard(settings=Settings(), policy="observe", store=store_url) as made:
        results, stalls = asyncio.run(fifty(made, answers, [SOURCE]))
    assert stalls == []
    assert len(results) == 50
    assert all(result.report.recorded for result in results)
    labels = [result.report.verdicts[0].label for result in results]
    assert labels.count("supported") == 1
    assert results[20].action in {Action.PASS, Action.ANNOTATE}
