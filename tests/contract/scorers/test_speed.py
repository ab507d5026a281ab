"""The speed benchmark runs every form of a model beside the other projects on the same weights."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnx")

from verifiers.backends import ModelSpec
from verifiers.bench import speed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SOURCE = (
    "The shop sells 30 kinds of bread and 12 kinds of cheese every day. Whales sing at night. "
    "The film won three awards and was praised by critics."
)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A few rows in the form of labelled grounding sets."""
    claims = ("The shop sells 30 kinds of bread.", "The shop does not sell bread.", "one two")
    rows = [
        {"id": str(n), "source": SOURCE, "claim": f"{claims[n % 3]} {n}", "label": "supported"}
        for n in range(9)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(autouse=True)
def _random_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that are not meant to be right prove no labels."""
    monkeypatch.setattr(speed, "ModelSpec", partial(ModelSpec, canaries=False))


def report(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert speed.main([*map(str, arguments)]) == 0
    found: dict = json.loads(capsys.readouterr().out)
    return found


def test_every_form_and_every_other(tiny_forms: Path, labelled: Path, capsys) -> None:
    """Both forms, each with and without exit, beside a checkpoint restored from int8 weights."""
    told = report(
        capsys, labelled, "--model", tiny_forms, "--pairs", 9, "--repeat", 1, "--threads", 1
    )
    ways = {"int8, exit", "int8", "fp32, exit", "fp32"}
    assert set(told["engine_to_session"]) == ways
    arms = {f"{arm} ({way})" for arm in ("engine", "session") for way in ways}
    assert arms | {"pipeline"} <= set(told["pairs_per_second"])
    assert all(rate > 0 for rate in told["pairs_per_second"].values())
    assert told["pairs"] == 9
    assert set(told["apart"]) == ways - {"fp32"}
    assert told["apart"]["int8"]["largest"] < 0.05
    assert told["apart"]["fp32, exit"]["largest"] > 0.05
    exited, scored = told["exited_of_scored"]["fp32, exit"]
    assert 0 < exited <= scored
    assert told["exited_of_scored"]["fp32"][0] == 0


def test_ours_alone(tiny_forms: Path, labelled: Path, capsys) -> None:
    """Without the other projects, by processor time."""
    told = report(
        capsys, labelled, "--model", tiny_forms, "--pairs", 6, "--repeat", 1, "--ours", "--cpu-time"
    )
    assert told["clock"] == "process_time"
    assert "pipeline" not in told["pairs_per_second"]


def test_other_weights_are_noticed(tiny_forms: Path, tmp_path: Path) -> None:
    """A checkpoint that gives other probabilities is not timed as the same model."""
    from safetensors.torch import load_file, save_file

    speed.as_transformers(tiny_forms, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["classifier.weight"] = -weights["classifier.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    whole = next(way for way in speed.ours(str(tiny_forms), 1) if way.name == "fp32")
    pair = speed.Pair(SOURCE, "The shop sells 30 kinds of bread.")
    with pytest.raises(RuntimeError, match="not the same model"):
        speed.check_same(tmp_path, whole.scorer, [pair])
