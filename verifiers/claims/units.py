"""Units of an answer: what is parsed on its own, and where its sentences stand."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from verifiers import rules
from verifiers.claims.blocks import BlockKind
from verifiers.claims.drafts import Unit
from verifiers.claims.inline import View, read
from verifiers.types import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.claims.blocks import Block
    from verifiers.text import Sentence


def units_of(answer: str, blocks: Sequence[Block], cuts: Sequence[Span]) -> list[Unit]:
    """The units of an answer, in order.

    Args:
        answer: The exact answer.
        blocks: Its blocks.
        cuts: Stretches not to be read (citation markers), in order.
    """
    units: list[Unit] = []
    for block in blocks:
        if block.kind in {BlockKind.RULE, BlockKind.CODE} or not block.lines:
            units.append(Unit(block, block.span, View.empty()))
            continue
        inside = overlapping(cuts, block.span)
        if block.kind is BlockKind.DATA:
            units.append(Unit(block, block.span, read(answer, block.lines, inside)))
            continue
        groups = rules.group_lines(answer, block.lines)
        begin = block.span.start
        for index, group in enumerate(groups):
            # Quote marks at the head of the next line belong to that line.
            end = (
                _line_head(answer, groups[index + 1][0].start)
                if index + 1 < len(groups)
                else block.span.end
            )
            span = rules.strip(answer, begin, end)
            if span is not None:
                units.append(Unit(block, span, read(answer, group, inside)))
            begin = end
    return units


def _first(spans: Sequence[Span], start: int) -> int:
    """The place of the first of ordered spans that begins at ``start`` or later."""
    return bisect_left(spans, start, key=lambda span: span.start)


def overlapping(spans: Sequence[Span], span: Span) -> Sequence[Span]:
    """Those of ordered, disjoint spans that reach into ``span``."""
    return spans[max(0, _first(spans, span.start) - 1) : _first(spans, span.end)]


def _line_head(answer: str, start: int) -> int:
    while start and answer[start - 1] not in "\r\n\u2028\u2029":
        start -= 1
    return start


def edges_of(
    answer: str, unit: Unit, sentences: Sequence[Sentence], markers: Sequence[Span]
) -> list[Span]:
    """Where each sentence of a unit begins and ends in the answer, markup and markers included.

    Between two sentences, markers and whatever else touches the first one belong to it: "... is
    30.[1] **The next**" parts after the marker.

    Args:
        answer: The exact answer.
        unit: The unit.
        sentences: Its sentences.
        markers: Citation markers of the answer, in order.
    """
    edges: list[Span] = []
    begin = unit.span.start
    for index, sentence in enumerate(sentences):
        if index + 1 == len(sentences):
            edges.append(Span(begin, unit.span.end))
            break
        end = unit.view.span(sentence.span.start, sentence.span.end).end
        following = sentences[index + 1].span
        limit = unit.view.span(following.start, following.end).start
        for at in range(_first(markers, end), _first(markers, limit)):
            end = max(end, min(markers[at].end, limit))
        while end < limit and not answer[end].isspace():
            end += 1
        edges.append(Span(begin, end))
        rest = rules.strip(answer, end, limit + 1)
        begin = rest.start if rest is not None else limit
    return edges
