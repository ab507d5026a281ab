"""What LiteLLM hands to a guardrail as a stream, as JSON events, and back.

Chat and text completions come as objects of LiteLLM's, Responses as one class an event, Anthropic's
messages as bytes cut anywhere. What goes back is of the same kind: other callbacks of LiteLLM's
(such as the one that hides ids of responses) pass over what is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from litellm.llms.openai.responses.transformation import OpenAIResponsesAPIConfig
from litellm.types.llms.openai import GenericEvent
from litellm.types.utils import ModelResponseStream, TextCompletionResponse
from pydantic import BaseModel

from guardrails.errors import ResponseUnreadable
from guardrails.proxy.sse import EventReader, write_event
from guardrails.streaming.replay import events_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardrails.integrations._stream_fold import Event, Wire

_WIRES: Mapping[str, Wire] = {
    "completion": "chat",
    "text_completion": "completion",
    "responses": "responses",
    "get_responses": "responses",
    "anthropic_messages": "messages",
}


def wire_of(call_type: object) -> Wire | None:
    """The protocol that a call type's answers speak; None for one we do not read."""
    name = str(getattr(call_type, "value", call_type) or "")
    return _WIRES.get(name) or _WIRES.get(name.removeprefix("a"))


class Codec:
    """Of one stream."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._reader = EventReader()
        self._hidden: object = None

    def read(self, item: object) -> list[Event]:
        """The events in what LiteLLM gave.

        Raises:
            ResponseUnreadable: If it is nothing we can read.
        """
        if isinstance(item, str):
            item = item.encode()
        if isinstance(item, bytes):
            return [_parsed(found.data) for found in self._reader.feed(item)]
        if isinstance(item, BaseModel):
            self._hidden = getattr(item, "_hidden_params", None) or self._hidden
            return [item.model_dump(mode="json", exclude_none=True, exclude_unset=True)]
        if isinstance(item, Mapping):
            return [dict(item)]
        raise ResponseUnreadable(
            f"A part of the stream is a {type(item).__name__}; nothing of it was released.",
            hint="This is a stream of LiteLLM's that this version of groundrail does not know.",
        )

    def write(self, event: Event) -> object:
        """An event as LiteLLM takes it."""
        if self.wire == "messages":
            return write_event(json.dumps(event).encode(), event.get("type", ""))
        if self.wire == "responses":
            return _response_event(event)
        made = (ModelResponseStream if self.wire == "chat" else TextCompletionResponse)(**event)
        if "guardrails" in event and self.wire == "chat":
            # LiteLLM writes simple chunks by hand, without keys it does not know; not this one.
            made.provider_specific_fields = {}
        if self._hidden is not None:
            made._hidden_params = self._hidden  # noqa: SLF001 - where LiteLLM keeps the cost
        return made

    def told(self, response: Mapping[str, Any]) -> list[Event]:
        """The events that tell a response we changed."""
        if self.wire != "completion":
            return events_of(response)
        head = {key: value for key, value in response.items() if key != "usage"}
        parts = [{**head, "choices": [choice]} for choice in response["choices"]]
        usage = response.get("usage")
        return parts if usage is None else [*parts, {**head, "choices": [], "usage": usage}]


def with_report(wire: Wire, events: Sequence[Event], report: object) -> int | None:
    """Put a report into the event that ends an answer; its place, or None for none."""
    for place in reversed(range(len(events))):
        event = events[place]
        match wire:
            case "chat" | "completion":
                choices = event.get("choices") or ()
                ends = any(choice.get("finish_reason") for choice in choices)
            case "messages":
                ends = event.get("type") == "message_stop"
            case "responses":
                ends = "response" in event
        if ends:
            (event["response"] if wire == "responses" else event)["guardrails"] = report
            return place
    return None


def _parsed(data: bytes) -> Event:
    try:
        event = json.loads(data)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise ResponseUnreadable(
            "An event of the stream is no JSON object; nothing of it was released.",
            hint="Look at what answers at the deployment's api_base.",
        )
    return event


def _response_event(event: Event) -> object:
    kind = OpenAIResponsesAPIConfig.get_event_model_class(event_type=event["type"])
    try:
        return kind(**event)
    except ValueError:
        return GenericEvent(**event)
