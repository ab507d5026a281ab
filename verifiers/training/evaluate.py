"""Evaluation: a network or an exported model on held-out pairs and on labelled grounding sets."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from verifiers.backends.load_faults import onnx_failed, onnx_unloadable
from verifiers.training.data import NOT_ENTAILMENT, half_character, read_lines
from verifiers.training.export import INPUTS
from verifiers.training.files import read_json, read_tokenizer, require
from verifiers.training.folders import longest
from verifiers.training.metrics import auroc, balanced_accuracy, softmax
from verifiers.training.sampling import collate, pack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from verifiers.training.data import Pairs

# Arrays of a batch (see sampling.collate) -> logits [rows, 3].
Forward = Callable[["Mapping[str, NDArray[Any]]"], "NDArray[Any]"]
# (premise, claim) pairs -> logits [pairs, 3].
Scorer = Callable[[Sequence[tuple[str, str]]], "NDArray[Any]"]

WINDOW_WORDS = 180
WINDOW_STRIDE = 120


def torch_forward(network: torch.nn.Module) -> Forward:
    """Run a torch network without gradients, in float32."""
    torch = require("torch")

    def forward(arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        with torch.inference_mode():
            inputs = {name: torch.from_numpy(arrays[name]) for name in INPUTS}
            logits: NDArray[Any] = network(**inputs).float().numpy()
        return logits

    return forward


def onnx_forward(folder: Path, *, threads: int = 1, early: bool = False) -> Forward:
    """Run ``model.onnx`` of a folder on the CPU, the whole network for every pair.

    With ``early`` the exit head's logits follow the last head's: ``[rows, 6]``.

    Raises:
        ModelUnavailable: If ONNX Runtime cannot load the graph. What is returned raises
            BackendFailed where it cannot run it.
    """
    np, ort = require("numpy"), require("onnxruntime")
    names = ["logits", "exit_logits"] if early else ["logits"]
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # it warns of inputs that are optional, as they should be
    try:
        session = ort.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
    except Exception as exc:
        # onnxruntime's errors share no base class.
        raise onnx_unloadable("model.onnx", ort.__version__, exc) from exc

    def forward(arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        try:
            found = session.run(names, {name: arrays[name] for name in INPUTS})
        except Exception as exc:
            rows, width = arrays[INPUTS[0]].shape
            raise onnx_failed(rows, width, exc) from exc
        logits: NDArray[Any] = np.concatenate(found, axis=1)
        return logits

    return forward


def logits_of(
    pairs: Pairs, forward: Forward, *, specials: tuple[int, int, int], max_tokens: int = 4_096
) -> NDArray[Any]:
    """Logits ``[rows, columns]`` of encoded pairs, in their order, in packed batches.

    Raises:
        ValueError: If a logit is no number; figures of such a model would look like figures.
    """
    np = require("numpy")
    cls, sep, pad = specials
    out: NDArray[Any] = np.zeros((len(pairs), 3), np.float32)
    for batch in pack(pairs.lengths.tolist(), max_tokens=max_tokens):
        found = forward(collate(pairs, batch, cls=cls, sep=sep, pad=pad))
        if found.shape[1] != out.shape[1]:  # only the forward knows how many heads it reads
            out = np.zeros((len(pairs), found.shape[1]), np.float32)
        out[batch] = found
    return _finite(out)


def _finite(logits: NDArray[Any]) -> NDArray[Any]:
    bad = int((~require("numpy").isfinite(logits)).any(axis=1).sum())
    if bad:
        raise ValueError(
            f"the model's scores are not numbers for {bad} of {len(logits)} pairs: its training"
            " diverged, or its weights are damaged. Go back to an earlier checkpoint."
        )
    return logits


def text_scorer(forward: Forward, tokenizer: Path, *, max_length: int) -> Scorer:
    """A scorer of texts. A premise too long for the model loses its end.

    Cutting is right in this bare measurement alone: the windows given to it are sized to fit,
    and the product itself never cuts (:mod:`verifiers.windows`).
    """
    np = require("numpy")
    reader = read_tokenizer(tokenizer)
    reader.enable_truncation(max_length, strategy="only_first")
    reader.no_padding()

    def score(pairs: Sequence[tuple[str, str]]) -> NDArray[Any]:
        found = reader.encode_batch(list(pairs))
        out = np.zeros((len(pairs), 3), np.float32)
        for batch in pack([len(e.ids) for e in found], max_tokens=4_096):
            width = max(len(found[i].ids) for i in batch)
            arrays = {name: np.zeros((len(batch), width), np.int64) for name in INPUTS}
            for row, i in enumerate(batch):
                size = len(found[i].ids)
                arrays["input_ids"][row, :size] = found[i].ids
                arrays["attention_mask"][row, :size] = 1
                arrays["token_type_ids"][row, :size] = found[i].type_ids
            out[batch] = forward(arrays)
        return _finite(out)

    return score


def held_out(pairs: Pairs, logits: NDArray[Any], *, threshold: float = 0.5) -> dict[str, float]:
    """Figures on held-out training pairs: overall, and balanced accuracy by data set."""
    np = require("numpy")
    scores, supported = softmax(logits)[:, 0], pairs.labels == 0
    three = pairs.labels != NOT_ENTAILMENT
    figures = {
        "balanced_accuracy": balanced_accuracy(scores, supported, threshold),
        "auroc": auroc(scores, supported),
        "accuracy_3way": float((logits[three].argmax(1) == pairs.labels[three]).mean()),
    }
    for number, name in enumerate(pairs.names):
        members = np.flatnonzero(pairs.datasets == number)
        truth = supported[members]
        if truth.any() and not truth.all():
            figures[f"ba/{name}"] = balanced_accuracy(scores[members], truth, threshold)
    return {name: round(value, 4) for name, value in figures.items()}


def windows(source: str, *, words: int = WINDOW_WORDS, stride: int = WINDOW_STRIDE) -> list[str]:
    """A source cut into overlapping stretches of words; a short one is one window, unchanged."""
    tokens = source.split()
    if len(tokens) <= words:
        return [source]
    starts = range(0, max(1, len(tokens) - words + stride), stride)
    return [" ".join(tokens[start : start + words]) for start in starts]


def read_grounding(path: Path, *, sample: int | None, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of a labelled grounding set that have a source; a seeded sample of them, if asked.

    Raises:
        ValueError: At the first line without the three texts, with another label than
            ``supported`` and ``unsupported``, or with half a character; quotes no text.
    """
    rows = [_grounding_row(line, f"{path.name}:{n}") for n, line in enumerate(read_lines(path), 1)]
    rows = [row for row in rows if row["source"].strip()]
    if sample is not None and len(rows) > sample:
        rows = random.Random(seed).sample(rows, sample)  # noqa: S311 - a sample, no secret
    return rows


def _grounding_row(line: str, where: str) -> dict[str, Any]:
    try:
        row: dict[str, Any] = json.loads(line)
        whole = all(isinstance(row[key], str) for key in ("source", "claim", "label"))
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise ValueError(f"{where}: needs source, claim and label, each a text")
    if row["label"] not in ("supported", "unsupported"):
        raise ValueError(f"{where}: the label has to be supported or unsupported")
    for key in ("source", "claim"):
        if half_character(row[key]):
            raise ValueError(f"{where}: {key} holds half a character (a lone surrogate)")
    return row


def grounding_scores(
    rows: Sequence[Mapping[str, Any]], score: Scorer, *, temperature: float = 1.0
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Best-window probability of entailment of each row, and whether it is supported."""
    np = require("numpy")
    pairs: list[tuple[str, str]] = []
    owner: list[int] = []
    for i, row in enumerate(rows):
        for window in windows(str(row["source"])):
            pairs.append((window, str(row["claim"])))
            owner.append(i)
    entailed = softmax(score(pairs), temperature)[:, 0]
    best = np.zeros(len(rows))
    np.maximum.at(best, np.array(owner), entailed)
    return best, np.array([row["label"] == "supported" for row in rows])


def grounding_table(
    sets: Sequence[Path],
    folder: Path,
    *,
    threshold: float,
    sample: int | None,
    threads: int = 1,
) -> Iterator[dict[str, Any]]:
    """One row of figures a grounding set, for an exported model at a threshold fixed before.

    Raises:
        ValueError: If a set has no row with a source, rows of one label only, or one that does not
            fit.
    """
    config = read_json(folder / "config.json")
    forward = onnx_forward(folder, threads=threads)
    score = text_scorer(forward, folder / "tokenizer.json", max_length=longest(config))
    temperature = float((config.get("calibration") or {}).get("temperature", 1.0))
    for path in sets:
        rows = read_grounding(path, sample=sample)
        if not rows:
            raise ValueError(f"{path} has no row with a source: there is nothing to measure")
        if len(found := {row["label"] for row in rows}) == 1:
            raise ValueError(f"{path}: all {len(rows)} rows are {found.pop()}; both are needed")
        scores, supported = grounding_scores(rows, score, temperature=temperature)
        yield {
            "set": path.name.partition(".")[0],
            "rows": len(rows),
            "balanced_accuracy": balanced_accuracy(scores, supported, threshold),
            "auroc": auroc(scores, supported),
        }
