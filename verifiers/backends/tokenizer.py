"""A pair tokenizer that never cuts and never pads. The only import of ``tokenizers``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple, Self

from tokenizers import Tokenizer

from verifiers.errors import ModelUnavailable
from verifiers.types import Pair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LONE = re.compile("[\ud800-\udfff]")


class Encoded(NamedTuple):
    """One pair as the model reads it, uncut and unpadded."""

    ids: list[int]
    type_ids: list[int]


class EncodedHypothesis(NamedTuple):
    """A pair, and where in it the tokens of its second text stand.

    ``places`` are positions in ``ids``; ``spans`` the code points of the second text each of them
    covers, ``[start, end)``.
    """

    encoded: Encoded
    places: list[int]
    spans: list[tuple[int, int]]


def well_formed(text: str) -> str:
    """``text`` with lone surrogates, which no encoding carries, as U+FFFD. Keeps its length."""
    return _LONE.sub("\ufffd", text) if not text.isascii() else text


# For a look at what is put around a pair's texts.
_PLAIN = Pair("The museum is open.", "It is closed.")
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
        self._highest: int | None = None
        known = (tokenizer.token_to_id(token) for token in _PAD_TOKENS)
        found = next((number for number in known if number is not None), 0)
        self.pad_id: int = padding["pad_id"] if padding else found

    @property
    def highest(self) -> int:
        """The largest token id of the vocabulary, added tokens included; -1 without tokens."""
        if self._highest is None:
            vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
            self._highest = max(vocabulary.values(), default=-1)
        return self._highest

    @classmethod
    def load(cls, path: Path) -> tuple[Self, bytes]:
        """Read a ``tokenizer.json``; the tokenizer and the file's content.

        Raises:
            ModelUnavailable: If the file is missing, is no tokenizer, or contradicts itself on
                the ids of its tokens.
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
            own, added = _listed(content)
        except Exception as exc:
            # The library raises plain Exception for a file it cannot read.
            raise ModelUnavailable(
                f"{path} is no tokenizer this version of `tokenizers` can read.",
                hint="It is truncated or corrupt, or newer than the library: fetch it again, or"
                " upgrade `tokenizers`.",
            ) from exc
        made = cls(tokenizer)
        # Told by the file's own text: the library's list of a vocabulary takes longer to make.
        made._highest = max(own, *tokenizer.get_added_tokens_decoder(), -1)
        made.require_own_ids(str(path), added)
        return made, content

    def require_own_ids(self, source: str, added: Mapping[str, int] | None = None) -> None:
        """See that tokens are put in, and were added, with the ids the vocabulary has for them.

        The library takes a template's ids as they are, and gives a token that was added another
        id than the file says where that one is taken or not the next. It tells nobody.

        Args:
            source: Where the tokenizer is from, for the message.
            added: The ids that its file gives to tokens added to the vocabulary.

        Raises:
            ModelUnavailable: If not.
        """
        for token, number in (*(added or {}).items(), *self.specials().items()):
            known = self.token_id(token)
            if known != number:
                raise ModelUnavailable(
                    f"{source} has the token {token!r} as {number}, but its vocabulary has"
                    f" {'none such' if known is None else f'it as {known}'}. It was not used.",
                    hint="It was put together from files of different models: fetch the model"
                    " again.",
                )

    def specials(self) -> dict[str, int]:
        """The tokens put around the texts of a pair, and the ids that are put there."""
        encoding = self._tokenizer.encode(*_PLAIN)
        found = zip(encoding.tokens, encoding.ids, encoding.sequence_ids, strict=True)
        return {token: number for token, number, text in found if text is None}

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

    def texts(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text alone, without special tokens."""
        batch = [well_formed(text) for text in texts]
        return [
            encoding.ids
            for encoding in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        ]

    def framed(self, pair: Pair) -> list[tuple[int | None, int, int]]:
        """Each token of a pair: of which of its texts (None for special tokens), id, type id."""
        encoding = self._tokenizer.encode(pair.premise, pair.hypothesis)
        texts: list[int | None] = encoding.sequence_ids
        return list(zip(texts, encoding.ids, encoding.type_ids, strict=True))

    def token_id(self, token: str) -> int | None:
        """The id of a token by its exact text in the vocabulary."""
        found: int | None = self._tokenizer.token_to_id(token)
        return found

    def frame(self) -> tuple[list[int], list[int]]:
        """The special tokens put before and after a single text."""
        text = "a"
        bare = self._tokenizer.encode(text, add_special_tokens=False).ids
        full = self._tokenizer.encode(text).ids
        for start in range(len(full) - len(bare) + 1):
            if full[start : start + len(bare)] == bare:
                return full[:start], full[start + len(bare) :]
        raise ModelUnavailable(
            "The tokenizer changes a text when it adds special tokens. It was not used.",
            hint="Fetch the model again, or report this with the model's name.",
        )

    def whole(self, text: str) -> list[int]:
        """The ids of one text in which special tokens are read as such. For comparing, not use."""
        other = Tokenizer.from_str(self._tokenizer.to_str())
        other.encode_special_tokens = False
        ids: list[int] = other.encode(text).ids
        return ids

    def hypotheses(self, pairs: Sequence[Pair]) -> list[EncodedHypothesis]:
        """Pairs with the places of their hypothesis's tokens."""
        batch = [(well_formed(pair.premise), well_formed(pair.hypothesis)) for pair in pairs]
        found = []
        for encoding in self._tokenizer.encode_batch(batch):
            places = [i for i, text in enumerate(encoding.sequence_ids) if text == 1]
            found.append(
                EncodedHypothesis(
                    Encoded(encoding.ids, encoding.type_ids),
                    places,
                    [encoding.offsets[i] for i in places],
                )
            )
        return found


def _listed(content: bytes) -> tuple[int, dict[str, int]]:
    """The largest id of a file's own vocabulary, and the ids it gives to tokens added to that."""
    raw = json.loads(content)
    vocabulary = raw["model"]["vocab"]
    # Pieces of a Unigram model are a list; others map a token to its id.
    ids = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
    added = {token["content"]: token["id"] for token in raw.get("added_tokens") or ()}
    return max(ids, default=-1), added
