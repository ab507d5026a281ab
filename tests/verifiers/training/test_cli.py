"""The whole path from data to model card, tiny, through the command line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from verifiers.training.__main__ import main
from verifiers.training.evaluate import read_grounding
from verifiers.training.files import read_json

RECIPE = {
    "stages": [
        {"name": "short", "tokens": 2_000, "weights": {"toy": 1.0}, "max_length": 64},
        {"name": "mix", "tokens": 2_000, "weights": {"toy": 1.0, "gen_framed": 1.0},
         "max_length": 64},
    ],
    "batch_tokens": 256, "pool_batches": 4, "lr": 1e-3, "warmup_tokens": 200,
    "decay_start": 3_000, "decay_tokens": 1_000, "bf16": False,
}  # fmt: skip


@pytest.fixture
def recipe(tmp_path):
    """The recipe's file."""
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(RECIPE))
    return path


@pytest.fixture
def grounding(tmp_path, toy_rows):
    """A folder with one small grounding set, a long source in it."""
    folder = tmp_path / "sets"
    folder.mkdir()
    rows = [
        {
            "source": r.premise + (" It rained." * 150 if i == 0 else ""),
            "claim": r.hypothesis,
            "label": "supported" if r.label == "entailment" else "unsupported",
        }
        for i, r in enumerate(toy_rows(40, 5))
    ]
    (folder / "toyset.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_from_data_to_model_card(  # noqa: PLR0917
    tiny_start, toy_data, toy_held_out, recipe, grounding, tmp_path, capsys
):
    """One command leaves a loadable model with calibration, digests, figures and a card."""
    out, run = tmp_path / "my-verifier", tmp_path / "run"
    command = ["all", "--data", str(toy_data), "--held-out", str(toy_held_out), "--start"]
    command += [str(tiny_start), "--recipe", str(recipe), "--run", str(run), "--out", str(out)]
    command += ["--each", "20", "--threads", "1", "--grounding", str(grounding)]
    assert main(command) == 0
    assert {p.name for p in out.iterdir()} == {
        "model.onnx", "config.json", "tokenizer.json", "README.md",
    }  # fmt: skip
    config = read_json(out / "config.json")
    card = (out / "README.md").read_text()
    assert config["calibration"]["temperature"] > 0
    assert config["sha256"]["model.onnx"] in card
    assert "| toyset | 40 |" in card
    assert "| gen_framed | " in card
    assert "my-verifier: 2 layers" in capsys.readouterr().out

    used = read_json(run / "used.json")
    assert used["tokens"] >= 4_000
    drawn = sum(used["rows"].values())
    assert drawn >= used["steps"]

    # Again: nothing is left to train, and the same weights come out.
    assert main(command) == 0
    assert read_json(out / "config.json")["sha256"] == config["sha256"]


def test_an_exit_head_and_small_weights_come_along(
    exit_start, toy_data, toy_held_out, recipe, tmp_path
):
    """The one command also makes the form that the package carries: int8, with an exit."""
    out, run = tmp_path / "small", tmp_path / "run"
    command = ["all", "--data", str(toy_data), "--held-out", str(toy_held_out), "--each", "20"]
    command += ["--start", str(exit_start), "--recipe", str(recipe), "--run", str(run)]
    assert main([*command, "--out", str(out), "--storage", "int8", "--workers", "2"]) == 0
    config, card = read_json(out / "config.json"), (out / "README.md").read_text()
    assert config["weights_stored"] == "int8"
    assert config["exit_layer"] == 1
    assert "model.int8.onnx" in card
    assert "A second head reads the first token after layer 1" in card


def test_the_engine_loads_what_was_exported(tiny_start, toy_held_out, tmp_path):
    """The product's own reader of model folders accepts the config."""
    from verifiers.backends.config import read_config

    out = tmp_path / "m"
    command = ["export", "--model", str(tiny_start), "--held-out", str(toy_held_out)]
    assert main([*command, "--out", str(out)]) == 0
    found = read_config(out / "config.json")
    written = read_json(out / "config.json")
    assert found.temperature == written["calibration"]["temperature"]
    assert found.max_tokens == written["max_length"]
    assert found.digests == written["sha256"]


def test_evaluating_a_checkpoint_says_what_is_missing(tiny_start, toy_held_out, capsys):
    """`run/model` instead of what `export` wrote is a likely slip, and no traceback."""
    assert main(["evaluate", "--model", str(tiny_start), "--held-out", str(toy_held_out)]) == 2
    assert "holds no model.onnx; export writes one" in capsys.readouterr().err


def test_evaluate_prints_figures_as_json(tiny_start, toy_held_out, grounding, tmp_path, capsys):
    """The output of `evaluate` can be read by a program."""
    out = tmp_path / "m"
    held_out = ["--held-out", str(toy_held_out)]
    main(["export", "--model", str(tiny_start), *held_out, "--out", str(out)])
    capsys.readouterr()
    command = ["evaluate", "--model", str(out), *held_out, "--grounding", str(grounding)]
    assert main([*command, "--sample", "20"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["grounding"][0]["rows"] == 20
    assert 0 <= figures["held_out"]["auroc"] <= 1


def test_init_keeps_the_layers_asked_for(tiny_start, tmp_path):
    """A start of one layer has the second layer's weights and no classifier."""
    from safetensors.numpy import load_file

    assert main(["init", "--from", str(tiny_start), "--layers", "1", "--out", str(tmp_path)]) == 0
    old = load_file(tiny_start / "model.safetensors")
    new = load_file(tmp_path / "model.safetensors")
    name = "bert.encoder.layer.{}.attention.self.query.weight"
    assert (new[name.format(0)] == old[name.format(1)]).all()
    assert not any(key.startswith(("classifier", "bert.encoder.layer.1.")) for key in new)
    assert read_json(tmp_path / "config.json")["num_hidden_layers"] == 1


def test_init_takes_the_lower_layers_of_a_verifier(tiny_start, toy_data, recipe, tmp_path):
    """What a shallower verifier has learnt below is where a deeper one begins; its top is not."""
    from safetensors.numpy import load_file

    run, out = tmp_path / "run", tmp_path / "start"
    recipe.write_text(json.dumps({**RECIPE, "stages": RECIPE["stages"][:1]}))
    command = ["train", "--data", str(toy_data), "--start", str(tiny_start), "--run", str(run)]
    assert main([*command, "--recipe", str(recipe)]) == 0
    command = ["init", "--from", str(tiny_start), "--layers", "0,1", "--out", str(out)]
    lower = ["--lower-from", str(run / "model"), "--lower-layers", "1"]
    assert main([*command, *lower, "--exit-layer", "1"]) == 0
    old = load_file(tiny_start / "model.safetensors")
    learnt = load_file(run / "model" / "model.safetensors")
    new = load_file(out / "model.safetensors")
    name = "bert.encoder.layer.{}.output.dense.weight"
    assert (new[name.format(0)] == learnt[name.format(0)]).all()
    assert (new[name.format(1)] == old[name.format(1)]).all()
    assert (new[name.format(0)] != old[name.format(0)]).any()
    assert (new["bert.pooler.dense.weight"] == old["bert.pooler.dense.weight"]).all()
    assert read_json(out / "config.json")["exit_layer"] == 1


def test_init_refuses_layers_that_do_not_fit(tiny_start, tmp_path, capsys):
    """More lower layers than there is room for end with a message and no folder."""
    command = ["init", "--from", str(tiny_start), "--layers", "0", "--out", str(tmp_path / "x")]
    assert main([*command, "--lower-from", str(tiny_start), "--lower-layers", "2"]) == 2
    assert "2 lower layers do not fit into 1" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_average_is_the_mean(tiny_start, toy_data, recipe, tmp_path, capsys):
    """The averaged model has the mean of the checkpoints' averages."""
    from safetensors.numpy import load_file, save_file

    from verifiers.training.checkpoint import load_checkpoint

    run = tmp_path / "run"
    command = ["train", "--data", str(toy_data), "--start", str(tiny_start), "--run", str(run)]
    plain = {**RECIPE, "stages": RECIPE["stages"][:1]}
    recipe.write_text(json.dumps(plain))
    assert main([*command, "--recipe", str(recipe), "--milestone-every", "1500"]) == 0
    kept = sorted(run.glob("tokens-*.safetensors"))
    assert len(kept) == 2
    parts = [arg for path in kept for arg in ("--checkpoint", str(path))]
    out = tmp_path / "mean"
    assert main(["average", *parts, "--start", str(tiny_start), "--out", str(out)]) == 0
    name = "classifier.weight"
    mean = sum(load_checkpoint(path).average[name].numpy() for path in kept) / 2
    assert load_file(out / "model.safetensors")[name] == pytest.approx(mean, abs=1e-7)

    # Folders have a place in the mean, too.
    parts = ["--checkpoint", str(out), "--checkpoint", str(run / "model")]
    both = tmp_path / "both"
    assert main(["average", *parts, "--start", str(tiny_start), "--out", str(both)]) == 0
    mean = (mean + load_file(run / "model" / "model.safetensors")[name]) / 2
    assert load_file(both / "model.safetensors")[name] == pytest.approx(mean, abs=1e-7)

    # A head that one of them lacks is no head of the mean.
    weights = load_file(out / "model.safetensors")
    del weights[name]
    save_file(weights, out / "model.safetensors")
    assert main(["average", *parts, "--start", str(tiny_start), "--out", str(tmp_path / "x")]) == 2
    assert f"does not fit {out}: {name}" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "row", [{"source": "a", "label": "supported"}, {"source": ["a"], "claim": "b", "label": "x"}, 5]
)
def test_a_bad_grounding_row_is_named(tmp_path, row):
    """By file and line."""
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(ValueError, match=r"set\.jsonl:1: needs source, claim and label"):
        read_grounding(path, sample=None)


def test_another_label_is_no_row_less(tmp_path):
    """It is named, not left out of the figures."""
    path = tmp_path / "set.jsonl"
    path.write_text('{"source": "a", "claim": "b", "label": "refuted"}')
    with pytest.raises(ValueError, match=r"set\.jsonl:1: the label has to be supported"):
        read_grounding(path, sample=None)


def test_a_damaged_checkpoint_is_no_traceback_and_no_fresh_start(tmp_path):
    """Half a file is named; a run is never begun anew over it in silence."""
    from verifiers.training.checkpoint import load_checkpoint

    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"\x10" * 100)
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors is damaged"):
        load_checkpoint(path)


def test_user_errors_are_one_line(tmp_path, capsys):
    """A bad recipe ends with status 2 and a message, without a traceback."""
    path = tmp_path / "recipe.json"
    path.write_text('{"stages": [], "epochs": 3}')
    command = ["train", "--data", "x", "--start", "x", "--recipe", str(path), "--run", "x"]
    assert main(command) == 2
    assert "epochs" in capsys.readouterr().err


def test_sources_name_their_licences(capsys):
    """Every public source is listed with a licence."""
    assert main(["sources"]) == 0
    out = capsys.readouterr().out
    assert "vitaminc_test" in out
    assert "CC BY-SA" in out


def test_help_loads_no_heavy_library():
    """`--help` answers without torch, numpy or onnx."""
    code = (
        "import sys\nfrom verifiers.training.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'onnx', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    assert "examples:" in done.stdout
