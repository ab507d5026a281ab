"""Samplers by themselves: given samples, functions, and the model under cancellation and deadlines."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from guardrails import ConfigInvalid, Guard, Settings
from guardrails.effects import Called
from guardrails.errors import ProviderFailed, TimedOut
from guardrails.responses import read
from guardrails.sampling import (
    Abilities,
    FunctionSampler,
    GivenSamples,
    ModelSampler,
    SampleSettings,
    as_samples,
)
from guardrails.sampling.together import NotAsked, atogether, together
from guardrails.testing import (
    ScriptedLLM,
    ScriptedVerifier,
    chat_response,
    chat_responses,
    sentences,
)
from verifiers.consistency import ConsistencyVerifier, Sample
from verifiers.engine import NLIEngine
from verifiers.testing import ScriptedScorer

ANSWER = "The capital is Paris."
OTHER = "The seat of government is Lyon."
ASKED = {"extends": "balanced", "consistency": {"when": "no_evidence"}}


@pytest.fixture(params=["sync", "async"])
def mode(request):
    return request.param


@pytest.fixture
def comparing():
    class Sentences:
        def sentences(self, text):
            return sentences(text)

    with NLIEngine(ScriptedScorer) as engine:
        made = ConsistencyVerifier(extractor=Sentences(), engine=engine)
        yield made
        made.close()


def drawn(mode, sampler, wanted, seconds=60.0):
    if mode == "sync":
        return sampler.sample(wanted, seconds=seconds)
    return asyncio.run(sampler.asample(wanted, seconds=seconds))


# --------------------------------------------------------------------------- what callers have


def test_given_samples_come_in_order_and_end(mode):
    """Texts, samples and responses, with refusals and empty ones kept as such."""
    refused = chat_response("No.", finish_reason="content_filter")
    given = as_samples(["a", Sample("b", logprob=-1.0), chat_responses(["c", ""]), refused])
    assert [sample.text for sample in given] == ["a", "b", "c", "", "No."]
    assert [sample.refused for sample in given] == [False] * 4 + [True]
    sampler = GivenSamples(given)
    first, last = drawn(mode, sampler, 3), drawn(mode, sampler, 3)
    assert ([s.text for s in first.samples], first.exhausted) == (["a", "b", "c"], False)
    assert ([s.text for s in last.samples], last.exhausted) == (["", "No."], True)


def test_one_response_with_several_choices_is_several_samples():
    """So is a single text one."""
    assert len(as_samples(chat_responses(["a", "b"]))) == 2
    assert as_samples("a") == (Sample("a"),)


@pytest.mark.parametrize("wrong", [3, [3], [{"no": "answer"}], [None]])
def test_what_is_no_answer_is_refused_before_anything_happens(wrong, comparing):
    """With the argument's name."""
    guard = Guard(ASKED, settings=Settings(), verifier=ScriptedVerifier(), store=False)
    with guard, pytest.raises(ConfigInvalid, match="samples="):
        guard.check(ANSWER, samples=wrong)


def check(mode, comparing, policy=ASKED, **options):
    guard = Guard(
        policy,
        settings=Settings(),
        verifier=ScriptedVerifier(),
        store=False,
        consistency=comparing,
    )
    with guard:
        if mode == "sync":
            return guard.check(ANSWER, **options).report
        return asyncio.run(guard.acheck(ANSWER, **options)).report


def label(report):
    return report.claims[0].verdict.label


def test_check_compares_what_the_caller_has(mode, comparing):
    """Enough that agree, enough that do not, and too few to say anything."""
    assert label(check(mode, comparing, samples=[ANSWER] * 5)) == "supported"
    assert label(check(mode, comparing, samples=[OTHER] * 5)) == "unsupported"
    few = check(mode, comparing, samples=[ANSWER])
    assert label(few) == "unverifiable"
    assert few.attempts[0].sampling.stop == "exhausted"


def test_check_without_samples_says_so_and_changes_nothing(mode, comparing):
    """There is nobody to ask."""
    report = check(mode, comparing)
    assert label(report) == "unverifiable"
    assert any("nobody to ask" in note for note in report.notes)


def test_a_function_is_asked_for_as_many_as_are_wanted(mode, comparing):
    """Sync or async; fewer than wanted means that there are no more."""
    wants = []

    def more(wanted):
        wants.append(wanted)
        return [ANSWER] * wanted

    async def amore(wanted):
        return more(wanted)

    for sampler in (more, amore):
        assert label(check(mode, comparing, sampler=sampler)) == "supported"
    assert set(wants) == {2}
    ended = check(mode, comparing, sampler=lambda _: [ANSWER])
    assert ended.attempts[0].sampling.stop == "exhausted"
    assert check(mode, comparing, sampler=lambda _: None).attempts[0].sampling.samples == ()


def test_a_function_that_fails_gives_an_error(mode, comparing):
    """Its claims could not be checked; what it raised is not quoted."""

    def broken(_):
        raise RuntimeError("secret words")

    report = check(mode, comparing, sampler=broken)
    assert label(report) == "error"
    assert "secret" not in str(report.to_dict())


def test_what_a_function_costs_nobody_knows(mode, comparing):
    """So with a limit in money it is not asked."""
    asked = []
    limited = {**ASKED, "consistency": {"when": "no_evidence", "cost_usd": 1.0}}
    report = check(mode, comparing, limited, sampler=lambda n: asked.append(n) or [ANSWER] * n)
    assert (label(report), asked) == ("error", [])
    given = check(mode, comparing, limited, samples=[ANSWER] * 5)
    assert label(given) == "supported"


def test_a_function_that_takes_too_long_is_left_behind(mode):
    """Its deadline is an error in the batch, and nothing hangs."""
    release = threading.Event()
    sampler = FunctionSampler(lambda _: release.wait(60) and [])
    started = time.monotonic()
    try:
        if mode == "sync":
            batch = sampler.sample(1, seconds=0.05)
        else:

            async def run():
                batch = await sampler.asample(1, seconds=0.05)
                release.set()
                return batch

            batch = asyncio.run(run())
    finally:
        release.set()
    assert batch.failures
    assert time.monotonic() - started < 50


def test_the_decorator_takes_samples_from_a_parameter(mode, comparing):
    """They are the function's own argument."""
    guard = Guard(
        ASKED, settings=Settings(), verifier=ScriptedVerifier(), store=False, consistency=comparing
    )
    with guard:
        if mode == "sync":

            @guard.guarded(samples_from="others")
            def answer(others):
                return ANSWER

            report = answer([ANSWER] * 5).report
        else:

            @guard.guarded(samples_from="others")
            async def answering(others):
                return ANSWER

            report = asyncio.run(answering([ANSWER] * 5)).report
    assert label(report) == "supported"


# --------------------------------------------------------------------------- the model


class Waiting(ScriptedLLM):
    """A gateway whose calls wait for ever, and notice when they are cancelled."""

    def __init__(self):
        super().__init__([ANSWER])
        self.begun = 0
        self.cancelled = 0
        self.all_begun = asyncio.Event()

    async def acomplete(self, request):
        self.begun += 1
        if self.begun == 3:
            self.all_begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Called(ANSWER)


def model_sampler(gateway, abilities=None, **settings):
    return ModelSampler(
        gateway,
        {"model": "m", "messages": [{"role": "user", "content": "?"}]},
        SampleSettings(**settings),
        abilities or Abilities(),
        {},
    )


def one_at_a_time():
    abilities = Abilities()
    abilities.learn(("m", ""), frozenset({"n"}))
    return abilities


def test_cancelling_cancels_every_call_in_flight():
    """Three of four were let begin; each saw its cancellation, the fourth never began."""

    async def run():
        gateway = Waiting()
        sampler = model_sampler(gateway, one_at_a_time(), at_once=3)
        task = asyncio.create_task(sampler.asample(4, seconds=None))
        await asyncio.wait_for(gateway.all_begun.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return gateway

    gateway = asyncio.run(run())
    assert (gateway.begun, gateway.cancelled) == (3, 3)


def test_a_deadline_cancels_every_call_in_flight():
    """And says so, a failure each; those that never began are no failures."""

    async def run():
        for seconds in (0.2, 2, 20):  # the shortest in which this machine begins all three
            gateway = Waiting()
            sampler = model_sampler(gateway, one_at_a_time(), at_once=3)
            batch = await sampler.asample(4, seconds=seconds)
            if gateway.begun == 3:
                break
        return gateway, batch

    gateway, batch = asyncio.run(run())
    assert gateway.cancelled == 3
    assert [failure.code for failure in batch.failures] == [TimedOut.code] * 3
    assert not batch.cost_known


def test_extras_are_left_out_one_by_one_and_only_learnt_when_that_helped():
    """A request that is wrong in itself teaches nothing."""
    seen = []

    def script(request):
        seen.append(set(request) & {"n", "seed", "temperature", "logprobs"})
        raise ProviderFailed("no", status=400)

    abilities = Abilities()
    sampler = model_sampler(ScriptedLLM(script), abilities, seed=1, logprobs=True)
    batch = sampler.sample(2, seconds=None)
    assert seen[0] == {"n", "seed", "temperature", "logprobs"}
    assert seen[-1] == set()
    assert batch.failures
    assert abilities.missing(("m", "")) == frozenset()

    def picky(request):
        if "logprobs" in request:
            raise ProviderFailed("no", status=422)
        return chat_responses([ANSWER] * request["n"])

    assert (
        len(
            model_sampler(ScriptedLLM(picky), abilities, logprobs=True)
            .sample(2, seconds=None)
            .samples
        )
        == 2
    )
    assert abilities.missing(("m", "")) == {"logprobs"}


def test_log_probabilities_come_with_samples_and_answers():
    """The mean over the tokens; none where a token has none."""
    response = chat_response(ANSWER)
    tokens = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}]
    response["choices"][0]["logprobs"] = {"content": tokens}
    assert read(response).choices[0].logprob == -1.0
    batch = model_sampler(ScriptedLLM([response])).sample(1, seconds=None)
    assert batch.samples[0].logprob == -1.0
    response["choices"][0]["logprobs"] = {"content": [*tokens, {"token": "c", "logprob": None}]}
    assert read(response).choices[0].logprob is None
    assert read(chat_response(ANSWER)).choices[0].logprob is None


# --------------------------------------------------------------------------- side by side


def test_no_more_run_at_once_than_allowed(mode):
    """And what each gave comes in its place."""
    lock, running, most = threading.Lock(), [0], [0]
    both = threading.Barrier(2, timeout=60)

    def work(number):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        both.wait()
        with lock:
            running[0] -= 1
        return number

    works = [lambda n=n: work(n) for n in range(6)]
    if mode == "sync":
        got = together(works, at_once=2, seconds=60, halts=lambda _: False)
    else:
        aworks = [lambda w=w: asyncio.to_thread(w) for w in works]
        got = asyncio.run(atogether(aworks, at_once=2, seconds=60, halts=lambda _: False))
    assert got == list(range(6))
    assert most[0] == 2


def test_after_a_halting_error_nothing_more_begins(mode):
    """The others were not asked, which is no failure of theirs."""
    begun = []

    def work(number):
        begun.append(number)
        if number == 1:
            raise ValueError("too many")
        return number

    works = [lambda n=n: work(n) for n in range(5)]
    if mode == "sync":
        got = together(works, at_once=1, seconds=60, halts=lambda _: True)
    else:

        async def one(n):
            return work(n)

        aworks = [lambda n=n: one(n) for n in range(5)]
        got = asyncio.run(atogether(aworks, at_once=1, seconds=60, halts=lambda _: True))
    assert begun == [0, 1]
    assert got[0] == 0
    assert isinstance(got[1], ValueError)
    assert all(isinstance(outcome, NotAsked) for outcome in got[2:])
