"""The forms of an exported model: weights in int8 beside two graphs, and the exit head."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from verifiers.backends import ModelSpec, load_scorer  # noqa: E402
from verifiers.errors import ModelUnavailable  # noqa: E402
from verifiers.training import evaluate, model  # noqa: E402
from verifiers.training.data import load_pairs  # noqa: E402
from verifiers.training.export import (  # noqa: E402
    GRAPH,
    INT8_GRAPH,
    WEIGHTS,
    describe,
    export,
)
from verifiers.training.files import file_digest  # noqa: E402
from verifiers.training.graph import Blob, Graph, quantize_columns  # noqa: E402
from verifiers.types import Pair  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

GRAPHS = (GRAPH, INT8_GRAPH)
NEVER, ALWAYS = np.array(2.0, np.float32), np.array(0.0, np.float32)
# The pairs' words are in the toy vocabulary; some are much longer than others.
PAIRS = (
    Pair("Anna built a house in 1923. The clock was old. It rained.", "Anna built a house."),
    Pair("Boris sold a boat in 1950.", "Boris sold a boat in 1953."),
    Pair("Clara painted a bridge.", "David found no clock."),
    Pair("Elena found a garden.", "Elena liked the garden. It rained. It rained."),
)


@pytest.fixture(scope="module")
def exported(loud_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That network, exported with weights as int8."""
    folder = tmp_path_factory.mktemp("out") / "small"
    export(loud_start, folder, storage="int8")
    return folder


@pytest.fixture(scope="module")
def arrays(tiny_start, toy_data):
    """A batch of pairs of different lengths."""
    from verifiers.training.sampling import collate

    pairs = load_pairs([toy_data], tiny_start / "tokenizer.json", max_length=64)
    return collate(pairs, range(24), cls=2, sep=3, pad=0)


@pytest.fixture(params=GRAPHS)
def session(request: pytest.FixtureRequest, exported: Path):
    """A session of each graph, as any consumer would open it."""
    return open_session(exported / request.param)


def open_session(path: Path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(session, arrays, **more):
    feed = {name: arrays[name] for name in evaluate.INPUTS} | more
    return session.run(["logits", "exit_logits", "exited"], feed)


def confidence(logits) -> np.ndarray:
    exps = np.exp(logits - logits.max(1, keepdims=True))
    return (exps / exps.sum(1, keepdims=True)).max(1)


# ------------------------------------------------------------------ weights as int8


def test_weights_lie_once_beside_both_graphs(exported: Path, loud_start: Path) -> None:
    """One byte a weight in all: the graphs hold none of them, and both read the same file."""
    weights = (loud_start / "model.safetensors").stat().st_size
    assert (exported / WEIGHTS).stat().st_size < 0.45 * weights  # tiny: scales count for much
    for name in GRAPHS:
        stored = onnx.load(exported / name, load_external_data=False).graph.initializer
        places = {
            entry.value for t in stored for entry in t.external_data if entry.key == "location"
        }
        assert places == {WEIGHTS}
        assert all(len(t.raw_data) < 256 for t in stored)
    assert "small" in describe(exported)


def test_every_file_has_its_digest(exported: Path) -> None:
    """The config names the digest of each graph, of the weights and of the tokenizer."""
    digests = json.loads((exported / "config.json").read_text())["sha256"]
    assert set(digests) == {*GRAPHS, WEIGHTS, "tokenizer.json"}
    assert digests == {name: file_digest(exported / name) for name in digests}


def test_exporting_again_leaves_no_other_form(loud_start: Path, tmp_path: Path) -> None:
    """What another storage needed is taken away, and the same storage gives the same bytes."""
    first = export(loud_start, tmp_path / "m", storage="int8")
    export(loud_start, tmp_path / "m", storage="float16")
    assert not (tmp_path / "m" / INT8_GRAPH).exists()
    assert not (tmp_path / "m" / WEIGHTS).exists()
    assert export(loud_start, tmp_path / "m", storage="int8")["sha256"] == first["sha256"]


def test_the_widened_graph_holds_float_products_only(exported: Path, tmp_path: Path) -> None:
    """ONNX Runtime widens the int8 weights when it loads, not in every run."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "folded.onnx")
    ort.InferenceSession(str(exported / GRAPH), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(tmp_path / "folded.onnx", load_external_data=False).graph
    types = {t.name: t.data_type for t in graph.initializer}
    products = [node for node in graph.node if node.op_type in ("MatMul", "Gemm", "FusedMatMul")]
    constant = [node.input[1] for node in products if node.input[1] in types]
    assert len(constant) >= 12
    assert {types[name] for name in constant} == {onnx.TensorProto.FLOAT}


def test_the_integer_graph_multiplies_integers(exported: Path) -> None:
    """All products of tokens are of integers; only the heads, one row a pair, are not."""
    nodes = onnx.load(exported / INT8_GRAPH, load_external_data=False).graph.node
    kinds = [node.op_type for node in nodes]
    assert kinds.count("MatMulIntegerToFloat") == 2 * 4 + 5  # the last layer asks apart


def test_both_graphs_are_near_the_network(exported: Path, loud_start: Path, arrays) -> None:
    """Logits of both forms are the float network's but for the rounding; the config says so."""
    network = model.load(loud_start).eval()
    with torch.no_grad():
        found = network.both(*(torch.from_numpy(arrays[name]) for name in evaluate.INPUTS))
    expected, early = (part.numpy() for part in found)
    told = json.loads((exported / "config.json").read_text())["storage_error"]
    for name in GRAPHS:
        full, first, _ = run(open_session(exported / name), arrays)
        assert np.abs(full - expected).max() < 0.1 * np.abs(expected).max()
        assert np.abs(first - early).max() < 0.1 * np.abs(early).max()
        assert 0 < told[name]["mean"] <= told[name]["largest"] < 0.2


def test_a_row_of_the_integer_form_does_not_depend_on_its_neighbours(exported, arrays) -> None:
    """Each token is rounded with a scale of its own, so company changes nothing that counts."""
    forward = open_session(exported / INT8_GRAPH)
    together = run(forward, arrays)[0]
    for i in range(6):
        size = int(arrays["attention_mask"][i].sum())
        alone = {name: arrays[name][i : i + 1, :size] for name in evaluate.INPUTS}
        assert np.abs(run(forward, alone)[0][0] - together[i]).max() < 2e-3


def test_rounding_a_matrix() -> None:
    """Each column's largest value is a whole 127; a column of zeros stays zero."""
    matrix = np.array([[1.0, 0.0, -4.0], [-0.5, 0.0, 2.0]])
    stored, scale = quantize_columns(matrix)
    assert stored.tolist() == [[127, 0, -127], [-64, 0, 64]]
    assert np.abs(stored * scale - matrix).max() <= 4 / 127 / 2


def test_one_name_is_one_tensor() -> None:
    """Two graphs that would store other values under one name are refused."""
    blob = Blob("w")
    place = blob.place("a", np.arange(3))
    assert blob.place("a", np.arange(3)) == place
    with pytest.raises(ValueError, match="two tensors"):
        blob.place("a", np.arange(4))


def test_integer_arithmetic_needs_integer_weights() -> None:
    """Any other storage is refused."""
    with pytest.raises(ValueError, match="stored as int8"):
        Graph({}, "float16", "int8")


# ------------------------------------------------------------------ leaving early


def test_nobody_leaves_unless_told(session, arrays) -> None:
    """A consumer that gives the three usual inputs gets the whole network's logits."""
    assert [node.name for node in session.get_inputs()] == list(evaluate.INPUTS)
    full, early, left = run(session, arrays)
    assert not left.any()
    assert np.abs(full - early).max() > 0.01
    told = run(session, arrays, exit_at=NEVER)
    assert np.array_equal(told[0], full)


def test_everybody_may_leave(session, arrays) -> None:
    """With nothing to be sure of, all rows answer from the middle, and nothing runs above."""
    logits, early, left = run(session, arrays, exit_at=ALWAYS)
    assert left.all()
    assert np.array_equal(logits, early)


def test_rows_leave_exactly_when_sure(session, arrays) -> None:
    """At every threshold a row answers early if its probability reaches it, else as ever."""
    full, early, _ = run(session, arrays)
    for temperature in (0.5, 1.0, 3.0):
        sure = confidence(early / temperature)
        order = np.sort(sure)
        for at in (order[:-1] + order[1:])[::4] / 2:
            logits, same, left = run(
                session,
                arrays,
                exit_at=np.array(at, np.float32),
                exit_temperature=np.array(temperature, np.float32),
            )
            assert np.array_equal(left, sure >= at)
            assert np.array_equal(logits[left], same[left])
            assert np.abs(logits[~left] - full[~left]).max(initial=0) < 2e-3
            assert 0 < left.sum() < len(left)


def test_the_rest_is_cut_to_its_longest_row(loud_start: Path, tmp_path: Path, arrays) -> None:
    """A short row left alone answers as it does in company, padding gone."""
    export(loud_start, tmp_path / "m", storage="float32")
    shown = onnx.load(tmp_path / "m" / GRAPH)
    shown.graph.output.append(
        onnx.helper.make_tensor_value_info("stayed_length", onnx.TensorProto.INT64, [1])
    )
    onnx.save(shown, tmp_path / "shown.onnx")
    session = open_session(tmp_path / "shown.onnx")
    sure = confidence(run(session, arrays)[1])
    sizes = arrays["attention_mask"].sum(1)
    short = min(np.flatnonzero(sizes < sizes.max()), key=lambda row: sure[row])
    batch = {name: arrays[name][sure >= sure[short]] for name in evaluate.INPUTS}
    assert batch["attention_mask"].sum(1).max() > sizes[short]
    place = int((sure[sure >= sure[short]]).argmin())
    full = run(session, batch)[0]
    above = np.array(np.nextafter(sure[short], np.float32(2)) + 1e-6, np.float32)
    feed = batch | {"exit_at": above}
    logits, left, length = session.run(["logits", "exited", "stayed_length"], feed)
    assert np.flatnonzero(~left).tolist() == [place]
    assert length.tolist() == [sizes[short]]
    assert np.abs(logits[place] - full[place]).max() < 1e-5
    everybody = batch | {"exit_at": ALWAYS}
    assert session.run(["stayed_length"], everybody)[0].tolist() == [1]


def test_an_exit_stands_between_two_layers(loud_start: Path, tmp_path: Path) -> None:
    """After the last layer there is nothing to spare."""
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(loud_start / name, tmp_path)
    config = json.loads((loud_start / "config.json").read_text()) | {"exit_layer": 3}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="exit_layer 3"):
        export(tmp_path, tmp_path / "out")


# ------------------------------------------------------------------ the scorer


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy of the exported model to change."""
    return shutil.copytree(exported, tmp_path / "model")


def change(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def load(folder: Path, **extra):
    return load_scorer(ModelSpec(model=str(folder), canaries=False, threads=1, **extra))


def test_both_forms_are_one_model(folder: Path) -> None:
    """Name and revision are the same, the form in records and cache keys is not."""
    found = [load(folder, form=form).info for form in ("fp32", "int8")]
    assert [info.form.partition("/")[0] for info in found] == ["fp32", "int8"]
    assert len({(info.name, info.revision) for info in found}) == 1


@pytest.mark.parametrize("form", ["fp32", "int8"])
def test_the_config_decides_who_leaves(folder: Path, form: str) -> None:
    """Confidence and temperature of the config hold, are told, and can be switched off."""
    plain = load(folder, form=form)
    whole, heads = plain.score(PAIRS), plain.heads(PAIRS)
    early = np.array(heads.early)
    sure = np.sort(confidence(early / 0.7))
    at = float(sure[1] + sure[2]) / 2
    change(folder, exit={"layer": 2, "temperature": 0.7, "confidence": at})
    scorer = load(folder, form=form)
    found = scorer.score(PAIRS)
    assert scorer.exited == 2
    for row, probs, before in zip(early / 0.7, found, whole, strict=True):
        exps = np.exp(row - row.max())
        expected = exps / exps.sum() if exps.max() / exps.sum() >= at else before
        assert np.allclose(probs, expected, atol=2e-3)
    assert f"exit after 2 at {at!r}" in scorer.info.form
    assert scorer.info.form != plain.info.form
    assert np.array_equal(scorer.heads(PAIRS).early, early)
    stays = load(folder, form=form, early_exit=False)
    assert stays.info == plain.info
    assert np.allclose(stays.score(PAIRS), whole)


@pytest.mark.parametrize("form", ["fp32", "int8"])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated"])
def test_broken_weights_are_told(folder: Path, form: str, damage: str, *, listed: bool) -> None:
    """Whether or not the config has digests, a model without its weights is not used."""
    if not listed:
        change(folder, sha256=None)
    path = folder / WEIGHTS
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    with pytest.raises(ModelUnavailable) as caught:
        load(folder, form=form)
    assert "weights" in caught.value.hint or WEIGHTS in caught.value.message


@pytest.mark.parametrize("name", [WEIGHTS, GRAPH, INT8_GRAPH])
@pytest.mark.parametrize("form", ["fp32", "int8"])
def test_another_file_is_refused_whichever_form_runs(folder: Path, name: str, form: str) -> None:
    """One changed byte in any of the model's files is another model."""
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=f"^.*{name} is not the file"):
        load(folder, form=form)


def test_unlisted_weights_change_the_revision(folder: Path) -> None:
    """Without digests in the config, other weights beside the graph are still another revision."""
    change(folder, sha256=None)
    before = load(folder).info.revision
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[0] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    assert load(folder).info.revision != before


def test_a_form_that_is_not_there_is_refused(folder: Path) -> None:
    """Asking for int8 of a model that has only one form is an error, as is the other way round."""
    for name, form in ((INT8_GRAPH, "fp32"), (GRAPH, "int8")):
        with pytest.raises(ModelUnavailable, match=f"the form {form} was asked for"):
            load(folder / name, form=form)
        assert load(folder / name).info.form


def test_an_exit_rule_without_an_exit_is_refused(tiny_start: Path, tmp_path: Path) -> None:
    """A config that belongs to another graph is told."""
    rule = {"layer": 1, "temperature": 1.0, "confidence": 0.9}
    export(tiny_start, tmp_path / "m", storage="float32", extra={"exit": rule})
    with pytest.raises(ModelUnavailable, match="no exit head"):
        load(tmp_path / "m")
