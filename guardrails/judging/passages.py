"""Which passages a judge is shown, and finding again what it quotes.

A judge sees sources made safe to show: characters that do not print, that reorder text or that
hide it are left out, and line breaks of every kind become plain ones. A quotation is looked for in
that same form, white space apart, and traced back to the exact place in the exact source.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifiers.types import EvidenceSpan, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardrails.judging.values import Question
    from verifiers.types import Source

# A quotation that is shorter says nothing; one that is longer is no passage.
_LEAST_LETTERS = 12
_MOST_CHARACTERS = 1_200
# Unassigned, private, surrogate, control and format characters: soft hyphens, joiners, directional
# marks, tag characters that spell words nobody sees.
_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_BREAKS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
# Variation selectors and combining grapheme joiners: marks that carry data and no ink.
_INKLESS = frozenset({0x034F, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)})


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a source that is shown whole."""

    source: Source
    span: Span

    @property
    def text(self) -> str:
        """The exact text."""
        return self.span.of(self.source.text)


def visible(text: str) -> str:
    """A text as a judge is shown it."""
    return "".join(shown for _, shown in _shown(text, 0))


def _shown(text: str, offset: int) -> list[tuple[int, str]]:
    """Every character that is shown, with its place."""
    out = []
    for place, char in enumerate(text, offset):
        if char in _BREAKS:
            out.append((place, "\n"))
        elif char == "\t":
            out.append((place, " "))
        elif unicodedata.category(char) not in _HIDDEN and ord(char) not in _INKLESS:
            out.append((place, char))
    return out


def choose(
    questions: Sequence[Question], sources: Sequence[Source], most: int
) -> tuple[Passage, ...]:
    """What to show for these claims: the sources whole where they fit, else the nearest windows.

    Args:
        questions: The claims, with the windows that were read for them.
        sources: All sources.
        most: Characters in all.
    """
    filled = [source for source in sources if source.text.strip()]
    if sum(len(source.text) for source in filled) <= most:
        return tuple(Passage(source, Span(0, len(source.text))) for source in filled)
    by_id = {source.id: source for source in filled}
    ranked = sorted(
        (
            (max(window.probs.entailment, window.probs.contradiction), window)
            for question in questions
            for window in question.scored.windows
            if window.source_id in by_id
        ),
        key=lambda pair: -pair[0],
    )
    taken: list[Passage] = []
    left = most
    for _, window in ranked:
        passage = Passage(by_id[window.source_id], window.window)
        length = passage.span.end - passage.span.start
        if length > left or any(
            passage.source.id == other.source.id and other.span.overlaps(passage.span)
            for other in taken
        ):
            continue
        taken.append(passage)
        left -= length
    order = {source.id: place for place, source in enumerate(filled)}
    return tuple(sorted(taken, key=lambda p: (order[p.source.id], p.span.start)))


def find(quotation: str, passages: Sequence[Passage]) -> EvidenceSpan | None:
    """Where a quotation stands in the passages, word for word; None when it does not.

    White space and what is not shown do not count. Nothing else is forgiven: not a letter, not its
    case, and nothing left out in the middle.
    """
    wanted = "".join(char for _, char in _shown(quotation, 0) if not char.isspace())
    if not len(wanted) >= _LEAST_LETTERS or len(quotation) > _MOST_CHARACTERS:
        return None
    for passage in passages:
        marks = [
            (place, char)
            for place, char in _shown(passage.text, passage.span.start)
            if not char.isspace()
        ]
        at = "".join(char for _, char in marks).find(wanted)
        if at < 0:
            continue
        span = Span(marks[at][0], marks[at + len(wanted) - 1][0] + 1)
        return EvidenceSpan(passage.source.id, span, span.of(passage.source.text))
    return None
