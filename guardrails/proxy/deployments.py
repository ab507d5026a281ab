"""Deployments from a ``model_list`` as LiteLLM's own configuration writes it. Pure.

Which of them can be spoken to directly is decided here: the provider must speak the protocol that
the caller speaks, and every setting of the deployment must be one we carry out ourselves. All
others go through LiteLLM, which gets the list as it was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from guardrails.errors import ConfigInvalid
from guardrails.proxy.upstream import ModelInfo, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REFERENCE: Final = "os.environ/"


@dataclass(frozen=True, slots=True)
class _Provider:
    """A provider that speaks one of our protocols: where it is, and where its key is kept."""

    speaks: frozenset[Wire]
    base: str | None
    base_variables: tuple[str, ...]
    key_variables: tuple[str, ...]


_PROVIDERS: Final[Mapping[str, _Provider]] = {
    "openai": _Provider(
        frozenset({"chat", "responses"}),
        "https://api.openai.com/v1",
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        ("OPENAI_API_KEY",),
    ),
    "hosted_vllm": _Provider(
        frozenset({"chat"}), None, ("HOSTED_VLLM_API_BASE",), ("HOSTED_VLLM_API_KEY",)
    ),
    "anthropic": _Provider(
        frozenset({"messages"}),
        "https://api.anthropic.com",
        ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
        ("ANTHROPIC_API_KEY",),
    ),
}
# Names that LiteLLM, too, reads as this provider's without a prefix.
_BARE: Final = (("gpt-", "openai"), ("chatgpt-", "openai"), ("claude-", "anthropic"))

# What a direct call carries out itself. Anything else a deployment sets is LiteLLM's business.
_CARRIED: Final = frozenset(
    {
        "api_base",
        "api_key",
        "base_url",
        "extra_headers",
        "input_cost_per_token",
        "model",
        "organization",
        "output_cost_per_token",
        "timeout",
        "weight",
    }
)
# Fields of the request that a deployment may give a default for.
_DEFAULTS: Final = frozenset(
    {
        "frequency_penalty",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "parallel_tool_calls",
        "presence_penalty",
        "reasoning_effort",
        "seed",
        "service_tier",
        "stop",
        "temperature",
        "top_k",
        "top_p",
    }
)
# Router settings that change nothing for a group of direct deployments, or that we carry out.
_ROUTER_CARRIED: Final = frozenset(
    {"model_group_alias", "num_retries", "routing_strategy", "timeout"}
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry of the list.

    Attributes:
        name: What callers call it; ``*`` stands for any text.
        provider: The provider's name, or an empty string where only LiteLLM can tell.
        model: What the provider calls it.
        base: Where the provider is, without a slash at the end.
        key: The provider's key, or None when the caller has to bring one.
        headers: Sent with every request.
        defaults: Fields of the request that count when the caller leaves them out.
        timeout: Seconds, or None.
        weight: How often it is taken among deployments of one name.
        prices: US dollars an input and an output token, where the configuration says them.
        direct: The protocols in which it can be spoken to without LiteLLM.
        written: The entry as written, references to the environment resolved.
    """

    name: str
    provider: str
    model: str
    base: str | None = None
    key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | None = None
    weight: float = 1.0
    prices: tuple[float, float] | None = None
    direct: frozenset[Wire] = frozenset()
    written: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Deployments:
    """The whole list.

    Attributes:
        items: In the order they were written.
        router: LiteLLM's ``router_settings``.
        aliases: Other names of models.
    """

    items: tuple[Deployment, ...]
    router: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def models(self) -> tuple[ModelInfo, ...]:
        """Each name once. Patterns are left out: nobody can call a model ``*``."""
        owners = {
            d.name: d.provider or "litellm" for d in reversed(self.items) if "*" not in d.name
        }
        names = dict.fromkeys(d.name for d in self.items if "*" not in d.name)
        known = [ModelInfo(name, owners[name]) for name in names]
        return (*known, *(ModelInfo(a, owners[m]) for a, m in self.aliases.items() if m in owners))

    def group(self, model: str) -> tuple[Deployment, ...]:
        """The deployments that answer to a name: exactly, else by the longest pattern.

        A pattern's ``*`` is what the model's own ``*`` stands for.
        """
        model = self.aliases.get(model, model)
        exact = tuple(d for d in self.items if d.name == model)
        if exact:
            return exact
        patterns = sorted({d.name for d in self.items if "*" in d.name}, key=len, reverse=True)
        for pattern in patterns:
            found = re.fullmatch("(.*)".join(map(re.escape, pattern.split("*", 1))), model)
            if found is not None:
                middle = found.group(1)
                return tuple(
                    replace(d, model=d.model.replace("*", middle))
                    for d in self.items
                    if d.name == pattern
                )
        return ()

    def direct(self, group: Sequence[Deployment], wire: Wire) -> bool:
        """Whether a group can be called without LiteLLM in this protocol."""
        if not group or not all(wire in deployment.direct for deployment in group):
            return False
        strategy = self.router.get("routing_strategy", "simple-shuffle")
        return strategy == "simple-shuffle" and not (self.router.keys() - _ROUTER_CARRIED)

    def litellm_list(self) -> list[dict[str, Any]]:
        """The list for LiteLLM's Router."""
        return [dict(deployment.written) for deployment in self.items]


def read_deployments(config: Mapping[str, Any], environment: Mapping[str, str]) -> Deployments:
    """The deployments of a configuration.

    Args:
        config: ``model_list`` and, if wanted, ``router_settings``, as LiteLLM writes them.
        environment: What ``os.environ/NAME`` and the providers' usual variables are looked up in.

    Raises:
        ConfigInvalid: Names the entry and the key, never a value.
    """
    listed = config.get("model_list")
    if not isinstance(listed, list) or not listed:
        raise _invalid("model_list", "is no list of deployments")
    router = config.get("router_settings") or {}
    if not isinstance(router, dict):
        raise _invalid("router_settings", "is no table")
    items = tuple(
        _deployment(entry, f"model_list[{number}]", environment)
        for number, entry in enumerate(listed)
    )
    aliases = {}
    for alias, target in (router.get("model_group_alias") or {}).items():
        name = target.get("model") if isinstance(target, dict) else target
        if not isinstance(name, str):
            raise _invalid(f"router_settings.model_group_alias.{alias}", "names no model")
        aliases[str(alias)] = name
    return Deployments(items, _resolved(router, "router_settings", environment), aliases)


def _invalid(where: str, what: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"{where} {what}; nothing was loaded.",
        hint="Deployments are written as in LiteLLM's configuration: a model_name, and "
        "litellm_params with at least a model.",
    )


def _resolved(value: Any, where: str, environment: Mapping[str, str]) -> Any:
    """A copy in which ``os.environ/NAME`` is what the variable says."""
    if isinstance(value, dict):
        return {str(k): _resolved(v, f"{where}.{k}", environment) for k, v in value.items()}
    if isinstance(value, list):
        return [_resolved(v, f"{where}[{i}]", environment) for i, v in enumerate(value)]
    if isinstance(value, str) and value.startswith(_REFERENCE):
        name = value.removeprefix(_REFERENCE)
        if name not in environment:
            raise _invalid(where, f"refers to the environment variable {name}, which is not set")
        return environment[name]
    return value


def _deployment(entry: object, where: str, environment: Mapping[str, str]) -> Deployment:
    if not isinstance(entry, dict):
        raise _invalid(where, "is no table")
    written: dict[str, Any] = _resolved(entry, where, environment)
    name, params = written.get("model_name"), written.get("litellm_params")
    if not isinstance(name, str) or not name:
        raise _invalid(f"{where}.model_name", "is missing or no text")
    if not isinstance(params, dict) or not isinstance(params.get("model"), str):
        raise _invalid(f"{where}.litellm_params.model", "is missing or no text")
    provider, model = _split(params["model"], params.get("custom_llm_provider"))
    known = _PROVIDERS.get(provider)
    if known is None:
        return Deployment(name, provider, model, written=written)
    base = params.get("api_base") or params.get("base_url")
    base = base or _first(known.base_variables, environment) or known.base
    headers = params.get("extra_headers") or {}
    organization = params.get("organization")
    if organization:
        headers = {**headers, "openai-organization": organization}
    prices = [params.get(f"{side}_cost_per_token") for side in ("input", "output")]
    fits = not (params.keys() - _CARRIED - _DEFAULTS) and base is not None
    return Deployment(
        name=name,
        provider=provider,
        model=model,
        base=None if base is None else str(base).rstrip("/"),
        key=params.get("api_key") or _first(known.key_variables, environment),
        headers={str(key).lower(): str(value) for key, value in headers.items()},
        defaults={key: params[key] for key in params.keys() & _DEFAULTS},
        timeout=_number(params.get("timeout"), f"{where}.litellm_params.timeout"),
        weight=_number(params.get("weight"), f"{where}.litellm_params.weight") or 1.0,
        prices=None if None in prices else (float(prices[0] or 0), float(prices[1] or 0)),
        direct=known.speaks if fits else frozenset(),
        written=written,
    )


def _split(model: str, provider: object) -> tuple[str, str]:
    if isinstance(provider, str):
        return "", model  # LiteLLM's rules of what that means
    prefix, slash, rest = model.partition("/")
    if slash:
        return prefix, rest
    return next((owner for start, owner in _BARE if model.startswith(start)), ""), model


def _first(names: Sequence[str], environment: Mapping[str, str]) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)


def _number(value: object, where: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # what cannot be one is told below
    except (TypeError, ValueError):
        raise _invalid(where, "is no number") from None
    if not number > 0:
        raise _invalid(where, "is not greater than 0")
    return number
