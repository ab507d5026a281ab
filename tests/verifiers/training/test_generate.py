"""What the makers make, and that it is the same every time."""

from __future__ import annotations

from random import Random

import pytest

from verifiers.training.data import LABELS, Row
from verifiers.training.generate import (
    MAKERS,
    Corpus,
    generate,
    joined,
    sentences,
    summary,
    withheld,
)

PREMISE = (
    "The copper mine near Calama opened in March 2011. The mine was sold to Boris Falk for 30 "
    "million dollars. Production of copper rose to 1,250 tonnes after the sale. Anna Berg led "
    "the copper company from its office in Santiago."
)


def corpus_rows() -> list[Row]:
    rows = [
        Row("fever_train", PREMISE, "The mine was sold to Boris Falk.", "entailment"),
        Row("fever_train", PREMISE, "Production rose to 1,250 tonnes.", "entailment"),
        Row("fever_train", PREMISE, "Boris Falk is a lawyer.", "neutral"),
        Row("fever_train", PREMISE, "The mine was closed in 2011.", "contradiction"),
        Row("infotabs", PREMISE, "Anna Berg sold the mine.", "not_entailment"),
    ]
    rows += [
        Row(
            "fever_train",
            f"River number {i} is {i * 10} kilometres long.",
            f"It is river {i}.",
            "neutral",
        )
        for i in range(1, 60)
    ]
    return rows


def test_the_same_seed_makes_the_same_rows():
    """Generation is reproducible, and another seed makes others."""
    one = list(generate(corpus_rows(), each=20, seed=1))
    assert one == list(generate(corpus_rows(), each=20, seed=1))
    assert one != list(generate(corpus_rows(), each=20, seed=2))


def test_every_maker_makes_rows_without_repeats():
    """All makers find something to do in a small corpus, and say so in the name."""
    made = list(generate(corpus_rows(), each=15, seed=3))
    assert set(summary(made)) == {f"gen_{name}" for name in MAKERS}
    for name in MAKERS:
        mine = [(r.premise, r.hypothesis) for r in made if r.dataset == f"gen_{name}"]
        assert len(mine) == len(set(mine)) <= 15
    assert {r.label for r in made} <= set(LABELS)


def test_unsuited_sets_are_passed_over():
    """Nothing is made from captions and templates."""
    rows = [Row("snli_train_sub", PREMISE, "The mine was sold.", "entailment")] * 5
    assert list(generate(rows, each=5, seed=0)) == []


@pytest.mark.parametrize(
    ("second", "label"),
    [("entailment", "entailment"), ("neutral", "neutral"), ("contradiction", "contradiction"),
     ("not_entailment", "not_entailment")],
)  # fmt: skip
def test_two_claims_hold_together_only_if_both_do(second, label):
    """Joined with an entailed claim, the other claim's label is the label of both."""
    rows = [
        Row("d", PREMISE, "The mine was sold.", "entailment"),
        Row("d", PREMISE, "The mine is deep.", second),
    ]
    made = joined(rows[0], Corpus.of(rows), Random(0))
    assert made is not None
    assert made.label == label
    assert "mine was sold" in made.hypothesis
    assert "mine is deep" in made.hypothesis


def test_a_withheld_sentence_is_gone_from_its_premise():
    """The claim is no longer in the premise, everything else is."""
    row = Row("d", PREMISE, "", "entailment")
    made = [m for seed in range(30) if (m := withheld(row, Corpus.of([row]), Random(seed)))]
    assert made
    for pair in made:
        assert pair.label == "neutral"
        assert pair.hypothesis not in pair.premise
        assert len(sentences(pair.premise)) == len(sentences(PREMISE)) - 1


def test_a_buried_premise_is_still_there():
    """The evidence stands word for word among the rest, and the label is kept."""
    rows = corpus_rows()
    corpus = Corpus.of(rows)
    made = [m for i in range(20) if (m := MAKERS["buried"](rows[0], corpus, Random(i)))]
    assert made
    assert all(PREMISE in m.premise and m.label == "entailment" for m in made)
    assert len({m.premise.find(PREMISE) for m in made}) > 5
