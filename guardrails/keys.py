"""Keys of the proxy: how they look, what they allow, and what is kept of them.

A key is ``gr_``, an id of 12 hexadecimal digits, ``_`` and 32 random bytes. Shown once, when it is
made. The store keeps the id, by which a key is found, and a BLAKE2b digest of the whole: no salt
and no slow hash, because nobody can try 2^256 random values however fast the hash is. Slow hashes
are for what people make up.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

_FORM: Final = re.compile(r"gr_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 6
MAX_NAME: Final = 100


class Role(StrEnum):
    """What a key may be used for. A key can have several; none includes another."""

    CALL = "call"  # model calls and checks
    REVIEW = "review"  # records and the review queue
    ADMIN = "admin"  # keys, configuration, records and the review queue
    METRICS = "metrics"  # /metrics, and nothing else


@dataclass(frozen=True, slots=True)
class Permissions:
    """What calls with a key may ask for.

    Attributes:
        sources: Whether they may bring sources of their own.
        policies: The policies and routes they may name; None for any, empty for none but the
            default.
        models: The models they may use; None for any.
    """

    sources: bool = True
    policies: frozenset[str] | None = frozenset()
    models: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key.

    Attributes:
        id: Its public part.
        name: Whose it is; unique among those that are not revoked.
        digest: Of the whole key.
        roles: What it may be used for.
        may: What its calls may ask for.
        created: When, UTC.
        expires_at: From when on it is no longer valid, or None.
        revoked_at: When it was revoked, or None.
        rate_per_minute: Instead of the settings' rate, or None.
    """

    id: str
    name: str
    digest: str = field(repr=False)
    roles: frozenset[Role]
    may: Permissions
    created: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    rate_per_minute: float | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > MAX_NAME or not self.name.isprintable():
            raise ValueError(f"a key's name has 1 to {MAX_NAME} printable characters")
        if not self.roles:
            raise ValueError("a key needs a role")
        for moment in (self.created, self.expires_at, self.revoked_at):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("times need a zone")
        if self.rate_per_minute is not None and not self.rate_per_minute > 0:
            raise ValueError("a rate is more than 0 requests a minute")

    def valid(self, now: datetime) -> bool:
        """Whether it can be used at ``now``."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def new_secret() -> str:
    """A new key, as its holder gets it."""
    return f"gr_{secrets.token_hex(_ID_BYTES)}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def id_of(secret: str) -> str | None:
    """The id in a key, or None when it does not have the form of one."""
    found = _FORM.fullmatch(secret)
    return None if found is None else found.group(1)


def key_digest(secret: str) -> str:
    """The digest that is kept of a key."""
    data = secret.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=32, person=b"groundrail-key").hexdigest()


def same(secret: str, digest: str) -> bool:
    """Whether a digest is that of the key, in a time that does not tell where they differ."""
    return hmac.compare_digest(key_digest(secret), digest)


def new_key(
    name: str,
    roles: frozenset[Role],
    may: Permissions,
    *,
    now: datetime,
    expires_at: datetime | None = None,
    rate_per_minute: float | None = None,
) -> tuple[str, Key]:
    """A new key as its holder gets it, and what is kept of it.

    Raises:
        ValueError: If something of it makes no sense.
    """
    secret = new_secret()
    key_id = id_of(secret)
    assert key_id is not None  # noqa: S101 - it was made a line above
    if expires_at is not None and expires_at <= now:
        raise ValueError("the key would have expired already")
    return secret, Key(
        key_id,
        name,
        key_digest(secret),
        roles,
        may,
        created=now,
        expires_at=expires_at,
        rate_per_minute=rate_per_minute,
    )
