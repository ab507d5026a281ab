"""Events and spans: documented names, no user text unless asked for, nothing global."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from guardrails import Guard, ProviderFailed, Settings
from guardrails.report import Entry
from guardrails.telemetry import Telemetry, _fields
from guardrails.testing import ScriptedLLM, ScriptedVerifier

DOCS = Path(__file__).resolve().parents[2] / "guardrails" / "docs" / "telemetry.md"
MESSAGES = [{"role": "user", "content": "Secret question?"}]
SOURCE = "Refunds are possible within 30 days of purchase."
RIGHT = "Refunds are possible within 30 days."


class Log:
    def __init__(self):
        self.events = []

    def info(self, event, **fields):
        self.events.append((event, fields))

    warning = error = info


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    exporter.tracer = provider.get_tracer("test")
    yield exporter
    provider.shutdown()


def guard(telemetry, script=(RIGHT,)):
    return Guard(
        settings=Settings(),
        verifier=ScriptedVerifier(),
        gateway=ScriptedLLM(script),
        store=False,
        telemetry=telemetry,
    )


def test_a_decision_is_one_event_without_user_text():
    """Counts, names and ids only."""
    log = Log()
    with guard(Telemetry(logger=log)) as made:
        report = made.completion("m", MESSAGES, sources=[SOURCE]).report
    ((event, fields),) = log.events
    assert event == "groundrail.decided"
    assert fields["record_id"] == report.record_id
    assert fields["claims_supported"] == 1
    assert not re.search("Refund|Secret", str(fields))


def test_text_is_logged_where_switched_on():
    """Question, answer and claims."""
    log = Log()
    with guard(Telemetry(logger=log, log_text=True)) as made:
        made.completion("m", MESSAGES, sources=[SOURCE])
    ((_, fields),) = log.events
    assert fields["question"] == "Secret question?"
    assert fields["claim_texts"] == [RIGHT]


def test_a_failed_call_is_a_warning():
    """With the code and the class of what went wrong."""
    log = Log()
    failing = guard(Telemetry(logger=log), [ValueError("Secret")])
    with failing as made, pytest.raises(ProviderFailed):
        made.completion("m", MESSAGES, sources=[SOURCE])
    ((event, fields),) = log.events
    assert (event, fields["error"], fields["error_kind"]) == (
        "groundrail.failed",
        "GR304",
        "ValueError",
    )
    assert "Secret" not in str(fields)


def test_spans_nest_and_hold_no_text(spans):
    """The guard around its stages; counts as attributes; no exception messages."""
    with guard(Telemetry(logger=Log(), tracer=spans.tracer)) as made:
        made.completion("m", MESSAGES, sources=[SOURCE])
    finished = {span.name: span for span in spans.get_finished_spans()}
    assert set(finished) == {
        "groundrail.guard",
        "groundrail.model_call",
        "groundrail.verify",
        "groundrail.record",
    }
    root = finished.pop("groundrail.guard")
    assert all(span.parent.span_id == root.context.span_id for span in finished.values())
    assert root.attributes["groundrail.action"] == "pass"
    assert not re.search("Refund|Secret", "".join(map(str, (root.to_json(),))))


def test_a_failed_span_quotes_nothing(spans):
    """Messages of exceptions may quote the request."""
    failing = guard(Telemetry(logger=Log(), tracer=spans.tracer), [ValueError("Secret")])
    with failing as made, pytest.raises(ProviderFailed):
        made.completion("m", MESSAGES, sources=[SOURCE])
    assert not any("Secret" in span.to_json() for span in spans.get_finished_spans())


def test_without_a_configured_structlog_events_go_to_the_standard_logger(caplog, capsys):
    """And never to stdout, which belongs to the application."""
    assert not structlog.is_configured()
    with caplog.at_level(logging.INFO, "groundrail"), guard(Telemetry()) as made:
        made.completion("m", MESSAGES, sources=[SOURCE])
    (entry,) = [record for record in caplog.records if record.name == "groundrail"]
    assert entry.groundrail["action"] == "pass"
    assert "groundrail.decided" in entry.getMessage()
    assert capsys.readouterr().out == ""
    assert not structlog.is_configured()


def test_a_configured_structlog_is_used():
    """The application's processors see our events."""
    seen = []

    def keep(_logger, _method, event):
        seen.append(event)
        raise structlog.DropEvent

    try:
        structlog.configure(processors=[keep])
        with guard(Telemetry()) as made:
            made.completion("m", MESSAGES, sources=[SOURCE])
    finally:
        structlog.reset_defaults()
    assert [event["event"] for event in seen] == ["groundrail.decided"]


def test_every_event_field_and_span_is_documented():
    """By name, in the telemetry page."""
    page = DOCS.read_text("utf-8")
    with guard(Telemetry(logger=Log())) as made:
        report = made.completion("m", MESSAGES, sources=[SOURCE]).report
    for name in _fields(report, Entry.CLIENT):
        shown = "claims_<verdict>" if name.startswith("claims_") else name
        assert f"`{shown}`" in page, name
    code = (Path(__file__).resolve().parents[2] / "guardrails").rglob("*.py")
    source = "\n".join(path.read_text("utf-8") for path in code)
    for stage in re.findall(r'telemetry\.span\(\s*"(\w+)"', source):
        assert f"`groundrail.{stage}`" in page, stage
    for event in re.findall(r'\.(?:info|warning|error)\(\s*"(groundrail\.\w+)"', source):
        assert f"`{event}`" in page, event
