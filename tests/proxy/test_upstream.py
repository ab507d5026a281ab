"""Both adapters against a scripted provider over real sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from guardrails.proxy.deployments import read_deployments
from guardrails.proxy.providers import Providers
from guardrails.proxy.upstream import ModelUnknown, UpstreamFailed
from guardrails.report import Usage
from guardrails.scripted_provider import (
    Cut,
    Die,
    Pause,
    Raw,
    ScriptedProvider,
    Slow,
    Status,
    Stream,
)
from guardrails.scripted_streams import events_of, message_response, responses_response
from guardrails.testing import chat_response

# LiteLLM's own types, seen by pydantic when its modules are imported or its models are first used.
pytestmark = pytest.mark.filterwarnings("ignore:Items? .* using the `ReadOnly` qualifier")

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Where is Paris?"}], "odd": {"x": 1}}


def providers(url: str, *, model: str = "openai/real", **params: object) -> Providers:
    base = url.removesuffix("/v1") if model.startswith("anthropic/") else url
    entry = {"model": model, "api_base": base, "api_key": "sk-ours", **params}
    return Providers(
        read_deployments({"model_list": [{"model_name": "m", "litellm_params": entry}]}, {})
    )


def run(
    upstream: Providers, work: Callable[[Providers], Coroutine[Any, Any, Any]], limit: float = 30
) -> Any:
    async def main() -> Any:
        try:
            async with asyncio.timeout(limit):
                return await work(upstream)
        finally:
            await upstream.aclose()

    return asyncio.run(main())


async def collect(upstream: Providers, wire: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    events = await upstream.stream(wire, {**body, "stream": True}, {})
    try:
        return [event async for event in events]
    finally:
        await events.aclose()


def test_the_body_goes_out_as_it_came() -> None:
    """With the model's name mapped and the deployment's own fields where the caller left them out."""
    with ScriptedProvider(["Paris is in France."]) as provider:
        upstream = providers(provider.url, temperature=0, seed=7, extra_headers={"X-Team": "a"})
        answer = run(
            upstream,
            lambda u: u.call(
                "chat",
                {**CHAT, "temperature": 0.5},
                {"authorization": "Bearer gr_callers", "cookie": "c", "openai-beta": "b=1"},
            ),
        )
    assert answer.response == chat_response("Paris is in France.", model="real")
    assert provider.requests == [{**CHAT, "temperature": 0.5, "seed": 7, "model": "real"}]
    assert provider.paths == ["/v1/chat/completions"]
    sent = provider.headers[0]
    assert (sent["authorization"], sent["x-team"], sent["openai-beta"]) == (
        "Bearer sk-ours",
        "a",
        "b=1",
    )
    assert "cookie" not in sent
    assert "gr_callers" not in str(sent)


@pytest.mark.parametrize(
    ("wire", "model", "response", "path"),
    [
        ("chat", "openai/real", chat_response("Größe: 3 €."), "/v1/chat/completions"),
        ("responses", "openai/real", responses_response("Größe: 3 €."), "/v1/responses"),
        ("messages", "anthropic/real", message_response("Größe: 3 €."), "/v1/messages"),
    ],
)
@pytest.mark.parametrize("size", [None, 1, 3])
def test_streams_give_the_providers_events(
    wire: str, model: str, response: dict[str, Any], path: str, size: int | None
) -> None:
    """Every event as it was sent, however the bytes were cut, characters in the middle included."""
    sent = events_of(response)
    with ScriptedProvider([Stream(sent, size=size)]) as provider:
        found = run(
            providers(provider.url, model=model), lambda u: collect(u, wire, {"model": "m"})
        )
    assert found == sent
    assert provider.paths == [path]
    if wire == "messages":
        assert provider.headers[0]["x-api-key"] == "sk-ours"
        assert provider.headers[0]["anthropic-version"]


def test_provider_errors_keep_status_body_and_retry_after() -> None:
    """So that SDKs behind the proxy wait as the provider wants it."""
    with ScriptedProvider([Status(429, "slow down", {"retry-after": "7"})]) as provider:
        with pytest.raises(UpstreamFailed) as failed:
            run(providers(provider.url), lambda u: u.call("chat", CHAT, {}))
        relayed = run(providers(provider.url), lambda u: u.relay("chat", CHAT, {}))
    answer = failed.value.answer
    assert answer is not None
    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert b"slow down" in answer.body
    assert "slow down" not in str(failed.value)
    assert (relayed.status, relayed.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize(
    "fault", [Cut(), Cut(after=0), Raw(b"<html>"), Raw(b"[1]"), Raw(b'{"a":"\xff"}'), Raw(b"")]
)
def test_an_answer_that_is_none_is_an_error(fault: object) -> None:
    """A connection that breaks, or a body that is no JSON object."""
    with ScriptedProvider([fault]) as provider, pytest.raises(UpstreamFailed) as failed:
        run(providers(provider.url), lambda u: u.call("chat", CHAT, {}))
    assert failed.value.status == (None if isinstance(fault, Cut) else 502)


@pytest.mark.parametrize(
    "tail",
    [
        [Die()],
        [b'data: {"cut": \n\n'],
        [b"data: [1]\n\n"],
        [b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'],
        [],
    ],
)
def test_a_stream_that_does_not_end_well_is_an_error(tail: list[Any]) -> None:
    """What came before it was given; the end is never mistaken for a whole answer."""
    begun = events_of(chat_response("Paris is in France."))[:3]
    stream = Stream([*begun, *tail], finished=False)
    found = []

    async def work(upstream: Providers) -> None:
        events = await upstream.stream("chat", {**CHAT, "stream": True}, {})
        try:
            async for event in events:
                found.append(event)  # noqa: PERF401 - what came before the error counts
        finally:
            await events.aclose()

    with ScriptedProvider([stream]) as provider, pytest.raises(UpstreamFailed):
        run(providers(provider.url), work)
    assert found == begun


def test_proxies_of_the_environment_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every HTTP client does; an address that is to be spoken to directly is."""
    with ScriptedProvider(["Paris."]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        answer = run(providers("http://provider.invalid/v1"), lambda u: u.call("chat", CHAT, {}))
        assert proxy.paths == ["http://provider.invalid/v1/chat/completions"]
        assert answer.response["choices"][0]["message"]["content"] == "Paris."
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with ScriptedProvider(["Lyon."]) as provider:
            run(providers(provider.url), lambda u: u.call("chat", CHAT, {}))
        assert len(proxy.paths) == 1


def test_nobody_listens() -> None:
    """A refused connection is an error of its own, and no status of the provider's."""
    with pytest.raises(UpstreamFailed) as failed:
        run(providers("http://127.0.0.1:9/v1"), lambda u: u.call("chat", CHAT, {}))
    assert failed.value.answer is None
    assert failed.value.status is None


def test_the_callers_time_limit_counts() -> None:
    """A provider that takes longer is given up."""
    with ScriptedProvider([Slow(20, "late")]) as provider, pytest.raises(UpstreamFailed) as failed:
        run(providers(provider.url), lambda u: u.call("chat", CHAT, {}, within=0.2))
    assert failed.value.status == 504


def test_a_stalled_stream_is_given_up() -> None:
    """After the deployment's own timeout without a byte."""
    begun = events_of(chat_response("Paris is in France."))[:3]
    with (
        ScriptedProvider([Stream([*begun, Pause()])]) as provider,
        pytest.raises(UpstreamFailed) as failed,
    ):
        run(providers(provider.url, timeout=0.3), lambda u: collect(u, "chat", CHAT))
    assert failed.value.status == 504


def test_closing_a_stream_closes_the_connection() -> None:
    """The provider notices at once, and stops writing."""
    begun = events_of(chat_response("Paris is in France."))[:2]

    async def work(upstream: Providers) -> None:
        events = await upstream.stream("chat", {**CHAT, "stream": True}, {})
        async for _ in events:
            break
        await events.aclose()
        assert await asyncio.to_thread(provider.gone.wait, 20)

    with ScriptedProvider([Stream([*begun, Pause()])]) as provider:
        run(providers(provider.url), work)


def test_a_cancelled_call_closes_the_connection() -> None:
    """Whoever goes away takes the provider's work along."""
    asked = threading.Event()

    def script(_: object) -> Stream:
        asked.set()
        return Stream([Pause()])

    async def work(upstream: Providers) -> None:
        call = asyncio.create_task(collect(upstream, "chat", CHAT))
        assert await asyncio.to_thread(asked.wait, 20)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(provider.gone.wait, 20)

    with ScriptedProvider(script) as provider:
        run(providers(provider.url), work)


def group(*urls: str, retries: int = 0) -> Providers:
    entries = [
        {"model_name": "m", "litellm_params": {"model": f"openai/{i}", "api_base": url}}
        for i, url in enumerate(urls)
    ]
    router = {"num_retries": retries}
    return Providers(read_deployments({"model_list": entries, "router_settings": router}, {}))


@pytest.mark.parametrize("fault", [Status(500), Status(429), Cut(after=0)])
def test_another_deployment_of_the_name_takes_over(fault: object) -> None:
    """When one cannot be reached or is overloaded, as long as nothing of an answer was seen."""
    with ScriptedProvider([fault]) as bad, ScriptedProvider(["Paris is in France."]) as good:
        for _ in range(200):  # which one is asked first is drawn by lot
            answer = run(group(bad.url, good.url), lambda u: u.call("chat", CHAT, {}))
            assert answer.response["choices"][0]["message"]["content"] == "Paris is in France."
            if bad.requests:
                break
    assert bad.requests


def test_a_request_that_is_wrong_is_not_tried_again() -> None:
    """A 400 is the caller's to mend; the other deployment is not asked."""
    with (
        ScriptedProvider([Status(400)]) as one,
        ScriptedProvider([Status(400)]) as two,
        pytest.raises(UpstreamFailed),
    ):
        run(group(one.url, two.url, retries=3), lambda u: u.call("chat", CHAT, {}))
    assert len(one.requests) + len(two.requests) == 1


def test_retries_are_counted() -> None:
    """``num_retries`` of the router settings, beyond one try a deployment."""
    with ScriptedProvider([Status(503), Status(503), "Paris."]) as provider:
        answer = run(group(provider.url, retries=2), lambda u: u.call("chat", CHAT, {}))
    assert answer.response["choices"][0]["message"]["content"] == "Paris."
    assert len(provider.requests) == 3


def test_unknown_models_are_told() -> None:
    """Before anything is sent."""
    with pytest.raises(ModelUnknown):
        run(providers("http://127.0.0.1:9"), lambda u: u.call("chat", {"model": "other"}, {}))


def test_prices_of_the_configuration_count() -> None:
    """Per token, for both sides; unknown without usage."""
    upstream = providers("http://x", input_cost_per_token=0.5, output_cost_per_token=2)
    assert upstream.price("m", Usage(4, 3)) == 8.0
    assert upstream.price("m", Usage(4, None)) is None
    assert providers("http://x").price("m", Usage(4, 3)) is None


# --------------------------------------------------------------------------- through LiteLLM


def routed(url: str, **params: object) -> Providers:
    """A deployment with a setting only LiteLLM carries out."""
    return providers(url, drop_params=True, **params)


MESSAGES = [{"role": "user", "content": "Where is Paris?"}]


def test_litellm_answers_in_the_protocol_asked_for() -> None:
    """Chat completions, Responses and Messages from one OpenAI-compatible provider."""
    with ScriptedProvider(["Paris is in France."]) as provider:
        chat = run(
            routed(provider.url), lambda u: u.call("chat", {"model": "m", "messages": MESSAGES}, {})
        )
        message = run(
            routed(provider.url),
            lambda u: u.call("messages", {"model": "m", "messages": MESSAGES, "max_tokens": 9}, {}),
        )
        response = run(
            routed(provider.url),
            lambda u: u.call("responses", {"model": "m", "input": "Where?"}, {}),
        )
    assert chat.response["choices"][0]["message"]["content"] == "Paris is in France."
    assert chat.response["usage"]["prompt_tokens"] == 10
    assert message.response["content"][0]["text"] == "Paris is in France."
    assert message.response["stop_reason"] == "end_turn"
    assert response.response["output"][0]["content"][0]["text"] == "Paris is in France."


def test_litellm_streams_in_the_protocol_asked_for() -> None:
    """As JSON events of that protocol, whole after joining."""
    with ScriptedProvider(["Paris is in France."]) as provider:
        chat = run(
            routed(provider.url), lambda u: collect(u, "chat", {"model": "m", "messages": MESSAGES})
        )
        message = run(
            routed(provider.url),
            lambda u: collect(u, "messages", {"model": "m", "messages": MESSAGES, "max_tokens": 9}),
        )
        response = run(
            routed(provider.url), lambda u: collect(u, "responses", {"model": "m", "input": "W?"})
        )
    texts = [c["choices"][0]["delta"].get("content") or "" for c in chat if c["choices"]]
    assert "".join(texts) == "Paris is in France."
    deltas = [e["delta"] for e in message if e["type"] == "content_block_delta"]
    assert "".join(delta["text"] for delta in deltas) == "Paris is in France."
    assert message[-1]["type"] == "message_stop"
    said = [e["delta"] for e in response if e["type"] == "response.output_text.delta"]
    assert "".join(said) == "Paris is in France."
    assert response[-1]["type"] == "response.completed"


@pytest.mark.parametrize(
    "field",
    ["api_base", "api_key", "mock_response", "fallbacks", "extra_headers", "custom_llm_provider"],
)
def test_litellms_own_arguments_are_not_the_callers(field: str) -> None:
    """A request cannot choose where it goes, with which key, or what LiteLLM does beside it."""
    body = {"model": "m", "messages": MESSAGES, field: "http://127.0.0.1:9"}
    with (
        ScriptedProvider(["Paris."]) as provider,
        pytest.raises(UpstreamFailed, match=field) as failed,
    ):
        run(routed(provider.url), lambda u: u.call("chat", body, {}))
    assert failed.value.status == 400
    assert provider.requests == []


def test_the_callers_request_is_not_changed() -> None:
    """LiteLLM scribbles on what it gets; that is a copy."""
    body = {"model": "m", "messages": MESSAGES, "metadata": {"user": "u"}}
    before = str(body)
    with ScriptedProvider(["Paris."]) as provider:
        run(routed(provider.url), lambda u: u.call("chat", body, {}))
    assert str(body) == before
