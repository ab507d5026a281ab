"""Check an answer that is there already, sync and async, under a policy from a file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from guardrails import Guard
from guardrails.cli.render import print_report

HERE = Path(__file__).parent
SOURCE = (HERE / "sources" / "handbook.md").read_text(encoding="utf-8")
ANSWER = "A helmet is included in the price. The deposit is 80 euros."


async def concurrently(guard: Guard) -> list[str]:
    """Many answers at once: their claims share the model's batches."""
    answers = [f"A city bicycle costs {euros} euros a day." for euros in (17, 18, 19)]
    results = await asyncio.gather(
        *(
            guard.acheck(answer, sources=[SOURCE], question="What is the price of a city bicycle?")
            for answer in answers
        )
    )
    return [f"{answer} -> {result.action}" for answer, result in zip(answers, results, strict=True)]


def main() -> None:
    with Guard(policy=HERE / "policy.yaml", store=False) as guard:
        result = guard.check(ANSWER, sources=[SOURCE])
        print_report(result.report)
        print()
        print("\n".join(asyncio.run(concurrently(guard))))


if __name__ == "__main__":
    main()
