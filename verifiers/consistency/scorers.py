"""The three scorers behind one port: what one sample says of one claim.

``nli``
    How far the sample supports the claim, by the NLI model, after SelfCheckGPT-NLI (Manakul,
    Liusie and Gales, "SelfCheckGPT", EMNLP 2023). Their score of a sentence is the mean over
    samples of the probability of contradiction, normalised over entailment and contradiction
    alone, with the whole sample as premise. Ours differs in three ways. The sample is read
    sentence by sentence, which a small model does better. Support is the best sentence's
    entailment, so that a sample that merely does not say what the claim says counts against it
    too: a made-up detail is mostly absent from the other samples and seldom contradicted by
    them. And what contradicts takes away from it: the strongest contradiction of a sentence in
    full, numbers, dates and names that the sample states otherwise by half their share. The
    score is the geometric mean of the two, ``entailment`` and
    ``(1 - contradiction) x (1 - otherwise / 2)``.
``semantic_entropy``
    Whether the sample says the same as the claim: entailment both ways, each text read with the
    question before it. From a longer sample the sentences nearest to the claim are taken.
``values``
    Whether the sample states the numbers, dates and names that the claim states beyond the
    question. No model. For short factual answers; a claim without any is not judged.

Scores are in [0, 1] and each depends on the claim and one sample alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from verifiers.types import NLIProbs, Pair, ScorerName, Span, Window
from verifiers.values import Stated, facts, negated, stated
from verifiers.windows import narrow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verifiers.types import Claim

    Windows = Callable[[str, Claim], tuple[Sequence[Window], int]]
    Sentences = Callable[[str], Sequence[Span]]

# Characters of the longest question that is read before a text; a longer one is no question but a
# whole prompt, and would leave no room.
_LONGEST_QUESTION = 400
# Entailment from which a text counts as saying what another says.
ENTAILS = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """What has to be scored to hear one sample on one claim.

    Attributes:
        pairs: For the model, in the order :meth:`Scorer.hear` expects them.
        windows: How many of the sample's windows they read.
        windows_total: How many it has.
    """

    pairs: tuple[Pair, ...]
    windows: int
    windows_total: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What one sample says of one claim.

    Attributes:
        support: In [0, 1].
        against: In [0, 1].
        alike: Earlier texts, by place, that say the same as this one.
    """

    support: float
    against: float
    alike: tuple[int, ...] = ()


class Scorer(Protocol):
    """Hears one sample on one claim. Pure: what has to be scored is scored between the calls."""

    name: ScorerName
    clusters: bool
    """Whether texts are also compared with each other."""

    def judges(self, claim: Claim) -> bool:
        """Whether it can say anything about this claim."""
        ...

    def ask(self, claim: Claim, text: str, earlier: Sequence[str]) -> Asked:
        """What to score.

        Args:
            claim: What is checked.
            text: A sample.
            earlier: The distinct texts before it, to compare it with.
        """
        ...

    def hear(
        self, claim: Claim, text: str, earlier: Sequence[str], scores: Sequence[NLIProbs]
    ) -> Heard:
        """What the scores of :meth:`ask`'s pairs mean."""
        ...


def _before(question: str | None) -> str:
    """What is put before a text that is read together with the question."""
    asked = (question or "").strip()
    return f"{asked} " if 0 < len(asked) <= _LONGEST_QUESTION else ""


class Support:
    """The scorer ``nli``."""

    name = ScorerName.NLI
    clusters = False

    def __init__(self, windows: Windows, question: str | None) -> None:
        """Read samples in ``windows`` that fit the model beside the claim."""
        self._windows = windows
        self._question = question or ""
        self._given = _before(question)

    def judges(self, claim: Claim) -> bool:  # noqa: ARG002 - the port
        """Always."""
        return True

    def ask(self, claim: Claim, text: str, earlier: Sequence[str]) -> Asked:  # noqa: ARG002 - the port
        """One pair a window."""
        chosen, total = self._windows(text, claim)
        # "1912." says something only as an answer.
        given = self._given if total == 1 else ""
        pairs = tuple(Pair(given + window.text, claim.hypothesis) for window in chosen)
        return Asked(pairs, len(chosen), total)

    def hear(
        self,
        claim: Claim,
        text: str,
        earlier: Sequence[str],  # noqa: ARG002 - the port
        scores: Sequence[NLIProbs],
    ) -> Heard:
        """The best entailment, less for what contradicts."""
        against = max((score.contradiction for score in scores), default=0.0)
        best = max((score.entailment for score in scores), default=0.0)
        own = facts(claim.text, known=self._question)
        said = [stated(fact, text) is Stated.OTHER for fact in own]
        otherwise = sum(said) / len(said) if said else 0.0
        left = max(0.0, 1.0 - against) * (1.0 - otherwise / 2)
        return Heard(math.sqrt(best * left), against)


class Meaning:
    """The scorer ``semantic_entropy``."""

    name = ScorerName.SEMANTIC_ENTROPY

    def __init__(self, sentences: Sentences, question: str | None, *, mutual: bool) -> None:
        """Compare statements given ``question``; samples with each other where ``mutual``."""
        self.clusters = mutual
        self._sentences = sentences
        self._given = _before(question)
        self._known: dict[tuple[str, str], str] = {}

    def judges(self, claim: Claim) -> bool:  # noqa: ARG002 - the port
        """Always."""
        return True

    def ask(self, claim: Claim, text: str, earlier: Sequence[str]) -> Asked:
        """Both ways, with the claim and with each earlier text."""
        own = self._statement(claim, text)
        others = [self._given + claim.hypothesis, *(self._statement(claim, e) for e in earlier)]
        pairs = tuple(
            pair
            for other in others
            if other != own
            for pair in (Pair(own, other), Pair(other, own))
        )
        return Asked(pairs, 1, 1)

    def hear(
        self, claim: Claim, text: str, earlier: Sequence[str], scores: Sequence[NLIProbs]
    ) -> Heard:
        """Who entails whom, both ways."""
        own = self._statement(claim, text)
        others = [self._given + claim.hypothesis, *(self._statement(claim, e) for e in earlier)]
        rest = iter(scores)
        same: list[bool] = []
        against = 0.0
        for place, other in enumerate(others):
            if other == own:
                same.append(True)
                continue
            there, back = next(rest), next(rest)
            same.append(min(there.entailment, back.entailment) >= ENTAILS)
            if place == 0:
                against = max(there.contradiction, back.contradiction)
        alike = tuple(place for place, like in enumerate(same[1:]) if like)
        return Heard(float(same[0]), 0.0 if same[0] else against, alike)

    def _statement(self, claim: Claim, text: str) -> str:
        """What the text says on the claim's matter: its nearest sentence or two."""
        key = claim.hypothesis, text
        if key not in self._known:
            whole = Window("sample", 0, Span(0, len(text)), text)
            near = narrow(whole, claim.hypothesis, self._sentences(text))
            self._known[key] = self._given + near.text.strip()
        return self._known[key]


class Values:
    """The scorer ``values``."""

    name = ScorerName.VALUES
    clusters = True

    def __init__(self, question: str | None) -> None:
        """What stands in ``question`` is given and agrees with nothing."""
        self._question = question or ""
        self._keys: dict[str, frozenset[str]] = {}

    def judges(self, claim: Claim) -> bool:
        """Claims with a number, a date or a name, and answers of a few words."""
        return bool(facts(claim.text, known=self._question))

    def ask(self, claim: Claim, text: str, earlier: Sequence[str]) -> Asked:  # noqa: ARG002 - the port
        """Nothing: no model is needed."""
        return Asked((), 1, 1)

    def hear(
        self,
        claim: Claim,
        text: str,
        earlier: Sequence[str],
        scores: Sequence[NLIProbs],  # noqa: ARG002 - the port
    ) -> Heard:
        """The share of the claim's facts that the sample states too."""
        own = facts(claim.text, known=self._question)
        if negated(claim.text) is not negated(text) and len(facts(text)) <= len(own):
            return Heard(0.0, 1.0)
        said = [stated(fact, text) for fact in own]
        alike = tuple(
            place for place, other in enumerate(earlier) if self._key(other) == self._key(text)
        )
        return Heard(
            sum(one is Stated.SAME for one in said) / len(own),
            sum(one is Stated.OTHER for one in said) / len(own),
            alike,
        )

    def _key(self, text: str) -> frozenset[str]:
        if text not in self._keys:
            own = facts(text, known=self._question)
            self._keys[text] = frozenset(fact.key for fact in own)
        return self._keys[text]
