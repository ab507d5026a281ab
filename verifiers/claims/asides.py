"""What a sentence says by the way: "Marie Curie, a physicist, ...", "..., who also wrote Emma"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifiers.claims.nouns import plural

if TYPE_CHECKING:
    from verifiers.claims.coordination import Predicate
    from verifiers.claims.tree import Tree

_CLAUSAL = frozenset(
    """
    mean make allow lead result cause enable help bring ensure suggest indicate show be
    """.split()  # noqa: SIM905
)


def after_subject(tree: Tree, first: Predicate, begin: int) -> tuple[int, list[int]] | None:
    """What stands between commas right after the subject: its head, and its words."""
    subject = tree.subject(tree.root)
    if subject is None or tree.tokens[subject].pos == "PRON":
        return None
    tokens = tree.tokens
    for child in tree.children[subject]:
        if child > subject and tokens[child].dep in {"relcl", "appos", "acl"}:
            words = tree.subtree(child)
            if tokens[words[-1]].text == ",":
                words.pop()
            if _between_commas(tree, subject, words, begin, first.last) and _predicable(
                tree, subject, child, words
            ):
                return child, words
    return None


def _between_commas(tree: Tree, subject: int, words: list[int], begin: int, last: int) -> bool:
    """Whether words stand between two commas, right after the subject and at its very end."""
    if not words or words != list(range(words[0], words[-1] + 1)):
        return False
    left, right = words[0] - 1, words[-1] + 1
    if left <= begin or right >= last:
        return False
    rest = [i for i in tree.subtree(subject) if i not in words and tree.tokens[i].pos != "PUNCT"]
    # "the head of the board, who ...": whose clause it is shows only when the noun is adjacent.
    return (
        tree.tokens[left].text == ","
        and tree.tokens[right].text == ","
        and left == subject + 1
        and max(rest) == subject
    )


def _predicable(tree: Tree, subject: int, child: int, words: list[int]) -> bool:
    """Whether what stands between the commas can be said of the subject."""
    token, first = tree.tokens[child], tree.tokens[words[0]]
    if token.dep == "relcl":
        who = first.text.casefold() in {"who", "which"} and first.dep in {"nsubj", "nsubjpass"}
        return who and first.head == child and tree.finite(child)
    if token.dep == "appos":
        return first.tag == "DT" and tree.tokens[subject].pos == "PROPN"
    return token.tag == "VBN" and words[0] == child


def relative_at_end(tree: Tree, last: Predicate) -> tuple[int, int, list[int]] | None:
    """A relative clause that ends the sentence: its noun, its verb, its words."""
    tokens = tree.tokens
    for index in range(last.head + 1, len(tokens)):
        if tokens[index].dep != "relcl" or not tree.finite(index):
            continue
        words = [
            i
            for i in tree.subtree(index)
            if not (tokens[i].pos == "PUNCT" and i == len(tokens) - 1)
        ]
        noun = tokens[index].head
        if words != list(range(words[0], words[-1] + 1)) or tokens[words[0] - 1].text != ",":
            continue
        if any(tokens[i].pos != "PUNCT" for i in range(words[-1] + 1, len(tokens))):
            continue
        who = tokens[words[0]]
        if (
            who.text.casefold() not in {"who", "which"}
            or who.head != index
            or who.dep not in {"nsubj", "nsubjpass"}
        ):
            continue
        if who.text.casefold() == "which" and (
            tokens[index].lemma in _CLAUSAL or _hangs_on_noun(tree, noun)
        ):
            continue  # may refer to the whole clause, or to the noun before
        if tokens[noun].pos not in {"NOUN", "PROPN"} or noun + 2 < words[0]:
            continue
        if tokens[index].tag == "VBZ" and plural(tree, noun):
            continue
        return noun, index, words
    return None


def _hangs_on_noun(tree: Tree, noun: int) -> bool:
    token = tree.tokens[noun]
    head = tree.tokens[token.head]
    return token.dep == "pobj" and tree.tokens[head.head].pos in {"NOUN", "PROPN"}
