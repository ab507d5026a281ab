"""Counting what is read for one item, and reading without the cache for the clock's sake."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from verifiers.pipeline import Engine
    from verifiers.protocols import ScoreCache, ScoreResult
    from verifiers.types import ModelInfo, NLIProbs, Pair


class Meter:
    """An engine that remembers, for the thread that asks, which pairs were asked for.

    Right for whoever submits from the thread that checks the item, as a blocking check does.
    """

    def __init__(self, engine: Engine) -> None:
        """Meter ``engine``."""
        self._engine = engine
        self._here = threading.local()

    @property
    def info(self) -> ModelInfo:
        """The loaded model; loads it on first use."""
        return self._engine.info

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text alone."""
        return self._engine.count_text(texts)

    def submit(self, pairs: Sequence[Pair]) -> Future[ScoreResult]:
        """Queue pairs for scoring."""
        seen: dict[Pair, None] | None = getattr(self._here, "pairs", None)
        if seen is not None:
            seen.update(dict.fromkeys(pairs))
        return self._engine.submit(pairs)

    @contextmanager
    def reading(self) -> Iterator[dict[Pair, None]]:
        """The distinct pairs this thread asks for until the block ends."""
        self._here.pairs = {}
        try:
            yield self._here.pairs
        finally:
            del self._here.pairs

    def tokens(self, pairs: Sequence[Pair]) -> int:
        """Tokens of the texts of pairs, each text as often as it is read; special ones apart."""
        counts = self.count_text([text for pair in pairs for text in pair])
        return sum(counts)


class PausedCache:
    """A cache that can be told to know nothing for a while: what is timed must be worked for."""

    def __init__(self, inner: ScoreCache) -> None:
        """Stand before ``inner``."""
        self._inner = inner
        self._asleep = 0

    def get_many(self, keys: Sequence[str]) -> list[NLIProbs | None]:
        """What is stored for each key; nothing while paused."""
        return [None] * len(keys) if self._asleep else self._inner.get_many(keys)

    def put_many(self, items: Mapping[str, NLIProbs]) -> None:
        """Store all items, also while paused."""
        self._inner.put_many(items)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Know nothing until the block ends."""
        self._asleep += 1
        try:
            yield
        finally:
            self._asleep -= 1
