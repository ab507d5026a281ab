"""What a stream is checked against: gathered once, while the model writes its first words."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from guardrails._flow_values import distinct, failed_of
from guardrails.errors import RetrieverFailed, TimedOut
from verifiers.types import Failed, Verification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardrails._flow_values import Job
    from guardrails.retrievers import Retriever
    from guardrails.runner import Ports, SessionPort
    from policies.schema import Policy
    from verifiers.types import Citation, Source

NOTHING = Verification(assessments=(), model=None)


class Unread(Exception):
    """There is no evidence to check by, because it could not be had."""

    def __init__(self, failed: Failed) -> None:
        super().__init__()
        self.failed = failed


class Evidence:
    """The sources of one stream, and the sessions that check its answers against them.

    Attributes:
        known: The sources, why there are none, or None while they are not known yet.
        notes: What the report should say about them.
        seconds: What the retriever took.
    """

    def __init__(self, job: Job, ports: Ports, rules: Policy, retriever: Retriever | None) -> None:
        """Begin to gather. Must be called on the event loop."""
        self.known: tuple[Source, ...] | Failed | None = None
        self.notes: list[str] = []
        self.seconds: dict[str, float] = {}
        self._job = job
        self._ports = ports
        self._rules = rules
        self._retriever = retriever
        self._prepared: SessionPort | None = None
        if not job.retrieve:
            self.known = job.captured if job.sources is None else job.sources
        self.task = asyncio.create_task(self._gathered())

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources, as far as they are known."""
        return self.known if isinstance(self.known, tuple) else ()

    async def checked(
        self,
        session: SessionPort | None,
        text: str,
        *,
        annotations: Sequence[Citation],
        final: bool,
    ) -> tuple[Verification, SessionPort | None]:
        """What is found out about the beginning of an answer, and the session that did.

        Raises:
            Unread: If there is no evidence to check by.
            GroundrailError: If it cannot be found out.
        """
        found = await asyncio.shield(self.task)
        if not text.strip():
            return NOTHING, session
        if isinstance(found, Failed):
            raise Unread(found)
        if session is None:
            prepared, self._prepared = self._prepared, None
            session = prepared or self._ports.verifier.open(
                sources=found, question=self._job.question
            )
        seconds = self._rules.stream.seconds
        try:
            async with asyncio.timeout(seconds):
                made = await session.aassess(text, annotations=annotations, final=final)
        except TimeoutError as late:
            raise TimedOut(
                f"Checking a sentence took longer than {seconds or 0:.3g} s; it counts as an "
                "error.",
                hint="Raise stream.seconds of the policy, or read less evidence.",
            ) from late
        return made, session

    async def _gathered(self) -> tuple[Source, ...] | Failed:
        if self.known is None:
            self.known = await self._retrieved()
        if isinstance(self.known, Failed):
            return self.known
        first = self._ports.verifier.open(sources=self.known, question=self._job.question)
        # A model that cannot be loaded fails the checks, which say so.
        with suppress(Exception):
            await first.aprepare()
            self._prepared = first
        return self.known

    async def _retrieved(self) -> tuple[Source, ...] | Failed:
        job, limit, clock = self._job, self._rules.limits.seconds, self._ports.clock
        assert self._retriever is not None  # noqa: S101 - a job retrieves only where there is one
        begun = clock().tick
        try:
            async with asyncio.timeout(limit):
                found = await self._retriever.aretrieve(job.question or "")
        except TimeoutError:
            late = RetrieverFailed(
                f"The retriever gave nothing within {limit or 0:.3g} s; the claims count as "
                "errors.",
                hint="Raise limits.seconds of the policy, or use a faster retriever.",
            )
            return failed_of(late)
        except Exception as error:  # noqa: BLE001 - evidence that failed is no evidence
            return failed_of(error)
        finally:
            self.seconds["evidence"] = clock().tick - begun
        self.notes += found.notes
        return distinct((*found.sources, *job.captured))
