"""Records out of a store as lines of JSON, and back in. Every line is hash-checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from guardrails.errors import RecordInvalid
from guardrails.store.lines import EndLine, chain, end_line, parse_line, record_line
from guardrails.store.protocol import Recovered
from guardrails.store.spill import put

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from guardrails.store.protocol import Store


def export_jsonl(
    store: Store,
    out: TextIO,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    texts: bool = False,
) -> int:
    """Write every record of the time given, oldest first, and an end line. Returns how many.

    Args:
        store: Where from.
        out: Where to; ASCII only.
        since: From this time on.
        until: Before this time.
        texts: Also the texts kept beside the records. They are what users and models wrote.
    """
    count, running = 0, ""
    for record in store.records(since=since, until=until):
        line = record_line(record, store.texts_of(record.id) if texts else {})
        out.write(line + "\n")
        running = chain(running, line)
        count += 1
    out.write(end_line(count, running) + "\n")
    return count


def import_jsonl(store: Store, lines: Iterable[str]) -> Recovered:
    """Read an export into a store. Importing it again changes nothing.

    Raises:
        RecordInvalid: At the first line that is not as it was written, or when the end is missing.
            Whole lines before it are in the store; nothing else is.
        StoreUnavailable: If the store fails; likewise.
    """
    added = known = 0
    running = ""
    ended = False
    for number, raw in enumerate(lines, start=1):
        text = raw.strip()
        if not text:
            continue
        if ended:
            raise _refused(number, "a line after the end", added + known)
        try:
            parsed = parse_line(text)
            if isinstance(parsed, EndLine):
                ended = True
                if parsed != EndLine(added + known, running):
                    raise _refused(number, "lines are missing before the end", added + known)
                continue
            fresh = put(store, text)
        except RecordInvalid as error:
            if error.message.startswith("line "):
                raise
            raise _refused(number, error.message, added + known) from error
        running = chain(running, text)
        added += fresh
        known += not fresh
    if not ended:
        raise _refused(None, "the file has no end line: it was cut", added + known)
    return Recovered(added, known, ())


def _refused(number: int | None, why: str, done: int) -> RecordInvalid:
    place = "the last line" if number is None else f"line {number}"
    return RecordInvalid(
        f"{place}: {why}; {done} records before it are in the store",
        hint="Export again, or use recover() to take what can be read.",
    )
