"""Taking sentences out of an answer that is still being written. Pure.

What a whole answer looks like without some sentences is :func:`guardrails.actions.cut`'s to say:
with them go list markers, emptied lines and spare blanks. Here it is said how much of that is
certain already, whatever comes next, so that the stream joins to the very same text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardrails.actions import LEFTOVER, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.types import Span

_BREAKS = "\r\n"
_MARKS = " \t*_~`"
# What may complete a marker that has only begun: the line may still go whole.
_ENDINGS = ("", " ", ". ", "]", "a]", "] ")


class Cutting:
    """What is left of one growing answer."""

    def __init__(self) -> None:
        self._bad: list[Span] = []
        self._text = ""
        self._removed: tuple[Span, ...] = ()
        self.certain = 0

    @property
    def removed(self) -> tuple[Span, ...]:
        """What is taken out of the text so far, tidying included."""
        return self._removed

    def grow(self, text: str, bad: Sequence[Span], *, last: bool = False) -> None:
        """Take in more text.

        Args:
            text: All of it so far that was decided.
            bad: What is to go besides what was named before.
            last: Whether this is the end of the answer.
        """
        self._bad += bad
        self._text = text
        if self._bad:
            self._removed = cut(text, self._bad)[1]
        self.certain = len(text) if last else self._settled()

    def kept(self, start: int, end: int) -> str:
        """What is left of ``[start, end)``, with the blank that keeps two words apart."""
        pieces: list[str] = []
        at = start
        for span in self._removed:
            if span.end <= start or span.start >= end:
                continue
            pieces.append(self._text[at : max(at, span.start)])
            at = max(at, min(span.end, end))
            # The blank belongs to the place behind the span; it is given there, and once.
            if start < span.end <= end and self._joins(span):
                pieces.append(" ")
        pieces.append(self._text[at:end])
        return "".join(pieces)

    def _joins(self, span: Span) -> bool:
        text = self._text
        inside = span.start > 0 and span.end < len(text)
        return inside and not (text[span.start - 1].isspace() or text[span.end].isspace())

    def _settled(self) -> int:
        """Up to where what comes next changes nothing of what is left."""
        text = self._text
        if not self._removed:
            return len(text)
        start = max(text.rfind(mark) for mark in _BREAKS) + 1
        spans = [(max(s.start, start), s.end) for s in self._removed if s.end > start]
        if not spans:
            return len(text)
        edges = [start, *(edge for span in spans for edge in span), len(text)]
        rest = "".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
        if any(LEFTOVER.fullmatch(rest + ending) for ending in _ENDINGS):
            # The whole line may go, with the break before it.
            at = start
            gone = {i for s in self._removed for i in range(s.start, min(s.end, start))}
            while at and (text[at - 1].isspace() or at - 1 in gone):
                at -= 1
            return at
        begin, end = spans[-1]
        if text[end:].strip():
            return len(text)
        while begin > start and text[begin - 1] in _MARKS:
            begin -= 1
        return begin
