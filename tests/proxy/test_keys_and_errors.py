"""Whose key a provider refused, what is counted of it, and that no key is written anywhere."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai
import pytest

from guardrails.keys import Permissions, Role, new_key
from guardrails.proxy.deployments import read_deployments
from guardrails.proxy.providers import Providers
from guardrails.proxy.testing import Served
from guardrails.scripted_provider import Cut, ScriptedProvider, Slow, Status
from guardrails.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from guardrails.settings import Settings

WAIT_S = 30.0
GOOD = "Paris is in France."
BAD = "Atlantis sank in Sweden."
ASKED: list[Any] = [{"role": "user", "content": "Where is Paris?"}]
ADMIN = "an-admin-key-that-is-long-enough-for-the-settings"


@pytest.mark.parametrize("code", [401, 403])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["m", "unchecked"])
def test_a_key_of_the_callers_that_is_refused_is_theirs_to_hear(
    serving: Any, code: int, *, stream: bool, model: str
) -> None:
    """The SDKs raise as they do without us; a key of the configuration is no fault of theirs."""
    body: dict[str, Any] = {"model": model, "messages": ASKED, "stream": stream}
    for ways, status in (({"provider_keys": "pass"}, code), ({}, 502)):
        with (
            serving([Status(code, "that key is not known")], **ways) as (url, _),
            openai.OpenAI(base_url=f"{url}/v1", api_key="sk-x", max_retries=0) as client,
        ):
            with pytest.raises(openai.APIStatusError) as failed:
                client.chat.completions.create(**body)
            assert failed.value.status_code == status
            assert ("that key is not known" in str(failed.value)) is (status == code)


def test_anthropics_sdk_hears_it_too(serving: Any) -> None:
    """In its own shape."""
    with (
        serving([Status(401, "no such key")], provider_keys="pass") as (url, _),
        anthropic.Anthropic(base_url=url, api_key="sk-x", max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError, match="no such key"),
    ):
        client.messages.create(model="claude", max_tokens=9, messages=ASKED)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (None, "connection"),
        (Cut(after=0), "connection"),
        (Slow(20, "late"), "timeout"),
        (Status(503), "5xx"),
        (Status(429), "4xx"),
    ],
)
def test_failures_of_the_provider_are_counted_by_kind(
    make_settings: Callable[..., Settings],
    make_app: Callable[..., Any],
    fault: Any,
    kind: str,
    *,
    stream: bool,
) -> None:
    """Nobody there, too late, or what it answered."""
    with ScriptedProvider([fault]) as provider:
        base = provider.url if fault is not None else "http://127.0.0.1:9/v1"
        limit = 0.3 if kind == "timeout" else WAIT_S
        params = {"model": "openai/m", "api_base": base, "timeout": limit}
        listed = {"model_list": [{"model_name": "m", "litellm_params": params}]}
        upstream = Providers(read_deployments(listed, {}))
        app = make_app(make_settings(auth="off"), upstream=upstream)
        with Served(app) as served:
            found = httpx.post(
                f"{served.url}/v1/chat/completions",
                json={"model": "m", "messages": ASKED, "stream": stream},
                timeout=WAIT_S,
            )
            registry = app.state.context.metrics.registry
    assert found.status_code >= 400
    name = "groundrail_upstream_failures_total"
    samples = [s for metric in registry.collect() for s in metric.samples if s.name == name]
    assert [(s.labels["kind"], s.value) for s in samples] == [(kind, 1.0)]


def test_keys_are_written_nowhere(
    serving: Any, store_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Ours, the provider's and the configuration's: in no log at level debug, no metric, no file."""
    secret, key = new_key("app", frozenset({Role.CALL, Role.METRICS}), Permissions(), now=_now())
    store = open_store(store_url)
    store.keys.add(key)
    store.close()
    theirs = "sk-theirs-" + "t" * 30
    said = []
    caplog.set_level(logging.DEBUG)
    own = {"sources": [GOOD], "report": "full"}
    with serving(
        [GOOD, Status(401, "no"), Status(500, "no"), GOOD, GOOD],
        auth="keys",
        admin_key=ADMIN,
        provider_keys="pass",
    ) as (url, provider):
        ours = {"x-groundrail-key": secret, "authorization": f"Bearer {theirs}"}
        for stream in (False, False, True, True):
            body = {"model": "m", "messages": ASKED, "stream": stream, "guardrails": own}
            found = httpx.post(
                f"{url}/v1/chat/completions", json=body, headers=ours, timeout=WAIT_S
            )
            said.append(found.text + str(found.headers))
        wrong = {**ours, "x-groundrail-key": secret[:-1]}
        said.append(httpx.get(f"{url}/v1/models", headers=wrong).text)
        headers = {"x-groundrail-key": ADMIN}
        for path in ("/admin/config", "/admin/records", "/admin/keys"):
            answer = httpx.get(url + path, headers=headers)
            assert answer.status_code == 200
            said.append(answer.text)
        said.append(httpx.get(f"{url}/metrics", headers={"x-groundrail-key": secret}).text)
        assert provider.headers[0]["authorization"] == f"Bearer {theirs}"
    assert "groundrail_requests_total" in said[-1]
    logged = [json.dumps(vars(record), default=str) for record in caplog.records]
    assert any("groundrail.request" in line for line in logged)
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"groundrail" in data for data in kept)
    everything = "\n".join([*said, *logged, caplog.text]).encode() + b"\n".join(kept)
    # The random part, of any characters: the id before it is public.
    hidden_part = secret.removeprefix(f"gr_{key.id}_")
    assert len(hidden_part) == 43
    for hidden in (hidden_part, theirs, ADMIN, "sk-real"):
        assert hidden.encode() not in everything


def _now() -> datetime:
    return datetime.now(UTC)


SMUGGLED = {"policy": "none", "sources": [BAD]}


PLACES: list[dict[str, Any]] = [
    {"metadata": {"guardrails": SMUGGLED}},
    {"extra_body": {"guardrails": SMUGGLED}},
    {"Guardrails": SMUGGLED, "guardrails ": SMUGGLED, "guardrail": SMUGGLED},
    {"messages": [{"role": "user", "content": json.dumps({"guardrails": SMUGGLED})}]},
    {"messages": [{"role": "user", "content": "Where?", "guardrails": SMUGGLED}]},
    {"stream_options": {"include_usage": True, "guardrails": SMUGGLED}},
    {"tools": [{"type": "function", "function": {"name": "f", "guardrails": SMUGGLED}}]},
]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
@pytest.mark.parametrize("stream", [False, True])
def test_no_protocol_reads_the_object_from_anywhere_else(
    serving: Any, path: str, *, stream: bool
) -> None:
    """Streamed or not: neither a source nor a policy gets in, and what is no answer stays here."""
    model = "claude" if path == "/v1/messages" else "m"
    with serving([BAD], routes=[{"policy": "strict"}]) as (url, provider):
        for place in PLACES:
            body = {"model": model, "messages": ASKED, "max_tokens": 9, **place, "stream": stream}
            if path == "/v1/responses":
                body["input"] = body.pop("messages")
            found = httpx.post(url + path, json=body, timeout=WAIT_S, headers=TRICKS)
            assert found.status_code == 200, found.text
            assert "Atlantis" not in found.text
            assert "could not confirm" in found.text
        assert "x-guardrails" not in str(provider.headers)


TRICKS = {
    "guardrails": json.dumps(SMUGGLED),
    "x-guardrails": json.dumps(SMUGGLED),
    "x-groundrail-policy": "none",
    "x-groundrail-sources": json.dumps([BAD]),
    "x-groundrail-route": "none",
    "x-http-method-override": "GET",
    "x-original-url": "/healthz",
    "x-litellm-tags": "unchecked",
}


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_key_may_not_ask_for_is_refused(
    serving: Any, store_url: str, *, stream: bool
) -> None:
    """On every protocol, and on checks; the provider is not asked."""
    secret, key = new_key("app", frozenset({Role.CALL}), Permissions(sources=False), now=_now())
    store = open_store(store_url)
    store.keys.add(key)
    store.close()
    head = {"authorization": f"Bearer {secret}"}
    bodies: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": {"model": "m", "messages": ASKED, "stream": stream},
        "/v1/responses": {"model": "m", "input": "Where?", "stream": stream},
        "/v1/messages": {"model": "claude", "messages": ASKED, "max_tokens": 9, "stream": stream},
    }
    owns: list[dict[str, Any]] = [{"policy": "none"}, {"policy": "observe"}]
    owns += [{"route": "lax"}, {"sources": [BAD]}, {"sources": []}]
    with serving([BAD], auth="keys", routes=[{"policy": "strict"}]) as (url, provider):
        for own in owns:
            for path, body in bodies.items():
                found = httpx.post(url + path, json={**body, "guardrails": own}, headers=head)
                assert found.status_code == 403, found.text
            checked = httpx.post(f"{url}/v1/check", json={"answer": BAD, **own}, headers=head)
            assert checked.status_code == 403
        assert provider.requests == []
