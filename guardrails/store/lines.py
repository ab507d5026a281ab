"""One line of a spill or export file: JSON whose digest it carries.

``{"digest":"v1:b2:...","groundrail":1,"kind":"record","payload":{"record":{...},"texts":{...}}}``;
``review`` lines hold a new review item, and the ``end`` line of an export counts the lines before
it and digests their digests, so that a cut file is noticed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from guardrails.digests import digest
from guardrails.errors import RecordInvalid
from guardrails.record import Record, canonical_json, load_record
from guardrails.review import Delivery, NewReview, Reason
from policies.types import Action

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION = 1


@dataclass(frozen=True, slots=True)
class RecordLine:
    """A record and its texts."""

    record: Record
    texts: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """A review item that is to be queued."""

    item: NewReview


@dataclass(frozen=True, slots=True)
class EndLine:
    """The end of an export."""

    count: int
    chain: str


Line = RecordLine | ReviewLine | EndLine


def record_line(record: Record, texts: Mapping[str, str]) -> str:
    """The line of a record, without its newline."""
    return _line("record", {"record": json.loads(record.to_json()), "texts": dict(texts)})


def review_line(item: NewReview) -> str:
    """The line of a review item."""
    return _line("review", item_to_json(item))


def end_line(count: int, chain: str) -> str:
    """The last line of an export."""
    return _line("end", {"count": count, "chain": chain})


def chain(before: str, line: str) -> str:
    """The running digest over all lines so far."""
    return digest(before + line)


def parse_line(text: str) -> Line:
    """Read a line back.

    Raises:
        RecordInvalid: If it is not one of ours, was cut or was changed.
    """
    try:
        value = json.loads(text)
        version, kind = value["groundrail"], value["kind"]
        payload, claimed = value["payload"], value["digest"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise RecordInvalid(
            "not a line of a groundrail export", hint="It may be cut; the rest can still be read."
        ) from None
    if version != _VERSION:
        raise RecordInvalid(
            "a line of another export version", hint="Upgrade groundrail to read it."
        )
    if digest(_body(kind, payload)) != claimed:
        raise RecordInvalid(
            "a line whose digest does not match", hint="It was changed after it was written."
        )
    try:
        match kind:
            case "record":
                record = load_record(payload["record"])
                texts = {str(key): str(value) for key, value in payload["texts"].items()}
                return RecordLine(record, texts)
            case "review":
                return ReviewLine(item_from_json(payload))
            case "end":
                return EndLine(int(payload["count"]), str(payload["chain"]))
            case _:
                raise RecordInvalid("a line of an unknown kind", hint="Upgrade groundrail.")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RecordInvalid("a line with parts missing", hint="Was it written by hand?") from None


def item_to_json(item: NewReview) -> dict[str, Any]:
    """A review item as JSON values."""
    return {
        "id": item.id,
        "record_id": item.record_id,
        "created": item.created.isoformat(),
        "delivery": item.delivery.value,
        "action": item.action.value,
        "reasons": [[reason.rule, reason.message, reason.claim_id] for reason in item.reasons],
        "claim_ids": list(item.claim_ids),
        "route": item.route,
        "expires_at": None if item.expires_at is None else item.expires_at.isoformat(),
    }


def item_from_json(value: Mapping[str, Any]) -> NewReview:
    """The inverse of :func:`item_to_json`."""
    expires = value["expires_at"]
    return NewReview(
        id=value["id"],
        record_id=value["record_id"],
        created=datetime.fromisoformat(value["created"]),
        delivery=Delivery(value["delivery"]),
        action=Action(value["action"]),
        reasons=tuple(Reason(*reason) for reason in value["reasons"]),
        claim_ids=tuple(value["claim_ids"]),
        route=value["route"],
        expires_at=None if expires is None else datetime.fromisoformat(expires),
    )


def _body(kind: Any, payload: Any) -> str:
    return canonical_json([_VERSION, kind, payload])


def _line(kind: str, payload: dict[str, Any]) -> str:
    return canonical_json(
        {
            "groundrail": _VERSION,
            "kind": kind,
            "payload": payload,
            "digest": digest(_body(kind, payload)),
        }
    )
