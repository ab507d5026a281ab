"""What ``python -m verifiers.training --help`` says around the commands."""

from __future__ import annotations

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
    python -m verifiers.training average --checkpoint start/ --checkpoint run/model \\
        --start start/ --out mean/
    python -m verifiers.training compare --model run/model --model mean/ \\
        --held-out held_out.jsonl.gz
    python -m verifiers.training export --model run/model --held-out held_out.jsonl.gz --out my/
    python -m verifiers.training evaluate --model my/ --held-out held_out.jsonl.gz --grounding dev/
    python -m verifiers.training card --model my/ --run run/ --held-out held_out.jsonl.gz

  the bundled verifier, trained further on pairs of your own
    python -m verifiers.training restore --out start/

A running `train` stops cleanly on SIGTERM and Ctrl-C, after the step it is at and with a
checkpoint: `train` and `all` then write no model and exit with status 130. It rests while a file
PAUSE is in its run folder.
See guardrails/docs/training.md.
"""
