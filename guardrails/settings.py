"""The settings, and the only place that reads the environment.

Where a value comes from, strongest first: arguments in code, ``GROUNDRAIL_*`` environment
variables (``GROUNDRAIL_STORE__URL`` is ``store.url``), the settings file, the defaults here. The
file is the one ``GROUNDRAIL_CONFIG`` names, else ``groundrail.yaml``, ``groundrail.yml`` or
``groundrail.toml`` in the working directory. Unknown keys are errors, in the file and in the
environment. Every setting is described in ``guardrails/docs/configuration.md``.
"""

from __future__ import annotations

import difflib
import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from guardrails._proxy_settings import ProxySettings
from guardrails._proxy_settings import Section as _Section
from guardrails.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic.fields import FieldInfo

PREFIX = "GROUNDRAIL_"
CONFIG_VARIABLE = "GROUNDRAIL_CONFIG"
FILE_NAMES = ("groundrail.yaml", "groundrail.yml", "groundrail.toml")

_Positive = Annotated[int, Field(ge=1)]


def state_dir() -> Path:
    """Where records live when nothing else is configured: one place for this user."""
    environment = os.environ  # noqa: TID251 - this module is the reader
    if sys.platform == "win32":
        base = environment.get("LOCALAPPDATA")
        return Path(base or Path.home() / "AppData" / "Local") / "groundrail"
    base = environment.get("XDG_STATE_HOME")
    return Path(base or Path.home() / ".local" / "state") / "groundrail"


def _default_store() -> str:
    return f"sqlite:///{(state_dir() / 'records.db').as_posix()}"


class ModelSettings(_Section):
    """The NLI model. See ``verifiers.backends.ModelSpec``."""

    model: str = "bundled"
    backend: Literal["auto", "onnx", "torch", "tei", "vllm", "kserve"] = "auto"
    revision: str | None = None
    device: str = "cpu"
    form: Literal["auto", "fp32", "int8"] = "auto"
    early_exit: bool = True
    threads: _Positive | None = None
    url: str | None = None
    timeout: Annotated[float, Field(gt=0)] = 30.0
    token: SecretStr | None = None
    labels: tuple[str, ...] | None = None
    template: str | None = None
    tokenizer: str | None = None
    max_tokens: _Positive | None = None
    outputs: Literal["logits", "probabilities"] | None = None
    folder: Path | None = None
    max_queue_pairs: _Positive = 20_000
    cache_pairs: Annotated[int, Field(ge=0)] = 50_000


class ClaimSettings(_Section):
    """How answers are split into claims."""

    language: str = "en"
    pipeline: str | None = None


class EvidenceConfig(_Section):
    """What counts as evidence and how much of it is read."""

    window_tokens: Annotated[int, Field(ge=32)] = 128
    overlap_sentences: Annotated[int, Field(ge=0)] = 1
    read_all_up_to: Annotated[int, Field(ge=0)] = 16
    k: _Positive = 10
    near: Annotated[float, Field(ge=0, le=1)] = 0.3
    first: _Positive = 4
    enough: Annotated[float, Field(gt=0)] = 0.8
    unsure: Annotated[float, Field(gt=0)] = 0.02
    from_messages: bool = True
    from_user: bool = False


class StoreSettings(_Section):
    """Where records go, and what happens when they cannot."""

    url: str | None = Field(default_factory=_default_store)
    text: bool = False
    spill: Path | None = None
    on_error: Literal["continue", "fail"] = "continue"
    timeout: Annotated[float, Field(gt=0)] = 5.0
    digest_key: SecretStr | None = None


class TelemetrySettings(_Section):
    """Log events and spans."""

    log_text: bool = False
    spans: bool = True


class Settings(_Section):
    """Everything an operator can set. Frozen; read once, when a guard is made."""

    policy: str = "balanced"
    model: ModelSettings = ModelSettings()
    claims: ClaimSettings = ClaimSettings()
    evidence: EvidenceConfig = EvidenceConfig()
    store: StoreSettings = Field(default_factory=StoreSettings)
    telemetry: TelemetrySettings = TelemetrySettings()
    proxy: ProxySettings = ProxySettings()


def load_settings(
    path: str | Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Settings:
    """Read the settings file and the environment.

    Args:
        path: The file; by default as described above. A file named here or in the environment
            must exist.
        environment: Instead of the process's own.
        directory: Where to look for a file; the working directory by default.

    Raises:
        ConfigInvalid: Names the file or variable, the key, and what is allowed.
    """
    variables = dict(os.environ if environment is None else environment)  # noqa: TID251
    file = _find(path or variables.get(CONFIG_VARIABLE) or None, directory or Path())
    from_file = {} if file is None else _read(file)
    if file is not None:
        _validated(from_file, f"the settings file {file}", key_of=".".join)
    from_environment = _from_environment(variables)
    # Against the file's values first, so that a fault in the environment is called that.
    merged = _merged(from_file, from_environment)
    settings = _validated(merged, "the environment", key_of=_variable)
    if file is not None:
        settings = _beside(settings, from_file, from_environment, file.parent)
    return settings


def environment_variables() -> dict[str, str]:
    """A copy of the process's environment, for what refers to variables by name."""
    return dict(os.environ)  # noqa: TID251 - this module is the reader


def read_table(path: Path) -> dict[str, Any]:
    """The table in a YAML or TOML file.

    Raises:
        ConfigInvalid: If it cannot be read, or holds no table.
    """
    return _read(path)


def _find(named: str | Path | None, directory: Path) -> Path | None:
    if named is not None:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigInvalid(
                f"The settings file {path} does not exist; nothing was loaded.",
                hint=f"Correct the path, or unset {CONFIG_VARIABLE}.",
            )
        return path
    return next((directory / name for name in FILE_NAMES if (directory / name).is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            value: object = tomllib.loads(text)
        else:
            import yaml

            value = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(
            f"The settings file {path} cannot be read ({type(error).__name__}); "
            "nothing was loaded.",
            hint="There is no such file: correct the path."
            if isinstance(error, FileNotFoundError)
            else "It must be UTF-8 text this user may read.",
        ) from error
    except ValueError as error:  # TOML
        raise _no_syntax(path, str(error)) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "yaml":
            raise
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise _no_syntax(path, f"{where}{getattr(error, 'problem', None) or 'syntax'}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _no_syntax(path, f"it holds a {type(value).__name__}, not a table of settings")
    return value


def _no_syntax(path: Path, why: str) -> ConfigInvalid:
    kind = "TOML" if path.suffix == ".toml" else "YAML"
    return ConfigInvalid(
        f"The settings file {path} is not valid {kind}: {why}; nothing was loaded.",
        hint="See guardrails/docs/configuration.md for an example.",
    )


class _Reader(BaseSettings):
    """The fields of ``Settings``, for pydantic-settings to read the environment by."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_parse_none_str="null"
    )

    policy: str = ""
    model: ModelSettings = ModelSettings()
    claims: ClaimSettings = ClaimSettings()
    evidence: EvidenceConfig = EvidenceConfig()
    store: StoreSettings = StoreSettings(url=None)
    telemetry: TelemetrySettings = TelemetrySettings()
    proxy: ProxySettings = ProxySettings()


class _EnvironmentSource(EnvSettingsSource):
    """An environment that is passed in and not looked up."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = {name.lower(): value for name, value in variables.items()}
        super().__init__(_Reader)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        none = self.env_parse_none_str
        return {k: None if v == none else v for k, v in self._variables.items()}


def _from_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    ours = {
        name.upper(): value
        for name, value in variables.items()
        if name.upper().startswith(PREFIX) and name.upper() != CONFIG_VARIABLE
    }
    known = set(_keys(Settings))
    for name in ours:
        key = name.removeprefix(PREFIX).lower().replace("__", ".")
        if key not in known:
            raise ConfigInvalid(
                f"{name} in the environment is no setting ({key!r}); nothing was loaded.",
                hint=_nearest(key, known, show=_variable_of),
            )
    try:
        found: dict[str, Any] = _EnvironmentSource(ours)()
    except Exception as error:
        raise ConfigInvalid(
            f"The environment cannot be read as settings: {error}; nothing was loaded.",
            hint='Lists are written as JSON, for example \'["entailment", "neutral"]\'.',
        ) from error
    return found


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting as ``section.key``; a section itself can be given as JSON too."""
    for name, info in model.model_fields.items():
        yield f"{prefix}{name}"
        if _is_section(info):
            yield from _keys(info.annotation, f"{prefix}{name}.")  # type: ignore[arg-type]


def _is_section(info: FieldInfo) -> bool:
    return isinstance(info.annotation, type) and issubclass(info.annotation, _Section)


def _variable_of(key: str) -> str:
    return PREFIX + key.replace(".", "__").upper()


def _variable(parts: Iterable[str]) -> str:
    return _variable_of(".".join(parts))


def _nearest(key: str, known: Iterable[str], *, show: Any = str) -> str:
    close = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.6)
    if close:
        return f"Did you mean {show(close[0])}?"
    return f"Allowed: {', '.join(show(key) for key in sorted(known))}."


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        out[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return out


def _validated(values: Mapping[str, Any], where: str, *, key_of: Any) -> Settings:
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        # Without values: they may be secrets.
        first = error.errors(include_input=False, include_url=False)[0]
        parts = [str(part) for part in first["loc"]]
        key = key_of(parts)
        if first["type"] == "extra_forbidden":
            section = _section(parts[:-1])
            known = sorted(section.model_fields)
            wrong = f"{key} is no setting"
            hint = _nearest(parts[-1], known)
            if "Allowed" not in hint:
                hint += f" Allowed: {', '.join(known)}."
        else:
            wrong, hint = f"{key}: {first['msg']}", ""
        more = error.error_count() - 1
        rest = f" (and {more} more)" if more else ""
        raise ConfigInvalid(f"In {where}: {wrong}{rest}; nothing was loaded.", hint=hint) from None


def _section(parts: Iterable[str]) -> type[BaseModel]:
    model: type[BaseModel] = Settings
    for part in parts:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if get_origin(inner) is tuple:  # a list of tables; its indices are no fields
            inner = get_args(inner)[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return model


def _beside(
    settings: Settings,
    from_file: Mapping[str, Any],
    from_environment: Mapping[str, Any],
    folder: Path,
) -> Settings:
    """Paths written in the file are relative to the file, not to wherever the program runs."""
    changes: dict[str, Any] = {}
    if "policy" in from_file and "policy" not in from_environment:
        changes["policy"] = _policy_beside(settings.policy, folder)
    spill = settings.store.spill
    in_file = "spill" in (from_file.get("store") or {})
    if in_file and spill is not None and not spill.is_absolute():
        changes["store"] = settings.store.model_copy(update={"spill": folder / spill})
    proxy, own = settings.proxy, from_file.get("proxy") or {}
    above = from_environment.get("proxy") or {}
    if "model_list" in own and "model_list" not in above and proxy.model_list is not None:
        proxy = proxy.model_copy(update={"model_list": folder / proxy.model_list})
    if "routes" in own and "routes" not in above:
        rules = tuple(
            rule
            if rule.policy is None
            else rule.model_copy(update={"policy": _policy_beside(rule.policy, folder)})
            for rule in proxy.routes
        )
        proxy = proxy.model_copy(update={"routes": rules})
    return settings.model_copy(update={**changes, "proxy": proxy})


def _policy_beside(policy: str, folder: Path) -> str:
    """A policy file beside the settings file, or the name as it is."""
    candidate = folder / policy
    return str(candidate) if candidate.is_file() else policy
