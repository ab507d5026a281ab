"""The benchmark of samples, on answers small enough to work out by hand."""

from __future__ import annotations

import gzip
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from verifiers import rules
from verifiers.bench.consistency import run
from verifiers.bench.metrics import average_precision, pearson, spearman
from verifiers.bench.sampled import read_answers
from verifiers.bench.scores import FileScores
from verifiers.bench.stopped import stop_early
from verifiers.consistency import ConsistencyRun, ConsistencyVerifier, Sample, Stopping
from verifiers.engine import NLIEngine
from verifiers.errors import BenchDataInvalid
from verifiers.testing import ScriptedScorer
from verifiers.types import (
    Claim,
    ClaimKind,
    Consistency,
    ConsistencyThresholds,
    NLIProbs,
    ScorerName,
    Span,
)

if TYPE_CHECKING:
    from pathlib import Path

RIGHT = "The museum opened in 1931."
WRONG = "The museum sold copper boots."


class Sentences:
    def sentences(self, text: str) -> list[Span]:
        return rules.split(text)

    def extract(self, answer: str, **_: Any) -> tuple[Claim, ...]:
        raise NotImplementedError


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def rows(group: str) -> list[dict[str, Any]]:
    samples = [f"{RIGHT} Number {i} stood by the river." for i in range(6)]
    common = {"group": group, "samples": samples, "passage": f"{RIGHT} {WRONG}"}
    return [
        {"claim": RIGHT, "label": "supported", "fine_label": "accurate", **common},
        {
            "claim": WRONG,
            "label": "unsupported",
            "fine_label": "minor_inaccurate",
            "baselines": {},
            **common,
        },
    ]


def test_the_tables_hold_what_the_samples_say(tmp_path: Path) -> None:
    """Agreement is perfect, the rule stops early and decides the same, pairs are counted."""
    file = write(tmp_path / "set.jsonl.gz", rows("a") + rows("b"))
    answers = read_answers(file)
    assert [one.wrong for one in answers[0].sentences] == [0.0, 0.5]
    with (
        FileScores(tmp_path / "new" / "scores.sqlite") as cache,
        NLIEngine(ScriptedScorer, cache=cache) as engine,
        ConsistencyVerifier(extractor=Sentences(), engine=engine) as verifier,
    ):
        tables = run(verifier, answers, [ScorerName.NLI], [3, 6], step=1, orders=3)
    row = tables["Agreement with labels"][-1]
    assert (row["system"], row["n"]) == ("nli", 6)
    assert row["nonfact"] == row["fact"] == row["auroc"] == 1.0
    calls = tables["Decisions"][0]
    assert (calls["called supported"], calls["rightly"]) == (2, 1.0)
    assert (calls["called unsupported"], calls["rightly so"]) == (2, 1.0)
    assert all(row["same"] == 1.0 for row in tables["Stopping early"])
    assert any(row["an answer"] < 1.0 for row in tables["Stopping early"])
    (pairs,) = tables["Pairs an answer"]
    assert pairs["all samples"] == 2 * 6 * 2
    assert pairs["and each once"] <= pairs["stopping"] <= pairs["all samples"]


def test_samples_may_stand_apart(tmp_path: Path) -> None:
    """By question; answers without samples are left out."""
    labelled = [
        {"claim": RIGHT, "label": "supported", "question": "When?"},
        {"claim": WRONG, "label": "unsupported", "question": "What?"},
    ]
    apart = tmp_path / "samples.jsonl"
    apart.write_text(
        "".join(json.dumps({"question": "When?", "text": t}) + "\n" for t in "abc"), "utf-8"
    )
    (answer,) = read_answers(write(tmp_path / "set.jsonl.gz", labelled), apart)
    assert [sample.text for sample in answer.samples] == ["a", "b", "c"]
    assert answer.sentences[0].supported


@pytest.mark.parametrize("broken", [{"label": "supported"}, {"claim": "x", "label": "perhaps"}])
def test_a_line_that_cannot_be_read_is_an_error(tmp_path: Path, broken: dict[str, str]) -> None:
    """It names the line and measures nothing."""
    good = rows("a")[0]
    file = write(tmp_path / "set.jsonl.gz", [good, {"samples": [], "group": "a", **broken}])
    with pytest.raises(BenchDataInvalid, match="line 2"):
        read_answers(file)


def test_scores_are_kept_between_runs(tmp_path: Path) -> None:
    """What one process stored another finds; what nobody stored is not there."""
    path = tmp_path / "scores.sqlite"
    with FileScores(path) as cache:
        cache.put_many({f"k{i}": NLIProbs(0.5, 0.25, 0.25) for i in range(1200)})
        cache.put_many({"k1": NLIProbs(0.1, 0.2, 0.7)})
    with FileScores(path) as cache:
        found = cache.get_many([*(f"k{i}" for i in range(1200)), "other", "k1"])
    assert found[1] == found[-1] == NLIProbs(0.1, 0.2, 0.7)
    assert found[-2] is None
    assert found[1199] == NLIProbs(0.5, 0.25, 0.25)


@pytest.mark.parametrize("differing", [0.0, 0.03, 0.2])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_an_answer_is_stopped_where_the_run_would_be(differing: float, step: int) -> None:
    """What is played for the table is what a run does with the same samples."""
    texts = [f"{RIGHT} {WRONG}", RIGHT, WRONG, "Nobody knows.", RIGHT, RIGHT, WRONG, RIGHT]
    samples = [Sample(f"{text} It is number {i}.") for i, text in enumerate(texts)]
    at = ConsistencyThresholds(0.5, 0.5)
    how = Stopping(len(samples), step, 0.2, differing)
    claims = [
        Claim(f"c{n}", span := Span(0, len(text)), text, ClaimKind.SENTENCE, span, text)
        for n, text in enumerate((RIGHT, WRONG))
    ]

    def opened(verifier: ConsistencyVerifier, stopping: Stopping) -> ConsistencyRun:
        return verifier.open(
            answer="",
            claims=claims,
            question=None,
            scorer=ScorerName.NLI,
            thresholds=at,
            stopping=stopping,
        )

    with (
        NLIEngine(ScriptedScorer) as engine,
        ConsistencyVerifier(extractor=Sentences(), engine=engine) as verifier,
    ):
        whole = opened(verifier, Stopping(len(samples), len(samples), 0.0))
        whole.add(samples)
        streams = [
            [one.support for one in found.samples]
            for found in whole.result().values()
            if isinstance(found, Consistency)
        ]
        real = opened(verifier, how)
        while real.wanted:
            real.add(samples[real.given : real.given + real.wanted])
    stopped = stop_early(streams, at, how)
    found = [one for one in real.result().values() if isinstance(one, Consistency)]
    assert stopped.drawn == real.given
    assert list(stopped.taken) == [one.n for one in found]
    assert list(stopped.scores) == pytest.approx([one.score for one in found])


def test_one_torn_claim_among_many_does_not_keep_the_answer_going() -> None:
    """Unless every claim is waited for; alone it is read to the end."""
    at = ConsistencyThresholds(0.5, 0.5)
    torn, clear = [0.0, 1.0] * 10, [[1.0] * 20] * 30
    assert stop_early([torn], at, Stopping(20, 2)).drawn == 20
    assert stop_early([torn, *clear], at, Stopping(20, 2, differing=0.0)).drawn == 20
    assert stop_early([torn, *clear], at, Stopping(20, 2)).drawn < 20


def test_average_precision_is_the_papers() -> None:
    """A step function over thresholds, with ties taken together."""
    scores = np.asarray([0.9, 0.8, 0.8, 0.1])
    positive = np.asarray([True, False, True, False])
    assert average_precision(scores, positive) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert average_precision(np.zeros(4), positive) == 0.5
    assert math.isnan(average_precision(scores, np.zeros(4, dtype=np.bool_)))


def test_correlations() -> None:
    """Ranks alone count for Spearman; ties share them; no variation is no correlation."""
    one = np.asarray([1.0, 2.0, 3.0, 4.0])
    assert spearman(one, one**3) == pytest.approx(1.0)
    assert pearson(one, one**3) < 1.0
    assert spearman(one, np.asarray([1.0, 1.0, 0.0, 0.0])) == pytest.approx(-0.894427191)
    assert math.isnan(pearson(one, np.ones(4)))
