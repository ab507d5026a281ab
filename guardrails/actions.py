"""Acting on a decision: what the caller gets instead of, or as, the answer.

Everything works by spans into the exact answer; no text is ever found again by searching for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from guardrails.report import Disposition
from policies.types import Action
from verifiers.types import NotCheckworthy, Span, Supported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from policies.types import Decision

# What may be left on a line whose sentences are gone, for the line to go too: a list or quotation
# marker before them, table bars, emphasis, quotes and citation marks around and behind them.
LEFTOVER = re.compile(
    r"""[ \t]*(?:(?:[-*+•‣▪>]|\d{1,9}[.)]|[A-Za-z][.)]|\#{1,6})[ \t]+)*(?:\[[ xX]\][ \t]+)?"""
    r"""(?:[ \t|*_~`"'“”«»]|\[\^?[\w.:-]{1,40}\])*"""
)
_OPENING = re.compile(r"(?<![*_~`])([*_~`])\1{0,2}\Z")
_BREAK = re.compile(r"\r\n|\n|\r")
_GONE = b"\x01"
_RUN = re.compile(b"\x01+")
_BLANKS = " \t"
_WHITE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of a decision.

    Attributes:
        text: What the caller gets.
        disposition: What was done.
        removed: Spans of the answer that were taken out, in order, apart from each other.
    """

    text: str = field(repr=False)
    disposition: Disposition
    removed: tuple[Span, ...] = ()


def apply(answer: str, decision: Decision, *, refusal: str, hold: bool, holding: str) -> Applied:
    """Carry out a settled decision on the exact answer it is about.

    Args:
        answer: The answer; the decision's spans point into it.
        decision: The settled decision.
        refusal: Text given instead of a refused answer.
        hold: Whether an answer sent to review waits for it.
        holding: Text given instead of a held answer.
    """
    match decision.action:
        case Action.PASS | Action.ANNOTATE:
            return Applied(answer, Disposition.RELEASED)
        case Action.REDACT:
            return _redacted(answer, decision, refusal)
        case Action.REVIEW:
            if hold:
                return Applied(holding, Disposition.HELD)
            return Applied(answer, Disposition.FLAGGED)
        case Action.REFUSE | Action.REGENERATE:
            # A settled decision never regenerates; one that does must not let the answer out.
            return Applied(refusal, Disposition.REFUSED)
        case _:
            assert_never(decision.action)


def _redacted(answer: str, decision: Decision, refusal: str) -> Applied:
    """Take out the sentences of the claims that are to be redacted, or worse.

    When the rule that asked for it is about the whole answer and names no claim, every claim that
    is not supported goes. When nothing can be taken out, or nothing that was worth checking is
    left, the refusal stands in for the answer.
    """
    bad = [
        entry for entry in decision.claims if entry.action.severity >= Action.REDACT.severity
    ] or [
        entry
        for entry in decision.claims
        if not isinstance(entry.verdict, Supported | NotCheckworthy)
    ]
    text, removed = cut(answer, merge(entry.verdict.claim.sentence for entry in bad))
    # What goes with them counts as gone, too: a "1." between two of them is nothing that is left.
    left = [
        entry
        for entry in decision.claims
        if entry.verdict.claim.checkworthy
        and not any(span.overlaps(entry.verdict.claim.span) for span in removed)
    ]
    if not removed or not left:
        return Applied(refusal, Disposition.REFUSED)
    return Applied(text, Disposition.REDACTED, removed)


def merge(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same ground in order, overlapping spans joined."""
    out: list[Span] = []
    for span in sorted(spans):
        if out and span.start < out[-1].end:
            out[-1] = Span(out[-1].start, max(out[-1].end, span.end))
        else:
            out.append(span)
    return tuple(out)


def cut(text: str, spans: Sequence[Span]) -> tuple[str, tuple[Span, ...]]:
    """``text`` without ``spans`` and without the white space and list markers they leave behind.

    Every other character stays, in order. A space is put between two words that would else become
    one.

    Args:
        text: The exact text.
        spans: What to take out.

    Returns:
        The text that is left, and the spans that were removed, tidying included.
    """
    gone = bytearray(len(text))
    for span in spans:
        end = span.end
        while end > span.start and text[end - 1] in _WHITE:  # the break behind it is not its own
            end -= 1
        gone[span.start : end] = _GONE * (end - span.start)
    _tidy(text, gone)
    removed = tuple(Span(*run.span()) for run in _RUN.finditer(gone))
    pieces: list[str] = []
    at = 0
    for span in removed:
        pieces.append(text[at : span.start])
        inside = span.start > 0 and span.end < len(text)
        if inside and not (text[span.start - 1].isspace() or text[span.end].isspace()):
            pieces.append(" ")
        at = span.end
    pieces.append(text[at:])
    return "".join(pieces), removed


def _tidy(text: str, gone: bytearray) -> None:
    """Mark what would stand there for nothing: blanks, emptied lines, second blank lines."""
    blank_before = True  # nothing, or a blank line, stands before the current line
    dropped = False  # the lines just before were removed whole
    last_break = 0
    for start, end, stop in _lines(text, gone):
        runs = [run.span() for run in _RUN.finditer(gone, start, end)]
        if not runs:
            blank = not text[start:end].strip()
            if blank and blank_before and dropped:
                gone[start:stop] = _GONE * (stop - start)
                continue
            blank_before, dropped, last_break = blank, False, end
            continue
        edges = [start, *(edge for run in runs for edge in run), end]
        kept = "".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
        if LEFTOVER.fullmatch(kept):
            first = start if stop > end or not start else last_break
            gone[first:stop] = _GONE * (stop - first)
            dropped = True
            continue
        for run in _joined(text, runs):
            _tidy_run(text, gone, run, (start, end))
        blank_before, dropped, last_break = False, False, end


def _joined(text: str, runs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs with nothing but blanks between them as one: neither leaves a blank for the other."""
    joined = [runs[0]]
    for begin, close in runs[1:]:
        if text[joined[-1][1] : begin].strip(_BLANKS):
            joined.append((begin, close))
        else:
            joined[-1] = (joined[-1][0], close)
    return joined


def _tidy_run(text: str, gone: bytearray, run: tuple[int, int], line: tuple[int, int]) -> None:
    """Take the blanks behind a run along, or those before it at the end of its line.

    Emphasis marks that would embrace nothing go too.
    """
    begin, close = run
    opened = _OPENING.search(text, max(line[0], begin - 4), begin)
    if opened is not None and text.startswith(opened.group(), close):
        begin, close = opened.start(), close + len(opened.group())
    while close < line[1] and text[close] in _BLANKS:
        close += 1
    if close == line[1]:
        while begin > line[0] and text[begin - 1] in _BLANKS:
            begin -= 1
    gone[begin:close] = _GONE * (close - begin)


def _lines(text: str, gone: bytearray) -> Iterator[tuple[int, int, int]]:
    """Start, end and end behind the break of each line; a removed break ends no line."""
    start = 0
    for found in _BREAK.finditer(text):
        if not gone[found.start()]:
            yield start, found.start(), found.end()
            start = found.end()
    yield start, len(text), len(text)
