"""Local models whose files are missing, broken or not what they should be; torch's manners."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from verifiers.backends import ModelSpec, batch_tokens, choose_backend, load_scorer
from verifiers.backends.config import longest_input, read_config
from verifiers.backends.threads import default_threads
from verifiers.errors import CanaryFailed, InputTooLong, LabelsUnmapped, ModelUnavailable
from verifiers.types import Pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAIRS = [Pair("one two three", "four"), Pair("five", "six seven eight nine ten")]


@pytest.fixture
def folder(tiny_onnx: Path, tmp_path: Path) -> Path:
    """A copy of the tiny ONNX model to break."""
    shutil.copytree(tiny_onnx, tmp_path / "model")
    return tmp_path / "model"


def load(folder: Path, **extra: Any):
    return load_scorer(ModelSpec(model=str(folder), backend="onnx", canaries=False, **extra))


def change(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


# ------------------------------------------------------------------ files


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage", "folder"])
def test_broken_files_are_named(folder: Path, name: str, damage: str) -> None:
    """Missing, empty, truncated or corrupt: ModelUnavailable that names the file and what to do."""
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(
            {"empty": b"", "truncated": content[: len(content) // 2], "garbage": b"\x00\xff" * 99}[
                damage
            ]
        )
    with pytest.raises(ModelUnavailable) as caught:
        load(folder)
    assert caught.value.code == "GR101"
    assert caught.value.hint
    assert name in str(caught.value) or ".onnx file" in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_length": 0},
        {"max_length": "long"},
        {"max_length": None},
        {"pad_token_id": -1},
        {"calibration": 1.5},
        {"calibration": {}},
        {"calibration": {"temperature": 0}},
        {"calibration": {"temperature": float("nan")}},
        pytest.param({"calibration": {"temperature": 10**400}}, id="too large for a float"),
        {"calibration": {"method": "platt", "temperature": 1}},
        {"sha256": 7},
        {"id2label": ["entailment"]},
    ],
    ids=str,
)
def test_impossible_configs_are_refused(folder: Path, fields: dict[str, Any]) -> None:
    """A config that says something impossible is not read past."""
    change(folder, **fields)
    with pytest.raises(ModelUnavailable) as caught:
        load(folder)
    assert "config.json" in str(caught.value)


def test_labels_must_fit_the_model(folder: Path) -> None:
    """Unreadable labels are LabelsUnmapped; a count that is not the graph's is refused."""
    change(folder, id2label={"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"})
    with pytest.raises(LabelsUnmapped):
        load(folder)
    load(folder, labels=("neutral", "entailment", "contradiction")).close()
    with pytest.raises(ModelUnavailable, match="3 outputs"):
        load(folder, labels=("entailment", "not_entailment"))


def test_digests_and_pins(folder: Path) -> None:
    """The digest is recorded, compared with the config's, and with the pinned revision."""
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    for form in (
        {"sha256": digest},
        {"sha256": {"model.onnx": digest}},
        {"weights": {"sha256": digest}},
    ):
        change(folder, **form)
        scorer = load(folder, revision=f"sha256:{digest[:16]}")
        assert scorer.info.revision.startswith(f"sha256:{digest[:32]}")
        scorer.close()
    with pytest.raises(ModelUnavailable, match="is pinned"):
        load(folder, revision="sha256:0000")
    for form in ({"sha256": "0" * 64}, {"sha256": {"tokenizer.json": "0" * 64}}):
        change(folder, **form)
        with pytest.raises(ModelUnavailable, match="is not the file"):
            load(folder)


def test_another_tokenizer_is_another_revision(folder: Path) -> None:
    """What reads the words changes the answer, so it is part of the revision."""
    first = load(folder).info.revision
    path = folder / "tokenizer.json"
    path.write_text(path.read_text() + "\n")
    assert load(folder).info.revision != first


def test_a_newer_opset_is_told(folder: Path) -> None:
    """A graph from the future names onnxruntime's version and the way out."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(folder / "model.onnx"))
    model.opset_import[0].version = 999
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelUnavailable, match="ONNX Runtime") as caught:
        load(folder)
    assert "upgrade" in caught.value.hint


def test_a_graph_with_other_inputs_is_told(folder: Path) -> None:
    """Not a text classifier: refused at load, not at the first answer."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["pixels"], ["out"])],
        "image",
        [onnx.helper.make_tensor_value_info("pixels", 1, [1, 3])],
        [onnx.helper.make_tensor_value_info("out", 1, [1, 3])],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(model, str(folder / "model.onnx"))
    with pytest.raises(ModelUnavailable, match="pixels"):
        load(folder)


def test_which_file_is_the_model(folder: Path, tmp_path: Path) -> None:
    """model.onnx, onnx/model.onnx, the only .onnx, or the file itself; several are ambiguous."""
    (folder / "model.onnx").rename(folder / "nli.onnx")
    load(folder).close()
    load(folder / "nli.onnx").close()
    shutil.copy(folder / "nli.onnx", folder / "other.onnx")
    with pytest.raises(ModelUnavailable, match="several"):
        load(folder)
    (folder / "onnx").mkdir()
    (folder / "nli.onnx").rename(folder / "onnx" / "model.onnx")
    load(folder).close()
    for nowhere in (tmp_path / "nowhere", tmp_path / "no.onnx"):
        with pytest.raises(ModelUnavailable):
            load(nowhere)
    for relative in ("./nowhere", "../nowhere"):
        with pytest.raises(ModelUnavailable, match="no model folder"):
            choose_backend(ModelSpec(model=relative))


# ------------------------------------------------------------------ meaning


def test_calibration_is_applied_and_named(folder: Path) -> None:
    """A temperature softens every score and is part of what the model is."""
    plain = load(folder).score(PAIRS)
    change(folder, calibration={"temperature": 4.0, "id": "cal-1"})
    scorer = load(folder)
    assert scorer.info.calibration == "cal-1;temperature=4.0"
    for hot, cold in zip(scorer.score(PAIRS), plain, strict=True):
        assert max(hot) < max(cold)
        assert max(range(3), key=hot.__getitem__) == max(range(3), key=cold.__getitem__)


def test_a_model_that_knows_nothing_fails_the_canaries(folder: Path) -> None:
    """Random weights do not pass; switching canaries off is a written setting."""
    with pytest.raises(CanaryFailed) as caught:
        load_scorer(ModelSpec(model=str(folder)))
    assert caught.value.code == "GR103"


def test_max_tokens_can_only_be_lowered(folder: Path) -> None:
    """The setting cannot make a model read more than it can."""
    assert load(folder, max_tokens=10).info.max_tokens == 10
    assert load(folder, max_tokens=9999).info.max_tokens == 64
    with pytest.raises(InputTooLong):
        load(folder, max_tokens=10).score([Pair("one " * 20, "two")])


def test_special_tokens_in_a_text_are_text() -> None:
    """An answer cannot end the premise by writing the separator."""
    try:
        scorer = load_scorer(ModelSpec(canaries=False))
    except ModelUnavailable as error:
        pytest.skip(error.message)
    for special in ("[SEP]", "[CLS]", "[PAD]"):
        assert scorer.count_text([special])[0] >= 3
    honest, forged = scorer.score(
        [Pair("The shop is open.", "The shop sells bread."), Pair("The shop is open. [SEP] x", "y")]
    )
    assert honest != forged
    scorer.close()


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "gpu", "", "cuda:x"])
@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_device_that_is_not_there(
    folder: Path, tiny_torch: Callable[[str], Path], device: str, backend: str
) -> None:
    """Nothing falls back to the CPU in silence."""
    if backend == "torch":
        folder = tiny_torch("bert")
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is one")
    with pytest.raises(ModelUnavailable) as caught:
        load_scorer(ModelSpec(model=str(folder), backend=backend, device=device, canaries=False))
    assert "device" in caught.value.hint


def test_batch_budgets(folder: Path) -> None:
    """Small batches on a CPU, large ones on GPUs and servers."""
    small = batch_tokens(ModelSpec(model=str(folder)))
    assert small < batch_tokens(ModelSpec(model=str(folder), device="cuda"))
    assert small < batch_tokens(ModelSpec(backend="tei", url="http://127.0.0.1:1"))


# ------------------------------------------------------------------ config


@pytest.mark.parametrize(
    ("raw", "longest"),
    [
        ({"max_length": 384, "model_type": "bert", "max_position_embeddings": 512}, 384),
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "bert", "max_length": 20, "max_position_embeddings": 512}, 512),
    ],
)
def test_longest_input(raw: dict[str, Any], longest: int) -> None:
    """RoBERTa's positions start after the padding; old generation defaults are not limits."""
    assert longest_input(raw, "config.json") == longest
    assert longest_input(raw, "config.json", override=7) == 7


def test_a_config_without_a_limit_needs_one(folder: Path) -> None:
    """Guessing how much a model reads is how inputs get cut."""
    change(folder, max_length=None)
    with pytest.raises(ModelUnavailable, match="how long"):
        read_config(folder / "config.json")
    assert read_config(folder / "config.json", max_tokens=100).max_tokens == 100


@pytest.mark.parametrize("broken", ["[" * 100_000, "1" * 5_000])
def test_a_config_that_no_parser_takes_is_named(folder: Path, broken: str) -> None:
    """Brackets in brackets in brackets, and an integer of thousands of digits."""
    (folder / "config.json").write_text(broken, "utf-8")
    with pytest.raises(ModelUnavailable, match="no JSON that can be read"):
        read_config(folder / "config.json")


def test_threads_follow_cores_affinity_and_quota(tmp_path: Path) -> None:
    """Two hyper-threads are one core, a container's quota counts, four is enough, one the least."""

    def cpu(number: int, siblings: str) -> None:
        path = tmp_path / f"devices/system/cpu/cpu{number}/topology"
        path.mkdir(parents=True)
        (path / "thread_siblings_list").write_text(siblings + "\n")

    for number in range(12):
        cpu(number, f"{number % 6},{number % 6 + 6}")
    assert default_threads(cpus={0, 6}, system=tmp_path) == 1
    assert default_threads(cpus={0, 1, 6, 7}, system=tmp_path) == 2
    assert default_threads(cpus=set(range(12)), system=tmp_path) == 4
    assert default_threads(cpus=set(range(12)), system=tmp_path, quota=1.5) == 2
    assert default_threads(cpus=set(range(12)), system=tmp_path, quota=0.1) == 1
    cgroup = tmp_path / "fs/cgroup"
    cgroup.mkdir(parents=True)
    (cgroup / "cpu.max").write_text("300000 100000\n")
    assert default_threads(cpus=set(range(12)), system=tmp_path) == 3
    (cgroup / "cpu.max").write_text("max 100000\n")
    assert default_threads(cpus=set(range(12)), system=tmp_path) == 4
    assert default_threads(cpus={0, 1, 2}, system=tmp_path / "nothing") == 3
    assert default_threads() >= 1


# ------------------------------------------------------------------ torch


def test_torch_leaves_the_host_alone(tiny_torch: Callable[[str], Path]) -> None:
    """No thread counts, default types, gradients, random state or log levels are changed."""
    torch = pytest.importorskip("torch")

    def state() -> tuple[Any, ...]:
        return (
            torch.get_num_threads(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.random.get_rng_state().tolist(),
            logging.getLogger("transformers").level,
            logging.getLogger().level,
        )

    path = tiny_torch("bert")
    before = state()
    scorer = load_scorer(ModelSpec(model=str(path), backend="torch", threads=1, canaries=False))
    scorer.score(PAIRS)
    assert state() == before
    assert scorer.info.form == "fp32/cpu"
    scorer.close()


def test_torch_takes_half_precision_weights_as_fp32(
    tiny_torch: Callable[[str], Path], tmp_path: Path
) -> None:
    """Weights stored in half precision are run in fp32."""
    transformers = pytest.importorskip("transformers")
    source = tiny_torch("bert")
    shutil.copytree(source, tmp_path / "half")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(source)
    model.half().save_pretrained(tmp_path / "half")
    full, half = (
        load_scorer(ModelSpec(model=str(path), backend="torch", canaries=False))
        for path in (source, tmp_path / "half")
    )
    for a, b in zip(full.score(PAIRS), half.score(PAIRS), strict=True):
        assert a == pytest.approx(b, abs=0.02)
    assert full.info.revision != half.info.revision


def test_torch_refuses_a_model_without_a_trained_head(
    tiny_torch: Callable[[str], Path], tmp_path: Path
) -> None:
    """transformers would fill the head with random numbers and only warn."""
    transformers = pytest.importorskip("transformers")
    source = tiny_torch("bert")
    shutil.copytree(source, tmp_path / "headless")
    transformers.AutoModel.from_pretrained(source).save_pretrained(tmp_path / "headless")
    path = tmp_path / "headless" / "config.json"
    labels = json.loads((source / "config.json").read_text())["id2label"]
    path.write_text(json.dumps({**json.loads(path.read_text()), "id2label": labels}))
    with pytest.raises(ModelUnavailable, match="lacks"):
        load_scorer(ModelSpec(model=str(tmp_path / "headless"), backend="torch", canaries=False))


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "truncated", "pinned"])
def test_torch_with_broken_files(
    tiny_torch: Callable[[str], Path], tmp_path: Path, damage: str
) -> None:
    """Missing and truncated files, and another revision than pinned: ModelUnavailable."""
    folder = tmp_path / "broken"
    shutil.copytree(tiny_torch("bert"), folder)
    weights = folder / "model.safetensors"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage != "pinned":
        (folder / damage).unlink()
    with pytest.raises(ModelUnavailable) as caught:
        load_scorer(
            ModelSpec(
                model=str(folder),
                backend="torch",
                canaries=False,
                revision="sha256:0" if damage == "pinned" else None,
            )
        )
    assert caught.value.hint


def test_torch_without_a_network(tiny_torch: Callable[[str], Path]) -> None:
    """A hub id that is not cached: ModelUnavailable, with what to check."""
    pytest.importorskip("torch")
    with pytest.raises(ModelUnavailable, match="no-such-owner/no-such-model"):
        load_scorer(ModelSpec(model="no-such-owner/no-such-model", revision="abc"))


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_a_missing_extra_is_named(missing: str, tmp_path: Path) -> None:
    """Without torch: MissingExtra with the command; other libraries that are missing are not hidden."""
    code = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "from verifiers.backends import ModelSpec, load_scorer\n"
        "from verifiers.errors import MissingExtra\n"
        "try:\n"
        "    load_scorer(ModelSpec(model='a/b', backend='torch'))\n"
        "except MissingExtra as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120
    )
    assert "[GR107]" in done.stdout, done.stderr
    assert "pip install 'groundrail[torch]'" in done.stdout


def test_a_broken_install_is_not_hidden(tmp_path: Path) -> None:
    """torch is there but something it needs is not: that error comes through."""
    (tmp_path / "torch.py").write_text("import something_torch_needs\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from verifiers.backends import ModelSpec, load_scorer\n"
        "load_scorer(ModelSpec(model='a/b', backend='torch'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120
    )
    assert "something_torch_needs" in done.stderr
    assert "GR107" not in done.stderr
