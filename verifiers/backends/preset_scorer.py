"""A preset as a scorer: its own wording, its own place of the answer, the one port.

Two-way models know support and its absence. What they do not support is neutral here, and
contradiction is 0: nothing is known of it, so such a model never makes a claim ``contradicted``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from verifiers.backends.config import longest_input
from verifiers.backends.installed import installed
from verifiers.backends.network import (
    Network,
    load_head,
    load_t5_token_classifier,
    open_device,
    require_rows,
)
from verifiers.backends.presets import Head, find_preset
from verifiers.backends.spans import merged
from verifiers.backends.template import TemplateTokenizer
from verifiers.backends.tokenizer import PairTokenizer
from verifiers.errors import InputTooLong, LabelsUnmapped, ModelUnavailable
from verifiers.types import ModelInfo, NLIProbs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verifiers.backends.presets import Preset
    from verifiers.backends.spans import ScoredSpan
    from verifiers.backends.spec import ModelSpec
    from verifiers.backends.tokenizer import Encoded
    from verifiers.types import Pair

# Families whose positions are relative, so that the config's number of positions is no limit.
_RELATIVE = frozenset({"t5", "deberta-v2"})
# A hypothesis without a single token states nothing, and nothing supports it.
_NOTHING_SAID = NLIProbs(0.0, 1.0, 0.0)


class PresetScorer:
    """An installed preset, in fp32. See :class:`verifiers.protocols.PairScorer`."""

    def __init__(self, spec: ModelSpec) -> None:
        """Load an installed preset from its folder; uses no network.

        Raises:
            ModelUnavailable: If it is not installed, its files are damaged or another model's, it
                is another revision than pinned, or the device or the memory is not there.
            LabelsUnmapped: If its config says something else about its labels than the preset.
        """
        preset = find_preset(spec.model)
        _refuse_overrides(spec, preset)
        device = open_device(spec.device)
        folder, manifest = installed(preset, spec.folder, revision=spec.revision)
        config = _config(folder / "config.json", preset)
        beside = folder / preset.companion.folder if preset.companion else folder
        network_config = _config(beside / "config.json", None) if preset.companion else config
        self._preset = preset
        self._columns = preset.columns(config.get("id2label"))
        pairs, _ = PairTokenizer.load(beside / "tokenizer.json")
        self._pairs = pairs
        self._tokens = TemplateTokenizer(preset, pairs)
        self._answers = _answers(preset, pairs)
        self._limit = _longest(network_config, preset, beside, override=spec.max_tokens)
        room = self._limit - self._tokens.overhead
        if room < 1:
            raise ModelUnavailable(
                f"The preset {preset.name!r} needs {self._tokens.overhead} tokens for its own"
                f" words, and {self._limit} are allowed. It was not used.",
                hint="Raise `max_tokens`.",
            )
        if preset.head is Head.FIRST:
            model = load_t5_token_classifier(
                beside,
                folder / "model.safetensors",
                columns=len(preset.roles),
                prefix=preset.prefix,
            )
        else:
            model = load_head(folder, preset.head)
        outputs = model.config.num_labels
        if preset.head is not Head.NEXT and outputs != len(preset.roles):
            raise LabelsUnmapped(
                f"The model has {outputs} outputs, but the preset {preset.name!r} knows"
                f" {len(preset.roles)}. It was not used.",
                hint=f"Run: groundrail models fetch {preset.name} --force",
            )
        require_rows(preset.name, model, pairs.highest)
        pad = network_config.get("pad_token_id")
        self._network = Network(model, device, pad_id=pad if isinstance(pad, int) else pairs.pad_id)
        self._info = ModelInfo(
            name=preset.name,
            revision=f"{manifest.revision}@{manifest.digest}",
            backend="torch",
            max_tokens=room,
            calibration="none",
            form=self._network.form,
            labels=self._columns.labels,
        )

    @property
    def info(self) -> ModelInfo:
        """What produces the scores; ``max_tokens`` is what the template leaves for the texts."""
        return self._info

    def count_tokens(self, pairs: Sequence[Pair]) -> list[int]:
        """The length of each pair with its special tokens, without the template's own words."""
        return self._tokens.count_pairs(pairs)

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text alone."""
        return self._tokens.count_text(texts)

    def score(self, pairs: Sequence[Pair]) -> list[NLIProbs]:
        """Score one batch in one forward pass.

        Raises:
            InputTooLong: If a pair does not fit. Nothing is cut.
            BackendFailed: If the model fails or answers what is no number.
        """
        if not pairs:
            return []
        encoded = self._tokens.encode(pairs)
        self._require_room(encoded)
        rows = self._rows(encoded)
        return [self._columns.from_logits(row) for row in rows]

    def close(self) -> None:
        """Let go of the model's memory."""
        self._network.close()

    def _rows(self, encoded: Sequence[Encoded]) -> list[list[float]]:
        if self._preset.head is Head.NEXT:
            return self._network.next_token_rows(encoded, self._answers)
        return self._network.rows(encoded)

    def _require_room(self, encoded: Sequence[Encoded]) -> None:
        longest = max(len(item.ids) for item in encoded)
        if longest > self._limit:
            raise InputTooLong(
                f"A pair of {longest} tokens does not fit the model, which reads {self._limit},"
                " template included. Nothing was cut and nothing was scored.",
                hint="Cut the source into windows, or the claim into sentences.",
            )


class SpanPresetScorer(PresetScorer):
    """A preset that judges every token of the hypothesis.

    A pair is supported as far as its least supported token is: the rule by which the authors call
    an answer hallucinated when one token is. See :class:`verifiers.backends.spans.SpanScorer`.
    """

    def score(self, pairs: Sequence[Pair]) -> list[NLIProbs]:
        """Score one batch in one forward pass.

        Raises:
            InputTooLong: If a pair does not fit. Nothing is cut.
            BackendFailed: If the model fails or answers what is no number.
        """
        found = self._judge([self._tokens.worded(pair) for pair in pairs]) if pairs else []
        return [
            min((probs for _, probs in tokens), key=lambda probs: probs.entailment)
            if tokens
            else _NOTHING_SAID
            for tokens in found
        ]

    def spans(
        self, pair: Pair, *, question: str | None = None, threshold: float = 0.5
    ) -> list[ScoredSpan]:
        """The stretches of the hypothesis that the premise does not support.

        Raises:
            InputTooLong: If the pair does not fit. Nothing is cut.
            BackendFailed: If the model fails or answers what is no number.
        """
        (tokens,) = self._judge([self._tokens.worded(pair, question=question)])
        return merged(
            pair.hypothesis,
            [(place, 1.0 - probs.entailment) for place, probs in tokens],
            threshold=threshold,
        )

    def _judge(self, worded: Sequence[Pair]) -> list[list[tuple[tuple[int, int], NLIProbs]]]:
        encoded = self._pairs.hypotheses(worded)
        self._require_room([item.encoded for item in encoded])
        rows = self._network.token_rows([item.encoded for item in encoded])
        found = []
        for item, own in zip(encoded, rows, strict=True):
            tokens = []
            for place, span in zip(item.places, item.spans, strict=True):
                tokens.append((span, self._columns.from_logits(own[place])))
            found.append(tokens)
        return found


def open_preset(spec: ModelSpec) -> PresetScorer:
    """The scorer of the preset that ``spec.model`` names.

    Raises:
        ModelUnavailable: As :class:`PresetScorer`.
        LabelsUnmapped: As :class:`PresetScorer`.
    """
    kind = SpanPresetScorer if find_preset(spec.model).head is Head.TOKENS else PresetScorer
    return kind(spec)


def _refuse_overrides(spec: ModelSpec, preset: Preset) -> None:
    for name in ("labels", "template", "tokenizer", "outputs", "url"):
        if getattr(spec, name) is not None:
            raise ModelUnavailable(
                f"`{name}` cannot be set for the preset {preset.name!r}: it is part of the preset.",
                hint=f"Leave `{name}` out, or give the folder of the model instead of the preset.",
            )


def _config(path: Path, preset: Preset | None) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelUnavailable(
            f"Cannot read {path} ({type(exc).__name__}). The model was not used.",
            hint="Fetch the model again with `groundrail models fetch NAME --force`.",
        ) from exc
    if not isinstance(raw, dict):
        raise ModelUnavailable(
            f"{path} is no JSON object. The model was not used.",
            hint="Fetch the model again with `groundrail models fetch NAME --force`.",
        )
    if preset is not None and raw.get("model_type") not in preset.model_types:
        wants = " It wants code from the hub, which is never run." if "auto_map" in raw else ""
        raise ModelUnavailable(
            f"{path} is of the type {str(raw.get('model_type'))[:40]!r}, where the preset"
            f" {preset.name!r} is {' or '.join(preset.model_types)}.{wants} It was not used.",
            hint=f"Run: groundrail models fetch {preset.name} --force",
        )
    return raw


def _longest(config: dict[str, Any], preset: Preset, folder: Path, *, override: int | None) -> int:
    limit = preset.max_tokens
    family = config.get("model_type")
    relative = family in _RELATIVE and not (
        family == "deberta-v2" and config.get("position_biased_input", True)
    )
    if not relative:
        limit = min(limit, longest_input(config, folder / "config.json"))
    return limit if override is None else min(limit, override)


def _answers(preset: Preset, tokenizer: PairTokenizer) -> list[int]:
    for (answer, number), ids in zip(
        preset.answers, tokenizer.texts([answer for answer, _ in preset.answers]), strict=True
    ):
        if not ids or ids[0] != number:
            raise LabelsUnmapped(
                f"The tokenizer of the preset {preset.name!r} begins the answer {answer!r} with the"
                f" token {ids[0] if ids else None}, not {number}. The model was not used.",
                hint=f"Run: groundrail models fetch {preset.name} --force",
            )
    return [number for _, number in preset.answers]
