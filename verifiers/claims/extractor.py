"""From an answer to its claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from verifiers import rules
from verifiers.claims.blocks import VERBATIM, blocks_from, is_json
from verifiers.claims.finder import find_from, find_outside
from verifiers.claims.markers import attach, drops, merge
from verifiers.claims.progress import Meaning, Progress
from verifiers.claims.reader import Reader
from verifiers.claims.sources import Resolver
from verifiers.claims.units import units_of
from verifiers.types import Claim, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.claims.drafts import Draft
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
        asked = " ".join((question or "").split())
        if memo is not None:
            memo.begin(len(answer))
        known = memo.progress if memo is not None else None
        if known is None or not known.fits(answer, asked, sources):
            known = Progress(asked, sources, Resolver.of(sources))
        if annotations or (known.seam.at and is_json(answer)):
            known = known.afresh()
        claims, progress = self._read(answer, known, annotations, memo)
        if memo is not None and not annotations:
            # Annotations may stand anywhere, and part sentences: what they touched is not kept.
            memo.progress = progress
        return claims

    def _read(
        self,
        answer: str,
        known: Progress,
        annotations: Sequence[Citation],
        memo: Memo | None,
    ) -> tuple[tuple[Claim, ...], Progress]:
        """Read an answer on from what is known of it."""
        at, resolver = known.seam.at, known.resolver
        blocks, seam, _ = blocks_from(answer, known.seam)
        code = (*known.code, *(block.span for block in blocks if block.kind in VERBATIM))
        found, defined = find_from(answer, resolver, code, at, known.defined)
        cuts = drops(answer, found)
        if any(cut.start < at for cut in cuts):
            # A bracket around a marker was opened on the line before the seam.
            return self._read(answer, known.afresh(), annotations, memo)
        citations = merge(answer, found, annotations)
        units = units_of(answer, blocks, cuts)
        english = self.parser.english
        reader = Reader(answer, citations, cuts, resolver, english=english, known=known.traces)
        if known.state is not None:
            reader.restore(known.state)
        reader.question = known.question
        ask = bool(known.asked) and known.state is None
        texts = [*([known.asked] if ask else []), *(unit.view.text for unit in units)]
        parsed = self.parser.parse(texts, memo)
        if ask:
            reader.ask(known.asked, next(parsed))
        state, done = known.state or reader.state, 0
        for unit, sentences in zip(units, parsed, strict=True):
            reader.read(unit, sentences)
            if unit.span.start < seam.at:
                state, done = reader.state, len(reader.drafts)
        drafts = reader.drafts
        meaning = Meaning({label: source for label, (_, source) in defined.items()})
        before, early = known.claims, known.citations
        if known.meaning.differs(meaning, known.targets):
            early = find_outside(answer, resolver, code)
            early = tuple(c for c in early if c.span.start < at)
            before = _claims(answer, known.drafts, early, 0, (known.drafts, known.claims))
        after = _claims(answer, drafts, citations, len(before), known.rest)
        settled = [c for c in citations if at <= c.span.start < seam.at]
        progress = Progress(
            asked=known.asked,
            sources=known.sources,
            resolver=resolver,
            question=reader.question,
            text=answer,
            seam=seam,
            drafts=(*known.drafts, *drafts[:done]),
            claims=(*before, *after[:done]),
            citations=(*early, *settled),
            targets=known.targets.union(c.target for c in settled),
            code=tuple(span for span in code if span.start < seam.at),
            defined={label: d for label, d in defined.items() if d[0] < seam.at},
            state=state,
            meaning=meaning,
            rest=(tuple(drafts[done:]), after[done:]),
            traces={start: t for start, t in reader.traces.items() if start >= seam.at},
        )
        return (*before, *after), progress


def _claims(
    answer: str,
    drafts: Sequence[Draft],
    citations: Sequence[Citation],
    count: int,
    known: tuple[Sequence[Draft], Sequence[Claim]],
) -> tuple[Claim, ...]:
    """The claims of drafts, the first of which is number ``count + 1``.

    Those that were made before are taken from what is known, as long as they are the same.
    """
    behind = attach(answer, drafts, citations)
    made: list[Claim] = []
    for place, (draft, found) in enumerate(zip(drafts, behind, strict=True)):
        name = f"c{count + 1 + place}"
        if place < len(known[0]) and known[0][place] == draft:
            old = known[1][place]
            if old.id == name and old.citations == found:
                made.append(old)
                continue
        made.append(
            Claim(
                id=name,
                span=draft.span,
                text=draft.span.of(answer),
                kind=draft.kind,
                sentence=draft.sentence,
                hypothesis=draft.hypothesis,
                facets=draft.facets,
                skip=draft.skip,
                citations=found,
            )
        )
    return tuple(made)
