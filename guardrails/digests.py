"""Digests that stand in for texts, ids that sort by time, and the one form of JSON.

A digest is ``v1:b2:`` and the BLAKE2b-256 of the text's UTF-8 bytes (``b2sum -l 256`` gives the
same), or ``v1:b2k:`` and the same keyed. Without a key anyone can hash a guess and compare: a
short text ("yes", a name, a date) is not hidden by its digest. With a key only its holder can.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from datetime import datetime

_MAX_KEY = 64


def encode(text: str) -> bytes:
    """UTF-8, lone surrogates included: model output is not always valid Unicode."""
    return text.encode("utf-8", "surrogatepass")


def decode(data: bytes) -> str:
    """The text :func:`encode` was given."""
    return data.decode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Digester:
    """Text to digest, keyed or not.

    Attributes:
        key: Secret that makes digests unguessable, or None. Records written under different keys
            cannot be compared by digest.
    """

    key: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.key is not None and len(self.key) > _MAX_KEY:
            # BLAKE2b takes 64 bytes of key; longer ones are hashed, as HMAC does.
            object.__setattr__(self, "key", hashlib.blake2b(self.key).digest())

    def __call__(self, text: str) -> str:
        """The digest of ``text``."""
        if self.key:
            mac = hashlib.blake2b(encode(text), digest_size=32, key=self.key)
            return f"v1:b2k:{mac.hexdigest()}"
        return f"v1:b2:{hashlib.blake2b(encode(text), digest_size=32).hexdigest()}"


digest = Digester()
"""The unkeyed digester."""


def sortable_id(at: datetime, entropy: bytes) -> str:
    """A UUID of version 7: sorts by ``at`` (milliseconds), unique by ``entropy``.

    Args:
        at: An aware time, from 1970 on.
        entropy: 10 random bytes, such as ``secrets.token_bytes(10)``.

    Raises:
        ValueError: If ``at`` has no time zone or ``entropy`` is not 10 bytes.
    """
    if at.tzinfo is None or len(entropy) != 10:  # noqa: PLR2004
        raise ValueError("sortable_id needs an aware time and 10 bytes of entropy")
    millis = int(at.timestamp() * 1000)
    value = (millis & ((1 << 48) - 1)) << 80 | int.from_bytes(entropy, "big")
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return str(UUID(int=value))


def canonical_json(value: Any) -> str:
    """Sorted keys, no spaces, ASCII only.

    Raises:
        ValueError: If a number is not finite.
        TypeError: If a value is not JSON.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
