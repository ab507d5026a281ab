"""The reference part of ``guardrails/docs/cli.md``, made from the commands themselves.

``python -m guardrails.cli.reference`` prints it; a test compares it with the page.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import typer

from guardrails.cli.app import PARTS, app, load_command

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKER = "<!-- made by: python -m guardrails.cli.reference -->"


def reference() -> str:
    """Every command with its help and options, as Markdown."""
    blocks = [MARKER, *_options("groundrail", typer.main.get_command(app))]
    for name in PARTS:
        blocks += _commands(f"groundrail {name}", load_command(name))
    return "\n\n".join(blocks) + "\n"


def _commands(path: str, command: Any) -> Iterator[str]:
    yield f"### `{path}`"
    yield inspect.cleandoc(command.help or "").partition("\n\n")[0]
    yield from _options(path, command)
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(f"{path} {name}", inner)


def _options(path: str, command: Any) -> Iterator[str]:
    rows = [
        f"| {_spelled(param)} | {_cell(getattr(param, 'help', None) or '')} |"
        for param in command.params
        if "--help" not in param.opts and not getattr(param, "hidden", False)
    ]
    if rows:
        yield "\n".join([f"| `{path}` | |", "| --- | --- |", *rows])


def _spelled(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{(param.metavar or param.name).upper()}`"
    names = ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
    return f"{names} `{param.metavar}`" if param.metavar else names


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")
