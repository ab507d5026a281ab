"""Events of providers without the fields that nobody knows. Pure.

Each function gives its event itself where everything in it is known, else a copy without the rest;
and whether anything was left out that somebody could miss.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from guardrails._known_fields import (
    ANNOTATION,
    ANTHROPIC_BLOCKS,
    ANTHROPIC_DELTAS,
    ANTHROPIC_EVENTS,
    CHAT_ALOUD,
    CHAT_BESIDE,
    CHAT_CALLS,
    CHAT_SOURCES,
    CHOICE,
    CHOICE_OF_TEXT,
    CHUNK,
    CITATION,
    DELTA,
    MESSAGE,
    PARTS,
    RESPONSE,
    RESPONSES_EVENTS,
    RESPONSES_ITEMS,
    TEXT_PART,
    fields_in_item,
    is_short,
    says,
    tokens_fit,
    unknown,
)
from guardrails._response_access import clear, get, is_text, items_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Event = dict[str, Any]

_BESIDE_TEXT = (*CHAT_ALOUD, *CHAT_CALLS, *CHAT_BESIDE)


# --------------------------------------------------------------------------- chat completions


def known_chunk(event: Any) -> tuple[Any, bool]:
    """A chunk of a chat or text completion, as JSON or as an object."""
    choices = items_of(event, "choices")
    if not (
        CHUNK.odd(event)
        or _hollow(event, CHAT_SOURCES)
        or any(_odd_choice(choice) for choice in choices)
    ):
        return event, False
    own = copy.deepcopy(event)
    left_out = CHUNK.strip(own)
    clear(own, _hollow(own, CHAT_SOURCES))
    for choice in items_of(own, "choices"):
        delta = get(choice, "delta")
        left_out |= (CHOICE_OF_TEXT if delta is None else CHOICE).strip(choice)
        if delta is not None:
            left_out |= DELTA.strip(delta)
            clear(delta, _hollow(delta, _BESIDE_TEXT))
            for part in _texts(delta):
                left_out |= TEXT_PART.strip(part)
    return own, left_out


def _odd_choice(choice: Any) -> bool:
    delta = get(choice, "delta")
    if delta is None:
        return bool(CHOICE_OF_TEXT.odd(choice))
    return bool(
        CHOICE.odd(choice)
        or DELTA.odd(delta)
        or _hollow(delta, _BESIDE_TEXT)
        or any(TEXT_PART.odd(part) for part in _texts(delta))
    )


def _hollow(value: Any, keys: Sequence[str]) -> list[str]:
    """The fields that say nothing, in words: names without a value."""
    held = ((key, get(value, key)) for key in keys)
    return [key for key, found in held if found and not says(found) and not is_short(found)]


def _texts(delta: Any) -> list[Any]:
    content = get(delta, "content")
    if not isinstance(content, list):
        return []
    return [part for part in content if not isinstance(part, str) and is_text(part)]


# --------------------------------------------------------------------------- Anthropic


def known_message(event: Event, block: Event) -> tuple[Event | None, bool]:
    """An event of Anthropic's Messages; None for one that nobody knows.

    Args:
        event: The event.
        block: The block it belongs to, as it began; empty for none.
    """
    name = event.get("type")
    known = ANTHROPIC_EVENTS.get(name) if isinstance(name, str) else None
    if known is None:
        return None, True
    kept = dict(known.kept(event))
    match name:
        case "message_start":
            kept["message"] = MESSAGE.kept(_object(event.get("message")))
        case "message_delta":
            kept["delta"] = MESSAGE.kept(_object(event.get("delta")))
        case "content_block_start":
            found = _known_block(_object(event.get("content_block")))
            if found is None:
                return None, True
            kept["content_block"] = found
        case "content_block_delta":
            found = _known_delta(_object(event.get("delta")), str(block.get("type")))
            if found is None:
                return None, True
            kept["delta"] = found
    return (event, False) if kept == event else (kept, _missed(event, kept))


def _known_block(block: Event) -> Event | None:
    known = ANTHROPIC_BLOCKS.get(str(block.get("type")))
    if known is None:
        return None
    kept = dict(known.kept(block))
    if block.get("type") == "text" and block.get("citations") is not None:
        kept["citations"] = [CITATION.kept(_object(mark)) for mark in _list(block["citations"])]
    return kept


def _known_delta(delta: Event, kind: str) -> Event | None:
    known = ANTHROPIC_DELTAS.get(kind, {}).get(str(delta.get("type")))
    if known is None:
        return None
    kept = dict(known.kept(delta))
    if "citation" in kept:
        kept["citation"] = CITATION.kept(_object(kept["citation"]))
    return kept


# --------------------------------------------------------------------------- OpenAI's Responses


def known_response_event(event: Event, item: Event) -> tuple[Event | None, bool]:
    """An event of OpenAI's Responses; None for one that nobody knows.

    Args:
        event: The event.
        item: The item it belongs to, as it began; empty for none.
    """
    name = str(event.get("type"))
    if name in RESPONSES_EVENTS and "response" in RESPONSES_EVENTS[name].read:
        kept = dict(RESPONSES_EVENTS[name].kept(event))
        kept["response"] = _known_response(_object(event.get("response")))
    elif "output_index" in event:
        kind = _object(event.get("item")) if name.startswith("response.output_item.") else item
        known = fields_in_item(name, str(kind.get("type")))
        if known is None or kind.get("type") not in RESPONSES_ITEMS:
            return None, True
        kept = dict(known.kept(event))
        if "item" in kept:
            kept["item"] = _known_item(kind)
        if kind.get("type") == "message":
            kept = _in_message(kept)
    else:
        return None, True
    return (event, False) if kept == event else (kept, _missed(event, kept))


def _known_response(response: Event) -> Mapping[str, Any]:
    kept = RESPONSE.kept(response)
    output = response.get("output")
    if output is None:
        return kept
    items = [_known_item(_object(item)) for item in _list(output)]
    return {**kept, "output": [item for item in items if item is not None]}


def _known_item(item: Event) -> Event | None:
    known = RESPONSES_ITEMS.get(str(item.get("type")))
    if known is None:
        return None
    kept = dict(known.kept(item))
    if item.get("type") == "message" and item.get("content") is not None:
        kept["content"] = [_known_part(_object(part)) for part in _list(item["content"])]
    return kept


def _known_part(part: Event) -> Event:
    """A part of a message. One that nobody knows is left empty: places are counted."""
    known = PARTS.get(str(part.get("type")))
    if known is None:
        return {"type": str(part.get("type")) if is_short(part.get("type"), nested=True) else ""}
    kept = dict(known.kept(part))
    if part.get("annotations") is not None:
        kept["annotations"] = [_known_mark(_object(mark)) for mark in _list(part["annotations"])]
    return _fitting(kept, "text")


def _known_mark(mark: Event) -> Event:
    kept = dict(ANNOTATION.kept(mark))
    for nested in ("url_citation", "file_citation"):
        if nested in kept:
            kept[nested] = ANNOTATION.kept(_object(kept[nested]))
    return kept


def _in_message(event: Event) -> Event:
    match event["type"]:
        case "response.content_part.added" | "response.content_part.done":
            return {**event, "part": _known_part(_object(event.get("part")))}
        case "response.output_text.delta":
            return _fitting(event, "delta")
        case "response.output_text.done":
            return _fitting(event, "text")
        case "response.output_text.annotation.added":
            return {**event, "annotation": _known_mark(_object(event.get("annotation")))}
        case _:
            return event


def _fitting(value: Event, key: str) -> Event:
    """The same without log probabilities that tell of another text than it does."""
    found = value.get("logprobs")
    if found is None or tokens_fit(found, str(value.get(key) or "")) or not says(found):
        return value
    return {**value, "logprobs": []}


# --------------------------------------------------------------------------- what all need


def _object(value: object) -> Event:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _missed(before: Any, after: Any) -> bool:
    """Whether something was left out, however deep, that somebody could miss."""
    if isinstance(before, dict) and isinstance(after, dict):
        return unknown(before, after) or any(
            _missed(held, after[key]) for key, held in before.items() if key in after
        )
    if isinstance(before, list) and isinstance(after, list):
        return len(before) != len(after) or any(map(_missed, before, after))
    return isinstance(after, list) and bool(before)  # something stood in the place of a list
