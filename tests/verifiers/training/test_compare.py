"""Comparing checkpoints: a trained one stands above the one it started from, on what it has read."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from verifiers.training.__main__ import main
from verifiers.training.compare import compare, named, read_sets
from verifiers.training.evaluate import torch_forward
from verifiers.training.metrics import auroc, balanced_accuracy, best_threshold

RECIPE = {
    "stages": [{"name": "all", "tokens": 60_000, "weights": {"toy": 1.0}, "max_length": 64}],
    "batch_tokens": 256, "pool_batches": 4, "lr": 1e-3, "warmup_tokens": 200,
    "decay_start": 50_000, "decay_tokens": 10_000, "bf16": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tiny_start, toy_data, tmp_path_factory):
    """A model that has learnt a little of the toy rule."""
    folder = tmp_path_factory.mktemp("compare")
    recipe = folder / "recipe.json"
    recipe.write_text(json.dumps(RECIPE))
    command = ["train", "--data", str(toy_data), "--start", str(tiny_start)]
    assert main([*command, "--recipe", str(recipe), "--run", str(folder / "run")]) == 0
    return folder / "run" / "model"


@pytest.fixture
def other(tmp_path, toy_rows):
    """Pairs the model has read, as a second file, and as a labelled set with one long source."""
    rows = toy_rows(240)[:60]
    pairs = tmp_path / "other.jsonl"
    names = ("dataset", "premise", "hypothesis", "label")
    pairs.write_text(
        "".join(json.dumps({name: getattr(r, name) for name in names}) + "\n" for r in rows)
    )
    labelled = tmp_path / "toyset.jsonl"
    labelled.write_text(
        "".join(
            json.dumps(
                {
                    "source": r.premise + (" It rained." * 150 if i == 0 else ""),
                    "claim": r.hypothesis,
                    "label": "supported" if r.label == "entailment" else "unsupported",
                }
            )
            + "\n"
            for i, r in enumerate(rows)
        )
    )
    return pairs, labelled


def test_the_trained_one_stands_above_its_start(
    tiny_start, trained, toy_held_out, other, capsys
) -> None:
    """One line each for people, all figures as JSON; the first file chooses the threshold."""
    pairs, labelled = other
    command = ["compare", "--model", f"start={tiny_start}", "--model", f"after={trained}"]
    command += ["--held-out", str(toy_held_out), "--held-out", str(pairs)]
    command += ["--grounding", str(labelled)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["start", "after"]
    assert all("1 labelled sets" in line for line in lines)
    assert main([*command, "--json", "--threads", "2"]) == 0
    shown = capsys.readouterr()
    before, after = json.loads(shown.out)
    assert [line.split()[0] for line in shown.err.splitlines()] == ["start", "after"]
    assert after["held_out"]["other"]["auroc"] > before["held_out"]["other"]["auroc"] + 0.1
    assert after["grounding"]["toyset"]["auroc"] > 0.6
    assert after["held_out"]["held_out"]["rows"] == after["held_out"]["other"]["rows"] == 60
    first = after["held_out"]["held_out"]
    assert first["balanced_accuracy"] == first["best"]
    other_rows = after["held_out"]["other"]
    assert other_rows["balanced_accuracy"] <= other_rows["best"]
    assert after["means"]["held_out"]["auroc"] == pytest.approx(
        (first["auroc"] + other_rows["auroc"]) / 2
    )


def test_figures_are_those_of_the_network_itself(trained, toy_held_out, toy_rows) -> None:
    """Scored pair by pair, without packing or sampling, the same figures come out."""
    import numpy as np
    from tokenizers import Tokenizer

    from verifiers.training.metrics import softmax
    from verifiers.training.model import load

    rows = toy_rows(60, 7)  # what the file holds
    reader = Tokenizer.from_file(str(trained / "tokenizer.json"))
    forward = torch_forward(load(trained).eval())
    logits = []
    for row in rows:
        found = reader.encode(row.premise, row.hypothesis)
        arrays = {
            "input_ids": np.array([found.ids]),
            "attention_mask": np.ones((1, len(found.ids)), np.int64),
            "token_type_ids": np.array([found.type_ids]),
        }
        logits.append(forward(arrays)[0, :3])
    scores = softmax(np.array(logits))[:, 0]
    supported = np.array([row.label == "entailment" for row in rows])
    threshold = best_threshold(scores, supported)
    found = compare("it", trained, read_sets([toy_held_out], []))
    assert found["threshold"] == pytest.approx(threshold, abs=1e-5)
    figures = found["held_out"]["held_out"]
    assert figures["auroc"] == pytest.approx(auroc(scores, supported), abs=1e-6)
    assert figures["balanced_accuracy"] == balanced_accuracy(scores, supported, threshold)
    rounded = compare("it", trained, read_sets([toy_held_out], []), bf16=True)
    assert rounded["threshold"] != found["threshold"]
    assert rounded["held_out"]["held_out"]["auroc"] == pytest.approx(figures["auroc"], abs=0.05)


def test_a_sample_is_the_same_each_time(toy_held_out, other) -> None:
    """Checkpoints measured on different days are measured on the same pairs."""
    pairs, labelled = other
    one, two = (read_sets([toy_held_out, pairs], [labelled], limit=20, sample=10) for _ in "12")
    assert one == two
    assert [len(rows) for rows in one.pairs.values()] == [20, 20]
    assert [len(rows) for rows in one.grounding.values()] == [10]


@pytest.mark.parametrize("models", [["a=x", "a=y"], ["x/m", "y/m"]])
def test_two_of_one_name_are_refused(models) -> None:
    """Nobody could tell their lines apart."""
    with pytest.raises(ValueError, match="two models are called"):
        named(models)


def test_what_cannot_be_compared_on_is_said_before_anything_is_measured(
    tmp_path, toy_held_out, other, capsys
) -> None:
    """Two files of one name, and a file with one label."""
    pairs, labelled = other
    command = ["compare", "--model", str(tmp_path / "no-such-model")]
    twice = [*command, "--held-out", str(pairs), "--held-out", str(pairs)]
    assert main(twice) == 2
    assert "another file is called other" in capsys.readouterr().err
    lone = tmp_path / "lone.jsonl"
    lone.write_text(pairs.read_text().splitlines()[0] + "\n")
    assert main([*command, "--held-out", str(lone)]) == 2
    assert "both" in capsys.readouterr().err
    assert main([*command, "--held-out", str(toy_held_out), "--grounding", str(labelled)]) == 2
    assert "no-such-model" in capsys.readouterr().err
