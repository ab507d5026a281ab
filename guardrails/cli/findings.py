"""What an examination finds: one line each, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        area: What it is about.
        level: Whether something has to be done.
        message: What was found.
        hint: What to do, or an empty string.
        data: The same for programs.
    """

    area: str
    level: Level
    message: str
    hint: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
