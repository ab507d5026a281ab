"""What the subcommands do, as functions over paths: each one a step that can be run alone."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from collections import Counter
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from verifiers.training import evaluate as ev
from verifiers.training import model as models
from verifiers.training.calibration import calibrate
from verifiers.training.card import write_card
from verifiers.training.checkpoint import load_checkpoint
from verifiers.training.data import Row, load_pairs, read_rows
from verifiers.training.exits import fit_exit
from verifiers.training.export import INT8_GRAPH, WEIGHTS, Storage, export, read_weights
from verifiers.training.files import file_digest, read_json, replace_bytes, require, write_json
from verifiers.training.folders import (
    check_files,
    check_labels,
    encoder_config,
    longest,
    read_tensors,
    verifier_config,
)
from verifiers.training.generate import generate, summary
from verifiers.training.loop import CHECKPOINT, RunOptions, Trainer
from verifiers.training.recipe import Recipe, load_recipe
from verifiers.training.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from verifiers.training.data import Pairs

USED = "used.json"


def generate_file(
    sources: Sequence[Path], target: Path, *, each: int, seed: int
) -> dict[str, dict[str, int]]:
    """Write generated pairs as JSON lines; returns their counts. See :mod:`.generate`.

    Raises:
        ValueError: If no row is asked for, or none can be made of the pairs.
    """
    if each < 1:
        raise ValueError(f"{each} rows a rule are none: ask for 1 at least")
    rows = chain.from_iterable(read_rows(source) for source in sources)
    made = list(generate(rows, each=each, seed=seed))
    if not made:
        files = ", ".join(str(source) for source in sources)
        raise ValueError(f"no pair could be made of those in {files}. Nothing was written.")
    write_rows(made, target)
    return summary(made)


def write_rows(rows: Iterable[Row], target: Path) -> None:
    """Write pairs as JSON lines, packed if the name ends in ``.gz``; same rows, same bytes."""
    text = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    target.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode("utf-8")
    replace_bytes(target, gzip.compress(data, mtime=0) if target.suffix == ".gz" else data)


def init(
    source: Path,
    target: Path,
    *,
    layers: Sequence[int],
    labels: Sequence[str],
    exit_layer: int = 0,
    lower: Path | None = None,
    lower_layers: int = 0,
) -> None:
    """Cut a start checkpoint out of a BERT one: some of its layers, its pooler, a fresh head.

    Args:
        source: Folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json`` of a BERT
            encoder or sequence classifier, as Hugging Face's libraries write it.
        target: Folder to write.
        layers: Layers to keep, in the order they are to have.
        labels: Names of the new head's columns; training knows one order of one set of them.
        exit_layer: After how many of the kept layers a second head reads; 0 for none.
        lower: A verifier trained from the same encoder. Embeddings and lowest layers are taken
            from it, so that a deeper model begins where a shallower one has arrived.
        lower_layers: How many. The last layer of a verifier knows its first token alone, and is
            of no use below others.

    Raises:
        ValueError: If layers or labels are none that can be had, or a checkpoint is damaged.
    """
    check_labels(labels, "--labels")
    config = encoder_config(source)
    if not layers or not all(0 <= i < int(config["num_hidden_layers"]) for i in layers):
        raise ValueError(f"layers {list(layers)} are not all among those of {source}")
    weights = _encoder(
        source, {kept: [at for at, i in enumerate(layers) if i == kept] for kept in layers}
    )
    if lower is not None:
        if not 0 < lower_layers <= len(layers):
            raise ValueError(f"{lower_layers} lower layers do not fit into {len(layers)}")
        grafted = _encoder(lower, {i: [i] for i in range(lower_layers)})
        grafted = {name: value for name, value in grafted.items() if ".pooler." not in name}
        for name, value in grafted.items():
            if name not in weights or weights[name].shape != value.shape:
                raise ValueError(f"{name} of {lower} does not fit {source}")
        weights.update(grafted)
    if not 0 <= exit_layer < len(layers):
        raise ValueError(f"an exit after layer {exit_layer} of {len(layers)} saves nothing")
    target.mkdir(parents=True, exist_ok=True)
    data = require("safetensors.numpy").save(weights, metadata={"format": "pt"})
    replace_bytes(target / "model.safetensors", data)
    names = {str(i): label for i, label in enumerate(labels)}
    write_json(
        target / "config.json",
        {
            **config,
            "architectures": ["BertForSequenceClassification"],
            "num_hidden_layers": len(layers),
            "id2label": names,
            "label2id": {label: int(i) for i, label in names.items()},
            **({"exit_layer": exit_layer} if exit_layer else {}),
        },
    )
    shutil.copyfile(source / "tokenizer.json", target / "tokenizer.json")


def _encoder(source: Path, places: Mapping[int, Sequence[int]]) -> dict[str, NDArray[Any]]:
    """Embeddings, pooler and some layers of a checkpoint, each layer under its new numbers."""
    weights: dict[str, NDArray[Any]] = {}
    for name, value in read_weights(source).items():
        full = name if name.startswith(("bert.", "classifier.", "exit.")) else "bert." + name
        if full.startswith(("classifier.", "exit.")) or full.endswith("position_ids"):
            continue
        if full.startswith("bert.encoder.layer."):
            number, _, rest = full.removeprefix("bert.encoder.layer.").partition(".")
            for at in places.get(int(number), ()):
                weights[f"bert.encoder.layer.{at}.{rest}"] = value.astype("float32")
        else:
            weights[full] = value.astype("float32")
    return weights


class Stopped(NamedTuple):
    """A run that a signal stopped before its end; it has a checkpoint, and no model yet."""

    tokens: int


def check_apart(data: Sequence[Path], held_out: Path) -> None:
    """See that held-out pairs are none of the files trained on.

    Raises:
        ValueError: If they are one of them, under whatever name.
    """
    kept_aside = file_digest(held_out)
    for path in data:
        if file_digest(path) == kept_aside:
            raise ValueError(
                f"the held-out pairs {held_out} are the training pairs {path}: figures and"
                " calibration would rest on what was trained on. Keep other pairs aside."
            )


def train(
    data: Sequence[Path],
    start: Path,
    recipe: Recipe,
    options: RunOptions,
    *,
    held_out: Path | None = None,
) -> Path | Stopped:
    """Train, or go on with the run in ``options.folder``.

    Returns:
        The averaged model's folder, or how far the run came when a signal stopped it.

    Raises:
        ValueError: If data, recipe and start do not fit each other or what the run was begun with.
    """
    if held_out is not None:
        check_apart(data, held_out)
    tokenizer = start / "tokenizer.json"
    limit = max(stage.max_length for stage in recipe.stages)
    cache = options.folder / "cache"
    pairs = load_pairs(data, tokenizer, max_length=limit, cache=cache)
    trainer = Trainer(
        pairs,
        recipe,
        start,
        options,
        evaluate=_evaluation(held_out, tokenizer, limit, cache) if held_out else None,
    )
    if not trainer.run():
        return Stopped(trainer.tokens)
    trainer.save_model(options.folder / "model")
    used = {
        "tokens": trainer.tokens,
        "steps": trainer.steps,
        "rows": rows_used(pairs, recipe, trainer.steps),
        "counts": pairs.counts(),
        "dropped": pairs.dropped,
    }
    write_json(options.folder / USED, used)
    return options.folder / "model"


def _evaluation(held_out: Path, tokenizer: Path, limit: int, cache: Path) -> Any:
    pairs = load_pairs([held_out], tokenizer, max_length=limit, cache=cache)
    specials = models.special_ids(tokenizer)

    def evaluate(network: Any) -> Mapping[str, float]:
        logits = ev.logits_of(pairs, ev.torch_forward(network), specials=specials)
        return ev.held_out(pairs, logits)

    return evaluate


def rows_used(pairs: Pairs, recipe: Recipe, steps: int) -> dict[str, int]:
    """How many rows of each data set the first ``steps`` batches hold, repeats counted."""
    sampler = Sampler(pairs, recipe)
    found: Counter[int] = Counter()
    for _ in range(steps):
        found.update(pairs.datasets[sampler.next()].tolist())
    return {pairs.names[number]: count for number, count in sorted(found.items())}


def average(checkpoints: Sequence[Path], start: Path, target: Path, *, max_length: int) -> None:
    """The mean of several weights of one shape, as a model folder.

    Of a run's checkpoint the running average counts. A folder counts with its
    ``model.safetensors``: the mean of a start checkpoint and of what was trained from it keeps more
    of what the first knew (Wortsman et al. 2022, arXiv:2109.01903).
    """
    weights = [_weights(path) for path in checkpoints]
    for path, found in zip(checkpoints, weights, strict=True):
        for name in sorted(weights[0].keys() | found.keys()):
            if not (
                name in weights[0] and name in found and found[name].shape == weights[0][name].shape
            ):
                raise ValueError(
                    f"{path} does not fit {checkpoints[0]}: {name}. Nothing was written."
                )
    stack = require("torch").stack
    mean = {name: stack([w[name] for w in weights]).mean(0) for name in weights[0]}
    config = {**verifier_config(start), "max_length": max_length, "dtype": "float32"}
    models.save(mean, config, start / "tokenizer.json", target)


def _weights(path: Path) -> Mapping[str, Any]:
    if path.is_dir():  # as it is: a network built from it would get fresh heads where it has none
        stored = read_tensors(path / "model.safetensors", framework="torch")
        return {name: value.float() for name, value in stored.items()}
    state = load_checkpoint(path)
    return {**state.weights, **state.average}


def export_calibrated(
    model: Path, target: Path, held_out: Path, *, storage: Storage = "float16", threads: int = 1
) -> dict[str, Any]:
    """Export, then fit temperatures and exit with the exported file itself, then write them.

    The held-out pairs serve early stopping and calibration, never training. The model is made
    inside ``target``, and what is there is replaced only when all of it has come out well.

    Raises:
        ValueError: If checkpoint or held-out pairs cannot be used.
    """
    pairs = held_out_pairs(model, held_out, verifier_config(model))
    target = target.resolve()  # "." and ".." have no name to call the model by
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target) as scratch:
        made = Path(scratch) / target.name
        config = export(model, made, storage=storage)
        layer = int(config.get("exit_layer", 0))
        forward = ev.onnx_forward(made, threads=threads, early=bool(layer))
        found = ev.logits_of(pairs, forward, specials=models.special_ids(made / "tokenizer.json"))
        logits = found[:, :3]
        fitted = calibrate(logits, pairs.labels, pairs.datasets)
        config["calibration"] = fitted.to_config()
        if layer:
            leaving = fit_exit(found[:, 3:], logits, pairs.labels, fitted, layer=layer)
            if leaving is not None:
                config["exit"] = leaving.to_config()
        write_json(made / "config.json", config)
        _put(made, target)
    return config


def _put(made: Path, target: Path) -> None:
    """Move a model's files where others may be. The config goes last: its digests name the rest."""
    names = {file.name for file in made.iterdir()}
    for name in sorted(names - {"config.json"}):
        (made / name).replace(target / name)
    for name in {INT8_GRAPH, WEIGHTS} - names:  # of another storage
        (target / name).unlink(missing_ok=True)
    (made / "config.json").replace(target / "config.json")


def held_out_pairs(folder: Path, held_out: Path, config: Mapping[str, Any]) -> Pairs:
    """Held-out pairs as a model of this config reads them.

    Raises:
        ValueError: If the file cannot be read, or lacks pairs of either kind.
    """
    limit = longest(config)
    pairs = load_pairs([held_out], folder / "tokenizer.json", max_length=limit)
    hits = pairs.labels == 0
    if not hits.any() or hits.all():
        raise ValueError(
            f"{held_out} has to hold pairs with the label entailment and with others, of"
            f" {limit} tokens at most; {len(pairs)} fit, {sum(pairs.dropped.values())} do not"
        )
    return pairs


def evaluate_exported(
    folder: Path,
    held_out: Path,
    grounding: Sequence[Path] = (),
    *,
    sample: int | None = None,
    threads: int = 1,
) -> dict[str, Any]:
    """Figures of an exported model, at the threshold that its calibration fixed (else 0.5).

    Raises:
        FileNotFoundError: If the folder holds no exported model.
        ModelUnavailable: If a file is not the one its config names, or cannot be loaded.
        ValueError: If labels or pairs do not fit.
    """
    if not (folder / "model.onnx").is_file():
        raise FileNotFoundError(f"{folder} holds no model.onnx; export writes one")
    check_files(folder)
    config = verifier_config(folder)
    found = config.get("calibration") or {}
    threshold = float(found.get("entailment_threshold", 0.5))
    pairs = held_out_pairs(folder, held_out, config)
    forward = ev.onnx_forward(folder, threads=threads)
    logits = ev.logits_of(pairs, forward, specials=models.special_ids(folder / "tokenizer.json"))
    logits = logits / float(found.get("temperature", 1.0))
    return {
        "model": folder.name,
        "threshold": threshold,
        "held_out_rows": {"measured": len(pairs), "left_out": sum(pairs.dropped.values())},
        "held_out": ev.held_out(pairs, logits, threshold=threshold),
        "grounding": list(
            ev.grounding_table(
                grounding, folder, threshold=threshold, sample=sample, threads=threads
            )
        ),
    }


def make_card(
    folder: Path, run: Path, figures: Mapping[str, Any], *, start: str, notes: Sequence[str] = ()
) -> str:
    """Write the model card of an exported model from its run folder and its figures."""
    used = read_json(run / USED)
    return write_card(
        folder,
        recipe=load_recipe(run / "recipe.json"),
        counts=used["counts"],
        used=used["rows"],
        held_out=figures["held_out"],
        grounding=figures["grounding"],
        start=start,
        tokens=int(used["tokens"]),
        steps=int(used["steps"]),
        notes=[*_log_note(run), *notes],
    )


def _log_note(run: Path, *, marks: int = 8) -> list[str]:
    """The training loss along the way, a mean of the log's lines around each of some marks."""
    path = run / "log.jsonl"
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = [(line["tokens"], line["loss"]) for line in lines if line["event"] == "trained"]
    if not found:
        return []
    size = -(-len(found) // marks)
    parts = [found[i : i + size] for i in range(0, len(found), size)]
    means = (f"{part[-1][0]:,}: {sum(loss for _, loss in part) / len(part):.3f}" for part in parts)
    return [f"Training loss of the last head, means up to so many tokens: {'; '.join(means)}."]


def has_checkpoint(run: Path) -> bool:
    """Whether a run folder holds something to go on from."""
    return (run / CHECKPOINT).exists()
