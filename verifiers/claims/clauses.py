"""Checkable statements inside an English sentence.

A sentence is split only where each part is a statement of its own: coordinated clauses and
predicates of the main clause, and what stands between commas after the subject (a relative
clause, an apposition, a participle). Wherever scope is in doubt (conditions, alternatives,
negated or quantified subjects, reported speech, quotations) it stays whole: a long claim is better
than a mangled one, which would be flagged although it is true.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from verifiers.claims.asides import after_subject, relative_at_end
from verifiers.claims.coordination import PERSONAL, Predicate, borrowed, coordinated
from verifiers.claims.nouns import agrees, noun_phrase, plural
from verifiers.claims.tree import as_sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.claims.tree import Tree

_DOUBTFUL = frozenset(
    """
    respectively either neither nor unless if whether except instead alternately
    """.split()  # noqa: SIM905
)
_QUOTES = frozenset('"“”«»„`')
_MIN_WORDS = 3
_LONGEST = 400


class Part(NamedTuple):
    """A statement: where it stands in the parsed text, and how it reads alone."""

    start: int
    end: int
    text: str


class _Found(NamedTuple):
    predicates: Sequence[Predicate]
    inserted: tuple[int, list[int]] | None  # what stands between commas after the subject
    trailing: tuple[int, int, list[int]] | None  # a relative clause at the end


def parts(tree: Tree, swap: Mapping[int, str], begin: int) -> list[Part]:
    """The statements of a sentence, in order; empty when it is to stay whole.

    Args:
        tree: The parsed sentence.
        swap: Words to read otherwise: a pronoun's antecedent.
        begin: Index of the first word that is not an opener ("Sure, ...").
    """
    if len(tree.tokens) - begin < 2 * _MIN_WORDS or len(tree.tokens) > _LONGEST or _doubtful(tree):
        return []
    halves = _semicolons(tree, swap, begin)
    if halves:
        return halves
    predicates = coordinated(tree, begin)
    if not predicates:
        return []
    inserted = after_subject(tree, predicates[0], begin)
    trailing = relative_at_end(tree, predicates[-1])
    if len(predicates) == 1 and inserted is None and trailing is None:
        return []
    made = _Maker(tree, swap, begin, _Found(predicates, inserted, trailing)).run()
    return made if len(made) > 1 else []


def _doubtful(tree: Tree) -> bool:
    words = {t.text.casefold() for t in tree.tokens}
    if words & _DOUBTFUL or any(t.text in _QUOTES for t in tree.tokens):
        return True
    if any(t.text in "()[]{}" and t.text for t in tree.tokens if len(t.text) == 1) and any(
        t.dep == "parataxis" for t in tree.tokens
    ):
        return True
    if tree.tokens[-1].text == "?" or tree.tokens[-1].text == ":":
        return True
    root = tree.tokens[tree.root]
    if root.pos not in {"VERB", "AUX"} or not tree.finite(tree.root):
        return True
    return any(
        tree.tokens[c].dep == "advcl" and c < tree.root and tree.finite(c)
        for c in tree.children[tree.root]
    )


def _semicolons(tree: Tree, swap: Mapping[int, str], begin: int) -> list[Part]:
    """Statements parted by semicolons, when each side has a finite predicate with a subject."""
    tokens = tree.tokens
    cuts = [i for i, t in enumerate(tokens) if t.text == ";"]
    if not cuts:
        return []
    found: list[Part] = []
    bounds = [begin, *(cut + 1 for cut in cuts), len(tokens)]
    told = dict(swap)
    subjects: list[int] = []
    for start, stop in pairwise(bounds):
        inside = range(start, stop)
        heads = [
            i
            for i in inside
            if tokens[i].pos in {"VERB", "AUX"} and tree.finite(i) and tree.subject(i) in inside
        ]
        if not heads:
            return []
        head = min(heads, key=lambda i: _depth(tree, i))
        subject = tree.subject(head)
        if subject is None or tokens[subject].dep == "expl":
            return []
        word = tokens[subject].text.casefold()
        if subjects and word in PERSONAL:
            first = subjects[0]
            if not agrees(tokens[first], word, many=plural(tree, first)):
                return []
            told[subject] = tree.render(noun_phrase(tree, first), swap)
        elif subjects and word in {"this", "that", "which", "these", "those"}:
            return []
        subjects.append(subject)
        words = [i for i in inside if tokens[i].text != ";"]
        found.append(
            Part(
                tokens[words[0]].start, tokens[words[-1]].end, as_sentence(tree.render(words, told))
            )
        )
    return found


def _depth(tree: Tree, index: int) -> int:
    depth = 0
    while tree.tokens[index].head != index and depth < _LONGEST:
        index = tree.tokens[index].head
        depth += 1
    return depth


class _Maker:
    """Puts the parts of one sentence together."""

    def __init__(
        self,
        tree: Tree,
        swap: Mapping[int, str],
        begin: int,
        found: _Found,
    ) -> None:
        self.tree = tree
        self.swap = swap
        self.begin = begin
        self.predicates, self.inserted, self.trailing = found
        inserted = self.inserted
        subject = tree.subject(tree.root)
        words = tree.subtree(subject) if subject is not None else []
        out = set(inserted[1]) if inserted else set()
        out.update(i for i in words if tree.tokens[i].text == "," and inserted)
        self.subject = [i for i in words if i not in out]
        self.fronted = list(range(begin, self.subject[0])) if self.subject else []

    def run(self) -> list[Part]:
        found: list[Part] = []
        for place, predicate in enumerate(self.predicates):
            words = list(range(predicate.first, predicate.last + 1))
            if place + 1 == len(self.predicates) and self.trailing is not None:
                words = [i for i in words if i < self.trailing[2][0]]
            if place == 0:
                found.extend(self._main(words))
            else:
                found.append(self._other(predicate, words))
        if self.trailing is not None:
            found.append(self._relative(*self.trailing))
        return found

    def _main(self, words: list[int]) -> list[Part]:
        if self.inserted is None:
            return [self._part(words, self._say(words))]
        head, inner = self.inserted
        rest = [i for i in words if i > inner[-1] + 1]
        opening = [i for i in words if i <= inner[-1]]
        return [
            self._part(opening, self._say(self.subject) + " " + self._inner(head, inner)),
            self._part(rest, self._say([*self.fronted, *self.subject]) + " " + self._say(rest)),
        ]

    def _inner(self, head: int, inner: list[int]) -> str:
        """What is said of the subject between its commas, as a predicate."""
        tokens = self.tree.tokens
        if tokens[head].dep == "relcl":
            return self._say(inner[1:])
        many = plural(self.tree, self._head_of_subject())
        past = tokens[head].dep == "acl" or self._past()
        be = ("were" if many else "was") if past else ("are" if many else "is")
        return f"{be} {self._say(inner)}"

    def _head_of_subject(self) -> int:
        subject = self.tree.subject(self.tree.root)
        return self.subject[0] if subject is None else subject

    def _past(self) -> bool:
        tokens = self.tree.tokens
        root = self.tree.root
        return tokens[root].tag == "VBD" or any(
            tokens[c].dep in {"aux", "auxpass"} and tokens[c].tag == "VBD"
            for c in self.tree.children[root]
        )

    def _other(self, predicate: Predicate, words: list[int]) -> Part:
        tree = self.tree
        if predicate.subject is None:
            helpers = borrowed(tree, tree.root, predicate.head) or ""
            lead = self._say([*self.fronted, *self.subject])
            return self._part(words, " ".join(x for x in (lead, helpers, self._say(words)) if x))
        swap = dict(self.swap)
        own = tree.tokens[predicate.subject]
        main = tree.tokens[self._head_of_subject()]
        if own.text.casefold() in PERSONAL:
            same = own.text.casefold() == main.text.casefold()
            swap[predicate.subject] = (
                self._say(self.subject) if not same else swap.get(self._head_of_subject(), own.text)
            )
        lead = self._say(self.fronted)
        return self._part(words, " ".join(x for x in (lead, tree.render(words, swap)) if x))

    def _relative(self, noun: int, verb: int, words: list[int]) -> Part:
        inside = set(words)
        phrase = [i for i in self.tree.subtree(noun) if i not in inside and i < words[0]]
        while phrase and self.tree.tokens[phrase[-1]].pos == "PUNCT":
            phrase.pop()
        # A conjunct before the noun ("Bob and Jane, who ...") is not what the clause is about.
        phrase = [i for i in phrase if self.tree.tokens[i].dep != "cc"]
        del verb
        return self._part(words, f"{self._say(phrase)} {self._say(words[1:])}")

    def _say(self, words: Sequence[int]) -> str:
        return self.tree.render(words, self.swap)

    def _part(self, words: Sequence[int], text: str) -> Part:
        tokens = self.tree.tokens
        kept = list(words)
        last = len(tokens) - 1
        while (
            len(kept) > 1
            and (
                tokens[kept[-1]].dep == "cc"
                or tokens[kept[-1]].text in {",", ";", ":", "–", "—", "-"}  # noqa: RUF001
            )
            and kept[-1] != last
        ):
            text = text.rstrip()
            word = tokens[kept.pop()].text
            text = text.removesuffix(word)
        return Part(tokens[kept[0]].start, tokens[kept[-1]].end, as_sentence(text))
