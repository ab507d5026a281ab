"""From an answer to its claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from verifiers import rules
from verifiers.claims.blocks import VERBATIM, segment
from verifiers.claims.finder import find_outside
from verifiers.claims.markers import attach, drops, merge
from verifiers.claims.reader import Reader
from verifiers.claims.sources import Resolver
from verifiers.claims.units import units_of
from verifiers.types import Claim, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.text import Memo, SentenceParser
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
        memo: Memo | None = None,
    ) -> tuple[Claim, ...]:
        """The claims of an answer, skipped stretches included, in its order.

        Args:
            answer: The exact answer. Spans point into it.
            question: What was asked; short answers are read together with it.
            sources: What citation markers may name, in the order they were given to the model.
            annotations: Citations the provider returned beside the text.
            memo: What was parsed when the answer was shorter. The claims are the same without it.

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
        memo: Memo | None = None,
    ) -> tuple[Claim, ...]:
        """The claims of an answer; see the protocol."""
        if not answer.strip():
            return ()
        blocks = segment(answer)
        code = [block.span for block in blocks if block.kind in VERBATIM]
        resolver = Resolver.of(sources)
        found = find_outside(answer, resolver, code)
        citations = merge(answer, found, annotations)
        cuts = drops(answer, found)
        units = units_of(answer, blocks, cuts)
        reader = Reader(answer, blocks, citations, cuts, resolver, english=self.parser.english)
        asked = " ".join((question or "").split())
        texts = [asked, *(unit.view.text for unit in units)]
        parsed = self.parser.parse(texts, memo)
        reader.ask(asked, next(parsed))
        for unit, sentences in zip(units, parsed, strict=True):
            reader.read(unit, sentences)
        drafts = reader.drafts
        behind = attach(answer, drafts, citations)
        return tuple(
            Claim(
                id=f"c{number}",
                span=draft.span,
                text=draft.span.of(answer),
                kind=draft.kind,
                sentence=draft.sentence,
                hypothesis=draft.hypothesis,
                facets=draft.facets,
                skip=draft.skip,
                citations=behind[number - 1],
            )
            for number, draft in enumerate(drafts, 1)
        )
