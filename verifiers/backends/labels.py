"""Which column of a model's output means what. Read from its labels, never assumed.

Three-way models name entailment, neutral and contradiction. Two-way models name entailment and
either contradiction ("refuted") or merely its absence ("not_entailment", "hallucinated"): then
nothing is known of contradiction, neutral takes the rest, and contradiction is 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from verifiers.errors import BackendFailed, LabelsUnmapped
from verifiers.types import NLIProbs

if TYPE_CHECKING:
    from collections.abc import Sequence

Role = Literal["entailment", "neutral", "contradiction", "rest"]

_WORDS: dict[Role, str] = {
    "entailment": "entailment entail entails entailed e support supports supported attributable"
    " attributed consistent factual faithful grounded",
    "neutral": "neutral n unknown undetermined nei not_enough_info not_enough_information",
    "contradiction": "contradiction contradict contradicts contradicted contradictory c refute"
    " refutes refuted refuting",
    "rest": "not_entailment non_entailment not_entailed no_entailment unsupported not_supported"
    " not_support inconsistent not_consistent hallucinated hallucination unfaithful ungrounded"
    " not_grounded unattributable not_attributable nonfactual non_factual not_factual unfactual",
}
_SYNONYMS: dict[str, Role] = {
    word: role for role, words in _WORDS.items() for word in words.split()
}

_ROUNDING = 1e-6
_SUM_TOLERANCE = 0.01  # servers round

# What a model's columns may be, whatever their order. One column is the logit of entailment.
_ALLOWED: frozenset[frozenset[Role]] = frozenset(
    {
        frozenset({"entailment"}),
        frozenset({"entailment", "rest"}),
        frozenset({"entailment", "neutral"}),
        frozenset({"entailment", "contradiction"}),
        frozenset({"entailment", "neutral", "contradiction"}),
    }
)

HINT = (
    "Say what the columns are, in the order of the model's outputs, with the `labels` setting,"
    " for example labels=['contradiction', 'entailment', 'neutral']; for a two-way model"
    " ['entailment', 'not_entailment']; the model card has the order."
)


@dataclass(frozen=True, slots=True)
class Columns:
    """What each column of a model's output means.

    Attributes:
        labels: The names, in column order.
        roles: What each stands for, in the same order.
    """

    labels: tuple[str, ...]
    roles: tuple[Role, ...]

    @property
    def three_way(self) -> bool:
        """Whether the model tells neutral from contradiction."""
        return "contradiction" in self.roles and "neutral" in self.roles

    def from_logits(self, row: Sequence[float], *, temperature: float = 1.0) -> NLIProbs:
        """Probabilities of one row of raw outputs.

        Softmax over the columns; a single column is the logit of entailment (sigmoid).

        Args:
            row: One value a column.
            temperature: Divides the logits first (Guo et al. 2017, arXiv:1706.04599).

        Raises:
            BackendFailed: If the row has another length, or a value is not finite.
        """
        self._check(row)
        scaled = [value / temperature for value in row]
        if len(scaled) == 1:
            scaled.append(0.0)
            top = max(scaled)
            first, second = (math.exp(value - top) for value in scaled)
            return self._assign([first / (first + second)])
        top = max(scaled)
        exps = [math.exp(value - top) for value in scaled]
        total = math.fsum(exps)
        return self._assign([value / total for value in exps])

    def from_probabilities(self, row: Sequence[float]) -> NLIProbs:
        """Probabilities of one row that is already normalised.

        Raises:
            BackendFailed: If the row has another length, holds what is no probability, or does
                not sum to 1 (within 0.01; servers round).
        """
        self._check(row)
        total = math.fsum(row)
        off = any(not -_ROUNDING <= value <= 1 + _ROUNDING for value in row)
        if off or (len(row) > 1 and abs(total - 1.0) > _SUM_TOLERANCE):
            raise BackendFailed(
                f"The model answered with {len(row)} numbers that are no probabilities"
                f" (sum {total:.4g}). Nothing was scored.",
                hint="If the server returns logits, have it return probabilities.",
            )
        if len(row) == 1:
            return self._assign([min(max(row[0], 0.0), 1.0)])
        return self._assign([max(value, 0.0) / total for value in row])

    def _check(self, row: Sequence[float]) -> None:
        if len(row) != len(self.roles):
            raise BackendFailed(
                f"The model answered with {len(row)} columns where its labels name"
                f" {len(self.roles)} ({', '.join(self.labels)}). Nothing was scored.",
                hint="Check that the configured labels belong to this model.",
            )
        if not all(math.isfinite(value) for value in row):
            raise BackendFailed(
                "The model answered with NaN or infinity. Nothing was scored.",
                hint="Half precision overflows in some models: run it in fp32.",
            )

    def _assign(self, row: Sequence[float]) -> NLIProbs:
        by_role = dict(zip(self.roles, row, strict=True))
        entailment = by_role["entailment"]
        if "contradiction" in by_role:
            contradiction = by_role["contradiction"]
            # By subtraction the three sum to 1 exactly enough, whatever the server rounded.
            return NLIProbs(entailment, max(0.0, 1.0 - entailment - contradiction), contradiction)
        return NLIProbs(entailment, 1.0 - entailment, 0.0)


def read_columns(
    id2label: Mapping[Any, object] | Sequence[str],
    *,
    override: Sequence[str] | None = None,
) -> Columns:
    """What the columns mean, from the model's config or from what the operator said.

    Args:
        id2label: The config's ``id2label`` (keys are column numbers, as text or numbers), or the
            names in column order.
        override: Names in column order; wins over the config.

    Raises:
        LabelsUnmapped: If a name is not understood, two say the same, none says entailment, or
            the numbers are not 0, 1, 2 ...
    """
    if override is not None:
        names = tuple(override)
    elif isinstance(id2label, Mapping):
        names = names_in_order(id2label)
    else:
        names = tuple(id2label)
    roles: list[Role] = []
    for name in names:
        role = role_of(name)
        if role is None:
            raise LabelsUnmapped(
                f"Cannot tell what the model's label {name[:60]!r} means (labels:"
                f" {', '.join(n[:60] for n in names[:8])}). The model was not used.",
                hint=HINT,
            )
        roles.append(role)
    if len(set(roles)) != len(roles) or frozenset(roles) not in _ALLOWED:
        raise LabelsUnmapped(
            f"The model's labels ({', '.join(n[:60] for n in names[:8])}) are not entailment,"
            " neutral and contradiction, nor a two-way choice with entailment in it."
            " The model was not used.",
            hint=HINT,
        )
    return Columns(names, tuple(roles))


def role_of(label: str) -> Role | None:
    """What a label means, whatever its case and punctuation, or None when it says nothing."""
    return _SYNONYMS.get(_plain(label))


def names_in_order(id2label: Mapping[Any, object]) -> tuple[str, ...]:
    """The labels of a config's ``id2label`` in column order.

    Raises:
        LabelsUnmapped: If the columns are not numbered 0, 1, 2 ...
    """
    try:
        by_number = {int(str(key)): str(name) for key, name in id2label.items()}
    except ValueError as exc:
        raise LabelsUnmapped(
            "The model's id2label does not number its columns. The model was not used.", hint=HINT
        ) from exc
    if not by_number or sorted(by_number) != list(range(len(by_number))):
        raise LabelsUnmapped(
            "The model's config names no labels, or leaves out a column. The model was not used.",
            hint=HINT,
        )
    return tuple(by_number[index] for index in range(len(by_number)))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()).strip("_")
