"""Every route there is, and who may call it. The application is built from this table.

What is not in it cannot be reached: the gate answers before any router is asked. A new route is a
function in a module with a ``router`` (an ``APIRouter``), and a row here that names the module.
``create_app`` refuses to start when the two disagree, and ``guardrails/docs/proxy.md`` shows the
same table (a test compares them).
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from guardrails.keys import Role


class Protocol(StrEnum):
    """Whose requests, answers and errors a route speaks."""

    CHAT = "chat"  # OpenAI's, chat completions and everything that is neither of the next two
    RESPONSES = "responses"  # OpenAI's Responses
    MESSAGES = "messages"  # Anthropic's
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Route:
    """One method at one path.

    Attributes:
        method: In capitals.
        path: With parameters in braces.
        module: The module whose ``router`` has it, or None for what the application itself has.
        summary: One line for the docs.
        roles: Any of these roles is enough; with none, everybody may.
        protocol: Whose errors it speaks.
        work: Whether it takes one of the places that ``proxy.limits.concurrency`` counts.
    """

    method: str
    path: str
    module: str | None
    summary: str
    roles: frozenset[Role] = frozenset()
    protocol: Protocol = Protocol.OWN
    work: bool = False


_ADMIN: Final = frozenset({Role.ADMIN})
_REVIEW: Final = frozenset({Role.ADMIN, Role.REVIEW})
_METRICS: Final = frozenset({Role.ADMIN, Role.METRICS})
_CALL: Final = frozenset({Role.CALL})
_HEALTH: Final = "guardrails.proxy.health"
_ADMIN_ROUTES: Final = "guardrails.proxy.admin"

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "POST",
        "/beta/litellm_basic_guardrail_api",
        "guardrails.integrations.generic_api",
        "LiteLLM's Generic Guardrail API.",
        _CALL,
        work=True,
    ),
    Route("GET", "/healthz", _HEALTH, "The process is alive."),
    Route("GET", "/readyz", _HEALTH, "It can work: model loaded, store reachable, not stopping."),
    Route("GET", "/metrics", _HEALTH, "Prometheus metrics.", _METRICS),
    Route(
        "POST",
        "/v1/chat/completions",
        "guardrails.proxy.chat",
        "Chat completions, as OpenAI has them.",
        _CALL,
        Protocol.CHAT,
        work=True,
    ),
    Route(
        "POST",
        "/v1/responses",
        "guardrails.proxy.responses",
        "OpenAI's Responses.",
        _CALL,
        Protocol.RESPONSES,
        work=True,
    ),
    Route(
        "POST",
        "/v1/messages",
        "guardrails.proxy.messages",
        "Anthropic's Messages.",
        _CALL,
        Protocol.MESSAGES,
        work=True,
    ),
    Route(
        "GET",
        "/v1/models",
        "guardrails.proxy.models",
        "The models that the key may use.",
        _CALL,
        Protocol.CHAT,
    ),
    Route(
        "POST",
        "/v1/check",
        "guardrails.proxy.check",
        "Check an answer that was made elsewhere.",
        _CALL,
        work=True,
    ),
    Route("GET", "/openapi.json", None, "OpenAPI description of groundrail's own routes."),
    Route("GET", "/admin/records", _ADMIN_ROUTES, "The newest records.", _REVIEW),
    Route("GET", "/admin/records/{record_id}", _ADMIN_ROUTES, "One record.", _REVIEW),
    Route("GET", "/admin/reviews", _ADMIN_ROUTES, "The review queue.", _REVIEW),
    Route("POST", "/admin/reviews/claim", _ADMIN_ROUTES, "Take what waited longest.", _REVIEW),
    Route("GET", "/admin/reviews/{review_id}", _ADMIN_ROUTES, "One item.", _REVIEW),
    Route("POST", "/admin/reviews/{review_id}/claim", _ADMIN_ROUTES, "Take an item.", _REVIEW),
    Route("POST", "/admin/reviews/{review_id}/release", _ADMIN_ROUTES, "Give it back.", _REVIEW),
    Route("POST", "/admin/reviews/{review_id}/resolve", _ADMIN_ROUTES, "Decide on it.", _REVIEW),
    Route("GET", "/admin/keys", _ADMIN_ROUTES, "Every key, without its secret.", _ADMIN),
    Route("POST", "/admin/keys", _ADMIN_ROUTES, "Make a key; shown once.", _ADMIN),
    Route("DELETE", "/admin/keys/{key_id}", _ADMIN_ROUTES, "Revoke a key.", _ADMIN),
    Route("GET", "/admin/config", _ADMIN_ROUTES, "Settings and digests, no secrets.", _ADMIN),
)


class Table:
    """Finds the route of a request. Exact paths first, then those with parameters, in order."""

    def __init__(self, routes: tuple[Route, ...] = ROUTES) -> None:
        self.routes: Final = routes
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
        for route in routes:
            if "{" not in route.path:
                self._exact.setdefault(route.path, {})[route.method] = route
                continue
            known = self._patterns.setdefault(route.path, (_pattern(route.path), {}))
            known[1][route.method] = route

    def at(self, path: str) -> dict[str, Route]:
        """The routes at a path, by method; empty when there is nothing."""
        found = self._exact.get(path)
        if found is not None:
            return found
        for pattern, routes in self._patterns.values():
            if pattern.fullmatch(path):
                return routes
        return {}


def _pattern(path: str) -> re.Pattern[str]:
    """``{name}`` is one segment, ``{name:path}`` the rest."""
    parts = re.split(r"(\{[^}]*\})", path)
    return re.compile(
        "".join(
            (r".+" if part.endswith(":path}") else r"[^/]+")
            if part.startswith("{")
            else re.escape(part)
            for part in parts
        )
    )


def protocol_of(path: str) -> Protocol:
    """Whose errors to speak at a path that is no route: what a client there most likely reads."""
    if path == "/v1/messages" or path.startswith("/v1/messages/"):
        return Protocol.MESSAGES
    if path == "/v1/responses" or path.startswith("/v1/responses/"):
        return Protocol.RESPONSES
    if path == "/v1/check":
        return Protocol.OWN
    return Protocol.CHAT if path.startswith("/v1/") else Protocol.OWN


MARKER: Final = "<!-- made by: python -m guardrails.proxy.table -->"


def markdown(routes: tuple[Route, ...] = ROUTES) -> str:
    """The table for the docs, from its marker on."""
    rows = [
        f"| `{route.method}` | `{route.path}` | {', '.join(sorted(route.roles)) or 'anybody'} "
        f"| {route.summary} |"
        for route in routes
    ]
    head = ("| method | path | roles | |", "| --- | --- | --- | --- |")
    return "\n".join([MARKER, "", *head, *rows]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
