"""Log events and spans. Names and fields are documented in ``guardrails/docs/telemetry.md``.

Nothing is configured globally. Where the application configured structlog, events go through its
configuration; where it did not, they go to the standard logger ``groundrail`` with the fields as
``extra``. Spans go through OpenTelemetry's API, which does nothing without an SDK. User text is in
neither, unless ``log_text`` is on.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

# Here and not on first use: that would be on somebody's event loop.
import structlog
from opentelemetry import trace

from guardrails.report import Disposition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardrails.report import Entry, Report

_NAME = "groundrail"


class Logger(Protocol):
    """What we need of a structlog logger."""

    def info(self, event: str, **fields: Any) -> Any:
        """Log what is as it should be."""
        ...

    def warning(self, event: str, **fields: Any) -> Any:
        """Log what somebody should look at."""
        ...

    def error(self, event: str, **fields: Any) -> Any:
        """Log what needs hands."""
        ...


class Span(Protocol):
    """What we need of an OpenTelemetry span."""

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute."""
        ...


class Telemetry:
    """Where a guard tells what it does."""

    def __init__(
        self,
        *,
        log_text: bool = False,
        spans: bool = True,
        logger: Logger | None = None,
        tracer: Any = None,
    ) -> None:
        """Make one.

        Args:
            log_text: Whether user text may appear in events.
            spans: Whether to make spans.
            logger: A structlog logger; by default the one described above.
            tracer: An OpenTelemetry tracer; by default the global provider's.
        """
        self._log_text = log_text
        self._spans = spans
        self._logger = logger
        self._tracer = tracer

    @contextmanager
    def span(self, name: str, **attributes: Any) -> Iterator[Span | None]:
        """A span around a stage; ``name`` without the prefix. Gives None when spans are off."""
        if not self._spans:
            yield None
            return
        if self._tracer is None:
            self._tracer = trace.get_tracer(_NAME)
        known = {
            f"groundrail.{key}": value for key, value in attributes.items() if value is not None
        }
        with self._tracer.start_as_current_span(
            f"groundrail.{name}", attributes=known, record_exception=False
        ) as span:
            yield span

    def decided(self, report: Report, *, entry: Entry, span: Span | None = None) -> None:
        """One answer was decided on, or a call ended without one."""
        fields = _fields(report, entry)
        if span is not None and report.choice == 0:
            for key, value in fields.items():
                if isinstance(value, str | int | float) and key not in {"answer", "text"}:
                    span.set_attribute(f"groundrail.{key}", value)
        if self._log_text:
            fields |= {
                "question": report.question,
                "answer": report.answer,
                "text": report.text,
                "claim_texts": [claim.verdict.claim.text for claim in report.claims],
            }
        if report.disposition is Disposition.FAILED:
            self._log.warning("groundrail.failed", **fields)
        else:
            self._log.info("groundrail.decided", **fields)

    def store_failed(self, record_id: str, *, code: str, spilled: str | None, what: str) -> None:
        """The store did not take a record or a review item."""
        self._log.error(
            "groundrail.store_failed", record_id=record_id, code=code, spilled=spilled, what=what
        )

    @property
    def _log(self) -> Logger:
        if self._logger is None:
            if structlog.is_configured():
                self._logger = structlog.get_logger(_NAME)
            else:
                # An unconfigured structlog prints to stdout, which belongs to the application.
                return structlog.wrap_logger(  # type: ignore[no-any-return]
                    logging.getLogger(_NAME),
                    processors=[structlog.stdlib.filter_by_level, _to_standard],
                    wrapper_class=structlog.stdlib.BoundLogger,
                    context_class=dict,
                )
        return self._logger


def _to_standard(
    _logger: Any, _method: str, event: Any
) -> tuple[tuple[str], dict[str, dict[str, Any]]]:
    """The event as the message, the fields as ``extra`` under names that logging leaves free."""
    name = event.pop("event")
    shown = " ".join(f"{key}={value}" for key, value in event.items() if value is not None)
    return (f"{name} {shown}".replace("%", "%%"),), {"extra": {"groundrail": dict(event)}}


def _fields(report: Report, entry: Entry) -> dict[str, Any]:
    verdicts = Counter(verdict.label for verdict in report.verdicts)
    model = report.verification.model
    failure = report.failure
    fields: dict[str, Any] = {
        "record_id": report.record_id,
        "call_id": report.call_id,
        "choice": report.choice,
        "entry": entry.value,
        "policy": report.decision.policy,
        "route": report.decision.route,
        "action": report.action.value,
        "disposition": report.disposition.value,
        "claims": len(report.claims),
        **{f"claims_{label}": count for label, count in sorted(verdicts.items())},
        "rule": report.decision.hits[0].rule if report.decision.hits else None,
        "attempts": len(report.attempts),
        "sources": len(report.sources),
        "pairs": report.verification.pairs,
        "pairs_scored": report.verification.pairs_scored,
        "verifier_model": None if model is None else f"{model.name}@{model.revision}",
        "model": report.attempts[-1].model,
        "input_tokens": report.usage.input_tokens,
        "output_tokens": report.usage.output_tokens,
        "cost_usd": report.usage.cost_usd,
        "seconds": round(report.seconds.get("total", 0.0), 6),
        "recorded": report.recorded,
        "review_id": report.review_id,
        "error": None if failure is None else failure.code,
        "error_kind": None if failure is None else failure.kind,
    }
    return fields
