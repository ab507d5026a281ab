"""What a database's error means, in our terms. Never its own words: they can quote values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exc

from guardrails.errors import StoreLocked, StoreReadOnly, StoreUnavailable

if TYPE_CHECKING:
    from guardrails.errors import GuardrailsError

_PG_LOCKED = {"55P03", "57014", "40P01", "40001"}
_PG_READ_ONLY = {"25006", "42501"}


def translate(error: exc.SQLAlchemyError, shown: str) -> GuardrailsError:
    """The error to raise for what SQLAlchemy raised about the database called ``shown``."""
    if isinstance(error, exc.TimeoutError):
        return StoreLocked(
            f"all connections to the store {shown} are in use; nothing was written",
            hint="Write less at once, or give the store a longer timeout.",
        )
    origin = getattr(error, "orig", None)
    name = getattr(origin, "sqlite_errorname", None)
    if isinstance(name, str):
        return _sqlite(name, shown)
    if isinstance(error, exc.DBAPIError):
        return _postgres(getattr(origin, "sqlstate", None), shown)
    return StoreUnavailable(
        f"the store {shown} failed ({type(error).__name__}); nothing was written",
        hint="Please report this with the cause below.",
    )


def _sqlite(name: str, shown: str) -> GuardrailsError:
    kind = name.removeprefix("SQLITE_").partition("_")[0]
    match kind:
        case "BUSY" | "LOCKED":
            return StoreLocked(
                f"the store {shown} is locked by another process ({name}); nothing was written",
                hint="Close what holds it open (a backup, a database browser), or give the store"
                " a longer timeout.",
            )
        case "READONLY" | "PERM":
            return StoreReadOnly(
                f"the store {shown} can be read but not written ({name}); nothing was written",
                hint="Check the owner and mode of the file and of its folder.",
            )
        case "FULL":
            return StoreUnavailable(
                f"the disk under the store {shown} is full ({name}); nothing was written",
                hint="Free some space, or delete old texts with forget_texts().",
            )
        case "CANTOPEN":
            return StoreUnavailable(
                f"the store {shown} cannot be opened ({name}); nothing was written",
                hint="Check that its folder exists and may be written to.",
            )
        case "CORRUPT" | "NOTADB":
            return StoreUnavailable(
                f"the store {shown} is damaged or no SQLite database ({name}); nothing was written",
                hint="Move the file away to start a new store, or restore it from a backup.",
            )
        case _:
            return StoreUnavailable(
                f"the store {shown} failed ({name}); nothing was written",
                hint="Search for the SQLite result code.",
            )


def _postgres(state: str | None, shown: str) -> GuardrailsError:
    if state is None:
        return StoreUnavailable(
            f"the store {shown} cannot be reached, or the connection broke; nothing was written",
            hint="Check that the server runs, its address, and the user name and password.",
        )
    if state in _PG_READ_ONLY:
        return StoreReadOnly(
            f"the store {shown} can be read but not written (SQLSTATE {state});"
            " nothing was written",
            hint="Connect to the primary server, with a user who may write.",
        )
    if state in _PG_LOCKED:
        return StoreLocked(
            f"another session holds the store {shown} (SQLSTATE {state}); nothing was written",
            hint="See pg_stat_activity for who, or give the store a longer timeout.",
        )
    hints = {
        "28": "Check the user name and password.",
        "3D": "Create the database first; groundrail makes its tables, not the database.",
        "53": "The server is out of disk, memory or connections.",
        "57": "The server is starting up or shutting down.",
    }
    return StoreUnavailable(
        f"the store {shown} failed (SQLSTATE {state}); nothing was written",
        hint=hints.get(state[:2], "Search for the SQLSTATE."),
    )
