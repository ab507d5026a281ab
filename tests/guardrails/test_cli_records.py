"""``groundrail records``: looking, replaying, moving, recovering, forgetting."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import typer

from guardrails.cli.records import app
from guardrails.record import build_record, load_record
from guardrails.report import Attempt, Disposition, Entry, Report, RequestInfo
from guardrails.store import open_store
from guardrails.store.lines import record_line
from guardrails.store.spill import append
from policies.engine import decide
from policies.load import load_policy
from verifiers.errors import GroundrailError
from verifiers.types import Verification

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POLICY = load_policy("balanced")
SECRET = "the user's own words"


def _built(number: int, *, days: float = 0.0) -> tuple:
    decision = decide((), POLICY)
    attempt = Attempt(1, answer=SECRET, verification=Verification((), None), decision=decision)
    report = Report(
        record_id=f"rec-{number}",
        call_id=f"rec-{number}",
        choice=0,
        started=datetime.now(UTC) - timedelta(days=days),
        answer=SECRET,
        text=SECRET,
        decision=decision,
        disposition=Disposition.RELEASED,
        verification=Verification((), None),
        attempts=(attempt,),
    )
    return build_record(report, request=RequestInfo(Entry.CHECK), policy=POLICY, store_text=True)


@pytest.fixture
def filled(store_url: str) -> str:
    """A store with three records, the first of them two days old."""
    store = open_store(store_url)
    for number in range(3):
        record, texts = _built(number, days=2 - number)
        store.save(record, texts=texts)
    store.close()
    return store_url


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, store_url: str
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command; errors of ours are raised as they are."""
    monkeypatch.setenv("GROUNDRAIL_STORE__URL", store_url)

    def call(*args: str) -> tuple[int, str, str]:
        code = 0
        try:
            typer.main.get_command(app)(args=list(args), prog_name="records")
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_list(filled: str, run) -> None:
    """Newest first, filtered by action and age; an unknown action is refused."""
    code, out, _ = run("list", "--json")
    assert code == 0
    assert [row["id"] for row in json.loads(out)] == ["rec-2", "rec-1", "rec-0"]
    assert len(json.loads(run("list", "--hours", "30", "--json")[1])) == 2
    assert "Nothing there." in run("list", "--action", "refuse")[1]
    assert "rec-1" in run("list")[1]
    assert run("list", "--action", "nothing")[0] == 2


def test_show_is_a_record(filled: str, run) -> None:
    """What it prints loads again; texts only when asked for."""
    _, out, _ = run("show", "rec-1")
    assert load_record(out).id == "rec-1"
    assert SECRET not in out
    assert SECRET in json.loads(run("show", "rec-1", "--text")[1])["texts"].values()


def test_replay(filled: str, run) -> None:
    """Nothing differs under the recorded policy; another shows what it would change."""
    code, out, _ = run("replay")
    assert code == 0
    assert "3 records, 0 with another action" in out
    told = json.loads(run("replay", "--policy", "observe", "--json")[1])
    assert told["records"] == 3
    assert run("replay", "--hours", "30")[1].splitlines()[-1].startswith("2 records")


def test_a_difference_is_exit_code_1(filled: str, run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that does not replay is a bug, and CI can see it."""
    from policies.types import Action

    monkeypatch.setattr("guardrails.record.replay", lambda record: Action.REFUSE)
    code, out, _ = run("replay")
    assert code == 1
    assert "3 with another action" in out


def test_export_and_import(filled: str, run, tmp_path: Path) -> None:
    """Through a file and through a pipe; importing twice changes nothing."""
    file = tmp_path / "out.jsonl"
    assert run("export", str(file), "--text")[2] == "3 records exported\n"
    assert run("export", "-")[1].count("\n") == 4
    copy = f"sqlite:///{tmp_path / 'copy.db'}"
    assert "3 records imported, 0" in run("import", str(file), "--store", copy)[2]
    assert "0 records imported, 3" in run("import", str(file), "--store", copy)[2]
    for bad in ("import", "export"):
        with pytest.raises(GroundrailError, match="GR310"):
            run(bad, str(tmp_path / "none" / "x"))


def test_recover(filled: str, run, tmp_path: Path) -> None:
    """The store's own spill file by default, any other by name."""
    record, texts = _built(7)
    append(tmp_path / "records.db.spill.jsonl", record_line(record, texts))
    assert run("recover")[2] == "1 recovered, 0 were there already\n"
    other = tmp_path / "other.jsonl"
    other.write_text(record_line(record, texts) + "\nnonsense\n")
    assert "0 recovered, 1 were there already, 1 could not" in run("recover", str(other))[2]
    with pytest.raises(GroundrailError, match="GR310"):
        run("recover", str(tmp_path / "none"))


def test_forget_texts(filled: str, run) -> None:
    """Texts go, records stay."""
    assert run("forget-texts", "--days", "1")[2] == "0 texts deleted\n"
    assert run("forget-texts", "--days", "0")[2] == "1 texts deleted\n"
    assert json.loads(run("show", "rec-1", "--text")[1])["texts"] == {}
