"""The shared middle of the engine: admission, the intake thread, death and closing."""

from __future__ import annotations

import logging
import os
import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifiers._requests import Load, Request, Stop, Work, copy_error, fail
from verifiers.cache import cache_keys
from verifiers.errors import EngineClosed, Overloaded
from verifiers.protocols import ScoreResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from verifiers._owner import Owner
    from verifiers.protocols import PairScorer, ScoreCache
    from verifiers.types import ModelInfo, NLIProbs, Pair

_log = logging.getLogger("verifiers.engine")

_CLOSED_HINT = "Make a new engine, or close this one later."


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counts since the engine was made.

    Attributes:
        requests: Requests accepted.
        refused: Requests refused because the queue was full.
        pairs: Pairs in the accepted requests.
        waiting: Pairs of requests that are not answered yet.
        scored: Pairs the model ran.
        cached: Pairs the cache answered.
        batches: Batches run.
        tokens: Tokens in them.
        padded_tokens: Tokens in them with padding.
        dropped: Pairs of callers who had gone before they ran.
        failed: Pairs whose scoring failed.
        out_of_memory: Batches the model had not enough memory for; each lowered ``batch_tokens``.
        batch_tokens: Most tokens, padding included, in one batch as things stand.
        cache_errors: Calls to the cache that failed; each cost time, none an answer.
    """

    requests: int
    refused: int
    pairs: int
    waiting: int
    scored: int
    cached: int
    batches: int
    tokens: int
    padded_tokens: int
    dropped: int
    failed: int
    out_of_memory: int
    batch_tokens: int
    cache_errors: int


class Core:
    """What the threads share. Its lock guards the counters and the set of live requests."""

    def __init__(self, owner: Owner, cache: ScoreCache | None, max_queue_pairs: int) -> None:
        self.owner = owner
        self._cache = cache
        self._max_queue_pairs = max_queue_pairs
        self._lock = threading.RLock()  # a done-callback may run inside a submit
        self._intake: queue.SimpleQueue[Request | Stop] = queue.SimpleQueue()
        self._live: set[Request] = set()
        self._waiting = 0
        self._requests = self._refused = self._pairs = self._cached = self._cache_errors = 0
        self._closed = False
        self._owner_ended = False
        self._death: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._pid: int | None = None

    # ------------------------------------------------------------------ callers' side

    def submit(self, pairs: tuple[Pair, ...]) -> Future[ScoreResult]:
        self._check_process()
        request = Request(pairs)
        with self._lock:
            self._check_open()
            if pairs and self._waiting and self._waiting + len(pairs) > self._max_queue_pairs:
                self._refused += 1
                raise Overloaded(
                    f"The scoring queue holds {self._waiting} pairs and takes"
                    f" {self._max_queue_pairs}; a request of {len(pairs)} was refused."
                    " Nothing of it was scored.",
                    hint="Try again later, or raise `max_queue_pairs`.",
                )
            self._requests += 1
            self._pairs += len(pairs)
            if not pairs:
                request.future.set_result(ScoreResult((), 0, 0))
                return request.future
            self._start()
            self._waiting += len(pairs)
            self._live.add(request)
            request.future.add_done_callback(lambda _: self._release(request))
            self._intake.put(request)
        return request.future

    def load(self) -> Future[ModelInfo]:
        self._check_process()
        message = Load(Future())
        with self._lock:
            self._check_open()
            self._start()
            self._ask_for_load(message)
        return message.future

    def _ask_for_load(self, message: Load) -> None:
        self.owner.inbox.put(message)
        if self._owner_ended:  # between the check and the message: nobody will read it
            self.owner.fail_loads(self._error())

    def scorer(self) -> PairScorer:
        self._check_process()
        with self._lock:
            self._check_open()
        scorer = self.owner.scorer
        if scorer is None:
            self.load().result()
            scorer = self.owner.scorer
        if scorer is None:
            raise self._error()
        return scorer

    def stats(self) -> EngineStats:
        with self._lock:
            counts = self.owner.counts
            return EngineStats(
                requests=self._requests,
                refused=self._refused,
                pairs=self._pairs,
                waiting=self._waiting,
                scored=counts.scored,
                cached=self._cached,
                batches=counts.batches,
                tokens=counts.tokens,
                padded_tokens=counts.padded_tokens,
                dropped=counts.dropped,
                failed=counts.failed,
                out_of_memory=counts.out_of_memory,
                batch_tokens=self.owner.batch_tokens,
                cache_errors=self._cache_errors + counts.cache_errors,
            )

    def close(self, *, drain: bool, timeout: float | None) -> None:
        if self._pid not in (None, os.getpid()):
            return  # the threads are the parent's
        with self._lock:
            first = not self._closed
            self._closed = True
            if not drain:
                self.owner.cancelling = True
            if first and self._threads:
                self._intake.put(Stop())
            live = [] if drain else list(self._live)
        for request in live:
            fail(request.future, self._error())
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout)

    def abandon(self) -> None:
        """Close on behalf of an engine nobody holds any more, without waiting for long."""
        here = threading.current_thread()
        self.close(drain=False, timeout=0.0 if here in self._threads else 2.0)

    def _release(self, request: Request) -> None:
        with self._lock:
            self._live.discard(request)
            self._waiting -= len(request.pairs)

    def _check_process(self) -> None:
        # Before any lock: a lock held during the fork stays held for ever in the child.
        if self._pid not in (None, os.getpid()):
            raise EngineClosed(
                "This engine was started in another process; its threads did not survive the fork.",
                hint="Make the engine in the process that uses it, after the fork.",
            )

    def _check_open(self) -> None:
        if self._closed or self._death is not None:
            raise self._error()

    def _error(self) -> EngineClosed:
        if self._death is not None:
            return EngineClosed(
                f"The engine's thread died ({type(self._death).__name__}). Nothing was scored.",
                hint="Make a new engine. Please report it: this should not happen.",
            )
        return EngineClosed("The scoring engine was closed. Nothing was scored.", hint=_CLOSED_HINT)

    # ------------------------------------------------------------------ threads

    def _start(self) -> None:
        if self._threads:
            return
        self._pid = os.getpid()
        for name, target in (("owner", self.owner.run), ("intake", self._take_in)):
            thread = threading.Thread(
                target=self._guard, args=(target,), name=f"groundrail-{name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _guard(self, target: Callable[[], None]) -> None:
        """Run a thread; however it ends, nobody is left waiting."""
        try:
            target()
        except BaseException as exc:  # noqa: BLE001 - a thread has no caller to tell; waiters do
            with self._lock:
                self._death = self._death or exc
            _log.error("engine thread died: %s", type(exc).__name__, exc_info=exc)
            self.owner.cancelling = True
            self._intake.put(Stop())
            self.owner.inbox.put(Stop())
        finally:
            if target == self.owner.run:
                self._owner_ended = True
            if self._death is not None or self._owner_ended:
                with self._lock:
                    self._closed = True
                    live = list(self._live)
                for request in live:
                    fail(request.future, self._error())
            if self._owner_ended:
                self.owner.fail_loads(self._error())

    def _take_in(self) -> None:
        while True:
            message = self._intake.get()
            if isinstance(message, Stop):
                self.owner.inbox.put(message)
                return
            if not message.future.done():
                self._look_up(message)

    def _look_up(self, request: Request) -> None:
        loading: Future[ModelInfo] = Future()
        if self.owner.scorer is None:
            self._ask_for_load(Load(loading))
            error = loading.exception()
            if error is not None:
                fail(request.future, copy_error(error))
                return
        scorer = self.owner.scorer
        if scorer is None:
            fail(request.future, self._error())
            return
        keys = cache_keys(scorer.info, request.pairs)
        unique = list(dict.fromkeys(keys))
        found = self._get_cached(unique)
        hits = request.take_hits(keys, found)
        with self._lock:
            self._cached += hits
        if not request.finish_if_complete():
            self.owner.inbox.put(Work(request, tuple(keys)))

    def _get_cached(self, keys: list[str]) -> dict[str, NLIProbs]:
        if self._cache is None:
            return {}
        try:
            values = self._cache.get_many(keys)
            return {
                key: probs for key, probs in zip(keys, values, strict=True) if probs is not None
            }
        except Exception as exc:  # noqa: BLE001 - a broken cache is a miss, counted and logged
            with self._lock:
                self._cache_errors += 1
            _log.warning("score cache failed on reading: %s", type(exc).__name__)
            return {}
