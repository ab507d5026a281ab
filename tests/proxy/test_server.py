"""The process: real signals, real sockets, what it logs, and when it refuses to start."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guardrails.scripted_provider import Pause, ScriptedProvider, Stream
from guardrails.scripted_streams import events_of
from guardrails.testing import chat_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 90.0

# A proxy with one more route: it says that it was entered, then answers what it is told on stdin.
PROGRAM = """
import asyncio, sys
from fastapi import APIRouter
from guardrails.keys import Role
from guardrails.proxy.app import create_app
from guardrails.proxy.server import serve
from guardrails.proxy.table import ROUTES, Route
from guardrails.settings import Settings
from guardrails.testing import ScriptedLLM, ScriptedVerifier

router = APIRouter()

@router.post("/v1/hold", include_in_schema=False)
async def hold():
    print("entered", flush=True)
    return {"told": (await asyncio.to_thread(sys.stdin.readline)).strip()}

row = Route("POST", "/v1/hold", None, "", frozenset({Role.CALL}), work=True)
serve(
    Settings.model_validate_json(sys.argv[1]),
    make=lambda settings: create_app(
        settings,
        verifier=ScriptedVerifier(),
        gateway=ScriptedLLM(["Paris."]),
        routes=(*ROUTES, row),
        routers=[router],
    ),
)
"""


class Running:
    """A proxy in a process of its own."""

    def __init__(self, store: str, **proxy: Any) -> None:
        settings = {"store": {"url": store}, "proxy": {"port": 0, "auth": "off", **proxy}}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(settings)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.lines: list[str] = []
        self._logged: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.logged("groundrail.listening")["url"]

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            try:
                self._logged.put(json.loads(line))
            except ValueError:
                self._logged.put({"event": "no JSON"})
        self._logged.put({"event": "the end"})

    def logged(self, event: str) -> dict[str, Any]:
        """Wait for an event."""
        while True:
            found = self._logged.get(timeout=WAIT_S)
            if found["event"] == event:
                return found
            assert found["event"] != "the end", "".join(self.lines)

    def hold(self) -> tuple[threading.Thread, list[Any]]:
        """Start a request, and wait until it is at work."""
        answers: list[Any] = []

        def ask() -> None:
            try:
                answers.append(httpx.post(f"{self.url}/v1/hold", timeout=WAIT_S))
            except httpx.TransportError as error:
                answers.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "entered\n"
        return thread, answers

    def tell(self, text: str) -> None:
        """Let the held request go on."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def ended(self) -> int:
        """Wait for the process to end; its exit code."""
        code = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        return code


@pytest.fixture
def run(store_url: str) -> Iterator[Callable[..., Running]]:
    """Starts proxies, and ends them with the test."""
    started: list[Running] = []

    def start(**proxy: Any) -> Running:
        started.append(Running(store_url, **proxy))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.wait(WAIT_S)
        for stream in (running.process.stdin, running.process.stdout, running.process.stderr):
            if stream is not None and not stream.closed:
                stream.close()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_is_at_work_finish(run: Callable[..., Running], sig: int) -> None:
    """Nothing new is accepted, the request at work gets its answer, the process exits with 0."""
    running = run()
    thread, answers = running.hold()
    running.process.send_signal(sig)
    running.logged("groundrail.stopping")
    _until_refused(running.url)
    running.tell("still here")
    thread.join(WAIT_S)
    assert answers[0].json() == {"told": "still here"}
    assert running.ended() == 0
    assert '"groundrail.stopped"' in running.lines[-1]


def test_a_stream_under_way_is_told_to_its_end(run: Callable[..., Running], tmp_path: Path) -> None:
    """A signal in the middle of a checked stream: the rest is checked and sent, then exit 0."""
    go_on = threading.Event()
    events = events_of(chat_response("Paris is in France. Lyon is in France. Atlantis sank."))
    half = next(n for n, event in enumerate(events) if "Lyon" in json.dumps(event)) + 1
    stream = Stream([*events[:half], Pause(WAIT_S, go_on), *events[half:]])
    with ScriptedProvider([stream]) as provider:
        params = {"model": "openai/m", "api_base": provider.url, "api_key": "k"}
        listed = tmp_path / "models.json"
        listed.write_text(
            json.dumps({"model_list": [{"model_name": "m", "litellm_params": params}]})
        )
        running = run(model_list=str(listed))
        body = {
            "model": "m",
            "stream": True,
            "messages": [{"role": "user", "content": "Where?"}],
            "guardrails": {
                "sources": ["Paris is in France. Lyon is in France."],
                "policy": "strict",
            },
        }
        url = f"{running.url}/v1/chat/completions"
        seen = b""
        with httpx.stream("POST", url, json=body, timeout=WAIT_S) as answer:
            for piece in answer.iter_raw():
                seen += piece
                if not go_on.is_set() and b"Paris" in seen:
                    running.process.send_signal(signal.SIGTERM)
                    running.logged("groundrail.stopping")
                    _until_refused(running.url)
                    go_on.set()
        assert running.ended() == 0
    assert seen.endswith(b"data: [DONE]\n\n")
    assert b"Lyon" in seen
    assert b"Atlantis" not in seen
    assert b"could not confirm" in seen
    assert '"groundrail.stopped"' in running.lines[-1]


def test_what_does_not_finish_is_ended(run: Callable[..., Running]) -> None:
    """After proxy.shutdown seconds the request is cut, and the process exits all the same."""
    running = run(shutdown=0.2)
    thread, answers = running.hold()
    running.process.send_signal(signal.SIGTERM)
    thread.join(WAIT_S)
    assert answers[0].status_code == 503
    assert answers[0].json()["error"]["code"] == "GR325"
    assert running.ended() == 0  # although a thread still waits for what nobody will tell


def test_a_second_signal_ends_it_at_once(run: Callable[..., Running]) -> None:
    """Whatever is at work."""
    running = run(shutdown=3600)
    thread, answers = running.hold()
    running.process.send_signal(signal.SIGTERM)
    running.logged("groundrail.stopping")
    running.process.send_signal(signal.SIGTERM)
    assert running.ended() == 128 + signal.SIGTERM
    thread.join(WAIT_S)
    assert isinstance(answers[0], httpx.TransportError)


def test_a_balancer_is_told_before_the_socket_closes(run: Callable[..., Running]) -> None:
    """With a delay, /readyz says no while requests are still taken; a second signal ends that."""
    running = run(shutdown_delay=3600)
    running.logged("groundrail.ready")
    assert httpx.get(f"{running.url}/readyz").status_code == 200
    running.process.send_signal(signal.SIGTERM)
    running.logged("groundrail.stopping")
    told = httpx.get(f"{running.url}/readyz")
    assert (told.status_code, told.json()["shutdown"]) == (503, "stopping")
    running.tell("yes")
    assert httpx.post(f"{running.url}/v1/hold", timeout=WAIT_S).json() == {"told": "yes"}
    running.process.send_signal(signal.SIGTERM)
    assert running.ended() == 128 + signal.SIGTERM


def test_log_lines_are_json_and_hold_no_keys(run: Callable[..., Running]) -> None:
    """Nor paths that were made up, nor queries."""
    running = run(admin_key="k" * 40)
    secret = "gr_000000000000_" + "s" * 43
    for headers in ({"authorization": f"Bearer {secret}"}, {"x-api-key": "k" * 40}):
        httpx.get(f"{running.url}/admin/keys?q={secret}", headers=headers)
        httpx.get(f"{running.url}/{secret}", headers=headers)
    running.process.send_signal(signal.SIGTERM)
    assert running.ended() == 0
    events = [json.loads(line) for line in running.lines]
    assert {"groundrail.listening", "groundrail.request", "groundrail.stopped"} <= {
        event["event"] for event in events
    }
    requests = [event for event in events if event["event"] == "groundrail.request"]
    assert [event["status"] for event in requests] == [401, 404, 200, 404]
    assert secret not in "".join(running.lines)
    assert "k" * 40 not in "".join(running.lines)


def command(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs ``groundrail`` as people do."""
    return subprocess.run(
        [sys.executable, "-m", "guardrails.cli", *args],
        cwd=ROOT,
        env={**os.environ, **environment},  # noqa: TID251
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )


def test_it_refuses_to_start_where_nobody_could_call(store_url: str) -> None:
    """Without a key, with all keys revoked, and open to the network without being told so."""
    here = {"GROUNDRAIL_STORE__URL": store_url}
    refused = command("proxy", "--port", "0", **here)
    assert refused.returncode == 2
    assert "GR302" in refused.stderr
    assert "groundrail proxy keys create" in refused.stderr
    made = json.loads(
        command("proxy", "keys", "create", "app", "--role", "call", "--json", **here).stdout
    )
    assert command("proxy", "keys", "revoke", made["id"], **here).returncode == 0
    assert command("proxy", "--port", "0", **here).returncode == 2
    opened = command("proxy", "--auth", "off", "--host", "0.0.0.0", "--port", "0", **here)
    assert opened.returncode == 2
    assert "open_to_network" in opened.stderr


def test_a_taken_port_is_called_that(store_url: str) -> None:
    """And nothing is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = command("proxy", "--auth", "off", "--port", port, GROUNDRAIL_STORE__URL=store_url)
    assert refused.returncode == 2
    assert port in refused.stderr


def test_keys_on_the_command_line(store_url: str) -> None:
    """Made and shown once, listed without it, revoked; the same name twice is refused."""
    here = {"GROUNDRAIL_STORE__URL": store_url}
    options = ["--role", "call", "--role", "review", "--policy", "strict", "--days", "2"]
    made = command("proxy", "keys", "create", "app", *options, "--no-sources", **here)
    secret = made.stdout.strip()
    assert secret.startswith("gr_")
    assert secret not in made.stderr
    assert command("proxy", "keys", "create", "app", *options, **here).returncode == 2
    listed = command("proxy", "keys", "list", "--json", **here)
    (row,) = json.loads(listed.stdout)
    assert (row["roles"], row["policies"], row["sources"]) == (
        ["call", "review"],
        ["strict"],
        False,
    )
    random_part = secret.removeprefix(f"gr_{row['id']}_")
    assert len(random_part) == 43
    assert random_part not in listed.stdout
    assert command("proxy", "keys", "revoke", row["id"], **here).returncode == 0
    assert "revoked" in command("proxy", "keys", "list", **here).stdout
    assert command("proxy", "keys", "revoke", "nothing", **here).returncode == 2


def _until_refused(url: str) -> None:
    """Wait until nothing accepts connections any more."""
    address = (httpx.URL(url).host, httpx.URL(url).port)
    pause = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        try:
            socket.create_connection(address).close()
        except ConnectionRefusedError:
            return
        pause.wait(0.02)
    raise AssertionError("connections are still accepted")
