"""Answers and sources from files, folders, patterns and standard input, as exact text.

What is read is decoded strictly: a wrong encoding is an error that names the file and the byte,
never a replacement character, because a changed source changes verdicts. Evidence offsets count
code points of the text as read here; for HTML and PDF that is the extracted text.

In a folder, hidden and binary files and empty ones are passed over, and each is listed in the
result. A file that looks like text and cannot be read stops the reading: evidence that is missing
in silence would make a verdict wrong.
"""

from __future__ import annotations

import codecs
import glob
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from guardrails.cli.formats import check_whole, json_lines, pdf_text
from guardrails.cli.markup import declared_charset, html_text
from guardrails.cli.shared import escaped
from guardrails.errors import SourceUnreadable
from verifiers.types import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BYTES = 64 * 1024 * 1024
STDIN = "-"

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16 LE, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = (
    (b"PK\x03\x04", "a ZIP archive or Office document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\x00", "a database"),
)
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\v\x08\x1b")
_SNIFF = 8192
_BINARY_HINT = "Give it as text, Markdown, HTML or PDF; for UTF-16 or UTF-32 pass --encoding."


@dataclass(frozen=True, slots=True)
class Passed:
    """A file that was not read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Sources in the order given, and what was passed over."""

    sources: tuple[Source, ...]
    passed: tuple[Passed, ...] = ()


def read_answer(spec: str, *, encoding: str | None = None, stdin: BinaryIO | None = None) -> str:
    """The answer in one file, or on standard input for ``-``.

    The text is kept exactly, but for one line end at the very end that editors and shells add.
    An empty answer is an answer: it gives an empty string.

    Raises:
        SourceUnreadable: It is not there, not readable, not text, or too large. More than the limit
            is never read, also of a device or a pipe that does not end.
        MissingExtra: It is a PDF and no reader for it is installed.
    """
    if encoding is not None:
        _known(encoding)
    path, data = _bytes_of(spec, stdin)
    if not data:
        return ""
    if binary := _binary(data, encoding):
        raise SourceUnreadable(
            f"the answer in {path!r} is {binary}; nothing was checked", hint=_BINARY_HINT
        )
    text = _extract(path, data, encoding)[0]
    return text.removesuffix("\n").removesuffix("\r")


def read_sources(
    specs: Sequence[str], *, encoding: str | None = None, stdin: BinaryIO | None = None
) -> Reading:
    """Every source that the given files, folders, patterns and ``-`` name.

    Args:
        specs: Paths, folders (read recursively), glob patterns (``**`` allowed), or ``-``.
        encoding: How to decode text that carries no byte-order mark; strict UTF-8 when None.
        stdin: Where ``-`` reads from; the process's own when None.

    Raises:
        SourceUnreadable: Something named is missing, empty, unreadable, binary, undecodable or too
            large, its name is no text, or a folder or pattern holds nothing to read. Nothing is
            checked then.
        MissingExtra: A PDF is among them and no reader for it is installed.
    """
    if encoding is not None:
        _known(encoding)
    sources: dict[str, Source] = {}
    passed: list[Passed] = []
    seen: set[str] = set()
    for spec in specs:
        if spec == STDIN:
            _add(sources, _sources_of("stdin", _bytes_of(STDIN, stdin)[1], encoding))
            continue
        read = 0
        for path, chosen in _files(spec, passed):
            real = os.path.realpath(path)
            if real in seen:
                read += 1
                continue
            try:
                found = list(_sources_of(path, _load(path), encoding, chosen=chosen))
            except _NotText as reason:
                passed.append(Passed(escaped(path), str(reason)))
                continue
            seen.add(real)
            read += 1
            _add(sources, found)
        if not read:
            raise SourceUnreadable(
                f"no readable file in {spec!r} ({len(passed)} passed over); nothing was checked",
                hint="Name files that hold text, Markdown, HTML, PDF or JSON lines.",
            )
    return Reading(tuple(sources.values()), tuple(passed))


class _NotText(Exception):
    """A file met in a folder is empty or binary: passed over, and listed."""


def _add(sources: dict[str, Source], found: Sequence[Source] | Iterator[Source]) -> None:
    for source in found:
        if source.id in sources:
            raise SourceUnreadable(
                f"two sources have the id {source.id!r}; nothing was checked",
                hint="Give every JSON line an id of its own, or leave ids out.",
            )
        sources[source.id] = source


def _files(spec: str, passed: list[Passed]) -> Iterator[tuple[str, bool]]:
    """Files a spec names, each with whether it was named itself and not met in a folder."""
    path = Path(spec)
    if path.is_dir():
        yield from ((name, False) for name in _walk(path, passed))
    elif not os.path.lexists(spec) and glob.has_magic(spec):
        for name in sorted(glob.glob(spec, recursive=True)):  # noqa: PTH207 - absolute patterns
            if Path(name).is_dir():
                continue
            yield name, False
    else:
        yield spec, True


def _walk(folder: Path, passed: list[Passed]) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise _unreadable(str(error.filename), error) from error

    for place, folders, files in os.walk(folder, onerror=refuse):
        hidden = [name for name in (*folders, *files) if name.startswith(".")]
        passed.extend(
            Passed(escaped(os.path.join(place, name)), "hidden")  # noqa: PTH118
            for name in sorted(hidden)
        )
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.startswith("."):
                continue
            path = Path(place, name)
            if path.is_file():
                yield str(path)
            else:
                passed.append(Passed(escaped(str(path)), "not a regular file"))


def _bytes_of(spec: str, stdin: BinaryIO | None) -> tuple[str, bytes]:
    if spec != STDIN:
        return spec, _load(spec)
    data = (stdin or sys.stdin.buffer).read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _too_large("standard input")
    return "stdin", data


def _load(path: str) -> bytes:
    try:
        if Path(path).is_dir():
            raise SourceUnreadable(
                f"{path!r} is a folder, not a file; nothing was checked",
                hint="Name a file here; folders can be given with --source.",
            )
        # A device or a pipe says it has no size, and may never end.
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(data) > MAX_BYTES:
        raise _too_large(repr(path))
    return data


def _too_large(name: str) -> SourceUnreadable:
    return SourceUnreadable(
        f"{name} is over the limit of {MAX_BYTES:,} bytes; nothing was checked",
        hint="Split it, or give the part that matters.",
    )


def _unreadable(path: str, error: OSError) -> SourceUnreadable:
    match error:
        case FileNotFoundError():
            why, hint = "does not exist", "Check the path; it is read from the current folder."
        case PermissionError():
            why, hint = "may not be read by this user", "Change its permissions or your user."
        case _:
            why, hint = f"cannot be read ({error.strerror})", "Check the disk or the mount."
    return SourceUnreadable(f"{path!r} {why}; nothing was checked", hint=hint)


def _sources_of(
    path: str, data: bytes, encoding: str | None, *, chosen: bool = True
) -> Iterator[Source]:
    def refuse(reason: str, hint: str) -> Exception:
        if not chosen:
            return _NotText(reason)
        return SourceUnreadable(f"{path!r} is {reason}; nothing was checked", hint=hint)

    if not data.strip():
        raise refuse("empty", "Give a file that holds text.")
    if binary := _binary(data, encoding):
        raise refuse(binary, _BINARY_HINT)
    name = _shown(path)
    if escaped(name) != name:
        raise SourceUnreadable(
            f"the name of {name!r} is not valid UTF-8; it would be the id of a source, and nothing"
            " was checked",
            hint="Rename the file or its folder, or give its text on standard input with -.",
        )
    if Path(path).suffix.lower() in {".jsonl", ".ndjson"}:
        yield from json_lines(path, _decode(path, data, encoding))
        return
    text, title = _extract(path, data, encoding)
    if not text.strip():
        raise refuse("without any text", "It may be scanned or drawn: run text recognition first.")
    yield Source(id=name, text=text, title=title or Path(path).name)


def _shown(path: str) -> str:
    """The path as an id: from the current folder where the file is below it."""
    full = Path(path)
    if full.is_absolute() and full.is_relative_to(Path.cwd()):
        full = full.relative_to(Path.cwd())
    return full.as_posix()


def _binary(data: bytes, encoding: str | None) -> str:
    """What kind of binary this is, or an empty string for text and PDF."""
    if data.startswith(b"%PDF-") or encoding or any(data.startswith(bom) for bom, _ in _BOMS):
        return ""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return f"binary ({name})"
    head = data[:_SNIFF]
    if b"\x00" in head:
        return "binary (it holds NUL bytes)"
    controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)  # noqa: PLR2004
    return "binary (control characters)" if controls > len(head) // 10 else ""


def _extract(path: str, data: bytes, encoding: str | None) -> tuple[str, str | None]:
    """The text of one file and its title, if it says one."""
    text, title = _extracted(path, data, encoding)
    check_whole(repr(path), {"text": text, "title": title})
    return text, title


def _extracted(path: str, data: bytes, encoding: str | None) -> tuple[str, str | None]:
    if data.startswith(b"%PDF-"):
        return pdf_text(path, data)
    suffix = Path(path).suffix.lower()
    if suffix in {".html", ".htm", ".xhtml"} or _looks_html(data):
        charset = encoding or declared_charset(data)
        return html_text(_decode(path, data, charset))
    text = _decode(path, data, encoding)
    return text, _heading(text) if suffix in {".md", ".markdown"} else None


def _looks_html(data: bytes) -> bool:
    head = data[:512].lstrip().lower()
    return head.startswith((b"<!doctype html", b"<html"))


def _heading(text: str) -> str | None:
    first = text.lstrip().partition("\n")[0]
    return first.lstrip("#").strip() or None if first.startswith("#") else None


def _known(encoding: str) -> None:
    try:
        "".encode(encoding)  # codecs.lookup would also know rot13 and zlib
    except LookupError as error:
        raise SourceUnreadable(
            f"unknown encoding {encoding!r}; nothing was read",
            hint="Use a name Python knows: utf-8, utf-16, cp1252, latin-1, shift_jis, gb18030 ...",
        ) from error


def _decode(path: str, data: bytes, encoding: str | None) -> str:
    chosen = next((name for bom, name in _BOMS if data.startswith(bom)), encoding or "utf-8")
    try:
        "".encode(chosen)
        codec = codecs.lookup(chosen).name
    except LookupError:  # a page that declares a charset nobody knows
        codec = "utf-8"
    try:
        return data.decode(codec)
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        byte = f" (0x{data[start]:02x})" if start < len(data) else ""
        raise SourceUnreadable(
            f"{path!r} is not valid {codec}: byte {start}{byte} cannot be decoded; "
            "nothing was checked",
            hint="Say how it is encoded, such as --encoding cp1252, or save it as UTF-8.",
        ) from error
