"""What answers the Generic Guardrail API: evidence kept from the request, the answer checked by it.

LiteLLM asks twice about a call: with the conversation before the model is called, and with the
answer's texts afterwards, then without the conversation.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from guardrails.digests import digest
from guardrails.effects import Called
from guardrails.engine import Options
from guardrails.errors import Blocked
from guardrails.integrations._generic_wire import GuardrailResponse, wishes_of
from guardrails.report import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardrails._flow_values import Job
    from guardrails.effects import CallModel
    from guardrails.engine import Engine
    from guardrails.integrations._generic_wire import GuardrailRequest, Wishes
    from guardrails.integrations._remembered import Remembering
    from guardrails.report import Report

_STREAM: Final = (
    "This answer comes in pieces that were not held back until they were checked. Ask without "
    "stream, or have LiteLLM's operator read groundrail's page on LiteLLM."
)
_REFUSED: Final = "Streaming is not available here. Ask without stream."
_CHANGED: Final = "The answer could not be confirmed against the sources."
_TOOLS: Final = "The answer calls tools and was not released."
_NOT_KNOWN: Final = (
    "LiteLLM sent nothing before this call, or it is no longer kept: there is no evidence."
)
_NO_CALL_ID: Final = "LiteLLM named no call, so no evidence can be found for it."
_TOO_BIG: Final = "The conversation was too big to be kept, so there is no evidence."
_NONE: Final = GuardrailResponse(action="NONE")


class GenericGuardrail:
    """Answers LiteLLM. One for all requests of a process."""

    def __init__(self, engine: Engine, remembering: Remembering) -> None:
        """Make one.

        Args:
            engine: Checks the answers.
            remembering: Keeps the evidence between the two requests of a call.
        """
        self._engine = engine
        self._kept = remembering

    async def answer(self, asked: GuardrailRequest, *, key_id: str = "") -> GuardrailResponse:
        """What LiteLLM is to do.

        Args:
            asked: Its question.
            key_id: Whose key it came with: nobody finds another's evidence.

        Raises:
            ConfigInvalid: If the parameters of the configuration make no sense.
            GroundrailError: If it could not be checked. LiteLLM then blocks, unless its
                configuration says otherwise.
        """
        wishes = wishes_of(asked.additional_provider_specific_params)
        if asked.input_type == "request":
            if wishes.refuse:
                return _blocked(_REFUSED)
            await self._remember(asked, key_id)
            return _NONE
        if wishes.refuse:
            return _blocked(_STREAM)
        if not asked.texts:
            return _NONE
        return await self._decide(asked, wishes, key_id)

    async def _remember(self, asked: GuardrailRequest, key_id: str) -> None:
        if asked.litellm_call_id is None:
            return
        body = json.dumps({"messages": asked.structured_messages or [], "seen": []}).encode()
        where = _where(asked, key_id)
        if not await asyncio.to_thread(self._kept.put, where, body):
            await asyncio.to_thread(self._kept.put, where, b'{"messages": null, "seen": []}')

    async def _decide(
        self, asked: GuardrailRequest, wishes: Wishes, key_id: str
    ) -> GuardrailResponse:
        texts = asked.texts or ()
        messages, notes, grown = await asyncio.to_thread(self._recall, asked, key_id)
        if grown:
            return _blocked(_STREAM)
        options = Options(
            policy=wishes.policy,
            route=wishes.route,
            metadata=_metadata(asked),
        )
        job: Job = await asyncio.to_thread(
            partial(
                self._engine.job,
                Entry.PROXY,
                options,
                messages=messages,
                can_regenerate=False,
                model=asked.model,
                notes=notes,
            )
        )
        response = {
            "model": asked.model,
            "choices": [{"index": i, "message": {"content": text}} for i, text in enumerate(texts)],
        }

        async def given(_: CallModel) -> Called:
            return Called(response)

        hands = self._engine.hands(job, options, acall=given)
        try:
            guarded = await self._engine.arun(job, hands, options)
        except Blocked as blocked:
            return _blocked(_reason(blocked.reports))
        return _decided(asked, wishes, guarded.reports)

    def _recall(
        self, asked: GuardrailRequest, key_id: str
    ) -> tuple[list[Any], tuple[str, ...], bool]:
        """The conversation, what is to be said about it, and whether the answer is a stream."""
        if asked.litellm_call_id is None:
            return [], (_NO_CALL_ID,), False
        where = _where(asked, key_id)
        body = self._kept.get(where)
        if body is None:
            return [], (_NOT_KNOWN,), False
        kept = json.loads(body)
        said = "\n".join(asked.texts or ())
        # A stream shows as a text that goes on: LiteLLM asks again with more of it.
        grown = any(
            len(said) > length and digest(said[:length]) == seen for length, seen in kept["seen"]
        )
        if said and [len(said), digest(said)] not in kept["seen"]:
            kept["seen"] = [*kept["seen"][-7:], [len(said), digest(said)]]
            self._kept.put(where, json.dumps(kept).encode())
        messages = kept["messages"]
        return messages or [], (() if messages is not None else (_TOO_BIG,)), grown


def _decided(
    asked: GuardrailRequest, wishes: Wishes, reports: Sequence[Report]
) -> GuardrailResponse:
    texts = tuple(report.text for report in reports)
    if texts == asked.texts:
        return _NONE
    if wishes.on_change == "block":
        return _blocked(_CHANGED)
    # LiteLLM takes texts from us and leaves the tool calls beside them.
    if asked.tool_calls and any(report.blocked for report in reports):
        return _blocked(_TOOLS)
    return GuardrailResponse(action="GUARDRAIL_INTERVENED", texts=texts)


def _reason(reports: Sequence[Report]) -> str:
    return next((report.text for report in reports if report.blocked and report.text), _CHANGED)


def _blocked(reason: str) -> GuardrailResponse:
    return GuardrailResponse(action="BLOCKED", blocked_reason=reason)


def _where(asked: GuardrailRequest, key_id: str) -> str:
    """Callers of LiteLLM may choose the id of a call: theirs finds what their own key sent."""
    parts = [key_id, asked.request_data.get("user_api_key_hash"), asked.litellm_call_id]
    return digest(json.dumps(parts, default=str))


def _metadata(asked: GuardrailRequest) -> dict[str, str]:
    found = {"litellm_call_id": asked.litellm_call_id, "litellm_trace_id": asked.litellm_trace_id}
    return {key: value for key, value in found.items() if value}
