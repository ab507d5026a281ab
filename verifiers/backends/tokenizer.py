"""A pair tokenizer that never cuts and never pads. The only import of ``tokenizers``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Self

from tokenizers import Tokenizer

from verifiers.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verifiers.types import Pair

_LONE = re.compile("[\ud800-\udfff]")


class Encoded(NamedTuple):
    """One pair as the model reads it, uncut and unpadded."""

    ids: list[int]
    type_ids: list[int]


def well_formed(text: str) -> str:
    """``text`` with lone surrogates, which no encoding carries, as U+FFFD. Keeps its length."""
    return _LONE.sub("\ufffd", text) if not text.isascii() else text


_PAD_TOKENS = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>")


class PairTokenizer:
    """A tokenizer that neither cuts nor pads, and reads special tokens in a text as text.

    Thread-safe: nothing changes after construction.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Take over a tokenizer; its own cutting and padding are switched off.

        Files often carry the cutting and padding their author trained with.
        """
        padding = tokenizer.padding
        tokenizer.no_truncation()
        tokenizer.no_padding()
        # "[SEP]" in an answer is text. Read as the separator, it would let the answer choose where
        # the premise ends.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        known = (tokenizer.token_to_id(token) for token in _PAD_TOKENS)
        found = next((number for number in known if number is not None), 0)
        self.pad_id: int = padding["pad_id"] if padding else found

    @classmethod
    def load(cls, path: Path) -> tuple[Self, bytes]:
        """Read a ``tokenizer.json``; the tokenizer and the file's content.

        Raises:
            ModelUnavailable: If the file is missing or is no tokenizer.
        """
        try:
            content = path.read_bytes()
        except OSError as exc:
            raise ModelUnavailable(
                f"Cannot read the tokenizer {path}: {exc.strerror or type(exc).__name__}.",
                hint="The folder of a model holds its tokenizer.json beside the weights.",
            ) from exc
        try:
            tokenizer = Tokenizer.from_buffer(content)
        except Exception as exc:
            # The library raises plain Exception for a file it cannot read.
            raise ModelUnavailable(
                f"{path} is no tokenizer this version of `tokenizers` can read.",
                hint="It is truncated or corrupt, or newer than the library: fetch it again, or"
                " upgrade `tokenizers`.",
            ) from exc
        return cls(tokenizer), content

    def encode(self, pairs: Sequence[Pair]) -> list[Encoded]:
        """The ids of each pair with its special tokens."""
        batch = [(well_formed(pair.premise), well_formed(pair.hypothesis)) for pair in pairs]
        return [
            Encoded(encoding.ids, encoding.type_ids)
            for encoding in self._tokenizer.encode_batch(batch)
        ]

    def count_pairs(self, pairs: Sequence[Pair]) -> list[int]:
        """The length of each pair with its special tokens."""
        batch = [(well_formed(pair.premise), well_formed(pair.hypothesis)) for pair in pairs]
        return [len(encoding) for encoding in self._tokenizer.encode_batch_fast(batch)]

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text without special tokens."""
        batch = [well_formed(text) for text in texts]
        return [
            len(encoding)
            for encoding in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        ]
