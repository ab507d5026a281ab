"""Evidence that is already in the conversation, and the question that was asked.

Reads chat messages as OpenAI, Anthropic and LiteLLM write them, and the input items of OpenAI's
Responses API, as mappings or as objects. Three things are evidence: results of tools; document and
search-result blocks; and tagged context in system or developer messages. What the end user wrote
is not, tags included, unless it is asked for: otherwise a user could ground any lie. What the
assistant wrote never is.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from guardrails._documents import Document, is_list, read_json
from guardrails._tags import read_tags
from verifiers.types import Origin, Source, Trust

_INSTRUCTIONS = frozenset({"system", "developer"})
_TOOL_ROLES = frozenset({"tool", "function", "ipython"})
# Blocks of the provider's or the application's tools, by the key that holds what came back.
_OUTPUTS = {
    "function_call_output": "output",
    "custom_tool_call_output": "output",
    "local_shell_call_output": "output",
    "shell_call_output": "output",
    "mcp_call": "output",
    "file_search_call": "results",
    "code_interpreter_call": "outputs",
    "computer_call_output": "output",
}
# Items that stand for content which the provider keeps.
_ELSEWHERE = frozenset({"item_reference", "web_search_call", "compaction"})
_LANGCHAIN_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}
_TEXT_BLOCKS = frozenset({"text", "input_text", "output_text", "summary_text"})
_UNREADABLE = frozenset(
    {
        "image",
        "image_url",
        "input_image",
        "computer_screenshot",
        "audio",
        "input_audio",
        "video",
        "video_url",
        "media",
        "container_upload",
        "encrypted_content",
        "web_search_result",
    }
)
_MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Captured:
    """What a conversation holds.

    Attributes:
        sources: Evidence in the order of the messages; ids are unique, and stay the same when
            messages are added at the end.
        question: The text of the last user message, without tagged context; None when there is
            none.
        notes: What could not be read, for people. No text of the conversation.
    """

    sources: tuple[Source, ...]
    question: str | None
    notes: tuple[str, ...]


class _Found(NamedTuple):
    document: Document
    origin: Origin
    trust: Trust


def capture(
    messages: object, *, system: object = None, evidence_from_user: bool = False
) -> Captured:
    """Read evidence and question from a conversation. Total: any value gives an answer.

    Args:
        messages: A list of messages or input items, or the user's text alone.
        system: What some APIs keep beside the messages: Anthropic's ``system``, the Responses
            API's ``instructions``.
        evidence_from_user: Whether what the end user wrote is evidence. Such sources are marked
            as the user's.
    """
    reader = _Reader(evidence_from_user=evidence_from_user)
    if system is not None:
        reader.message("system", system, "the system text")
    if isinstance(messages, str):
        reader.message("user", messages, "the input")
    elif is_list(messages):
        for number, message in enumerate(messages, 1):
            reader.item(message, f"message {number}")
    elif messages is not None:
        reader.item(messages, "the message")
    return Captured(reader.sources(), reader.question, tuple(reader.notes))


class _Reader:
    """Walks one conversation."""

    def __init__(self, *, evidence_from_user: bool) -> None:
        self.question: str | None = None
        self.notes: list[str] = []
        self._found: list[_Found] = []
        self._from_user = evidence_from_user

    def item(self, message: object, where: str) -> None:
        """One message, or one input item of the Responses API."""
        kind, role = _text_of(message, "type"), _text_of(message, "role")
        if role is None and kind in _LANGCHAIN_ROLES:
            role = _LANGCHAIN_ROLES[kind]
        if kind in _OUTPUTS:
            self._tool(_get(message, _OUTPUTS[kind]), where, 0)
        elif role is not None:
            if role.lower() in _TOOL_ROLES and _get(message, "status") == "error":
                self.notes.append(f"{where}: a tool reported an error; it is not evidence")
            else:
                self.message(role.lower(), _get(message, "content"), where)
        elif isinstance(message, str):
            self.message("user", message, where)
        elif kind is None:
            self.notes.append(f"{where}: no role; not read")
        elif kind in _ELSEWHERE:
            self.notes.append(f"{where}: the content of {kind} is not in the conversation")

    def message(self, role: str, content: object, where: str) -> None:
        """One message's content: a text, or blocks."""
        texts: list[str] = []
        if role in _TOOL_ROLES:
            self._tool(content, where, 0)
            return
        for block in [content] if not is_list(content) else content:
            text = block if isinstance(block, str) else _plain_text(block)
            if text is not None:
                texts.append(text)
            elif block is not None:
                self._block(block, role, where, 0)
        # Parts are joined so that a tag may open in one part and close in another.
        joined = "\n".join(t for t in texts if t.strip())
        if role in _INSTRUCTIONS:
            self._tagged(joined, Origin.TAGGED, Trust.APPLICATION, where)
        elif role == "user":
            self._user(joined, where)

    def _user(self, text: str, where: str) -> None:
        if not text.strip():
            return
        outside = read_tags(text).outside
        self.question = outside or text.strip()
        if self._from_user:
            self._tagged(text, Origin.USER, Trust.USER, where)
            self._add(Document(outside), Origin.USER, Trust.USER)

    def _tagged(self, text: str, origin: Origin, trust: Trust, where: str) -> None:
        tagged = read_tags(text)
        for document in tagged.documents:
            self._add(document, origin, trust)
        if tagged.unclosed:
            self.notes.append(f"{where}: {tagged.unclosed} context tag(s) were never closed")

    def _block(self, block: object, role: str, where: str, depth: int) -> None:
        """A block that is not plain text."""
        kind = _text_of(block, "type") or ""
        if depth > _MAX_DEPTH:
            self.notes.append(f"{where}: nested too deeply; not read")
        elif kind in _OUTPUTS:
            self._tool(_get(block, _OUTPUTS[kind]), where, depth + 1)
        elif kind.endswith("tool_result"):
            if _get(block, "is_error") is True:
                self.notes.append(f"{where}: a tool reported an error; it is not evidence")
            else:
                self._tool(_get(block, "content"), where, depth + 1)
        elif kind in {"document", "search_result", "web_fetch_result", "file", "input_file"}:
            self._document(block, kind, role, where)
        elif kind in _UNREADABLE:
            self.notes.append(f"{where}: {kind} cannot be read as evidence")
        elif role != "assistant":
            self.notes.append(f"{where}: a part of an unknown kind; not read")

    def _document(self, block: object, kind: str, role: str, where: str) -> None:
        if role == "assistant" and kind != "web_fetch_result":
            return
        body = _get(block, "content") if kind == "web_fetch_result" else block
        text = _document_text(body)
        if text is None:
            self.notes.append(f"{where}: {kind} holds no text that can be read")
            return
        file = _get(body, "file")
        source = _get(body, "source")
        uri = source if isinstance(source, str) else _text_of(block, "url")
        document = Document(
            text,
            id=_text_of(body, "id") or _text_of(body, "file_id"),
            title=(
                _text_of(body, "title") or _text_of(body, "filename") or _text_of(file, "filename")
            ),
            uri=uri,
        )
        trusted = role in _INSTRUCTIONS and kind in {"document", "file", "input_file"}
        self._add(document, Origin.DOCUMENT, Trust.APPLICATION if trusted else Trust.EXTERNAL)

    def _tool(self, content: object, where: str, depth: int) -> None:
        """What a tool gave back: a text, JSON in a text, blocks, or JSON as it is."""
        if depth > _MAX_DEPTH:
            self.notes.append(f"{where}: nested too deeply; not read")
            return
        if isinstance(content, str):
            parsed = _parsed(content)
            if isinstance(parsed, str):
                self._json(parsed)
            else:
                self._tool(parsed, where, depth + 1)
            return
        if not isinstance(content, Mapping) and not is_list(content):
            self._tool_object(content, where, depth)
            return
        inner = _get(content, "content")
        if is_list(inner) and any(_is_block(b) for b in inner):  # a result of an MCP server
            if _get(content, "isError") is True:
                self.notes.append(f"{where}: a tool reported an error; it is not evidence")
            else:
                self._tool(inner, where, depth + 1)
            return
        blocks = content if is_list(content) else [content]
        if any(_is_block(b) for b in blocks):
            for block in blocks:
                self._tool_block(block, where, depth)
        else:
            self._json(content)

    def _tool_object(self, content: object, where: str, depth: int) -> None:
        if content is None:
            return
        read = _as_mapping(content)
        if read is None:
            self.notes.append(f"{where}: a tool result of an unknown kind; not read")
        else:
            self._tool(read, where, depth + 1)

    def _tool_block(self, block: object, where: str, depth: int) -> None:
        text = block if isinstance(block, str) else _plain_text(block)
        if text is not None:
            self._tool(text, where, depth + 1)
        elif _text_of(block, "type") == "logs":
            self._json(_get(block, "logs"))
        elif _is_block(block):
            self._block(block, "tool", where, depth + 1)
        else:
            self._json(block)

    def _json(self, value: object) -> None:
        for document in read_json(value):
            self._add(document, Origin.TOOL, Trust.EXTERNAL)

    def _add(self, document: Document, origin: Origin, trust: Trust) -> None:
        if document.text.strip():
            self._found.append(_Found(document, origin, trust))

    def sources(self) -> tuple[Source, ...]:
        """The evidence, under unique ids: as written where there is one, else ``tool-1``."""
        numbers: Counter[Origin] = Counter()
        taken: set[str] = set()
        made: list[Source] = []
        for document, origin, trust in self._found:
            numbers[origin] += 1
            wanted = document.id or f"{origin.value}-{numbers[origin]}"
            name, again = wanted, 2
            while name in taken:
                name, again = f"{wanted}~{again}", again + 1
            if document.id is not None and name != wanted:
                self.notes.append(f"two sources have one id; the later one is called {name!r}")
            taken.add(name)
            made.append(document.source(name, origin, trust))
        return tuple(made)


def _parsed(text: str) -> object:
    """The JSON in a text, or the text."""
    if text.lstrip()[:1] not in {"{", "["}:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _is_block(value: object) -> bool:
    """Whether a part of a tool result is a typed block and not data that has a ``type``."""
    kind = _text_of(value, "type") or ""
    return (
        kind in _TEXT_BLOCKS
        or kind in _UNREADABLE
        or kind in {"document", "search_result", "web_fetch_result", "file", "input_file", "logs"}
        or kind.endswith("tool_result")
    )


def _plain_text(block: object) -> str | None:
    """The text of a text block; None for any other."""
    kind = _text_of(block, "type")
    if kind in _TEXT_BLOCKS or (kind is None and not is_list(block)):
        text = _get(block, "text")
        return text if isinstance(text, str) else None
    return None


def _document_text(block: object) -> str | None:
    """The text of a document, file or search-result block; None when it holds none."""
    source = _get(block, "source")
    file = _get(block, "file")
    for holder in (source, block, file):
        for key in ("data", "content", "text", "file_data"):
            text = _readable(_get(holder, key), holder)
            if text is not None and text.strip():
                return text
    return None


def _readable(value: object, holder: object) -> str | None:
    if is_list(value):
        texts = [t for b in value if (t := b if isinstance(b, str) else _plain_text(b)) is not None]
        return "\n\n".join(t for t in texts if t.strip()) or None
    if not isinstance(value, str):
        return None
    if value.startswith("data:"):
        return _data_url(value)
    kind, media = _text_of(holder, "type"), _text_of(holder, "media_type") or ""
    if kind == "base64":
        return _decoded(value) if media.startswith("text/") else None
    return value


def _data_url(url: str) -> str | None:
    head, comma, data = url.partition(",")
    if not comma or not head[5:].lower().startswith(("text/", "application/json")):
        return None
    if head.lower().endswith(";base64"):
        return _decoded(data)
    return unquote_to_bytes(data).decode("utf-8", "replace")


def _decoded(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


def _get(holder: object, key: str) -> object:
    """A key of a mapping or an attribute of an object; None when there is neither."""
    if isinstance(holder, Mapping):
        return holder.get(key)
    if holder is None or isinstance(holder, (str, bytes, int, float, list, tuple)):
        return None
    return getattr(holder, key, None)


def _text_of(holder: object, key: str) -> str | None:
    value = _get(holder, key)
    return value if isinstance(value, str) and value else None


def _as_mapping(value: object) -> Mapping[str, object] | None:
    """A pydantic model or dataclass as a mapping, as LiteLLM and OpenAI give them."""
    dump = getattr(value, "model_dump", None)
    made = dump() if callable(dump) else getattr(value, "__dict__", None)
    return made if isinstance(made, Mapping) else None
