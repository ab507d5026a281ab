"""``POST /v1/chat/completions``: OpenAI's chat completions, checked."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from guardrails.proxy.serve import serve

router = APIRouter()


@router.post("/v1/chat/completions", include_in_schema=False)
async def chat(request: Request) -> Response:
    """Answer one request."""
    return await serve(request, "chat")
