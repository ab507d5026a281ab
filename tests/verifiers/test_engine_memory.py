"""The engine where memory is short: it pays for that a few times, not with every batch."""

from __future__ import annotations

import itertools
import logging

import pytest

from verifiers.engine import NLIEngine
from verifiers.errors import BackendFailed
from verifiers.memory import out_of_memory
from verifiers.testing import ScriptedScorer
from verifiers.types import NLIProbs, Pair


def own_score(pair: Pair) -> NLIProbs:
    """A score that tells pairs apart, so that mixing them up cannot go unseen."""
    share = (hash(pair) % 10_000) / 10_000
    return NLIProbs(share, (1 - share) / 2, (1 - share) / 2)


def pairs(prefix: str, count: int) -> list[Pair]:
    """Pairs of ten tokens each, with the three specials."""
    return [Pair(f"{prefix} {i} w w w w", "h") for i in range(count)]


@pytest.mark.parametrize("limit", [200, 150, 25, 10])
def test_batches_get_smaller_for_good(limit: int, caplog: pytest.LogCaptureFixture) -> None:
    """A few batches fail, each at most half as large as the last; then none, and all are scored."""
    scorer = ScriptedScorer(own_score, memory_tokens=limit)
    caplog.set_level(logging.WARNING, logger="verifiers.engine")
    with NLIEngine(lambda: scorer, max_batch_tokens=400) as engine:
        for turn in range(10):
            asked = pairs(f"t{turn}", 60)
            assert list(engine.score(asked).probs) == [own_score(pair) for pair in asked]
        stats = engine.stats
    sizes = [10 * len(batch) for batch in scorer.batches]
    over = [size for size in sizes if size > limit]
    assert over[0] == 400
    assert all(later <= earlier // 2 for earlier, later in itertools.pairwise(over))
    assert stats.batch_tokens == over[-1] // 2
    assert (stats.out_of_memory, stats.failed) == (len(over), 0)
    # Once for each time it was lowered, without a word of what was read.
    assert len(caplog.messages) == len(over)
    assert caplog.messages[-1].endswith(f"at most {over[-1] // 2} tokens")
    assert "w w" not in caplog.text
    # What it came to is used to the full.
    assert max(sizes[-20:]) == max(10, stats.batch_tokens // 10 * 10)


def test_a_pair_too_large_alone_lowers_nothing() -> None:
    """It says nothing of batches: they stay as large as they were proven to fit."""
    scorer = ScriptedScorer(own_score, memory_tokens=50)
    long = Pair("w " * 60, "h")
    with NLIEngine(lambda: scorer, max_batch_tokens=40) as engine:
        with pytest.raises(BackendFailed):
            engine.score([long])
        assert engine.score(pairs("a", 8)).scored == 8
        assert (engine.stats.batch_tokens, engine.stats.out_of_memory) == (40, 0)
    assert [len(batch) for batch in scorer.batches] == [1, 4, 4]


def test_other_failures_lower_nothing() -> None:
    """A batch that fails for another reason is no sign that it was too large."""
    scorer = ScriptedScorer(own_score, failures=[RuntimeError("a bug")])
    with NLIEngine(lambda: scorer, max_batch_tokens=40) as engine:
        engine.score(pairs("a", 4))
        assert (engine.stats.batch_tokens, engine.stats.out_of_memory) == (40, 0)


def _caused() -> BackendFailed:
    error = BackendFailed("The server failed.")
    error.__cause__ = MemoryError()
    return error


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("Failed to allocate memory for requested buffer of size 9"),
        RuntimeError("Available memory of 8 is smaller than requested bytes of 9"),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("bad allocation"),
        OSError(12, "Cannot allocate memory"),
        BackendFailed("The model ran out of memory on a batch of 4 x 9 tokens."),
        _caused(),
    ],
    ids=str,
)
def test_out_of_memory_is_told(error: Exception) -> None:
    """However the libraries say it."""
    assert out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("indices element out of data bounds"), BackendFailed("HTTP 500"), None]
)
def test_other_errors_are_not_of_memory(error: Exception | None) -> None:
    """Nor is no error at all; a cause that leads back to itself ends."""
    if error is not None:
        error.__cause__ = error
    assert not out_of_memory(error)
