"""Presets: asked as their authors ask them, and refused when anything about them is not right."""

from __future__ import annotations

import json
import math
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from verifiers.backends import ModelSpec, choose_backend, load_scorer
from verifiers.backends.installed import (
    MANIFEST,
    Manifest,
    describe_files,
    faults,
    read_manifest,
    write_manifest,
)
from verifiers.backends.presets import PRESETS, Head, Special, find_preset
from verifiers.backends.spans import ScoredSpan, SpanScorer, best_passage, merged
from verifiers.backends.template import filled
from verifiers.errors import (
    BackendFailed,
    CanaryFailed,
    InputTooLong,
    LabelsUnmapped,
    ModelUnavailable,
)
from verifiers.types import Pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:transformers.*",
    "ignore::DeprecationWarning:torch.*",
    "ignore::FutureWarning:transformers.*",
)

PREMISE = "The shop sells 30 kinds of bread and 12 kinds of cheese every day."
PAIRS = (
    Pair(PREMISE, "The shop sells 30 kinds of bread."),
    Pair("Whales sing at night.", "The shop does not sell bread."),
    Pair("one two", "three"),
)


def spec(models: Path, name: str, **extra: Any) -> ModelSpec:
    return ModelSpec(model=name, folder=str(models), canaries=False, **extra)


def remade(models: Path, name: str) -> None:
    """A manifest of the files as they are now, as if they had been fetched like that."""
    files = describe_files(models / name)
    repo = PRESETS[name].repo
    write_manifest(models / name, Manifest(name, repo, "0" * 40, pinned=False, files=files))


@pytest.fixture
def models(tiny_preset: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Copies of the tiny presets, to break."""

    def copy(name: str) -> Path:
        shutil.copytree(tiny_preset(name) / name, tmp_path / name)
        return tmp_path

    return copy


# ------------------------------------------------------------------ as the authors do it


def authors_support(folder: Path, name: str, pair: Pair) -> float:
    """P(supported) in plain transformers, written after the authors' own inference code."""
    beside = folder / "foundation" if name.startswith("hhem") else folder
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(beside / "tokenizer.json"), truncation=False
    )
    doc, claim = pair

    def ids(*texts: str) -> dict[str, Any]:
        encoding = tokenizer(*texts, return_tensors="pt", return_token_type_ids=False)
        return dict(encoding)

    with torch.no_grad():
        if name.startswith("nli-"):
            model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
            return float(torch.softmax(model(**ids(doc, claim)).logits, -1)[0, 0])
        if name.startswith("factcg"):
            text = (
                f"{doc}\n\nChoose your answer: based on the paragraph above can we conclude that"
                f' "{claim}"?\n\nOPTIONS:\n- Yes\n- No\nI think the answer is '
            )
            model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
            return float(torch.softmax(model(**ids(text)).logits, -1)[0, 1])
        if name in {"minicheck-roberta", "minicheck-deberta"}:
            end = "</s>" if name == "minicheck-roberta" else "[SEP]"
            model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
            return float(torch.softmax(model(**ids(end.join(pair))).logits, -1)[0, 1])
        if name == "minicheck-flan-t5":
            model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder)
            start = torch.zeros((1, 1), dtype=torch.long)
            logits = model(**ids("predict: " + "</s>".join(pair)), decoder_input_ids=start).logits
            return float(torch.softmax(logits.squeeze(1)[:, [3, 209]], -1)[0, 1])
        if name == "hhem-2.1-open":
            from safetensors.torch import load_file

            config = transformers.T5Config.from_pretrained(beside, num_labels=2)
            model = transformers.T5ForTokenClassification(config).eval()
            state = {
                k.removeprefix("t5."): v for k, v in load_file(folder / "model.safetensors").items()
            }
            missing, unexpected = model.load_state_dict(state, strict=False)
            assert not unexpected
            assert all(key.endswith("embed_tokens.weight") for key in missing)
            text = (
                "<pad> Determine if the hypothesis is true given the premise?\n\n"
                f"Premise: {doc}\n\nHypothesis: {claim}"
            )
            return float(torch.softmax(model(**ids(text)).logits[:, 0, :], -1)[0, 1])
        model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
        prompt = f"Summarize the following text:\npassage 1: {doc}\noutput:"
        inputs = ids(prompt, claim)
        length = len(tokenizer(claim, add_special_tokens=False)["input_ids"])
        own = torch.softmax(model(**inputs).logits, -1)[0, -length - 1 : -1]
        return 1.0 - float(own[:, 1].max())


@pytest.mark.parametrize("name", PRESETS)
def test_scores_are_what_the_authors_code_gives(
    tiny_preset: Callable[[str], Path], name: str
) -> None:
    """Wording, special tokens, column and place of the answer, on random weights."""
    models = tiny_preset(name)
    scorer = load_scorer(spec(models, name))
    found = scorer.score(PAIRS)
    for pair, probs in zip(PAIRS, found, strict=True):
        expected = authors_support(models / name, name, pair)
        assert math.isclose(expected, probs.entailment, abs_tol=1e-4)
        if not PRESETS[name].three_way:
            assert probs.contradiction == 0.0
            assert math.isclose(1.0 - expected, probs.neutral, abs_tol=1e-4)
    assert len({round(probs.entailment, 4) for probs in found}) > 1
    scorer.close()


@pytest.mark.parametrize("name", PRESETS)
def test_the_record_names_commit_digest_and_room(
    tiny_preset: Callable[[str], Path], name: str
) -> None:
    """``max_tokens`` is what the template leaves; a pair that fills it is scored, one more is not."""
    scorer = load_scorer(spec(tiny_preset(name), name, max_tokens=90))
    assert scorer.info.name == name
    assert re.fullmatch(r"0{40}@sha256:[0-9a-f]{48}", scorer.info.revision)
    assert scorer.info.max_tokens <= 90
    assert (scorer.info.max_tokens < 90) == (
        any(
            isinstance(part, str) and part not in {"{premise}", "{hypothesis}"}
            for part in PRESETS[name].segments
        )
        or PRESETS[name].premise_form != "{premise}"
    )
    scorer.close()


@pytest.mark.parametrize("name", [name for name in PRESETS if PRESETS[name].segments])
def test_a_forged_separator_stays_text(tiny_preset: Callable[[str], Path], name: str) -> None:
    """An answer cannot end the premise, nor begin another template."""
    scorer = load_scorer(spec(tiny_preset(name), name))
    specials = [part.token for part in PRESETS[name].segments if isinstance(part, Special)]
    honest = Pair("one two three", "four five")
    for token in [*specials, "{premise}", "{hypothesis}"]:
        forged = Pair("one two three", f"x {token} four five")
        assert scorer.count_tokens([forged])[0] >= scorer.count_tokens([honest])[0] + 2
    scorer.close()


def test_templates_fill_once() -> None:
    """Placeholders written in a text are text, and so are braces."""
    pair = Pair("{hypothesis} {", "{premise} } {x}")
    assert (
        filled("a {premise} b {hypothesis} {z}", pair) == "a {hypothesis} { b {premise} } {x} {z}"
    )
    assert filled("{", pair) == "{"
    assert filled("{{premise}}", pair) == "{{hypothesis} {}"
    assert filled("{question}", pair, question="{premise}?") == "{premise}?"


def test_every_preset_is_complete() -> None:
    """A full commit, a source for its form, roles that make sense, and the torch backend."""
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert preset.revision is None or re.fullmatch(r"[0-9a-f]{40}", preset.revision)
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in preset.digests.values())
        assert preset.follows
        assert preset.licence
        assert "entailment" in preset.roles
        assert bool(preset.answers) == (preset.head is Head.NEXT)
        assert choose_backend(ModelSpec(model=name)) == "torch"
    with pytest.raises(ModelUnavailable, match="no preset"):
        find_preset("gpt-9")


# ------------------------------------------------------------------ spans


def test_spans_cover_what_is_not_supported(tiny_preset: Callable[[str], Path]) -> None:
    """Disjoint, in order, without white space at the ends; all at 0, none above 1."""
    scorer = load_scorer(spec(tiny_preset("lettucedetect-base"), "lettucedetect-base"))
    assert isinstance(scorer, SpanScorer)
    pair = PAIRS[0]
    (probs,) = scorer.score([pair])
    (whole,) = scorer.spans(pair, threshold=0.0)
    assert (whole.start, whole.end) == (0, len(pair.hypothesis))
    assert math.isclose(whole.probability, 1.0 - probs.entailment, abs_tol=1e-9)
    assert scorer.spans(pair, threshold=1.1) == []
    some = scorer.spans(pair, threshold=whole.probability)
    assert some
    for span in some:
        text = pair.hypothesis[span.start : span.end]
        assert text
        assert text == text.strip()
    assert scorer.spans(Pair("one", "")) == []
    assert scorer.score([Pair("one", "")]) == [(0.0, 1.0, 0.0)]
    scorer.close()


def test_a_question_is_read_with_the_passage(tiny_preset: Callable[[str], Path]) -> None:
    """With a question the form is another, and longer."""
    scorer = load_scorer(spec(tiny_preset("lettucedetect-base"), "lettucedetect-base"))
    plain, asked = (
        scorer.spans(PAIRS[0], threshold=0.0, question=question) for question in (None, "How many?")
    )
    assert plain[0].probability != asked[0].probability
    with pytest.raises(InputTooLong):
        scorer.spans(PAIRS[0], question="one " * 5000)
    scorer.close()


def test_the_best_passage_counts(tiny_preset: Callable[[str], Path]) -> None:
    """The spans are those of the passage that supports the text best, not of all."""
    scorer = load_scorer(spec(tiny_preset("lettucedetect-base"), "lettucedetect-base"))
    passages = [PREMISE, "Whales sing at night.", "one two three"]
    claim = "The shop sells 45 kinds of bread."
    found = best_passage(scorer, passages, claim)
    scores = [scorer.score([Pair(passage, claim)])[0] for passage in passages]
    assert found.probs == max(scores, key=lambda probs: probs.entailment)
    assert found.spans == scorer.spans(Pair(passages[found.passage], claim))
    # With a question every passage is asked with it, and so is the one that is chosen.
    asked = best_passage(scorer, passages, claim, question="How many kinds?", threshold=0.0)
    doubts = [
        scorer.spans(Pair(passage, claim), question="How many kinds?", threshold=0.0)[0].probability
        for passage in passages
    ]
    assert asked.passage == doubts.index(min(doubts))
    assert math.isclose(asked.probs.entailment, 1.0 - min(doubts), abs_tol=1e-9)
    assert asked.spans[0].probability == min(doubts)
    with pytest.raises(ValueError, match="no passage"):
        best_passage(scorer, [], claim)
    scorer.close()
    other = load_scorer(spec(tiny_preset("minicheck-roberta"), "minicheck-roberta"))
    assert not isinstance(other, SpanScorer)
    with pytest.raises(TypeError):
        best_passage(other, passages, claim)
    other.close()


def test_runs_of_tokens_become_spans() -> None:
    """Merged while they run, trimmed, with the highest probability; empty tokens are passed over."""
    text = "The fee is 60 euros"
    tokens = [
        ((0, 3), 0.1),
        ((3, 7), 0.9),
        ((7, 7), 0.0),
        ((7, 10), 0.6),
        ((10, 13), 0.2),
        ((13, 19), 0.5),
    ]
    assert merged(text, tokens, threshold=0.5) == [
        ScoredSpan(4, 10, 0.9),
        ScoredSpan(14, 19, 0.5),
    ]
    assert merged("   ", [((0, 3), 1.0)], threshold=0.5) == []
    assert merged("", [], threshold=0.5) == []


def test_places_are_code_points_whatever_the_tokenizer() -> None:
    """Byte-level tokens of one letter all stand where the letter stands."""
    from verifiers.backends.tokenizer import PairTokenizer

    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    words = {letter: number for number, letter in enumerate(["[CLS]", "[SEP]", *alphabet])}
    raw = tokenizers.Tokenizer(tokenizers.models.BPE(words, []))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 0), ("[SEP]", 1)],
    )
    (found,) = PairTokenizer(raw).hypotheses([Pair("aé", "b 👩é\ud800")])
    assert len(found.places) == len(found.spans) == 1 + 1 + 4 + 2 + 3
    assert set(found.spans) == {(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)}


# ------------------------------------------------------------------ refused


def refused(models: Path, name: str, **extra: Any) -> ModelUnavailable:
    with pytest.raises(ModelUnavailable) as caught:
        load_scorer(spec(models, name, **extra))
    assert caught.value.code == "GR101"
    assert caught.value.hint
    return caught.value


def test_what_is_not_installed_is_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading never uses the network: it says how to fetch."""
    import socket

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket, "create_connection", forbidden)
    error = refused(tmp_path, "hhem-2.1-open")
    assert "groundrail models fetch hhem-2.1-open" in error.hint


@pytest.mark.parametrize("name", ["hhem-2.1-open", "minicheck-flan-t5", "lettucedetect-base"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "changed"])
def test_files_that_differ_from_the_manifest_are_refused(
    models: Callable[[str], Path], name: str, damage: str
) -> None:
    """Every single file, in every way."""
    base = models(name)
    manifest = read_manifest(PRESETS[name], base)
    assert manifest is not None
    assert not faults(PRESETS[name], manifest, base)
    for file in manifest.files:
        path = base / name / file
        content = path.read_bytes()
        if damage == "missing":
            path.unlink()
        elif damage == "truncated":
            path.write_bytes(content[: len(content) // 2])
        else:
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert file in str(refused(base, name))
        path.write_bytes(content)
    load_scorer(spec(base, name)).close()


@pytest.mark.parametrize("name", ["hhem-2.1-open", "minicheck-flan-t5", "nli-deberta-v3-base"])
@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_weights_that_were_broken_from_the_start(
    models: Callable[[str], Path], name: str, damage: str
) -> None:
    """A manifest of broken weights makes them no better: they do not load."""
    base = models(name)
    (path,) = [*(base / name).glob("*.safetensors"), *(base / name).glob("*.bin")]
    content = path.read_bytes()
    path.write_bytes(
        {"truncated": content[: len(content) // 2], "garbage": b"\xff" * 999, "empty": b""}[damage]
    )
    remade(base, name)
    refused(base, name)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"version": 1, "files": {}}', "broken"])
def test_a_manifest_that_says_nothing_is_refused(models: Callable[[str], Path], body: str) -> None:
    """Nor is one read past."""
    base = models("hhem-2.1-open")
    (base / "hhem-2.1-open" / MANIFEST).write_text(body)
    assert "manifest" in str(refused(base, "hhem-2.1-open"))


@pytest.mark.parametrize(
    ("field", "value"), [("preset", "minicheck-roberta"), ("repo", "evil/hhem"), ("version", 2)]
)
def test_a_manifest_of_another_model_is_refused(
    models: Callable[[str], Path], field: str, value: object
) -> None:
    """A folder cannot pass for another preset."""
    base = models("hhem-2.1-open")
    path = base / "hhem-2.1-open" / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    refused(base, "hhem-2.1-open")


@pytest.mark.parametrize("outside", ["../secret", "/etc/passwd", "a\\..\\b"])
def test_a_manifest_names_nothing_outside(models: Callable[[str], Path], outside: str) -> None:
    """Paths stay inside the folder."""
    base = models("hhem-2.1-open")
    path = base / "hhem-2.1-open" / MANIFEST
    body = json.loads(path.read_text())
    body["files"][outside] = next(iter(body["files"].values()))
    path.write_text(json.dumps(body))
    refused(base, "hhem-2.1-open")


def test_the_pinned_revision_is_kept(tiny_preset: Callable[[str], Path]) -> None:
    """By the beginning of the commit or of the digest; another one is refused."""
    base = tiny_preset("hhem-2.1-open")
    manifest = read_manifest(PRESETS["hhem-2.1-open"], base)
    assert manifest is not None
    for pin in ("000000", manifest.digest, manifest.digest[:20]):
        load_scorer(spec(base, "hhem-2.1-open", revision=pin)).close()
    assert "is pinned" in str(refused(base, "hhem-2.1-open", revision="8e4a2e6e"))


def test_the_digest_the_preset_pins_is_kept(models: Callable[[str], Path]) -> None:
    """A manifest that claims the pinned commit must have the pinned bytes."""
    base = models("minicheck-flan-t5")
    preset = PRESETS["minicheck-flan-t5"]
    assert preset.digests
    assert preset.revision is not None
    files = describe_files(base / preset.name)
    write_manifest(
        base / preset.name, Manifest(preset.name, preset.repo, preset.revision, True, files)
    )
    assert "pins" in str(refused(base, preset.name))


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("nli-deberta-v3-base", {"0": "contradiction", "1": "neutral", "2": "entailment"}),
        ("nli-deberta-v3-base", {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}),
        ("hhem-2.1-open", {"0": "consistent", "1": "hallucinated"}),
        ("hhem-2.1-open", {"0": "a", "1": "b"}),
        ("minicheck-roberta", {"0": "supported", "1": "unsupported"}),
        ("lettucedetect-base", {"0": "hallucinated", "1": "supported"}),
    ],
)
def test_labels_that_say_something_else(
    models: Callable[[str], Path], name: str, labels: dict[str, str]
) -> None:
    """Where the config and the preset disagree, neither is believed."""
    base = models(name)
    path = base / name / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "id2label": labels}))
    remade(base, name)
    with pytest.raises(LabelsUnmapped) as caught:
        load_scorer(spec(base, name))
    assert caught.value.code == "GR102"
    assert caught.value.hint


@pytest.mark.parametrize(
    "labels",
    [
        {"0": "supported", "1": "hallucinated"},
        {"0": "LABEL_0", "1": "LABEL_1"},
        {"0": 0, "1": 1},
    ],
    ids=str,
)
def test_labels_the_preset_means_are_taken(
    models: Callable[[str], Path], labels: dict[str, object]
) -> None:
    """A config that names its labels as the preset reads them is fine, and so is a silent one."""
    base = models("lettucedetect-base")
    path = base / "lettucedetect-base" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "id2label": labels}))
    remade(base, "lettucedetect-base")
    scorer = load_scorer(spec(base, "lettucedetect-base"))
    assert scorer.info.labels == tuple(map(str, labels.values()))
    scorer.close()


def test_a_config_that_wants_code_from_the_hub(models: Callable[[str], Path]) -> None:
    """Another type of model is refused, and never given a chance to run its own code."""
    base = models("minicheck-roberta")
    folder = base / "minicheck-roberta"
    (folder / "evil.py").write_text("raise SystemExit('ran')\n")
    config = {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    remade(base, "minicheck-roberta")
    assert "code from the hub" in str(refused(base, "minicheck-roberta"))


def test_any_model_that_wants_code_from_the_hub(tmp_path: Path) -> None:
    """The same outside of presets: told apart from other failures, with the way out."""
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')\n")
    auto = {"AutoConfig": "evil.C", "AutoModelForSequenceClassification": "evil.M"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "HHEMv2", "auto_map": auto}))
    with pytest.raises(ModelUnavailable, match="trust_remote_code") as caught:
        load_scorer(ModelSpec(model=str(tmp_path), backend="torch"))
    assert "hhem-2.1-open" in caught.value.hint


def test_a_pickle_with_code_in_it_does_not_run(models: Callable[[str], Path]) -> None:
    """Weights published as a pickle are read in torch's weights-only mode."""
    base = models("minicheck-roberta")
    path = base / "minicheck-roberta" / "pytorch_model.bin"
    marker = base / "ran"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (open, (str(marker), "w"))

    torch.save({"classifier.out_proj.weight": Evil()}, path)
    remade(base, "minicheck-roberta")
    refused(base, "minicheck-roberta")
    assert not marker.exists()


def test_weights_of_another_network(models: Callable[[str], Path]) -> None:
    """T5 weights with one layer too few are not filled up with random numbers."""
    from safetensors.torch import load_file, save_file

    base = models("hhem-2.1-open")
    path = base / "hhem-2.1-open" / "model.safetensors"
    state = load_file(path)
    save_file({k: v for k, v in state.items() if "block.1" not in k}, path)
    remade(base, "hhem-2.1-open")
    assert "missing" in str(refused(base, "hhem-2.1-open"))
    save_file({**state, "t5.decoder.block.0.weight": torch.zeros(2)}, path)
    remade(base, "hhem-2.1-open")
    assert "too many" in str(refused(base, "hhem-2.1-open"))


def test_another_tokenizer_is_noticed(
    models: Callable[[str], Path], tiny_preset: Callable[[str], Path]
) -> None:
    """Without the template's special token, or with other answers, the model is not asked."""
    base = models("minicheck-roberta")
    other = tiny_preset("nli-deberta-v3-base") / "nli-deberta-v3-base" / "tokenizer.json"
    shutil.copy(other, base / "minicheck-roberta" / "tokenizer.json")
    remade(base, "minicheck-roberta")
    assert "no token" in str(refused(base, "minicheck-roberta"))

    base = models("minicheck-flan-t5")
    path = base / "minicheck-flan-t5" / "tokenizer.json"
    body = json.loads(path.read_text())
    vocabulary = body["model"]["vocab"]
    vocabulary[209], vocabulary[208] = vocabulary[208], vocabulary[209]
    path.write_text(json.dumps(body))
    remade(base, "minicheck-flan-t5")
    with pytest.raises(LabelsUnmapped, match="209"):
        load_scorer(spec(base, "minicheck-flan-t5"))


def test_a_template_read_otherwise_in_pieces(models: Callable[[str], Path]) -> None:
    """A tokenizer that joins across the separator would change what the model is asked."""
    base = models("minicheck-flan-t5")
    path = base / "minicheck-flan-t5" / "tokenizer.json"
    body = json.loads(path.read_text())
    body["pre_tokenizer"]["prepend_scheme"] = "first"
    path.write_text(json.dumps(body))
    remade(base, "minicheck-flan-t5")
    assert "in pieces" in str(refused(base, "minicheck-flan-t5"))


def test_random_weights_fail_the_canaries(tiny_preset: Callable[[str], Path]) -> None:
    """Presets are not exempt: GR103, and switching it off is a written setting."""
    for name in ("nli-deberta-v3-base", "hhem-2.1-open", "lettucedetect-base"):
        with pytest.raises(CanaryFailed) as caught:
            load_scorer(ModelSpec(model=name, folder=str(tiny_preset(name))))
        assert caught.value.code == "GR103"


@pytest.mark.parametrize(
    "field",
    [
        {"labels": ("entailment", "not_entailment")},
        {"template": "{premise} {hypothesis}"},
        {"tokenizer": "elsewhere"},
        {"outputs": "logits"},
    ],
    ids=str,
)
def test_what_belongs_to_the_preset_cannot_be_set(
    tiny_preset: Callable[[str], Path], field: dict[str, Any]
) -> None:
    """A setting that would be ignored is an error."""
    base = tiny_preset("minicheck-roberta")
    assert next(iter(field)) in str(refused(base, "minicheck-roberta", **field))


def test_no_room_for_a_text(tiny_preset: Callable[[str], Path]) -> None:
    """A limit that the template alone exceeds is told at load."""
    assert "own" in str(refused(tiny_preset("hhem-2.1-open"), "hhem-2.1-open", max_tokens=5))


# ------------------------------------------------------------------ memory


def _no_memory(*_: Any, **__: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


@pytest.mark.parametrize("name", ["minicheck-flan-t5", "hhem-2.1-open", "lettucedetect-base"])
def test_out_of_memory_while_scoring(
    tiny_preset: Callable[[str], Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BackendFailed that says so; the scorer is as good as before."""
    scorer = load_scorer(spec(tiny_preset(name), name))
    before = scorer.score(PAIRS[:1])
    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ):

        def fail(*_: Any, error: Exception = error, **__: Any) -> Any:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(torch, "tensor", fail)
            with pytest.raises(BackendFailed, match="out of memory") as caught:
                scorer.score(PAIRS)
            assert "batch" in caught.value.hint
    assert scorer.score(PAIRS[:1]) == before
    scorer.close()


def test_out_of_memory_while_loading(
    tiny_preset: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ModelUnavailable that says so, when the weights are read and when they are moved."""
    base = tiny_preset("minicheck-roberta")
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Module, "to", _no_memory)
        assert "out of memory" in str(refused(base, "minicheck-roberta"))
    with monkeypatch.context() as patch:
        patch.setattr(
            transformers.AutoModelForSequenceClassification, "from_pretrained", _no_memory
        )
        assert "not enough memory" in str(refused(base, "minicheck-roberta"))


def test_numbers_that_are_none(
    tiny_preset: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN from the model is BackendFailed, never a score."""
    from verifiers.backends.network import Network

    scorer = load_scorer(spec(tiny_preset("lettucedetect-base"), "lettucedetect-base"))
    monkeypatch.setattr(
        Network, "token_rows", lambda _, batch: [[[math.nan, 0.0]] * len(e.ids) for e in batch]
    )
    with pytest.raises(BackendFailed):
        scorer.score(PAIRS)
    scorer.close()


# ------------------------------------------------------------------ from hub to score


@pytest.mark.parametrize("name", ["hhem-2.1-open", "minicheck-roberta", "lettucedetect-base"])
def test_fetched_from_a_hub_and_used_without_it(
    tiny_preset: Callable[[str], Path],
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is fetched scores as what was published, after the hub is gone."""
    import huggingface_hub

    from verifiers.backends.fake_hub import FakeHub
    from verifiers.backends.hub import fetch

    preset = PRESETS[name]
    published = tiny_preset(name) / name
    repos: dict[str, dict[str, bytes]] = {preset.repo: {}}
    commits = {preset.repo: preset.revision or ""}
    for path in sorted(published.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            repo = preset.repo
            if path.parent != published and preset.companion is not None:
                repo = preset.companion.repo
                commits[repo] = preset.companion.revision
            repos.setdefault(repo, {})[path.name] = path.read_bytes()
    # The suite is offline by its environment; this hub is on this machine.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    huggingface_hub.close_session()
    with FakeHub(repos, commits) as hub:
        manifest, _ = fetch(preset, tmp_path, endpoint=hub.url)
    scorer = load_scorer(spec(tmp_path, name, revision=preset.revision))
    original = load_scorer(spec(tiny_preset(name), name))
    assert scorer.info.revision == f"{preset.revision}@{manifest.digest}"
    assert scorer.score(PAIRS) == original.score(PAIRS)
    for made in (scorer, original):
        made.close()
