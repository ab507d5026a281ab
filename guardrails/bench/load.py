"""Closed-loop load on one target: so many clients, each asking again when it was answered."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CONTENT: Final = re.compile(rb'"content":\s*"[^"]')
_DONE: Final = b"data: [DONE]"
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Target:
    """Where to ask.

    Attributes:
        name: What the table calls it.
        url: Of chat completions.
        headers: Sent with every request.
    """

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """One answered request; seconds from when it was sent.

    Attributes:
        first: To the first character of the answer.
        last: To the end of the answer.
        text: The answer, where it was read.
        sentence: When the wanted text was complete, on the monotonic clock, or None.
    """

    first: float
    last: float
    text: str | None = None
    sentence: float | None = None


@dataclass(slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        samples: One an answered request.
        errors: How often it failed, by what happened.
        seconds: How long the run was.
    """

    samples: list[Sample] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def failed(self, what: str) -> None:
        """Count an error."""
        self.errors[what] = self.errors.get(what, 0) + 1


class Wrong(Exception):
    """An answer that is none."""


def connected(clients: int) -> aiohttp.ClientSession:
    """A session with a connection a client, kept open."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=max(clients, 1), keepalive_timeout=60),
        timeout=aiohttp.ClientTimeout(total=120),
    )


async def run(
    target: Target,
    make: Callable[[], Mapping[str, Any]],
    *,
    clients: int,
    seconds: float | None = None,
    requests: int | None = None,
) -> Outcome:
    """Ask for so long, or so often, with so many clients at once.

    Args:
        target: Where.
        make: The next request's body; its encoding is not measured.
        clients: How many at once.
        seconds: No request is begun after so many seconds.
        requests: No more than so many.
    """
    outcome = Outcome()
    left = requests if requests is not None else -1

    async def client(session: aiohttp.ClientSession, until: float) -> None:
        nonlocal left
        while time.monotonic() < until and left:
            left -= 1
            body = make()
            try:
                outcome.samples.append(await ask(session, target, body))
            except Wrong as error:
                outcome.failed(str(error))
            except (aiohttp.ClientError, TimeoutError) as error:
                outcome.failed(type(error).__name__)

    async with connected(clients) as session:
        began = time.monotonic()
        until = began + (seconds if seconds is not None else 3600.0)
        await asyncio.gather(*(client(session, until) for _ in range(clients)))
        outcome.seconds = time.monotonic() - began
    return outcome


async def ask(
    session: aiohttp.ClientSession,
    target: Target,
    body: Mapping[str, Any],
    *,
    read: bool = False,
    wanted: str | None = None,
) -> Sample:
    """One request.

    Args:
        session: Of :func:`connected`.
        target: Where.
        body: The request.
        read: Whether to read the answer's text.
        wanted: Note when the answer's text has grown to this one, in a stream.

    Raises:
        Wrong: If the answer is an error or ends too early; says which.
    """
    data = json.dumps(body).encode()
    headers = {"content-type": "application/json", **target.headers}
    began = time.monotonic()
    async with session.post(target.url, data=data, headers=headers) as response:
        if response.status != _OK:
            await response.read()
            raise Wrong(f"HTTP {response.status}")
        if not body.get("stream"):
            whole = await response.read()
            took = time.monotonic() - began
            if not _CONTENT.search(whole):
                raise Wrong("no answer in it")
            return Sample(took, took, _whole_text(whole) if read else None)
        return await _stream(response, began, read=read, wanted=wanted)


async def _stream(
    response: aiohttp.ClientResponse, began: float, *, read: bool, wanted: str | None
) -> Sample:
    first: float | None = None
    sentence: float | None = None
    text = ""
    tail = b""
    ended = False
    async for chunk in response.content.iter_any():
        now = time.monotonic()
        tail += chunk
        if first is None and _CONTENT.search(tail):
            first = now - began
        *lines, tail = tail.split(b"\n")
        for line in lines:
            ended = ended or line.startswith(_DONE)
            if read or (wanted is not None and sentence is None):
                text += _delta(line)
        if wanted is not None and sentence is None and wanted in text:
            sentence = now
    took = time.monotonic() - began
    if first is None:
        raise Wrong("a stream without an answer")
    if not ended:
        raise Wrong("a stream without its end")
    return Sample(first, took, text if read else None, sentence)


def _delta(line: bytes) -> str:
    if not line.startswith(b"data: {"):
        return ""
    choices = json.loads(line[6:]).get("choices") or [{}]
    return (choices[0].get("delta") or {}).get("content") or ""


def _whole_text(body: bytes) -> str:
    text: str = json.loads(body)["choices"][0]["message"]["content"]
    return text
