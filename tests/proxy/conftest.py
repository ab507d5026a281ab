"""A proxy on a real socket, around a scripted verifier and a tiny route of its own."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from guardrails.proxy.deployments import read_deployments
from guardrails.proxy.providers import Providers
from guardrails.proxy.testing import Served
from guardrails.scripted_provider import ScriptedProvider
from guardrails.settings import Settings
from guardrails.testing import ScriptedLLM, ScriptedVerifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fastapi import FastAPI

_WAIT_S = 60.0


@pytest.fixture
def make_settings(store_url: str) -> Callable[..., Settings]:
    """Settings of a proxy on a SQLite store; keywords are those of the section ``proxy``."""

    def make(**proxy: Any) -> Settings:
        url = proxy.pop("store", store_url)
        return Settings.model_validate({"store": {"url": url}, "proxy": proxy})

    return make


@pytest.fixture
def make_app() -> Callable[..., FastAPI]:
    """An application without a model."""
    from guardrails.proxy.app import create_app

    def make(settings: Settings, **options: Any) -> FastAPI:
        options = {"verifier": ScriptedVerifier(), "gateway": ScriptedLLM(["Paris."]), **options}
        return create_app(settings, **options)

    return make


@pytest.fixture
def opened() -> Iterator[Callable[[Any], Any]]:
    """Keeps a client of an SDK, and closes it when the test ends.

    One that is merely let go closes itself only when it is collected, and its socket may go first.
    """
    with ExitStack() as clients:
        yield clients.enter_context


@pytest.fixture
def leave_early() -> Callable[..., None]:
    """A caller who sends a request and closes the connection once an event is set."""

    def leave(url: str, path: str, body: Any, *, once: threading.Event) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        data = json.dumps(body).encode()
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(
                b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%s" % (path.encode(), len(data), data)
            )
            assert once.wait(_WAIT_S)

    return leave


POLICIES = {
    "refuse": "name: refuse\nextends: strict\non_unsupported: refuse\non_no_evidence: refuse\n",
    "again": "name: again\nextends: strict\non_unsupported: regenerate\nafter_attempts: refuse\n",
    "redact": "name: redact\nextends: balanced\non_unsupported: redact\non_contradicted: redact\n",
}


@pytest.fixture
def serving(
    tmp_path: Path, make_settings: Callable[..., Settings], make_app: Callable[..., Any]
) -> Callable[..., Any]:
    """A proxy before a scripted provider: ``with serving(script) as (url, provider):``."""
    rules = []
    for name, text in POLICIES.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        rules.append({"model": f"by-{name}", "policy": str(tmp_path / f"{name}.yaml")})
    rules += [{"model": "unchecked", "policy": "none"}, {"model": "blind", "from_messages": False}]

    @contextmanager
    def serve(script: Any, *, params: Any = None, **proxy: Any) -> Iterator[tuple[str, Any]]:
        with ScriptedProvider(script) as provider:
            base = provider.url
            entries = [
                ("*", {"model": "openai/*", "api_base": base, "api_key": "sk-real"}),
                (
                    "claude",
                    {"model": "anthropic/c", "api_base": base.removesuffix("/v1"), "api_key": "sk"},
                ),
            ]
            listed = [
                {"model_name": n, "litellm_params": {**p, **(params or {})}} for n, p in entries
            ]
            upstream = Providers(read_deployments({"model_list": listed}, {}))
            settings = make_settings(**{"auth": "off", "routes": rules, **proxy})
            with Served(make_app(settings, upstream=upstream)) as served:
                yield served.url, provider

    return serve
