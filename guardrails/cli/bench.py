"""``groundrail bench``: how well verifiers tell supported from unsupported, on labelled data."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardrails.cli.bench_args import (
    command_line,
    groups_of,
    labels_of,
    pairs_of,
    thresholds_of,
)
from guardrails.cli.shared import wants_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from verifiers.backends import ModelSpec
    from verifiers.bench.items import Item
    from verifiers.bench.report import Report
    from verifiers.bench.specs import SystemSpec

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})

_EXAMPLES = """Examples:

  groundrail bench labelled.jsonl

  groundrail bench dev/*.jsonl.gz --limit 400 --threshold-from held_out.jsonl.gz --html bench.html

  groundrail bench mine.jsonl --column claim=response --column source=context --label good=supported

  groundrail bench mine.jsonl --model bundled --model big=minicheck-roberta,device=cuda

  groundrail bench mine.jsonl --system pipeline --system wide=pipeline,window_tokens=256
"""


class Rule(StrEnum):
    """How a threshold is chosen on labelled items."""

    EQUAL = "equal"
    POOLED = "pooled"


class Grain(StrEnum):
    """What was labelled."""

    CLAIM = "claim"
    ANSWER = "answer"


@app.command(epilog=_EXAMPLES)
def bench(  # noqa: PLR0917 - the options of a command
    ctx: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(help="Labelled JSONL files, plain or .gz.", show_default=False)
    ],
    system: Annotated[
        list[str],
        typer.Option(
            metavar="SPEC",
            help="What to measure: overlap, model, model+values or pipeline; repeat for several. "
            "'pipeline@big' is with that model alone, else it is measured with each; "
            "'pipeline,k=5' reads evidence in another way; 'mine=pipeline' gives it a name.",
        ),
    ] = ["overlap", "model", "pipeline"],  # noqa: B006
    model: Annotated[
        list[str],
        typer.Option(
            metavar="SPEC",
            help="An NLI model: 'bundled', a folder, a preset, a hub id, or 'settings' for the one "
            "your settings name; repeat to compare. 'big=NAME' gives it a name; "
            "',device=cuda' behind it, or ',backend=...', ',url=...', ',threads=...' and others, "
            "say how it runs.",
        ),
    ] = ["bundled"],  # noqa: B006
    column: Annotated[
        list[str],
        typer.Option(metavar="OURS=YOURS", help="Where a file names its keys otherwise."),
    ] = [],  # noqa: B006
    label: Annotated[
        list[str],
        typer.Option(
            metavar="YOURS=OURS",
            help="What a label of your files means: YOURS=supported or YOURS=unsupported.",
        ),
    ] = [],  # noqa: B006
    granularity: Annotated[
        Grain, typer.Option(help="What lines hold that do not say: claims or whole answers.")
    ] = Grain.CLAIM,
    limit: Annotated[
        int | None, typer.Option(help="At most this many items a file, drawn with --seed.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw and the bootstrap.")] = 0,
    threshold: Annotated[
        list[str],
        typer.Option(
            metavar="[SYSTEM=]NUMBER",
            help="From which score an item reads as supported, for all systems or one.",
        ),
    ] = ["0.5"],  # noqa: B006
    threshold_from: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Choose each system's threshold on this labelled file instead."
        ),
    ] = None,
    threshold_limit: Annotated[
        int, typer.Option(help="Items of that file to use, drawn with --seed.", min=10)
    ] = 2000,
    threshold_rule: Annotated[
        Rule,
        typer.Option(
            help="Whether each 'dataset' in that file has an equal say, or each of its items."
        ),
    ] = Rule.EQUAL,
    group: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=SET,SET...",
            help="Also take means over these sets; repeat for several groups.",
        ),
    ] = [],  # noqa: B006
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="SYSTEM", help="What the others are compared with; by default the first."
        ),
    ] = None,
    split: Annotated[
        bool, typer.Option(help="Report by the 'dataset' key instead of by file.")
    ] = False,
    language: Annotated[str, typer.Option(help="Of the texts, for finding claims.")] = "en",
    cache: Annotated[
        Path, typer.Option(help="Folder of results and scores; a stopped run goes on from it.")
    ] = Path(".groundrail-bench"),
    workers: Annotated[
        int, typer.Option(help="Items scored at once, so that batches fill; more for a GPU.", min=1)
    ] = 48,
    timed: Annotated[
        int,
        typer.Option(
            help="Items a set that are scored alone, without the cache, for their latency.", min=0
        ),
    ] = 10,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples.", min=10)] = 1000,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a self-contained page here.")
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the tables here: a new file, or a page that has the place marked.",
        ),
    ] = None,
    diagram: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a reliability diagram (SVG) here, of the file thresholds come from, or "
            "else of all sets together. Word overlap is left out.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure verifiers on labelled data.

    Balanced accuracy at a threshold fixed beforehand and at the best one, AUROC, F1 of the
    unsupported class, calibration error and, where spans are labelled, span F1, each on every set,
    with bootstrap intervals, means over sets, and paired differences; and what it takes: pairs and
    tokens an item, and the latency of an item alone.

    A file has one JSON object a line with "source" (a text or a list of texts), "claim", "label"
    and optionally "question", "granularity" (claim or answer), "spans", "dataset" and "id".
    """
    wants_json(ctx, wanted=as_json)
    from guardrails.cli.bench_run import Asked, run_bench
    from verifiers.bench.items import read_items, set_name

    systems, models = _specs(system, model)
    names = [one.name for one in systems]
    if baseline is not None and baseline not in names:
        raise typer.BadParameter(
            f"no system is called {baseline!r}; there are {', '.join(names)}",
            param_hint="--baseline",
        )
    asked = Asked(
        systems=systems,
        models=models,
        thresholds=thresholds_of(threshold, names),
        groups=groups_of(group),
        baseline=baseline or names[0],
        rule=threshold_rule.value,
        cache=cache,
        workers=workers,
        timed=timed,
        resamples=resamples,
        seed=seed,
        language=language,
    )
    inputs = files if threshold_from is None else [*files, threshold_from]
    _check_outputs(inputs, html, markdown, diagram)
    columns, labels = pairs_of(column, "--column", "OURS=YOURS"), labels_of(label)
    met: set[str] = set()
    met_labels: set[str] = set()
    read = partial(
        read_items,
        columns=columns,
        met=met,
        labels=labels,
        met_labels=met_labels,
        granularity=granularity.value,
        seed=seed,
    )
    sets = _sets([(file, read(file, limit=limit)) for file in files], split=split)
    unknown = [one for own in asked.groups.values() for one in own if one not in sets]
    if unknown:
        raise typer.BadParameter(
            f"there is no set {unknown[0]!r}; there are {', '.join(sets)}", param_hint="--group"
        )
    held_out = None
    if threshold_from is not None:
        name = set_name(threshold_from)
        same = threshold_from.resolve() in {file.resolve() for file in files}
        if same or name in sets:
            raise typer.BadParameter(
                f"{name} is measured, too; thresholds come from items set apart",
                param_hint="--threshold-from",
            )
        held_out = (name, read(threshold_from, limit=threshold_limit))
        if len({item.supported for item in held_out[1]}) == 1:
            raise typer.BadParameter(
                f"{name} has one label only; a threshold is chosen between two",
                param_hint="--threshold-from",
            )
    _check_met(columns, met, labels, met_labels)
    _check_writable(cache, html, markdown, diagram)
    report, drawn = run_bench(
        asked, sets, held_out, command_line(sys.argv[1:]), plots=html is not None
    )
    _write(report, html, markdown)
    if diagram is not None:
        diagram.write_text(drawn.file, encoding="utf-8")
        typer.echo(f"wrote {diagram}", err=True)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2, allow_nan=False))
    else:
        from guardrails.cli.bench_view import show

        show(report, _console())


def _specs(
    systems: Sequence[str], models: Sequence[str]
) -> tuple[list[SystemSpec], dict[str, ModelSpec]]:
    """The systems to measure, and the models they need."""
    from guardrails.build import model_spec
    from guardrails.settings import load_settings
    from verifiers.bench.specs import parse_models, parse_systems

    try:
        known = parse_models(models, configured=model_spec(load_settings()))
        found = parse_systems(systems, known)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return found, {one.model: known[one.model] for one in found if one.model is not None}


def _check_met(
    columns: Mapping[str, str], met: set[str], labels: Iterable[str], met_labels: set[str]
) -> None:
    """A name that no line of any file has is a slip, and would otherwise be silently nothing."""
    from verifiers.bench.items import label_key

    for ours, theirs in columns.items():
        if ours not in met:
            raise typer.BadParameter(f"no line has {theirs!r} for {ours}", param_hint="--column")
    for theirs in labels:
        if label_key(theirs) not in met_labels:
            raise typer.BadParameter(f"no line has the label {theirs!r}", param_hint="--label")


def _check_outputs(
    inputs: Sequence[Path], html: Path | None, markdown: Path | None, diagram: Path | None
) -> None:
    """Nobody should wait an hour to hear that a folder is not there, or lose a labelled file."""
    from verifiers.bench.markdown import place

    taken = list(inputs)
    for out in (html, markdown, diagram):
        if out is None:
            continue
        if not out.absolute().parent.is_dir():
            raise typer.BadParameter(f"there is no folder {out.parent} for {out.name}")
        if any(_same(out, other) for other in taken):
            raise typer.BadParameter(
                f"{out} is read, or written, by this command already; name another file for it"
            )
        taken.append(out)
    if markdown is not None:
        place(markdown)


def _same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, whether or not it is there yet."""
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def _check_writable(cache: Path, *outs: Path | None) -> None:
    """Tried rather than asked: what permissions say is not all that can stand in the way."""
    from tempfile import TemporaryFile

    try:
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=cache):
            pass
        for out in outs:
            if out is not None and out.exists():
                with out.open("ab"):
                    pass
            elif out is not None:
                with TemporaryFile(dir=out.absolute().parent):
                    pass
    except OSError as error:
        raise typer.BadParameter(f"cannot be written: {error}") from error


def _sets(files: Sequence[tuple[Path, list[Item]]], *, split: bool) -> dict[str, list[Item]]:
    from verifiers.bench.items import by_dataset, set_name

    if split:
        return by_dataset([item for _, own in files for item in own])
    sets: dict[str, list[Item]] = {}
    for file, items in files:
        name = set_name(file)
        if name in sets:
            raise typer.BadParameter(f"two files are called {name}; their sets would be mixed up")
        sets[name] = items
    return sets


def _console() -> Console:
    from rich.console import Console

    # Into a file or a pipe: as wide as the table, whatever the terminal behind it.
    return Console(width=None if sys.stdout.isatty() else 100)


def _write(report: Report, html: Path | None, markdown: Path | None) -> None:
    if html is not None:
        from verifiers.bench.page import render

        html.write_text(render(report), encoding="utf-8")
        typer.echo(f"wrote {html}", err=True)
    if markdown is not None:
        from verifiers.bench.markdown import write

        write(report, markdown)
        typer.echo(f"wrote {markdown}", err=True)
