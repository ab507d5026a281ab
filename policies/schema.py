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
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NoReturn, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    StringConstraints,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from policies.errors import RouteUnknown
from policies.types import Action
from verifiers.types import ClaimKind, Facet, Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import SerializerFunctionWrapHandler

# --------------------------------------------------------------------------- values


def _only(*allowed: Action, why: str) -> Callable[[Action], Action]:
    """A validator that admits only ``allowed`` actions and says why the others make no sense."""

    def check(action: Action) -> Action:
        if action in allowed:
            return action
        raise PydanticCustomError(
            "action_not_allowed",
            "{action} makes no sense here: {why}",
            {"action": action.value, "why": why, "allowed": [a.value for a in allowed]},
        )

    return check


_P, _A, _D, _G, _V, _F = Action  # by severity: pass annotate redact regenerate review refuse

OnSupported = Annotated[
    Action, AfterValidator(_only(_P, _A, _V, why="there is nothing wrong with a supported claim"))
]
OnUnchecked = Annotated[
    Action,
    AfterValidator(
        _only(_P, _A, _D, _V, _F, why="a new answer could not be checked any better than this one")
    ),
]
OnAnswer = Annotated[
    Action,
    AfterValidator(_only(_P, _A, _G, _V, _F, why="no claim is at fault, so none can be taken out")),
]
LimitAction = Annotated[
    Action, AfterValidator(_only(_A, _D, _G, _V, _F, why="a limit that only passes limits nothing"))
]
FinalAction = Annotated[
    Action,
    AfterValidator(_only(_P, _A, _D, _V, _F, why="it is what happens when no attempt is left")),
]

Threshold = Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0)]
Attempts = Annotated[int, Field(strict=True, ge=1, le=10)]
Seconds = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Dollars = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000, pattern=r"\S")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
RouteName = Annotated[
    str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:/-]*$")
]


def _one(value: object) -> object:
    if type(value) is not int:  # True == 1, and 1.0 == 1
        raise PydanticCustomError("version", "the only version is 1, written as a number", {})
    return value


Version = Annotated[Literal[1], BeforeValidator(_one)]

K = TypeVar("K")
V = TypeVar("V")


class _FrozenDict(dict[K, V]):
    """A dict that stays as it was loaded: the digest is of what decides."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a policy cannot be changed; load another")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


# --------------------------------------------------------------------------- models


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Changes(_Model):
    """A partial table: only what was written down counts, and nothing is written down as null."""

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        if value is None:
            raise PydanticCustomError(
                "empty_override", "has no value; give one or leave it out", {}
            )
        return value

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


class ThresholdTable(_Model):
    """Where scores become verdicts, compared with ``>=``."""

    support: Threshold = 0.6
    contradiction: Threshold = 0.6


class ThresholdChanges(_Changes):
    """Some thresholds."""

    support: Threshold | None = None
    contradiction: Threshold | None = None


class AnswerRules(_Model):
    """Limits on a whole answer.

    Counted are the claims that were to be checked and were not found supported: ``unsupported``,
    ``contradicted`` and ``error``. The share is of all claims with evidence to read; claims with
    none (``unverifiable``) are ``on_no_evidence``'s business and count on neither side.

    Attributes:
        max_unsupported: The most such claims that are let be; None for no limit.
        max_unsupported_share: The largest share of them, 0 to 1; None for no limit.
        action: What to do beyond either limit.
        after_attempts: What that becomes when ``action`` is ``regenerate`` and no attempt is left;
            None for the policy's own ``after_attempts``.
    """

    max_unsupported: Count | None = None
    max_unsupported_share: Share | None = 0.5
    action: LimitAction = Action.REGENERATE
    after_attempts: FinalAction | None = Action.REFUSE


class AnswerChanges(_Changes):
    """Some answer-level rules. Here null lifts a limit."""

    max_unsupported: Count | None = None
    max_unsupported_share: Share | None = None
    action: LimitAction = Action.REGENERATE
    after_attempts: FinalAction | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        return value


class Limits(_Model):
    """What one guarded call may use before ``regenerate`` gives up.

    Attributes:
        attempts: Model calls in all, the first one included.
        seconds: No new attempt once this much time has passed; None for no limit.
        cost_usd: No new attempt once this much was spent; None for no limit. With a limit and a
            provider whose prices are not known, there is no new attempt.
    """

    attempts: Attempts = 2
    seconds: Seconds | None = 60.0
    cost_usd: Dollars | None = None


class LimitChanges(_Changes):
    """Some limits. Here null lifts a limit."""

    attempts: Attempts = 2
    seconds: Seconds | None = None
    cost_usd: Dollars | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        return value


class ReviewRules(_Model):
    """What the caller gets while a person looks.

    Attributes:
        hold: True: ``text`` instead of the answer. False: the answer, with a flag.
        text: What is said meanwhile.
    """

    hold: StrictBool = True
    text: Text = "A person is checking this answer before it is released."


class ReviewChanges(_Changes):
    """Some review rules."""

    hold: StrictBool | None = None
    text: Text | None = None


class KindRules(_Changes):
    """What is different for one kind of claim."""

    thresholds: ThresholdChanges | None = None
    on_supported: OnSupported | None = None
    on_contradicted: Action | None = None
    on_conflict: Action | None = None
    on_unsupported: Action | None = None
    on_no_evidence: OnUnchecked | None = None
    on_error: OnUnchecked | None = None
    on_miscited: Action | None = None
    on_uncited: Action | None = None


Kinds = Annotated[dict[ClaimKind | Facet, KindRules], AfterValidator(_FrozenDict)]


class RouteRules(KindRules):
    """What is different for one route: anything but the name, the version and the routes."""

    on_no_claims: OnAnswer | None = None
    on_empty: OnAnswer | None = None
    on_refused: OnAnswer | None = None
    on_cut: OnAnswer | None = None
    kinds: Kinds | None = None
    answer: AnswerChanges | None = None
    limits: LimitChanges | None = None
    after_attempts: FinalAction | None = None
    refusal: Text | None = None
    review: ReviewChanges | None = None
    blocked: Literal["respond", "raise"] | None = None


Routes = Annotated[dict[RouteName, RouteRules], AfterValidator(_FrozenDict)]


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
        written: The keys the entry itself sets; the others are the top level's.
    """

    prefix: str
    thresholds: Thresholds
    actions: Mapping[str, Action]
    written: frozenset[str] = frozenset()

    def key(self, name: str) -> str:
        """Where the action for ``name`` is written in the policy."""
        return f"{self.prefix}{name}" if name in self.written else name


class Policy(_Model):
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

    kinds: Kinds = Field(default_factory=_FrozenDict)
    answer: AnswerRules = AnswerRules()

    limits: Limits = Limits()
    after_attempts: FinalAction = Action.REDACT
    refusal: Text = (
        "I could not confirm this answer against the sources I have, so I am not giving it."
    )
    review: ReviewRules = ReviewRules()
    blocked: Literal["respond", "raise"] = "respond"

    routes: Routes = Field(default_factory=_FrozenDict)

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
