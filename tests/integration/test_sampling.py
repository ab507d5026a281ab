"""Samples over a real socket, through LiteLLM, from a provider in every mood: the right verdict or
an error, cost accounted to the token, nothing hangs."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from guardrails import Guard, Settings
from guardrails.record import replay
from guardrails.scripted_provider import ScriptedProvider, Slow, Status
from guardrails.store import open_store
from guardrails.testing import ScriptedVerifier, chat_responses, sentences
from policies.load import load_policy
from verifiers.consistency import ConsistencyVerifier
from verifiers.engine import NLIEngine
from verifiers.testing import ScriptedScorer

pytestmark = [
    pytest.mark.usefixtures("litellm_clients"),
    pytest.mark.filterwarnings("ignore:.*ReadOnly.*:UserWarning"),
]

MODEL = "openai/gpt-4o-mini"  # LiteLLM knows its price
MESSAGES = [{"role": "user", "content": "Which city is the capital?"}]
ANSWER = "The capital is Paris."
OTHER = "The seat of government is Lyon."
TOKENS_IN, TOKENS_ANSWER = 10, len(ANSWER.split())
PRICE_IN, PRICE_OUT = 0.15e-6, 0.6e-6


class Sentences:
    """As much of a claim extractor as comparing samples needs."""

    def sentences(self, text):
        return sentences(text)


@pytest.fixture
def scorer():
    return ScriptedScorer()


@pytest.fixture
def comparing(scorer):
    with NLIEngine(lambda: scorer) as engine:
        made = ConsistencyVerifier(extractor=Sentences(), engine=engine)
        yield made
        made.close()


@pytest.fixture
def store(store_url):
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture(params=["sync", "async"])
def mode(request):
    return request.param


def is_sample(request):
    return request.get("temperature") == 1.0


class Ask:
    """One guarded call of a scripted provider. The answer is always the same; samples are not."""

    def __init__(self, mode, store, comparing):
        self.mode, self.store, self.comparing = mode, store, comparing
        self.samples = []

    def __call__(self, script, table=None, *, calls=1, answer=ANSWER, **options):
        first_only = options.pop("first_only", False)
        rules = {"when": "both", "temperature": 1.0, **(table or {})}
        policy = {"extends": "balanced", "consistency": rules, **options.pop("policy", {})}
        lock = threading.Lock()

        def reply(request):
            if not is_sample(request) and not (first_only and len(self.provider.requests) > 1):
                return chat_responses([answer] * (request.get("n") or 1), model=request["model"])
            with lock:
                self.samples.append(request)
                number = len(self.samples)
            return script(request, number)

        guard = Guard(
            load_policy(policy),
            settings=Settings(),
            verifier=ScriptedVerifier(),
            store=self.store,
            consistency=self.comparing,
        )
        with ScriptedProvider(reply) as self.provider, guard:
            call = {
                "model": MODEL,
                "messages": MESSAGES,
                "api_base": self.provider.url,
                "api_key": "not-a-key",
                "num_retries": 0,
                "max_retries": 0,
                **options,
            }
            for _ in range(calls):
                if self.mode == "sync":
                    result = guard.completion(**call)
                else:
                    result = asyncio.run(guard.acompletion(**call))
        for report in result.reports:
            assert replay(self.store.get(report.record_id)) is report.action
        return result.report


@pytest.fixture
def ask(mode, store, comparing):
    return Ask(mode, store, comparing)


def many(*texts, **options):
    """Gives the texts in turn, as many as are asked for."""

    def script(request, number):
        wanted = request.get("n") or 1
        picked = [texts[(number - 1 + i) % len(texts)] for i in range(wanted)]
        return chat_responses(picked, model=request["model"], **options)

    return script


def sampling(report):
    found = report.attempts[-1].sampling
    assert found is not None
    return found


def only(report):
    (claim,) = report.claims
    return claim.verdict


def test_samples_that_agree_support_and_the_verdict_says_on_what_it_rests(ask):
    """A few at a time, no more than are needed, and never read as checked against a source."""
    report = ask(many(ANSWER))
    verdict = only(report)
    assert (verdict.label, verdict.basis) == ("supported", "consistency")
    assert "not truth" in verdict.reason
    assert sampling(report).stop == "decided"
    assert 3 <= len(sampling(report).samples) < 10


def test_samples_that_disagree_do_not(ask):
    """And that is not a contradiction."""
    verdict = only(ask(many(OTHER)))
    assert (verdict.label, verdict.basis) == ("unsupported", "consistency")


def test_cost_is_accounted_to_the_token_answer_and_samples_apart(ask):
    """What LiteLLM's price list says of what the provider said it used."""
    report = ask(many(ANSWER))
    used = sampling(report)
    out = len(used.samples) * TOKENS_ANSWER
    samples = report.usage_by["samples"]
    assert (samples.input_tokens, samples.output_tokens) == (TOKENS_IN * used.calls, out)
    cost = TOKENS_IN * used.calls * PRICE_IN + out * PRICE_OUT
    assert samples.cost_usd == pytest.approx(cost, rel=1e-9)
    answer = report.usage_by["answer"]
    assert (answer.input_tokens, answer.output_tokens) == (TOKENS_IN, TOKENS_ANSWER)
    assert report.usage.output_tokens == out + TOKENS_ANSWER
    assert report.usage.cost_usd == pytest.approx(cost + answer.cost_usd, rel=1e-9)
    assert report.attempts[-1].spent.cost_usd == pytest.approx(report.usage.cost_usd, rel=1e-9)


@pytest.mark.parametrize(
    "usage",
    [None, {"prompt_tokens": -5, "completion_tokens": -5, "total_tokens": -10}],
    ids=["none", "negative"],
)
def test_usage_that_nobody_told_is_no_usage_of_zero(ask, usage):
    """A provider that tells nothing, or nonsense, does not make samples free or refund a budget."""

    def script(request, number):
        told = dict(many(ANSWER)(request, number))
        del told["usage"]
        return told if usage is None else {**told, "usage": usage}

    report = ask(script)
    assert only(report).label == "supported"
    assert not sampling(report).cost_known
    samples = report.usage_by["samples"]
    assert (samples.input_tokens, samples.output_tokens, samples.cost_usd) == (None, None, None)
    assert report.attempts[-1].spent.cost_usd is None
    # With a limit in money, what nobody can count counts as reached.
    limited = ask(script, {"cost_usd": 1.0})
    assert (only(limited).label, sampling(limited).stop) == ("error", "budget")
    assert sampling(limited).calls == 1


def test_an_answer_without_choices_is_paid_for_all_the_same(ask):
    """It cannot be read, and its tokens are counted."""
    report = ask(lambda request, _: {**many(ANSWER)(request, 1), "choices": []})
    assert (only(report).label, only(report).code) == ("error", "GR330")
    assert [failure.code for failure in sampling(report).failures] == ["GR305"]
    used = sampling(report).usage
    assert used.input_tokens == TOKENS_IN
    assert used.cost_usd is not None
    assert used.cost_usd > 0
    assert sampling(report).cost_known


def test_the_request_goes_out_as_it_was(ask):
    """Same messages, same settings, so that a provider's cache still knows the beginning."""
    messages = [{"role": "system", "content": "Be brief."}, *MESSAGES]
    before = repr(messages)
    ask(many(ANSWER), messages=messages, max_tokens=7, seed=5)
    first, *samples = ask.provider.requests
    assert samples
    for request in samples:
        assert request["messages"] == first["messages"] == messages
        assert request["max_tokens"] == 7
    seeds = [first["seed"], *(request["seed"] for request in samples)]
    assert len(set(seeds)) == len(seeds)
    assert repr(messages) == before


def test_a_provider_that_ignores_n_is_asked_one_at_a_time_from_then_on(ask):
    """Learnt once a guard; the second call sends no n at all."""
    report = ask(lambda request, _: chat_responses([ANSWER], model=request["model"]), calls=2)
    assert only(report).label == "supported"
    asked = [request.get("n") for request in ask.samples]
    assert asked[0] == 2
    assert set(asked[1:]) == {None}
    assert len(sampling(report).samples) == sampling(report).calls


def test_a_provider_that_rejects_n_is_asked_one_at_a_time_from_then_on(ask):
    """A rejected request is no failure of sampling."""

    def script(request, number):
        if "n" in request:
            return Status(400, "'n' is not supported by this model")
        return many(ANSWER)(request, number)

    report = ask(script, calls=2)
    assert only(report).label == "supported"
    assert sampling(report).failures == ()
    assert [request.get("n") for request in ask.samples].count(2) == 1


def test_a_rejection_that_is_not_about_our_extras_is_a_failure(ask):
    """Every way of asking is tried once, and then it ends."""
    report = ask(lambda *_: Status(400, "no"), first_only=True)
    assert only(report).label == "error"
    assert sampling(report).stop == "failed"
    assert len(ask.samples) <= 6


def test_a_rate_limit_gives_an_error_and_no_storm(ask):
    """Claims count as errors; nobody is asked again and again."""
    report = ask(lambda *_: Status(429, "slow down"), {"samples": 10, "step": 4})
    verdict = only(report)
    assert (verdict.label, verdict.basis, verdict.code) == ("error", "consistency", "GR330")
    assert report.action == "review"
    assert sampling(report).failures[0].status == 429
    assert len(ask.samples) == 1


def test_a_rate_limit_in_a_step_begins_no_further_call_of_it(ask):
    """One at a time afterwards."""

    def script(request, number):
        if "n" in request:
            return Status(422, "`n` unknown")
        return Status(429) if number == 3 else many(ANSWER)(request, number)

    report = ask(script, {"step": 4, "at_once": 1})
    assert only(report).label == "supported"
    # The rejected one, one answer, the limit; the two left of that step were never asked for.
    assert [failure.status for failure in sampling(report).failures] == [429]


def test_partial_failures_leave_what_there_is(ask):
    """Half of the calls fail; the others decide, and the failures are in the record."""

    def script(request, number):
        if "n" in request:
            return Status(400, "`n`")
        return Status(500) if number % 2 else many(ANSWER)(request, number)

    report = ask(script)
    assert only(report).label == "supported"
    assert sampling(report).failures
    assert all(failure.status == 500 for failure in sampling(report).failures)


def test_a_provider_that_fails_is_not_asked_for_ever(ask):
    """No more failures than samples were allowed, with fewer answers than it takes."""

    def script(request, number):
        if "n" in request:
            return Status(400, "`n`")
        return many(ANSWER)(request, number) if number == 2 else Status(500)

    report = ask(script, {"samples": 6})
    assert only(report).label == "error"
    assert len(ask.samples) <= 9


def test_identical_samples_are_compared_once(ask, scorer):
    """Pairs go to the model for distinct texts only."""
    report = ask(many("Paris is the capital."), {"level": 0.0, "min_samples": 5, "samples": 6})
    used = sampling(report)
    assert len(used.samples) > used.distinct == 1
    assert sum(len(batch) for batch in scorer.batches) == used.pairs_scored == used.pairs == 1


def test_empty_samples_say_nothing(ask):
    """They count towards the cap and settle nothing."""
    report = ask(many(""))
    verdict = only(report)
    assert (verdict.label, verdict.basis) == ("unverifiable", "evidence")
    assert sampling(report).stop == "cap"
    assert len(sampling(report).samples) == 10
    mixed = ask(many("", ANSWER))
    assert only(mixed).label == "supported"


def test_refusals_among_the_samples_say_nothing(ask):
    """A provider's refusal is neither for nor against; enough others decide."""
    refused = chat_responses(["I cannot say."], finish_reason="content_filter", model="gpt-4o-mini")

    def script(request, number):
        if "n" in request:
            return Status(400, "`n`")
        return refused if number % 2 else many(ANSWER)(request, number)

    report = ask(script)
    assert only(report).label == "supported"
    assert any(sample.refused for sample in sampling(report).samples)
    assert only(ask(lambda *_: refused)).label == "unverifiable"


def test_samples_that_do_not_come_in_time_give_an_error(ask):
    """Within the table's seconds; the answer itself is not lost."""
    report = ask(lambda *_: Slow(60, ANSWER), {"seconds": 0.3})
    assert only(report).label == "error"
    assert sampling(report).stop == "latency"
    assert not sampling(report).cost_known
    assert report.seconds["sample"] < 30


def test_a_budget_that_runs_out_mid_way_decides_on_what_was_paid_for(ask):
    """Enough samples count, whatever ended it, and never more was spent than allowed."""
    each = (TOKENS_IN * PRICE_IN + 2 * TOKENS_ANSWER * PRICE_OUT) / 2
    limit = 5 * each
    table = {"cost_usd": limit, "level": 0.0, "samples": 50}
    report = ask(many(ANSWER), table)
    assert sampling(report).stop == "budget"
    assert 3 <= len(sampling(report).samples) <= 5
    assert only(report).label == "supported"
    assert report.usage_by["samples"].cost_usd <= limit
    less = ask(many(ANSWER), {**table, "cost_usd": 2 * each})
    assert (only(less).label, only(less).code) == ("error", "GR330")
    assert sampling(less).stop == "budget"


def test_the_limit_of_the_whole_call_counts_too(ask):
    """limits.cost_usd is shared by the answer and its samples."""
    report = ask(many(ANSWER), {"level": 0.0}, policy={"limits": {"cost_usd": 4e-6}})
    assert sampling(report).stop == "budget"
    assert sampling(report).samples == ()


def test_with_a_limit_in_money_and_no_price_nothing_is_sampled(ask):
    """Unknown counts as reached, and nothing was sent."""
    report = ask(many(ANSWER), {"cost_usd": 1.0}, model="openai/nobody-knows")
    assert only(report).label == "error"
    assert sampling(report).stop == "budget"
    assert ask.samples == []


def test_another_model_gets_no_key_of_the_first(mode, store, comparing):
    """Its connection is said apart; the conversation is the same."""
    ask = Ask(mode, store, comparing)
    with ScriptedProvider(lambda request: many(ANSWER)(request, 1)) as other:
        guard = Guard(
            {"extends": "balanced", "consistency": {"when": "both", "model": "openai/other"}},
            settings=Settings(),
            verifier=ScriptedVerifier(),
            store=False,
            consistency=comparing,
            connections={"openai/other": {"api_base": other.url, "api_key": "others-key"}},
        )
        with ScriptedProvider([ANSWER]) as provider, guard:
            call = {
                "model": MODEL,
                "messages": MESSAGES,
                "api_base": provider.url,
                "api_key": "first-key",
                "extra_headers": {"x-secret": "first"},
                "max_retries": 0,
            }
            if mode == "sync":
                report = guard.completion(**call).report
            else:
                report = asyncio.run(guard.acompletion(**call)).report
    assert only(report).label == "supported"
    assert sampling(report).model == "openai/other"
    assert len(provider.requests) == 1
    assert all(headers["authorization"] == "Bearer others-key" for headers in other.headers)
    assert not any("x-secret" in headers for headers in other.headers)
    assert ask.samples == []


def test_choices_share_samples(ask, store):
    """Two answers of one call: what was drawn for the first serves the second."""
    report = ask(many(ANSWER), n=2)
    first, second = (store.get(f"{report.call_id}.{index}").attempt.sampling for index in (0, 1))
    assert first.drawn == len(first.samples)
    assert second.drawn == 0
    assert len(second.samples) == len(first.samples)
    assert second.usage.output_tokens is None


def test_nothing_is_sampled_that_could_not_change_the_decision(ask):
    """All passes or all is refused, whatever samples say; measure samples all the same."""
    observe = {"extends": "observe", "on_supported": "annotate"}
    report = ask(many(OTHER), policy={**observe, "on_no_evidence": "annotate"})
    assert report.attempts[-1].sampling is None
    assert ask.samples == []
    measured = ask(many(OTHER), {"measure": True}, policy=observe)
    assert only(measured).label == "unsupported"


def test_decisive_sources_need_no_samples(ask):
    """Read and settled, either way: nobody is asked."""
    for source in (ANSWER, "The capital is not Paris."):
        report = ask(many(ANSWER), sources=source)
        assert report.attempts[-1].sampling is None
    assert ask.samples == []


def test_cancelling_cancels_the_samples_in_flight(store, comparing):
    """The call ends at once, as cancelled, and is recorded so."""
    begun = threading.Event()

    def reply(request):
        if not is_sample(request):
            return ANSWER
        begun.set()
        return Slow(120, ANSWER)

    async def run(guard, url):
        call = guard.acompletion(
            model=MODEL, messages=MESSAGES, api_base=url, api_key="x", max_retries=0
        )
        task = asyncio.create_task(call)
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    guard = Guard(
        {"extends": "balanced", "consistency": {"when": "both", "seconds": None}},
        settings=Settings(),
        verifier=ScriptedVerifier(),
        store=store,
        consistency=comparing,
    )
    started = time.monotonic()
    with ScriptedProvider(reply) as provider, guard:
        asyncio.run(run(guard, provider.url))
    assert time.monotonic() - started < 60
    (record,) = store.records()
    assert record.attempt.failure.code == "cancelled"
