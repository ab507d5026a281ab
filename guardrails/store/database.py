"""One database: connections, transactions, and the tables made at opening."""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, exc, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql import column, table

from guardrails.errors import StoreLocked, StoreUnavailable
from guardrails.store.faults import translate
from guardrails.store.tables import HEAD, VERSION_TABLE
from verifiers.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Select
    from sqlalchemy.engine import Connection, Engine

_MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_WAIT_S = 60.0
_ADVISORY_LOCK = 0x67726F756E64  # "ground"
_WRITE = "groundrail_write"

_log = logging.getLogger(__name__)


class Database:
    """Connections to one database whose tables are there.

    Attributes:
        shown: Its address as people may see it: no password, no options.
        sqlite: Whether it is SQLite.
        default_spill: Where to spill unless told otherwise, or None.
    """

    def __init__(self, engine: Engine, *, shown: str, path: Path | None, timeout_s: float) -> None:
        self._engine = engine
        self.shown = shown
        self.sqlite = engine.dialect.name == "sqlite"
        self.default_spill = None if path is None else path.with_name(path.name + ".spill.jsonl")
        self._timeout_s = timeout_s
        self._pid = os.getpid()
        self._closed = False

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._begin(write=False) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes. On SQLite it holds the write lock from its start.

        A deferred transaction that reads first and writes later fails at once when another wrote
        in between, whatever the timeout; an immediate one waits its turn.
        """
        with self._begin(write=True) as connection:
            if not self.sqlite:
                connection.execute(
                    text("SELECT set_config('lock_timeout', :wait, true)"),
                    {"wait": f"{int(self._timeout_s * 1000)}ms"},
                )
            yield connection

    @contextmanager
    def _begin(self, *, write: bool) -> Iterator[Connection]:
        if self._closed:
            raise StoreUnavailable(
                f"the store {self.shown} was closed; nothing was written",
                hint="Open it again with open_store().",
            )
        if os.getpid() != self._pid:
            # A forked child must not use, nor close, the connections of its parent.
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(**{_WRITE: write})  # noqa: PLW2901
                with connection.begin():
                    yield connection
        except exc.SQLAlchemyError as error:
            raise translate(error, self.shown) from error

    def migrate(self) -> None:
        """Make or upgrade the tables, under a lock that other openers wait for."""
        with self.read() as connection:
            if _version(connection) == HEAD:
                return
        with self._migration() as connection:
            if _version(connection) != HEAD:  # else another process was quicker
                _upgrade(connection, self.shown)

    @contextmanager
    def _migration(self) -> Iterator[Connection]:
        if self.sqlite:
            with self._begin(write=True) as connection:
                yield connection
            return
        # Waiting for another's migration takes longer than waiting for another's insert.
        wait = int(max(self._timeout_s, _MIGRATION_WAIT_S) * 1000)
        with self._begin(write=True) as connection:
            connection.execute(
                text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": f"{wait}ms"}
            )
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        self._engine.dispose()


def open_database(url: str, *, timeout_s: float) -> Database:
    """Connect, and make or upgrade the tables. See :func:`guardrails.store.open_store`."""
    address = _parse(url)
    shown = _shown(address)
    path = _file(address)
    if path is not None:
        _prepare_file(path, shown)
    engine = _engine(address, timeout_s)
    database = Database(engine, shown=shown, path=path, timeout_s=timeout_s)
    try:
        if database.sqlite:
            _use_wal(engine, shown, timeout_s)
        database.migrate()
    except BaseException:
        database.close()
        raise
    return database


def _parse(url: str) -> URL:
    try:
        address = make_url(url)
    except (exc.ArgumentError, ValueError):
        # Not quoted, not chained: what was meant to be a URL may hold a password.
        raise StoreUnavailable(
            "the store's address is not a database URL; nothing was opened",
            hint="Use sqlite:////absolute/path.db or"
            " postgresql+psycopg://user:password@host/database.",
        ) from None
    if address.drivername in {"postgresql", "postgres"}:
        address = address.set(drivername="postgresql+psycopg")
    if address.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise StoreUnavailable(
            f"no store on {address.drivername!r}; nothing was opened",
            hint="Stores are sqlite:///... and postgresql+psycopg://...",
        )
    return address


def _shown(address: URL) -> str:
    where = f"{address.host or ''}{f':{address.port}' if address.port else ''}"
    return f"{address.get_backend_name()}://{where}/{address.database or ''}"


def _file(address: URL) -> Path | None:
    name = address.database
    if address.get_backend_name() != "sqlite" or not name or name == ":memory:":
        return None
    return None if name.startswith("file:") else Path(name)


def _prepare_file(path: Path, shown: str) -> None:
    """Make the folder, and the file readable by its owner alone: it may come to hold texts."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreUnavailable(
            f"the store {shown} cannot be made: {error.strerror}; nothing was opened",
            hint="Check that its folder exists and may be written to.",
        ) from error


def _engine(address: URL, timeout_s: float) -> Engine:
    options: dict[str, Any] = {"hide_parameters": True, "pool_timeout": timeout_s}
    if address.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": timeout_s, "check_same_thread": False}
        options["poolclass"] = QueuePool
        if address.database in {None, "", ":memory:"}:
            # A database in memory is its one connection: threads take turns.
            options |= {"pool_size": 1, "max_overflow": 0}
    else:
        options["connect_args"] = {"connect_timeout": max(1, int(timeout_s))}
        options["pool_pre_ping"] = True
    try:
        engine = create_engine(address, **options)
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise MissingExtra(
            "PostgreSQL's driver is not installed; nothing was opened",
            hint="Run: pip install 'groundrail[postgres]'",
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _: Any) -> None:
    # None: the driver leaves transactions alone, and _on_begin says which kind each is.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _use_wal(engine: Engine, shown: str, timeout_s: float) -> None:
    """Switch to write-ahead logging, which the file remembers.

    The switch itself does not wait for a lock, whatever the timeout: so we try again.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            raw = engine.raw_connection()
            try:
                cursor = raw.cursor()
                mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
                if mode not in {"wal", "memory"}:
                    mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
                cursor.close()
            finally:
                raw.close()
        except engine.dialect.loaded_dbapi.Error as error:
            fault = translate(exc.OperationalError("PRAGMA journal_mode", {}, error), shown)
            if getattr(error, "sqlite_errorname", "").startswith("SQLITE_READONLY"):
                return  # it can still be read
            if not isinstance(fault, StoreLocked) or time.monotonic() >= deadline:
                raise fault from error
            time.sleep(0.02)
        except exc.SQLAlchemyError as error:
            raise translate(error, shown) from error
        else:
            if mode not in {"wal", "memory"}:
                _log.warning("store %s: no write-ahead log here; readers and writers wait", shown)
            return


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    versions: Select[Any] = select(column("version_num")).select_from(table(VERSION_TABLE))
    found: str | None = connection.execute(versions).scalar_one_or_none()
    return found


def _upgrade(connection: Connection, shown: str) -> None:
    # Alembic loads only when there is something to do.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    version = _version(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise StoreUnavailable(
            f"the store {shown} was made by a newer groundrail (schema {version}, this release"
            f" knows up to {HEAD}); nothing was changed",
            hint="Upgrade groundrail, or point it at another store.",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
