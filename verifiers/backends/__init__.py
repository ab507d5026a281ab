"""Models behind one port: an explicit table from a backend's name to its loader.

Nothing is registered at import, and no backend's library is imported before it is asked for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from verifiers.backends.canary import RELABEL, check_canaries
from verifiers.backends.presets import PRESETS
from verifiers.backends.spec import BUNDLED, Backend, ModelSpec
from verifiers.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from verifiers.protocols import PairScorer

__all__ = ["BUNDLED", "Backend", "ModelSpec", "batch_tokens", "choose_backend", "load_scorer"]

_REMOTE = frozenset({"tei", "vllm", "kserve"})
# On two cores the bundled model scores no more tokens a second in larger batches than in these, and
# a larger batch only makes everyone behind it wait longer. GPUs and servers want more at once.
_CPU_BATCH_TOKENS = 1_024
_BIG_BATCH_TOKENS = 16_384


def load_scorer(spec: ModelSpec) -> PairScorer:
    """Load a model, or connect to its server, and prove that its labels mean what they say.

    Call it in the thread that will own the scorer, such as through ``NLIEngine``.

    Raises:
        ModelUnavailable: If there is no such model, its files are broken, its revision or digest
            is another one, or its server does not answer.
        LabelsUnmapped: If its labels cannot be told apart.
        CanaryFailed: If it gets obvious pairs wrong.
        Overloaded: If its server is busy.
        MissingExtra: If the backend's library is not installed.
    """
    backend = choose_backend(spec)
    if spec.form == "int8" and backend != "onnx":
        raise ModelUnavailable(
            f"The form int8 was asked for, which the backend {backend!r} does not have."
            " The model was not used.",
            hint="Leave `form` at auto, or name an ONNX model that comes in int8.",
        )
    load = _LOADERS[backend]
    try:
        scorer = load(spec)
        if spec.canaries:
            _prove(scorer, spec)
    except MemoryError as exc:
        raise ModelUnavailable(
            f"There is not enough memory for the model {spec.model!r}. It was not used.",
            hint="Free memory, or take a smaller model.",
        ) from exc
    return scorer


def _prove(scorer: PairScorer, spec: ModelSpec) -> None:
    try:
        check_canaries(scorer, hint=_preset_hint(spec) if spec.model in PRESETS else RELABEL)
    except BaseException:
        scorer.close()
        raise


def choose_backend(spec: ModelSpec) -> str:
    """The name of the backend that will run ``spec``; looks at files, loads nothing.

    Raises:
        ModelUnavailable: If the spec contradicts itself or names a folder that is not there.
    """
    if spec.backend != "auto":
        if spec.backend not in _LOADERS:
            raise ModelUnavailable(
                f"There is no backend {spec.backend!r}.",
                hint=f"Choose one of: auto, {', '.join(sorted(_LOADERS))}.",
            )
        if spec.backend in _REMOTE and not (spec.url or _is_url(spec.model)):
            raise ModelUnavailable(
                f"The backend {spec.backend!r} needs the address of its server.",
                hint="Set `url`, for example http://127.0.0.1:8080.",
            )
        return spec.backend
    if spec.url or _is_url(spec.model):
        raise ModelUnavailable(
            "A server's address is given, but not what the server speaks.",
            hint="Set `backend` to tei (Text Embeddings Inference), vllm or kserve.",
        )
    if spec.model == BUNDLED:
        return "onnx"
    if spec.model in PRESETS:
        return "torch"
    path = Path(spec.model).expanduser()
    if path.is_dir():
        return "onnx" if [*path.glob("*.onnx"), *path.glob("onnx/*.onnx")] else "torch"
    if path.suffix == ".onnx":
        return "onnx"
    if re.fullmatch(r"(?!\.)[\w.-]+(/[\w.-]+)?", spec.model) and not path.is_absolute():
        return "torch"
    raise ModelUnavailable(
        f"There is no model folder {spec.model!r}.",
        hint="Give the path of a folder with a model in it, a preset (`groundrail models list`), a"
        " Hugging Face id, or 'bundled'.",
    )


def batch_tokens(spec: ModelSpec) -> int:
    """A sensible token budget for one batch of this model."""
    local_cpu = choose_backend(spec) not in _REMOTE and spec.device == "cpu"
    return _CPU_BATCH_TOKENS if local_cpu else _BIG_BATCH_TOKENS


def _preset_hint(spec: ModelSpec) -> str:
    """What to do about a preset whose labels, which nobody can set, do not hold."""
    return (
        f"Its files are not what the preset was made for, or this is a version of transformers that"
        f" reads them otherwise. Run: groundrail models fetch {spec.model} --force; if it stays,"
        f" report it with the versions `groundrail doctor` shows."
    )


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _onnx(spec: ModelSpec) -> PairScorer:
    from verifiers.backends.onnx import OnnxScorer

    return OnnxScorer(spec)


def _torch(spec: ModelSpec) -> PairScorer:
    if spec.model in PRESETS:
        from verifiers.backends.preset_scorer import open_preset

        return open_preset(spec)
    from verifiers.backends.torch import TorchScorer

    return TorchScorer(spec)


def _tei(spec: ModelSpec) -> PairScorer:
    from verifiers.backends.remote import TeiScorer

    return TeiScorer(spec)


def _vllm(spec: ModelSpec) -> PairScorer:
    from verifiers.backends.vllm import VllmScorer

    return VllmScorer(spec)


def _kserve(spec: ModelSpec) -> PairScorer:
    from verifiers.backends.kserve import KServeScorer

    return KServeScorer(spec)


_LOADERS: dict[str, Callable[[ModelSpec], PairScorer]] = {
    "onnx": _onnx,
    "torch": _torch,
    "tei": _tei,
    "vllm": _vllm,
    "kserve": _kserve,
}
