"""Checkpoints of a run: all of its state in one file, replaced atomically.

One safetensors file holds the weights, their running average, both moments of the optimizer, and,
in its metadata, the position in the data and the recipe. Nothing is unpickled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from verifiers.training.files import replace_bytes, require
from verifiers.training.sampling import Position

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

VERSION: Final = "1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a run between two steps.

    Attributes:
        weights: By parameter name.
        average: Running average of the trained weights; empty if none is kept.
        moments: Optimizer state, ``<moment>/<parameter>``.
        rng: State of torch's generator (it decides dropout).
        position: Where the data stands.
        meta: Whatever else the run wants to remember.
    """

    weights: Mapping[str, torch.Tensor]
    average: Mapping[str, torch.Tensor]
    moments: Mapping[str, torch.Tensor]
    rng: torch.Tensor
    position: Position
    meta: Mapping[str, Any]


def save_checkpoint(state: Checkpoint, path: Path) -> None:
    """Write a checkpoint; a kill at any moment leaves the old file or the new one."""
    tensors = {"rng": state.rng}
    for kind, group in (
        ("weights", state.weights),
        ("average", state.average),
        ("moments", state.moments),
    ):
        tensors |= {f"{kind}/{name}": value.detach().contiguous() for name, value in group.items()}
    meta = {
        "version": VERSION,
        "position": json.dumps(state.position.to_json()),
        "meta": json.dumps(dict(state.meta)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_bytes(path, require("safetensors.torch").save(tensors, metadata=meta))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ValueError: If it is of another version, cut or changed.
    """
    try:
        return _read(path)
    except require("safetensors").SafetensorError as exc:
        raise ValueError(
            f"{path} is damaged ({exc}); put a kept one (tokens-*) in its place, or begin anew"
        ) from exc


def _read(path: Path) -> Checkpoint:
    groups: dict[str, dict[str, torch.Tensor]] = {"weights": {}, "average": {}, "moments": {}}
    with require("safetensors").safe_open(str(path), framework="pt") as file:
        meta = file.metadata() or {}
        if meta.get("version") != VERSION:
            raise ValueError(f"{path} is no checkpoint of version {VERSION}")
        for name in file.keys():  # noqa: SIM118 - not a mapping
            kind, _, rest = name.partition("/")
            if rest:
                groups[kind][rest] = file.get_tensor(name)
        rng = file.get_tensor("rng")
    return Checkpoint(
        **groups,
        rng=rng,
        position=Position(**json.loads(meta["position"])),
        meta=json.loads(meta["meta"]),
    )
