"""One suite for every store: records, texts, spill, export, and opening under pressure."""

from __future__ import annotations

import io
import itertools
import json
import logging
import multiprocessing
import os
import sqlite3
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from guardrails.digests import Digester, sortable_id
from guardrails.errors import (
    RecordInvalid,
    ReviewConflict,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from guardrails.record import Record, build_record
from guardrails.report import Attempt, Disposition, Entry, Report, RequestInfo
from guardrails.review import (
    ClaimRuling,
    Delivery,
    NewReview,
    Reason,
    Resolution,
    ReviewEvent,
    ReviewState,
    Ruling,
)
from guardrails.store import export_jsonl, import_jsonl, open_store, recover
from guardrails.store.kept import KeptTable
from policies.engine import decide
from policies.load import load_policy
from policies.types import Action
from verifiers.types import NLIProbs, Verification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardrails.store.sql import SqlStore


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'records.db'}"
    return request.getfixturevalue("new_postgres_database")()


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "the user's own words"
POLICY = load_policy("observe")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def make_record(
    number: int = 0,
    *,
    at: datetime = NOW,
    route: str | None = None,
    answer: str = "",
    call: str | None = None,
) -> tuple[Record, dict[str, str]]:
    """A small record and its texts."""
    decision = decide((), POLICY, route=route)
    attempt = Attempt(1, answer=answer, verification=Verification((), None), decision=decision)
    report = Report(
        record_id=sortable_id(at, number.to_bytes(10, "big")),
        call_id=call or f"call-{number}",
        choice=0,
        started=at,
        answer=answer,
        text=answer,
        decision=decision,
        disposition=Disposition.RELEASED,
        verification=Verification((), None),
        attempts=(attempt,),
        question=SECRET,
    )
    return build_record(report, request=RequestInfo(Entry.CHECK), policy=POLICY, store_text=True)


def make_item(number: int = 0, **changes: object) -> NewReview:
    item = NewReview(f"r{number}", f"rec{number}", NOW, Delivery.HELD, Action.REVIEW)
    return replace(item, **changes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database_url: str, tmp_path: Path, clock: Clock) -> Iterator[SqlStore]:
    store = open_store(database_url, spill=tmp_path / "spill.jsonl", clock=clock, timeout_s=20)
    yield store
    store.close()


# --------------------------------------------------------------------------- records and texts


def test_saved_records_come_back_equal(store: SqlStore) -> None:
    """A record is read back as it was written, and its texts by digest."""
    record, texts = make_record(1, answer="a\x00b\ud800c", route="s\x00\udfff")
    store.save(record, texts=texts)
    assert store.get(record.id) == record
    assert store.texts_of(record.id) == texts
    name = Digester()("a\x00b\ud800c")
    assert store.texts([name, "v1:b2:" + "0" * 64]) == {name: "a\x00b\ud800c"}
    assert store.query(route="s\x00\udfff") == [record]


def test_saving_again_changes_nothing(store: SqlStore) -> None:
    """Saving is idempotent; another record under the same id is refused and not spilled."""
    record, texts = make_record(1, answer="one")
    store.save(record, texts=texts)
    store.save(record, texts=texts)
    other, _ = make_record(1, answer="two")
    with pytest.raises(RecordInvalid, match="another record has the id"):
        store.save(other)
    assert store.query() == [record]
    assert not store.spilled


def test_query_by_time_action_route_and_call(store: SqlStore) -> None:
    """Newest first; since is inclusive, until is not."""
    made = [
        make_record(n, at=NOW + timedelta(seconds=n), route="ab"[n % 2], call=f"call-{n // 2}")[0]
        for n in range(6)
    ]
    for record in made:
        store.save(record)
    assert store.query() == made[::-1]
    assert store.query(limit=2) == [made[5], made[4]]
    assert store.query(since=made[2].created, until=made[4].created) == [made[3], made[2]]
    assert store.query(route="a") == [made[4], made[2], made[0]]
    assert store.query(call_id="call-1") == [made[3], made[2]]
    assert store.query(action=made[0].action, limit=1) == [made[5]]
    assert store.query(action=Action.REFUSE) == []
    assert list(store.records(since=made[1].created)) == made[1:]


def test_all_records_are_read_in_pages(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """More records than a page, many of one moment, each exactly once."""
    monkeypatch.setattr("guardrails.store.sql.CHUNK", 3)
    made = [make_record(n, at=NOW + timedelta(seconds=n // 4))[0] for n in range(10)]
    for record in reversed(made):
        store.save(record)
    assert list(store.records()) == made


def test_an_unknown_record_is_an_error(store: SqlStore) -> None:
    """It says which store was asked."""
    with pytest.raises(RecordInvalid, match="no record 'nowhere' in the store"):
        store.get("nowhere")


def test_retention_deletes_texts_and_leaves_records(store: SqlStore, clock: Clock) -> None:
    """Texts go by when they were last saved; the record stays and can still be replayed."""
    old, old_texts = make_record(1, answer="old answer")
    store.save(old, texts=old_texts)
    clock.now += timedelta(days=2)
    new, new_texts = make_record(2, answer="new answer")
    store.save(new, texts=new_texts)
    assert store.forget_texts(NOW + timedelta(days=1)) == 1  # the question is in both
    assert store.texts_of(old.id) == {Digester()(SECRET): SECRET}
    assert store.texts_of(new.id) == new_texts
    assert store.get(old.id) == old


def test_forgetting_a_record_keeps_what_others_need(store: SqlStore) -> None:
    """One record and its own texts go; shared texts stay."""
    one, one_texts = make_record(1, answer="one")
    two, two_texts = make_record(2, answer="two")
    store.save(one, texts=one_texts)
    store.save(two, texts=two_texts)
    store.forget(one.id)
    store.forget(one.id)
    assert list(store.records()) == [two]
    assert store.texts([Digester()("one"), Digester()(SECRET)]) == {Digester()(SECRET): SECRET}


def test_a_record_changed_in_the_database_is_noticed(store: SqlStore) -> None:
    """Its digest no longer matches; nothing is read from it."""
    from sqlalchemy import update

    from guardrails.store.tables import records

    record, _ = make_record(1)
    store.save(record)
    forged = record.to_json().replace('"action":"annotate"', '"action":"pass"')
    forged = forged.replace('"choice":0', '"choice":1')
    with store.database.write() as connection:
        connection.execute(update(records).values(body=forged))
    with pytest.raises(RecordInvalid, match="was changed in the database"):
        store.get(record.id)


def test_many_threads_save_at_once(store: SqlStore) -> None:
    """Concurrent writers of records that share texts all succeed."""
    made = [make_record(n, answer=f"answer {n % 3}") for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(store.save, r, texts=t) for r, t in made]:
            done.result()
    assert len(store.query()) == 24


def test_scores_are_shared(store: SqlStore, clock: Clock) -> None:
    """The score cache gives back exactly what was put, in order, and prunes by age."""
    from guardrails.store.scores import SqlScoreCache

    cache = SqlScoreCache(store.database, clock)
    items = {f"k{n}": NLIProbs(0.1 * n, 1 / 3, 1 - 0.1 * n) for n in range(5)}
    cache.put_many(items)
    cache.put_many({})
    clock.now += timedelta(hours=1)
    cache.put_many({"k1": NLIProbs(1.0, 0.0, 0.0)})
    assert cache.get_many(["k2", "no", "k1", "k2"]) == [
        items["k2"],
        None,
        NLIProbs(1.0, 0.0, 0.0),
        items["k2"],
    ]
    assert cache.prune(NOW + timedelta(minutes=1)) == 4
    assert cache.get_many(["k2", "k1"]) == [None, NLIProbs(1.0, 0.0, 0.0)]


# --------------------------------------------------------------------------- opening


def test_opening_twice_is_idempotent(database_url: str) -> None:
    """A second opening finds the tables and the records."""
    record, _ = make_record(1)
    with_first = open_store(database_url)
    with_first.save(record)
    with_first.close()
    with_first.close()
    again = open_store(database_url)
    assert again.query() == [record]
    again.close()
    with pytest.raises(StoreUnavailable, match="was closed"):
        again.query()


def test_migrations_make_the_tables_of_the_code(database_url: str) -> None:
    """From blank, the migrations give exactly the tables that the queries are written for."""
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from guardrails.store.database import _MIGRATIONS
    from guardrails.store.tables import HEAD, VERSION_TABLE, metadata

    store = open_store(database_url)
    with store.database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD
    store.close()
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_newer_schema_is_refused(database_url: str) -> None:
    """A database of a newer release is left alone."""
    from sqlalchemy import text

    store = open_store(database_url)
    with store.database.write() as connection:
        connection.execute(text("UPDATE gr_schema SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreUnavailable, match=r"GR307.*newer groundrail \(schema 9999.*Upgrade"):
        open_store(database_url)


def _open_and_save(url: str, number: int, barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    store = open_store(url, timeout_s=20)
    store.save(make_record(number)[0])
    store.close()


def test_processes_open_a_blank_database_at_once(database_url: str) -> None:
    """One makes the tables, the others wait; each saves its record."""
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(4)
    processes = [
        spawn.Process(target=_open_and_save, args=(database_url, n, barrier)) for n in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    store = open_store(database_url)
    assert len(store.query()) == 4
    store.close()


def test_threads_open_a_blank_database_at_once(database_url: str) -> None:
    """The same between threads."""
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: open_store(database_url, timeout_s=20), range(6)))
    for store in stores:
        assert store.query() == []
        store.close()


def test_a_forked_child_has_connections_of_its_own(store: SqlStore) -> None:
    """A store opened before a fork works in both processes."""
    store.save(make_record(1)[0])
    pool = store.database._engine.pool
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads, on purpose
        child = os.fork()
    if child == 0:
        # A shared connection may work for a while; it must not be shared at all.
        try:
            store.save(make_record(2)[0])
            os._exit(0 if store.database._engine.pool is not pool else 2)
        except BaseException:  # noqa: BLE001 - the exit code tells
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.save(make_record(3)[0])
    assert len(store.query()) == 3


def test_the_history_is_only_added_to(store: SqlStore) -> None:
    """The database itself refuses to change or delete history."""
    from sqlalchemy import delete, update

    from guardrails.store.tables import review_history

    store.enqueue(make_item())
    for statement in (update(review_history).values(event="x"), delete(review_history)):
        with pytest.raises(StoreUnavailable), store.database.write() as connection:
            connection.execute(statement)
    assert len(store.history("r0")) == 1


# --------------------------------------------------------------------------- failing


def _fail_writes(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> object:
        raise StoreLocked("the store is locked; nothing was written", hint="Wait.")

    monkeypatch.setattr(store.database, "write", broken)


def test_what_cannot_be_saved_is_spilled_and_recovered(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The error says where it went, the log is loud and holds no text, recovery restores all."""
    record, texts = make_record(1, answer="spilled answer")
    item = make_item()
    with monkeypatch.context() as broken:
        _fail_writes(store, broken)
        with caplog.at_level(logging.WARNING), pytest.raises(StoreLocked) as caught:
            store.save(record, texts=texts)
        with pytest.raises(StoreLocked):
            store.enqueue(item)
        with pytest.raises(StoreLocked):
            store.recover()  # fails again: everything stays in the file
    assert caught.value.spilled == str(store.spill_path)
    assert "GR309" in str(caught.value)
    assert "was kept in" in str(caught.value)
    assert any(entry.levelno == logging.ERROR for entry in caplog.records)
    assert SECRET not in caplog.text + str(caught.value)
    assert "spilled answer" not in caplog.text + str(caught.value)
    assert store.spilled
    assert store.recover() == (2, 0, ())
    assert not store.spilled
    assert store.get(record.id) == record
    assert store.texts_of(record.id) == texts
    assert store.get_review("r0").item == item
    assert store.recover() == (0, 0, ())


def test_recovery_keeps_what_it_cannot_read(store: SqlStore, tmp_path: Path) -> None:
    """A cut or forged line goes to a file beside; the others come in, known ones only once."""
    from guardrails.store import lines, spill

    path = tmp_path / "other.jsonl"
    good, forged, known = (make_record(n)[0] for n in (1, 2, 3))
    store.save(known)
    spill.append(path, lines.record_line(good, {}))
    spill.append(path, lines.record_line(forged, {}).replace('"choice":0', '"choice":1'))
    spill.append(path, lines.record_line(known, {}))
    with path.open("ab") as file:
        file.write(b'{"cut')
    spill.append(path, lines.review_line(make_item()))  # begins a line of its own
    assert recover(store, path) == (2, 1, (2, 4))
    assert {record.id for record in store.query()} == {good.id, known.id}
    assert not path.exists()
    bad = path.with_name("other.jsonl.bad").read_bytes().splitlines()
    assert len(bad) == 2
    assert bad[1] == b'{"cut'
    assert path.with_name("other.jsonl.bad").stat().st_mode & 0o077 == 0


def test_recovery_after_a_crash_halfway(store: SqlStore, tmp_path: Path) -> None:
    """What an earlier recovery left aside comes first, then what was spilled since."""
    from guardrails.store import lines, spill

    path = tmp_path / "s.jsonl"
    for number, name in ((1, "s.jsonl.recovering"), (2, "s.jsonl")):
        spill.append(tmp_path / name, lines.record_line(make_record(number)[0], {}))
    store.save(make_record(1)[0])  # the part that was done before the crash
    assert spill.pending(path)
    assert recover(store, path) == (1, 1, ())
    assert not spill.pending(path)


def test_writers_and_recovery_at_once_lose_nothing(store: SqlStore, tmp_path: Path) -> None:
    """Lines appended while another recovers end up in the store, each once."""
    from guardrails.store import lines, spill

    path = tmp_path / "busy.jsonl"
    made = [make_record(n)[0] for n in range(40)]
    stop = threading.Event()

    def keep_recovering() -> None:
        while not stop.is_set():
            recover(store, path)

    with ThreadPoolExecutor(6) as pool:
        recovering = [pool.submit(keep_recovering) for _ in range(2)]
        writing = [pool.submit(spill.append, path, lines.record_line(r, {})) for r in made]
        for done in writing:
            done.result()
        stop.set()
        for done in recovering:
            done.result()
    recover(store, path)
    assert {record.id for record in store.records()} == {record.id for record in made}
    assert not path.with_name("busy.jsonl.bad").exists()


def test_a_spill_that_fails_too_says_so(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nowhere to write: the error says that the record was not kept."""
    _fail_writes(store, monkeypatch)
    for spill_path, says in ((tmp_path, "cannot be written either"), (None, "no spill file")):
        store.spill_path = spill_path
        with pytest.raises(StoreLocked, match=f"NOT kept.*{says}") as caught:
            store.save(make_record(1)[0])
        assert caught.value.spilled is None


def test_a_bad_address_is_refused_without_quoting_it() -> None:
    """No password in any message or chained error."""
    for url in ("pass:hunter2@host", "mysql://root:hunter2@h/d", "sqlite3:hunter2", ""):
        with pytest.raises(StoreUnavailable) as caught:
            open_store(url)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.hint


@pytest.mark.postgres
def test_an_unreachable_server_is_named_without_its_password() -> None:
    """Nothing listens: GR307, host and database named, the password nowhere."""
    pytest.importorskip("psycopg")
    with pytest.raises(
        StoreUnavailable, match=r"GR307.*127.0.0.1:1/db.*cannot be reached"
    ) as caught:
        open_store("postgresql://user:hunter2@127.0.0.1:1/db", timeout_s=1)
    assert "hunter2" not in repr(caught.value) + str(caught.value.__cause__)


@pytest.mark.postgres
def test_a_missing_database_is_named(postgres_server: str) -> None:
    """The server answers, the database is not there."""
    with pytest.raises(StoreUnavailable, match=r"nowhere.*(3D000|cannot be reached)"):
        open_store(postgres_server.replace("/postgres?", "/nowhere?"))


@pytest.mark.postgres
def test_a_read_only_server(new_postgres_database, tmp_path: Path) -> None:
    """Reading works, writing is GR308, and the record is in the spill file."""
    url = new_postgres_database()
    open_store(url).close()
    read_only = url + "&options=-c%20default_transaction_read_only%3Don"
    store = open_store(read_only, spill=tmp_path / "s.jsonl")
    assert store.query() == []
    with pytest.raises(StoreReadOnly, match=r"GR308.*25006.*was kept in"):
        store.save(make_record(1)[0])
    store.close()
    with pytest.raises(StoreReadOnly):
        open_store(new_postgres_database() + "&options=-c%20default_transaction_read_only%3Don")


@pytest.mark.postgres
def test_a_locked_table(new_postgres_database, tmp_path: Path) -> None:
    """Another session holds the table: GR309 after the timeout."""
    from sqlalchemy import text

    url = new_postgres_database()
    holder = open_store(url)
    store = open_store(url, spill=tmp_path / "s.jsonl", timeout_s=0.2)
    with holder.database.write() as connection:
        connection.execute(text("LOCK TABLE gr_records"))
        with pytest.raises(StoreLocked, match=r"GR309.*55P03.*was kept in"):
            store.save(make_record(1)[0])
    assert store.recover() == (1, 0, ())
    store.close()
    holder.close()


def test_a_locked_sqlite_file(tmp_path: Path) -> None:
    """Another process holds the write lock: GR309, spilled beside the file, readers still read."""
    path = tmp_path / "r.db"
    store = open_store(f"sqlite:///{path}", timeout_s=0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLocked, match=r"GR309.*locked by another process.*was kept in"):
        store.save(make_record(1)[0])
    assert store.query() == []
    other.execute("ROLLBACK")
    other.close()
    assert (tmp_path / "r.db.spill.jsonl").stat().st_mode & 0o077 == 0
    assert store.recover() == (1, 0, ())
    assert len(store.query()) == 1
    store.close()


def test_a_sqlite_file_locked_before_opening(tmp_path: Path) -> None:
    """A blank file that another holds cannot be opened, and says why."""
    path = tmp_path / "r.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreLocked, match="GR309"):
        open_store(f"sqlite:///{path}", timeout_s=0.1)
    other.close()


def test_a_read_only_sqlite_file(tmp_path: Path) -> None:
    """Reading works, writing is GR308 and is kept aside; a blank read-only one cannot be opened."""
    path = tmp_path / "r.db"
    first = open_store(f"sqlite:///{path}")
    first.save(make_record(1)[0])
    first.close()
    store = open_store(f"sqlite:///file:{path}?mode=ro&uri=true", spill=tmp_path / "s.jsonl")
    assert len(store.query()) == 1
    with pytest.raises(StoreReadOnly, match=r"GR308.*READONLY.*was kept in"):
        store.save(make_record(2)[0])
    store.close()
    blank = tmp_path / "blank.db"
    sqlite3.connect(blank).close()
    blank.touch()
    with pytest.raises(StoreReadOnly, match="GR308"):
        open_store(f"sqlite:///file:{blank}?mode=ro&uri=true")


def test_a_full_disk(tmp_path: Path) -> None:
    """SQLITE_FULL is named for what it is, and nothing is half written."""
    store = open_store(f"sqlite:///{tmp_path / 'r.db'}", spill=tmp_path / "s.jsonl")
    record, _ = make_record(1)
    with store.database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")  # of this one connection
    texts = {Digester()(text): text for text in ("x" * 100_000,)}
    with pytest.raises(StoreUnavailable, match=r"GR307.*disk.*is full.*was kept in"):
        store.save(record, texts=texts)
    assert store.query() == []
    store.close()


def test_what_is_no_database(tmp_path: Path) -> None:
    """A file that is something else is left as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    with pytest.raises(StoreUnavailable, match=r"GR307.*no SQLite database"):
        open_store(f"sqlite:///{path}")
    assert path.read_text() == "not a database, " * 100


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The path runs through a file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=r"GR307.*cannot be made"):
        open_store(f"sqlite:///{tmp_path / 'file' / 'r.db'}")
    with pytest.raises(StoreUnavailable, match="GR307"):
        open_store(f"sqlite:///{tmp_path}")


def test_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    """Folders are made, the file is private, the log is write-ahead."""
    path = tmp_path / "deep" / "r.db"
    store = open_store(f"sqlite:///{path}")
    store.save(make_record(1)[0])
    assert path.stat().st_mode & 0o077 == 0
    with store.database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }
    store.close()


def test_a_store_in_memory() -> None:
    """``sqlite://`` is one database for all threads, and has no spill file."""
    store = open_store("sqlite://")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: store.save(make_record(n)[0]), range(8)))
    assert len(store.query()) == 8
    assert store.spill_path is None
    assert store.recover() == (0, 0, ())
    store.close()


def test_a_failing_statement_never_shows_its_values(store: SqlStore) -> None:
    """Neither our error nor what it was raised from holds a text."""
    from guardrails.store.tables import metadata

    with store.database.write() as connection:
        metadata.tables["gr_texts"].drop(connection)
    record, _ = make_record(1, answer=SECRET)
    with pytest.raises(StoreUnavailable) as caught:
        store.save(record, texts={SECRET: SECRET})
    chain: BaseException | None = caught.value
    while chain is not None:
        assert SECRET not in str(chain)
        chain = chain.__cause__


# --------------------------------------------------------------------------- export


def _exported(store: SqlStore, **options: object) -> str:
    out = io.StringIO()
    export_jsonl(store, out, **options)
    return out.getvalue()


def test_export_and_import(store: SqlStore, tmp_path: Path) -> None:
    """What is exported comes back in another store; importing twice changes nothing."""
    made = [make_record(n, at=NOW + timedelta(seconds=n), answer=f"a{n}\ud800") for n in range(4)]
    for record, texts in made:
        store.save(record, texts=texts)
    lines = _exported(store, texts=True)
    assert len(lines.splitlines()) == 5
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}")
    assert import_jsonl(other, lines.splitlines()) == (4, 0, ())
    assert import_jsonl(other, io.StringIO(lines)) == (0, 4, ())
    assert list(other.records()) == [record for record, _ in made]
    assert other.texts_of(made[0][0].id) == made[0][1]
    assert SECRET not in _exported(store)
    assert json.loads(_exported(store, since=NOW + timedelta(days=1)))["payload"]["count"] == 0
    other.close()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda lines: lines[:-1], "no end line"),
        (lambda lines: [lines[0], *lines[2:]], "line 3: lines are missing"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "line 4: lines are missing"),
        (lambda lines: [*lines, lines[0]], "line 5: a line after the end"),
        (
            lambda lines: [lines[0].replace('"choice":0', '"choice":1'), *lines[1:]],
            "line 1.*digest",
        ),
        (lambda lines: [lines[0][:50], *lines[1:]], "line 1: not a line"),
        (lambda lines: ["[]", *lines], "line 1: not a line"),
        (lambda lines: ["{}", *lines], "line 1: not a line"),
        (lambda lines: [lines[0].replace('"groundrail":1', '"groundrail":2')], "another export"),
    ],
)
def test_a_damaged_export_is_refused(store: SqlStore, tmp_path: Path, damage, says: str) -> None:
    """Cut, reordered, changed: each is named by its line, and quotes no text."""
    for n in range(3):
        record, texts = make_record(n, at=NOW + timedelta(seconds=n))
        store.save(record, texts=texts)
    lines = _exported(store, texts=True).splitlines()
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(RecordInvalid, match=says) as caught:
        import_jsonl(other, damage(lines))
    assert SECRET not in str(caught.value)
    other.close()


def test_the_same_review_again_changes_nothing(store: SqlStore) -> None:
    """Queueing is idempotent; another item under the same id is refused."""
    assert store.enqueue(make_item()) == store.enqueue(make_item()) == "r0"
    with pytest.raises(ReviewConflict, match="another review has the id"):
        store.enqueue(make_item(route="other"))
    assert len(store.history("r0")) == 1


# --------------------------------------------------------------------------- the review queue


APPROVE = Resolution(Ruling.APPROVE)


def test_a_review_from_end_to_end(store: SqlStore, clock: Clock) -> None:
    """Queued, claimed, renewed, given back, claimed by another, edited; the history tells it all."""
    item = make_item(
        reasons=(Reason("on_contradicted", "A passage contradicts it.", "c1"),),
        claim_ids=("c1", "c2"),
        route="support",
        expires_at=NOW + timedelta(days=1),
    )
    store.enqueue(item)
    assert store.get_review("r0").item == item
    assert store.claim("r0", "ann", 60).lease_until == NOW + timedelta(seconds=60)
    clock.now += timedelta(seconds=30)
    assert store.claim("r0", "ann", 60).lease_until == NOW + timedelta(seconds=90)
    assert store.release("r0", "ann").state is ReviewState.OPEN
    store.claim("r0", "bob", 60)
    edit = Resolution(Ruling.EDIT, "It is 30 days.", (("c1", ClaimRuling.CONTRADICTED),))
    resolved = store.resolve("r0", "bob", edit, "see the terms")
    assert resolved == store.get_review("r0")
    assert (resolved.resolution, resolved.note) == (edit, "see the terms")
    assert (resolved.reviewer, resolved.resolved_at) == ("bob", clock.now)
    assert [(e.event, e.reviewer) for e in store.history("r0")] == [
        (ReviewEvent.ENQUEUED, None),
        (ReviewEvent.CLAIMED, "ann"),
        (ReviewEvent.RENEWED, "ann"),
        (ReviewEvent.RELEASED, "ann"),
        (ReviewEvent.CLAIMED, "bob"),
        (ReviewEvent.RESOLVED, "bob"),
    ]


def test_retention_deletes_what_reviewers_wrote(store: SqlStore, clock: Clock) -> None:
    """The ruling and its labels stay; the edited text and the note go."""
    store.enqueue(make_item(claim_ids=("c1",)))
    store.claim("r0", "ann", 60)
    labels = (("c1", ClaimRuling.UNSURE),)
    store.resolve("r0", "ann", Resolution(Ruling.EDIT, SECRET, labels), "a note")
    clock.now += timedelta(days=1)
    assert store.forget_texts(clock.now) == 2
    found = store.get_review("r0")
    assert found.resolution == Resolution(Ruling.EDIT, None, labels)
    assert found.note is None


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda s: s.claim("open", "bob", 0), "lease"),
        (lambda s: s.claim("open", "bob", 1e9), "lease"),
        (lambda s: s.claim("open", "bob", float("nan")), "lease"),
        (lambda s: s.claim("open", " ", 60), "name"),
        (lambda s: s.claim_next("b\nob", 60), "name"),
        (lambda s: s.resolve("held", "ann", Resolution(Ruling.EDIT)), "an edit needs its text"),
        (lambda s: s.resolve("held", "ann", Resolution(Ruling.REJECT, "x")), "only an edit"),
        (
            lambda s: s.resolve(
                "held", "ann", Resolution(Ruling.REJECT, None, (("c9", ClaimRuling.UNSURE),))
            ),
            "no claim c9",
        ),
        (lambda s: s.claim("held", "bob", 60), "held by 'ann' until"),
        (lambda s: s.release("held", "bob"), "held by 'ann', not by 'bob'"),
        (lambda s: s.resolve("held", "bob", APPROVE), "held by 'ann', not by 'bob'"),
        (lambda s: s.release("open", "bob"), "is open"),
        (lambda s: s.resolve("open", "bob", APPROVE), "is open"),
        (lambda s: s.claim("done", "bob", 60), "was resolved by 'ann'"),
        (lambda s: s.resolve("done", "ann", APPROVE), "was resolved by 'ann'"),
        (lambda s: s.claim("gone", "bob", 60), "expired at"),
        (lambda s: s.claim("none", "bob", 60), "no review 'none'"),
        (lambda s: s.get_review("none"), "no review 'none'"),
        (lambda s: s.history("none"), "no review 'none'"),
    ],
)
def test_what_may_not_follow_is_refused(store: SqlStore, clock: Clock, act, says: str) -> None:
    """Each wrong step is a clear error and changes nothing."""
    for name in ("open", "held", "done"):
        store.enqueue(make_item(id=name, claim_ids=("c1",)))
    store.enqueue(make_item(id="gone", expires_at=NOW))
    store.claim("held", "ann", 60)
    store.claim("done", "ann", 60)
    store.resolve("done", "ann", APPROVE)
    before = [store.get_review(name) for name in ("open", "held", "done", "gone")]
    with pytest.raises((ReviewConflict, ValueError), match=says):
        act(store)
    assert [store.get_review(name) for name in ("open", "held", "done", "gone")] == before


def test_the_oldest_open_item_comes_next(store: SqlStore, clock: Clock) -> None:
    """In order of arrival, by route, passing over what is held, expired or resolved."""
    for n in range(4):
        store.enqueue(
            make_item(n, created=NOW + timedelta(seconds=n), route="ab"[n % 2], expires_at=None)
        )
    store.enqueue(make_item(9, created=NOW - timedelta(days=1), expires_at=NOW))
    assert store.claim_next("ann", 60).id == "r0"
    assert store.claim_next("bob", 60, route="b").id == "r1"
    assert store.claim_next("bob", 60, route="b").id == "r3"
    assert store.claim_next("bob", 60, route="b") is None
    clock.now += timedelta(seconds=60)
    assert store.claim_next("eve", 60).id == "r0"
    assert store.get_review("r0").lapses == 1
    assert [review.id for review in store.list_reviews(ReviewState.OPEN)] == ["r1", "r2", "r3"]
    assert [review.id for review in store.list_reviews(limit=2)] == ["r3", "r2"]
    assert [review.id for review in store.list_reviews(route="a")] == ["r2", "r0"]


def test_expiring_writes_down_what_time_did(store: SqlStore, clock: Clock) -> None:
    """Only what changed is counted, and the history says when, not when somebody looked."""
    store.enqueue(make_item(0, expires_at=NOW + timedelta(seconds=10)))
    store.enqueue(make_item(1))
    store.enqueue(make_item(2, expires_at=NOW + timedelta(seconds=10)))
    store.claim("r1", "ann", 5)
    store.claim("r2", "ann", 60)
    clock.now += timedelta(seconds=30)
    assert store.expire() == 2
    assert store.expire() == 0
    assert [store.get_review(f"r{n}").state for n in range(3)] == ["expired", "open", "claimed"]
    assert store.history("r0")[-1].at == NOW + timedelta(seconds=10)
    assert store.history("r1")[-1].at == NOW + timedelta(seconds=5)
    assert store.expire(clock.now + timedelta(days=1)) == 1
    assert [entry.event for entry in store.history("r2")][-2:] == ["lapsed", "expired"]


def test_an_item_ends_at_its_very_moment(store: SqlStore, clock: Clock) -> None:
    """What the database selects by time is what the states say, to the microsecond."""
    store.enqueue(make_item(expires_at=NOW + timedelta(seconds=10)))
    clock.now = NOW + timedelta(seconds=10) - timedelta(microseconds=1)
    assert len(store.list_reviews(ReviewState.OPEN)) == 1
    assert store.expire() == 0
    clock.now = NOW + timedelta(seconds=10)
    assert store.list_reviews(ReviewState.OPEN) == []
    assert store.claim_next("ann", 60) is None
    assert len(store.list_reviews(ReviewState.EXPIRED)) == 1
    assert store.expire() == 1


def test_of_many_reviewers_one_gets_an_item(database_url: str) -> None:
    """Threads with stores of their own claim the same items at once: each item goes to one."""
    stores = [open_store(database_url, timeout_s=20) for _ in range(4)]
    for n in range(8):
        stores[0].enqueue(make_item(n))
    start = threading.Barrier(4)

    def take(index: int) -> list[str]:
        won = []
        start.wait()
        for n in range(8):
            try:
                won.append(stores[index].claim(f"r{n}", f"reviewer {index}", 60).id)
            except ReviewConflict:
                continue
        return won

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(take, range(4)))
    assert sorted(name for names in won for name in names) == [f"r{n}" for n in range(8)]
    for index, names in enumerate(won):
        assert {stores[0].get_review(name).reviewer for name in names} <= {f"reviewer {index}"}
    for store in stores:
        store.close()


def _take_next(url: str, name: str, barrier: object, out: object) -> None:
    store = open_store(url, timeout_s=20)
    barrier.wait()  # type: ignore[attr-defined]
    taken = []
    while (review := store.claim_next(name, 60)) is not None:
        taken.append(review.id)
    store.close()
    out.put((name, taken))  # type: ignore[attr-defined]


def test_processes_share_out_the_queue(database_url: str) -> None:
    """Processes that take the next item until nothing is open: no item twice, none left."""
    store = open_store(database_url)
    for n in range(20):
        store.enqueue(make_item(n, created=datetime.now(UTC)))
    spawn = multiprocessing.get_context("spawn")
    barrier, out = spawn.Barrier(3), spawn.Queue()
    processes = [
        spawn.Process(target=_take_next, args=(database_url, f"p{n}", barrier, out))
        for n in range(3)
    ]
    for process in processes:
        process.start()
    taken = dict(out.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(60)
    assert sorted(name for names in taken.values() for name in names) == sorted(
        f"r{n}" for n in range(20)
    )
    for reviewer, names in taken.items():
        assert all(store.get_review(name).reviewer == reviewer for name in names)
    store.close()


REVIEWERS = st.sampled_from(["ann", "bob", "eve"])
SECONDS = st.integers(1, 40)


def queue_machine(store: SqlStore, clock: Clock, runs: Iterator[int]) -> type:
    """A state machine that does the same to the store and to a model of a few dicts."""

    class Queue(RuleBasedStateMachine):
        items = Bundle("items")

        @initialize()
        def begin(self) -> None:
            # Whatever earlier runs left is out of the way: after ten years all leases are over.
            clock.now += timedelta(days=3650)
            store.expire()
            self.run = f"run{next(runs)}"
            self.model: dict[str, dict[str, object]] = {}

        @rule(target=items, lives=st.none() | SECONDS)
        def enqueue(self, lives: int | None) -> str:
            name = f"{self.run}-{len(self.model)}"
            expires = None if lives is None else clock.now + timedelta(seconds=lives)
            store.enqueue(
                make_item(
                    id=name,
                    record_id=name,
                    created=clock.now,
                    route=self.run,
                    expires_at=expires,
                )
            )
            self.model[name] = {
                "state": "open",
                "who": None,
                "until": None,
                "expires": expires,
                "lapses": 0,
            }
            return name

        @rule(seconds=SECONDS)
        def wait(self, seconds: int) -> None:
            clock.now += timedelta(seconds=seconds)
            self._age()

        def _age(self) -> int:
            changed = 0
            for entry in self.model.values():
                before = dict(entry)
                if entry["state"] == "claimed" and entry["until"] <= clock.now:
                    entry |= {"state": "open", "who": None, "until": None}
                    entry["lapses"] += 1
                gone = entry["expires"] is not None and entry["expires"] <= clock.now
                if entry["state"] == "open" and gone:
                    entry["state"] = "expired"
                changed += entry != before
            return changed

        @rule(name=items, who=REVIEWERS, seconds=SECONDS)
        def claim(self, name: str, who: str, seconds: int) -> None:
            entry = self.model[name]
            if entry["state"] == "open" or (entry["state"], entry["who"]) == ("claimed", who):
                store.claim(name, who, seconds)
                entry |= {
                    "state": "claimed",
                    "who": who,
                    "until": clock.now + timedelta(seconds=seconds),
                }
            else:
                with pytest.raises(ReviewConflict):
                    store.claim(name, who, seconds)

        @rule(who=REVIEWERS, seconds=SECONDS)
        def claim_next(self, who: str, seconds: int) -> None:
            first = next((n for n, e in self.model.items() if e["state"] == "open"), None)
            got = store.claim_next(who, seconds, route=self.run)
            waiting = [n for n, e in self.model.items() if e["state"] == "open"]
            if first is None:
                assert got is None
                return
            # Items of one moment come in the order of their ids.
            oldest = min(waiting, key=lambda n: (store.get_review(n).item.created, n))
            assert got is not None
            assert got.id == oldest
            self.model[oldest] |= {
                "state": "claimed",
                "who": who,
                "until": clock.now + timedelta(seconds=seconds),
            }

        @rule(name=items, who=REVIEWERS)
        def release(self, name: str, who: str) -> None:
            entry = self.model[name]
            if (entry["state"], entry["who"]) == ("claimed", who):
                # Given back after its time, it is open and over at once.
                store.release(name, who)
                entry |= {"state": "open", "who": None, "until": None}
                self._age()
            else:
                with pytest.raises(ReviewConflict):
                    store.release(name, who)

        @rule(name=items, who=REVIEWERS, ruling=st.sampled_from(Ruling))
        def resolve(self, name: str, who: str, ruling: Ruling) -> None:
            entry = self.model[name]
            given = Resolution(ruling, "new" if ruling is Ruling.EDIT else None)
            if (entry["state"], entry["who"]) == ("claimed", who):
                store.resolve(name, who, given, "note")
                entry |= {"state": "resolved", "until": None}
                assert store.get_review(name).resolution == given
            else:
                with pytest.raises(ReviewConflict):
                    store.resolve(name, who, given)

        @rule()
        def sweep(self) -> None:
            store.expire()
            assert store.expire() == 0

        @invariant()
        def agrees(self) -> None:
            for name, entry in self.model.items():
                review = store.get_review(name)
                assert (review.state, review.reviewer, review.lease_until, review.lapses) == (
                    entry["state"],
                    entry["who"],
                    entry["until"],
                    entry["lapses"],
                )
                history = store.history(name)
                assert history[0].event is ReviewEvent.ENQUEUED
                assert [e.at for e in history] == sorted(e.at for e in history)
            for state in ReviewState:
                listed = {r.id for r in store.list_reviews(state, route=self.run)}
                assert listed == {n for n, e in self.model.items() if e["state"] == state}

    return Queue


def test_the_queue_against_a_model(store: SqlStore, clock: Clock) -> None:
    """Any order of steps and waiting leaves the store and a simple model alike."""
    machine = queue_machine(store, clock, itertools.count())
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


def test_what_one_replica_keeps_another_finds_for_a_while(database_url: str) -> None:
    """The newest body of a key, until its time is over; what is too big is not kept at all."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    here = open_store(database_url, clock=lambda: now)
    there = open_store(database_url, clock=lambda: now)
    assert here.kept.put("a", b"old")
    assert here.kept.put("a", b"\x00new")
    assert there.kept.get("a") == b"\x00new"
    assert there.kept.get("b") is None
    now += timedelta(minutes=59)
    assert there.kept.get("a") == b"\x00new"
    now += timedelta(minutes=2)
    assert there.kept.get("a") is None
    small = KeptTable(here.database, lambda: now, limit_bytes=3)
    assert small.put("c", b"123")
    assert not small.put("c", b"1234")
    assert there.kept.get("c") is None
    here.close()
    there.close()


def test_what_is_too_old_is_deleted(database_url: str) -> None:
    """Nobody has to ask for it."""
    from sqlalchemy import text

    now = datetime(2026, 1, 1, tzinfo=UTC)
    store = open_store(database_url, clock=lambda: now)
    store.kept.put("a", b"1")
    now += timedelta(hours=2)
    store.kept.put("b", b"2")
    with store.database.read() as connection:
        assert connection.execute(text("SELECT key FROM gr_kept")).scalars().all() == ["b"]
    store.close()
