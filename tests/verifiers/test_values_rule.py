"""The learnt rule: what is shipped, how it is made again, and what it may never do."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.errors import InputTooLong
from verifiers.training.data import Label, Row
from verifiers.types import MismatchKind, NLIProbs, Pair
from verifiers.values import learn, value_lowered
from verifiers.values._rule import KindRule, Rule, from_json, learnt

if TYPE_CHECKING:
    from pathlib import Path

KINDS = st.sets(st.sampled_from(MismatchKind), max_size=4)
SHARES = st.floats(0, 1)


@given(SHARES, KINDS)
def test_mismatches_never_raise_support(entailment: float, kinds: set[MismatchKind]) -> None:
    """Whatever differs, the support left is a probability and no more than the model gave."""
    assert 0.0 <= value_lowered(entailment, kinds) <= entailment


@given(SHARES, KINDS, KINDS)
def test_more_mismatches_never_leave_more(
    entailment: float, kinds: set[MismatchKind], more: set[MismatchKind]
) -> None:
    """Another mismatch in a passage leaves as much support or less."""
    assert value_lowered(entailment, kinds | more) <= value_lowered(entailment, kinds)


@given(SHARES, SHARES, st.sampled_from(MismatchKind))
def test_a_surer_model_is_left_with_no_less(one: float, other: float, kind: MismatchKind) -> None:
    """The rule keeps the order of the model's scores within one kind."""
    low, high = sorted((one, other))
    assert value_lowered(low, {kind}) <= value_lowered(high, {kind})


def test_without_a_mismatch_nothing_changes() -> None:
    """No mismatch is no evidence, neither for nor against."""
    assert value_lowered(0.37, ()) == 0.37


def test_the_shipped_table_is_what_the_command_writes() -> None:
    """Reading the shipped table and writing it again gives the very file."""
    text = files("verifiers.values").joinpath("learnt.json").read_text("utf-8")
    read = json.loads(text)
    made = learn.to_json(
        from_json(read), sampled=read["sample"]["each"], seed=read["sample"]["seed"]
    )
    assert json.dumps(made, indent=2) + "\n" == text


def test_the_shipped_rule_takes_plain_figures_for_contradictions() -> None:
    """A number, date or name that differs contradicts; even a sure model is left with little."""
    rule = learnt()
    for kind in (MismatchKind.NUMBER, MismatchKind.DATE, MismatchKind.NAME):
        assert rule.contradicts(kind)
        assert rule.lowered(0.99, {kind}) < 0.2
    assert not rule.contradicts(MismatchKind.HEDGING)


def test_another_version_is_refused() -> None:
    """A table of another version is not read as if it were this one."""
    with pytest.raises(ValueError, match="version 99"):
        from_json({"version": 99})


def row(hypothesis: str, label: Label, dataset: str = "a") -> Row:
    return Row(dataset, "The bridge was opened on 12 May 1931 by 40 people.", hypothesis, label)


def test_witnesses_are_the_pairs_with_a_mismatch() -> None:
    """Pairs without one teach nothing here; a set that does not tell neutral apart says None."""
    found = learn.witnesses(
        [
            row("The bridge was opened on 12 May 1931.", "entailment"),
            row("The bridge was opened on 12 May 1932.", "contradiction"),
            row("The bridge was opened on 12 May 1933.", "not_entailment"),
        ]
    )
    assert [(set(w.kinds), w.entailed, w.contradicted) for w in found] == [
        ({MismatchKind.DATE}, False, True),
        ({MismatchKind.DATE}, False, None),
    ]


def witness(kind: MismatchKind, label: str) -> learn.Witness:
    return learn.Witness(
        frozenset({kind}), Pair("a", "b"), label == "entailment", label == "contradiction"
    )


def test_the_rule_follows_the_labels() -> None:
    """A kind that is nearly always wrong leaves less support than one that is mostly entailed."""
    found = [witness(MismatchKind.DATE, "contradiction")] * 97
    found += [witness(MismatchKind.DATE, "entailment")] * 3
    found += [witness(MismatchKind.PERCENT, "entailment")] * 70
    found += [witness(MismatchKind.PERCENT, "contradiction")] * 30
    rule = learn.fit(found)
    date, percent = rule.kinds[MismatchKind.DATE], rule.kinds[MismatchKind.PERCENT]
    assert (date.pairs, date.entailed, date.told, date.contradicted) == (100, 3, 100, 97)
    assert date.contradicts
    assert not percent.contradicts
    assert date.most == 0.0  # 6.7 of 110: surely fewer than 0.15
    # Of all 200 pairs 73 are entailed, which counts as 3.65 of ten more pairs of each kind.
    assert percent.most == pytest.approx(73.65 / 110, abs=0.001)


def test_a_kind_not_seen_is_treated_like_the_others() -> None:
    """Without pairs of its own, what is known of all kinds decides; a hedge never contradicts."""
    rule = learn.fit(
        [witness(MismatchKind.DATE, "contradiction")] * 96
        + [witness(MismatchKind.DATE, "entailment")] * 4
    )
    unseen, date = rule.kinds[MismatchKind.ROLE], rule.kinds[MismatchKind.DATE]
    assert (unseen.pairs, unseen.contradicts) == (0, True)
    assert date.most == 0.0  # surely seldom entailed
    assert unseen.most == 0.04  # as seldom, and not surely
    assert not rule.contradicts(MismatchKind.HEDGING)


def test_a_sample_that_cannot_teach_is_refused() -> None:
    """Without a pair with a mismatch there is nothing to learn."""
    with pytest.raises(ValueError, match="no pair"):
        learn.fit([])


def test_samples_are_seeded_and_take_every_set() -> None:
    """At most so many of each data set, the same ones for one seed."""
    rows = [row(str(i), "neutral", dataset) for dataset in "ab" for i in range(50)]
    drawn = learn.sample(rows, 10, 3)
    assert drawn == learn.sample(rows, 10, 3) != learn.sample(rows, 10, 4)
    assert [r.dataset for r in drawn] == ["a"] * 10 + ["b"] * 10


def test_rules_are_compared_on_the_same_pairs() -> None:
    """A veto catches all and keeps nothing; the model alone keeps all and catches nothing."""
    found = [witness(MismatchKind.DATE, "entailment")]
    found += [witness(MismatchKind.DATE, "contradiction")] * 4
    own = KindRule(0, 0, 0, 0, most=0.25, contradicts=True)
    rule = Rule(dict.fromkeys(MismatchKind, own))
    alone, veto, ours = learn.compare(found, [0.9, 0.9, 0.9, 0.9, None], rule)
    assert (alone.kept, alone.supported, alone.caught, alone.wrong) == (1, 1, 0, 3)
    assert (veto.kept, veto.caught) == (ours.kept, ours.caught) == (0, 3)
    assert alone.log_loss == pytest.approx(-(math.log(0.9) + 3 * math.log(0.1)) / 4)
    assert ours.log_loss == pytest.approx(-(math.log(0.25) + 3 * math.log(0.75)) / 4)


def test_the_command_prints_both_tables_and_writes_on_demand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From two files of pairs to a table that the product can read."""
    lines = [
        {
            "dataset": "made",
            "premise": "The bridge was opened on 12 May 1931.",
            "hypothesis": f"The bridge was opened on 12 May {1932 + i}.",
            "label": "contradiction" if i % 4 else "entailment",
        }
        for i in range(12)
    ]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    monkeypatch.setattr(learn, "__file__", str(tmp_path / "learn.py"))
    monkeypatch.setattr(learn, "_scored", lambda _model, asked: [0.8] * len(asked))
    learn.main([str(pairs), "--compare", str(pairs), "--write"])
    written = json.loads((tmp_path / "learnt.json").read_text("utf-8"))
    assert from_json(written).kinds[MismatchKind.DATE].pairs == 12
    shown = capsys.readouterr().out
    assert "| date | 12 |" in shown
    assert "| learnt |" in shown


def test_a_pair_that_does_not_fit_is_left_out_alone() -> None:
    """One pair too long for the model costs no other pair its score, and no row is cut."""

    class Engine:
        def score(self, asked: list[Pair]) -> object:
            if any(len(pair.premise) > 100 for pair in asked):
                raise InputTooLong("too long")
            return type("Scores", (), {"probs": [NLIProbs(0.8, 0.1, 0.1)] * len(asked)})

    pairs = [Pair("a" * 101 if i == 70 else "a", "b") for i in range(80)]
    found = learn.support_by(Engine(), pairs)  # type: ignore[arg-type] - all it needs
    assert [i for i, score in enumerate(found) if score is None] == [70]
    assert len(found) == 80
