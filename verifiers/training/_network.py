"""The cross-encoder as a torch module. Imported only through :mod:`verifiers.training.model`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from verifiers.training.export import Shape


class CrossEncoder(nn.Module):
    """BERT for sequence classification, reading only the first token of its last layer."""

    def __init__(
        self,
        shape: Shape,
        *,
        words: int,
        inner: int,
        types: int,
        labels: int,
        exit_layer: int,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        if not 0 <= exit_layer < shape.layers:
            raise ValueError(f"exit_layer {exit_layer} is not below the {shape.layers} layers")
        self.bert = _Bert(shape, words=words, inner=inner, types=types, dropout=dropout)
        self.classifier = nn.Linear(shape.width, labels)
        self.exit_layer = exit_layer
        if exit_layer:
            head = {
                "dense": nn.Linear(shape.width, shape.width),
                "classifier": nn.Linear(shape.width, labels),
            }
            self.exit = nn.ModuleDict(head)
        self.drop = nn.Dropout(dropout)
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Linear | nn.Embedding):
                    module.weight.normal_(0.0, 0.02, generator=generator)
                if isinstance(module, nn.Linear):
                    module.bias.zero_()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor,
    ) -> torch.Tensor:
        """Logits ``[rows, labels]`` of int64 inputs ``[rows, longest]``."""
        return self.both(input_ids, attention_mask, token_type_ids)[0]

    def both(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The logits, and those of the exit head where there is one."""
        pooled, middle = self.bert(
            input_ids, attention_mask, token_type_ids, keep_after=self.exit_layer
        )
        logits: torch.Tensor = self.classifier(self.drop(pooled))
        if middle is None:
            return logits, None
        read = torch.tanh(self.exit["dense"](middle))
        early: torch.Tensor = self.exit["classifier"](self.drop(read))
        return logits, early


class _Bert(nn.Module):
    def __init__(self, shape: Shape, *, words: int, inner: int, types: int, dropout: float) -> None:
        super().__init__()
        self.embeddings = _Embeddings(shape, words, types, dropout)
        self.encoder = nn.ModuleDict(
            {"layer": nn.ModuleList(_Layer(shape, inner, dropout) for _ in range(shape.layers))}
        )
        self.pooler = nn.ModuleDict({"dense": nn.Linear(shape.width, shape.width)})

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor, *, keep_after: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The pooled output, and the first token after ``keep_after`` layers, if that is not 0."""
        x, kept = self.embeddings(ids, types), None
        # None where nothing is padded, which lets torch pick its fastest kernel.
        seen = None if bool(mask.all()) else mask.bool()[:, None, None, :]
        *lower, last = self.encoder["layer"].children()
        for number, layer in enumerate(lower, start=1):
            x = layer(x, x, seen)
            if number == keep_after:
                kept = x[:, 0]
        # Only the first token is read, so only it needs to ask.
        x = last(x[:, :1], x, seen)
        return torch.tanh(self.pooler["dense"](x[:, 0])), kept


class _Embeddings(nn.Module):
    def __init__(self, shape: Shape, words: int, types: int, dropout: float) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(words, shape.width)
        self.position_embeddings = nn.Embedding(shape.positions, shape.width)
        self.token_type_embeddings = nn.Embedding(types, shape.width)
        self.LayerNorm = nn.LayerNorm(shape.width, eps=shape.eps)
        self.drop = nn.Dropout(dropout)

    def forward(self, ids: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        x = self.word_embeddings(ids) + self.token_type_embeddings(types)
        x = x + self.position_embeddings.weight[: ids.shape[1]]
        out: torch.Tensor = self.drop(self.LayerNorm(x))
        return out


class _Layer(nn.Module):
    def __init__(self, shape: Shape, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {"self": _Attention(shape, dropout), "output": _Output(shape, shape.width, dropout)}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(shape.width, inner)})
        self.output = _Output(shape, inner, dropout)

    def forward(
        self, asking: torch.Tensor, x: torch.Tensor, seen: torch.Tensor | None
    ) -> torch.Tensor:
        mixed = self.attention["output"](self.attention["self"](asking, x, seen), asking)
        inner = functional.gelu(self.intermediate["dense"](mixed))
        out: torch.Tensor = self.output(inner, mixed)
        return out


class _Attention(nn.Module):
    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, dropout
        self.query = nn.Linear(shape.width, shape.width)
        self.key = nn.Linear(shape.width, shape.width)
        self.value = nn.Linear(shape.width, shape.width)

    def forward(
        self, asking: torch.Tensor, x: torch.Tensor, seen: torch.Tensor | None
    ) -> torch.Tensor:
        query = self._split(self.query(asking))
        key, value = self._split(self.key(x)), self._split(self.value(x))
        dropout = self.dropout if self.training else 0.0
        if query.dtype == torch.bfloat16 and not dropout:
            mixed = _attend(query, key, value, seen)
        else:
            mixed = functional.scaled_dot_product_attention(
                query, key, value, attn_mask=seen, dropout_p=dropout
            )
        return mixed.transpose(1, 2).reshape(asking.shape)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, seen: torch.Tensor | None
) -> torch.Tensor:
    """Attention as two products and a softmax, all in bfloat16.

    torch 2.13's own kernel for CPUs takes more than twice as long, forward and back, in bfloat16.
    """
    rows, heads, asked, width = query.shape
    longest = key.shape[2]
    flat = (rows * heads, -1, width)
    query, key, value = query.reshape(flat), key.reshape(flat), value.reshape(flat)
    if seen is None:
        scores = torch.bmm(query * width**-0.5, key.transpose(1, 2))
    else:
        bias = query.new_zeros(seen.shape).masked_fill_(~seen, torch.finfo(query.dtype).min / 2)
        bias = bias.expand(rows, heads, asked, longest).reshape(rows * heads, asked, longest)
        scores = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=width**-0.5)
    return torch.bmm(torch.softmax(scores, -1), value).view(rows, heads, asked, width)


class _Output(nn.Module):
    def __init__(self, shape: Shape, inner: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, shape.width)
        self.LayerNorm = nn.LayerNorm(shape.width, eps=shape.eps)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.LayerNorm(self.drop(self.dense(x)) + residual)
        return out
