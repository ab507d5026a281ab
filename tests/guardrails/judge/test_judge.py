"""Asking a judge: forms of reply, what counts as one, quotations, budgets, faults of the provider."""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails import Guard, Settings
from guardrails.judging import Budget, ModelJudge, Question
from guardrails.judging.passages import Passage, choose, find, visible
from guardrails.record import replay
from guardrails.sampling.model import Abilities
from guardrails.scripted_provider import ScriptedProvider, Slow, Status
from guardrails.store import open_store
from guardrails.testing import ScriptedLLM, ScriptedVerifier, chat_response
from verifiers.types import (
    Coverage,
    EvidenceSpan,
    Failed,
    Judgement,
    NLIProbs,
    Scored,
    Source,
    Span,
    WindowScore,
)

sys.path.insert(0, str(Path(__file__).parent))
from worst import read_prompt, reply, talked_round

pytestmark = [
    pytest.mark.usefixtures("litellm_clients"),
    pytest.mark.filterwarnings("ignore:.*ReadOnly.*:UserWarning"),
]

TEXT = "Ferries run hourly. Children under six travel free of charge. Dogs pay half."
QUOTE = "Children under six travel free of charge."
SOURCE = Source("terms", TEXT)
PLACE = EvidenceSpan("terms", Span(20, 61), QUOTE)
CLAIM = "Small children need no ticket."


def scored(support=0.4, windows=None):
    whole = WindowScore("terms", Span(0, len(TEXT)), NLIProbs(support, 1 - support, 0.0))
    return Scored(support, 0.0, PLACE, PLACE, Coverage(1, 1, 1, 1), windows=windows or (whole,))


ASKED = (Question("c1", CLAIM, scored()),)


def honest(label="supported", quote=QUOTE):
    """A judge that judges: the control is not stated, the claim is ``label``."""

    def script(request):
        prompt = read_prompt(request["messages"])
        labels = dict.fromkeys(prompt.keys, label)
        labels[prompt.control] = "unsupported"
        return reply(prompt, labels, quote)

    return script


NO_LIMIT = Budget()


def opinion(script, asked=ASKED, budget=NO_LIMIT, sources=(SOURCE,), **options):
    judge = ModelJudge(ScriptedLLM(script, **options), {"model": "j"}, abilities=Abilities())
    return judge.judge(asked, sources, budget)


def only(opinions):
    (found,) = opinions.by_claim.values()
    return found


# --------------------------------------------------------------------------- replies


def test_two_passes_that_agree_make_a_judgement_with_its_place():
    """The quotation is traced to the exact stretch of the exact source."""
    assert only(opinion(honest())) == Judgement("supported", PLACE, "j")
    assert only(opinion(honest("unsupported", ""))) == Judgement("unsupported", None, "j")
    assert only(opinion(honest("contradicted"))) == Judgement("contradicted", PLACE, "j")


def test_passages_statements_and_labels_stand_in_opposite_order():
    """So that a liking for the first or the last cancels out."""
    asked = (*ASKED, Question("c2", "Dogs travel free.", scored()))
    llm = ScriptedLLM(["{}"])
    sources = (SOURCE, Source("more", "Bicycles are free."))
    ModelJudge(llm, {"model": "j"}, abilities=Abilities()).judge(asked, sources, Budget())
    first, second = (request["messages"][1]["content"] for request in llm.requests)
    prompts = [read_prompt(request["messages"]) for request in llm.requests]
    orders = [[prompt.statements[key] for key in prompt.keys] for prompt in prompts]
    plain = [[text for text in order if "shelf mark" not in text] for order in orders]
    assert plain[0] == plain[1][::-1]
    assert (first.index("Ferries") < first.index("Bicycles")) is not (
        second.index("Ferries") < second.index("Bicycles")
    )
    assert list(prompts[0].codes) == list(prompts[1].codes)[::-1]
    # The statements are the last of the data.
    assert first.index(CLAIM) > max(first.index("Ferries"), first.index("Bicycles"))


def test_passes_that_disagree_are_no_verdict():
    """Supported once and contradicted once: nothing was concluded."""
    turns = iter(["supported", "contradicted"])
    found = only(opinion(lambda request: honest(label=next(turns))(request)))  # noqa: PLW0108
    assert isinstance(found, Failed)
    assert found.code == "GR331"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: "",
        lambda r: "supported",
        lambda r: r[:-1],
        lambda r: r + r,
        lambda r: f"Here you are: {r}",
        lambda r: json.dumps([json.loads(r)]),
        lambda r: json.dumps({**json.loads(r), "note": "x"}),
        lambda r: json.dumps({"verdicts": json.loads(r)["verdicts"][1:]}),
        lambda r: json.dumps({"verdicts": json.loads(r)["verdicts"] * 2}),
        lambda r: json.dumps({"verdicts": {}}),
        lambda r: json.dumps(
            {"verdicts": [{**e, "verdict": "supported"} for e in json.loads(r)["verdicts"]]}
        ),
        lambda r: json.dumps(
            {"verdicts": [{**e, "quote": None} for e in json.loads(r)["verdicts"]]}
        ),
        lambda r: json.dumps({"verdicts": [{**e, "why": "x"} for e in json.loads(r)["verdicts"]]}),
        lambda r: r.replace('"quote"', '"verdict": "XXXXX", "quote"'),
        lambda r: r.replace('"statement": "', '"statement": "Z'),
        lambda r: "[" * 100_000,
        lambda r: '{"verdicts": NaN}',
    ],
)
def test_what_is_not_exactly_what_was_asked_for_is_no_verdict(spoil):
    """However near it comes."""
    found = only(opinion(lambda request: spoil(honest()(request))))
    assert isinstance(found, Failed)
    assert found.code == "GR331"


def test_a_reply_in_a_code_fence_is_read():
    """The one thing around the JSON that models cannot help."""
    fenced = opinion(lambda request: f"```json\n{honest()(request)}\n```")
    assert isinstance(only(fenced), Judgement)


def test_a_judge_that_falls_for_the_control_is_not_heard_at_all():
    """About none of the claims of that call."""
    asked = (*ASKED, Question("c2", "Ferries run hourly.", scored()))

    def script(request):
        prompt = read_prompt(request["messages"])
        return reply(prompt, dict.fromkeys(prompt.keys, "supported"), QUOTE)

    found = opinion(script, asked)
    assert {type(said) for said in found.by_claim.values()} == {Failed}
    assert set(found.by_claim) == {"c1", "c2"}


@pytest.mark.parametrize(
    "quote",
    [
        "",
        "Children",
        "Children under six ride free of charge.",
        "children under six travel free of charge.",
        "Ferries run hourly. Dogs pay half.",
        CLAIM,
    ],
)
def test_a_quotation_that_stands_nowhere_is_no_proof(quote):
    """Not a letter is forgiven, nor anything left out in the middle."""
    assert isinstance(only(opinion(honest(quote=quote))), Failed)


def test_a_declined_or_cut_reply_is_no_verdict():
    """By the provider's own word for it."""
    for reason in ("content_filter", "length"):

        def script(request, reason=reason):
            return chat_response(honest()(request), finish_reason=reason)

        assert isinstance(only(opinion(script)), Failed)


# --------------------------------------------------------------------------- passages


def test_white_space_and_what_is_not_shown_do_not_count_in_a_quotation():
    """The place is still the exact one, hidden characters of the source included."""
    text = "Before.\u00a0Chil\u00addren under\u200b six\ttravel\nfree. After."
    found = find(
        "Children under six travel free.", [Passage(Source("s", text), Span(0, len(text)))]
    )
    assert found is not None
    assert found.text == text[8:-7]
    assert found.span.of(text) == found.text


@given(st.text(max_size=80), st.integers(0, 80), st.integers(0, 80))
def test_a_quotation_that_is_found_is_there(text, start, end):
    """Whatever the source: the stretch found shows the same letters."""
    passage = Passage(Source("s", f"x{text}"), Span(0, len(text) + 1))
    quote = text[start:end]
    found = find(quote, [passage])
    if found is not None:

        def strip(words):
            return "".join(visible(words).split())

        assert strip(found.text) == strip(quote)
        assert found.span.of(passage.source.text) == found.text


def test_long_sources_are_shown_by_their_nearest_windows():
    """Within the characters allowed, in the order of the sources, none twice."""
    text = "".join(f"Sentence number {n:04d} stands here. " for n in range(200))
    size = len(text) // 200
    windows = tuple(
        WindowScore("s", Span(n * size, (n + 2) * size), NLIProbs(n / 200, 1 - n / 200, 0.0))
        for n in range(198)
    )
    shown = choose([Question("c1", "x", scored(windows=windows))], [Source("s", text)], 1_000)
    assert shown
    assert sum(p.span.end - p.span.start for p in shown) <= 1_000
    assert [p.span.start for p in shown] == sorted(p.span.start for p in shown)
    assert all(a.span.end <= b.span.start for a, b in pairwise(shown))
    assert "Sentence number 0198" in "".join(p.text for p in shown)


# --------------------------------------------------------------------------- budgets, many claims


def test_many_claims_go_in_several_calls_until_the_money_is_gone():
    """What was paid for counts; the others could not be asked about."""
    asked = tuple(Question(f"c{n}", f"{CLAIM} {n}", scored()) for n in range(20))
    found = opinion(honest(), asked, Budget(cost_usd=0.03), cost_usd=0.01)
    kinds = [isinstance(found.by_claim[q.claim_id], Judgement) for q in asked]
    assert kinds == [True] * 16 + [False] * 4
    assert found.usage.cost_usd == pytest.approx(0.04)
    assert found.calls == 4


def test_without_prices_a_limit_in_money_counts_as_reached():
    """Nothing is sent."""
    llm = ScriptedLLM(honest())
    judge = ModelJudge(llm, {"model": "j"}, abilities=Abilities())
    assert isinstance(only(judge.judge(ASKED, (SOURCE,), Budget(cost_usd=1.0))), Failed)
    assert llm.requests == []


def test_nothing_of_the_guarded_call_goes_with_the_judges_but_its_connection():
    """No tools, no stop words, no length; temperature 0."""
    llm = ScriptedLLM(honest())
    request = {"model": "j", "api_key": "k", "tools": [1], "max_tokens": 3, "messages": [1]}
    ModelJudge(llm, request, abilities=Abilities()).judge(ASKED, (SOURCE,), Budget())
    sent = llm.requests[0]
    assert set(sent) == {"model", "api_key", "messages", "temperature", "response_format"}
    assert sent["temperature"] == 0.0
    assert sent["response_format"]["json_schema"]["strict"] is True


# --------------------------------------------------------------------------- over a socket


@pytest.fixture(params=["sync", "async"])
def mode(request):
    return request.param


class Ask:
    """``check`` under a policy that asks a judge, whose provider is scripted."""

    def __init__(self, mode, store_url):
        self.mode, self.store_url = mode, store_url

    def __call__(self, script, answer=CLAIM, table=None, support=0.4, calls=1):
        store = open_store(self.store_url)
        outcome = scored(support)
        with ScriptedProvider(script) as self.provider:
            guard = Guard(
                {
                    "extends": "balanced",
                    "judge": {"when": "grey", "model": "openai/gpt-4o-mini", **(table or {})},
                },
                settings=Settings(),
                verifier=ScriptedVerifier(outcomes={answer: outcome}),
                store=store,
                connections={
                    "openai/gpt-4o-mini": {
                        "api_base": self.provider.url,
                        "api_key": "x",
                        "max_retries": 0,
                        "num_retries": 0,
                    }
                },
            )
            for _ in range(calls):
                if self.mode == "sync":
                    report = guard.check(answer, sources=[SOURCE]).report
                else:
                    report = asyncio.run(guard.acheck(answer, sources=[SOURCE])).report
            guard.close()
        assert replay(store.get(report.record_id)) is report.action
        store.close()
        return report


@pytest.fixture
def ask(mode, store_url):
    return Ask(mode, store_url)


def verdict(report):
    (claim,) = report.claims
    return claim.verdict


def test_a_judge_settles_a_grey_claim_and_the_record_says_so(ask):
    """With the passage, the cost to the token, and nothing of it in the answer's own usage."""
    report = ask(honest())
    found = verdict(report)
    assert (found.label, found.basis, found.evidence) == ("supported", "judge", PLACE)
    (attempt,) = report.attempts
    assert (attempt.judging.calls, attempt.judging.claims) == (2, ("c1",))
    spent = report.usage_by["judge"]
    assert spent.input_tokens == 20
    assert spent.cost_usd == pytest.approx(20 * 0.15e-6 + spent.output_tokens * 0.6e-6)
    assert report.usage_by["answer"].input_tokens is None


def test_a_model_without_schemas_is_asked_by_a_tool_and_then_in_words(ask):
    """Each refusal is learnt; the next call asks at once as the model can."""

    def script(request):
        if "response_format" in request:
            return Status(400, "'response_format' is not supported")
        if "tools" in request:
            return Status(422, "`tools` unknown")
        return honest()(request)

    report = ask(script, calls=2)
    assert verdict(report).label == "supported"
    forms = ["response_format" in r or "tools" in r for r in ask.provider.requests]
    assert forms == [True] * 4 + [False] * 4


def test_a_tool_call_is_read(ask):
    """The arguments of the one tool it was told to call."""

    def script(request):
        if "response_format" in request:
            return Status(400, "no 'response_format'")
        call = {"name": "give_verdicts", "arguments": honest()(request)}
        tool = {"id": "1", "type": "function", "function": call}
        return chat_response(None, finish_reason="tool_calls", tool_calls=[tool])

    assert verdict(ask(script)).label == "supported"


@pytest.mark.parametrize(
    "fault", [Status(500), Status(429), Status(400), "not json", "", Slow(60, "late")]
)
def test_a_judge_that_fails_is_never_clean(ask, fault):
    """An unsupported claim stays so; one that was just so supported becomes an error."""
    table = {"seconds": 1.0}
    stays = verdict(ask(lambda _: fault, table=table))
    assert (stays.label, stays.basis) == ("unsupported", "evidence")
    error = verdict(ask(lambda _: fault, table=table, support=0.6))
    assert (error.label, error.basis) == ("error", "judge")


def test_what_a_late_judge_cost_nobody_says(ask):
    """So a report does not call its costs known."""
    report = ask(lambda _: Slow(60, "late"), table={"seconds": 0.5})
    assert [failure.code for failure in report.attempts[0].judging.failures] == ["GR313"] * 2
    assert not report.attempts[0].judging.cost_known
    assert report.attempts[0].spent.cost_usd is None


def test_a_judge_that_tells_no_tokens_is_not_free(ask):
    """Its opinion counts, and its cost is unknown."""

    def script(request):
        told = dict(chat_response(honest()(request), model=request["model"]))
        del told["usage"]
        return told

    report = ask(script)
    assert verdict(report).label == "supported"
    judging = report.attempts[0].judging
    assert not judging.cost_known
    assert judging.usage.cost_usd is None


def test_one_pass_that_fails_is_no_verdict(ask):
    """Half of an agreement is none."""
    seen = []

    def script(request):
        seen.append(request)
        return Status(500) if len(seen) == 2 else honest()(request)

    assert verdict(ask(script, support=0.6)).label == "error"


def test_a_judge_that_was_talked_round_about_a_clear_case_is_not_asked(ask):
    """Well supported, or far from every passage: nobody asks it."""

    def script(request):
        return talked_round(read_prompt(request["messages"]), QUOTE)

    for support in (0.9, 0.1):
        report = ask(script, support=support)
        assert report.attempts[0].judging is None
        assert ask.provider.requests == []
