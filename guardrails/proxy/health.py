"""Whether the proxy lives, whether it can work, and what it counted."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from guardrails.errors import StoreUnavailable
from guardrails.proxy.context import Context, context
from guardrails.proxy.metrics import CONTENT_TYPE

router = APIRouter(tags=["health"])

Here = Annotated[Context, Depends(context)]


class Alive(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether it can work, and what is missing. Values are ``ok``, a word, or an error code."""

    ready: bool
    model: str
    store: str
    shutdown: str


@router.get("/healthz")
async def healthz() -> Alive:
    """Say that the process is alive. Nothing is looked at."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(here: Here, response: Response) -> Readiness:
    """Say whether the model is loaded, the store answers and nothing is being shut down."""
    health = here.health
    model = "ok" if health.warm.is_set() else health.failure or "loading"
    stopping = health.draining or health.stopping.is_set()
    store = await _store(here)
    ready = model == "ok" and store in {"ok", "none"} and not stopping
    response.status_code = 200 if ready else 503
    return Readiness(
        ready=ready, model=model, store=store, shutdown="stopping" if stopping else "no"
    )


async def _store(here: Context) -> str:
    if not here.store.configured:
        return "none"
    try:
        async with asyncio.timeout(here.settings.store.timeout + 1):
            await asyncio.to_thread(lambda: here.store.get().ping())
    except StoreUnavailable as error:
        return error.code
    except TimeoutError:
        return StoreUnavailable.code
    return "ok"


@router.get("/metrics", response_class=Response)
async def metrics(here: Here) -> Response:
    """Prometheus metrics as text."""
    return Response(here.metrics.text(), media_type=CONTENT_TYPE)
