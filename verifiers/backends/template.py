"""Pairs worded as a preset's authors worded them, token for token.

Texts are put between the template's special tokens as ids, so that a special token written in a
source or an answer stays text: an answer cannot end the premise by writing the separator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifiers.backends.presets import Special
from verifiers.backends.tokenizer import Encoded
from verifiers.errors import ModelUnavailable
from verifiers.types import Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.backends.presets import Preset
    from verifiers.backends.tokenizer import PairTokenizer

_PROBE = Pair("The shop opens at nine. It closes at six.", "The shop opens at nine.")
_NOTHING = Pair("", "")


class TemplateTokenizer:
    """Turns pairs into ids by a preset's template.

    The template's own words are no part of the counts, so that with ``max_tokens`` less
    ``overhead`` a window is cut to what is left for the texts. Thread-safe.
    """

    def __init__(self, preset: Preset, tokenizer: PairTokenizer) -> None:
        """Prepare a template and compare its ids with those the authors' code would get.

        Raises:
            ModelUnavailable: If the tokenizer lacks a special token of the template, or reads the
                template otherwise in pieces than as a whole.
        """
        self._preset = preset
        self._tokenizer = tokenizer
        self._special: dict[str, int] = {}
        for segment in preset.segments:
            if isinstance(segment, Special):
                number = tokenizer.token_id(segment.token)
                if number is None:
                    raise ModelUnavailable(
                        f"The tokenizer of the preset {preset.name!r} has no token"
                        f" {segment.token!r}, which its template needs. It was not used.",
                        hint=f"Run: groundrail models fetch {preset.name} --force",
                    )
                self._special[segment.token] = number
        self._before, self._after = tokenizer.frame()
        if preset.segments:
            self._compare_with_whole()
        # What an empty pair costs beyond the special tokens is the template's own words.
        bare = len(self._before) + len(self._after)
        bare += sum(isinstance(segment, Special) for segment in preset.segments)
        if not preset.segments:
            bare = len(tokenizer.encode([_NOTHING])[0].ids)
        self.overhead = len(self.encode([_NOTHING])[0].ids) - bare

    def encode(self, pairs: Sequence[Pair]) -> list[Encoded]:
        """The ids of each pair with its template and special tokens."""
        if not self._preset.segments:
            return self._tokenizer.encode([self.worded(pair) for pair in pairs])
        texts = [
            filled(segment, pair)
            for pair in pairs
            for segment in self._preset.segments
            if isinstance(segment, str)
        ]
        parts = iter(self._tokenizer.texts(texts))
        found = []
        for _ in pairs:
            ids = list(self._before)
            for segment in self._preset.segments:
                if isinstance(segment, Special):
                    ids.append(self._special[segment.token])
                else:
                    ids.extend(next(parts))
            ids.extend(self._after)
            found.append(Encoded(ids, [0] * len(ids)))
        return found

    def worded(self, pair: Pair, *, question: str | None = None) -> Pair:
        """A pair whose premise is worded as the model wants it, for models that read two texts."""
        form = self._preset.premise_form
        if question is not None and self._preset.question_form is not None:
            form = self._preset.question_form
        return Pair(filled(form, pair, question=question), pair.hypothesis)

    def count_pairs(self, pairs: Sequence[Pair]) -> list[int]:
        """The length of each pair, special tokens included, the template's own words not."""
        return [len(encoded.ids) - self.overhead for encoded in self.encode(pairs)]

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text without special tokens."""
        return self._tokenizer.count_text(texts)

    def _compare_with_whole(self) -> None:
        whole = "".join(
            segment.token if isinstance(segment, Special) else filled(segment, _PROBE)
            for segment in self._preset.segments
        )
        if self._tokenizer.whole(whole) != self.encode([_PROBE])[0].ids:
            raise ModelUnavailable(
                f"The tokenizer of the preset {self._preset.name!r} reads the template otherwise"
                " in pieces than as a whole, so the model would be asked what it was not trained"
                " on. It was not used.",
                hint="Report this with the versions of tokenizers and transformers.",
            )


def filled(form: str, pair: Pair, *, question: str | None = None) -> str:
    """A form with its placeholders replaced; braces in the texts themselves are text."""
    values = {"premise": pair.premise, "hypothesis": pair.hypothesis, "question": question or ""}
    out = []
    rest = form
    while rest:
        before, brace, after = rest.partition("{")
        name, closed, tail = after.partition("}")
        out.append(before)
        if brace and closed and name in values:
            out.append(values[name])
            rest = tail
        elif brace:
            out.append(brace)
            rest = after
        else:
            rest = ""
    return "".join(out)
