"""Reading and rewriting responses of every shape we meet, without importing a provider's library.

Shapes: plain text; chat completions (OpenAI, LiteLLM) and text completions; OpenAI Responses;
Anthropic Messages; and the JSON of any of them. Reading never changes the response. Writing gives
a deep copy; see ``guardrails._response_write``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from guardrails._response_access import get, is_text, items_of, shape_of
from guardrails._response_write import with_choice, with_texts
from guardrails.errors import GuardrailsError, ResponseUnreadable
from guardrails.report import Usage
from policies.types import AnswerFacts
from verifiers.types import Citation, Span

__all__ = ["Choice", "Reading", "legible", "read", "read_usage", "with_choice", "with_texts"]

_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_context_window_exceeded"})
_REFUSED = frozenset({"content_filter", "refusal", "safety"})
# More than any request can have: what is above is no count.
_MOST_TOKENS = 10**12


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer of a response.

    Attributes:
        text: Its exact text; several text parts joined as they stand.
        finish_reason: As the provider gave it.
        tool_calls: How many tools it calls.
        refused: The provider or model declined, by a field of its own.
        annotations: The provider's own citations; ``source_id`` is not resolved yet.
        logprob: Mean log probability of its tokens, where the provider sent them.
    """

    text: str = field(repr=False)
    finish_reason: str | None = None
    tool_calls: int = 0
    refused: bool = False
    annotations: tuple[Citation, ...] = field(default=(), repr=False)
    logprob: float | None = None

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


@contextmanager
def legible() -> Iterator[None]:
    """Reading what a provider sent: something of another kind than its protocol has is unreadable.

    Raises:
        ResponseUnreadable: If something stands where its protocol has something else.
    """
    try:
        yield
    except GuardrailsError:
        raise
    except (TypeError, AttributeError, LookupError, ValueError) as error:
        raise ResponseUnreadable(
            "The provider sent something of another kind than its protocol has in that place (a"
            f" {type(error).__name__}); what was not decided by then was not released.",
            hint="Look at the provider's raw response; this is usually an error in disguise.",
        ) from error


def read(response: object) -> Reading:
    """What a response says.

    Raises:
        ResponseUnreadable: If it is of no shape we know, or holds no answer at all.
        StreamingUnsupported: If it is a stream.
    """
    with legible():
        return _read(response)


def _read(response: object) -> Reading:
    match shape_of(response):
        case "text":
            return Reading((Choice(str(response)),), Usage())
        case "chat":
            choices = tuple(_chat_choice(choice) for choice in items_of(response, "choices"))
        case "completion":
            choices = tuple(
                Choice(_text(get(choice, "text")), *_finish(get(choice, "finish_reason")))
                for choice in items_of(response, "choices")
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
        read_usage(response),
        _name(get(response, "model")),
        _name(get(response, "id")),
    )


def _name(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _text(content: object) -> str:
    """Text of a message's content: a string, or parts of which some are text."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "".join(_part_text(part) for part in content)
    if content is None:
        return ""
    raise ResponseUnreadable(
        f"The content of the answer is a {type(content).__name__}, no text and no list of parts; "
        "nothing was released.",
        hint="Return the answer as text, or as parts with a type and a text.",
    )


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    text = get(part, "text")
    return text if is_text(part) and isinstance(text, str) else ""


def _finish(reason: object) -> tuple[str | None, int, bool]:
    name = _name(reason)
    return name, 0, name in _REFUSED


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_usage(response: object) -> Usage:
    """What the provider charged for, whatever else the response is."""
    return usage_of(get(response, "usage"))


def usage_of(usage: object) -> Usage:
    if usage is None:
        return Usage()
    spent = [_count(get(usage, key)) for key in ("prompt_tokens", "input_tokens")]
    made = [_count(get(usage, key)) for key in ("completion_tokens", "output_tokens")]
    found = Usage(
        next((n for n in spent if _is_tokens(n)), None),
        next((n for n in made if _is_tokens(n)), None),
    )
    # What LiteLLM writes where a provider says nothing. No call has no tokens at all.
    return Usage() if found == Usage(0, 0) else found


def _is_tokens(count: int | None) -> bool:
    """Whether a number can be one of tokens: they are added up, stored and measured."""
    return count is not None and 0 <= count <= _MOST_TOKENS


def _chat_choice(choice: object) -> Choice:
    message = get(choice, "message")
    if isinstance(message, str | int | float | list):
        raise ResponseUnreadable(
            f"The message of the answer is a {type(message).__name__}; nothing was released.",
            hint="Look at the provider's raw response; this is usually an error in disguise.",
        )
    reason = _name(get(choice, "finish_reason"))
    text = _text(get(message, "content"))
    calls = len(items_of(message, "tool_calls")) + (get(message, "function_call") is not None)
    # LiteLLM moves what OpenAI calls `refusal` among the fields it does not know.
    elsewhere = get(message, "provider_specific_fields")
    refusal = get(message, "refusal") or get(elsewhere, "refusal")
    refused = bool(refusal) or reason in _REFUSED
    marks = chat_annotations(text, items_of(message, "annotations"))
    return Choice(text, reason, calls, refused, marks, _mean_logprob(choice))


def _mean_logprob(choice: object) -> float | None:
    """Over the tokens of the answer; None unless each has a number that can be one."""
    tokens = items_of(get(choice, "logprobs"), "content")
    said = [get(token, "logprob") for token in tokens]
    if not said or not all(isinstance(value, int | float) and value <= 0 for value in said):
        return None
    return float(sum(said) / len(said))


def chat_annotations(text: str, annotations: Sequence[object]) -> tuple[Citation, ...]:
    found = []
    for annotation in annotations:
        # Chat completions nest the citation, Responses do not.
        detail = get(annotation, "url_citation") or annotation
        target = get(detail, "url") or get(detail, "file_id") or get(detail, "filename")
        start, end = _count(get(detail, "start_index")), _count(get(detail, "end_index"))
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
    for item in items_of(response, "output"):
        kind = get(item, "type")
        if isinstance(kind, str) and kind.endswith("_call"):
            calls += kind in {"function_call", "custom_tool_call"}
        if kind not in {"message", None}:
            continue
        for part in items_of(item, "content"):
            refused |= get(part, "type") == "refusal"
            text = _part_text(part)
            for mark in chat_annotations(text, items_of(part, "annotations")):
                span = Span(mark.span.start + at, mark.span.end + at)
                marks.append(Citation(span, mark.marker, mark.target, None))
            texts.append(text)
            at += len(text)
    details = get(response, "incomplete_details")
    reason = _name(get(details, "reason")) or _name(get(response, "status"))
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
    for block in items_of(response, "content"):
        kind = get(block, "type")
        calls += kind == "tool_use"
        text = _part_text(block)
        for cited in items_of(block, "citations"):
            target = get(cited, "url") or get(cited, "document_title") or get(cited, "source")
            place = _count(get(cited, "document_index"))
            if not isinstance(target, str) and place is not None:
                target = str(place + 1)  # documents count from 0 there, sources from 1 here
            if text and isinstance(target, str):
                span = Span(at, at + len(text))
                marks.append(Citation(span, text, target, None))
        texts.append(text)
        at += len(text)
    reason = _name(get(response, "stop_reason"))
    return Choice("".join(texts), reason, calls, reason in _REFUSED, tuple(marks))
