"""Errors as people and programs see them: one block on stderr, one exit code."""

from __future__ import annotations

import json
import sys

from verifiers.errors import GroundrailError, SourceInvalid

# By what was decided (see ``exit_code``) ...
PASSED = 0
REDACTED = 10
REGENERATE = 11
REVIEW = 12
REFUSED = 13
# ... and by what went wrong.
BAD_INPUT = 2
INTERNAL = 3
INTERRUPTED = 130

# Codes for which the input is at fault. Everything else of ours is a failure of a part.
_INPUT_CODES = frozenset({"GR120", "GR302", "GR310", "GR311", "GR312"})
_POLICY_CODES = "GR2"


def exit_code_of(error: BaseException) -> int:
    """2 when the input has to change, 3 when something has to be mended."""
    if isinstance(error, SourceInvalid):
        return BAD_INPUT
    if isinstance(error, GroundrailError) and (
        error.code in _INPUT_CODES or error.code.startswith(_POLICY_CODES)
    ):
        return BAD_INPUT
    return INTERNAL


def describe_failure(error: BaseException) -> dict[str, str]:
    """``code``, ``message``, ``hint`` and ``cause`` of an error, as text."""
    if isinstance(error, GroundrailError):
        cause = error.__cause__
        return {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "cause": f"{type(cause).__name__}: {cause}" if cause else "",
        }
    return {
        "code": "GR000",
        "message": f"unexpected {type(error).__name__}: {error}",
        "hint": "This is a bug. Run it again with groundrail --debug and report what it prints.",
        "cause": "",
    }


def report_failure(error: BaseException, *, as_json: bool = False) -> int:
    """Write an error to stderr (and as JSON to stdout when asked) and give its exit code."""
    said = describe_failure(error)
    code = exit_code_of(error)
    lines = [f"error {said['code']}: {said['message']}"]
    if said["cause"]:
        lines.append(f"  because: {said['cause']}")
    if said["hint"]:
        lines.append(f"  what to do: {said['hint']}")
    print("\n".join(lines), file=sys.stderr)
    if as_json:
        print(json.dumps({"error": said, "exit_code": code}))
    return code
