"""Checkpoint folder -> the package form of a model: ``model.onnx`` and its neighbours.

The graph is written node by node and not traced: it then holds what the network is and nothing
else, is the same for every exporter version, and uses two facts a tracer does not know. Only the
first token of the last layer is read, so the last layer asks one query instead of one a token
(about an eighth of all work); and the query, key and value products of a layer are one product.

Weights may be *stored* in half precision and are then cast to float32 when the session starts;
everything is *computed* in float32, so the file is half as long and the results differ from the
float32 file by the rounding of the weights alone.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from verifiers.training.files import file_digest, read_json, require, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.floating[Any]]]

Storage = Literal["float32", "float16"]

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
INPUT_TEMPLATE = "[CLS] {premise} [SEP] {claim} [SEP]"
OPSET = 17
# Large enough to vanish after the softmax, small enough that a row of padding stays finite.
MASKED = -10_000.0


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a BERT encoder, as its ``config.json`` states them."""

    layers: int
    width: int
    heads: int
    positions: int
    eps: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """Read the sizes from a Hugging Face BERT config."""
        return cls(
            layers=int(config["num_hidden_layers"]),
            width=int(config["hidden_size"]),
            heads=int(config["num_attention_heads"]),
            positions=int(config["max_position_embeddings"]),
            eps=float(config["layer_norm_eps"]),
        )


class _Graph:
    """Collects nodes and weights; every method returns the name of the tensor it made."""

    def __init__(self, weights: Weights, storage: Storage) -> None:
        self.onnx = require("onnx", "onnx.helper", "onnx.numpy_helper")
        self.np = require("numpy")
        self.weights = weights
        self.storage = storage
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._made: dict[str, str] = {}

    def op(self, kind: str, *inputs: str, name: str | None = None, **attrs: Any) -> str:
        out = name or f"{kind}_{len(self.nodes)}"
        node = self.onnx.helper.make_node(kind, list(inputs), [out], name=f"n_{out}", **attrs)
        self.nodes.append(node)
        return out

    def const(self, name: str, value: Any) -> str:
        if name not in self._made:
            array = self.np.asarray(value)
            self.initializers.append(self.onnx.numpy_helper.from_array(array, name))
            self._made[name] = name
        return name

    def tensor(self, name: str, value: NDArray[Any]) -> str:
        """A weight: kept in the chosen storage, handed on as float32."""
        if self.storage == "float32":
            return self.const(name, self.np.ascontiguousarray(value, dtype=self.np.float32))
        half = self.np.ascontiguousarray(value).astype(self.np.float16)
        stored = self.const(name + ".f16", half)
        return self.op("Cast", stored, name=name, to=self.onnx.TensorProto.FLOAT)

    def linear(self, x: str, name: str) -> str:
        weight = self.tensor(name + ".weight.T", self.weights[name + ".weight"].T)
        # Biases and norms are a few kilobytes: halving them would save nothing.
        bias = self.const(name + ".bias", self._f32(name + ".bias"))
        return self.op("Add", self.op("MatMul", x, weight), bias)

    def norm(self, x: str, name: str, eps: float) -> str:
        scale = self.const(name + ".weight", self._f32(name + ".weight"))
        bias = self.const(name + ".bias", self._f32(name + ".bias"))
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=eps)

    def gelu(self, x: str) -> str:
        # Written as ONNX Runtime's fusion expects it: x * 0.5 * (1 + erf(x / sqrt 2)).
        f32 = self.np.float32
        inner = self.op("Div", x, self.const("sqrt2", f32(2**0.5)))
        plus = self.op("Add", self.op("Erf", inner), self.const("one", f32(1.0)))
        return self.op("Mul", self.op("Mul", x, plus), self.const("half", f32(0.5)))

    def _f32(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = self.weights[name].astype(self.np.float32)
        return array


def _embed(g: _Graph, shape: Shape) -> str:
    i64 = g.np.int64
    prefix = "bert.embeddings."
    words, places, types = (
        g.tensor(
            f"{prefix}{kind}_embeddings.weight", g.weights[f"{prefix}{kind}_embeddings.weight"]
        )
        for kind in ("word", "position", "token_type")
    )
    length = g.op("Gather", g.op("Shape", "input_ids"), g.const("axis1", i64(1)), axis=0)
    steps = g.op("Range", g.const("zero", i64(0)), length, g.const("step", i64(1)))
    x = g.op("Gather", words, "input_ids", axis=0)
    x = g.op("Add", x, g.op("Gather", types, "token_type_ids", axis=0))
    x = g.op("Add", x, g.op("Gather", places, steps, axis=0))
    return g.norm(x, prefix + "LayerNorm", shape.eps)


def _split_heads(g: _Graph, x: str, shape: Shape) -> str:
    parts = [0, 0, shape.heads, shape.width // shape.heads]
    size = g.const("heads", g.np.array(parts, g.np.int64))
    return g.op("Transpose", g.op("Reshape", x, size), perm=[0, 2, 1, 3])


def _attention(g: _Graph, x: str, mask: str, layer: str, shape: Shape, *, first_only: bool) -> str:
    """Self-attention of one layer; with ``first_only``, of its first token."""
    np = g.np
    prefix = layer + "attention.self."
    scale = (shape.width // shape.heads) ** -0.5
    parts = {}
    for part in ("query", "key", "value"):
        factor = scale if part == "query" else 1.0  # the 1/sqrt(d) of the scores, for nothing
        weight = g.weights[f"{prefix}{part}.weight"].astype(np.float32).T * factor
        parts[part] = (weight, g.weights[f"{prefix}{part}.bias"].astype(np.float32) * factor)

    def project(source: str, *which: str) -> str:
        tag = prefix + "+".join(which)
        weight = np.concatenate([parts[part][0] for part in which], axis=1)
        bias = np.concatenate([parts[part][1] for part in which])
        product = g.op("MatMul", source, g.tensor(tag + ".weight", weight))
        return g.op("Add", product, g.const(tag + ".bias", bias))

    def split(joined: str, count: int) -> list[str]:
        outs = [f"{joined}_{i}" for i in range(count)]
        sizes = g.const(f"split{count}", np.array([shape.width] * count, np.int64))
        node = g.onnx.helper.make_node(
            "Split", [joined, sizes], outs, name=f"split_{joined}", axis=-1
        )
        g.nodes.append(node)
        return outs

    if first_only:
        query = project(_first(g, x), "query")
        key, value = split(project(x, "key", "value"), 2)
    else:
        query, key, value = split(project(x, "query", "key", "value"), 3)
    query, key, value = (_split_heads(g, part, shape) for part in (query, key, value))
    scores = g.op("MatMul", query, g.op("Transpose", key, perm=[0, 1, 3, 2]))
    scores = g.op("Softmax", g.op("Add", scores, mask), axis=-1)
    mixed = g.op("Transpose", g.op("MatMul", scores, value), perm=[0, 2, 1, 3])
    return g.op("Reshape", mixed, g.const("joined", np.array([0, 0, shape.width], np.int64)))


def _first(g: _Graph, x: str) -> str:
    i64 = g.np.int64
    bounds = [g.const(f"slice_{k}", g.np.array([v], i64)) for k, v in (("from", 0), ("to", 1))]
    return g.op("Slice", x, *bounds, g.const("slice_axis", g.np.array([1], i64)))


def build_graph(weights: Weights, shape: Shape, labels: int, storage: Storage) -> Any:
    """The network as an ONNX model.

    Inputs are the three int64 tensors of :data:`INPUTS`, each ``[batch, sequence]``; the output
    ``logits`` is float32 ``[batch, labels]``.
    """
    g = _Graph(weights, storage)
    onnx, np = g.onnx, g.np
    x = _embed(g, shape)
    seen = g.op("Cast", "attention_mask", to=onnx.TensorProto.FLOAT)
    seen = g.op("Unsqueeze", seen, g.const("axes12", np.array([1, 2], np.int64)))
    hidden = g.op("Sub", g.const("one", np.float32(1.0)), seen)
    mask = g.op("Mul", hidden, g.const("masked", np.float32(MASKED)))
    for i in range(shape.layers):
        layer, last = f"bert.encoder.layer.{i}.", i == shape.layers - 1
        mixed = _attention(g, x, mask, layer, shape, first_only=last)
        mixed = g.linear(mixed, layer + "attention.output.dense")
        x = _first(g, x) if last else x
        x = g.norm(g.op("Add", mixed, x), layer + "attention.output.LayerNorm", shape.eps)
        inner = g.gelu(g.linear(x, layer + "intermediate.dense"))
        outer = g.linear(inner, layer + "output.dense")
        x = g.norm(g.op("Add", outer, x), layer + "output.LayerNorm", shape.eps)
    x = g.op("Squeeze", x, g.const("axis1v", np.array([1], np.int64)))
    x = g.op("Tanh", g.linear(x, "bert.pooler.dense"))
    weight = g.tensor("classifier.weight.T", weights["classifier.weight"].T)
    bias = g.const("classifier.bias", weights["classifier.bias"].astype(np.float32))
    g.op("Add", g.op("MatMul", x, weight), bias, name="logits")

    helper, kind = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        g.nodes,
        "groundrail-nli",
        [helper.make_tensor_value_info(n, kind.INT64, ["batch", "sequence"]) for n in INPUTS],
        [helper.make_tensor_value_info("logits", kind.FLOAT, ["batch", labels])],
        g.initializers,
    )
    model = helper.make_model(
        graph,
        producer_name="groundrail",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,  # what opset 17 came with: older runtimes read it too
    )
    onnx.checker.check_model(model)
    return model


def read_weights(folder: Path) -> dict[str, NDArray[Any]]:
    """The tensors of ``model.safetensors``, by their Hugging Face names."""
    tensors: dict[str, NDArray[Any]] = require("safetensors.numpy").load_file(
        str(folder / "model.safetensors")
    )
    return tensors


def export(
    checkpoint: Path,
    target: Path,
    *,
    storage: Storage = "float16",
    max_length: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write ``model.onnx``, ``config.json`` and ``tokenizer.json`` for a checkpoint.

    Args:
        checkpoint: Folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json`` of a
            BERT sequence classifier.
        target: Folder to write; made if missing. Files of the same names are replaced.
        storage: How weights are kept in the file. Computation is float32 either way.
        max_length: Longest input in tokens that the model is meant to read, specials included.
            Defaults to the checkpoint's own, else to its number of positions.
        extra: More keys for ``config.json``, such as ``calibration``.

    Returns:
        The ``config.json`` that was written; ``sha256`` in it holds the files' digests.
    """
    config = read_json(checkpoint / "config.json")
    shape = Shape.of(config)
    labels = {int(k): str(v) for k, v in config["id2label"].items()}
    limit = max_length or int(config.get("max_length", shape.positions))
    if limit > shape.positions:
        msg = f"max_length {limit} is more than the {shape.positions} positions of {checkpoint}"
        raise ValueError(msg)
    model = build_graph(read_weights(checkpoint), shape, len(labels), storage)
    target.mkdir(parents=True, exist_ok=True)
    path = target / "model.onnx"
    path.write_bytes(model.SerializeToString())
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
        "sha256": {name: file_digest(target / name) for name in ("model.onnx", "tokenizer.json")},
        "weights_stored": storage,
        **(extra or {}),
    }
    write_json(target / "config.json", written)
    return written


def quantize(source: Path, target: Path) -> None:
    """Write an int8 form of an exported model (dynamic: weights int8, activations on the fly).

    Needs the weights as float32 initializers, so export with ``storage="float32"`` first. Faster
    than float32 only on CPUs with VNNI; measure before using it.
    """
    tools = require("onnxruntime.quantization")
    tools.quantize_dynamic(
        str(source), str(target), weight_type=tools.QuantType.QInt8, per_channel=True
    )


def describe(folder: Path) -> str:
    """One line on an exported model, for people."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    size = (folder / "model.onnx").stat().st_size / 2**20
    return (
        f"{folder.name}: {config['num_hidden_layers']} layers, width {config['hidden_size']}, "
        f"{size:.1f} MiB, weights sha256 {config['sha256']['model.onnx'][:16]}"
    )
