"""NLI under ONNX Runtime. The only import of ``onnxruntime``.

A model is a folder: ``model.onnx`` (or the only ``.onnx`` file in it), ``tokenizer.json`` and
``config.json``. Of the config this reads ``id2label``, ``max_length``, and, where present,
``calibration`` (``{"temperature": t}``), ``exit`` (``{"layer": n, "temperature": t, "confidence":
c}``) and ``sha256`` (of the weights, or by file name; also as ``weights.sha256``).
Weights stored as float16 or int8 are widened to float32 once, at load. Beside ``model.onnx`` there
may be ``model.int8.onnx``, the same network in integer arithmetic; see
:func:`verifiers.backends.onnx_files.locate` for which of them runs.

A graph with an exit head has the optional inputs ``exit_at`` and ``exit_temperature`` and the
outputs ``logits``, ``exit_logits`` and ``exited``; :mod:`verifiers.training.bert_graph` has more.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

# From 1.32 on ONNX Runtime reports its use to its maker over the network, and keeps a database of
# it in the user's home. What checks private answers must not, unless the application wants it to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - read when it is imported

import onnxruntime as ort

from verifiers.backends.config import read_config
from verifiers.backends.fit import require_fit
from verifiers.backends.labels import read_columns
from verifiers.backends.load_faults import no_vector, onnx_failed, onnx_unloadable, onnx_untried
from verifiers.backends.onnx_files import content_digest, locate
from verifiers.backends.pieces import Pieces
from verifiers.backends.spec import BUNDLED
from verifiers.backends.threads import default_threads
from verifiers.backends.tokenizer import PairTokenizer
from verifiers.errors import BackendFailed, InputTooLong, ModelUnavailable
from verifiers.types import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from verifiers.backends.config import ExitRule
    from verifiers.backends.spec import ModelSpec
    from verifiers.types import NLIProbs, Pair

_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
_CPU = "CPUExecutionProvider"
_EXIT_INPUTS = frozenset({"exit_at", "exit_temperature"})
_EXIT_OUTPUTS = ("exit_logits", "exited")


class Heads(NamedTuple):
    """Raw outputs of both ends of a network, one row a pair.

    ``early`` is of the exit head, None where there is none.
    """

    full: list[list[float]]
    early: list[list[float]] | None


class OnnxScorer:
    """One ONNX model and its tokenizer. See :class:`verifiers.protocols.PairScorer`."""

    def __init__(self, spec: ModelSpec) -> None:
        """Load the model.

        Raises:
            ModelUnavailable: If a file is missing, broken or not the one it should be, or the
                device is not there.
            LabelsUnmapped: If the labels cannot be told apart.
        """
        found = locate(spec)
        config = read_config(found.folder / "config.json", max_tokens=spec.max_tokens)
        self._columns = read_columns(config.id2label, override=spec.labels)
        self._temperature = config.temperature
        self._tokenizer, content = PairTokenizer.load(found.folder / "tokenizer.json")
        require_fit(found.folder, self._tokenizer, config)
        self._pieces = Pieces(self._tokenizer)
        digest = content_digest(found, config)
        tokenizer_digest = hashlib.sha256(content).hexdigest()
        config.check_digest("tokenizer.json", tokenizer_digest)
        revision = f"sha256:{digest[:32]}.{tokenizer_digest[:16]}"
        if spec.revision is not None and not revision.startswith(spec.revision):
            raise ModelUnavailable(
                f"The model in {found.folder} is {revision}, but {spec.revision} is pinned."
                " It was not used.",
                hint="Put the pinned files there, or change `revision`.",
            )
        self._session: Any = _session(found.graph, spec)
        self._inputs = tuple(node.name for node in self._session.get_inputs())
        self._exit = config.exit if spec.early_exit else None
        self._check_graph(found.graph, config.exit)
        self._pad_id = config.pad_id
        self._check_vectors(found.graph, config.vocabulary)
        form = f"{found.form}/{self._session.get_providers()[0]}"
        if self._exit is not None:
            form += (
                f", exit after {self._exit.layer} at {self._exit.confidence!r}"
                f" (temperature {self._exit.temperature!r})"
            )
        self._info = ModelInfo(
            name=config.name or (found.folder.name if spec.model == BUNDLED else spec.model),
            revision=revision,
            backend="onnx",
            max_tokens=config.max_tokens,
            calibration=config.calibration,
            form=form,
            labels=self._columns.labels,
        )
        self.exited = 0
        """How many of the pairs scored so far were answered by the exit head."""

    @property
    def info(self) -> ModelInfo:
        """What produces the scores."""
        return self._info

    def count_tokens(self, pairs: Sequence[Pair]) -> list[int]:
        """The length of each pair with its special tokens, uncut."""
        return self._pieces.lengths(pairs)

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
        feed, rule = self.feed(pairs), self._exit
        if rule is None:
            (logits,) = self._run(feed, ["logits"])
            return [self._columns.from_logits(row, temperature=self._temperature) for row in logits]
        logits, left = self._run(feed, ["logits", "exited"])
        self.exited += sum(left)
        return [
            self._columns.from_logits(
                row, temperature=rule.temperature if early else self._temperature
            )
            for row, early in zip(logits, left, strict=True)
        ]

    def heads(self, pairs: Sequence[Pair]) -> Heads:
        """Both ends' raw outputs for one batch in which no pair leaves early. For measuring.

        Raises:
            InputTooLong: As :meth:`score`.
            BackendFailed: As :meth:`score`.
        """
        if not pairs:
            return Heads([], [] if self._has_exit else None)
        names = ["logits", "exit_logits"] if self._has_exit else ["logits"]
        full, *early = self._run(self._feed(pairs), names)
        return Heads(full, early[0] if early else None)

    def forget(self) -> None:
        """Forget the tokens of texts read before; they are tokenised anew. For measuring."""
        self._pieces.forget()

    def feed(self, pairs: Sequence[Pair]) -> dict[str, NDArray[Any]]:
        """What the session is given for one batch; for :meth:`score`, and for measuring.

        Raises:
            InputTooLong: If a pair does not fit.
        """
        feed = self._feed(pairs)
        if self._exit is not None:
            feed["exit_at"] = np.array(self._exit.confidence, dtype=np.float32)
            feed["exit_temperature"] = np.array(self._exit.temperature, dtype=np.float32)
        return feed

    def _feed(self, pairs: Sequence[Pair]) -> dict[str, NDArray[Any]]:
        """The arrays of one batch, padded to its longest pair."""
        longest = max(self._pieces.lengths(pairs))
        if longest > self._info.max_tokens:
            raise InputTooLong(
                f"A pair of {longest} tokens does not fit the model, which reads"
                f" {self._info.max_tokens}. Nothing was cut and nothing was scored.",
                hint="Cut the source into windows, or the claim into sentences.",
            )
        batch = self._pieces.batch(pairs, pad_id=self._pad_id)
        return {name: getattr(batch, name) for name in self._inputs}

    def _run(self, feed: dict[str, NDArray[Any]], names: list[str]) -> list[Any]:
        """The named outputs, as lists with one row a pair; the first stands for the logits."""
        rows, longest = feed["input_ids"].shape
        try:
            found = self._session.run([self._outputs.get(name, name) for name in names], feed)
        except Exception as exc:
            # onnxruntime's errors share no base class; none of them may pass for a score.
            raise onnx_failed(rows, longest, exc) from exc
        if found[0].shape != (rows, len(self._columns.roles)):
            raise BackendFailed(
                f"The model answered in the shape {tuple(found[0].shape)}, not"
                f" {(rows, len(self._columns.roles))}. Nothing was scored.",
                hint="It is no sequence-classification model with these labels.",
            )
        return [array.tolist() for array in found]

    def close(self) -> None:
        """Let go of the session's memory."""
        self._session = None

    def _check_graph(self, weights: Path, rule: ExitRule | None) -> None:
        outputs = self._session.get_outputs()
        # Whatever the exporter called it, the first output is the logits.
        self._outputs = {"logits": outputs[0].name} if outputs else {}
        optional = {node.name for node in self._session.get_overridable_initializers()}
        self._has_exit = optional >= _EXIT_INPUTS and {node.name for node in outputs} >= set(
            _EXIT_OUTPUTS
        )
        unknown = sorted(set(self._inputs) - _INPUTS)
        if unknown or "input_ids" not in self._inputs or not outputs:
            raise ModelUnavailable(
                f"{weights.name} is no text classifier: its inputs are"
                f" {', '.join(self._inputs) or 'none'}. It was not used.",
                hint="Export a sequence-classification model with the inputs input_ids,"
                " attention_mask and, where it has them, token_type_ids.",
            )
        if rule is not None and not self._has_exit:
            raise ModelUnavailable(
                f"config.json says when the model may answer from its middle, but {weights.name}"
                " has no exit head. It was not used.",
                hint="Weights and config.json belong to different models: fetch both again.",
            )
        width = outputs[0].shape[-1] if outputs[0].shape else None
        if isinstance(width, int) and width != len(self._columns.roles):
            raise ModelUnavailable(
                f"{weights.name} has {width} outputs, but its labels name"
                f" {len(self._columns.roles)}. It was not used.",
                hint="Weights and config.json belong to different models, or `labels` is wrong.",
            )

    def _check_vectors(self, weights: Path, rows: int | None) -> None:
        """See that the network has a vector for every token, the one for padding included.

        On a CPU by trying the last one: a graph does not say how many there are. Other devices
        take whatever stands beside their table and say nothing, so there the config is asked.
        """
        last, pad = self._tokenizer.highest, self._pad_id
        if self._session.get_providers()[0] != _CPU:
            if rows is not None and max(last, pad) >= rows:
                raise no_vector(weights.name, last, pad)
            return
        feed = {name: np.zeros((1, 2), dtype=np.int64) for name in self._inputs}
        feed["input_ids"][:] = (last, pad)
        if "attention_mask" in feed:
            feed["attention_mask"][0, 0] = 1
        try:
            self._session.run([self._outputs["logits"]], feed)
        except Exception as exc:
            # onnxruntime's errors share no base class.
            raise onnx_untried(weights.name, last, pad, exc) from exc


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
        raise onnx_unloadable(weights.name, ort.__version__, exc) from exc
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
        return _CPU
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
