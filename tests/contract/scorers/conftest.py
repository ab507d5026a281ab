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
