"""The mixed loss, against the formulas written out."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from verifiers.training.losses import mixed_loss  # noqa: E402


def test_three_way_rows_cost_cross_entropy():
    """Rows with one of the three labels cost what torch's cross entropy says."""
    logits = torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3], [-3.0, 1.0, 4.0]])
    labels = torch.tensor([0, 1, 2])
    expected = torch.nn.functional.cross_entropy(logits, labels)
    assert mixed_loss(logits, labels).item() == pytest.approx(expected.item(), rel=1e-6)


def test_not_entailment_costs_minus_log_of_one_minus_entailment():
    """A `not_entailment` row costs -log(1 - P(entailment)), to the digit."""
    logits = torch.tensor([[1.2, 0.3, -0.7]])
    p = torch.softmax(logits, -1)[0, 0].item()
    assert mixed_loss(logits, torch.tensor([3])).item() == pytest.approx(-math.log(1 - p), rel=1e-5)


def test_not_entailment_takes_no_side():
    """Its gradient pushes entailment down and keeps the ratio of the other two."""
    logits = torch.tensor([[1.0, 0.5, -0.5]], requires_grad=True)
    mixed_loss(logits, torch.tensor([3])).backward()
    entailment, neutral, contradiction = logits.grad[0].tolist()
    assert entailment > 0 > neutral
    p = torch.softmax(logits.detach(), -1)[0]
    assert neutral / contradiction == pytest.approx((p[1] / p[2]).item(), rel=1e-5)


def test_not_entailment_is_finite_where_the_model_is_sure():
    """A model that is certain of entailment gets a large loss and not an infinite one."""
    logits = torch.tensor([[80.0, -40.0, -40.0]], requires_grad=True)
    loss = mixed_loss(logits, torch.tensor([3]))
    loss.backward()
    assert loss.item() == pytest.approx(120 - math.log(2), rel=1e-4)
    assert torch.isfinite(logits.grad).all()


def test_smoothing_matches_torch_and_leaves_two_way_rows_alone():
    """Smoothing is torch's on three-way rows; on `not_entailment` rows it changes nothing."""
    logits = torch.tensor([[2.0, 0.5, -1.0], [0.4, 0.2, 0.3]])
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2]), label_smoothing=0.2)
    assert mixed_loss(logits, torch.tensor([0, 2]), smoothing=0.2).item() == pytest.approx(
        expected.item(), rel=1e-6
    )
    either = torch.tensor([3, 3])
    assert mixed_loss(logits, either, smoothing=0.2).item() == mixed_loss(logits, either).item()


def test_half_precision_logits_are_summed_in_float32():
    """The loss of bfloat16 logits is float32."""
    loss = mixed_loss(torch.zeros(2, 3, dtype=torch.bfloat16), torch.tensor([0, 3]))
    assert loss.dtype is torch.float32
