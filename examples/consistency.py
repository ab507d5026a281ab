"""Ask questions without sources, sample the answers again, and see what agreement is worth.

As it stands it runs offline, with a scripted model that knows the capitals and makes up the rest::

    python examples/consistency.py

With a model behind any OpenAI-compatible address it asks the 30 questions of ``questions.jsonl``,
whose answers are known, and says how well agreement separates right from wrong::

    python examples/consistency.py --api-base http://127.0.0.1:8099/v1 --model openai/local
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from guardrails import Guard
from guardrails.testing import ScriptedLLM
from verifiers.bench.metrics import auroc
from verifiers.types import Consistency, ScorerName

HERE = Path(__file__).parent
SAMPLES = 5
SYSTEM = {"role": "system", "content": "Answer in one short sentence that repeats the question."}


class Asked(NamedTuple):
    """One question, the answer to it, and how far samples agree with that, by scorer."""

    question: str
    answer: str
    right: bool
    scores: dict[str, float | None]
    tokens: int


def policy(scorer: str) -> dict[str, Any]:
    """Sample every claim to the cap: this measures, and decides nothing."""
    return {
        "extends": "observe",
        "consistency": {
            "when": "no_evidence",
            "scorer": scorer,
            "samples": SAMPLES,
            "step": SAMPLES,
            "level": 0.0,
            "seconds": None,
            "measure": True,
        },
    }


def ask(guard: Guard, question: str, accepted: list[str], call: dict[str, Any]) -> Asked:
    """Ask once, sample once, and compare by every scorer."""
    messages = [SYSTEM, {"role": "user", "content": question}]
    first = guard.completion(messages=messages, question=question, temperature=0.0, **call).report
    sampling = first.attempts[-1].sampling
    samples = () if sampling is None else sampling.samples
    scores: dict[str, float | None] = {}
    for scorer in ScorerName:
        again = guard.check(
            first.answer, question=question, samples=samples, policy=policy(scorer.value)
        ).report
        found = [a.consistency for a in again.verification.assessments]
        told = [c.score for c in found if isinstance(c, Consistency) and c.score is not None]
        scores[scorer.value] = min(told, default=None)
    return Asked(
        question,
        " ".join(first.answer.split()),
        any(
            re.search(rf"(?<!\w){re.escape(word)}(?!\w)", first.answer, re.IGNORECASE)
            for word in accepted
        ),
        scores,
        (first.usage.input_tokens or 0) + (first.usage.output_tokens or 0),
    )


def scripted(questions: list[dict[str, Any]]) -> ScriptedLLM:
    """A model that knows capitals, and says something else each time where it does not."""
    numbers = itertools.count(1)
    by_question = {item["question"]: item["accepted"][0] for item in questions}

    def reply(request: Any) -> str:
        question = request["messages"][-1]["content"]
        knows = "capital" in question
        said = by_question[question] if knows else f"Number {next(numbers)}"
        return f"The answer to this question is {said}."

    return ScriptedLLM(reply)


def table(asked: list[Asked]) -> None:
    """Every question, then what agreement is worth."""
    names = [scorer.value for scorer in ScorerName]
    print(f"{'right':<6}" + "".join(f"{name:>18}" for name in names) + "  question / answer")
    for one in asked:
        scores = [one.scores[name] for name in names]
        shown = "".join(f"{'-' if s is None else f'{s:.2f}':>18}" for s in scores)
        print(f"{'yes' if one.right else 'no':<6}{shown}  {one.question} / {one.answer[:80]}")
    right = sum(one.right for one in asked)
    print(
        f"\n{len(asked)} questions, {right} answered right, {sum(a.tokens for a in asked)} tokens"
    )
    for name in names:
        told = [(one.scores[name], one.right) for one in asked if one.scores[name] is not None]
        value = auroc(
            np.array([score for score, _ in told], dtype=float),
            np.array([good for _, good in told], dtype=bool),
        )
        print(f"AUROC {name}: {value:.3f} over {len(told)} answers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--api-base", help="An OpenAI-compatible address; offline without it.")
    parser.add_argument("--model", default="openai/local", help="As LiteLLM names it.")
    parser.add_argument("--at-once", type=int, default=1, help="Questions in flight.")
    options = parser.parse_args()
    lines = (HERE / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    gateway = scripted(questions) if options.api_base is None else None
    call: dict[str, Any] = {"model": options.model, "max_tokens": 60}
    if options.api_base is not None:
        call |= {"api_base": options.api_base, "api_key": "none", "timeout": 1200}
    with Guard(policy("nli"), store=False, gateway=gateway) as guard:
        with ThreadPoolExecutor(options.at_once) as pool:
            asked = pool.map(
                lambda item: ask(guard, item["question"], item["accepted"], call), questions
            )
        table(list(asked))


if __name__ == "__main__":
    main()
