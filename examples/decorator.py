"""Guard any function that answers: the caller's code stays as it is.

The function may return text, a LiteLLM or an OpenAI response, and may be async.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from guardrails import Guard

SOURCE = (Path(__file__).parent / "sources" / "handbook.md").read_text(encoding="utf-8")

ANSWER = (
    "The shop at Pier 4 is open every day from April to October. "
    "A helmet is included in the price. Its founder sailed around the world."
)

guard = Guard(policy="balanced", store=False)


@guard.guarded(sources=[SOURCE], question_from="question")
def answer(question: str) -> str:
    """Stands in for a call to a model."""
    del question
    return ANSWER


@guard.guarded(sources=[SOURCE], question_from="question")
async def answer_later(question: str) -> str:
    """The same for an event loop."""
    await asyncio.sleep(0)
    del question
    return f"{ANSWER} A lock is included in the price, too."


def main() -> None:
    question = "When is the shop open?"
    for result in (answer(question), asyncio.run(answer_later(question))):
        print(f"{result.action}: {result.text}")
    guard.close()


if __name__ == "__main__":
    main()
