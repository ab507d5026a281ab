"""``groundrail doctor``: what is installed, what runs and how fast, and what to mend."""

from __future__ import annotations

import json
import platform
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from guardrails.cli.examine import examine
from guardrails.cli.failures import INTERNAL, PASSED
from guardrails.cli.findings import Finding, Level
from guardrails.cli.shared import AsOneJson, Config, wants_json

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = "groundrail.doctor/1"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


@app.command()
def doctor(
    ctx: typer.Context,
    *,
    as_json: AsOneJson = False,
    config: Config = None,
    speed: Annotated[
        bool, typer.Option("--speed/--no-speed", help="Measure how fast the model reads here.")
    ] = True,
) -> None:
    """Say what is installed, which model runs and how fast, and what to mend.

    Each line is ok, warn or fail, and says what to do. The exit code is 0 when nothing failed, else
    3. No secret is shown: not the keys, not the password in a database's address.
    """
    wants_json(ctx, wanted=as_json)
    findings = examine(config, speed=speed)
    if as_json:
        print(json.dumps(_as_dict(findings), indent=2, ensure_ascii=False))
    else:
        _show(findings)
    failed = any(finding.level is Level.FAIL for finding in findings)
    raise typer.Exit(INTERNAL if failed else PASSED)


def _as_dict(findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "ok": not any(finding.level is Level.FAIL for finding in findings),
        "findings": [
            {
                "area": finding.area,
                "level": finding.level.value,
                "message": finding.message,
                "hint": finding.hint,
                "data": dict(finding.data),
            }
            for finding in findings
        ],
    }


def _show(findings: Sequence[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    from guardrails.cli.render import make_console, visible

    console = make_console()
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    area = ""
    for finding in findings:
        message = Text(visible(finding.message))
        if finding.hint:
            message.append(f"\n-> {visible(finding.hint)}", style="italic")
        level = Text(finding.level.value, style=_STYLES[finding.level])
        table.add_row(level, "" if finding.area == area else finding.area, message)
        area = finding.area
    console.print(table)
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    console.print(
        f"\n{counts[Level.OK]} ok, {counts[Level.WARN]} to look at, {counts[Level.FAIL]} failed"
    )
