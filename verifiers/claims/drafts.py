"""What the steps of claim extraction hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifiers.claims.blocks import Block
    from verifiers.claims.inline import View
    from verifiers.types import ClaimKind, Facet, SkipReason, Span


@dataclass(frozen=True, slots=True)
class Unit:
    """A stretch of clean text that is parsed on its own: a paragraph line, an item, a heading.

    Attributes:
        block: The block it stands in.
        span: All of it in the answer, markers included.
        view: What it says.
    """

    block: Block
    span: Span
    view: View


@dataclass(frozen=True, slots=True)
class Draft:
    """A claim in the making.

    Attributes:
        span: Its place in the answer.
        sentence: The sentence, item or row it stands in.
        kind: Its form.
        hypothesis: What the model will read, so far.
        facets: What it talks about.
        skip: Why it is not checkworthy.
    """

    span: Span
    sentence: Span
    kind: ClaimKind
    hypothesis: str
    facets: frozenset[Facet] = frozenset()
    skip: SkipReason | None = None
