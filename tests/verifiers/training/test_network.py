"""Attention in bfloat16, which the network computes by itself."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from verifiers.training._network import _attend  # noqa: E402

ROWS, HEADS, LONGEST, WIDTH = 3, 2, 7, 8


@pytest.mark.parametrize("asked", [1, LONGEST])
@pytest.mark.parametrize("padded", [False, True])
def test_it_is_attention(asked: int, padded: bool) -> None:
    torch.manual_seed(4)
    query = torch.randn(ROWS, HEADS, asked, WIDTH)
    key, value = torch.randn(2, ROWS, HEADS, LONGEST, WIDTH)
    seen = torch.ones(ROWS, 1, 1, LONGEST, dtype=torch.bool)
    seen[1:, ..., 4:] = False
    mask = seen if padded else None
    exact: Any = [x.clone().requires_grad_() for x in (query, key, value)]
    wanted: Any = functional.scaled_dot_product_attention(exact[0], exact[1], exact[2], mask)
    (wanted**2).sum().backward()
    rounded: Any = [x.bfloat16().requires_grad_() for x in (query, key, value)]
    found: Any = _attend(rounded[0], rounded[1], rounded[2], mask)
    (found.float() ** 2).sum().backward()

    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), wanted, atol=0.03)
    for mine, theirs in zip(rounded, exact, strict=True):
        assert torch.allclose(mine.grad.float(), theirs.grad, atol=0.15)
    if padded:
        assert not rounded[1].grad[1:, :, 4:].any()
        assert not rounded[2].grad[1:, :, 4:].any()
