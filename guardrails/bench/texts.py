"""Questions, sources and answers for the benchmarks: the same for the same number, never repeated.

Every request has texts of its own, so that no cache answers for the model. An answer says what its
source says in other words, so that it has to be read.
"""

from __future__ import annotations

import random
from typing import Final

SOURCE_WORDS: Final = 1000
ANSWER_SENTENCES: Final = 5

_TEAMS = ("billing", "harbour", "archive", "kitchen", "transport", "garden", "library", "repair")
_CITIES = ("Lyon", "Bergen", "Porto", "Gdansk", "Leeds", "Turin", "Malmo", "Graz", "Ghent", "Cork")
_THINGS = ("requests", "deliveries", "complaints", "visits", "repairs", "orders", "letters")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def plain_answer() -> str:
    """An answer of about a hundred words, for runs without verification."""
    return " ".join(said for _, said in _facts(0, 9))


def facts(number: int, *, words: int = SOURCE_WORDS) -> tuple[str, str]:
    """A source of about so many words, and an answer of a few sentences that a thousand support."""
    found = _facts(number, 90)
    kept: list[str] = []
    written = 0
    for stated, _ in found:
        if written >= SOURCE_WORDS:
            break
        kept.append(stated)
        written += len(stated.split())
    chosen = random.Random(number).sample(range(len(kept)), ANSWER_SENTENCES)  # noqa: S311
    short = kept[: max(1, len(kept) * words // SOURCE_WORDS)]
    return " ".join(short), " ".join(found[place][1] for place in sorted(chosen))


def first_sentence(answer: str) -> str:
    """The first sentence of an answer of ours."""
    return answer[: answer.index(".") + 1]


def pieces(text: str) -> list[str]:
    """A text in pieces as a model writes it: a word each, with the blank before it."""
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


def _facts(number: int, count: int) -> list[tuple[str, str]]:
    """Statements, each as a source states it and as an answer repeats it."""
    chance = random.Random(f"facts {number}")  # noqa: S311 - texts, not secrets
    made = []
    for _ in range(count):
        team, city = chance.choice(_TEAMS), chance.choice(_CITIES)
        thing, month = chance.choice(_THINGS), chance.choice(_MONTHS)
        amount = chance.randrange(100, 100_000)
        made.append(
            (
                f"The {team} team in {city} handled {amount} {thing} during the month of {month}.",
                f"In {month}, {amount} {thing} were handled by the {team} team in {city}.",
            )
        )
    return made
