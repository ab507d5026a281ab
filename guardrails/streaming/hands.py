"""What a stream works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from guardrails.effects import CallModel
    from guardrails.report import Report
    from guardrails.retrievers import Retriever
    from guardrails.streaming.shapes import Shape
    from policies.types import ClaimDecision


@dataclass(frozen=True, slots=True)
class StreamHands:
    """What is particular to one stream.

    Attributes:
        open: Opens the provider's stream.
        shape: Its protocol; made for this stream.
        retriever: Asked for evidence, or None.
        cost: What the stream cost in US dollars, from what it told; None where not known.
        verdicts: What is said beside a released text of the claims in it; None for nothing.
        ending: What is said with the last event of the reports; None for nothing.
        raises: Whether a withheld answer is an error and not a text.
        hold: Whether everything waits until the whole answer was decided.
    """

    open: Callable[[CallModel], Awaitable[AsyncIterator[Any]]]
    shape: Shape
    retriever: Retriever | None = None
    cost: Callable[[Any], float | None] | None = None
    verdicts: Callable[[Sequence[ClaimDecision]], Mapping[str, Any] | None] | None = None
    ending: Callable[[Sequence[Report]], Mapping[str, Any] | None] | None = None
    raises: bool = False
    hold: bool = False
