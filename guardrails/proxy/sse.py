"""Server-sent events: a reader for whatever bytes come, and a writer. Pure, no I/O.

The reader follows the WHATWG rules (CR, LF and CRLF end lines; comments; several data lines; one
blank after the colon; a byte order mark) and adds one of its own: an event has a greatest size, so
that a server that never ends one cannot fill the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from guardrails.errors import ResponseUnreadable

LIMIT_BYTES: Final = 32 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its name, or an empty string, and its data as bytes."""

    event: str
    data: bytes


class EventReader:
    """Bytes in, cut anywhere; events out as soon as their blank line is there."""

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        """Make a reader of one stream.

        Args:
            limit: The greatest size of one event, in bytes.
        """
        self._limit = limit
        self._line: list[bytes] = []  # of a line that has not ended
        self._line_size = 0
        self._after_cr = False
        self._started = False
        self._event = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that end in ``chunk``.

        Raises:
            ResponseUnreadable: If an event is greater than the limit.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[:1] == b"\n":  # the other half of a CRLF
                chunk = chunk[1:]
        if b"\n" not in chunk and b"\r" not in chunk:
            self._keep(chunk)
            return []
        self._after_cr = chunk[-1:] == b"\r"
        events: list[ServerEvent] = []
        for line in chunk.splitlines(keepends=True):
            if line[-1] not in b"\r\n":
                self._keep(line)
                continue
            text = line.rstrip(b"\r\n")
            if self._line:
                self._keep(text)
                text = b"".join(self._line)
                self._line, self._line_size = [], 0
            if not self._started:
                self._started = True
                text = text.removeprefix(_BOM)
            if text:
                self._field(text)
            elif self._data:
                events.append(ServerEvent(self._event, b"\n".join(self._data)))
                self._clear()
            else:
                self._clear()
        return events

    def _clear(self) -> None:
        self._event, self._data, self._size = "", [], 0

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._line.append(piece)
            self._line_size += len(piece)
            self._check(self._size + self._line_size)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value) + 1
            self._check(self._size)
        elif name == b"event":
            self._event = value.removeprefix(b" ").decode("utf-8", "replace")

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise ResponseUnreadable(
                f"One event of the provider's stream is greater than {self._limit} bytes; "
                "the stream was given up.",
                hint="Look at what answers at the deployment's api_base.",
            )


def write_event(data: bytes, event: str = "") -> bytes:
    """One event on the wire. ``data`` is JSON, so it has no line ends; ``event`` is our own."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data
