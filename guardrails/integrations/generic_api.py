"""The route of LiteLLM's Generic Guardrail API, for groundrail's own proxy application."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from guardrails.integrations._generic_guard import GenericGuardrail
from guardrails.integrations._generic_wire import GuardrailRequest, GuardrailResponse, wishes_of
from guardrails.integrations._remembered import InMemory, InStore
from guardrails.proxy.auth import Caller, caller
from guardrails.proxy.context import Context, context

PATH = "/beta/litellm_basic_guardrail_api"

router = APIRouter()


def guardrail(request: Request, found: Annotated[Context, Depends(context)]) -> GenericGuardrail:
    """The application's one: what a request leaves behind, its response has to find."""
    state = request.app.state
    if not hasattr(state, "generic_guardrail"):
        shared = (found.settings.store.url or "").startswith("postgres")
        kept = InStore(lambda: found.store.get().kept) if shared else InMemory()
        state.generic_guardrail = GenericGuardrail(found.guard.engine, kept)
    made: GenericGuardrail = state.generic_guardrail
    return made


@router.post(PATH, response_model_exclude_none=True)
async def check(
    asked: GuardrailRequest,
    who: Annotated[Caller, Depends(caller)],
    made: Annotated[GenericGuardrail, Depends(guardrail)],
) -> GuardrailResponse:
    """LiteLLM's Generic Guardrail API: evidence from the request, then the answer checked."""
    wishes = wishes_of(asked.additional_provider_specific_params)
    who.need(names=[name for name in (wishes.policy, wishes.route) if name is not None])
    return await made.answer(asked, key_id=who.key_id)
