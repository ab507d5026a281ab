"""The engine: everyone gets exactly their own scores, whoever comes, goes or fails beside them."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import multiprocessing
import os
import random
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers.backends.testing import wait_until
from verifiers.cache import MemoryCache
from verifiers.engine import NLIEngine
from verifiers.errors import (
    BackendFailed,
    EngineClosed,
    InputTooLong,
    ModelUnavailable,
    Overloaded,
)
from verifiers.testing import ScriptedScorer
from verifiers.types import NLIProbs, Pair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def own_score(pair: Pair) -> NLIProbs:
    """A score that tells pairs apart, so that mixing them up cannot go unseen."""
    share = (hash(pair) % 10_000) / 10_000
    return NLIProbs(share, (1 - share) / 2, (1 - share) / 2)


class Gate:
    """A scorer's rule that waits until it is let go: freezes the owner thread in a batch."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, pair: Pair) -> NLIProbs:
        self.entered.set()
        assert self.open.wait(20)
        return own_score(pair)


def pairs(prefix: str, count: int, words: int = 3) -> list[Pair]:
    return [Pair(f"{prefix} {i} " + "w " * words, "h") for i in range(count)]


# ------------------------------------------------------------------ own scores


def test_scores_come_back_in_order() -> None:
    """Order of the request, repeats included; a repeat runs once."""
    asked = [*pairs("a", 5), *pairs("a", 2), *pairs("b", 3, words=40)]
    with NLIEngine(lambda: ScriptedScorer(own_score)) as engine:
        result = engine.score(asked)
        assert engine.score([]).probs == ()
    assert list(result.probs) == [own_score(p) for p in asked]
    assert (result.scored, result.cached) == (8, 0)


@settings(max_examples=25)
@given(
    requests=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60)), max_size=12),
            st.booleans(),
            st.floats(0, 0.003),
        ),
        min_size=1,
        max_size=12,
    ),
    budget=st.integers(5, 200),
    lookahead=st.integers(1, 30),
    cached=st.booleans(),
)
def test_everyone_gets_their_own_scores(
    requests: list[Any], budget: int, lookahead: int, cached: bool
) -> None:
    """Any mix of callers, lengths, repeats and cancellations: exact answers, budget kept."""
    scorer: list[ScriptedScorer] = []

    def make() -> ScriptedScorer:
        scorer.append(ScriptedScorer(own_score))
        return scorer[0]

    engine = NLIEngine(
        make,
        cache=MemoryCache() if cached else None,
        max_batch_tokens=budget,
        lookahead_pairs=lookahead,
    )

    async def caller(asked: list[Pair], cancel: bool, wait: float) -> None:
        task = asyncio.create_task(engine.ascore(asked))
        await asyncio.sleep(wait)
        if cancel:
            task.cancel()
        try:
            result = await task
        except asyncio.CancelledError:
            assert cancel
            return
        assert list(result.probs) == [own_score(p) for p in asked]

    async def main() -> None:
        await asyncio.gather(
            *(
                caller([Pair(f"{n} " + "w " * size, "h") for n, size in keys], cancel, wait)
                for keys, cancel, wait in requests
            )
        )

    asyncio.run(main())
    engine.close(drain=True)
    for batch in scorer[0].batches if scorer else []:
        lengths = [len(p.premise.split()) + 4 for p in batch]
        assert len(batch) == 1 or max(lengths) * len(batch) <= budget
        assert len(set(batch)) == len(batch)
    assert engine.stats.waiting == 0


def test_threads_and_loops_together() -> None:
    """Threads, event loops, repeats, cancels and a failing pair, all at once: a stress test."""
    poison = Pair("poison", "h")

    def fail(pair: Pair) -> Exception | None:
        return BackendFailed("poisoned") if pair == poison else None

    engine = NLIEngine(
        lambda: ScriptedScorer(own_score, fail_on=fail),
        cache=MemoryCache(200),
        max_batch_tokens=150,
    )
    wrong: list[object] = []

    def thread(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            asked = [
                Pair(f"{chance.randrange(80)} " + "w " * chance.randrange(30), "h")
                for _ in range(chance.randrange(1, 9))
            ]
            bad = chance.random() < 0.1
            if bad:
                asked.append(poison)
            future = engine.submit(asked)
            if chance.random() < 0.2 and future.cancel():
                continue
            try:
                if list(future.result(30).probs) != [own_score(p) for p in asked]:
                    wrong.append(asked)
            except BackendFailed:
                if not bad:
                    wrong.append("failed")

    async def tasks() -> None:
        async def one(i: int) -> None:
            asked = pairs(f"t{i % 7}", 6, words=i % 20)
            try:
                async with asyncio.timeout(0.001 if i % 5 == 0 else 30):
                    result = await engine.ascore(asked)
            except TimeoutError:
                return
            if list(result.probs) != [own_score(p) for p in asked]:
                wrong.append(asked)

        await asyncio.gather(*(one(i) for i in range(120)))

    threads = [threading.Thread(target=thread, args=(n,)) for n in range(6)]
    threads.append(threading.Thread(target=lambda: asyncio.run(tasks())))
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
        assert not each.is_alive()
    assert wrong == []
    assert wait_until(lambda: engine.stats.waiting == 0)
    engine.close()


def test_pairs_of_concurrent_callers_share_batches() -> None:
    """Fifty callers with one pair each do not cost fifty batches."""
    gate = Gate()
    scorer = ScriptedScorer(gate)
    engine = NLIEngine(lambda: scorer, max_batch_tokens=1000)
    first = engine.submit(pairs("first", 1))
    assert gate.entered.wait(10)
    rest = [engine.submit(pairs(f"c{i}", 1)) for i in range(50)]
    assert wait_until(lambda: engine._core.owner.inbox.qsize() == 50)
    gate.open.set()
    for future in [first, *rest]:
        future.result(10)
    engine.close()
    assert len(scorer.batches) <= 4


def test_the_same_pair_in_flight_runs_once() -> None:
    """Two callers who ask the same at once share one run; each is told who caused it."""
    gate = Gate()
    scorer = ScriptedScorer(gate)
    engine = NLIEngine(lambda: scorer)
    one = engine.submit(pairs("same", 3))
    assert gate.entered.wait(10)
    two = engine.submit(pairs("same", 3))
    assert wait_until(lambda: engine._core.owner.inbox.qsize() == 1)
    gate.open.set()
    assert one.result(10).probs == two.result(10).probs
    assert (one.result().scored, two.result().scored) == (3, 0)
    engine.close()
    assert sum(map(len, scorer.batches)) == 3


# ------------------------------------------------------------------ cancelling


def test_cancelled_work_is_dropped_before_it_runs() -> None:
    """Nobody scores for a caller who has gone, unless another waits for the same pair."""
    gate = Gate()
    scorer = ScriptedScorer(gate)
    engine = NLIEngine(lambda: scorer)
    first = engine.submit(pairs("first", 1))
    assert gate.entered.wait(10)
    shared, gone = pairs("shared", 1), pairs("gone", 20)
    leaving = engine.submit([*gone, *shared])
    staying = engine.submit(shared)
    assert wait_until(lambda: engine._core.owner.inbox.qsize() == 2)
    assert leaving.cancel()
    gate.open.set()
    assert list(staying.result(10).probs) == [own_score(shared[0])]
    first.result(10)
    engine.close(drain=True)
    assert not {p for batch in scorer.batches for p in batch} & set(gone)
    assert engine.stats.dropped in (20, 21)  # the shared pair counts when its caller left first


def test_cancelling_an_await_cancels_the_work() -> None:
    """A task that is cancelled takes its pairs along."""
    gate = Gate()
    scorer = ScriptedScorer(gate)
    engine = NLIEngine(lambda: scorer)

    async def main() -> None:
        first = asyncio.create_task(engine.ascore(pairs("first", 1)))
        await asyncio.to_thread(gate.entered.wait, 10)
        second = asyncio.create_task(engine.ascore(pairs("second", 5)))
        await asyncio.sleep(0.02)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert engine.stats.waiting == 1
        gate.open.set()
        await first

    asyncio.run(main())
    engine.close(drain=True)
    assert sum(map(len, scorer.batches)) == 1


# ------------------------------------------------------------------ bounds and turns


def test_a_full_queue_refuses_and_keeps_nothing() -> None:
    """Overloaded at once, nothing of it scored, and room again as soon as others are done."""
    gate = Gate()
    scorer = ScriptedScorer(gate)
    engine = NLIEngine(lambda: scorer, max_queue_pairs=10)
    first = engine.submit(pairs("first", 8))
    assert gate.entered.wait(10)
    with pytest.raises(Overloaded) as caught:
        engine.submit(pairs("refused", 3))
    assert caught.value.code == "GR104"
    fits = engine.submit(pairs("fits", 2))
    assert fits.cancel()
    again = engine.submit(pairs("again", 2))
    gate.open.set()
    first.result(10)
    again.result(10)
    assert wait_until(lambda: engine.stats.waiting == 0)
    assert engine.submit(pairs("refused", 3)).result(10)
    assert engine.stats.refused == 1
    engine.close()


def test_a_request_larger_than_the_queue_is_taken_when_it_is_empty() -> None:
    """A large document is slow, not impossible."""
    with NLIEngine(lambda: ScriptedScorer(own_score), max_queue_pairs=10) as engine:
        assert len(engine.score(pairs("big", 100)).probs) == 100


@pytest.mark.parametrize("long_requests", [1, 6])
def test_a_short_request_is_not_starved(long_requests: int) -> None:
    """It runs within its fair share of batches, however much was queued before it."""
    gate = Gate()
    scorer = ScriptedScorer(gate)
    engine = NLIEngine(lambda: scorer, max_batch_tokens=200, lookahead_pairs=32)
    futures = [engine.submit(pairs(f"long{i}", 200, words=30)) for i in range(long_requests)]
    assert gate.entered.wait(10)
    short = pairs("short", 3, words=10)
    mine = engine.submit(short)
    assert wait_until(engine._core._intake.empty)
    gate.open.set()
    mine.result(20)
    for future in futures:
        future.result(20)
    engine.close()
    last = max(i for i, batch in enumerate(scorer.batches) if set(batch) & set(short))
    total = len(scorer.batches)
    # Served in turns: a handful of batches for each competitor, not after all of them.
    assert last <= 12 * long_requests + 12
    assert last < total / 2


def test_long_requests_finish_under_a_stream_of_short_ones() -> None:
    """Turns go both ways: a long request is not starved by newcomers either."""
    engine = NLIEngine(lambda: ScriptedScorer(own_score, delay=0.001), max_batch_tokens=100)
    long = engine.submit(pairs("long", 60, words=20))
    shorts = 0
    while not long.done():
        engine.score(pairs(f"s{shorts}", 1))
        shorts += 1
        assert shorts < 3_000
    engine.close()


# ------------------------------------------------------------------ cache


class BrokenCache:
    """Fails on every call."""

    def get_many(self, keys: Sequence[str]) -> list[NLIProbs | None]:
        raise OSError("no cache today")

    def put_many(self, items: Mapping[str, NLIProbs]) -> None:
        raise OSError("no cache today")


def test_the_cache_answers_without_the_model() -> None:
    """A second request runs nothing, also while the model is busy."""
    gate = Gate()
    gate.open.set()
    scorer = ScriptedScorer(gate)
    engine = NLIEngine(lambda: scorer, cache=MemoryCache())
    known = pairs("known", 4)
    assert engine.score(known).scored == 4
    gate.open.clear()
    gate.entered.clear()
    busy = engine.submit(pairs("busy", 1))
    assert gate.entered.wait(10)
    again = engine.submit(known).result(5)
    assert not busy.done()
    assert (again.scored, again.cached) == (0, 4)
    assert list(again.probs) == [own_score(p) for p in known]
    gate.open.set()
    busy.result(10)
    engine.close()


def test_a_cache_is_not_shared_between_models() -> None:
    """Another revision does not answer from the first one's scores."""
    cache = MemoryCache()
    asked = pairs("a", 2)
    for revision in ("1", "2"):
        with NLIEngine(
            lambda r=revision: ScriptedScorer(own_score, revision=r), cache=cache
        ) as engine:
            assert engine.score(asked).scored == 2
    assert len(cache) == 4


def test_a_broken_cache_costs_time_and_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """Its failures are counted and logged, without what was asked."""
    with (
        caplog.at_level(logging.WARNING, "verifiers.engine"),
        NLIEngine(lambda: ScriptedScorer(own_score), cache=BrokenCache()) as engine,
    ):
        assert list(engine.score(pairs("a", 2)).probs) == [own_score(p) for p in pairs("a", 2)]
        assert engine.stats.cache_errors == 2
    assert "OSError" in caplog.text
    assert "w w" not in caplog.text


# ------------------------------------------------------------------ failures


def test_a_bad_pair_fails_its_own_request_alone() -> None:
    """The batch it was in is scored again pair by pair; the others never know."""
    bad = Pair("bad pair " + "w " * 3, "h")
    gate = Gate()
    scorer = ScriptedScorer(
        gate, fail_on=lambda p: BackendFailed("no number") if p == bad else None
    )
    engine = NLIEngine(lambda: scorer)
    first = engine.submit(pairs("first", 1))
    assert gate.entered.wait(10)
    good = [engine.submit(pairs(f"good{i}", 2)) for i in range(4)]
    wrong = engine.submit([*pairs("alongside", 2), bad])
    assert wait_until(lambda: engine._core.owner.inbox.qsize() == 5)
    gate.open.set()
    first.result(10)
    for i, future in enumerate(good):
        assert list(future.result(10).probs) == [own_score(p) for p in pairs(f"good{i}", 2)]
    with pytest.raises(BackendFailed, match="no number"):
        wrong.result(10)
    engine.close()


def test_a_dead_backend_is_not_asked_pair_by_pair() -> None:
    """When the first two single tries fail too, the rest of the batch fails with them."""
    scorer = ScriptedScorer(failures=[BackendFailed("down")] * 50)
    with NLIEngine(lambda: scorer) as engine, pytest.raises(BackendFailed, match="down"):
        engine.score(pairs("a", 20))
    assert len(scorer.batches) <= 3


def test_a_busy_server_is_not_asked_again() -> None:
    """Overloaded goes straight to the callers."""
    scorer = ScriptedScorer(failures=[Overloaded("busy")])
    with NLIEngine(lambda: scorer) as engine:
        with pytest.raises(Overloaded):
            engine.score(pairs("a", 5))
        assert len(scorer.batches) == 1
        assert engine.score(pairs("a", 5)).scored == 5


@pytest.mark.parametrize(
    "probs",
    [
        NLIProbs(math.nan, 0.5, 0.5),
        NLIProbs(math.inf, 0.0, 0.0),
        NLIProbs(0.9, 0.9, 0.9),
        NLIProbs(1.5, -0.5, 0.0),
    ],
)
def test_what_is_no_probability_never_gets_out(probs: NLIProbs) -> None:
    """The engine checks every scorer's numbers, and caches none of the bad ones."""
    cache = MemoryCache()
    bad = Pair("bad", "h")
    with NLIEngine(
        lambda: ScriptedScorer(own_score, table={("bad", "h"): probs}), cache=cache
    ) as engine:
        with pytest.raises(BackendFailed, match="no probabilities"):
            engine.score([bad, *pairs("good", 1)])
        assert engine.score(pairs("good", 1)).probs == (own_score(pairs("good", 1)[0]),)
        assert len(cache) == 1


class Miscounting(ScriptedScorer):
    """Answers for one pair too few."""

    def score(self, pairs: Sequence[Pair]) -> list[NLIProbs]:
        return super().score(pairs)[1:]


def test_a_missing_answer_is_a_failure() -> None:
    """Scores are never matched to the wrong pairs because one is missing."""
    with NLIEngine(Miscounting) as engine, pytest.raises(BackendFailed, match="answered for"):
        engine.score(pairs("a", 3))


def test_too_long_fails_alone() -> None:
    """Refused before any batch; other requests are not touched, nothing is cut."""
    scorer = ScriptedScorer(own_score, max_tokens=50)
    with NLIEngine(lambda: scorer) as engine:
        long = engine.submit(pairs("long", 1, words=60))
        short = engine.submit(pairs("short", 1))
        with pytest.raises(InputTooLong) as caught:
            long.result(10)
        assert short.result(10).scored == 1
    assert "w w" not in str(caught.value)
    assert all(len(p.premise.split()) < 50 for batch in scorer.batches for p in batch)


def test_a_bug_in_a_scorer_is_wrapped() -> None:
    """An error that is not ours becomes BackendFailed, with the cause kept and no text of the user."""
    scorer = ScriptedScorer(failures=[KeyError("secret words")] * 5)
    with (
        NLIEngine(lambda: scorer) as engine,
        pytest.raises(BackendFailed, match="KeyError") as caught,
    ):
        engine.score(pairs("a", 2))
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)


def test_waiters_get_errors_of_their_own() -> None:
    """One failure, many callers: each raises its own object, so tracebacks do not mix."""
    gate = Gate()
    scorer = ScriptedScorer(
        gate, fail_on=lambda p: BackendFailed("x") if "bad" in p.premise else None
    )
    engine = NLIEngine(lambda: scorer)
    first = engine.submit(pairs("first", 1))
    assert gate.entered.wait(10)
    futures = [engine.submit(pairs("bad", 1)) for _ in range(3)]
    assert wait_until(lambda: engine._core.owner.inbox.qsize() == 3)
    gate.open.set()
    first.result(10)
    assert len({id(future.exception(10)) for future in futures}) == 3
    engine.close()


def test_a_dying_thread_fails_everyone() -> None:
    """Even an error no handler expects leaves nobody waiting."""

    class Deadly(ScriptedScorer):
        def score(self, pairs: Sequence[Pair]) -> list[NLIProbs]:
            raise SystemExit(3)

    engine = NLIEngine(Deadly)
    futures = [engine.submit(pairs(f"a{i}", 2)) for i in range(5)]
    for future in futures:
        with pytest.raises(EngineClosed, match="died"):
            future.result(10)
    assert wait_until(lambda: not any(t.is_alive() for t in engine._core._threads))
    with pytest.raises(EngineClosed, match="died"):
        engine.submit(pairs("b", 1))
    with pytest.raises(EngineClosed):
        engine.load()
    engine.close()


def test_a_dying_intake_fails_everyone() -> None:
    """The same for the other thread."""

    class Deadly(BrokenCache):
        def get_many(self, keys: Sequence[str]) -> list[NLIProbs | None]:
            raise SystemExit(3)

    engine = NLIEngine(ScriptedScorer, cache=Deadly())
    with pytest.raises(EngineClosed, match="died"):
        engine.score(pairs("a", 1))
    with pytest.raises(EngineClosed):
        engine.count_text(["a"])
    engine.close(timeout=10)
    assert not any(t.is_alive() for t in engine._core._threads)


# ------------------------------------------------------------------ loading


def test_loading_is_lazy_and_in_the_owner_thread() -> None:
    """Nothing is loaded or started before first use; then once, never in a caller's thread."""
    made: list[int] = []

    def make() -> ScriptedScorer:
        made.append(threading.get_ident())
        return ScriptedScorer()

    engine = NLIEngine(make)
    assert (made, engine.loaded, engine._core._threads) == ([], False, [])
    assert engine.info.name == "scripted"
    assert engine.loaded
    assert asyncio.run(engine.aload()) == engine.load() == engine.info
    assert engine.count_text(["two words", ""]) == [2, 0]
    assert asyncio.run(engine.acount_text(["one"])) == [1]
    assert len(made) == 1
    assert made[0] != threading.get_ident()
    engine.close()


def test_a_failed_load_is_told_and_tried_again() -> None:
    """Everyone who waits gets the loader's error; the next request may succeed."""
    tries = iter([ModelUnavailable("not yet"), ModelUnavailable("not yet"), None])

    def make() -> ScriptedScorer:
        error = next(tries)
        if error is not None:
            raise error
        return ScriptedScorer(own_score)

    with NLIEngine(make) as engine:
        with pytest.raises(ModelUnavailable):
            engine.load()
        with pytest.raises(ModelUnavailable):
            engine.score(pairs("a", 1))
        assert engine.score(pairs("a", 1)).scored == 1


# ------------------------------------------------------------------ closing


def test_close_without_drain_fails_who_waits() -> None:
    """Waiting callers get EngineClosed, not silence; the scorer is closed in its thread."""
    gate = Gate()
    scorer = ScriptedScorer(gate)
    engine = NLIEngine(lambda: scorer)
    running = engine.submit(pairs("running", 1))
    assert gate.entered.wait(10)
    queued = engine.submit(pairs("queued", 5))
    closer = threading.Thread(target=engine.close)
    closer.start()
    for future in (running, queued):
        with pytest.raises(EngineClosed):
            future.result(10)
    gate.open.set()
    closer.join(10)
    assert not closer.is_alive()
    assert scorer.closed
    assert sum(map(len, scorer.batches)) == 1
    engine.close()


def test_close_with_drain_answers_first() -> None:
    """What is queued is answered; what comes later is refused."""
    scorer = ScriptedScorer(own_score, delay=0.002)
    engine = NLIEngine(lambda: scorer, max_batch_tokens=20)
    futures = [engine.submit(pairs(f"a{i}", 4)) for i in range(5)]
    engine.close(drain=True)
    assert [len(f.result(0).probs) for f in futures] == [4] * 5
    for call in (
        lambda: engine.submit(pairs("b", 1)),
        engine.load,
        lambda: engine.count_text(["a"]),
    ):
        with pytest.raises(EngineClosed) as caught:
            call()
        assert caught.value.code == "GR111"
    assert scorer.closed
    engine.close()


def test_closing_an_unused_engine() -> None:
    """Nothing was started, nothing is loaded to be closed."""
    engine = NLIEngine(lambda: pytest.fail("loaded"))
    engine.close()
    with pytest.raises(EngineClosed):
        engine.score(pairs("a", 1))


def test_a_forgotten_engine_stops_its_threads() -> None:
    """An engine that nobody holds any more is closed."""
    engine = NLIEngine(ScriptedScorer)
    engine.load()
    threads = engine._core._threads
    del engine
    gc.collect()
    assert wait_until(lambda: not any(t.is_alive() for t in threads))


def test_the_interpreter_ends_without_close() -> None:
    """A program that forgets to close ends all the same, also in the middle of work."""
    code = (
        "from verifiers.engine import NLIEngine\n"
        "from verifiers.testing import ScriptedScorer\n"
        "from verifiers.types import Pair\n"
        "e = NLIEngine(lambda: ScriptedScorer(delay=0.2))\n"
        "e.load()\n"
        "f = e.submit([Pair(str(i), 'h ' * i) for i in range(50)])\n"
        "print('end')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_told() -> None:
    """An engine started before a fork raises in the child; it neither hangs nor answers."""
    engine = NLIEngine(ScriptedScorer)
    engine.load()
    ours, theirs = multiprocessing.Pipe()
    child = os.fork()
    if child == 0:
        try:
            engine.submit(pairs("a", 1))
            theirs.send("answered")
        except EngineClosed as error:
            theirs.send(str(error))
        finally:
            os._exit(0)
    assert ours.poll(20)
    assert "another process" in ours.recv()
    os.waitpid(child, 0)
    assert engine.score(pairs("a", 1)).scored == 1
    engine.close()


def test_limits_are_at_least_one() -> None:
    """A queue that takes nothing is a mistake."""
    for name in ("max_batch_tokens", "max_batch_pairs", "max_queue_pairs", "lookahead_pairs"):
        with pytest.raises(ValueError, match="at least 1"):
            NLIEngine(ScriptedScorer, **{name: 0})


def test_stats_add_up() -> None:
    """Counts for telemetry: asked, scored, cached, batches, tokens with and without padding."""
    with NLIEngine(lambda: ScriptedScorer(own_score), cache=MemoryCache()) as engine:
        engine.score(pairs("a", 4))
        engine.score([*pairs("a", 4), *pairs("b", 2)])
        stats = engine.stats
    assert replace(stats, tokens=0, padded_tokens=0, batches=0) == replace(
        stats,
        requests=2,
        refused=0,
        pairs=10,
        waiting=0,
        scored=6,
        cached=4,
        dropped=0,
        failed=0,
        cache_errors=0,
        tokens=0,
        padded_tokens=0,
        batches=0,
    )
    assert stats.tokens <= stats.padded_tokens
    assert stats.batches >= 2


def test_the_event_loop_is_never_held() -> None:
    """Loading, hashing, scoring: none of it runs on the loop, so a ticker beside it keeps ticking."""
    engine = NLIEngine(lambda: ScriptedScorer(own_score, delay=0.05), cache=MemoryCache())
    on_loop: list[int] = []

    async def main() -> None:
        here = threading.get_ident()
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticker = asyncio.create_task(tick())
        await asyncio.gather(*(engine.ascore(pairs(f"a{i}", 20, words=50)) for i in range(10)))
        ticker.cancel()
        assert ticks >= 5
        on_loop.append(here)

    asyncio.run(main())
    scorer = engine._core.owner.scorer
    assert isinstance(scorer, ScriptedScorer)
    assert scorer._thread not in on_loop
    engine.close()


def test_results_of_cancelled_callers_still_feed_the_cache() -> None:
    """Work that ran is kept, even if its caller left meanwhile."""
    gate = Gate()
    cache = MemoryCache()
    engine = NLIEngine(lambda: ScriptedScorer(gate), cache=cache)
    future = engine.submit(pairs("a", 1))
    assert gate.entered.wait(10)
    assert future.cancel()
    gate.open.set()
    assert wait_until(lambda: len(cache) == 1)
    with pytest.raises(CancelledError):
        future.result()
    engine.close()


def test_cancelling_after_the_work_was_planned_still_drops_it() -> None:
    """Between two batches of one request its caller leaves: the rest never runs."""
    steps = threading.Semaphore(0)
    entered = threading.Semaphore(0)

    def step(pair: Pair) -> NLIProbs:
        entered.release()
        assert steps.acquire(timeout=20)
        return own_score(pair)

    scorer = ScriptedScorer(step)
    engine = NLIEngine(lambda: scorer, max_batch_pairs=1)
    future = engine.submit(pairs("a", 20))
    for _ in range(2):
        assert entered.acquire(timeout=20)
        steps.release()
    assert entered.acquire(timeout=20)  # in the third batch: all were planned
    assert future.cancel()
    steps.release(50)
    assert engine.submit(pairs("b", 1)).result(20).scored == 1
    engine.close(drain=True)
    assert len(scorer.batches) == 4
    assert engine.stats.dropped == 17
