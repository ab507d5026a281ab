"""What a judge is asked, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

from guardrails.report import Failure, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.types import Failed, Judgement, Scored, Source

Label = Literal["supported", "contradicted", "unsupported"]


@dataclass(frozen=True, slots=True)
class Question:
    """One claim to ask about.

    Attributes:
        claim_id: Its id.
        statement: The claim, made to stand alone.
        scored: What the reading found: which windows are near it.
    """

    claim_id: str
    statement: str = field(repr=False)
    scored: Scored = field(repr=False)


@dataclass(frozen=True, slots=True)
class Budget:
    """What judging one answer may take. None is no limit."""

    seconds: float | None = None
    cost_usd: float | None = None


_NOTHING: Mapping[str, Judgement | Failed] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Opinions:
    """What a judge said.

    Attributes:
        by_claim: For every claim asked about: a judgement, or why there is none.
        usage: What it cost.
        cost_known: Whether that is all of it.
        calls: Model calls that gave an answer.
        failures: Calls that gave none, and answers that could not be used.
    """

    by_claim: Mapping[str, Judgement | Failed] = field(default_factory=lambda: _NOTHING)
    usage: Usage = field(default_factory=Usage)
    cost_known: bool = True
    calls: int = 0
    failures: tuple[Failure, ...] = ()


class Judge(Protocol):
    """Reads sources for the claims of one guarded call."""

    @property
    def model(self) -> str:
        """The judge, for the record."""
        ...

    def judge(
        self, questions: Sequence[Question], sources: Sequence[Source], budget: Budget
    ) -> Opinions:
        """Ask about every claim. Blocks. What fails is in the opinions."""
        ...

    async def ajudge(
        self, questions: Sequence[Question], sources: Sequence[Source], budget: Budget
    ) -> Opinions:
        """As ``judge``, on the event loop. Cancelling it cancels the calls in flight."""
        ...
