"""The main job: a guarded LiteLLM call over sources from a file, with everything it found printed.

Runs offline: without a key, LiteLLM itself answers with the text below, in which one number is
wrong and one statement has no source. With OPENAI_API_KEY, ANTHROPIC_API_KEY or another provider's
key set, that provider answers instead; EXAMPLE_MODEL chooses the model.

    python examples/guarded_call.py [QUESTION] [FILE ...]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from guardrails import Guard
from guardrails.cli.readers import read_sources
from guardrails.cli.render import print_report

HANDBOOK = Path(__file__).parent / "sources" / "handbook.md"
QUESTION = "What does a bicycle cost, and how much is the deposit?"
MOCK_ANSWER = (
    "A city bicycle costs 18 euros a day [1]. A helmet is included in the price [1]. "
    "The deposit is 80 euros [1]. The shop also repairs electric scooters."
)
PROVIDERS = {
    "OPENAI_API_KEY": "openai/gpt-4.1-mini",
    "ANTHROPIC_API_KEY": "anthropic/claude-haiku-4-5",
    "GEMINI_API_KEY": "gemini/gemini-2.5-flash",
    "MISTRAL_API_KEY": "mistral/mistral-small-latest",
}


def main(question: str = QUESTION, *files: str) -> None:
    sources = read_sources(files or (str(HANDBOOK),)).sources
    context = "\n\n".join(f"[{n}] {source.text}" for n, source in enumerate(sources, start=1))
    call: dict[str, object] = {
        "messages": [
            {"role": "system", "content": f"Answer from these sources and cite them.\n\n{context}"},
            {"role": "user", "content": question},
        ]
    }
    model = next((name for key, name in PROVIDERS.items() if os.environ.get(key)), None)
    model = os.environ.get("EXAMPLE_MODEL", model)
    if model is None:
        print("No provider's key is set: LiteLLM answers with a mock response.\n")
        model, call["mock_response"] = "openai/gpt-4.1-mini", MOCK_ANSWER

    with Guard(policy="balanced", store=False) as guard:
        result = guard.completion(model=model, sources=sources, **call)

    print_report(result.report)
    print("\nWhat the application gets:\n")
    print(result.response.choices[0].message.content)


if __name__ == "__main__":
    main(*sys.argv[1:])
