"""Prometheus metrics. No user text, and no label whose values a request could make up.

Routes are paths of the table, models and keys are no labels at all. Everything about answers comes
from the reports, which every guarded call hands to its telemetry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from guardrails.errors import ProviderFailed
from guardrails.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardrails.report import Entry, Failure, Report
    from guardrails.telemetry import Span

CONTENT_TYPE = CONTENT_TYPE_LATEST
UNKNOWN = "unknown"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_STAGES = frozenset({"call", "evidence", "verify", "save", "total"})
_LATE = frozenset({408, 504})
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry, "namespace": "groundrail"}
        self._requests = Counter(
            "requests", "Requests answered.", ["route", "method", "status"], **own
        )
        self._request_seconds = Histogram(
            "request_seconds",
            "Seconds from a request to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            **own,
        )
        self.in_flight = Gauge("requests_in_flight", "Requests at work.", **own)
        self.waiting = Gauge("requests_waiting", "Requests waiting for a place.", **own)
        self._tasks = Gauge("tasks", "Tasks of the event loop that have not ended.", **own)
        self._failed = Counter(
            "requests_failed", "Requests that ended in an error, by its code.", ["code"], **own
        )
        self._answers = Counter(
            "answers", "Answers decided on.", ["entry", "action", "disposition"], **own
        )
        self._claims = Counter("claims", "Claims by verdict.", ["verdict"], **own)
        self._stages = Histogram(
            "stage_seconds",
            "Seconds a guarded call spent in each stage.",
            ["stage"],
            buckets=_SECONDS,
            **own,
        )
        self._tokens = Counter("tokens", "Tokens providers charged for.", ["kind"], **own)
        self._cost = Counter("cost_usd", "What providers charged, where known.", **own)
        self._upstream = Counter(
            "upstream_failures", "Model calls that failed, by kind.", ["kind"], **own
        )
        self._store = Counter("store_failures", "Writes the store did not take.", ["what"], **own)

    def watch_waiting(self, number: Callable[[], int]) -> None:
        """Where to read how many requests wait."""
        self.waiting.set_function(number)

    def watch_tasks(self, number: Callable[[], int]) -> None:
        """Where to read how many tasks the event loop has."""
        self._tasks.set_function(number)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request was answered, to its end."""
        known = method if method in _METHODS else "OTHER"
        self._requests.labels(route, known, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def failed(self, code: str) -> None:
        """One request ended in an error of ours, before or in the middle of its answer."""
        self._failed.labels(code).inc()

    def decided(self, report: Report, entry: Entry) -> None:
        """One answer was decided on, or a call ended without one."""
        self._answers.labels(entry.value, report.action.value, report.disposition.value).inc()
        for verdict in report.verdicts:
            self._claims.labels(verdict.label).inc()
        for stage, seconds in report.seconds.items():
            if stage in _STAGES:
                self._stages.labels(stage).observe(seconds)
        usage = report.usage
        for kind, number in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if number:
                self._tokens.labels(kind).inc(number)
        if usage.cost_usd:
            self._cost.inc(usage.cost_usd)
        for attempt in report.attempts:
            failure = attempt.failure
            if failure is not None and failure.code == ProviderFailed.code and not report.choice:
                self._upstream.labels(_kind(failure)).inc()

    def store_failed(self, what: str) -> None:
        """The store did not take a record or a review item."""
        self._store.labels("review" if what == "review" else "record").inc()

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)


def _kind(failure: Failure) -> str:
    status = failure.status
    if status in _LATE or "timeout" in failure.kind.lower():
        return "timeout"
    if status is None:
        return "connection"
    return f"{status // 100}xx" if 100 <= status < 600 else "other"  # noqa: PLR2004


class MeteredTelemetry(Telemetry):
    """Telemetry that counts, too."""

    def __init__(self, metrics: Metrics, **options: Any) -> None:
        super().__init__(**options)
        self._metrics = metrics

    def decided(self, report: Report, *, entry: Entry, span: Span | None = None) -> None:
        """One answer was decided on, or a call ended without one."""
        self._metrics.decided(report, entry)
        super().decided(report, entry=entry, span=span)

    def store_failed(self, record_id: str, *, code: str, spilled: str | None, what: str) -> None:
        """The store did not take a record or a review item."""
        self._metrics.store_failed(what)
        super().store_failed(record_id, code=code, spilled=spilled, what=what)
