"""BERT with a classifier, written node by node as an ONNX graph.

Not traced: the graph holds what the network is and nothing else, is the same for every exporter
version, and uses two facts a tracer does not know. Only the first token of the last layer is read,
so the last layer asks one query instead of one a token; and the query, key and value products of a
layer are one product.

A network with an exit head answers after that layer already where it is sure. The graph then has
two more inputs, both with a value of their own, so that nobody needs to give them: a row whose
largest probability, ``softmax(exit_logits / exit_temperature)``, reaches ``exit_at`` (2 unless
given: never) leaves; only the others, packed together and cut to the longest of them, go through
the layers above. What left answers with the exit's logits. Two more outputs tell: ``exit_logits``
of all rows, and ``exited``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verifiers.training.graph import OPSET, RUNTIME_DOMAIN, Blob, Compute, Graph, Storage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verifiers.training.graph import Weights

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# Large enough to vanish after the softmax, small enough that a row of padding stays finite.
MASKED = -10_000.0
# No probability reaches it.
NEVER = 2.0


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a BERT encoder, as its ``config.json`` states them.

    ``exit_layer`` counts the layers below the exit head; 0 means that there is none.
    """

    layers: int
    width: int
    heads: int
    positions: int
    eps: float
    exit_layer: int = 0

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """Read the sizes from a Hugging Face BERT config; ``exit_layer`` is a key of ours."""
        return cls(
            layers=int(config["num_hidden_layers"]),
            width=int(config["hidden_size"]),
            heads=int(config["num_attention_heads"]),
            positions=int(config["max_position_embeddings"]),
            eps=float(config["layer_norm_eps"]),
            exit_layer=int(config.get("exit_layer") or 0),
        )


def build_graph(
    weights: Weights,
    shape: Shape,
    labels: int,
    storage: Storage,
    *,
    compute: Compute = "fp32",
    blob: Blob | None = None,
) -> Any:
    """The network as an ONNX model.

    Inputs are the three int64 tensors of :data:`INPUTS`, each ``[batch, sequence]``; the output
    ``logits`` is float32 ``[batch, labels]``. For the inputs and outputs of an exit head see the
    module.

    Args:
        weights: The checkpoint's tensors, by their Hugging Face names.
        shape: The sizes.
        labels: Columns of the output.
        storage: How the matrices are kept.
        compute: How they are multiplied.
        blob: Takes the weights, to be written beside the graph; None keeps them in it.

    Raises:
        ValueError: If the exit head does not stand between two layers.
    """
    if not 0 <= shape.exit_layer < shape.layers:
        raise ValueError(f"exit_layer {shape.exit_layer} is not below the {shape.layers} layers")
    g = Graph(weights, storage, compute, blob)
    onnx, np = g.onnx, g.np
    x = _embed(g, shape)
    seen = g.op("Cast", "attention_mask", to=onnx.TensorProto.FLOAT)
    seen = g.op("Unsqueeze", seen, g.const("axes12", np.array([1, 2], np.int64)))
    hidden = g.op("Sub", g.const("one", np.float32(1.0)), seen)
    mask = g.op("Mul", hidden, g.const("masked", np.float32(MASKED)))
    places = ""
    for number in range(shape.layers):
        if shape.exit_layer and number == shape.exit_layer:
            x, mask, places = _leave(g, x, mask)
        x = _layer(g, x, mask, number, shape)
    read = g.op("Tanh", g.exact(_only(g, x), "bert.pooler.dense"))
    name = "upper_logits" if places else "logits"
    g.op("Identity", g.exact(read, "classifier"), name=name)
    if places:
        column = g.op("Unsqueeze", places, g.const("axis1v", np.array([1], np.int64)))
        g.op("ScatterND", "exit_logits", column, name, name="logits")
    return _model(g, labels, exits=bool(places))


def _model(g: Graph, labels: int, *, exits: bool) -> Any:
    helper, kind = g.onnx.helper, g.onnx.TensorProto
    ins = [helper.make_tensor_value_info(n, kind.INT64, ["batch", "sequence"]) for n in INPUTS]
    outs = [helper.make_tensor_value_info("logits", kind.FLOAT, ["batch", labels])]
    if exits:
        # Inputs that are initializers too: optional, and never folded away.
        for name, value in (("exit_at", NEVER), ("exit_temperature", 1.0)):
            g.const(name, g.np.float32(value))
            ins.append(helper.make_tensor_value_info(name, kind.FLOAT, []))
        outs += [
            helper.make_tensor_value_info("exit_logits", kind.FLOAT, ["batch", labels]),
            helper.make_tensor_value_info("exited", kind.BOOL, ["batch"]),
        ]
    opsets = [helper.make_opsetid("", OPSET)]
    if g.compute == "int8":
        opsets.append(helper.make_opsetid(RUNTIME_DOMAIN, 1))
    return helper.make_model(
        helper.make_graph(g.nodes, "groundrail-nli", ins, outs, g.initializers),
        producer_name="groundrail",
        opset_imports=opsets,
        ir_version=8,  # what opset 17 came with: older runtimes read it too
    )


def _embed(g: Graph, shape: Shape) -> str:
    i64 = g.np.int64
    prefix = "bert.embeddings."
    length = g.op("Gather", g.op("Shape", "input_ids"), g.const("axis1", i64(1)), axis=0)
    steps = g.op("Range", g.const("zero", i64(0)), length, g.const("step", i64(1)))
    x = g.rows(prefix + "word_embeddings.weight", "input_ids")
    x = g.op("Add", x, g.rows(prefix + "token_type_embeddings.weight", "token_type_ids", fine=True))
    x = g.op("Add", x, g.rows(prefix + "position_embeddings.weight", steps, fine=True))
    return g.norm(x, prefix + "LayerNorm", shape.eps)


def _layer(g: Graph, x: str, mask: str, number: int, shape: Shape) -> str:
    layer, last = f"bert.encoder.layer.{number}.", number == shape.layers - 1
    mixed = _attention(g, x, mask, layer, shape, first_only=last)
    mixed = g.linear(mixed, layer + "attention.output.dense")
    x = _first(g, x) if last else x
    x = g.norm(g.op("Add", mixed, x), layer + "attention.output.LayerNorm", shape.eps)
    inner = g.gelu(g.linear(x, layer + "intermediate.dense"))
    outer = g.linear(inner, layer + "output.dense", gelu=True)
    return g.norm(g.op("Add", outer, x), layer + "output.LayerNorm", shape.eps)


def _split_heads(g: Graph, x: str, shape: Shape) -> str:
    parts = [0, 0, shape.heads, shape.width // shape.heads]
    size = g.const("heads", g.np.array(parts, g.np.int64))
    return g.op("Transpose", g.op("Reshape", x, size), perm=[0, 2, 1, 3])


def _attention(g: Graph, x: str, mask: str, layer: str, shape: Shape, *, first_only: bool) -> str:
    """Self-attention of one layer; with ``first_only``, of its first token."""
    np = g.np
    prefix = layer + "attention.self."
    scale = (shape.width // shape.heads) ** -0.5
    parts = {}
    for part in ("query", "key", "value"):
        factor = scale if part == "query" else 1.0  # the 1/sqrt(d) of the scores, for nothing
        weight, bias = (g.f32(f"{prefix}{part}.{kind}") for kind in ("weight", "bias"))
        parts[part] = (weight.T * np.float32(factor), bias * np.float32(factor))

    def project(source: str, *which: str) -> str:
        weight = np.concatenate([parts[part][0] for part in which], axis=1)
        bias = np.concatenate([parts[part][1] for part in which])
        return g.product(source, prefix + "+".join(which), weight, bias)

    if first_only:
        query = project(_first(g, x), "query")
        key, value = g.split(project(x, "key", "value"), 2, shape.width)
    else:
        query, key, value = g.split(project(x, "query", "key", "value"), 3, shape.width)
    query, key, value = (_split_heads(g, part, shape) for part in (query, key, value))
    scores = g.op("MatMul", query, g.op("Transpose", key, perm=[0, 1, 3, 2]))
    scores = g.op("Softmax", g.op("Add", scores, mask), axis=-1)
    mixed = g.op("Transpose", g.op("MatMul", scores, value), perm=[0, 2, 1, 3])
    return g.op("Reshape", mixed, g.const("joined", np.array([0, 0, shape.width], np.int64)))


def _slice(g: Graph, x: str, end: str, axis: int) -> str:
    """What stands before ``end`` along an axis."""
    start = g.const("slice_from", g.np.array([0], g.np.int64))
    return g.op("Slice", x, start, end, g.const(f"axis_{axis}", g.np.array([axis], g.np.int64)))


def _first(g: Graph, x: str) -> str:
    return _slice(g, x, g.const("slice_to", g.np.array([1], g.np.int64)), 1)


def _only(g: Graph, x: str) -> str:
    """The first token's row, without the axis of tokens."""
    return g.op("Squeeze", _first(g, x), g.const("axis1v", g.np.array([1], g.np.int64)))


def _leave(g: Graph, x: str, mask: str) -> tuple[str, str, str]:
    """Let rows go that are sure; what stays, its mask, and its places in the batch."""
    np = g.np
    read = g.op("Tanh", g.exact(_only(g, x), "exit.dense"))
    g.op("Identity", g.exact(read, "exit.classifier"), name="exit_logits")
    sure = g.op("Softmax", g.op("Div", "exit_logits", "exit_temperature"), axis=-1)
    sure = g.op("ReduceMax", sure, axes=[-1], keepdims=0)
    stays = g.op("Less", sure, "exit_at")
    g.op("Not", stays, name="exited")
    axis0 = g.const("axis0v", np.array([0], np.int64))
    places = g.op("Squeeze", g.op("NonZero", stays), axis0)
    # Up to the last token any of them has; at least one, where nobody stayed.
    kept = g.op("Gather", "attention_mask", places, axis=0)
    length = g.op("Gather", g.op("Shape", kept), g.const("axis1", np.int64(1)), axis=0)
    one = g.const("step", np.int64(1))
    steps = g.op("Range", one, g.op("Add", length, one), one)
    ends = g.op("Reshape", g.op("Mul", kept, steps), g.const("flat", np.array([-1], np.int64)))
    ends = g.op("Concat", ends, g.const("slice_to", np.array([1], np.int64)), axis=0)
    end = g.op("ReduceMax", ends, axes=[0], keepdims=1, name="stayed_length")
    x = _slice(g, g.op("Gather", x, places, axis=0), end, 1)
    return x, _slice(g, g.op("Gather", mask, places, axis=0), end, 3), places
