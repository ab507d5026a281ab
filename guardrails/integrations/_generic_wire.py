"""Requests and responses of LiteLLM's Generic Guardrail API, as LiteLLM 1.106 sends and reads them.

Taken down from its ``generic_guardrail_api``. Fields we do not know are let be: newer versions add
some.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from guardrails._faults import first_fault
from guardrails.errors import ConfigInvalid


class GuardrailRequest(BaseModel):
    """What LiteLLM asks.

    Attributes:
        input_type: ``request`` before the model is called, ``response`` with its answer.
        litellm_call_id: The same in both.
        litellm_trace_id: The conversation's.
        texts: The texts to look at: of an answer, one a choice or part.
        structured_messages: The conversation; only with a request.
        tool_calls: Of the answer.
        model: As requested.
        request_data: Whose key it was, at LiteLLM.
        additional_provider_specific_params: What stands in LiteLLM's configuration; ours is under
            ``groundrail``.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    input_type: Literal["request", "response"]
    litellm_call_id: str | None = None
    litellm_trace_id: str | None = None
    texts: tuple[str, ...] | None = None
    structured_messages: list[dict[str, Any]] | None = None
    images: list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    model: str | None = None
    request_data: dict[str, Any] = Field(default_factory=dict)
    request_headers: dict[str, str] | None = None
    litellm_version: str | None = None
    additional_provider_specific_params: dict[str, Any] | None = None


class GuardrailResponse(BaseModel):
    """What LiteLLM does then.

    Attributes:
        action: ``NONE``: go on. ``BLOCKED``: refuse, with the reason. ``GUARDRAIL_INTERVENED``: go
            on with these texts.
        blocked_reason: For the end user.
        texts: One for each that was asked about.
    """

    model_config = ConfigDict(frozen=True)

    action: Literal["NONE", "BLOCKED", "GUARDRAIL_INTERVENED"]
    blocked_reason: str | None = None
    texts: tuple[str, ...] | None = None


class Wishes(BaseModel):
    """``additional_provider_specific_params.groundrail`` in LiteLLM's configuration.

    Attributes:
        policy: Instead of the proxy's; the key must be allowed to name it.
        route: The policy's route; the key must be allowed to name it.
        on_change: What becomes of an answer that is not released as it is: ``respond`` puts the
            decided text in its place, ``block`` refuses it whole.
        refuse: Refuse every call that comes here, before the model is called: for streams.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: str | None = None
    route: str | None = None
    on_change: Literal["respond", "block"] = "respond"
    refuse: bool = False


def wishes_of(params: dict[str, Any] | None) -> Wishes:
    """Ours among the parameters.

    Raises:
        ConfigInvalid: Names the key.
    """
    said = (params or {}).get("groundrail")
    try:
        return Wishes.model_validate({} if said is None else said)
    except ValidationError as error:
        where, why = first_fault(error, "groundrail")
        raise ConfigInvalid(
            f"additional_provider_specific_params.{where}: {why}; nothing was released.",
            hint=f"Allowed: {', '.join(sorted(Wishes.model_fields))}.",
        ) from None
