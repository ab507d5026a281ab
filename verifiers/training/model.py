"""The network in torch: a BERT cross-encoder of our own, with Hugging Face's parameter names.

A checkpoint is a folder that ``transformers`` reads as well. Ours is here because it does less:
the last layer asks one query (only its first token is read), and the mask is made once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifiers.training.export import Shape
from verifiers.training.files import read_tokenizer, replace_bytes, require, write_json
from verifiers.training.folders import model_config, read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    Tensors = Mapping[str, torch.Tensor]


def build(config: Mapping[str, Any], *, seed: int, dropout: float = 0.0) -> torch.nn.Module:
    """A network with fresh weights.

    Its ``forward(input_ids, attention_mask, token_type_ids)`` gives logits ``[rows, labels]``;
    ``both`` those of the exit head as well, which it has if the config says ``exit_layer``.
    """
    generator = require("torch").Generator().manual_seed(seed)
    from verifiers.training._network import CrossEncoder

    shape = Shape.of(config)
    return CrossEncoder(
        shape,
        words=int(config["vocab_size"]),
        inner=int(config["intermediate_size"]),
        types=int(config.get("type_vocab_size", 2)),
        labels=len(config["id2label"]),
        exit_layer=int(config.get("exit_layer", 0)),
        dropout=dropout,
        generator=generator,
    )


def load(folder: Path, *, seed: int = 0, dropout: float = 0.0) -> torch.nn.Module:
    """The network of a checkpoint folder. Heads that are not in it stay fresh, by ``seed``.

    Raises:
        ValueError: If anything but a head is missing, something is left over, or the weights have
            other shapes than the config says.
    """
    config = model_config(folder)
    network = build(config, seed=seed, dropout=dropout)
    stored = read_tensors(folder / "model.safetensors", framework="torch")
    stored = {name: value.float() for name, value in stored.items() if "position_ids" not in name}
    try:
        missing, unexpected = network.load_state_dict(stored, strict=False)
    except RuntimeError as exc:  # torch's word for other shapes
        raise ValueError(
            f"{folder / 'model.safetensors'} has weights of other shapes than its config.json says"
        ) from exc
    if unexpected or any(not name.startswith(("classifier.", "exit.")) for name in missing):
        raise ValueError(f"{folder} is no such network: missing {missing}, unknown {unexpected}")
    return network


def freeze(network: torch.nn.Module, *, words: bool, layers: int) -> None:
    """Take word embeddings, or all embeddings and the lowest ``layers``, out of training.

    Raises:
        ValueError: If there are not more layers than that.
    """
    encoder: Any = network.get_submodule("bert.encoder")["layer"]  # type: ignore[index]
    if not 0 <= layers < len(encoder):
        raise ValueError(f"cannot freeze {layers} of {len(encoder)} layers")
    frozen = [network.get_submodule("bert.embeddings.word_embeddings")] if words else []
    if layers:
        frozen = [network.get_submodule("bert.embeddings"), *list(encoder)[:layers]]
    for module in frozen:
        module.requires_grad_(requires_grad=False)


def save(weights: Tensors, config: Mapping[str, Any], tokenizer: Path, folder: Path) -> None:
    """Write a checkpoint folder that :func:`load` and ``transformers`` read."""
    folder.mkdir(parents=True, exist_ok=True)
    st = require("safetensors.torch")
    data = {name: value.detach().contiguous() for name, value in weights.items()}
    replace_bytes(folder / "model.safetensors", st.save(data, metadata={"format": "pt"}))
    write_json(folder / "config.json", config)
    replace_bytes(folder / "tokenizer.json", tokenizer.read_bytes())


def special_ids(tokenizer: Path) -> tuple[int, int, int]:
    """The ids of ``[CLS]``, ``[SEP]`` and ``[PAD]``."""
    reader = read_tokenizer(tokenizer)
    found = {name: reader.token_to_id(name) for name in ("[CLS]", "[SEP]", "[PAD]")}
    if absent := [name for name, number in found.items() if number is None]:
        raise ValueError(f"{tokenizer} has no {', '.join(absent)}: not a BERT tokenizer")
    return found["[CLS]"], found["[SEP]"], found["[PAD]"]
