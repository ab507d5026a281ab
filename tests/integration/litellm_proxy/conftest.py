"""LiteLLM's real proxy in a process of its own, in front of a scripted provider.

The configurations are the ones of ``guardrails/docs/litellm.md``, with more models in their list.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from guardrails import Guard, Settings
from guardrails.keys import Key, Permissions, Role, id_of, key_digest, new_secret
from guardrails.proxy.app import create_app
from guardrails.proxy.testing import Served
from guardrails.scripted_provider import Die, Raw, ScriptedProvider, Stream
from guardrails.scripted_streams import events_of
from guardrails.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from guardrails.report import Guarded

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "guardrails" / "docs" / "litellm.md"
START_S = 240.0
MASTER_KEY = "sk-litellm-master"
_PIECE = 7

FACTS = "The refund period is 30 days. Returns are free of charge in Germany."
SUPPORTED = "The refund period is 30 days."
FREE = "Returns are free of charge in Germany."
WRONG = "The refund period is 90 days."
UNKNOWN = "The company was founded in Berlin by two sisters."

# Question -> what the model answers.
ANSWERS = {
    "supported": f"{SUPPORTED} {FREE}",
    "unknown": f"{SUPPORTED} {UNKNOWN} {FREE}",
    "all wrong": f"{UNKNOWN} It has four hundred employees.",
    "tool": (TOOL := "[a tool call]"),
    "broken stream": (BROKEN := "[a broken stream]"),
    "not readable": (NOT_READABLE := "[not readable]"),
    "no stream": (NO_STREAM := "[no stream]"),
    "no choices": (NO_CHOICES := "[no choices]"),
}
EMBEDDING = {
    "object": "list",
    "model": "m",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}


def yaml_under(heading: str) -> dict[str, Any]:
    """The first YAML block below a heading of the page."""
    text = PAGE.read_text("utf-8")
    found = re.search(
        rf"^## {re.escape(heading)}$.*?^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    assert found is not None, heading
    config: dict[str, Any] = yaml.safe_load(found.group(1))
    return config


def answer_to(body: Mapping[str, Any]) -> str:
    """What the script says to a request of any protocol."""
    said = json.dumps(body.get("messages") or body.get("input") or body.get("prompt"))
    return next(text for question, text in ANSWERS.items() if f"{question}?" in said)


ODD: dict[str, Any] = {
    NO_STREAM: Raw(b"<html>refund</html>", "text/html"),
}


def provider_reply(body: Mapping[str, Any]) -> Any:
    """The provider: chat completions, Responses and Messages, streaming and not."""
    if body.get("input") == "embed?" or body.get("input") == ["embed?"]:
        return EMBEDDING
    text, stream = answer_to(body), bool(body.get("stream"))
    if text == TOOL:
        return _sse(iter(events_of(_tool_call())), named=False) if stream else _tool_call()
    if text in ODD:
        return ODD[text]
    if "input" in body:
        return _sse(_responses_events(text)) if stream else _responses(text)
    if str(body.get("model", "")).startswith("claude"):
        return _sse(_messages_events(text)) if stream else _messages(text)
    n = int(body.get("n") or 1)
    return _sse(_chat_events(text, n), named=False) if stream else _chat(text, n)


def _chat(text: str, n: int) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": index,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
            }
            for index in range(n)
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
    }


def _tool_call() -> dict[str, Any]:
    function = {"name": "look_up", "arguments": '{"what": "refunds"}'}
    call = {"id": "call_1", "type": "function", "function": function}
    whole = _chat("", 1)
    choice = whole["choices"][0]
    choice["finish_reason"] = "tool_calls"
    choice["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
    return whole


def _pieces(text: str) -> list[str]:
    return [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]


def _chat_events(text: str, n: int) -> Iterator[dict[str, Any]]:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def chunk(index: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {**base, "choices": [{"index": index, "delta": delta, "finish_reason": reason}]}

    for index in range(n):
        yield chunk(index, {"role": "assistant", "content": ""})
    for piece in _pieces(text):
        for index in range(n):
            yield chunk(index, {"content": piece})
    for index in range(n):
        yield chunk(index, {}, "stop")
    yield {
        **base,
        "choices": [],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
    }


def _responses(text: str, status: str = "completed") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": status,
        "output": [item] if status == "completed" else [],
        "usage": {
            "input_tokens": 10,
            "output_tokens": 20,
            "total_tokens": 30,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }


def _responses_events(text: str) -> Iterator[dict[str, Any]]:
    whole = _responses(text)
    item = whole["output"][0]
    part = item["content"][0]
    place = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": _responses(text, "in_progress")},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *(
            {"type": "response.output_text.delta", **place, "delta": piece}
            for piece in _pieces(text)
        ),
        {"type": "response.output_text.done", **place, "text": text},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def _messages(text: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-m",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 20},
    }


def _messages_events(text: str) -> Iterator[dict[str, Any]]:
    start = {**_messages(text), "content": [], "stop_reason": None}
    yield {"type": "message_start", "message": start}
    yield {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    for piece in _pieces(text):
        yield {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": piece},
        }
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 20},
    }
    yield {"type": "message_stop"}


def _sse(events: Iterator[dict[str, Any]], *, named: bool = True) -> Raw:
    parts = [
        (f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n"
        for event in events
    ]
    if not named:
        parts.append("data: [DONE]\n\n")
    return Raw("".join(parts).encode(), "text/event-stream")


ODD[NOT_READABLE] = Raw(f'{{"answer": "{SUPPORTED}" oh'.encode())
ODD[BROKEN] = Stream([*list(_chat_events(SUPPORTED, 1))[:4], Die()])
ODD[NO_CHOICES] = {**_chat(SUPPORTED, 1), "choices": []}


class LiteLLMProxy:
    """One process. Starts at once; ``wait`` until it answers."""

    def __init__(
        self, config: Mapping[str, Any], folder: Path, provider: ScriptedProvider, **env: str
    ) -> None:
        base = provider.url
        models = [
            *config["model_list"],
            _model("claude", "anthropic/claude-m", base.removesuffix("/v1")),
            _model("vllm", "hosted_vllm/m", base),
        ]
        folder.mkdir(parents=True, exist_ok=True)
        whole = {
            **config,
            "model_list": models,
            "router_settings": {"disable_cooldowns": True, "num_retries": 0},
            "litellm_settings": {**config.get("litellm_settings", {}), "telemetry": False},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(whole))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "log"
        environment = {
            **os.environ,  # noqa: TID251
            "PYTHONPATH": str(ROOT),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": MASTER_KEY,
            "OPENAI_API_BASE": base,
            "OPENAI_API_KEY": "provider-key",
            **env,
        }
        command = [str(Path(sys.executable).with_name("litellm")), "--config", "config.yaml"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(port)],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Until it answers; fails with its log."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                httpx.get(f"{self.url}/health/liveliness", timeout=5)
            except httpx.TransportError:
                time.sleep(0.2)
            else:
                return
        raise AssertionError(f"LiteLLM's proxy did not start:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def post(self, path: str, body: Mapping[str, Any], **headers: str) -> httpx.Response:
        """A request with the master key."""
        return httpx.post(
            f"{self.url}{path}",
            json=body,
            headers={"authorization": f"Bearer {MASTER_KEY}", **headers},
            timeout=120,
        )


def _model(name: str, model: str, base: str) -> dict[str, Any]:
    params = {"model": model, "api_base": base, "api_key": "provider-key"}
    return {"model_name": name, "litellm_params": params}


SYSTEM = f"<context>{FACTS}</context>"
CLASS = "The guardrail class"
GENERIC = "The Generic Guardrail API"


@dataclass(frozen=True)
class Stack:
    """Everything that runs.

    Attributes:
        by_class: LiteLLM's proxy with our class in it.
        by_api: LiteLLM's proxy that asks our Generic Guardrail API.
        provider: What both stand in front of.
        guard: The client, with the same policy, for what it would have decided.
        checker: Groundrail's proxy, which has the Generic Guardrail API.
        system: A system message with the facts.
    """

    by_class: LiteLLMProxy
    by_api: LiteLLMProxy
    provider: ScriptedProvider
    guard: Guard
    checker: Watched
    system: str = SYSTEM

    @contextmanager
    def broken_api(self) -> Iterator[None]:
        """The Generic Guardrail API fails as long as this holds."""
        self.checker.broken.set()
        try:
            yield
        finally:
            self.checker.broken.clear()

    def body(self, question: str, **more: Any) -> dict[str, Any]:
        """A request for a chat completion."""
        return chat_body(question, **more)

    def chat(self, proxy: LiteLLMProxy, question: str, **more: Any) -> httpx.Response:
        """A chat completion with the facts in the system message."""
        return proxy.post("/v1/chat/completions", chat_body(question, **more))

    def client(self, question: str) -> Guarded[str]:
        """What the client makes of the same answer to the same messages."""
        return self.guard.check(ANSWERS[question], messages=chat_body(question)["messages"])


def chat_body(question: str, model: str = "assistant", **more: Any) -> dict[str, Any]:
    """A request for a chat completion."""
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"{question}?"},
    ]
    return {"model": model, "messages": messages, **more}


class Watched:
    """An application, with what LiteLLM sends to it kept, and a switch that makes it fail."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.asked: list[dict[str, Any]] = []
        self.broken = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""

        async def heard() -> Any:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            if body and not message.get("more_body"):
                self.asked.append(json.loads(body))
            return message

        if scope["type"] == "http" and self.broken.is_set():
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        await self.app(scope, heard, send)


def _call_key(url: str) -> str:
    """A key of groundrail's own proxy that may call, and nothing else."""
    secret = new_secret()
    key = Key(
        id=str(id_of(secret)),
        name="litellm",
        digest=key_digest(secret),
        roles=frozenset({Role.CALL}),
        may=Permissions(),
        created=datetime.now(UTC),
    )
    with closing(open_store(url)) as store:
        store.keys.add(key)  # type: ignore[attr-defined]  # of databases
    return secret


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two of LiteLLM's proxies, started side by side, once."""
    folder = tmp_path_factory.mktemp("litellm")
    url = f"sqlite:///{folder / 'records.db'}"
    secret = _call_key(url)
    settings = Settings.model_validate({"store": {"url": url}})
    with (
        Guard(settings=settings) as guard,
        ScriptedProvider(provider_reply) as provider,
    ):
        checker = Watched(create_app(settings, guard=guard))
        with Served(checker) as served:
            proxies: list[LiteLLMProxy] = []
            try:
                for name, heading in (("class", CLASS), ("generic", GENERIC)):
                    proxies.append(
                        LiteLLMProxy(
                            yaml_under(heading),
                            folder / name,
                            provider,
                            GROUNDRAIL_STORE__URL="null",
                            GENERIC_GUARDRAIL_API_BASE=served.url,
                            GENERIC_GUARDRAIL_API_KEY=secret,
                        )
                    )
                for proxy in proxies:
                    proxy.wait()
                yield Stack(proxies[0], proxies[1], provider, guard, checker)
            finally:
                for proxy in proxies:
                    proxy.stop()
