"""Samples of an answer, put together so that equal ones are looked at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Sample:
    """Another answer of the same model to the same request.

    Attributes:
        text: The exact text.
        refused: Whether the model declined. It is then not read, and counted.
        logprob: Mean log probability of its tokens, where the provider gave it.
    """

    text: str
    refused: bool = False
    logprob: float | None = None

    @property
    def silent(self) -> bool:
        """Whether it says nothing: it declines, or it is empty."""
        return self.refused or not self.text.strip()


@dataclass(frozen=True, slots=True)
class Text:
    """One distinct text among the samples.

    Attributes:
        text: Without space around it.
        first: Index of the first sample with it.
        logprob: The highest of its samples.
    """

    text: str
    first: int
    logprob: float | None


@dataclass(frozen=True, slots=True)
class Pool:
    """All samples of one answer so far.

    Attributes:
        texts: Each distinct text, in the order they came.
        places: For each sample the place of its text in ``texts``; None when it is silent.
        silent: For each sample why it says nothing: ``refused``, ``empty``, or None.
    """

    texts: tuple[Text, ...] = ()
    places: tuple[int | None, ...] = ()
    silent: tuple[Literal["refused", "empty"] | None, ...] = ()

    def extended(self, samples: Sequence[Sample]) -> Pool:
        """These and more."""
        texts = list(self.texts)
        places = list(self.places)
        silent = list(self.silent)
        known = {text.text: place for place, text in enumerate(texts)}
        for sample in samples:
            if sample.silent:
                silent.append("refused" if sample.refused else "empty")
                places.append(None)
                continue
            silent.append(None)
            text = sample.text.strip()
            place = known.setdefault(text, len(texts))
            if place == len(texts):
                texts.append(Text(text, len(places), sample.logprob))
            else:
                probs = [p for p in (texts[place].logprob, sample.logprob) if p is not None]
                texts[place] = replace(texts[place], logprob=max(probs, default=None))
            places.append(place)
        return Pool(tuple(texts), tuple(places), tuple(silent))
