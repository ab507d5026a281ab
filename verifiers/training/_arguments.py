"""Arguments that commands of ``python -m verifiers.training`` share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from verifiers.training.export import Storage


def count(text: str) -> int:
    """A whole number from 0 on."""
    return _at_least(0, text)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    return _at_least(1, text)


def _at_least(least: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
    return number


def data(sub: argparse.ArgumentParser) -> None:
    """Which pairs to train on, or to make more of."""
    sub.add_argument(
        "--data", type=Path, action="append", required=True, help="training pairs; may be repeated"
    )


def making(sub: argparse.ArgumentParser, *, each: int) -> None:
    """How many pairs to make by rule."""
    sub.add_argument(
        "--each", type=count, default=each, help="rows made by each rule (%(default)s)"
    )
    sub.add_argument("--seed", type=int, default=5, help="of what is made (%(default)s)")


def training(sub: argparse.ArgumentParser) -> None:
    """A run: where from, by which recipe, where to, how long."""
    sub.add_argument("--start", type=Path, required=True, help="start checkpoint folder")
    sub.add_argument("--recipe", type=Path, required=True, help="recipe JSON: stages and rates")
    sub.add_argument("--run", type=Path, required=True, help="run folder; made, or gone on with")
    sub.add_argument(
        "--stop-at", type=positive, help="stop after so many tokens in all, without decay"
    )
    sub.add_argument(
        "--decay-start", type=int, help="token count at which the learning rate begins to fall"
    )
    sub.add_argument("--decay-tokens", type=int, help="how long it falls")
    sub.add_argument("--checkpoint-every", type=count, default=200_000, help="tokens (%(default)s)")
    sub.add_argument("--milestone-every", type=count, default=0, help="tokens between kept copies")
    sub.add_argument("--evaluate-every", type=count, default=0, help="tokens between evaluations")
    sub.add_argument("--log-every", type=positive, default=50, help="steps (%(default)s)")
    sub.add_argument(
        "--workers",
        type=positive,
        default=1,
        help="threads that share each batch, one core each (%(default)s)",
    )


def exporting(sub: argparse.ArgumentParser) -> None:
    """The exported model."""
    sub.add_argument("--out", type=Path, required=True, help="folder to write; names the model")
    sub.add_argument("--held-out", type=Path, required=True, help="pairs to calibrate on")
    sub.add_argument(
        "--storage", choices=get_args(Storage), default="float16", help="(%(default)s)"
    )
    sub.add_argument("--threads", type=positive, help="of ONNX Runtime (1)")


def measuring(sub: argparse.ArgumentParser) -> None:
    """What to measure on, and what the card is to say."""
    sub.add_argument(
        "--grounding",
        type=Path,
        action="append",
        default=[],
        help="labelled grounding set, or a folder of them: JSON lines with source, claim and "
        "label supported or unsupported",
    )
    sub.add_argument("--sample", type=positive, help="rows of each grounding set, seeded (all)")
    sub.add_argument(
        "--start-name",
        default="the start checkpoint given",
        help="what the weights started from, with its licence, for the card",
    )
    sub.add_argument(
        "--note", action="append", default=[], help="a line on how it came about, for the card"
    )
