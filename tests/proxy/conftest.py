"""A proxy on a real socket, around a scripted verifier and a tiny route of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from guardrails.settings import Settings
from guardrails.testing import ScriptedLLM, ScriptedVerifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI


@pytest.fixture
def make_settings(store_url: str) -> Callable[..., Settings]:
    """Settings of a proxy on a SQLite store; keywords are those of the section ``proxy``."""

    def make(**proxy: Any) -> Settings:
        url = proxy.pop("store", store_url)
        return Settings.model_validate({"store": {"url": url}, "proxy": proxy})

    return make


@pytest.fixture
def make_app() -> Callable[..., FastAPI]:
    """An application without a model."""
    from guardrails.proxy.app import create_app

    def make(settings: Settings, **options: Any) -> FastAPI:
        options = {"verifier": ScriptedVerifier(), "gateway": ScriptedLLM(["Paris."]), **options}
        return create_app(settings, **options)

    return make
