"""Copies of what a caller passed in, so that nothing of theirs is ever changed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any


def own_copy(value: Any) -> Any:
    """The same value in containers of our own.

    Dicts, lists and tuples are copied all the way down, messages that are objects too. Anything
    else (a client, a lock, a function) is the caller's own: it may not be possible to copy it, and
    two of it may not be wanted.
    """
    return _copied(value, {})


def _copied(value: Any, seen: dict[int, Any]) -> Any:
    if id(value) in seen:  # a container inside itself
        return seen[id(value)]
    if isinstance(value, dict):
        made: dict[Any, Any] = {}
        seen[id(value)] = made
        made.update((key, _copied(item, seen)) for key, item in value.items())
        return made
    if isinstance(value, list):
        items: list[Any] = []
        seen[id(value)] = items
        items.extend(_copied(item, seen) for item in value)
        return items
    if type(value) is tuple:
        return tuple(_copied(item, seen) for item in value)
    return copy.deepcopy(value) if hasattr(value, "model_dump") else value


def listed(value: Any) -> Any:
    """A value that can be read more than once: an iterator as a list, others as they are."""
    return list(value) if isinstance(value, Iterator) else value
