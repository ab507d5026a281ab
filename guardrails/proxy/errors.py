"""Errors as clients of each protocol read them, whole and as the last event of a stream.

A :class:`Problem` says what went wrong once; how it is spelled depends on the route:

* OpenAI: ``{"error": {"message", "type", "param", "code"}}``
* Anthropic: ``{"type": "error", "error": {"type", "message"}}``
* ours: ``{"error": {"code", "message", "hint"}}``

An error of ours is told with its code. Of any other exception nothing is told but a reference,
which stands beside the exception in the log: its text may quote what users wrote, or secrets.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

from guardrails.errors import (
    Blocked,
    ConfigInvalid,
    NoSuchRoute,
    ProviderFailed,
    RecordInvalid,
    RequestRefused,
    ResponseUnreadable,
    RetrieverFailed,
    ReviewConflict,
    StoreUnavailable,
    StreamingUnsupported,
    TimedOut,
)
from guardrails.proxy.table import Protocol
from policies.errors import PolicyError
from verifiers.errors import GroundrailError, Overloaded, SourceInvalid, VerifierError

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUSY_RETRY_S = 1.0
_MAX_MESSAGE = 2_000


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, for any protocol.

    Attributes:
        status: HTTP status.
        code: One of our codes.
        message: What happened, without text of users.
        hint: What to do.
        param: Where in the request, or None.
        retry_after: Seconds, or None.
        allow: Methods, for a 405.
        reason: A short word for machines, OpenAI's ``code``; by default our code.
    """

    status: int
    code: str
    message: str
    hint: str = ""
    param: str | None = None
    retry_after: float | None = None
    allow: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What belongs into the headers, names in lower case."""
        out = {}
        if self.retry_after is not None:
            out["retry-after"] = str(max(1, math.ceil(self.retry_after)))
        if self.allow:
            out["allow"] = ", ".join(self.allow)
        if self.status == 401:  # noqa: PLR2004
            out["www-authenticate"] = "Bearer"
        return out

    @property
    def text(self) -> str:
        """Message and hint in one, for protocols with no place for a hint."""
        return f"{self.message} {self.hint}".strip()[:_MAX_MESSAGE]


_REASONS = {
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    429: "rate_limit_exceeded",
}
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SERVER = 500


def problem_of(error: BaseException) -> Problem | None:
    """The problem that an error of ours is, or None for any other exception: a bug."""
    if isinstance(error, RequestRefused):
        return Problem(
            error.status,
            error.code,
            error.message,
            error.hint,
            error.param,
            error.retry_after,
            error.allow if isinstance(error, NoSuchRoute) else (),
            _REASONS.get(error.status),
        )
    if not isinstance(error, GroundrailError):
        return None
    status, retry = _status(error)
    return Problem(
        status, error.code, error.message, error.hint, None, retry, reason=_REASONS.get(status)
    )


# The first that fits. What is not listed is a fault of ours.
_STATUSES: tuple[tuple[type[GroundrailError] | tuple[type[GroundrailError], ...], int], ...] = (
    (Overloaded, 429),
    ((SourceInvalid, PolicyError, ConfigInvalid, StreamingUnsupported), 400),
    (Blocked, 403),
    (RecordInvalid, 404),
    (ReviewConflict, 409),
    (TimedOut, 504),
    ((ProviderFailed, ResponseUnreadable, RetrieverFailed), 502),
    ((StoreUnavailable, VerifierError), 503),
)
# What a provider says of the request is passed on. That it refused us as a client is not: 401 or
# 403 would say that the caller's key for the proxy is wrong.
_PASSED = frozenset({400, 404, 408, 409, 413, 415, 422, 429})


def _status(error: GroundrailError) -> tuple[int, float | None]:
    if isinstance(error, ProviderFailed) and error.status in _PASSED:
        return error.status, None
    status = next((code for kinds, code in _STATUSES if isinstance(error, kinds)), _SERVER)
    return status, _BUSY_RETRY_S if status in {429, 503} else None


def unexpected(reference: str) -> Problem:
    """For an exception that is not ours: nothing of its text, and a reference into the log."""
    return Problem(
        500,
        "GR000",
        f"Something failed in the proxy itself. Reference: {reference}.",
        "The log has the reference beside what happened.",
        reason="internal_error",
    )


def body_of(problem: Problem, protocol: Protocol) -> dict[str, Any]:
    """The JSON body of an error response."""
    match protocol:
        case Protocol.CHAT | Protocol.RESPONSES:
            return openai_error(problem)
        case Protocol.MESSAGES:
            return anthropic_error(problem)
        case Protocol.OWN:
            return own_error(problem)
        case _:
            assert_never(protocol)


def openai_error(problem: Problem) -> dict[str, Any]:
    """OpenAI's error body."""
    return {
        "error": {
            "message": problem.text,
            "type": _openai_type(problem.status),
            "param": problem.param,
            "code": problem.reason or problem.code,
        }
    }


def anthropic_error(problem: Problem) -> dict[str, Any]:
    """Anthropic's error body."""
    fallback = "api_error" if problem.status >= _SERVER else "invalid_request_error"
    kind = _ANTHROPIC_TYPES.get(problem.status, fallback)
    return {"type": "error", "error": {"type": kind, "message": problem.text}}


def own_error(problem: Problem) -> dict[str, Any]:
    """Our own error body."""
    return {
        "error": {
            "code": problem.code,
            "message": problem.message[:_MAX_MESSAGE],
            "hint": problem.hint,
        }
    }


def _openai_type(status: int) -> str:
    fallback = "server_error" if status >= _SERVER else "invalid_request_error"
    return _OPENAI_TYPES.get(status, fallback)


def stream_error(problem: Problem, protocol: Protocol, *, sequence: int = 0) -> bytes:
    """The server-sent event that ends a stream which cannot go on.

    Args:
        problem: Why.
        protocol: Whose event.
        sequence: The next ``sequence_number``, for Responses.
    """
    match protocol:
        case Protocol.CHAT:
            return sse(openai_error(problem))
        case Protocol.RESPONSES:
            detail = openai_error(problem)["error"]
            event = {
                "type": "error",
                "code": detail["code"],
                "message": detail["message"],
                "param": detail["param"],
                "sequence_number": sequence,
            }
            # OpenAI's SDK raises on a member ``error``; others read the fields of the event.
            return sse({**event, "error": detail}, name="error")
        case Protocol.MESSAGES:
            return sse(anthropic_error(problem), name="error")
        case Protocol.OWN:
            return sse(own_error(problem), name="error")
        case _:
            assert_never(protocol)


def sse(data: Mapping[str, Any], *, name: str | None = None) -> bytes:
    """One server-sent event with JSON data, on one line."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode("ascii")
