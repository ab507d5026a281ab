"""A fast scripted provider, as a process: ``python -m guardrails.bench.provider``.

It writes one line, the address it listens on. Models: ``bench-fast`` gives its pieces as fast as
they can be written, ``bench-paced`` one every few milliseconds. Its answer depends on ``user`` in
the request: none for the plain one, a number for the answer to the source of that number. For
those it keeps when the last character of the first sentence was written, and tells it at
``/sent/NUMBER``: seconds of the machine's monotonic clock, which all its processes share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import OrderedDict
from typing import Any, Final

from aiohttp import web

from guardrails.bench.texts import facts, first_sentence, pieces, plain_answer

FAST: Final = "bench-fast"
PACED: Final = "bench-paced"
PACE_S: Final = 0.005
_KEPT: Final = 10_000
_USAGE: Final = {"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200}


class Provider:
    """The handlers, and when first sentences went out."""

    def __init__(self) -> None:
        self._sent: OrderedDict[str, float] = OrderedDict()
        self._plain = plain_answer()
        self._plain_events = _events(self._plain)
        self._plain_body = _body(self._plain)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Chat completions."""
        asked = await request.json()
        user = asked.get("user")
        answer = self._plain if user is None else facts(int(user))[1]
        if not asked.get("stream"):
            body = self._plain_body if user is None else _body(answer)
            if user is not None:  # a proxy may ask for the whole and stream it itself
                self._note(str(user))
            return web.Response(body=body, content_type="application/json")
        events = self._plain_events if user is None else _events(answer)
        pace = PACE_S if asked.get("model") == PACED else 0.0
        return await self._stream(request, events, pace, user, answer)

    async def _stream(
        self, request: web.Request, events: list[bytes], pace: float, user: object, answer: str
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        last = -1 if user is None else len(pieces(first_sentence(answer)))
        for number, event in enumerate(events):
            if number == last:  # before it is written: never to our own advantage
                self._note(str(user))
            await response.write(event)
            if pace and number:
                await asyncio.sleep(pace)
        await response.write_eof()
        return response

    def _note(self, user: str) -> None:
        self._sent[user] = time.monotonic()
        if len(self._sent) > _KEPT:
            self._sent.popitem(last=False)

    async def sent(self, request: web.Request) -> web.Response:
        """When the first sentence of an answer had been written."""
        return web.json_response(self._sent.get(request.match_info["user"]))


def _events(answer: str) -> list[bytes]:
    """The events of an answer: the role, a word each, the reason, the usage, the end."""
    base = {"id": "bench", "object": "chat.completion.chunk", "created": 1, "model": "bench"}

    def event(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return _sse({**base, "choices": [choice]})

    return [
        event({"role": "assistant", "content": ""}),
        *(event({"content": piece}) for piece in pieces(answer)),
        event({}, "stop") + _sse({**base, "choices": [], "usage": _USAGE}) + b"data: [DONE]\n\n",
    ]


def _sse(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _body(answer: str) -> bytes:
    message = {"role": "assistant", "content": answer}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    whole = {
        "id": "bench",
        "object": "chat.completion",
        "created": 1,
        "model": "bench",
        "choices": [choice],
        "usage": _USAGE,
    }
    return json.dumps(whole).encode()


async def _serve() -> None:
    provider = Provider()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", provider.chat)
    app.router.add_get("/sent/{user}", provider.sent)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    port = runner.addresses[0][1]
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is ended."""
    argparse.ArgumentParser(prog="python -m guardrails.bench.provider").parse_args()
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
