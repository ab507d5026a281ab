"""Streams that go wrong, by their bytes: no undecided character, no hang, and a record of it."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guardrails.proxy.deployments import read_deployments
from guardrails.proxy.providers import Providers
from guardrails.proxy.testing import Served
from guardrails.scripted_provider import Die, Pause, ScriptedProvider, Stream
from guardrails.scripted_streams import events_of, message_response, responses_response
from guardrails.settings import Settings
from guardrails.store import open_store
from guardrails.testing import ScriptedVerifier, chat_response
from verifiers.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WAIT_S = 30.0
GOOD = "Größe: 3 €."
MORE = "Paris is in France."
BAD = "Atlantis sank in Sweden."
WITHHELD = ("Atlantis", "Sweden")
OWN = {"sources": [GOOD, MORE], "report": "full"}
ASKED = [{"role": "user", "content": "Wie groß?"}]
CHAT: tuple[str, dict[str, Any]] = ("/v1/chat/completions", {"model": "m", "messages": ASKED})
ASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": CHAT,
    "responses": ("/v1/responses", {"model": "m", "input": "Wie groß?"}),
    "messages": ("/v1/messages", {"model": "claude", "max_tokens": 9, "messages": ASKED}),
}
POLICY = """
name: sharp
extends: strict
on_unsupported: refuse
limits: {seconds: 0.5}
stream: {seconds: 0.3}
"""


def response_of(wire: str, text: str) -> dict[str, Any]:
    """A whole response of a protocol."""
    if wire == "responses":
        return responses_response(text)
    return message_response(text) if wire == "messages" else chat_response(text)


@pytest.fixture
def front(tmp_path: Path, make_app: Callable[..., Any], store_url: str) -> Callable[..., Any]:
    """A proxy under a sharp policy: ``with front(script) as (client, provider, app):``."""
    (tmp_path / "sharp.yaml").write_text(POLICY, encoding="utf-8")

    @contextmanager
    def serve(
        script: Any, *, verifier: Any = None, **store: Any
    ) -> Iterator[tuple[httpx.Client, ScriptedProvider, Any]]:
        rules = [{"policy": str(tmp_path / "sharp.yaml")}]
        configured = Settings.model_validate(
            {
                "store": {"url": store_url, **store},
                "proxy": {"auth": "off", "routes": rules},
            }
        )
        with ScriptedProvider(script) as provider:
            base = provider.url
            entries = [
                ("m", {"model": "openai/m", "api_base": base, "api_key": "k"}),
                ("claude", {"model": "anthropic/c", "api_base": base.removesuffix("/v1")}),
            ]
            listed = [{"model_name": name, "litellm_params": params} for name, params in entries]
            upstream = Providers(read_deployments({"model_list": listed}, {}))
            verifier = verifier or ScriptedVerifier()
            app = make_app(configured, upstream=upstream, verifier=verifier)
            with Served(app) as served, httpx.Client(base_url=served.url, timeout=WAIT_S) as client:
                yield client, provider, app

    return serve


def asked(client: httpx.Client, wire: str = "chat", **own: Any) -> httpx.Response:
    """A streamed answer, read to its end."""
    path, body = ASKS[wire]
    return client.post(path, json={**body, "stream": True, "guardrails": {**OWN, **own}})


def events_in(raw: bytes) -> list[dict[str, Any]]:
    """The events in the bytes of a stream, the end of chat completions left out."""
    lines = [line.removeprefix(b"data: ") for line in raw.split(b"\n") if line[:5] == b"data:"]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def text_in(raw: bytes) -> str:
    """What the bytes of a stream say, its deltas joined."""
    parts: list[str] = []
    for event in events_in(raw):
        parts += [c["delta"].get("content") or "" for c in event.get("choices") or ()]
        if event.get("type") == "response.output_text.delta":
            parts.append(event["delta"])
        if event.get("type") == "content_block_delta":
            parts.append(event["delta"].get("text") or "")
    return "".join(parts)


def fails(raw: httpx.Response) -> bool:
    """Whether a response says that it is none, by its status or by its last event."""
    return raw.status_code >= 400 or "error" in events_in(raw.content)[-1]


def records(url: str) -> list[Any]:
    """Everything that was recorded, the oldest first."""
    store = open_store(url)
    try:
        return list(store.query(limit=1000))[::-1]
    finally:
        store.close()


ENDS = (b"[DONE]", b"message_stop", b"response.completed", b'"finish_reason":"stop"')
FAULTS: dict[str, list[Any]] = {
    "dies": [Die()],
    "half an event": [b'data: {"choices": [{"ind'],
    "no JSON": [b"data: {\n\n"],
    "no object": [b"data: [1]\n\n"],
    "no UTF-8": [b'data: {"a": "\xff"}\n\n'],
    "an error": [b'data: {"error": {"message": "no", "code": 500}}\n\n'],
    "an error with an answer in it": [
        b'data: {"type": "error", "choices": [{"delta": {"content": "Atlantis"}}]}\n\n'
    ],
}


@pytest.mark.parametrize("wire", list(ASKS))
@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_provider_may_fail_at_any_event(
    front: Callable[..., Any], store_url: str, wire: str, fault: str
) -> None:
    """Whole sentences that were decided, then an error; never an end; a failed record each."""
    events = events_of(response_of(wire, f"{GOOD} {MORE} {GOOD}"))
    last = next(n for n, e in enumerate(events) if any(end in ended(e) for end in ENDS))
    script = [Stream([*events[:n], *FAULTS[fault]], finished=False) for n in range(last + 1)]
    with front(script) as (client, _, _):
        found = [asked(client, wire) for _ in script]
    for answer in found:
        assert fails(answer), answer.text
        assert not any(end in answer.content for end in ENDS)
        assert text_in(answer.content).strip() in {"", GOOD, f"{GOOD} {MORE}"}
        assert b"Atlantis" not in answer.content
    kept = records(store_url)
    assert len(kept) == len(script)
    assert {record.disposition for record in kept} == {"failed"}
    assert all(record.attempts[-1].failure.code == "GR304" for record in kept)


def ended(event: dict[str, Any]) -> bytes:
    """An event as compact JSON."""
    return json.dumps(event, separators=(",", ":")).encode()


@pytest.mark.parametrize("wire", list(ASKS))
def test_a_provider_that_fails_behind_what_was_not_supported(
    front: Callable[..., Any], wire: str
) -> None:
    """Refused or broken off, whichever comes first: not one character of it."""
    events = events_of(response_of(wire, f"{GOOD} {BAD} {BAD}"))
    script = [Stream([*events[:n], Die()], finished=False) for n in range(len(events))]
    with front(script) as (client, _, _):
        for answer in [asked(client, wire) for _ in script]:
            assert not any(word in answer.text for word in WITHHELD)


TEXT_BLOCK = {"type": "text", "text": ""}
ADDED = {"type": "response.output_item.added", "item": {"type": "message"}}
PART = {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}}
NAMELESS = {"status": "completed", "output": [{"type": "message", "id": [1]}]}
ODD: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "calls": ("chat", [{"choices": [{"index": 0, "delta": {"tool_calls": [{"index": [1]}]}}]}]),
    "block's place": (
        "messages",
        [{"type": "content_block_start", "index": [0], "content_block": TEXT_BLOCK}],
    ),
    "block's text": (
        "messages",
        [{"type": "content_block_start", "index": 0, "content_block": {**TEXT_BLOCK, "text": 5}}],
    ),
    "usage": ("messages", [{"type": "message_delta", "delta": {}, "usage": "many"}]),
    "item's place": ("responses", [{**ADDED, "output_index": [0]}]),
    "part's place": (
        "responses",
        [{**ADDED, "output_index": 0}, {**PART, "output_index": 0, "content_index": [0]}],
    ),
    "item's id": ("responses", [{"type": "response.completed", "response": NAMELESS}]),
}


@pytest.mark.parametrize("what", list(ODD))
def test_a_provider_may_write_anything_anywhere(front: Callable[..., Any], what: str) -> None:
    """A value of another kind than the protocol has is the provider's failure and not ours."""
    wire, parts = ODD[what]
    with front([Stream(parts)]) as (client, _, _):
        raw = asked(client, wire)
    assert fails(raw)
    assert b"Reference" not in raw.content


@pytest.mark.parametrize(
    ("wire", "whole"),
    [
        ("chat", {"choices": [{"message": BAD}]}),
        ("responses", {"object": "response", "output": [5, {"type": "message", "content": 5}]}),
        ("responses", {"object": "response", "output": [{"type": "message", "content": [[]]}]}),
        ("messages", {"type": "message", "role": "assistant", "content": 5}),
    ],
)
def test_a_whole_answer_may_be_anything(
    front: Callable[..., Any], wire: str, whole: dict[str, Any]
) -> None:
    """The same of answers that do not stream: none of them is a failure of ours."""
    path, body = ASKS[wire]
    with front([whole]) as (client, _, _):
        raw = client.post(path, json={**body, "guardrails": OWN})
    assert raw.status_code in {200, 502}
    assert b"Reference" not in raw.content
    assert not any(word in raw.text for word in WITHHELD)


@pytest.mark.parametrize("count", [-5, 10**30, True, "9"])
def test_a_count_of_tokens_that_is_none(
    front: Callable[..., Any], store_url: str, count: object
) -> None:
    """It is not added up; the stream ends well and is recorded."""
    usage = {"prompt_tokens": count, "completion_tokens": count, "total_tokens": count}
    said = {"choices": [{"index": 0, "delta": {"content": MORE}, "finish_reason": "stop"}]}
    with front([Stream([{**said, "usage": usage}])]) as (client, _, _):
        raw = asked(client)
        assert not fails(raw)
        assert text_in(raw.content) == MORE
    (record,) = records(store_url)
    assert record.disposition == "released"
    assert record.attempts[-1].usage.input_tokens is None


def test_a_provider_that_stalls_is_given_up(front: Callable[..., Any], store_url: str) -> None:
    """After the seconds of the policy, at whichever event; counted as a time-out."""
    events = events_of(chat_response(f"{GOOD} {MORE}"))
    script = [Stream([*events[:n], Pause(WAIT_S)]) for n in (0, 1, 4, 7)]
    with front(script) as (client, provider, app):
        found = [asked(client) for _ in script]
        assert provider.gone.wait(WAIT_S)
        metrics = app.state.context.metrics.text().decode()
    for answer in found:
        assert fails(answer)
        assert text_in(answer.content).strip() in {"", GOOD}
    assert 'upstream_failures_total{kind="timeout"} 4.0' in metrics
    assert [record.disposition for record in records(store_url)] == ["failed"] * 4


def test_a_verifier_that_fails_lets_nothing_by(front: Callable[..., Any], store_url: str) -> None:
    """The policy refuses what could not be checked; the claims are recorded as errors."""
    verifier = ScriptedVerifier(outcomes={BAD: Overloaded("the queue is full; nothing was scored")})
    with front([f"{GOOD} {BAD} {MORE}"], verifier=verifier) as (client, _, _):
        answer = asked(client)
    assert not any(word in answer.text for word in WITHHELD)
    assert "could not confirm" in text_in(answer.content)
    (record,) = records(store_url)
    assert record.disposition in {"stopped", "refused"}
    assert record.attempt.decision.verdicts[-1].verdict == "error"


def test_a_verifier_that_is_late_lets_nothing_by(front: Callable[..., Any], store_url: str) -> None:
    """The policy's seconds a sentence count; what was not decided by then is not released."""
    verifier = ScriptedVerifier(delay=2)  # the policy gives a third of a second
    with front([f"{GOOD} {MORE}"], verifier=verifier) as (client, _, _):
        answer = asked(client)
    assert "Größe" not in text_in(answer.content)
    assert "Paris" not in text_in(answer.content)
    assert "could not confirm" in text_in(answer.content)
    (record,) = records(store_url)
    assert record.disposition == "refused"


@pytest.mark.parametrize("on_error", ["continue", "fail"])
def test_a_store_that_is_down(front: Callable[..., Any], tmp_path: Path, on_error: str) -> None:
    """The stream ends with a note, or with an error and without its end, as the settings say."""
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    broken = f"sqlite:///{tmp_path / 'file' / 'records.db'}"
    spill = tmp_path / "spill.jsonl"
    with front([f"{GOOD} {MORE}"], url=broken, spill=str(spill), on_error=on_error) as (c, _, _):
        answer = asked(c)
    assert '"kind":"record"' in spill.read_text(encoding="utf-8")
    if on_error == "fail":
        assert fails(answer)
        assert not any(end in answer.content for end in ENDS)
        assert text_in(answer.content).strip() in {"", GOOD, f"{GOOD} {MORE}"}
        return
    assert text_in(answer.content) == f"{GOOD} {MORE}"
    (report,) = events_in(answer.content)[-1]["guardrails"]["reports"]
    assert report["recorded"] is False
    assert "GR307" in " ".join(report["notes"])


@pytest.mark.parametrize("wire", list(ASKS))
def test_a_caller_who_leaves_in_the_middle(
    front: Callable[..., Any], store_url: str, wire: str
) -> None:
    """The provider is told, the record says who left, and no task stays behind."""
    events = events_of(response_of(wire, f"{GOOD} {MORE} {BAD}"))
    half = next(n for n, e in enumerate(events) if "France" in json.dumps(e)) + 2
    path, body = ASKS[wire]
    pause = threading.Event()
    with front([Stream([*events[:half], Pause(WAIT_S)])]) as (client, provider, app):
        tasks = app.state.context.metrics
        before = _tasks(tasks)
        with client.stream(
            "POST", path, json={**body, "stream": True, "guardrails": OWN}
        ) as answer:
            seen = b""
            for piece in answer.iter_raw():
                seen += piece
                if "Größe" in text_in(seen[: seen.rfind(b"\n\n") + 2]):
                    break
        assert provider.gone.wait(WAIT_S)
        for _ in range(int(WAIT_S / 0.02)):
            if _tasks(tasks) <= before:
                break
            pause.wait(0.02)
        else:
            raise AssertionError("a task was left behind")
    assert not any(word in seen.decode() for word in WITHHELD)
    (record,) = records(store_url)
    assert record.disposition == "failed"
    assert record.attempts[-1].failure.code == "cancelled"


def _tasks(metrics: Any) -> float:
    found = metrics.registry.get_sample_value("groundrail_tasks")
    assert found is not None
    return float(found)
