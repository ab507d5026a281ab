"""Claims: the checkable statements of an answer, each with its place in the exact text."""

from __future__ import annotations

from verifiers.claims.extractor import ClaimExtractor, Extractor
from verifiers.claims.make import make_extractor

__all__ = ["ClaimExtractor", "Extractor", "make_extractor"]
