"""Predicates of a sentence that can be read apart: "was born in Ulm and moved to Bern"."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from verifiers.claims.nouns import agrees, human, plural

if TYPE_CHECKING:
    from verifiers.claims.tree import Tree

_NEGATIVE = frozenset(
    """
    no not neither none nobody nothing few little hardly scarcely nor only both
    """.split()  # noqa: SIM905
)
PERSONAL = frozenset({"he", "she", "it", "they"})
_COMPLEMENTS = frozenset(
    "dobj prep acomp attr prt agent xcomp dative advmod oprd npadvmod advcl".split()  # noqa: SIM905
)


class Predicate(NamedTuple):
    """A predicate and the stretch of words it is read from."""

    head: int
    first: int  # first word of its part
    last: int  # last word of its part
    subject: int | None


def coordinated(tree: Tree, begin: int) -> list[Predicate]:
    """The main predicate and those coordinated with it, each with its stretch of words."""
    subject = tree.subject(tree.root)
    if subject is None or tree.tokens[subject].dep == "expl" or subject > tree.root:
        return []
    first_word = tree.tokens[tree.subtree(subject)[0]].text.casefold()
    if first_word in _NEGATIVE or tree.tokens[subject].dep.startswith("csubj"):
        return []
    heads, at = [tree.root], tree.root
    while True:
        following = [c for c in tree.children[at] if tree.tokens[c].dep == "conj"]
        if any(
            tree.tokens[c].dep == "cc" and tree.tokens[c].text.casefold() in {"or", "nor"}
            for c in tree.children[at]
        ):
            return []  # alternatives: none of them is asserted
        if len(following) != 1 or not _separable(tree, heads[0], at, following[0]):
            break
        at = following[0]
        heads.append(at)
    last = len(tree.tokens) - 1
    found: list[Predicate] = []
    for place, head in enumerate(heads):
        start = begin if place == 0 else tree.subtree(head)[0]
        stop = last if place + 1 == len(heads) else tree.subtree(heads[place + 1])[0] - 1
        found.append(Predicate(head, start, stop, tree.subject(head)))
    return found


def _separable(  # noqa: C901, PLR0911 - one way out for each doubt
    tree: Tree, main: int, before: int, head: int
) -> bool:
    """Whether the predicate ``head`` can be read apart from ``before``."""
    tokens = tree.tokens
    if tokens[head].pos not in {"VERB", "AUX"}:
        return False
    words = tree.subtree(head)
    # It must be all that is left of the sentence: nothing after it hangs elsewhere.
    rest = set(range(words[0], len(tokens))) - set(words)
    if any(tokens[i].pos != "PUNCT" for i in rest) or words[0] <= before:
        return False
    between = [
        tokens[c]
        for c in tree.children[before]
        if before < c < words[0] and tokens[c].dep in {"cc", "punct"}
    ]
    words_between = {t.text.casefold() for t in between if t.dep == "cc"}
    if not between or words_between - {"and", "but", "yet"}:
        return False
    own = tree.subject(head)
    if own is not None:
        if not tree.finite(head) or (
            tokens[own].dep == "expl" and tokens[own].text.casefold() == "it"
        ):
            return False
        return not _unread_pronoun(tree, main, own)
    if any(c for c in tree.children[head] if tokens[c].dep in {"mark", "advcl"} and c < head):
        return False
    # "designs and builds cars": what the first lacks, the second holds for both.
    content = [i for i in range(before + 1, words[0]) if tokens[i].pos not in {"PUNCT", "CCONJ"}]
    if not content and not any(tokens[c].dep == "auxpass" for c in tree.children[before]):
        return False
    if len([i for i in words if tokens[i].pos not in {"PUNCT", "CCONJ"}]) < 2:  # noqa: PLR2004
        return False
    if not _complemented(tree, head) or not _agrees(tree, main, head):
        return False
    if not _same_time(tree, main, head):
        return False
    if tree.child(main, {"neg"}) is not None and tree.child(head, {"aux", "auxpass"}) is None:
        return False
    return borrowed(tree, main, head) is not None


def _complemented(tree: Tree, head: int) -> bool:
    """Whether a bare verb has something of its own; else it may be a noun: "client and server"."""
    if tree.tokens[head].tag != "VB":
        return True
    return any(c > head and tree.tokens[c].dep in _COMPLEMENTS for c in tree.children[head])


def _agrees(tree: Tree, main: int, head: int) -> bool:
    """Whether a predicate's form fits the subject it would share.

    "It offers guides to build, run and test" is often read as "offers and run"; and "so don't ..."
    is an order.
    """
    tag = _tense(tree, head)
    subject = tree.subject(main)
    if subject is None or tag not in {"VBZ", "VBP"}:
        return True
    if tree.tokens[subject].text.casefold() in {"i", "you", "we", "they", "who", "which", "that"}:
        return True
    return plural(tree, subject) is (tag == "VBP")


def _same_time(tree: Tree, main: int, head: int) -> bool:
    """Whether a subjectless predicate can share the main one's subject, by tense.

    Nouns taken for verbs ("streaming tables, materialized views") give themselves away here.
    """
    past, present = {"VBD"}, {"VBZ", "VBP", "MD"}
    one, two = _tense(tree, main), _tense(tree, head)
    return (
        not two
        or not one
        or ((one in past) is (two in past) and (one in present) is (two in present))
    )


def _tense(tree: Tree, head: int) -> str:
    """The tag of the finite word of a predicate; empty when it has none of its own."""
    helpers = [
        c for c in tree.children[head] if tree.tokens[c].dep in {"aux", "auxpass"} and c < head
    ]
    for index in (*helpers, head):
        if tree.tokens[index].tag in {"VBD", "VBZ", "VBP", "MD"}:
            return tree.tokens[index].tag
    return ""


def _unread_pronoun(tree: Tree, main: int, own: int) -> bool:
    """Whether a clause's own pronoun cannot be told to mean the main subject."""
    word = tree.tokens[own].text.casefold()
    if word not in PERSONAL:
        return word in {"this", "that", "which", "these", "those", "one"}
    subject = tree.subject(main)
    if subject is None:
        return True
    mine = tree.tokens[subject]
    if mine.text.casefold() == word:
        return False
    many = plural(tree, subject)
    if not agrees(mine, word, many=many):
        return True
    if word == "it":
        return False  # things abound; the parallel subject is meant far more often than not
    rivals = [
        t
        for i, t in enumerate(tree.tokens[:own])
        if i != subject
        and t.dep in {"dobj", "pobj", "dative", "nsubj", "attr"}
        and agrees(t, word, many=plural(tree, i))
    ]
    return any(word == "they" or human(t) for t in rivals)


def borrowed(tree: Tree, main: int, head: int) -> str | None:
    """Auxiliaries a subjectless predicate borrows from the main one; None when it cannot stand."""
    tokens = tree.tokens
    if tree.finite(head):
        return ""
    if tree.child(head, {"aux", "auxpass"}) is not None:
        return None
    shared = [c for c in tree.children[main] if tokens[c].dep in {"aux", "auxpass"} and c < main]
    text = " ".join(tokens[c].text for c in shared)
    tag = tokens[head].tag
    if tag == tokens[main].tag and shared:
        return text
    # "was born and moved": a past form the tagger took for a participle, or the other way round.
    return "" if tag in {"VBN", "VBD"} and tokens[main].tag == "VBD" else None
