"""The evidence of one answer: its sources cut and indexed, and what is read for each claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifiers import windows
from verifiers.errors import InputTooLong
from verifiers.plan import Reading
from verifiers.types import Coverage, EvidenceSpan, Failed
from verifiers.values import exact_match, mismatches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.types import Claim, Source, Span, ValueMismatch, Window
    from verifiers.workshop import Workshop

# Longest evidence a claim can still be read with; below it a window says too little to judge by.
LEAST_WINDOW_TOKENS = 32
# [CLS] premise [SEP] claim [SEP], and one more for models that separate with two.
_SPECIAL_TOKENS = 4


class Evidence:
    """The sources of one answer. Used on the worker thread of the verifier only."""

    def __init__(self, workshop: Workshop, sources: Sequence[Source]) -> None:
        """Hold ``sources``; nothing is cut yet. Those that are empty are no evidence."""
        self._shop = workshop
        self.sources = {source.id: source for source in sources if source.text.strip()}
        self._indexes: dict[int, windows.WindowIndex] = {}
        self._cited_indexes: dict[tuple[int, frozenset[str]], windows.WindowIndex] = {}
        self._tokens: dict[str, int] = {}

    def prepare(self) -> None:
        """Cut and index the sources as nearly all claims need them."""
        if self.sources:
            self._index(self._budget(0) or LEAST_WINDOW_TOKENS)

    def count(self, texts: list[str]) -> None:
        """Count the tokens of the claims that are selected for next."""
        # Without evidence nothing is scored, and the model need not even be loaded.
        self._tokens = {}
        if texts and self.sources:
            self._tokens = dict(zip(texts, self._shop.engine.count_text(texts), strict=True))

    def _budget(self, tokens: int) -> int | None:
        """Tokens of a window to read a claim of ``tokens`` with; None when too few are left."""
        room = self._shop.engine.info.max_tokens - _SPECIAL_TOKENS - tokens
        if room < LEAST_WINDOW_TOKENS:
            return None
        budget = self._shop.settings.window_tokens
        while budget > room:
            # Halving keeps the number of different cuts of a source small.
            budget = max(budget // 2, LEAST_WINDOW_TOKENS)
        return budget

    def select(self, claim: Claim) -> Reading | Failed:
        """The windows to read for a claim that was counted, or why none of them can be."""
        tokens = self._tokens[claim.hypothesis]
        budget = self._budget(tokens)
        if budget is None:
            return Failed(
                InputTooLong.code,
                f"the claim has {tokens} tokens and the model reads "
                f"{self._shop.engine.info.max_tokens}, evidence included; it was not checked",
            )
        settings = self._shop.settings
        index = self._index(budget)
        selection = index.select(
            claim.hypothesis,
            k=settings.k,
            read_all_up_to=settings.read_all_up_to,
            near=0.0 if claim.citations else settings.near,
        )
        chosen = [*selection.windows, *self._cited(claim, budget, selection.windows)]
        return Reading(
            tuple(chosen),
            Coverage(
                windows_read=len(chosen),
                windows_total=selection.windows_total,
                sources_read=len({window.source_id for window in chosen}),
                sources_total=len(self.sources),
            ),
        )

    def _cited(self, claim: Claim, budget: int, chosen: Sequence[Window]) -> list[Window]:
        """The best windows of the sources a claim cites that were not chosen anyway.

        A citation is only called wrong after the place it points to was looked at as closely as
        any other.
        """
        index = self._index(budget)
        named = frozenset(c.source_id for c in claim.citations if c.source_id is not None)
        if not named or len(chosen) == len(index.windows):
            return []
        own = self._cited_indexes.get((budget, named))
        if own is None:
            own = windows.WindowIndex([w for w in index.windows if w.source_id in named])
            self._cited_indexes[budget, named] = own
        settings = self._shop.settings
        best = own.select(claim.hypothesis, k=settings.k, read_all_up_to=settings.read_all_up_to)
        taken = {(w.source_id, w.index) for w in chosen}
        return [w for w in best.windows if (w.source_id, w.index) not in taken]

    def _index(self, budget: int) -> windows.WindowIndex:
        if budget not in self._indexes:
            cutter = self._shop.cutter(budget)
            self._indexes[budget] = windows.WindowIndex(
                [window for source in self.sources.values() for window in cutter.windows(source)]
            )
        return self._indexes[budget]

    def narrow(self, window: Window, text: str, place: Span | None) -> EvidenceSpan:
        """The sentences of a window nearest to ``text``, or those at ``place`` in its source."""
        cutter = self._shop.cutter(self._shop.settings.window_tokens)
        sentences = cutter.sentences(self.sources[window.source_id])
        if place is not None:
            sentences = [s for s in sentences if s.overlaps(place)]
        return windows.narrow(window, text, sentences)


def verbatim(claim: Claim, window: Window) -> bool:
    """Whether a window says a claim word for word."""
    return exact_match(claim.hypothesis, window.text) is not None


def check_values(claim: Claim, window: Window) -> tuple[ValueMismatch, ...]:
    """How the values of a claim differ from those of a window."""
    return mismatches(claim, EvidenceSpan(window.source_id, window.span, window.text))
