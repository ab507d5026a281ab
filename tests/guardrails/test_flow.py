"""The flow alone: no threads, no clock, no I/O. Effects are answered by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from guardrails._flow_values import Job
from guardrails.effects import (
    Broken,
    Called,
    CallModel,
    Enqueue,
    Fault,
    Finished,
    Instant,
    Queued,
    ReadClock,
    Retrieve,
    Retrieved,
    Save,
    Saved,
    Verify,
)
from guardrails.errors import ProviderFailed, ResponseUnreadable, RetrieverFailed, StoreUnavailable
from guardrails.flow import guard_flow
from guardrails.report import Disposition, Entry, RequestInfo
from guardrails.testing import ScriptedVerifier, chat_response, chat_responses
from policies.load import load_policy
from policies.types import Action
from verifiers.errors import Overloaded
from verifiers.types import Source

SOURCE = Source("terms", "Refunds are possible within 30 days of purchase. The fee is 5 euros.")
RIGHT = "Refunds are possible within 30 days."
WRONG = "Refunds are possible within 60 days."
MIXED = f"{WRONG} The fee is 5 euros."
REFUSAL = "REFUSED"
HELD = "HELD"


def policy(**changes):
    base = {
        "extends": "balanced",
        "refusal": REFUSAL,
        "review": {"text": HELD},
        "limits": {"attempts": 2, "seconds": None},
    }
    return load_policy({**base, **changes})


def job(chosen=None, **changes):
    defaults = {
        "call_id": "call",
        "request": RequestInfo(Entry.CLIENT),
        "policy": chosen or policy(),
        "question": "How long?",
        "sources": (SOURCE,),
    }
    return Job(**{**defaults, **changes})


@dataclass
class World:
    """Answers effects and keeps them."""

    calls: list = field(default_factory=list)  # results of CallModel, in order
    verify: object = None
    retrieve: object = None
    saved: object = None
    queued: object = None
    step: float = 0.0
    log: list = field(default_factory=list)
    tick: float = 100.0

    def answer(self, effect):
        if isinstance(effect, ReadClock):
            self.tick += self.step
            return Instant(datetime(2026, 1, 1, tzinfo=UTC), self.tick)
        self.log.append(effect)
        if isinstance(effect, CallModel):
            reply = self.calls.pop(0)
            return Called(reply) if isinstance(reply, str | dict) else reply
        if isinstance(effect, Verify):
            return self.verify or ScriptedVerifier().verify(
                effect.answer, sources=effect.sources, question=effect.question
            )
        return {
            Retrieve: lambda: self.retrieve,
            Save: lambda: self.saved or Saved(recorded=True),
            Enqueue: lambda: self.queued or Queued(effect.report.record_id),
        }[type(effect)]()

    def of(self, kind):
        return [effect for effect in self.log if isinstance(effect, kind)]


def play(world, todo):
    flow = guard_flow(todo)
    result = None
    while True:
        try:
            effect = flow.send(result)
        except StopIteration as stop:
            return stop.value
        result = world.answer(effect)


def test_a_supported_answer_passes_unchanged_and_is_recorded():
    """The response given back is the provider's own object, and there is one record."""
    response = chat_response(RIGHT)
    world = World([response])
    ending = play(world, job())
    assert isinstance(ending, Finished)
    assert ending.response is response
    (report,) = ending.reports
    assert (
        report.action,
        report.disposition,
        report.recorded,
    ) == (Action.PASS, Disposition.RELEASED, True)
    assert [verdict.label for verdict in report.verdicts] == ["supported"]
    assert len(world.of(Save)) == 1


def test_a_wrong_answer_is_asked_for_again_with_the_evidence():
    """The second call carries the failed claim and what the source says, quoted as data."""
    world = World([WRONG, RIGHT])
    ending = play(world, job())
    assert ending.response == RIGHT
    followup = world.of(CallModel)[1].followup
    assert followup.answer == WRONG
    assert f'"{WRONG}"' in followup.message
    assert "30 days" in followup.message
    (report,) = ending.reports
    assert [a.decision.action for a in report.attempts] == [Action.REGENERATE, Action.PASS]
    assert [a.answer for a in report.attempts] == [WRONG, RIGHT]
    assert report.answered == 1
    assert followup.message == report.attempts[1].feedback


def test_attempts_end_and_what_comes_after_them_decides():
    """Never more calls than the policy allows; the bad sentence is then taken out."""
    world = World([MIXED, MIXED, MIXED])
    ending = play(world, job())
    assert len(world.of(CallModel)) == 2
    (report,) = ending.reports
    assert report.action == Action.REDACT
    assert "The fee is 5 euros." == ending.response == report.text
    assert report.answer == MIXED


def test_the_time_budget_ends_attempts():
    """Once the seconds are used up there is no second call."""
    world = World([WRONG, RIGHT], step=5.0)
    ending = play(world, job(policy(limits={"attempts": 5, "seconds": 12.0})))
    assert len(world.of(CallModel)) == 1
    assert ending.response == REFUSAL


def test_the_cost_budget_ends_attempts():
    """Cost is added up over the attempts; above the limit there is no further call."""
    replies = [Called(WRONG, 0.04), Called(WRONG, 0.04), Called(RIGHT, 0.04)]
    world = World(replies)
    ending = play(world, job(policy(limits={"attempts": 5, "seconds": None, "cost_usd": 0.07})))
    assert len(world.of(CallModel)) == 2
    assert pytest.approx(0.08) == ending.reports[0].usage.cost_usd


def test_the_budget_left_travels_with_the_effects():
    """Provider and verification are told how long they may take."""
    world = World([RIGHT], step=1.0)
    play(world, job(policy(limits={"seconds": 30.0})))
    (call,) = world.of(CallModel)
    (check,) = world.of(Verify)
    assert 0 < call.timeout <= 30.0
    assert check.timeout < call.timeout


def test_a_failed_provider_is_recorded_and_then_raised():
    """The ending carries the error and a report that refuses."""
    error = ProviderFailed("down", status=500)
    world = World([Fault(error)])
    ending = play(world, job())
    assert isinstance(ending, Broken)
    assert error is ending.error
    (save,) = world.of(Save)
    assert save.report.disposition == Disposition.FAILED
    assert (
        save.report.action,
        save.report.failure.status,
        save.report.failure.code,
    ) == (Action.REFUSE, 500, "GR304")
    assert ending.reports[0].recorded


def test_an_unreadable_response_is_recorded_and_then_raised():
    """A response without an answer is a failure, not an empty answer."""
    world = World([{"choices": []}])
    ending = play(world, job())
    assert isinstance(ending.error, ResponseUnreadable)
    assert world.of(Save)[0].report.failure.code == "GR305"


def test_a_failing_second_call_falls_back_to_the_first_answer():
    """after_attempts decides on the answer there is; the failed attempt stays on record."""
    world = World([MIXED, Fault(ProviderFailed("down"))])
    ending = play(world, job())
    assert isinstance(ending, Finished)
    (report,) = ending.reports
    assert (report.action, report.text) == (Action.REDACT, "The fee is 5 euros.")
    assert report.answered == 0
    assert report.attempts[1].failure.code == "GR304"
    assert report.attempts[0].decision == report.decision
    assert not report.attempts[0].can_regenerate
    assert any("Asking again failed" in note for note in report.notes)


@pytest.mark.parametrize(("on_error", "text"), [("refuse", REFUSAL), ("pass", RIGHT)])
def test_a_failed_verification_is_an_error_verdict(on_error, text):
    """What the policy says of errors happens; nothing is clean by default."""
    world = World([RIGHT], verify=Fault(Overloaded("the queue is full")))
    chosen = policy(on_error=on_error, answer={"max_unsupported_share": None})
    ending = play(world, job(chosen))
    (report,) = ending.reports
    assert [verdict.label for verdict in report.verdicts] == ["error"]
    assert report.verdicts[0].code == "GR104"
    assert text == ending.response


def test_an_unknown_failure_of_the_verification_is_an_error_verdict_too():
    """A bug in checking is "could not look", and says no user text."""
    world = World([RIGHT], verify=Fault(ZeroDivisionError(RIGHT)))
    (report,) = play(world, job(policy(on_error="refuse"))).reports
    assert report.verdicts[0].code == "GR100"
    assert RIGHT not in report.verdicts[0].reason


def test_a_failed_retriever_is_an_error_verdict():
    """Without its evidence an answer was not looked at."""
    world = World([RIGHT], retrieve=Fault(RetrieverFailed("down")))
    (report,) = play(world, job(policy(on_error="refuse"), sources=None, retrieve=True)).reports
    assert report.verdicts[0].code == "GR306"
    assert world.of(Verify) == []
    assert report.text == REFUSAL


def test_sources_of_the_call_are_all_the_evidence():
    """The retriever is not asked, and what the messages hold is not read."""
    other = Source("other", "Refunds are possible within 60 days.")
    world = World([RIGHT])
    play(world, job(captured=(other,)))
    assert world.of(Verify)[0].sources == (SOURCE,)
    assert world.of(Retrieve) == []


def test_retrieved_and_captured_evidence_are_read_together():
    """In that order; a repeated id gets another name and loses no text."""
    twin = Source("terms", "Another text.")
    world = World([RIGHT], retrieve=Retrieved((SOURCE,), ("one note",)))
    (report,) = play(world, job(sources=None, retrieve=True, captured=(SOURCE, twin))).reports
    assert [source.id for source in world.of(Verify)[0].sources] == ["terms", "terms#2"]
    assert "one note" in report.notes


def test_evidence_is_gathered_once_for_all_attempts():
    """The retriever is not asked again for a second attempt."""
    world = World([WRONG, RIGHT], retrieve=Retrieved((SOURCE,)))
    play(world, job(sources=None, retrieve=True))
    assert len(world.of(Retrieve)) == 1


def test_without_any_evidence_claims_are_unverifiable():
    """No source is not support."""
    (report,) = play(World([RIGHT]), job(sources=())).reports
    assert [verdict.label for verdict in report.verdicts] == ["unverifiable"]


def test_an_empty_answer_is_decided_by_on_empty():
    """Nothing is verified, and the policy's word stands."""
    world = World([""])
    (report,) = play(world, job(policy(on_empty="refuse"))).reports
    assert world.of(Verify) == []
    assert (report.disposition, report.text) == (Disposition.REFUSED, REFUSAL)


def test_tool_calls_without_text_pass_and_are_recorded():
    """There is nothing to check yet."""
    tool = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    response = chat_response(None, finish_reason="tool_calls", tool_calls=[tool])
    ending = play(World([response]), job())
    assert ending.response is response
    (report,) = ending.reports
    assert (report.action, report.attempts[0].tool_calls) == (Action.PASS, 1)
    assert report.attempts[0].facts.tool_calls
    assert not report.attempts[0].facts.empty


def test_a_refused_text_with_tool_calls_releases_neither():
    """Tool calls of a withheld answer are withheld with it."""
    tool = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    response = chat_response(WRONG, finish_reason="tool_calls", tool_calls=[tool])
    ending = play(World([response]), job(policy(on_contradicted="refuse")))
    (choice,) = ending.response["choices"]
    assert choice["message"]["content"] == REFUSAL
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"
    assert response["choices"][0]["message"]["tool_calls"] == [tool]


def test_a_provider_refusal_is_a_fact_of_the_answer():
    """It is neither empty nor checked."""
    response = chat_response(None, refusal="I cannot help with that.")
    (report,) = play(World([response]), job(policy(on_refused="review"))).reports
    assert report.attempts[0].facts.refused
    assert not report.attempts[0].facts.empty
    assert report.action == Action.REVIEW


def test_an_answer_cut_at_its_length_is_checked_and_flagged():
    """Both the claims and the cut count."""
    response = chat_response(RIGHT, finish_reason="length")
    (report,) = play(World([response]), job(policy(on_cut="annotate"))).reports
    assert report.attempts[0].facts.cut
    assert report.action == Action.ANNOTATE
    assert report.text == RIGHT


@pytest.mark.parametrize(
    ("hold", "disposition"), [(True, Disposition.HELD), (False, Disposition.FLAGGED)]
)
def test_review_enqueues_and_holds_or_releases(hold, disposition):
    """The record, the text and the queue name the same review."""
    world = World([WRONG])
    chosen = policy(on_contradicted="review", review={"hold": hold, "text": HELD})
    (report,) = play(world, job(chosen)).reports
    (enqueue,) = world.of(Enqueue)
    (save,) = world.of(Save)
    assert disposition == report.disposition
    assert hold is enqueue.held
    assert "call" == report.review_id == save.report.review_id
    assert (f"{HELD} (review call)" if hold else WRONG) == report.text == save.report.text


def test_a_review_nobody_is_asked_for_is_still_held():
    """Without a queue the held answer stays away and no review is named."""
    world = World([WRONG], queued=Queued(None, note="no queue"))
    (report,) = play(world, job(policy(on_contradicted="review"))).reports
    assert (report.disposition, report.text, report.review_id) == (Disposition.HELD, HELD, None)
    assert "no queue" in report.notes


def test_a_spilled_record_leaves_a_note():
    """The answer goes out, and the report says its record is not in the store."""
    world = World([RIGHT], saved=Saved(recorded=False, note="spilled"))
    (report,) = play(world, job()).reports
    assert not report.recorded
    assert report.notes == ("spilled",)


def test_a_record_that_must_be_kept_and_is_not_stops_the_answer():
    """The flow ends in the store's error and does not try to save again."""
    error = StoreUnavailable("gone")
    world = World([RIGHT], saved=Saved(recorded=False, error=error))
    ending = play(world, job())
    assert isinstance(ending, Broken)
    assert error is ending.error
    assert len(world.of(Save)) == 1


@pytest.mark.parametrize("at", [CallModel, Verify])
def test_a_cancelled_call_is_recorded(at):
    """The record says cancelled, and the cancellation is what the driver raises."""
    stop = KeyboardInterrupt()
    world = World([RIGHT])
    plain = world.answer
    world.answer = lambda e: Fault(stop, cancelled=True) if isinstance(e, at) else plain(e)
    ending = play(world, job())
    assert isinstance(ending, Broken)
    assert stop is ending.error
    (save,) = world.of(Save)
    assert save.report.failure.code == "cancelled"
    assert save.report.disposition == Disposition.FAILED


def test_choices_are_decided_apart():
    """With n = 2 each has its report; only the bad one is asked for again, alone."""
    world = World([chat_responses([RIGHT, WRONG]), chat_response(RIGHT)])
    ending = play(world, job())
    first, second = ending.reports
    assert (first.record_id, second.record_id) == ("call.0", "call.1")
    assert "call" == first.call_id == second.call_id
    assert (len(first.attempts), len(second.attempts)) == (1, 2)
    texts = [choice["message"]["content"] for choice in ending.response["choices"]]
    assert texts == [RIGHT, RIGHT]
    assert [choice["index"] for choice in ending.response["choices"]] == [0, 1]
    assert len(world.of(Save)) == 2


def test_costs_of_several_choices_add_up():
    """The shared call is charged to the first choice only."""
    world = World([Called(chat_responses([RIGHT, RIGHT]), 0.5)])
    first, second = play(world, job()).reports
    assert (first.usage.cost_usd, second.usage.cost_usd) == (0.5, None)


def test_one_refused_choice_leaves_the_others():
    """Texts are replaced choice by choice."""
    world = World([chat_responses([RIGHT, WRONG])])
    ending = play(world, job(policy(on_contradicted="refuse")))
    texts = [choice["message"]["content"] for choice in ending.response["choices"]]
    assert texts == [RIGHT, REFUSAL]


def test_what_cannot_be_asked_again_says_so():
    """check() and functions without feedback: after_attempts, and a note."""
    world = World([MIXED])
    (report,) = play(world, job(can_regenerate=False)).reports
    assert len(world.of(CallModel)) == 1
    assert report.action == Action.REDACT
    assert any("cannot be asked for again" in note for note in report.notes)


@pytest.mark.parametrize("at", [Retrieve, Enqueue, Save])
def test_a_call_cancelled_at_any_stage_ends_as_cancelled(at):
    """There is one attempt to record it, and none once saving has begun."""
    stop = KeyboardInterrupt()
    world = World([WRONG], retrieve=Retrieved((SOURCE,)))
    plain = world.answer

    def answer(effect):
        if isinstance(effect, at) and stop not in world.log:
            world.log.append(stop)
            return Fault(stop, cancelled=True)
        return plain(effect)

    world.answer = answer
    todo = job(policy(on_contradicted="review"), sources=None, retrieve=True)
    ending = play(world, todo)
    assert stop is ending.error
    assert ending.reports[-1].failure.code == "cancelled"
    assert len(world.of(Save)) == (0 if at is Save else 1)


def test_a_second_call_that_is_cancelled_ends_the_whole():
    """The first answer is not released; both attempts are on record."""
    stop = KeyboardInterrupt()
    world = World([WRONG, Fault(stop, cancelled=True)])
    ending = play(world, job())
    assert stop is ending.error
    (save,) = world.of(Save)
    assert [attempt.answer for attempt in save.report.attempts] == [WRONG, ""]
    assert save.report.failure.code == "cancelled"


def test_a_review_that_must_be_kept_and_is_not_stops_the_answer():
    """As for a record."""
    error = StoreUnavailable("gone")
    world = World([WRONG], queued=Queued(None, error=error))
    ending = play(world, job(policy(on_contradicted="review", review={"hold": False})))
    assert error is ending.error
    assert len(world.of(Save)) == 1
