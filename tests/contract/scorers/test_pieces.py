"""Pairs put together from texts are what the tokenizer makes of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers.backends.pieces import Pieces
from verifiers.backends.tokenizer import Encoded, PairTokenizer
from verifiers.errors import ModelUnavailable
from verifiers.types import Pair

if TYPE_CHECKING:
    from pathlib import Path

WORDS = st.text(alphabet="abThe shop sells 30 [SEP]\ud800é👩 .,", max_size=30)


class Counting(PairTokenizer):
    """Notes every text it is asked to tokenise."""

    asked: list[str]

    def texts(self, texts):
        self.asked = [*getattr(self, "asked", []), *texts]
        return super().texts(texts)


@pytest.fixture(scope="module")
def tokenizer(word_tokenizer: Path) -> Counting:
    return Counting.load(word_tokenizer / "tokenizer.json")[0]


@settings(deadline=None, max_examples=60)
@given(pairs=st.lists(st.builds(Pair, WORDS, WORDS), min_size=1, max_size=6))
def test_put_together_as_tokenised_together(tokenizer: Counting, pairs: list[Pair]) -> None:
    """Ids, types, mask and lengths are those of the whole pairs, whatever the texts."""
    pieces = Pieces(tokenizer, kept_tokens=20)
    expected = tokenizer.encode(pairs)
    assert pieces.lengths(pairs) == [len(item.ids) for item in expected]
    batch = pieces.batch(pairs, pad_id=7)
    assert batch.input_ids.dtype == np.int64
    for row, item in enumerate(expected):
        size = len(item.ids)
        assert batch.input_ids[row, :size].tolist() == item.ids
        assert batch.token_type_ids[row, :size].tolist() == item.type_ids
        assert batch.attention_mask[row].tolist() == [1] * size + [0] * (
            batch.input_ids.shape[1] - size
        )
        assert set(batch.input_ids[row, size:].tolist()) <= {7}
        assert not batch.token_type_ids[row, size:].any()


@pytest.mark.parametrize(("before", "after"), [("<s>", "</s>"), ("[CLS]", "[SEP]")])
def test_other_frames(before: str, after: str) -> None:
    """Two separators in a row, or types that are all 0, are found as they are."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({"[UNK]": 0, before: 1, after: 2, "a": 3}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single=f"{before} $A {after}",
        pair=f"{before} $A {after} {after} $B {after}",
        special_tokens=[(before, 1), (after, 2)],
    )
    tokenizer = PairTokenizer(made)
    (item,) = tokenizer.encode([Pair("a b a", "a")])
    batch = Pieces(tokenizer).batch([Pair("a b a", "a")], pad_id=0)
    assert batch.input_ids[0].tolist() == item.ids == [1, 3, 0, 3, 2, 2, 3, 2]
    assert batch.token_type_ids[0].tolist() == item.type_ids


def test_a_text_is_tokenised_once(tokenizer: Counting) -> None:
    """Counting and scoring, and claims on one window, share the work; forgetting undoes it."""
    pieces = Pieces(tokenizer)
    tokenizer.asked = []
    pairs = [Pair("The shop", "sells"), Pair("The shop", "bread"), Pair("sells", "bread")]
    pieces.lengths(pairs)
    pieces.batch(pairs, pad_id=0)
    assert tokenizer.asked == ["The shop", "sells", "bread"]
    pieces.forget()
    pieces.lengths(pairs[:1])
    assert tokenizer.asked[3:] == ["The shop", "sells"]


def test_what_is_kept_is_bounded(tokenizer: Counting) -> None:
    """The texts used last stay; one that is longer than the whole bound stays not at all."""
    pieces = Pieces(tokenizer, kept_tokens=9)
    pairs = [Pair("a " * 3, "b"), Pair("c", "d")]
    for pair in (*pairs, pairs[1]):
        pieces.lengths([pair])
    tokenizer.asked = []
    pieces.lengths([pairs[1]])
    assert tokenizer.asked == []
    pieces.lengths([pairs[0]])
    assert tokenizer.asked == ["a " * 3]
    long = Pair("a " * 50, "")
    assert pieces.lengths([long]) == [53]
    tokenizer.asked = []
    pieces.lengths([long])
    assert tokenizer.asked[0] == "a " * 50


def test_a_tokenizer_that_reads_pairs_otherwise_is_refused(word_tokenizer: Path) -> None:
    """Where a pair is not its two texts, it is told at load."""

    class Odd(PairTokenizer):
        def encode(self, pairs):
            return [Encoded(item.ids[::-1], item.type_ids) for item in super().encode(pairs)]

    with pytest.raises(ModelUnavailable, match="reads a pair otherwise"):
        Pieces(Odd.load(word_tokenizer / "tokenizer.json")[0])
