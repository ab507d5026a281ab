"""The Generic Guardrail API without LiteLLM: evidence by call id, decisions, refusals."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from guardrails import Guard, Settings
from guardrails.errors import ConfigInvalid
from guardrails.integrations._generic_guard import GenericGuardrail
from guardrails.integrations._generic_wire import GuardrailRequest, GuardrailResponse
from guardrails.integrations._remembered import InMemory
from guardrails.testing import ScriptedVerifier
from policies.load import load_policy

FACT = "Paris is the capital of France."
LIE = "Bananas grow on the moon."
MESSAGES = [
    {"role": "system", "content": f"<context>{FACT}</context>"},
    {"role": "user", "content": "What is the capital?"},
]


class Asking:
    """One API over a scripted verifier; keeps what was decided."""

    def __init__(self, **memory: Any) -> None:
        self.guard = Guard(
            settings=Settings.model_validate({"store": {"url": None}}), verifier=ScriptedVerifier()
        )
        self.made = GenericGuardrail(self.guard.engine, InMemory(**memory))

    def before(self, call: str | None = "c1", key: str = "k", **more: Any) -> GuardrailResponse:
        return self.ask(
            key, input_type="request", litellm_call_id=call, structured_messages=MESSAGES, **more
        )

    def after(
        self, *texts: str, call: str | None = "c1", key: str = "k", **more: Any
    ) -> GuardrailResponse:
        return self.ask(key, input_type="response", litellm_call_id=call, texts=texts, **more)

    def ask(self, key: str, **body: Any) -> GuardrailResponse:
        asked = GuardrailRequest.model_validate(body)
        return asyncio.run(self.made.answer(asked, key_id=key))


@pytest.fixture
def api() -> Asking:
    return Asking()


def ours(**wishes: Any) -> dict[str, Any]:
    return {"additional_provider_specific_params": {"groundrail": wishes}}


def test_supported_by_what_came_before(api: Asking) -> None:
    assert api.before().action == "NONE"
    assert api.after(FACT).action == "NONE"


def test_what_nothing_supports_is_taken_out(api: Asking) -> None:
    api.before()
    done = api.after(f"{FACT} {LIE}")
    assert (done.action, done.texts) == ("GUARDRAIL_INTERVENED", (FACT,))


def test_each_text_is_decided_on_its_own(api: Asking) -> None:
    api.before()
    refusal = load_policy("balanced").refusal
    assert api.after(FACT, LIE).texts == (FACT, refusal)


def test_an_unknown_call_has_no_evidence(api: Asking) -> None:
    """Then the policy's on_no_evidence decides; strict refuses."""
    strict = ours(policy="strict")
    api.before(**strict)
    assert api.after(FACT, **strict).action == "NONE"
    assert api.after(FACT, call="other", **strict).texts == (load_policy("strict").refusal,)
    assert api.after(FACT, call=None, **strict).texts == (load_policy("strict").refusal,)


def test_nobody_finds_what_anothers_key_sent(api: Asking) -> None:
    """Callers of LiteLLM may choose the id of a call."""
    strict = ours(policy="strict")
    mine = {"request_data": {"user_api_key_hash": "mine"}}
    api.before(**mine)
    assert api.after(FACT, **mine, **strict).action == "NONE"
    assert api.after(FACT, **strict).action == "GUARDRAIL_INTERVENED"
    assert api.after(FACT, key="other", **mine, **strict).action == "GUARDRAIL_INTERVENED"


def test_what_is_too_old_or_too_big_is_no_evidence() -> None:
    strict = ours(policy="strict")
    for memory in ({"keep_s": 0.0}, {"limit_bytes": 300}):
        api = Asking(**memory)
        api.before()
        assert api.after(FACT, **strict).action == "GUARDRAIL_INTERVENED", memory


def test_blocked_where_the_policy_raises(api: Asking, tmp_path: Any) -> None:
    """LiteLLM then answers with an error of its own, which gives the reason."""
    path = tmp_path / "raising.yaml"
    path.write_text("version: 1\nname: raising\nextends: strict\nblocked: raise\n")
    api.before()
    done = api.after(LIE, **ours(policy=str(path)))
    assert (done.action, done.blocked_reason) == ("BLOCKED", load_policy("strict").refusal)


def test_blocked_where_changes_are_not_wanted(api: Asking) -> None:
    api.before()
    assert api.after(FACT, **ours(on_change="block")).action == "NONE"
    assert api.after(f"{FACT} {LIE}", call="c2", **ours(on_change="block")).action == "NONE"
    api.before(call="c3")
    assert api.after(f"{FACT} {LIE}", call="c3", **ours(on_change="block")).action == "BLOCKED"


def test_a_refused_answer_takes_its_tool_calls_along(api: Asking) -> None:
    """LiteLLM would leave them beside the refusal."""
    api.before()
    assert api.after(LIE, tool_calls=[{"id": "1"}]).action == "BLOCKED"
    api.before(call="c2")
    assert api.after(f"{FACT} {LIE}", call="c2", tool_calls=[{"id": "1"}]).texts == (FACT,)


def test_a_stream_is_ended(api: Asking) -> None:
    """A text that goes on was not held back. The same text again is no stream."""
    api.before()
    assert api.after(FACT[:20]).action != "BLOCKED"
    assert api.after(FACT[:20]).action != "BLOCKED"
    assert api.after(FACT).action == "BLOCKED"


def test_refusing_everything(api: Asking) -> None:
    assert api.before(**ours(refuse=True)).action == "BLOCKED"
    assert api.after(FACT, **ours(refuse=True)).action == "BLOCKED"


def test_an_answer_without_text_passes(api: Asking) -> None:
    api.before()
    assert api.after().action == "NONE"


@pytest.mark.parametrize("wrong", [{"polcy": "strict"}, {"on_change": "maybe"}, ["strict"], "x"])
def test_wrong_wishes_are_errors(api: Asking, wrong: object) -> None:
    """LiteLLM then blocks; a typing error must not read as the default."""
    with pytest.raises(ConfigInvalid):
        api.after(FACT, additional_provider_specific_params={"groundrail": wrong})
