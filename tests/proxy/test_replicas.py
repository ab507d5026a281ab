"""Two server processes on one PostgreSQL behave as one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guardrails.rates import Rate, take
from guardrails.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).resolve().parents[2]
ADMIN = "an-admin-key-that-is-long-enough-for-the-settings"
BEARER = {"authorization": f"Bearer {ADMIN}"}
WAIT_S = 90.0

PROGRAM = """
import sys
from guardrails.proxy.app import create_app
from guardrails.proxy.server import serve
from guardrails.settings import Settings
from guardrails.testing import ScriptedLLM, ScriptedVerifier

serve(
    Settings.model_validate_json(sys.argv[1]),
    make=lambda settings: create_app(
        settings, verifier=ScriptedVerifier(), gateway=ScriptedLLM(["Paris."])
    ),
)
"""


class Replica:
    """One process."""

    def __init__(self, store: str, policy: str, **proxy: Any) -> None:
        settings = {
            "policy": policy,
            "store": {"url": store, "text": True},
            "proxy": {"port": 0, "admin_key": ADMIN, "key_cache": 0.2, **proxy},
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(settings)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        url = ""
        for line in self.process.stderr:
            event = json.loads(line)
            url = event.get("url", url)
            if event["event"] == "groundrail.ready":
                break
        self._rest = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._rest.start()
        self.client = httpx.Client(base_url=url, timeout=WAIT_S)

    def stop(self) -> int:
        """End it as an operator does."""
        self.client.close()
        self.process.terminate()
        code = self.process.wait(WAIT_S)
        self._rest.join(WAIT_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@pytest.fixture
def start(
    new_postgres_database: Callable[[], str], tmp_path: Path
) -> Iterator[Callable[..., tuple[Replica, Replica]]]:
    """Starts two replicas on one new database."""
    policy = tmp_path / "people.yaml"
    policy.write_text("version: 1\nname: people\non_unsupported: review\n")
    url = new_postgres_database()
    started: list[Replica] = []

    def both(**proxy: Any) -> tuple[Replica, Replica]:
        started.extend(Replica(url, str(policy), **proxy) for _ in range(2))
        return started[0], started[1]

    yield both
    for replica in started:
        if replica.process.poll() is None:
            replica.stop()


def make_key(replica: Replica, *roles: str) -> dict[str, Any]:
    """A key made at one replica."""
    made = replica.client.post("/admin/keys", json={"name": "app", "roles": roles}, headers=BEARER)
    assert made.status_code == 201, made.text
    return dict(made.json())


def check(replica: Replica, key: str, answer: str = "Marmots fly.") -> httpx.Response:
    """An answer checked at one replica."""
    body = {"answer": answer, "sources": ["Marmots dig."]}
    return replica.client.post("/v1/check", json=body, headers={"x-groundrail-key": key})


def test_replicas_behave_as_one(start: Callable[..., tuple[Replica, Replica]]) -> None:
    """Keys, reviews and records of one are those of the other; both stop cleanly."""
    one, two = start()
    made = make_key(one, "call", "review")
    # Made at one, it works at the other, and what each does lies in one store.
    answers = [check(replica, made["key"]) for replica in (one, two)]
    assert [answer.status_code for answer in answers] == [200, 200], answers[1].text
    mine = {"x-groundrail-key": made["key"]}
    lists = [replica.client.get("/admin/records", headers=mine).json() for replica in (one, two)]
    assert len(lists[0]) == 2
    assert lists[0] == lists[1]
    # Decided at one, it is decided at the other.
    review_id = one.client.post("/admin/reviews/claim", json={}, headers=mine).json()["id"]
    resolve = f"/admin/reviews/{review_id}/resolve"
    assert (
        one.client.post(resolve, json={"ruling": "reject"}, headers=mine).json()["state"]
        == "resolved"
    )
    seen = two.client.get(f"/admin/reviews/{review_id}", headers=mine).json()
    assert seen["review"]["resolution"]["ruling"] == "reject"
    assert two.client.post(resolve, json={"ruling": "approve"}, headers=mine).status_code == 409
    # Revoked at one, it stops there at once, and at the other when what it remembers is old.
    assert two.client.delete(f"/admin/keys/{made['id']}", headers=BEARER).status_code == 200
    assert check(two, made["key"]).status_code == 401
    pause = threading.Event()
    for _ in range(int(WAIT_S / 0.1)):
        if check(one, made["key"]).status_code == 401:
            break
        pause.wait(0.1)
    assert check(one, made["key"]).status_code == 401
    assert (one.stop(), two.stop()) == (0, 0)


def test_replicas_share_rates(start: Callable[..., tuple[Replica, Replica]]) -> None:
    """So many requests of a key, at whichever replica, from many threads at once."""
    replicas = start(limits={"rate_per_minute": 1, "rate_burst": 5})
    made = make_key(replicas[0], "review")
    mine = {"x-groundrail-key": made["key"]}
    found: list[int] = []

    def ask(number: int) -> None:
        answer = replicas[number % 2].client.get("/admin/reviews", headers=mine)
        found.append(answer.status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert sorted(found) == [200] * 5 + [429] * 7


def test_the_database_counts_as_memory_does(new_postgres_database: Callable[[], str]) -> None:
    """The statement and the pure function let the same number through, and agree on the wait."""
    store = open_store(new_postgres_database())
    try:
        rates = store.rates
        assert rates is not None
        rate = Rate(per_minute=1, burst=3)
        shared = [rates.take("a", rate) for _ in range(5)]
        due, pure = None, []
        for _ in range(5):
            pure.append(take(due, 0, rate))
            due = pure[-1].due
        assert [taken.allowed for taken in shared] == [taken.allowed for taken in pure]
        assert shared[4].wait_s == pytest.approx(pure[4].wait_s, abs=10)
        assert rates.take("b", rate).allowed
    finally:
        store.close()
