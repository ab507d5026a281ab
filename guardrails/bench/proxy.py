"""What the proxy costs: ``python -m guardrails.bench.proxy``.

On one scripted provider, in one run: straight to the provider, LiteLLM's proxy, our proxy without
verification, our proxy with verification over sources of a thousand words. Everything is a process
of its own on this machine. Repetitions are interleaved, and differences and ratios are taken within
one repetition, so that what else the machine does falls on all alike.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import random
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from guardrails.bench.figures import Cell, compared, summarised, table
from guardrails.bench.load import Sample, Target, Wrong, ask, connected, run
from guardrails.bench.processes import stage, straight
from guardrails.bench.provider import FAST, PACE_S, PACED
from guardrails.bench.texts import facts, first_sentence, plain_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

OURS: Final = "groundrail"
OURS_CHECKED: Final = "groundrail-checked"
LITELLM: Final = "LiteLLM"
_WARM_UP: Final = 10

QUESTION: Final = [{"role": "user", "content": "What did the teams do?"}]


def plain_body(model: str, *, stream: bool) -> dict[str, Any]:
    """A request whose answer is not checked."""
    return {"model": model, "messages": QUESTION, "stream": stream}


def checked_body(number: int, *, stream: bool) -> dict[str, Any]:
    """A request whose answer is checked against a thousand words of its own."""
    system = {"role": "system", "content": f"<context>{facts(number)[0]}</context>"}
    return {"model": PACED, "messages": [system, *QUESTION], "stream": stream, "user": str(number)}


class Bench:
    """One run."""

    def __init__(self, options: argparse.Namespace, provider: str) -> None:
        self.cells: list[Cell] = []
        self._options = options
        self._provider = provider
        # No number twice, in any run: no cache can answer.
        self._numbers: Iterator[int] = itertools.count(random.SystemRandom().randrange(10**9))

    async def warm_up(self, targets: Sequence[Target]) -> None:
        """A few requests to each, and one that is looked at: is it the answer?"""
        for target, stream in itertools.product(targets, (False, True)):
            make = partial(plain_body, FAST, stream=stream)
            done = await run(target, make, clients=1, requests=_WARM_UP)
            async with connected(1) as session:
                sample = await ask(session, target, make(), read=True)
            if done.errors or sample.text != plain_answer():
                raise RuntimeError(f"{target.name} does not give the provider's answer")

    async def throughput(self, number: int, targets: Sequence[Target]) -> None:
        """As many answers as can be had."""
        for clients, stream in itertools.product(self._options.clients, (False, True)):
            for target in shuffled(targets):
                done = await run(
                    target,
                    partial(plain_body, FAST, stream=stream),
                    clients=clients,
                    seconds=self._options.seconds,
                )
                self.cells.append(
                    _cell("plain", target, number, done, clients=clients, stream=stream)
                )

    async def paced(self, number: int, targets: Sequence[Target]) -> None:
        """A stream as a model writes it: what is added to its first and its last character."""
        for target in shuffled(targets):
            done = await run(
                target,
                partial(plain_body, PACED, stream=True),
                clients=1,
                requests=self._options.requests,
            )
            self.cells.append(_cell("paced", target, number, done, clients=1, stream=True))

    async def checked(self, number: int, targets: Sequence[Target]) -> None:
        """Answers to a thousand words of sources, and when their first sentence arrives."""
        for target, stream in itertools.product(shuffled(targets), (False, True)):
            samples: list[Sample] = []
            waits: list[float] = []
            errors = 0
            async with connected(1) as session:
                for _ in range(self._options.requests):
                    which = next(self._numbers)
                    wanted = first_sentence(facts(which)[1]) if stream else None
                    body = checked_body(which, stream=stream)
                    try:
                        sample = await ask(session, target, body, wanted=wanted)
                    except Wrong:
                        errors += 1
                        continue
                    samples.append(sample)
                    if stream and sample.sentence is None:
                        errors += 1
                    elif sample.sentence is not None:
                        async with session.get(f"{self._provider}/sent/{which}") as told:
                            waits.append(sample.sentence - await told.json())
            self.cells.append(
                Cell(
                    "1,000 words",
                    target.name,
                    1,
                    stream,
                    number,
                    tuple(sample.first for sample in samples),
                    tuple(sample.last for sample in samples),
                    tuple(waits),
                    rate=len(samples) / (sum(sample.last for sample in samples) or 1.0),
                    errors=errors,
                )
            )


def shuffled(targets: Sequence[Target]) -> list[Target]:
    """In another order each time: who comes later finds the machine warmer."""
    return random.sample(list(targets), len(targets))


def _cell(
    scenario: str, target: Target, number: int, done: Any, *, clients: int, stream: bool
) -> Cell:
    return Cell(
        scenario,
        target.name,
        clients,
        stream,
        number,
        tuple(sample.first for sample in done.samples),
        tuple(sample.last for sample in done.samples),
        rate=len(done.samples) / done.seconds,
        errors=sum(done.errors.values()),
    )


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The whole run."""
    with stage() as on:
        provider = await asyncio.to_thread(on.provider)
        base = straight(provider)
        plain = [base]
        if not options.without_litellm:
            plain.append((await asyncio.to_thread(on.litellm, provider))[1])
        plain.append((await asyncio.to_thread(_ours, on, provider, OURS, "none"))[1])
        checking = (await asyncio.to_thread(_ours, on, provider, OURS_CHECKED, "observe"))[1]
        bench = Bench(options, provider.url)
        await bench.warm_up(plain)
        for number in range(options.rounds):
            await bench.throughput(number, plain)
            await bench.paced(number, plain)
            await bench.checked(number, [base, checking])
    rows = summarised(bench.cells)
    return {
        "machine": machine(),
        "options": {key: value for key, value in vars(options).items() if key != "json"},
        "provider": {"pace_ms": 1000 * PACE_S, "answer_words": len(plain_answer().split())},
        "rows": rows,
        "against_litellm": compared(rows, OURS, LITELLM),
    }


def _ours(on: Any, provider: Any, name: str, policy: str) -> Any:
    return on.groundrail(provider, name, policy=policy)


def machine() -> dict[str, Any]:
    """What it was measured on and with."""
    return {
        "processors": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "groundrail": version("groundrail"),
        "litellm": version("litellm"),
    }


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m guardrails.bench.proxy",
        description="What the proxy costs, against straight to the provider and LiteLLM's proxy.",
    )
    parser.add_argument("--rounds", type=int, default=5, help="repetitions (5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each throughput cell (3)")
    parser.add_argument("--requests", type=int, default=10, help="of each latency cell (10)")
    parser.add_argument(
        "--clients",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[1, 16, 64],
        help="numbers of clients (1,16,64)",
    )
    parser.add_argument("--without-litellm", action="store_true", help="leave its proxy out")
    parser.add_argument("--json", type=Path, help="write everything to this file, too")
    parser.add_argument("--quick", action="store_true", help="does it run at all: no figures")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.requests, options.clients = 1, 0.3, 1, [1, 2]
    return options


def shown(result: Mapping[str, Any]) -> str:
    """The result for people."""
    lines = [table(result["rows"])]
    for row in result["against_litellm"]:
        ratio = row["requests_a_second_ratio"]
        added = row["added_last_ms"]
        lines.append(
            f"{row['scenario']}, {row['clients']} clients, "
            f"{'streamed' if row['stream'] else 'whole'}: "
            f"{ratio:.2f} times LiteLLM's answers a second; adds {added[OURS]:.1f} ms, "
            f"LiteLLM {added[LITELLM]:.1f} ms"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit status whether every request was answered."""
    options = parse(arguments)
    result = asyncio.run(measure(options))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2, default=str) + "\n", "utf-8")
    sys.stdout.write(shown(result) + "\n")
    return 1 if any(row["errors"] for row in result["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())
