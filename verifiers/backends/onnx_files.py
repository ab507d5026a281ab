"""The files of an ONNX model: which graph of a folder to run, what it reads, and their digests."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from verifiers.backends.cpu import int8_advice
from verifiers.backends.spec import BUNDLED
from verifiers.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from verifiers.backends.config import ModelConfig
    from verifiers.backends.cpu import Advice
    from verifiers.backends.spec import ModelSpec

# The one of the models in the package that `bundled` means.
_BUNDLED_NAME = "nli-minilm-l12-v7"
_REINSTALL = "Install groundrail again; the model is part of the package."
_INT8 = ".int8.onnx"
# How exporters call the file beside a graph that holds its weights.
_DATA = (".data", "_data")


class Located(NamedTuple):
    """Where a model is, and which of its graphs to run.

    Attributes:
        folder: Holds ``config.json`` and ``tokenizer.json``.
        graph: The graph to run.
        form: Its arithmetic, ``fp32`` or ``int8``.
        graphs: All graphs of the model, in whatever form.
    """

    folder: Path
    graph: Path
    form: str
    graphs: tuple[Path, ...]


def locate(spec: ModelSpec, *, advice: Callable[[], Advice] = int8_advice) -> Located:
    """The files of the model ``spec`` names, in the form it asks for.

    Raises:
        ModelUnavailable: If there is no such model, or it does not come in that form.
    """
    folder, graph, named = _find(spec)
    if graph.name.endswith(_INT8):
        return _only(spec, Located(folder, graph, "int8", (graph,)))
    small = graph.with_name(graph.name.removesuffix(".onnx") + _INT8)
    if named or not small.is_file():
        return _only(spec, Located(folder, graph, "fp32", (graph,)))
    form = spec.form
    if form == "auto":
        form = "int8" if spec.device == "cpu" and advice().int8 else "fp32"
    return Located(folder, small if form == "int8" else graph, form, (graph, small))


def _only(spec: ModelSpec, found: Located) -> Located:
    if spec.form not in ("auto", found.form):
        raise ModelUnavailable(
            f"{found.graph.name} computes in {found.form}, but the form {spec.form} was asked for."
            " It was not used.",
            hint="Leave `form` at auto, or name a model that comes in this form.",
        )
    return found


def _find(spec: ModelSpec) -> tuple[Path, Path, bool]:
    """Folder, graph, and whether the graph was named itself."""
    if spec.model == BUNDLED:
        return *_bundled(), False
    path = Path(spec.model).expanduser()
    if path.suffix == ".onnx" and path.is_file():
        return path.parent, path, True
    if not path.is_dir():
        raise ModelUnavailable(
            f"There is no ONNX model at {spec.model!r}.",
            hint="Give the folder that holds model.onnx, tokenizer.json and config.json.",
        )
    for candidate in (path / "model.onnx", path / "onnx" / "model.onnx"):
        if candidate.is_file():
            return path, candidate, False
    found = sorted(path.glob("*.onnx"))
    if len(found) == 1:
        return path, found[0], False
    raise ModelUnavailable(
        f"The folder {spec.model!r} holds {'several .onnx files' if found else 'no .onnx file'}.",
        hint="Name the file itself." if found else "Export the model first, or use backend: torch.",
    )


def _bundled() -> tuple[Path, Path]:
    graph = Path(str(files("verifiers") / "models")) / _BUNDLED_NAME / "model.onnx"
    if not graph.is_file():
        raise ModelUnavailable("The bundled model is not there.", hint=_REINSTALL)
    return graph.parent, graph


def content_digest(found: Located, config: ModelConfig) -> str:
    """SHA-256 of what the model is: its graph, or, where it is several files, of all of them.

    It does not depend on which of the graphs runs. Every file is compared with the config.

    Raises:
        ModelUnavailable: If a file is missing, cannot be read, or is not the one it should be.
    """
    beside = found.graph.parent
    data = {name for name in config.digests if name.endswith(_DATA)}
    for graph in found.graphs:
        data |= {graph.name + end for end in _DATA if (beside / (graph.name + end)).is_file()}
    paths = [*found.graphs, *(beside / name for name in sorted(data))]
    digests = {path.name: _digest(path, config) for path in paths}
    if len(digests) == 1:
        return digests[found.graph.name]
    whole = "".join(f"{name}\0{digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(whole.encode()).hexdigest()


def _digest(path: Path, config: ModelConfig) -> str:
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError as exc:
        raise ModelUnavailable(
            f"{path.name}, which holds weights of the model, is not in {path.parent}."
            " The model was not used.",
            hint="Copy or fetch the whole folder again.",
        ) from exc
    except OSError as exc:
        raise ModelUnavailable(
            f"Cannot read {path}: {exc.strerror or type(exc).__name__}.",
            hint="Check that the file is there and may be read.",
        ) from exc
    config.check_digest(path.name, digest)
    return digest
