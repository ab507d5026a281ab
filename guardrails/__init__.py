"""The middleware: guarded calls, the command line, records.

Importing this package is cheap: every name below is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from guardrails.names import check_names

if TYPE_CHECKING:
    from guardrails.client import Guard
    from guardrails.errors import (
        Blocked,
        ConfigInvalid,
        GuardrailsError,
        ProviderFailed,
        ResponseUnreadable,
        RetrieverFailed,
        SourceUnreadable,
        StoreUnavailable,
        StreamingUnsupported,
        TimedOut,
    )
    from guardrails.report import Disposition, Guarded, Report, Usage
    from guardrails.settings import Settings, load_settings
    from policies.types import Action, Decision
    from verifiers.errors import GroundrailError
    from verifiers.types import Source, Span

__all__ = [
    "Action",
    "Blocked",
    "ConfigInvalid",
    "Decision",
    "Disposition",
    "GroundrailError",
    "Guard",
    "Guarded",
    "GuardrailsError",
    "ProviderFailed",
    "Report",
    "ResponseUnreadable",
    "RetrieverFailed",
    "Settings",
    "Source",
    "SourceUnreadable",
    "Span",
    "StoreUnavailable",
    "StreamingUnsupported",
    "TimedOut",
    "Usage",
    "load_settings",
]

_ERRORS = "guardrails.errors"
_HOME = {
    "Action": "policies.types",
    "Blocked": _ERRORS,
    "ConfigInvalid": _ERRORS,
    "Decision": "policies.types",
    "Disposition": "guardrails.report",
    "GroundrailError": "verifiers.errors",
    "Guard": "guardrails.client",
    "Guarded": "guardrails.report",
    "GuardrailsError": _ERRORS,
    "ProviderFailed": _ERRORS,
    "Report": "guardrails.report",
    "ResponseUnreadable": _ERRORS,
    "RetrieverFailed": _ERRORS,
    "Settings": "guardrails.settings",
    "Source": "verifiers.types",
    "SourceUnreadable": _ERRORS,
    "Span": "verifiers.types",
    "StoreUnavailable": _ERRORS,
    "StreamingUnsupported": _ERRORS,
    "TimedOut": _ERRORS,
    "Usage": "guardrails.report",
    "load_settings": "guardrails.settings",
}

# Half of one distribution and half of another must not run together unnoticed.
check_names()


def __getattr__(name: str) -> object:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
