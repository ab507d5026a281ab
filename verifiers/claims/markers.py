"""Citation markers around claims: which to leave out of the text, and which claim each backs."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from verifiers.types import Citation, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.claims.drafts import Draft

_LINK = re.compile(r"\[(?P<label>(?:\[[^\[\]\n]*\]|[^\[\]\n])+)\]\(")
_BARE_LABEL = re.compile(
    r"\W*(?:\d{1,3}|source|src|ref|reference|link|cite|citation|here|https?://\S+|www\.\S+|[\w-]+(?:\.[\w-]+)*\.[a-z]{2,4})\W*$",
    re.IGNORECASE,
)
_OPEN, _CLOSE = "([<", ")]>"


def merge(
    answer: str, found: Sequence[Citation], annotations: Sequence[Citation]
) -> tuple[Citation, ...]:
    """Markers we read and citations the provider passed beside the text, in order.

    An annotation outside the answer is clamped to it; one that repeats a marker is left out.
    """
    seen = {(c.span, c.source_id) for c in found}
    merged = list(found)
    for note in annotations:
        if note.span.start >= len(answer):
            continue
        span = Span(note.span.start, min(note.span.end, len(answer)))
        if (span, note.source_id) not in seen:
            seen.add((span, note.source_id))
            merged.append(Citation(span, note.marker, note.target, note.source_id))
    return tuple(sorted(merged, key=lambda c: (c.span.start, c.span.end)))


def drops(answer: str, found: Sequence[Citation]) -> list[Span]:
    """Stretches a model should not read: markers, with the brackets that hold only them.

    A link whose label is part of the sentence stays; so does a bare URL in running text.
    """
    cuts: list[Span] = []
    for citation in found:
        span = citation.span
        if cuts and cuts[-1].overlaps(span):
            continue
        link = _LINK.match(citation.marker)
        if link and not _BARE_LABEL.match(link.group("label")):
            continue
        held = _held(answer, span)
        if citation.marker[:1] not in "[(【<¹²³⁴⁵⁶⁷⁸⁹" and held == span:
            continue
        if cuts and held.start < cuts[-1].end:
            held = span
        cuts.append(held)
    return cuts


def _held(answer: str, span: Span) -> Span:
    """The span with the bracket pair directly around it, if there is one."""
    start, end = span.start, span.end
    lead = re.search(
        r"\((?:sources?|see|ref|via|link)?\s*:?\s*$",
        answer[max(0, start - 16) : start],
        re.IGNORECASE,
    )
    if lead and answer[end : end + 1] == ")":
        return Span(start - len(lead.group()), end + 1)
    if (
        start
        and answer[start - 1] in _OPEN
        and answer[end : end + 1] == _CLOSE[_OPEN.index(answer[start - 1])]
    ):
        return Span(start - 1, end + 1)
    return span


def attach(
    answer: str, drafts: Sequence[Draft], citations: Sequence[Citation]
) -> list[tuple[Citation, ...]]:
    """The citations behind each claim.

    A marker backs what stands between the marker before it and itself, inside its sentence: so
    "A [1] and B [2]." cites each half, and "A and B.[1]" cites both. A marker that opens a sentence
    backs all of it.
    """
    behind: list[list[Citation]] = [[] for _ in drafts]
    if not drafts:
        return []
    begins = [draft.sentence.start for draft in drafts]
    spans = sorted({c.span for c in citations})
    groups = _groups(answer, spans)
    for citation in citations:
        place = bisect_right(begins, citation.span.start) - 1
        place = max(place, 0)
        sentence = drafts[place].sentence
        low = bisect_left(begins, sentence.start)
        since = groups[citation.span]
        mine = [
            at
            for at in range(low, place + 1)
            if drafts[at].span.start < citation.span.end and drafts[at].span.end > since
        ] or [place]
        for at in mine:
            behind[at].append(citation)
    return [tuple(found) for found in behind]


def _groups(answer: str, spans: Sequence[Span]) -> dict[Span, int]:
    """For each marker, where the marker before it ends; "[1][2]" count as one."""
    since: dict[Span, int] = {}
    before = 0
    for index, span in enumerate(spans):
        if index:
            last = spans[index - 1]
            if answer[last.end : span.start].strip(" \t,;") == "" and span.start >= last.end:
                since[span] = since[last]
                continue
            before = max(before, last.end)
        since[span] = before
    return since
