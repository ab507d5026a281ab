"""The last stage of a stream of OpenAI's Responses: it numbers, and repeats only what was sent.

Its events repeat the answer up to four times: when a text, its part, its item and the response are
done. Here each of them says what was delivered, whatever was taken out, cut off or put behind it on
the way. A stream that nobody changed leaves as it came, event by event.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from guardrails.streaming.responses import ENDS, OURS, ResponsesShape

if TYPE_CHECKING:
    from collections.abc import Sequence

Event = dict[str, Any]

_KEYS: Final = {"output_text": "text", "refusal": "refusal"}
_NAMES: Final = {"output_text": "response.output_text", "refusal": "response.refusal"}


@dataclass(slots=True)
class _Part:
    """One part of a message, as far as it was sent."""

    kind: str
    place: int
    said: list[str] = field(default_factory=list)
    text_done: bool = False
    done: bool = False

    @property
    def text(self) -> str:
        return "".join(self.said)

    def written(self, original: Event | None) -> Event:
        """The part with what was sent. As the provider wrote it where that says the same."""
        key = _KEYS[self.kind]
        if original is not None and original.get(key) == self.text:
            return original
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": self.text}
        return {"type": self.kind, "annotations": [], "logprobs": [], "text": self.text}


@dataclass(slots=True)
class _Item:
    """One item that was sent."""

    place: int
    item: Event
    parts: dict[int, _Part] = field(default_factory=dict)
    done: bool = False

    def written(self, original: Event | None) -> Event:
        """The item with what was sent."""
        found = original or {**self.item, "status": "completed"}
        if found.get("type") != self.item.get("type"):
            found = {**self.item, "status": "completed"}  # by that name another thing was sent
        if self.item.get("type") != "message":
            return found
        before = found.get("content") or ()
        content = [
            part.written(before[index] if index < len(before) else None)
            for index, part in sorted(self.parts.items(), key=lambda entry: entry[1].place)
        ]
        return found if content == list(before) else {**found, "content": content}


class ResponsesOutlet:
    """Sees every event that leaves one stream."""

    def __init__(self, shape: ResponsesShape) -> None:
        """Make one.

        Args:
            shape: The same stream's; it keeps the provider's own words for what repeats them.
        """
        self._shape = shape
        self._items: dict[int, _Item] = {}
        self._sequence: int | None = None
        self._refused = False

    def send(self, event: Event) -> Sequence[Event]:
        """What goes out for an event, numbered."""
        if self._sequence is None:
            first = event.get("sequence_number")
            self._sequence = first if isinstance(first, int) else 0
        out = []
        for found in self._put_right(event):
            out.append({**found, "sequence_number": self._sequence})
            self._sequence += 1
        return out

    def _put_right(self, event: Event) -> Sequence[Event]:  # noqa: PLR0911 - one a kind of event
        original = self._shape.original(event)
        if original is not None:
            ours = {"guardrails": event["guardrails"]} if "guardrails" in event else {}
            event = {**original, **ours}
        name = str(event.get("type"))
        if name in ENDS:
            return self._end(event)
        if "output_index" not in event:
            return [event]
        index = event["output_index"]
        if name == "response.output_item.added":
            item = _Item(len(self._items), copy.deepcopy(event.get("item") or {}))
            before = self._cut() if item.item.get("id") == OURS else []
            self._items[index] = item
            return [*before, {**event, "output_index": item.place}]
        known = self._items.get(index)
        if known is None or known.done:
            return []  # of an item that was left out, or has ended
        placed = {**event, "output_index": known.place}
        if name == "response.output_item.done":
            before = self._shut(known, parts_only=True)
            known.done = True
            return [*before, {**placed, "item": known.written(event.get("item"))}]
        if "content_index" in event and known.item.get("type") == "message":
            return self._of_part(name, placed, known)
        return [placed]

    def _of_part(  # noqa: PLR0911 - one a kind of event
        self, name: str, event: Event, item: _Item
    ) -> Sequence[Event]:
        index = event["content_index"]
        if name == "response.content_part.added":
            before = self._shut(item, parts_only=True)
            kind = str((event.get("part") or {}).get("type"))
            if kind not in _KEYS:
                return []
            item.parts[index] = part = _Part(kind, len(item.parts))
            self._refused |= kind == "refusal"
            return [*before, {**event, "content_index": part.place}]
        found = item.parts.get(index)
        if found is None or found.done:
            return []
        event = {**event, "content_index": found.place}
        match name:
            case "response.output_text.delta" | "response.refusal.delta":
                found.said.append(str(event.get("delta") or ""))
                return [event]
            case "response.output_text.done" | "response.refusal.done":
                found.text_done = True
                key = _KEYS[found.kind]
                if event.get(key) == found.text:
                    return [event]
                cleared: Event = {"logprobs": []} if "logprobs" in event else {}
                return [{**event, key: found.text, **cleared}]
            case "response.content_part.done":
                before = self._text_done(item, found)
                found.done = True
                return [*before, {**event, "part": found.written(event.get("part"))}]
            case _:
                return [event]

    def _text_done(self, item: _Item, part: _Part) -> list[Event]:
        if part.text_done:
            return []
        part.text_done = True
        name, key = _NAMES[part.kind], _KEYS[part.kind]
        extra: Event = {"logprobs": []} if key == "text" else {}
        return [{"type": f"{name}.done", **_place(item, part), key: part.text, **extra}]

    def _shut(self, item: _Item, *, parts_only: bool = False) -> list[Event]:
        """The ends of what is still open in an item, and of the item."""
        out: list[Event] = []
        for part in item.parts.values():
            if not part.done:
                out += self._text_done(item, part)
                part.done = True
                out.append(
                    {
                        "type": "response.content_part.done",
                        **_place(item, part),
                        "part": part.written(None),
                    }
                )
        if not parts_only and not item.done:
            item.done = True
            out.append(
                {
                    "type": "response.output_item.done",
                    "output_index": item.place,
                    "item": item.written(None),
                }
            )
        return out

    def _cut(self) -> list[Event]:
        """The ends of everything that is still open."""
        return [found for item in self._items.values() for found in self._shut(item)]

    def _end(self, event: Event) -> Sequence[Event]:
        before = self._cut()
        response = event.get("response") or {}
        originals = {item.get("id"): item for item in response.get("output") or ()}
        output = [item.written(originals.get(item.item.get("id"))) for item in self._items.values()]
        changed: Event = {} if output == response.get("output") else {"output": output}
        if "output_text" in response:
            said = "".join(
                part.text
                for item in self._items.values()
                for part in item.parts.values()
                if part.kind == "output_text"
            )
            if said != response["output_text"]:
                changed["output_text"] = said
        name = event["type"]
        if self._refused and changed and name != "response.failed":
            # A refusal is a whole answer: the SDK's helpers wait for this very event.
            name = "response.completed"
            changed |= {"status": "completed", "incomplete_details": None}
        if not changed:
            return [*before, event]
        return [*before, {**event, "type": name, "response": {**response, **changed}}]


def _place(item: _Item, part: _Part) -> Event:
    return {
        "item_id": item.item.get("id"),
        "output_index": item.place,
        "content_index": part.place,
    }
