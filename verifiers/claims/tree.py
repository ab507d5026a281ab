"""A parsed English sentence as a tree, and words of it put back together as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from verifiers.text import Token

SUBJECTS = frozenset({"nsubj", "nsubjpass", "csubj", "csubjpass", "expl"})
_FINITE_TAGS = frozenset({"VBD", "VBP", "VBZ", "MD"})
_ASKING = frozenset({"WDT", "WP", "WP$", "WRB"})
_LEAST_DECLARED = 5  # words and marks
_TERMINAL = frozenset(".!?…。！？")  # noqa: RUF001
_CLOSING = "\"'”’)]»"  # noqa: RUF001


class Tree:
    """Relations between the words of one sentence.

    Args:
        text: The text the tokens point into.
        tokens: The words of one sentence.
    """

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.children: list[list[int]] = [[] for _ in tokens]
        self.root = 0
        for index, token in enumerate(tokens):
            if token.head == index:
                if token.dep == "ROOT":
                    self.root = index
            else:
                self.children[token.head].append(index)

    def subtree(self, index: int) -> list[int]:
        """The words under ``index``, itself included, in order."""
        found: list[int] = []
        stack = [index]
        while stack:
            at = stack.pop()
            found.append(at)
            stack.extend(self.children[at])
        return sorted(found)

    def child(self, index: int, deps: Iterable[str]) -> int | None:
        """The first dependent of ``index`` in one of the relations."""
        return next((c for c in self.children[index] if self.tokens[c].dep in deps), None)

    def subject(self, index: int) -> int | None:
        """The subject of a predicate."""
        return self.child(index, SUBJECTS)

    def finite(self, index: int) -> bool:
        """Whether a predicate is finite: by its own form or its auxiliary's."""
        own = self.tokens[index].tag in _FINITE_TAGS
        return own or any(
            self.tokens[c].dep in {"aux", "auxpass"} and self.tokens[c].tag in _FINITE_TAGS
            for c in self.children[index]
        )

    def statement(self) -> bool:
        """Whether the sentence has a finite predicate with a subject somewhere near its root."""
        heads = [
            self.root,
            *(c for c in self.children[self.root] if self.tokens[c].dep in {"ccomp", "conj"}),
        ]
        return any(
            self.tokens[h].pos in {"VERB", "AUX"} and self.finite(h) and self.subject(h) is not None
            for h in heads
        )

    def declares(self) -> bool:
        """Whether a question is built as a statement: "The shop was founded in 1720?".

        Not "You want a refund?", which asks for what the reader knows, nor "30 or 60 days?".
        """
        subject = self.subject(self.root)
        if subject is None or len(self.tokens) < _LEAST_DECLARED or not self.statement():
            return False
        if any(t.tag in _ASKING or t.text.casefold() == "or" for t in self.tokens):
            return False
        verbs = [c for c in self.children[self.root] if self.tokens[c].dep in {"aux", "auxpass"}]
        first = min([self.root, *verbs])
        return subject < first and self.tokens[subject].text.casefold() not in {"you", "i"}

    def render(self, indexes: Sequence[int], swap: Mapping[int, str] | None = None) -> str:
        """Words as text, spaced as in the original; ``swap`` gives other words for some."""
        swap = swap or {}
        parts: list[str] = []
        for place, index in enumerate(indexes):
            token = self.tokens[index]
            if place:
                before = self.tokens[indexes[place - 1]]
                near = indexes[place - 1] + 1 == index
                parts.append(self.text[before.end : token.start] if near else " ")
            parts.append(swap.get(index, self.text[token.start : token.end]))
        return "".join(parts)


def as_sentence(text: str) -> str:
    """A stretch of words as a sentence: capital first, full stop last, loose commas gone."""
    text = " ".join(text.split()).strip().strip(",;:–—- ").strip()  # noqa: RUF001
    text = text.replace(" ,", ",").replace(" .", ".")
    if not text:
        return text
    # "iPhone" and "eBay" keep their own capitals.
    if text[0].islower() and not any(c.isupper() for c in text.split()[0]):
        text = text[0].upper() + text[1:]
    bare = text.rstrip(_CLOSING)
    return text if bare and bare[-1] in _TERMINAL else text + "."
