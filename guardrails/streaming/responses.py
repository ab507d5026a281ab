"""Streams of OpenAI's Responses: taken apart, closed with a refusal, put right at the end. Pure."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from guardrails._known_fields import SEARCHES
from guardrails.responses import Reading, read
from guardrails.streaming.known import known_response_event
from guardrails.streaming.shapes import Closing, Kind, Piece

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Event = dict[str, Any]
Key = tuple[str, object, object]

# The message that a refusal of ours stands in.
OURS: Final = "msg_guardrails"
ENDS: Final = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}
)
# What the model thinks aloud, or tells itself of the conversation.
_REASONING: Final = frozenset({"reasoning", "compaction"})
_BEGINS: Final = frozenset({"response.created", "response.in_progress", "response.queued"})


def _key(event: Event) -> Key:
    return str(event.get("type")), event.get("output_index"), event.get("content_index")


class ResponsesShape:
    """One stream of Responses. Its only lane is 0."""

    ordered = True  # blocks and items stay where they are

    def __init__(self, *, reasoning: Kind = Kind.ALOUD) -> None:
        """Make one.

        Args:
            reasoning: When reasoning may go out: ORDERED lets it through unchecked, and with it
                what nobody knows.
        """
        self._reasoning = reasoning
        self._holds = reasoning is not Kind.ORDERED
        self.left_out = False
        self._response: Event = {}
        self._whole = False
        self._items: dict[int, Event] = {}  # as they are being written
        self._closed = False
        self._originals: dict[Key, Event] = {}

    def original(self, event: Event) -> Event | None:
        """The provider's own event, for one that went out without the answer it repeats."""
        return self._originals.pop(_key(event), None)

    def _blanked(self, event: Event, **blank: Any) -> Event:
        """The event without the answer: only the outlet knows what of it was delivered."""
        self._originals[_key(event)] = event
        return {**event, **blank}

    # ------------------------------------------------------------------ taking apart

    def split(self, event: Event) -> Sequence[Piece]:  # noqa: PLR0911 - one a kind of event
        """The pieces of an event."""
        if self._holds:
            item = self._items.get(event.get("output_index", -1), {})
            known, left_out = known_response_event(event, item)
            self.left_out |= left_out
            if known is None:
                return ()
            event = known
        name = str(event.get("type"))
        if name in ENDS:
            self._response, self._whole = copy.deepcopy(event.get("response") or {}), True
            if self._closed:
                return ()
            blank = self._blanked(event, response={**self._response, "output": []})
            blank["response"].pop("output_text", None)
            return (Piece(blank, Kind.END, None),)
        if name in _BEGINS:
            self._response = copy.deepcopy(event.get("response") or {})
            begun = {**event, "response": {**self._response, "output": []}}
            begun["response"].pop("output_text", None)
            return (Piece(begun, Kind.ORDERED, None),)
        if "output_index" not in event:
            return (Piece(event, Kind.ORDERED, 0),)
        if name == "response.output_item.added":
            return self._added(event)
        kind = self._kind(self._items.get(event["output_index"], {}))
        if kind is not Kind.TEXT:
            return (Piece(event, kind, 0),)
        return self._of_message(name, event)

    def _added(self, event: Event) -> Sequence[Piece]:
        item = copy.deepcopy(event.get("item") or {})
        kind = self._kind(item)
        self._items[event["output_index"]] = item
        if kind is not Kind.TEXT:
            return (Piece(event, kind, 0),)
        item["content"] = []
        return (Piece({**event, "item": {**item, "content": []}}, Kind.ORDERED, 0),)

    def _of_message(self, name: str, event: Event) -> Sequence[Piece]:
        """An event about a message's text or refusal."""
        match name:
            case "response.content_part.added":
                return self._part(event)
            case "response.output_text.delta":
                text = str(event.get("delta") or "")
                self._add(event, "text", text)
                return (Piece(event, Kind.TEXT, 0, text),)
            case "response.refusal.delta":
                self._add(event, "refusal", str(event.get("delta") or ""))
                return (Piece(event, Kind.ALOUD, 0),)  # its words are not checked
            case "response.output_text.annotation.added":
                return (Piece(event, Kind.ORDERED, 0),)
            case "response.output_item.done":
                item = self._items[event["output_index"]] = copy.deepcopy(event.get("item") or {})
                blank = self._blanked(event, item={**item, "content": []})
            case "response.output_text.done":
                blank = self._blanked(event, text="")
            case "response.refusal.done":
                blank = self._blanked(event, refusal="")
            case "response.content_part.done":
                blank = self._blanked(event, part={"type": (event.get("part") or {}).get("type")})
            case _:
                return (Piece(event, Kind.ORDERED, 0),)
        return (Piece(blank, Kind.ORDERED, 0),)

    def _part(self, event: Event) -> Sequence[Piece]:
        part = copy.deepcopy(event.get("part") or {})
        parts = self._items[event["output_index"]].setdefault("content", [])
        parts.append({**part, "text": ""} if "text" in part else part)
        text = part.get("text")
        if not text:
            return (Piece(event, Kind.ORDERED, 0),)
        place = {key: event[key] for key in ("output_index", "content_index", "item_id")}
        self._add(event, "text", text)
        delta = {"type": "response.output_text.delta", **place, "delta": text, "logprobs": []}
        blank = {**event, "part": {**part, "text": ""}}
        return (Piece(blank, Kind.ORDERED, 0), Piece(delta, Kind.TEXT, 0, text))

    def _add(self, event: Event, key: str, text: str) -> None:
        parts = self._items[event["output_index"]].setdefault("content", [])
        index = event.get("content_index", 0)
        while len(parts) <= index:
            parts.append({"type": "output_text", "text": "", "annotations": []})
        parts[index][key] = f"{parts[index].get(key) or ''}{text}"

    def _kind(self, item: Event) -> Kind:
        name = item.get("type")
        if name == "message":
            return Kind.TEXT
        if name in _REASONING:
            return self._reasoning
        # What the provider's own searches were asked and found is no word of the answer.
        return Kind.ORDERED if name in SEARCHES else Kind.HELD

    # ------------------------------------------------------------------ putting together

    def with_text(self, piece: Piece, text: str) -> Event:
        """A copy of a text delta with another text, and no log probabilities."""
        return {**piece.event, "delta": text, "logprobs": []}

    def closing(self, lane: int, text: str, why: Closing) -> Sequence[Event]:
        """A refusal part behind what was released, and a response that is complete."""
        del lane, why  # the protocol has one form for both
        self._closed = True
        item = {
            "id": OURS,
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        index = max(self._items, default=-1) + 1
        part = {"output_index": index, "item_id": OURS, "content_index": 0}
        refusal = {"type": "refusal", "refusal": text}
        done = {**item, "status": "completed", "content": [refusal]}
        events: list[Event] = [
            {"type": "response.output_item.added", "output_index": index, "item": item},
            {
                "type": "response.content_part.added",
                **part,
                "part": {**refusal, "refusal": ""},
            },
            {"type": "response.refusal.delta", **part, "delta": text},
            {"type": "response.refusal.done", **part, "refusal": text},
            {"type": "response.content_part.done", **part, "part": refusal},
            {"type": "response.output_item.done", "output_index": index, "item": done},
        ]
        # Where its end was seen already it is on its way, behind everything else.
        if self._whole:
            return events
        return [*events, {"type": "response.completed", "response": self._ended()}]

    def _ended(self) -> Event:
        ended = {**copy.deepcopy(self._response), "status": "completed"}
        return {**ended, "output": [], "incomplete_details": None}

    def ending(self, piece: Piece, delivered: Mapping[int, str]) -> Event:
        """The event as it is: the outlet has seen what was delivered, part by part."""
        del delivered
        found: Event = piece.event
        return found

    def attach(self, event: Event, payload: Mapping[str, Any]) -> Event:
        """A copy with the payload; SDKs keep fields they do not know."""
        return {**event, "guardrails": dict(payload)}

    def reading(self) -> Reading:
        """What the response says so far."""
        if self._whole:
            return read({"output": [], **self._response})
        output = [self._items[index] for index in sorted(self._items)]
        return read({**self._response, "output": output})
