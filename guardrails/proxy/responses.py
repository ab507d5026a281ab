"""``POST /v1/responses``: OpenAI's Responses, with every answer checked."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from guardrails.proxy.serve import serve

router = APIRouter()


@router.post("/v1/responses", include_in_schema=False)
async def responses(request: Request) -> Response:
    """Answer one request."""
    return await serve(request, "responses")
