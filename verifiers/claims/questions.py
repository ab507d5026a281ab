"""Short answers read together with what was asked.

"Paris." says something only after "What is the capital of France?". Where the question's form is
plain, the two make one statement ("The capital of France is Paris."); otherwise the model reads
question and answer one after the other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verifiers.claims.context import LONGEST_CONTEXT
from verifiers.claims.tree import Tree, as_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

_YES = re.compile(
    r"(?:yes|yeah|yep|yup|correct|true|right|indeed|affirmative|"
    r"that(?:['’]s| is) (?:right|correct|true))\b",  # noqa: RUF001
    re.IGNORECASE,
)
_NO = re.compile(
    r"(?:no|nope|nah|incorrect|false|wrong|negative|"
    r"that(?:['’]s| is) (?:wrong|incorrect|false|not (?:right|true|correct)))\b",  # noqa: RUF001
    re.IGNORECASE,
)
_AUXILIARIES = frozenset(
    """
    is are was were am do does did can could will would should shall may might must has
    have had
    """.split()  # noqa: SIM905
)
# Questions typed without their mark, and orders that ask.
_ASKS = re.compile(
    r"(?:who|whom|whose|what|which|when|where|why|how|is|are|was|were|do|does|did|can|could|will|would|should|has|have|had|"
    r"name|list|tell|give|state|identify|find|define|explain|describe)$",
    re.IGNORECASE,
)
_MARKS = frozenset("?？")  # noqa: RUF001
_WH = frozenset({"who", "whom", "whose", "what", "which", "when", "where", "why", "how"})
_PREPOSITION = re.compile(
    r"(?:in|on|at|by|from|since|until|during|before|after|around|between|near|to|into|inside|outside|over|under|"
    r"through|via|with|for|about|every|each|next|last|as|within|because|due|there|here)\b",
    re.IGNORECASE,
)
_YEAR = re.compile(
    r"(?:the\s+)?(?:early\s+|late\s+|mid-?\s*)?(?:\d{3,4}s?|\w+\s+(?:1\d|20)\d\d|january|february|march|april|may|june|july|"
    r"august|september|october|november|december|spring|summer|autumn|fall|winter)\b[^\d]*$",
    re.IGNORECASE,
)


def polarity(text: str) -> bool | None:
    """Whether an answer opens with a yes (True) or a no (False); None when with neither."""
    bare = text.strip(" \t*_\"'“”‘’")  # noqa: RUF001
    if _YES.match(bare):
        return True
    return False if _NO.match(bare) else None


def after_polarity(text: str) -> str:
    """What follows the yes or no of an answer."""
    match = _YES.match(text) or _NO.match(text)
    return text[match.end() :].lstrip(" ,.;:!-–—") if match else text  # noqa: RUF001


class Question:
    """What was asked, ready to be joined with a short answer.

    Args:
        text: The question, or all of the user's message; its last question counts.
        trees: Its parsed sentences.
    """

    def __init__(self, text: str, trees: Sequence[Tree]) -> None:
        sentences = [t for t in trees if t.tokens]
        asked = [t for t in sentences if t.tokens[-1].text in {"?", "？"}]  # noqa: RUF001
        asked = asked or [t for t in sentences if _ASKS.match(t.tokens[0].text)]
        self.tree = asked[-1] if asked else None
        self.text = " ".join(text.split())
        if self.tree is not None:
            self.text = self.tree.render(range(len(self.tree.tokens)))
        marked = self.tree is not None or (not sentences and self.text[-1:] in {"?", "？", "؟"})  # noqa: RUF001
        # What is long would drown the answers read with it.
        self.asks = marked and len(self.text) <= LONGEST_CONTEXT

    def with_polarity(self, *, yes: bool) -> str:
        """The statement a yes or no makes, or an empty string when it cannot be made."""
        tree = self.tree
        aux = self._fronted_auxiliary(0)
        if tree is None or aux is None:
            return ""
        subject = tree.subject(tree.root)
        if subject is None or subject < aux:
            subject = self._loose_subject(aux)
        if subject is None:
            return ""
        who = tree.subtree(subject)
        if who[0] <= aux:
            return ""
        rest = [i for i in self._body() if i not in who and i > aux]
        if rest and rest[0] < who[0]:
            # "Isn't the fee refundable?"
            rest = [i for i in rest if tree.tokens[i].dep != "neg"]
        words = [
            tree.render(who),
            tree.tokens[aux].text.casefold(),
            "" if yes else "not",
            tree.render(rest),
        ]
        return as_sentence(" ".join(word for word in words if word))

    def with_fragment(self, fragment: str, *, phrase: bool = True) -> str:
        """The statement a short answer makes; question and answer in a row when in doubt.

        Args:
            fragment: The short answer.
            phrase: Whether it is a phrase that can stand in a statement ("in 1989"), not a
                predicate ("refers to ...").
        """
        piece = fragment.strip().rstrip(".!").strip() if phrase else ""
        return self._declared(piece) or f"{self.text} {as_sentence(fragment)}"

    def _declared(self, piece: str) -> str:  # noqa: PLR0911
        tree = self.tree
        if tree is None or not piece:
            return ""
        place = next((i for i, t in enumerate(tree.tokens[:4]) if t.text.casefold() in _WH), None)
        if place is None:
            return ""
        asked = self._asked(place)
        word = tree.tokens[place].text.casefold()
        top = self._top(asked)
        token = tree.tokens[top]
        before = (
            tree.render([i for i in range(asked[0]) if tree.tokens[i].pos == "ADP"])
            if asked[0]
            else ""
        )
        rest = [i for i in self._body() if i > asked[-1]]
        words = {tree.tokens[i].text.casefold() for i in rest}
        if (
            not rest
            or words & {"or"}
            or any(tree.tokens[c].dep in {"relcl", "acl"} for c in tree.children[top])
            or any(
                tree.tokens[i].tag in {"WRB", "WP", "WDT"} and tree.tokens[i - 1].dep == "cc"
                for i in rest
            )
        ):
            return ""  # a choice, or two questions in one
        aux = rest[0] if tree.tokens[rest[0]].text.casefold() in _AUXILIARIES else None
        if (
            token.dep in {"nsubj", "nsubjpass"}
            and word != "how"
            and (aux is None or tree.tokens[aux].dep != "ROOT" or token.dep == "nsubjpass")
        ):
            if aux is not None and self._subject_after(aux) is not None:
                return self._inverted(piece, rest, aux, word, asked, before)
            return as_sentence(f"{piece} {tree.render(rest)}")
        if aux is None:
            return ""
        return self._inverted(piece, rest, aux, word, asked, before)

    def _inverted(  # noqa: C901, PLR0911, PLR0917 - each way out is one form of question
        self, piece: str, rest: list[int], aux: int, word: str, asked: list[int], before: str
    ) -> str:
        """A question with its auxiliary before the subject."""
        tree = self.tree
        if tree is None:
            return ""
        subject = self._subject_after(aux)
        if subject is None:
            return ""
        who = [i for i in tree.subtree(subject) if i > aux and i in rest]
        if not who:
            return ""
        others = [i for i in rest if i > aux and i not in who]
        verb = tree.tokens[aux].text.casefold()
        swap: dict[int, str] = {}
        if word == "how" and tree.tokens[asked[-1]].text.casefold() == "how" and not others:
            return ""  # "How is X?"
        answer = self._shaped(piece, word, asked)
        if not answer:
            return ""
        if before and not _PREPOSITION.match(answer):
            answer = f"{before.casefold()} {answer}"
        if verb in {"do", "does", "did"}:
            # The small parser takes "cost" and "end" for nouns here; the root is the verb.
            if not others or (
                tree.tokens[others[0]].pos not in {"VERB", "AUX"} and others[0] != tree.root
            ):
                return ""
            if verb == "does":
                swap[others[0]] = _third_person(tree.tokens[others[0]].text)
            verb = verb if verb == "did" else ""
        # The answer goes behind the verb and its particles, before what else was said.
        cut = 0
        while (
            aux != tree.root
            and cut < len(others)
            and (
                others[cut] == tree.root
                or tree.tokens[others[cut]].pos in {"VERB", "AUX", "PART"}
                or tree.tokens[others[cut]].dep in {"prt", "neg", "advmod"}
            )
        ):
            cut += 1
        if (word in {"when", "where", "why"} and aux != tree.root) or before:
            cut = len(others)
        words = [
            tree.render(who),
            verb,
            tree.render(others[:cut], swap),
            answer,
            tree.render(others[cut:], swap),
        ]
        return as_sentence(" ".join(part for part in words if part))

    def _shaped(self, piece: str, word: str, asked: list[int]) -> str:  # noqa: PLR0911 - by question word
        """The answer as the question asks for it: a place with "in", a count with its noun."""
        tree = self.tree
        if tree is None:
            return ""
        low = piece[0].lower() + piece[1:] if _PREPOSITION.match(piece) else piece
        if word == "when" and not _PREPOSITION.match(piece):
            return ("in " if _YEAR.match(piece) else "on ") + piece
        if word == "where" and not _PREPOSITION.match(piece):
            return "in " + piece
        if word == "why":
            return low if re.match(r"(?:because|due|to|since|as|for)\b", low, re.IGNORECASE) else ""
        if word == "how":
            if len(asked) == 1:
                return (
                    low
                    if re.match(r"(?:by|through|via|with|using|from)\b", low, re.IGNORECASE)
                    else ""
                )
            nouns = tree.render(asked[2:])
            if (
                nouns
                and re.fullmatch(r"[\d.,]+|[a-z-]+", piece, re.IGNORECASE)
                and not re.search(r"\bhow\b", nouns, re.IGNORECASE)
            ):
                return f"{piece} {nouns}"
        return low

    def _body(self) -> list[int]:
        if self.tree is None:
            return []
        return [
            i for i, t in enumerate(self.tree.tokens) if t.text not in _MARKS and t.pos != "SPACE"
        ]

    def _fronted_auxiliary(self, place: int) -> int | None:
        if self.tree is None or len(self.tree.tokens) <= place:
            return None
        return place if self.tree.tokens[place].text.casefold() in _AUXILIARIES else None

    def _subject_after(self, aux: int) -> int | None:
        """The subject behind a fronted auxiliary."""
        tree = self.tree
        if tree is None:
            return None
        for index in range(aux + 1, len(tree.tokens)):
            token = tree.tokens[index]
            if token.dep in {"nsubj", "nsubjpass", "expl"} and token.head in {
                tree.root,
                aux,
                tree.tokens[aux].head,
            }:
                return index
        return self._loose_subject(aux)

    def _loose_subject(self, aux: int) -> int | None:
        """The noun behind "is" when the parser took it for a complement: "Who was the king?"."""
        tree = self.tree
        if tree is None or tree.tokens[aux].lemma != "be":
            return None
        return next(
            (
                i
                for i in tree.children[aux]
                if i > aux and tree.tokens[i].dep in {"attr", "nsubj", "dep", "npadvmod"}
            ),
            None,
        )

    def _asked(self, place: int) -> list[int]:
        """The phrase that is asked for: "which actor", "how many days of leave"."""
        tree = self.tree
        if tree is None:
            return [place]
        at = place
        while True:
            head = tree.tokens[at].head
            token = tree.tokens[at]
            if head == at or head < place or head == tree.root:
                break
            if token.dep not in {"det", "advmod", "amod", "nummod", "poss", "quantmod"}:
                break
            if tree.tokens[head].pos not in {"NOUN", "PROPN", "ADJ", "ADV", "NUM"}:
                break
            at = head
        limit = next(
            (
                i
                for i in range(place + 1, len(tree.tokens))
                if tree.tokens[i].text.casefold() in _AUXILIARIES
                or tree.tokens[i].pos in {"VERB", "AUX"}
            ),
            len(tree.tokens),
        )
        words = [i for i in tree.subtree(at) if place <= i < limit]
        if tree.tokens[place].text.casefold() in {"what", "which"} and len(words) <= 1:
            # "In which city was ...": misparsed more often than not, but plain to see.
            words = list(range(place, limit))
        return words or [place]

    def _top(self, words: list[int]) -> int:
        """The word of a phrase that hangs outside it."""
        tree = self.tree
        if tree is None:
            return words[0]
        inside = set(words)
        return next(
            (i for i in words if tree.tokens[i].head not in inside or tree.tokens[i].head == i),
            words[0],
        )


def _third_person(verb: str) -> str:
    """The form of a verb that goes with "it"."""
    if verb == "have":
        return "has"
    if re.search(r"(?:s|x|z|ch|sh|o)$", verb):
        return verb + "es"
    return verb[:-1] + "ies" if re.search(r"[^aeiou]y$", verb) else verb + "s"
