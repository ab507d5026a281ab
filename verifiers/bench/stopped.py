"""Stopping early, played on what every sample says: how often it decides as all samples do."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from math import fsum
from typing import TYPE_CHECKING, Any

import numpy as np

from verifiers.consistency import Stopping
from verifiers.consistency.stopping import Watch
from verifiers.types import ConsistencyThresholds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.bench.sampled import Answer
    from verifiers.types import ScorerName

# Where scores become decisions in the table on stopping: (support, unsupported).
CUTS = ((0.7, 0.4), (0.5, 0.5), (0.5, 0.2), (0.3, 0.3))
# Levels, and expected shares of other decisions, in the same table.
RULES = ((0.1, 0.0), (0.2, 0.0), (0.2, 0.03), (0.2, 0.05), (0.2, 0.08))


@dataclass(frozen=True, slots=True)
class Measured:
    """One answer's sentences with the first 3, 5, 10, ... samples, by number and claim id.

    Attributes:
        streams: What each sample says of each sentence, in order.
        pairs: What the most samples asked for, nothing stopped.
    """

    scores: Mapping[int, Mapping[str, float]]
    entropies: Mapping[int, Mapping[str, float]]
    streams: Mapping[str, list[float]]
    pairs: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """Where the stopping rule leaves an answer.

    Attributes:
        drawn: Samples drawn for it.
        taken: Of these, how many each claim took in.
        scores: Each claim's.
    """

    drawn: int
    taken: Sequence[int]
    scores: Sequence[float]


def stop_early(
    streams: Sequence[Sequence[float]], at: ConsistencyThresholds, stopping: Stopping
) -> Stopped:
    """What a run does with the claims of an answer, played on what each sample says of each."""
    watches = [Watch(at, stopping) for _ in streams]
    taken = [0] * len(streams)
    scores = [0.0] * len(streams)
    chances = [math.inf] * len(streams)
    still = set(range(len(streams)))
    drawn = 0
    most = min((len(stream) for stream in streams), default=0)
    while still and drawn < most and not stopping.enough(chances):
        drawn = min(drawn + stopping.step, most)
        for claim in sorted(still):
            for value in streams[claim][taken[claim] : drawn]:
                watches[claim].add(value)
            taken[claim] = drawn
            scores[claim] = fsum(streams[claim][:drawn]) / drawn
            chances[claim] = watches[claim].chance(scores[claim])
            if watches[claim].settled(scores[claim]):
                still.remove(claim)
    return Stopped(drawn, taken, scores)


def decision(score: float, at: ConsistencyThresholds) -> str:
    """What a score makes of a claim without sources."""
    if score >= at.support:
        return "supported"
    return "unsupported" if score < at.unsupported else "unverifiable"


def stopping_row(
    answers: Sequence[Answer],
    whole: Mapping[str, Measured],
    at: ConsistencyThresholds,
    stopping: Stopping,
    orders: int,
) -> dict[str, float]:
    """Equal decisions and samples used, over the sentences of these answers.

    The samples come in the order of the file and in ``orders`` - 1 others, the same at every call.
    """
    same: list[bool] = []
    taken: list[float] = []
    drawn: list[float] = []
    for answer in answers:
        streams = list(whole[answer.group].streams.values())
        final = [decision(fsum(stream) / len(stream), at) for stream in streams]
        order = list(range(min((len(stream) for stream in streams), default=0)))
        chance = random.Random(answer.group)  # noqa: S311 - no secret
        for _ in range(orders):
            stopped = stop_early([[s[i] for i in order] for s in streams], at, stopping)
            same += [
                decision(score, at) == last
                for score, last in zip(stopped.scores, final, strict=True)
            ]
            taken += [n / stopping.cap for n in stopped.taken]
            drawn.append(stopped.drawn / stopping.cap)
            chance.shuffle(order)
    return {
        "same": float(np.mean(same)),
        "a sentence": float(np.mean(taken)),
        "an answer": float(np.mean(drawn)),
    }


def stopping_table(
    answers: Sequence[Answer],
    found: Mapping[ScorerName, Mapping[str, Measured]],
    cap: int,
    step: int,
    orders: int,
) -> list[dict[str, Any]]:
    """The table on stopping early."""
    rows: list[dict[str, Any]] = []
    for scorer, measured in found.items():
        for support, unsupported in CUTS if answers else ():
            at = ConsistencyThresholds(support, unsupported)
            for level, differing in RULES:
                chosen = {"support": support, "unsupported": unsupported}
                rule = {"level": level, "differing": differing}
                stopping = Stopping(cap, step, level, differing)
                row = stopping_row(answers, measured, at, stopping, orders)
                rows.append({"scorer": scorer.value, **chosen, **rule, **row})
    return rows
