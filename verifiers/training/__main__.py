"""``python -m verifiers.training``: train the bundled verifier, or one for your own domain."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifiers.backends import ModelSpec
from verifiers.backends.onnx_files import locate
from verifiers.backends.spec import BUNDLED
from verifiers.errors import VerifierError
from verifiers.training import _arguments as arguments
from verifiers.training import compare as comparing
from verifiers.training import pipeline
from verifiers.training._help import ABOUT, EXAMPLES
from verifiers.training.export import describe
from verifiers.training.generate import summary
from verifiers.training.loop import RunOptions
from verifiers.training.overlap import RUN, overlap
from verifiers.training.recipe import load_recipe
from verifiers.training.restore import restore
from verifiers.training.sources import SOURCES
from verifiers.training.written import FOLDER, written_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verifiers.training.recipe import Recipe

# As of a program that Ctrl-C ended; whoever runs steps one after the other must not go on.
STOPPED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        status: int = args.handler(args)
    except (VerifierError, ValueError, OSError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    return status


def _sources(args: argparse.Namespace) -> int:
    del args
    for source in SOURCES.values():
        print(f"{source.dataset:20} {source.licence:24} {source.origin}")
    return 0


def _generate(args: argparse.Namespace) -> int:
    made = pipeline.generate_file(args.data, args.out, each=args.each, seed=args.seed)
    for name, labels in made.items():
        print(f"{name:16} {sum(labels.values()):7,}  {labels}")
    return 0


def _written(args: argparse.Namespace) -> int:
    rows = list(written_rows(args.folder, aside=args.aside))
    pipeline.write_rows(rows, args.out)
    for name, labels in summary(rows).items():
        print(f"{name:20} {sum(labels.values()):7,}  {labels}")
    return 0


def _overlap(args: argparse.Namespace) -> int:
    print(f"{args.words} words in a row:")
    print(f"{'set':24} {'rows':>7} {'claims':>7} {'sources':>7}")
    for row in overlap(args.data, _sets(args.grounding), size=args.words):
        print(f"{row['set']:24} {row['rows']:7,} {row['claims']:7,} {row['sources']:7,}")
    return 0


def _init(args: argparse.Namespace) -> int:
    layers = [int(number) for number in args.layers.split(",")]
    pipeline.init(
        args.source,
        args.out,
        layers=layers,
        labels=args.labels.split(","),
        exit_layer=args.exit_layer,
        lower=args.lower_from,
        lower_layers=args.lower_layers,
    )
    print(f"{args.out}: {len(layers)} layers, labels {args.labels}")
    return 0


def _restore(args: argparse.Namespace) -> int:
    count = restore(locate(ModelSpec(model=args.model)).folder, args.out)
    print(f"{args.out}: {count:,} weights, layers, labels and heads as in {args.model}")
    return 0


def _recipe(args: argparse.Namespace) -> Recipe:
    recipe = load_recipe(args.recipe)
    if args.decay_start is not None:
        recipe = replace(recipe, decay_start=args.decay_start)
    if args.decay_tokens is not None:
        recipe = replace(recipe, decay_tokens=args.decay_tokens)
    return recipe


def _options(args: argparse.Namespace) -> RunOptions:
    return RunOptions(
        args.run,
        stop_at=args.stop_at,
        checkpoint_every=args.checkpoint_every,
        milestone_every=args.milestone_every,
        evaluate_every=args.evaluate_every,
        log_every=args.log_every,
        workers=args.workers,
    )


def _train(args: argparse.Namespace) -> int:
    if pipeline.has_checkpoint(args.run):
        print(f"going on with the run in {args.run}")
    model = pipeline.train(
        args.data, args.start, _recipe(args), _options(args), held_out=args.held_out
    )
    if isinstance(model, pipeline.Stopped):
        print(
            f"stopped at {model.tokens:,} tokens; run the same command again to go on",
            file=sys.stderr,
        )
        return STOPPED
    print(f"model: {model}")
    return 0


def _average(args: argparse.Namespace) -> int:
    pipeline.average(args.checkpoint, args.start, args.out, max_length=args.max_length)
    print(f"{args.out}: mean of {len(args.checkpoint)} checkpoints")
    return 0


def _compare(args: argparse.Namespace) -> int:
    models = comparing.named(args.model)
    sets = comparing.read_sets(
        args.held_out, _sets(args.grounding), limit=args.limit, sample=args.sample
    )
    rows = []
    for name, folder in models.items():
        rows.append(comparing.compare(name, folder, sets, threads=args.threads, bf16=args.bf16))
        print(comparing.told(rows[-1]), file=sys.stderr if args.json else sys.stdout, flush=True)
    if args.json:
        print(json.dumps(rows, indent=2))
    return 0


def _export(args: argparse.Namespace) -> int:
    pipeline.export_calibrated(
        args.model, args.out, args.held_out, storage=args.storage, threads=args.threads or 1
    )
    print(describe(args.out))
    return 0


def _figures(args: argparse.Namespace) -> dict[str, Any]:
    return pipeline.evaluate_exported(
        args.model,
        args.held_out,
        _sets(args.grounding),
        sample=args.sample,
        threads=args.threads or 1,
    )


def _evaluate(args: argparse.Namespace) -> int:
    figures = _figures(args)
    print(json.dumps(figures, indent=2))
    rows = figures["held_out_rows"]
    if rows["left_out"]:
        print(
            f"{rows['left_out']:,} held-out pairs are too long for the model, or empty, and were"
            f" left out; {rows['measured']:,} were measured",
            file=sys.stderr,
        )
    return 0


def _card(args: argparse.Namespace) -> int:
    figures = _figures(args)
    pipeline.make_card(args.model, args.run, figures, start=args.start_name, notes=args.note)
    print(f"{args.model / 'README.md'}")
    return 0


def _all(args: argparse.Namespace) -> int:
    data = list(args.data)
    pipeline.check_apart(data, args.held_out)
    if args.each:
        made = args.run / "generated.jsonl.gz"
        if not made.exists():  # a killed run goes on with the data it began with
            pipeline.generate_file(data, made, each=args.each, seed=args.seed)
        data.append(made)
    args.data, args.model = data, args.run / "model"
    if status := _train(args):
        return status
    _export(args)
    args.model = args.out
    return _card(args)


def _sets(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.jsonl*")) if path.is_dir() else [path]
        if not inside:
            raise FileNotFoundError(f"{path} holds no .jsonl or .jsonl.gz file")
        found += inside
    return found


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m verifiers.training", description=ABOUT, epilog=EXAMPLES, formatter_class=shape
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, handler: object, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(handler=handler)
        return made

    command("sources", _sources, "List the public sources the bundled model was trained on.")

    _before_training(command)

    sub = command("train", _train, "Train, or go on with a run that was stopped.")
    arguments.data(sub)
    arguments.training(sub)
    sub.add_argument("--held-out", type=Path, help="pairs to evaluate on, never trained on")

    sub = command("average", _average, "Average the weights of several checkpoints.")
    sub.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        required=True,
        help="of a run, or a folder with model.safetensors; to be repeated",
    )
    sub.add_argument("--start", type=Path, required=True, help="for config and tokenizer")
    sub.add_argument(
        "--max-length", type=arguments.positive, default=400, help="longest pair trained on"
    )
    sub.add_argument("--out", type=Path, required=True, help="model folder to write")

    sub = command("compare", _compare, comparing.ABOUT)
    sub.add_argument(
        "--model",
        action="append",
        required=True,
        metavar="[NAME=]FOLDER",
        help="model folder of a run, or a mean; to be repeated",
    )
    sub.add_argument(
        "--held-out",
        type=Path,
        action="append",
        required=True,
        help="pairs never trained on; to be repeated, the first chooses the threshold",
    )
    sub.add_argument(
        "--limit", type=arguments.positive, help="pairs of each of these files, seeded (all)"
    )
    sub.add_argument(
        "--grounding", type=Path, action="append", default=[], help="labelled set or folder of them"
    )
    sub.add_argument("--sample", type=arguments.positive, help="rows of each set, seeded (all)")
    sub.add_argument("--threads", type=arguments.positive, default=1, help="(%(default)s)")
    sub.add_argument("--bf16", action="store_true", help="products in bfloat16, as in training")
    sub.add_argument("--json", action="store_true", help="all figures as JSON, of each set, too")

    sub = command("export", _export, "Write the ONNX form of a model, with calibration.")
    sub.add_argument("--model", type=Path, required=True, help="model folder of a run")
    arguments.exporting(sub)

    for name, handler, text in (
        ("evaluate", _evaluate, "Measure an exported model; prints JSON."),
        ("card", _card, "Measure an exported model and write its model card."),
    ):
        sub = command(name, handler, text)
        sub.add_argument("--model", type=Path, required=True, help="exported model folder")
        sub.add_argument("--held-out", type=Path, required=True, help="pairs never trained on")
        sub.add_argument("--threads", type=arguments.positive, help="of ONNX Runtime (1)")
        arguments.measuring(sub)
        if name == "card":
            sub.add_argument("--run", type=Path, required=True, help="the run it came from")

    sub = command("all", _all, "Everything: generate, train, export, calibrate, measure, card.")
    arguments.data(sub)
    arguments.making(sub, each=0)
    arguments.training(sub)
    arguments.exporting(sub)
    arguments.measuring(sub)
    return parser


def _before_training(command: Callable[..., argparse.ArgumentParser]) -> None:
    sub = command("generate", _generate, "Make more training pairs from pairs, by rule.")
    arguments.data(sub)
    sub.add_argument("--out", type=Path, required=True, help="file to write, .jsonl or .jsonl.gz")
    arguments.making(sub, each=8_000)

    sub = command("written", _written, "Write out the pairs that were written for this project.")
    sub.add_argument("--folder", type=Path, default=FOLDER, help="of text files (the package's)")
    sub.add_argument(
        "--aside", action="store_true", help="those of the documents that are never trained on"
    )
    sub.add_argument("--out", type=Path, required=True, help="file to write, .jsonl or .jsonl.gz")

    sub = command("overlap", _overlap, "Count what labelled sets and training pairs share.")
    arguments.data(sub)
    sub.add_argument("--grounding", type=Path, action="append", required=True, help="set or folder")
    sub.add_argument("--words", type=int, default=RUN, help="in a row (%(default)s)")

    sub = command("init", _init, "Cut a start checkpoint out of a larger BERT checkpoint.")
    sub.add_argument("--from", dest="source", type=Path, required=True, help="checkpoint folder")
    sub.add_argument("--layers", required=True, help="layers to keep, such as 0,1,2,3,4,5")
    sub.add_argument("--labels", default="entailment,neutral,contradiction", help="new head")
    sub.add_argument(
        "--exit-layer",
        type=arguments.count,
        default=0,
        help="read a second head after so many layers, so that clear pairs may stop there (none)",
    )
    sub.add_argument(
        "--lower-from",
        type=Path,
        help="a verifier trained from the same encoder, whose lowest layers to begin with",
    )
    sub.add_argument("--lower-layers", type=arguments.count, default=0, help="how many of them")
    sub.add_argument("--out", type=Path, required=True, help="folder to write")

    sub = command("restore", _restore, "A start checkpoint from an exported model, heads included.")
    sub.add_argument("--model", default=BUNDLED, help="its folder (the bundled one)")
    sub.add_argument("--out", type=Path, required=True, help="folder to write")


if __name__ == "__main__":
    sys.exit(main())
