"""Records, the review queue, keys and the configuration, for people and their tools.

What users, sources and reviewers wrote is left out unless ``texts=true`` asks for it, and is there
only where ``store.text`` kept it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from guardrails._plain import full_json, key_json, record_row, review_json
from guardrails.errors import NoSuchRoute, RecordInvalid, RequestRefused, ReviewConflict
from guardrails.keys import MAX_NAME, Permissions, Role, new_key
from guardrails.names import DISTRIBUTION
from guardrails.proxy.auth import Caller, caller
from guardrails.proxy.context import Context, context
from guardrails.review import MAX_LEASE_S, ClaimRuling, Resolution, Review, ReviewState, Ruling
from guardrails.store.sql import SqlStore
from policies.types import Action

router = APIRouter(prefix="/admin", tags=["admin"])

T = TypeVar("T")

Here = Annotated[Context, Depends(context)]
Who = Annotated[Caller, Depends(caller)]
Id = Annotated[str, Path(min_length=1, max_length=128)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Texts = Annotated[bool, Query(description="With what users, sources and reviewers wrote.")]
RouteName = Annotated[str | None, Query(max_length=200)]
Plain = dict[str, Any]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewKey(_Body):
    """A key to make."""

    name: str = Field(min_length=1, max_length=MAX_NAME)
    roles: list[Role] = Field(min_length=1, max_length=len(Role))
    sources: bool = True
    policies: list[str] | None = Field(
        default_factory=list, max_length=200, description="Policies and routes; null for any."
    )
    models: list[str] | None = Field(None, max_length=200, description="null for any.")
    rate_per_minute: float | None = Field(None, gt=0, le=1e9)
    expires_at: AwareDatetime | None = None


class Lease(_Body):
    """For how long an item is taken."""

    seconds: float = Field(900.0, gt=0, le=MAX_LEASE_S)


class Taking(Lease):
    """Take the item that has waited longest."""

    route: str | None = Field(None, max_length=200)


class Ruled(_Body):
    """What a reviewer decided."""

    ruling: Ruling
    text: str | None = Field(None, max_length=1_000_000, description="With edit, and only then.")
    labels: dict[str, ClaimRuling] = Field(default_factory=dict, max_length=10_000)
    note: str | None = Field(None, max_length=10_000)


async def _in_store(here: Context, work: Callable[[SqlStore], T]) -> T:
    """Blocking work on the store, off the event loop."""
    return await asyncio.to_thread(lambda: work(here.store.get()))


# ------------------------------------------------------------------ records


@router.get("/records")
async def list_records(
    here: Here,
    *,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    action: Action | None = None,
    route: RouteName = None,
    call_id: Annotated[str | None, Query(max_length=200)] = None,
    limit: Limit = 100,
) -> list[Plain]:
    """The newest records first."""
    found = await _in_store(
        here,
        lambda store: store.query(
            since=_sane(since),
            until=_sane(until),
            action=action,
            route=route,
            call_id=call_id,
            limit=limit,
        ),
    )
    return [record_row(record) for record in found]


@router.get("/records/{record_id}")
async def get_record(here: Here, record_id: Id, *, texts: Texts = False) -> Plain:
    """One record, as ``groundrail policy explain`` reads it, under ``record``."""

    def work(store: SqlStore) -> Plain:
        record = store.get(record_id)
        kept = store.texts_of(record.id) if texts else {}
        return {"record": record.model_dump(mode="json"), "texts": kept}

    return await _in_store(here, work)


# ------------------------------------------------------------------ the review queue


@router.get("/reviews")
async def list_reviews(
    here: Here,
    *,
    state: ReviewState | None = None,
    route: RouteName = None,
    limit: Limit = 100,
    texts: Texts = False,
) -> list[Plain]:
    """Items as they stand now: open and claimed ones oldest first, else newest first."""
    found = await _in_store(here, lambda store: store.list_reviews(state, route=route, limit=limit))
    return [review_json(review, texts=texts) for review in found]


@router.get("/reviews/{review_id}")
async def get_review(here: Here, review_id: Id, *, texts: Texts = False) -> Plain:
    """One item with its history, and its record where that is in the store."""

    def work(store: SqlStore) -> Plain:
        review, history = _existing(store, review_id), store.history(review_id)
        record, kept = None, dict[str, str]()
        try:
            record = store.get(review.item.record_id)
            kept = store.texts_of(record.id) if texts else {}
        except RecordInvalid:
            record = None  # spilled, and not brought back yet
        return full_json(review, history, record, kept if texts else None)

    return await _in_store(here, work)


@router.post("/reviews/claim")
async def claim_next(here: Here, who: Who, taking: Taking) -> Plain | None:
    """Take the item that has waited longest; null when nothing is open."""
    review = await _in_store(
        here, lambda store: store.claim_next(who.reviewer, taking.seconds, route=taking.route)
    )
    return None if review is None else review_json(review, texts=False)


@router.post("/reviews/{review_id}/claim")
async def claim(here: Here, who: Who, review_id: Id, lease: Lease) -> Plain:
    """Take an item, or renew one's hold of it."""

    def work(store: SqlStore) -> Review:
        _existing(store, review_id)
        return store.claim(review_id, who.reviewer, lease.seconds)

    return await _step(here, work)


@router.post("/reviews/{review_id}/release")
async def release(here: Here, who: Who, review_id: Id) -> Plain:
    """Give an item back."""

    def work(store: SqlStore) -> Review:
        _existing(store, review_id)
        return store.release(review_id, who.reviewer)

    return await _step(here, work)


@router.post("/reviews/{review_id}/resolve")
async def resolve(here: Here, who: Who, review_id: Id, ruled: Ruled) -> Plain:
    """Decide on an item. An open one is claimed first."""

    def work(store: SqlStore) -> Review:
        resolution = Resolution(ruled.ruling, ruled.text, tuple(ruled.labels.items()))
        if _existing(store, review_id).state is ReviewState.OPEN:
            store.claim(review_id, who.reviewer, 60)
        return store.resolve(review_id, who.reviewer, resolution, ruled.note)

    return await _step(here, work)


def _existing(store: SqlStore, review_id: str) -> Review:
    try:
        return store.get_review(review_id)
    except ReviewConflict:
        raise NoSuchRoute("There is no such review; nothing was changed.") from None


async def _step(here: Context, work: Callable[[SqlStore], Review]) -> Plain:
    try:
        return review_json(await _in_store(here, work), texts=False)
    except ValueError as error:  # the queue's word for arguments that make no sense
        raise RequestRefused(f"{error}; nothing was changed.") from None


# ------------------------------------------------------------------ keys


@router.get("/keys")
async def list_keys(here: Here) -> list[Plain]:
    """Every key, without what it could be used by."""
    now = datetime.now(UTC)
    return [key_json(key, now=now) for key in await _in_store(here, lambda s: s.keys.all())]


@router.post("/keys", status_code=201)
async def create_key(here: Here, wanted: NewKey, response: Response) -> Plain:
    """Make a key. It is in this answer, under ``key``, and never shown again."""
    may = Permissions(
        wanted.sources,
        None if wanted.policies is None else frozenset(wanted.policies),
        None if wanted.models is None else frozenset(wanted.models),
    )
    try:
        secret, key = new_key(
            wanted.name,
            frozenset(wanted.roles),
            may,
            now=datetime.now(UTC),
            expires_at=_sane(wanted.expires_at),
            rate_per_minute=wanted.rate_per_minute,
        )
    except ValueError as error:
        raise RequestRefused(f"{error}; no key was made.") from None
    await _in_store(here, lambda store: store.keys.add(key))
    response.headers["cache-control"] = "no-store"
    return {"key": secret, **key_json(key, now=key.created)}


@router.delete("/keys/{key_id}")
async def revoke_key(here: Here, key_id: Id) -> Plain:
    """Revoke a key: from now on here, within ``proxy.key_cache`` seconds on other replicas."""
    key = await _in_store(here, lambda store: store.keys.revoke(key_id))
    if key is None:
        raise NoSuchRoute("There is no such key; nothing was changed.")
    here.keys.forget(key.id)
    return key_json(key, now=datetime.now(UTC))


# ------------------------------------------------------------------ configuration


class Configuration(BaseModel):
    """What this replica runs with, without secrets."""

    version: str
    policy: str
    policy_digest: str
    store: str | None
    settings: Plain
    routes: list[Plain]


@router.get("/config")
async def config(here: Here) -> Configuration:
    """What this replica runs with: settings, digests and routes; secrets are left out."""
    settings = here.settings.model_dump(mode="json")
    settings["store"]["url"] = _bare(settings["store"]["url"])
    settings["model"]["url"] = _bare(settings["model"]["url"])
    policy = here.guard.policy
    return Configuration(
        version=_version(),
        policy=policy.name,
        policy_digest=policy.digest,
        store=settings["store"]["url"],
        settings=settings,
        routes=[
            {"method": route.method, "path": route.path, "roles": sorted(route.roles)}
            for route in here.table.routes
        ],
    )


def _bare(url: str | None) -> str | None:
    """An address without user, password and query, each of which may hold a secret."""
    if url is None:
        return None
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "source checkout"


def _sane(moment: datetime | None) -> datetime | None:
    """A time as databases take it: years before 1 and after 9999 appear when zones are undone.

    Raises:
        RequestRefused: If it is out of range.
    """
    if moment is None:
        return None
    try:
        there = moment.astimezone(UTC)
        there + timedelta(days=1), there - timedelta(days=1)
    except (OverflowError, ValueError):
        raise RequestRefused("A time is out of range; nothing was done.") from None
    return there
