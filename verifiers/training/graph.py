"""A small writer of ONNX graphs: nodes, and weights in the storage and arithmetic asked for.

The same network is written in up to two forms that share one file of weights. ``fp32`` computes
in single precision whatever the storage; ``int8`` multiplies 8-bit integers. Its activations are
quantised anew for every token, with a scale of that token's own: what shares the batch changes
nothing, and a token with large values does not blur the others. (One scale for the whole batch,
as dynamic quantisation usually has it, is a little faster and several times as coarse, and makes a
pair's score depend on its neighbours.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from verifiers.training.files import require

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.floating[Any]]]

Storage = Literal["float32", "float16", "int8"]
Compute = Literal["fp32", "int8"]

OPSET = 17
# Where ONNX Runtime's own operators live; only the int8 form uses one of them.
RUNTIME_DOMAIN = "com.microsoft"

_LEVELS = 127
# GELU is never below -0.17. Its outputs get 32 of the 256 levels below zero, the rest above.
_GELU_FLOOR = 0.17
_GELU_ZERO = 32
_ALIGNED = 64  # bytes; what vector loads like
_INLINE = 256  # bytes; smaller tensors stay in the graph


class Blob:
    """Tensors that several graphs read from one file, each kept once."""

    def __init__(self, name: str) -> None:
        """Begin an empty file that will be called ``name``, beside the graphs."""
        self.name = name
        self.content = bytearray()
        self._places: dict[str, tuple[int, int]] = {}

    def place(self, name: str, array: NDArray[Any]) -> tuple[int, int]:
        """Offset and length in bytes of a tensor; put there on its first mention.

        Raises:
            ValueError: If the name was given to other values before.
        """
        data = array.tobytes()
        if name in self._places:
            offset, length = self._places[name]
            if self.content[offset : offset + length] != data:
                raise ValueError(f"two tensors are called {name}")
            return offset, length
        self.content.extend(bytes(-len(self.content) % _ALIGNED))
        self._places[name] = place = (len(self.content), len(data))
        self.content.extend(data)
        return place


def quantize_columns(weight: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """A matrix ``[in, out]`` as int8, and the float32 scale of each column.

    The largest value of a column becomes 127 or -127; a column of zeros has the scale 1.
    """
    np = require("numpy")
    largest = np.abs(weight).max(axis=0).astype(np.float64)
    scale = np.where(largest > 0, largest / _LEVELS, 1.0)
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)


class Graph:
    """Collects nodes and weights; every method returns the name of the tensor it made."""

    def __init__(
        self,
        weights: Weights,
        storage: Storage,
        compute: Compute = "fp32",
        blob: Blob | None = None,
    ) -> None:
        """Begin an empty graph.

        Args:
            weights: The checkpoint's tensors, by name.
            storage: How matrices are kept.
            compute: How they are multiplied; ``int8`` needs that storage too.
            blob: Where tensors go that are not small; None keeps all in the graph.

        Raises:
            ValueError: If int8 arithmetic is asked of another storage.
        """
        if compute == "int8" and storage != "int8":
            raise ValueError(f"int8 arithmetic needs weights stored as int8, not {storage}")
        self.onnx = require("onnx", "onnx.helper", "onnx.numpy_helper")
        self.np = require("numpy")
        self.weights = weights
        self.storage = storage
        self.compute = compute
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._blob = blob
        self._made: set[str] = set()
        self._rows: dict[str, tuple[str, str]] = {}

    def op(
        self, kind: str, *inputs: str, name: str | None = None, domain: str = "", **attrs: Any
    ) -> str:
        """A node with one output."""
        out = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(
            self.onnx.helper.make_node(
                kind, list(inputs), [out], name=f"n_{out}", domain=domain, **attrs
            )
        )
        return out

    def split(self, joined: str, count: int, width: int) -> list[str]:
        """The last axis cut into ``count`` parts of ``width``."""
        outs = [f"{joined}_{i}" for i in range(count)]
        sizes = self.const(f"split{count}", self.np.array([width] * count, self.np.int64))
        self.nodes.append(
            self.onnx.helper.make_node(
                "Split", [joined, sizes], outs, name=f"split_{joined}", axis=-1
            )
        )
        return outs

    def const(self, name: str, value: Any) -> str:
        """A constant; the same name means the same constant."""
        if name not in self._made:
            self._made.add(name)
            array = self.np.ascontiguousarray(value).reshape(self.np.shape(value))
            tensor = self.onnx.numpy_helper.from_array(array, name)
            if self._blob is not None and array.nbytes >= _INLINE:
                self._put_outside(tensor, array)
            self.initializers.append(tensor)
        return name

    def _put_outside(self, tensor: Any, array: NDArray[Any]) -> None:
        assert self._blob is not None  # noqa: S101 - the caller looked
        offset, length = self._blob.place(tensor.name, array)
        tensor.ClearField("raw_data")
        tensor.data_location = self.onnx.TensorProto.EXTERNAL
        for key, value in (("location", self._blob.name), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))

    def f32(self, name: str) -> NDArray[Any]:
        """A tensor of the checkpoint in single precision."""
        array: NDArray[Any] = self.weights[name].astype(self.np.float32)
        return array

    def matrix(self, name: str, value: NDArray[Any]) -> str:
        """A matrix ``[in, out]``: kept in the chosen storage, handed on as float32."""
        np = self.np
        if self.storage == "float32":
            return self.const(name, value.astype(np.float32))
        if self.storage == "float16":
            half = self.const(name + ".f16", value.astype(np.float16))
            return self.op("Cast", half, name=name, to=self.onnx.TensorProto.FLOAT)
        stored, scale = self._int8(name, value)
        # Constant from here on: a runtime that folds constants does this once, at load.
        wide = self.op("Cast", stored, to=self.onnx.TensorProto.FLOAT)
        return self.op("Mul", wide, scale, name=name)

    def _int8(self, name: str, value: NDArray[Any]) -> tuple[str, str]:
        stored, scale = quantize_columns(value)
        return self.const(name + ".i8", stored), self.const(name + ".scale", scale)

    def rows(self, name: str, index: str, *, fine: bool = False) -> str:
        """Rows of an embedding table. Only the rows asked for are widened.

        With ``fine``, int8 storage keeps the table as float16: for small ones every token reads.
        """
        np, wide = self.np, self.onnx.TensorProto.FLOAT
        table = self.f32(name)
        if self.storage == "float32":
            return self.op("Gather", self.const(name, table), index, axis=0)
        if self.storage == "float16" or fine:
            half = self.const(name + ".f16", table.astype(np.float16))
            return self.op("Cast", self.op("Gather", half, index, axis=0), to=wide)
        stored, scale = quantize_columns(table.T)
        kept = self.const(name + ".i8", stored.T)
        scales = self.const(name + ".scale", scale[:, None])
        found = self.op("Cast", self.op("Gather", kept, index, axis=0), to=wide)
        return self.op("Mul", found, self.op("Gather", scales, index, axis=0))

    def linear(self, x: str, name: str, *, gelu: bool = False) -> str:
        """``x @ W + b`` with a layer of the checkpoint; ``gelu`` says that ``x`` left a GELU."""
        weight, bias = self.f32(name + ".weight").T, self.f32(name + ".bias")
        return self.product(x, name, weight, bias, gelu=gelu)

    def product(
        self, x: str, name: str, weight: NDArray[Any], bias: NDArray[Any], *, gelu: bool = False
    ) -> str:
        """``x @ weight + bias``; see :meth:`linear`."""
        added = self.const(name + ".bias", bias.astype(self.np.float32))
        tag = name + ".weight.T"
        if self.compute == "fp32":
            return self.op("Add", self.op("MatMul", x, self.matrix(tag, weight)), added)
        np = self.np
        stored, scale = self._int8(tag, weight)
        zero = self.const("zero_gelu", np.uint8(_GELU_ZERO)) if gelu else self._middle()
        levels, step = self._quantized(x, zero, gelu=gelu)
        one = self.const("one", np.float32(1.0))
        whole = self.op(
            "MatMulIntegerToFloat", levels, stored, one, scale, zero, domain=RUNTIME_DOMAIN
        )
        return self.op("Add", self.op("Mul", whole, step), added)

    def exact(self, x: str, name: str) -> str:
        """As :meth:`linear`, always in float32: for the heads, which see one row a pair."""
        weight = self.matrix(name + ".weight.T", self.f32(name + ".weight").T)
        bias = self.const(name + ".bias", self.f32(name + ".bias"))
        return self.op("Add", self.op("MatMul", x, weight), bias)

    def _middle(self) -> str:
        return self.const("zero_middle", self.np.uint8(_LEVELS + 1))

    def _quantized(self, x: str, zero: str, *, gelu: bool) -> tuple[str, str]:
        """``x`` as uint8, and the step between two levels of each of its rows."""
        if x not in self._rows:
            f32 = self.np.float32
            if gelu:
                most = self.op("ReduceMax", x, axes=[-1], keepdims=1)
                share = self.const("share_gelu", f32(1 / (255 - _GELU_ZERO)))
                least = self.const("least_gelu", f32(_GELU_FLOOR / _GELU_ZERO))
            else:
                most = self.op("ReduceMax", self.op("Abs", x), axes=[-1], keepdims=1)
                share = self.const("share", f32(1 / _LEVELS))
                least = self.const("least", f32(1e-9))
            step = self.op("Max", self.op("Mul", most, share), least)
            one = self.const("one", f32(1.0))
            levels = self.op("QuantizeLinear", self.op("Div", x, step), one, zero)
            self._rows[x] = levels, step
        return self._rows[x]

    def norm(self, x: str, name: str, eps: float) -> str:
        """Layer normalisation with the checkpoint's weights."""
        scale = self.const(name + ".weight", self.f32(name + ".weight"))
        bias = self.const(name + ".bias", self.f32(name + ".bias"))
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=eps)

    def gelu(self, x: str) -> str:
        """The exact GELU, written as ONNX Runtime's fusion expects it."""
        f32 = self.np.float32
        inner = self.op("Div", x, self.const("sqrt2", f32(2**0.5)))
        plus = self.op("Add", self.op("Erf", inner), self.const("one", f32(1.0)))
        return self.op("Mul", self.op("Mul", x, plus), self.const("half", f32(0.5)))
