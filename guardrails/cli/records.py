"""``groundrail records``: look at what was recorded, decide it again, move it, delete texts."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardrails._plain import record_row
from guardrails.cli.shared import AsJson, wants_json
from guardrails.cli.stores import StoreUrl, opened_store
from guardrails.errors import SourceUnreadable

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import TextIO


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help=(
        "List, show and replay what was recorded; export and import it; bring in what was "
        "spilled; delete old texts."
    ),
    epilog=(
        "Start with:  groundrail records list     then:  groundrail records show ID     "
        "Exit codes: 0 done, 1 replay found a difference, 2 bad input, 3 the store failed."
    ),
)

_DIFFERS = 1

RecordId = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    action: Annotated[
        str | None, typer.Option(help="Only this action: pass, annotate, redact, ...")
    ] = None,
    route: Annotated[str | None, typer.Option(help="Only this route.")] = None,
    hours: Annotated[
        float | None, typer.Option(min=0, max=1_000_000, help="Only the last so many hours.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 50,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """List records, the newest first.

    Try:

        groundrail records list --action refuse --hours 24
    """
    wants_json(ctx, wanted=as_json)
    from policies.types import Action

    if action is not None and action not in list(Action):
        raise typer.BadParameter(f"--action is one of {', '.join(Action)}")
    since = None if hours is None else datetime.now(UTC) - timedelta(hours=hours)
    with opened_store(store) as opened:
        found = opened.query(
            since=since,
            action=None if action is None else Action(action),
            route=route,
            limit=limit,
        )
    if as_json:
        _json([record_row(record) for record in found])
        return
    for record in found:
        row = record_row(record)
        typer.echo(
            f"{row['id']}  {row['created'][:19]}  {row['action']:<10}  {row['disposition']:<9}"
            f"  {row['entry']}  {row['route'] or '-'}"
        )
    if not found:
        typer.echo("Nothing there.")


@app.command()
def show(
    record_id: RecordId,
    *,
    text: Annotated[
        bool, typer.Option("--text", help="Print the texts kept beside it, too.")
    ] = False,
    store: StoreUrl = None,
) -> None:
    """Print one record as JSON: what `groundrail policy explain` reads.

    Try:

        groundrail records show 019cb1f2-... > record.json
        groundrail policy explain record.json --policy strict
    """
    with opened_store(store) as opened:
        record = opened.get(record_id)
        texts = opened.texts_of(record.id) if text else {}
    body = record.model_dump(mode="json")
    _json({"record": body, "texts": texts} if text else body)


@app.command()
def replay(
    ctx: typer.Context,
    *,
    policy: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Decide under this policy instead of the recorded."),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=0, max=1_000_000, help="Only the last so many hours.")
    ] = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Decide every record again and count where the action would be another.

    Under its own policy a record gives the action it holds: any difference is a bug, and exit code
    1. Under another policy the table shows what it would have changed.

    Try:

        groundrail records replay
        groundrail records replay --policy strict --hours 24
    """
    wants_json(ctx, wanted=as_json)
    from guardrails.record import redecide
    from guardrails.record import replay as replayed
    from policies.load import load_policy
    from policies.types import Action

    other = None if policy is None else load_policy(policy)
    since = None if hours is None else datetime.now(UTC) - timedelta(hours=hours)
    counts: dict[tuple[str, str], int] = {}
    with opened_store(store) as opened:
        for record in opened.records(since=since):
            if other is None:
                now = replayed(record)
            else:
                decision = redecide(record, other)
                now = Action.REFUSE if decision is None else decision.action
            key = (record.action.value, now.value)
            counts[key] = counts.get(key, 0) + 1
    changed = sum(count for (before, after), count in counts.items() if before != after)
    total = sum(counts.values())
    rows = [
        {"recorded": before, "replayed": after, "records": count}
        for (before, after), count in sorted(counts.items())
    ]
    if as_json:
        _json({"records": total, "changed": changed, "actions": rows})
    else:
        for row in rows:
            typer.echo(f"{row['recorded']:<10} -> {row['replayed']:<10} {row['records']}")
        typer.echo(f"{total} records, {changed} with another action")
    if changed and other is None:
        raise typer.Exit(_DIFFERS)


@app.command()
def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; - for standard output.")],
    *,
    text: Annotated[
        bool, typer.Option("--text", help="With the texts kept beside the records.")
    ] = False,
    store: StoreUrl = None,
) -> None:
    """Write all records as lines of JSON, each with its digest.

    Try:

        groundrail records export records.jsonl
    """
    from guardrails.store import export_jsonl

    with opened_store(store) as opened, _writing(file) as out:
        count = export_jsonl(opened, out, texts=text)
    typer.echo(f"{count} records exported", err=True)


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An export.")],
    *,
    store: StoreUrl = None,
) -> None:
    """Read an export into the store. Doing it again changes nothing.

    Try:

        groundrail records import records.jsonl --store sqlite:///copy.db
    """
    from guardrails.store import import_jsonl

    with opened_store(store, make=True) as opened, _reading(file) as lines:
        done = import_jsonl(opened, lines)
    typer.echo(f"{done.added} records imported, {done.known} were there already", err=True)


@app.command()
def recover(
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="A spill file; by default the store's own."),
    ] = None,
    *,
    store: StoreUrl = None,
) -> None:
    """Bring in what the store missed while it was locked, full or away.

    Lines that cannot be read are moved to FILE.bad; nothing is thrown away.

    Try:

        groundrail records recover
    """
    from guardrails.store import recover as bring_in

    with opened_store(store, make=True) as opened:
        done = opened.recover() if file is None else bring_in(opened, _existing(file))
    bad = f", {len(done.bad)} could not be read and are in the .bad file" if done.bad else ""
    typer.echo(f"{done.added} recovered, {done.known} were there already{bad}", err=True)


@app.command("forget-texts")
def forget_texts(
    *,
    days: Annotated[
        float, typer.Option(min=0, max=100_000, help="Texts not saved for this many days.")
    ],
    store: StoreUrl = None,
) -> None:
    """Delete old texts. Records stay, and can still be replayed. Run it daily for retention.

    Try:

        groundrail records forget-texts --days 30
    """
    with opened_store(store) as opened:
        count = opened.forget_texts(datetime.now(UTC) - timedelta(days=days))
    typer.echo(f"{count} texts deleted", err=True)


# --------------------------------------------------------------------------- shared


def _json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=True))


def _existing(file: str) -> Path:
    path = Path(file)
    if not path.is_file():
        raise SourceUnreadable(
            f"{file!r} is no file; nothing was recovered.",
            hint="The error that spilled a record names the file.",
        )
    return path


def _reading(file: str) -> AbstractContextManager[TextIO]:
    try:
        return Path(file).open(encoding="ascii", errors="replace")
    except OSError as error:
        raise SourceUnreadable(
            f"{file!r} cannot be read: {error.strerror}; nothing was imported.",
            hint="Give the path of a file that `groundrail records export` wrote.",
        ) from error


def _writing(file: str) -> AbstractContextManager[TextIO]:
    if file == "-":
        return nullcontext(sys.stdout)
    try:
        return Path(file).open("w", encoding="ascii")
    except OSError as error:
        raise SourceUnreadable(
            f"{file!r} cannot be written: {error.strerror}; nothing was exported.",
            hint="Give a path in a folder that you may write to.",
        ) from error
