"""``groundrail proxy``: the server in front of providers, and its keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardrails.cli.shared import AsJson, wants_json
from guardrails.cli.stores import StoreUrl, opened_store
from guardrails.errors import ConfigInvalid

if TYPE_CHECKING:
    from guardrails.settings import Settings
    from guardrails.store.sql import SqlStore

app = typer.Typer(
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help=(
        "Run the proxy: OpenAI's and Anthropic's APIs in front of providers, every answer checked. "
        "Applications change their base_url and nothing else. Stops with SIGTERM or Ctrl+C: "
        "finishes what is at work, then exits; a second signal stops it at once."
    ),
    epilog=(
        "Start with:  groundrail proxy keys create app --role call     then:  "
        "groundrail proxy --model-list models.yaml     and in the application:  "
        "base_url=http://127.0.0.1:8600/v1     Exit codes: 0 stopped as asked, 2 the settings "
        "make no sense, 3 the store or the model failed."
    ),
)
keys = typer.Typer(
    no_args_is_help=True,
    help=(
        "Make, list and revoke the keys that callers of the proxy need. Several replicas on one "
        "store share them."
    ),
)
app.add_typer(keys, name="keys")


class Auth(StrEnum):
    """Who may call."""

    KEYS = "keys"
    OFF = "off"


class Log(StrEnum):
    """How log lines look."""

    JSON = "json"
    TEXT = "text"


class RoleOption(StrEnum):
    """What a key may be used for."""

    CALL = "call"
    REVIEW = "review"
    ADMIN = "admin"
    METRICS = "metrics"


@app.callback()
def proxy(
    ctx: typer.Context,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Settings file; by default as GROUNDRAIL_CONFIG says."
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen at, instead of proxy.host.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65_535, help="Port, instead of proxy.port; 0 takes a free one."
        ),
    ] = None,
    model_list: Annotated[
        Path | None,
        typer.Option(
            "--model-list",
            metavar="FILE",
            help="A LiteLLM configuration file with a model_list, instead of proxy.model_list.",
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Policy of requests that no rule gives another."),
    ] = None,
    auth: Annotated[
        Auth | None, typer.Option("--auth", help="Instead of proxy.auth; off needs no keys.")
    ] = None,
    log: Annotated[
        Log | None, typer.Option("--log", help="How log lines look, instead of proxy.log.")
    ] = None,
) -> None:
    """Run the proxy until it is told to stop."""
    if ctx.invoked_subcommand is not None:
        return
    from guardrails.proxy.server import serve
    from guardrails.settings import load_settings

    given = {"host": host, "port": port, "model_list": model_list, "auth": auth, "log": log}
    serve(_with(load_settings(config), policy, given))


def _with(settings: Settings, policy: str | None, given: dict[str, Any]) -> Settings:
    """The settings with what the command line says."""
    said = {
        key: value.value if isinstance(value, StrEnum) else value
        for key, value in given.items()
        if value is not None
    }
    proxy = settings.proxy.model_copy(update=said)
    changes: dict[str, Any] = {"proxy": proxy}
    if policy is not None:
        changes["policy"] = policy
    return settings.model_copy(update=changes)


@keys.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is: an app, a person.")],
    *,
    role: Annotated[
        list[RoleOption],
        typer.Option(
            help="What it is for: call (models and checks), review (records and the queue), "
            "admin (keys and all that review may), metrics. May be given several times."
        ),
    ],
    days: Annotated[
        float | None, typer.Option(min=0.001, max=36_500, help="Expires after so many days.")
    ] = None,
    sources: Annotated[
        bool,
        typer.Option("--sources/--no-sources", help="Whether its calls may bring their sources."),
    ] = True,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A policy or route its calls may name; * for any. May be given several times.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A model it may use; without, all. May be given several times."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, help="Requests a minute, instead of proxy.limits.rate_per_minute."),
    ] = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown once, here, and kept nowhere: only its digest is.

    Try:

        groundrail proxy keys create website --role call --model gpt-4.1-mini
        groundrail proxy keys create ann --role review --days 90
    """
    wants_json(ctx, wanted=as_json)
    from guardrails._plain import key_json
    from guardrails.keys import Permissions, Role, new_key

    named = frozenset(policy or ())
    may = Permissions(
        sources, None if "*" in named else named, None if model is None else frozenset(model)
    )
    now = datetime.now(UTC)
    try:
        secret, key = new_key(
            name,
            frozenset(Role(item.value) for item in role),
            may,
            now=now,
            expires_at=None if days is None else now + timedelta(days=days),
            rate_per_minute=rate,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with opened_store(store, make=True) as opened:
        _sql(opened).keys.add(key)
    if as_json:
        _json({"key": secret, **key_json(key, now=now)})
        return
    typer.echo(secret)
    until = "" if key.expires_at is None else f", until {key.expires_at:%Y-%m-%d %H:%M} UTC"
    typer.echo(
        f"Key {key.id} for {name!r} ({', '.join(sorted(key.roles))}{until}). "
        "It is not shown again.",
        err=True,
    )


@keys.command("list")
def list_(ctx: typer.Context, *, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """List every key, the newest first, without anything it could be used by.

    Try:

        groundrail proxy keys list
    """
    wants_json(ctx, wanted=as_json)
    from guardrails._plain import key_json

    now = datetime.now(UTC)
    with opened_store(store) as opened:
        rows = [key_json(key, now=now) for key in _sql(opened).keys.all()]
    if as_json:
        _json(rows)
        return
    for row in rows:
        until = row["expires_at"][:10] if row["expires_at"] else "-"
        typer.echo(
            f"{row['id']}  {row['state']:<7}  {','.join(row['roles']):<12}  {until:<10}  "
            f"{row['name']}"
        )
    if not rows:
        typer.echo("Nothing there.")


@keys.command()
def revoke(
    ctx: typer.Context,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
    *,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a key. Every replica stops taking it within `proxy.key_cache` seconds.

    Try:

        groundrail proxy keys revoke 3f9a1c22b07d
    """
    wants_json(ctx, wanted=as_json)
    from guardrails._plain import key_json

    with opened_store(store) as opened:
        key = _sql(opened).keys.revoke(key_id)
    if key is None:
        raise ConfigInvalid(
            f"There is no key {key_id!r} in this store; nothing was changed.",
            hint="`groundrail proxy keys list` shows those there are.",
        )
    if as_json:
        _json(key_json(key, now=datetime.now(UTC)))
    else:
        typer.echo(f"Key {key.id} of {key.name!r} is revoked.")


def _sql(store: object) -> SqlStore:
    """The store, which is one on SQL: `open_store` makes no other."""
    from guardrails.store.sql import SqlStore

    assert isinstance(store, SqlStore)  # noqa: S101
    return store


def _json(value: object) -> None:
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=True))
