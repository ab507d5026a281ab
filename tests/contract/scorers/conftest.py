"""Tiny models made on the spot: a word tokenizer, an ONNX graph, random transformers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from verifiers.backends.canary import CANARIES
from verifiers.types import Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TEXTS = (
    *(text for pair in CANARIES for text in pair),
    "The shop sells 30 kinds of bread and 12 kinds of cheese every day.",
    "The shop sells 30 kinds of bread.",
    "The shop sells 45 kinds of bread.",
    "The shop does not sell bread.",
    "Whales sing at night.",
    "one two three four five six seven eight nine ten word",
)
LABELS = ("contradiction", "entailment", "neutral")


def vocabulary() -> list[str]:
    """Specials, then every word and mark of the test texts, as they are written."""
    words = dict.fromkeys(word for text in TEXTS for word in re.findall(r"\w+|[^\w\s]", text))
    return [*SPECIALS, *words]


@pytest.fixture(scope="session")
def word_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tokenizer.json over words, which itself asks for cutting and padding."""
    tokenizers = pytest.importorskip("tokenizers")
    words = vocabulary()
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    # As many published files do. Ours must neither cut nor pad all the same.
    tokenizer.enable_truncation(max_length=8)
    tokenizer.enable_padding(length=16)
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"max_length": 64}))
    return folder


@pytest.fixture(scope="session")
def decode() -> Callable[[Sequence[int]], Pair]:
    """Token ids of the word tokenizer back into a pair."""
    words = vocabulary()

    def back(ids: Sequence[int]) -> Pair:
        texts: list[list[str]] = [[]]
        for number in ids[1:-1]:
            if number == 3:
                texts.append([])
            else:
                texts[-1].append(words[number])
        joined = [re.sub(r" ([.,])", r"\1", " ".join(text)) for text in [*texts, []][:2]]
        return Pair(*joined)

    return back


@pytest.fixture(scope="session")
def tiny_onnx(word_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an ONNX classifier: masked sum of word vectors, weights stored as float16."""
    onnx = pytest.importorskip("onnx")
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    folder = tmp_path_factory.mktemp("onnx")
    random = np.random.default_rng(7)
    table = random.normal(size=(len(vocabulary()), 3)).astype(np.float16)
    segment = random.normal(size=(2, 3)).astype(np.float16)
    nodes = [
        helper.make_node("Cast", ["table16"], ["table"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["segment16"], ["segment"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Gather", ["segment", "token_type_ids"], ["types"]),
        helper.make_node("Mul", ["words", "types"], ["mixed"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["mixed", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["logits"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "s"])
            for name in ("input_ids", "attention_mask", "token_type_ids")
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", 3])],
        [
            numpy_helper.from_array(table, "table16"),
            numpy_helper.from_array(segment, "segment16"),
            numpy_helper.from_array(np.array([-1]), "last"),
            numpy_helper.from_array(np.array([1]), "middle"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "model.onnx"))
    (folder / "tokenizer.json").write_bytes((word_tokenizer / "tokenizer.json").read_bytes())
    (folder / "config.json").write_text(
        json.dumps({"id2label": dict(enumerate(LABELS)), "max_length": 64, "pad_token_id": 0})
    )
    return folder


@pytest.fixture(scope="session")
def tiny_forms(word_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that our exporter wrote: int8 weights, two graphs, an exit after two of three layers.

    Which of the contract's pairs leave early depends on their texts alone.
    """
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from verifiers.training import model
    from verifiers.training.export import export

    config = {
        "model_type": "bert",
        "vocab_size": len(vocabulary()),
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "id2label": dict(enumerate(LABELS)),
        "exit_layer": 2,
    }
    network = model.build(config, seed=2)
    weights = {n: p * (8 if p.ndim > 1 else 1) for n, p in network.named_parameters()}
    folder = tmp_path_factory.mktemp("forms")
    model.save(weights, config, word_tokenizer / "tokenizer.json", folder / "start")
    rule = {"layer": 2, "temperature": 1.0, "confidence": 0.65}
    export(folder / "start", folder / "forms", storage="int8", extra={"exit": rule})
    return folder / "forms"


@pytest.fixture(scope="session")
def tiny_torch(
    word_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Makes a folder with a tiny random transformer of a family; each once."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    made: dict[str, Path] = {}
    shape = {
        "vocab_size": len(vocabulary()),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 66,
        "num_labels": 3,
        "id2label": dict(enumerate(LABELS)),
        "label2id": {name: i for i, name in enumerate(LABELS)},
        "pad_token_id": 0,
    }

    def make(family: str) -> Path:
        if family in made:
            return made[family]
        config = {
            "bert": transformers.BertConfig,
            "roberta": transformers.RobertaConfig,
            "deberta-v2": transformers.DebertaV2Config,
        }[family](**shape)
        state = torch.random.get_rng_state()
        torch.manual_seed(3)
        model = transformers.AutoModelForSequenceClassification.from_config(config)
        with torch.no_grad():
            for weights in model.parameters():
                weights.mul_(4.0)  # random weights answer nearly alike; make differences visible
        torch.random.set_rng_state(state)
        folder = tmp_path_factory.mktemp(family)
        model.save_pretrained(folder)
        names = ["input_ids", "attention_mask"]
        if family != "roberta":
            names.insert(1, "token_type_ids")
        transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(word_tokenizer / "tokenizer.json"),
            pad_token="[PAD]",
            unk_token="[UNK]",
            cls_token="[CLS]",
            sep_token="[SEP]",
            model_input_names=names,
        ).save_pretrained(folder)
        made[family] = folder
        return folder

    return make


# ------------------------------------------------------------------ presets

# "1" must be token 209 and "0" begin with 3, as in T5's vocabulary.
_ONE = 209


def _spaced_vocabulary() -> list[str]:
    words = [f"▁{word}" for word in vocabulary()[len(SPECIALS) :]]
    words += [word for word in vocabulary()[len(SPECIALS) :] if not word.isalnum()]
    words += ["0", "▁predict", ":", "▁Determine", "▁Premise", "▁Hypothesis", "?"]
    words = list(dict.fromkeys(words))
    filler = [f"▁filler{n}" for n in range(_ONE)]
    head = ["<pad>", "</s>", "<unk>", "▁", *words]
    assert len(head) < _ONE
    return [*head, *filler[: _ONE - len(head)], "▁1"]


def _spaced_tokenizer():
    import tokenizers

    words = _spaced_vocabulary()
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.Unigram(
            [(word, -1.0 if len(word) > 1 else -9.0) for word in words], unk_id=2
        )
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    return tokenizer


def _framed_tokenizer(before: str, after: str, pad: str):
    """Over words, ``before`` and ``after`` around a text, as BERT and RoBERTa have it."""
    import tokenizers

    words = [pad, "[UNK]", before, after, *vocabulary()[len(SPECIALS) :]]
    words += ["Summarize", "Briefly", "passage", "Choose", "OPTIONS"]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{before} $A {after}",
        pair=f"{before} $A {after} $B:1 {after}:1",
        special_tokens=[(before, 2), (after, 3)],
    )
    tokenizer.add_special_tokens([pad, "[UNK]", before, after])
    tokenizer.enable_truncation(max_length=8)
    return tokenizer


def _tiny_network(preset, vocab_size: int):
    """A random network of the preset's own architecture."""
    import transformers

    from verifiers.backends.presets import Head

    shape = {
        "vocab_size": vocab_size,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "pad_token_id": 0,
        "num_labels": len(preset.roles),
    }
    if preset.named:
        shape["id2label"] = dict(enumerate(preset.roles))
        shape["label2id"] = {name: i for i, name in enumerate(preset.roles)}
    if "t5" in preset.model_types or preset.companion:
        config = transformers.T5Config(
            vocab_size=vocab_size,
            d_model=16,
            d_kv=8,
            d_ff=32,
            num_layers=2,
            num_heads=2,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
            decoder_start_token_id=0,
            num_labels=2,
        )
        if preset.head is Head.NEXT:
            return transformers.T5ForConditionalGeneration(config)
        return transformers.T5ForTokenClassification(config)
    if "roberta" in preset.model_types:
        config = transformers.RobertaConfig(**shape, max_position_embeddings=140)
    elif "modernbert" in preset.model_types:
        config = transformers.ModernBertConfig(
            **shape, max_position_embeddings=256, cls_token_id=2, sep_token_id=3
        )
        return transformers.ModernBertForTokenClassification(config)
    else:
        config = transformers.DebertaV2Config(
            **shape,
            max_position_embeddings=64,
            relative_attention=True,
            position_biased_input=False,
            pos_att_type=["p2c", "c2p"],
            position_buckets=32,
            type_vocab_size=0,
        )
    return transformers.AutoModelForSequenceClassification.from_config(config)


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes the folder of models with a tiny random model of a preset in it; each once."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from safetensors.torch import save_file

    from verifiers.backends.installed import Manifest, describe_files, write_manifest
    from verifiers.backends.presets import PRESETS

    models = tmp_path_factory.mktemp("models")

    def make(name: str) -> Path:
        preset = PRESETS[name]
        folder = models / name
        if folder.exists():
            return models
        beside = folder / preset.companion.folder if preset.companion else folder
        beside.mkdir(parents=True)
        if "t5" in preset.model_types or preset.companion:
            tokenizer = _spaced_tokenizer()
        elif "roberta" in preset.model_types:
            tokenizer = _framed_tokenizer("<s>", "</s>", "<pad>")
        else:
            tokenizer = _framed_tokenizer("[CLS]", "[SEP]", "[PAD]")
        tokenizer.save(str(beside / "tokenizer.json"))
        state = torch.random.get_rng_state()
        torch.manual_seed(5)
        model = _tiny_network(preset, tokenizer.get_vocab_size())
        with torch.no_grad():
            for weights in model.parameters():
                weights.mul_(4.0)
        torch.random.set_rng_state(state)
        if preset.companion:
            model.config.save_pretrained(beside)
            kept = {
                f"{preset.prefix}{key}": value.contiguous()
                for key, value in model.state_dict().items()
                if not key.endswith("embed_tokens.weight")
            }
            save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
            config = {
                "model_type": "HHEMv2Config",
                "auto_map": {"AutoConfig": "configuration_hhem_v2.HHEMv2Config"},
                "id2label": {"0": "hallucinated", "1": "consistent"},
            }
            (folder / "config.json").write_text(json.dumps(config))
        elif "pickle" in preset.note:
            model.config.save_pretrained(folder)
            torch.save(model.state_dict(), folder / "pytorch_model.bin")
        else:
            model.save_pretrained(folder)
        files = describe_files(folder)
        write_manifest(folder, Manifest(name, preset.repo, "0" * 40, pinned=False, files=files))
        return models

    return make
