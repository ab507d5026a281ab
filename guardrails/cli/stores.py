"""Opening the store that a command is about."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardrails.errors import ConfigInvalid, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardrails.store.protocol import Store

StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="The store; by default the one of the settings (store.url).",
    ),
]


@contextmanager
def opened_store(url: str | None, *, make: bool = False) -> Iterator[Store]:
    """The store at ``url``, or the settings' store.

    Args:
        url: As given with ``--store``.
        make: Make a SQLite file that is not there. Without, a typing error is no empty store.

    Raises:
        ConfigInvalid: If no store is configured.
        StoreUnavailable: If it is not there, or cannot be opened.
    """
    from guardrails.build import spill_path
    from guardrails.settings import load_settings
    from guardrails.store import open_store

    settings = load_settings()
    address = url or settings.store.url
    if address is None:
        raise ConfigInvalid(
            "No store is configured; nothing was opened.",
            hint="Set store.url in groundrail.yaml, or give --store URL.",
        )
    kind, _, path = address.partition(":///")
    on_disk = kind == "sqlite" and path and not path.startswith("file:")
    if on_disk and not make and not Path(path).exists():
        raise StoreUnavailable(
            f"there is no store at {path}; nothing was made",
            hint="A guarded call makes it, when its settings name the same store.",
        )
    store = open_store(
        address, spill=spill_path(settings, address), timeout_s=settings.store.timeout
    )
    try:
        yield store
    finally:
        store.close()
