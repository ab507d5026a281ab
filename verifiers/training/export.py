"""Checkpoint folder -> the package form of a model: its graphs, weights, config and tokenizer.

Weights may be *stored* smaller than they are computed with. As float16 they are cast to float32
when the session starts: the file is half as long, and results differ from the float32 file by the
rounding of the weights alone. As int8, each column of a matrix with a scale of its own, they lie
once in ``model.onnx.data``, and two graphs read them: ``model.onnx`` widens them at load and
computes in float32, under any ONNX runtime; ``model.int8.onnx`` multiplies the integers, under
ONNX Runtime on CPUs that are made for it. See :mod:`verifiers.training.graph`.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from verifiers.training.bert_graph import INPUTS, Shape, build_graph
from verifiers.training.files import file_digest, read_json, replace_bytes, require, write_json
from verifiers.training.folders import model_config, read_tensors
from verifiers.training.graph import Blob, Storage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

__all__ = [
    "GRAPH",
    "INPUTS",
    "INT8_GRAPH",
    "WEIGHTS",
    "Shape",
    "Storage",
    "describe",
    "differences",
    "export",
    "read_weights",
]

INPUT_TEMPLATE = "[CLS] {premise} [SEP] {claim} [SEP]"
GRAPH = "model.onnx"
INT8_GRAPH = "model.int8.onnx"
WEIGHTS = "model.onnx.data"


def read_weights(folder: Path) -> dict[str, NDArray[Any]]:
    """The tensors of ``model.safetensors``, by their Hugging Face names."""
    return read_tensors(folder / "model.safetensors")


def export(
    checkpoint: Path,
    target: Path,
    *,
    storage: Storage = "float16",
    max_length: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the graphs, ``config.json`` and ``tokenizer.json`` for a checkpoint.

    Args:
        checkpoint: Folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json`` of a
            BERT sequence classifier, perhaps with an exit head (``exit_layer`` in its config).
        target: Folder to write; made if missing. Files of the same names are replaced, and those
            of another storage taken away.
        storage: How weights are kept; ``int8`` writes ``model.int8.onnx`` too.
        max_length: Longest input in tokens that the model is meant to read, specials included.
            Defaults to the checkpoint's own, else to its number of positions.
        extra: More keys for ``config.json``, such as ``calibration`` and ``exit``.

    Returns:
        The ``config.json`` that was written; ``sha256`` in it holds the files' digests, and, for
        int8, ``storage_error`` how far the logits of each graph are from the unrounded network's
        on pairs of random tokens.
    """
    config = model_config(checkpoint)
    shape = Shape.of(config)
    labels = {int(k): str(v) for k, v in config["id2label"].items()}
    limit = max_length or int(config.get("max_length", shape.positions))
    if limit > shape.positions:
        msg = f"max_length {limit} is more than the {shape.positions} positions of {checkpoint}"
        raise ValueError(msg)
    target.mkdir(parents=True, exist_ok=True)
    files = _write_graphs(read_weights(checkpoint), shape, len(labels), storage, target)
    shutil.copyfile(checkpoint / "tokenizer.json", target / "tokenizer.json")
    written: dict[str, Any] = {
        "name": target.name,
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.width,
        "num_attention_heads": shape.heads,
        "intermediate_size": int(config["intermediate_size"]),
        "max_position_embeddings": shape.positions,
        "vocab_size": int(config["vocab_size"]),
        "layer_norm_eps": shape.eps,
        "pad_token_id": int(config.get("pad_token_id") or 0),
        "id2label": {str(k): labels[k] for k in sorted(labels)},
        "label2id": {labels[k]: k for k in sorted(labels)},
        "max_length": limit,
        "input_template": INPUT_TEMPLATE,
        "sha256": {name: file_digest(target / name) for name in (*files, "tokenizer.json")},
        "weights_stored": storage,
        **({"exit_layer": shape.exit_layer} if shape.exit_layer else {}),
        **({"storage_error": _error(checkpoint, target, shape)} if storage == "int8" else {}),
        **(extra or {}),
    }
    write_json(target / "config.json", written)
    return written


def _write_graphs(
    weights: Mapping[str, NDArray[Any]], shape: Shape, labels: int, storage: Storage, target: Path
) -> tuple[str, ...]:
    """Write the graphs and what they read; the names of the files, graphs first."""
    check = require("onnx").checker.check_model
    for name in (GRAPH, INT8_GRAPH, WEIGHTS):
        (target / name).unlink(missing_ok=True)
    if storage != "int8":
        model = build_graph(weights, shape, labels, storage)
        replace_bytes(target / GRAPH, model.SerializeToString())
        check(str(target / GRAPH))
        return (GRAPH,)
    blob = Blob(WEIGHTS)
    graphs = {
        GRAPH: build_graph(weights, shape, labels, storage, blob=blob),
        INT8_GRAPH: build_graph(weights, shape, labels, storage, compute="int8", blob=blob),
    }
    replace_bytes(target / WEIGHTS, bytes(blob.content))
    for name, model in graphs.items():
        replace_bytes(target / name, model.SerializeToString())
        check(str(target / name))
    return GRAPH, INT8_GRAPH, WEIGHTS


def differences(
    first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]
) -> dict[str, float]:
    """Mean and largest distance of two arrays of logits, and how often another label wins."""
    gap = abs(first - second)
    return {
        "mean": round(float(gap.mean()), 5),
        "largest": round(float(gap.max()), 5),
        "other_label": round(float((first.argmax(1) != second.argmax(1)).mean()), 5),
    }


def _error(checkpoint: Path, target: Path, shape: Shape) -> dict[str, dict[str, float]]:
    """How far each written graph is from the network before rounding, by its file name."""
    np = require("numpy")
    config = read_json(checkpoint / "config.json")
    labels = len(config["id2label"])
    exact = build_graph(read_weights(checkpoint), shape, labels, "float32").SerializeToString()
    rng = np.random.default_rng(0)
    size = (16, min(96, shape.positions))
    lengths = rng.integers(size[1] // 2, size[1] + 1, size[0])
    feed = {
        "input_ids": rng.integers(0, int(config["vocab_size"]), size),
        "attention_mask": (np.arange(size[1]) < lengths[:, None]).astype(np.int64),
        "token_type_ids": (np.arange(size[1]) >= lengths[:, None] // 2).astype(np.int64),
    }
    expected = _run(exact, feed)
    return {
        name: differences(expected, _run(str(target / name), feed)) for name in (GRAPH, INT8_GRAPH)
    }


def _run(graph: str | bytes, feed: Arrays) -> NDArray[Any]:
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # it warns of inputs that are optional, as they should be
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    found: NDArray[Any] = session.run(["logits"], dict(feed))[0]
    return found


def describe(folder: Path) -> str:
    """One line on an exported model, for people."""
    config = read_json(folder / "config.json")
    size = sum((folder / name).stat().st_size for name in config["sha256"] if "onnx" in name)
    return (
        f"{folder.name}: {config['num_hidden_layers']} layers, width {config['hidden_size']}, "
        f"{size / 2**20:.1f} MiB, weights sha256 "
        f"{config['sha256'].get(WEIGHTS, config['sha256'][GRAPH])[:16]}"
    )
