"""The section ``proxy`` of the settings."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

_MIN_ADMIN_KEY = 32

_Positive = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(gt=0)]
_SecondsOrNone = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """A table of settings: frozen, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class LimitSettings(Section):
    """What one request, one key and the whole proxy may take."""

    body_bytes: _Positive = 8 * 1024 * 1024
    json_depth: _Positive = 64
    sources: _Positive = 256
    source_chars: _Positive = 1_000_000
    sources_chars: _Positive = 4_000_000
    concurrency: _Positive = 64
    queue: Annotated[int, Field(ge=0)] = 128
    queue_seconds: _Seconds = 10.0
    request_seconds: _Seconds = 600.0
    rate_per_minute: Annotated[float, Field(gt=0)] | None = None
    rate_burst: _Positive = 20


class RouteRule(Section):
    """What holds for requests of a path or a model. What is not set is left as it is otherwise.

    ``model`` and ``path`` may hold ``*``. A rule with neither holds for every request.
    """

    path: str | None = None
    model: str | None = None
    policy: str | None = None
    route: str | None = None
    from_messages: bool | None = None
    retriever: str | None = None

    def holds(self, *, path: str, model: str | None) -> bool:
        """Whether it holds for a request."""
        if self.path is not None and not fnmatchcase(path, self.path):
            return False
        return self.model is None or (model is not None and fnmatchcase(model, self.model))


class ProxySettings(Section):
    """The server that stands in front of providers. See ``guardrails/docs/proxy.md``."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8600
    auth: Literal["keys", "off"] = "keys"
    open_to_network: bool = False
    admin_key: SecretStr | None = None
    key_cache: _SecondsOrNone = 5.0
    key_grace: _SecondsOrNone = 60.0
    provider_keys: Literal["own", "pass"] = "own"
    model_list: Path | None = None
    routes: tuple[RouteRule, ...] = ()
    retrievers: dict[str, str] = Field(default_factory=dict)
    limits: LimitSettings = LimitSettings()
    shutdown_delay: _SecondsOrNone = 0.0
    shutdown: _Seconds = 30.0
    log: Literal["json", "text"] = "json"

    @field_validator("auth", mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        """``off`` as it is written: YAML 1.1 reads the bare word as false."""
        return "off" if value is False else value

    @field_validator("admin_key")
    @classmethod
    def _long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _MIN_ADMIN_KEY:
            raise ValueError(
                f"must have at least {_MIN_ADMIN_KEY} characters; "
                'python -c "import secrets; print(secrets.token_urlsafe(32))" makes one'
            )
        return value

    def rule_for(self, *, path: str, model: str | None) -> RouteRule:
        """What holds for a request: of each key the first rule's that holds and sets it."""
        found: dict[str, object] = {}
        for rule in self.routes:
            if rule.holds(path=path, model=model):
                for key in ("policy", "route", "from_messages", "retriever"):
                    value = getattr(rule, key)
                    if value is not None:
                        found.setdefault(key, value)
        return RouteRule.model_validate(found)
