"""Back from an exported model to a checkpoint: to train a packaged verifier further.

The exporter joins projections that read the same input, stores every matrix input first, and puts
the scores' 1/sqrt(d) into the queries; here all of that is undone. Weights that were stored as
int8 or float16 come back rounded as they were stored.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from verifiers.errors import ModelUnavailable
from verifiers.training import model as models
from verifiers.training.files import read_json, replace_bytes, require, write_json
from verifiers.training.folders import check_files, model_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Tensors = Mapping[str, NDArray[np.float32]]

# Of the exported model, and not of what is trained from it.
_OF_THE_EXPORT = ("calibration", "exit", "input_template", "sha256", "storage_error")
_JOINED = ("query+key+value", "key+value", "query")


def restore(folder: Path, target: Path) -> int:
    """Write the start checkpoint that an exported model's weights are, heads included.

    Args:
        folder: A model folder of this project's exporter, such as the bundled one.
        target: Folder to write; ``train --start`` takes it.

    Returns:
        How many numbers it has.

    Raises:
        ModelUnavailable: If the graph was not made by this project's exporter, or a file is not
            the one that the folder's config names.
        ValueError: If the config lacks what a network needs.
    """
    check_files(folder)
    config = model_config(folder)
    shapes = {
        name: tuple(value.shape)
        for name, value in models.build(config, seed=0).state_dict().items()
    }
    weights = restored(folder, shapes)
    target.mkdir(parents=True, exist_ok=True)
    data = require("safetensors.numpy").save(dict(weights), metadata={"format": "pt"})
    replace_bytes(target / "model.safetensors", data)
    kept = {key: value for key, value in config.items() if key not in _OF_THE_EXPORT}
    kept.pop("weights_stored", None)
    write_json(target / "config.json", kept)
    shutil.copyfile(folder / "tokenizer.json", target / "tokenizer.json")
    return sum(value.size for value in weights.values())


def restored(folder: Path, shapes: Mapping[str, Sequence[int]]) -> dict[str, NDArray[np.float32]]:
    """An exported model's weights by the names a checkpoint has.

    Args:
        folder: Model folder with ``model.onnx``.
        shapes: What is wanted: shapes by name, matrices output first.

    Raises:
        ModelUnavailable: If the graph was not made by this project's exporter.
    """
    np, onnx = require("numpy"), require("onnx")
    config = read_json(folder / "config.json")
    try:
        graph = onnx.load(folder / "model.onnx").graph
    except require("google.protobuf.message").DecodeError as exc:
        raise ModelUnavailable(
            f"{folder / 'model.onnx'} is no ONNX file, or is cut short. Nothing was written.",
            hint="Copy or fetch the whole folder again.",
        ) from exc
    stored = _stored(graph.initializer, onnx.numpy_helper)
    scale = np.float32((config["hidden_size"] / config["num_attention_heads"]) ** 0.5)
    found = {}
    for name, shape in shapes.items():
        value = _tensor(name, stored, shape)
        if value is None or tuple(value.shape) != tuple(shape):
            raise ModelUnavailable(
                f"{folder} has no weights {name!r} of shape {tuple(shape)}. Nothing was written.",
                hint="Only what `python -m verifiers.training export` wrote can be restored.",
            )
        found[name] = value * scale if ".self.query." in name else value
    return found


def _stored(tensors: Any, helper: Any) -> dict[str, NDArray[np.float32]]:
    """The graph's weights as float32, by name, from whatever storage."""
    np = require("numpy")
    arrays = {tensor.name: helper.to_array(tensor) for tensor in tensors}
    found = {}
    for name, array in arrays.items():
        plain = name.removesuffix(".f16").removesuffix(".i8")
        if ".self." in plain:
            plain = plain.removesuffix(".T")
        scale = arrays[name.removesuffix(".i8") + ".scale"] if name.endswith(".i8") else 1.0
        found[plain] = array.astype(np.float32) * np.float32(scale)
    return found


def _tensor(name: str, stored: Tensors, shape: Sequence[int]) -> NDArray[np.float32] | None:
    """One tensor of the checkpoint, from wherever the exporter put it."""
    np = require("numpy")
    for joined in _JOINED:
        for place, part in enumerate(parts := joined.split("+")):
            whole = stored.get(name.replace(f".self.{part}.", f".self.{joined}."))
            if f".self.{part}." in name and whole is not None:
                own: NDArray[Any] = np.split(whole, len(parts), axis=-1)[place].T
                return own.copy()
    if name in stored:
        return stored[name]
    turned = stored.get(f"{name}.T")
    if turned is None or turned.size != np.prod(shape, dtype=np.int64):
        return None
    return turned.T.copy().reshape(shape)
