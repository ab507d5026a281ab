"""Streams of plain strings: what generator functions of applications yield. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardrails.errors import ResponseUnreadable
from guardrails.report import Usage
from guardrails.responses import Choice, Reading
from guardrails.streaming.chat import ChatShape
from guardrails.streaming.shapes import Closing, Kind, Piece

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardrails.streaming.shapes import Shape


class TextShape:
    """One stream of strings. Its only lane is 0; it ends when the strings do."""

    ordered = False

    def __init__(self) -> None:
        self._parts: list[str] = []

    def split(self, event: Any) -> Sequence[Piece]:
        """The string itself."""
        if not isinstance(event, str):
            raise ResponseUnreadable(
                f"A stream of strings went on with a {type(event).__name__}; it was stopped.",
                hint="Yield strings, or the chunks of a chat completion, not both.",
            )
        self._parts.append(event)
        return (Piece(event, Kind.TEXT, 0, event),)

    def with_text(self, piece: Piece, text: str) -> Any:
        """The other text."""
        del piece
        return text

    def closing(self, lane: int, text: str, why: Closing) -> Sequence[Any]:
        """The text."""
        del lane, why
        return (text,)

    def ending(self, piece: Piece, delivered: Mapping[int, str]) -> Any:
        """There is no such event in this protocol."""
        del delivered
        return piece.event

    def attach(self, event: Any, payload: Mapping[str, Any]) -> Any:
        """The event: a string has no room for a payload."""
        del payload
        return event

    def reading(self) -> Reading:
        """The strings joined, as an answer that came to its end."""
        return Reading((Choice("".join(self._parts), "stop"),), Usage())


class AnyShape:
    """Strings or chat completion chunks, by what comes first."""

    ordered = False

    def __init__(self, *, reasoning: Kind = Kind.ALOUD) -> None:
        """Make one; ``reasoning`` as for chat completions."""
        self._chat = ChatShape(reasoning=reasoning)
        self._shape: Shape = TextShape()
        self._begun = False

    @property
    def left_out(self) -> bool:
        """Whether there were fields that nobody knows."""
        return self._chat.left_out

    def split(self, event: Any) -> Sequence[Piece]:
        """The pieces of an event."""
        if not self._begun:
            self._begun = True
            if not isinstance(event, str):
                self._shape = self._chat
                if not hasattr(event, "choices") and not (
                    isinstance(event, dict) and "choices" in event
                ):
                    kind = type(event)
                    raise ResponseUnreadable(
                        f"Cannot read a stream of {kind.__module__}.{kind.__qualname__}; nothing "
                        "was released.",
                        hint="Yield strings, or the chunks of a chat completion.",
                    )
        return self._shape.split(event)

    def with_text(self, piece: Piece, text: str) -> Any:
        """A copy of a text event with another text."""
        return self._shape.with_text(piece, text)

    def with_rest(self, piece: Piece, text: str) -> Any:
        """A copy with the last words of an event whose others went out before."""
        return getattr(self._shape, "with_rest", self._shape.with_text)(piece, text)

    def closing(self, lane: int, text: str, why: Closing) -> Sequence[Any]:
        """Events that end the lane with a text."""
        return self._shape.closing(lane, text, why)

    def ending(self, piece: Piece, delivered: Mapping[int, str]) -> Any:
        """The end as it goes out."""
        return self._shape.ending(piece, delivered)

    def attach(self, event: Any, payload: Mapping[str, Any]) -> Any:
        """The event with a payload, where it has room."""
        return self._shape.attach(event, payload)

    def reading(self) -> Reading:
        """What the stream says so far."""
        return self._shape.reading()
