"""Bucketing properties, and a position that fixes the future."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers.training.data import Pairs
from verifiers.training.recipe import Recipe, Stage
from verifiers.training.sampling import Position, Sampler, collate, pack


def make_pairs(sizes: dict[str, list[int]]) -> Pairs:
    """Pairs with given total lengths; each row's tokens are its number."""
    names = tuple(sizes)
    lengths = [size - 3 for name in names for size in sizes[name]]
    datasets = [i for i, name in enumerate(names) for _ in sizes[name]]
    return Pairs(
        tokens=np.repeat(np.arange(len(lengths)), lengths).astype(np.uint16),
        starts=np.cumsum([0, *lengths]).astype(np.int64),
        cuts=np.array([n // 2 for n in lengths], np.int32),
        labels=np.array([i % 4 for i in range(len(lengths))], np.int8),
        datasets=np.array(datasets, np.int16),
        names=names,
    )


PAIRS = make_pairs({"a": [5 + i % 30 for i in range(200)], "b": [40 + i % 20 for i in range(90)]})


def recipe(**kwargs: object) -> Recipe:
    stages = (
        Stage("one", 3_000, {"a": 3.0, "b": 1.0}, max_length=50),
        Stage("two", 3_000, {"b": 1.0}, max_length=64, min_length=45),
    )
    return Recipe(**{"stages": stages, "batch_tokens": 256, "pool_batches": 4, **kwargs})


@given(st.lists(st.integers(1, 100), max_size=200), st.integers(100, 400))
def test_pack_keeps_every_row_once_and_to_the_budget(lengths, budget):
    """Each row is in exactly one batch, and rows times longest is never over the budget."""
    batches = pack(lengths, max_tokens=budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len(b) * max(lengths[i] for i in b) <= budget for b in batches)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=200))
def test_pack_orders_lengths_so_that_batches_do_not_overlap(lengths):
    """No batch holds a row shorter than the longest of the batch before."""
    batches = pack(lengths, max_tokens=300)
    for before, after in pairwise(batches):
        assert max(lengths[i] for i in before) <= min(lengths[i] for i in after)


@given(st.lists(st.integers(1, 60), min_size=2, max_size=100))
def test_pack_wastes_no_batch(lengths):
    """Two neighbouring batches never fit in one."""
    batches = pack(lengths, max_tokens=128)
    for before, after in pairwise(batches):
        first = min(lengths[i] for i in after)
        assert (len(before) + 1) * first > 128


def test_pack_refuses_a_row_over_the_budget():
    """A row that alone is too long is an error, not a batch over the budget."""
    with pytest.raises(ValueError, match="over the budget"):
        pack([10, 500], max_tokens=256)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 80))
def test_any_saved_position_leads_to_the_same_batches(stop):
    """A sampler made from a saved position hands out what the first one would have."""
    one = Sampler(PAIRS, recipe())
    for _ in range(stop):
        one.next()
    saved = Position(**copy.deepcopy(one.position.to_json()))
    expected = [one.next().tolist() for _ in range(30)]
    two = Sampler(PAIRS, recipe(), saved)
    assert [two.next().tolist() for _ in range(30)] == expected
    assert one.position.to_json() == two.position.to_json()


def test_stages_follow_each_other_with_their_lengths_and_data():
    """Rows come from the stage's data sets, within its lengths."""
    sampler = Sampler(PAIRS, recipe())
    lengths = PAIRS.lengths
    while True:
        batch = sampler.next()
        if recipe().stage_at(sampler.position.pool_tokens) == 1:
            break
        assert lengths[batch].max() <= 50
    for _ in range(20):
        assert {PAIRS.names[d] for d in PAIRS.datasets[batch]} == {"b"}
        assert lengths[batch].min() >= 45
        batch = sampler.next()


def test_every_row_is_seen_before_any_is_seen_again():
    """Within one data set the stream is a permutation, then another."""
    pairs = make_pairs({"a": [20] * 97})
    stage = Stage("only", 10**6, {"a": 1.0}, max_length=64)
    sampler = Sampler(pairs, Recipe((stage,), batch_tokens=100, pool_batches=3))
    # Batches are shuffled inside a pool, so whole pools are counted.
    seen: list[int] = []
    while len(seen) < 97 * 2:
        seen += sampler.next().tolist()
    counts = np.bincount(seen, minlength=97)
    assert counts.min() >= 1
    assert counts.max() <= 3


def test_adding_data_leaves_the_order_of_the_others_alone():
    """A data set that comes later does not reorder what a stage without it draws."""
    more = make_pairs(
        {
            "a": [5 + i % 30 for i in range(200)],
            "b": [40 + i % 20 for i in range(90)],
            "c": [30] * 50,
        }
    )
    one, two = Sampler(PAIRS, recipe()), Sampler(more, recipe())
    assert all(one.next().tolist() == two.next().tolist() for _ in range(20))


def test_another_seed_gives_another_order():
    """The seed decides."""
    one, two = Sampler(PAIRS, recipe(seed=1)), Sampler(PAIRS, recipe(seed=2))
    assert one.next().tolist() != two.next().tolist()


def test_unknown_data_is_an_error():
    """A recipe that names data which is not there does not train on the rest in silence."""
    stage = Stage("x", 10, {"nowhere": 1.0}, max_length=64)
    with pytest.raises(ValueError, match="nowhere"):
        Sampler(PAIRS, Recipe((stage,), batch_tokens=64))


def test_a_stage_with_no_row_of_its_length_is_an_error():
    """And so is a stage that nothing fits."""
    stage = Stage("x", 10, {"a": 1.0}, max_length=64, min_length=60)
    with pytest.raises(ValueError, match="no row"):
        Sampler(PAIRS, Recipe((stage,), batch_tokens=64))


def test_collate_lays_out_a_pair_as_the_template_says():
    """[CLS] premise [SEP] hypothesis [SEP], types 0 and 1, padding masked."""
    pairs = make_pairs({"a": [7, 9]})
    arrays = collate(pairs, [0, 1], cls=101, sep=102, pad=0)
    assert arrays["input_ids"].tolist() == [
        [101, 0, 0, 102, 0, 0, 102, 0, 0],
        [101, 1, 1, 1, 102, 1, 1, 1, 102],
    ]
    assert arrays["attention_mask"].tolist() == [[1] * 7 + [0] * 2, [1] * 9]
    assert arrays["token_type_ids"].tolist() == [
        [0, 0, 0, 0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 1, 1, 1, 1],
    ]
    assert arrays["labels"].tolist() == [0, 1]
