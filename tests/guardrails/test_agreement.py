"""Verifiers against reviewers, and how second opinions look on the review page."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from guardrails.agreement import Agreement, agreement
from guardrails.cli.app import main
from guardrails.record import build_record
from guardrails.report import (
    Attempt,
    Disposition,
    Entry,
    Failure,
    Judging,
    Report,
    RequestInfo,
    Sampling,
    Usage,
)
from guardrails.review import ClaimRuling, Delivery, NewReview, Resolution, ReviewState, Ruling
from guardrails.store import open_store
from policies.engine import decide
from policies.load import load_policy
from policies.types import Action
from verifiers.consistency import Sample, StopReason
from verifiers.types import (
    Assessment,
    Claim,
    ClaimKind,
    Consistency,
    Coverage,
    EvidenceSpan,
    Failed,
    Judgement,
    NLIProbs,
    NoEvidence,
    Scored,
    ScorerName,
    Source,
    Span,
    Verification,
    WindowScore,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = load_policy(
    {"extends": "balanced", "consistency": {"when": "both"}, "judge": {"when": "unsupported"}}
)
TEXT = "Ferries run hourly. Dogs pay half."
PLACE = EvidenceSpan("s", Span(0, 19), "Ferries run hourly.")


def claim(number):
    span = Span(number * 10, number * 10 + 5)
    return Claim(f"c{number}", span, f"Text{number}", ClaimKind.SENTENCE, span, f"Text{number}")


def scored(support):
    window = WindowScore("s", Span(0, 34), NLIProbs(support, 1 - support, 0.0))
    return Scored(support, 0.0, PLACE, PLACE, Coverage(1, 1, 1, 1), windows=(window,))


def consistent(score, n=5):
    return Consistency(ScorerName.NLI, score, n, 2, refused=1)


FOUND = (
    Assessment(claim(1), scored(0.9)),  # reading: yes
    Assessment(claim(2), scored(0.4), judgement=Judgement("supported", PLACE, "j")),
    Assessment(claim(3), scored(0.2), judgement=Judgement("unsupported", None, "j")),
    Assessment(claim(4), scored(0.35), judgement=Failed("GR331", "two passes differ")),
    Assessment(claim(5), NoEvidence("none"), consistency=consistent(0.95)),
    Assessment(claim(6), NoEvidence("none"), consistency=consistent(0.05)),
    Assessment(claim(7), NoEvidence("none"), consistency=Failed("GR330", "the calls failed")),
)


def report():
    decision = decide(FOUND, POLICY)
    verification = Verification(FOUND, None)
    failure = Failure("GR304", "RateLimitError", "The model call failed.", 429)
    sampling = Sampling(
        ScorerName.NLI,
        "openai/m",
        ("c5", "c6", "c7"),
        (Sample("One answer."), Sample("One answer."), Sample("", refused=True)),
        distinct=1,
        stop=StopReason.BUDGET,
        drawn=3,
        calls=2,
        failures=(failure,),
        usage=Usage(20, 6, 0.00125),
    )
    judging = Judging("openai/j", ("c2", "c3", "c4"), 2, (), Usage(900, 40, None), cost_known=False)
    attempt = Attempt(
        1,
        answer=" " * 90,
        verification=verification,
        decision=decision,
        sampling=sampling,
        judging=judging,
    )
    return Report(
        record_id="rec-1",
        call_id="rec-1",
        choice=0,
        started=NOW,
        answer=" " * 90,
        text="held",
        decision=decision,
        disposition=Disposition.HELD,
        verification=verification,
        attempts=(attempt,),
        sources=(Source("s", TEXT),),
    )


@pytest.fixture
def reviewed(store_url):
    """A store with one resolved review, every claim labelled."""
    store = open_store(store_url)
    built = build_record(report(), request=RequestInfo(Entry.CHECK), policy=POLICY, store_text=True)
    store.save(built.record, texts=built.texts)
    names = tuple(f"c{n}" for n in range(1, 8))
    store.enqueue(NewReview("rec-1", "rec-1", NOW, Delivery.HELD, Action.REVIEW, (), names))
    store.claim("rec-1", "ann", 60)
    says = {"c1": "supported", "c2": "unsupported", "c3": "contradicted", "c4": "supported"}
    says |= {"c5": "supported", "c6": "supported", "c7": "unsure"}
    labels = tuple((name, ClaimRuling(label)) for name, label in says.items())
    store.resolve("rec-1", "ann", Resolution(Ruling.REJECT, labels=labels))
    yield store
    store.close()


def rows(store):
    (review,) = store.list_reviews(ReviewState.RESOLVED)
    return {row.verifier: row for row in agreement([(review, store.get("rec-1"))])}


def test_every_verifier_is_measured_on_what_it_was_asked(reviewed):
    """Failures count as no answer; unsure reviewers do not count."""
    found = rows(reviewed)
    assert found["reading"] == Agreement("reading", 6, 4, 1, 2, 0, 1)
    assert found["judge"] == Agreement("judge", 3, 2, 0, 1, 1, 0)
    assert found["samples"] == Agreement("samples", 2, 2, 1, 0, 0, 1)
    assert found["final"] == Agreement("final", 6, 6, 2, 1, 1, 2)


def test_shares_intervals_and_kappa():
    """By hand: 8 of 10, Wilson's interval, and agreement beyond chance."""
    row = Agreement("judge", 12, 10, both_supported=4, both_not=4, missed=1, flagged=1)
    assert row.share == 0.8
    low, high = row.interval
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert row.kappa == pytest.approx(0.6)
    nothing = Agreement("judge", 3)
    assert (nothing.share, nothing.interval, nothing.kappa) == (None, None, None)
    assert Agreement("judge", 2, 2, both_supported=2).kappa is None


@pytest.fixture
def run(reviewed, store_url, capsys, monkeypatch):
    monkeypatch.setenv("GROUNDRAIL_STORE__URL", store_url)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*args):
        with pytest.raises(SystemExit) as stop:
            main(["review", *args])
        assert not stop.value.code
        return capsys.readouterr().out

    return call


def test_the_table_for_people_and_for_programs(run):
    """One line a verifier, and what the figures are not."""
    text = run("agreement")
    assert "judge" in text
    assert "not a fair draw" in text
    told = {row["verifier"]: row for row in json.loads(run("agreement", "--json"))}
    assert told["judge"]["agreement"] == 0.5
    assert set(told) == {"reading", "samples", "judge", "final"}


def test_nothing_labelled_is_said(store_url, monkeypatch, capsys):
    """No table of zeros."""
    open_store(store_url).close()
    monkeypatch.setenv("GROUNDRAIL_STORE__URL", store_url)
    with pytest.raises(SystemExit):
        main(["review", "agreement"])
    assert "No claim was labelled" in capsys.readouterr().out


def test_the_review_page_shows_samples_and_judge(run):
    """What each said, what the verdict rests on, why sampling stopped, what it cost."""
    text = run("show", "rec-1")
    for part in (
        "c5 consistent",
        "consistent with 5 samples (not checked against a source)",
        "not consistent with 5 samples (not checked against a source)",
        "samples of the answer could not be had (not checked against a source)",
        "by a judge that read the sources",
        'quoted s 0:19 "Ferries run hourly."',
        "judge: GR331 two passes differ",
        "samples: agreement 0.950 of 5 read (2 distinct, 1 silent), scorer nli",
        "3 compared, 1 distinct, 3 drawn (openai/m); stopped: budget, 20+6 tokens, $0.001250",
        '"One answer."',
        "2 (declined)",
        "failed: GR304",
        "openai/j, 3 claims, 2 calls, 900+40 tokens (not all of the cost is known)",
    ):
        assert part in text, part
    assert text.count('"One answer."') == 1


def test_a_report_as_data_has_all_of_it():
    """For the proxy and for programs."""
    told = replace(report(), recorded=True).to_dict()
    json.dumps(told)
    sampling = told["attempts"][0]["sampling"]
    assert (sampling["stop"], sampling["distinct"], len(sampling["samples"])) == ("budget", 1, 3)
    assert told["attempts"][0]["judging"]["cost_known"] is False
    assert told["usage_by"]["samples"]["cost_usd"] == 0.00125
    claims = {entry["id"]: entry for entry in told["claims"]}
    assert claims["c5"]["basis"] == "consistency"
    assert claims["c5"]["consistency"]["n"] == 5
    assert claims["c2"]["basis"] == "judge"
