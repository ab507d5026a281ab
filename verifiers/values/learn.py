"""Learn from training pairs what each kind of mismatch is worth.

    python -m verifiers.values.learn TRAIN.jsonl.gz [--write] [--compare HELD_OUT.jsonl.gz]

Takes a seeded sample of every data set, keeps the pairs in which the value layer finds a mismatch,
and counts, by kind, how many of them are entailed all the same. A passage with such a mismatch
supports no claim at all where that share is surely small: where the upper end of its 95 % Wilson
interval is below 0.15. Else it supports one by no more than the share. A kind contradicts when, by
the lower end, more than half of its pairs are labelled so; leaving a hedge out never does, since a
source that says *may* does not say *not*. What is known of all kinds together counts as ten pairs
of each, so that kinds few pairs have are treated like the others.

No model takes part: its scores of the very pairs it was trained on are surer than those it gives
anywhere else. ``--compare`` sets the rule against the model alone and against a veto on held-out
pairs.

Prints the table; ``--write`` puts it where :mod:`verifiers.values._rule` reads it.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from verifiers.bench.metrics import hits_text, wilson
from verifiers.errors import InputTooLong
from verifiers.types import Claim, ClaimKind, EvidenceSpan, MismatchKind, Pair, Span
from verifiers.values import mismatches
from verifiers.values._rule import VERSION, KindRule, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from verifiers.engine import NLIEngine
    from verifiers.training.data import Row

SAMPLE = 5_000
# What is known of all kinds together counts as so many pairs of each.
_PRIOR_PAIRS = 10
# A claim that leaves out a "may" says more than its source, and not the contrary.
_NEVER = frozenset({MismatchKind.HEDGING})
# A kind of which surely fewer pairs than this are entailed leaves no support.
_VETO = 0.15
_BATCH = 64
# For the logarithm: no support counts as surer than this.
_CLIP = 1e-4
_HALF = 0.5


class Witness(NamedTuple):
    """A pair with a mismatch.

    Attributes:
        kinds: Of its mismatches.
        pair: The texts.
        entailed: The label.
        contradicted: Whether it is labelled a contradiction; None where the set does not tell.
    """

    kinds: frozenset[MismatchKind]
    pair: Pair
    entailed: bool
    contradicted: bool | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One rule on held-out pairs with a mismatch.

    Attributes:
        name: ``model alone``, ``veto`` or ``learnt``.
        log_loss: Mean, of the support left; natural logarithm.
        kept: Entailed pairs that the model supports at a half and that stay so.
        supported: Entailed pairs that the model supports at a half.
        caught: Others that the model supports at a half and that no longer are.
        wrong: Others that the model supports at a half.
    """

    name: str
    log_loss: float
    kept: int
    supported: int
    caught: int
    wrong: int


def sample(rows: Iterable[Row], size: int, seed: int) -> list[Row]:
    """At most ``size`` rows of each data set, drawn in one pass, the same ones for one seed."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    kept: dict[str, list[Row]] = {}
    seen: dict[str, int] = {}
    for row in rows:
        own = kept.setdefault(row.dataset, [])
        seen[row.dataset] = number = seen.get(row.dataset, 0) + 1
        if len(own) < size:
            own.append(row)
        elif (place := chance.randrange(number)) < size:
            own[place] = row
    return [row for _, own in sorted(kept.items()) for row in own]


def witnesses(rows: Iterable[Row]) -> list[Witness]:
    """The rows with a mismatch."""
    return [
        Witness(
            kinds,
            Pair(row.premise, row.hypothesis),
            row.label == "entailment",
            None if row.label == "not_entailment" else row.label == "contradiction",
        )
        for row in rows
        if (kinds := _kinds(row))
    ]


def support_by(engine: NLIEngine, pairs: Sequence[Pair]) -> list[float | None]:
    """The model's entailment of each pair; None for one that does not fit it."""
    found: list[float | None] = []
    for start in range(0, len(pairs), _BATCH):
        part = list(pairs[start : start + _BATCH])
        try:
            found += [p.entailment for p in engine.score(part).probs]
        except InputTooLong:
            found += [None] if len(part) == 1 else [support_by(engine, [p])[0] for p in part]
    return found


def _kinds(row: Row) -> frozenset[MismatchKind]:
    span = Span(0, len(row.hypothesis))
    claim = Claim("c1", span, row.hypothesis, ClaimKind.SENTENCE, span, row.hypothesis)
    source = EvidenceSpan("s", Span(0, len(row.premise)), row.premise)
    return frozenset(m.kind for m in mismatches(claim, source))


def fit(found: Sequence[Witness]) -> Rule:
    """The rule of every kind, from pairs with a mismatch.

    Raises:
        ValueError: If there are none.
    """
    told = [w for w in found if w.contradicted is not None]
    if not told:
        raise ValueError("the sample holds no pair with a mismatch and a label that tells")
    entailed = sum(w.entailed for w in found) / len(found)
    against = sum(bool(w.contradicted) for w in told) / len(told)
    kinds: dict[MismatchKind, KindRule] = {}
    for kind in MismatchKind:
        own = [w for w in found if kind in w.kinds]
        labelled = [w for w in own if w.contradicted is not None]
        kept = sum(w.entailed for w in own)
        contradicted = sum(bool(w.contradicted) for w in labelled)
        share = (kept + _PRIOR_PAIRS * entailed) / (len(own) + _PRIOR_PAIRS)
        surely = wilson(share, len(own) + _PRIOR_PAIRS)[1] < _VETO
        told_of = len(labelled) + _PRIOR_PAIRS
        least = wilson((contradicted + _PRIOR_PAIRS * against) / told_of, told_of)[0]
        kinds[kind] = KindRule(
            pairs=len(own),
            entailed=kept,
            told=len(labelled),
            contradicted=contradicted,
            most=0.0 if surely else round(share, 3),
            contradicts=kind not in _NEVER and least > _HALF,
        )
    return Rule(kinds)


def compare(
    found: Sequence[Witness], scores: Sequence[float | None], rule: Rule
) -> list[Comparison]:
    """The model alone, a veto, and the learnt rule on the same pairs, the unscored left out."""
    known = [(w, p) for w, p in zip(found, scores, strict=True) if p is not None]
    rules: dict[str, Callable[[Witness, float], float]] = {
        "model alone": lambda _, p: p,
        "veto": lambda _, __: 0.0,
        "learnt": lambda w, p: rule.lowered(p, w.kinds),
    }
    return [_compared(name, known, left) for name, left in rules.items()]


def _compared(
    name: str,
    found: Sequence[tuple[Witness, float]],
    left: Callable[[Witness, float], float],
) -> Comparison:
    loss = 0.0
    kept = supported = caught = wrong = 0
    for witness, before in found:
        now = min(max(left(witness, before), _CLIP), 1 - _CLIP)
        loss -= math.log(now if witness.entailed else 1 - now)
        if before >= _HALF:
            supported += witness.entailed
            wrong += not witness.entailed
            kept += witness.entailed and now >= _HALF
            caught += not witness.entailed and now < _HALF
    mean = loss / len(found) if found else math.nan
    return Comparison(name, mean, kept, supported, caught, wrong)


def to_json(rule: Rule, *, sampled: int, seed: int) -> dict[str, Any]:
    """The table as it is shipped, with what it was learnt from."""
    return {
        "version": VERSION,
        "sample": {"each": sampled, "seed": seed},
        "kinds": {kind.value: asdict(own) for kind, own in rule.kinds.items()},
    }


def report(rule: Rule) -> str:
    """The kinds as a Markdown table."""
    lines = [
        "| kind | pairs | entailed all the same | contradictions | support at most | contradicts |",
        "|---|---|---|---|---|---|",
    ]
    for kind, own in rule.kinds.items():
        cells = [
            kind.value,
            str(own.pairs),
            hits_text(own.entailed, own.pairs),
            hits_text(own.contradicted, own.told),
            f"{own.most:.3f}",
            "yes" if own.contradicts else "no",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def report_comparison(rows: Sequence[Comparison]) -> str:
    """The rules on held-out pairs as a Markdown table."""
    lines = ["| rule | log loss | entailed kept | others caught |", "|---|---|---|---|"]
    lines += [
        f"| {c.name} | {c.log_loss:.3f} | {c.kept} of {c.supported} | {c.caught} of {c.wrong} |"
        for c in rows
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn, print, and on demand keep the table and compare it."""
    parser = argparse.ArgumentParser(
        prog="python -m verifiers.values.learn",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("train", type=Path, help="pairs to learn from")
    parser.add_argument("--compare", type=Path, help="held-out pairs")
    parser.add_argument("--model", default="bundled", help="whose scores --compare takes")
    parser.add_argument("--each", type=int, default=SAMPLE, help="rows of each data set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args(arguments)

    from verifiers.training.data import read_rows

    def drawn(path: Path) -> list[Witness]:
        return witnesses(sample(read_rows(path), given.each, given.seed))

    rule = fit(drawn(given.train))
    sys.stdout.write(report(rule) + "\n")
    if given.write:
        made = to_json(rule, sampled=given.each, seed=given.seed)
        place = Path(__file__).with_name("learnt.json")
        place.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    if given.compare is not None:
        held = drawn(given.compare)
        scores = _scored(given.model, [w.pair for w in held])
        sys.stdout.write("\n" + report_comparison(compare(held, scores, rule)) + "\n")


def _scored(model: str, pairs: Sequence[Pair]) -> list[float | None]:
    from verifiers.backends import ModelSpec, batch_tokens, load_scorer
    from verifiers.engine import NLIEngine

    spec = ModelSpec(model=model)
    with NLIEngine(partial(load_scorer, spec), max_batch_tokens=batch_tokens(spec)) as engine:
        return support_by(engine, pairs)


if __name__ == "__main__":
    main()
