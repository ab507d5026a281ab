"""Reading and rewriting responses of every shape we meet, without importing a provider's library.

Shapes: plain text; chat completions (OpenAI, LiteLLM) and text completions; OpenAI Responses;
Anthropic Messages; and the JSON of any of them. Reading never changes the response. Writing gives
a deep copy of the original type; only text that was decided otherwise is touched, and with it
everything that repeats the withheld text (log probabilities, reasoning, annotations).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from guardrails.errors import ResponseUnreadable, StreamingUnsupported
from guardrails.report import Usage
from policies.types import AnswerFacts
from verifiers.types import Citation, Span

T = TypeVar("T")

Shape = Literal["text", "chat", "completion", "responses", "anthropic"]

_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_context_window_exceeded"})
_REFUSED = frozenset({"content_filter", "refusal", "safety"})
# Everything beside the text that may repeat what the text said.
_ECHOES = (
    "annotations",
    "audio",
    "images",
    "provider_specific_fields",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "reasoning_items",
    "thinking_blocks",
)
_OPENERS = ("text", "output_text")


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer of a response.

    Attributes:
        text: Its exact text; several text parts joined as they stand.
        finish_reason: As the provider gave it.
        tool_calls: How many tools it calls.
        refused: The provider or model declined, by a field of its own.
        annotations: The provider's own citations; ``source_id`` is not resolved yet.
    """

    text: str = field(repr=False)
    finish_reason: str | None = None
    tool_calls: int = 0
    refused: bool = False
    annotations: tuple[Citation, ...] = field(default=(), repr=False)

    @property
    def cut(self) -> bool:
        """Whether it ended at the length limit."""
        return self.finish_reason in _CUT

    def facts(self, *, has_evidence: bool) -> AnswerFacts:
        """What a policy wants to know of the answer besides its claims."""
        blank = not self.text.strip()
        return AnswerFacts(
            empty=blank and not self.tool_calls and not self.refused,
            tool_calls=blank and self.tool_calls > 0,
            refused=self.refused,
            cut=self.cut,
            has_evidence=has_evidence,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """A response, read."""

    choices: tuple[Choice, ...]
    usage: Usage
    model: str | None = None
    response_id: str | None = None


def read(response: object) -> Reading:
    """What a response says.

    Raises:
        ResponseUnreadable: If it is of no shape we know, or holds no answer at all.
        StreamingUnsupported: If it is a stream.
    """
    match shape_of(response):
        case "text":
            return Reading((Choice(str(response)),), Usage())
        case "chat":
            choices = tuple(_chat_choice(choice) for choice in _items(response, "choices"))
        case "completion":
            choices = tuple(
                Choice(_text(_get(choice, "text")), *_finish(_get(choice, "finish_reason")))
                for choice in _items(response, "choices")
            )
        case "responses":
            choices = (_responses_choice(response),)
        case "anthropic":
            choices = (_anthropic_choice(response),)
    if not choices:
        raise ResponseUnreadable(
            "The response holds no choice, so there is no answer to check; nothing was released.",
            hint="Look at the provider's raw response; this is usually an error in disguise.",
        )
    return Reading(
        choices,
        _usage(_get(response, "usage")),
        _name(_get(response, "model")),
        _name(_get(response, "id")),
    )


def shape_of(response: object) -> Shape:
    """Which shape a response has.

    Raises:
        ResponseUnreadable: If it has none we know; names its type.
        StreamingUnsupported: If it is a stream.
    """
    if isinstance(response, str):
        return "text"
    if hasattr(response, "__anext__") or hasattr(response, "__next__"):
        raise StreamingUnsupported(
            "The call gave a stream; it was not read, and nothing was released.",
            hint="Call with stream=False: an answer is released only after it was checked.",
        )
    choices = _get(response, "choices")
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        if choices and _get(choices[0], "message") is None and _get(choices[0], "text") is not None:
            return "completion"
        if all(_get(choice, "message") is not None for choice in choices):
            return "chat"
    if isinstance(_get(response, "output"), Sequence) and not isinstance(
        _get(response, "output"), str
    ):
        return "responses"
    if isinstance(_get(response, "content"), list) and _get(response, "role") == "assistant":
        return "anthropic"
    kind = type(response)
    raise ResponseUnreadable(
        f"Cannot find the answer in a response of type {kind.__module__}.{kind.__qualname__}; "
        "nothing was released.",
        hint="Return text, an OpenAI, LiteLLM or Anthropic response, or the JSON of one.",
    )


def with_texts(
    response: T, texts: Mapping[int, str], *, withheld: frozenset[int] = frozenset()
) -> T:
    """A copy of ``response`` with the text of some choices replaced.

    Args:
        response: Anything ``read`` reads; never changed.
        texts: New text by choice. Choices not named stay as they are.
        withheld: Choices of which nothing may be released: their tool calls go too.

    Returns:
        ``response`` itself when there is nothing to change, else a deep copy of its type.
    """
    if not texts:
        return response
    shape = shape_of(response)
    if shape == "text":
        return texts[0]  # type: ignore[return-value]  # T is str here
    fresh = copy.deepcopy(response)
    if shape in {"responses", "anthropic"} and not _has_text_part(fresh, shape):
        fresh = _with_text_part(fresh, shape)
    for index, text in texts.items():
        drop_tools = index in withheld
        match shape:
            case "chat":
                _write_chat(_items(fresh, "choices")[index], text, drop_tools=drop_tools)
            case "completion":
                choice = _items(fresh, "choices")[index]
                _set(choice, "text", text)
                _clear(choice, ("logprobs",))
            case "responses":
                _write_responses(fresh, text, drop_tools=drop_tools)
            case "anthropic":
                _write_anthropic(fresh, text, drop_tools=drop_tools)
    return fresh


def with_choice(response: T, index: int, other: object) -> T:
    """A copy of ``response`` in which choice ``index`` is the first choice of ``other``.

    For calls with ``n > 1`` of which one choice was asked for again. Both must be chat or text
    completions.
    """
    fresh = copy.deepcopy(response)
    choices = _items(fresh, "choices")
    replacement = copy.deepcopy(_items(other, "choices")[0])
    if _has(replacement, "index"):
        _set(replacement, "index", index)
    choices[index] = replacement
    return fresh


# --------------------------------------------------------------------------- access


def _get(value: object, key: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(key)
    return getattr(value, key, None)


def _has(value: object, key: str) -> bool:
    return key in value if isinstance(value, Mapping) else hasattr(value, key)


def _set(value: Any, key: str, new: object) -> None:
    if isinstance(value, Mapping):
        value[key] = new  # type: ignore[index]  # a copy we made of a JSON object
    else:
        setattr(value, key, new)


def _clear(value: Any, keys: Sequence[str]) -> None:
    for key in keys:
        if isinstance(value, Mapping):
            value.pop(key, None)  # type: ignore[attr-defined]  # as above
        elif getattr(value, key, None):
            setattr(value, key, None)


def _items(value: object, key: str) -> list[Any]:
    found = _get(value, key)
    return found if isinstance(found, list) else list(found or ())


def _name(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _text(content: object) -> str:
    """Text of a message's content: a string, or parts of which some are text."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "".join(_part_text(part) for part in content)
    return ""


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    kind = _get(part, "type")
    text = _get(part, "text")
    return text if (kind is None or kind in _OPENERS) and isinstance(text, str) else ""


def _finish(reason: object) -> tuple[str | None, int, bool]:
    name = _name(reason)
    return name, 0, name in _REFUSED


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _usage(usage: object) -> Usage:
    if usage is None:
        return Usage()
    spent = [_count(_get(usage, key)) for key in ("prompt_tokens", "input_tokens")]
    made = [_count(_get(usage, key)) for key in ("completion_tokens", "output_tokens")]
    return Usage(
        next((n for n in spent if n is not None), None),
        next((n for n in made if n is not None), None),
    )


# --------------------------------------------------------------------------- reading


def _chat_choice(choice: object) -> Choice:
    message = _get(choice, "message")
    reason = _name(_get(choice, "finish_reason"))
    text = _text(_get(message, "content"))
    calls = len(_items(message, "tool_calls")) + (_get(message, "function_call") is not None)
    # LiteLLM moves what OpenAI calls `refusal` among the fields it does not know.
    elsewhere = _get(message, "provider_specific_fields")
    refusal = _get(message, "refusal") or _get(elsewhere, "refusal")
    refused = bool(refusal) or reason in _REFUSED
    marks = _chat_annotations(text, _items(message, "annotations"))
    return Choice(text, reason, calls, refused, marks)


def _chat_annotations(text: str, annotations: Sequence[object]) -> tuple[Citation, ...]:
    found = []
    for annotation in annotations:
        # Chat completions nest the citation, Responses do not.
        detail = _get(annotation, "url_citation") or annotation
        target = _get(detail, "url") or _get(detail, "file_id") or _get(detail, "filename")
        start, end = _count(_get(detail, "start_index")), _count(_get(detail, "end_index"))
        if isinstance(target, str):
            found.append(_citation(text, target, start, end))
    return tuple(mark for mark in found if mark is not None)


def _citation(text: str, target: str, start: int | None, end: int | None) -> Citation | None:
    """A provider's citation. Indices that do not fit the text make it stand at the end."""
    if not text:
        return None
    if start is None or end is None or not 0 <= start < end <= len(text):
        start, end = len(text) - 1, len(text)
    span = Span(start, end)
    return Citation(span=span, marker=span.of(text), target=target, source_id=None)


def _responses_choice(response: object) -> Choice:
    texts: list[str] = []
    marks: list[Citation | None] = []
    calls, refused, at = 0, False, 0
    for item in _items(response, "output"):
        kind = _get(item, "type")
        if isinstance(kind, str) and kind.endswith("_call"):
            calls += kind in {"function_call", "custom_tool_call"}
        if kind not in {"message", None}:
            continue
        for part in _items(item, "content"):
            refused |= _get(part, "type") == "refusal"
            text = _part_text(part)
            for mark in _chat_annotations(text, _items(part, "annotations")):
                span = Span(mark.span.start + at, mark.span.end + at)
                marks.append(Citation(span, mark.marker, mark.target, None))
            texts.append(text)
            at += len(text)
    details = _get(response, "incomplete_details")
    reason = _name(_get(details, "reason")) or _name(_get(response, "status"))
    return Choice(
        "".join(texts),
        reason,
        calls,
        refused or reason in _REFUSED,
        tuple(mark for mark in marks if mark is not None),
    )


def _anthropic_choice(response: object) -> Choice:
    texts: list[str] = []
    marks: list[Citation] = []
    calls, at = 0, 0
    for block in _items(response, "content"):
        kind = _get(block, "type")
        calls += kind == "tool_use"
        text = _part_text(block)
        for cited in _items(block, "citations"):
            target = _get(cited, "url") or _get(cited, "document_title") or _get(cited, "source")
            place = _count(_get(cited, "document_index"))
            if not isinstance(target, str) and place is not None:
                target = str(place + 1)  # documents count from 0 there, sources from 1 here
            if text and isinstance(target, str):
                span = Span(at, at + len(text))
                marks.append(Citation(span, text, target, None))
        texts.append(text)
        at += len(text)
    reason = _name(_get(response, "stop_reason"))
    return Choice("".join(texts), reason, calls, reason in _REFUSED, tuple(marks))


# --------------------------------------------------------------------------- writing

_EMPTY_MESSAGE = {
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "id": "msg_guardrails",
    "content": [{"type": "output_text", "text": "", "annotations": []}],
}
_EMPTY_BLOCK = {"type": "text", "text": ""}


def _has_text_part(response: object, shape: Shape) -> bool:
    if shape == "anthropic":
        parts = _items(response, "content")
    else:
        parts = [part for item in _items(response, "output") for part in _items(item, "content")]
    return any(_get(part, "type") in _OPENERS for part in parts)


def _with_text_part(response: T, shape: Shape) -> T:
    """The same response with an empty text part to write into. Goes by way of its JSON."""
    kind = type(response)
    dump = getattr(response, "model_dump", None)
    data: Any = dump() if dump is not None else response
    if shape == "anthropic":
        data["content"] = [*(data.get("content") or ()), copy.deepcopy(_EMPTY_BLOCK)]
    else:
        messages = [item for item in data["output"] if item.get("type") != "message"]
        data["output"] = [*messages, copy.deepcopy(_EMPTY_MESSAGE)]
    if dump is None:
        return data  # type: ignore[no-any-return]
    try:
        return kind.model_validate(data)  # type: ignore[attr-defined, no-any-return]
    except ValueError:
        # SDKs build responses without validating them, so a server may have left fields out.
        return kind.model_construct(**data)  # type: ignore[attr-defined, no-any-return]


def _write_parts(parts: list[Any], text: str) -> list[Any]:
    """All the text into the first text part, the other text parts away, the rest as it was."""
    kept: list[Any] = []
    written = False
    for part in parts:
        if isinstance(part, str):
            if not written:
                kept.append(text)
            written = True
            continue
        kind = _get(part, "type")
        if kind in {"refusal", "thinking", "redacted_thinking", "reasoning"}:
            continue
        if kind in _OPENERS:
            if written:
                continue
            written = True
            _set(part, "text", text)
            if _get(part, "annotations"):
                _set(part, "annotations", [])
            _clear(part, ("citations", "logprobs"))
        kept.append(part)
    return kept if written else [*kept, {"type": "text", "text": text}]


def _write_chat(choice: Any, text: str, *, drop_tools: bool) -> None:
    message = _get(choice, "message")
    content = _get(message, "content")
    _set(message, "content", _write_parts(content, text) if isinstance(content, list) else text)
    _clear(message, (*_ECHOES, "refusal"))
    _clear(choice, ("logprobs", "provider_specific_fields"))
    if drop_tools:
        _clear(message, ("tool_calls", "function_call"))
        if _get(choice, "finish_reason") in {"tool_calls", "function_call"}:
            _set(choice, "finish_reason", "stop")


def _write_responses(response: Any, text: str, *, drop_tools: bool) -> None:
    kept: list[Any] = []
    written = False
    for item in _items(response, "output"):
        kind = _get(item, "type")
        if kind == "reasoning" or (drop_tools and str(kind).endswith("_call")):
            continue
        if kind == "message":
            parts = _items(item, "content")
            if written or not any(_get(part, "type") in _OPENERS for part in parts):
                continue
            written = True
            _set(item, "content", _write_parts(parts, text))
        kept.append(item)
    _set(response, "output", kept)
    if isinstance(response, Mapping) and "output_text" in response:
        _set(response, "output_text", text)  # a property of the object, a field of some JSON


def _write_anthropic(response: Any, text: str, *, drop_tools: bool) -> None:
    kept = _write_parts(_items(response, "content"), text)
    if drop_tools:
        kept = [part for part in kept if _get(part, "type") != "tool_use"]
        if _get(response, "stop_reason") == "tool_use":
            _set(response, "stop_reason", "end_turn")
    _set(response, "content", kept)
