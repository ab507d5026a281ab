"""What it means when transformers does not load a model, or loads another than was trained.

The libraries raise OSError, ValueError, RuntimeError and others from deep inside, or only warn and
go on with random or missing weights. Here each becomes one clear error. Imports none of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from verifiers.errors import BackendFailed, ModelUnavailable
from verifiers.memory import out_of_memory

if TYPE_CHECKING:
    from collections.abc import Mapping

TOO_BIG = "Free memory, take a smaller model, or set `device` to one with more memory."
# A numbered layer in the name of a weight, as the families name them.
_LAYER = re.compile(r"(^|\.)(layers?|blocks?|h)\.\d+\.")


def require_weights(source: str, report: Mapping[str, Any]) -> None:
    """Refuse a network that is not the one its weights were trained as.

    Args:
        source: Name of the model, for the message.
        report: What transformers tells with ``output_loading_info``.

    Raises:
        ModelUnavailable: If weights are missing, have another shape, or belong to layers that the
            network does not have.
    """
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        # transformers fills them with random numbers and only warns.
        raise ModelUnavailable(
            f"The model {source!r} lacks {len(missing)} weights, among them {missing[0]}."
            " It was not used.",
            hint="It was never trained as a classifier, or its file is incomplete.",
        )
    other = sorted(report.get("mismatched_keys", ()))
    if other:
        name, there, wanted = other[0]
        raise ModelUnavailable(
            f"The weights of {source!r} are not those its config.json describes: {len(other)} have"
            f" another shape, among them {name} with {list(there)}, not {list(wanted)}."
            " It was not used.",
            hint="Config and weights belong to different models: fetch both again.",
        )
    layers = sorted(key for key in report.get("unexpected_keys", ()) if _LAYER.search(key))
    if layers:
        # transformers leaves them out and only warns: a network with fewer layers than trained.
        raise ModelUnavailable(
            f"The weights of {source!r} have layers its config.json does not: {len(layers)} weights"
            f" would be left out, among them {layers[0]}. It was not used.",
            hint="Config and weights belong to different models: fetch both again.",
        )


def wants_code(source: str) -> ModelUnavailable:
    """The error for a model that brings code."""
    return ModelUnavailable(
        f"The model {source!r} wants to run code from the hub (trust_remote_code), which"
        " groundrail never does. It was not used.",
        hint="Take a model that transformers runs itself. For Vectara's HHEM use the preset"
        " 'hhem-2.1-open', which needs no such code.",
    )


# What transformers and torch say, what that means, and what to do about it.
_MEANINGS = (
    (
        re.compile("does not recognize this architecture"),
        "it is of a kind this version of transformers does not know",
        "Upgrade transformers, or take another model.",
    ),
    (
        re.compile("deserializing header|PytorchStreamReader|central directory|pickle|EOF"),
        "its weights are truncated, corrupt or no weights at all",
        "Fetch the model again.",
    ),
    (
        re.compile("size mismatch"),
        "its weights are not those its config.json describes",
        "Config and weights belong to different models: fetch both again.",
    ),
    (
        re.compile("backend tokenizer|tokenizer_file|SentencePiece"),
        "its tokenizer is missing or cannot be read",
        "Fetch the model again, with tokenizer.json.",
    ),
    (
        re.compile("couldn't connect|not a local folder|Repository Not Found|offline mode"),
        "it is not in the hub's cache here, and the hub was not reached or does not have it",
        "Check the name, the revision and the network.",
    ),
    (
        re.compile("Repo id must"),
        "it is neither a folder that is there nor a name on the hub",
        "Check the path.",
    ),
)
_ANY_CAUSE = (
    "Check the name, the revision and the network, or that the folder holds config.json,"
    " tokenizer and weights, whole. Models that need code from the hub are not run."
)


def unloadable(source: str, exc: Exception, *, memory: bool) -> ModelUnavailable:
    """The error for what a library raised while it loaded a model.

    Args:
        source: Name of the model.
        exc: What was raised.
        memory: Whether it means that there was not enough memory.
    """
    said = str(exc)
    if "trust_remote_code" in said:
        return wants_code(source)
    if memory:
        return ModelUnavailable(
            f"There is not enough memory for the model {source!r} ({type(exc).__name__})."
            " It was not used.",
            hint=TOO_BIG,
        )
    if type(exc).__name__ == "SafetensorError":
        said = "deserializing header"  # that library's one error is about broken files
    why, hint = next(
        ((f": {why}", hint) for sign, why, hint in _MEANINGS if sign.search(said)),
        ("", _ANY_CAUSE),
    )
    return ModelUnavailable(
        f"transformers cannot load the model {source!r} ({type(exc).__name__}){why}."
        " It was not used.",
        hint=hint,
    )


_OUTSIDE = re.compile(r"out of (data )?bounds|indices element|index out of range", re.IGNORECASE)


def onnx_unloadable(name: str, version: str, exc: Exception) -> ModelUnavailable:
    """The error for what ONNX Runtime raised while it loaded a file; its kinds share no base."""
    said = str(exc)
    why = "It was not used."
    if out_of_memory(exc):
        why, hint = f"There is not enough memory for it. {why}", TOO_BIG
    elif "opset" in said.lower():
        why = f"Its operators are newer than this onnxruntime. {why}"
        hint = "Please upgrade onnxruntime, or export the model with an older opset."
    else:
        hint = (
            "The file, or one beside it that holds its weights, is missing, truncated or corrupt,"
            " or uses operators newer than this onnxruntime: fetch the whole folder again, or"
            " upgrade onnxruntime."
        )
    return ModelUnavailable(
        f"ONNX Runtime {version} cannot load {name} ({type(exc).__name__}). {why}", hint=hint
    )


def no_vector(name: str, last: int, pad: int) -> ModelUnavailable:
    """The error for a tokenizer, or a padding id, beyond a network's table of tokens."""
    return ModelUnavailable(
        f"The tokenizer names tokens up to {last}, and pairs are padded with {pad}, but {name} does"
        " not have a vector for each. It was not used.",
        hint="tokenizer.json, config.json and weights belong to different models: fetch all again.",
    )


def onnx_untried(name: str, last: int, pad: int, exc: Exception) -> ModelUnavailable:
    """The error for what ONNX Runtime raised when a network was tried on its last token."""
    if _OUTSIDE.search(str(exc)):
        return no_vector(name, last, pad)
    return ModelUnavailable(
        f"ONNX Runtime cannot run {name} on two tokens ({type(exc).__name__})."
        f" {'There is not enough memory for it. ' if out_of_memory(exc) else ''}It was not used.",
        hint=TOO_BIG
        if out_of_memory(exc)
        else "Export it as a sequence classifier for inputs of any length, or upgrade onnxruntime.",
    )


def onnx_failed(rows: int, longest: int, exc: Exception) -> BackendFailed:
    """The error for what ONNX Runtime raised while it scored a batch."""
    said = str(exc)
    what, hint = "failed", "Run `groundrail doctor`; if it says the model is well, report this."
    if out_of_memory(exc):
        what, hint = "ran out of memory", "Lower the batch budget, or `max_tokens` of the model."
    elif _OUTSIDE.search(said):
        hint = (
            "A token or a place in the text is beyond the model's tables: tokenizer.json or"
            " `max_length` belong to another model."
        )
    return BackendFailed(
        f"ONNX Runtime {what} on a batch of {rows} x {longest} tokens ({type(exc).__name__})."
        " Nothing was scored.",
        hint=hint,
    )
