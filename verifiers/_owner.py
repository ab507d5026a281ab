"""The thread that owns the model: it loads, schedules and scores, and shares nothing.

See :mod:`verifiers.engine` for the whole picture. Everything here but ``inbox``, ``scorer`` and
``cancelling`` is written by the owner thread alone.
"""

from __future__ import annotations

import heapq
import logging
import math
import queue
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from verifiers._requests import Load, Request, Stop, Work, copy_error, fail
from verifiers.batching import pick_batch
from verifiers.errors import (
    BackendFailed,
    EngineClosed,
    GroundrailError,
    InputTooLong,
    Overloaded,
)
from verifiers.memory import out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from verifiers.protocols import PairScorer, ScoreCache
    from verifiers.types import ModelInfo, NLIProbs, Pair

_log = logging.getLogger("verifiers.engine")

_SUM_TOLERANCE = 1e-3


@dataclass(slots=True, eq=False)
class _Item:
    """One distinct pair in flight and everyone who waits for it."""

    key: str
    pair: Pair
    tag: float
    order: int
    waiters: list[tuple[Request, list[int]]] = field(default_factory=list)
    length: int | None = None
    done: bool = False

    @property
    def wanted(self) -> bool:
        return any(not request.future.done() for request, _ in self.waiters)


@dataclass(slots=True)
class Counts:
    """Running totals; written by the owner thread."""

    scored: int = 0
    batches: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    dropped: int = 0
    failed: int = 0
    out_of_memory: int = 0
    cache_errors: int = 0


class Owner:
    """The loop of the owner thread and its state."""

    def __init__(
        self,
        factory: Callable[[], PairScorer],
        *,
        cache: ScoreCache | None,
        max_batch_tokens: int,
        max_batch_pairs: int,
        lookahead_pairs: int,
    ) -> None:
        self.inbox: queue.SimpleQueue[Load | Work | Stop] = queue.SimpleQueue()
        self.scorer: PairScorer | None = None
        self.cancelling = False
        self.counts = Counts()
        self.batch_tokens = max_batch_tokens
        self._factory = factory
        self._cache = cache
        self._max_batch_pairs = max_batch_pairs
        self._lookahead_pairs = lookahead_pairs
        self._in_flight: dict[str, _Item] = {}
        self._heap: list[tuple[float, int, _Item]] = []
        self._order = count()
        self._clock = 0.0  # virtual time: the tag of the pair served last
        self._stopping = False

    def run(self) -> None:
        """Serve until told to stop and, unless cancelling, nothing is queued."""
        try:
            while True:
                for message in self._messages():
                    self._handle(message)
                if self.cancelling:
                    self._drop_all()
                if self._heap:
                    self._run_one()
                elif self._stopping:
                    return
        finally:
            scorer, self.scorer = self.scorer, None
            if scorer is not None:
                scorer.close()

    def fail_loads(self, error: BaseException) -> None:
        """Tell whoever still waits for a load that it will not come. After the thread ended."""
        while True:
            try:
                message = self.inbox.get_nowait()
            except queue.Empty:
                return
            if isinstance(message, Load):
                fail(message.future, copy_error(error))

    def _messages(self) -> Iterator[Load | Work | Stop]:
        if not self._heap and not self._stopping:
            yield self.inbox.get()
        yield from self._waiting_messages()

    def _waiting_messages(self) -> Iterator[Load | Work | Stop]:
        while True:
            try:
                yield self.inbox.get_nowait()
            except queue.Empty:
                return

    def _handle(self, message: Load | Work | Stop) -> None:
        match message:
            case Load(future):
                self._load(future)
            case Work(request, keys):
                self._register(request, keys)
            case Stop():
                self._stopping = True

    def _load(self, future: Future[ModelInfo]) -> None:
        if self.scorer is None and not self.cancelling:
            try:
                self.scorer = self._factory()
            except Exception as exc:  # noqa: BLE001 - handed to whoever waits, never swallowed
                fail(future, exc)
                return
        if self.scorer is None:
            fail(future, EngineClosed("The scoring engine was closed before its model was loaded."))
        elif future.set_running_or_notify_cancel():
            future.set_result(self.scorer.info)

    # ------------------------------------------------------------------ scheduling

    def _register(self, request: Request, keys: tuple[str, ...]) -> None:
        if request.future.done():
            self.counts.dropped += request.missing
            return
        places: dict[str, list[int]] = {}
        for index, key in enumerate(keys):
            if request.probs[index] is None:
                places.setdefault(key, []).append(index)
        tag = self._clock
        for key, indices in places.items():
            pair = request.pairs[indices[0]]
            # Characters stand for work: tokens are counted when a pair's turn is near.
            tag += len(pair.premise) + len(pair.hypothesis)
            item = self._in_flight.get(key)
            if item is None:
                item = self._in_flight[key] = _Item(key, pair, tag, next(self._order))
                request.scored += 1
                heapq.heappush(self._heap, (tag, item.order, item))
            elif tag < item.tag:
                # Wanted sooner now; the old entry is skipped when it comes up.
                item.tag = tag
                heapq.heappush(self._heap, (tag, item.order, item))
            item.waiters.append((request, indices))

    def _candidates(self) -> list[_Item]:
        """The next pairs in order of turn; those nobody wants any more fall out here."""
        chosen: list[_Item] = []
        while self._heap and len(chosen) < self._lookahead_pairs:
            tag, _, item = heapq.heappop(self._heap)
            if item.done or tag != item.tag:
                continue
            if not item.wanted:
                self._retire(item)
                self.counts.dropped += 1
                continue
            chosen.append(item)
        return chosen

    def _run_one(self) -> None:
        scorer = self.scorer
        if scorer is None:  # registered work implies a loaded model
            raise RuntimeError("work without a model")
        candidates = self._measure(scorer, self._candidates())
        if not candidates:
            return
        self._clock = max(self._clock, candidates[0].tag)
        chosen = pick_batch(
            [item.length or 0 for item in candidates],
            anchor=0,
            max_tokens=self.batch_tokens,
            max_items=self._max_batch_pairs,
        )
        picked = set(chosen)
        for index, item in enumerate(candidates):
            if index not in picked:
                heapq.heappush(self._heap, (item.tag, item.order, item))
        self._run_batch(scorer, [candidates[index] for index in chosen])

    def _measure(self, scorer: PairScorer, items: list[_Item]) -> list[_Item]:
        """Count tokens where that was not done yet; what does not fit fails here, alone."""
        new = [item for item in items if item.length is None]
        if new:
            try:
                lengths = _count(scorer, [item.pair for item in new])
            except Exception as exc:  # noqa: BLE001 - handed to whoever waits, never swallowed
                for item in new:
                    self._fail_item(item, exc)
                return [item for item in items if not item.done]
            for item, length in zip(new, lengths, strict=True):
                item.length = length
                if length > scorer.info.max_tokens:
                    self._fail_item(item, _too_long(length, scorer.info.max_tokens))
        return [item for item in items if not item.done]

    # ------------------------------------------------------------------ scoring

    def _run_batch(self, scorer: PairScorer, items: list[_Item]) -> None:
        try:
            scored = self._score(scorer, items)
        except Exception as exc:  # noqa: BLE001 - handed to whoever waits, never swallowed
            if len(items) == 1 or isinstance(exc, Overloaded):
                for item in items:
                    self._fail_item(item, exc)
                return
            if out_of_memory(exc):
                self._lower_budget(items)
            self._run_apart(scorer, items)
            return
        self._deliver(items, scored)

    def _lower_budget(self, items: list[_Item]) -> None:
        """Half of the batch that was too much, from now on: later batches do not fail the same way.

        Never raised again: memory that was short once is, and every try of more would cost a batch.
        """
        longest = max(item.length or 0 for item in items)
        self.batch_tokens = max(1, longest * len(items) // 2)
        self.counts.out_of_memory += 1
        _log.warning(
            "the model ran out of memory on a batch of %d x %d tokens; from now on batches hold at"
            " most %d tokens",
            len(items),
            longest,
            self.batch_tokens,
        )

    def _run_apart(self, scorer: PairScorer, items: list[_Item]) -> None:
        """Score a failed batch pair by pair, so that one bad pair fails alone.

        Two failures running and none right before them: it is the model that fails, not a pair.
        """
        failures = 0
        for position, item in enumerate(items):
            try:
                scored = self._score(scorer, [item])
            except Exception as exc:  # noqa: BLE001 - handed to whoever waits, never swallowed
                failures += 1
                self._fail_item(item, exc)
                if failures == position + 1 == 2:  # noqa: PLR2004
                    for rest in items[position + 1 :]:
                        self._fail_item(rest, exc)
                    return
            else:
                self._deliver([item], scored)

    def _score(self, scorer: PairScorer, items: list[_Item]) -> list[NLIProbs]:
        scored = scorer.score([item.pair for item in items])
        if len(scored) != len(items):
            raise _wrong_number(len(scored), len(items))
        for probs in scored:
            # A port is trusted with nothing: NaN compares false with every threshold.
            if not (
                all(math.isfinite(p) and 0.0 <= p <= 1.0 for p in probs)
                and abs(math.fsum(probs) - 1.0) <= _SUM_TOLERANCE
            ):
                raise BackendFailed(
                    "The model answered with numbers that are no probabilities."
                    " They were not used.",
                    hint="Run `groundrail doctor`; half precision overflows in some models.",
                )
        lengths = [item.length or 0 for item in items]
        self.counts.scored += len(items)
        self.counts.batches += 1
        self.counts.tokens += sum(lengths)
        self.counts.padded_tokens += max(lengths) * len(items)
        return scored

    def _deliver(self, items: list[_Item], scored: list[NLIProbs]) -> None:
        # Whoever asked for one of these pairs while it ran joins its waiters now.
        for message in self._waiting_messages():
            self._handle(message)
        if self._cache is not None:
            try:
                self._cache.put_many(
                    {item.key: probs for item, probs in zip(items, scored, strict=True)}
                )
            except Exception as exc:  # noqa: BLE001 - costs time later, no answer; counted
                self.counts.cache_errors += 1
                _log.warning("score cache failed on writing: %s", type(exc).__name__)
        for item, probs in zip(items, scored, strict=True):
            self._retire(item)
            for request, indices in item.waiters:
                for index in indices:
                    request.probs[index] = probs
                request.missing -= len(indices)
                request.finish_if_complete()

    def _fail_item(self, item: _Item, error: Exception) -> None:
        self.counts.failed += 1
        self._retire(item)
        if not isinstance(error, GroundrailError):
            wrapped = BackendFailed(
                f"The model failed while scoring ({type(error).__name__}). Nothing was scored.",
                hint="Run `groundrail doctor`.",
            )
            wrapped.__cause__ = error
            error = wrapped
        for request, _ in item.waiters:
            fail(request.future, copy_error(error))

    def _retire(self, item: _Item) -> None:
        item.done = True
        self._in_flight.pop(item.key, None)

    def _drop_all(self) -> None:
        error = EngineClosed("The scoring engine was closed. Nothing was scored.")
        for item in list(self._in_flight.values()):
            self._retire(item)
            for request, _ in item.waiters:
                fail(request.future, copy_error(error))
        self._heap.clear()


def _count(scorer: PairScorer, pairs: list[Pair]) -> list[int]:
    lengths = scorer.count_tokens(pairs)
    if len(lengths) != len(pairs):
        raise _wrong_number(len(lengths), len(pairs))
    return lengths


def _wrong_number(got: int, wanted: int) -> BackendFailed:
    return BackendFailed(
        f"The model answered for {got} pairs where {wanted} were asked. Nothing was scored.",
        hint="Run `groundrail doctor`.",
    )


def _too_long(length: int, limit: int) -> InputTooLong:
    return InputTooLong(
        f"A pair of {length} tokens does not fit the model, which reads {limit}."
        " Nothing was cut and nothing of this request was scored.",
        hint="Cut the source into windows, or the claim into sentences.",
    )
