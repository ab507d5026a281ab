"""Columns are read by name, never by position; what cannot be told apart is refused."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.backends.canary import CANARIES, judge_canaries
from verifiers.backends.labels import read_columns
from verifiers.errors import BackendFailed, CanaryFailed, LabelsUnmapped
from verifiers.types import NLIProbs

BY_NAME = {"entailment": 2.0, "neutral": 0.5, "contradiction": -1.0}


@pytest.mark.parametrize("order", list(permutations(BY_NAME)))
def test_any_order_gives_the_same_answer(order: tuple[str, ...]) -> None:
    """The probabilities follow the names."""
    columns = read_columns({str(i): name.upper() for i, name in enumerate(order)})
    probs = columns.from_logits([BY_NAME[name] for name in order])
    total = sum(math.exp(v) for v in BY_NAME.values())
    assert math.isclose(probs.entailment, math.exp(2.0) / total)
    assert math.isclose(probs.contradiction, math.exp(-1.0) / total)
    assert math.isclose(sum(probs), 1.0)


@pytest.mark.parametrize(
    "names",
    [
        ("SUPPORTS", "REFUTES", "NOT ENOUGH INFO"),
        ("Entail", "Contradict", "Neutral"),
        ("e", "c", "n"),
        ("supported", "refuted", "unknown"),
    ],
)
def test_synonyms(names: tuple[str, ...]) -> None:
    """Common names for the three are understood, whatever their case."""
    columns = read_columns(names)
    assert columns.roles == ("entailment", "contradiction", "neutral")
    assert columns.three_way


@pytest.mark.parametrize(
    "names",
    [
        ("entailment", "not_entailment"),
        ("SUPPORTED", "UNSUPPORTED"),
        ("consistent", "hallucinated"),
        ("entailment", "Not Entailment"),
        ("entailment", "notEntailment"),
    ],
)
def test_two_way_knows_nothing_of_contradiction(names: tuple[str, str]) -> None:
    """The rest is neutral, and contradiction is 0, in either order."""
    for order in (names, names[::-1]):
        columns = read_columns(order)
        row = [0.7 if name == names[0] else 0.3 for name in order]
        assert columns.from_probabilities(row) == pytest.approx((0.7, 0.3, 0.0))
        assert not columns.three_way


def test_one_column_is_the_logit_of_entailment() -> None:
    """A consistency model with one output: sigmoid."""
    columns = read_columns({0: "LABEL_0"}, override=("consistent",))
    assert columns.from_logits([0.0]) == pytest.approx((0.5, 0.5, 0.0))
    assert columns.from_logits([800.0]).entailment == 1.0
    assert columns.from_logits([-800.0]).entailment == 0.0
    assert columns.from_probabilities([0.25]) == pytest.approx((0.25, 0.75, 0.0))


@pytest.mark.parametrize(
    "labels",
    [
        {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"},
        {"0": "positive", "1": "negative"},
        {"0": "entailment", "1": "entailed", "2": "neutral"},
        {"0": "neutral", "1": "contradiction"},
        {"0": "entailment", "2": "neutral"},
        {"a": "entailment", "b": "neutral"},
        {"0": "entailment", "1": "neutral", "2": "contradiction", "3": "rest"},
        {"0": "entailment", "1": "neutral", "2": "not_entailment"},
        {},
    ],
)
def test_unreadable_labels_are_refused(labels: dict[str, str]) -> None:
    """Nothing is guessed, and the error says how to tell us."""
    with pytest.raises(LabelsUnmapped) as caught:
        read_columns(labels)
    assert caught.value.code == "GR102"
    assert "labels=" in caught.value.hint


def test_the_operator_wins() -> None:
    """Labels given in the settings replace what the config says."""
    columns = read_columns({0: "LABEL_0", 1: "LABEL_1"}, override=("contradiction", "entailment"))
    assert columns.from_probabilities([0.9, 0.1]) == pytest.approx((0.1, 0.0, 0.9))


@given(st.lists(st.floats(-60, 60), min_size=3, max_size=3), st.floats(0.05, 20.0))
def test_softmax_is_a_distribution(row: list[float], temperature: float) -> None:
    """Any finite logits give probabilities that sum to 1."""
    probs = read_columns(("e", "n", "c")).from_logits(row, temperature=temperature)
    assert all(0.0 <= p <= 1.0 for p in probs)
    assert math.isclose(sum(probs), 1.0, abs_tol=1e-9)


def test_temperature_softens() -> None:
    """A temperature above 1 moves towards even."""
    columns = read_columns(("e", "n", "c"))
    sharp, soft = (columns.from_logits([3.0, 0, 0], temperature=t).entailment for t in (1.0, 3.0))
    assert sharp > soft > 1 / 3


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_not_a_number_is_no_score(bad: float) -> None:
    """NaN compares false with every threshold, so it must never get out."""
    columns = read_columns(("e", "n", "c"))
    for read in (columns.from_logits, columns.from_probabilities):
        with pytest.raises(BackendFailed):
            read([0.1, bad, 0.2])


@pytest.mark.parametrize("row", [[0.5, 0.5], [0.9, 0.9, 0.9], [1.2, -0.2, 0.0], [2.0, 1.0, -3.0]])
def test_what_is_no_distribution_is_refused(row: list[float]) -> None:
    """Another width, logits in place of probabilities: refused."""
    with pytest.raises(BackendFailed):
        read_columns(("e", "n", "c")).from_probabilities(row)


# ------------------------------------------------------------------ canaries


def _answers(sharpness: float, order: tuple[int, ...] = (0, 1, 2)) -> list[NLIProbs]:
    """A model that is right by a little, with its columns in some order."""
    rows = []
    for index in range(len(CANARIES)):
        right = [(1 - sharpness) / 3 + (sharpness if k == index % 3 else 0) for k in range(3)]
        rows.append(NLIProbs(*(right[column] for column in order)))
    return rows


def test_a_weak_but_right_model_passes() -> None:
    """Nothing absolute is asked."""
    judge_canaries(_answers(0.05), name="weak")


def test_a_model_that_likes_one_label_passes() -> None:
    """A model that nearly always says neutral is judged by what moves."""
    biased = [
        NLIProbs(0.2 * p.entailment, 0.8 + 0.2 * p.neutral, 0.2 * p.contradiction)
        for p in _answers(0.6)
    ]
    judge_canaries(biased, name="biased")


@pytest.mark.parametrize("order", [o for o in permutations(range(3)) if o != (0, 1, 2)])
def test_every_swap_of_labels_fails(order: tuple[int, ...]) -> None:
    """Whatever two or three labels are swapped, the canaries show it."""
    with pytest.raises(CanaryFailed) as caught:
        judge_canaries(_answers(0.6, order), name="swapped")
    assert "labels" in caught.value.hint


@pytest.mark.parametrize("probs", [NLIProbs(1 / 3, 1 / 3, 1 / 3), NLIProbs(0.9, 0.05, 0.05)])
def test_a_model_that_answers_everything_alike_fails(probs: NLIProbs) -> None:
    """A constant tells nothing."""
    with pytest.raises(CanaryFailed):
        judge_canaries([probs] * len(CANARIES), name="constant")


def test_two_way_models_are_judged_on_what_they_know() -> None:
    """Entailment against the rest; swapped, it fails."""
    right = [NLIProbs(p.entailment, 1 - p.entailment, 0.0) for p in _answers(0.5)]
    judge_canaries(right, name="two-way")
    with pytest.raises(CanaryFailed):
        judge_canaries([NLIProbs(1 - p.entailment, p.entailment, 0.0) for p in right], name="swap")
    against = [NLIProbs(p.entailment, 0.0, 1 - p.entailment) for p in right]
    judge_canaries(against, name="refuted")
