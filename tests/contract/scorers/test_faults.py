"""Faults that would make a silently weaker verifier, each refused: what people are told of them.

Labels are swapped in models that are right: tiny networks that learnt the canaries, one of each
kind of preset, and the bundled model. The other faults are told by the library, by ``groundrail
check`` and by ``groundrail doctor``.
"""

from __future__ import annotations

import json
import math
import shutil
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guardrails.cli.app import main
from guardrails.cli.examine import _guarded
from guardrails.cli.examine_model import examine_model
from guardrails.cli.findings import Level
from guardrails.settings import load_settings
from verifiers.aggregate import judge
from verifiers.backends import ModelSpec, load_scorer
from verifiers.backends.canary import CANARIES, check_canaries
from verifiers.backends.config import longest_input
from verifiers.backends.installed import Manifest, describe_files, write_manifest
from verifiers.backends.load_faults import onnx_unloadable
from verifiers.backends.presets import PRESETS, Head
from verifiers.backends.testing import TEMPLATE, FakeModelServer, Fault
from verifiers.claims import make_extractor
from verifiers.engine import NLIEngine
from verifiers.errors import BackendFailed, CanaryFailed, ModelUnavailable, VerifierError
from verifiers.pipeline import Verifier
from verifiers.testing import ScriptedScorer
from verifiers.types import CheckError, Source, Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable

    from verifiers.types import Pair, Verdict

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:transformers.*",
    "ignore::DeprecationWarning:torch.*",
    "ignore::FutureWarning:transformers.*",
)

KINDS = ["nli-deberta-v3-base", "minicheck-roberta", "minicheck-flan-t5", "hhem-2.1-open"]
KINDS += ["lettucedetect-base"]
LABELS = ("contradiction", "entailment", "neutral")


def remade(models: Path, name: str) -> None:
    """A manifest of the files as they are now, as if they had been fetched like that."""
    listed = describe_files(models / name)
    manifest = Manifest(name, PRESETS[name].repo, "0" * 40, pinned=False, files=listed)
    write_manifest(models / name, manifest)


def change(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


# ------------------------------------------------------------------ labels


def _rows(scorer: Any) -> tuple[Any, list[int]]:
    """Logits of the canaries with gradients, and the column each should be."""
    preset, model = scorer._preset, scorer._network._model
    encoded = [
        item.encoded for item in scorer._pairs.hypotheses(list(map(_worded(scorer), CANARIES)))
    ]
    if preset.head is not Head.TOKENS:
        encoded = scorer._tokens.encode(CANARIES)
    longest = max(len(item.ids) for item in encoded)
    ids = torch.tensor([item.ids + [0] * (longest - len(item.ids)) for item in encoded])
    mask = torch.tensor([[1] * len(e.ids) + [0] * (longest - len(e.ids)) for e in encoded])
    right = [("entailment", "neutral", "contradiction")[n % 3] for n in range(len(CANARIES))]
    if not preset.three_way:
        right = [kind if kind == "entailment" else "rest" for kind in right]
    wanted = [preset.roles.index(kind) for kind in right]
    if preset.head is Head.NEXT:
        start = torch.zeros((len(encoded), 1), dtype=torch.long)
        logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=start).logits
        return logits[:, 0, [number for _, number in preset.answers]], wanted
    logits = model(input_ids=ids, attention_mask=mask).logits
    if preset.head is Head.FIRST:
        return logits[:, 0, :], wanted
    if preset.head is Head.TOKENS:
        places = [
            item.places for item in scorer._pairs.hypotheses([_worded(scorer)(p) for p in CANARIES])
        ]
        rows = torch.cat([logits[n, own] for n, own in enumerate(places)])
        return rows, [w for w, own in zip(wanted, places, strict=True) for _ in own]
    return logits, wanted


def _worded(scorer: Any) -> Callable[[Pair], Pair]:
    return scorer._tokens.worded


def _learn(scorer: Any) -> None:
    """Until the network knows the canaries by heart."""
    model = scorer._network._model
    for weights in model.parameters():
        weights.requires_grad_(True)
    start = {name: weights.clone() for name, weights in model.state_dict().items()}
    # Which rate learns at once is a matter of the last digits, which differ from machine to machine.
    for rate in (0.01, 0.005, 0.02, 0.003):
        model.load_state_dict(start)
        steps = torch.optim.Adam(model.parameters(), lr=rate)
        for _ in range(300):
            rows, wanted = _rows(scorer)
            loss = torch.nn.functional.cross_entropy(rows, torch.tensor(wanted))
            if loss < 0.3:
                return
            steps.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            steps.step()
    raise AssertionError(f"the tiny {scorer.info.name} did not learn: loss {loss:.2f}")


def _save(scorer: Any, folder: Path) -> None:
    from safetensors.torch import save_file

    preset, model = scorer._preset, scorer._network._model
    state = {key: value.detach().clone() for key, value in model.state_dict().items()}
    if preset.companion:
        state = {f"{preset.prefix}{k}": v for k, v in state.items() if "embed_tokens" not in k}
    if (folder / "pytorch_model.bin").exists():
        torch.save(state, folder / "pytorch_model.bin")
    else:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _swap(scorer: Any) -> None:
    """Two columns of the answer change places, and nothing says so."""
    preset, model = scorer._preset, scorer._network._model
    head = model.lm_head if preset.head is Head.NEXT else model.classifier
    head = getattr(head, "out_proj", head)
    one, other = [number for _, number in preset.answers] or [0, len(preset.roles) - 1]
    with torch.no_grad():
        for weights in (head.weight, head.bias):
            if weights is not None:
                weights[[one, other]] = weights[[other, one]].clone()


@pytest.mark.parametrize("name", KINDS)
def test_swapped_columns_are_found_at_load(
    tiny_preset: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    """Of every kind of preset: one that is right is used, the same with two columns swapped not."""
    shutil.copytree(tiny_preset(name) / name, tmp_path / name)
    plain = ModelSpec(model=name, folder=str(tmp_path), canaries=False)
    scorer = load_scorer(plain)
    state = torch.random.get_rng_state()
    torch.manual_seed(1)
    _learn(scorer)
    torch.random.set_rng_state(state)
    _save(scorer, tmp_path / name)
    remade(tmp_path, name)
    load_scorer(ModelSpec(model=name, folder=str(tmp_path))).close()

    _swap(scorer)
    _save(scorer, tmp_path / name)
    remade(tmp_path, name)
    scorer.close()
    with pytest.raises(CanaryFailed) as caught:
        load_scorer(ModelSpec(model=name, folder=str(tmp_path)))
    assert "`labels`" not in caught.value.hint  # nobody can set those of a preset
    assert f"models fetch {name}" in caught.value.hint


@pytest.mark.integration
@pytest.mark.parametrize(
    "order",
    [("neutral", "entailment"), ("entailment", "contradiction"), ("neutral", "contradiction")],
)
def test_swapped_labels_of_the_bundled_model_are_found(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    """A config that names two columns the wrong way round, beside weights that are right."""
    bundled = load_scorer(ModelSpec())
    own = Path(str(files("verifiers"))) / "models" / bundled.info.name
    bundled.close()
    for file in own.iterdir():
        if file.name != "config.json":
            (tmp_path / file.name).symlink_to(file)
    config = json.loads((own / "config.json").read_text())
    turned = {order[0]: order[1], order[1]: order[0]}
    config["id2label"] = {k: turned.get(v, v) for k, v in config["id2label"].items()}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CanaryFailed) as caught:
        load_scorer(ModelSpec(model=str(tmp_path)))
    assert "`labels`" in caught.value.hint


@pytest.mark.parametrize("dialect", ["tei", "vllm", "kserve"])
def test_swapped_labels_of_a_server_are_found(
    word_tokenizer: Path, decode: Any, dialect: str
) -> None:
    """The server's columns stand otherwise than it, or the settings, say."""
    swapped = ("entailment", "contradiction", "neutral")
    extra: dict[str, Any] = {"labels": swapped, "max_tokens": 64, "timeout": 5.0}
    if dialect == "tei":
        del extra["labels"]
        told = {str(n): label for n, label in enumerate(swapped)}
        metadata = {"model_type": {"classifier": {"id2label": told}}}
    else:
        metadata = {}
        extra |= {"template": TEMPLATE} if dialect == "vllm" else {"model": "nli"}
        extra |= {"tokenizer": str(word_tokenizer)} if dialect == "kserve" else {}
    with FakeModelServer(dialect, labels=LABELS, decode=decode, metadata=metadata) as server:
        if dialect == "tei":
            server._labels = swapped
        with pytest.raises(VerifierError) as caught:
            load_scorer(ModelSpec(backend=dialect, url=server.url, **extra))
    assert caught.value.code in {"GR101", "GR103"}
    assert "labels" in str(caught.value)


# ------------------------------------------------------------------ networks


@pytest.fixture
def folder(tiny_torch: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a tiny BERT, to break."""
    shutil.copytree(tiny_torch("bert"), tmp_path / "bert")
    return tmp_path / "bert"


def refused(folder: Path, **extra: Any) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        load_scorer(ModelSpec(model=str(folder), backend="torch", **{"canaries": False, **extra}))
    assert caught.value.hint
    return str(caught.value)


def resaved(folder: Path, change_it: Callable[[Any], object]) -> None:
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    change_it(model)
    model.save_pretrained(folder)


def test_layers_are_not_left_out(
    folder: Path, tiny_preset: Callable[[str], Path], tmp_path: Path
) -> None:
    """A config with fewer layers than were trained is refused; transformers would only warn."""
    change(folder, num_hidden_layers=1)
    assert "would be left out" in refused(folder)
    name = "minicheck-flan-t5"
    shutil.copytree(tiny_preset(name) / name, tmp_path / name)
    change(tmp_path / name, num_layers=1, num_decoder_layers=1)
    remade(tmp_path, name)
    with pytest.raises(ModelUnavailable, match="would be left out"):
        load_scorer(ModelSpec(model=name, folder=str(tmp_path), canaries=False))


@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_a_file_that_changes_later_changes_no_score(folder: Path, form: str) -> None:
    """Libraries map the file: written over in place, it would be other weights than were checked."""
    weights = folder / "model.safetensors"
    if form == "bin":
        from safetensors.torch import load_file

        torch.save(load_file(weights), folder / "pytorch_model.bin")
        weights.unlink()
        weights = folder / "pytorch_model.bin"
    scorer = load_scorer(ModelSpec(model=str(folder), backend="torch", canaries=False))
    before = scorer.score(CANARIES)
    with weights.open("r+b") as stream:
        stream.seek(200)
        stream.write(bytes(weights.stat().st_size - 200))
    assert scorer.score(CANARIES) == before
    scorer.close()


def test_weights_of_another_shape(folder: Path) -> None:
    """Named, with both shapes."""
    change(folder, vocab_size=20)
    said = refused(folder)
    assert "word_embeddings" in said
    assert "[20, 16]" in said


def test_code_beside_a_known_family_is_not_left_out(folder: Path) -> None:
    """transformers would run its own class in the place of the authors'; the canaries may not see."""
    change(folder, auto_map={"AutoModelForSequenceClassification": "modeling_theirs.Model"})
    assert "trust_remote_code" in refused(folder)


def test_a_family_that_is_too_new(folder: Path) -> None:
    """As an opset from the future: told apart from broken files, with the way out."""
    change(folder, model_type="hyperbert")
    assert "Upgrade transformers" in refused(folder)


def test_a_tokenizer_of_another_model(
    folder: Path, tiny_preset: Callable[[str], Path], tmp_path: Path
) -> None:
    """Tokens the network has no vector for are found at load, on no pair that happens to have them."""
    resaved(folder, lambda model: model.resize_token_embeddings(20))
    assert "names tokens up to" in refused(folder)
    name = "minicheck-roberta"
    shutil.copytree(tiny_preset(name) / name, tmp_path / name)
    path = tmp_path / name / "tokenizer.json"
    body = json.loads(path.read_text())
    body["model"]["vocab"] |= {f"word{n}": len(body["model"]["vocab"]) + n for n in range(50)}
    path.write_text(json.dumps(body))
    remade(tmp_path, name)
    with pytest.raises(ModelUnavailable, match="names tokens up to"):
        load_scorer(ModelSpec(model=name, folder=str(tmp_path), canaries=False))


def test_a_tokenizer_is_not_made_up(folder: Path) -> None:
    """Without its files transformers makes an empty one, that reads every word as unknown."""
    for path in folder.glob("tokenizer*"):
        path.unlink()
    assert "tokenizer" in refused(folder)


def test_transformers_shows_no_bars_and_keeps_the_hosts(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Loading says nothing on the console, and an application's own loading still does."""
    from transformers.utils import logging as bars

    before = bars.is_progress_bar_enabled()
    bars.enable_progress_bar()
    try:
        capfd.readouterr()
        load_scorer(ModelSpec(model=str(folder), backend="torch", canaries=False)).close()
        assert "Loading weights" not in capfd.readouterr().err
        assert bars.is_progress_bar_enabled()
    finally:
        if not before:
            bars.disable_progress_bar()


def test_a_limit_beyond_the_models_positions_is_lowered() -> None:
    """A config that promises more than its table of places holds; relative families have none."""
    raw = {"max_length": 512, "max_position_embeddings": 64}
    assert longest_input({**raw, "model_type": "bert"}, "config.json") == 64
    assert longest_input({**raw, "model_type": "deberta-v2"}, "config.json") == 512


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError("Failed to allocate memory for requested buffer of size 9"), "memory"),
        (RuntimeError("std::bad_alloc"), "memory"),
        (RuntimeError("indices element out of data bounds, idx=20"), "another model"),
        (RuntimeError("something else"), "doctor"),
    ],
    ids=str,
)
def test_what_onnx_runtime_says_is_read(
    tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    """Memory and another model's tokenizer are told apart from the rest, when scoring."""
    scorer = load_scorer(ModelSpec(model=str(tiny_onnx), canaries=False))

    class Failing:
        def run(self, *_: Any) -> Any:
            raise error

    monkeypatch.setattr(scorer, "_session", Failing())
    with pytest.raises(BackendFailed) as caught:
        scorer.score(CANARIES[:2])
    assert says in str(caught.value)


def test_what_onnx_runtime_says_at_load_is_read() -> None:
    """Memory and a newer opset are not called a broken file."""
    newer = onnx_unloadable("model.onnx", "1.0", RuntimeError("Opset 999 is under development"))
    assert "newer" in newer.message
    assert "truncated" not in newer.hint
    full = onnx_unloadable("model.onnx", "1.0", RuntimeError("bad allocation: std::bad_alloc"))
    assert "memory" in full.message
    assert "truncated" in onnx_unloadable("model.onnx", "1.0", RuntimeError("INVALID")).hint


# ------------------------------------------------------------------ told


def _nan(model: Any) -> None:
    with torch.no_grad():
        model.classifier.weight.fill_(math.nan)


BROKEN: dict[str, tuple[Callable[[Path], object], dict[str, Any], str, str]] = {
    "labels": (
        lambda f: change(f, id2label={"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}),
        {},
        "GR102",
        "LABEL_0",
    ),
    "random": (lambda f: None, {}, "GR103", "obvious test pairs"),
    "numbers": (lambda f: resaved(f, _nan), {}, "GR101", "NaN"),
    "truncated": (
        lambda f: (f / "model.safetensors").write_bytes(b"\x10" * 400),
        {},
        "GR101",
        "truncated",
    ),
    "pinned": (lambda f: None, {"revision": "sha256:00"}, "GR101", "is pinned"),
    "too short": (lambda f: None, {"max_tokens": 10}, "GR101", "max_tokens"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_people_are_told(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: str,
) -> None:
    """``check`` ends with 3, ``doctor`` has a failure; both say code, fault and what to do."""
    spoil, extra, code, says = BROKEN[fault]
    spoil(folder)
    monkeypatch.chdir(tmp_path)
    settings = tmp_path / "groundrail.yaml"
    model = {"model": str(folder), "backend": "torch", **extra}
    settings.write_text(json.dumps({"model": model, "store": {"url": None}}))
    (found,) = [
        f
        for f in _guarded(lambda: examine_model(load_settings(settings), speed=False))
        if f.level is Level.FAIL
    ]
    assert found.message.startswith(code)
    assert says in found.message + found.hint
    assert found.hint
    (tmp_path / "a.md").write_text("The shop sells bread.")
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(
            [
                *("check", "--text", "The shop sells bread.", "--source", "a.md", "--json"),
                *("--config", str(settings)),
            ]
        )
    told = json.loads(capsys.readouterr().out)
    assert stop.value.code == told["exit_code"] == 3
    assert told["error"]["code"] == code
    assert "report" not in told


def test_a_server_that_fails_on_the_canaries(word_tokenizer: Path) -> None:
    """At load that is a model that is not there, with what the server said of itself."""
    with FakeModelServer("tei", labels=LABELS, faults=[Fault(status=500)]) as server:
        with pytest.raises(ModelUnavailable, match="HTTP 500"):
            load_scorer(ModelSpec(backend="tei", url=server.url))
        load_scorer(ModelSpec(backend="tei", url=server.url)).close()


def test_canaries_are_scored_as_they_are(word_tokenizer: Path) -> None:
    """A right model passes, and nothing of what it was asked is kept."""
    scorer = ScriptedScorer()
    check_canaries(scorer)
    assert scorer.batches == [CANARIES]


# ------------------------------------------------------------------ memory


@pytest.mark.parametrize("when", ["loading", "proving"])
def test_out_of_memory_at_load(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Whatever the backend was doing: a model that is not there, and no traceback."""
    from verifiers.backends.onnx import OnnxScorer

    def fail(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(OnnxScorer, "__init__" if when == "loading" else "score", fail)
    with pytest.raises(ModelUnavailable, match="not enough memory") as caught:
        load_scorer(ModelSpec(model=str(tiny_onnx)))
    assert caught.value.hint


SOURCE = "The shop sells 30 kinds of bread. Whales sing at night. The museum is open every day."
ANSWER = "The shop sells 30 kinds of all bread. Whales do sing at night."


def _verdicts(scorer: ScriptedScorer) -> list[Verdict]:
    with (
        NLIEngine(lambda: scorer) as engine,
        Verifier(extractor=make_extractor("xx"), engine=engine) as verifier,
    ):
        # Sources of their own, so that nothing is found word for word and every claim is scored.
        sources = [Source(f"s{n}", f"{SOURCE} It is so, says paper {n}.") for n in range(4)]
        found = verifier.verify(ANSWER, sources=sources)
    return [judge(a, Thresholds(support=0.5, contradiction=0.5)) for a in found.assessments]


OUT_OF_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_out_of_memory_is_tried_smaller_and_never_reads_as_clean(error: Exception) -> None:
    """One batch too large is scored pair by pair; where that fails too, every verdict is an error."""
    right = [type(verdict) for verdict in _verdicts(ScriptedScorer())]
    assert CheckError not in right
    once = ScriptedScorer(failures=[error])
    assert [type(verdict) for verdict in _verdicts(once)] == right
    assert len(once.batches[0]) > 1
    assert all(len(batch) == 1 for batch in once.batches[1 : 1 + len(once.batches[0])])

    always = ScriptedScorer(fail_on=lambda _: error)
    verdicts = _verdicts(always)
    assert len(verdicts) == len(right)
    assert all(isinstance(verdict, CheckError) for verdict in verdicts)
    assert {verdict.code for verdict in verdicts if isinstance(verdict, CheckError)} == {"GR106"}
