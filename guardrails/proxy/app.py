"""The application: the routes of the table behind the gate, and what they share."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from guardrails.build import store_opener
from guardrails.client import Guard
from guardrails.errors import ConfigInvalid, NoSuchRoute, RequestRefused
from guardrails.proxy.auth import KeyRing
from guardrails.proxy.context import Context, Health, StoreHandle
from guardrails.proxy.gate import Gate
from guardrails.proxy.limits import BodyTooLarge, Places, Rates
from guardrails.proxy.metrics import MeteredTelemetry, Metrics
from guardrails.proxy.policies import PolicyBook
from guardrails.proxy.providers import open_providers
from guardrails.proxy.table import ROUTES, Route, Table
from guardrails.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from typing import NoReturn

    from guardrails.gateway import Gateway
    from guardrails.keys import Key
    from guardrails.proxy.upstream import Upstream
    from guardrails.runner import VerifierPort
    from guardrails.store.sql import SqlStore

_BAD_REQUEST = 400
_MAX_SHOWN = 200


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str
    message: str
    hint: str


class ErrorBody(BaseModel):
    """The error shape of groundrail's own routes."""

    error: ErrorDetail


def create_app(
    settings: Settings | None = None,
    *,
    guard: Guard | None = None,
    verifier: VerifierPort | None = None,
    gateway: Gateway | None = None,
    upstream: Upstream | None = None,
    routes: Sequence[Route] = ROUTES,
    routers: Iterable[APIRouter] = (),
) -> FastAPI:
    """The proxy as an ASGI application. Opens and loads nothing before it is started.

    Args:
        settings: By default the settings file and the environment.
        guard: Instead of the one the settings describe. Yours to close, and it counts nothing in
            the metrics: pass ``verifier`` or ``gateway`` instead where that is enough.
        verifier: For the guard, instead of the one the settings describe.
        gateway: For the guard, instead of LiteLLM.
        upstream: Instead of the one the settings describe. Closed with the application.
        routes: The table; more rows for routes of one's own.
        routers: Where routes of one's own are.

    Raises:
        ConfigInvalid: If settings make no sense together.
        PolicyError: If a policy cannot be loaded.
        AssertionError: If the table and the routers disagree.
    """
    settings = settings or load_settings()
    _check(settings)
    metrics = Metrics()
    owned = guard is None
    guard = guard or Guard(
        settings=settings,
        verifier=verifier,
        gateway=gateway,
        telemetry=MeteredTelemetry(
            metrics, log_text=settings.telemetry.log_text, spans=settings.telemetry.spans
        ),
    )
    store = StoreHandle(_opener(settings))
    limits = settings.proxy.limits
    context = Context(
        settings=settings,
        guard=guard,
        store=store,
        keys=KeyRing(settings.proxy, _finder(store)),
        rates=Rates(limits, (lambda: store.get().rates) if _shares(settings) else None),
        places=Places(limits.concurrency, limits.queue, limits.queue_seconds),
        metrics=metrics,
        health=Health(),
        table=Table(tuple(routes)),
        book=PolicyBook(settings),
        upstream=upstream or _providers(settings),
    )
    metrics.watch_waiting(lambda: context.places.waiting)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        metrics.watch_tasks(lambda: len(asyncio.all_tasks(loop)))
        warming = asyncio.create_task(context.health.warm_up(guard, context.upstream))
        try:
            yield
        finally:
            context.health.stopping.set()
            await warming
            if context.upstream is not None:
                await context.upstream.aclose()
            await asyncio.to_thread(_close, guard if owned else None, store)

    app = FastAPI(
        title="groundrail",
        summary="Checks what language models say against sources before anyone relies on it.",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        responses={"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}},
    )
    app.state.context = context
    modules = dict.fromkeys(route.module for route in routes if route.module is not None)
    included = [*(import_module(module).router for module in modules), *routers]
    for router in included:
        app.include_router(router)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Gate, context=context)
    _agree(included, routes)
    return app


def _check(settings: Settings) -> None:
    """Refuse what would leave the door open."""
    proxy = settings.proxy
    local = proxy.host in {"localhost", "::1"} or proxy.host.startswith("127.")
    if proxy.auth == "off" and not local and not proxy.open_to_network:
        raise ConfigInvalid(
            f"proxy.auth is off and proxy.host is {proxy.host!r}: anybody could call; "
            "nothing was started.",
            hint="Set proxy.auth to keys, or proxy.host to 127.0.0.1. If something in front "
            "checks who calls, set proxy.open_to_network: true.",
        )
    unknown = {
        rule.retriever for rule in proxy.routes if rule.retriever is not None
    } - proxy.retrievers.keys()
    if unknown:
        raise ConfigInvalid(
            f"proxy.routes names the retriever {min(unknown)!r}, and proxy.retrievers has none "
            "of that name; nothing was started.",
            hint=f"It has: {', '.join(sorted(proxy.retrievers)) or 'none'}.",
        )


def need_keys(settings: Settings, store: StoreHandle) -> None:
    """Refuse to start where nobody could call. Blocks: it looks into the store.

    Raises:
        ConfigInvalid: If there is no key and ``proxy.auth`` is not off.
        StoreUnavailable: If the store cannot be opened to look.
    """
    proxy = settings.proxy
    if proxy.auth == "off" or proxy.admin_key is not None:
        return
    if not store.configured or not store.get().keys.any_usable():
        raise ConfigInvalid(
            "There is no key, so nobody could call the proxy; nothing was started.",
            hint="Make one with `groundrail proxy keys create NAME --role call`, set "
            "proxy.admin_key, or write `proxy: {auth: off}` into groundrail.yaml for a proxy "
            "without keys on this machine only.",
        )


def _opener(settings: Settings) -> Callable[[], SqlStore] | None:
    if settings.store.url is None:
        return None
    return store_opener(settings)  # type: ignore[return-value]  # it opens a SqlStore


def _providers(settings: Settings) -> Upstream | None:
    path = settings.proxy.model_list
    return None if path is None else open_providers(path)


def _shares(settings: Settings) -> bool:
    return (settings.store.url or "").startswith("postgres")


def _finder(store: StoreHandle) -> Callable[[str], Key | None]:
    def find(key_id: str) -> Key | None:
        return store.get().keys.find(key_id) if store.configured else None

    return find


def _close(guard: Guard | None, store: StoreHandle) -> None:
    if guard is not None:
        guard.close()
    store.close()


def _agree(routers: Iterable[APIRouter], routes: Sequence[Route]) -> None:
    """A route outside the table could not be reached, and a row without a route would be a 404."""
    listed = {(route.method, route.path) for route in routes}
    made = {
        (method, route.path)
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    } | {("GET", "/openapi.json")}
    assert len(listed) == len(routes), "a route is in the table twice"  # noqa: S101
    assert made == listed, f"the table and the routers disagree: {sorted(made ^ listed)}"  # noqa: S101


# What FastAPI found wrong goes to the gate as an error of ours: one place tells all errors.


async def _http_exception(_: Request, error: Exception) -> NoReturn:
    if isinstance(error, BodyTooLarge):
        raise error.problem from None
    if isinstance(error, HTTPException) and error.status_code in {404, 405}:
        raise NoSuchRoute("There is nothing at this path.") from None
    if isinstance(error, HTTPException) and error.status_code == _BAD_REQUEST:
        raise RequestRefused("The request cannot be read.") from None
    raise error


async def _invalid(_: Request, error: Exception) -> NoReturn:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for no other
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])[:_MAX_SHOWN]
    raise RequestRefused(
        f"{where}: {first['msg'][:_MAX_SHOWN]}",
        hint="GET /openapi.json describes what is expected.",
        param=where,
    ) from None
