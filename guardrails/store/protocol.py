"""The port: what keeps records, their texts and the review queue.

One contract suite (``tests/contract/test_stores.py``) runs on every implementation. A store is
blocking and may be called from several threads at once; on an event loop, call it in a thread.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from guardrails.record import Record
    from guardrails.review import HistoryEntry, NewReview, Resolution, Review, ReviewState
    from policies.types import Action


class Clock(Protocol):
    """Reads the time."""

    def __call__(self) -> datetime:
        """Now, aware."""
        ...


def system_clock() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


class Recovered(NamedTuple):
    """What became of a spill or export file.

    Attributes:
        added: Lines that were not in the store yet.
        known: Lines that were, unchanged.
        bad: Numbers of lines that could not be read, from 1.
    """

    added: int
    known: int
    bad: tuple[int, ...]


class Store(Protocol):
    """Keeps records, texts and reviews.

    Every method raises ``StoreUnavailable`` (or ``StoreReadOnly``, ``StoreLocked``) when the
    database does not answer as it should. What could not be written was not written in part.
    """

    def save(self, record: Record, *, texts: Mapping[str, str] = ...) -> None:
        """Keep a record and the texts beside it. Saving the same record again changes nothing.

        Raises:
            StoreUnavailable: It is not in the store. ``spilled`` names the file it went to
                instead, from which ``recover`` brings it back, or is None when it is lost.
            RecordInvalid: Another record has this id.
        """
        ...

    def get(self, record_id: str) -> Record:
        """One record.

        Raises:
            RecordInvalid: If there is none, or it was changed behind our back.
        """
        ...

    def query(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        action: Action | None = None,
        route: str | None = None,
        call_id: str | None = None,
        limit: int = 100,
    ) -> list[Record]:
        """The newest records first; ``since`` is inclusive, ``until`` is not."""
        ...

    def records(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Record]:
        """All records, oldest first, read in pages."""
        ...

    def texts(self, digests: Sequence[str]) -> dict[str, str]:
        """The texts that are kept, by digest; those that are not are left out."""
        ...

    def texts_of(self, record_id: str) -> dict[str, str]:
        """The texts saved with one record that are still kept."""
        ...

    def forget_texts(self, before: datetime) -> int:
        """Delete every text not saved since ``before``. Records stay. Returns how many."""
        ...

    def forget(self, record_id: str) -> None:
        """Delete a record and the texts no other record needs. Unknown ids are no error."""
        ...

    def enqueue(self, item: NewReview) -> str:
        """Put an item into the queue; returns its id. The same item again changes nothing.

        Raises:
            StoreUnavailable: As for ``save``; a spilled item is queued by ``recover``.
            ReviewConflict: Another item has this id.
        """
        ...

    def get_review(self, review_id: str) -> Review:
        """One item, as it stands now.

        Raises:
            ReviewConflict: If there is none.
        """
        ...

    def list_reviews(
        self, state: ReviewState | None = None, *, route: str | None = None, limit: int = 100
    ) -> list[Review]:
        """Items as they stand now: open and claimed ones oldest first, else newest first."""
        ...

    def claim(self, review_id: str, reviewer: str, lease_s: float) -> Review:
        """Take an item for ``lease_s`` seconds. Of several callers exactly one succeeds.

        Raises:
            ReviewConflict: If it cannot be taken.
            ValueError: If the name or the lease makes no sense.
        """
        ...

    def claim_next(
        self, reviewer: str, lease_s: float, *, route: str | None = None
    ) -> Review | None:
        """Take the oldest open item, or None when nothing is open."""
        ...

    def release(self, review_id: str, reviewer: str) -> Review:
        """Give an item back.

        Raises:
            ReviewConflict: If ``reviewer`` does not hold it.
        """
        ...

    def resolve(
        self, review_id: str, reviewer: str, verdict: Resolution, note: str | None = None
    ) -> Review:
        """Close an item. The text of an edit and the note are kept as texts are.

        Raises:
            ReviewConflict: If ``reviewer`` does not hold it.
            ValueError: If a label names a claim the item does not have.
        """
        ...

    def history(self, review_id: str) -> list[HistoryEntry]:
        """Everything that happened to an item, oldest first."""
        ...

    def expire(self, now: datetime | None = None) -> int:
        """Write down what time has done to the queue. Returns how many items changed."""
        ...

    def recover(self) -> Recovered:
        """Bring in what was spilled; see :func:`guardrails.store.recover`."""
        ...

    def close(self) -> None:
        """Let go of connections. May be called twice; nothing may follow it."""
        ...
