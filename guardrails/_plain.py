"""Records, review items and keys as plain data, for the command line and the proxy alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from guardrails.keys import Key
    from guardrails.record import Record
    from guardrails.review import HistoryEntry, Review


def review_json(review: Review, *, texts: bool = True) -> dict[str, Any]:
    """A review item. ``texts``: with what the reviewer wrote."""
    item, resolution = review.item, review.resolution
    return {
        "id": item.id,
        "record_id": item.record_id,
        "state": review.state.value,
        "delivery": item.delivery.value,
        "action": item.action.value,
        "route": item.route,
        "created": iso(item.created),
        "expires_at": iso(item.expires_at),
        "reviewer": review.reviewer,
        "lease_until": iso(review.lease_until),
        "lapses": review.lapses,
        "reasons": [
            {"rule": reason.rule, "message": reason.message, "claim": reason.claim_id}
            for reason in item.reasons
        ],
        "claims": list(item.claim_ids),
        "resolved_at": iso(review.resolved_at),
        "resolution": None
        if resolution is None
        else {
            "ruling": resolution.ruling.value,
            "text": resolution.text if texts else None,
            "labels": {claim: label.value for claim, label in resolution.labels},
            "note": review.note if texts else None,
        },
    }


def full_json(
    review: Review,
    history: Sequence[HistoryEntry],
    record: Record | None,
    texts: Mapping[str, str] | None,
) -> dict[str, Any]:
    """A review item with all that belongs to it; ``texts`` None leaves out what people wrote."""
    return {
        "review": review_json(review, texts=texts is not None),
        "history": [
            {
                "at": iso(entry.at),
                "event": entry.event.value,
                "reviewer": entry.reviewer,
                "state": entry.state.value,
            }
            for entry in history
        ],
        "record": None if record is None else record.model_dump(mode="json"),
        "texts": dict(texts or {}),
    }


def record_row(record: Record) -> dict[str, Any]:
    """A record in a list: what it takes to choose one."""
    return {
        "id": record.id,
        "call_id": record.call_id,
        "created": record.created.isoformat(),
        "action": record.action.value,
        "disposition": record.disposition.value,
        "entry": record.entry.value,
        "route": record.route,
        "policy": record.policy.name,
        "attempts": len(record.attempts),
        "text_stored": record.text_stored,
    }


def key_json(key: Key, *, now: datetime) -> dict[str, Any]:
    """A key, without anything it could be used by."""
    state = "revoked" if key.revoked_at else "valid" if key.valid(now) else "expired"
    return {
        "id": key.id,
        "name": key.name,
        "state": state,
        "roles": sorted(key.roles),
        "sources": key.may.sources,
        "policies": None if key.may.policies is None else sorted(key.may.policies),
        "models": None if key.may.models is None else sorted(key.may.models),
        "rate_per_minute": key.rate_per_minute,
        "created": iso(key.created),
        "expires_at": iso(key.expires_at),
        "revoked_at": iso(key.revoked_at),
    }


def iso(moment: datetime | None) -> str | None:
    """A time as text."""
    return None if moment is None else moment.isoformat()
