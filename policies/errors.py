"""The error tree of ``policies``.

::

    GroundrailError                     GR000
    └── PolicyError                     GR200  something about a policy
        ├── PolicyInvalid               GR201  the policy cannot be read or breaks the schema
        ├── PolicyNotFound              GR202  no preset and no file of that name
        └── RouteUnknown                GR203  the policy names its routes, and this is none of them

A policy is the operator's own text, so these messages quote its keys and values.
"""

from __future__ import annotations

from dataclasses import dataclass

from verifiers.errors import GroundrailError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a policy.

    Attributes:
        key: Where, as a dotted path such as ``kinds.number.on_unsupported``; empty for the whole
            file.
        message: What is wrong, what is allowed, and the nearest allowed name if there is one.
        line: Line in the file, from 1, or None where there is no file.
    """

    key: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}, " if self.line is not None else ""
        return f"{where}{self.key}: {self.message}" if self.key else f"{where}{self.message}"


class PolicyError(GroundrailError):
    """Something about a policy."""

    code = "GR200"


class PolicyInvalid(PolicyError):
    """The policy cannot be read, or breaks the schema. Nothing was loaded.

    Attributes:
        source: The file, or what the policy was given as.
        problems: Everything found wrong, in the order of the file where known.
    """

    code = "GR201"

    def __init__(self, source: str, problems: tuple[Problem, ...], *, hint: str = "") -> None:
        shown = [str(problem) for problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            shown.append(f"and {len(problems) - _SHOWN} more")
        lines = "".join(f"\n  {line}" for line in shown)
        super().__init__(f"Policy {source} was not loaded:{lines}", hint=hint)
        self.source = source
        self.problems = problems

    def __str__(self) -> str:
        tail = f"\n  {self.hint}" if self.hint else ""
        return f"[{self.code}] {self.message}{tail}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_invalid, (self.source, self.problems, self.hint))


def _invalid(source: str, problems: tuple[Problem, ...], hint: str) -> PolicyInvalid:
    return PolicyInvalid(source, problems, hint=hint)


_SHOWN = 20


class PolicyNotFound(PolicyError):
    """There is no preset and no file of that name."""

    code = "GR202"


class RouteUnknown(PolicyError):
    """The policy names its routes, and this is none of them.

    A policy without ``routes`` decides every route alike, so there a route is only a label.
    """

    code = "GR203"
