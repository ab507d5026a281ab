"""The models in the package are whole, and are what their cards say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import verifiers
from verifiers.training import evaluate
from verifiers.training.files import file_digest, read_json
from verifiers.training.metrics import softmax

MODELS = sorted((Path(verifiers.__file__).parent / "models").glob("*/config.json"))
CARDED = [path for path in MODELS if "sha256" in read_json(path)]

PAIRS = [
    ("The lease runs for two years from May 2021.", "The lease runs for two years.", 0),
    ("A man is sleeping on the sofa.", "A man is asleep.", 0),
    ("A man is sleeping on the sofa.", "The man's sister bought the house.", 1),
    ("A man is sleeping on the sofa.", "Nobody is sleeping.", 2),
]


def test_there_are_models():
    """The package carries at least one, and the trained one has a full card."""
    assert MODELS
    assert CARDED


@pytest.mark.parametrize("config", CARDED, ids=lambda path: path.parent.name)
def test_digests_and_card_agree_with_the_files(config):
    """Config, card and files name the same bytes; the folder's name is the model's."""
    folder, written = config.parent, read_json(config)
    for name, digest in written["sha256"].items():
        assert file_digest(folder / name) == digest
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert written["sha256"]["model.onnx"] in card
    assert written["name"] == folder.name
    assert all(part in card for part in ("## Data", "## Limits", "Licence of the weights"))
    assert 0 < written["calibration"]["entailment_ece_after"] < 0.05


@pytest.mark.parametrize("config", MODELS, ids=lambda path: path.parent.name)
def test_the_wheel_stays_small(config):
    """At most 60 MB a model."""
    assert sum(file.stat().st_size for file in config.parent.iterdir()) < 60_000_000


@pytest.mark.parametrize("config", CARDED, ids=lambda path: path.parent.name)
def test_the_obvious_is_right(config):
    """Plain pairs get their label."""
    folder = config.parent
    score = evaluate.text_scorer(
        evaluate.onnx_forward(folder), folder / "tokenizer.json", max_length=400
    )
    found = softmax(score([(premise, claim) for premise, claim, _ in PAIRS]))
    assert found.argmax(1).tolist() == [label for *_, label in PAIRS]
    assert np.allclose(found.sum(1), 1)
