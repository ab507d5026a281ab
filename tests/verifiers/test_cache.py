"""Cache keys hold everything that changes the answer; the memory cache is bounded and safe."""

from __future__ import annotations

import threading
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.cache import MemoryCache, cache_key, cache_keys
from verifiers.types import ModelInfo, NLIProbs, Pair

INFO = ModelInfo("m", "r", "onnx", 512, "none", "fp32", ("e", "n", "c"))
PROBS = NLIProbs(0.5, 0.3, 0.2)
# Lone surrogates too: they are what JSON and UTF-8 disagree about.
text = st.text(st.characters(codec=None), max_size=20)
infos = st.builds(
    ModelInfo, text, text, text, st.integers(1, 9999), text, text, st.lists(text).map(tuple)
)
pairs = st.builds(Pair, text, text)


@given(infos, pairs, infos, pairs)
def test_keys_are_equal_only_for_equal_parts(a: ModelInfo, p: Pair, b: ModelInfo, q: Pair) -> None:
    """Two keys are equal exactly if model and texts are."""
    assert (cache_key(a, p) == cache_key(b, q)) == ((a, p) == (b, q))


@pytest.mark.parametrize("name", [field.name for field in fields(ModelInfo)])
def test_every_field_of_the_model_counts(name: str) -> None:
    """Changing any one thing the model is changes the key: a new field cannot be forgotten."""
    value = getattr(INFO, name)
    other = (
        value + 1 if isinstance(value, int) else (value[::-1] if name == "labels" else value + "x")
    )
    assert cache_key(INFO, Pair("p", "h")) != cache_key(
        replace(INFO, **{name: other}), Pair("p", "h")
    )


@given(text, text, st.integers(0, 20))
def test_texts_do_not_run_into_each_other(a: str, b: str, cut: int) -> None:
    """Moving the border between premise and hypothesis changes the key."""
    joined = a + b
    moved = Pair(joined[:cut], joined[cut:])
    assert (cache_key(INFO, Pair(a, b)) == cache_key(INFO, moved)) == (Pair(a, b) == moved)


def test_the_layout_is_pinned() -> None:
    """A key once written is found again by later versions, until the tag changes."""
    assert cache_key(INFO, Pair("premise", "hypothesis")) == KEY
    assert cache_keys(INFO, [Pair("premise", "hypothesis")]) == [KEY]


KEY = "v1:b2:b5f3aff06317e7d1a598caff442969f4c502201dd3a75160"


def test_least_recently_used_gives_way() -> None:
    """Reading renews; the bound holds."""
    cache = MemoryCache(max_entries=2)
    cache.put_many({"a": PROBS, "b": PROBS})
    assert cache.get_many(["a"]) == [PROBS]
    cache.put_many({"c": PROBS})
    assert cache.get_many(["a", "b", "c"]) == [PROBS, None, PROBS]
    assert len(cache) == 2
    cache.clear()
    assert len(cache) == 0


def test_a_cache_holds_something() -> None:
    """A bound below one is a mistake."""
    with pytest.raises(ValueError, match="at least one"):
        MemoryCache(max_entries=0)


def test_many_threads() -> None:
    """Concurrent use neither fails nor breaks the bound."""
    cache = MemoryCache(max_entries=50)
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            for i in range(300):
                cache.put_many({f"{(number * 7 + i) % 90}": PROBS})
                cache.get_many([f"{i % 90}"])
        except Exception as exc:  # noqa: BLE001 - reported below
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(cache) == 50
