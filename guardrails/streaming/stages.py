"""The first and the last stage of each protocol's streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, assert_never

from guardrails.streaming.anthropic import AnthropicOutlet, AnthropicShape
from guardrails.streaming.chat import ChatShape
from guardrails.streaming.responses import ResponsesShape
from guardrails.streaming.responses_outlet import ResponsesOutlet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardrails.streaming.shapes import Kind, Outlet, Shape


class _Plain:
    """The outlet of a protocol that numbers and repeats nothing."""

    def send(self, event: Any) -> Sequence[Any]:
        """The event."""
        return (event,)


def stages(
    wire: Literal["chat", "completion", "responses", "messages"], reasoning: Kind
) -> tuple[Shape, Outlet]:
    """How a protocol's stream is taken apart, and put right before it leaves."""
    match wire:
        case "chat" | "completion":
            return ChatShape(reasoning=reasoning), _Plain()
        case "messages":
            return AnthropicShape(reasoning=reasoning), AnthropicOutlet()
        case "responses":
            shape = ResponsesShape(reasoning=reasoning)
            return shape, ResponsesOutlet(shape)
        case _:
            assert_never(wire)
