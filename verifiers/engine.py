"""One model, many callers: a bounded queue in front of the one thread that owns the model.

Two threads. *Intake* computes cache keys and asks the cache, so that neither happens on a caller's
event loop, and a cached answer never waits behind a running batch. The *owner* loads the model,
counts tokens, runs batches and holds all scheduling state; it is spoken to by messages only.

Batches are chosen anew after each one. Every request is owed the same share of the model: each
pair carries a tag, the work its request will have received once it is scored, on a clock that the
pairs served move forward (self-clocked fair queueing, Golestani, INFOCOM 1994). The pair with the
lowest tag runs next, with the pairs nearest to it in length among the next few dozen for company.
So the pairs of concurrent callers share batches, and a short answer, which needs little, comes
before the rest of a long one, however much was queued before it.

An engine does not survive ``fork``: make it in the child. A ``close`` is not needed at exit.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Self

from verifiers._core import Core, EngineStats
from verifiers._owner import Owner
from verifiers.protocols import ScoreResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from verifiers.protocols import PairScorer, ScoreCache
    from verifiers.types import ModelInfo, Pair

__all__ = ["EngineStats", "NLIEngine", "ScoreResult"]


class NLIEngine:
    """Scores pairs for any number of threads and event loops with one model.

    The model is loaded on first use, in the engine's own thread. All methods may be called from
    any thread. Cheap to make: no thread starts before first use.
    """

    def __init__(
        self,
        scorer_factory: Callable[[], PairScorer],
        *,
        cache: ScoreCache | None = None,
        max_batch_tokens: int = 1_024,
        max_batch_pairs: int = 64,
        max_queue_pairs: int = 20_000,
        lookahead_pairs: int = 128,
    ) -> None:
        """Make an engine; nothing is loaded yet.

        Args:
            scorer_factory: Loads the model; called in the owner thread. When it fails, whoever
                waits gets its error, and the next request tries again.
            cache: Where scores are kept; None keeps none.
            max_batch_tokens: Most padded tokens (longest x count) in one batch. A pair that is
                longer than that alone runs alone. A batch that runs out of memory halves it.
            max_batch_pairs: Most pairs in one batch.
            max_queue_pairs: Most unanswered pairs. One request larger than that is still taken
                when nothing else waits.
            lookahead_pairs: How many of the next pairs a batch is put together from. More means
                less padding and coarser turns.

        Raises:
            ValueError: If a limit is below 1.
        """
        if min(max_batch_tokens, max_batch_pairs, max_queue_pairs, lookahead_pairs) < 1:
            raise ValueError("every limit of an engine is at least 1")
        self._core = Core(
            Owner(
                scorer_factory,
                cache=cache,
                max_batch_tokens=max_batch_tokens,
                max_batch_pairs=max_batch_pairs,
                lookahead_pairs=lookahead_pairs,
            ),
            cache,
            max_queue_pairs,
        )
        # At interpreter exit or garbage collection; the threads hold the core, never the engine.
        self._finalizer = weakref.finalize(self, self._core.abandon)

    @property
    def info(self) -> ModelInfo:
        """What produces the scores. Loads the model on first use, and then blocks."""
        # Not asked of the owner thread: a running batch would hold up whoever plans the next.
        return self._core.scorer().info

    @property
    def loaded(self) -> bool:
        """Whether the model is there already, so that ``info`` does not block."""
        return self._core.owner.scorer is not None

    @property
    def stats(self) -> EngineStats:
        """Counts since the engine was made. A snapshot; the counts may be a batch apart."""
        return self._core.stats()

    def load(self) -> ModelInfo:
        """Load the model, canaries included, if that has not happened yet. Blocks.

        Raises:
            VerifierError: As the loader does. A later call tries again.
            EngineClosed: If the engine was closed.
        """
        return self._core.load().result()

    async def aload(self) -> ModelInfo:
        """:meth:`load` without blocking the event loop."""
        return await asyncio.wrap_future(self._core.load())

    def submit(self, pairs: Sequence[Pair]) -> Future[ScoreResult]:
        """Queue pairs and return at once.

        Identical pairs, in this request or in flight for others, run once. Cancelling the future
        takes its pairs out of the queue, unless others wait for them too.

        Returns:
            A future of the scores, in the order of ``pairs``. It fails with what the model raised
            for any of its pairs: an answer is scored whole or not at all.

        Raises:
            Overloaded: If the queue is full. Nothing was queued.
            EngineClosed: If the engine was closed.
        """
        return self._core.submit(tuple(pairs))

    def score(self, pairs: Sequence[Pair]) -> ScoreResult:
        """:meth:`submit` and wait."""
        future = self.submit(pairs)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupted caller has gone
            raise

    async def ascore(self, pairs: Sequence[Pair]) -> ScoreResult:
        """:meth:`submit` and await. Cancelling the await cancels the work."""
        return await asyncio.wrap_future(self.submit(pairs))

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text alone, without special tokens. Runs in the calling thread.

        Raises:
            VerifierError: If the model cannot be loaded.
            EngineClosed: If the engine was closed.
        """
        return self._core.scorer().count_text(texts)

    async def acount_text(self, texts: Sequence[str]) -> list[int]:
        """:meth:`count_text` in a worker thread."""
        return await asyncio.to_thread(self.count_text, texts)

    def close(self, *, drain: bool = False, timeout: float | None = None) -> None:
        """Stop. May be called twice; nothing may follow it.

        Args:
            drain: Answer what is queued first; otherwise whoever waits gets ``EngineClosed``.
            timeout: Seconds to wait for the running batch (or the queue); None waits for as long
                as it takes.
        """
        self._finalizer.detach()
        self._core.close(drain=drain, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(drain=error is None)
