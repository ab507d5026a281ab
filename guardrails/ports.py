"""What a guard needs of a verifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.types import Citation, Source, Verification


class SessionPort(Protocol):
    """What a stream needs of ``verifiers.session.Session``."""

    async def aprepare(self) -> None:
        """Make ready what does not depend on the answer."""
        ...

    async def aassess(
        self, text: str, *, annotations: Sequence[Citation] = (), final: bool = False
    ) -> Verification:
        """Assess every claim of the answer so far, without blocking the event loop."""
        ...


class VerifierPort(Protocol):
    """What a guard needs of ``verifiers.pipeline.Verifier``."""

    def verify(
        self,
        answer: str,
        *,
        sources: Sequence[Source],
        question: str | None = None,
        annotations: Sequence[Citation] = (),
    ) -> Verification:
        """Assess every claim of ``answer``. Blocks."""
        ...

    async def averify(
        self,
        answer: str,
        *,
        sources: Sequence[Source],
        question: str | None = None,
        annotations: Sequence[Citation] = (),
    ) -> Verification:
        """As ``verify``, without blocking the event loop."""
        ...

    def open(self, *, sources: Sequence[Source], question: str | None = None) -> SessionPort:
        """A session for one answer that is still being written."""
        ...
