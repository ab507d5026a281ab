"""Minimal pairs: claims that agree with a short passage, and the same with one value changed.

The passages and claims were written for this project (``passages.txt``); consistent and
contradicted claims are made from them by rule, half and half, the same ones every time. Rules that
make a wrong value: another amount, another unit, currency or date part, a different name, the
opposite direction, a value borrowed from elsewhere in the passage, sides that changed places, a
denial put in or taken out, a hedge left out, a word of a quotation changed or dropped. Rules for
right ones: as written, or in another format, unit or wording.
"""

from __future__ import annotations

import random
import re
from importlib.resources import files
from typing import NamedTuple

from verifiers.bench.minimal_pairs import _rules

_SLOT = re.compile(r"\[\[(.+?)\]\]")
_HELD_OUT = 4


class MinimalPair(NamedTuple):
    """A claim against a passage.

    Attributes:
        id: Stable.
        kind: What was marked in the claim: ``number``, ``date``, ``name`` ...
        passage: The source text.
        claim: The text to check.
        consistent: Whether the passage says so.
        held_out: Whether the passage was kept away while rules were written.
        rule: Which rule made the claim.
    """

    id: str
    kind: str
    passage: str
    claim: str
    consistent: bool
    held_out: bool
    rule: str


class Marked(NamedTuple):
    """A claim as written, around its value."""

    kind: str
    before: str
    value: str
    after: str


def passages() -> list[tuple[str, list[Marked]]]:
    """The passages with their claims, as written."""
    text = files(__package__).joinpath("passages.txt").read_text(encoding="utf-8")
    read: list[tuple[str, list[Marked]]] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith("= "):
            read.append((line.strip(), []))
            continue
        kind, _, claim = line[2:].partition(" | ")
        before, value, after = _SLOT.split(claim)
        read[-1][1].append(Marked(kind.strip(), before, value, after))
    return read


def minimal_pairs() -> list[MinimalPair]:
    """All pairs: two consistent and two contradicted a claim."""
    read = passages()
    names = sorted({m.value for _, claims in read for m in claims if m.kind == "name"})
    made: list[MinimalPair] = []
    for number, (passage, claims) in enumerate(read):
        for index, claim in enumerate(claims):
            chance = random.Random(f"{number}.{index}")  # noqa: S311 - reproducible, not secret
            rights = [
                ("as written", _rules.written(claim.kind, claim.value)),
                _rules.same(claim.kind, claim.value),
            ]
            others = [m.value for m in claims if m.kind == claim.kind and m is not claim]
            wrongs = _rules.wrong(
                claim.kind, claim.value, others=others, names=names, passage=passage, chance=chance
            )
            for consistent, variants in ((True, rights), (False, wrongs)):
                for rule, value in variants:
                    made.append(
                        MinimalPair(
                            id=f"p{number}.{index}.{'c' if consistent else 'x'}.{rule}",
                            kind=claim.kind,
                            passage=passage,
                            claim=_sentence(claim, value),
                            consistent=consistent,
                            held_out=number % _HELD_OUT == _HELD_OUT - 1,
                            rule=rule,
                        )
                    )
    return made


def _sentence(claim: Marked, value: str) -> str:
    text = f"{claim.before}{value}{claim.after}"
    return text[0].upper() + text[1:]
