"""Shipped fakes, so that applications test their guarded calls without a model or a network.

* ``ScriptedLLM`` stands in for the gateway: ``Guard(gateway=ScriptedLLM(["Paris."]))``.
* ``ScriptedVerifier`` stands in for the verifier: sentences, judged by word overlap or by a table.
* ``guardrails.scripted_provider`` has an OpenAI-compatible server on a real socket.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from guardrails.effects import Called
from guardrails.gateway import provider_failed
from verifiers.testing import lexical_rule
from verifiers.types import (
    Assessment,
    Claim,
    ClaimKind,
    Coverage,
    EvidenceSpan,
    Failed,
    NLIProbs,
    NoEvidence,
    Pair,
    Scored,
    Span,
    Verification,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardrails.responses import Reading
    from verifiers.types import Citation, Outcome, Source

Reply = str | Mapping[str, Any] | Exception
Handler = Callable[[Mapping[str, Any]], object]

_SENTENCE = re.compile(r"[^\s.!?][^.!?\n]*(?:[.](?=\d)[^.!?\n]*)*[.!?]*")


def chat_response(
    text: str | None, *, finish_reason: str = "stop", model: str = "scripted", **message: Any
) -> dict[str, Any]:
    """The JSON of a chat completion with one choice."""
    return chat_responses([text], finish_reason=finish_reason, model=model, **message)


def chat_responses(
    texts: Sequence[str | None],
    *,
    finish_reason: str = "stop",
    model: str = "scripted",
    **message: Any,
) -> dict[str, Any]:
    """The JSON of a chat completion with a choice a text."""
    words = sum(len((text or "").split()) for text in texts)
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [
            {
                "index": index,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", "content": text, **message},
            }
            for index, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": words, "total_tokens": 10 + words},
    }


class ScriptedLLM:
    """A gateway that answers from a script and keeps what it was asked.

    Attributes:
        requests: Every request, in order, as it came.
    """

    def __init__(
        self,
        script: Iterable[Reply] | Handler,
        *,
        cost_usd: float | None = None,
        delay: float = 0.0,
    ) -> None:
        """Write the script.

        Args:
            script: Replies in order, the last of them again for every further call: a text, a
                response object, or an exception to raise. Or a function of the request.
            cost_usd: What each call costs.
            delay: Seconds each call takes.
        """
        self.requests: list[Mapping[str, Any]] = []
        self._handler = script if callable(script) else None
        self._replies = [] if callable(script) else list(script)
        self._cost = cost_usd
        self._delay = delay
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Nothing to load."""

    def priced(self, request: Mapping[str, Any]) -> bool:
        """Whether a cost was given."""
        del request
        return self._cost is not None

    def complete(self, request: Mapping[str, Any]) -> Called:
        """Answer the next request, blocking for the delay."""
        if self._delay:
            time.sleep(self._delay)
        return self._answer(request)

    async def acomplete(self, request: Mapping[str, Any]) -> Called:
        """Answer the next request after the delay."""
        await asyncio.sleep(self._delay)
        return self._answer(request)

    async def astream(self, request: Mapping[str, Any]) -> AsyncIterator[Any]:
        """Stream the next answer, word by word."""
        await asyncio.sleep(self._delay)
        called = self._answer({**request, "stream": True})

        # Imported here: the scripted streams import this module.
        from guardrails.streaming.replay import events_of

        async def chunks() -> AsyncIterator[Any]:
            for event in events_of(cast("Mapping[str, Any]", called.response)):
                yield event

        return chunks()

    def chunks_of(self, response: Any) -> list[Any]:
        """The chunks that tell a whole response."""
        from guardrails.streaming.replay import events_of

        return list(events_of(response))

    def stream_cost(self, request: Mapping[str, Any], reading: Reading) -> float | None:
        """What was given as the cost."""
        del request, reading
        return self._cost

    def _answer(self, request: Mapping[str, Any]) -> Called:
        with self._lock:
            self.requests.append(dict(request))
            number = len(self.requests) - 1
        if self._handler is not None:
            reply = self._handler(request)
        else:
            reply = self._replies[min(number, len(self._replies) - 1)]
        if isinstance(reply, Exception):
            raise provider_failed(reply) from reply
        if isinstance(reply, str):
            reply = chat_response(reply, model=str(request.get("model", "scripted")))
        return Called(reply, self._cost)


class ScriptedVerifier:
    """A verifier of sentences, without spaCy and without a model.

    Every sentence is one claim; every sentence of every source is read. The rule says how the one
    bears on the other.

    Attributes:
        calls: Every answer it was asked about, in order.
    """

    def __init__(
        self,
        rule: Callable[[Pair], NLIProbs] = lexical_rule,
        *,
        outcomes: Mapping[str, Outcome | Exception] | None = None,
        delay: float = 0.0,
    ) -> None:
        """Make one.

        Args:
            rule: Probabilities of a source's sentence (premise) and a claim (hypothesis).
            outcomes: For claims of exactly this text: what comes out instead; an exception is
                raised, and fails the whole verification.
            delay: Seconds a verification takes.
        """
        self.calls: list[str] = []
        self._rule = rule
        self._outcomes = dict(outcomes or {})
        self._delay = delay

    def verify(
        self,
        answer: str,
        *,
        sources: Sequence[Source],
        question: str | None = None,
        annotations: Sequence[Citation] = (),
    ) -> Verification:
        """Assess every sentence."""
        if self._delay:
            time.sleep(self._delay)
        return self._verified(answer, sources, question, annotations)

    async def averify(
        self,
        answer: str,
        *,
        sources: Sequence[Source],
        question: str | None = None,
        annotations: Sequence[Citation] = (),
    ) -> Verification:
        """Assess every sentence."""
        await asyncio.sleep(self._delay)
        return self._verified(answer, sources, question, annotations)

    def open(self, *, sources: Sequence[Source], question: str | None = None) -> ScriptedSession:
        """A session for one answer that is still being written."""
        return ScriptedSession(self, tuple(sources), question)

    def _verified(
        self,
        answer: str,
        sources: Sequence[Source],
        _question: str | None,
        _annotations: Sequence[Citation],
    ) -> Verification:
        self.calls.append(answer)
        passages = [(source, span) for source in sources for span in sentences(source.text)]
        claims = [
            Claim(f"c{number}", span, span.of(answer), ClaimKind.SENTENCE, span, span.of(answer))
            for number, span in zip(itertools.count(1), sentences(answer), strict=False)
        ]
        assessed = tuple(Assessment(claim, self._outcome(claim, passages)) for claim in claims)
        pairs = len(claims) * len(passages)
        return Verification(assessed, model=None, pairs=pairs, pairs_scored=pairs)

    def _outcome(self, claim: Claim, passages: Sequence[tuple[Source, Span]]) -> Outcome:
        given = self._outcomes.get(claim.text)
        if isinstance(given, Exception):
            raise given
        if given is not None:
            return given
        if not passages:
            return NoEvidence("no source was given")
        scores = [self._rule(Pair(span.of(source.text), claim.text)) for source, span in passages]
        for_it = max(range(len(scores)), key=lambda i: scores[i].entailment)
        against = max(range(len(scores)), key=lambda i: scores[i].contradiction)
        number = len({source.id for source, _ in passages})
        return Scored(
            support=scores[for_it].entailment,
            contradiction=scores[against].contradiction,
            best_support=_evidence(passages[for_it]),
            best_contradiction=_evidence(passages[against]),
            coverage=Coverage(len(passages), len(passages), number, number),
        )


class ScriptedSession:
    """One growing answer before a ``ScriptedVerifier``: each call verifies what it is given."""

    def __init__(
        self, verifier: ScriptedVerifier, sources: tuple[Source, ...], question: str | None
    ) -> None:
        self._verifier = verifier
        self._sources = sources
        self._question = question

    async def aprepare(self) -> None:
        """Nothing to make ready."""

    async def aassess(
        self, text: str, *, annotations: Sequence[Citation] = (), final: bool = False
    ) -> Verification:
        """Assess every sentence of the answer so far."""
        del final
        return await self._verifier.averify(
            text, sources=self._sources, question=self._question, annotations=annotations
        )


def sentences(text: str) -> list[Span]:
    """Sentences by their full stops; enough for the texts of tests."""
    return [
        Span(found.start(), found.start() + len(found.group().rstrip()))
        for found in _SENTENCE.finditer(text)
    ]


def failed(code: str = "GR106", cause: str = "the model failed") -> Failed:
    """An outcome for ``ScriptedVerifier``: this claim could not be checked."""
    return Failed(code, cause)


def _evidence(passage: tuple[Source, Span]) -> EvidenceSpan:
    source, span = passage
    return EvidenceSpan(source.id, span, span.of(source.text))
