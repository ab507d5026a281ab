"""File formats that are more than text: JSON lines of sources, and PDF by pypdf."""

from __future__ import annotations

import importlib
import io
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardrails.errors import SourceUnreadable
from verifiers.errors import MissingExtra
from verifiers.types import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_JSONL_KEYS = ("id", "text", "title", "uri", "timestamp")


def check_whole(where: str, texts: Mapping[str, str | None]) -> None:
    """JSON, PDF and some encodings can hold half a character, which is no text to any tokenizer.

    Args:
        where: The place that holds them, for the message.
        texts: By name.

    Raises:
        SourceUnreadable: If one holds half a character (a lone surrogate).
    """
    for key, text in texts.items():
        try:
            (text or "").encode()
        except UnicodeEncodeError as error:
            raise SourceUnreadable(
                f"{where}: {key!r} holds half a character, {error.object[error.start]!a};"
                " nothing was checked",
                hint="It was cut in the middle of an emoji or the like; write the file anew.",
            ) from error


def json_lines(path: str, text: str) -> Iterator[Source]:
    """One source a line; blank lines are allowed, anything else wrong is an error.

    Raises:
        SourceUnreadable: A line is not an object with text, holds half a character, or the file
            holds none.
    """
    name = Path(path).as_posix()
    found = False
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        found = True
        yield _json_source(name, number, line)
    if not found:
        raise SourceUnreadable(f"{path!r} holds no line; nothing was checked")


def _json_source(path: str, number: int, line: str) -> Source:
    def refuse(why: str) -> SourceUnreadable:
        return SourceUnreadable(
            f"{path!r}, line {number}: {why}; nothing was checked",
            hint=f"Each line is a JSON object with text and optionally {', '.join(_JSONL_KEYS)}.",
        )

    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise refuse("not valid JSON") from error
    except RecursionError as error:
        raise refuse("nested too deeply to be read") from error
    if not isinstance(row, dict):
        raise refuse("not an object")
    if unknown := sorted(set(row) - set(_JSONL_KEYS)):
        raise refuse(f"unknown key {unknown[0]!r}")
    if not isinstance(row.get("text"), str) or not row["text"].strip():
        raise refuse("no text")
    if wrong := [key for key in _JSONL_KEYS if not isinstance(row.get(key, ""), str | None)]:
        raise refuse(f"{wrong[0]!r} is not a string")
    try:
        timestamp = datetime.fromisoformat(row["timestamp"]) if row.get("timestamp") else None
    except ValueError as error:
        raise refuse("'timestamp' is not an ISO 8601 date") from error
    name = row.get("id") or f"{path}:{number}"
    texts = {key: row.get(key) for key in ("text", "title", "uri")}
    check_whole(f"{path!r}, line {number}", {"id": name, **texts})
    return Source(
        id=name,
        text=row["text"],
        title=row.get("title"),
        uri=row.get("uri"),
        timestamp=timestamp,
    )


def pdf_text(path: str, data: bytes) -> tuple[str, str | None]:
    """The text of a PDF's pages and its title, if it has one.

    Raises:
        SourceUnreadable: It is encrypted or damaged.
        MissingExtra: No reader for it is installed.
    """
    try:
        pypdf = importlib.import_module("pypdf")
        errors = importlib.import_module("pypdf.errors")
    except ModuleNotFoundError as error:
        if error.name != "pypdf":
            raise
        raise MissingExtra(
            f"{path!r} is a PDF and no reader for it is installed; nothing was checked",
            hint="Run: pip install 'groundrail[pdf]'",
        ) from error
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise SourceUnreadable(
                f"{path!r} is encrypted; nothing was checked",
                hint="Save a copy without a password.",
            )
        pages = [page.extract_text() for page in reader.pages]
        title = reader.metadata.title if reader.metadata else None
    # pypdf documents one base class, yet damaged files also surface as plain errors of the
    # structures it walks. Each means the same here: this file cannot be read.
    except (
        errors.PyPdfError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
    ) as error:
        raise SourceUnreadable(
            f"{path!r} is a damaged PDF ({type(error).__name__}); nothing was checked",
            hint="Open it in a viewer and save it again, or give its text.",
        ) from error
    return _unwrap("\n\n".join(page.strip() for page in pages)), title


def _unwrap(text: str) -> str:
    """Lines of a page joined into paragraphs, so that a sentence is not cut at a line end."""
    out: list[str] = []
    for line in text.split("\n"):
        stripped = line.strip()
        if out and out[-1] and stripped and stripped[0].islower():
            out[-1] = f"{out[-1]} {stripped}"
        else:
            out.append(stripped)
    return "\n".join(out)
