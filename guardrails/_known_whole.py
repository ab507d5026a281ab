"""Whole responses without the fields that nobody knows, as objects or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from guardrails._known_fields import (
    ANNOTATION,
    ANTHROPIC_BLOCKS,
    CHOICE_OF_MESSAGE,
    CHOICE_OF_TEXT,
    CHUNK,
    CITATION,
    DELTA,
    MESSAGE,
    PARTS,
    RESPONSE,
    RESPONSES_ITEMS,
    TEXT_PART,
)
from guardrails._response_access import get, is_text, items_of, put

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from guardrails._known_fields import Fields
    from guardrails._response_access import Shape

_PARTS: Final[Mapping[str, Fields]] = {**PARTS, "text": PARTS["output_text"]}


def strip_whole(response: Any, shape: Shape) -> None:
    """Take out of a response that is ours what nobody knows; texts, calls and sources stay."""
    if shape in {"chat", "completion"}:
        CHUNK.strip(response)
        for choice in items_of(response, "choices"):
            _strip_choice(choice, get(choice, "message"))
    elif shape == "anthropic":
        MESSAGE.strip(response)
        _strip_listed(response, "content", ANTHROPIC_BLOCKS, is_text)
        for block in items_of(response, "content"):
            _strip_all(block, "citations", CITATION)
    elif shape == "responses":
        RESPONSE.strip(response)
        _strip_listed(response, "output", RESPONSES_ITEMS, _is_message)
        for item in items_of(response, "output"):
            if _is_message(item):
                _strip_listed(item, "content", _PARTS, is_text)
                for part in items_of(item, "content"):
                    _strip_all(part, "annotations", ANNOTATION)


def _is_message(item: object) -> bool:
    return get(item, "type") in {"message", None} and get(item, "content") is not None


def _strip_all(value: object, key: str, known: Fields) -> None:
    for part in items_of(value, key):
        known.strip(part)


def _strip_choice(choice: Any, message: Any) -> None:
    if message is None:
        CHOICE_OF_TEXT.strip(choice)
        return
    CHOICE_OF_MESSAGE.strip(choice)
    DELTA.strip(message)
    content = get(message, "content")
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, str) and is_text(part):
            TEXT_PART.strip(part)


def _strip_listed(
    value: Any, key: str, known: Mapping[str, Fields], is_read: Callable[[object], bool]
) -> None:
    """Leave of a list what is of a known type, and of that what is known.

    What is read as the answer stays, whatever it calls itself: it is checked.
    """
    parts = items_of(value, key)
    kept = []
    for part in parts:
        fields = known.get(str(get(part, "type")))
        if fields is not None:
            fields.strip(part)
        elif not isinstance(part, str) and not is_read(part):
            continue
        kept.append(part)
    if len(kept) != len(parts):
        put(value, key, kept)
