"""``POST /v1/check``: an answer that was made elsewhere, checked."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from guardrails._faults import first_fault
from guardrails.errors import NotAllowed, RequestRefused
from guardrails.proxy.auth import caller
from guardrails.proxy.context import context
from guardrails.proxy.leaving import ClientGone
from guardrails.proxy.limits import read_json
from guardrails.proxy.options import RequestOptions, settle
from guardrails.proxy.policies import NO_POLICY
from guardrails.proxy.serve import json_response, run_check
from guardrails.proxy.shown import body_of, headers_of

router = APIRouter()

_PATH = "/v1/check"
_GONE = 499


class CheckRequest(RequestOptions):
    """An answer, and what to check it against."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer: Annotated[
        str | dict[str, Any],
        Field(description="The answer's text, or a provider's whole response as JSON."),
    ]
    messages: Annotated[
        list[dict[str, Any]],
        Field(
            default_factory=list,
            description="The conversation: evidence and the question may be found in it.",
        ),
    ]


class CheckResponse(BaseModel):
    """The answer as decided, and why."""

    model_config = ConfigDict(extra="forbid")

    answer: Annotated[str | dict[str, Any], Field(description="What may be released.")]
    guardrails: Annotated[
        dict[str, Any] | None, Field(description="The report, as long as it was asked for.")
    ] = None


@router.post(
    _PATH,
    response_model=CheckResponse,
    summary="Check an answer that was made elsewhere",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": CheckRequest.model_json_schema()}},
        }
    },
)
async def check(request: Request) -> Response:
    """Check an answer."""
    here, who = context(request), caller(request)
    limits = here.settings.proxy.limits
    try:
        given = CheckRequest.model_validate(await read_json(request, limits), strict=True)
    except ValidationError as error:
        where, why = first_fault(error)
        raise RequestRefused(
            f"{where[:200]}: {why}; nothing was checked.",
            hint="GET /openapi.json describes what is expected.",
            param=where[:200],
        ) from None
    rule = here.book.rule(_PATH, None)
    asked = settle(given, who, rule, here.book, limits, model=None)
    if not asked.verify:
        raise NotAllowed(
            f"The policy is {NO_POLICY!r}, so there is nothing to check by.",
            hint="Name another policy.",
        )
    try:
        guarded = await run_check(request, here.guard, given.answer, given.messages, asked)
    except ClientGone:
        return Response(status_code=_GONE)
    told = body_of(guarded.reports, asked.report)
    return json_response(
        {"answer": guarded.response, "guardrails": told}, headers_of(guarded.reports)
    )
