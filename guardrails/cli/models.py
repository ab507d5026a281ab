"""``groundrail models``: the public models there are presets for; fetch them, check their files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardrails.cli.shared import AsJson, wants_json

if TYPE_CHECKING:
    from verifiers.backends.presets import Preset

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help=(
        "List the public models there are presets for, fetch them, and check that their files are "
        "whole."
    ),
    epilog=(
        "Start with:  groundrail models list     then:  groundrail models fetch hhem-2.1-open     "
        "Exit codes: 0 done, 1 verify found damage, 2 bad input, 3 the hub or the disk failed."
    ),
)

_DAMAGED = 1

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `list` shows it.")]
Folder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where models are kept; by default model.folder of the settings.",
    ),
]


@app.command("list")
def list_(ctx: typer.Context, *, folder: Folder = None, as_json: AsJson = False) -> None:
    """List the presets with licence, size and what they tell, and which are installed.

    Reads no network and loads no model. "2-way" models know what is supported and what is not, and
    never call anything contradicted; "words" ones mark the unsupported words, too.

    Try:

        groundrail models list
        groundrail check --model minicheck-roberta --text 'It costs 60 euros.' --source a.md
    """
    wants_json(ctx, wanted=as_json)
    from verifiers.backends.presets import PRESETS

    base = _folder(folder)
    rows = [_row(preset, base) for preset in PRESETS.values()]
    if as_json:
        _json(rows)
        return
    for row in rows:
        state = row["installed"]
        there = f"installed {state['revision'][:12]}" if state else "not installed"
        typer.echo(
            f"{row['name']:<24} {row['tells']:<6} {row['megabytes']:>5} MB  {row['licence']:<10}"
            f"  {there}"
        )
        typer.echo(f"    {row['about']}; {row['languages']}")
        if row["note"]:
            typer.echo(f"    {row['note']}")


@app.command()
def fetch(
    ctx: typer.Context,
    name: Name,
    *,
    revision: Annotated[
        str | None, typer.Option(help="Another commit, tag or branch than the preset pins.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Get the files again even when they are there.")
    ] = False,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Another hub, such as a mirror.")
    ] = None,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Download a preset from the Hugging Face hub, check every digest, and note what was got.

    Only weights, config and tokenizer are taken; code of the model's authors is never fetched and
    never run. What is there already and whole is not fetched again. Once a preset is there, it is
    used without any network. To bring one to a machine without a network, fetch it elsewhere and
    copy its folder.

    Try:

        groundrail models fetch minicheck-roberta
        groundrail models fetch minicheck-roberta --folder /srv/models
    """
    wants_json(ctx, wanted=as_json)
    preset = _preset(name)
    base = _folder(folder)
    from verifiers.backends.hub import fetch as get
    from verifiers.backends.installed import preset_folder

    quiet = as_json or not sys.stderr.isatty()
    manifest, downloaded = get(
        preset,
        base,
        revision=revision,
        endpoint=endpoint,
        force=force,
        quiet=quiet,
        say=lambda what: typer.echo(what, err=True),
    )
    place = preset_folder(preset, base)
    if as_json:
        _json(
            {
                "name": preset.name,
                "repo": manifest.repo,
                "revision": manifest.revision,
                "pinned": manifest.pinned,
                "digest": manifest.digest,
                "bytes": manifest.bytes,
                "folder": str(place),
                "downloaded": downloaded,
            }
        )
        return
    typer.echo(
        f"{'fetched' if downloaded else 'already there and whole:'} {preset.name}"
        f" {manifest.revision}\n  {manifest.digest}\n  {place}"
    )
    if not manifest.pinned:
        typer.echo(
            f"  No commit was pinned. To keep this one, set model.revision to {manifest.revision}."
        )
    typer.echo(f"Use it with:  model: {{model: {preset.name}}}  in groundrail.yaml")


@app.command()
def verify(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="As `list` shows it; all that are installed if left."
        ),
    ] = None,
    *,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Compare the files of installed presets with the digests noted when they were fetched.

    The same is done at every load: a model with a damaged or changed file is never used. Exit code
    1 when something differs or the named preset is not installed.

    Try:

        groundrail models verify
        groundrail models verify minicheck-roberta --json
    """
    wants_json(ctx, wanted=as_json)
    from verifiers.backends.installed import faults, read_manifest
    from verifiers.backends.presets import PRESETS
    from verifiers.errors import ModelUnavailable

    base = _folder(folder)
    asked = [_preset(name)] if name is not None else list(PRESETS.values())
    rows: list[dict[str, Any]] = []
    for preset in asked:
        try:
            manifest = read_manifest(preset, base)
        except ModelUnavailable as exc:
            rows.append({"name": preset.name, "revision": None, "faults": [exc.message]})
            continue
        if manifest is None:
            if name is not None:
                rows.append({"name": preset.name, "revision": None, "faults": ["not installed"]})
            continue
        said = faults(preset, manifest, base)
        rows.append({"name": preset.name, "revision": manifest.revision, "faults": said})
    if as_json:
        _json(rows)
    else:
        for row in rows:
            typer.echo(f"{row['name']:<24} {'; '.join(row['faults']) or 'whole'}")
        if not rows:
            typer.echo("No preset is installed.")
    if any(row["faults"] for row in rows):
        raise typer.Exit(_DAMAGED)


def _preset(name: str) -> Preset:
    from verifiers.backends.presets import PRESETS

    if name not in PRESETS:
        raise typer.BadParameter(
            f"there is no preset {name[:60]!r}; there are: {', '.join(PRESETS)}", param_hint="NAME"
        )
    return PRESETS[name]


def _folder(given: Path | None) -> Path:
    from guardrails.settings import load_settings
    from verifiers.backends.installed import default_folder

    if given is not None:
        return given
    configured = load_settings().model.folder
    return Path(configured) if configured else default_folder()


def _row(preset: Preset, folder: Path) -> dict[str, Any]:
    from guardrails.cli.model_table import tells
    from verifiers.backends.installed import read_manifest
    from verifiers.errors import ModelUnavailable

    try:
        manifest = read_manifest(preset, folder)
    except ModelUnavailable:
        manifest = None  # `verify` and loading say what is wrong with it
    return {
        "name": preset.name,
        "repo": preset.repo,
        "revision": preset.revision,
        "tells": tells(preset),
        "licence": preset.licence,
        "megabytes": preset.megabytes,
        "languages": preset.languages,
        "max_tokens": preset.max_tokens,
        "about": preset.about,
        "follows": preset.follows,
        "note": preset.note,
        "installed": None
        if manifest is None
        else {
            "revision": manifest.revision,
            "digest": manifest.digest,
            "bytes": manifest.bytes,
        },
    }


def _json(body: Any) -> None:
    typer.echo(json.dumps(body, indent=2))
