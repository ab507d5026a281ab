"""One request of a protocol route, from its body to its answer.

Where nothing is to be checked the provider's bytes are relayed as they come. Everything else is a
job of the engine, the same that the client and the decorator run.
"""

from __future__ import annotations

import asyncio
import copy
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.responses import Response

from guardrails._known_whole import strip_whole
from guardrails._response_access import shape_of
from guardrails.effects import Called, CallModel
from guardrails.errors import Unavailable
from guardrails.proxy.auth import caller
from guardrails.proxy.context import context
from guardrails.proxy.leaving import ClientGone, while_there
from guardrails.proxy.limits import read_json
from guardrails.proxy.live import Live, reading
from guardrails.proxy.options import Asked, settle, take_options
from guardrails.proxy.protocols import (
    Call,
    attempt,
    conversation,
    params_of,
    read_call,
    refuse,
    wants_usage,
)
from guardrails.proxy.shown import beside, body_of, headers_of
from guardrails.proxy.upstream import (
    JSON,
    PROVIDER_KEY_HEADER,
    Answer,
    UpstreamFailed,
    Wire,
    refused_by,
)
from guardrails.proxy.wire import DONE, encode
from guardrails.report import Entry
from guardrails.streaming.replay import events_of
from guardrails.streaming.shapes import Kind
from guardrails.streaming.stages import stages
from guardrails.streaming.ways import holds_answers, reasoning_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from guardrails._flow_values import Job
    from guardrails.client import Guard
    from guardrails.proxy.context import Context
    from guardrails.proxy.upstream import ErrorAnswer, Relayed, Upstream
    from guardrails.report import Guarded

_GONE: Final = 499
_KEY_REFUSED: Final = frozenset({401, 403})
_REPLACED: Final = frozenset({"content-type", "retry-after"})
_KEY_HEADERS: Final = ("x-api-key", "authorization")


@dataclass(frozen=True, slots=True)
class _Work:
    """What one request needs to be answered."""

    call: Call
    asked: Asked
    guard: Guard
    upstream: Upstream
    headers: Mapping[str, str]


async def serve(request: Request, wire: Wire) -> Response:
    """Answer one request of a protocol route.

    Raises:
        GroundrailError: What the caller is told in the protocol's error shape.
    """
    work = await _read(request, wire)
    try:
        if not work.asked.verify:
            return await _relayed(request, work)
        return await _guarded(request, work)
    except UpstreamFailed as error:
        if error.answer is None or not _for_the_caller(error.answer.status, work):
            raise
        return _passed_on(error, error.answer)
    except ClientGone:
        return Response(status_code=_GONE)


async def _read(request: Request, wire: Wire) -> _Work:
    """The request, and what it may ask for."""
    here = context(request)
    settings, who = here.settings.proxy, caller(request)
    body = await read_json(request, settings.limits)
    own = take_options(body)
    call = read_call(wire, body)
    rule = here.book.rule(request.url.path, call.model)
    asked = settle(own, who, rule, here.book, settings.limits, model=call.model)
    return _Work(call, asked, here.guard, _upstream(here), _headers(request, here))


def _upstream(here: Context) -> Upstream:
    if here.upstream is None:
        raise Unavailable(
            "This proxy has no models; nothing was sent.",
            hint="Name a file with a model_list in proxy.model_list.",
        )
    return here.upstream


def _headers(request: Request, here: Context) -> dict[str, str]:
    """The caller's headers, with the provider's key where callers bring their own."""
    headers = dict(request.headers)
    headers.pop(PROVIDER_KEY_HEADER, None)
    if here.settings.proxy.provider_keys == "pass":
        for name in _KEY_HEADERS:
            key = headers.get(name, "").removeprefix("Bearer ").strip()
            if key:
                headers[PROVIDER_KEY_HEADER] = key
                break
    return headers


# --------------------------------------------------------------------------- whole answers


async def _guarded(request: Request, work: _Work) -> Response:
    """A checked answer, as a whole."""
    engine, call, asked = work.guard.engine, work.call, work.asked
    job = await asyncio.to_thread(make_job, work.guard, call, asked)
    if call.stream and not holds_answers(job):
        return await _live(request, work, job)
    headers: Mapping[str, str] = {}

    async def acall(effect: CallModel) -> Called:
        nonlocal headers
        answer: Answer = await work.upstream.call(
            call.wire, attempt(call, effect.followup), work.headers, within=effect.timeout
        )
        headers = answer.headers
        return answer

    hands = engine.hands(job, asked.options, acall=acall, bound=True)
    guarded = await while_there(request.receive, engine.arun(job, hands, asked.options))
    response = refuse(call, dict(guarded.response), guarded.reports)
    response.pop("guardrails", None)  # only ours says what was checked
    if reasoning_of(job) is not Kind.ORDERED:
        response = copy.deepcopy(response)
        strip_whole(response, shape_of(response))
    told = body_of(guarded.reports, asked.report)
    headers = {**headers, **headers_of(guarded.reports)}
    if call.stream:
        return _replayed(call, response, told, headers)
    if told is not None:
        response["guardrails"] = told
    return json_response(response, headers)


async def _live(request: Request, work: _Work, job: Job) -> Response:
    """A stream that lets each sentence go once it was decided."""
    call, asked, upstream = work.call, work.asked, work.upstream
    shape, outlet = stages(call.wire, reasoning_of(job))
    headers: Mapping[str, str] = {}

    async def open_stream(effect: CallModel) -> AsyncIterator[JSON]:
        nonlocal headers
        events = await upstream.stream(call.wire, call.body, work.headers, within=effect.timeout)
        headers = events.headers
        return reading(events)

    stream = work.guard.engine.astream(
        job,
        asked.options,
        open_stream=open_stream,
        shape=shape,
        cost=lambda read: upstream.price(call.model, read.usage),
        verdicts=None if asked.report == "none" else beside,
        ending=lambda reports: body_of(reports, asked.report),
    )
    try:
        first = await while_there(request.receive, anext(stream, None))
    except BaseException:
        await stream.aclose()
        raise
    ours = {"x-groundrail-call": job.call_id, "x-groundrail-record": job.call_id}
    kept = {key: value for key, value in headers.items() if key not in _REPLACED}
    return Live(first, stream, outlet, call.wire, {**kept, **ours})


def _replayed(
    call: Call, response: JSON, told: JSON | None, headers: Mapping[str, str]
) -> Response:
    """A decided answer as a stream, the report on its last event."""
    events = events_of(response, cut=_whole, usage=wants_usage(call))
    if told is not None:
        events[-1] = {**events[-1], "guardrails": told}
    written = [encode(event, call.wire) for event in events]
    if call.wire == "chat":
        written.append(DONE)
    kept = {key: value for key, value in headers.items() if key not in _REPLACED}
    return Response(b"".join(written), 200, kept, "text/event-stream")


def _whole(text: str) -> list[str]:
    return [text] if text else []


def make_job(guard: Guard, call: Call, asked: Asked) -> Job:
    """The engine's job for a request. Blocks."""
    job = guard.engine.job(
        Entry.PROXY,
        asked.options,
        messages=conversation(call),
        model=call.model,
        params=params_of(call),
    )
    return _reading(job, asked)


def _reading(job: Job, asked: Asked) -> Job:
    """The job without what was found in the messages, where a rule says so."""
    if asked.read_messages or job.sources is not None:
        return job
    return replace(job, captured=(), notes=())


async def run_check(
    request: Request, guard: Guard, answer: object, messages: list[Any], asked: Asked
) -> Guarded[Any]:
    """Check an answer that is there already."""
    options, engine = asked.options, guard.engine
    job = await asyncio.to_thread(
        engine.job, Entry.CHECK, options, messages=messages, can_regenerate=False
    )
    job = _reading(job, asked)

    async def given(_: CallModel) -> Called:
        return Called(answer)

    hands = engine.hands(job, options, acall=given)
    return await while_there(request.receive, engine.arun(job, hands, options))


def json_response(
    body: JSON, headers: Mapping[str, str] | None = None, status: int = 200
) -> Response:
    """JSON with these headers beside it."""
    kept = {key: value for key, value in (headers or {}).items() if key not in _REPLACED}
    return Response(orjson.dumps(body), status, kept, "application/json")


def _for_the_caller(status: int, work: _Work) -> bool:
    """Whether an error is theirs to hear: that our own key was refused is not."""
    return status not in _KEY_REFUSED or PROVIDER_KEY_HEADER in work.headers


def _passed_on(error: UpstreamFailed, answer: ErrorAnswer) -> Response:
    """The provider's own error, as it wrote it."""
    headers = dict(answer.headers)
    if error.report is not None:
        headers |= headers_of((error.report,))
    return Response(answer.body, answer.status, headers)


# --------------------------------------------------------------------------- passing through


async def _relayed(request: Request, work: _Work) -> Response:
    """The provider's bytes, unchecked, as the configuration says."""
    relaying = work.upstream.relay(work.call.wire, work.call.body, work.headers)
    relayed = await while_there(request.receive, relaying, drop=_let_go)
    if not _for_the_caller(relayed.status, work):
        raise refused_by(relayed.status)
    return Relay(relayed)


async def _let_go(relayed: Relayed) -> None:
    await relayed.chunks.aclose()


class Relay(Response):
    """Bytes as they come, as long as somebody is there to read them."""

    def __init__(self, relayed: Relayed) -> None:
        self.status_code = relayed.status
        self.background = None
        self.body = b""
        self._chunks = relayed.chunks
        # Not init_headers: it would promise a body of the length that it sees.
        self.raw_headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in relayed.headers.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything."""
        del scope

        async def everything() -> None:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            async for chunk in self._chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        try:
            with suppress(ClientGone):
                await while_there(receive, everything())
        finally:
            await self._chunks.aclose()
