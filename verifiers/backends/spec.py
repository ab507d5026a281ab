"""What to load, as the operator wrote it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Backend = Literal["auto", "onnx", "torch", "tei", "vllm", "kserve"]
Form = Literal["auto", "fp32", "int8"]

BUNDLED = "bundled"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which NLI model, and how to run or reach it.

    Attributes:
        model: ``bundled``, the name of a preset (:mod:`verifiers.backends.presets`), the folder of
            a model, a Hugging Face id (torch), or the name a remote server knows the model by.
        backend: ``auto`` takes ``onnx`` for the bundled model and for folders that hold an
            ``.onnx`` file, else ``torch``. Remote servers are named: ``tei``, ``vllm``, ``kserve``.
        revision: Pins the model. For torch a commit, tag or branch of the hub; for the others it
            is compared with what is found, and another one is refused.
        device: ``cpu``, ``cuda`` or ``cuda:N``. Never falls back in silence.
        form: The arithmetic of an ONNX model that comes in two forms, as the bundled one does.
            ``auto`` takes ``int8`` where the CPU is made for it (:mod:`verifiers.backends.cpu`),
            else ``fp32``. Other backends and models compute in ``fp32`` and refuse ``int8``.
        early_exit: Whether a model with an exit head may answer from its middle where it is sure
            (as its config says). Models without one take no notice.
        threads: CPU threads for one batch; None for the physical cores this process may use, at
            most 4.
        url: Where the remote server is, such as ``http://127.0.0.1:8080``.
        timeout: Seconds a remote server may take for one batch.
        token: Sent to the remote server as a bearer token. Never shown.
        labels: Meaning of the model's output columns, in their order; None reads the model's
            config. See :func:`verifiers.backends.labels.read_columns`.
        template: How a pair becomes one text for a server that takes only one, with
            ``{premise}`` and ``{hypothesis}`` in it.
        tokenizer: Path of the remote model's ``tokenizer.json``, to count (and, for servers that
            take them, to send) its tokens exactly.
        max_tokens: Longest input; None reads it from the model or its server.
        outputs: Whether a KServe model returns ``logits`` or ``probabilities``; None goes by the
            name of the output, and refuses when the name says neither.
        folder: Where fetched presets are kept; None for the usual place
            (:func:`verifiers.backends.installed.default_folder`).
        canaries: Whether obvious pairs are scored at load to prove the labels. Switch off only
            for models that are not meant to be right, such as random ones in tests.
    """

    model: str = BUNDLED
    backend: Backend = "auto"
    revision: str | None = None
    device: str = "cpu"
    form: Form = "auto"
    early_exit: bool = True
    threads: int | None = None
    url: str | None = None
    timeout: float = 30.0
    token: str | None = field(default=None, repr=False)
    labels: tuple[str, ...] | None = None
    template: str | None = None
    tokenizer: str | None = None
    max_tokens: int | None = None
    outputs: Literal["logits", "probabilities"] | None = None
    folder: str | None = None
    canaries: bool = True
