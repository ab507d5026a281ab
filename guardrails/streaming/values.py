"""Values of streams: what goes out, and what a report tells of an answer that was streamed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from policies.types import ClaimDecision


class Out(NamedTuple):
    """An event that may go out.

    Attributes:
        event: The event.
        claims: The claims whose decision let it.
        lane: Which answer's text it carries.
        text: That text.
    """

    event: object
    claims: tuple[ClaimDecision, ...] = ()
    lane: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Streamed:
    """How one answer was let go, sentence by sentence.

    Attributes:
        whole: The answer was read to its end; input of ``decide``.
        released: How much of the answer was decided and let go, in code points; what redaction
            took out of it is counted. A consumer who left may have taken less: what it took is
            the report's text.
        checks: Verifications made along the way.
        first_seconds: From the start of the call to the first text that went out; None when none
            did.
        longest_hold_seconds: The longest that a finished sentence waited to be decided.
    """

    whole: bool
    released: int
    checks: int
    first_seconds: float | None
    longest_hold_seconds: float
