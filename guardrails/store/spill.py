"""The file beside the store that takes what the store does not, so that nothing is lost.

Several processes may append and one may recover at the same time. A writer locks the file, checks
that it is still the file at that path, appends one line and makes it durable. :func:`recover` moves
the file aside first, so that writers start a new one while it works.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from guardrails.errors import RecordInvalid, ReviewConflict, StoreUnavailable
from guardrails.store.lines import EndLine, RecordLine, ReviewLine, parse_line
from guardrails.store.protocol import Recovered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guardrails.store.protocol import Store

_log = logging.getLogger(__name__)


def append(path: Path, line: str) -> None:
    """Add one line, durably.

    Raises:
        OSError: If that cannot be done.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = line.encode("ascii") + b"\n"
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            with _locked(descriptor):
                if not _still_at(descriptor, path):
                    continue  # moved aside between opening and locking
                size = os.fstat(descriptor).st_size
                try:
                    if size and _last_byte(descriptor, size) != b"\n":
                        data = b"\n" + data  # after a line cut by a crash
                    _write_all(descriptor, data)
                    os.fsync(descriptor)
                except OSError:
                    os.ftruncate(descriptor, size)  # no half a line
                    raise
                return
        finally:
            os.close(descriptor)


def pending(path: Path) -> bool:
    """Whether anything waits to be recovered."""
    return any(file.exists() and file.stat().st_size for file in (path, _aside(path)))


def recover(store: Store, path: Path) -> Recovered:
    """Bring what was spilled to ``path`` into ``store``, and empty the file.

    Lines that cannot be read go to ``<path>.bad``; nothing is thrown away. May be called again
    after a crash, and by several processes at once. A path with nothing in it is no error.

    Raises:
        StoreUnavailable: If the store fails again. What is left stays where it is.
        OSError: If the files cannot be read or moved.
    """
    aside = _aside(path)
    total = Recovered(0, 0, ())
    while aside.exists() or path.exists():
        if not aside.exists():
            _move_aside(path, aside)
            continue
        try:
            descriptor = os.open(aside, os.O_RDWR)
        except FileNotFoundError:
            continue  # another process finished it since we looked
        try:
            with _locked(descriptor):
                if not _still_at(descriptor, aside):
                    continue  # another process has just finished it
                part = _bring_in(store, aside)
                aside.unlink()
        finally:
            os.close(descriptor)
        total = Recovered(total.added + part.added, total.known + part.known, total.bad + part.bad)
    if total.added or total.known or total.bad:
        _log.warning(
            "recovered %s: %d added, %d known, %d unreadable",
            path, total.added, total.known, len(total.bad),
        )  # fmt: skip
    return total


def _bring_in(store: Store, aside: Path) -> Recovered:
    added = known = 0
    bad: list[int] = []
    with aside.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.strip():
                continue
            try:
                fresh = put(store, raw.decode("ascii"))
            except (RecordInvalid, ReviewConflict, UnicodeDecodeError):
                append_raw(aside.with_name(aside.name.removesuffix(".recovering") + ".bad"), raw)
                bad.append(number)
                continue
            added += fresh
            known += not fresh
    return Recovered(added, known, tuple(bad))


def put(store: Store, text: str) -> bool:
    """Bring one line into a store; False when it was there already.

    Raises:
        RecordInvalid: If the line cannot be read, or its record differs from the one in the store.
        ReviewConflict: If its review item differs from the one in the store.
        StoreUnavailable: If the store fails.
    """
    match parse_line(text):
        case RecordLine(record, texts):
            try:
                same = store.get(record.id) == record
            except RecordInvalid:
                same = False
            if same and texts.keys() <= store.texts_of(record.id).keys():
                return False
            store.save(record, texts=texts)
            return not same
        case ReviewLine(item):
            try:
                store.get_review(item.id)
            except ReviewConflict:
                store.enqueue(item)
                return True
            store.enqueue(item)  # raises if it is another one
            return False
        case EndLine():
            raise RecordInvalid("an end line where a record was expected", hint="")


def append_raw(path: Path, raw: bytes) -> None:
    """Add bytes as they are."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        _write_all(descriptor, raw if raw.endswith(b"\n") else raw + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep(path: Path | None, line: str, error: StoreUnavailable, what: str) -> StoreUnavailable:
    """Spill ``line`` because of ``error``; returns the error to raise, which says what came of it.

    Args:
        path: Where to, or None when there is no spill file.
        line: What could not be stored.
        error: Why not.
        what: Kind and id, for messages: ``record 0190...``.
    """
    if path is None:
        fate = f"{what} was NOT kept: this store has no spill file."
        _log.error("%s: %s", error.code, fate)
    else:
        try:
            append(path, line)
        except OSError as second:
            fate = f"{what} was NOT kept: {path} cannot be written either ({second.strerror})."
            _log.error("%s: %s", error.code, fate)
        else:
            fate = f"{what} was kept in {path}; recover() brings it back."
            _log.error("%s: the store failed; %s", error.code, fate)
            told = type(error)(f"{error.message}; {fate}", hint=error.hint)
            told.spilled = str(path)
            return told
    return type(error)(f"{error.message}; {fate}", hint=error.hint)


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ".recovering")


def _move_aside(path: Path, aside: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        with _locked(descriptor):
            if _still_at(descriptor, path) and not aside.exists():
                path.rename(aside)
    finally:
        os.close(descriptor)


def _still_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _last_byte(descriptor: int, size: int) -> bytes:
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    if sys.platform == "win32":  # one process at a time there
        yield
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
