"""What an opening pronoun refers to.

A claim is scored alone, so "It costs $10" must say what costs. The pronoun is replaced by the
subject of the sentence before, when it agrees in number and kind; else by the nearest noun of that
sentence that does. Where nothing agrees the pronoun stays: a model reads "it" as the topic of the
passage, which is right more often than a guess. (Putting the whole sentence before it in front
instead was tried and dropped: then a claim fails whenever the sentence before it fails.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from verifiers.claims.clauses import agrees, noun_phrase, plural

if TYPE_CHECKING:
    from verifiers.claims.tree import Tree

_PERSONAL = frozenset({"he", "she", "it", "they"})
_POSSESSIVE = {"his": "he", "her": "she", "its": "it", "their": "they"}
_LONGEST = 12  # words; a longer subject would bury the claim
_FORGET = 3  # sentences without a new subject after which an old one is no longer meant


class _Mention(NamedTuple):
    text: str
    tag: str
    ent: str
    plural: bool


class Salience:
    """What the sentences so far were about. Feed it every sentence in order."""

    def __init__(self) -> None:
        self._mentions: list[_Mention] = []
        self._age = 0

    def forget(self) -> None:
        """Start afresh: another topic begins."""
        self._mentions = []

    def swap(self, tree: Tree) -> dict[int, str]:
        """Words to read otherwise in a sentence: its opening pronoun."""
        subject = tree.subject(tree.root)
        if subject is None:
            return {}
        token = tree.tokens[subject]
        word = token.text.casefold()
        if word in _PERSONAL and token.dep != "expl" and not _impersonal(tree, subject):
            found = self._find(word)
            return {subject: found} if found else {}
        first = tree.subtree(subject)[0]
        owner = _POSSESSIVE.get(tree.tokens[first].text.casefold())
        if owner is not None and tree.tokens[first].tag == "PRP$":
            found = self._find(owner)
            return {first: found + ("'" if found.endswith("s") else "'s")} if found else {}
        return {}

    def _find(self, pronoun: str) -> str:
        for mention in self._mentions:
            if agrees(mention.tag, mention.ent, pronoun, plural=mention.plural):
                return mention.text
        return ""

    def read(self, tree: Tree, swap: dict[int, str]) -> None:
        """Remember what a sentence was about."""
        mentions: list[_Mention] = []
        subject = tree.subject(tree.root)
        nouns = [] if subject is None else [subject]
        nouns += [
            i
            for i, t in enumerate(tree.tokens)
            if i != subject and t.pos in {"NOUN", "PROPN"} and t.dep in {"dobj", "attr", "pobj", "nsubj", "ROOT"}
        ]
        for noun in nouns:
            if tree.tokens[noun].pos not in {"NOUN", "PROPN"}:
                continue
            words = noun_phrase(tree, noun)
            if 0 < len(words) <= _LONGEST:
                token = tree.tokens[noun]
                text = tree.render(words, swap)
                mentions.append(_Mention(_named(text, token.pos), token.tag, token.ent, plural(tree, noun)))
        if subject is not None and tree.tokens[subject].pos == "PRON":
            # Still about the same: what was meant before stays first.
            mentions = [*self._mentions[:1], *mentions]
            self._age += 1
        else:
            self._age = 0
        if mentions and self._age < _FORGET + len(swap):
            self._mentions = mentions
        elif self._age >= _FORGET + len(swap):
            self._mentions = []


def _named(text: str, pos: str) -> str:
    """A noun phrase as it reads inside a sentence, and definite: "a car" is "the car" from now on."""
    first, _, rest = text.partition(" ")
    low = first.casefold()
    if low in {"a", "an"} and rest and pos == "NOUN":
        return "the " + rest
    if low in {"the", "this", "that", "these", "those", "our", "your", "his", "her", "its", "their", "my"}:
        return low + " " + rest if rest else text
    return text


def _impersonal(tree: Tree, subject: int) -> bool:
    """Whether "it" stands for a clause: "It is important to ...", "It is known that ..."."""
    if tree.tokens[subject].text.casefold() != "it":
        return False
    deps = {tree.tokens[c].dep for c in tree.children[tree.root] if c > tree.root}
    root = tree.tokens[tree.root]
    if root.lemma == "be" and deps & {"ccomp", "xcomp", "advcl", "csubj"} and deps & {"acomp", "attr"}:
        return True
    passive = any(tree.tokens[c].dep == "auxpass" for c in tree.children[tree.root])
    weather = root.lemma in {"rain", "snow", "seem", "appear", "take"} and "ccomp" in deps
    return weather or (passive and bool(deps & {"ccomp", "csubj"}))
