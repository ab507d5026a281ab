"""The reader of server-sent events: any cutting of the bytes, any line ends, bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.errors import ResponseUnreadable
from guardrails.proxy.sse import EventReader, ServerEvent, write_event

_CELLS = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
_EVENTS = st.lists(
    st.tuples(_CELLS.filter(lambda name: not name.startswith(" ")), st.lists(_CELLS, min_size=1)),
    max_size=6,
)


def read(raw: bytes, cuts: list[int] | None = None) -> list[ServerEvent]:
    reader = EventReader()
    found: list[ServerEvent] = []
    start = 0
    for size in cuts or [len(raw) or 1]:
        found += reader.feed(raw[start : start + size])
        start += size
    return found + reader.feed(raw[start:])


@given(events=_EVENTS, end=st.sampled_from(["\n", "\r\n", "\r"]), cuts=st.lists(st.integers(0, 5)))
def test_any_cutting_gives_the_same_events(
    events: list[tuple[str, list[str]]], end: str, cuts: list[int]
) -> None:
    """Down to single bytes, in the middle of characters and of CRLF, with comments in between."""
    raw = ""
    for name, lines in events:
        raw += f": keep-alive{end}event: {name}{end}"
        raw += "".join(f"data: {line}{end}" for line in lines) + end
    expected = [ServerEvent(name, "\n".join(lines).encode()) for name, lines in events]
    assert read(raw.encode(), cuts) == expected
    assert read(raw.encode(), [1] * len(raw.encode())) == expected


@given(raw=st.binary(max_size=200), cuts=st.lists(st.integers(0, 7)))
def test_no_bytes_break_it(raw: bytes, cuts: list[int]) -> None:
    """Invalid UTF-8 and nonsense give events or nothing, the same however they are cut."""
    assert read(raw, cuts) == read(raw)


def test_what_is_written_is_read_back() -> None:
    """The writer and the reader agree."""
    assert read(write_event(b'{"a":1}', "ping")) == [ServerEvent("ping", b'{"a":1}')]
    assert read(write_event(b"[DONE]")) == [ServerEvent("", b"[DONE]")]


def test_an_event_without_its_blank_line_is_none() -> None:
    """A stream that was cut off in an event does not give half of it."""
    assert read(b'data: {"a":') == []
    assert read(b'data: {"a":1}\n') == []


def test_byte_order_mark_retry_and_bare_fields() -> None:
    """The corners of the format."""
    assert read(b"\xef\xbb\xbfdata:x\n\n") == [ServerEvent("", b"x")]
    assert read(b"retry: 10\nid: 4\ndata\ndata:  y\n\nevent: e\n\ndata: z\n\n") == [
        ServerEvent("", b"\n y"),
        ServerEvent("", b"z"),
    ]


@pytest.mark.parametrize("line", [b"data: " + b"x" * 90, b"x" * 120, b"data: x\n" * 60])
def test_an_event_has_a_greatest_size(line: bytes) -> None:
    """However it grows: one long line that never ends, or many short ones."""
    reader = EventReader(limit=100)

    def feed_all() -> None:
        for byte in line + b"y" * 120:
            reader.feed(bytes([byte]))

    with pytest.raises(ResponseUnreadable):
        feed_all()


def test_many_events_together_may_be_greater_than_one() -> None:
    """The limit is an event's, not the stream's."""
    reader = EventReader(limit=20)
    assert len(reader.feed(b"data: 0123456789\n\n" * 50)) == 50
