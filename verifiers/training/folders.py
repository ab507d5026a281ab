"""What a model's folder holds, read with a message for whatever is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from verifiers.backends import ModelSpec
from verifiers.backends.config import read_config
from verifiers.backends.onnx_files import content_digest, locate
from verifiers.training.data import LABELS
from verifiers.training.files import file_digest, read_json, require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COLUMNS: Final = LABELS[:3]

_SIZES: Final = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)


def encoder_config(folder: Path) -> dict[str, Any]:
    """The ``config.json`` of a BERT encoder, with or without a head.

    Raises:
        ValueError: If a size is missing or is no positive whole number.
    """
    path = folder / "config.json"
    config = read_json(path)
    for key in _SIZES:
        value = config.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(
                f"{path}: {key} has to be a positive whole number, as a BERT model's config has it"
            )
    eps = config.get("layer_norm_eps")
    if not isinstance(eps, float) or not 0 < eps < 1:
        raise ValueError(f"{path}: layer_norm_eps has to be a small number, such as 1e-12")
    return config


def model_config(folder: Path) -> dict[str, Any]:
    """The ``config.json`` of a BERT classifier.

    Raises:
        ValueError: If a size is missing, or it does not name its labels by their columns.
    """
    config = encoder_config(folder)
    labels = config.get("id2label")
    if not isinstance(labels, dict) or set(labels) != {str(i) for i in range(len(labels))}:
        raise ValueError(
            f"{folder / 'config.json'}: id2label has to name the label of each column,"
            ' such as {"0": "entailment"}'
        )
    return config


def check_labels(labels: Sequence[str], where: Path | str) -> None:
    """See that a head has the columns that training, calibration and evaluation take it to have.

    Raises:
        ValueError: At other labels, or the same in another order.
    """
    if tuple(labels) != COLUMNS:
        raise ValueError(
            f"{where}: the labels are {', '.join(labels) or 'none'}, but have to be"
            f" {', '.join(COLUMNS)} in this order. Make the start checkpoint anew with `init`."
        )


def verifier_config(folder: Path) -> dict[str, Any]:
    """The ``config.json`` of a model that is trained or measured here.

    Raises:
        ValueError: As :func:`model_config`, and if the labels are others or in another order.
    """
    config = model_config(folder)
    check_labels(columns(config), folder / "config.json")
    return config


def longest(config: Mapping[str, Any]) -> int:
    """How many tokens a model reads at most, specials included."""
    return int(config.get("max_length") or config["max_position_embeddings"])


def columns(config: Mapping[str, Any]) -> list[str]:
    """A config's labels, in the order of the columns."""
    labels = config["id2label"]
    return [str(labels[key]) for key in sorted(labels, key=int)]


def read_tensors(path: Path, *, framework: str = "numpy") -> dict[str, Any]:
    """The tensors of a ``.safetensors`` file, by name.

    Raises:
        ValueError: If it is cut or changed.
    """
    load_file = require(f"safetensors.{framework}").load_file
    try:
        tensors: dict[str, Any] = load_file(str(path))
    except require("safetensors").SafetensorError as exc:
        raise ValueError(f"{path} is damaged or cut short ({exc}); copy or make it again") from exc
    return tensors


def check_files(folder: Path) -> None:
    """Compare an exported model's files with the digests in its ``config.json``, where it has some.

    Raises:
        ModelUnavailable: If there is no model, or a file is not the one it should be.
    """
    config = read_config(folder / "config.json")
    content_digest(locate(ModelSpec(model=str(folder))), config)
    config.check_digest("tokenizer.json", file_digest(folder / "tokenizer.json"))
