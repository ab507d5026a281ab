"""Sources from a retriever: any function of the question, or one of LangChain's or LlamaIndex's."""

from __future__ import annotations

import re
from pathlib import Path

from guardrails import Guard

TEXT = (Path(__file__).parent / "sources" / "handbook.md").read_text(encoding="utf-8")
SECTIONS = [section.strip() for section in re.split(r"(?m)^## ", TEXT) if section.strip()]


def search(question: str) -> list[dict[str, str]]:
    """The two sections that share most words with the question. Stands in for a vector store."""
    words = set(re.findall(r"\w{4,}", question.lower()))

    def shared(section: str) -> int:
        return len(words & set(re.findall(r"\w{4,}", section.lower())))

    best = sorted(SECTIONS, key=shared, reverse=True)[:2]
    return [{"id": section.partition("\n")[0], "text": section} for section in best]


def main() -> None:
    with Guard(policy="balanced", store=False, retriever=search) as guard:
        result = guard.completion(
            model="openai/gpt-4.1-mini",
            messages=[{"role": "user", "content": "What happens with the deposit after the hire?"}],
            mock_response="The deposit of 50 euros is returned within 3 working days.",
        )
    report = result.report
    print(f"{report.action}: {result.text}")
    print("checked against:", ", ".join(source.id for source in report.sources))


if __name__ == "__main__":
    main()
