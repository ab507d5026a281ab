"""Nothing is lost in silence: what becomes of records and answers when the store fails."""

from __future__ import annotations

import pytest

from guardrails import Disposition, Guard, Settings
from guardrails.errors import StoreUnavailable
from guardrails.settings import StoreSettings
from guardrails.store import open_store, recover
from guardrails.telemetry import Telemetry
from guardrails.testing import ScriptedLLM, ScriptedVerifier
from policies.load import load_policy

SOURCE = "Refunds are possible within 30 days of purchase."
RIGHT = "Refunds are possible within 30 days."
WRONG = "Refunds are possible within 60 days."


class Loud:
    """A logger that keeps what it is told."""

    def __init__(self):
        self.events = []

    def info(self, event, **fields):
        self.events.append((event, fields))

    warning = error = info


def guard(url, log=None, policy="balanced", **store):
    settings = Settings(store=StoreSettings(url=url, **store))
    return Guard(
        policy,
        settings=settings,
        verifier=ScriptedVerifier(),
        gateway=ScriptedLLM([RIGHT]),
        telemetry=Telemetry(logger=log or Loud()),
    )


@pytest.fixture
def broken(tmp_path):
    """A store that cannot be opened: its folder is a file."""
    (tmp_path / "file").write_text("not a folder")
    return f"sqlite:///{tmp_path / 'file' / 'records.db'}"


def test_what_a_broken_store_refuses_is_spilled_and_comes_back(tmp_path, broken, store_url):
    """The answer goes out with a note; the record is read back from the file later."""
    log, spill = Loud(), tmp_path / "spill.jsonl"
    with guard(broken, log, spill=spill) as made:
        result = made.check(RIGHT, sources=[SOURCE])
    assert result.text == RIGHT
    assert not result.report.recorded
    assert "GR307" in result.report.notes[0]
    (failure,) = [fields for event, fields in log.events if event == "groundrail.store_failed"]
    assert failure["spilled"] == str(spill)
    store = open_store(store_url)
    assert recover(store, spill).added == 1
    assert store.get(result.report.record_id).disposition is Disposition.RELEASED
    store.close()


def test_fail_keeps_the_answer_back(tmp_path, broken):
    """The operator wrote that an answer without a record is not released."""
    spill = tmp_path / "spill.jsonl"
    strict = guard(broken, spill=spill, on_error="fail")
    with strict as made, pytest.raises(StoreUnavailable) as caught:
        made.check(RIGHT, sources=[SOURCE])
    assert RIGHT not in str(caught.value)
    assert spill.exists()


def test_a_record_that_can_be_kept_nowhere_fails_the_call(tmp_path, broken):
    """Even with continue: an answer without a trace is not released."""
    nowhere = guard(broken, spill=tmp_path / "file" / "spill.jsonl")
    with nowhere as made, pytest.raises(StoreUnavailable, match="NOT kept"):
        made.check(RIGHT, sources=[SOURCE])


def test_a_spilled_review_comes_back_under_the_number_the_caller_saw(tmp_path, broken, store_url):
    """The held text names the review; it is in the queue once the store works."""
    policy = load_policy({"extends": "balanced", "on_contradicted": "review"})
    spill = tmp_path / "spill.jsonl"
    with guard(broken, policy=policy, spill=spill) as made:
        result = made.check(WRONG, sources=[SOURCE])
    assert result.report.disposition is Disposition.HELD
    assert result.report.review_id in result.text
    store = open_store(store_url)
    recover(store, spill)
    assert store.get_review(result.report.review_id).item.record_id == result.report.record_id
    store.close()


def test_the_store_is_opened_on_first_use_and_texts_only_where_asked(store_url):
    """By default a record holds digests alone."""
    for text, kept in ((False, 0), (True, 1)):
        with guard(store_url, text=text) as made:
            report = made.check(RIGHT, sources=[SOURCE]).report
        assert report.recorded
        store = open_store(store_url)
        assert store.get(report.record_id).text_stored is text
        assert (RIGHT in store.texts_of(report.record_id).values()) is bool(kept)
        store.close()


def test_without_a_store_nothing_is_recorded_and_nothing_fails():
    """And a review has nobody to go to, so the answer stays held."""
    policy = load_policy({"extends": "balanced", "on_contradicted": "review"})
    with guard(None, policy=policy) as made:
        result = made.check(WRONG, sources=[SOURCE])
    assert result.report.disposition is Disposition.HELD
    assert result.report.review_id is None
    assert any("no store" in note for note in result.report.notes)
