"""Scores kept in a file, so that a long benchmark can be stopped and goes on where it was."""

from __future__ import annotations

import sqlite3
from threading import Lock
from typing import TYPE_CHECKING, Self

from verifiers.errors import BenchDataInvalid
from verifiers.types import NLIProbs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# SQLite's oldest limit on the variables of one statement is 999.
_CHUNK = 500


class FileScores:
    """A :class:`verifiers.protocols.ScoreCache` in one SQLite file. Thread-safe.

    Keys hold everything that changes a score, so entries never go stale. Every batch is committed
    as it comes: what a killed run had scored is not scored again.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file, and its folder.

        Raises:
            BenchDataInvalid: If there is another file in its place, or it cannot be written.
        """
        self._lock = Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._opened(path)
        except (OSError, sqlite3.Error) as error:
            raise BenchDataInvalid(
                f"{path} holds no scores, or cannot be written.",
                hint="Delete it, or name another folder with --cache.",
            ) from error

    @staticmethod
    def _opened(path: Path) -> sqlite3.Connection:
        made = sqlite3.connect(path, check_same_thread=False, timeout=60)
        try:
            made.execute("PRAGMA journal_mode=WAL")
            made.execute("PRAGMA synchronous=NORMAL")
            made.execute(
                "CREATE TABLE IF NOT EXISTS scores"
                " (key TEXT PRIMARY KEY, entailment REAL, neutral REAL, contradiction REAL)"
                " WITHOUT ROWID"
            )
            made.commit()
        except sqlite3.Error:
            made.close()
            raise
        return made

    def get_many(self, keys: Sequence[str]) -> list[NLIProbs | None]:
        """What is stored for each key, in order; None where there is nothing."""
        found: dict[str, NLIProbs] = {}
        wanted = list(dict.fromkeys(keys))
        with self._lock:
            for start in range(0, len(wanted), _CHUNK):
                part = wanted[start : start + _CHUNK]
                marks = ",".join("?" * len(part))
                rows = self._db.execute(
                    f"SELECT key, entailment, neutral, contradiction FROM scores"  # noqa: S608 - marks are question marks
                    f" WHERE key IN ({marks})",
                    part,
                )
                found.update((key, NLIProbs(*probs)) for key, *probs in rows)
        return [found.get(key) for key in keys]

    def put_many(self, items: Mapping[str, NLIProbs]) -> None:
        """Store all items, replacing what was there."""
        rows = [(key, *probs) for key, probs in items.items()]
        with self._lock, self._db:
            self._db.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
