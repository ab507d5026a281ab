"""Blocks of an answer: the light Markdown models write, with exact offsets.

A full Markdown parser gives line numbers, not offsets, and drops what it does not render. Here
every non-space character of the answer belongs to exactly one block, so nothing escapes a check
by its formatting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from verifiers.claims.lines import (
    BOLD_LINE,
    ENDS,
    FENCE,
    FOOTNOTE,
    HEADING,
    INDENTED,
    ITEM,
    LINE,
    QUOTE,
    RULE,
    SEPARATOR,
    is_code,
    is_object,
    is_table,
    names_language,
)
from verifiers.rules import strip
from verifiers.types import Span

if TYPE_CHECKING:
    from collections.abc import Sequence


class BlockKind(Enum):
    """What a block is."""

    PARAGRAPH = "paragraph"
    HEADING = "heading"
    ITEM = "item"
    TABLE_HEADER = "table_header"
    TABLE_ROW = "table_row"
    CODE = "code"
    DATA = "data"
    RULE = "rule"
    FOOTNOTE = "footnote"


# Where brackets are no citations.
VERBATIM = frozenset({BlockKind.CODE, BlockKind.DATA})


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines that belong together.

    Attributes:
        kind: What it is.
        span: All of it, markers included.
        lines: What it says: the content of its lines, markers left out. Empty for a rule.
        level: Depth of a heading (from 1) or indentation of a list item in columns.
        quoted: Whether it stands in a block quote.
        label: The label of a footnote, the number of a list item, or an empty string.
        table: For rows, which table of the answer, from 0.
    """

    kind: BlockKind
    span: Span
    lines: tuple[Span, ...]
    level: int = 0
    quoted: bool = False
    label: str = ""
    table: int = -1


@dataclass(frozen=True, slots=True)
class _Line:
    """A line: its whole extent, and where its content begins once quote marks are taken off."""

    whole: int
    start: int
    end: int
    quoted: bool

    def of(self, text: str) -> str:
        return text[self.start : self.end]


class Seam(NamedTuple):
    """A line of a growing answer before which no block changes any more, whatever follows.

    Attributes:
        at: Where it begins; nothing was read yet at 0.
        tables: The last table before it.
        rows: Whether that table may go on with it.
        fresh: Whether indented code may begin with it.
    """

    at: int = 0
    tables: int = -1
    rows: bool = False
    fresh: bool = True


class Blocks(NamedTuple):
    """The blocks of an answer from a seam on.

    Attributes:
        blocks: In order; together they hold every non-space character from there, each once.
        seam: The last seam of the answer as it stands.
        before: How many of the blocks stand before it.
    """

    blocks: list[Block]
    seam: Seam
    before: int


def segment(answer: str) -> list[Block]:
    """Cut an answer into blocks.

    Returns:
        Blocks in order; together they hold every non-space character, each once.
    """
    return blocks_from(answer, Seam()).blocks


def blocks_from(answer: str, seam: Seam) -> Blocks:
    """Cut an answer into blocks from a seam on.

    Args:
        answer: The exact answer.
        seam: A seam of its beginning, by an earlier reading of which this is a continuation. The
            answer is not JSON from end to end, unless the seam is the very first.
    """
    segmenter = _Segmenter(answer, seam)
    blocks = segmenter.run() if seam.at else segmenter.whole()
    return Blocks(blocks, segmenter.seam, segmenter.before)


def is_json(answer: str) -> bool:
    """Whether an answer is JSON from end to end, quote marks aside."""
    head = _HEAD.match(answer)
    if head is None or answer[head.end() : head.end() + 1] not in {"{", "["}:
        return False
    segmenter = _Segmenter(answer)
    return segmenter.is_data(segmenter.lines)


_HEAD = re.compile(r"[\s>]*")


def _lines(answer: str, start: int) -> list[_Line]:
    lines: list[_Line] = []
    for match in LINE.finditer(answer, start):
        if match.start() == match.end():
            continue
        end = match.end()
        while end > match.start() and answer[end - 1] in ENDS:
            end -= 1
        quote = QUOTE.match(answer, match.start(), end)
        start = quote.end() if quote else match.start()
        lines.append(_Line(match.start(), start, end, quote is not None))
    return lines


class _Segmenter:
    """One pass over the lines of one answer."""

    def __init__(self, answer: str, seam: Seam = Seam()) -> None:  # noqa: B008 - immutable
        self.text = answer
        self.lines = _lines(answer, seam.at)
        self.blocks: list[Block] = []
        self.tables = seam.tables
        self.fenced = -1  # the line after the last fence
        self.rows = seam.rows  # whether a table may go on
        self.opening = seam.fresh
        self.reach = 0  # the line after the last one looked at
        self.seam = seam
        self.before = 0

    def whole(self) -> list[Block]:
        """The blocks of an answer that may be JSON from end to end."""
        if self.is_data(self.lines):
            first = next(i for i, line in enumerate(self.lines) if line.of(self.text).strip())
            lines = self._content(first, len(self.lines), 0)
            self._add(BlockKind.DATA, first, len(self.lines), lines)
            return self.blocks
        return self.run()

    def run(self) -> list[Block]:
        at = 0
        while at < len(self.lines):
            self.reach = max(self.reach, at + 1)
            at = self._block(at)
            if self.reach < len(self.lines):
                # Only lines that are complete were looked at, and no later one can matter.
                start = self.lines[at].whole
                self.seam = Seam(start, self.tables, self.rows, self._fresh(at))
                self.before = len(self.blocks)
        return self.blocks

    def _block(self, at: int) -> int:  # noqa: C901, PLR0911 - one branch for each kind of block
        """Read the block that begins at line ``at``; return the line after it."""
        line = self.lines[at]
        content = line.of(self.text)
        if self.rows and "|" in content:
            return self._row(at, content)
        self.rows = False
        if not content.strip():
            if line.quoted and self.text[line.whole : line.end].strip():
                self._add(BlockKind.RULE, at, at + 1, ())
            return at + 1
        if FENCE.match(content):
            return self._fence(at)
        if RULE.match(content):
            self._add(BlockKind.RULE, at, at + 1, ())
            return at + 1
        heading = HEADING.match(content)
        if heading:
            self._heading(at, heading)
            return at + 1
        if self._table_at(at):
            return self._table(at)
        note = FOOTNOTE.match(content)
        if note:
            return self._run_on(at, BlockKind.FOOTNOTE, note.end(), label=note.group(1))
        item = ITEM.match(content)
        if item:
            label = item.group(3) or item.group(4) or item.group(5) or ""
            level = len(item.group(1).expandtabs(4))
            return self._run_on(at, BlockKind.ITEM, item.end(), label=label, level=level)
        if INDENTED.match(content) and self._is_code([line]) and self._fresh(at):
            return self._indented(at)
        bold = BOLD_LINE.match(content)
        if bold and content.rstrip(": \t*_")[-1:] not in ".!?":
            self._add(BlockKind.HEADING, at, at + 1, self._content(at, at + 1, 0), level=7)
            return at + 1
        return self._run_on(at, BlockKind.PARAGRAPH, 0)

    def _fresh(self, at: int) -> bool:
        """Whether nothing precedes line ``at`` directly, as indented code demands."""
        if at == 0:
            return self.opening
        return (
            not self.lines[at - 1].of(self.text).strip()
            or at == self.fenced
            or (bool(self.blocks) and self.blocks[-1].kind is BlockKind.CODE)
        )

    def _heading(self, at: int, heading: re.Match[str]) -> None:
        lines = self._content(at, at + 1, heading.end())
        if lines:
            # Closing hashes are marks too.
            shorn = self.text[lines[0].start : lines[0].end].rstrip("#").rstrip()
            end = lines[0].start + len(shorn)
            lines = (Span(lines[0].start, end),) if shorn else ()
        kind = BlockKind.HEADING if lines else BlockKind.RULE
        self._add(kind, at, at + 1, lines, level=len(heading.group(1)))

    def _run_on(
        self, at: int, kind: BlockKind, skip: int, *, label: str = "", level: int = 0
    ) -> int:
        """A block that goes on until a blank line or the start of another block."""
        stop = at + 1
        while stop < len(self.lines) and self._continues(stop, self.lines[at]):
            stop += 1
        self.reach = max(self.reach, stop + 1)
        lines = self._content(at, stop, skip)
        self._add(kind if lines else BlockKind.RULE, at, stop, lines, label=label, level=level)
        return stop

    def _continues(self, at: int, first: _Line) -> bool:
        line = self.lines[at]
        content = line.of(self.text)
        if not content.strip() or line.quoted is not first.quoted:
            return False
        starts = (FENCE, RULE, HEADING, ITEM, FOOTNOTE, BOLD_LINE)
        return not any(pattern.match(content) for pattern in starts) and not self._table_at(at)

    def _fence(self, at: int) -> int:
        opening = FENCE.match(self.lines[at].of(self.text))
        fence = opening.group(1) if opening else "```"
        shut = re.compile(rf"\s*{fence}{fence[0]}*\s*$")
        # Never closed: all that follows stands in it.
        inside = range(at + 1, len(self.lines))
        found = (n + 1 for n in inside if shut.match(self.lines[n].of(self.text)))
        closed = next(found, len(self.lines) + 1)
        self.fenced = stop = min(closed, len(self.lines))
        self.reach = max(self.reach, closed)
        inner = self.lines[at + 1 : closed - 1]
        begin = self._opened(at, opening)
        if self.is_data(inner):
            # Values are stated whether or not a fence stands around them.
            self._marks(begin, at + 1)
            self._add(BlockKind.DATA, at + 1, closed - 1, self._content(at + 1, closed - 1, 0))
            self._marks(closed - 1, stop)
            return stop
        if self._is_code(inner):
            if begin < stop:
                self._add(BlockKind.CODE, begin, stop, self._content(begin, stop, 0))
            return stop
        # Prose in a fence is read like any other text; the fence lines themselves say nothing.
        self._marks(begin, at + 1)
        nested = _Segmenter(self.text)
        nested.lines, nested.tables = inner, self.tables
        self.blocks.extend(nested.run())
        self.tables = nested.tables
        self._marks(closed - 1, stop)
        return stop

    def _opened(self, at: int, fence: re.Match[str] | None) -> int:
        """Where the block begins: a sentence behind the marks is read, and is none of it."""
        if fence is None or names_language(fence.group(2)):
            return at
        self._add(BlockKind.PARAGRAPH, at, at + 1, self._content(at, at + 1, fence.end(1)))
        return at + 1

    def _marks(self, start: int, stop: int) -> None:
        for at in range(start, stop):
            self._add(BlockKind.RULE, at, at + 1, ())

    def _indented(self, at: int) -> int:
        stop = at + 1
        while stop < len(self.lines):
            content = self.lines[stop].of(self.text)
            if content.strip() and not INDENTED.match(content):
                break
            stop += 1
        self.reach = max(self.reach, stop + 1)
        while not self.lines[stop - 1].of(self.text).strip():
            stop -= 1
        self._add(BlockKind.CODE, at, stop, self._content(at, stop, 0))
        return stop

    def is_data(self, lines: Sequence[_Line]) -> bool:
        """Whether lines are JSON: an answer in a program's format, not code."""
        return is_object("\n".join(line.of(self.text) for line in lines))

    def _is_code(self, lines: Sequence[_Line]) -> bool:
        """Whether lines are code rather than prose someone put into a code block."""
        return is_code("\n".join(line.of(self.text) for line in lines[:400]))

    def _table_at(self, at: int) -> bool:
        """Whether a table begins at line ``at``."""
        self.reach = max(self.reach, at + 2)
        if at + 1 >= len(self.lines):
            return False
        return is_table(self.lines[at].of(self.text), self.lines[at + 1].of(self.text))

    def _table(self, at: int) -> int:
        self.tables += 1
        stop = at + 1
        if SEPARATOR.match(self.lines[stop].of(self.text)):
            stop += 1
        self._add(BlockKind.TABLE_HEADER, at, stop, self._content(at, at + 1, 0), table=self.tables)
        self.rows = True
        return stop

    def _row(self, at: int, content: str) -> int:
        if SEPARATOR.match(content):
            self._add(BlockKind.RULE, at, at + 1, ())
        else:
            lines = self._content(at, at + 1, 0)
            self._add(BlockKind.TABLE_ROW, at, at + 1, lines, table=self.tables)
        return at + 1

    def _content(self, start: int, stop: int, skip: int) -> tuple[Span, ...]:
        """Content of lines ``[start, stop)``, the first one from ``skip`` characters on."""
        found: list[Span] = []
        for index in range(start, stop):
            line = self.lines[index]
            span = strip(self.text, line.start + (skip if index == start else 0), line.end)
            if span is not None:
                found.append(span)
        return tuple(found)

    def _add(
        self,
        kind: BlockKind,
        start: int,
        stop: int,
        lines: tuple[Span, ...],
        *,
        level: int = 0,
        label: str = "",
        table: int = -1,
    ) -> None:
        first, last = self.lines[start], self.lines[stop - 1]
        span = strip(self.text, first.whole, last.end)
        if span is None:
            return
        block = Block(kind, span, lines, level, first.quoted, label, table)
        if kind is BlockKind.CODE and lines:
            block = replace(block, lines=(Span(lines[0].start, lines[-1].end),))
        self.blocks.append(block)
