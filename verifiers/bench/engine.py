"""What the engine costs: ``python -m verifiers.bench.engine``.

Two questions, answered as ratios within one run, because machines differ and are shared:

* **Throughput.** The pairs of many concurrent callers, against the same pairs known beforehand and
  scored as one big batch straight on the model, sorted and packed as well as can be. The engine
  may lose at most a tenth.
* **Turns.** A short answer that arrives behind long ones, against the same answer alone, and
  against a queue that serves requests whole in the order they came.

Every arm runs once in each repetition, one after the other, in an order that changes; the figures
are medians over repetitions. ``cpu_share`` is the same share in CPU seconds, which other programs
on the machine disturb less, and ``work_share`` in padded tokens, which they do not disturb at all.
Writes JSON to standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from verifiers.backends import BUNDLED, ModelSpec, batch_tokens, load_scorer
from verifiers.batching import plan_batches
from verifiers.engine import NLIEngine
from verifiers.types import Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from verifiers.protocols import PairScorer

_WORDS = (
    "the a of to in is was for on with as by at from it that company report year river city price"
    " museum product customer delivery water engine school letter market season film record study"
    " open sold moved built found paid grew fell closed wrote 12 30 1962 450 7 percent million"
    " north south old new large small first last early late public local annual main"
)


def make_pairs(count: int, *, shortest: int, longest: int, seed: int) -> list[Pair]:
    """Distinct pairs whose premises have between ``shortest`` and ``longest`` words."""
    chance = random.Random(seed)  # noqa: S311 - texts for timing
    words = _WORDS.split()

    def text(size: int) -> str:
        return " ".join(chance.choice(words) for _ in range(size))

    return [
        Pair(f"{seed} {index} {text(chance.randint(shortest, longest))}.", f"{text(12)}.")
        for index in range(count)
    ]


def score_at_once(scorer: PairScorer, pairs: Sequence[Pair], max_tokens: int) -> tuple[int, int]:
    """All pairs as one big batch: lengths known, sorted, packed; the best there is to reach.

    Returns:
        Batches run and padded tokens in them.
    """
    lengths = scorer.count_tokens(pairs)
    plan = plan_batches(lengths, max_tokens=max_tokens, max_items=64)
    for batch in plan:
        scorer.score([pairs[index] for index in batch])
    return len(plan), sum(len(batch) * max(lengths[i] for i in batch) for batch in plan)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _run(work: Callable[[list[Pair]], Coroutine[Any, Any, None]], pairs: list[Pair]) -> None:
    asyncio.run(work(pairs))


def throughput(
    scorer: PairScorer, *, callers: int, each: int, repeat: int, max_tokens: int
) -> dict[str, Any]:
    """Seconds of each arm and the share of the one big batch's throughput that callers get."""
    chance = random.Random(0)  # noqa: S311
    seconds: dict[str, list[float]] = {"at_once": [], "one_request": [], "callers": []}
    cpu: dict[str, list[float]] = {name: [] for name in seconds}
    batches = dict.fromkeys(seconds, 0)
    padded = dict.fromkeys(seconds, 0)
    with NLIEngine(lambda: scorer, max_batch_tokens=max_tokens) as engine:
        engine.load()

        def at_once(pairs: list[Pair]) -> None:
            count, tokens = score_at_once(scorer, pairs, max_tokens)
            if repetition:
                batches["at_once"] += count
                padded["at_once"] += tokens

        async def together(pairs: list[Pair]) -> None:
            await asyncio.gather(
                *(engine.ascore(pairs[i * each : (i + 1) * each]) for i in range(callers))
            )

        for repetition in range(repeat + 1):
            pairs = make_pairs(callers * each, shortest=15, longest=200, seed=repetition)
            arms: list[tuple[str, Callable[[], object]]] = [
                # In the owner thread's place: nothing else uses the scorer at this moment.
                ("at_once", partial(at_once, pairs)),
                ("one_request", partial(engine.score, pairs)),
                ("callers", partial(_run, together, pairs)),
            ]
            chance.shuffle(arms)
            for name, work in arms:
                before = engine.stats
                busy = time.process_time()
                took = _timed(work)
                if repetition:  # the first warms up
                    after = engine.stats
                    batches[name] += after.batches - before.batches
                    padded[name] += after.padded_tokens - before.padded_tokens
                    seconds[name].append(took)
                    cpu[name].append(time.process_time() - busy)
    shares = [a / c for a, c in zip(seconds["at_once"], seconds["callers"], strict=True)]
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "callers": callers,
        "pairs": callers * each,
        "median_seconds": {name: round(value, 4) for name, value in medians.items()},
        "cpu_share": round(_ratio(cpu["at_once"], cpu["callers"]), 4),
        "pairs_per_second": {n: round(callers * each / v, 1) for n, v in medians.items()},
        "throughput_share": round(statistics.median(shares), 4),
        "throughput_share_range": [round(min(shares), 4), round(max(shares), 4)],
        "batches": batches,
        "padded_tokens": padded,
        "work_share": round(padded["at_once"] / padded["callers"], 4),
    }


def turns(
    scorer: PairScorer, *, long_answers: int, each: int, repeat: int, max_tokens: int
) -> dict[str, Any]:
    """Seconds until a short answer of three pairs is scored: alone, among long ones, in a queue."""
    alone: list[float] = []
    among: list[float] = []
    whole: list[float] = []
    last: list[float] = []
    with NLIEngine(lambda: scorer, max_batch_tokens=max_tokens) as engine:
        engine.load()
        for repetition in range(repeat):
            seed = 1_000 * (repetition + 1)
            longs = [
                make_pairs(each, shortest=150, longest=220, seed=seed + i)
                for i in range(long_answers)
            ]
            short = make_pairs(3, shortest=20, longest=60, seed=seed + 500)
            alone.append(_timed(partial(engine.score, short)))
            start = time.perf_counter()
            futures = [engine.submit(pairs) for pairs in longs]
            engine.score(short)
            among.append(time.perf_counter() - start)
            for future in futures:
                future.result()
            last.append(time.perf_counter() - start)
            start = time.perf_counter()
            for pairs in [*longs, short]:
                score_at_once(scorer, pairs, max_tokens)
            whole.append(time.perf_counter() - start)
    return {
        "long_answers": long_answers,
        "pairs_each": each,
        "median_seconds": {
            "alone": round(statistics.median(alone), 4),
            "among": round(statistics.median(among), 4),
            "first_come": round(statistics.median(whole), 4),
            "everything": round(statistics.median(last), 4),
        },
        "among_to_alone": round(_ratio(among, alone), 2),
        "among_to_first_come": round(_ratio(among, whole), 4),
        "everything_to_first_come": round(_ratio(last, whole), 4),
    }


def _ratio(over: Sequence[float], under: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both and write JSON; exit code 1 when the throughput share is below 0.9."""
    parser = argparse.ArgumentParser(prog="python -m verifiers.bench.engine", description=__doc__)
    parser.add_argument("--model", default=BUNDLED)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--callers", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=3, help="pairs a caller")
    parser.add_argument("--long", type=int, default=12, help="long answers before the short one")
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--budget", type=int, default=None, help="tokens a batch")
    options = parser.parse_args(arguments)
    spec = ModelSpec(
        model=options.model,
        backend=options.backend,
        device=options.device,
        threads=options.threads,
    )
    budget = options.budget or batch_tokens(spec)
    started = time.perf_counter()
    scorer = load_scorer(spec)
    loading = time.perf_counter() - started
    shared = _Shared(scorer)
    result: dict[str, Any] = {
        "model": scorer.info.name,
        "revision": scorer.info.revision,
        "form": scorer.info.form,
        "budget_tokens": budget,
        "load_seconds": round(loading, 3),
        "throughput": throughput(
            shared,
            callers=options.callers,
            each=options.pairs,
            repeat=options.repeat,
            max_tokens=budget,
        ),
        "turns": turns(
            shared,
            long_answers=options.long,
            each=10,
            repeat=max(1, options.repeat // 3),
            max_tokens=budget,
        ),
    }
    scorer.close()
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")
    share: float = result["throughput"]["throughput_share"]
    return 0 if share >= 0.9 else 1  # noqa: PLR2004 - the promise


class _Shared:
    """The scorer without its ``close``: two engines and the direct arm use it in turns."""

    def __init__(self, scorer: PairScorer) -> None:
        self.info = scorer.info
        self.count_tokens = scorer.count_tokens
        self.count_text = scorer.count_text
        self.score = scorer.score

    def close(self) -> None:
        """Leave it open for the next engine."""


if __name__ == "__main__":
    sys.exit(main())
