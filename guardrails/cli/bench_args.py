"""The smaller arguments of ``groundrail bench``, read; and its command line, for showing."""

from __future__ import annotations

import shlex
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from guardrails.cli.shared import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

# More files of one folder than this are shown as a pattern.
_LISTED = 3


def pairs_of(texts: Sequence[str], option: str, form: str) -> dict[str, str]:
    """``A=B`` texts as a mapping.

    Raises:
        BadParameter: If one is something else or no text, or two speak of the same thing.
    """
    found: dict[str, str] = {}
    for text in texts:
        left, equals, right = text.partition("=")
        if not equals or not left.strip() or not right.strip():
            raise typer.BadParameter(f"{text!r} is not {form}", param_hint=option)
        if escaped(text) != text:
            raise typer.BadParameter(f"{text!r} is not valid UTF-8", param_hint=option)
        if left.strip() in found:
            raise typer.BadParameter(f"{left.strip()!r} is given twice", param_hint=option)
        found[left.strip()] = right.strip()
    return found


def labels_of(texts: Sequence[str]) -> dict[str, bool]:
    """``--label``: what the labels of a file mean."""
    found = pairs_of(texts, "--label", "YOURS=supported or YOURS=unsupported")
    for theirs, ours in found.items():
        if ours not in ("supported", "unsupported"):
            raise typer.BadParameter(
                f"{theirs}={ours}: a label means supported or unsupported", param_hint="--label"
            )
    return {theirs: ours == "supported" for theirs, ours in found.items()}


def groups_of(texts: Sequence[str]) -> dict[str, list[str]]:
    """``--group``: named lists of sets.

    Raises:
        BadParameter: If one is something else, or names a set twice.
    """
    found: dict[str, list[str]] = {}
    for name, sets in pairs_of(texts, "--group", "NAME=SET,SET...").items():
        found[name] = [one.strip() for one in sets.split(",") if one.strip()]
        for one in found[name]:
            if found[name].count(one) > 1:
                raise typer.BadParameter(
                    f"{name} names {one!r} twice; it would count twice in the mean",
                    param_hint="--group",
                )
    return found


def thresholds_of(texts: Sequence[str], systems: Sequence[str]) -> dict[str, float]:
    """``--threshold``: one number for all systems, or one for a system; 0.5 for the others."""
    found = dict.fromkeys(systems, 0.5)
    # A number alone is for all, wherever it stands; a system's own comes on top of it.
    for text in sorted(texts, key=lambda text: "=" in text):
        name, _, number = text.rpartition("=")
        if name and name not in found:
            raise typer.BadParameter(
                f"no system is called {name!r}; there are {', '.join(systems)}",
                param_hint="--threshold",
            )
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0.0 <= value <= 1.0:
            raise typer.BadParameter(
                f"{number!r} is no number from 0 to 1", param_hint="--threshold"
            )
        found |= {name: value} if name else dict.fromkeys(systems, value)
    return found


def command_line(arguments: Sequence[str]) -> str:
    """The command as another person would type it: paths by their last parts, files by a pattern.

    Where things lie on one machine says nothing to a reader elsewhere.
    """
    parts: list[str] = []
    for folder, run in groupby(arguments, _folder):
        own = list(run)
        kinds = {"".join(Path(one).suffixes) for one in own}
        if folder is not None and len(own) > _LISTED and len(kinds) == 1:
            parts.append(f"{folder.name}/*{kinds.pop()}")
        else:
            parts += [shlex.quote(_shortened(one)) for one in own]
    return "groundrail " + escaped(" ".join(parts))


def _folder(argument: str) -> Path | None:
    path = Path(argument)
    return path.absolute().parent if path.is_file() else None


def _shortened(argument: str) -> str:
    """Each path in an argument (``NAME=PATH,KEY=VALUE``) that leads out of here, by its name."""
    parts = []
    for part in argument.split(","):
        name, equals, value = part.rpartition("=")
        path = Path(value)
        if path.name and (path.is_absolute() or value.startswith(("../", "~/"))):
            value = path.name
        parts.append(f"{name}{equals}{value}")
    return ",".join(parts)
