"""The model card: what a bundled model is, from the files that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifiers.training.files import read_json
from verifiers.training.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from verifiers.training.recipe import Recipe

_OF_THE_EXPORT = ("sha256", "weights_stored", "input_template", "max_length")

LIMITS = """\
* English only. Trained on encyclopedic prose, captions, talk, contracts and tables; of medicine,
  science, news and product texts it has seen only what was written for it (see Data).
* It reads one window of a source at a time, at most {max_length} tokens with the claim. A claim
  that needs two places of a long source is seen as unsupported.
* No arithmetic, no counting beyond small numbers, little world knowledge. Numbers, dates and units
  are checked beside it by deterministic rules.
* Adversarial claims (ANLI) are near chance. Its probabilities are calibrated on held-out parts of
  the training sources, and not on yours: measure with your own labelled data before relying on a
  threshold."""


def write_card(
    folder: Path,
    *,
    recipe: Recipe,
    counts: Mapping[str, Mapping[str, int]],
    used: Mapping[str, int],
    held_out: Mapping[str, float],
    grounding: Sequence[Mapping[str, Any]],
    start: str,
    tokens: int,
    steps: int,
    notes: Sequence[str] = (),
) -> str:
    """Write ``README.md`` of an exported model and return its text.

    Args:
        folder: An exported model: its ``config.json`` supplies digest, sizes and calibration.
        recipe: What it was trained with.
        counts: Rows there were, by data set and label.
        used: Rows drawn in training, by data set, repeats counted.
        held_out: Figures on held-out pairs.
        grounding: One mapping a grounding set: set, rows, balanced_accuracy, auroc.
        start: Where its weights started from, with the licence.
        tokens: Tokens trained on.
        steps: Batches trained on.
        notes: Further lines on how it came about.

    Raises:
        ValueError: If the folder's config lacks what the exporter writes into it.
    """
    config = read_json(folder / "config.json")
    if missing := [key for key in _OF_THE_EXPORT if not config.get(key)]:
        raise ValueError(
            f"{folder / 'config.json'} has no {', '.join(missing)}: a card is of what"
            " `python -m verifiers.training export` wrote"
        )
    parts = [
        f"# {folder.name}",
        "",
        _WHAT,
        "",
        *_identity(config, start),
        *(f"* {note}" for note in notes),
        "",
        "## Training",
        "",
        _training(recipe, tokens, steps),
        "",
        "| stage | tokens | longest pair | share of rows |",
        "|---|---|---|---|",
        *_stages(recipe, tokens),
        "",
        "## Data",
        "",
        "| data set | rows there | rows drawn | from | licence |",
        "|---|---|---|---|---|",
        *_data(counts, used),
        "",
        "## Figures",
        "",
        _held_out(held_out),
        "",
        *_calibration(config.get("calibration")),
        *_exit(config, recipe),
        *_grounding(grounding),
        "## Limits",
        "",
        LIMITS.format(max_length=config["max_length"]),
        "",
    ]
    text = "\n".join(parts)
    (folder / "README.md").write_text(text, encoding="utf-8")
    return text


_WHAT = (
    "A cross-encoder that reads a premise and a claim and says how likely the premise entails "
    "the claim, contradicts it, or does neither."
)


def _identity(config: Mapping[str, Any], start: str) -> list[str]:
    size = f"{config['num_hidden_layers']} layers, width {config['hidden_size']}"
    labels = ", ".join(f"{number} {name}" for number, name in config["id2label"].items())
    digests, storage = config["sha256"], config["weights_stored"]
    kept = f"weights stored as {storage}, computed in float32"
    if storage == "int8":
        kept = (
            "weights stored as int8, a scale for each column, computed in float32 "
            "(`model.onnx`) or with integers (`model.int8.onnx`)"
        )
    return [
        f"* Network: BERT, {size}; started from {start}.",
        f"* Input: `{config['input_template']}`, at most {config['max_length']} tokens.",
        f"* Labels: {labels}.",
        *(f"* `{name}`: SHA-256 `{digest}`." for name, digest in digests.items() if "onnx" in name),
        f"* Storage: {kept}.",
        "* Licence of the weights: Apache-2.0.",
    ]


def _training(recipe: Recipe, tokens: int, steps: int) -> str:
    sentences = [
        f"{tokens:,} tokens in {steps:,} batches of up to {recipe.batch_tokens:,} tokens.",
        f"AdamW, peak learning rate {recipe.lr:g},",
        f"{recipe.head_factor:g} times that for pooler and classifier,",
        f"weight decay {recipe.weight_decay:g}, gradient norm clipped at {recipe.clip:g},",
        f"{recipe.warmup_tokens:,} tokens of warm-up,",
        f"linear decay to zero over the last {recipe.decay_tokens:,}."
        if recipe.decay_start is not None
        else "no decay.",
        f"The weights are a running average with decay {recipe.ema:g}.",
        f"Embeddings and the lowest {recipe.freeze_layers} layers were kept as they were."
        if recipe.freeze_layers
        else "Word embeddings were kept as they were."
        if recipe.freeze_words
        else "",
        "Products in bfloat16, weights in float32." if recipe.bf16 else "",
        f"Seed {recipe.seed}.",
        "Rows labelled only `not_entailment` cost -log(1 - P(entailment)).",
    ]
    return " ".join(filter(None, sentences))


def _data(counts: Mapping[str, Mapping[str, int]], used: Mapping[str, int]) -> list[str]:
    rows = []
    for name, labels in sorted(counts.items()):
        source, there = source_of(name), sum(labels.values())
        drawn = used.get(name, 0)
        rows.append(f"| {name} | {there:,} | {drawn:,} | {source.origin} | {source.licence} |")
    return rows


def _held_out(figures: Mapping[str, float]) -> str:
    shown = [
        f"{name.replace('_', ' ')} {figures[name]:.3f}"
        for name in ("balanced_accuracy", "auroc", "accuracy_3way")
        if name in figures
    ]
    return f"Held-out pairs of the training sources: {', '.join(shown)}."


def _stages(recipe: Recipe, tokens: int) -> list[str]:
    rows, left = [], tokens
    for i, stage in enumerate(recipe.stages):
        took = left if i == len(recipe.stages) - 1 else min(left, stage.tokens)
        left -= took
        total = sum(stage.weights.values())
        shares = sorted(stage.weights.items(), key=lambda item: -item[1])
        mixture = ", ".join(f"{name} {100 * w / total:.1f} %" for name, w in shares)
        rows.append(f"| {stage.name} | {took:,} | {stage.max_length} | {mixture} |")
    return rows


def _calibration(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return ["Not calibrated.", ""]
    before, after = found["entailment_ece_before"], found["entailment_ece_after"]
    text = (
        f"Calibrated by temperature {found['temperature']:.3f} on {found['rows']:,} held-out pairs."
        f" Expected calibration error of P(entailment): {before:.3f} before, {after:.3f} after,"
        " measured on the pairs it was fitted on;"
        f" {found['entailment_ece_crossed']:.3f} when each fifth of them is measured with what the"
        " rest gave."
    )
    return [text, ""]


def _exit(config: Mapping[str, Any], recipe: Recipe) -> list[str]:
    layer, found = config.get("exit_layer", 0), config.get("exit")
    if not layer:
        return []
    head = f"A second head reads the first token after layer {layer} (loss weight "
    head += f"{recipe.exit_weight:g} in training)."
    if found is None:
        return [head + " At no confidence did it decide as the whole model does; it is unused.", ""]
    text = (
        f"{head} Pairs of which it is at least {found['confidence']:.3f} sure stop there:"
        f" {100 * found['share']:.0f} % of the held-out pairs, of all of which"
        f" {100 * found['agreement']:.2f} % are decided as without it; balanced accuracy"
        f" {found['balanced_accuracy']:.3f}."
    )
    return [text, ""]


def _grounding(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    mean = [sum(r[key] for r in rows) / len(rows) for key in ("balanced_accuracy", "auroc")]
    return [
        _HOW,
        "",
        "| set | rows | balanced accuracy | AUROC |",
        "|---|---|---|---|",
        *(
            f"| {r['set']} | {r['rows']} | {r['balanced_accuracy']:.3f} | {r['auroc']:.3f} |"
            for r in rows
        ),
        f"| mean | | {mean[0]:.3f} | {mean[1]:.3f} |",
        "",
    ]


_HOW = (
    "Labelled grounding sets, never trained on: the model alone, sources in windows of 180 words, "
    "best window, one threshold for all, fixed on the held-out pairs."
)
