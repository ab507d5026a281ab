"""Pairs put together from texts that were tokenised once.

The claims of an answer are read against the same few windows, and every pair is looked at twice,
to be measured and to be scored. Tokenising is dear next to a fast model (for the bundled one in
int8 about a tenth of its own time, done twice), so a text's tokens are kept for a while. Putting
two texts together is exact: tokenizers read the texts of a pair apart and add special tokens.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from verifiers.errors import ModelUnavailable
from verifiers.types import Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from verifiers.backends.tokenizer import PairTokenizer

# Tokens kept, at 4 bytes: some thousands of windows, or one very long text.
_KEPT_TOKENS = 500_000
_PROBE = Pair("The museum opened in 1962.", "It has three floors, not four.")


class Batch(NamedTuple):
    """Arrays of one batch, int64, ``[pairs, longest]``, padded on the right."""

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]
    token_type_ids: NDArray[np.int64]


class _Part(NamedTuple):
    """A stretch of the input: special tokens, or (``text`` 0 or 1) the tokens of a text."""

    text: int | None
    ids: NDArray[np.int32]
    kind: int


class Pieces:
    """Counts and encodes pairs. For one thread."""

    def __init__(self, tokenizer: PairTokenizer, *, kept_tokens: int = _KEPT_TOKENS) -> None:
        """Find out what the tokenizer puts around two texts.

        Args:
            tokenizer: Neither cuts nor pads.
            kept_tokens: Most tokens of texts to remember.

        Raises:
            ModelUnavailable: If it does not read the texts of a pair apart.
        """
        self._tokenizer = tokenizer
        self._most = kept_tokens
        self._kept: OrderedDict[str, NDArray[np.int32]] = OrderedDict()
        self._tokens = 0
        self._parts = _frame(tokenizer)
        self._specials = sum(len(part.ids) for part in self._parts if part.text is None)
        (probe,) = tokenizer.encode([_PROBE])
        batch = self.batch([_PROBE], pad_id=0)
        if [batch.input_ids[0].tolist(), batch.token_type_ids[0].tolist()] != [*probe]:
            raise ModelUnavailable(
                "The tokenizer reads a pair otherwise than its two texts. It was not used.",
                hint="Use backend: torch for this model, or report it with the model's name.",
            )

    def forget(self) -> None:
        """Let go of all texts."""
        self._kept.clear()
        self._tokens = 0

    def lengths(self, pairs: Sequence[Pair]) -> list[int]:
        """The length of each pair with its special tokens."""
        found = self._look_up(pairs)
        return [len(found[a]) + len(found[b]) + self._specials for a, b in pairs]

    def batch(self, pairs: Sequence[Pair], *, pad_id: int) -> Batch:
        """The arrays of a batch, padded to its longest pair; there is at least one."""
        found = self._look_up(pairs)
        longest = self._specials + max(len(found[a]) + len(found[b]) for a, b in pairs)
        shape = (len(pairs), longest)
        ids = np.full(shape, pad_id, dtype=np.int64)
        mask, kinds = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, pair in enumerate(pairs):
            start = 0
            for part in self._parts:
                piece = part.ids if part.text is None else found[pair[part.text]]
                end = start + len(piece)
                ids[row, start:end] = piece
                if part.kind:
                    kinds[row, start:end] = part.kind
                start = end
            mask[row, :start] = 1
        return Batch(ids, mask, kinds)

    def _look_up(self, pairs: Sequence[Pair]) -> dict[str, NDArray[np.int32]]:
        """The tokens of every text of the pairs."""
        found: dict[str, NDArray[np.int32]] = {}
        new: list[str] = []
        for text in dict.fromkeys(text for pair in pairs for text in pair):
            known = self._kept.get(text)
            if known is None:
                new.append(text)
            else:
                self._kept.move_to_end(text)
                found[text] = known
        if new:
            for text, ids in zip(new, self._tokenizer.texts(new), strict=True):
                found[text] = self._kept[text] = np.array(ids, dtype=np.int32)
                self._tokens += len(ids) + 1  # an empty text takes room too
            while self._tokens > self._most:
                self._tokens -= len(self._kept.popitem(last=False)[1]) + 1
        return found


def _frame(tokenizer: PairTokenizer) -> tuple[_Part, ...]:
    """What a pair is made of, in order: special tokens and the places of the two texts."""
    parts: list[_Part] = []
    run: list[tuple[int | None, int, int]] = []

    def close() -> None:
        if run:
            ids: list[int] = [] if run[0][0] is not None else [number for _, number, _ in run]
            parts.append(_Part(run[0][0], np.array(ids, dtype=np.int32), run[0][2]))
            run.clear()

    for token in tokenizer.framed(_PROBE):
        if run and (run[0][0], run[0][2]) != (token[0], token[2]):
            close()
        run.append(token)
    close()
    return tuple(parts)
