"""What a policy decides: actions, and a decision that can explain itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifiers.types import Verdict


class Action(StrEnum):
    """What to do with an answer. Ordered by ``severity``: a worse verdict never lowers it."""

    PASS = "pass"  # noqa: S105 - an action, not a password
    ANNOTATE = "annotate"  # released with its verdicts and citations attached
    REDACT = "redact"  # unsupported sentences taken out
    REGENERATE = "regenerate"  # ask again, naming what was wrong
    REVIEW = "review"  # to a person; held, or released with a flag
    REFUSE = "refuse"  # a configured message instead of the answer

    @property
    def severity(self) -> int:
        """0 for pass up to 5 for refuse."""
        return _SEVERITY[self]


_SEVERITY = {action: rank for rank, action in enumerate(Action)}


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What is known of an answer besides its claims.

    Attributes:
        empty: It has no text (and no tool call).
        tool_calls: It calls tools and has no text: there is nothing to check yet.
        refused: The model or its provider declined to answer.
        cut: It ended at the length limit.
        has_evidence: At least one source was there to read.
    """

    empty: bool = False
    tool_calls: bool = False
    refused: bool = False
    cut: bool = False
    has_evidence: bool = True


@dataclass(frozen=True, slots=True)
class RuleHit:
    """One rule that spoke.

    Attributes:
        rule: Its key in the policy file, such as ``on_contradicted`` or
            ``kinds.number.on_unsupported``.
        action: What it asked for.
        message: Why, for people, without user text.
        claim_id: The claim it spoke of, or None for a rule about the whole answer.
    """

    rule: str
    action: Action
    message: str
    claim_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimDecision:
    """What the policy makes of one claim."""

    verdict: Verdict
    action: Action
    rule: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with one answer, and why.

    Attributes:
        action: The most severe action any rule asked for.
        claims: One entry a claim, in the order of the answer.
        hits: Every rule that asked for more than ``pass``, most severe first; then, with ``pass``,
            the facts about the answer that explain it (it only calls tools, it states nothing).
        policy: Name of the policy.
        digest: Digest of the whole policy, as recorded.
        route: The route it was decided under, or None.
    """

    action: Action
    claims: tuple[ClaimDecision, ...]
    hits: tuple[RuleHit, ...]
    policy: str
    digest: str
    route: str | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What one guarded call has used so far. A value: the clock is read elsewhere.

    Attributes:
        attempts: Model calls made.
        seconds: Wall-clock time since the call came in.
        cost_usd: Provider cost so far; None when the provider's prices are not known.
    """

    attempts: int = 1
    seconds: float = 0.0
    cost_usd: float | None = None
