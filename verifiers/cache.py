"""Scores kept by what they depend on, and nothing else.

A key is a tagged hash over canonical JSON of everything that changes the answer: model name,
revision, backend, numeric form, calibration, labels, longest input, and the two texts. The tag
(``v1:b2:``) names the layout and the hash, so that either can change without old entries being
read as new ones.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import asdict
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.types import ModelInfo, NLIProbs, Pair

KEY_VERSION = "v1:b2:"


def cache_keys(info: ModelInfo, pairs: Sequence[Pair]) -> list[str]:
    """The key of each pair under this model, in order."""
    model = _canonical(asdict(info))
    return [_key(model, pair) for pair in pairs]


def cache_key(info: ModelInfo, pair: Pair) -> str:
    """The key of one pair under this model.

    Two keys are equal only if every field of ``info`` and both texts are equal. A backend that
    reads its input through a template, or its labels through a mapping, says so in ``info``.
    """
    return _key(_canonical(asdict(info)), pair)


def _key(model: str, pair: Pair) -> str:
    payload = f'{{"model":{model},"pair":{_canonical([pair.premise, pair.hypothesis])}}}'
    return KEY_VERSION + blake2b(payload.encode("ascii"), digest_size=24).hexdigest()


def _canonical(value: object) -> str:
    # Escaping everything beyond ASCII keeps lone surrogates apart too, which UTF-8 cannot.
    return json.dumps(
        value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


class MemoryCache:
    """The most recently used scores, in this process, bounded by entries. Thread-safe."""

    def __init__(self, max_entries: int = 100_000) -> None:
        """Make an empty cache.

        Args:
            max_entries: Where the least recently used entry gives way; some 400 bytes each.

        Raises:
            ValueError: If ``max_entries`` is below 1.
        """
        if max_entries < 1:
            raise ValueError("a cache holds at least one entry")
        self._max_entries = max_entries
        self._entries: OrderedDict[str, NLIProbs] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def get_many(self, keys: Sequence[str]) -> list[NLIProbs | None]:
        """What is stored for each key, in order; None where there is nothing."""
        found: list[NLIProbs | None] = []
        with self._lock:
            for key in keys:
                probs = self._entries.get(key)
                if probs is not None:
                    self._entries.move_to_end(key)
                found.append(probs)
        return found

    def put_many(self, items: Mapping[str, NLIProbs]) -> None:
        """Store all items; the least recently used give way."""
        with self._lock:
            for key, probs in items.items():
                self._entries[key] = probs
                self._entries.move_to_end(key)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
