"""The policy file, version 1, as frozen models. Unknown keys are errors.

What a policy leaves out is as in the preset ``balanced``. Three layers, from general to particular:

* the top level;
* ``kinds``, by the form of a claim or by what it talks about. Each entry that matches a claim
  answers for it in full (its own keys over the top level's); where several match, the most severe
  action wins and the strictest threshold applies;
* ``routes``, by the kind of query. A route is this policy with some keys changed, ``kinds``
  included: what it sets replaces what the top level sets.

A policy must be *ordered*: neither ``on_supported`` nor ``on_no_claims`` may be more severe than
what is done with a claim that was not found supported. It is what makes "more bad verdicts never
soften the decision" hold for every policy that loads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping  # noqa: TC003 - pydantic and NamedTuple read annotations
from dataclasses import replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, PrivateAttr, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from policies._second import ConsistencyRules, JudgeRules
from policies._tables import (
    AnswerRules,
    Kinds,
    Limits,
    ReviewRules,
    Routes,
    StreamRules,
    Table,
    ThresholdTable,
)
from policies._values import (
    FinalAction,
    FrozenDict,
    Name,
    OnAnswer,
    OnSupported,
    OnUnchecked,
    Text,
    Version,
)
from policies.errors import RouteUnknown
from policies.types import Action
from verifiers.types import Thresholds

if TYPE_CHECKING:
    from collections.abc import Iterator


CLAIM_KEYS = (
    "on_supported",
    "on_contradicted",
    "on_conflict",
    "on_unsupported",
    "on_no_evidence",
    "on_error",
    "on_miscited",
    "on_uncited",
)
_NOT_CLEAN = ("on_contradicted", "on_conflict", "on_unsupported", "on_no_evidence", "on_error")


class Row(NamedTuple):
    """What the policy says of one kind of claim, complete.

    Attributes:
        prefix: ``""`` for the top level, else such as ``kinds.number.``.
        thresholds: Where its scores become verdicts.
        actions: One for each of `CLAIM_KEYS`.
        written: The actions the entry itself sets; the others are the top level's.
        changes_thresholds: Whether the entry sets any.
    """

    prefix: str
    thresholds: Thresholds
    actions: Mapping[str, Action]
    written: frozenset[str] = frozenset()
    changes_thresholds: bool = False

    def key(self, name: str) -> str:
        """Where the action for ``name`` is written in the policy."""
        return f"{self.prefix}{name}" if name in self.written else name


class Policy(Table):
    """What to do with an answer, given its verdicts. See ``guardrails/docs/policies.md``."""

    version: Version = 1
    name: Name = "custom"
    description: Annotated[str, StringConstraints(max_length=4000)] = ""

    thresholds: ThresholdTable = ThresholdTable()

    on_supported: OnSupported = Action.PASS
    on_contradicted: Action = Action.REGENERATE
    on_conflict: Action = Action.REVIEW
    on_unsupported: Action = Action.REDACT
    on_no_evidence: OnUnchecked = Action.ANNOTATE
    on_error: OnUnchecked = Action.REVIEW
    on_miscited: Action = Action.ANNOTATE
    on_uncited: Action = Action.PASS

    on_no_claims: OnAnswer = Action.PASS
    on_empty: OnAnswer = Action.REFUSE
    on_refused: OnAnswer = Action.ANNOTATE
    on_cut: OnAnswer = Action.ANNOTATE

    kinds: Kinds = Field(default_factory=FrozenDict)
    answer: AnswerRules = AnswerRules()

    consistency: ConsistencyRules = ConsistencyRules()
    judge: JudgeRules = JudgeRules()

    limits: Limits = Limits()
    after_attempts: FinalAction = Action.REDACT
    refusal: Text = (
        "I could not confirm this answer against the sources I have, so I am not giving it."
    )
    review: ReviewRules = ReviewRules()
    stream: StreamRules = StreamRules()
    blocked: Literal["respond", "raise"] = "respond"

    routes: Routes = Field(default_factory=FrozenDict)

    _by_route: dict[str, Policy] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        for row in self._rows():
            self._check_order(row)
        if self.routes:
            base = self.model_dump(mode="json", exclude={"routes"})
            for name, changes in self.routes.items():
                try:
                    self._by_route[name] = Policy.model_validate(
                        merged(base, changes.model_dump(mode="json"))
                    )
                except ValidationError as error:
                    # Every key was valid by itself, so it is the order that is broken.
                    found = error.errors()[0]
                    raise PydanticCustomError(
                        "unordered",
                        "{text}",
                        {"key": f"routes.{name}", "text": found["msg"]},
                    ) from None
        return self

    def _check_order(self, row: Row) -> None:
        hard = {key: row.actions[key] for key in _NOT_CLEAN}
        hard["after_attempts"] = self.after_attempts
        if self.answer.after_attempts is not None:
            hard["answer.after_attempts"] = self.answer.after_attempts
        soft = {"on_supported": row.actions["on_supported"], "on_no_claims": self.on_no_claims}
        for gentle, harsh in product(soft, hard):
            if soft[gentle].severity > hard[harsh].severity:
                raise PydanticCustomError(
                    "unordered",
                    "{gentle}: {soft} is more severe than {harsh}: {hard}{where}, so a worse "
                    "answer would be treated more softly; raise {harsh} or lower {gentle}",
                    {
                        "key": f"{row.prefix}{gentle}" if row.prefix else gentle,
                        "gentle": gentle,
                        "soft": soft[gentle].value,
                        "harsh": harsh,
                        "hard": hard[harsh].value,
                        "where": f" (for {row.prefix.rstrip('.')})" if row.prefix else "",
                    },
                )

    def _rows(self) -> Iterator[Row]:
        base = Row(
            "", thresholds_of(self.thresholds), {key: getattr(self, key) for key in CLAIM_KEYS}
        )
        yield base
        for kind in sorted(self.kinds):
            changes = self.kinds[kind]
            written = changes.model_fields_set - {"thresholds"}
            at = base.thresholds
            if changes.thresholds is not None:
                at = replace(at, **changes.thresholds.model_dump())
            yield Row(
                f"kinds.{kind.value}.",
                at,
                {**base.actions, **{key: getattr(changes, key) for key in written}},
                frozenset(written),
                bool(changes.thresholds and changes.thresholds.model_fields_set),
            )

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The top level under ``""``, and each entry of ``kinds`` as its complete answer."""
        return {row.prefix.removeprefix("kinds.").rstrip("."): row for row in self._rows()}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Policy:
        """A copy with some keys changed; validated, unlike pydantic's own."""
        del deep
        return Policy.model_validate(merged(self.model_dump(mode="json"), dict(update or {})))

    def for_route(self, route: str | None) -> Policy:
        """This policy as it stands on one route.

        Returns:
            The policy itself without a route, and where no routes are named: there a route is only
            a label. The result's ``digest`` is of the route's rules alone; record this policy's.

        Raises:
            RouteUnknown: If the policy names routes and this is none of them.
        """
        if route is None or not self.routes:
            return self
        try:
            return self._by_route[route]
        except KeyError:
            known = ", ".join(sorted(self.routes))
            raise RouteUnknown(
                f"Policy {self.name!r} has no route {route!r}; nothing was decided.",
                hint=f"Its routes are: {known}. Correct the name, or add it under `routes`.",
            ) from None

    def canonical_json(self) -> str:
        """The whole policy, every key spelled out, as one canonical line of JSON.

        ``load_policy(json.loads(line))`` gives an equal policy.
        """
        return json.dumps(
            self.model_dump(mode="json"),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )

    @cached_property
    def digest(self) -> str:
        """``v1:b2:`` and BLAKE2b-256 of the canonical JSON: the same exactly for equal policies."""
        body = self.canonical_json().encode("utf-8")
        return f"v1:b2:{hashlib.blake2b(body, digest_size=32).hexdigest()}"


def thresholds_of(table: ThresholdTable) -> Thresholds:
    """The table as the value ``judge`` takes."""
    return Thresholds(support=table.support, contradiction=table.contradiction)


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``changes`` over ``base``, tables merged key by key, everything else replaced."""
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result
