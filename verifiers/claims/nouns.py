"""Nouns of a parsed sentence, and the pronouns that can mean them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifiers.claims.tree import Tree
    from verifiers.text import Token

_HUMAN = re.compile(
    r".*(?:man|woman|person|girl|boy|mother|father|mom|dad|sister|brother|wife|husband|daughter|son|king|queen|prince|princess|"
    r"friend|boss|guy|lady|child|kid|nurse|judge|president|chief|guest|client|patient|student|agent|resident|pilot|athlete|"
    r"spouse|uncle|aunt|cousin|nephew|niece|[^h]er|or|ist|ian|eer|ess)$",
    re.IGNORECASE,
)


def human(token: Token) -> bool:
    """Whether a noun names a person."""
    return token.ent == "PERSON" or _HUMAN.match(token.lemma) is not None


def agrees(token: Token, pronoun: str, *, many: bool) -> bool:
    """Whether a noun can be what a pronoun means."""
    if not token.tag.startswith("NN"):
        return False
    if pronoun == "they":
        return many or token.ent in {"ORG", "NORP"}
    if many:
        return False
    if pronoun in {"he", "she"}:
        # The small pipeline takes many a name for a place or a firm, so any name will do.
        return token.ent == "PERSON" or token.tag == "NNP" or _HUMAN.match(token.lemma) is not None
    return token.ent != "PERSON"


def plural(tree: Tree, index: int) -> bool:
    """Whether a noun stands for several: by its form, or because others are joined to it."""
    token = tree.tokens[index]
    joined = any(tree.tokens[c].dep == "conj" for c in tree.children[index])
    return joined or (
        token.tag in {"NNS", "NNPS"} and token.ent not in {"ORG", "GPE", "PRODUCT", "WORK_OF_ART"}
    )


def noun_phrase(tree: Tree, noun: int) -> list[int]:
    """A noun with what belongs to it, less clauses and appositions."""
    out: set[int] = set()
    for child in tree.children[noun]:
        if tree.tokens[child].dep in {"relcl", "appos", "acl"} and child > noun:
            out.update(tree.subtree(child))
    words = [i for i in tree.subtree(noun) if i not in out]
    while words and tree.tokens[words[-1]].pos == "PUNCT":
        words.pop()
    return words
