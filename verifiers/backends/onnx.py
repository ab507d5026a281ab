"""NLI under ONNX Runtime. The only import of ``onnxruntime``.

A model is a folder: ``model.onnx`` (or the only ``.onnx`` file in it), ``tokenizer.json`` and
``config.json``. Of the config this reads ``id2label``, ``max_length``, and, where present,
``calibration`` (``{"temperature": t}``) and ``sha256`` (of the weights, or by file name; also as
``weights.sha256``).
Weights stored as float16 are folded to float32 once, at load.
"""

from __future__ import annotations

import hashlib
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

# From 1.32 on ONNX Runtime reports its use to its maker over the network, and keeps a database of
# it in the user's home. What checks private answers must not, unless the application wants it to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - read when it is imported

import onnxruntime as ort

from verifiers.backends.config import ModelConfig, read_config
from verifiers.backends.labels import read_columns
from verifiers.backends.spec import BUNDLED
from verifiers.backends.threads import default_threads
from verifiers.backends.tokenizer import PairTokenizer
from verifiers.errors import BackendFailed, InputTooLong, ModelUnavailable
from verifiers.types import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.backends.spec import ModelSpec
    from verifiers.types import NLIProbs, Pair

# The one of the models in the package that `bundled` means.
_BUNDLED_NAME = "nli-minilm-l6-v1"
_REINSTALL = "Install groundrail again; the model is part of the package."
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


class OnnxScorer:
    """One ONNX model and its tokenizer. See :class:`verifiers.protocols.PairScorer`."""

    def __init__(self, spec: ModelSpec) -> None:
        """Load the model.

        Raises:
            ModelUnavailable: If a file is missing, broken or not the one it should be, or the
                device is not there.
            LabelsUnmapped: If the labels cannot be told apart.
        """
        folder, weights = _locate(spec)
        config = read_config(folder / "config.json", max_tokens=spec.max_tokens)
        self._columns = read_columns(config.id2label, override=spec.labels)
        self._temperature = config.temperature
        self._tokenizer, content = PairTokenizer.load(folder / "tokenizer.json")
        digest = _digest(weights, config)
        tokenizer_digest = hashlib.sha256(content).hexdigest()
        config.check_digest("tokenizer.json", tokenizer_digest)
        revision = f"sha256:{digest[:32]}.{tokenizer_digest[:16]}"
        if spec.revision is not None and not revision.startswith(spec.revision):
            raise ModelUnavailable(
                f"The model in {folder} is {revision}, but {spec.revision} is pinned."
                " It was not used.",
                hint="Put the pinned files there, or change `revision`.",
            )
        self._session: Any = _session(weights, spec)
        self._inputs = tuple(node.name for node in self._session.get_inputs())
        self._check_graph(weights)
        self._pad_id = config.pad_id
        provider = self._session.get_providers()[0]
        self._info = ModelInfo(
            name=config.name or (folder.name if spec.model == BUNDLED else spec.model),
            revision=revision,
            backend="onnx",
            max_tokens=config.max_tokens,
            calibration=config.calibration,
            form=f"fp32/{provider}",
            labels=self._columns.labels,
        )

    @property
    def info(self) -> ModelInfo:
        """What produces the scores."""
        return self._info

    def count_tokens(self, pairs: Sequence[Pair]) -> list[int]:
        """The length of each pair with its special tokens, uncut."""
        return self._tokenizer.count_pairs(pairs)

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text alone."""
        return self._tokenizer.count_text(texts)

    def score(self, pairs: Sequence[Pair]) -> list[NLIProbs]:
        """Score one batch in one forward pass.

        Raises:
            InputTooLong: If a pair does not fit. Nothing is cut.
            BackendFailed: If the runtime fails or answers what is no number.
        """
        if not pairs:
            return []
        encoded = self._tokenizer.encode(pairs)
        longest = max(len(item.ids) for item in encoded)
        if longest > self._info.max_tokens:
            raise InputTooLong(
                f"A pair of {longest} tokens does not fit the model, which reads"
                f" {self._info.max_tokens}. Nothing was cut and nothing was scored.",
                hint="Cut the source into windows, or the claim into sentences.",
            )
        feed = {
            "input_ids": np.full((len(pairs), longest), self._pad_id, dtype=np.int64),
            "attention_mask": np.zeros((len(pairs), longest), dtype=np.int64),
            "token_type_ids": np.zeros((len(pairs), longest), dtype=np.int64),
        }
        for row, item in enumerate(encoded):
            length = len(item.ids)
            feed["input_ids"][row, :length] = item.ids
            feed["attention_mask"][row, :length] = 1
            feed["token_type_ids"][row, :length] = item.type_ids
        try:
            output = self._session.run(None, {name: feed[name] for name in self._inputs})[0]
        except Exception as exc:
            # onnxruntime's errors share no base class; none of them may pass for a score.
            raise BackendFailed(
                f"ONNX Runtime failed on a batch of {len(pairs)} x {longest} tokens"
                f" ({type(exc).__name__}). Nothing was scored.",
                hint="If it ran out of memory, lower the batch budget.",
            ) from exc
        if output.shape != (len(pairs), len(self._columns.roles)):
            raise BackendFailed(
                f"The model answered in the shape {tuple(output.shape)}, not"
                f" {(len(pairs), len(self._columns.roles))}. Nothing was scored.",
                hint="It is no sequence-classification model with these labels.",
            )
        rows: list[list[float]] = output.astype(np.float64).tolist()
        return [self._columns.from_logits(row, temperature=self._temperature) for row in rows]

    def close(self) -> None:
        """Let go of the session's memory."""
        self._session = None

    def _check_graph(self, weights: Path) -> None:
        outputs = self._session.get_outputs()
        unknown = sorted(set(self._inputs) - _INPUTS)
        if unknown or "input_ids" not in self._inputs or not outputs:
            raise ModelUnavailable(
                f"{weights.name} is no text classifier: its inputs are"
                f" {', '.join(self._inputs) or 'none'}. It was not used.",
                hint="Export a sequence-classification model with the inputs input_ids,"
                " attention_mask and, where it has them, token_type_ids.",
            )
        width = outputs[0].shape[-1] if outputs[0].shape else None
        if isinstance(width, int) and width != len(self._columns.roles):
            raise ModelUnavailable(
                f"{weights.name} has {width} outputs, but its labels name"
                f" {len(self._columns.roles)}. It was not used.",
                hint="Weights and config.json belong to different models, or `labels` is wrong.",
            )


def _locate(spec: ModelSpec) -> tuple[Path, Path]:
    """The folder of the model and its weights file."""
    if spec.model == BUNDLED:
        return _bundled()
    path = Path(spec.model).expanduser()
    if path.suffix == ".onnx" and path.is_file():
        return path.parent, path
    if not path.is_dir():
        raise ModelUnavailable(
            f"There is no ONNX model at {spec.model!r}.",
            hint="Give the folder that holds model.onnx, tokenizer.json and config.json.",
        )
    for candidate in (path / "model.onnx", path / "onnx" / "model.onnx"):
        if candidate.is_file():
            return path, candidate
    found = sorted(path.glob("*.onnx"))
    if len(found) == 1:
        return path, found[0]
    raise ModelUnavailable(
        f"The folder {spec.model!r} holds {'several .onnx files' if found else 'no .onnx file'}.",
        hint="Name the file itself." if found else "Export the model first, or use backend: torch.",
    )


def _bundled() -> tuple[Path, Path]:
    weights = Path(str(files("verifiers") / "models")) / _BUNDLED_NAME / "model.onnx"
    if not weights.is_file():
        raise ModelUnavailable("The bundled model is not there.", hint=_REINSTALL)
    return weights.parent, weights


def _digest(weights: Path, config: ModelConfig) -> str:
    """SHA-256 of the weights, checked against the config."""
    try:
        with weights.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as exc:
        raise ModelUnavailable(
            f"Cannot read {weights}: {exc.strerror or type(exc).__name__}.",
            hint="Check that the file is there and may be read.",
        ) from exc
    config.check_digest(weights.name, digest)
    return digest


def _session(weights: Path, spec: ModelSpec) -> Any:
    options = ort.SessionOptions()
    # Folds the float16 weights' casts to float32 into the weights, once.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = spec.threads or default_threads()
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Between batches the threads sleep: a host application has other work for its cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors reach us as exceptions
    provider = _provider(spec.device)
    try:
        session = ort.InferenceSession(str(weights), options, providers=[provider])
    except Exception as exc:
        # onnxruntime's errors share no base class.
        raise ModelUnavailable(
            f"ONNX Runtime {ort.__version__} cannot load {weights.name}"
            f" ({type(exc).__name__}). It was not used.",
            hint="The file is truncated or corrupt, or uses operators newer than this"
            " onnxruntime: fetch it again, or upgrade onnxruntime.",
        ) from exc
    name = provider if isinstance(provider, str) else provider[0]
    if session.get_providers()[0] != name:
        raise ModelUnavailable(
            f"The device {spec.device!r} was asked for, but ONNX Runtime fell back to"
            f" {session.get_providers()[0]}. The model was not used.",
            hint="Check the CUDA libraries onnxruntime-gpu needs, or set `device` to cpu.",
        )
    return session


def _provider(device: str) -> str | tuple[str, dict[str, str]]:
    if device == "cpu":
        return "CPUExecutionProvider"
    kind, _, number = device.partition(":")
    if kind != "cuda" or (number and not number.isdigit()):
        raise ModelUnavailable(
            f"There is no device {device!r}.", hint="Set `device` to cpu, cuda or cuda:N."
        )
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        raise ModelUnavailable(
            f"The device {device!r} was asked for, but this onnxruntime runs on the CPU only.",
            hint="Install onnxruntime-gpu in place of onnxruntime, or set `device` to cpu.",
        )
    return "CUDAExecutionProvider", {"device_id": number or "0"}
