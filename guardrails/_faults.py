"""What pydantic found wrong with something given, told without the thing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def first_fault(error: ValidationError, *under: str) -> tuple[str, str]:
    """Where the first fault is, below ``under``, and what it is. Never the value: a user's text."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return ".".join([*under, *map(str, first["loc"])]), first["msg"]
