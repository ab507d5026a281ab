"""The gateway: what goes to LiteLLM, and what its errors become."""

from __future__ import annotations

import asyncio
import copy
from types import SimpleNamespace

import pytest

from guardrails.errors import Blocked, ConfigInvalid, ProviderFailed
from guardrails.gateway import LiteLLMGateway, cost_of, provider_failed


class Refused(Exception):
    status_code = 429


def fake(reply, cost=None):
    """A module that looks like LiteLLM."""
    seen = []

    def completion(**kwargs):
        seen.append(kwargs)
        kwargs["messages"].append("scribble")
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def acompletion(**kwargs):
        return completion(**kwargs)

    def completion_cost(completion_response):
        if cost is None:
            raise Exception("This model isn't mapped yet.")  # noqa: TRY002 - as LiteLLM does
        return cost

    return SimpleNamespace(
        completion=completion, acompletion=acompletion, completion_cost=completion_cost, seen=seen
    )


@pytest.fixture(params=["sync", "async"])
def call(request):
    def calling(litellm, request_):
        gateway = LiteLLMGateway(lambda: litellm)
        if request.param == "sync":
            return gateway.complete(request_)
        return asyncio.run(gateway.acomplete(request_))

    return calling


def test_the_request_is_passed_on_and_stays_as_it_was(call):
    """LiteLLM may scribble on its own copy."""
    litellm = fake("hello", cost=0.25)
    request = {"model": "m", "messages": [{"role": "user", "content": "x"}], "seed": 7}
    called = call(litellm, request)
    assert (called.response, called.cost_usd) == ("hello", 0.25)
    assert request["messages"] == [{"role": "user", "content": "x"}]
    assert litellm.seen[0]["seed"] == 7


def test_unknown_prices_are_none_and_not_zero(call):
    """A budget in dollars must not think a call was free."""
    assert call(fake("hello"), {"messages": []}).cost_usd is None


def test_a_cost_litellm_already_knows_is_taken():
    """Without asking again."""
    response = SimpleNamespace(_hidden_params={"response_cost": 0.125})
    assert cost_of(fake("x"), response) == 0.125


def test_errors_become_ours_with_status_and_cause(call):
    """And quote nothing of the original's text."""
    error = Refused("secret prompt")
    with pytest.raises(ProviderFailed) as caught:
        call(fake(error), {"messages": []})
    assert caught.value.status == 429
    assert caught.value.__cause__ is error
    assert "secret" not in str(caught.value)
    assert "num_retries" in str(caught.value)


def test_wrong_arguments_are_the_callers_mistake(call):
    """Not the provider's failure."""
    with pytest.raises(ConfigInvalid):
        call(fake(TypeError("unexpected keyword")), {"messages": []})


def test_a_timeout_without_a_status_is_408():
    """As asyncio and sockets raise it."""
    assert provider_failed(TimeoutError()).status == 408


def test_errors_survive_being_rebuilt():
    """As pickling and copying do: code, message and hint; the report stays behind."""
    for error in (Blocked("x", hint="h"), ProviderFailed("y", status=500, hint="h")):
        again = copy.copy(error)
        assert (type(again), str(again), again.report) == (type(error), str(error), None)


@pytest.mark.parametrize(
    "message",
    [
        "OpenAIException - Missing credentials. Please pass an `api_key`, sk-SECRET",
        "Missing Anthropic API Key - sk-SECRET",
        "The api_key client option must be set either by passing api_key",
    ],
)
def test_a_missing_key_is_called_that(message):
    """Not "try again": LiteLLM makes a server error of it. Nothing of the text is quoted."""

    class InternalServerError(Exception):
        status_code = 500

    failed = provider_failed(InternalServerError(message))
    assert "API key" in failed.hint
    assert "SECRET" not in str(failed)
    assert "Try again" in provider_failed(InternalServerError("overloaded")).hint
