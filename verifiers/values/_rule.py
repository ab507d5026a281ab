"""What a mismatch is worth: how much support it leaves at most, and whether it contradicts.

Learnt on training pairs by :mod:`verifiers.values.learn`, which writes ``learnt.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from verifiers.types import MismatchKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERSION = 1


@dataclass(frozen=True, slots=True)
class KindRule:
    """What was learnt of one kind of mismatch.

    Attributes:
        pairs: Training pairs with such a mismatch.
        entailed: Of these, those that are entailed all the same.
        told: Of these, those whose label tells a contradiction from a neutral pair.
        contradicted: Of those, the contradictions.
        most: The most support that a passage with such a mismatch can give, in [0, 1].
        contradicts: Whether such a mismatch is taken for a contradiction.
    """

    pairs: int
    entailed: int
    told: int
    contradicted: int
    most: float
    contradicts: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """How mismatches and the model are taken together: one rule for every kind."""

    kinds: Mapping[MismatchKind, KindRule]

    def lowered(self, entailment: float, kinds: Iterable[MismatchKind]) -> float:
        """The support left of a passage in which values of these kinds differ from the claim.

        The strictest of the kinds counts, once: kinds found in one passage are no independent
        witnesses. Never more than ``entailment``.
        """
        return min([entailment, *(self.kinds[kind].most for kind in kinds)])

    def contradicts(self, kind: MismatchKind) -> bool:
        """Whether a mismatch of this kind is taken for a contradiction."""
        return self.kinds[kind].contradicts


@cache
def learnt() -> Rule:
    """The rule as it is shipped."""
    text = files(__package__).joinpath("learnt.json").read_text(encoding="utf-8")
    return from_json(json.loads(text))


def from_json(read: Mapping[str, Any]) -> Rule:
    """The rule in what :mod:`verifiers.values.learn` wrote.

    Raises:
        ValueError: If its version is another one.
        KeyError: If a kind is missing.
    """
    if read["version"] != VERSION:
        raise ValueError(f"the table of values has version {read['version']}, not {VERSION}")
    kinds = {kind: KindRule(**read["kinds"][kind.value]) for kind in MismatchKind}
    return Rule(kinds)
