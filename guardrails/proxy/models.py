"""``GET /v1/models``: what callers may ask for, as OpenAI lists it, or as Anthropic does."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from guardrails.proxy.auth import caller
from guardrails.proxy.context import context
from guardrails.proxy.serve import json_response

router = APIRouter()

_NO_DATE = "1970-01-01T00:00:00Z"


@router.get("/v1/models", include_in_schema=False)
async def models(request: Request) -> Response:
    """The models that the caller's key may use."""
    here, allowed = context(request), caller(request).may.models
    known = () if here.upstream is None else here.upstream.models()
    mine = [model for model in known if allowed is None or model.name in allowed]
    if "anthropic-version" in request.headers:
        named = [
            {"type": "model", "id": m.name, "display_name": m.name, "created_at": _NO_DATE}
            for m in mine
        ]
        first, last = (mine[0].name, mine[-1].name) if mine else (None, None)
        return json_response({"data": named, "has_more": False, "first_id": first, "last_id": last})
    listed = [
        {"id": model.name, "object": "model", "created": 0, "owned_by": model.owner}
        for model in mine
    ]
    return json_response({"object": "list", "data": listed})
