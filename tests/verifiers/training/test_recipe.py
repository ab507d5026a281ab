"""Recipes as files, and the learning rate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.training.recipe import Recipe, Stage, load_recipe, save_recipe

STAGES = (Stage("a", 100, {"x": 1.0}, max_length=64), Stage("b", 200, {"y": 2.0}, max_length=64))
RECIPE = Recipe(STAGES, warmup_tokens=50, decay_start=400, decay_tokens=100)


def test_a_recipe_survives_its_file(tmp_path):
    """Written and read back, it is the same value."""
    save_recipe(RECIPE, tmp_path / "r.json")
    assert load_recipe(tmp_path / "r.json") == RECIPE


def test_an_unknown_key_is_an_error(tmp_path):
    """A typo does not pass for a default."""
    path = tmp_path / "r.json"
    path.write_text('{"stages": [], "learning_rate": 1}')
    with pytest.raises(ValueError, match="learning_rate"):
        load_recipe(path)


STAGE = '{"name": "a", "tokens": 9, "weights": {"x": 1}}'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[1]", "holds a list"),
        ('{"stages": 5}', "stages is no list"),
        ('{"stages": [5]}', "stages is no list"),
        ('{"stages": [{"name": "a", "weights": {"x": 1}}]}', "Stage needs tokens"),
        (f'{{"stages": [{STAGE.replace("9", "[9]")}]}}', r"tokens is \[9\], not int"),
        (f'{{"stages": [{STAGE.replace(": 1}", ": NaN}")}]}}', "weights is"),
        (f'{{"stages": [{STAGE}], "lr": "fast"}}', "lr is 'fast', not float"),
        (f'{{"stages": [{STAGE}], "seed": 1.5}}', "seed is 1.5, not int"),
        (f'{{"stages": [{STAGE}], "bf16": "false"}}', "bf16 is 'false', not bool"),
        (f'{{"stages": [{STAGE}], "decay_start": true}}', "decay_start is True"),
    ],
)
def test_a_recipe_of_the_wrong_form_is_named(tmp_path, text, says):
    """By file and key, before anything is trained: "false" in quotes would mean yes."""
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        load_recipe(path)
    assert "r.json" in str(caught.value)


def test_the_rate_rises_stays_and_falls():
    """Zero at the start, one on the plateau, half way down in the middle of the decay, then zero."""
    assert [RECIPE.lr_factor(t) for t in (0, 25, 50, 399, 450, 500, 900)] == [
        0, 0.5, 1, 1, 0.5, 0, 0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("decay_tokens", 0), ("decay_start", -1), ("warmup_tokens", -5), ("pool_batches", 0),
        ("batch_tokens", 0), ("seed", -1), ("lr", 0.0), ("lr", -1.0), ("clip", 0.0), ("ema", 1.0),
        ("smoothing", 7.0), ("dropout", 3.0), ("head_factor", -1.0), ("exit_weight", -1.0),
    ],
)  # fmt: skip
def test_a_number_out_of_range_is_named(field, value):
    """When the recipe is made, and not by a traceback on the way."""
    with pytest.raises(ValueError, match=f"{field} "):
        replace(RECIPE, **{field: value})


@given(st.integers(0, 10_000))
def test_without_decay_the_rate_never_falls(tokens):
    """The stable part has no end, so a later run can go on from it."""
    endless = Recipe(STAGES, warmup_tokens=50, decay_start=None)
    assert endless.lr_factor(tokens + 1) >= endless.lr_factor(tokens)
    assert endless.end is None


def test_stages_by_tokens():
    """Stage borders belong to the later stage; the last one has no end."""
    assert [RECIPE.stage_at(t) for t in (0, 99, 100, 299, 300, 10**9)] == [0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("stages", "match"),
    [
        ((), "at least one"),
        ((Stage("a", 0, {"x": 1.0}),), "no tokens"),
        ((Stage("a", 5, {"x": 0.0}),), "no data"),
        ((Stage("a", 5, {"x": 1.0}, max_length=5_000),), "longer than a batch"),
    ],
)
def test_impossible_recipes_are_refused(stages, match):
    """What could not train is said when it is made."""
    with pytest.raises(ValueError, match=match):
        Recipe(stages)
