"""Parsed sentences, and the port through which they come.

A parser reads plain text (markup already taken out) and says where the sentences are and, if it
can, how their words hang together. :mod:`verifiers._spacy` is the adapter with syntax,
:mod:`verifiers.rules` the one without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verifiers.claims.progress import Progress
    from verifiers.types import Span


class Token(NamedTuple):
    """One word of a parsed sentence. A tuple: there is one for every word, and they are cheap.

    Attributes:
        start: Offset of its first character in the parsed text.
        end: Offset after its last character.
        text: The word as written.
        lemma: Its base form.
        pos: Universal part of speech, such as ``VERB``.
        tag: Treebank tag, such as ``VBD``.
        dep: Relation to its head, such as ``nsubj``; the root's is ``ROOT``.
        head: Index of its head in the sentence's tokens; the root's is its own.
        ent: Entity type, such as ``PERSON``, or an empty string.
    """

    start: int
    end: int
    text: str
    lemma: str
    pos: str
    tag: str
    dep: str
    head: int
    ent: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a parsed text. ``tokens`` is empty where the parser knows no syntax."""

    span: Span
    tokens: tuple[Token, ...] = ()


class Parsed(NamedTuple):
    """One text that was parsed.

    Attributes:
        text: The text.
        spans: What it was cut into, each parsed on its own.
        found: The sentences of each.
    """

    text: str
    spans: tuple[Span, ...]
    found: tuple[tuple[Sentence, ...], ...]


class Memo:
    """What was read of one answer, so that reading it again as it grows costs only what is new.

    Not shared between threads at the same time.

    Attributes:
        parsed: How many texts were parsed because they were not known.
        last: The last text that was parsed: most often a longer one will begin with it.
        progress: What the extractor read of the answer.
        held: Characters of the texts that are known.
    """

    def __init__(self) -> None:
        self.parsed = 0
        self.last: Parsed | None = None
        self.progress: Progress | None = None
        self._known: dict[str, tuple[Sentence, ...]] = {}
        self.held = 0

    def begin(self, size: int) -> None:
        """Another reading begins, of an answer of ``size`` characters."""
        if self.held > _MOST_HELD * size + _ALWAYS_HELD:
            # An answer that grows inside its sentences leaves the halves of them behind.
            self._known, self.held = {}, 0

    def get(self, text: str) -> tuple[Sentence, ...] | None:
        """What is known of a text; offsets count from its first character."""
        return self._known.get(text)

    def put(self, text: str, sentences: tuple[Sentence, ...]) -> None:
        """Remember a text just parsed."""
        self.parsed += 1
        self.held += len(text)
        self._known[text] = sentences


# Characters of parsed text that are kept, by those of the answer, and at any rate.
_MOST_HELD = 4
_ALWAYS_HELD = 16_384


class SentenceParser(Protocol):
    """Splits texts into sentences. Safe to call from several threads at once.

    Blocking; never call it on an event loop.
    """

    @property
    def name(self) -> str:
        """What parses, for reports."""

    @property
    def english(self) -> bool:
        """Whether tokens carry English (ClearNLP) relations that clauses can be read from."""

    def parse(
        self, texts: Sequence[str], memo: Memo | None = None
    ) -> Iterator[tuple[Sentence, ...]]:
        """The sentences of each text, in order, together covering all its non-space characters.

        Args:
            texts: What to parse.
            memo: What was parsed before and need not be again. Parsing has to be worth it: a
                parser without syntax may ignore it.

        Raises:
            PipelineUnavailable: If the configured pipeline cannot be loaded.
        """
