"""What all sessions of one verifier share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from verifiers.windows import Cutter

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from verifiers.claims import ClaimExtractor
    from verifiers.pipeline import Engine, EvidenceSettings


@dataclass(frozen=True, slots=True)
class Workshop:
    """The parts, and the cutters made for them so far.

    ``cutters`` are by window budget, and made on the worker thread only.
    """

    extractor: ClaimExtractor
    engine: Engine
    settings: EvidenceSettings
    clock: Callable[[], float]
    worker: ThreadPoolExecutor
    cutters: dict[int, Cutter] = field(default_factory=dict)

    def cutter(self, budget: int) -> Cutter:
        """The cutter for windows of ``budget`` tokens. Called on the worker thread only."""
        if budget not in self.cutters:
            self.cutters[budget] = Cutter(
                sentences=self.extractor.sentences,
                count_text=self.engine.count_text,
                budget_tokens=budget,
                overlap_sentences=self.settings.overlap_sentences,
            )
        return self.cutters[budget]
