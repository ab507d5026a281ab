"""Requests nobody would write: no 5xx of ours, no exception in the log, no hang."""

from __future__ import annotations

import itertools
import json
import logging
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
)

from guardrails.proxy.testing import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guardrails.settings import Settings

ADMIN = "an-admin-key-that-is-long-enough-for-the-settings"
WAIT_S = 30.0
GOOD = "Paris is in France."
PATHS = ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/check"]
# Steady and bounded, but for the profile "long": other requests each time, and many more.
LONG = settings.get_current_profile_name() == "long"
QUICK = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
    derandomize=not LONG,
    database=None,
)


def bounded(examples: int) -> settings:
    """So many examples, and twenty-five times as many in the long profile."""
    return settings(QUICK, max_examples=examples * (25 if LONG else 1))


@contextmanager
def nothing_unexpected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No exception that is not ours was met on the way."""
    with caplog.at_level(logging.INFO, logger="groundrail.proxy"):
        yield
    met = [r.groundrail for r in caplog.records if r.getMessage() == "groundrail.unexpected"]  # type: ignore[attr-defined]
    assert met == []


# --------------------------------------------------------------------------- our own routes


def test_our_own_routes_keep_to_their_description(
    make_settings: Callable[..., Settings],
    make_app: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever fits the OpenAPI description, or does not, gets an answer that it describes."""
    headers = {"authorization": f"Bearer {ADMIN}"}
    with (
        nothing_unexpected(caplog),
        Served(make_app(make_settings(admin_key=ADMIN))) as served,
        httpx.Client(base_url=served.url, timeout=WAIT_S) as client,
    ):
        made = client.post(
            "/admin/keys", json={"name": "all", "roles": ["call", "admin"]}, headers=headers
        )
        headers = {"x-groundrail-key": made.json()["key"]}
        schema: Any = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        operations = [found.ok() for found in schema.get_all_operations()]
        assert len(operations) > 10
        for operation in operations:
            cases = st.one_of(
                operation.as_strategy(),
                operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE),
            )

            @bounded(15)
            @given(case=cases)
            def holds(case: Any) -> None:
                response = case.call(
                    base_url=served.url, headers={**(case.headers or {}), **headers}, timeout=WAIT_S
                )
                case.validate_response(
                    response,
                    checks=[
                        not_a_server_error,
                        response_schema_conformance,
                        content_type_conformance,
                    ],
                )

            holds()


# --------------------------------------------------------------------------- protocol routes

NAMES = st.sampled_from(
    [
        "answer",
        "background",
        "content",
        "cache_control",
        "function_call",
        "guardrails",
        "id",
        "input",
        "instructions",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "n",
        "name",
        "policy",
        "report",
        "role",
        "route",
        "sources",
        "stream",
        "stream_options",
        "system",
        "text",
        "timestamp",
        "tool_call_id",
        "tool_calls",
        "tools",
        "type",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, 2**64, 10**400, -(2**64), 1e308, float("inf"), float("nan"), -0.0]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["user", "assistant", "system", "tool", "text", "m", "claude", "unchecked"]),
    st.sampled_from(["tool_result", "function_call_output", "message", "document", "none", GOOD]),
    st.sampled_from(["\x00", "\ud800", "\udfff", "\U0001f600"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=5),
    ),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool"]) | VALUES, "content": VALUES},
    optional={"tool_calls": VALUES, "tool_call_id": VALUES, "type": VALUES, "name": VALUES},
)
MESSAGES = st.lists(MESSAGE, max_size=3) | VALUES
SOURCE = st.fixed_dictionaries(
    {"text": st.text(max_size=9)}, optional={"id": VALUES, "uri": VALUES}
)
OWN = VALUES | st.fixed_dictionaries(
    {},
    optional={
        "sources": st.lists(SOURCE | st.text(max_size=9), max_size=3),
        "question": st.text(max_size=9),
        "metadata": st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
        "report": st.sampled_from(["full", "short", "none"]),
    },
)
BODIES = st.fixed_dictionaries(
    {"model": st.sampled_from(["m", "claude", "unchecked"])},
    optional={
        "messages": MESSAGES,
        "input": MESSAGES,
        "answer": VALUES,
        "max_tokens": VALUES,
        "system": VALUES,
        "instructions": VALUES,
        "tools": VALUES,
        "n": VALUES,
        "stream": st.booleans(),
        "stream_options": VALUES,
        "guardrails": OWN,
        "metadata": VALUES,
    },
) | st.dictionaries(NAMES, VALUES, max_size=6)


def test_any_json_gets_an_answer(serving: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Junk in every place: the provider's answer, or an error in the protocol's own shape."""
    with (
        nothing_unexpected(caplog),
        serving([GOOD], provider_keys="pass") as (url, _),
        httpx.Client(base_url=url, timeout=WAIT_S, headers={"authorization": "Bearer k"}) as client,
    ):
        # With a key of the caller's nothing goes through LiteLLM, whose own failures are a 502.

        @bounded(120)
        @given(path=st.sampled_from(PATHS), body=BODIES)
        def answered(path: str, body: Any) -> None:
            found = client.post(path, content=json.dumps(body).encode())
            assert found.status_code < 500, found.text
            if found.status_code != 200:
                assert found.json()["error"]["message"]

        answered()


NO_OBJECTS: list[bytes] = [
    b"",
    b"\x00",
    b"\xff\xfe{}",
    b'{"model": "m", "messages": "\xed\xa0\x80"}',
    b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"model": "m", "\\udfff": 1, "messages": []}',
    b'{"model": "m", "messages": [], "n": 1e999}',
    b'{"model": "m", "messages": [], "n": -Infinity}',
    b'{"model": "m", "messages": [], "n": 18446744073709551616}',
    b'{"model": "m", "messages": [], "n": ' + b"9" * 5000 + b"}",
    b'{"model": "m", "messages": [',
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    '{"model": "m"}'.encode("utf-16"),
    b"model=m&messages=x",
    b"--b\r\ncontent-disposition: form-data; name=model\r\n\r\nm\r\n--b--\r\n",
]


def test_what_is_no_json_object_is_refused(fuzzed: tuple[httpx.Client, Any]) -> None:
    """With 400, in the protocol's shape, whatever the content type says; nothing is sent."""
    client, provider = fuzzed
    kinds = ("application/json", "text/plain; charset=utf-16", "multipart/form-data; boundary=b")
    for path, raw, kind in itertools.product(PATHS, NO_OBJECTS, kinds):
        found = client.post(path, content=raw, headers={"content-type": kind})
        assert found.status_code == 400, (path, raw[:80], found.text)
        assert found.json()["error"]["message"]
    assert provider.requests == []


def test_what_everybody_reads_alike_goes_through(fuzzed: tuple[httpx.Client, Any]) -> None:
    """The greatest integers, pairs of surrogates, characters of four bytes: as they came."""
    client, provider = fuzzed
    text = '"\\ud83d\\ude00 \U0001f600 \\u00e9"'
    raw = f'{{"model": "unchecked", "seed": [{2**64 - 1}, {-(2**63)}, 1.5e300], "user": {text}}}'
    found = client.post("/v1/chat/completions", content=raw.encode())
    assert found.status_code == 200
    sent = provider.requests.pop()
    assert sent["seed"] == [2**64 - 1, -(2**63), 1.5e300]
    assert sent["user"] == "\U0001f600 \U0001f600 é"


FRAMINGS = [
    b"content-length: 100\r\n\r\n{",
    b'transfer-encoding: chunked\r\n\r\n5\r\n{"mod',
    b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    b"content-length: 5\r\ncontent-length: 7\r\n\r\n{}",
]


def test_bodies_that_break_off_leave_nothing_behind(fuzzed: tuple[httpx.Client, Any]) -> None:
    """The connection is over, and the next request is answered."""
    client, provider = fuzzed
    at = urlsplit(str(client.base_url))
    for path, framing in itertools.product(PATHS, FRAMINGS):
        with socket.create_connection((at.hostname, at.port), WAIT_S) as raw:
            raw.sendall(b"POST %b HTTP/1.1\r\nhost: x\r\n" % path.encode() + framing)
            raw.shutdown(socket.SHUT_WR)
            told = b""
            while piece := raw.recv(4096):
                told += piece
        assert not told.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))
        assert client.get("/healthz").status_code == 200
    assert provider.requests == []


@pytest.fixture
def fuzzed(serving: Any, caplog: pytest.LogCaptureFixture) -> Iterator[tuple[httpx.Client, Any]]:
    """A proxy, and its provider."""
    with (
        nothing_unexpected(caplog),
        serving([GOOD]) as (url, provider),
        httpx.Client(base_url=url, timeout=WAIT_S) as client,
    ):
        yield client, provider
