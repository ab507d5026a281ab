"""Pairs a second against the ways people score pairs: ``python -m verifiers.bench.speed FILE...``.

Same weights, same pairs, same number of threads for all:

``pipeline``
    The transformers ``text-classification`` pipeline with its defaults (one pair at a time).
``cross-encoder``
    sentence-transformers' ``CrossEncoder.predict`` with its defaults. Left out, and said so, where
    that package is not installed.
``session``
    The bare ONNX Runtime session on arrays that were tokenised, sorted and packed beforehand: the
    floor of what this network costs on this machine.
``engine``
    Ours: texts in, probabilities out; tokenisation, queue, batching and calibration included. No
    cache.

Pairs are the windows that the evidence of labelled files is cut into, so their lengths are mixed
as real sources mix them. Arms take turns in an order that changes; figures are medians, and ratios
are medians of the ratios within one round, since machines are shared. Needs the extra ``torch``.
Writes JSON to standard output.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verifiers.backends import ModelSpec, batch_tokens, load_scorer
from verifiers.backends.threads import default_threads
from verifiers.batching import plan_batches
from verifiers.bench.items import read_items
from verifiers.engine import NLIEngine
from verifiers.rules import split
from verifiers.types import Pair, Source
from verifiers.windows import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verifiers.protocols import PairScorer

    Arm = Callable[[Sequence[Pair]], None]

_WINDOW_TOKENS = 128
_MAX_TOKENS = 512
# Weights are stored in half precision, and kernels differ.
_SAME = 0.02


def sample_pairs(paths: Sequence[Path], scorer: PairScorer, count: int, seed: int) -> list[Pair]:
    """``count`` pairs of window and claim, the same number from each file."""
    chance = random.Random(seed)  # noqa: S311 - a draw for timing
    pairs: list[Pair] = []
    for path in paths:
        own: list[Pair] = []
        for item in read_items(path, limit=count, seed=seed):
            for number, text in enumerate(item.sources):
                windows = cut(
                    Source(f"s{number}", text),
                    split(text),
                    count_text=scorer.count_text,
                    budget_tokens=_WINDOW_TOKENS,
                )
                own += [Pair(window.text, item.text) for window in windows]
        limit = scorer.info.max_tokens
        own = [p for p, n in zip(own, scorer.count_tokens(own), strict=True) if n <= limit]
        pairs += chance.sample(own, min(len(own), count // len(paths)))
    chance.shuffle(pairs)
    return pairs


def restore(folder: Path, target: Path) -> None:
    """The weights of a packaged ONNX model as a transformers checkpoint.

    Raises:
        KeyError: If the graph was not made by this project's exporter.
    """
    import onnx
    import torch
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    stored = {
        tensor.name.removesuffix(".f16"): onnx.numpy_helper.to_array(tensor).astype(np.float32)
        for tensor in onnx.load(folder / "model.onnx").graph.initializer
    }
    config = json.loads((folder / "config.json").read_text("utf-8"))
    model = BertForSequenceClassification(BertConfig(**_bert(config)))
    weights = {}
    for name, old in model.state_dict().items():
        value = _tensor(name, stored, old.shape)
        if ".self.query." in name:  # stored with the scores' 1/sqrt(d) in it
            value = value * (config["hidden_size"] / config["num_attention_heads"]) ** 0.5
        weights[name] = torch.tensor(value)
    model.load_state_dict(weights)
    model.save_pretrained(target)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",  # noqa: S106 - the padding token
        model_max_length=_MAX_TOKENS,
        # Not the default, and without it the two texts are not told apart.
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(target)


def _bert(config: dict[str, Any]) -> dict[str, Any]:
    known = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
    kept = {key: config[key] for key in (*known, "intermediate_size") if key in config}
    labels = {int(key): value for key, value in config["id2label"].items()}
    if "calibration" in config:
        kept["calibration"] = config["calibration"]
    return {**kept, "id2label": labels, "label2id": {v: k for k, v in labels.items()}}


def _tensor(name: str, stored: dict[str, Any], shape: Sequence[int]) -> Any:
    """One tensor of the checkpoint, from wherever the exporter put it.

    It joins projections that read the same input, and stores every matrix input first.
    """
    for joined in ("query+key+value", "key+value", "query"):
        for place, part in enumerate(parts := joined.split("+")):
            whole = stored.get(name.replace(f".self.{part}.", f".self.{joined}."))
            if f".self.{part}." in name and whole is not None:
                return np.ascontiguousarray(np.split(whole, len(parts), axis=-1)[place].T)
    if name in stored:
        return stored[name]
    return np.ascontiguousarray(stored[f"{name}.T"].T).reshape(shape)


def check_same(checkpoint: Path, scorer: PairScorer, pairs: Sequence[Pair]) -> None:
    """See that the restored checkpoint is the same model.

    Raises:
        RuntimeError: If it gives other probabilities.
    """
    restored = load_scorer(ModelSpec(model=str(checkpoint), backend="torch"))
    for ours, theirs in zip(scorer.score(pairs), restored.score(pairs), strict=True):
        if max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) > _SAME:
            raise RuntimeError("the restored checkpoint is not the same model; nothing was timed")


def engine_arm(engine: NLIEngine) -> Arm:
    """Ours, texts in and probabilities out."""

    def run(pairs: Sequence[Pair]) -> None:
        engine.score(pairs)

    return run


def pipeline_arm(checkpoint: Path) -> Arm:
    """The transformers pipeline with its defaults."""
    from transformers import pipeline

    classify = pipeline("text-classification", model=str(checkpoint), device="cpu", top_k=None)

    def run(pairs: Sequence[Pair]) -> None:
        for pair in pairs:
            classify({"text": pair.premise, "text_pair": pair.hypothesis})

    return run


def cross_encoder_arm(checkpoint: Path) -> Arm | None:
    """sentence-transformers with its defaults; None where it is not installed."""
    try:
        from sentence_transformers import CrossEncoder
    except ModuleNotFoundError as error:
        if error.name != "sentence_transformers":
            raise
        return None
    model = CrossEncoder(str(checkpoint), device="cpu")
    return lambda pairs: model.predict([tuple(pair) for pair in pairs], show_progress_bar=False)


def session_arm(scorer: Any, pairs: Sequence[Pair], budget: int) -> Arm:
    """The bare session on arrays made beforehand."""
    lengths = scorer.count_tokens(pairs)
    batches = plan_batches(lengths, max_tokens=budget, max_items=64)
    encoded = scorer._tokenizer.encode(pairs)  # noqa: SLF001 - the floor has no interface
    feeds = []
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        feed = {
            key: np.zeros((len(batch), longest), dtype=np.int64)
            for key in ("input_ids", "attention_mask", "token_type_ids")
        }
        for row, index in enumerate(batch):
            feed["input_ids"][row, : lengths[index]] = encoded[index].ids
            feed["attention_mask"][row, : lengths[index]] = 1
            feed["token_type_ids"][row, : lengths[index]] = encoded[index].type_ids
        feeds.append(feed)

    def run(_pairs: Sequence[Pair]) -> None:
        for feed in feeds:
            scorer._session.run(None, feed)  # noqa: SLF001

    return run


def measure(arms: dict[str, Arm], pairs: Sequence[Pair], repeat: int) -> dict[str, list[float]]:
    """Seconds of every arm in every round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    names = list(arms)
    for turn in range(repeat + 1):
        order = names[turn % len(names) :] + names[: turn % len(names)]
        for name in order:
            begun = time.perf_counter()
            arms[name](pairs)
            if turn:
                seconds[name].append(time.perf_counter() - begun)
        sys.stderr.write(f"round {turn} of {repeat}\n")
    return seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m verifiers.bench.speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, help="labelled JSONL, plain or .gz")
    parser.add_argument("--model", default="bundled", help="'bundled' or a folder of ours")
    parser.add_argument("--pairs", type=int, default=240, help="pairs in all (default 240)")
    parser.add_argument("--repeat", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    import torch

    torch.set_num_threads(options.threads)
    spec = ModelSpec(model=options.model, threads=options.threads)
    budget = batch_tokens(spec)
    scorer = load_scorer(spec)
    pairs = sample_pairs(options.files, scorer, options.pairs, options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch)
        if options.model == "bundled":
            with as_file(files("verifiers") / "models" / scorer.info.name) as folder:
                restore(folder, checkpoint)
        else:
            restore(Path(options.model), checkpoint)
        check_same(checkpoint, scorer, pairs[:8])
        engine = NLIEngine(lambda: load_scorer(spec), max_batch_tokens=budget)
        cross_encoder = cross_encoder_arm(checkpoint)
        arms: dict[str, Arm] = {
            "engine": engine_arm(engine),
            "session": session_arm(scorer, pairs, budget),
            "pipeline": pipeline_arm(checkpoint),
        }
        if cross_encoder is not None:
            arms["cross-encoder"] = cross_encoder
        with engine:
            seconds = measure(arms, pairs, options.repeat)
    lengths = scorer.count_tokens(pairs)
    report = {
        "model": scorer.info.name,
        "revision": scorer.info.revision,
        "form": scorer.info.form,
        "threads": options.threads,
        "pairs": len(pairs),
        "tokens": {
            "mean": statistics.mean(lengths),
            "median": statistics.median(lengths),
            "longest": max(lengths),
        },
        "pairs_per_second": {
            name: len(pairs) / statistics.median(own) for name, own in seconds.items()
        },
        "tokens_per_second": {
            name: sum(lengths) / statistics.median(own) for name, own in seconds.items()
        },
        "engine_times_faster_than": {
            name: statistics.median(
                other / ours for other, ours in zip(own, seconds["engine"], strict=True)
            )
            for name, own in seconds.items()
            if name != "engine"
        },
        "not_installed": [] if cross_encoder else ["sentence-transformers"],
        "seconds": seconds,
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
