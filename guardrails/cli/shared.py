"""What several commands take: options of one meaning, and a small file or standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
# Of the commands whose whole output is one object with a schema.
AsOneJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file instead of the usual one."),
]


def wants_json(ctx: typer.Context, *, wanted: bool) -> None:
    """Tell the outermost handler to write failures as JSON, too."""
    state = ctx.find_root().obj
    if wanted and hasattr(state, "json"):
        state.json = True


def escaped(text: str) -> str:
    """``text`` with what no encoding carries as escapes: half characters, bytes of a file's name.

    Any other text comes back as it is.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def read_small(file: str, most: int) -> bytes:
    """A file's bytes, or standard input's for ``-``; of a larger one than ``most`` one byte more.

    Raises:
        OSError: If it cannot be read.
        ValueError: If the path holds a NUL.
    """
    if file == "-":
        return sys.stdin.buffer.read(most + 1)
    with Path(file).open("rb") as stream:
        return stream.read(most + 1)
