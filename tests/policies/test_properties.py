"""What holds for every policy and every answer: totality, monotonicity, order, round trips."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from typing import Any

import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from policies.engine import (
    Judged,
    counts_as_unsupported,
    decide,
    explain,
    explain_json,
    rules_of,
    settle,
)
from policies.errors import PolicyInvalid
from policies.lint import lint
from policies.load import load_policy, parse_policy
from policies.schema import Policy
from policies.types import Action, AnswerFacts, Spent
from verifiers.aggregate import judge
from verifiers.types import (
    Assessment,
    CheckError,
    Citation,
    CitationScore,
    Claim,
    ClaimKind,
    Consistency,
    ConsistencyThresholds,
    Contradicted,
    Coverage,
    EvidenceSpan,
    Facet,
    Failed,
    Judgement,
    JudgeThresholds,
    MismatchKind,
    NLIProbs,
    NoEvidence,
    Outcome,
    Scored,
    ScorerName,
    Skipped,
    SkipReason,
    Span,
    Supported,
    Thresholds,
    Unsupported,
    Unverifiable,
    ValueMismatch,
    WindowScore,
)

any_float = st.floats() | st.sampled_from([0.0, 0.4, 0.5, 0.6, 0.8, 1.0])
probability = st.floats(0, 1) | st.sampled_from([0.0, 0.4, 0.5, 0.6, 0.8, 1.0])
spans = st.builds(
    lambda start, length: Span(start, start + length), st.integers(0, 300), st.integers(1, 90)
)
places = st.builds(EvidenceSpan, st.sampled_from("st"), spans, st.just("x"))
mismatches = st.builds(
    ValueMismatch, st.sampled_from(MismatchKind), spans, places, st.just("differs")
)
citations = st.builds(
    CitationScore,
    st.builds(Citation, spans, st.just("[1]"), st.just("1"), st.none() | st.just("s")),
    st.none() | probability,
)


def scored(number: st.SearchStrategy[float]) -> st.SearchStrategy[Scored]:
    return st.builds(
        Scored,
        number,
        number,
        places,
        places,
        st.builds(lambda a, b: Coverage(min(a, b), max(a, b), 1, 1), *[st.integers(0, 9)] * 2),
        st.lists(mismatches, max_size=2).map(tuple),
        st.lists(
            st.builds(
                WindowScore, st.sampled_from("st"), spans, st.builds(NLIProbs, *[probability] * 3)
            ),
            max_size=3,
        ).map(tuple),
    )


not_scored: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(NoEvidence, st.just("There were no sources.")),
    st.builds(Skipped, st.sampled_from(SkipReason)),
    st.builds(Failed, st.just("GR106"), st.just("The model failed.")),
)
claims = st.builds(
    lambda number, span, kind, facets, marks: Claim(
        f"c{number}", span, "x", kind, span, "x", frozenset(facets), None, tuple(marks)
    ),
    st.integers(1, 99),
    spans,
    st.sampled_from(ClaimKind),
    st.sets(st.sampled_from(Facet), max_size=3),
    st.lists(citations.map(lambda score: score.citation), max_size=1),
)


no_answer = st.none() | st.builds(Failed, st.just("GR330"), st.just("The calls failed."))
consistencies = no_answer | st.builds(
    Consistency,
    st.sampled_from(ScorerName),
    st.none() | any_float,
    st.integers(0, 9),
    st.integers(0, 9),
)
judgements = no_answer | st.builds(
    Judgement,
    st.sampled_from(["supported", "contradicted", "unsupported"]),
    st.none() | places,
    st.just("judge"),
)


def assessments(
    outcomes: st.SearchStrategy[Outcome] | None = None,
) -> st.SearchStrategy[Assessment]:
    return st.builds(
        Assessment,
        claims,
        outcomes if outcomes is not None else scored(any_float) | not_scored,
        st.lists(citations, max_size=2).map(tuple),
        consistencies,
        judgements,
    )


facts = st.builds(AnswerFacts, *[st.booleans()] * 5)
spents = st.builds(
    Spent,
    st.integers(0, 12),
    st.floats(0, 200) | st.just(float("nan")),
    st.none() | st.floats(0, 5) | st.just(float("nan")),
)

A = st.sampled_from(Action).map(lambda action: action.value)
GENTLE = st.sampled_from(["pass", "annotate", "review"])
UNCHECKED = st.sampled_from(["pass", "annotate", "redact", "review", "refuse"])
ANSWER = st.sampled_from(["pass", "annotate", "regenerate", "review", "refuse"])
LIMIT = st.sampled_from(["annotate", "redact", "regenerate", "review", "refuse"])
threshold = st.floats(0, 1, exclude_min=True) | st.sampled_from([0.4, 0.6, 1.0])
threshold_tables = st.fixed_dictionaries(
    {}, optional={"support": threshold, "contradiction": threshold}
)
limits = st.fixed_dictionaries(
    {},
    optional={
        "attempts": st.integers(1, 10),
        "seconds": st.none() | st.floats(0.1, 100),
        "cost_usd": st.none() | st.floats(0, 3),
    },
)
answers = st.fixed_dictionaries(
    {},
    optional={
        "max_unsupported": st.none() | st.integers(0, 4),
        "max_unsupported_share": st.none() | st.floats(0, 1),
        "action": LIMIT,
        "after_attempts": UNCHECKED,
    },
)
CLAIM_RULES: dict[str, st.SearchStrategy[Any]] = {
    "thresholds": threshold_tables,
    "on_supported": GENTLE,
    "on_contradicted": A,
    "on_conflict": A,
    "on_unsupported": A,
    "on_no_evidence": UNCHECKED,
    "on_error": UNCHECKED,
    "on_miscited": A,
    "on_uncited": A,
}
kinds = st.dictionaries(
    st.sampled_from([*ClaimKind, *Facet]).map(lambda kind: kind.value),
    st.fixed_dictionaries({}, optional=CLAIM_RULES),
    max_size=3,
)
WHOLE: dict[str, st.SearchStrategy[Any]] = {
    **CLAIM_RULES,
    "on_no_claims": ANSWER,
    "on_empty": ANSWER,
    "on_refused": ANSWER,
    "on_cut": ANSWER,
    "kinds": kinds,
    "answer": answers,
    "limits": limits,
    "after_attempts": UNCHECKED,
    "refusal": st.just("No."),
    "review": st.fixed_dictionaries({}, optional={"hold": st.booleans()}),
    "blocked": st.sampled_from(["respond", "raise"]),
    "consistency": st.fixed_dictionaries(
        {},
        optional={
            "when": st.sampled_from(["never", "no_evidence", "grey", "both"]),
            "on_consistent": st.sampled_from(["supported", "keep"]),
            "on_inconsistent": st.sampled_from(["unsupported", "keep"]),
        },
    ),
    "judge": st.fixed_dictionaries(
        {},
        optional={
            "when": st.sampled_from(["never", "grey", "unsupported"]),
            "floor": st.floats(0, 1),
            "may_raise": st.booleans(),
            "may_lower": st.booleans(),
        },
    ),
}
ROUTES = ("billing", "chat")


def _load(body: dict[str, Any]) -> Policy:
    """The policy, made orderly: where it is not, the gentle rules give way."""
    for table in [body, *body.get("kinds", {}).values()]:
        table.pop("on_supported", None)
        table.pop("on_no_claims", None)
    for route in body.get("routes", {}).values():
        for table in [route, *route.get("kinds", {}).values()]:
            table.pop("on_supported", None)
            table.pop("on_no_claims", None)
    return load_policy(body)


bodies: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        **WHOLE,
        "routes": st.dictionaries(
            st.sampled_from(ROUTES), st.fixed_dictionaries({}, optional=WHOLE), max_size=2
        ),
    },
)


def _ordered(body: dict[str, Any]) -> Policy | None:
    """The policy, or None where it is not ordered; any other refusal is the generator's fault."""
    try:
        return load_policy(body)
    except PolicyInvalid as error:
        if all("more severe than" in problem.message for problem in error.problems):
            return None
        raise


# Mostly what the generator gives; where that is not ordered, the same without its gentle rules.
policies = bodies.map(lambda body: _ordered(body) or _load(body))
presets = st.sampled_from(["strict", "balanced", "observe"]).map(load_policy)


def routes_of(policy: Policy) -> st.SearchStrategy[str | None]:
    return st.sampled_from([None, *policy.routes])


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Assessment], Policy, str | None, AnswerFacts]:
    policy = draw(policies | presets)
    return (
        draw(st.lists(assessments(), max_size=5)),
        policy,
        draw(routes_of(policy)),
        draw(facts),
    )


# A claim that was not found supported, whatever the thresholds are.
bad = assessments(
    st.one_of(
        st.builds(
            Scored,
            st.just(0.0),
            st.sampled_from([0.0, 1.0]),
            places,
            places,
            st.just(Coverage(1, 1, 1, 1)),
        ),
        st.builds(
            Scored, st.just(1.0), st.just(1.0), places, places, st.just(Coverage(1, 1, 1, 1))
        ),
        st.builds(NoEvidence, st.just("There were no sources.")),
        st.builds(Failed, st.just("GR106"), st.just("The model failed.")),
    )
    # What samples or a judge raised is a claim that was found supported.
).map(lambda found: replace(found, consistency=None, judgement=None))


@given(cases(), spents, st.booleans())
def test_total(case: Any, spent: Spent, can_regenerate: bool) -> None:
    """No assessment, policy, fact or budget makes deciding, settling or explaining raise."""
    found, policy, route, known = case
    decision = decide(found, policy, route=route, facts=known)
    settled = settle(decision, policy, spent, can_regenerate=can_regenerate)
    for one in (decision, settled):
        assert len(one.claims) == len(found)
        assert one.action == max(
            (hit.action for hit in one.hits), key=lambda a: a.severity, default=Action.PASS
        )
        severities = [hit.action.severity for hit in one.hits]
        assert severities == sorted(severities, reverse=True)
        assert explain(one, policy)
        json.dumps(explain_json(one, policy), allow_nan=False)
    lint(policy)


bands = st.tuples(any_float, any_float)


@given(
    assessments(),
    st.builds(Thresholds, any_float, any_float),
    st.none() | st.builds(ConsistencyThresholds, any_float, any_float, grey=st.none() | bands),
    st.none() | st.builds(JudgeThresholds, bands, st.booleans(), any_float),
)
def test_judge_is_total(
    assessment: Assessment,
    at: Thresholds,
    samples: ConsistencyThresholds | None,
    opinions: JudgeThresholds | None,
) -> None:
    """Whatever the scores and thresholds are, there is a verdict on the claim."""
    assert judge(assessment, at, samples, opinions).claim is assessment.claim


@given(cases(), bad, st.integers(0, 5))
def test_a_bad_claim_never_softens(case: Any, worse: Assessment, at: int) -> None:
    """Adding a claim that was not found supported never makes the decision milder."""
    found, policy, route, known = case
    before = decide(found, policy, route=route, facts=known)
    after = decide([*found[:at], worse, *found[at:]], policy, route=route, facts=known)
    assert after.action.severity >= before.action.severity


@given(cases(), st.booleans())
def test_what_was_judged_before_changes_nothing(case: Any, whole: bool) -> None:
    """An answer decided on as it grows gets, each time, the decision of one seen at once."""
    found, policy, route, known = case
    judged = Judged()
    for size in (0, 1, 2, len(found), 1):
        part = found[:size]
        once = decide(part, policy, route=route, facts=known, whole=whole)
        again = decide(part, policy, route=route, facts=known, whole=whole, judged=judged)
        assert again == once


@given(cases(), bad, st.integers(0, 4))
def test_a_supported_claim_gone_bad_never_softens(case: Any, worse: Assessment, at: int) -> None:
    """Turning a supported, not miscited claim into one that was not never softens the decision."""
    found, policy, route, known = case
    assume(at < len(found))
    claim = replace(worse.claim, citations=())
    good = Assessment(
        claim, Scored(1.0, 0.0, *[EvidenceSpan("s", Span(0, 1), "x")] * 2, Coverage(1, 1, 1, 1))
    )
    gone = Assessment(claim, worse.outcome)
    before = decide([*found[:at], good, *found[at + 1 :]], policy, route=route, facts=known)
    after = decide([*found[:at], gone, *found[at + 1 :]], policy, route=route, facts=known)
    assert isinstance(before.claims[at].verdict, Supported)
    assert after.action.severity >= before.action.severity


@given(cases(), bad, bad, st.integers(0, 4))
def test_worse_by_the_policy_never_softens(
    case: Any, one: Assessment, other: Assessment, at: int
) -> None:
    """Between bad verdicts the policy says which is worse; the decision follows it."""
    found, policy, route, known = case
    assume(at < len(found))
    first = decide([*found[:at], one, *found[at + 1 :]], policy, route=route, facts=known)
    second = decide([*found[:at], other, *found[at + 1 :]], policy, route=route, facts=known)
    alone = [decide([a], policy, route=route).claims[0] for a in (one, other)]
    counted = [counts_as_unsupported(claim.verdict) for claim in alone]
    own = [
        max(hit.action.severity for hit in rules_of(claim.verdict, policy, route))
        for claim in alone
    ]
    if own[0] <= own[1] and counted[0] <= counted[1]:
        assert first.action.severity <= second.action.severity


@given(presets, st.lists(assessments(scored(probability)), max_size=4), claims, facts)
def test_presets_are_ordered(
    policy: Policy, found: list[Assessment], claim: Claim, known: AnswerFacts
) -> None:
    """In every preset supported < unsupported < contradicted < conflict, and supported < error."""
    spot = EvidenceSpan("s", Span(0, 1), "x")
    full = Coverage(1, 1, 1, 1)
    claim = replace(claim, citations=())

    def severity(outcome: Outcome) -> int:
        return decide([*found, Assessment(claim, outcome)], policy, facts=known).action.severity

    ladder = [
        severity(Scored(support, contradiction, spot, spot, full))
        for support, contradiction in ((1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (1.0, 1.0))
    ]
    assert ladder == sorted(ladder)
    assert ladder[0] <= severity(Failed("GR106", "The model failed."))


@given(cases(), spents, st.booleans(), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(
    case: Any, spent: Spent, can_regenerate: bool, random: Any
) -> None:
    """The same findings give the same decision, and in any order the same action."""
    found, policy, route, known = case
    decision = decide(found, policy, route=route, facts=known)
    assert decide(found, policy, route=route, facts=known) == decision
    shuffled = random.sample(found, len(found))
    again = decide(shuffled, policy, route=route, facts=known)
    assert again.action == decision.action
    first, second = (
        settle(d, policy, spent, can_regenerate=can_regenerate) for d in (decision, again)
    )
    assert first.action == second.action


@given(cases(), spents)
def test_settling_twice_is_settling_once(case: Any, spent: Spent) -> None:
    """What comes of an exhausted budget never asks for another attempt."""
    found, policy, route, known = case
    decision = decide(found, policy, route=route, facts=known)
    settled = settle(decision, policy, spent, can_regenerate=False)
    assert settled.action is not Action.REGENERATE
    assert settle(settled, policy, spent, can_regenerate=False) == settled
    if decision.action is not Action.REGENERATE:
        assert settled == decision


@given(
    st.floats(0, 1, exclude_min=True),
    st.floats(0, 1, exclude_min=True),
)
def test_thresholds_are_exact(support: float, contradiction: float) -> None:
    """A score at the threshold reaches it; its nearest neighbour below does not."""
    spot = EvidenceSpan("s", Span(0, 1), "x")
    claim = Claim("c1", Span(0, 1), "x", ClaimKind.SENTENCE, Span(0, 1), "x")
    at = Thresholds(support, contradiction)

    def verdict(s: float, c: float) -> object:
        return judge(Assessment(claim, Scored(s, c, spot, spot, Coverage(1, 1, 1, 1))), at)

    below_s, below_c = math.nextafter(support, 0), math.nextafter(contradiction, 0)
    assert isinstance(verdict(support, below_c), Supported)
    assert isinstance(verdict(below_s, below_c), Unsupported)
    found = verdict(below_s, contradiction)
    assert isinstance(found, Contradicted)
    assert not found.conflict
    found = verdict(support, contradiction)
    assert isinstance(found, Contradicted)
    assert found.conflict


@given(policies | presets)
def test_round_trips(policy: Policy) -> None:
    """YAML, the policy, its canonical JSON and back: the same policy and the same digest."""
    for again in (
        load_policy(json.loads(policy.canonical_json())),
        parse_policy(yaml.safe_dump(policy.model_dump(mode="json")), source="test"),
        Policy.model_validate_json(policy.canonical_json()),
    ):
        assert again == policy
        assert again.digest == policy.digest
        assert again.canonical_json() == policy.canonical_json()


@given(policies | presets, policies | presets)
def test_digests_differ_exactly_when_policies_do(one: Policy, other: Policy) -> None:
    """Equal policies share a digest, different ones do not."""
    assert (one == other) == (one.digest == other.digest)


@given(cases())
def test_matching_entries_take_the_strictest(case: Any) -> None:
    """What an entry of ``kinds`` asks of a claim is never milder for another matching as well."""
    found, policy, route, _ = case
    for assessment in found:
        both = decide([assessment], policy, route=route).claims[0]
        if not isinstance(both.verdict, Unsupported | Unverifiable | CheckError):
            continue
        for facet in assessment.claim.facets:
            claim = replace(assessment.claim, facets=frozenset({facet}))
            if facet.value not in policy.for_route(route).rows:
                continue
            single = decide([replace(assessment, claim=claim)], policy, route=route).claims[0]
            if single.verdict.label == both.verdict.label:
                assert both.action.severity >= single.action.severity


@given(st.text(max_size=200) | st.text("{}[]:,&*!|>'\"%@`#-? \n\tab01.", max_size=60))
def test_no_text_makes_the_loader_crash(text: str) -> None:
    """Any text is a policy or a ``PolicyInvalid``, never another error."""
    with contextlib.suppress(PolicyInvalid):
        assert parse_policy(text, source="test").digest
