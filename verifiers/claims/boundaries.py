"""Where an answer may be cut while it is still being written.

A boundary is an offset that is *closed*: whatever the model writes next, the claims of the whole
answer that begin before it are the claims of the text up to it. So a sentence can be judged, and
let go, before the next one is there, and the verdict is the one the whole answer would have had.

Lines are read as :mod:`verifiers.claims.blocks` reads them, one at a time; running text inside
them by :mod:`verifiers.claims.running`. What later text can still change is held back: a table's
head until the line under it is there, a fence until it closes (its text may turn out to be prose
or JSON), JSON from end to end.

One thing stays open on purpose: which source a number such as ``[1]`` names, where the answer
itself says so in a list of references further down. Waiting for that would hold back every cited
sentence to the end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verifiers.claims.data import JsonPrefix
from verifiers.claims.growing import Line, Run
from verifiers.claims.lines import (
    BOLD_LINE,
    ENDS,
    FENCE,
    INDENTED,
    Start,
    content_of,
    is_code,
    is_table,
    may_head_table,
    start_of,
)
from verifiers.claims.running import Running
from verifiers.claims.sources import AnySource, Resolver
from verifiers.rules import breaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.types import Source

_BREAK = re.compile(rf"\r\n|[{ENDS}]")


class Boundaries:
    """Boundaries of one growing answer. Pure; cheap for pieces of any size.

    The offsets given for a text do not depend on how it was cut into pieces. White space behind a
    boundary is not part of what it ends.
    """

    def __init__(self, sources: Sequence[Source] | None = None) -> None:
        """Begin an answer.

        Args:
            sources: What citations may name. When they are not known (None), a sentence that
                touches a bracket which may be a citation or may be text ends with the next one.
        """
        self._resolvers: list[Resolver] = (
            [Resolver.of(()), AnySource(())] if sources is None else [Resolver.of(sources)]
        )
        self._size = 0  # of the text so far, a carriage return that waits included
        self._last = 0  # the last boundary given
        self._waiting = ""  # a carriage return whose line feed may follow
        self._line = Line(0)
        self._json = JsonPrefix()
        self._found: list[int] = []
        self._run: Run | None = None
        self._fence = ""
        self._indented = False
        self._table = False
        self._end = 0  # the last character that is no space, of the lines that are complete
        self._fresh = True  # whether indented code may begin
        self._head: Line | None = None  # a complete line that may be the head of a table
        self._finished = False

    def push(self, delta: str) -> tuple[int, ...]:
        """Take in more text.

        Returns:
            The boundaries that became certain, ascending: offsets into all text so far.
        """
        if self._finished:
            raise ValueError("the answer was finished")
        text = self._waiting + delta
        self._size += len(delta)
        self._waiting = ""
        if text.endswith("\r"):
            text, self._waiting = text[:-1], "\r"
        at = 0
        for match in _BREAK.finditer(text):
            self._grow(text[at : match.start()], whole=True, end=match.group())
            at = match.end()
        if at < len(text):
            self._grow(text[at:], whole=False, end="")
        return self._taken()

    def finish(self) -> tuple[int, ...]:
        """No more text comes.

        Returns:
            The last boundaries; the very last is the length of the text, if there is any.
        """
        if self._finished:
            return ()
        self._finished = True
        if self._waiting:
            self._grow("", whole=True, end="\r")
        elif self._line.size:
            self._grow("", whole=True, end="")
        head, self._head = self._head, None
        if head is not None:
            self._text(head, whole=True)
        self._close()
        found = [p for p in self._taken() if p < self._size]
        return (*found, self._size) if self._size else ()

    # ------------------------------------------------------------------ what is given

    def _taken(self) -> tuple[int, ...]:
        found, self._found = self._found, []
        return tuple(found)

    def _give(self, places: Sequence[int]) -> None:
        for place in places:
            if place > self._last and not self._json.alive and place > self._json.died:
                self._last = place
                self._found.append(place)

    def _ends(self, run: Run, places: Sequence[int]) -> None:
        """Ends of sentences, but for those before which a line would be another kind of block."""
        for place in places:
            if not any(line.changes(place) for line in run.doubtful):
                self._give([place])

    def _close(self) -> None:
        """The open block ends with the last line."""
        run, self._run = self._run, None
        if run is not None:
            self._ends(run, run.unit.finish())
        if run is not None or self._indented:
            self._indented = False
            self._give([self._end])

    def _note(self, line: Line) -> None:
        kept = len(line.text.rstrip())
        if kept:
            self._end = line.start + kept

    # ------------------------------------------------------------------ lines

    def _grow(self, text: str, *, whole: bool, end: str) -> None:
        bar = text.find("|")
        if bar > 0 and not whole and not self._line.barred:
            # What stands before a bar is looked at before the bar is.
            self._grow(text[:bar], whole=False, end="")
            text = text[bar:]
        line = self._line
        line.more(text)
        if self._json.alive:
            self._feed(line, text)
        if not whole:
            self._peek(line, text)
            return
        if self._json.alive:
            self._json.feed("\n", line.start + line.size)
        line.end = end
        self._line = Line(line.start + line.size + len(end))
        if line.joined and self._run is not None:
            self._run.unit.more(text)
        self._complete(line)

    def _feed(self, line: Line, text: str) -> None:
        if line.fed:
            self._json.feed(text, line.start + line.size - len(text))
        elif line.content.strip():
            line.fed = True
            self._json.feed(line.content, line.start + line.offset)

    def _complete(self, line: Line) -> None:
        """A line is there whole."""
        head, self._head = self._head, None
        if head is not None and is_table(head.content, line.content):
            self._open_table(line)
            return
        if head is not None:
            self._text(head, whole=True)
        self._line_of(line)

    def _line_of(self, line: Line) -> None:
        content = line.content
        if self._fence:
            self._note(line)
            bare = content.strip()
            if bare.startswith(self._fence) and not bare.strip(self._fence[0]):
                self._fence = ""
                self._fresh = True
                self._give([self._end])
            return
        if self._table and "|" in content:
            self._single(line)
            return
        self._table = False
        if not content.strip():
            self._blank(line)
            return
        if self._indented:
            if INDENTED.match(content):
                self._note(line)
                return
            self._close()
            self._fresh = True
        kind = start_of(content, whole=True)
        if kind is Start.FENCE:
            self._close()
            self._note(line)
            fence = FENCE.match(content)
            self._fence = fence.group(1) if fence else "```"
        elif kind in {Start.RULE, Start.HEADING}:
            self._close()
            self._single(line)
        elif may_head_table(content):
            self._take_back(line)
            self._head = line
        else:
            self._text(line, whole=True)

    def _blank(self, line: Line) -> None:
        if not self._indented:
            self._close()
        self._fresh = True
        if line.text.strip() and not self._indented:
            self._single(line)
            self._fresh = True

    def _single(self, line: Line) -> None:
        """A line that is a block of its own."""
        self._note(line)
        self._fresh = False
        self._give([self._end])

    def _open_table(self, line: Line) -> None:
        self._close()
        self._table = True
        self._fresh = False
        # Not the head alone: without its second line it would not be one.
        self._single(line)

    # ------------------------------------------------------------------ running text

    def _text(self, line: Line, *, whole: bool) -> None:
        """Read a line that is no fence, rule, heading or row, as far as it can be told."""
        if not line.joined and not self._join(line, whole=whole):
            return
        run = self._run
        if run is None:
            return  # it was a block of its own
        if not whole:
            self._ends(run, run.unit.ends())
            return
        content = line.content
        skip = content_of(content, start_of(content, whole=True)) if line.began == "run" else 0
        said = content[skip:].strip()
        behind = len(line.text.rstrip())
        run.unit.end_line()
        if said:
            run.empty = False
            run.width = max(run.width, len(said))
            run.before = said + (line.text + line.end)[behind : behind + 2].rstrip("\r\n")
        run.gap = line.end
        self._note(line)
        self._ends(run, run.unit.ends())

    def _join(self, line: Line, *, whole: bool) -> bool:
        """Give a line to the unit it belongs to. False when that does not show yet."""
        content = line.content
        kind = start_of(content, whole=whole)
        run = self._run
        if kind is Start.OPEN:
            return False
        if run is not None and (kind is not Start.TEXT or line.quoted is not run.quoted):
            self._close()
            run = None
        if run is None:
            return self._begin(line, kind, whole=whole)
        if run.empty:
            run.unit = self._unit(line, 0)
            line.began = "text"
        else:
            hard = breaks(run.before, content, run.width, whole=whole)
            if hard is None:
                return False
            if hard:
                self._ends(run, run.unit.finish())
                self._give([self._end])
                run.unit = self._unit(line, 0)
            else:
                run.unit.line(run.gap + line.text, len(run.gap) + line.offset)
            line.began = "line"
        run.take(line)
        self._fresh = False
        return True

    def _begin(self, line: Line, kind: Start, *, whole: bool) -> bool:
        """A line opens a block."""
        content = line.content
        if kind is Start.TEXT and self._fresh and INDENTED.match(content):
            if not whole:
                line.held = True
                return False
            if is_code(content):
                self._indented = True
                self._note(line)
                return True
        bold = BOLD_LINE.match(content)
        if whole and bold and content.rstrip(": \t*_")[-1:] not in ".!?":
            self._single(line)
            return True
        self._run = Run(self._unit(line, content_of(content, kind)), quoted=line.quoted)
        line.began = "run"
        line.code = kind is Start.TEXT and self._fresh and bool(INDENTED.match(content))
        self._run.take(line)
        self._fresh = False
        return True

    def _unit(self, line: Line, skip: int) -> Running:
        unit = Running(self._resolvers, line.start)
        unit.line(line.text, line.offset + skip)
        return unit

    def _take_back(self, line: Line) -> None:
        """A line that was read as text may head a table: no sentence in it has ended."""
        if line.joined and self._run is not None:
            line.joined = False
            self._run.doubtful = [known for known in self._run.doubtful if known is not line]
            if line.began == "run":
                self._run = None
            else:
                self._run.unit.take_back()

    def _peek(self, line: Line, new: str) -> None:
        """A line is there in part."""
        line.barred = line.barred or "|" in new
        if line.joined:
            if self._run is not None:
                self._run.unit.more(new)
                if not line.barred:
                    self._ends(self._run, self._run.unit.ends())
            return
        if self._fence or self._table or self._head is not None or line.held or line.barred:
            return
        content = line.content
        if not content.strip():
            return
        if self._indented:
            if INDENTED.match(content):
                line.held = True
                return
            self._close()
            self._fresh = True
        if start_of(content, whole=False) is Start.HEADING:
            self._close()
            line.held = True
            return
        self._early(line, content)
        self._text(line, whole=False)
        line.wait()

    def _early(self, line: Line, content: str) -> None:
        """The line before may end a sentence, whatever this one is the beginning of."""
        head = content.lstrip()[:1]
        if line.early or self._run is None or self._run.empty:
            return
        line.early = True
        self._ends(self._run, self._run.unit.ends())
        if head.isalnum() and self._run.unit.stands(head):
            self._give([self._end])
