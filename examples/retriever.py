"""Sources from a retriever: any function of the question, or one of LangChain's or LlamaIndex's."""

from __future__ import annotations

import re
from pathlib import Path

from guardrails import Guard

TEXT = (Path(__file__).parent / "sources" / "handbook.md").read_text(encoding="utf-8")
PARAGRAPHS = [part.strip() for part in TEXT.split("\n\n") if not part.startswith("#")]


def search(question: str) -> list[dict[str, str]]:
    """The two paragraphs that share most words with the question, in place of a vector store."""
    words = set(re.findall(r"\w{4,}", question.lower()))

    def shared(number: int) -> int:
        return len(words & set(re.findall(r"\w{4,}", PARAGRAPHS[number].lower())))

    best = sorted(range(len(PARAGRAPHS)), key=shared, reverse=True)[:2]
    return [{"id": f"paragraph-{number + 1}", "text": PARAGRAPHS[number]} for number in best]


def main() -> None:
    with Guard(policy="balanced", store=False, retriever=search) as guard:
        result = guard.completion(
            model="openai/gpt-4.1-mini",
            messages=[{"role": "user", "content": "What happens with the deposit after the hire?"}],
            mock_response="The deposit is 50 euros.",
        )
    report = result.report
    print(f"{report.action}: {result.text}")
    print("checked against:", ", ".join(source.id for source in report.sources))


if __name__ == "__main__":
    main()
