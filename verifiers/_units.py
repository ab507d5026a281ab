"""Sentences made to fit: the smallest pieces that :mod:`verifiers.windows` packs together."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from verifiers.errors import InputTooLong
from verifiers.types import Span

CountText = Callable[[Sequence[str]], list[int]]

_WORD = re.compile(r"\S+")
# How many texts go to the tokenizer at once: enough to be fast, few enough to stay in memory.
_BATCH = 512
# Pieces of one over-long sentence repeat this share of the budget, so that what stands at a seam
# is read whole once.
_SEAM = 8


class Unit(NamedTuple):
    """A piece of text with its length in tokens, counted alone."""

    start: int
    end: int
    tokens: int


def count_spans(text: str, spans: Sequence[Span], count_text: CountText) -> list[Unit]:
    """Count each span, in batches."""
    units: list[Unit] = []
    for at in range(0, len(spans), _BATCH):
        batch = spans[at : at + _BATCH]
        counts = count_text([text[s.start : s.end] for s in batch])
        units += [Unit(s.start, s.end, n) for s, n in zip(batch, counts, strict=True)]
    return units


def fit_units(
    text: str, sentences: Sequence[Span], count_text: CountText, budget: int
) -> list[Unit]:
    """Sentences and what lies between them, split where one alone is over the budget.

    Raises:
        InputTooLong: If a single character has more tokens than the budget.
    """
    units: list[Unit] = []
    for unit in count_spans(text, _segments(text, sentences), count_text):
        if unit.tokens <= budget:
            units.append(unit)
        else:
            units += _split_words(text, unit, count_text, budget)
    return units


def _segments(text: str, sentences: Sequence[Span]) -> list[Span]:
    """Disjoint spans in order, without outer space, covering every non-space character."""
    edges: list[tuple[int, int]] = []
    at = 0
    for sentence in sorted(sentences):
        start, end = max(sentence.start, at), min(sentence.end, len(text))
        if start >= end:
            continue
        edges += [(at, start), (start, end)]
        at = end
    edges.append((at, len(text)))
    spans: list[Span] = []
    for start, end in edges:
        piece = text[start:end]
        kept = piece.strip()
        if kept:
            lead = start + len(piece) - len(piece.lstrip())
            spans.append(Span(lead, lead + len(kept)))
    return spans


def _split_words(text: str, unit: Unit, count_text: CountText, budget: int) -> list[Unit]:
    """Pieces of whole words within the budget, each repeating the end of the one before."""
    words = [
        Span(unit.start + m.start(), unit.start + m.end())
        for m in _WORD.finditer(text[unit.start : unit.end])
    ]
    atoms: list[Unit] = []
    for word in count_spans(text, words, count_text):
        if word.tokens <= budget:
            atoms.append(word)
        else:
            atoms += _split_characters(text, word, count_text, budget)
    pieces = _pieces(atoms, budget)
    counted = count_spans(text, pieces, count_text)
    return [u for piece in counted for u in _halved(text, piece, count_text, budget)]


def _pieces(atoms: Sequence[Unit], budget: int) -> list[Span]:
    pieces: list[Span] = []
    start = 0
    while start < len(atoms):
        end, total = start, 0
        while end < len(atoms) and (end == start or total + atoms[end].tokens <= budget):
            total += atoms[end].tokens
            end += 1
        pieces.append(Span(atoms[start].start, atoms[end - 1].end))
        if end == len(atoms):
            break
        seam, back = 0, end
        while back - 1 > start and seam + atoms[back - 1].tokens <= budget // _SEAM:
            back -= 1
            seam += atoms[back].tokens
        start = back
    return pieces


def _split_characters(text: str, word: Unit, count_text: CountText, budget: int) -> list[Unit]:
    """Runs of characters within the budget, for what no space divides."""
    size = max(1, (word.end - word.start) * budget // (word.tokens + 1))
    step = max(1, size - size // _SEAM)
    starts = range(word.start, max(word.start + 1, word.end - (size - step)), step)
    spans = [Span(s, min(s + size, word.end)) for s in starts]
    counted = count_spans(text, spans, count_text)
    return [u for piece in counted for u in _halved(text, piece, count_text, budget)]


def _halved(text: str, unit: Unit, count_text: CountText, budget: int) -> list[Unit]:
    """The unit itself when it fits, else its halves, halved again until they do."""
    if unit.tokens <= budget:
        return [unit]
    if unit.end - unit.start == 1:
        raise InputTooLong(
            f"One character has {unit.tokens} tokens and the window budget is {budget}; "
            "nothing was cut.",
            hint="Shorten the claim or use a model with a longer input.",
        )
    middle = (unit.start + unit.end) // 2
    halves = [Span(unit.start, middle), Span(middle, unit.end)]
    whole = [h for h in halves if text[h.start : h.end].strip()]
    counted = count_spans(text, whole, count_text)
    return [u for half in counted for u in _halved(text, half, count_text, budget)]
