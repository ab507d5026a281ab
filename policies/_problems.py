"""Pydantic's findings as sentences for the person who wrote the policy."""

from __future__ import annotations

import difflib
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from policies.errors import Problem
from policies.schema import Policy
from policies.types import Action
from verifiers.types import ClaimKind, Facet, ScorerName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_QUOTED = 60
_KINDS = (*(kind.value for kind in ClaimKind), *(facet.value for facet in Facet))
_ACTIONS = tuple(action.value for action in Action)


def problems_of(
    error: ValidationError, lines: Mapping[tuple[str, ...], int]
) -> tuple[Problem, ...]:
    """Every finding once, in the order of the file where lines are known."""
    found: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        problem = _problem(detail, lines)
        found.setdefault(problem.key or problem.message, problem)
    return tuple(sorted(found.values(), key=lambda problem: problem.line or 0))


def nearest(given: object, allowed: Iterable[str]) -> str:
    """`` (did you mean 'x'?)``, or nothing when nothing is near."""
    close = difflib.get_close_matches(str(given)[:_QUOTED], list(allowed), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _problem(detail: ErrorDetails, lines: Mapping[tuple[str, ...], int]) -> Problem:
    path = tuple(str(part) for part in detail["loc"])
    if "[key]" in path:
        path = path[: path.index("[key]")]
    context: dict[str, Any] = detail.get("ctx") or {}
    key = str(context.get("key") or ".".join(path))
    line = _line(tuple(key.split(".")), lines)
    return Problem(key, _message(detail, path, context), line)


def _line(path: tuple[str, ...], lines: Mapping[tuple[str, ...], int]) -> int | None:
    # The key itself, or the nearest table around it that stands in the file.
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)


def _message(  # noqa: C901, PLR0911 - a table of sentences
    detail: ErrorDetails, path: tuple[str, ...], context: dict[str, Any]
) -> str:
    given = _shown(detail["input"])
    match detail["type"]:
        case "extra_forbidden":
            allowed = sorted(_keys_of(path[:-1]))
            return f"unknown key; allowed: {', '.join(allowed)}{nearest(path[-1], allowed)}"
        case "enum" if path[:-1][-1:] == ("kinds",):
            return f"unknown kind of claim; allowed: {', '.join(_KINDS)}{nearest(path[-1], _KINDS)}"
        case "enum" if path[-1:] == ("scorer",):
            allowed = [name.value for name in ScorerName]
            hint = nearest(detail["input"], allowed)
            return f"{given} is no scorer; allowed: {', '.join(allowed)}{hint}"
        case "enum":
            hint = nearest(detail["input"], _ACTIONS)
            return f"{given} is not an action; allowed: {', '.join(_ACTIONS)}{hint}"
        case "action_not_allowed":
            return f"{detail['msg']}; allowed: {', '.join(context['allowed'])}"
        case "string_pattern_mismatch" if path[:-1] == ("routes",):
            return (
                "a route's name is letters, digits and _ . : / -, and starts with none of . : / -"
            )
        case "string_pattern_mismatch" | "string_too_short":
            return f"{given} is blank, or begins or ends with white space"
        case "finite_number":
            return f"{given} is not a finite number"
        case "bool_type":
            return f"{given} is not true or false"
        case "float_type" | "int_type" | "int_from_float":
            whole = "a whole number" if detail["type"].startswith("int") else "a number"
            return f"{given} is not {whole}"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"{given} stands where a table of keys belongs"
        case _:
            said = detail["msg"].removeprefix("Input ")
            return f"{given} {said}" if said != detail["msg"] else said


def _shown(value: object) -> str:
    if value is None:
        return "no value"
    text = value.value if isinstance(value, Enum) else value
    shown = repr(text)
    return shown if len(shown) <= _QUOTED else f"{shown[:_QUOTED]}..."


def _keys_of(path: tuple[str, ...]) -> set[str]:
    """The keys a table may have: found by walking the models along the path."""
    at: Any = Policy
    for part in path:
        at = _below(at, part)
    names = set(at.model_fields)
    return names | {"extends"} if at is Policy else names


def _below(at: Any, part: str) -> Any:
    if get_origin(at) is dict:
        return get_args(at)[1]
    return _plain(at.model_fields[part].annotation)


def _plain(annotation: Any) -> Any:
    """A model or a dict, out of ``X | None`` and ``Annotated[X, ...]``."""
    while not (get_origin(annotation) is dict or _is_table(annotation)):
        annotation = get_args(annotation)[0]
    return annotation


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
