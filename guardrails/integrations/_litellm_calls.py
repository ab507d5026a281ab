"""What a call through LiteLLM's proxy is, read without importing LiteLLM. Pure.

LiteLLM names every route by a call type. It gives the answers of some to guardrails, those of
others to nobody; what we do not know counts among the latter.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from guardrails._faults import first_fault
from guardrails.errors import ConfigInvalid

# Where an application writes what it wants of us, in the request's metadata.
METADATA_KEY: Final = "groundrail"

_CHECKED: Final = frozenset(
    {"completion", "text_completion", "responses", "get_responses", "anthropic_messages"}
)
_WITHOUT_ANSWERS: Final = frozenset(
    {
        "embedding",
        "image_generation",
        "image_edit",
        "moderation",
        "transcription",
        "speech",
        "rerank",
        "search",
        "ocr",
        "list_input_items",
        "delete_responses",
        "cancel_responses",
        "count_tokens",
        "call_mcp_tool",
        "list_mcp_tools",
        "ingest",
        "create_skill",
        "list_skills",
        "get_skill",
        "delete_skill",
    }
)
_WITHOUT_ANSWERS_BEGIN: Final = (
    "file_",
    "create_file",
    "upload_container",
    "video_",
    "create_video",
    "vector_store_",
    "create_container",
    "list_container",
    "retrieve_container",
    "delete_container",
    "create_fine_tuning",
    "cancel_fine_tuning",
    "list_fine_tuning",
    "retrieve_fine_tuning",
)


class Answers(StrEnum):
    """What becomes of the answers of a call type."""

    CHECKED = "checked"
    NONE = "none"  # there is no model's answer in it
    UNSEEN = "unseen"  # LiteLLM shows them to no guardrail, or in a shape we cannot read


def answers_of(call_type: object) -> Answers:
    """Whether we see the answers of a call type, as LiteLLM's hooks and logs name it."""
    name = str(getattr(call_type, "value", call_type) or "")
    # LiteLLM spells the async variant of a call with one more `a`.
    for spelling in (name, name.removeprefix("_").removeprefix("a")):
        if spelling in _CHECKED:
            return Answers.CHECKED
        if spelling in _WITHOUT_ANSWERS or spelling.startswith(_WITHOUT_ANSWERS_BEGIN):
            return Answers.NONE
    return Answers.UNSEEN


class GuardrailOptions(BaseModel):
    """What stands under ``groundrail`` in the guardrail's ``litellm_params``.

    Attributes:
        settings: Path of groundrail's settings file; by default found as everywhere else.
        policy: A preset or a policy file, instead of the settings'.
        route: The policy's route for answers that pass this guardrail.
        trusted_metadata: Whether sources, question and route in the metadata of a request count.
            Only where nobody but the application can write it.
        unseen: What to do with calls whose answers LiteLLM shows to no guardrail.
        report: Whether answers carry a ``guardrails`` object with what was found.
        warm: Whether the model is loaded at start and not with the first answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: Path | None = None
    policy: str | None = None
    route: str | None = None
    trusted_metadata: bool = False
    unseen: Literal["refuse", "allow"] = "refuse"
    report: bool = True
    warm: bool = True


def options_of(given: object) -> GuardrailOptions:
    """The options of a configuration.

    Raises:
        ConfigInvalid: Names the key. Never a ``ValueError``: for those LiteLLM writes a line to
            its log and starts without the guardrail.
    """
    try:
        return GuardrailOptions.model_validate({} if given is None else given)
    except ValidationError as error:
        where, why = first_fault(error, "groundrail")
        raise ConfigInvalid(
            f"litellm_params.{where}: {why}; LiteLLM was not started.",
            hint=f"Allowed: {', '.join(sorted(GuardrailOptions.model_fields))}.",
        ) from None


def refuse_modes(mode: object) -> None:
    """Check a guardrail's ``mode``.

    Raises:
        ConfigInvalid: If answers would go unchecked, or the caller could choose.
    """
    modes = [mode] if isinstance(mode, str) else mode
    named = {str(getattr(one, "value", one)) for one in modes} if isinstance(modes, list) else set()
    if "post_call" in named and named <= {"pre_call", "post_call"}:
        return
    raise ConfigInvalid(
        "The guardrail's mode would let answers out unchecked; LiteLLM was not started.",
        hint="Write mode: [pre_call, post_call]. Answers are checked post_call; pre_call refuses "
        "calls whose answers LiteLLM shows to no guardrail. Modes by tag are not taken: the "
        "caller writes the tags.",
    )


def messages_of(data: Mapping[str, Any]) -> list[Any]:
    """The conversation of a request to any of the checked routes, instructions first."""
    found: list[Any] = []
    for key in ("system", "instructions"):
        said = data.get(key)
        if said:
            found.append({"role": "system", "content": said})
    for key in ("messages", "input", "prompt"):
        said = data.get(key)
        if isinstance(said, str):
            return [*found, {"role": "user", "content": said}]
        if isinstance(said, list):
            return [*found, *(_item(one) for one in said)]
    return found


def _item(one: object) -> object:
    """A message; several prompts of a text completion are the user's texts."""
    return {"role": "user", "content": one} if isinstance(one, str) else one


def trusted_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the request's metadata says to us.

    Raises:
        ConfigInvalid: If it is not what it must be.
    """
    said: object = None
    for bucket in ("litellm_metadata", "metadata"):
        metadata = data.get(bucket)
        if said is None and isinstance(metadata, Mapping):
            said = metadata.get(METADATA_KEY)
    if said is None:
        return {}
    known = {"sources", "question", "route"}
    if not isinstance(said, Mapping) or not set(said) <= known:
        raise ConfigInvalid(
            f"metadata.{METADATA_KEY} holds something else than {', '.join(sorted(known))}; "
            "nothing was released.",
            hint=f"Write metadata: {{{METADATA_KEY}: {{sources: [...], question: ..., route: ...}}"
            "}.",
        )
    return dict(said)


def record_metadata(data: Mapping[str, Any], caller: Any, name: str | None) -> dict[str, str]:
    """What to find a record by."""
    found = {
        "litellm_call_id": data.get("litellm_call_id"),
        "litellm_route": getattr(caller, "request_route", None),
        "guardrail": name,
    }
    return {key: value for key, value in found.items() if isinstance(value, str) and value}


def cost_in(response: object) -> float | None:
    """What LiteLLM says that an answer cost, in US dollars, or None."""
    hidden = getattr(response, "_hidden_params", None)
    cost = hidden.get("response_cost") if isinstance(hidden, dict) else None
    return float(cost) if isinstance(cost, int | float) else None
