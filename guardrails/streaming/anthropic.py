"""Streams of Anthropic's Messages: taken apart, closed with a refusal, numbered again. Pure."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from guardrails.responses import Reading, read
from guardrails.streaming.known import known_message
from guardrails.streaming.shapes import Closing, Kind, Piece

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Event = dict[str, Any]

# Blocks that hold no word of the answer: what the provider's own tools were asked and found.
_BESIDE: Final = ("server_tool_use", "_tool_result", "fallback")
# What it thinks aloud, or tells itself of the conversation.
_REASONING: Final = ("thinking", "redacted_thinking", "compaction")
_CALLS: Final = ("tool_use", "container_upload", "mcp_tool_listing")
# The fields of deltas that are joined, by the field of the block they go to.
_JOINED: Final = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}


class AnthropicShape:
    """One stream of Messages. Its only lane is 0."""

    ordered = True  # blocks and items stay where they are

    def __init__(self, *, reasoning: Kind = Kind.ALOUD) -> None:
        """Make one.

        Args:
            reasoning: When thinking may go out: ORDERED lets it through unchecked, and with it
                what nobody knows.
        """
        self._reasoning = reasoning
        self._holds = reasoning is not Kind.ORDERED
        self.left_out = False
        self._message: Event | None = None
        self._blocks: dict[int, Event] = {}
        self._stopped = False
        self._closed = False

    def split(self, event: Event) -> Sequence[Piece]:  # noqa: PLR0911 - one a kind of event
        """The pieces of an event."""
        if self._holds:
            known, left_out = known_message(event, self._blocks.get(_place(event), {}))
            self.left_out |= left_out
            if known is None:
                return ()
            event = known
        match event.get("type"):
            case "message_start":
                self._message = copy.deepcopy(event.get("message") or {})
                blank = {**event, "message": {**self._message, "content": []}}
                return (Piece(blank, Kind.ORDERED, None),)
            case "content_block_start":
                return self._start(event)
            case "content_block_delta":
                return self._delta(event)
            case "content_block_stop":
                kind = self._kind(self._blocks.get(_place(event), {}))
                return (Piece(event, Kind.ORDERED if kind is Kind.TEXT else kind, 0),)
            case "message_delta":
                return () if self._closed else self._ended(event)
            case "message_stop":
                self._stopped = True
                return () if self._closed else (Piece(event, Kind.END, None),)
            case "ping":
                return (Piece(event, Kind.ORDERED, None),)
            case _:
                # Nobody has told us what it says, and the policy lets it through.
                return (Piece(event, Kind.ORDERED, 0),)

    def _start(self, event: Event) -> Sequence[Piece]:
        index, block = _place(event), copy.deepcopy(event.get("content_block") or {})
        self._blocks[index] = block
        kind = self._kind(block)
        if kind is not Kind.TEXT:
            return (Piece(event, kind, 0),)
        text = block.get("text") or ""
        opened = Piece(
            {**event, "content_block": {**block, "text": ""}} if text else event, Kind.ORDERED, 0
        )
        if not text:
            return (opened,)
        delta = {"type": "text_delta", "text": text}
        begun = {"type": "content_block_delta", "index": index, "delta": delta}
        return (opened, Piece(begun, Kind.TEXT, 0, text))

    def _delta(self, event: Event) -> Sequence[Piece]:
        block = self._blocks.setdefault(_place(event), {"type": "unknown"})
        delta = event.get("delta") or {}
        _joined(block, delta)
        kind = self._kind(block)
        if kind is not Kind.TEXT:
            return (Piece(event, kind, 0),)
        if delta.get("type") == "text_delta":
            return (Piece(event, Kind.TEXT, 0, str(delta.get("text") or "")),)
        return (Piece(event, Kind.ORDERED, 0),)

    def _ended(self, event: Event) -> Sequence[Piece]:
        message = self._message = self._message or {}
        message |= event.get("delta") or {}
        message["usage"] = {**(message.get("usage") or {}), **(event.get("usage") or {})}
        return (Piece(event, Kind.END, 0),)

    def _kind(self, block: Event) -> Kind:
        name = str(block.get("type"))
        if name == "text":
            return Kind.TEXT
        if name in _REASONING:
            return self._reasoning
        if name.endswith(_BESIDE):
            return Kind.ORDERED
        # A call; or something that nobody knows, where the policy lets that through.
        return Kind.HELD if name.endswith(_CALLS) else Kind.ORDERED

    def with_text(self, piece: Piece, text: str) -> Event:
        """A copy of a text delta with another text."""
        return {**piece.event, "delta": {"type": "text_delta", "text": text}}

    def closing(self, lane: int, text: str, why: Closing) -> Sequence[Event]:
        """A text block, and a message that stopped for a refusal."""
        del lane, why  # the protocol has one form for both
        self._closed = True
        index = max(self._blocks, default=-1) + 1
        usage = (self._message or {}).get("usage") or {}
        events: list[Event] = [
            {
                "type": "content_block_start",
                "index": index,
                "content_block": {"type": "text", "text": ""},
            },
            {
                "type": "content_block_delta",
                "index": index,
                "delta": {"type": "text_delta", "text": text},
            },
            {"type": "content_block_stop", "index": index},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "refusal", "stop_sequence": None},
                "usage": {"output_tokens": usage.get("output_tokens", 0)},
            },
        ]
        # Where it was seen already it is on its way, behind everything else.
        return events if self._stopped else [*events, {"type": "message_stop"}]

    def ending(self, piece: Piece, delivered: Mapping[int, str]) -> Event:
        """Nothing at the end of this protocol repeats the answer."""
        del delivered
        found: Event = piece.event
        return found

    def attach(self, event: Event, payload: Mapping[str, Any]) -> Event:
        """A copy with the payload; SDKs keep fields they do not know."""
        return {**event, "guardrails": dict(payload)}

    def reading(self) -> Reading:
        """What the message says so far."""
        message = {"role": "assistant", "stop_reason": None, **(self._message or {})}
        message["content"] = [self._blocks[index] for index in sorted(self._blocks)]
        return read(message)


def _place(event: Event) -> int:
    found = event.get("index", 0)
    return found if isinstance(found, int) else 0


def _joined(block: Event, delta: Event) -> None:
    """Add a delta to our own copy of its block."""
    kind = str(delta.get("type"))
    if kind in _JOINED:
        source, target = _JOINED[kind]
        block[target] = f"{block.get(target) or ''}{delta.get(source) or ''}"
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]


class AnthropicOutlet:
    """Keeps what leaves well formed: blocks one after the other, numbered without gaps."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._open: int | None = None  # by its number upstream

    def send(self, event: Event) -> Sequence[Event]:
        """The event with its new number, behind the end of a block that it cuts off."""
        match event.get("type"):
            case "content_block_start":
                before = self._shut()
                index = event.get("index", 0)
                self._places[index] = len(self._places)
                self._open = index
                return [*before, {**event, "index": self._places[index]}]
            case "content_block_delta" | "content_block_stop":
                index = event.get("index", 0)
                if index != self._open:
                    return []  # of a block that was left out, or has ended
                if event.get("type") == "content_block_stop":
                    self._open = None
                return [{**event, "index": self._places[index]}]
            case "message_delta" | "message_stop":
                return [*self._shut(), event]
            case _:
                return [event]

    def _shut(self) -> list[Event]:
        if self._open is None:
            return []
        index, self._open = self._places[self._open], None
        return [{"type": "content_block_stop", "index": index}]
