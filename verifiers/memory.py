"""What it looks like when a model runs out of memory, whichever library says so."""

from __future__ import annotations

import re

_SAID = re.compile(
    r"fail\w* to allocate|bad[_ ]?alloc|out of memory|alloc_failed|can(not|'t) allocate"
    r"|smaller than requested bytes",
    re.IGNORECASE,
)


def out_of_memory(error: BaseException | None) -> bool:
    """Whether this error, or what caused it, means that there was not enough memory.

    The libraries share no type for it: Python has MemoryError, torch an OutOfMemoryError, others a
    RuntimeError that only its text tells apart.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        typed = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
        if typed or _SAID.search(str(error)):
            return True
        seen.add(id(error))
        error = error.__cause__
    return False
