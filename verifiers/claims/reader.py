"""Reads the parsed units of one answer into drafts of claims, in order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verifiers.claims import clauses, context, skip
from verifiers.claims.blocks import BlockKind
from verifiers.claims.drafts import Draft, Unit
from verifiers.claims.facets import facets
from verifiers.claims.progress import State, Trace
from verifiers.claims.questions import Question, after_polarity, polarity
from verifiers.claims.reference import Salience
from verifiers.claims.tree import Tree, as_sentence
from verifiers.claims.units import edges_of, overlapping
from verifiers.types import ClaimKind, SkipReason, Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.claims.inline import View
    from verifiers.claims.sources import Resolver
    from verifiers.text import Sentence, Token
    from verifiers.types import Citation

_KINDS = {
    BlockKind.PARAGRAPH: ClaimKind.SENTENCE,
    BlockKind.FOOTNOTE: ClaimKind.SENTENCE,
    BlockKind.RULE: ClaimKind.SENTENCE,
    BlockKind.ITEM: ClaimKind.LIST_ITEM,
    BlockKind.HEADING: ClaimKind.HEADING,
    BlockKind.TABLE_HEADER: ClaimKind.TABLE_ROW,
    BlockKind.TABLE_ROW: ClaimKind.TABLE_ROW,
    BlockKind.CODE: ClaimKind.CODE,
    BlockKind.DATA: ClaimKind.SENTENCE,
}
_REFERENCES = re.compile(
    r"(?:sources?|references?|bibliography|citations?|works\s+cited|further\s+reading|footnotes?|"
    r"(?:sources?|references?)\s+(?:used|cited|consulted))\s*:?\s*$",
    re.IGNORECASE,
)
_SOURCE_LINE = re.compile(r"(?:sources?|references?|citations?)\s*:\s*\S", re.IGNORECASE)
_URL = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)
_YEAR_REFERENCE = re.compile(
    r"\((?:19|20)\d\d[a-z]?\)|,\s(?:19|20)\d\d[.)]?\s*$|\bpp?\.\s*\d|\bdoi\b|\bet al\b|\bvol\.",
    re.IGNORECASE,
)
_CONTENT = re.compile(r"\w")
_STRESS = frozenset("*_`~")
_SHORT = 14  # words; a longer text without a verb is not a short answer


class Reader:
    """Turns units into drafts. Feed it every unit in order; then take ``drafts``."""

    def __init__(
        self,
        answer: str,
        citations: Sequence[Citation],
        cuts: Sequence[Span],
        resolver: Resolver,
        *,
        english: bool,
        known: Mapping[int, Trace] | None = None,
    ) -> None:
        """Make a reader at the beginning of an answer.

        Args:
            answer: The exact answer.
            citations: Its citations, in order; those of units that are not fed may be missing.
            cuts: Stretches not to be read (citation markers), in order.
            resolver: Finds sources.
            english: Whether clauses can be read from the relations.
            known: How units of running text were read when the answer was shorter.
        """
        self.answer = answer
        self.markers = [citation.span for citation in citations]
        self.cuts = cuts
        self.resolver = resolver
        self.english = english
        self.known = known or {}
        self.traces: dict[int, Trace] = {}
        self.drafts: list[Draft] = []
        self.question: Question | None = None
        self.salience = Salience()
        self._leads: list[tuple[int, str]] = []  # indentation and text of open lead-ins
        self._table = -1
        self._heads: Sequence[str] = ()
        self._short_only = True  # so far the answer is nothing but short answers
        self._in_references = False
        self._answered = False  # a statement was read: what follows is no short answer

    @property
    def state(self) -> State:
        """What there is to know to go on from here."""
        return State(
            self.salience.about,
            tuple(self._leads),
            self._table,
            self._heads,
            self._short_only,
            self._in_references,
            self._answered,
        )

    def restore(self, state: State) -> None:
        """Go on from where a reader was."""
        about, leads, table, heads, short_only, in_references, answered = state
        self.salience = Salience(about)
        self._leads = list(leads)
        self._table, self._heads = table, heads
        self._short_only, self._in_references = short_only, in_references
        self._answered = answered

    def ask(self, text: str, sentences: Sequence[Sentence]) -> None:
        """Take in what was asked."""
        if not text:
            return
        trees = [Tree(text, s.tokens) for s in sentences if s.tokens] if self.english else []
        self.question = Question(text, trees)
        if self.question.tree is not None:
            self.salience.read(self.question.tree, {})

    def read(self, unit: Unit, sentences: Sequence[Sentence]) -> None:
        """Take in the next unit."""
        block = unit.block
        before = len(self.drafts)
        if not sentences or not _CONTENT.search(unit.view.text):
            self._blank(unit)
            return
        match block.kind:
            case BlockKind.TABLE_HEADER:
                cuts = overlapping(self.cuts, unit.span)
                self._table = block.table
                self._heads = context.heads(self.answer, block, cuts)
                self._header(unit, sentences)
            case BlockKind.TABLE_ROW:
                self._row(unit)
            case BlockKind.DATA:
                self._data(unit)
            case BlockKind.HEADING:
                self._heading(unit, sentences)
            case _:
                self._text(unit, sentences)
        new = self.drafts[before:]
        self._short_only = self._short_only and all(d.kind is ClaimKind.FRAGMENT for d in new)

    def _blank(self, unit: Unit) -> None:
        if unit.block.kind is BlockKind.CODE:
            reason, kind = SkipReason.CODE, ClaimKind.CODE
        else:
            reason, kind = SkipReason.NO_CONTENT, _KINDS[unit.block.kind]
        self._add(unit.span, unit.span, kind, "", reason=reason)

    def _add(
        self,
        span: Span,
        sentence: Span,
        kind: ClaimKind,
        text: str,
        tokens: Sequence[Token] = (),
        *,
        reason: SkipReason | None = None,
    ) -> None:
        # Facets are read here and the words let go: keeping every word of a megabyte makes the
        # garbage collector stop all threads for most of a second.
        found = facets(text, tokens) if reason is None else frozenset()
        self.drafts.append(Draft(span, sentence, kind, text, found, reason))

    def _row(self, unit: Unit) -> None:
        heads = self._heads if self._table == unit.block.table else ()
        cuts = overlapping(self.cuts, unit.span)
        statements = context.row_statements(self.answer, unit.block, heads, cuts)
        if not statements:
            self._blank(unit)
        for statement in statements:
            self._add(statement.span, unit.span, ClaimKind.TABLE_ROW, statement.hypothesis)

    def _data(self, unit: Unit) -> None:
        """JSON: a claim for each line that holds a value, all in one piece.

        Half of it would be of no use to the program it is for.
        """
        for line in unit.block.lines:
            text = context.value(line.of(self.answer))
            if _CONTENT.search(text):
                self._add(line, unit.span, ClaimKind.SENTENCE, as_sentence(text))
        self._answered = True

    def _header(self, unit: Unit, sentences: Sequence[Sentence]) -> None:
        """The head of a table: names of columns, unless someone put statements there."""
        text = unit.view.text
        states = context.asserts(text) or (
            self.english and any(Tree(text, s.tokens).statement() for s in sentences)
        )
        self._add(
            unit.span,
            unit.span,
            _KINDS[unit.block.kind],
            as_sentence(text.replace("|", " ")) if states else text,
            reason=None if states else SkipReason.HEADING,
        )

    def _heading(self, unit: Unit, sentences: Sequence[Sentence]) -> None:
        view = unit.view
        text = view.text
        span = self._place(view, sentences[0].span.start, sentences[-1].span.end, unit.span)
        self._in_references = bool(_REFERENCES.match(text))
        self._leads = [(-1, text)] if text.endswith(":") else []
        reason: SkipReason | None = SkipReason.HEADING
        states = False
        if self.english:
            trees = [Tree(text, s.tokens) for s in sentences]
            states = any(t.statement() for t in trees)
            self.salience.forget()  # a heading opens a new topic
            for tree in trees:
                self.salience.read(tree, {})
        if skip.is_question(text):
            alone = self.english and len(sentences) == 1
            said = self._said(text, Tree(text, sentences[0].tokens) if alone else None)
            reason, text = (SkipReason.QUESTION, text) if said is None else (None, said)
        elif states or context.asserts(text):
            reason = None
        self._add(span, unit.span, ClaimKind.HEADING, as_sentence(text), reason=reason)

    def _text(self, unit: Unit, sentences: Sequence[Sentence]) -> None:
        block = unit.block
        level = block.level if block.kind is BlockKind.ITEM else -1
        self._leads = [lead for lead in self._leads if lead[0] < level] if level >= 0 else []
        lead = self._leads[-1][1] if self._leads else ""
        edges = edges_of(self.answer, unit, sentences, self.markers)
        kind = _KINDS[block.kind]
        if block.quoted and kind is ClaimKind.SENTENCE:
            kind = ClaimKind.QUOTATION
        if block.kind is BlockKind.PARAGRAPH and _REFERENCES.match(unit.view.text):
            self._in_references = True
        trace = Trace.of(unit, self.state, lead, sentences, edges)
        begin = self._take_over(trace)
        before = len(self.drafts) - len(trace.drafts)
        for place in range(begin, len(sentences)):
            found = lead if place == 0 else ""
            self._sentence(unit, sentences[place], edges[place], kind, found)
            trace.marks.append((len(self.drafts) - before, self.state))
        trace.drafts[:] = self.drafts[before:]
        self.traces[unit.span.start] = trace
        last = unit.view.text[sentences[-1].span.start : sentences[-1].span.end]
        if last.rstrip().endswith((":", "：")):  # noqa: RUF001
            self._leads.append((level, last))

    def _take_over(self, trace: Trace) -> int:
        """Take over how the first sentences of a unit were read before; how many they are."""
        known = self.known.get(trace.start)
        count = trace.alike(known) if known is not None else 0
        if known is None or not count:
            return 0
        trace.marks.extend(known.marks[:count])
        size, state = known.marks[count - 1]
        trace.drafts.extend(known.drafts[:size])
        self.drafts.extend(trace.drafts)
        self.restore(state)
        return count

    def _sentence(
        self, unit: Unit, sentence: Sentence, edge: Span, kind: ClaimKind, lead: str
    ) -> None:
        view = unit.view
        text = view.text[sentence.span.start : sentence.span.end]
        span = self._place(view, sentence.span.start, sentence.span.end, edge)
        tree = Tree(view.text, sentence.tokens) if self.english and sentence.tokens else None
        reason = self._reason(unit, text, tree)
        said = self._said(text, tree) if reason is SkipReason.QUESTION else None
        if said is not None:
            # It ends as a question and states something all the same.
            self._add(span, edge, kind, as_sentence(said), sentence.tokens)
            return
        if reason is not None:
            self._add(span, edge, kind, text, reason=reason)
            if tree is not None and reason is SkipReason.QUESTION:
                self.salience.read(tree, {})
            return
        length = skip.opener(text)
        if tree is None:
            self._add(span, edge, kind, self._plain(text, length, lead))
            self._answered = True
            return
        begin = next(
            (i for i, t in enumerate(sentence.tokens) if t.start >= sentence.span.start + length), 0
        )
        short = self._short(text, length, tree, kind, lead)
        if short:
            self._add(span, edge, ClaimKind.FRAGMENT, short, sentence.tokens)
            self._answered = True
            return
        swap = self.salience.swap(tree)
        whole = tree.render(range(begin, len(tree.tokens)), swap)
        self.salience.read(tree, swap)
        self._answered = True
        states = tree.statement()
        if kind is ClaimKind.LIST_ITEM and lead and not (states and len(whole.split()) > 3):  # noqa: PLR2004
            self._add(span, edge, kind, context.with_lead(lead, whole), sentence.tokens)
            return
        found = clauses.parts(tree, swap, begin)
        if not found:
            self._add(span, edge, kind, as_sentence(whole), sentence.tokens)
            return
        for part in found:
            doubt = skip.reason(part.text)
            inside = tuple(t for t in sentence.tokens if part.start <= t.start < part.end)
            place = self._place(view, part.start, part.end, edge)
            reason = (
                doubt if doubt in {SkipReason.HEDGE, SkipReason.META, SkipReason.GREETING} else None
            )
            self._add(place, edge, ClaimKind.CLAUSE, part.text, inside, reason=reason)

    def _place(self, view: View, start: int, end: int, edge: Span) -> Span:
        """Where a stretch stands in the answer, with the stress marks that touch it."""
        span = view.span(start, end)
        first, last = span.start, span.end
        while first > edge.start and self.answer[first - 1] in _STRESS:
            first -= 1
        while last < edge.end and self.answer[last] in _STRESS:
            last += 1
        return Span(first, last)

    def _plain(self, text: str, length: int, lead: str) -> str:
        core = text[length:]
        return context.with_lead(lead, core) if lead else as_sentence(core)

    def _reason(self, unit: Unit, text: str, tree: Tree | None) -> SkipReason | None:
        found = skip.reason(text)
        if found is not None:
            return found
        if unit.block.kind is BlockKind.FOOTNOTE or self._in_references or _SOURCE_LINE.match(text):
            states = tree.statement() if tree is not None else len(text.split()) > _SHORT
            if self._reference(text, states=states):
                return SkipReason.CITATION_LIST
        if context.says_nothing_alone(text):
            return SkipReason.HEADING
        return None

    def _said(self, text: str, tree: Tree | None) -> str | None:
        """What a question states, or None when it only asks."""
        if not self.english:
            return None
        if tree is not None and tree.declares():
            return text.rstrip(skip.QUESTION_MARKS)
        return skip.stated(text)

    def _reference(self, text: str, *, states: bool) -> bool:
        """Whether a line names a source rather than states something."""
        bare = re.sub(r"^(?:sources?|references?|citations?)\s*:\s*", "", text, flags=re.IGNORECASE)
        if _REFERENCES.match(text) or not _CONTENT.search(_URL.sub("", bare)):
            return True
        if self.resolver.find(bare.strip(" .")) is not None or _YEAR_REFERENCE.search(bare):
            return True
        return not states and not context.figures(bare)

    def _short(self, text: str, length: int, tree: Tree, kind: ClaimKind, lead: str) -> str:
        """What a short answer says together with the question; empty when it is none."""
        question = self.question
        if question is None or not question.asks or lead or len(text.split()) > _SHORT:
            return ""
        says = polarity(text) if not self._answered else None
        if says is not None:
            rest = after_polarity(text)
            if not rest or len(rest.split()) <= 3 or _echo(rest):  # noqa: PLR2004
                return question.with_polarity(yes=says) or f"{question.text} {as_sentence(text)}"
        if tree.statement() or _imperative(tree):
            return ""
        # Later items answer too, as long as the answer is nothing but a list.
        listed = kind is ClaimKind.LIST_ITEM and self._short_only
        if (self._answered and not listed) or context.label_of(text) is not None:
            return ""
        phrase = tree.tokens[tree.root].tag not in {"VBZ", "VBD", "VBP"}
        return question.with_fragment(text[length:], phrase=phrase)


_ECHO = re.compile(
    r"(?:it|he|she|they|you|we|i|this|that|there|these|those)\s+(?:(?:is|are|was|were|do|does|did|can|could|will|would|should|"
    r"has|have|had|may|might|must)(?:\s*n[o'’]t)?|cannot|won['’]t|can['’]t)\s*[.!]*$",  # noqa: RUF001
    re.IGNORECASE,
)


def _echo(text: str) -> bool:
    """Whether a text only repeats a yes or no: "it isn't", "they can"."""
    return _ECHO.match(text) is not None


def _imperative(tree: Tree) -> bool:
    root = tree.tokens[tree.root]
    return root.tag == "VB" and tree.subject(tree.root) is None
