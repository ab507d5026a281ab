"""What the steps of claim extraction hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifiers.claims.blocks import Block
    from verifiers.claims.inline import View
    from verifiers.text import Token
    from verifiers.types import ClaimKind, SkipReason, Span


@dataclass(frozen=True, slots=True)
class Unit:
    """A stretch of clean text that is parsed on its own: a paragraph line, an item, a heading.

    Attributes:
        block: The block it stands in.
        number: That block's place in the answer.
        span: All of it in the answer, markers included.
        view: What it says.
    """

    block: Block
    number: int
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
        tokens: The words of its sentence, when they were parsed.
        skip: Why it is not checkworthy.
        block: Index of its block.
    """

    span: Span
    sentence: Span
    kind: ClaimKind
    hypothesis: str
    tokens: tuple[Token, ...] = ()
    skip: SkipReason | None = None
    block: int = 0
