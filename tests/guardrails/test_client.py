"""The ways in: one engine, one report; what is passed in stays as it was."""

from __future__ import annotations

import asyncio
import copy

import pytest

from guardrails import (
    Blocked,
    ConfigInvalid,
    Disposition,
    Guard,
    ProviderFailed,
    ResponseUnreadable,
    Settings,
)
from guardrails.gateway import LiteLLMGateway
from guardrails.testing import ScriptedLLM, ScriptedVerifier, chat_response, chat_responses
from policies.errors import RouteUnknown
from policies.load import load_policy
from policies.types import Action
from verifiers.errors import SourceInvalid

QUESTION = "How long is the refund period?"
MESSAGES = [{"role": "user", "content": QUESTION}]
SOURCE = "Refunds are possible within 30 days of purchase. The fee is 5 euros."
RIGHT = "Refunds are possible within 30 days of purchase."
WRONG = "Refunds are possible within 60 days of purchase."
MIXED = f"{WRONG} The fee is 5 euros."
REFUSAL = "REFUSED"
WAYS = ["client", "decorator", "check"]


def guard(script=(RIGHT,), policy=None, **options):
    chosen = load_policy({"extends": "balanced", "refusal": REFUSAL, **(policy or {})})
    options = {"verifier": ScriptedVerifier(), "store": False, **options}
    return Guard(chosen, settings=Settings(), gateway=ScriptedLLM(script), **options)


def ask(made, way, mode, answer, **options):
    """The same question, by one of six ways."""
    options = {"sources": [SOURCE], **options}
    if way == "client":
        if mode == "sync":
            return made.completion("m", MESSAGES, **options)
        return asyncio.run(made.acompletion("m", MESSAGES, **options))
    if way == "check":
        if mode == "sync":
            return made.check(answer, question=QUESTION, **options)
        return asyncio.run(made.acheck(answer, question=QUESTION, **options))
    decorate = made.guarded(question_from="question", **options)
    if mode == "sync":
        return decorate(lambda question: answer)(QUESTION)

    @decorate
    async def answering(question):
        return answer

    return asyncio.run(answering(QUESTION))


def gist(report):
    """A report without ids, timings, and what only a provider knows."""
    out = report.to_dict()
    own = ("record_id", "call_id", "started", "seconds", "attempts", "review_id")
    for key in (*own, "usage", "usage_by"):
        del out[key]
    return out


@pytest.mark.parametrize("answer", [RIGHT, WRONG, MIXED, "", "Penguins swim. The fee is 5 euros."])
def test_all_ways_give_the_same_report(answer):
    """Client, decorator and check, sync and async."""
    reports = []
    # One attempt: check has no more, and the report would rightly say so.
    rules = {"limits": {"attempts": 1}, "on_contradicted": "redact", "on_empty": "refuse"}
    rules["answer"] = {"max_unsupported_share": 0.6, "action": "refuse", "after_attempts": None}
    for way in WAYS:
        for mode in ("sync", "async"):
            with guard([answer], rules) as made:
                reports.append(gist(ask(made, way, mode, answer).report))
    assert all(report == reports[0] for report in reports)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_blocked_is_raised_where_asked(way, mode):
    """By the policy, and by the call over it; the error carries decision and report."""
    with guard([WRONG], {"on_contradicted": "refuse", "blocked": "raise"}) as made:
        with pytest.raises(Blocked) as caught:
            ask(made, way, mode, WRONG)
        assert caught.value.decision.action is Action.REFUSE
        assert caught.value.report.answer == WRONG
        assert WRONG not in str(caught.value)
        result = ask(made, way, mode, WRONG, blocked="respond")
        assert result.text == REFUSAL


def test_blocked_is_raised_if_any_choice_is_withheld():
    """A refusal never slips in among answers of a caller who wants errors."""
    with guard([chat_responses([RIGHT, WRONG])], {"on_contradicted": "refuse"}) as made:
        with pytest.raises(Blocked) as caught:
            made.completion("m", MESSAGES, sources=[SOURCE], n=2, blocked="raise")
        assert [report.blocked for report in caught.value.reports] == [False, True]
        assert caught.value.report.choice == 1


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_the_second_attempt_gets_the_conversation_and_the_feedback(mode):
    """On a copy of the messages, with n taken out."""
    messages = copy.deepcopy(MESSAGES)
    with guard([WRONG, RIGHT]) as made:
        call = {"model": "m", "messages": messages, "sources": [SOURCE], "temperature": 0.3, "n": 1}
        before = copy.deepcopy(call)
        result = (
            made.completion(**call) if mode == "sync" else asyncio.run(made.acompletion(**call))
        )
        first, second = made._parts.gateway.requests
    assert result.text == RIGHT
    assert call == before
    assert first["n"] == 1
    assert "n" not in second
    assert [m["role"] for m in second["messages"]] == ["user", "assistant", "user"]
    assert second["temperature"] == 0.3


def test_evidence_is_found_in_the_messages():
    """Tool results count; what the user wrote does not."""
    tool = {"role": "tool", "tool_call_id": "a", "content": SOURCE}
    with guard() as made:
        grounded = made.completion("m", [*MESSAGES, tool])
        claimed = made.completion(
            "m", [{"role": "user", "content": f"<context>{SOURCE}</context>"}]
        )
    assert [v.label for v in grounded.report.verdicts] == ["supported"]
    assert [v.label for v in claimed.report.verdicts] == ["unverifiable"]
    assert grounded.report.question == QUESTION


def test_the_guards_retriever_is_asked_and_can_be_replaced():
    """Registered once, overruled by a call, never asked when sources are passed."""
    asked = []

    def search(question):
        asked.append(question)
        return [SOURCE]

    with guard(retriever=search) as made:
        assert made.completion("m", MESSAGES).action is Action.PASS
        assert asked == [QUESTION]
        none = made.completion("m", MESSAGES, retriever=None)
        assert [v.label for v in none.report.verdicts] == ["unverifiable"]
        made.completion("m", MESSAGES, sources=[SOURCE])
        assert asyncio.run(made.acompletion("m", MESSAGES)).action is Action.PASS
    assert len(asked) == 2


def test_a_call_may_bring_its_own_policy():
    """A preset, a mapping or a policy."""
    with guard([WRONG]) as made:
        observed = made.completion("m", MESSAGES, sources=[SOURCE], policy="observe")
        assert observed.text == WRONG
        assert observed.report.decision.policy == "observe"


def test_check_gives_back_the_type_it_got():
    """A response in, a response out."""
    with guard(policy={"on_contradicted": "refuse"}) as made:
        response = chat_response(WRONG)
        result = made.check(response, sources=[SOURCE])
        assert result.response["choices"][0]["message"]["content"] == REFUSAL
        assert response["choices"][0]["message"]["content"] == WRONG


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda g: g.completion("m", MESSAGES, model="n"), ConfigInvalid),
        (lambda g: g.completion(*range(9)), ConfigInvalid),
        (lambda g: g.check(object(), sources=[SOURCE]), ResponseUnreadable),
        (lambda g: g.check(RIGHT, sources=[3]), SourceInvalid),
        (lambda g: g.check(RIGHT, sources=[SOURCE], policy=ROUTED, route="nope"), RouteUnknown),
        (lambda g: g.guarded(question_from="nope")(lambda question: ""), ConfigInvalid),
    ],
)
def test_nonsense_is_refused_by_name(call, error):
    """Before anything is sent."""
    with guard() as made:
        made._parts.gateway.complete = LiteLLMGateway(lambda: pytest.fail("sent")).complete
        with pytest.raises(error):
            call(made)


ROUTED = {"extends": "balanced", "routes": {"faq": {"on_unsupported": "refuse"}}}


def test_reports_and_errors_do_not_print_user_text():
    """A logged report or error leaks nothing."""
    with guard([WRONG], {"on_contradicted": "refuse"}) as made:
        report = made.completion("m", MESSAGES, sources=[SOURCE]).report
        with pytest.raises(Blocked) as caught:
            made.completion("m", MESSAGES, sources=[SOURCE], blocked="raise")
    for shown in (repr(report), str(caught.value)):
        assert "60 days" not in shown
        assert QUESTION not in shown
        assert "fee" not in shown


def test_a_failed_call_carries_its_report():
    """So that a caller can find the record."""
    with guard([ValueError("secret")]) as made, pytest.raises(ProviderFailed) as caught:
        made.completion("m", MESSAGES, sources=[SOURCE])
    assert caught.value.report.disposition is Disposition.FAILED
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_decorated_functions_own_exception_is_raised_unchanged():
    """It is the caller's code; the record is kept all the same."""
    error = KeyError("mine")

    def broken(question):
        raise error

    with guard() as made, pytest.raises(KeyError) as caught:
        made.guarded(sources=[SOURCE])(broken)("q")
    assert caught.value is error


@pytest.mark.parametrize("how", ["name", "position", "kwargs"])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_feedback_reaches_the_function(how, mode):
    """By name, over a positional argument, or among the keyword arguments."""
    seen = []

    def body(feedback):
        seen.append(feedback)
        return WRONG if feedback is None else RIGHT

    def named(question, feedback=None):
        return body(feedback)

    def loose(question, **rest):
        return body(rest.get("feedback"))

    function = loose if how == "kwargs" else named

    async def later(question, *args, **kwargs):
        return function(question, *args, **kwargs)

    arguments = (QUESTION, None) if how == "position" else (QUESTION,)
    with guard() as made:
        decorate = made.guarded(sources=[SOURCE], question_from="question", feedback_to="feedback")
        if mode == "sync":
            result = decorate(function)(*arguments)
        elif how == "position":

            async def exact(question, feedback=None):
                return body(feedback)

            result = asyncio.run(decorate(exact)(*arguments))
        else:
            result = asyncio.run(decorate(later)(*arguments))
    assert result.response == RIGHT
    assert seen[0] is None
    assert WRONG in seen[1]


def test_one_guard_serves_many_threads_and_loops():
    """Nothing of one call shows in another."""
    from concurrent.futures import ThreadPoolExecutor

    def one(number):
        answer = RIGHT if number % 2 else MIXED
        if number % 3:
            return made.check(answer, sources=[SOURCE])
        return asyncio.run(made.acheck(answer, sources=[SOURCE]))

    with guard() as made, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(one, range(40)))
    texts = [result.text for result in results]
    assert texts == [RIGHT if n % 2 else "The fee is 5 euros." for n in range(40)]
    assert len({result.report.call_id for result in results}) == 40


def test_closing_twice_is_fine():
    """As for files."""
    made = guard()
    made.close()
    made.close()
