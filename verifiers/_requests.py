"""What callers ask of the engine, and the messages its threads send each other."""

from __future__ import annotations

import copy
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verifiers.errors import GroundrailError
from verifiers.protocols import ScoreResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.types import ModelInfo, NLIProbs, Pair


def fail(future: Future[Any], error: BaseException) -> None:
    """Fail a future unless it is done; never raises."""
    if not future.done() and future.set_running_or_notify_cancel():
        future.set_exception(error)


def copy_error(error: BaseException) -> BaseException:
    """A copy for one more waiter: raising one object in many threads mixes up its tracebacks."""
    if not isinstance(error, GroundrailError):
        return error
    twin = copy.copy(error)
    twin.__cause__ = error.__cause__
    return twin


class Request:
    """What one caller asked for. Results are filled in by one thread at a time."""

    def __init__(self, pairs: tuple[Pair, ...]) -> None:
        self.pairs = pairs
        self.future: Future[ScoreResult] = Future()
        self.probs: list[NLIProbs | None] = [None] * len(pairs)
        self.missing = len(pairs)
        self.scored = 0
        self.cached = 0

    def take_hits(self, keys: Sequence[str], found: Mapping[str, NLIProbs]) -> int:
        """Fill in what the cache knew; how many pairs that was."""
        for index, key in enumerate(keys):
            probs = found.get(key)
            if probs is not None:
                self.probs[index] = probs
                self.cached += 1
        self.missing -= self.cached
        return self.cached

    def finish_if_complete(self) -> bool:
        """Answer the caller when nothing is missing."""
        if self.missing:
            return False
        if not self.future.done() and self.future.set_running_or_notify_cancel():
            probs = tuple(probs for probs in self.probs if probs is not None)
            self.future.set_result(ScoreResult(probs, self.scored, self.cached))
        return True


@dataclass(frozen=True, slots=True)
class Load:
    """Load the model if it is not there, and tell."""

    future: Future[ModelInfo]


@dataclass(frozen=True, slots=True)
class Work:
    """Pairs the cache did not know."""

    request: Request
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish what is queued (or, when cancelling, nothing) and end."""
