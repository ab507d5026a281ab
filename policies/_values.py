"""The values a policy is written in: which actions, numbers, texts and names make sense where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from policies.types import Action

if TYPE_CHECKING:
    from collections.abc import Callable


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
    if type(value) is not int or value != 1:  # True == 1, and 1.0 == 1
        raise PydanticCustomError("version", "the only version is 1, written as a number", {})
    return value


Version = Annotated[Literal[1], BeforeValidator(_one)]

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A dict that stays as it was loaded: the digest is of what decides."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a policy cannot be changed; load another")

    def __reduce__(self) -> tuple[object, ...]:
        # Copies are built whole; the default would set one item after the other.
        return (FrozenDict, (dict(self),))

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse
