"""Streams of chat and text completions, as JSON or as objects of LiteLLM and OpenAI. Pure."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from guardrails._known_fields import (
    CHAT_ALOUD,
    CHAT_BESIDE,
    CHAT_CALLS,
    CHAT_SOURCES,
    chat_fits,
    says,
)
from guardrails._response_access import clear, get, has, is_text, items_of, put
from guardrails.errors import ResponseUnreadable
from guardrails.responses import Choice, Reading, chat_annotations, usage_of
from guardrails.streaming.known import known_chunk
from guardrails.streaming.shapes import Closing, Kind, Piece

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REFUSED: Final = frozenset({"content_filter", "refusal", "safety"})
# More choices than any provider gives. Every number below a choice's own is a choice, too.
_MOST_CHOICES: Final = 256


@dataclass(slots=True)
class _Seen:
    """What was seen of one choice."""

    text: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    calls: set[object] = field(default_factory=set)
    refused: bool = False
    annotations: list[object] = field(default_factory=list)
    last: Any = None


class ChatShape:
    """One stream of chat or text completion chunks. A lane is a choice."""

    ordered = False

    def __init__(self, *, reasoning: Kind = Kind.ALOUD) -> None:
        """Make one.

        Args:
            reasoning: When reasoning may go out: ORDERED lets it through unchecked, and fields
                that nobody knows with it.
        """
        self._reasoning = reasoning
        self._holds = reasoning is not Kind.ORDERED
        self.left_out = False
        self._sources: dict[str, Any] = {}
        self._seen: dict[int, _Seen] = {}
        self._usage: object = None
        self._model: str | None = None
        self._id: str | None = None

    # ------------------------------------------------------------------ taking apart

    def split(self, event: Any) -> Sequence[Piece]:
        """The pieces of a chunk: role and reasoning, text, calls, the end."""
        choices = _choices_of(event)
        sources: Sequence[Piece] = ()
        if self._holds:
            event, left_out = known_chunk(event)
            self.left_out |= left_out
            event, sources = self._without_sources(event)
            choices = items_of(event, "choices")
        self._model = _name(get(event, "model")) or self._model
        self._id = _name(get(event, "id")) or self._id
        usage = get(event, "usage")
        if usage is not None:
            self._usage = usage
        pieces = [
            (index, kind, text)
            for index, choice in enumerate(choices)
            for kind, text in self._kinds(choice, event)
        ]
        if not pieces:
            return (*sources, Piece(event, Kind.ORDERED if usage is None else Kind.END, None))
        if len(pieces) == 1:
            place, kind, text = pieces[0]
            lane = _index(choices[place])
            if kind is Kind.ORDERED and usage is not None:
                return (*sources, Piece(event, Kind.END, None))
            return (*sources, Piece(event, kind, lane, text))
        made = list(sources)
        for number, (place, kind, text) in enumerate(pieces):
            apart = self._apart(choices[place])
            own = _only(event, place, kind, self._reasoning, apart=apart)
            if number:
                _roleless(items_of(own, "choices")[0])
            if usage is not None and number + 1 < len(pieces):
                clear(own, ("usage",))
            made.append(Piece(own, kind, _index(choices[place]), text))
        return made

    def _without_sources(self, event: Any) -> tuple[Any, Sequence[Piece]]:
        """A chunk without the sources that stand in it, and these for the end, each said once."""
        found = {key: held for key in CHAT_SOURCES if says(held := get(event, key))}
        if not found:
            return event, ()
        choices = items_of(event, "choices")
        said = _only(event, 0, Kind.ORDERED, Kind.ORDERED) if choices else copy.deepcopy(event)
        clear(said, ("usage",))
        rest = copy.deepcopy(event)
        clear(rest, CHAT_SOURCES)
        if found == self._sources:
            return rest, ()
        self._sources = found
        return rest, (Piece(said, Kind.ALOUD, None),)

    def _apart(self, choice: Any) -> bool:
        """Whether log probabilities tell of more than the text they stand with."""
        logprobs = get(choice, "logprobs")
        return self._holds and logprobs is not None and not chat_fits(logprobs, _content(choice))

    def _kinds(self, choice: Any, event: Any) -> list[tuple[Kind, str]]:
        """What a choice of a chunk holds, and remember it."""
        seen = self._seen.setdefault(_index(choice), _Seen())
        seen.last = event
        delta = get(choice, "delta")
        found: list[tuple[Kind, str]] = []
        if any(_said(delta, key) for key in CHAT_ALOUD) or _others(delta):
            found.append((self._reasoning, ""))
        text = _content(choice)
        if text:
            seen.text.append(text)
            found.append((Kind.TEXT, text))
        calls = items_of(delta, "tool_calls")
        if any(_said(delta, key) for key in CHAT_CALLS) or calls:
            seen.calls |= {get(call, "index") or 0 for call in calls} or {"function"}
            found.append((Kind.HELD, ""))
        beside = [key for key in CHAT_BESIDE if _said(delta, key)]
        seen.refused |= "refusal" in beside
        seen.annotations += items_of(delta, "annotations") if "annotations" in beside else []
        if (beside or self._apart(choice)) and (Kind.ALOUD, "") not in found:
            found.append((Kind.ALOUD, ""))
        reason = _name(get(choice, "finish_reason"))
        if reason is not None:
            seen.finish_reason = reason
            seen.refused |= reason in _REFUSED
            found.append((Kind.END, ""))
        return found or [(Kind.ORDERED, "")]

    # ------------------------------------------------------------------ writing

    def with_text(self, piece: Piece, text: str) -> Any:
        """A copy of a text chunk with another text, without its log probabilities."""
        own = self.with_rest(piece, text)
        clear(items_of(own, "choices")[0], ("logprobs",))
        return own

    def with_rest(self, piece: Piece, text: str) -> Any:
        """A copy with the last words of a chunk whose others went out before.

        The log probabilities of all of them come with it.
        """
        own = copy.deepcopy(piece.event)
        _put_text(items_of(own, "choices")[0], text)
        return own

    def closing(self, lane: int, text: str, why: Closing) -> Sequence[Any]:
        """The text as content (and as ``refusal``, in JSON), and ``content_filter`` as the end."""
        del why  # the protocol has one form for both
        seen = self._seen.get(lane)
        if seen is None or seen.last is None:
            return ()
        said = _only(seen.last, _place(seen.last, lane), Kind.TEXT, Kind.ALOUD)
        choice = items_of(said, "choices")[0]
        _roleless(choice)
        _put_text(choice, text)
        clear(choice, ("logprobs",))
        put(choice, "finish_reason", None)
        delta = get(choice, "delta")
        if isinstance(delta, dict):
            delta["refusal"] = text
        clear(said, ("usage",))
        last = copy.deepcopy(said)
        ended = items_of(last, "choices")[0]
        if isinstance(delta, dict):
            ended["delta"] = {}
        else:
            _put_text(ended, None if get(ended, "delta") is not None else "")
        put(ended, "finish_reason", "content_filter")
        return (said, last)

    def ending(self, piece: Piece, delivered: Mapping[int, str]) -> Any:
        """The event as it is: nothing at the end of this protocol repeats the answer."""
        del delivered
        return piece.event

    def attach(self, event: Any, payload: Mapping[str, Any]) -> Any:
        """A copy with the payload; only JSON has room for it."""
        return {**event, "guardrails": dict(payload)} if isinstance(event, dict) else event

    def reading(self) -> Reading:
        """What the stream says so far. A choice without an end has no finish reason."""
        top = max(self._seen, default=-1) + 1
        choices = []
        for index in range(top):
            seen = self._seen.get(index, _Seen())
            text = "".join(seen.text)
            choices.append(
                Choice(
                    text,
                    seen.finish_reason,
                    len(seen.calls),
                    seen.refused,
                    chat_annotations(text, seen.annotations),
                )
            )
        return Reading(tuple(choices), usage_of(self._usage), self._model, self._id)


def _choices_of(event: Any) -> list[Any]:
    """The choices of a chunk. What is no chunk goes no further: it may hold words of an answer.

    Raises:
        ResponseUnreadable: If this is no chunk, its text is none, or a choice has no number.
    """
    found = get(event, "choices")
    bare = found is None and has(event, "choices")
    choices: list[Any] = [] if bare else found if isinstance(found, list) else [None]
    if all(_fielded(choice) and _readable(choice) and _numbered(choice) for choice in choices):
        return choices
    kind = type(event)
    raise ResponseUnreadable(
        f"The stream went on with something that is no chunk of a completion (a"
        f" {kind.__module__}.{kind.__qualname__}); what was not decided by then was not released.",
        hint="Look at the provider's raw stream; this is usually an error in disguise.",
    )


def _readable(choice: Any) -> bool:
    """Whether the text of a choice is where we look for it."""
    delta = get(choice, "delta")
    if delta is None:
        return isinstance(get(choice, "text"), str | None)
    return _fielded(delta) and isinstance(get(delta, "content"), str | list | None)


def _numbered(choice: Any) -> bool:
    """Whether it is told which choice this is: by default the first."""
    found = get(choice, "index")
    return found is None or (type(found) is int and 0 <= found < _MOST_CHOICES)


def _fielded(value: object) -> bool:
    return isinstance(value, dict) or hasattr(value, "__dict__")


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _index(choice: Any) -> int:
    found = get(choice, "index")
    return found if isinstance(found, int) else 0


def _place(event: Any, lane: int) -> int:
    choices = items_of(event, "choices")
    return next(i for i, choice in enumerate(choices) if _index(choice) == lane)


def _said(delta: Any, key: str) -> bool:
    return says(get(delta, key))


def _others(delta: Any) -> bool:
    """Whether there is anything but text among the parts of a content."""
    content = get(delta, "content")
    return isinstance(content, list) and not all(_is_text(part) for part in content)


def _is_text(part: object) -> bool:
    return isinstance(part, str) or is_text(part)


def _content(choice: Any) -> str:
    """The text of a chunk's choice: a string, or parts of which some are text."""
    delta = get(choice, "delta")
    found = get(choice, "text") if delta is None else get(delta, "content")
    if isinstance(found, list):
        texts = [part for part in found if _is_text(part)]
        return "".join(part if isinstance(part, str) else get(part, "text") for part in texts)
    return found if isinstance(found, str) else ""


def _put_text(choice: Any, text: str | None) -> None:
    delta = get(choice, "delta")
    if delta is None:
        put(choice, "text", text)
    else:
        put(delta, "content", text)


def _roleless(choice: Any) -> None:
    """Without the role, which only the first of several pieces says."""
    delta = get(choice, "delta")
    if delta is not None:
        clear(delta, ("role",))


def _only(event: Any, place: int, kind: Kind, reasoning: Kind, *, apart: bool = False) -> Any:
    """A copy of a chunk that holds one piece of one of its choices.

    Args:
        event: The chunk.
        place: Of the choice.
        kind: Of the piece.
        reasoning: What reasoning counts as.
        apart: Whether log probabilities go with what stands beside the text.
    """
    own = copy.deepcopy(event)
    choice = items_of(own, "choices")[place]
    put(own, "choices", [choice])
    delta = get(choice, "delta")
    if delta is not None:
        _only_content(delta, kind, reasoning)
        if kind is not reasoning:
            clear(delta, CHAT_ALOUD)
        if kind is not Kind.HELD:
            clear(delta, CHAT_CALLS)
        if kind is not Kind.ALOUD:
            clear(delta, CHAT_BESIDE)
    elif kind is not Kind.TEXT:
        put(choice, "text", "")
    if kind is not (Kind.ALOUD if apart else Kind.TEXT):
        clear(choice, ("logprobs",))
    if kind is not Kind.END and has(choice, "finish_reason"):
        put(choice, "finish_reason", None)
    return own


def _only_content(delta: Any, kind: Kind, reasoning: Kind) -> None:
    """Leave of the content what is of one kind: its text, or its parts that are none."""
    content = get(delta, "content")
    if isinstance(content, list) and kind in {Kind.TEXT, reasoning}:
        kept = [part for part in content if _is_text(part) is (kind is Kind.TEXT)]
        put(delta, "content", kept)
    elif kind is Kind.TEXT:
        return
    elif isinstance(delta, dict):
        delta.pop("content", None)
    elif has(delta, "content"):
        put(delta, "content", None)
