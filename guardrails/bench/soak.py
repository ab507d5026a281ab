"""Does anything grow? ``python -m guardrails.bench.soak``.

Our proxy under mixed load for ten minutes: checked and unchecked, whole and streamed, clients that
go away in the middle, requests that make no sense. Memory, threads, tasks and open files of its
process are watched. It fails when they grow, when they do not go back once the load is over, or
when a request ends in another way than it should.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import re
import statistics
import sys
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from guardrails.bench.load import Sample, Target, Wrong, ask, connected
from guardrails.bench.processes import stage
from guardrails.bench.provider import FAST, PACED
from guardrails.bench.proxy import QUESTION, machine, plain_body
from guardrails.bench.texts import facts

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

    Kind = Callable[[aiohttp.ClientSession], Coroutine[Any, Any, Any]]

_SOURCE_WORDS: Final = 100
_SAMPLE_S: Final = 1.0
_SETTLE_S: Final = 90.0
_RSS_GROWTH: Final = 0.03
_RSS_SLACK_KIB: Final = 6 * 1024
_SLACK: Final = 3
_TASKS: Final = re.compile(r"^groundrail_tasks (\S+)$", re.MULTILINE)
_BUSY: Final = "HTTP 429"
_WAIT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """The process at one moment.

    Attributes:
        at: Seconds since the load began.
        rss_kib: Memory that is resident.
        threads: Of the process.
        files: Open descriptors, sockets included. The store's are not among them: its pool opens
            up to five connections as they are needed and keeps them.
        tasks: Of its event loop.
    """

    at: float
    rss_kib: int
    threads: int
    files: int
    tasks: int


def look(pid: int, url: str, began: float) -> Seen:
    """Look at a process. Blocks."""
    folder = Path("/proc") / str(pid)
    status = dict(
        line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line
    )
    files = sum(".db" not in target for target in _opened(folder / "fd"))
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:  # noqa: S310 - ours
        tasks = _TASKS.search(answer.read().decode())
    return Seen(
        time.monotonic() - began,
        int(status["VmRSS"].split()[0]),
        int(status["Threads"]),
        files,
        int(float(tasks.group(1))) if tasks else 0,
    )


def _opened(folder: Path) -> Iterator[str]:
    """What each descriptor is; those closed meanwhile are passed over."""
    for descriptor in folder.iterdir():
        with suppress(FileNotFoundError):
            yield str(descriptor.readlink())


def growth(seen: Sequence[Seen]) -> dict[str, dict[str, float]]:
    """Medians of the second and the last third: the first is for caches and pools to fill."""
    third = len(seen) // 3
    middle, last = seen[third : 2 * third], seen[2 * third :]
    return {
        name: {
            "middle": statistics.median(getattr(one, name) for one in middle),
            "last": statistics.median(getattr(one, name) for one in last),
        }
        for name in ("rss_kib", "threads", "files", "tasks")
    }


def grown(grew: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What grew more than it may."""
    found = []
    for name, medians in grew.items():
        allowed = medians["middle"] + _SLACK
        if name == "rss_kib":
            allowed = medians["middle"] * (1 + _RSS_GROWTH) + _RSS_SLACK_KIB
        elif name in {"files", "tasks"}:
            # Under load they go up and down with what is at work.
            allowed = medians["middle"] * 1.25 + _SLACK
        if medians["last"] > allowed:
            found.append(f"{name} grew from {medians['middle']:.0f} to {medians['last']:.0f}")
    return found


class Soak:
    """One run."""

    def __init__(self, target: Target, url: str) -> None:
        self.done: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self._target = target
        self._base = url
        self._numbers = itertools.count(random.SystemRandom().randrange(10**9))
        self._chance = random.Random(1)  # noqa: S311 - which request comes next
        self._kinds: list[tuple[Kind, float]] = [
            (self._checked_stream, 0.35),
            (self._checked_whole, 0.2),
            (self._plain_stream, 0.15),
            (self._plain_whole, 0.15),
            (self._goes_away, 0.1),
            (self._nonsense, 0.05),
        ]

    async def each_once(self) -> None:
        """One request of each kind, so that what is made on first use is there."""
        async with connected(2) as session:
            for kind, _ in self._kinds:
                await self._count(kind, session)

    async def client(self, until: float) -> None:
        """Ask again and again."""
        functions, weights = zip(*self._kinds, strict=True)
        async with connected(2) as session:
            while time.monotonic() < until:
                await self._count(self._chance.choices(functions, weights)[0], session)

    async def _count(self, kind: Kind, session: aiohttp.ClientSession) -> None:
        name = kind.__name__.strip("_")
        try:
            await kind(session)
        except Wrong as error:
            if str(error) != _BUSY:
                self.errors[f"{name}: {error}"] += 1
                return
            self.done["told to wait"] += 1  # overload is told, and is no fault
            await asyncio.sleep(_WAIT_S)
        except (aiohttp.ClientError, TimeoutError) as error:
            self.errors[f"{name}: {type(error).__name__}"] += 1
        else:
            self.done[name] += 1

    def _body(self, model: str, *, stream: bool) -> dict[str, Any]:
        number = next(self._numbers)
        source = facts(number, words=_SOURCE_WORDS)[0]
        system = {"role": "system", "content": f"<context>{source}</context>"}
        return {
            "model": model,
            "messages": [system, *QUESTION],
            "stream": stream,
            "user": str(number),
        }

    async def _checked_stream(self, session: aiohttp.ClientSession) -> Sample:
        return await ask(session, self._target, self._body(PACED, stream=True))

    async def _checked_whole(self, session: aiohttp.ClientSession) -> Sample:
        return await ask(session, self._target, self._body(PACED, stream=False))

    async def _plain_stream(self, session: aiohttp.ClientSession) -> Sample:
        return await ask(session, self._target, plain_body(FAST, stream=True))

    async def _plain_whole(self, session: aiohttp.ClientSession) -> Sample:
        return await ask(session, self._target, plain_body(FAST, stream=False))

    async def _goes_away(self, session: aiohttp.ClientSession) -> None:
        """A reader who leaves in the middle of a stream."""
        body = self._body(PACED, stream=True)
        headers = dict(self._target.headers)
        async with session.post(self._target.url, json=body, headers=headers) as response:
            await response.content.readany()
            response.close()

    async def _nonsense(self, session: aiohttp.ClientSession) -> None:
        """Not JSON, no model, no such route: each is refused, and nothing breaks."""
        headers = {"content-type": "application/json", **self._target.headers}
        for url, data, wanted in (
            (self._target.url, b"{", 400),
            (self._target.url, b"{}", 400),
            (f"{self._base}/nowhere", b"{}", 404),
        ):
            async with session.post(url, data=data, headers=headers) as response:
                await response.read()
                if response.status != wanted:
                    raise Wrong(f"HTTP {response.status} instead of {wanted}")


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The whole run."""
    with stage() as on:
        provider = await asyncio.to_thread(on.provider)
        child, target = await asyncio.to_thread(
            lambda: on.groundrail(
                provider,
                "groundrail",
                policy="observe",
                unchecked=FAST,
                # A full cache is no leak; a small one is full soon.
                model={"cache_pairs": 1000},
            )
        )
        soak = Soak(target, child.url)
        await soak.each_once()
        idle = await asyncio.to_thread(look, child.pid, child.url, time.monotonic())
        began = time.monotonic()
        until = began + options.seconds
        clients = [asyncio.create_task(soak.client(until)) for _ in range(options.clients)]
        seen: list[Seen] = []
        while time.monotonic() < until:
            await asyncio.sleep(_SAMPLE_S)
            seen.append(await asyncio.to_thread(look, child.pid, child.url, began))
        await asyncio.gather(*clients)
        after, back = await _settled(child.pid, child.url, began, idle)
        status = await asyncio.to_thread(child.stop)
    grew = growth(seen)
    faults = [*grown(grew), *back, *(f"{what} ({n} times)" for what, n in soak.errors.items())]
    if status not in {0, -15}:
        faults.append(f"it ended with status {status}")
    return {
        "machine": machine(),
        "seconds": options.seconds,
        "clients": options.clients,
        "answered": dict(soak.done),
        "errors": dict(soak.errors),
        "growth": grew,
        "idle": asdict(idle),
        "after": asdict(after),
        "seen": [asdict(one) for one in seen],
        "faults": faults,
    }


async def _settled(pid: int, url: str, began: float, idle: Seen) -> tuple[Seen, list[str]]:
    """The process once the load is over, and what has not gone back to what it was before."""
    deadline = time.monotonic() + _SETTLE_S
    while True:
        after = await asyncio.to_thread(look, pid, url, began)
        left = [
            f"{name}: {getattr(idle, name)} before the load, {getattr(after, name)} after it"
            for name in ("files", "tasks")
            if getattr(after, name) > getattr(idle, name) + _SLACK
        ]
        if not left or time.monotonic() > deadline:
            return after, left
        await asyncio.sleep(_SAMPLE_S)


def shown(result: Mapping[str, Any]) -> str:
    """The result for people."""
    lines = [f"{result['seconds']:g} s, {result['clients']} clients", ""]
    lines += [f"{number:8} {name}" for name, number in sorted(result["answered"].items())]
    lines += ["", "| | idle | middle third | last third | after |", "| --- " + "| ---: " * 4 + "|"]
    for name, medians in result["growth"].items():
        lines.append(
            f"| {name} | {result['idle'][name]} | {medians['middle']:.0f} "
            f"| {medians['last']:.0f} | {result['after'][name]} |"
        )
    lines += ["", *(f"FAULT: {fault}" for fault in result["faults"])]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print; the exit status is 1 when anything grew or went wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m guardrails.bench.soak",
        description="Whether anything in the proxy grows under load.",
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="of load (600)")
    parser.add_argument("--clients", type=int, default=32, help="at once (32)")
    parser.add_argument("--json", type=Path, help="write everything to this file, too")
    options = parser.parse_args(arguments)
    result = asyncio.run(measure(options))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    sys.stdout.write(shown(result))
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
