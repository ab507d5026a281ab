"""Versions of ourselves and of what we stand on, read from installed metadata."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from guardrails.names import DISTRIBUTION


def installed_version(distribution: str) -> str | None:
    """The installed version of a distribution, or None when it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def own_version() -> str:
    """Our version, or ``(source checkout)`` where we run uninstalled."""
    return installed_version(DISTRIBUTION) or "(source checkout)"
