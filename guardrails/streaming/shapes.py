"""What the streaming core needs of a protocol: events taken apart into pieces. Pure.

A ``Shape`` is made for one stream and remembers what it has seen. It never changes an event it was
given. An ``Outlet`` stands at the other end, where a protocol numbers its events or repeats the
answer in them: it sees every event that leaves, in order, and puts right what depends on that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardrails.responses import Reading


class Kind(StrEnum):
    """When a piece may go out."""

    TEXT = "text"  # answer text: once it was decided
    ORDERED = "ordered"  # in its place, behind the text before it
    HELD = "held"  # in its place, but only once its lane was decided as a whole
    ALOUD = "aloud"  # as HELD, and dropped when words of the answer were withheld
    END = "end"  # ends a lane or the stream: after everything else


class Closing(StrEnum):
    """Why a lane is closed with a text of ours."""

    REFUSED = "refused"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of an event.

    Attributes:
        event: A native event that carries only this piece.
        kind: When it may go out.
        lane: Which answer it belongs to; None for the stream as such.
        text: The answer text it carries; only of TEXT.
    """

    event: Any = field(repr=False)
    kind: Kind
    lane: int | None
    text: str = field(default="", repr=False)


class Shape(Protocol):
    """One protocol's streams. One instance a stream."""

    def split(self, event: Any) -> Sequence[Piece]:
        """The pieces of an event, in order."""
        ...

    def with_text(self, piece: Piece, text: str) -> Any:
        """A copy of a TEXT event with another text, and nothing that repeats the old one."""
        ...

    def closing(self, lane: int, text: str, why: Closing) -> Sequence[Any]:
        """Events that put ``text`` behind what was released, and end the lane."""
        ...

    def ending(self, piece: Piece, delivered: Mapping[int, str]) -> Any:
        """An END event, rewritten where it repeats the answer, with what was delivered."""
        ...

    def attach(self, event: Any, payload: Mapping[str, Any]) -> Any:
        """A copy of the event with ``payload`` under the key ``guardrails``."""
        ...

    def reading(self) -> Reading:
        """What ``responses.read`` would say of the whole stream so far."""
        ...


class Outlet(Protocol):
    """The last stage before the wire. One instance a stream."""

    def send(self, event: Any) -> Sequence[Any]:
        """What goes out for an event: itself, put right; nothing; or what has to go before it."""
        ...
