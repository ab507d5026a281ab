"""What ``groundrail doctor`` says of the model: what runs, in which form, what fits, how fast."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from guardrails.cli.findings import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardrails.settings import Settings
    from verifiers.protocols import PairScorer
    from verifiers.types import Pair

# Backends whose memory is this machine's to run out of.
_IN_PROCESS = frozenset({"onnx", "torch"})
_SPEED_SECONDS = 1.0
_BATCH = 8


def examine_model(settings: Settings, *, speed: bool) -> Iterator[Finding]:
    """Load the model and tell what it is; with ``speed``, what it does here.

    Raises:
        VerifierError: As the loader, or the model when it scores.
    """
    from guardrails.build import model_spec
    from verifiers.backends import batch_tokens, load_scorer

    started = time.perf_counter()
    spec = model_spec(settings)
    scorer = load_scorer(spec)
    try:
        info = scorer.info
        yield Finding(
            "model",
            Level.OK,
            f"{info.name} ({info.revision[:24]}) under {info.backend}, {info.form}: "
            f"ready in {time.perf_counter() - started:.1f} s, canaries passed",
            data={"name": info.name, "revision": info.revision, "backend": info.backend},
        )
        if info.backend == "onnx":
            yield _form(info.form, asked=settings.model.form)
        calibrated = info.calibration != "none"
        yield Finding(
            "model",
            Level.OK if calibrated else Level.WARN,
            f"labels in the order {', '.join(info.labels)}; up to {info.max_tokens} tokens; "
            f"calibration {info.calibration}",
            ""
            if calibrated
            else "Its probabilities are raw: choose thresholds on answers of your own.",
            {"labels": list(info.labels), "max_tokens": info.max_tokens},
        )
        if speed and info.backend in _IN_PROCESS:
            yield _largest_batch(scorer, batch_tokens(spec))
        if speed:
            yield _speed(scorer)
    finally:
        scorer.close()


def _form(form: str, *, asked: str) -> Finding:
    """Which arithmetic runs, and why that one."""
    from verifiers.backends.cpu import int8_advice

    kind, advice = form.partition("/")[0], int8_advice()
    if asked != "auto":
        why = "as `model.form` says"
    elif advice.int8 and kind == "fp32":
        why = "the model's one form on this device"
    else:
        why = advice.why
    return Finding(
        "model",
        Level.OK,
        f"computes in {kind}: {why}",
        data={"form": form, "asked": asked, "int8_is_faster": advice.int8, "why": why},
    )


def _largest_batch(scorer: PairScorer, budget: int) -> Finding:
    """Whether the largest batch the engine makes fits into memory; halved as the engine does."""
    from verifiers.memory import out_of_memory

    (length,) = scorer.count_tokens([_pair()])
    tokens = budget
    while True:
        count = max(1, tokens // length)
        try:
            scorer.score([_pair()] * count)
        except Exception as error:
            # As it comes: memory is told by type or text, whatever the backend.
            if count == 1 or not out_of_memory(error):
                raise
            tokens = count * length // 2
            continue
        break
    data = {"batch_tokens": budget, "fits": tokens}
    if tokens == budget:
        said = f"a batch of {budget:,} tokens, the largest the engine makes, fits into memory"
        return Finding("model", Level.OK, said, data=data)
    return Finding(
        "model",
        Level.WARN,
        f"a batch of {budget:,} tokens, the largest the engine makes, runs out of memory; one of"
        f" {tokens:,} fits",
        "The engine lowers its batches when that happens, at the price of the batches that failed."
        " Free memory, or take a smaller model.",
        data,
    )


def _pair() -> Pair:
    from verifiers.types import Pair

    premise = "The museum by the old harbour opened in 1962 and has three floors. " * 6
    return Pair(premise, "The museum has four floors.")


def _speed(scorer: PairScorer) -> Finding:
    pairs = [_pair()] * _BATCH
    tokens = sum(scorer.count_tokens(pairs))
    done, started = 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < _SPEED_SECONDS:
        scorer.score(pairs)
        done += 1
    per_second = done * _BATCH / seconds
    return Finding(
        "model",
        Level.OK,
        f"speed here: {per_second:.0f} pairs of {tokens // _BATCH} tokens a second "
        f"({done * tokens / seconds:,.0f} tokens a second), in batches of {_BATCH}",
        data={"pairs_per_second": per_second, "tokens_per_second": done * tokens / seconds},
    )
