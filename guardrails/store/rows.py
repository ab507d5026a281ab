"""Reading and writing rows alike on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from guardrails.digests import decode, encode
from guardrails.store.tables import texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

CHUNK = 500  # values in one IN, rows in one page

T = TypeVar("T")


def column_text(text: str) -> str:
    """A string any text column takes: PostgreSQL refuses NUL, drivers refuse lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """``items`` in runs of at most :data:`CHUNK`."""
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))


def insert(connection: Connection, table: Table) -> Any:
    """The dialect's INSERT, which knows ON CONFLICT."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose key is not there yet."""
    for chunk in chunks(rows):
        statement = insert(connection, table).on_conflict_do_nothing()
        connection.execute(statement, list(chunk))


def put_text(connection: Connection, digest: str, text: str, now: int) -> None:
    """Keep a text under its digest, or note that it was seen again."""
    statement = insert(connection, texts).values(digest=digest, text=encode(text), seen=now)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["digest"],
            set_={"seen": statement.excluded.seen},
            where=texts.c.seen < statement.excluded.seen,
        )
    )


def read_texts(connection: Connection, digests: Sequence[str]) -> dict[str, str]:
    """The texts there are."""
    found = {}
    for chunk in chunks(list(dict.fromkeys(digests))):
        wanted = select(texts.c.digest, texts.c.text).where(texts.c.digest.in_(chunk))
        found.update({row.digest: decode(row.text) for row in connection.execute(wanted)})
    return found
