"""From an answer to its claims."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from verifiers import rules
from verifiers.citations import Resolver, find_outside
from verifiers.claims import skip
from verifiers.claims.blocks import Block, BlockKind, segment
from verifiers.claims.drafts import Draft, Unit
from verifiers.claims.facets import facets
from verifiers.claims.inline import View, read
from verifiers.claims.markers import attach, drops, merge
from verifiers.types import Claim, ClaimKind, SkipReason, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verifiers.text import Sentence, SentenceParser
    from verifiers.types import Citation, Source


class ClaimExtractor(Protocol):
    """Splits an answer into claims. Blocking; call it from a worker thread."""

    def extract(
        self,
        answer: str,
        *,
        question: str | None = None,
        sources: Sequence[Source] = (),
        annotations: Sequence[Citation] = (),
    ) -> tuple[Claim, ...]:
        """The claims of an answer, skipped stretches included, in its order.

        Args:
            answer: The exact answer. Spans point into it.
            question: What was asked; short answers are read together with it.
            sources: What citation markers may name, in the order they were given to the model.
            annotations: Citations the provider returned beside the text.

        Returns:
            Claims whose sentences together hold every non-space character of the answer; empty
            for an answer without any. Every sentence that is checkworthy is covered by claims.

        Raises:
            PipelineUnavailable: If the configured pipeline cannot be loaded.
        """

    def sentences(self, text: str) -> list[Span]:
        """The sentences of a text of any size, by rule: for cutting sources into windows."""


class Extractor:
    """The :class:`ClaimExtractor` over a sentence parser."""

    def __init__(self, parser: SentenceParser) -> None:
        self.parser = parser

    def sentences(self, text: str) -> list[Span]:
        """The sentences of a text of any size; see the protocol."""
        return rules.split(text)

    def extract(
        self,
        answer: str,
        *,
        question: str | None = None,
        sources: Sequence[Source] = (),
        annotations: Sequence[Citation] = (),
    ) -> tuple[Claim, ...]:
        """The claims of an answer; see the protocol."""
        blocks = segment(answer)
        code = [block.span for block in blocks if block.kind is BlockKind.CODE]
        found = find_outside(answer, Resolver.of(sources), code)
        citations = merge(answer, found, annotations)
        cuts = drops(answer, found)
        units = list(_units(answer, blocks, cuts))
        parsed = self.parser.parse([unit.view.text for unit in units])
        drafts: list[Draft] = []
        for unit, sentences in zip(units, parsed, strict=True):
            drafts.extend(_drafts(answer, unit, sentences, citations))
        del question
        behind = attach(answer, drafts, citations)
        return tuple(
            Claim(
                id=f"c{number}",
                span=draft.span,
                text=draft.span.of(answer),
                kind=draft.kind,
                sentence=draft.sentence,
                hypothesis=draft.hypothesis,
                facets=facets(draft.hypothesis, draft.tokens) if draft.skip is None else frozenset(),
                skip=draft.skip,
                citations=behind[number - 1],
            )
            for number, draft in enumerate(drafts, 1)
        )


_KINDS = {
    BlockKind.PARAGRAPH: ClaimKind.SENTENCE,
    BlockKind.FOOTNOTE: ClaimKind.SENTENCE,
    BlockKind.RULE: ClaimKind.SENTENCE,
    BlockKind.ITEM: ClaimKind.LIST_ITEM,
    BlockKind.HEADING: ClaimKind.HEADING,
    BlockKind.TABLE_HEADER: ClaimKind.TABLE_ROW,
    BlockKind.TABLE_ROW: ClaimKind.TABLE_ROW,
    BlockKind.CODE: ClaimKind.CODE,
}


def _units(answer: str, blocks: Sequence[Block], cuts: Sequence[Span]) -> Iterator[Unit]:
    starts = [cut.start for cut in cuts]
    for block in blocks:
        if block.kind in {BlockKind.RULE, BlockKind.CODE} or not block.lines:
            yield Unit(block, block.span, View.empty())
            continue
        low = max(0, bisect_left(starts, block.span.start) - 1)
        inside = cuts[low : bisect_left(starts, block.span.end)]
        groups = rules.group_lines(answer, block.lines)
        begin = block.span.start
        for index, group in enumerate(groups):
            end = groups[index + 1][0].start if index + 1 < len(groups) else block.span.end
            span = rules.strip(answer, begin, end)
            if span is not None:
                yield Unit(block, span, read(answer, group, inside))
            begin = end


def _drafts(
    answer: str, unit: Unit, sentences: Sequence[Sentence], citations: Sequence[Citation]
) -> Iterator[Draft]:
    kind = _KINDS[unit.block.kind]
    if unit.block.quoted and kind is ClaimKind.SENTENCE:
        kind = ClaimKind.QUOTATION
    if not sentences:
        reason = SkipReason.CODE if kind is ClaimKind.CODE else SkipReason.NO_CONTENT
        yield Draft(unit.span, unit.span, kind, "", skip=reason)
        return
    view = unit.view
    edges = _edges(answer, unit, sentences, citations)
    for sentence, (start, end) in zip(sentences, edges, strict=True):
        text = view.text[sentence.span.start : sentence.span.end]
        span = view.span(sentence.span.start, sentence.span.end)
        lead = skip.opener(text)
        yield Draft(
            span=span,
            sentence=Span(start, end),
            kind=kind,
            hypothesis=text[lead:],
            tokens=sentence.tokens,
            skip=skip.reason(text),
        )


def _edges(
    answer: str, unit: Unit, sentences: Sequence[Sentence], citations: Sequence[Citation]
) -> list[tuple[int, int]]:
    """Where each sentence of a unit begins and ends in the answer, markup and markers included.

    Between two sentences, markers and whatever else touches the first one belong to it: "... is
    30.[1] **The next**" parts after the marker.
    """
    starts = [citation.span.start for citation in citations]
    edges: list[tuple[int, int]] = []
    begin = unit.span.start
    for index, sentence in enumerate(sentences):
        if index + 1 == len(sentences):
            edges.append((begin, unit.span.end))
            break
        end = unit.view.span(sentence.span.start, sentence.span.end).end
        following = sentences[index + 1].span
        limit = unit.view.span(following.start, following.end).start
        for at in range(bisect_left(starts, end), bisect_left(starts, limit)):
            end = max(end, min(citations[at].span.end, limit))
        while end < limit and not answer[end].isspace():
            end += 1
        edges.append((begin, end))
        rest = rules.strip(answer, end, limit + 1)
        begin = rest.start if rest is not None else limit
    return edges


__all__ = ["ClaimExtractor", "Extractor", "replace"]
