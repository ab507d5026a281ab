"""A model folder's ``config.json``, read for what scoring needs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from verifiers.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_Default = TypeVar("_Default", int, None)

# Families that number positions from the padding id on, so that fewer tokens fit than positions.
_OFFSET_FAMILIES = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "longformer", "mpnet", "xmod"}
)
# Families that put what they call the beginning and the end of a text around each pair. Configs of
# others carry such ids along and mean nothing by them.
_FRAMED_FAMILIES = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "longformer", "mpnet", "albert", "bart"}
)
# Families in which a position is no place in a table, so that `max_length` may be beyond it.
_RELATIVE_FAMILIES = frozenset({"t5", "deberta", "deberta-v2", "modernbert"})


@dataclass(frozen=True, slots=True)
class ExitRule:
    """When a model with an exit head answers from its middle.

    Attributes:
        layer: Layers below the head.
        temperature: Divides the head's logits.
        confidence: A pair leaves when its largest calibrated probability is at least this.
    """

    layer: int
    temperature: float
    confidence: float


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a config says.

    Attributes:
        id2label: Column number (as text) to label.
        max_tokens: Longest input, pair and specials together.
        pad_id: Token id used for padding.
        temperature: Divides the logits; 1.0 when the model is not calibrated.
        calibration: Id of the calibration, or ``none``.
        digests: SHA-256 by file name, where the config names them; ``*`` for the weights.
        name: The model's own name, or None.
        exit: When the model may answer from its middle; None for never.
        frame: Ids of tokens that stand in every pair, by the config's own name for them.
        vocabulary: How many tokens the model knows, or None.
    """

    id2label: dict[str, str]
    max_tokens: int
    pad_id: int
    temperature: float
    calibration: str
    name: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    exit: ExitRule | None = None
    frame: Mapping[str, int] = field(default_factory=dict)
    vocabulary: int | None = None

    def check_digest(self, file: str, actual: str) -> None:
        """Compare a file with what the config says of it, if it does.

        Raises:
            ModelUnavailable: If it is another file.
        """
        expected = self.digests.get(file)
        if expected is None and file.endswith(".onnx"):
            expected = self.digests.get("*")
        if expected is not None and expected.lower().removeprefix("sha256:") != actual:
            raise ModelUnavailable(
                f"{file} is not the file its config.json names: its SHA-256 starts with"
                f" {actual[:12]}. It was not used.",
                hint="The file is damaged or was replaced: fetch the model again.",
            )


def read_config(path: Path, *, max_tokens: int | None = None) -> ModelConfig:
    """Read a ``config.json``.

    Args:
        path: The file.
        max_tokens: Longest input as the operator set it; can only lower what the config says.

    Raises:
        ModelUnavailable: If it is missing, is no JSON object, or says something impossible.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ModelUnavailable(
            f"Cannot read {path}: {exc.strerror or type(exc).__name__}.",
            hint="The folder of a model holds its config.json beside the weights.",
        ) from exc
    except (ValueError, RecursionError) as exc:  # the latter: brackets in brackets in brackets
        raise _broken(path, "it is no JSON that can be read") from exc
    if not isinstance(raw, dict):
        raise _broken(path, "it is no JSON object")
    temperature, calibration = read_calibration(path, raw.get("calibration"))
    return ModelConfig(
        id2label=_id2label(path, raw),
        max_tokens=longest_input(raw, path, override=max_tokens),
        pad_id=_whole(path, raw, "pad_token_id", 0),
        temperature=temperature,
        calibration=calibration,
        name=raw["name"] if isinstance(raw.get("name"), str) else None,
        digests=_digests(path, raw),
        exit=_exit(path, raw.get("exit")),
        frame=_frame(path, raw),
        vocabulary=_whole(path, raw, "vocab_size", None),
    )


def _frame(path: Path, raw: Mapping[str, Any]) -> dict[str, int]:
    keys = ["cls_token_id", "sep_token_id"]
    if raw.get("model_type") in _FRAMED_FAMILIES:
        keys += ["bos_token_id", "eos_token_id"]
    named = {key: _whole(path, raw, key, None) for key in keys}
    return {key: number for key, number in named.items() if number is not None}


def longest_input(raw: Mapping[str, Any], path: Path | str, *, override: int | None = None) -> int:
    """The longest input a config allows, in tokens; ``override`` can only lower it.

    Raises:
        ModelUnavailable: If the config does not say.
    """
    limits: list[int] = []
    for key in ("max_length", "max_position_embeddings"):
        value = raw.get(key)
        if value is None or (limits and raw.get("model_type") in _RELATIVE_FAMILIES):
            continue
        # max_length 20 is a generation default that old configs carry along.
        if key == "max_length" and raw.get("model_type") and value == 20:  # noqa: PLR2004
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise _broken(path, f"`{key}` is no positive number")
        if key == "max_position_embeddings" and raw.get("model_type") in _OFFSET_FAMILIES:
            pad = raw.get("pad_token_id")
            value -= (pad if isinstance(pad, int) else 1) + 1
        if value < 1:
            raise _broken(path, f"`{key}` leaves no room for a token")
        limits.append(value)
    if override is not None:
        limits.append(override)
    if limits:
        return min(limits)
    raise ModelUnavailable(
        f"{path} does not say how long an input may be.",
        hint='Add "max_length" to it, or set `max_tokens`.',
    )


def read_calibration(path: Path | str, raw: object) -> tuple[float, str]:
    """Temperature and id of a config's ``calibration``; 1.0 and ``none`` when it has none.

    Raises:
        ModelUnavailable: If it is not understood; scores would silently mean something else.
    """
    if raw is None:
        return 1.0, "none"
    if not isinstance(raw, dict):
        raise _broken(path, "`calibration` is no object")
    method = raw.get("method", "temperature")
    temperature = raw.get("temperature")
    if method != "temperature" or isinstance(temperature, bool):
        raise _broken(path, f"`calibration` has the unknown method {str(method)[:40]!r}")
    # JSON has integers that no float holds.
    if not isinstance(temperature, int | float) or not 0 < temperature <= sys.float_info.max:
        raise _broken(path, "`calibration.temperature` is no positive number that can be used")
    label = f"temperature={float(temperature)!r}"
    return float(temperature), f"{raw['id']};{label}" if raw.get("id") else label


def _exit(path: Path, raw: object) -> ExitRule | None:
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise _broken(path, "`exit` is no object")
    layer = raw.get("layer")
    if not isinstance(layer, int) or isinstance(layer, bool) or layer < 1:
        raise _broken(path, "`exit.layer` is no positive whole number")
    return ExitRule(
        layer,
        temperature=_positive(path, raw, "temperature", most=sys.float_info.max),
        confidence=_positive(path, raw, "confidence", most=1.0),
    )


def _positive(path: Path, raw: Mapping[str, Any], key: str, *, most: float) -> float:
    value = raw.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= most:
        raise _broken(path, f"`exit.{key}` is missing or out of range")
    return float(value)


def _digests(path: Path, raw: Mapping[str, Any]) -> dict[str, str]:
    found = raw.get("sha256")
    weights = raw.get("weights")
    if found is None and isinstance(weights, dict):
        found = weights.get("sha256")
    if found is None:
        return {}
    if isinstance(found, str):
        return {"*": found}
    if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
        return dict(found)
    raise _broken(path, "`sha256` is neither a digest nor digests by file name")


def _id2label(path: Path, raw: Mapping[str, Any]) -> dict[str, str]:
    labels = raw.get("id2label", {})
    if not isinstance(labels, dict):
        raise _broken(path, "`id2label` is no object")
    return {str(key): str(value) for key, value in labels.items()}


def _whole(path: Path, raw: Mapping[str, Any], key: str, default: _Default) -> int | _Default:
    value = raw.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _broken(path, f"`{key}` is no whole number")
    return value


def _broken(path: Path | str, why: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"{path} cannot be used: {why}.", hint="Fetch the model again, or correct the file."
    )
