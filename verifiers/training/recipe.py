"""A recipe: everything that decides what a training run does, as one value and one JSON file.

Two runs with the same recipe, data and start checkpoint see the same batches in the same order.
Wall-clock time decides nothing.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

from verifiers.training.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


# Of a recipe's numbers: at least, and less than.
_RANGES: Final = (
    ("seed", 0, math.inf),
    ("batch_tokens", 1, math.inf),
    ("pool_batches", 1, math.inf),
    ("head_factor", 0, math.inf),
    ("weight_decay", 0, math.inf),
    ("warmup_tokens", 0, math.inf),
    ("decay_start", 0, math.inf),
    ("decay_tokens", 1, math.inf),
    ("exit_weight", 0, math.inf),
    ("ema", 0, 1),
    ("smoothing", 0, 1),
    ("dropout", 0, 1),
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of training with one mixture of data.

    Attributes:
        name: For the log.
        tokens: How many tokens it lasts, padding not counted. The last stage of a recipe goes on
            for as long as training does.
        weights: Share of *rows* drawn from each data set; they need not sum to anything. A data
            set whose rows are used up starts again in a new order.
        max_length: Longest pair drawn in this stage, in tokens. Shorter stages first: the model
            learns to compare two texts on short pairs much sooner.
        min_length: Shortest pair drawn.
    """

    name: str
    tokens: int
    weights: Mapping[str, float]
    max_length: int = 512
    min_length: int = 0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. See ``guardrails/docs/training.md`` for why the defaults are what they are.

    Attributes:
        stages: The curriculum, in order.
        seed: Of the order of rows and of a new head.
        batch_tokens: Most tokens in one batch, padding counted.
        pool_batches: How many batches' worth of rows are drawn at a time and sorted by length.
        lr: Peak learning rate of the encoder.
        head_factor: Times that for pooler and classifier, which start from nothing.
        weight_decay: Decoupled, on matrices only.
        clip: Largest gradient norm.
        warmup_tokens: Linear rise from zero.
        decay_start: Token count at which the learning rate starts to fall, or None for never.
            Everything before is the stable part: from a checkpoint of it a later run can go on
            as if the decay had never been.
        decay_tokens: How long the fall to zero lasts.
        freeze_words: Keep the word embeddings as they are. They are half of the parameters of six
            layers and take a sixth of the time.
        freeze_layers: Keep the embeddings and so many of the lowest layers as they are. No gradient
            has to reach them, which saves a sixth of the time for three of twelve.
        exit_weight: Weight of the exit head's loss beside the last head's, which has weight 1. Of
            no effect where the start checkpoint's config says no ``exit_layer``.
        ema: Decay of the running average of the weights, a step; 0 keeps none.
        smoothing: Label smoothing of the three-way loss.
        dropout: Of attention and hidden states. 0 for less than one pass over the data.
        bf16: Multiply in bfloat16 where the CPU can; weights and optimizer stay float32.
    """

    stages: tuple[Stage, ...]
    seed: int = 17
    batch_tokens: int = 1_024
    pool_batches: int = 64
    lr: float = 5e-5
    head_factor: float = 8.0
    weight_decay: float = 0.01
    clip: float = 1.0
    warmup_tokens: int = 100_000
    decay_start: int | None = None
    decay_tokens: int = 2_000_000
    freeze_words: bool = True
    freeze_layers: int = 0
    exit_weight: float = 0.3
    ema: float = 0.998
    smoothing: float = 0.0
    dropout: float = 0.0
    bf16: bool = True

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("a recipe needs at least one stage")
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value < high:
                most = f" and less than {high:g}" if high < math.inf else ""
                raise ValueError(f"{name} is {value}, but has to be at least {low:g}{most}")
        if self.lr <= 0 or self.clip <= 0:
            raise ValueError(f"lr {self.lr} and clip {self.clip} have to be more than 0")
        for stage in self.stages:
            if stage.tokens <= 0 or not any(w > 0 for w in stage.weights.values()):
                raise ValueError(f"stage {stage.name!r} has no tokens or no data")
            if stage.max_length > self.batch_tokens:
                raise ValueError(f"stage {stage.name!r}: a pair may be longer than a batch")

    @property
    def end(self) -> int | None:
        """Token count at which the learning rate reaches zero, if it ever does."""
        return None if self.decay_start is None else self.decay_start + self.decay_tokens

    def stage_at(self, tokens: int) -> int:
        """Which stage training is in after so many tokens."""
        for i, stage in enumerate(self.stages):
            tokens -= stage.tokens
            if tokens < 0:
                return i
        return len(self.stages) - 1

    def lr_factor(self, tokens: int) -> float:
        """The share of the peak learning rate after so many tokens: rise, plateau, fall."""
        if tokens < self.warmup_tokens:
            return tokens / self.warmup_tokens
        if self.decay_start is None or tokens < self.decay_start:
            return 1.0
        return max(0.0, 1.0 - (tokens - self.decay_start) / self.decay_tokens)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; an unknown key is an error, so that a typo cannot pass for a default."""
    raw = read_json(path)
    listed = raw.pop("stages", [])
    if not isinstance(listed, list) or not all(isinstance(stage, dict) for stage in listed):
        raise ValueError(f"{path}: stages is no list of objects")
    stages = tuple(_known(Stage, stage, path) for stage in listed)
    return _known(Recipe, {**raw, "stages": stages}, path)


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe that :func:`load_recipe` reads back as the same value."""
    write_json(path, asdict(recipe))


_T = TypeVar("_T", Stage, Recipe)


def _known(kind: type[_T], raw: Mapping[str, Any], path: Path) -> _T:
    allowed = {f.name for f in fields(kind)}
    if unknown := sorted(set(raw) - allowed):
        known = ", ".join(sorted(allowed))
        raise ValueError(f"{path}: unknown {', '.join(unknown)}; {kind.__name__} has {known}")
    for one in fields(kind):
        if one.name in raw and one.name != "stages" and not _fits(raw[one.name], str(one.type)):
            raise ValueError(f"{path}: {one.name} is {raw[one.name]!r}, not {one.type}")
        if one.name not in raw and one.default is MISSING:
            raise ValueError(f"{path}: {kind.__name__} needs {one.name}")
    return kind(**raw)


def _fits(value: object, kind: str) -> bool:
    """Whether a value from JSON is of a field's type, and a number is a finite one."""
    if kind == "Mapping[str, float]":
        return isinstance(value, dict) and all(_fits(weight, "float") for weight in value.values())
    if kind in {"str", "bool"}:
        return isinstance(value, str if kind == "str" else bool)
    if kind == "int | None" and value is None:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and (kind == "float" or isinstance(value, int))
