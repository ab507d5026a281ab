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
    cache of scores, and every text tokenised anew in every round.

Session and engine are measured for each form of the model (fp32, int8) and with its exit head,
where it has them; the other two compute in fp32. ``engine_to_session`` is the engine's share of
its floor, ``apart`` how far each of them is from fp32 without exit on the same pairs.

Pairs are the windows that the evidence of labelled files is cut into, so their lengths are mixed
as real sources mix them. Arms take turns in an order that changes; figures are medians, and ratios
are medians of the ratios within one round, since machines are shared. Needs the extra ``torch``,
but for ``--ours``. Writes JSON to standard output.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import statistics
import sys
import tempfile
import time
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from verifiers.backends import ModelSpec, batch_tokens, load_scorer
from verifiers.backends.onnx import OnnxScorer
from verifiers.backends.threads import default_threads
from verifiers.batching import plan_batches
from verifiers.bench.items import read_items
from verifiers.engine import NLIEngine
from verifiers.errors import ModelUnavailable
from verifiers.rules import split
from verifiers.training.restore import restored
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


def as_transformers(folder: Path, target: Path) -> None:
    """The weights of a packaged ONNX model as a transformers checkpoint, without an exit head.

    Raises:
        ModelUnavailable: If the graph was not made by this project's exporter.
    """
    import torch
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    config = json.loads((folder / "config.json").read_text("utf-8"))
    model = BertForSequenceClassification(BertConfig(**_bert(config)))
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    weights = restored(folder, shapes)
    model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
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
    known = (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
        "layer_norm_eps",
    )
    kept = {key: config[key] for key in known if key in config}
    labels = {int(key): value for key, value in config["id2label"].items()}
    if "calibration" in config:
        kept["calibration"] = config["calibration"]
    return {**kept, "id2label": labels, "label2id": {v: k for k, v in labels.items()}}


def check_same(checkpoint: Path, scorer: PairScorer, pairs: Sequence[Pair]) -> None:
    """See that the restored checkpoint is the same model.

    Raises:
        RuntimeError: If it gives other probabilities.
    """
    restored = load_scorer(ModelSpec(model=str(checkpoint), backend="torch"))
    for ours, theirs in zip(scorer.score(pairs), restored.score(pairs), strict=True):
        if max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) > _SAME:
            raise RuntimeError("the restored checkpoint is not the same model; nothing was timed")


class Ours(NamedTuple):
    """One way to run our model, with the arms that measure it."""

    name: str
    scorer: OnnxScorer
    engine: NLIEngine

    def engine_arm(self) -> Arm:
        """Texts in and probabilities out, every text tokenised anew in every round."""

        def run(pairs: Sequence[Pair]) -> None:
            self.scorer.forget()
            self.engine.score(pairs)

        return run

    def session_arm(self, pairs: Sequence[Pair], budget: int) -> Arm:
        """The bare session on arrays made beforehand, asked for what the engine asks."""
        lengths = self.scorer.count_tokens(pairs)
        batches = plan_batches(lengths, max_tokens=budget, max_items=64)
        feeds = [self.scorer.feed([pairs[index] for index in batch]) for batch in batches]
        session = self.scorer._session  # noqa: SLF001 - the floor has no interface

        def run(_pairs: Sequence[Pair]) -> None:
            for feed in feeds:
                session.run(None, feed)

        return run


def _given(scorer: OnnxScorer) -> OnnxScorer:
    return scorer


def ours(model: str, threads: int) -> list[Ours]:
    """Our model in every form it has, the one that `auto` takes first, with and without its exit.

    Raises:
        TypeError: If it is no ONNX model.
    """
    found: dict[str, Ours] = {}
    for form in ("auto", "fp32", "int8"):
        for early in (True, False):
            spec = ModelSpec(
                model=model, backend="onnx", form=form, early_exit=early, threads=threads
            )
            try:
                scorer = load_scorer(spec)
            except ModelUnavailable:
                if form == "auto":
                    raise
                continue  # it does not come in this form
            if not isinstance(scorer, OnnxScorer):
                raise TypeError(f"{model} is no ONNX model")
            name = scorer.info.form.partition("/")[0]
            name += ", exit" if "exit after" in scorer.info.form else ""
            if name not in found:
                scorer.exited = 0  # of the pairs that proved its labels
                engine = NLIEngine(partial(_given, scorer), max_batch_tokens=batch_tokens(spec))
                found[name] = Ours(name, scorer, engine)
    return list(found.values())


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


def differences(ways: Sequence[Ours], pairs: Sequence[Pair]) -> dict[str, dict[str, float]]:
    """How far each way's probabilities are from those of fp32 without exit, on the same pairs."""
    found = {way.name: np.array(way.engine.score(pairs).probs) for way in ways}
    exact = found.pop("fp32")
    return {
        name: {
            "mean": float(np.abs(probs - exact).mean()),
            "largest": float(np.abs(probs - exact).max()),
            "other_label": float((probs.argmax(1) != exact.argmax(1)).mean()),
        }
        for name, probs in found.items()
    }


def measure(
    arms: dict[str, Arm], pairs: Sequence[Pair], repeat: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds by ``clock`` of every arm in every round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    names = list(arms)
    for turn in range(repeat + 1):
        order = names[turn % len(names) :] + names[: turn % len(names)]
        for name in order:
            begun = clock()
            arms[name](pairs)
            if turn:
                seconds[name].append(clock() - begun)
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
    parser.add_argument("--ours", action="store_true", help="leave the other projects out")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="processor time of all threads, not the clock's: for machines with other work",
    )
    options = parser.parse_args(arguments)
    clock = time.process_time if options.cpu_time else time.perf_counter
    ways = ours(options.model, options.threads)
    pairs = sample_pairs(options.files, ways[0].scorer, options.pairs, options.seed)
    arms: dict[str, Arm] = {}
    for way in ways:
        arms[f"engine ({way.name})"] = way.engine_arm()
        arms[f"session ({way.name})"] = way.session_arm(
            pairs, batch_tokens(ModelSpec(model=options.model, backend="onnx"))
        )
    with contextlib.ExitStack() as stack:
        for way in ways:
            stack.enter_context(way.engine)
        if not options.ours:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            arms |= _others(options.model, ways, pairs, scratch, options.threads)
        seconds = measure(arms, pairs, options.repeat, clock)
        lengths = ways[0].scorer.count_tokens(pairs)
        apart = differences(ways, pairs)
    report = _report(ways, lengths, seconds, options.threads)
    json.dump({"clock": clock.__name__, **report, "apart": apart}, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def _others(
    model: str, ways: Sequence[Ours], pairs: Sequence[Pair], scratch: Path, threads: int
) -> dict[str, Arm]:
    import torch

    torch.set_num_threads(threads)
    if model == "bundled":
        with as_file(files("verifiers") / "models" / ways[0].scorer.info.name) as folder:
            as_transformers(folder, scratch)
    else:
        as_transformers(Path(model), scratch)
    whole = next(way for way in ways if way.name == "fp32")
    check_same(scratch, whole.scorer, pairs[:8])
    arms = {"pipeline": pipeline_arm(scratch)}
    cross_encoder = cross_encoder_arm(scratch)
    return arms if cross_encoder is None else {**arms, "cross-encoder": cross_encoder}


def _report(
    ways: Sequence[Ours], lengths: Sequence[int], seconds: dict[str, list[float]], threads: int
) -> dict[str, Any]:
    def times(one: str, other: str) -> float:
        """How many times as fast the first is as the second."""
        return statistics.median(b / a for a, b in zip(seconds[one], seconds[other], strict=True))

    info, first = ways[0].scorer.info, f"engine ({ways[0].name})"
    rates = {name: 1 / statistics.median(own) for name, own in seconds.items()}
    return {
        "model": info.name,
        "revision": info.revision,
        "form": info.form,
        "threads": threads,
        "pairs": len(lengths),
        "tokens": {
            "mean": statistics.mean(lengths),
            "median": statistics.median(lengths),
            "longest": max(lengths),
        },
        "pairs_per_second": {name: len(lengths) * rate for name, rate in rates.items()},
        "tokens_per_second": {name: sum(lengths) * rate for name, rate in rates.items()},
        "engine_to_session": {
            way.name: times(f"engine ({way.name})", f"session ({way.name})") for way in ways
        },
        "engine_times_faster_than": {n: times(first, n) for n in seconds if n != first},
        "not_installed": [] if "cross-encoder" in seconds else ["sentence-transformers"],
        "exited_of_scored": {
            way.name: [way.scorer.exited, way.engine.stats.scored] for way in ways
        },
        "seconds": seconds,
    }


if __name__ == "__main__":
    sys.exit(main())
