"""Which fields of providers' events and responses are known, protocol by protocol. Pure.

A provider may put words of an answer where nobody looks for them. So every field is one of these:
*read* (somebody decides what becomes of it), *short* (names, ids, counts; nothing long is taken for
one), a bare number, or unknown. What is unknown is left out, unless the policy lets go unchecked
what stands beside the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from guardrails._response_access import clear, get

# A name, an id, a version: longer than this it is none, but for ids that gateways encode.
_LONGEST: Final = 128
_NAME: Final = re.compile(r"[\w.:/@+=~-]{0,64}", re.ASCII)
_CODE: Final = re.compile(r"[\w.:/@+=~-]{0,4096}", re.ASCII)
# Tokens that a model might have written instead, of log probabilities.
_LONGEST_TOKEN: Final = 64
# Random letters that hide the length of a text. Nobody misses them.
_PADDING: Final = frozenset({"obfuscation"})


def fields_of(value: object) -> Mapping[str, Any]:
    """The fields of a mapping or an object, those of no model's schema included."""
    if isinstance(value, Mapping):
        return value
    extra = getattr(value, "__pydantic_extra__", None) or {}
    found = {**getattr(value, "__dict__", {}), **extra}
    return {key: held for key, held in found.items() if key[:1] != "_"}


def says(value: object) -> bool:
    """Whether there is anything in a value but empty containers and nothing."""
    if isinstance(value, Mapping):
        return any(says(held) for held in value.values())
    if isinstance(value, list | tuple):
        return any(says(held) for held in value)
    return value is not None and value != ""


def is_short(value: object, *, nested: bool = False) -> bool:
    """Whether a value is a name, an id or a count, or holds nothing else."""
    if value is None or isinstance(value, bool | int | float):
        return True
    if isinstance(value, str):
        if nested:
            return bool(_NAME.fullmatch(value))
        return len(value) <= _LONGEST or bool(_CODE.fullmatch(value))
    if isinstance(value, list | tuple):
        return all(is_short(held, nested=True) for held in value)
    return all(
        is_short(str(key), nested=True) and is_short(held, nested=True)
        for key, held in fields_of(value).items()
    )


def _bare(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float)


@dataclass(frozen=True, slots=True)
class Fields:
    """The known fields of one kind of object.

    Attributes:
        read: What they hold is somebody's to decide.
        short: Names, ids, counts.
        inner: Objects with known fields of their own.
    """

    read: frozenset[str]
    short: frozenset[str] = frozenset()
    inner: Mapping[str, Fields] = field(default_factory=dict)

    def odd(self, value: object) -> list[str]:
        """The fields that are not known, and hold what could be text."""
        read = self.read
        return [
            key
            for key, held in fields_of(value).items()
            if key not in read
            and not (_bare(held) and _NAME.fullmatch(key))
            and not (key in self.short and is_short(held))
            and not (key in self.inner and self.inner[key].holds(held))
        ]

    def holds(self, value: object) -> bool:
        """Whether a value is an object without any other field."""
        return not isinstance(value, str | list | tuple) and not self.odd(value)

    def kept(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """The mapping without them; itself where there are none."""
        gone = self.odd(value)
        return {k: v for k, v in value.items() if k not in gone} if gone else value

    def strip(self, value: Any) -> bool:
        """Take them out of a value that is ours; whether there was any that says something."""
        gone = self.odd(value)
        clear(value, gone)
        return bool(set(gone) - _PADDING)


def fields(read: str, short: str = "", **inner: Fields) -> Fields:
    """Fields by their names, with blanks between."""
    return Fields(frozenset(read.split()), frozenset(short.split()), inner)


def unknown(before: object, after: object) -> bool:
    """Whether fields were left out of a mapping that somebody could miss."""
    return before is not after and bool(set(fields_of(before)) - set(fields_of(after)) - _PADDING)


# --------------------------------------------------------------------------- log probabilities

_TOKEN: Final = fields("token bytes top_logprobs", "logprob token_id")
_OTHER_TOKEN: Final = fields("token bytes", "logprob token_id")


def tokens_fit(entries: object, text: str) -> bool:
    """Whether log probabilities tell of ``text`` and of nothing else."""
    if not isinstance(entries, list):
        return not says(entries)
    if not all(_is_token(entry) for entry in entries):
        return False
    raw = [get(entry, "bytes") for entry in entries]
    if all(isinstance(found, list) for found in raw):
        said = b"".join(_bytes(found) for found in raw)
        return said == text.encode("utf-8", "surrogatepass")
    return "".join(get(entry, "token") for entry in entries) == text


def _is_token(entry: object) -> bool:
    token = get(entry, "token")
    others = get(entry, "top_logprobs") or ()
    return (
        isinstance(token, str)
        and not _TOKEN.odd(entry)
        and _same(token, get(entry, "bytes"))
        and isinstance(others, list | tuple)
        and all(_is_other(other) for other in others)
    )


def _is_other(entry: object) -> bool:
    token = get(entry, "token")
    return (
        isinstance(token, str)
        and len(token) <= _LONGEST_TOKEN
        and not _OTHER_TOKEN.odd(entry)
        and _same(token, get(entry, "bytes"))
    )


def _same(token: str, raw: object) -> bool:
    """Whether a token's bytes are its own. Half a character has no name but its bytes."""
    if raw is None:
        return True
    if not isinstance(raw, list):
        return False
    found = _bytes(raw)
    try:
        return token == found.decode()
    except UnicodeDecodeError:
        return len(token) <= _LONGEST_TOKEN and len(found) <= _LONGEST_TOKEN


def _bytes(raw: list[Any]) -> bytes:
    try:
        return bytes(raw)
    except (TypeError, ValueError):
        return b"\xff"  # of no text


# --------------------------------------------------------------------------- chat completions

# What a model thinks aloud; what it calls; what else stands beside its text.
CHAT_ALOUD: Final = (
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "reasoning_items",
    "thinking_blocks",
)
CHAT_CALLS: Final = ("tool_calls", "function_call")
CHAT_BESIDE: Final = ("refusal", "annotations", "audio", "images", "provider_specific_fields")
# The same of a whole chunk: sources that some providers name there.
CHAT_SOURCES: Final = ("citations", "search_results", "provider_specific_fields")

CHUNK: Final = fields(
    "choices " + " ".join(CHAT_SOURCES),
    "id object created model system_fingerprint service_tier provider usage prompt_filter_results "
    "content_filter_results x_groq time_info timings",
)
CHOICE: Final = fields(
    "delta logprobs",
    "index finish_reason native_finish_reason stop_reason matched_stop content_filter_results "
    "content_filter_result content_filter_offsets",
)
CHOICE_OF_TEXT: Final = Fields(CHOICE.read | {"text"}, CHOICE.short)
DELTA: Final = fields(" ".join(("content", *CHAT_ALOUD, *CHAT_CALLS, *CHAT_BESIDE)), "role")
TEXT_PART: Final = fields("type text")
# Of whole answers.
CHOICE_OF_MESSAGE: Final = fields(
    "message logprobs provider_specific_fields", " ".join(CHOICE.short)
)


def chat_fits(logprobs: object, text: str) -> bool:
    """Whether the log probabilities of a chunk tell of its text and of nothing else."""
    if isinstance(logprobs, str | list):
        return False
    if not says(fields_of(logprobs)):
        return is_short(logprobs)
    if get(logprobs, "tokens") is not None:
        return _completion_fits(logprobs, text)
    known = not fields("content refusal").odd(logprobs) and not says(get(logprobs, "refusal"))
    return known and tokens_fit(get(logprobs, "content"), text)


def _completion_fits(logprobs: object, text: str) -> bool:
    """The same for text completions."""
    tokens, others = get(logprobs, "tokens"), get(logprobs, "top_logprobs") or ()
    return (
        not fields("tokens top_logprobs", "token_logprobs text_offset").odd(logprobs)
        and isinstance(tokens, list)
        and all(isinstance(token, str) for token in tokens)
        and "".join(tokens) == text
        and isinstance(others, list | tuple)
        and all(
            len(str(token)) <= _LONGEST_TOKEN and isinstance(value, int | float)
            for other in others
            for token, value in fields_of(other).items()
        )
    )


# --------------------------------------------------------------------------- Anthropic

MESSAGE: Final = fields(
    "content stop_details",
    "id type role model stop_reason stop_sequence usage container context_management diagnostics",
)
ANTHROPIC_EVENTS: Final[Mapping[str, Fields]] = {
    "message_start": fields("type message"),
    "content_block_start": fields("type index content_block"),
    "content_block_delta": fields("type index delta"),
    "content_block_stop": fields("type index"),
    "message_delta": fields("type delta", "usage context_management"),
    "message_stop": fields("type", "amazon-bedrock-invocationMetrics"),
    "ping": fields("type"),
}
_USE: Final = fields("input", "type id name caller toolset_name server_name cache_control")
_RESULT: Final = fields("content", "type tool_use_id is_error caller cache_control")
_TOOLS: Final = ("web_search", "web_fetch", "code_execution", "bash_code_execution")
ANTHROPIC_BLOCKS: Final[Mapping[str, Fields]] = {
    "text": fields("text citations", "type cache_control"),
    "thinking": fields("thinking signature", "type"),
    "redacted_thinking": fields("data", "type"),
    "compaction": fields("content encrypted_content signature", "type"),
    "tool_use": _USE,
    "server_tool_use": _USE,
    "mcp_tool_use": _USE,
    "container_upload": fields("", "type file_id"),
    "fallback": fields("", "type from to trigger"),
    **{f"{tool}_tool_result": _RESULT for tool in _TOOLS},
    "text_editor_code_execution_tool_result": _RESULT,
    "tool_search_tool_result": _RESULT,
    "advisor_tool_result": _RESULT,
    "mcp_tool_result": _RESULT,
    "mcp_tool_listing": fields("tools", "type mcp_server_name"),
}
ANTHROPIC_DELTAS: Final[Mapping[str, Mapping[str, Fields]]] = {
    "text": {
        "text_delta": fields("text", "type"),
        "citations_delta": fields("citation", "type"),
    },
    "thinking": {
        "thinking_delta": fields("thinking", "type"),
        "signature_delta": fields("signature", "type"),
    },
    "compaction": {"compaction_delta": fields("content encrypted_content", "type")},
    **{
        name: {"input_json_delta": fields("partial_json", "type")}
        for name in ("tool_use", "server_tool_use", "mcp_tool_use")
    },
}
CITATION: Final = fields(
    "cited_text document_title title url source encrypted_index",
    "type document_index start_char_index end_char_index start_page_number end_page_number "
    "start_block_index end_block_index file_id search_result_index",
)

# --------------------------------------------------------------------------- OpenAI's Responses

RESPONSE: Final = fields(
    # What repeats the request is the caller's own.
    "output output_text instructions metadata tools",
    "id object tool_choice user created_at completed_at status incomplete_details model "
    "usage background conversation max_output_tokens max_tool_calls parallel_tool_calls "
    "previous_response_id prompt_cache_key prompt_cache_options prompt_cache_retention "
    "safety_identifier service_tier "
    "store temperature top_logprobs top_p truncation billing content_filters moderation "
    "frequency_penalty presence_penalty",
    error=fields("message", "code type param"),
    prompt=fields("variables", "id version"),
    reasoning=fields("", "effort summary generate_summary"),
    text=fields("format", "verbosity"),
)
_PLACE: Final = "type item_id output_index content_index summary_index sequence_number"
RESPONSES_EVENTS: Final[Mapping[str, Fields]] = {
    f"response.{name}": fields(read, _PLACE)
    for name, read in {
        **dict.fromkeys(
            ("created", "in_progress", "queued", "completed", "incomplete", "failed", "cancelled"),
            "response",
        ),
        "output_item.added": "item",
        "output_item.done": "item",
        "content_part.added": "part",
        "content_part.done": "part",
        "output_text.delta": "delta logprobs",
        "output_text.done": "text logprobs",
        "output_text.annotation.added": "annotation annotation_index",
        "refusal.delta": "delta",
        "refusal.done": "refusal",
    }.items()
}
# Events of items: by how their names begin.
_OF_ITEMS: Final = fields(
    "delta text part item arguments name input code partial_image_b64",
    f"{_PLACE} status partial_image_index size quality background output_format",
)
# Of searches there is nothing in them but their place.
_OF_SEARCHES: Final = fields("item", f"{_PLACE} status")
_ITEM: Final = "id type status call_id caller created_by namespace name server_label execution"
RESPONSES_ITEMS: Final[Mapping[str, Fields]] = {
    name: fields(read, _ITEM)
    for name, read in {
        "message": "content role phase",
        "reasoning": "summary content encrypted_content",
        "compaction": "encrypted_content",
        "web_search_call": "action",
        "file_search_call": "queries results",
        "function_call": "arguments",
        "function_call_output": "output",
        "custom_tool_call": "input",
        "custom_tool_call_output": "output",
        "computer_call": "action actions pending_safety_checks",
        "computer_call_output": "output acknowledged_safety_checks",
        "code_interpreter_call": "code outputs container_id",
        "image_generation_call": "result",
        "local_shell_call": "action",
        "local_shell_call_output": "output",
        "shell_call": "action environment",
        "shell_call_output": "output max_output_length",
        "apply_patch_call": "operation",
        "apply_patch_call_output": "output",
        "mcp_call": "arguments output error approval_request_id",
        "mcp_list_tools": "tools error",
        "mcp_approval_request": "arguments",
        "tool_search_call": "arguments",
        "tool_search_output": "tools",
        "program": "code fingerprint",
        "program_output": "result",
    }.items()
}
SEARCHES: Final = frozenset({"web_search_call", "file_search_call"})
_IN_ITEMS: Final[Mapping[str, tuple[str, ...]]] = {
    "message": ("response.content_part.", "response.output_text.", "response.refusal."),
    "reasoning": ("response.content_part.", "response.reasoning"),
}
PARTS: Final[Mapping[str, Fields]] = {
    "output_text": fields("text annotations logprobs", "type"),
    "refusal": fields("refusal", "type"),
}
ANNOTATION: Final = fields(
    "title url filename url_citation file_citation",
    "type start_index end_index file_id index container_id",
)


def fields_in_item(name: str, kind: str) -> Fields | None:
    """The fields of an event about an item of some kind; None for one that has none such."""
    if name in {"response.output_item.added", "response.output_item.done"}:
        return RESPONSES_EVENTS[name]
    if not name.startswith(_IN_ITEMS.get(kind, (f"response.{kind}",))):
        return None
    if kind == "message":
        return RESPONSES_EVENTS.get(name)
    return _OF_SEARCHES if kind in SEARCHES else _OF_ITEMS
