"""The loop: it learns, it stops, and a killed run goes on to the same result."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from verifiers.training import model as models  # noqa: E402
from verifiers.training.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from verifiers.training.data import load_pairs  # noqa: E402
from verifiers.training.loop import CHECKPOINT, PAUSE, RunOptions, Trainer  # noqa: E402
from verifiers.training.recipe import Recipe, Stage  # noqa: E402
from verifiers.training.sampling import collate  # noqa: E402

RECIPE = Recipe(
    (
        Stage("short", 4_000, {"toy": 1.0}, max_length=40),
        Stage("mix", 4_000, {"toy": 1.0, "other": 1.0}, max_length=64),
    ),
    batch_tokens=256,
    pool_batches=4,
    lr=4e-3,
    head_factor=2.0,
    warmup_tokens=500,
    decay_start=6_000,
    decay_tokens=2_000,
    dropout=0.1,  # so that torch's generator matters
    bf16=False,
    ema=0.9,
)


@pytest.fixture(scope="module")
def pairs(tiny_start, toy_data):
    """The toy data as token ids."""
    return load_pairs([toy_data], tiny_start / "tokenizer.json", max_length=64)


def trainer(pairs, start, folder, recipe=RECIPE, **kwargs):
    """A trainer with small log and checkpoint intervals."""
    names = ("evaluate", "clock", "sleep")
    extra = {name: kwargs.pop(name) for name in names if name in kwargs}
    options = RunOptions(folder, log_every=5, **kwargs)
    return Trainer(pairs, recipe, start, options, **extra)


def log(folder):
    """The lines of a run's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def changed(**kwargs):
    """The recipe with some values changed."""
    return replace(RECIPE, **kwargs)


class Killed(Exception):
    """Stands for a kill in the middle of a step."""


def test_training_learns(pairs, tiny_start, tmp_path):
    """The loss at the end is well under that at the beginning."""
    long = changed(dropout=0.0, freeze_words=False, decay_start=40_000)
    trainer(pairs, tiny_start, tmp_path, recipe=long, stop_at=30_000).run()
    losses = [line["loss"] for line in log(tmp_path)]
    assert sum(losses[-5:]) / 5 < losses[0] - 0.2


@pytest.mark.parametrize("kill_at", [1, 9, 17, 30])
def test_a_killed_run_goes_on_to_the_same_result(pairs, tiny_start, tmp_path, kill_at):
    """Killed between checkpoints and started again, weights, average and moments come out equal."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    trainer(pairs, tiny_start, whole, checkpoint_every=1_000).run()

    victim = trainer(pairs, tiny_start, broken, checkpoint_every=1_000)
    step, done = victim._step, iter(range(1_000))

    def dying() -> None:
        if next(done) == kill_at:
            raise Killed
        step()

    victim._step = dying
    with pytest.raises(Killed):
        victim.run()
    trainer(pairs, tiny_start, broken, checkpoint_every=1_000).run()

    one, two = load_checkpoint(whole / CHECKPOINT), load_checkpoint(broken / CHECKPOINT)
    assert one.position == two.position
    for group in ("weights", "average", "moments"):
        first, second = getattr(one, group), getattr(two, group)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first), group


def test_the_stable_part_can_be_extended(pairs, tiny_start, tmp_path):
    """Stopped on the plateau and decayed later, a run equals one planned so from the start."""
    planned, extended = tmp_path / "planned", tmp_path / "extended"
    trainer(pairs, tiny_start, planned).run()
    endless = changed(decay_start=None)
    trainer(pairs, tiny_start, extended, recipe=endless, stop_at=3_000).run()
    trainer(pairs, tiny_start, extended).run()
    one, two = load_checkpoint(planned / CHECKPOINT), load_checkpoint(extended / CHECKPOINT)
    assert all(torch.equal(one.weights[n], two.weights[n]) for n in one.weights)


def test_evaluation_leaves_the_training_as_it_was(pairs, tiny_start, tmp_path):
    """Evaluating while training changes neither weights nor the generator."""

    def evaluate(network):
        assert not network.training
        torch.rand(3)
        return {"figure": 0.5}

    plain, watched = tmp_path / "plain", tmp_path / "watched"
    trainer(pairs, tiny_start, plain, stop_at=3_000).run()
    trainer(pairs, tiny_start, watched, stop_at=3_000, evaluate=evaluate, evaluate_every=800).run()
    assert sum(line["event"] == "evaluated" for line in log(watched)) == 3
    one, two = load_checkpoint(plain / CHECKPOINT), load_checkpoint(watched / CHECKPOINT)
    assert all(torch.equal(one.weights[n], two.weights[n]) for n in one.weights)


def test_evaluation_sees_the_average(pairs, tiny_start, tmp_path):
    """What is measured is what would be shipped."""
    seen = []

    def evaluate(network):
        seen.append(network.classifier.weight.detach().clone())
        return {}

    run = trainer(
        pairs, tiny_start, tmp_path, stop_at=1_500, evaluate=evaluate, evaluate_every=1_400
    )
    run.run()
    assert len(seen) == 1
    assert not torch.equal(seen[0], run.network.classifier.weight)


def test_frozen_words_stay(pairs, tiny_start, tmp_path):
    """Word embeddings are the start checkpoint's; everything else moved."""
    run = trainer(pairs, tiny_start, tmp_path, stop_at=2_000)
    before = {n: p.detach().clone() for n, p in run.network.named_parameters()}
    run.run()
    still = {n for n, p in run.network.named_parameters() if torch.equal(before[n], p)}
    assert still == {"bert.embeddings.word_embeddings.weight"}


def test_frozen_layers_stay(pairs, tiny_start, tmp_path):
    """Embeddings and the lowest layers are the start checkpoint's; everything above moved."""
    run = trainer(pairs, tiny_start, tmp_path, recipe=changed(freeze_layers=1), stop_at=2_000)
    before = {n: p.detach().clone() for n, p in run.network.named_parameters()}
    run.run()
    still = {n for n, p in run.network.named_parameters() if torch.equal(before[n], p)}
    low = ("bert.embeddings.", "bert.encoder.layer.0.")
    assert still == {n for n in before if n.startswith(low)}


def test_freezing_every_layer_is_refused(pairs, tiny_start, tmp_path):
    """Nothing of the encoder would be left to train."""
    with pytest.raises(ValueError, match="cannot freeze 2 of 2 layers"):
        trainer(pairs, tiny_start, tmp_path, recipe=changed(freeze_layers=2))


def test_workers_share_a_batch(pairs, tiny_start, tmp_path):
    """Two workers come to the weights of one, up to rounding, and to the same again."""
    calm = changed(dropout=0.0)
    found = []
    for name, workers in (("one", 1), ("two", 2), ("again", 2)):
        run = trainer(pairs, tiny_start, tmp_path / name, recipe=calm, workers=workers)
        run.run()
        found.append({n: p.detach() for n, p in run.network.named_parameters()})
    one, two, again = found
    assert all(torch.allclose(one[n], two[n], atol=2e-3) for n in one)
    assert all(torch.equal(two[n], again[n]) for n in two)


def test_workers_do_not_share_a_generator(pairs, tiny_start, tmp_path):
    """Who draws first would depend on who is faster."""
    with pytest.raises(ValueError, match="generator"):
        trainer(pairs, tiny_start, tmp_path, workers=2)


def test_an_exit_head_learns_beside_the_last(pairs, exit_start, tmp_path):
    """Both heads come to tell the toy labels apart, and the model folder holds both."""
    long = changed(dropout=0.0, freeze_words=False, decay_start=40_000)
    run = trainer(pairs, exit_start, tmp_path, recipe=long, stop_at=30_000)
    before = run.network.exit.dense.weight.detach().clone()
    run.run()
    assert not torch.equal(before, run.network.exit.dense.weight)
    rows = [i for i in range(len(pairs)) if pairs.labels[i] < 3][:60]
    arrays = collate(pairs, rows, cls=2, sep=3, pad=0)
    labels = torch.from_numpy(arrays.pop("labels"))
    with torch.inference_mode():
        last, early = run.network.both(**{n: torch.from_numpy(a) for n, a in arrays.items()})
    for logits in (last, early):
        assert (logits.argmax(1) == labels).float().mean() > 0.6
    run.save_model(tmp_path / "model")
    again = models.load(tmp_path / "model")
    assert torch.equal(again.exit.dense.weight, run.averaged()["exit.dense.weight"])


@pytest.mark.parametrize("layer", [-1, 2])
def test_an_exit_has_layers_below_and_above_it(tiny_start, layer):
    """After the last layer, or before the first, there is nothing to spare."""
    config = json.loads((tiny_start / "config.json").read_text())
    with pytest.raises(ValueError, match="exit_layer"):
        models.build({**config, "exit_layer": layer}, seed=1)


def test_a_pause_file_makes_it_sleep(pairs, tiny_start, tmp_path):
    """While PAUSE is there no step is made; when it goes, training does on."""
    tmp_path.joinpath(PAUSE).touch()
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        assert not (tmp_path / "log.jsonl").exists()
        if len(naps) == 3:
            (tmp_path / PAUSE).unlink()

    run = trainer(pairs, tiny_start, tmp_path, stop_at=1_000, sleep=sleep)
    run.run()
    assert len(naps) == 3
    assert run.tokens >= 1_000


def test_a_folder_of_another_seed_is_refused(pairs, tiny_start, tmp_path):
    """Going on with another order of data would be another run."""
    trainer(pairs, tiny_start, tmp_path, stop_at=500).run()
    other = changed(seed=3)
    with pytest.raises(ValueError, match="seed"):
        trainer(pairs, tiny_start, tmp_path, recipe=other)


def test_a_run_without_an_end_is_refused(pairs, tiny_start, tmp_path):
    """No decay and no limit: it would never stop."""
    endless = Recipe(RECIPE.stages, batch_tokens=256, decay_start=None)
    with pytest.raises(ValueError, match="when to stop"):
        trainer(pairs, tiny_start, tmp_path, recipe=endless).run()


def test_a_diverging_run_stops_and_keeps_its_checkpoint(pairs, tiny_start, tmp_path):
    """No step is made from what is no number, and nothing is written over what was good."""
    trainer(pairs, tiny_start, tmp_path, stop_at=500).run()
    before = (tmp_path / CHECKPOINT).read_bytes()
    run = trainer(pairs, tiny_start, tmp_path)
    for group in run._optimizer.param_groups:
        group["times"] = 1e30
    with pytest.raises(ValueError, match=r"training came apart at step .*lower lr"):
        run.run()
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_weights_that_are_no_numbers_are_not_written(pairs, tiny_start, tmp_path):
    """The last step's loss was good, and its update was not."""
    run = trainer(pairs, tiny_start, tmp_path, stop_at=200)
    step = run._step

    def bad_step():
        step()
        with torch.no_grad():
            run.network.classifier.weight.fill_(float("inf"))

    run._step = bad_step
    with pytest.raises(ValueError, match=r"came apart.*(loss|classifier\.weight)"):
        run.run()
    assert not (tmp_path / CHECKPOINT).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_not_the_end(pairs, tiny_start, tmp_path, number):
    """The loop says whether it came to the end, and goes on to it the next time."""
    run = trainer(pairs, tiny_start, tmp_path)
    step = run._step

    def signalled():
        step()
        signal.raise_signal(number)

    run._step = signalled
    assert run.run() is False
    assert run.steps == 1
    again = trainer(pairs, tiny_start, tmp_path)
    assert again.steps == 1
    assert again.run() is True


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"lr": 1e-3}, "lr"),
        ({"ema": 0.0}, "ema"),
        ({"freeze_layers": 1}, "freeze_layers"),
        ({"stages": RECIPE.stages[:1]}, "stages"),
        ({"lr": 1e-3, "clip": 2.0, "decay_start": 7_000}, "clip, lr"),
    ],
)
def test_another_recipe_is_refused(pairs, tiny_start, tmp_path, change, names):
    """What the card says of a run has to be true of all of it; when it decays may change."""
    trainer(pairs, tiny_start, tmp_path, stop_at=500).run()
    with pytest.raises(ValueError, match=f"other values of: {names}\\."):
        trainer(pairs, tiny_start, tmp_path, recipe=changed(**change))


def test_other_pairs_are_refused(pairs, tiny_start, tmp_path):
    """Places in the data would be places in other data."""
    trainer(pairs, tiny_start, tmp_path, stop_at=500).run()
    other = replace(pairs, labels=pairs.labels[::-1].copy())
    with pytest.raises(ValueError, match="other values of: the training pairs"):
        trainer(other, tiny_start, tmp_path)


def test_an_older_checkpoint_is_taken_as_it_is(pairs, tiny_start, tmp_path):
    """It does not say of what it is; an average it lacks begins at its weights."""
    trainer(pairs, tiny_start, tmp_path, recipe=changed(ema=0.0), stop_at=500).run()
    old = load_checkpoint(tmp_path / CHECKPOINT)
    save_checkpoint(replace(old, meta={"seed": old.meta["seed"]}), tmp_path / CHECKPOINT)
    run = trainer(pairs, tiny_start, tmp_path, recipe=changed(freeze_layers=1))
    averaged = run.averaged()
    assert all(torch.equal(averaged[name], value) for name, value in old.weights.items())
    run.run()


def with_words(count, start, folder):
    """A start checkpoint with an embedding for so many words, whatever its tokenizer knows."""
    config = {**json.loads((start / "config.json").read_text()), "vocab_size": count}
    weights = dict(models.build(config, seed=1).named_parameters())
    models.save(weights, config, start / "tokenizer.json", folder)
    return folder


def test_another_start_is_refused(pairs, tiny_start, tmp_path):
    """A checkpoint of a network of other sizes is no place to go on from."""
    run = tmp_path / "run"
    trainer(pairs, tiny_start, run, stop_at=500).run()
    with pytest.raises(ValueError, match="begun from another network"):
        trainer(pairs, with_words(500, tiny_start, tmp_path / "wider"), run)


def test_a_network_without_all_words_is_refused(pairs, tiny_start, tmp_path):
    """Its tokenizer belongs to another."""
    with pytest.raises(ValueError, match="more words than its network"):
        trainer(pairs, with_words(10, tiny_start, tmp_path / "few"), tmp_path)


def test_bfloat16_steps_run(pairs, tiny_start, tmp_path):
    """The mixed-precision path trains and keeps float32 weights."""
    half = changed(bf16=True)
    run = trainer(pairs, tiny_start, tmp_path, recipe=half, stop_at=600)
    run.run()
    assert run.network.classifier.weight.dtype is torch.float32
