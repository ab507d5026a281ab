"""Keeping records and review items, and what happens when the store does not take them.

Nothing is lost in silence. What the store refuses goes to the spill file, from which
``groundrail`` brings it back when the store works again, and is logged as an error. Whether the
answer is released all the same is the setting ``store.on_error``:

* ``continue`` (the default): yes, with a note in the report;
* ``fail``: no; the call raises ``StoreUnavailable``.

A record that could be kept nowhere, neither in the store nor in the spill file, always fails the
call: an answer without a trace is not released.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal, Protocol

from guardrails.effects import Queued, Saved
from guardrails.errors import GuardrailsError, StoreUnavailable
from guardrails.review import Delivery, NewReview, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from guardrails.record import Record
    from guardrails.report import Report, RequestInfo
    from guardrails.telemetry import Telemetry
    from policies.schema import Policy

OnError = Literal["continue", "fail"]


class RecordStore(Protocol):
    """What a recorder needs of ``guardrails.store.protocol.Store``."""

    def save(self, record: Record, *, texts: Mapping[str, str] = ...) -> None:
        """Keep a record and the texts beside it."""
        ...

    def enqueue(self, item: NewReview) -> str:
        """Put an item into the review queue."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Recorder:
    """Writes to a store that is opened on first use. Blocking; called from any thread."""

    def __init__(
        self,
        open_store: Callable[[], RecordStore],
        *,
        telemetry: Telemetry,
        spill: Path | None = None,
        on_error: OnError = "continue",
        store_text: bool = False,
        digest_key: bytes | None = None,
    ) -> None:
        """Make a recorder; nothing is opened yet.

        Args:
            open_store: Opens the store.
            telemetry: Told of every failure.
            spill: File for what cannot even be offered to a store, because it cannot be opened.
            on_error: Whether answers are released when their record was only spilled.
            store_text: Whether texts are stored beside the digests.
            digest_key: Makes digests unguessable; see ``guardrails.digests``.
        """
        self._open_store = open_store
        self._telemetry = telemetry
        self._spill = spill
        self._on_error = on_error
        self._store_text = store_text
        self._key = digest_key
        self._lock = threading.Lock()
        self._store: RecordStore | None = None

    def save(self, report: Report, request: RequestInfo, policy: Policy) -> Saved:
        """Keep the record of one report. Never raises for a store that fails."""
        from guardrails.record import build_record

        try:
            record, texts = build_record(
                report,
                request=request,
                policy=policy,
                store_text=self._store_text,
                key=self._key,
            )
        except GuardrailsError as error:
            self._telemetry.store_failed(
                report.record_id, code=error.code, spilled=None, what="record"
            )
            return Saved(recorded=False, error=error)
        try:
            self._offer(lambda store: store.save(record, texts=texts), lambda: _line(record, texts))
        except GuardrailsError as error:
            note, fatal = self._failed(error, report.record_id, "record")
            return Saved(recorded=False, note=note, error=fatal)
        return Saved(recorded=True)

    def enqueue(self, report: Report, *, held: bool) -> Queued:
        """Put one answer before a person. Never raises for a store that fails."""
        item = NewReview(
            id=report.record_id,
            record_id=report.record_id,
            created=report.started,
            delivery=Delivery.HELD if held else Delivery.RELEASED,
            action=report.action,
            reasons=tuple(
                Reason(hit.rule, hit.message, hit.claim_id) for hit in report.decision.hits
            ),
            claim_ids=tuple(claim.verdict.claim.id for claim in report.claims),
            route=report.decision.route,
        )
        try:
            self._offer(lambda store: store.enqueue(item), lambda: _review_line(item))
        except GuardrailsError as error:
            note, fatal = self._failed(error, report.record_id, "review")
            # A spilled item gets into the queue when the spill file is brought back.
            return Queued(None if fatal else item.id, note=note, error=fatal)
        return Queued(item.id)

    def close(self) -> None:
        """Let go of the store. May be called twice."""
        with self._lock:
            store, self._store = self._store, None
        if store is not None:
            store.close()

    def _offer(self, write: Callable[[RecordStore], object], line: Callable[[], str]) -> None:
        """Write to the store; when it cannot be opened, spill here what a store would spill."""
        with self._lock:
            if self._store is None:
                try:
                    self._store = self._open_store()
                except StoreUnavailable as error:
                    from guardrails.store.spill import keep

                    raise keep(self._spill, line(), error, "what was to be recorded") from error
            store = self._store
        write(store)

    def _failed(
        self, error: GuardrailsError, record_id: str, what: str
    ) -> tuple[str | None, GuardrailsError | None]:
        spilled = getattr(error, "spilled", None)
        self._telemetry.store_failed(record_id, code=error.code, spilled=spilled, what=what)
        if spilled is None or self._on_error == "fail":
            return None, error
        return f"The {what} is not in the store yet ({error.code}); it was kept in a file.", None


def _line(record: Record, texts: Mapping[str, str]) -> str:
    from guardrails.store.lines import record_line

    return record_line(record, texts)


def _review_line(item: NewReview) -> str:
    from guardrails.store.lines import review_line

    return review_line(item)
