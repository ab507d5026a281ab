"""A run of ``groundrail bench``: systems made, items scored, figures taken."""

from __future__ import annotations

import sys
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from guardrails.cli.bench_view import Ticker
from guardrails.cli.versions import own_version
from verifiers.backends import batch_tokens, load_scorer
from verifiers.bench.code import code_digest
from verifiers.bench.meter import PausedCache
from verifiers.bench.plots import draw, reliability_curve, trade_off_curve
from verifiers.bench.report import Report, figure
from verifiers.bench.running import run
from verifiers.bench.scores import FileScores
from verifiers.bench.suite import BELOW, arrays, choose_threshold
from verifiers.bench.systems import BareModel, Overlap, Pipeline
from verifiers.claims import make_extractor
from verifiers.engine import NLIEngine
from verifiers.errors import BenchDataInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from verifiers.backends import ModelSpec
    from verifiers.bench.items import Item
    from verifiers.bench.plots import Plot
    from verifiers.bench.specs import SystemSpec
    from verifiers.bench.suite import ThresholdRule
    from verifiers.bench.systems import Result, System

    Results = dict[tuple[str, str], list[Result]]


_SAY = {"equal": "each data set with an equal say", "pooled": "each item with an equal say"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line said, once it was understood.

    Attributes:
        systems: To measure, in order.
        models: Those they need, by name.
        thresholds: By system; replaced where thresholds are chosen on a file.
        groups: Sets to take means over, by name.
        baseline: The system others are compared with.
        rule: How thresholds are chosen.
        cache: Folder of results and scores.
        workers: Items scored at once.
        timed: Items a set scored alone.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        language: Of the texts.
    """

    systems: Sequence[SystemSpec]
    models: dict[str, ModelSpec]
    thresholds: dict[str, float]
    groups: dict[str, list[str]]
    baseline: str
    rule: ThresholdRule
    cache: Path
    workers: int
    timed: int
    resamples: int
    seed: int
    language: str


@dataclass(slots=True)
class _Bench:
    """What is measured, and how to keep the cache from helping while the clock runs."""

    alone: Callable[[], AbstractContextManager[object]] = nullcontext
    systems: list[System] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


def run_bench(
    asked: Asked,
    sets: dict[str, list[Item]],
    held_out: tuple[str, list[Item]] | None,
    command: str,
    *,
    plots: bool,
) -> tuple[Report, Plot]:
    """Measure.

    Args:
        asked: What.
        sets: On what, by name.
        held_out: Name and items of the file that thresholds are chosen on.
        command: As it is to be shown.
        plots: Whether to draw those of every set.

    Returns:
        The report, and the reliability diagram of the held-out items, or else of all sets.

    Raises:
        BenchDataInvalid: If a threshold cannot be chosen on the held-out items, because none of
            one label could be looked at.
    """
    from rich.console import Console

    every = {**({held_out[0]: held_out[1]} if held_out else {}), **sets}
    with ExitStack() as stack:
        made = _make(asked, stack)
        ticker = Ticker(Console(stderr=True), len(made.systems), every)
        results = _score(asked, made, every, stack.enter_context(ticker), held_out)
    thresholds = dict(asked.thresholds)
    if held_out is not None:
        name, items = held_out
        for one in made.systems:
            thresholds[one.name] = choose_threshold(items, results[one.name, name], rule=asked.rule)
        made.facts["thresholds"] = f"chosen on {len(items)} items of {name}, {_SAY[asked.rule]}"
    found = figure(
        every,
        results,
        thresholds,
        baseline=asked.baseline,
        named=asked.groups,
        held_out=held_out[0] if held_out else None,
        resamples=asked.resamples,
        seed=asked.seed,
    )
    report = Report(
        command=command,
        facts=made.facts,
        systems=tuple(thresholds),
        baseline=asked.baseline,
        thresholds=thresholds,
        held_out=found.held_out,
        rows=found.rows,
        means=found.means,
        differences=found.differences,
        plots={name: _plots(name, every, results, thresholds) for name in every} if plots else {},
    )
    shown = [held_out[0]] if held_out else list(sets)
    return report, _diagram(asked, every, shown, results)


def _make(asked: Asked, stack: ExitStack) -> _Bench:
    made = _Bench(facts={"groundrail": f"{own_version()}, code {code_digest()}"})
    engines: dict[str, NLIEngine] = {}
    cache: PausedCache | None = None
    if asked.models:
        cache = PausedCache(stack.enter_context(FileScores(asked.cache / "scores.sqlite")))
        made.alone = cache.paused
    for name, spec in asked.models.items():
        engines[name] = stack.enter_context(
            NLIEngine(
                partial(load_scorer, spec),
                cache=cache,
                max_batch_tokens=batch_tokens(spec),
                # Nobody waits here: a full queue would be a failure where patience is enough.
                max_queue_pairs=sys.maxsize,
            )
        )
        info = engines[name].info
        made.facts[f"model {name}"] = (
            f"{_named(info.name)}, {info.revision}, {info.backend} {info.form}, "
            f"calibration {info.calibration}"
        )
    extractor = make_extractor(asked.language)
    for one in asked.systems:
        system: System
        if one.kind == "overlap" or one.model is None:
            made.systems.append(Overlap(one.name))
            continue
        engine = engines[one.model]
        if one.kind == "pipeline":
            piped = Pipeline(
                extractor, engine, one.evidence, name=one.name, language=asked.language
            )
            stack.callback(piped.close)
            system = piped
        else:
            bare = BareModel(
                extractor, engine, one.evidence, values=one.kind == "model+values", name=one.name
            )
            stack.callback(bare.close)
            system = bare
        made.systems.append(system)
    return made


def _named(model: str) -> str:
    """A model as a reader elsewhere would call it: a folder here says nothing to others."""
    path = Path(model).expanduser()
    return path.name if path.exists() else model


def _score(
    asked: Asked,
    made: _Bench,
    sets: dict[str, list[Item]],
    ticker: Ticker,
    held_out: tuple[str, list[Item]] | None,
) -> Results:
    results: Results = {}
    for system in made.systems:
        ticker.system(system.name)
        for name, items in sets.items():
            results[system.name, name] = run(
                system,
                items,
                folder=asked.cache,
                workers=asked.workers,
                timed=asked.timed,
                alone=made.alone,
                progress=ticker.reading(name),
            )
            # Told before the other sets are read, which may take an hour.
            if held_out is not None and name == held_out[0]:
                _check_choice(system.name, name, items, results[system.name, name])
    return results


def _check_choice(system: str, name: str, items: Sequence[Item], results: Sequence[Result]) -> None:
    """A threshold lies between the scores of two labels; from those of one it means nothing."""
    seen = [item for item, r in zip(items, results, strict=True) if r.score is not None]
    if len({item.supported for item in seen}) > 1:
        return
    causes = [result.error for result in results if result.error is not None]
    why = max(sorted(set(causes)), key=causes.count, default="all have one label")
    what = f"{'' if seen[0].supported else 'un'}supported items alone" if seen else "no item"
    raise BenchDataInvalid(
        f"no threshold can be chosen on {name}: {system} could look at {what} of it ({why}).",
        hint="Choose it on another file with --threshold-from, or fix it with --threshold.",
    )


def _plots(
    name: str,
    sets: dict[str, list[Item]],
    results: Results,
    thresholds: dict[str, float],
) -> list[Plot]:
    own = {system: arrays(sets[name], results[system, name]) for system in thresholds}
    ranked = {
        system: arrays(sets[name], results[system, name], failed=BELOW) for system in thresholds
    }
    return [
        draw(
            f"Reliability: {name}",
            [reliability_curve(system, *one) for system, one in own.items()],
            x="score",
            y="share that is supported",
        ),
        draw(
            f"Trade-off: {name}",
            [trade_off_curve(system, *one, thresholds[system]) for system, one in ranked.items()],
            x="supported items flagged",
            y="unsupported items caught",
        ),
    ]


def _diagram(
    asked: Asked,
    sets: dict[str, list[Item]],
    shown: Sequence[str],
    results: Results,
) -> Plot:
    items = [item for name in shown for item in sets[name]]
    curves = [
        reliability_curve(
            one.name,
            *arrays(items, [result for name in shown for result in results[one.name, name]]),
        )
        for one in asked.systems
        if one.kind != "overlap" or len(asked.systems) == 1
    ]
    title = f"Reliability: {shown[0] if len(shown) == 1 else f'{len(shown)} sets'}"
    return draw(f"{title}, {len(items)} items", curves, x="score", y="share that is supported")
