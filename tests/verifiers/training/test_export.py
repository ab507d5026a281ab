"""The ONNX form gives what the network gives."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from verifiers.errors import MissingExtra  # noqa: E402
from verifiers.training import evaluate, model  # noqa: E402
from verifiers.training.data import load_pairs  # noqa: E402
from verifiers.training.export import describe, export  # noqa: E402
from verifiers.training.files import file_digest, require  # noqa: E402


@pytest.fixture(scope="module")
def loud_start(tiny_start, tmp_path_factory):
    """The start checkpoint with weights ten times as large.

    Fresh weights are so small that attention is even and a wrong mask would hardly show.
    """
    config = json.loads((tiny_start / "config.json").read_text())
    network = model.load(tiny_start)
    weights = {n: p * (10 if p.ndim > 1 else 1) for n, p in network.named_parameters()}
    folder = tmp_path_factory.mktemp("loud")
    model.save(weights, config, tiny_start / "tokenizer.json", folder)
    return folder


@pytest.fixture(scope="module")
def arrays(tiny_start, toy_data):
    """A batch of pairs of different lengths."""
    from verifiers.training.sampling import collate

    pairs = load_pairs([toy_data], tiny_start / "tokenizer.json", max_length=64)
    return collate(pairs, range(24), cls=2, sep=3, pad=0)


@pytest.mark.parametrize(("storage", "tolerance"), [("float32", 1e-5), ("float16", 1e-2)])
def test_the_graph_is_the_network(loud_start, tmp_path, arrays, storage, tolerance):
    """Logits of the exported file equal torch's, padding and all."""
    export(loud_start, tmp_path / "m", storage=storage)
    expected = evaluate.torch_forward(model.load(loud_start).eval())(arrays)
    found = evaluate.onnx_forward(tmp_path / "m")(arrays)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < tolerance


def test_the_network_is_transformers_bert(loud_start, arrays):
    """Our module reads a checkpoint as transformers does."""
    transformers = pytest.importorskip("transformers")
    theirs = transformers.BertForSequenceClassification.from_pretrained(loud_start).eval()
    ours = evaluate.torch_forward(model.load(loud_start).eval())(arrays)
    inputs = {name: torch.from_numpy(arrays[name]) for name in evaluate.INPUTS}
    with torch.no_grad():
        expected = theirs(**inputs).logits.numpy()
    assert np.abs(ours - expected).max() < 1e-5


def test_rows_do_not_depend_on_their_neighbours(loud_start, tmp_path, arrays):
    """A row alone, without padding, scores as it does in a batch."""
    export(loud_start, tmp_path / "m", storage="float32")
    forward = evaluate.onnx_forward(tmp_path / "m")
    together = forward(arrays)
    for i in range(5):
        size = int(arrays["attention_mask"][i].sum())
        alone = forward({name: arrays[name][i : i + 1, :size] for name in evaluate.INPUTS})
        assert np.abs(alone[0] - together[i]).max() < 1e-5


def test_half_precision_halves_the_file(tiny_start, tmp_path):
    """Weights stored in float16 take about half the room."""
    sizes = {}
    for storage in ("float32", "float16"):
        export(tiny_start, tmp_path / storage, storage=storage)
        sizes[storage] = (tmp_path / storage / "model.onnx").stat().st_size
    assert sizes["float16"] < 0.75 * sizes["float32"]


def test_the_config_says_what_a_loader_needs(tiny_start, tmp_path):
    """Labels, length, template, digests of the files as written, and what was added."""
    export(tiny_start, tmp_path / "mine", max_length=48, extra={"calibration": {"id": "x"}})
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert config["name"] == "mine"
    assert config["id2label"] == {"0": "entailment", "1": "neutral", "2": "contradiction"}
    assert config["max_length"] == 48
    assert config["input_template"] == "[CLS] {premise} [SEP] {claim} [SEP]"
    assert config["sha256"]["model.onnx"] == file_digest(tmp_path / "mine" / "model.onnx")
    assert config["calibration"] == {"id": "x"}
    assert config["sha256"]["model.onnx"][:16] in describe(tmp_path / "mine")


def test_more_length_than_positions_is_refused(tiny_start, tmp_path):
    """The network has no such position."""
    with pytest.raises(ValueError, match="positions"):
        export(tiny_start, tmp_path / "m", max_length=65)


def test_exporting_twice_gives_the_same_bytes(tiny_start, tmp_path):
    """The digest in a model card can be made again."""
    digests = {export(tiny_start, tmp_path / "same")["sha256"]["model.onnx"] for _ in range(2)}
    assert len(digests) == 1


def test_a_missing_library_names_the_extra():
    """What to install is in the message; a broken installation is not hidden."""
    with pytest.raises(MissingExtra, match=r"groundrail\[torch\]"):
        require("no_such_library_here")
