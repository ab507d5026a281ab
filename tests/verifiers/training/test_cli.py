"""The whole path from data to model card, tiny, through the command line."""

from __future__ import annotations

import gzip
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from verifiers.training.__main__ import main
from verifiers.training.evaluate import read_grounding
from verifiers.training.files import read_json
from verifiers.training.loop import Trainer

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


def test_a_signal_ends_everything(  # noqa: PLR0917
    tiny_start, toy_data, toy_held_out, recipe, tmp_path, capsys, monkeypatch
):
    """`all` does not export a model that is not trained to its end; again, it goes on."""
    step = Trainer._step

    def signalled(self):
        step(self)
        signal.raise_signal(signal.SIGTERM)

    out, run = tmp_path / "out", tmp_path / "run"
    recipe.write_text(json.dumps({**RECIPE, "stages": RECIPE["stages"][:1]}))
    training = ["--data", str(toy_data), "--start", str(tiny_start), "--recipe", str(recipe)]
    training += ["--run", str(run), "--held-out", str(toy_held_out)]
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", signalled)
        assert main(["all", *training, "--out", str(out)]) == 130
        assert "run the same command again to go on" in capsys.readouterr().err
        assert main(["train", *training]) == 130
    said = capsys.readouterr()
    assert "stopped at" in said.err
    assert "model:" not in said.out
    assert (run / "checkpoint.safetensors").exists()
    assert not (run / "model").exists()
    assert not (run / "used.json").exists()
    assert not out.exists()
    assert main(["train", *training]) == 0
    assert (run / "model").exists()


def test_training_pairs_are_no_held_out_pairs(tiny_start, toy_data, recipe, tmp_path, capsys):
    """Nor under another name; nothing is made or trained before that is seen."""
    again = tmp_path / "other.jsonl.gz"
    shutil.copy(toy_data, again)
    run = tmp_path / "run"
    for command, more in (("train", []), ("all", ["--out", str(tmp_path / "x"), "--each", "9"])):
        told = [command, "--data", str(toy_data), "--held-out", str(again), "--run", str(run)]
        told += ["--start", str(tiny_start), "--recipe", str(recipe), *more]
        assert main(told) == 2
        assert "Keep other pairs aside" in capsys.readouterr().err
        assert not run.exists()


@pytest.fixture
def exported(tiny_start, toy_held_out, tmp_path):
    """An exported model."""
    out = tmp_path / "exported"
    command = ["export", "--model", str(tiny_start), "--held-out", str(toy_held_out)]
    assert main([*command, "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize("text", [None, "", "{", '{"dataset": "d"}'])
def test_a_failed_export_leaves_the_one_before(exported, tiny_start, tmp_path, text):
    """Without held-out pairs there is no calibration, and without it no new model."""
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    held_out = tmp_path / "bad.jsonl"
    if text is not None:
        held_out.write_text(text)
    command = ["export", "--model", str(tiny_start), "--held-out", str(held_out)]
    assert main([*command, "--out", str(exported), "--storage", "int8"]) == 2
    assert {path.name: path.read_bytes() for path in exported.iterdir()} == before
    assert not list(tmp_path.rglob(".export-*"))


def test_an_export_to_the_folder_above_moves_nothing_else(
    tiny_start, toy_held_out, tmp_path, monkeypatch
):
    """``..`` has no name of its own; files that lie beside stay where they are."""
    below = tmp_path / "above" / "below"
    below.mkdir(parents=True)
    (below / "precious.txt").write_text("mine")
    monkeypatch.chdir(below)
    command = ["export", "--model", str(tiny_start), "--held-out", str(toy_held_out)]
    assert main([*command, "--out", ".."]) == 0
    assert [path.name for path in below.iterdir()] == ["precious.txt"]
    assert read_json(tmp_path / "above" / "config.json")["name"] == "above"


def test_an_export_replaces_its_files_and_no_others(exported, tiny_start, toy_held_out):
    """Those of another storage go; what somebody put beside them stays."""
    (exported / "notes.txt").write_text("mine")
    command = ["export", "--model", str(tiny_start), "--held-out", str(toy_held_out)]
    plain = {path.name for path in exported.iterdir()}
    assert main([*command, "--out", str(exported), "--storage", "int8"]) == 0
    small = {path.name for path in exported.iterdir()}
    assert small == {*plain, "model.int8.onnx", "model.onnx.data"}
    assert main([*command, "--out", str(exported)]) == 0
    assert {path.name for path in exported.iterdir()} == plain
    assert read_json(exported / "config.json")["name"] == "exported"


def test_scores_that_are_no_numbers_have_no_figures(tiny_start, toy_held_out, tmp_path, capsys):
    """A model that diverged would be perfectly calibrated."""
    from safetensors.numpy import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(tiny_start, broken)
    weights = load_file(broken / "model.safetensors")
    weights["classifier.bias"][0] = float("nan")
    save_file(weights, broken / "model.safetensors")
    command = ["export", "--model", str(broken), "--held-out", str(toy_held_out)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 2
    assert "not numbers for 60 of 60 pairs" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def _evaluated(model, held_out, *more):
    return main(["evaluate", "--model", str(model), "--held-out", str(held_out), *more])


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_changed_file_is_not_measured(exported, toy_held_out, capsys, name):
    """The digests in the config say of which files it is."""
    (exported / name).write_bytes((exported / name).read_bytes() + b" ")
    assert _evaluated(exported, toy_held_out) == 2
    assert f"{name} is not the file its config.json names" in capsys.readouterr().err


def test_a_graph_that_cannot_be_loaded_is_named(exported, toy_held_out, capsys):
    """Where the config has no digest: cut, or made for a newer runtime."""
    import onnx

    graph, config = exported / "model.onnx", exported / "config.json"
    config.write_text(json.dumps({**read_json(config), "sha256": None}))
    model = onnx.load(graph)
    model.opset_import[0].version = 999
    onnx.save(model, graph)
    assert _evaluated(exported, toy_held_out) == 2
    assert "cannot load model.onnx" in capsys.readouterr().err
    graph.write_bytes(graph.read_bytes()[:500])
    assert _evaluated(exported, toy_held_out) == 2
    assert "cannot load model.onnx" in capsys.readouterr().err


def test_a_card_is_of_an_export(  # noqa: PLR0917
    exported, toy_held_out, tiny_start, toy_data, recipe, capsys
):
    """A model from elsewhere has no digests to put into it."""
    run = exported.parent / "run"
    recipe.write_text(json.dumps({**RECIPE, "stages": RECIPE["stages"][:1]}))
    train = ["train", "--data", str(toy_data), "--start", str(tiny_start), "--run", str(run)]
    assert main([*train, "--recipe", str(recipe)]) == 0
    config = exported / "config.json"
    config.write_text(json.dumps({**read_json(config), "sha256": None}))
    command = ["card", "--model", str(exported), "--run", str(run), "--held-out", str(toy_held_out)]
    assert main(command) == 2
    assert "config.json has no sha256" in capsys.readouterr().err


def test_pairs_that_were_left_out_are_counted(exported, toy_rows, tmp_path, capsys):
    """Figures of the short ones are no figures of all."""
    rows = [asdict(row) for row in toy_rows(40, 9)]
    rows[0]["premise"] *= 40
    held_out = tmp_path / "long.jsonl"
    held_out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    capsys.readouterr()
    assert _evaluated(exported, held_out) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["held_out_rows"] == {"measured": 39, "left_out": 1}
    assert "1 held-out pairs are too long" in said.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"source": " ", "claim": "b", "label": "supported"}', "no row with a source"),
        ("", "no row with a source"),
        ('{"source": "a", "claim": "b", "label": "supported"}', "all 1 rows are supported"),
        (json.dumps({"source": "a", "claim": "\ud83d", "label": "supported"}), "half a character"),
    ],
)
def test_a_set_that_cannot_be_measured_is_named(  # noqa: PLR0917
    exported, toy_held_out, tmp_path, capsys, text, says
):
    """And a folder that holds none."""
    (tmp_path / "sets").mkdir()
    sets = ["--grounding", str(tmp_path / "sets")]
    assert _evaluated(exported, toy_held_out, *sets) == 2
    assert "sets holds no .jsonl" in capsys.readouterr().err
    (tmp_path / "sets" / "bad.jsonl").write_text(text)
    assert _evaluated(exported, toy_held_out, *sets) == 2
    error = capsys.readouterr().err
    assert "bad.jsonl" in error
    assert says in error


@pytest.mark.parametrize(
    "labels",
    [
        "contradiction,neutral,entailment",
        "entailment,neutral",
        "entailment,neutral,contradiction,other",
        "entailment,entailment,contradiction",
    ],
)
def test_other_labels_are_refused_everywhere(  # noqa: PLR0917
    exported, tiny_start, toy_data, toy_held_out, recipe, tmp_path, capsys, labels
):
    """Column 0 is trained and read as entailment, whatever a config says."""
    says = "have to be entailment, neutral, contradiction in this order"
    command = ["init", "--from", str(tiny_start), "--layers", "0", "--labels", labels]
    assert main([*command, "--out", str(tmp_path / "start")]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "start").exists()

    odd = tmp_path / "odd"
    shutil.copytree(tiny_start, odd)
    for folder in (odd, exported):
        config = read_json(folder / "config.json")
        config["id2label"] = dict(enumerate(labels.split(",")))
        (folder / "config.json").write_text(json.dumps(config))
    train = ["train", "--data", str(toy_data), "--start", str(odd), "--recipe", str(recipe)]
    recipe.write_text(json.dumps({**RECIPE, "stages": RECIPE["stages"][:1]}))
    for command in (
        [*train, "--run", str(tmp_path / "run")],
        ["export", "--model", str(odd), "--held-out", str(toy_held_out), "--out", str(odd / "x")],
        ["evaluate", "--model", str(exported), "--held-out", str(toy_held_out)],
    ):
        assert main(command) == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.safetensors", b"\x10" * 100, "model.safetensors is damaged or cut short"),
        ("tokenizer.json", b"{", "tokenizer.json is no tokenizer"),
        ("config.json", b"{}", "config.json: vocab_size has to be"),
        ("config.json", b"[]", "holds a list"),
    ],
)
def test_a_damaged_start_is_named(  # noqa: PLR0917
    tiny_start, toy_data, toy_held_out, recipe, tmp_path, capsys, name, content, says
):
    """By its file, whatever is done with it."""
    start = tmp_path / "start"
    shutil.copytree(tiny_start, start)
    (start / name).write_bytes(content)
    recipe.write_text(json.dumps({**RECIPE, "stages": RECIPE["stages"][:1]}))
    train = ["train", "--data", str(toy_data), "--start", str(start), "--recipe", str(recipe)]
    export = ["export", "--model", str(start), "--held-out", str(toy_held_out)]
    for command in (
        [*train, "--run", str(tmp_path / "run")],
        [*export, "--out", str(tmp_path / "out")],
    ):
        assert main(command) == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--log-every", "0"), ("--workers", "0"), ("--stop-at", "x"), ("--checkpoint-every", "-1")],
)
def test_a_number_that_cannot_be_is_refused(option, value, capsys):
    """By the parser, with the option's name."""
    command = ["train", "--data", "x", "--start", "x", "--recipe", "x", "--run", "x"]
    with pytest.raises(SystemExit):
        main([*command, option, value])
    assert f"argument {option}: '{value}' is no whole number" in capsys.readouterr().err


def test_a_sample_of_none_is_refused(capsys):
    """It would measure nothing."""
    with pytest.raises(SystemExit):
        _evaluated("x", "x", "--sample", "0")
    assert "--sample" in capsys.readouterr().err


def test_generate_writes_what_the_name_says(toy_data, tmp_path):
    """Plain lines, or packed ones."""
    command = ["generate", "--data", str(toy_data), "--each", "3", "--out"]
    assert main([*command, str(tmp_path / "x.jsonl")]) == 0
    assert main([*command, str(tmp_path / "x.jsonl.gz")]) == 0
    plain = (tmp_path / "x.jsonl").read_bytes()
    assert json.loads(plain.splitlines()[0])["dataset"].startswith("gen_")
    assert gzip.decompress((tmp_path / "x.jsonl.gz").read_bytes()) == plain


def test_generating_nothing_is_an_error(toy_data, tmp_path, capsys):
    """An empty file would only be found out about in training."""
    (tmp_path / "empty.jsonl").touch()
    out = ["--out", str(tmp_path / "made.jsonl")]
    assert main(["generate", "--data", str(tmp_path / "empty.jsonl"), *out]) == 2
    assert "no pair could be made" in capsys.readouterr().err
    assert main(["generate", "--data", str(toy_data), "--each", "0", *out]) == 2
    assert "ask for 1 at least" in capsys.readouterr().err
    assert not (tmp_path / "made.jsonl").exists()


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
