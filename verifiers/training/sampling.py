"""Which rows a step sees: weighted draws, length-bucketed batches, a position that can be saved.

Pure functions and one small state machine over integers; nothing here knows torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verifiers.training.files import require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from verifiers.training.data import Pairs
    from verifiers.training.recipe import Recipe, Stage


def pack(lengths: Sequence[int], *, max_tokens: int) -> list[list[int]]:
    """Group rows of like length into batches whose padded size keeps to a budget.

    Args:
        lengths: Tokens of each row.
        max_tokens: Most tokens in a batch, rows times its longest row.

    Returns:
        Indices into ``lengths``, each exactly once; shortest batches first.

    Raises:
        ValueError: If one row alone is over the budget.
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if lengths[i] > max_tokens:
            raise ValueError(f"a row of {lengths[i]} tokens is over the budget of {max_tokens}")
        if batch and (len(batch) + 1) * lengths[i] > max_tokens:
            batches.append(batch)
            batch = []
        batch.append(i)
    if batch:
        batches.append(batch)
    return batches


@dataclass(slots=True)
class Position:
    """Where a run stands in its data. Two equal positions lead to equal futures.

    Attributes:
        tokens: Tokens trained on so far, padding not counted.
        steps: Batches trained on so far.
        pool: Number of the pool that the current batches were drawn as.
        taken: Batches of that pool already trained on.
        cursors: Place in each data set's stream *before* the current pool was drawn.
        pool_tokens: ``tokens`` when the current pool was drawn; it decides the pool's stage.
    """

    tokens: int = 0
    steps: int = 0
    pool: int = 0
    taken: int = 0
    pool_tokens: int = 0
    cursors: dict[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "tokens": self.tokens,
            "steps": self.steps,
            "pool": self.pool,
            "taken": self.taken,
            "pool_tokens": self.pool_tokens,
            "cursors": dict(self.cursors or {}),
        }


class Sampler:
    """Hands out batches of row numbers, in an order that recipe, data and position fix."""

    def __init__(self, pairs: Pairs, recipe: Recipe, position: Position | None = None) -> None:
        self._np = require("numpy")
        self._pairs = pairs
        self._lengths = pairs.lengths
        self._recipe = recipe
        self.position = position or Position()
        if self.position.cursors is None:
            self.position.cursors = {}
        for stage in recipe.stages:
            if missing := sorted(set(stage.weights) - set(pairs.names)):
                raise ValueError(f"stage {stage.name!r} wants data that is not there: {missing}")
        self._batches, self._after = self._draw()

    def next(self) -> NDArray[np.int64]:
        """The next batch; moves the position on."""
        at = self.position
        if at.taken == len(self._batches):
            at.pool, at.taken, at.pool_tokens, at.cursors = at.pool + 1, 0, at.tokens, self._after
            self._batches, self._after = self._draw()
        batch = self._batches[at.taken]
        at.taken += 1
        at.steps += 1
        at.tokens += int(self._lengths[batch].sum())
        return batch

    def _draw(self) -> tuple[list[NDArray[np.int64]], dict[str, int]]:
        """The batches of the current pool, and the cursors after it."""
        np, at, recipe = self._np, self.position, self._recipe
        stage = recipe.stages[recipe.stage_at(at.pool_tokens)]
        rng = np.random.default_rng([recipe.seed, 1, at.pool])
        eligible = {name: self._eligible(name, stage) for name in stage.weights}
        # A data set with nothing in the stage's length range has nothing to give.
        weights = {name: w for name, w in stage.weights.items() if w > 0 and len(eligible[name])}
        if not weights:
            raise ValueError(f"stage {stage.name!r}: no row has a length in its range")
        share = np.array(list(weights.values()), float)
        share /= share.sum()
        mean = sum(
            s * float(self._lengths[eligible[name]].mean())
            for s, name in zip(share, weights, strict=True)
        )
        count = max(1, int(recipe.pool_batches * recipe.batch_tokens / mean))
        drawn = rng.choice(len(weights), size=count, p=share)
        cursors = dict(at.cursors or {})
        rows = np.empty(count, np.int64)
        for i, name in enumerate(weights):
            slots = np.flatnonzero(drawn == i)
            rows[slots], cursors[name] = self._take(name, stage, cursors.get(name, 0), len(slots))
        order = rng.permutation(count)  # so that ties in length mix the data sets
        rows = rows[order]
        packed = pack(self._lengths[rows].tolist(), max_tokens=recipe.batch_tokens)
        batches = [rows[np.array(batch)] for batch in packed]
        return [batches[i] for i in rng.permutation(len(batches))], cursors

    def _eligible(self, name: str, stage: Stage) -> NDArray[np.int64]:
        number = self._pairs.names.index(name)
        members = self._np.flatnonzero(self._pairs.datasets == number)
        eligible: NDArray[np.int64] = members[self._fits(members, stage)]
        return eligible

    def _take(
        self, name: str, stage: Stage, start: int, count: int
    ) -> tuple[NDArray[np.int64], int]:
        """``count`` rows from place ``start`` of a data set's endless stream, and the place after.

        The stream is the data set in one random order, then in another, and so on. Rows of a
        length the stage does not want are passed over.
        """
        lib = self._np
        number = self._pairs.names.index(name)
        members = lib.flatnonzero(self._pairs.datasets == number)
        parts: list[NDArray[np.int64]] = []
        while count:
            epoch, offset = divmod(start, len(members))
            rest = members[self._order(name, len(members), epoch)[offset:]]
            fits = lib.flatnonzero(self._fits(rest, stage))[:count]
            parts.append(rest[fits])
            count -= len(fits)
            start += int(fits[-1]) + 1 if not count else len(rest)
        return lib.concatenate(parts) if parts else lib.empty(0, lib.int64), start

    def _fits(self, rows: NDArray[np.int64], stage: Stage) -> NDArray[np.bool_]:
        lengths = self._lengths[rows]
        fits: NDArray[np.bool_] = (lengths >= stage.min_length) & (lengths <= stage.max_length)
        return fits

    def _order(self, name: str, size: int, epoch: int) -> NDArray[np.int64]:
        # By name and not by number, so that adding a data set leaves the others as they were.
        tag = int.from_bytes(name.encode()[:32], "little")
        rng = self._np.random.default_rng([self._recipe.seed, 2, tag, epoch])
        order: NDArray[np.int64] = rng.permutation(size)
        return order


def collate(
    pairs: Pairs, batch: Sequence[int] | NDArray[np.int64], *, cls: int, sep: int, pad: int
) -> Mapping[str, NDArray[Any]]:
    """The arrays of a batch: ``[CLS] premise [SEP] hypothesis [SEP]``, padded to its longest.

    Returns:
        ``input_ids``, ``attention_mask``, ``token_type_ids``: int64 ``[rows, longest]``;
        ``labels``: int64 ``[rows]``.
    """
    np = require("numpy")
    rows = [int(row) for row in batch]
    longest = max(int(pairs.starts[r + 1] - pairs.starts[r]) for r in rows) + 3
    ids = np.full((len(rows), longest), pad, np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    types = np.zeros((len(rows), longest), np.int64)
    for i, row in enumerate(rows):
        premise, hypothesis = pairs.pair(row)
        first, end = len(premise) + 2, len(premise) + len(hypothesis) + 3
        ids[i, 0], ids[i, first - 1], ids[i, end - 1] = cls, sep, sep
        ids[i, 1 : first - 1], ids[i, first : end - 1] = premise, hypothesis
        mask[i, :end], types[i, first:end] = 1, 1
    labels = pairs.labels[np.array(rows)].astype(np.int64)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types, "labels": labels}
