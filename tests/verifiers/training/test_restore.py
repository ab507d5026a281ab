"""From an exported model back to a checkpoint that trains on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
safetensors = pytest.importorskip("safetensors.torch")

from verifiers.backends.onnx_files import locate  # noqa: E402
from verifiers.backends.spec import ModelSpec  # noqa: E402
from verifiers.errors import ModelUnavailable  # noqa: E402
from verifiers.training import model  # noqa: E402
from verifiers.training.__main__ import main  # noqa: E402
from verifiers.training.export import GRAPH, export  # noqa: E402
from verifiers.training.restore import restore  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

# How far a weight may be from what was exported, as a share of the largest of its matrix.
STORAGES = {"float32": 1e-6, "float16": 1e-3, "int8": 1 / 254}


@pytest.mark.parametrize("storage", STORAGES)
def test_every_weight_comes_back(loud_start: Path, tmp_path: Path, storage: str) -> None:
    """Both heads and the exit's place among them, as near as the storage keeps them."""
    export(loud_start, tmp_path / "out", storage=storage)
    count = restore(tmp_path / "out", tmp_path / "back")
    before = safetensors.load_file(loud_start / "model.safetensors")
    after = safetensors.load_file(tmp_path / "back" / "model.safetensors")
    assert set(after) == set(before)
    assert "exit.dense.weight" in after
    assert count == sum(value.numel() for value in before.values())
    for name, value in before.items():
        far = (after[name] - value).abs().max() / value.abs().max().clamp(min=1e-9)
        assert far <= STORAGES[storage] * 1.01, name
    model.load(tmp_path / "back")  # all of it fits


def test_what_was_of_the_export_is_left_behind(loud_start: Path, tmp_path: Path) -> None:
    """A rule or a temperature of the old weights says nothing of new ones."""
    rule = {"layer": 2, "temperature": 1.0, "confidence": 0.65}
    more = {"exit": rule, "calibration": {"temperature": 1.3}}
    export(loud_start, tmp_path / "out", storage="int8", extra=more)
    restore(tmp_path / "out", tmp_path / "back")
    config = json.loads((tmp_path / "back" / "config.json").read_text())
    assert config["exit_layer"] == 2
    assert config["id2label"]["2"] == "contradiction"
    assert not {"exit", "calibration", "sha256", "weights_stored", "storage_error"} & set(config)


def test_rounding_is_done_once(loud_start: Path, tmp_path: Path) -> None:
    """What was restored from int8 is stored as the same int8."""
    export(loud_start, tmp_path / "one", storage="int8")
    restore(tmp_path / "one", tmp_path / "back")
    export(tmp_path / "back", tmp_path / "two", storage="int8")
    first, second = (onnx.load(tmp_path / name / GRAPH) for name in ("one", "two"))
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in first.graph.initializer}
    again = {t.name: onnx.numpy_helper.to_array(t) for t in second.graph.initializer}
    integers = [name for name, value in stored.items() if value.dtype == np.int8]
    assert len(integers) > 10
    for name in integers:
        apart = np.abs(stored[name].astype(int) - again[name].astype(int))
        assert apart.max() == 0, name


def test_the_bundled_model_comes_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command, without naming it; and the network gives what the package's gives."""
    assert main(["restore", "--out", str(tmp_path / "start")]) == 0
    assert "weights" in capsys.readouterr().out
    folder = locate(ModelSpec()).folder
    network = model.load(tmp_path / "start").eval()
    ids = torch.tensor([[101, 1996, 3899, 102, 1037, 4937, 102]])
    mask, types = torch.ones_like(ids), torch.tensor([[0, 0, 0, 0, 1, 1, 1]])
    with torch.inference_mode():
        full, early = network.both(ids, mask, types)
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(str(folder / GRAPH), providers=["CPUExecutionProvider"])
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    wanted = {
        node.name: feed[node.name].numpy() for node in session.get_inputs() if node.name in feed
    }
    logits, exit_logits = session.run(["logits", "exit_logits"], wanted)
    np.testing.assert_allclose(full.numpy(), logits, atol=1e-3)
    np.testing.assert_allclose(early.numpy(), exit_logits, atol=1e-3)


def test_a_foreign_graph_is_refused(
    loud_start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written, and the error says which weights are missing."""
    export(loud_start, tmp_path / "out", storage="float32")
    graph = onnx.load(tmp_path / "out" / GRAPH)
    for tensor in graph.graph.initializer:
        tensor.name = tensor.name.replace("bert.", "roberta.")
    onnx.save(graph, tmp_path / "out" / GRAPH)
    with pytest.raises(
        ModelUnavailable, match=r"model\.onnx is not the file its config\.json names"
    ):
        restore(tmp_path / "out", tmp_path / "back")
    config = tmp_path / "out" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "sha256": None}))
    with pytest.raises(ModelUnavailable, match="embeddings"):
        restore(tmp_path / "out", tmp_path / "back")
    assert main(["restore", "--model", str(tmp_path / "out"), "--out", str(tmp_path / "back")]) == 2
    assert "no weights" in capsys.readouterr().err
    assert not (tmp_path / "back").exists()


def test_half_a_graph_is_refused(loud_start: Path, tmp_path: Path) -> None:
    """Also where the config has no digest to compare it with."""
    export(loud_start, tmp_path / "out", storage="float32")
    graph, config = tmp_path / "out" / GRAPH, tmp_path / "out" / "config.json"
    graph.write_bytes(graph.read_bytes()[:999])
    config.write_text(json.dumps({**json.loads(config.read_text()), "sha256": None}))
    with pytest.raises(ModelUnavailable, match="is cut short"):
        restore(tmp_path / "out", tmp_path / "back")
