"""``python -m verifiers.training``: train the bundled verifier, or one for your own domain."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from verifiers.backends import ModelSpec
from verifiers.backends.onnx_files import locate
from verifiers.backends.spec import BUNDLED
from verifiers.errors import VerifierError
from verifiers.training import pipeline
from verifiers.training.export import Storage, describe
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

ABOUT = """\
From labelled pairs to a model that groundrail loads: data, training, calibration, ONNX, model card.

Pairs are JSON lines (.jsonl or .jsonl.gz), one object a line:
  {"dataset": "mine", "premise": "The lease runs for two years.",
   "hypothesis": "The lease runs for three years.", "label": "contradiction"}
with label entailment, neutral, contradiction, or not_entailment (one of the latter two, nobody said
which). Everything runs on the CPU; nothing is fetched from a network.

Start checkpoint: a folder with config.json, model.safetensors and tokenizer.json of a BERT model.
`init` cuts one out of a public encoder, `restore` makes one of the bundled verifier.
"""

EXAMPLES = """\
examples:
  everything at once, from data to model card (run it again after a kill: it goes on)
    python -m verifiers.training all --data train.jsonl.gz --held-out held_out.jsonl.gz \\
        --start start/ --recipe recipe.json --run run/ --out my-verifier/

  step by step
    python -m verifiers.training generate --data train.jsonl.gz --out made.jsonl.gz --each 8000
    python -m verifiers.training init --from ms-marco-minilm/ --layers 0,1,2,3,4,5 --out start/
    python -m verifiers.training train --data train.jsonl.gz --data made.jsonl.gz \\
        --start start/ --recipe recipe.json --run run/
    python -m verifiers.training export --model run/model --held-out held_out.jsonl.gz --out my/
    python -m verifiers.training evaluate --model my/ --held-out held_out.jsonl.gz --grounding dev/
    python -m verifiers.training card --model my/ --run run/ --held-out held_out.jsonl.gz

  the bundled verifier, trained further on pairs of your own
    python -m verifiers.training restore --out start/

A running `train` stops cleanly on SIGTERM, and rests while a file PAUSE is in its run folder.
See guardrails/docs/training.md.
"""


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
    print(f"model: {model}")
    return 0


def _average(args: argparse.Namespace) -> int:
    pipeline.average(args.checkpoint, args.start, args.out, max_length=args.max_length)
    print(f"{args.out}: mean of {len(args.checkpoint)} checkpoints")
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
    print(json.dumps(_figures(args), indent=2))
    return 0


def _card(args: argparse.Namespace) -> int:
    figures = _figures(args)
    pipeline.make_card(args.model, args.run, figures, start=args.start_name, notes=args.note)
    print(f"{args.model / 'README.md'}")
    return 0


def _all(args: argparse.Namespace) -> int:
    data = list(args.data)
    if args.each:
        made = args.run / "generated.jsonl.gz"
        if not made.exists():  # a killed run goes on with the data it began with
            pipeline.generate_file(data, made, each=args.each, seed=args.seed)
        data.append(made)
    args.data, args.model = data, args.run / "model"
    _train(args)
    _export(args)
    args.model = args.out
    return _card(args)


def _sets(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(path.glob("*.jsonl*")) if path.is_dir() else [path]
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
    _data(sub)
    _training(sub)
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
    sub.add_argument("--max-length", type=int, default=400, help="longest pair trained on")
    sub.add_argument("--out", type=Path, required=True, help="model folder to write")

    sub = command("export", _export, "Write the ONNX form of a model, with calibration.")
    sub.add_argument("--model", type=Path, required=True, help="model folder of a run")
    _exporting(sub)

    for name, handler, text in (
        ("evaluate", _evaluate, "Measure an exported model; prints JSON."),
        ("card", _card, "Measure an exported model and write its model card."),
    ):
        sub = command(name, handler, text)
        sub.add_argument("--model", type=Path, required=True, help="exported model folder")
        sub.add_argument("--held-out", type=Path, required=True, help="pairs never trained on")
        sub.add_argument("--threads", type=int, help="of ONNX Runtime (1)")
        _measuring(sub)
        if name == "card":
            sub.add_argument("--run", type=Path, required=True, help="the run it came from")

    sub = command("all", _all, "Everything: generate, train, export, calibrate, measure, card.")
    _data(sub)
    _making(sub, each=0)
    _training(sub)
    _exporting(sub)
    _measuring(sub)
    return parser


def _before_training(command: Callable[..., argparse.ArgumentParser]) -> None:
    sub = command("generate", _generate, "Make more training pairs from pairs, by rule.")
    _data(sub)
    sub.add_argument("--out", type=Path, required=True, help="file to write, .jsonl.gz")
    _making(sub, each=8_000)

    sub = command("written", _written, "Write out the pairs that were written for this project.")
    sub.add_argument("--folder", type=Path, default=FOLDER, help="of text files (the package's)")
    sub.add_argument(
        "--aside", action="store_true", help="those of the documents that are never trained on"
    )
    sub.add_argument("--out", type=Path, required=True, help="file to write, .jsonl.gz")

    sub = command("overlap", _overlap, "Count what labelled sets and training pairs share.")
    _data(sub)
    sub.add_argument("--grounding", type=Path, action="append", required=True, help="set or folder")
    sub.add_argument("--words", type=int, default=RUN, help="in a row (%(default)s)")

    sub = command("init", _init, "Cut a start checkpoint out of a larger BERT checkpoint.")
    sub.add_argument("--from", dest="source", type=Path, required=True, help="checkpoint folder")
    sub.add_argument("--layers", required=True, help="layers to keep, such as 0,1,2,3,4,5")
    sub.add_argument("--labels", default="entailment,neutral,contradiction", help="new head")
    sub.add_argument(
        "--exit-layer",
        type=int,
        default=0,
        help="read a second head after so many layers, so that clear pairs may stop there (none)",
    )
    sub.add_argument(
        "--lower-from",
        type=Path,
        help="a verifier trained from the same encoder, whose lowest layers to begin with",
    )
    sub.add_argument("--lower-layers", type=int, default=0, help="how many of them")
    sub.add_argument("--out", type=Path, required=True, help="folder to write")

    sub = command("restore", _restore, "A start checkpoint from an exported model, heads included.")
    sub.add_argument("--model", default=BUNDLED, help="its folder (the bundled one)")
    sub.add_argument("--out", type=Path, required=True, help="folder to write")


def _data(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--data", type=Path, action="append", required=True, help="training pairs; may be repeated"
    )


def _making(sub: argparse.ArgumentParser, *, each: int) -> None:
    sub.add_argument("--each", type=int, default=each, help="rows made by each rule (%(default)s)")
    sub.add_argument("--seed", type=int, default=5, help="of what is made (%(default)s)")


def _training(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--start", type=Path, required=True, help="start checkpoint folder")
    sub.add_argument("--recipe", type=Path, required=True, help="recipe JSON: stages and rates")
    sub.add_argument("--run", type=Path, required=True, help="run folder; made, or gone on with")
    sub.add_argument("--stop-at", type=int, help="stop after so many tokens in all, without decay")
    sub.add_argument(
        "--decay-start", type=int, help="token count at which the learning rate begins to fall"
    )
    sub.add_argument("--decay-tokens", type=int, help="how long it falls")
    sub.add_argument("--checkpoint-every", type=int, default=200_000, help="tokens (%(default)s)")
    sub.add_argument("--milestone-every", type=int, default=0, help="tokens between kept copies")
    sub.add_argument("--evaluate-every", type=int, default=0, help="tokens between evaluations")
    sub.add_argument("--log-every", type=int, default=50, help="steps (%(default)s)")
    sub.add_argument(
        "--workers",
        type=int,
        default=1,
        help="threads that share each batch, one core each (%(default)s)",
    )


def _exporting(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--out", type=Path, required=True, help="folder to write; names the model")
    sub.add_argument("--held-out", type=Path, required=True, help="pairs to calibrate on")
    sub.add_argument(
        "--storage", choices=get_args(Storage), default="float16", help="(%(default)s)"
    )
    sub.add_argument("--threads", type=int, help="of ONNX Runtime (1)")


def _measuring(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--grounding",
        type=Path,
        action="append",
        default=[],
        help="labelled grounding set, or a folder of them: JSON lines with source, claim and "
        "label supported or unsupported",
    )
    sub.add_argument("--sample", type=int, help="rows of each grounding set, seeded (all)")
    sub.add_argument(
        "--start-name",
        default="the start checkpoint given",
        help="what the weights started from, with its licence, for the card",
    )
    sub.add_argument(
        "--note", action="append", default=[], help="a line on how it came about, for the card"
    )


if __name__ == "__main__":
    sys.exit(main())
