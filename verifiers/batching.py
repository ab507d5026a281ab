"""Which pairs run together: pure planning over lengths, no model and no clock.

A batch of ``n`` pairs whose longest has ``m`` tokens costs ``n * m``: short pairs are padded to the
longest. Every budget here counts that product, never the sum of the lengths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Padding that is not worth a second batch: starting one costs a few milliseconds, as much as some
# tens of tokens (the bundled model on two cores, 0.16 ms a token).
FREE_PADDING = 64
# Beyond that, at most this share of a batch may be padding.
PADDING_SHARE = 0.25


def plan_batches(lengths: Sequence[int], *, max_tokens: int, max_items: int) -> list[list[int]]:
    """Split pairs into batches, the longest first, like lengths together.

    Args:
        lengths: Tokens of each pair.
        max_tokens: Most padded tokens (longest x count) in one batch. A pair that is longer than
            that on its own gets a batch on its own: planning never drops or cuts.
        max_items: Most pairs in one batch.

    Returns:
        Indices into ``lengths``; every index exactly once.

    Raises:
        ValueError: If a limit is below 1 or a length is negative.
    """
    _check(max_tokens, max_items)
    if any(length < 0 for length in lengths):
        raise ValueError("a length is negative")
    batches: list[list[int]] = []
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    for index in order:
        if batches:
            batch = batches[-1]
            longest = lengths[batch[0]]
            if len(batch) < max_items and longest * (len(batch) + 1) <= max_tokens:
                batch.append(index)
                continue
        batches.append([index])
    return batches


def pick_batch(
    lengths: Sequence[int], *, anchor: int, max_tokens: int, max_items: int
) -> list[int]:
    """The batch to run next: ``anchor`` and the candidates nearest to it in length.

    The anchor is whoever's turn it is, so that it runs now whatever its length; the others are
    chosen for little padding.

    Args:
        lengths: Tokens of each candidate.
        anchor: Index of the candidate that must run.
        max_tokens: Most padded tokens in the batch, unless the anchor alone is longer.
        max_items: Most pairs in the batch.

    Returns:
        Indices into ``lengths``, ``anchor`` among them, ascending by length.

    Raises:
        ValueError: If a limit is below 1.
        IndexError: If there is no such anchor.
    """
    _check(max_tokens, max_items)
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    low = high = order.index(anchor) if 0 <= anchor < len(lengths) else -1
    if low < 0:
        raise IndexError(f"no candidate {anchor}")
    useful = lengths[anchor]
    while high - low + 1 < max_items:
        best: tuple[int, bool, int] | None = None
        count = high - low + 2
        for down in (True, False):
            index = low - 1 if down else high + 1
            if not 0 <= index < len(order):
                continue
            length = lengths[order[index]]
            area = max(lengths[order[high]], length) * count
            padding = area - useful - length
            fits = area <= max_tokens and (
                padding <= FREE_PADDING or padding <= PADDING_SHARE * area
            )
            if fits and (best is None or padding < best[0]):
                best = (padding, down, length)
        if best is None:
            break
        _, down, length = best
        useful += length
        if down:
            low -= 1
        else:
            high += 1
    return order[low : high + 1]


def _check(max_tokens: int, max_items: int) -> None:
    if max_tokens < 1 or max_items < 1:
        raise ValueError(f"limits below 1: {max_tokens} tokens, {max_items} items")
