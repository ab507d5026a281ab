"""Markup and brackets of a text that still grows: what is closed, and what may yet be.

A sentence does not end inside a link, a bracket, inline code or a tag, and whether a bracket is
one shows only when it closes. Everything here errs to one side: a stretch that might belong
together is kept together.
"""

from __future__ import annotations

import re

from verifiers.claims.finder import LINES, LONGEST_LABEL
from verifiers.claims.inline import TAG, TAG_BEGUN
from verifiers.types import Span

_LONGEST_PAREN = 160
_LONGEST_CODE = 402
_LONGEST_TAG = 12_000
_SIGN = re.compile(r"[\[\]()【】\n]")
_TARGET = re.compile(r"\(<?(?:[^()\s]|\([^()\s]*\))*>?(?:[ \t]+\"[^\"\n]*\")?\)")
_TARGET_BEGUN = re.compile(
    r"\(<?(?:[^()\s]|\([^()\s]*\))*(?:\([^()\s]*|>?(?:[ \t]+(?:\"[^\"\n]*\"?)?)?)$"
)
_CODE = re.compile(r"(`{1,2})(?!`)[^`\n]{1,400}?\1(?!`)")
_LINK_BEGUN = re.compile(r"<[^\s<>]*$")
_LONGEST_TAIL = 1_000
# What the next character may change the meaning of.
_TAIL = re.compile(r"(?:[*_~`\\!]+|-{1,2}|&[#\w]{0,9})$")


class Constructs:
    """The constructs of a stretch of an answer.

    Attributes:
        closed: Stretches that belong together, in no order; they may overlap.
        opened: Where the first construct begins that is still open; the length of the text when
            there is none.
    """

    def __init__(self, text: str, *, whole: bool) -> None:
        """Look through a text.

        Args:
            text: The stretch. It begins outside any construct.
            whole: Whether nothing follows on its last line.
        """
        text = text.translate(LINES)
        self.closed: list[Span] = []
        self.opened = len(text)
        self._brackets(text)
        line = text.rfind("\n") + 1
        self._code(text, line)
        self._tags(text, line)
        tail = _TAIL.search(text, max(line, self.opened - _LONGEST_TAIL), self.opened)
        if tail:
            self._open(tail.start())
        if whole:
            self.opened = len(text)

    def inside(self, at: int) -> bool:
        """Whether ``at`` parts a construct."""
        return any(span.start < at < span.end for span in self.closed)

    def _open(self, at: int) -> None:
        self.opened = min(self.opened, at)

    def _brackets(self, text: str) -> None:  # noqa: C901, PLR0912 - one branch for each sign
        size = len(text)
        squares: list[int] = []
        paren = lens = -1
        for match in _SIGN.finditer(text):
            at, sign = match.start(), match.group()
            match sign:
                case "[":
                    # "![" opens an image.
                    squares.append(at - (text[at - 1 : at] == "!"))
                case "(":
                    paren = at
                case "【":
                    lens = at
                case "]" if squares:
                    self._square(text, squares.pop(), at)
                case ")" if paren >= 0:
                    if at - paren - 1 <= _LONGEST_PAREN:
                        self.closed.append(Span(paren, at + 1))
                    paren = -1
                case "】" if lens >= 0:
                    if at - lens - 1 <= _LONGEST_PAREN:
                        self.closed.append(Span(lens, at + 1))
                    lens = -1
                case "\n":
                    squares, paren, lens = [], -1, -1
                case _:
                    pass
        for at in (paren, lens):
            if at >= 0 and size - at - 1 <= _LONGEST_PAREN:
                self._open(at)
        for at in squares:
            if size - at - 1 <= LONGEST_LABEL:
                self._open(at)

    def _square(self, text: str, start: int, end: int) -> None:
        if end - start - 1 > LONGEST_LABEL:
            return
        self.closed.append(Span(start, end + 1))
        if end + 1 == len(text) or _TARGET_BEGUN.match(text, end + 1):
            self._open(start)
        target = _TARGET.match(text, end + 1)
        if target:
            self.closed.append(Span(start, target.end()))

    def _code(self, text: str, line: int) -> None:
        last = 0
        for match in _CODE.finditer(text):
            self.closed.append(Span(match.start(), match.end()))
            last = match.end()
            if last == len(text):
                self._open(match.start())
        first = text.find("`", max(last, line, len(text) - _LONGEST_CODE))
        if first >= 0:
            self._open(first)

    def _tags(self, text: str, line: int) -> None:
        for match in TAG.finditer(text):
            if "\n" not in match.group():
                self.closed.append(Span(match.start(), match.end()))
        at = text.find("<", max(line, len(text) - _LONGEST_TAG))
        while at >= 0:
            if TAG_BEGUN.match(text, at) or _LINK_BEGUN.match(text, at):
                self._open(at)
                return
            at = text.find("<", at + 1)
