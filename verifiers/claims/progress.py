"""What is kept of an answer that grows, so that what was read need not be read again.

Two things are kept, and neither is a guess. Blocks before a seam do not change any more, whatever
follows (:class:`verifiers.claims.blocks.Seam`); they are not looked at again. In the blocks behind
it, how a sentence was read is taken over as long as all that the reading depended on is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from verifiers.claims.blocks import Seam

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.claims.blocks import BlockKind
    from verifiers.claims.drafts import Draft, Unit
    from verifiers.claims.inline import View
    from verifiers.claims.questions import Question
    from verifiers.claims.reference import About
    from verifiers.claims.sources import Resolver
    from verifiers.text import Sentence
    from verifiers.types import Citation, Claim, Source, Span


class State(NamedTuple):
    """What a reader of units knows besides the unit in front of it."""

    about: About
    leads: tuple[tuple[int, str], ...]
    table: int
    heads: Sequence[str]
    short_only: bool
    in_references: bool
    answered: bool


class Trace(NamedTuple):
    """How a unit of running text was read.

    Attributes:
        start: Where the unit begins in the answer.
        kind: The block it stands in, and whether that is quoted.
        before: What the reader knew when it came to the first sentence.
        lead: What leads into the first sentence.
        view: What the unit says.
        sentences: Its sentences, and ``edges`` where they stand in the answer.
        drafts: What came of it.
        marks: For each sentence, how many drafts there were after it and what the reader knew.
    """

    start: int
    kind: tuple[BlockKind, bool]
    before: State
    lead: str
    view: View
    sentences: Sequence[Sentence]
    edges: Sequence[Span]
    drafts: list[Draft]
    marks: list[tuple[int, State]]

    @classmethod
    def of(
        cls,
        unit: Unit,
        before: State,
        lead: str,
        sentences: Sequence[Sentence],
        edges: Sequence[Span],
    ) -> Trace:
        """The trace of a unit of which no sentence was read yet."""
        kind = unit.block.kind, unit.block.quoted
        return cls(unit.span.start, kind, before, lead, unit.view, sentences, edges, [], [])

    def alike(self, known: Trace) -> int:
        """How many sentences at the head would be read as they were, the answer being the same."""
        if (self.kind, self.lead, self.before) != (known.kind, known.lead, known.before):
            return 0
        count = 0
        for sentence, edge, other, place in zip(
            self.sentences, self.edges, known.sentences, known.edges, strict=False
        ):
            if edge != place or not (sentence is other or sentence == other):
                break
            count += 1
        while count and not self.view.begins(known.view, self.sentences[count - 1].span.end):
            count //= 2
        return count


class Meaning(NamedTuple):
    """What of an answer's own list of references its citations were resolved by."""

    sources: Mapping[str, str | None]

    def differs(self, other: Meaning, targets: frozenset[str]) -> bool:
        """Whether some of the targets mean something else by the other."""
        return any(
            (target in self.sources) != (target in other.sources)
            or self.sources.get(target) != other.sources.get(target)
            for target in targets
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """What was read of an answer.

    Attributes:
        asked: What was asked, and ``sources`` what there was to cite.
        resolver: Finds these sources.
        question: What was asked, once it is parsed.
        text: The answer as far as it was read.
        seam: Before it nothing changes any more; what follows here is of the text before it.
        drafts: Its drafts, and ``claims`` what was made of them.
        citations: Its citations, and ``targets`` what they name.
        code: Its code.
        defined: What its references define.
        state: What the reader knew at the seam.
        meaning: What the citations were resolved by, references behind the seam included.
        rest: The drafts behind the seam with their claims.
        traces: How the units behind the seam were read, by their offset.
    """

    asked: str
    sources: Sequence[Source]
    resolver: Resolver
    question: Question | None = None
    text: str = ""
    seam: Seam = field(default_factory=Seam)
    drafts: tuple[Draft, ...] = ()
    claims: tuple[Claim, ...] = ()
    citations: tuple[Citation, ...] = ()
    targets: frozenset[str] = frozenset()
    code: tuple[Span, ...] = ()
    defined: Mapping[str, tuple[int, str | None]] = field(default_factory=dict)
    state: State | None = None
    meaning: Meaning = field(default_factory=lambda: Meaning({}))
    rest: tuple[tuple[Draft, ...], tuple[Claim, ...]] = ((), ())
    traces: Mapping[int, Trace] = field(default_factory=dict)

    def fits(self, answer: str, asked: str, sources: Sequence[Source]) -> bool:
        """Whether an answer is this one, perhaps longer."""
        same = sources is self.sources or tuple(sources) == tuple(self.sources)
        return same and asked == self.asked and answer.startswith(self.text)

    def afresh(self) -> Progress:
        """Nothing read yet but the question."""
        return Progress(self.asked, self.sources, self.resolver, self.question)
