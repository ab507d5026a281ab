"""Keys of the proxy in the database. What a key is stands in :mod:`guardrails.keys`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, or_, select, update

from guardrails.errors import ConfigInvalid
from guardrails.keys import Key, Permissions, Role
from guardrails.record import canonical_json
from guardrails.store.rows import column_text, insert
from guardrails.store.tables import keys
from guardrails.store.times import from_micros, opt_micros, opt_moment, to_micros

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.sql import ColumnElement

    from guardrails.store.database import Database
    from guardrails.store.protocol import Clock


class KeyTable:
    """The keys in one database. Blocking."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def add(self, key: Key) -> None:
        """Keep a new key.

        Raises:
            ConfigInvalid: If a key that is not revoked has this name.
            StoreUnavailable: If the database does not take it.
        """
        row = {
            "id": key.id,
            "name": column_text(key.name),
            "digest": key.digest,
            "roles": canonical_json(sorted(key.roles)),
            "may": canonical_json(
                {
                    "sources": key.may.sources,
                    "policies": _list(key.may.policies),
                    "models": _list(key.may.models),
                }
            ),
            "created": to_micros(key.created),
            "expires_at": opt_micros(key.expires_at),
            "revoked_at": opt_micros(key.revoked_at),
            "rate_per_minute": key.rate_per_minute,
        }
        with self._db.write() as connection:
            # Two at once: the index lets one through, whatever the other sees.
            statement = insert(connection, keys).values(row).on_conflict_do_nothing()
            if connection.execute(statement.returning(keys.c.id)).first() is None:
                raise ConfigInvalid(
                    f"There is a key named {key.name!r} already; none was made.",
                    hint="Revoke it first, or choose another name.",
                )

    def find(self, key_id: str) -> Key | None:
        """One key, whether or not it can still be used."""
        with self._db.read() as connection:
            row = connection.execute(select(keys).where(keys.c.id == key_id)).first()
        return None if row is None else _key(row)

    def all(self) -> list[Key]:
        """All keys, the newest first."""
        wanted = select(keys).order_by(keys.c.created.desc(), keys.c.id)
        with self._db.read() as connection:
            return [_key(row) for row in connection.execute(wanted)]

    def any_usable(self) -> bool:
        """Whether there is a key that can be used now."""
        wanted = select(exists().where(_usable(to_micros(self._clock()))))
        with self._db.read() as connection:
            return bool(connection.execute(wanted).scalar_one())

    def revoke(self, key_id: str) -> Key | None:
        """Revoke a key; None when there is none. A revoked one stays as it is."""
        mine = and_(keys.c.id == column_text(key_id), keys.c.revoked_at.is_(None))
        now = to_micros(self._clock())
        with self._db.write() as connection:
            connection.execute(update(keys).where(mine).values(revoked_at=now))
        return self.find(column_text(key_id))


def _usable(now: int) -> ColumnElement[bool]:
    ends = or_(keys.c.expires_at.is_(None), keys.c.expires_at > now)
    return and_(keys.c.revoked_at.is_(None), ends)


def _list(names: Iterable[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _key(row: Any) -> Key:
    may = json.loads(row.may)
    return Key(
        id=row.id,
        name=row.name,
        digest=row.digest,
        roles=frozenset(Role(role) for role in json.loads(row.roles)),
        may=Permissions(may["sources"], _set(may["policies"]), _set(may["models"])),
        created=from_micros(row.created),
        expires_at=opt_moment(row.expires_at),
        revoked_at=opt_moment(row.revoked_at),
        rate_per_minute=row.rate_per_minute,
    )


def _set(names: list[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)
