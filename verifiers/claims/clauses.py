"""Checkable statements inside an English sentence.

A sentence is split only where each part is a statement of its own: coordinated clauses and
predicates of the main clause, and what stands between commas after the subject (a relative
clause, an apposition, a participle). Wherever scope is in doubt (conditions, alternatives,
negated or quantified subjects, reported speech, quotations) it stays whole: a long claim is better
than a mangled one, which would be flagged although it is true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from verifiers.claims.nouns import agrees, human, noun_phrase, plural
from verifiers.claims.tree import as_sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.claims.tree import Tree

_DOUBTFUL = frozenset(
    """
    respectively either neither nor unless if whether except instead alternately
    """.split()  # noqa: SIM905
)
_NEGATIVE = frozenset(
    """
    no not neither none nobody nothing few little hardly scarcely nor only both
    """.split()  # noqa: SIM905
)
_QUOTES = frozenset('"“”«»„`')
_PERSONAL = frozenset({"he", "she", "it", "they"})
_CLAUSAL = frozenset(
    """
    mean make allow lead result cause enable help bring ensure suggest indicate show be
    """.split()  # noqa: SIM905
)
_MIN_WORDS = 3
_LONGEST = 400


class Part(NamedTuple):
    """A statement: where it stands in the parsed text, and how it reads alone."""

    start: int
    end: int
    text: str


class _Predicate(NamedTuple):
    head: int
    first: int  # first word of its part
    last: int  # last word of its part
    subject: int | None


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
    predicates = _coordinated(tree, begin)
    if not predicates:
        return []
    inserted = _after_subject(tree, predicates[0], begin)
    trailing = _relative_at_end(tree, predicates[-1])
    if len(predicates) == 1 and inserted is None and trailing is None:
        return []
    made = _Maker(tree, swap, begin, predicates, inserted, trailing).run()
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
    for start, stop in zip(bounds, bounds[1:], strict=False):
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
        if subjects and word in _PERSONAL:
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


def _coordinated(tree: Tree, begin: int) -> list[_Predicate]:
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
    found: list[_Predicate] = []
    for place, head in enumerate(heads):
        start = begin if place == 0 else tree.subtree(head)[0]
        stop = last if place + 1 == len(heads) else tree.subtree(heads[place + 1])[0] - 1
        found.append(_Predicate(head, start, stop, tree.subject(head)))
    return found


def _separable(tree: Tree, main: int, before: int, head: int) -> bool:
    """Whether the predicate ``head`` can be read apart from ``before``."""
    tokens = tree.tokens
    if tokens[head].pos not in {"VERB", "AUX"}:
        return False
    words = tree.subtree(head)
    # It must be all that is left of the sentence: nothing after it hangs elsewhere.
    rest = set(range(words[0], len(tokens))) - set(words)
    if any(not tokens[i].pos == "PUNCT" for i in rest) or words[0] <= before:
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
    if any(
        tokens[c].dep in {"aux", "neg"}
        and tokens[c].lemma == "do"
        and tokens[c].tag != "VBZ"
        and c == words[0]
        and tokens[head].tag == "VB"
        and not _same_number(tree, main)
        for c in tree.children[head]
    ):
        return False  # "so don't be surprised": an order
    if not _same_time(tree, main, head):
        return False
    if tree.child(main, {"neg"}) is not None and tree.child(head, {"aux", "auxpass"}) is None:
        return False
    return _auxiliary(tree, main, head) is not None


def _same_number(tree: Tree, main: int) -> bool:
    subject = tree.subject(main)
    return subject is not None and plural(tree, subject)


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
    if word not in _PERSONAL:
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


def _auxiliary(tree: Tree, main: int, head: int) -> str | None:
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


def _after_subject(tree: Tree, first: _Predicate, begin: int) -> tuple[int, list[int]] | None:
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


def _relative_at_end(tree: Tree, last: _Predicate) -> tuple[int, int, list[int]] | None:
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


class _Maker:
    """Puts the parts of one sentence together."""

    def __init__(
        self,
        tree: Tree,
        swap: Mapping[int, str],
        begin: int,
        predicates: Sequence[_Predicate],
        inserted: tuple[int, list[int]] | None,
        trailing: tuple[int, int, list[int]] | None,
    ) -> None:
        self.tree = tree
        self.swap = swap
        self.begin = begin
        self.predicates = predicates
        self.inserted = inserted
        self.trailing = trailing
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

    def _other(self, predicate: _Predicate, words: list[int]) -> Part:
        tree = self.tree
        if predicate.subject is None:
            borrowed = _auxiliary(tree, tree.root, predicate.head) or ""
            lead = self._say([*self.fronted, *self.subject])
            return self._part(words, " ".join(x for x in (lead, borrowed, self._say(words)) if x))
        swap = dict(self.swap)
        own = tree.tokens[predicate.subject]
        main = tree.tokens[self._head_of_subject()]
        if own.text.casefold() in _PERSONAL:
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
