"""A tiny world to train in: a few hundred words, two layers, rows with a learnable rule."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random

import pytest

from verifiers.training.data import Row

NAMES = ["Anna", "Boris", "Clara", "David", "Elena", "Felix"]
DEEDS = ["built", "sold", "painted", "found"]
THINGS = ["house", "boat", "clock", "garden", "bridge"]


def make_rows(count: int, seed: int = 0, dataset: str = "toy") -> list[Row]:
    """Pairs of one sentence each, where any difference decides the label."""
    rng = Random(seed)
    rows = []
    for i in range(count):
        who, deed, what = rng.choice(NAMES), rng.choice(DEEDS), rng.choice(THINGS)
        year = rng.randint(1900, 1999)
        premise = f"{who} {deed} a {what} in {year}. The {rng.choice(THINGS)} was old. It rained."
        label = ("entailment", "neutral", "contradiction", "not_entailment")[i % 4]
        claim = {
            "entailment": f"{who} {deed} a {what}.",
            "neutral": f"{who} liked the {what}.",
            "contradiction": f"{who} {deed} a {what} in {year + 3}.",
            "not_entailment": f"{rng.choice(NAMES)} {deed} no {what}.",
        }[label]
        rows.append(Row(dataset, premise, claim, label, f"{dataset}:{i}"))
    return rows


def write(rows: list[Row], path: Path) -> Path:
    """Rows as the files the training code reads."""
    with gzip.open(path, "wt", encoding="utf-8") as out:
        for row in rows:
            raw = {"id": row.id, "dataset": row.dataset, "premise": row.premise}
            out.write(json.dumps({**raw, "hypothesis": row.hypothesis, "label": row.label}) + "\n")
    return path


CONFIG = {
    "model_type": "bert",
    "architectures": ["BertForSequenceClassification"],
    "vocab_size": 400,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
    "pad_token_id": 0,
    "id2label": {"0": "entailment", "1": "neutral", "2": "contradiction"},
    "label2id": {"entailment": 0, "neutral": 1, "contradiction": 2},
}


@pytest.fixture(scope="session")
def tiny_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A start checkpoint: random weights and a word-level tokenizer of BERT's form."""
    pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    from verifiers.training import model

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    seen = {w for r in make_rows(400) for t in (r.premise, r.hypothesis) for w in t.lower().split()}
    seen = {w.strip(".") for w in seen} | {"."}
    words += sorted(seen)
    assert len(words) <= CONFIG["vocab_size"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    folder = tmp_path_factory.mktemp("start")
    tokenizer.save(str(folder / "source.json"))
    network = model.build(CONFIG, seed=1)
    model.save(dict(network.named_parameters()), CONFIG, folder / "source.json", folder)
    return folder


@pytest.fixture(scope="session")
def exit_start(tiny_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny start checkpoint, asked to grow an exit head after its first layer."""
    folder = tmp_path_factory.mktemp("exit")
    for file in ("model.safetensors", "tokenizer.json"):
        (folder / file).write_bytes((tiny_start / file).read_bytes())
    (folder / "config.json").write_text(json.dumps({**CONFIG, "exit_layer": 1}))
    return folder


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of training pairs from two data sets."""
    folder = tmp_path_factory.mktemp("data")
    return write(make_rows(240) + make_rows(80, 1, "other"), folder / "train.jsonl.gz")


@pytest.fixture(scope="session")
def toy_held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of held-out pairs."""
    return write(make_rows(60, 7), tmp_path_factory.mktemp("held") / "held_out.jsonl.gz")


@pytest.fixture(scope="session")
def toy_rows():
    """The maker of toy rows: how many, and by which seed."""
    return make_rows


@pytest.fixture(scope="session")
def loud_start(tiny_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three layers with loud weights, and an exit head after the first two."""
    pytest.importorskip("torch")
    from verifiers.training import model

    config = json.loads((tiny_start / "config.json").read_text())
    config |= {"num_hidden_layers": 3, "exit_layer": 2}
    network = model.build(config, seed=5)
    weights = {n: p * (10 if p.ndim > 1 else 1) for n, p in network.named_parameters()}
    folder = tmp_path_factory.mktemp("exit")
    model.save(weights, config, tiny_start / "tokenizer.json", folder)
    return folder
