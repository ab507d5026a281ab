"""Admin routes over real sockets: keys, records, reviews, configuration; and who may not."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guardrails.client import Guard
from guardrails.keys import Role
from guardrails.proxy.table import ROUTES, Route
from guardrails.proxy.testing import Served
from guardrails.settings import ModelSettings, Settings
from guardrails.testing import ScriptedVerifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

ADMIN = "an-admin-key-that-is-long-enough-for-the-settings"
BEARER = {"authorization": f"Bearer {ADMIN}"}
WORDS = "Marmots are never late."
WAIT_S = 30.0


@pytest.fixture
def serve(
    make_settings: Callable[..., Settings], make_app: Callable[..., FastAPI]
) -> Callable[..., Any]:
    """Serves the shipped routes; gives a client without a key."""

    @contextmanager
    def serving(**proxy: Any) -> Iterator[httpx.Client]:
        app = make_app(make_settings(**{"admin_key": ADMIN, **proxy}))
        with Served(app) as served, httpx.Client(base_url=served.url, timeout=WAIT_S) as client:
            yield client

    return serving


def make(client: httpx.Client, name: str, *roles: str, **more: Any) -> dict[str, Any]:
    """A key, and the headers to use it with."""
    made = client.post("/admin/keys", json={"name": name, "roles": roles, **more}, headers=BEARER)
    assert made.status_code == 201, made.text
    return {**made.json(), "headers": {"x-groundrail-key": made.json()["key"]}}


def held(url: str, text: str = WORDS) -> str:
    """Puts an answer into the queue of a store, with its text; gives its id."""
    settings = Settings.model_validate({"store": {"url": url, "text": True}})
    policy = {"version": 1, "name": "people", "on_unsupported": "review"}
    with Guard(policy, settings=settings, verifier=ScriptedVerifier()) as guard:
        return guard.check(
            text, sources=["Nothing of the kind."], question="Late?"
        ).report.record_id


def test_every_role_and_route(serve: Callable[..., Any]) -> None:
    """Every route of the table, with no key and with a key of each role: denied unless it says."""
    with serve() as client:
        keys = {role: make(client, f"{role} key", role)["headers"] for role in Role}
        for route in ROUTES:
            path = route.path.format(record_id="x", review_id="x", key_id="x")

            def ask(headers: dict[str, str], route: Route = route, path: str = path) -> int:
                return client.request(route.method, path, headers=headers, json={}).status_code

            if not route.roles:
                assert ask({}) in {200, 503}, path
                continue
            assert ask({}) == 401, path
            assert ask({"x-groundrail-key": "gr_000000000000_" + "a" * 43}) == 401, path
            for role, headers in keys.items():
                allowed = role in route.roles
                assert (ask(headers) != 403) == allowed, (route.path, role)
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"):
            assert client.request(method, "/admin/records", headers=BEARER).status_code == 405


def test_a_key_works_until_it_is_revoked(serve: Callable[..., Any]) -> None:
    """Made, shown once, used, revoked; never listed with anything it could be used by."""
    with serve(key_cache=3600) as client:
        made = make(client, "ops", "review")
        assert made["key"].startswith(f"gr_{made['id']}_")
        assert client.get("/admin/records", headers=made["headers"]).status_code == 200
        listed = client.get("/admin/keys", headers=BEARER)
        assert [key["state"] for key in listed.json()] == ["valid"]
        assert made["key"].removeprefix(f"gr_{made['id']}_") not in listed.text
        again = {"name": "ops", "roles": ["call"]}
        assert client.post("/admin/keys", json=again, headers=BEARER).status_code == 400
        gone = client.delete(f"/admin/keys/{made['id']}", headers=BEARER)
        assert gone.json()["state"] == "revoked"
        assert client.get("/admin/records", headers=made["headers"]).status_code == 401
        assert client.delete("/admin/keys/nothing", headers=BEARER).status_code == 404
        assert client.post("/admin/keys", json=again, headers=BEARER).status_code == 201


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": "a"},
        {"name": "a", "roles": []},
        {"name": "a", "roles": ["root"]},
        {"name": "  ", "roles": ["call"]},
        {"name": "a\n", "roles": ["call"]},
        {"name": "a", "roles": ["call"], "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "a", "roles": ["call"], "expires_at": "9999-12-31T23:59:59-23:00"},
        {"name": "a", "roles": ["call"], "rate_per_minute": 0},
        {"name": "a", "roles": ["call"], "admin": True},
    ],
)
def test_keys_that_make_no_sense_are_refused(serve: Callable[..., Any], wrong: Any) -> None:
    """In our own shape, saying where."""
    with serve() as client:
        answer = client.post("/admin/keys", json=wrong, headers=BEARER)
        assert answer.status_code == 400, answer.text
        assert set(answer.json()["error"]) == {"code", "message", "hint"}
        assert client.get("/admin/keys", headers=BEARER).json() == []


def test_records_are_redacted_unless_asked(serve: Callable[..., Any], store_url: str) -> None:
    """Texts only with ``texts=true``."""
    record_id = held(store_url)
    with serve() as client:
        key = make(client, "ann", "review")["headers"]
        rows = client.get("/admin/records", params={"action": "review"}, headers=key)
        assert [row["id"] for row in rows.json()] == [record_id]
        bare = client.get(f"/admin/records/{record_id}", headers=key)
        full = client.get(f"/admin/records/{record_id}?texts=true", headers=key)
        assert WORDS not in rows.text + bare.text
        assert WORDS in full.json()["texts"].values()
        assert client.get("/admin/records/none", headers=key).status_code == 404
        assert client.get("/admin/records?limit=0", headers=key).status_code == 400


def test_an_item_is_claimed_and_decided(serve: Callable[..., Any], store_url: str) -> None:
    """By one of two reviewers; the other is told; what was written shows only when asked for."""
    record_id = held(store_url)
    with serve() as client:
        ann, bob = (make(client, name, "review") for name in ("ann", "bob"))
        at = f"/admin/reviews/{record_id}"
        taken = client.post("/admin/reviews/claim", json={}, headers=ann["headers"])
        assert taken.json()["reviewer"] == f"ann ({ann['id']})"
        other = client.post(f"{at}/claim", json={}, headers=bob["headers"])
        assert other.status_code == 409
        assert other.json()["error"]["code"] == "GR311"
        assert client.post(f"{at}/release", headers=bob["headers"]).status_code == 409
        assert client.post("/admin/reviews/claim", json={}, headers=bob["headers"]).json() is None
        ruled = {"ruling": "edit", "text": "They may be.", "labels": {"c1": "unsupported"}}
        wrong = {**ruled, "labels": {"c9": "supported"}}
        resolve = f"{at}/resolve"
        assert client.post(resolve, json=wrong, headers=ann["headers"]).status_code == 400
        done = client.post(resolve, json=ruled, headers=ann["headers"])
        assert done.json()["state"] == "resolved"
        assert "They may be." not in done.text
        shown = client.get(at, headers=bob["headers"])
        assert [step["event"] for step in shown.json()["history"]][-1] == "resolved"
        assert WORDS not in shown.text
        assert "They may be." in client.get(f"{at}?texts=true", headers=bob["headers"]).text
        listed = client.get("/admin/reviews?state=resolved", headers=bob["headers"]).json()
        assert [item["id"] for item in listed] == [record_id]
        assert client.get("/admin/reviews/none", headers=bob["headers"]).status_code == 404
        assert (
            client.post("/admin/reviews/none/claim", json={}, headers=bob["headers"]).status_code
            == 404
        )


def test_the_configuration_is_shown_without_secrets(
    make_settings: Callable[..., Settings], make_app: Callable[..., FastAPI]
) -> None:
    """No key, no password, no token; digests and routes are there."""
    password = "hunter2hunter2"
    settings = make_settings(admin_key=ADMIN).model_copy(
        update={
            "model": ModelSettings(
                url=f"http://u:{password}@h:1/p?token={password}", token=password
            )
        }
    )
    with Served(make_app(settings)) as served:
        answer = httpx.get(f"{served.url}/admin/config", headers=BEARER, timeout=WAIT_S)
    assert answer.status_code == 200
    assert password not in answer.text
    assert ADMIN not in answer.text
    assert answer.json()["policy_digest"].startswith("v1:b2:")
    assert answer.json()["settings"]["model"]["url"] == "http://h:1/p"


def test_without_a_store_admin_routes_say_so(serve: Callable[..., Any]) -> None:
    """503, and the proxy itself is ready."""
    with serve(store=None) as client:
        assert client.get("/admin/records", headers=BEARER).status_code == 503
        assert client.get("/admin/keys", headers=BEARER).json()["error"]["code"] == "GR325"
