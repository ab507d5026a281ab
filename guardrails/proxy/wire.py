"""Stream events of the three protocols on the wire: reading, writing, and knowing the last one."""

from __future__ import annotations

from typing import Final

import orjson

from guardrails.proxy.sse import write_event
from guardrails.proxy.upstream import JSON, UpstreamFailed, Wire

_ERRORS: Final = range(400, 600)
# What of an error event is passed on: nothing in which part of an answer could stand.
_ERROR_FIELDS: Final = ("type", "error", "code", "message", "param", "request_id")

DONE: Final = write_event(b"[DONE]")


def encode(event: JSON, wire: Wire) -> bytes:
    """An event as it stands on the wire."""
    return write_event(orjson.dumps(event), "" if wire == "chat" else str(event.get("type", "")))


def read_event(data: bytes) -> JSON:
    """The JSON of an event.

    Raises:
        UpstreamFailed: If it is none, or says that the provider failed.
    """
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UpstreamFailed(
            "The provider sent an event that is no JSON; the stream was given up.",
            status=502,
            hint="Look at what answers at the deployment's api_base.",
        ) from error
    if not isinstance(found, dict):
        raise UpstreamFailed(
            "The provider sent an event that is no object; the stream was given up.",
            status=502,
            hint="Look at what answers at the deployment's api_base.",
        )
    refuse_error(found)
    return found


def refuse_error(event: JSON) -> None:
    """Stop at an event by which the provider says that it failed.

    Raises:
        UpstreamFailed: With what of the event may be passed on.
    """
    if event.get("type") == "error" or (event.get("error") and "choices" not in event):
        raise UpstreamFailed(
            "The provider ended its stream with an error.",
            status=_status_of(event),
            hint="Try again; if it happens often, look at the provider.",
            event={key: event[key] for key in _ERROR_FIELDS if key in event},
        )


def _status_of(event: JSON) -> int | None:
    error = event.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and code in _ERRORS else None


def ends(event: JSON, wire: Wire) -> bool:
    """Whether an event says that the answer is whole."""
    if wire == "messages":
        return event.get("type") == "message_stop"
    if wire == "responses":
        return event.get("type") in {
            "response.completed",
            "response.incomplete",
            "response.failed",
            "response.cancelled",
        }
    # Some servers leave [DONE] out.
    choices = event.get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and choice.get("finish_reason") for choice in choices
    )
