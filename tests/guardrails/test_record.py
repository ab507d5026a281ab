"""Records: what goes in, what stays out, and that the same action comes out again."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from guardrails.digests import Digester, sortable_id
from guardrails.errors import RecordInvalid
from guardrails.record import (
    assessments_of,
    build_record,
    json_schema,
    load_record,
    model_of,
    redecide,
    redecide_attempt,
    replay,
)
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
from policies.engine import decide, settle
from policies.errors import PolicyInvalid
from policies.load import load_policy
from policies.types import Action, AnswerFacts, ClaimDecision, Decision, RuleHit, Spent
from verifiers.consistency import Sample, StopReason
from verifiers.types import (
    Assessment,
    Citation,
    CitationScore,
    Claim,
    ClaimKind,
    Consistency,
    Coverage,
    EvidenceSpan,
    Facet,
    Failed,
    Judgement,
    MismatchKind,
    ModelInfo,
    NLIProbs,
    NoEvidence,
    Origin,
    SampleScore,
    Scored,
    ScorerName,
    Skipped,
    SkipReason,
    Source,
    Span,
    Trust,
    ValueMismatch,
    Verification,
    WindowScore,
)

SCHEMA = Path(__file__).resolve().parents[2] / "guardrails" / "schemas" / "record-v1.json"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NO_FACTS, FIRST = AnswerFacts(), Spent()
MODEL = ModelInfo("bundled", "sha256:1", "onnx", 512, "none", "fp32/CPU", ("c", "e", "n"))

# Any code point at all: NUL, lone surrogates, astral characters.
anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
words = st.text("abc é\u4e2d", min_size=1, max_size=8)
spans = st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda t: Span(t[0], t[0] + t[1]))
# Scores sit on and beside the thresholds more often than chance would put them there.
scores = st.one_of(
    st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.6 - 1e-12, 0.75, 0.9, 1.0]),
    st.floats(0, 1),
    st.floats(allow_nan=True, allow_infinity=True),
)
source_ids = st.sampled_from(["s1", "s2", "s\x003"])
evidence = st.builds(EvidenceSpan, source_id=source_ids, span=spans, text=anything)
citations = st.builds(
    Citation, span=spans, marker=anything, target=anything, source_id=st.none() | source_ids
)


@st.composite
def coverages(draw: st.DrawFn) -> Coverage:
    windows, sources = draw(st.integers(0, 9)), draw(st.integers(0, 3))
    return Coverage(draw(st.integers(0, windows)), windows, draw(st.integers(0, sources)), sources)


outcomes = st.one_of(
    st.builds(
        Scored,
        support=scores,
        contradiction=scores,
        best_support=evidence,
        best_contradiction=evidence,
        coverage=coverages(),
        mismatches=st.lists(
            st.builds(
                ValueMismatch,
                kind=st.sampled_from(MismatchKind),
                claim_span=spans,
                evidence=evidence,
                message=anything,
            ),
            max_size=2,
        ).map(tuple),
        windows=st.lists(
            st.builds(
                WindowScore,
                source_id=source_ids,
                window=spans,
                probs=st.builds(NLIProbs, scores, scores, scores),
            ),
            max_size=3,
        ).map(tuple),
    ),
    st.builds(NoEvidence, reason=words),
    st.builds(Skipped, reason=st.sampled_from(SkipReason)),
    st.builds(Failed, code=st.just("GR106"), cause=words),
)
assessments = st.lists(
    st.builds(
        Assessment,
        claim=st.builds(
            Claim,
            id=st.sampled_from(["c1", "c2", "c3"]),
            span=spans,
            text=anything,
            kind=st.sampled_from(ClaimKind),
            sentence=spans,
            hypothesis=anything,
            facets=st.frozensets(st.sampled_from(Facet), max_size=3),
            skip=st.none() | st.sampled_from(SkipReason),
            citations=st.lists(citations, max_size=2).map(tuple),
        ),
        outcome=outcomes,
        citations=st.lists(
            st.builds(CitationScore, citation=citations, support=st.none() | scores), max_size=2
        ).map(tuple),
    ),
    max_size=4,
).map(tuple)
consistencies = st.none() | st.builds(
    Consistency,
    scorer=st.sampled_from(ScorerName),
    score=st.none() | scores,
    n=st.integers(0, 9),
    distinct=st.integers(0, 9),
    refused=st.integers(0, 3),
    empty=st.integers(0, 3),
    samples=st.lists(
        st.builds(
            SampleScore,
            st.integers(0, 9),
            st.integers(1, 9),
            scores,
            scores,
            st.none() | st.integers(0, 3),
        ),
        max_size=2,
    ).map(tuple),
    coverage=coverages(),
    entropy=st.none() | scores,
)
consistencies |= st.builds(Failed, st.just("GR330"), words)
judgements = st.none() | st.builds(
    Judgement,
    st.sampled_from(["supported", "contradicted", "unsupported"]),
    st.none() | evidence,
    words,
)
judgements |= st.builds(Failed, st.just("GR331"), words)
assessments = assessments.flatmap(
    lambda found: st.tuples(
        *(
            st.builds(replace, st.just(one), consistency=consistencies, judgement=judgements)
            for one in found
        )
    )
)
facts = st.builds(
    AnswerFacts, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans()
)
spends = st.builds(
    Spent,
    attempts=st.integers(1, 5),
    seconds=st.floats(0, 100) | st.sampled_from([math.nan, math.inf]),
    cost_usd=st.none() | st.floats(0, 2) | st.just(math.nan),
)


@st.composite
def policies(draw: st.DrawFn) -> object:
    """Presets with anything changed, as far as it loads."""
    actions = st.sampled_from([action.value for action in Action])
    rules = {
        f"on_{name}": actions
        for name in ("supported", "contradicted", "conflict", "unsupported", "no_evidence")
    } | {f"on_{name}": actions for name in ("error", "miscited", "uncited", "no_claims", "cut")}
    thresholds = st.fixed_dictionaries(
        {}, optional={"support": st.floats(0.01, 1), "contradiction": st.floats(0.01, 1)}
    )
    changes = st.fixed_dictionaries({}, optional=rules | {"thresholds": thresholds})
    body = {
        "extends": draw(st.sampled_from(["strict", "balanced", "observe"])),
        **draw(changes),
    }
    if draw(st.booleans()):
        body["limits"] = {
            "attempts": draw(st.integers(1, 6)),
            "seconds": draw(st.none() | st.floats(0.1, 120)),
            "cost_usd": draw(st.none() | st.floats(0, 2)),
        }
    if draw(st.booleans()):
        body["kinds"] = {
            draw(st.sampled_from(["number", "sentence"])): {"on_unsupported": "refuse"}
        }
    if draw(st.booleans()):
        body["consistency"] = {
            "when": draw(st.sampled_from(["no_evidence", "grey", "both"])),
            "on_consistent": draw(st.sampled_from(["supported", "keep"])),
            "on_inconsistent": draw(st.sampled_from(["unsupported", "keep"])),
        }
    if draw(st.booleans()):
        body["judge"] = {
            "when": draw(st.sampled_from(["grey", "unsupported"])),
            "floor": draw(st.floats(0, 1)),
            "may_raise": draw(st.booleans()),
        }
    if draw(st.booleans()):
        body["routes"] = {"support": {"thresholds": {"support": draw(st.floats(0.01, 1))}}}
    try:
        return load_policy(body)
    except PolicyInvalid:
        reject()


def make_report(
    found: tuple[Assessment, ...] = (),
    *,
    policy: object | None = None,
    fact: AnswerFacts = NO_FACTS,
    spent: Spent = FIRST,
    can_regenerate: bool = False,
    answer: str = "The term is 60 days.",
    **changes: object,
) -> Report:
    """A report on one answer, decided as the flow decides."""
    policy = policy or load_policy("balanced")
    route = "support" if policy.routes else None
    decision = settle(
        decide(found, policy, route=route, facts=fact),
        policy,
        spent,
        can_regenerate=can_regenerate,
    )
    verification = Verification(found, MODEL, 3, 2, {"nli": 0.1})
    attempt = Attempt(
        1,
        answer=answer,
        verification=verification,
        decision=decision,
        facts=fact,
        spent=spent,
        can_regenerate=can_regenerate,
        finish_reason="stop",
        usage=Usage(10, 5, None),
    )
    report = Report(
        record_id=sortable_id(NOW, bytes(10)),
        call_id="call-1",
        choice=0,
        started=NOW,
        answer=answer,
        text=answer,
        decision=decision,
        disposition=Disposition.RELEASED,
        verification=verification,
        attempts=(attempt,),
        sources=(Source("s1", "The term is 30 days.", title="Terms", uri="https://x.test/t"),),
        question="How long is the term?",
        usage=Usage(10, 5, None),
        seconds={"total": 0.5},
    )
    return replace(report, **changes)


def basis_of(claim: ClaimDecision) -> object:
    return getattr(claim.verdict, "basis", None)


REQUEST = RequestInfo(
    Entry.CLIENT,
    model="mock/model",
    messages=({"role": "user", "content": "How long is the term?"},),
    params={"temperature": 0.2},
    metadata={"tenant": "t1"},
)


def test_samples_are_kept_by_digest_and_their_texts_where_configured() -> None:
    """Number, distinct texts, stop reason, cost and failures in the clear; no text."""
    failure = Failure("GR304", "RateLimitError", "The model call failed.", 429)
    sampling = Sampling(
        ScorerName.NLI,
        "openai/model",
        ("c1",),
        (Sample("Paris.", logprob=-0.25), Sample("Paris."), Sample("", refused=True)),
        distinct=1,
        stop=StopReason.BUDGET,
        drawn=3,
        calls=2,
        failures=(failure,),
        usage=Usage(20, 4, 0.001),
        pairs=1,
        pairs_scored=1,
    )
    judging = Judging("openai/judge", ("c2",), 2, (failure,), Usage(90, 9, None), cost_known=False)
    report = make_report()
    attempt = replace(report.attempts[0], sampling=sampling, judging=judging, logprob=-0.5)
    report = replace(report, attempts=(attempt,))
    plain = build_record(report, request=REQUEST, policy=load_policy("balanced"))
    record = load_record(plain.record.to_json())
    kept = record.attempt.sampling
    assert kept is not None
    assert plain.texts == {}
    assert (len(kept.samples), kept.distinct, kept.stop, kept.calls) == (3, 1, "budget", 2)
    assert kept.usage.cost_usd == 0.001
    assert kept.failures[0].status == 429
    assert kept.samples[0].digest == kept.samples[1].digest == Digester()("Paris.")
    assert kept.samples[0].logprob == -0.25
    assert record.attempt.judging is not None
    assert not record.attempt.judging.cost_known
    assert record.attempt.logprob == -0.5
    full = build_record(report, request=REQUEST, policy=load_policy("balanced"), store_text=True)
    assert full.texts[kept.samples[0].digest] == "Paris."


def test_a_record_from_before_second_opinions_is_read() -> None:
    """What a record does not say was not asked for."""
    record = build_record(make_report(), request=REQUEST, policy=load_policy("balanced")).record
    old = json.loads(record.to_json())
    for attempt in old["attempts"]:
        for key in ("logprob", "sampling", "judging"):
            del attempt[key]
    for key in ("consistency", "judge"):
        del old["policy"]["body"][key]
    again = load_record(json.dumps(old))
    assert again.attempt.sampling is None
    assert replay(again) is record.action


@settings(max_examples=100)
@given(assessments, policies(), facts, spends, st.booleans())
def test_replay_gives_the_same_action(found, policy, fact, spent, can_regenerate) -> None:
    """Whatever was found and whatever the policy: the record decides as the flow did."""
    report = make_report(
        found, policy=policy, fact=fact, spent=spent, can_regenerate=can_regenerate
    )
    record = load_record(build_record(report, request=REQUEST, policy=policy).record.to_json())
    assert replay(record) is report.action
    again = redecide(record, policy)
    assert again is not None
    assert [(h.rule, h.action, h.claim_id) for h in again.hits] == [
        (h.rule, h.action, h.claim_id) for h in report.decision.hits
    ]
    assert [(c.verdict.label, c.action, basis_of(c)) for c in again.claims] == [
        (c.verdict.label, c.action, basis_of(c)) for c in report.decision.claims
    ]


@given(assessments, anything, anything)
def test_json_round_trip(found, answer, question) -> None:
    """Canonical JSON gives an equal record, and equal records give the same JSON."""
    report = make_report(found, answer=answer, question=question, text=answer)
    record = build_record(report, request=REQUEST, policy=load_policy("balanced")).record
    text = record.to_json()
    assert text.isascii()
    assert load_record(text) == record
    assert load_record(json.loads(text)).to_json() == text


@given(assessments)
def test_texts_come_back_where_they_were_stored(found) -> None:
    """With texts, the assessments are those of the time, as far as scores are numbers."""
    built = build_record(
        make_report(found), request=REQUEST, policy=load_policy("balanced"), store_text=True
    )
    verification = built.record.attempt.verification
    assert verification is not None
    assert model_of(verification) == MODEL
    for before, after in zip(found, assessments_of(verification, built.texts), strict=True):
        assert after.claim == before.claim
        if isinstance(before.outcome, Scored):
            assert after.outcome.best_support.text == before.outcome.best_support.text
            assert [m.message for m in after.outcome.mismatches] == [
                m.message for m in before.outcome.mismatches
            ]
        else:
            assert after.outcome == before.outcome


def _full() -> tuple[Report, RequestInfo, list[str]]:
    """A report in which every user text is a word of its own, and those words."""
    marks = [f"mark{n:02d}" for n in range(14)]
    (answer, hypothesis, best, worst, message, marker, target, source, title, uri) = marks[:10]
    question, feedback, text, prompt = marks[10:]
    citation = Citation(Span(0, 3), marker, target, "s1")
    found = Assessment(
        Claim(
            "c1",
            Span(0, 6),
            answer,
            ClaimKind.SENTENCE,
            Span(0, 6),
            hypothesis,
            citations=(citation,),
        ),
        Scored(
            0.2,
            0.9,
            EvidenceSpan("s1", Span(0, 6), best),
            EvidenceSpan("s1", Span(0, 6), worst),
            Coverage(1, 1, 1, 1),
            (
                ValueMismatch(
                    MismatchKind.DATE, Span(0, 4), EvidenceSpan("s1", Span(0, 6), worst), message
                ),
            ),
        ),
        (CitationScore(citation, 0.2),),
    )
    report = make_report((found,), answer=answer)
    attempt = replace(report.attempts[0], feedback=feedback)
    stamp = datetime(2025, 5, 5, tzinfo=timezone(timedelta(hours=2)))
    report = replace(
        report,
        attempts=(attempt,),
        sources=(Source("s1", source, title, uri, Origin.TOOL, Trust.EXTERNAL, stamp),),
        question=question,
        text=text,
    )
    request = replace(
        REQUEST,
        messages=(
            {"role": "user", "content": prompt},
            {"role": "user", "content": [{"type": "text", "text": prompt}], "name": prompt},
        ),
    )
    return report, request, marks


def test_no_text_unless_configured() -> None:
    """By default not one user text is in the record or beside it."""
    report, request, marks = _full()
    built = build_record(report, request=request, policy=load_policy("balanced"))
    assert built.texts == {}
    assert not built.record.text_stored
    body = built.record.to_json()
    assert [mark for mark in marks if mark in body] == []


def test_texts_beside_the_record_where_configured() -> None:
    """With text switched on, every text is kept under the digest the record has; still not in it."""
    report, request, marks = _full()
    built = build_record(report, request=request, policy=load_policy("balanced"), store_text=True)
    body = built.record.to_json()
    assert [mark for mark in marks if mark in body] == []
    kept = list(built.texts.values())
    assert [mark for mark in marks if mark not in kept] == []
    assert all(Digester()(text) == name and name in body for name, text in built.texts.items())


def test_whole_sources_can_be_left_out() -> None:
    """Evidence is kept without the sources around it, where so configured."""
    report, request, marks = _full()
    built = build_record(
        report,
        request=request,
        policy=load_policy("balanced"),
        store_text=True,
        store_sources=False,
    )
    assert marks[7] not in built.texts.values()
    assert marks[2] in built.texts.values()


def test_keyed_digests() -> None:
    """A key changes every digest and shows in it; replay does not need it."""
    report, request, _ = _full()
    policy = load_policy("balanced")
    plain = build_record(report, request=request, policy=policy).record
    keyed = build_record(report, request=request, policy=policy, key=b"secret").record
    assert plain.delivered.digest.startswith("v1:b2:")
    assert keyed.delivered.digest.startswith("v1:b2k:")
    assert replay(keyed) is replay(plain)
    assert "secret" not in repr(Digester(b"secret"))


def test_digest_is_what_the_docs_say() -> None:
    """``v1:b2:`` and BLAKE2b-256 of UTF-8, as ``b2sum -l 256`` prints it."""
    expected = hashlib.blake2b("Tromsø".encode(), digest_size=32).hexdigest()
    assert Digester()("Tromsø") == f"v1:b2:{expected}"
    assert Digester(b"k" * 80)("x") == Digester(hashlib.blake2b(b"k" * 80).digest())("x")


@given(st.lists(anything, min_size=2, max_size=2, unique=True), st.binary(max_size=80))
def test_digests_differ_where_texts_do(pair, key) -> None:
    """Two texts, lone surrogates included, never share a digest."""
    digester = Digester(key or None)
    assert digester(pair[0]) != digester(pair[1])


def test_a_regenerated_answer_shows_both_attempts() -> None:
    """The record holds each attempt with its own findings, and replays each."""
    policy = load_policy("balanced")
    bad = _full()[0].verification.assessments
    first = decide(bad, policy)
    assert first.action is Action.REGENERATE
    final = make_report(policy=policy, spent=Spent(2, 1.0), can_regenerate=True)
    attempt = Attempt(
        1,
        answer="wrong",
        verification=Verification(bad, MODEL),
        decision=first,
        spent=Spent(1, 0.5),
        can_regenerate=True,
    )
    second = replace(final.attempts[0], number=2, feedback="the term is wrong")
    report = replace(final, attempts=(attempt, second), answered=1)
    record = build_record(report, request=REQUEST, policy=policy).record
    assert [a.decision.action for a in record.attempts] == [Action.REGENERATE, report.action]
    assert replay(record) is report.action
    assert redecide_attempt(record, 0, policy).action is Action.REGENERATE


@pytest.mark.parametrize(
    "spent",
    [Spent(1, 1.0, 0.1), Spent(2, 1.0, 0.1), Spent(1, 9.0, 0.1), Spent(1, 1.0, 0.9), Spent(1)],
)
@pytest.mark.parametrize("can_regenerate", [True, False])
def test_replay_depends_on_the_budget(spent: Spent, can_regenerate: bool) -> None:
    """Attempts, seconds, cost, and cost not known: each comes back as it was."""
    limits = {"attempts": 2, "seconds": 5.0, "cost_usd": 0.5}
    policy = load_policy({"extends": "balanced", "limits": limits})
    bad = _full()[0].verification.assessments
    report = make_report(bad, policy=policy, spent=spent, can_regenerate=can_regenerate)
    allowed = can_regenerate and spent == Spent(1, 1.0, 0.1)
    assert (report.action is Action.REGENERATE) == allowed
    assert replay(build_record(report, request=REQUEST, policy=policy).record) is report.action


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["support", "contradiction", "windows"])
def test_a_score_that_is_no_number_stays_an_error(bad: float, where: str) -> None:
    """JSON has no NaN; what it stands for is no probability either."""
    found = _full()[0].verification.assessments[0]
    window = WindowScore("s1", Span(0, 6), NLIProbs(0.1, bad, 0.1))
    change = {"windows": (window,)} if where == "windows" else {where: bad}
    found = replace(found, outcome=replace(found.outcome, **change))
    policy = load_policy("strict")
    report = make_report((found,), policy=policy)
    record = load_record(build_record(report, request=REQUEST, policy=policy).record.to_json())
    again = redecide(record, policy)
    assert again.claims[0].verdict.label == report.verdicts[0].label == "error"


def test_replay_follows_the_route() -> None:
    """The route's own rules decide again, not the policy's general ones."""
    policy = load_policy(
        {"extends": "observe", "routes": {"support": {"on_contradicted": "refuse"}}}
    )
    report = make_report(_full()[0].verification.assessments, policy=policy)
    assert report.action is Action.REFUSE
    assert replay(build_record(report, request=REQUEST, policy=policy).record) is Action.REFUSE


def test_a_failed_call_is_recorded_and_refuses() -> None:
    """No answer: the failure is in the record, nothing was verified, and replay refuses."""
    policy = load_policy("observe")
    failure = Failure("GR304", "APIConnectionError", "the provider cut the connection", 502)
    decision = Decision(
        Action.REFUSE,
        (),
        (RuleHit("call", Action.REFUSE, "there is no answer"),),
        policy.name,
        policy.digest,
    )
    report = replace(
        make_report(policy=policy),
        attempts=(Attempt(1, failure=failure),),
        decision=decision,
        disposition=Disposition.FAILED,
        answer="",
        text="",
        verification=Verification((), None),
    )
    record = load_record(build_record(report, request=REQUEST, policy=policy).record.to_json())
    assert record.failed
    assert record.attempt.failure.status == 502
    assert record.usage.cost_usd is None
    assert replay(record) is Action.REFUSE
    assert redecide(record, policy) is None


def test_redecide_under_another_policy() -> None:
    """The findings are decided again, by the policy given."""
    report, request, _ = _full()
    record = build_record(report, request=request, policy=load_policy("balanced")).record
    assert redecide(record, load_policy("observe")).action is Action.ANNOTATE
    assert redecide(record, load_policy("strict")).action.severity >= replay(record).severity


def test_an_unreadable_policy_is_said_to_be_one() -> None:
    """A policy from the future makes no guess."""
    record = build_record(make_report(), request=REQUEST, policy=load_policy("balanced")).record
    value = json.loads(record.to_json())
    value["policy"]["body"]["on_everything"] = "pass"
    with pytest.raises(RecordInvalid, match=r"GR312.*policy 'balanced'.*redecide"):
        replay(load_record(value))


def _broken(**changes: object) -> str:
    record = build_record(make_report(), request=REQUEST, policy=load_policy("balanced")).record
    return json.dumps({**json.loads(record.to_json()), **changes})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "`version` was expected"),
        ("{}", "`version` was expected"),
        (_broken(version=2), "version 2; this release reads version 1.*Upgrade"),
        (_broken(version="1"), "version str"),
        (_broken(version=True), "version bool"),
        (_broken(surplus="secret words"), "surplus: extra_forbidden"),
        (_broken(action="secret words"), "action: enum"),
        (_broken(choice="0"), "choice: int_type"),
        (_broken(answered=7), "record: value_error"),
        (_broken(created="2026-01-01T00:00:00"), "created: timezone_aware"),
        (_broken(seconds={"total": math.nan}), "numbers JSON does not have"),
    ],
)
def test_what_is_no_record_is_refused(text: str, says: str) -> None:
    """Each bad record is a clear error that quotes nothing of it."""
    with pytest.raises(RecordInvalid, match=says) as caught:
        load_record(text)
    assert "secret words" not in str(caught.value)
    assert caught.value.hint


def test_a_report_that_cannot_be_recorded_is_an_error() -> None:
    """Named places, no values."""
    report = make_report(started=datetime(2026, 1, 1), question="secret words")  # noqa: DTZ001
    with pytest.raises(RecordInvalid, match="unusable: created") as caught:
        build_record(report, request=REQUEST, policy=load_policy("balanced"))
    assert "secret" not in str(caught.value)


def test_the_published_schema_is_the_models() -> None:
    """The file in the package is what the documented command prints."""
    assert json.loads(SCHEMA.read_text("utf-8")) == json.loads(json.dumps(json_schema()))
    printed = subprocess.run(
        [sys.executable, "-m", "guardrails.record"],
        capture_output=True,
        text=True,
        check=True,
        cwd=SCHEMA.parents[2],
    )
    assert printed.stdout == SCHEMA.read_text("utf-8")


def test_records_hold_to_the_published_schema() -> None:
    """An independent validator agrees, and catches what it should."""
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    report, request, _ = _full()
    record = build_record(report, request=request, policy=load_policy("strict")).record
    assert list(validator.iter_errors(json.loads(record.to_json()))) == []
    assert list(validator.iter_errors(json.loads(_broken(surplus=1)))) != []


def test_ids_sort_by_time() -> None:
    """Later ids are greater; ids of one moment differ by their entropy."""
    later = NOW + timedelta(milliseconds=1)
    assert sortable_id(NOW, b"\xff" * 10) < sortable_id(later, bytes(10))
    assert sortable_id(NOW, bytes(10)) != sortable_id(NOW, b"\x01" + bytes(9))
    assert sortable_id(NOW, bytes(10))[14] == "7"
    with pytest.raises(ValueError):
        sortable_id(datetime(2026, 1, 1), bytes(10))  # noqa: DTZ001
