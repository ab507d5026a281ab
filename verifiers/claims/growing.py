"""What a reader of a growing answer holds on to: the line under way, and the open block."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verifiers.claims.lines import BOLD_LINE, FENCE, QUOTE, is_code

if TYPE_CHECKING:
    from verifiers.claims.running import Running

_DOUBTFUL = re.compile(r"\s*(?:\*\*|__|~~~|```)")
_PATIENCE = 1_000  # characters of a line after which it is only looked at once it is whole


class Line:
    """A line as far as it is there.

    Attributes:
        start: Its offset in the answer.
        size: Its length, the line end left out.
        end: The line end.
        joined: Whether its text went to a unit, and ``began`` what that was the beginning of.
        barred: Whether a table's bar was seen in it.
        held: Whether it is not looked at again before it is whole.
        early: Whether the line before it was asked to end.
        fed: Whether its content went to the reader of JSON.
        code: Whether it stands where indented code may.
    """

    def __init__(self, start: int) -> None:
        self.start = start
        self.size = 0
        self.end = ""
        self.joined = False
        self.began = ""
        self.barred = False
        self.held = False
        self.early = False
        self.fed = False
        self.code = False
        self._parts: list[str] = []

    def more(self, text: str) -> None:
        """The line goes on."""
        self._parts.append(text)
        self.size += len(text)

    def changes(self, place: int) -> bool:
        """Whether the line, cut at an offset of the answer inside it, is another kind of block."""
        size = place - self.start
        if not 0 < size < self.size:
            return False
        content = self.text[self.offset : size]
        return (
            FENCE.match(content) is not None
            or BOLD_LINE.match(content) is not None
            or (self.code and is_code(content))
        )

    def wait(self) -> None:
        """Do not look at a long line again before it is whole or belongs somewhere."""
        self.held = self.held or (not self.joined and self.size > _PATIENCE)

    @property
    def text(self) -> str:
        """All of it."""
        if len(self._parts) != 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0]

    @property
    def offset(self) -> int:
        """Where its content begins, once quote marks are taken off."""
        quote = QUOTE.match(self.text)
        return quote.end() if quote else 0

    @property
    def quoted(self) -> bool:
        """Whether it stands in a block quote."""
        return self.offset > 0

    @property
    def content(self) -> str:
        """What stands behind the quote marks."""
        return self.text[self.offset :]


class Run:
    """A block of running text that is open: a paragraph, an item, a footnote.

    Attributes:
        unit: Its wrapped text since the last line end that was meant.
        quoted: Whether it stands in a block quote.
        empty: Whether no line of it has said anything yet.
        width: Its longest line so far.
        before: The last line, with up to two characters behind it.
        gap: The line end behind that.
        doubtful: Lines that would be something else if they ended earlier.
    """

    def __init__(self, unit: Running, *, quoted: bool) -> None:
        self.unit = unit
        self.quoted = quoted
        self.empty = True
        self.width = 0
        self.before = ""
        self.gap = ""
        self.doubtful: list[Line] = []

    def take(self, line: Line) -> None:
        """A line belongs to it."""
        line.joined = True
        if line.code or _DOUBTFUL.match(line.content):
            self.doubtful.append(line)
