"""Figures of checkpoints side by side, to choose between them before one is exported.

Everything is measured with the network as it was trained, in torch: no calibration, no exit, no
rounding. The threshold is each checkpoint's own best one on the first file of held-out pairs, so
that a checkpoint which is merely surer of itself is not taken for a better one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from verifiers.training import evaluate as ev
from verifiers.training import model as models
from verifiers.training.data import read_rows
from verifiers.training.files import read_json, require
from verifiers.training.folders import longest
from verifiers.training.metrics import auroc, balanced_accuracy, best_threshold, softmax

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from verifiers.training.data import Row

ABOUT: Final = "Measure checkpoints on held-out pairs and labelled sets, to choose one."
SEED: Final = 1


@dataclass(frozen=True, slots=True)
class Sets:
    """What checkpoints are compared on.

    Attributes:
        pairs: Held-out pairs by the name of their file; the first chooses thresholds.
        grounding: Rows of labelled sets by name, as :func:`evaluate.read_grounding` reads them.
    """

    pairs: Mapping[str, Sequence[Row]]
    grounding: Mapping[str, Sequence[Mapping[str, Any]]]


def named(models: Sequence[str]) -> dict[str, Path]:
    """``[NAME=]FOLDER`` each, by name; a folder without one goes by its own.

    Raises:
        ValueError: If two go by the same name.
    """
    found: dict[str, Path] = {}
    for text in models:
        name, equals, folder = text.partition("=")
        path = Path(folder if equals else text)
        name = name if equals else path.name
        if name in found:
            raise ValueError(f"two models are called {name!r}; write NAME=FOLDER")
        found[name] = path
    return found


def read_sets(
    held_out: Sequence[Path],
    grounding: Sequence[Path],
    *,
    limit: int | None = None,
    sample: int | None = None,
) -> Sets:
    """Read what to compare on, before anything is measured.

    Args:
        held_out: Files of labelled pairs.
        grounding: Files of labelled sets.
        limit: Pairs drawn of each of the former; all, if not given.
        sample: Rows drawn of each of the latter; all, if not given.

    Raises:
        ValueError: If a file cannot be used, holds one label only, or has the name of another.
    """
    pairs: dict[str, Sequence[Row]] = {}
    for path in held_out:
        rows = list(read_rows(path))
        if limit is not None and len(rows) > limit:
            rows = random.Random(SEED).sample(rows, limit)  # noqa: S311 - a sample, no secret
        _add(pairs, path, rows, {row.label == "entailment" for row in rows})
    sets: dict[str, Sequence[Mapping[str, Any]]] = {}
    for path in grounding:
        found = ev.read_grounding(path, sample=sample)
        _add(sets, path, found, {row["label"] for row in found})
    return Sets(pairs, sets)


def _add(found: dict[str, Any], path: Path, rows: Sequence[Any], labels: set[Any]) -> None:
    name = path.name.partition(".")[0]
    if name in found:
        raise ValueError(f"{path}: another file is called {name}, too; rename one")
    if len(labels) <= 1:
        raise ValueError(f"{path}: there have to be supported and unsupported rows, both")
    found[name] = rows


def compare(
    name: str, folder: Path, sets: Sets, *, threads: int = 1, bf16: bool = False
) -> dict[str, Any]:
    """Figures of one checkpoint.

    Args:
        name: What it is called.
        folder: With ``config.json``, ``model.safetensors`` and ``tokenizer.json``.
        sets: What to measure on.
        threads: Of torch.
        bf16: Whether products are in bfloat16.

    Returns:
        ``model``, ``threshold``, ``held_out`` and ``grounding`` (by file: rows,
        ``balanced_accuracy`` at that threshold, ``best`` at its own best one, ``auroc``), and their
        means over files under ``means``.

    Raises:
        ValueError: If the checkpoint cannot be used.
    """
    score = _scorer(folder, threads=threads, bf16=bf16)
    threshold: float | None = None
    held_out: dict[str, dict[str, float]] = {}
    for key, rows in sets.pairs.items():
        logits = score([(row.premise, row.hypothesis) for row in rows])
        scores, supported = softmax(logits)[:, 0], _array(row.label == "entailment" for row in rows)
        if threshold is None:
            threshold = best_threshold(scores, supported)
        held_out[key] = _figures(scores, supported, threshold)
    grounding: dict[str, dict[str, float]] = {}
    for key, found in sets.grounding.items():
        grounding[key] = _figures(*ev.grounding_scores(found, score), threshold or 0.5)
    return {
        "model": name,
        "threshold": threshold,
        "held_out": held_out,
        "grounding": grounding,
        "means": {
            kind: {
                figure: sum(row[figure] for row in rows.values()) / len(rows)
                for figure in ("balanced_accuracy", "best", "auroc")
            }
            for kind, rows in (("held_out", held_out), ("grounding", grounding))
            if rows
        },
    }


def told(row: Mapping[str, Any]) -> str:
    """The figures of one checkpoint in one line: balanced accuracy / AUROC, best in brackets."""
    parts = [f"{row['model']:16} at {row['threshold']:.2f}"]
    parts += [f"{key} {_told(figures)}" for key, figures in row["held_out"].items()]
    if "grounding" in row["means"]:
        parts.append(f"{len(row['grounding'])} labelled sets {_told(row['means']['grounding'])}")
    return " | ".join(parts)


def _told(figures: Mapping[str, float]) -> str:
    return f"{figures['balanced_accuracy']:.3f} ({figures['best']:.3f}) / {figures['auroc']:.3f}"


def _figures(scores: NDArray[Any], supported: NDArray[Any], threshold: float) -> dict[str, float]:
    best = best_threshold(scores, supported)
    return {
        "rows": len(scores),
        "balanced_accuracy": balanced_accuracy(scores, supported, threshold),
        "best": balanced_accuracy(scores, supported, best),
        "auroc": auroc(scores, supported),
    }


def _scorer(folder: Path, *, threads: int, bf16: bool) -> ev.Scorer:
    torch = require("torch")
    torch.set_num_threads(threads)
    network = models.load(folder).eval()
    whole = ev.torch_forward(network)

    def forward(arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return whole(arrays)[:, :3]

    limit = longest(read_json(folder / "config.json"))
    return ev.text_scorer(forward, folder / "tokenizer.json", max_length=limit)


def _array(values: Any) -> NDArray[Any]:
    found: NDArray[Any] = require("numpy").array(list(values))
    return found
