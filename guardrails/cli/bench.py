"""``groundrail bench``: how well verifiers tell supported from unsupported, on labelled data."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verifiers.bench.items import Item
    from verifiers.bench.page import Plot
    from verifiers.bench.suite import Difference, Figures
    from verifiers.bench.systems import Result, System

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})

_EXAMPLES = """Examples:

  groundrail bench labelled.jsonl

  groundrail bench dev/*.jsonl.gz --limit 400 --threshold-from held_out.jsonl.gz --html bench.html

  groundrail bench mine.jsonl --column claim=response --column source=context --json
"""


class SystemChoice(StrEnum):
    """What can be measured."""

    OVERLAP = "overlap"
    MODEL = "model"
    VALUES = "model+values"
    PIPELINE = "pipeline"


@dataclass(frozen=True, slots=True)
class _Measured:
    rows: list[Figures]
    differences: list[Difference]
    thresholds: dict[str, float]


@app.command(epilog=_EXAMPLES)
def bench(  # noqa: PLR0917 - the options of a command
    files: Annotated[
        list[Path], typer.Argument(help="Labelled JSONL files, plain or .gz.", show_default=False)
    ],
    system: Annotated[
        list[SystemChoice], typer.Option(help="What to measure; repeat for several.")
    ] = [SystemChoice.OVERLAP, SystemChoice.MODEL, SystemChoice.PIPELINE],  # noqa: B006
    model: Annotated[
        list[str],
        typer.Option(help="NLI model: 'bundled', a folder, or a hub id; repeat to compare."),
    ] = ["bundled"],  # noqa: B006
    column: Annotated[
        list[str], typer.Option(help="OURS=YOURS where a file names its keys otherwise.")
    ] = [],  # noqa: B006
    limit: Annotated[
        int | None, typer.Option(help="At most this many items a file, drawn with --seed.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw and the bootstrap.")] = 0,
    threshold: Annotated[
        float, typer.Option(help="From which score an item reads as supported.", min=0, max=1)
    ] = 0.5,
    threshold_from: Annotated[
        Path | None,
        typer.Option(help="Choose each system's threshold on this labelled file instead."),
    ] = None,
    threshold_limit: Annotated[
        int, typer.Option(help="Items of that file to use, drawn with --seed.", min=10)
    ] = 2000,
    split: Annotated[
        bool, typer.Option(help="Report by the 'dataset' key instead of by file.")
    ] = False,
    cache: Annotated[
        Path, typer.Option(help="Folder of results; a stopped run goes on from it.")
    ] = Path(".groundrail-bench"),
    workers: Annotated[int, typer.Option(help="Items scored at once.", min=1)] = 4,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples.", min=10)] = 1000,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure verifiers on labelled data.

    Balanced accuracy at a threshold fixed beforehand and at the best one, AUROC, F1 of the
    unsupported class, calibration error and, where spans are labelled, span F1, each on every set,
    with bootstrap intervals and paired differences against the first system.

    A file has one JSON object a line with "source" (a text or a list of texts), "claim", "label"
    and optionally "question", "granularity" (claim or answer), "spans", "dataset" and "id".
    """
    from verifiers.bench.items import by_dataset, read_items, set_name

    columns = _columns(column)
    sets: dict[str, list[Item]] = {}
    for file in files:
        items = read_items(file, columns=columns, limit=limit, seed=seed)
        groups = by_dataset(items) if split else {set_name(file): items}
        for name, own in groups.items():
            sets.setdefault(name, []).extend(own)
    held_out = (
        read_items(threshold_from, limit=threshold_limit, seed=seed) if threshold_from else None
    )
    systems, facts, closers = _systems(system, model)
    try:
        measured, plots = _measure(
            systems, sets, held_out, threshold, cache, workers, resamples, wanted_plots=bool(html)
        )
    finally:
        for closer in closers:
            closer()
    from verifiers.bench.suite import means

    mean = dict(means(measured.rows))
    command = "groundrail " + shlex.join(sys.argv[1:])
    if html is not None:
        from verifiers.bench.page import render

        html.write_text(
            render(
                command=command,
                facts=facts,
                rows=measured.rows,
                means=mean,
                differences=measured.differences,
                plots=plots,
            ),
            encoding="utf-8",
        )
        typer.echo(f"wrote {html}", err=True)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "command": command,
                    "facts": facts,
                    "thresholds": measured.thresholds,
                    "means": {
                        k: {"balanced_accuracy": v[0], "auroc": v[1]} for k, v in mean.items()
                    },
                    "figures": [asdict(row) for row in measured.rows],
                    "differences": [asdict(row) for row in measured.differences],
                },
                indent=2,
            ).replace("NaN", "null")
        )
    else:
        _print(measured, mean)


def _columns(pairs: Sequence[str]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        ours, found, theirs = pair.partition("=")
        if not found or not ours or not theirs:
            raise typer.BadParameter(f"{pair!r} is not OURS=YOURS", param_hint="--column")
        columns[ours] = theirs
    return columns


def _systems(
    wanted: Sequence[SystemChoice], models: Sequence[str]
) -> tuple[list[System], dict[str, str], list[Callable[[], None]]]:
    from guardrails.cli.versions import own_version
    from verifiers.backends import ModelSpec, batch_tokens, load_scorer
    from verifiers.bench.systems import BareModel, Overlap, Pipeline
    from verifiers.cache import MemoryCache
    from verifiers.claims import make_extractor
    from verifiers.engine import NLIEngine
    from verifiers.pipeline import EvidenceSettings, Verifier

    own = own_version()
    facts = {"groundrail": own}
    systems: list[System] = []
    closers: list[Callable[[], None]] = []
    if SystemChoice.OVERLAP in wanted:
        systems.append(Overlap())
    evidence = EvidenceSettings()
    for name in models:
        if set(wanted) <= {SystemChoice.OVERLAP}:
            break
        spec = ModelSpec(model=name)

        engine = NLIEngine(
            partial(load_scorer, spec),
            cache=MemoryCache(),
            max_batch_tokens=batch_tokens(spec),
        )
        closers.append(engine.close)
        info = engine.info
        facts[f"model {name}"] = f"{info.name} {info.revision} ({info.backend}, {info.form})"
        suffix = f" [{Path(name).name}]" if len(models) > 1 else ""
        for choice in wanted:
            made: System
            match choice:
                case SystemChoice.OVERLAP:
                    continue
                case SystemChoice.MODEL | SystemChoice.VALUES:
                    made = BareModel(
                        engine, evidence, values=choice is SystemChoice.VALUES, version=own
                    )
                case SystemChoice.PIPELINE:
                    verifier = Verifier(
                        extractor=make_extractor(), engine=engine, evidence=evidence
                    )
                    closers.insert(0, verifier.close)
                    made = Pipeline(verifier, engine, evidence, version=own)
            made.name += suffix
            systems.append(made)
    return systems, facts, closers


def _measure(  # noqa: PLR0917 - everything the command said
    systems: Sequence[System],
    sets: dict[str, list[Item]],
    held_out: list[Item] | None,
    threshold: float,
    cache: Path,
    workers: int,
    resamples: int,
    *,
    wanted_plots: bool,
) -> tuple[_Measured, dict[str, list[Plot]]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from verifiers.bench.metrics import best_threshold
    from verifiers.bench.suite import arrays, difference, figures, run

    measured = _Measured([], [], {})
    plots: dict[str, list[Plot]] = {}
    results: dict[tuple[str, str], list[Result]] = {}
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:

        def scored(system: System, name: str, items: list[Item]) -> list[Result]:
            task = progress.add_task(f"{system.name}: {name}", total=None)
            found = run(
                system,
                items,
                folder=cache,
                workers=workers,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
            progress.remove_task(task)
            return found

        for system in systems:
            at = threshold
            if held_out is not None:
                at = best_threshold(*arrays(held_out, scored(system, "thresholds", held_out)))
            measured.thresholds[system.name] = at
            for name, items in sets.items():
                results[system.name, name] = scored(system, name, items)
    for name, items in sets.items():
        first = systems[0].name
        for system in systems:
            own = results[system.name, name]
            at = measured.thresholds[system.name]
            measured.rows.append(
                figures(system.name, name, items, own, threshold=at, resamples=resamples)
            )
            if system.name != first:
                measured.differences.append(
                    difference(
                        name,
                        items,
                        (system.name, own, at),
                        (first, results[first, name], measured.thresholds[first]),
                        resamples=resamples,
                    )
                )
        if wanted_plots:
            plots[name] = _plots(name, systems, items, results)
    return measured, plots


def _plots(
    name: str,
    systems: Sequence[System],
    items: list[Item],
    results: dict[tuple[str, str], list[Result]],
) -> list[Plot]:
    from verifiers.bench.page import draw, reliability_curve, trade_off_curve
    from verifiers.bench.suite import arrays

    pairs = [(system.name, arrays(items, results[system.name, name])) for system in systems]
    return [
        draw(
            "Reliability",
            [reliability_curve(label, *own) for label, own in pairs],
            x="predicted",
            y="observed share supported",
        ),
        draw(
            "Trade-off over all thresholds",
            [trade_off_curve(label, *own) for label, own in pairs],
            x="supported items flagged",
            y="unsupported items caught",
        ),
    ]


def _print(measured: _Measured, mean: dict[str, tuple[float, float]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, header_style="bold")
    for title in ("set", "system"):
        table.add_column(title)
    for title in (
        "items", "failed", "at", "bal. acc.", "95 %", "best", "AUROC", "F1 uns.", "ECE",
        "span F1", "pairs", "ms",
    ):  # fmt: skip
        table.add_column(title, justify="right")
    for row in measured.rows:
        accuracy = row.balanced_accuracy
        table.add_row(
            row.dataset,
            row.system,
            str(row.items),
            str(row.errors),
            f"{row.threshold:.3f}",
            f"{accuracy.value:.3f}",
            f"{accuracy.low:.3f}-{accuracy.high:.3f}",
            f"{row.best_balanced_accuracy:.3f}",
            f"{row.auroc.value:.3f}",
            f"{row.f1_unsupported.value:.3f}",
            f"{row.calibration_error:.3f}",
            "-" if row.span_f1 is None else f"{row.span_f1:.3f}",
            f"{row.pairs_per_item:.1f}",
            f"{row.milliseconds[0]:.0f}",
        )
    for name, (accuracy_mean, auroc_mean) in mean.items():
        table.add_row(
            "MEAN", name, "", "", "", f"{accuracy_mean:.3f}", "", "", f"{auroc_mean:.3f}",
            *[""] * 5, style="bold",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 160).print(table)
