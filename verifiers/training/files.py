"""Files and optional libraries: the small things every training module needs."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from typing import TYPE_CHECKING, Any

from verifiers.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def require(module: str, *more: str) -> Any:
    """Import an optional library, or say which extra brings it.

    Args:
        module: The module to return.
        more: Submodules to import as well, so that they are there as attributes.

    Raises:
        MissingExtra: If the library is not installed. One that is installed but broken raises
            its own error.
    """
    try:
        loaded = importlib.import_module(module)
        for name in more:
            importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtra(
            f"Training needs {exc.name!r}, which is not installed.",
            hint="Run: pip install 'groundrail[torch]'",
        ) from exc
    return loaded


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ValueError: If it holds something else; names the file.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"{path} is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a {type(value).__name__}, not a JSON object")  # noqa: TRY004
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object so that readers see the old file or the new one, never a half."""
    replace_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def replace_bytes(path: Path, data: bytes) -> None:
    """Write a file through a neighbour and a rename, synced before the rename."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)


def read_tokenizer(path: Path) -> Any:
    """The tokenizer of a ``tokenizer.json``.

    Raises:
        ValueError: If it cannot be read.
    """
    load = require("tokenizers").Tokenizer.from_file
    try:
        return load(str(path))
    except Exception as exc:  # its errors share no base class
        raise ValueError(f"{path} is no tokenizer that can be read ({exc})") from exc


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
