"""How well samples of an answer tell its right sentences from its wrong ones.

    python -m verifiers.bench.consistency FILE.jsonl.gz [--samples SAMPLES.jsonl] [--json]

A labelled file has one JSON object a line with ``claim``, ``label`` (``supported`` or
``unsupported``), a ``group`` that its answer's claims share (or else ``question``), ``samples`` (a
list of texts), and optionally ``passage`` (the answer), ``question``, ``fine_label`` and
``baselines`` (scores others gave, by name). Where the samples are elsewhere, ``--samples`` names a
file of objects with ``question`` and ``text``, one a sample, in order.

Four tables:

* **Agreement with labels.** For each scorer and number of samples: AUC-PR of finding unsupported
  and supported sentences, AUROC, and the correlation of passage means with human passage scores,
  as Manakul, Liusie and Gales (EMNLP 2023) report them; with the baselines on the same sentences.
* **Decisions.** What claims without sources become with all samples, and how often that is right.
* **Stopping early.** The share of decisions equal to those of all samples, the share of samples
  a sentence took in, and the share drawn for an answer, over ``--orders`` orders of the samples,
  the file's own among them. Also for the groups not looked at alone.
* **Pairs an answer.** Of the model: without stopping, with it, and without repetition.

Nothing is fitted here. The form of the ``nli`` score was chosen on the groups for which
:func:`verifiers.bench.sampled.open_half` is true, so the first table is also given for the others
alone. Scores are kept in ``--cache``, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verifiers.backends import BUNDLED, ModelSpec, batch_tokens, load_scorer
from verifiers.bench.metrics import auroc, average_precision, pearson, spearman
from verifiers.bench.sampled import Answer, Labelled, open_half, read_answers
from verifiers.bench.scores import FileScores
from verifiers.bench.stopped import CUTS, Measured, decision, stopping_table
from verifiers.claims import make_extractor
from verifiers.consistency import (
    ConsistencySettings,
    ConsistencyVerifier,
    Sample,
    Stopping,
)
from verifiers.engine import NLIEngine
from verifiers.errors import BenchDataInvalid
from verifiers.types import Consistency, ConsistencyThresholds, ScorerName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

SIZES = (3, 5, 10, 20)


# --------------------------------------------------------------------------- measuring


def measure(
    verifier: ConsistencyVerifier, answer: Answer, scorer: ScorerName, sizes: Sequence[int]
) -> Measured:
    """Scores of all sentences with the first samples, nothing stopped early.

    A sentence the scorer cannot judge scores 0.5: nothing is known of it.
    """
    cap = max(sizes)
    never = ConsistencyThresholds(0.5, 0.5, min_samples=cap + 1)
    run = verifier.open(
        answer="",
        claims=[one.claim for one in answer.sentences],
        question=answer.question,
        scorer=scorer,
        thresholds=never,
        stopping=Stopping(cap=cap, step=cap, level=0.0),
    )
    scores: dict[int, dict[str, float]] = {}
    entropies: dict[int, dict[str, float]] = {}
    for size in sizes:
        run.add(answer.samples[run.given : size])
        found = run.result()
        scores[size] = {}
        entropies[size] = {}
        for name, result in found.items():
            if not isinstance(result, Consistency):
                raise BenchDataInvalid(
                    f"a sentence of {answer.group} could not be read ({result.code}: "
                    f"{result.cause}); nothing was measured."
                )
            scores[size][name] = 0.5 if result.score is None else result.score
            if result.entropy is not None:
                entropies[size][name] = result.entropy
    streams = {
        name: _stream(one, answer.samples[:cap])
        for name, one in run.result().items()
        if isinstance(one, Consistency) and one.score is not None
    }
    return Measured(scores, entropies, streams, run.pairs)


def _stream(found: Consistency, samples: Sequence[Sample]) -> list[float]:
    """What each sample says, in order: equal texts say the same."""
    said = {samples[one.sample].text.strip(): one.support for one in found.samples}
    return [said[sample.text.strip()] for sample in samples if not sample.silent]


def pairs_of(
    verifier: ConsistencyVerifier,
    answer: Answer,
    scorer: ScorerName,
    at: ConsistencyThresholds,
    stopping: Stopping,
) -> tuple[int, int]:
    """Pairs a real run asks for, and the different ones among them."""
    run = verifier.open(
        answer="",
        claims=[one.claim for one in answer.sentences],
        question=answer.question,
        scorer=scorer,
        thresholds=at,
        stopping=stopping,
    )
    while run.wanted:
        run.add(answer.samples[run.given : run.given + run.wanted])
    return run.pairs, run.pairs_distinct


# --------------------------------------------------------------------------- tables


def agreement_row(answers: Sequence[Answer], score: Callable[[Answer, Labelled], float]) -> Any:
    """The figures of one way to score, over the sentences of these answers."""
    support = _array([score(a, one) for a in answers for one in a.sentences])
    labels = np.asarray([one.supported for a in answers for one in a.sentences], dtype=np.bool_)
    people = _array([float(np.mean([one.wrong for one in a.sentences])) for a in answers])
    ours = _array([float(np.mean([1 - score(a, one) for one in a.sentences])) for a in answers])
    return {
        "nonfact": average_precision(-support, ~labels),
        "fact": average_precision(support, labels),
        "auroc": auroc(support, labels),
        "pearson": pearson(ours, people),
        "spearman": spearman(ours, people),
    }


def _array(values: Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def agreement(
    answers: Sequence[Answer], found: Mapping[ScorerName, Mapping[str, Measured]]
) -> list[dict[str, Any]]:
    """The table of agreement with labels."""
    rows: list[dict[str, Any]] = []
    for scorer, measured in found.items():
        own = [answer for answer in answers if answer.group in measured]
        for size in next(iter(measured.values())).scores if own else ():

            def by_score(answer: Answer, one: Labelled, size: int = size) -> float:
                return measured[answer.group].scores[size][one.claim.id]  # noqa: B023 - used at once

            rows.append({"system": scorer.value, "n": size, **agreement_row(own, by_score)})
            if all(measured[a.group].entropies[size] for a in own):

                def by_entropy(answer: Answer, one: Labelled, size: int = size) -> float:
                    return -measured[answer.group].entropies[size].get(one.claim.id, 0.0)  # noqa: B023

                row = agreement_row(own, by_entropy)
                rows.append({"system": f"{scorer.value}: entropy alone", "n": size, **row})
    names = sorted({name for a in answers for one in a.sentences for name in one.baselines})
    for name in names:
        # Scores of being wrong in SelfCheckGPT, of being right in conformal factuality.
        known = [
            (one.baselines[name], one.supported)
            for a in answers
            for one in a.sentences
            if name in one.baselines
        ]
        values = _array([value for value, _ in known])
        labels = np.asarray([label for _, label in known], dtype=np.bool_)
        sign = 1.0 if auroc(values, labels) >= 0.5 else -1.0  # noqa: PLR2004 - chance

        def shipped(_: Answer, one: Labelled, name: str = name, sign: float = sign) -> float:
            return sign * one.baselines[name]

        rows.append({"system": f"shipped: {name}", "n": None, **agreement_row(answers, shipped)})
    return rows


def decisions_row(
    answers: Sequence[Answer],
    whole: Mapping[str, Measured],
    at: ConsistencyThresholds,
    size: int,
) -> dict[str, float | int]:
    """How many sentences each verdict gets, and what share of them people agree with."""
    given = [
        (decision(whole[a.group].scores[size][one.claim.id], at), one.supported)
        for a in answers
        for one in a.sentences
    ]
    good = [label for said, label in given if said == "supported"]
    bad = [not label for said, label in given if said == "unsupported"]
    return {
        "sentences": len(given),
        "called supported": len(good),
        "rightly": float(np.mean(good)) if good else float("nan"),
        "called unsupported": len(bad),
        "rightly so": float(np.mean(bad)) if bad else float("nan"),
    }


def _tabled(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    titles = list(rows[0])
    lines = [f"| {' | '.join(titles)} |", "|" + " --- |" * len(titles)]
    lines += [f"| {' | '.join(_cell(row[title]) for title in titles)} |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables, or JSON, to standard output."""
    parser = argparse.ArgumentParser(prog="python -m verifiers.bench.consistency")
    parser.add_argument("file", type=Path)
    parser.add_argument("--samples", type=Path, default=None)
    parser.add_argument("--model", default=BUNDLED)
    parser.add_argument("--scorer", action="append", choices=[one.value for one in ScorerName])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--entropy", action="store_true", help="compare samples with each other")
    parser.add_argument("--step", type=int, default=2, help="samples drawn at a time")
    parser.add_argument("--orders", type=int, default=10, help="orders the samples come in")
    parser.add_argument("--cache", type=Path, default=Path(".groundrail-bench/consistency.sqlite"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    answers = read_answers(options.file, options.samples)
    sizes = sorted(size for size in options.sizes if size <= min(len(a.samples) for a in answers))
    scorers = [ScorerName(name) for name in options.scorer or list(ScorerName)]
    spec = ModelSpec(model=options.model)
    with (
        FileScores(options.cache) as cache,
        NLIEngine(
            partial(load_scorer, spec), cache=cache, max_batch_tokens=batch_tokens(spec)
        ) as engine,
        ConsistencyVerifier(
            extractor=make_extractor(),
            engine=engine,
            settings=ConsistencySettings(entropy=options.entropy),
        ) as verifier,
    ):
        result = run(verifier, answers, scorers, sizes, step=options.step, orders=options.orders)
    if options.json:
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
    else:
        for title, rows in result.items():
            sys.stdout.write(f"{title}\n\n{_tabled(rows)}\n\n")
    return 0


def run(
    verifier: ConsistencyVerifier,
    answers: Sequence[Answer],
    scorers: Sequence[ScorerName],
    sizes: Sequence[int],
    *,
    step: int,
    orders: int,
) -> dict[str, list[dict[str, Any]]]:
    """All tables, over all groups and over those that were not looked at."""
    found: dict[ScorerName, dict[str, Measured]] = {}
    for scorer in scorers:
        found[scorer] = {}
        for done, answer in enumerate(answers, start=1):
            found[scorer][answer.group] = measure(verifier, answer, scorer, sizes)
            sys.stderr.write(f"\r{scorer.value}: {done} of {len(answers)} ")
    cap = max(sizes)
    decided: list[dict[str, Any]] = []
    pairs: list[dict[str, Any]] = []
    for scorer in scorers:
        for support, unsupported in CUTS:
            at = ConsistencyThresholds(support, unsupported)
            calls = decisions_row(answers, found[scorer], at, cap)
            chosen = {"support": support, "unsupported": unsupported}
            decided.append({"scorer": scorer.value, **chosen, **calls})
        counted = [
            pairs_of(verifier, a, scorer, ConsistencyThresholds(*CUTS[0]), Stopping(cap, step))
            for a in answers
        ]
        pairs.append(
            {
                "scorer": scorer.value,
                "claims": float(np.mean([len(a.sentences) for a in answers])),
                "all samples": float(np.mean([found[scorer][a.group].pairs for a in answers])),
                "stopping": float(np.mean([asked for asked, _ in counted])),
                "and each once": float(np.mean([once for _, once in counted])),
            }
        )
    sys.stderr.write("\n")
    held = [answer for answer in answers if not open_half(answer.group)]
    return {
        "Agreement with labels": agreement(answers, found),
        "Agreement with labels, groups not looked at": agreement(held, found),
        "Decisions": decided,
        "Stopping early": stopping_table(answers, found, cap, step, orders),
        "Stopping early, groups not looked at": stopping_table(held, found, cap, step, orders),
        "Pairs an answer": pairs,
    }


if __name__ == "__main__":
    sys.exit(main())
