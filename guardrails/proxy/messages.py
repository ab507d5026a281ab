"""``POST /v1/messages``: Anthropic's Messages, with every answer checked."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from guardrails.proxy.serve import serve

router = APIRouter()


@router.post("/v1/messages", include_in_schema=False)
async def messages(request: Request) -> Response:
    """Answer one request."""
    return await serve(request, "messages")
