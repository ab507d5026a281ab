"""A provider over a real socket, through LiteLLM, in every mood: right verdicts, decision and
record, or a clear error; never a clean pass."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys

import pytest

from guardrails import Disposition, Guard, ProviderFailed, ResponseUnreadable, Settings
from guardrails.record import replay
from guardrails.scripted_provider import Cut, Raw, ScriptedProvider, Slow, Status
from guardrails.store import open_store
from guardrails.testing import ScriptedVerifier, chat_response, chat_responses
from policies.load import load_policy
from policies.types import Action

SOURCE = (
    "Refunds are possible within 30 days of purchase. The fee is 5 euros. "
    "Anna Berg leads the support team."
)
MESSAGES = [{"role": "user", "content": "How long is the refund period?"}]
RIGHT = "Refunds are possible within 30 days of purchase."
WRONG_NUMBER = "Refunds are possible within 60 days of purchase."
WRONG_NAME = "Carla Diaz leads the support team."
OFF_TOPIC = "Penguins live mostly in the southern hemisphere."
TOOL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
REFUSAL = "REFUSED"

# LiteLLM silences this one by a filter it sets at import, which pytest undoes with every test.
pytestmark = [
    pytest.mark.usefixtures("litellm_clients"),
    pytest.mark.filterwarnings("ignore:.*ReadOnly.*:UserWarning"),
]


@pytest.fixture(params=["sync", "async"])
def mode(request):
    return request.param


@pytest.fixture
def store(store_url):
    opened = open_store(store_url)
    yield opened
    opened.close()


class Ask:
    """One guarded call of a scripted provider, sync or async."""

    def __init__(self, mode, store):
        self.mode = mode
        self.store = store
        self.provider = None

    def __call__(self, script, *, policy=None, verifier=None, **options):
        chosen = load_policy({"extends": "balanced", "refusal": REFUSAL, **(policy or {})})
        guard = Guard(
            chosen, settings=Settings(), verifier=verifier or ScriptedVerifier(), store=self.store
        )
        with ScriptedProvider(script) as self.provider, guard:
            call = {
                "model": "openai/scripted",
                "messages": MESSAGES,
                "sources": SOURCE,
                "api_base": self.provider.url,
                "api_key": "not-a-key",
                "num_retries": 0,
                "max_retries": 0,
                **options,
            }
            if self.mode == "sync":
                return guard.completion(**call)
            return asyncio.run(guard.acompletion(**call))

    def record(self):
        (record,) = self.store.query()
        return record


@pytest.fixture
def ask(mode, store):
    return Ask(mode, store)


def test_right(ask):
    """Passes; the text is the provider's, the record replays to the same action."""
    result = ask([RIGHT])
    assert (result.text, result.action) == (RIGHT, Action.PASS)
    assert result.response.choices[0].message.content == RIGHT
    assert type(result.response).__name__ == "ModelResponse"
    record = ask.record()
    assert record.id == result.report.record_id
    assert replay(record) is Action.PASS
    assert record.usage.input_tokens == 10


def test_wrong_in_a_number_is_fixed_by_the_second_try(ask):
    """The model is told the claim and the evidence; the record shows both attempts."""
    result = ask([WRONG_NUMBER, RIGHT])
    assert (result.text, result.action) == (RIGHT, Action.PASS)
    first, second = ask.provider.requests
    assert first["messages"] == MESSAGES
    assert second["messages"][:2] == [*MESSAGES, {"role": "assistant", "content": WRONG_NUMBER}]
    told = second["messages"][2]
    assert told["role"] == "user"
    assert WRONG_NUMBER in told["content"]
    assert "within 30 days" in told["content"]
    record = ask.record()
    actions = [attempt.decision.action for attempt in record.attempts]
    assert actions == [Action.REGENERATE, Action.PASS]
    assert record.attempts[0].decision.verdicts[0].verdict == "contradicted"
    assert replay(record) is Action.PASS


def test_wrong_in_a_number_for_good_is_never_released(ask):
    """When no attempt helps, after_attempts decides."""
    result = ask([WRONG_NUMBER], policy={"after_attempts": "refuse"})
    assert (result.text, result.action) == (REFUSAL, Action.REFUSE)
    assert WRONG_NUMBER not in result.response.model_dump_json()
    assert replay(ask.record()) is Action.REFUSE


@pytest.mark.parametrize("answer", [WRONG_NAME, OFF_TOPIC])
def test_wrong_name_and_off_topic_are_unsupported(ask, answer):
    """Nothing in the source says so, and the answer does not get out."""
    result = ask([answer])
    assert [verdict.label for verdict in result.report.verdicts] == ["unsupported"]
    assert result.action is Action.REFUSE
    assert answer not in result.response.model_dump_json()


@pytest.mark.parametrize("reply", ["", "  \n", chat_response(None)])
def test_empty(ask, reply):
    """The policy's on_empty, whether empty, blank or null."""
    result = ask([reply])
    assert (result.action, result.text) == (Action.REFUSE, REFUSAL)
    assert ask.record().attempt.facts.empty


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Raw(b"{not json"), None),
        (Raw(b"<html>gateway</html>", "text/html"), None),
        (Raw(b""), None),
        (Status(500), 500),
        (Status(503), 503),
        (Status(429), 429),
        (Status(401), 401),
        (Status(400), 400),
        (Cut(), None),
        (Cut(after=0), None),
    ],
    ids=str,
)
def test_a_broken_provider_is_a_clear_error_and_a_record(ask, reply, status):
    """The original exception is the cause; the record says what happened."""
    with pytest.raises(ProviderFailed) as caught:
        ask([reply])
    error = caught.value
    assert error.__cause__ is not None
    assert str(error).startswith("[GR304] The model call failed: ")
    if status is not None:
        assert error.status == status
    record = ask.record()
    assert record.id == error.report.record_id
    assert record.disposition is Disposition.FAILED
    assert record.attempts[0].failure.code == "GR304"
    assert replay(record) is Action.REFUSE


def test_a_response_without_choices_is_a_clear_error_and_a_record(ask):
    """An answer that is not there is not an empty answer."""
    nothing = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": []}
    with pytest.raises((ResponseUnreadable, ProviderFailed)):
        ask([nothing])
    assert ask.record().disposition is Disposition.FAILED


def test_slow_by_the_calls_own_timeout(ask):
    """LiteLLM's timeout passes through."""
    with pytest.raises(ProviderFailed) as caught:
        ask([Slow(30, RIGHT)], timeout=0.3)
    assert caught.value.status == 408
    assert ask.record().disposition is Disposition.FAILED


def test_slow_by_the_policys_budget(ask):
    """The policy's seconds become the provider's timeout."""
    with pytest.raises(ProviderFailed) as caught:
        ask([Slow(30, RIGHT)], policy={"limits": {"seconds": 0.3}})
    assert caught.value.status == 408


def test_slow_verification_is_an_error_verdict(ask):
    """A check that takes too long is "could not look"."""
    result = ask(
        [RIGHT],
        policy={"limits": {"seconds": 1.5}, "on_error": "refuse"},
        verifier=ScriptedVerifier(delay=10.0),
    )
    assert [verdict.label for verdict in result.report.verdicts] == ["error"]
    assert result.report.verdicts[0].code == "GR313"
    assert result.text == REFUSAL


def test_a_provider_that_dies_on_the_second_try(ask):
    """The first answer, decided as if no attempt were left, and the failure on record."""
    result = ask([f"{WRONG_NUMBER} The fee is 5 euros.", Status(500)])
    assert (result.action, result.text) == (Action.REDACT, "The fee is 5 euros.")
    record = ask.record()
    assert record.attempts[1].failure.status == 500
    assert replay(record) is Action.REDACT


def test_a_refusal_of_the_model(ask):
    """Recorded as one; by default it is passed on with a note, never checked as an answer."""
    result = ask([chat_response(None, refusal="I cannot help with that.")])
    assert result.action is Action.ANNOTATE
    assert ask.record().attempt.facts.refused


def test_tool_calls_without_text(ask):
    """Pass untouched and are recorded."""
    result = ask([chat_response(None, finish_reason="tool_calls", tool_calls=[TOOL])])
    assert result.action is Action.PASS
    assert result.response.choices[0].message.tool_calls[0].function.name == "f"
    assert ask.record().attempt.tool_calls == 1


def test_cut_at_the_length_limit(ask):
    """Checked, and marked as cut."""
    result = ask([chat_response(RIGHT, finish_reason="length")])
    assert result.action is Action.ANNOTATE
    assert ask.record().attempt.facts.cut


def test_several_choices(ask):
    """Each decided on its own; the wrong one is asked for again alone; a record a choice."""
    result = ask([chat_responses([RIGHT, WRONG_NUMBER]), RIGHT], n=2)
    assert [choice.message.content for choice in result.response.choices] == [RIGHT, RIGHT]
    assert [choice.index for choice in result.response.choices] == [0, 1]
    assert [len(report.attempts) for report in result.reports] == [1, 2]
    assert ask.provider.requests[0]["n"] == 2
    assert "n" not in ask.provider.requests[1]
    records = ask.store.query(call_id=result.report.call_id)
    assert sorted(record.choice for record in records) == [0, 1]


def test_a_failed_check_is_never_clean(ask):
    """Whatever the answer, an exploding verifier ends in error verdicts."""
    broken = ScriptedVerifier(outcomes={RIGHT: RuntimeError("boom")})
    result = ask([RIGHT], policy={"on_error": "refuse"}, verifier=broken)
    assert [verdict.label for verdict in result.report.verdicts] == ["error"]
    assert result.text == REFUSAL


def test_the_callers_arguments_are_not_changed(ask):
    """Neither the messages nor anything in them, regenerate included."""
    messages = [{"role": "user", "content": [{"type": "text", "text": "How long?"}]}]
    ask([WRONG_NUMBER, RIGHT], messages=messages)
    assert messages == [{"role": "user", "content": [{"type": "text", "text": "How long?"}]}]


def test_our_own_options_never_reach_the_provider(ask):
    """Sources and policy are ours; nothing of them is sent."""
    ask([RIGHT], route="faq", record_metadata={"team": "x"}, blocked="respond")
    (request,) = ask.provider.requests
    assert set(request) <= {"model", "messages", "extra_body"}
    assert not re.search("sources|route|record_metadata|blocked", str(request))


def test_the_first_import_of_litellm_reaches_no_network(monkeypatch):
    """And puts the environment back as it was."""
    code = """
import os, socket
def refuse(*a, **k): raise SystemExit("network: %r" % (a[:1],))
socket.getaddrinfo = refuse
from guardrails.gateway import load_litellm
before = dict(os.environ)
litellm = load_litellm()
assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())
assert "gpt-4o" in litellm.model_cost
"""
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP", raising=False)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "cost map" not in done.stderr
