"""``groundrail review``: what people and programs see, and its exit codes."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from guardrails.cli.app import main
from guardrails.record import build_record
from guardrails.report import Attempt, Disposition, Entry, Report, RequestInfo
from guardrails.review import Delivery, NewReview, Reason, ReviewState
from guardrails.store import open_store
from policies.engine import decide
from policies.load import load_policy
from policies.types import Action
from verifiers.types import (
    Assessment,
    Claim,
    ClaimKind,
    Coverage,
    EvidenceSpan,
    MismatchKind,
    Scored,
    Skipped,
    SkipReason,
    Source,
    Span,
    ValueMismatch,
    Verification,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime.now(UTC)
ANSWER = "Hello. The term is 60 days.\x1b[31m"
SOURCE = "The term is 30 days."
POLICY = load_policy("strict")

Result = tuple[int, str, str]


def _report() -> Report:
    greeting = Claim(
        "c1",
        Span(0, 6),
        "Hello.",
        ClaimKind.SENTENCE,
        Span(0, 6),
        "Hello.",
        skip=SkipReason.GREETING,
    )
    text = "The term is 60 days."
    wrong = Claim("c2", Span(7, 27), text, ClaimKind.SENTENCE, Span(7, 27), text)
    evidence = EvidenceSpan("terms.md", Span(0, 20), SOURCE)
    mismatch = ValueMismatch(
        MismatchKind.DURATION, Span(19, 26), evidence, "claim says 60 days, source says 30 days"
    )
    found = (
        Assessment(greeting, Skipped(SkipReason.GREETING)),
        Assessment(wrong, Scored(0.9, 0.95, evidence, evidence, Coverage(1, 1, 1, 1), (mismatch,))),
    )
    decision = decide(found, POLICY)
    verification = Verification(found, None)
    return Report(
        record_id="rec-1",
        call_id="rec-1",
        choice=0,
        started=NOW,
        answer=ANSWER,
        text="A person is looking.",
        decision=decision,
        disposition=Disposition.HELD,
        verification=verification,
        attempts=(Attempt(1, answer=ANSWER, verification=verification, decision=decision),),
        sources=(Source("terms.md", SOURCE),),
        question="How long?",
    )


@pytest.fixture
def store_with(store_url: str) -> Callable[..., str]:
    """A store with one record and its review; with or without texts."""

    def make(*, text: bool = True, record: bool = True) -> str:
        store = open_store(store_url)
        built = build_record(
            _report(), request=RequestInfo(Entry.CHECK), policy=POLICY, store_text=text
        )
        if record:
            store.save(built.record, texts=built.texts)
        item = NewReview(
            "rec-1",
            "rec-1",
            NOW,
            Delivery.HELD,
            Action.REVIEW,
            (Reason("on_conflict", "The sources disagree.", "c2"), Reason("on_uncited", "m")),
            ("c1", "c2"),
            "billing",
        )
        store.enqueue(item)
        store.enqueue(
            replace(item, id="rec-0", created=NOW - timedelta(days=2), expires_at=NOW, route=None)
        )
        store.close()
        return store_url

    return make


@pytest.fixture
def run(
    store_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Runs the command as the shell would and gives its exit code, stdout and stderr."""
    monkeypatch.setenv("GROUNDRAIL_STORE__URL", store_url)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*args: str) -> Result:
        with pytest.raises(SystemExit) as stop:
            main(["review", *args])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


def _load(result: Result) -> object:
    assert result[0] == 0, result
    return json.loads(result[1])


def test_list_shows_what_waits(store_with, run) -> None:
    """Open items by default; the state as it is now; the id whole."""
    store_with()
    code, out, _ = run("list")
    assert code == 0
    assert "rec-1" in out
    assert "on_conflict +1" in out
    assert "rec-0" not in out
    both = _load(run("list", "--state", "all", "--json"))
    assert [(r["id"], r["state"]) for r in both] == [("rec-1", "open"), ("rec-0", "expired")]
    assert _load(run("list", "--route", "other", "--json")) == []
    assert "Nothing is claimed." in run("list", "--state", "claimed")[1]


def test_show_with_texts(store_with, run) -> None:
    """The answer, each claim with scores and evidence quoted, why it is here; nothing executed."""
    store_with()
    code, out, _ = run("show", "rec-1")
    assert code == 0
    for part in (
        "The sources disagree.",
        '"How long?"',
        "The term is 60 days.",
        "c2 conflict  support 0.900  contradiction 0.950",
        'terms.md 0:20 "The term is 30 days."',
        "claim says 60 days, source says 30 days",
        "c1 not checkworthy",
        "enqueued",
    ):
        assert part in out
    assert "\x1b" not in out


def test_show_without_texts(store_with, run) -> None:
    """Places and digests, no text, and how to switch texts on."""
    store_with(text=False)
    code, out, _ = run("show", "rec-1")
    assert code == 0
    assert "60 days" not in out
    assert "answer 7:27, v1:b2:" in out
    assert "the duration differs" in out
    assert "GROUNDRAIL_STORE__TEXT=true" in out


def test_show_without_a_record(store_with, run) -> None:
    """A spilled record is said to be missing; the item is shown all the same."""
    store_with(record=False)
    code, out, _ = run("show", "rec-1")
    assert code == 0
    assert "record cannot be shown" in out
    full = _load(run("show", "rec-1", "--json"))
    assert full["record"] is None
    assert full["review"]["reasons"][0]["rule"] == "on_conflict"


def test_show_as_json(store_with, run) -> None:
    """The whole record, its texts and the history."""
    store_with()
    full = _load(run("show", "rec-1", "--json"))
    assert full["record"]["id"] == "rec-1"
    assert ANSWER in full["texts"].values()
    assert [entry["event"] for entry in full["history"]] == ["enqueued"]


def test_claim_release_and_claim_again(store_with, run) -> None:
    """What one holds another cannot take, and says so with code GR311 and exit code 2."""
    store_with()
    assert "claimed by ann until" in run("claim", "rec-1", "--as", "ann")[1]
    code, out, err = run("claim", "rec-1", "--as", "bob", "--json")
    assert code == 2
    assert "GR311" in err
    assert json.loads(out)["error"]["code"] == "GR311"
    assert run("release", "rec-1", "--as", "bob")[0] == 2
    assert "open" in run("release", "rec-1", "--as", "ann")[1]
    taken = _load(run("claim", "--next", "--as", "bob", "--minutes", "1", "--json"))
    assert (taken["id"], taken["reviewer"]) == ("rec-1", "bob")
    assert run("claim", "--next", "--as", "eve")[0] == 2


def test_resolve_claims_what_is_open(store_with, run) -> None:
    """Ruling, labels and note are kept under the reviewer's name."""
    url = store_with()
    done = _load(
        run(
            "resolve", "rec-1", "--reject", "--label", "c2=contradicted", "--label", "c1=unsure",
            "--note", "thirty days", "--as", "ann", "--json",
        )
    )  # fmt: skip
    assert done["resolution"] == {
        "ruling": "reject",
        "text": None,
        "labels": {"c2": "contradicted", "c1": "unsure"},
        "note": "thirty days",
    }
    assert run("resolve", "rec-1", "--approve", "--as", "ann")[0] == 2
    assert "reject by ann" in run("show", "rec-1")[1]
    store = open_store(url)
    assert [entry.event for entry in store.history("rec-1")] == ["enqueued", "claimed", "resolved"]
    store.close()


def test_resolve_with_an_edited_text(store_with, run, tmp_path: Path) -> None:
    """From a file; an empty or binary one is refused and changes nothing."""
    url = store_with()
    good, empty, binary = (tmp_path / name for name in ("good", "empty", "binary"))
    good.write_text("The term is 30 days.\n", "utf-8")
    empty.write_text(" \n")
    binary.write_bytes(b"\xff\xfe\x00")
    for bad in (empty, binary, tmp_path / "none"):
        code, _, err = run("resolve", "rec-1", "--edit", str(bad))
        assert code == 2
        assert "GR310" in err
    store = open_store(url)
    assert store.get_review("rec-1").state is ReviewState.OPEN
    store.close()
    done = _load(run("resolve", "rec-1", "--edit", str(good), "--as", "ann", "--json"))
    assert done["resolution"]["text"] == "The term is 30 days."


def test_an_edit_from_standard_input(store_with, run, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--edit -`` reads the text that is piped in."""
    import io

    store_with()
    piped = io.TextIOWrapper(io.BytesIO("Dreißig Tage.\n".encode()))
    monkeypatch.setattr(sys, "stdin", piped)
    done = _load(run("resolve", "rec-1", "--edit", "-", "--as", "ann", "--json"))
    assert done["resolution"]["text"] == "Dreißig Tage."


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("resolve", "rec-1"), "exactly one of"),
        (("resolve", "rec-1", "--approve", "--reject"), "exactly one of"),
        (("resolve", "rec-1", "--approve", "--label", "c2"), "CLAIM=LABEL"),
        (("resolve", "rec-1", "--approve", "--label", "c2=perhaps"), "CLAIM=LABEL"),
        (("resolve", "rec-1", "--approve", "--label", "c9=unsure"), "has no claim c9"),
        (("claim",), "either an ID or --next"),
        (("claim", "rec-1", "--next"), "either an ID or --next"),
        (("claim", "rec-1", "--minutes", "0"), "lease"),
        (("claim", "rec-1", "--as", " "), "name"),
        (("show", "nowhere"), "GR311"),
    ],
)
def test_wrong_usage_is_exit_code_2(store_with, run, args: tuple[str, ...], says: str) -> None:
    """Each says what is wrong on stderr, and nothing is resolved."""
    url = store_with()
    code, _, err = run(*args)
    assert code == 2
    assert says in " ".join(err.replace("│", " ").split())
    store = open_store(url)
    assert store.get_review("rec-1").state is not ReviewState.RESOLVED
    store.close()


def test_no_store_is_not_made_by_looking(run, store_url: str, tmp_path: Path) -> None:
    """A path with a typing error is no empty queue."""
    code, _, err = run("list")
    assert code == 3
    assert "GR307" in err
    assert "there is no store at" in err
    assert not (tmp_path / "records.db").exists()


@pytest.mark.parametrize("command", ["list", "show", "claim", "release", "resolve"])
def test_help_teaches(run, command: str) -> None:
    """Every command's help has an example to paste."""
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"groundrail review {command}" in out
