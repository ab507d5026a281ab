"""What is particular to each protocol: where the conversation is, how it goes on, how it refuses.

Pure functions of JSON. Nothing here changes what it is given, but for the ``refuse`` functions,
which write into a response that is already a copy of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, assert_never

from guardrails.errors import RequestRefused
from guardrails.proxy.upstream import JSON, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardrails.effects import Followup
    from guardrails.report import Report

_MESSAGES: Final[Mapping[Wire, str]] = {
    "chat": "messages",
    "responses": "input",
    "messages": "messages",
}
_SYSTEM: Final[Mapping[Wire, str | None]] = {
    "chat": None,
    "responses": "instructions",
    "messages": "system",
}
# Settings of a call worth a place in its record. Nothing that could hold a key or user text.
_PARAMS: Final = frozenset(
    {
        "frequency_penalty",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "n",
        "presence_penalty",
        "reasoning_effort",
        "seed",
        "stream",
        "temperature",
        "top_k",
        "top_p",
    }
)
_SHORT: Final = 64


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read as far as the proxy needs to.

    Attributes:
        wire: Its protocol.
        body: The request without our own object.
        model: The model asked for.
        stream: Whether the answer is to be streamed.
    """

    wire: Wire
    body: JSON
    model: str
    stream: bool


def read_call(wire: Wire, body: JSON) -> Call:
    """Read a request.

    Raises:
        RequestRefused: If it lacks what every request has, or asks for what cannot be checked.
    """
    model, stream = body.get("model"), body.get("stream")
    if not isinstance(model, str) or not model:
        raise _wrong("model", "is missing or no text")
    if stream is not None and not isinstance(stream, bool):
        raise _wrong("stream", "is neither true nor false")
    if body.get("background") not in {None, False}:
        raise RequestRefused(
            "background responses are not available: nobody would check them; nothing was sent.",
            hint="Leave `background` out.",
            param="background",
        )
    return Call(wire, body, model, stream is True)


def conversation(call: Call) -> list[Any]:
    """The messages of a request, the system's text first where it stands beside them.

    Raises:
        RequestRefused: If there are none that can be read.
    """
    key, beside = _MESSAGES[call.wire], _SYSTEM[call.wire]
    found = call.body.get(key)
    if isinstance(found, str) and call.wire == "responses":
        found = [{"role": "user", "content": found}]
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise _wrong(key, "is no list of messages")
    system = None if beside is None else call.body.get(beside)
    return found if system is None else [{"role": "system", "content": system}, *found]


def params_of(call: Call) -> dict[str, Any]:
    """The plain settings of a call."""
    return {
        key: value
        for key, value in call.body.items()
        if key in _PARAMS
        and (isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _SHORT))
    }


def wants_usage(call: Call) -> bool:
    """Whether a stream of chat completions is to end with its usage."""
    options = call.body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def attempt(call: Call, followup: Followup | None) -> JSON:
    """The request of one attempt that is not streamed: what was wrong as its last message."""
    body = {key: value for key, value in call.body.items() if key not in _STREAMING}
    if followup is None:
        return body
    body.pop("n", None)
    key = _MESSAGES[call.wire]
    before = body.get(key)
    if isinstance(before, str):
        before = [{"role": "user", "content": before}]
    said = [{"role": "assistant", "content": followup.answer}] if followup.answer.strip() else []
    body[key] = [*(before or ()), *said, {"role": "user", "content": followup.message}]
    return body


_STREAMING: Final = frozenset({"stream", "stream_options"})


def refuse(call: Call, response: JSON, reports: Sequence[Report]) -> JSON:
    """The response with the protocol's own form of refusal wherever an answer was withheld.

    Its texts say so already; here go the fields around them. ``response`` is a copy of ours.
    """
    blocked = [report for report in reports if report.blocked]
    if not blocked:
        return response
    match call.wire:
        case "chat":
            for report in blocked:
                choice = response["choices"][report.choice]
                choice["message"]["refusal"] = report.text
                choice["finish_reason"] = "content_filter"
        case "messages":
            response["stop_reason"] = "refusal"
            response["stop_sequence"] = None
        case "responses":
            _refuse_response(response, blocked[0].text)
        case _:
            assert_never(call.wire)
    return response


def _refuse_response(response: JSON, text: str) -> None:
    for item in response["output"]:
        if item.get("type") == "message":
            item["content"] = [{"type": "refusal", "refusal": text}]
            item["status"] = "completed"
    response["status"] = "completed"
    response["incomplete_details"] = None


def _wrong(key: str, what: str) -> RequestRefused:
    return RequestRefused(
        f"{key} {what}; nothing was sent.",
        hint="Send what the provider's own API takes.",
        param=key,
    )
