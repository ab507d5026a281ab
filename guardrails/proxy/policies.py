"""The policies and retrievers that requests and rules may name: those of the configuration.

A request names a policy; it never gives one, and its name is never taken for a path.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from guardrails.errors import ConfigInvalid, RequestRefused
from guardrails.retrievers import adapt
from policies.load import load_policy, preset_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardrails._proxy_settings import RouteRule
    from guardrails.retrievers import Retriever
    from guardrails.settings import Settings
    from policies.schema import Policy

NO_POLICY: Final = "none"
_RULES: Final = 10_000


class PolicyBook:
    """Everything that can be named, loaded once."""

    def __init__(self, settings: Settings) -> None:
        """Load it. Blocks: it reads files and imports what retrievers are in.

        Raises:
            PolicyError: If a policy cannot be loaded.
            ConfigInvalid: If a retriever cannot be found.
        """
        self._proxy = settings.proxy
        self._rules: dict[tuple[str, str | None], RouteRule] = {}
        refs = [*preset_names(), settings.policy]
        refs += [rule.policy for rule in settings.proxy.routes if rule.policy is not None]
        self._policies: dict[str, Policy] = {}
        for ref in dict.fromkeys(refs):
            if ref != NO_POLICY:
                policy = load_policy(ref)
                self._policies[ref] = policy
                self._policies.setdefault(policy.name, policy)
        self._retrievers = _retrievers(settings.proxy.retrievers)

    def rule(self, path: str, model: str | None) -> RouteRule:
        """What the configuration says for requests of a path and a model."""
        found = self._rules.get((path, model))
        if found is None:
            found = self._proxy.rule_for(path=path, model=model)
            if len(self._rules) < _RULES:
                self._rules[path, model] = found
        return found

    def get(self, name: str) -> Policy:
        """A policy by the name or path of the configuration, or by its own name.

        Raises:
            RequestRefused: If there is none.
        """
        found = self._policies.get(name)
        if found is None:
            raise RequestRefused(
                "guardrails.policy names no policy of this proxy; nothing was sent.",
                hint="The presets, and the policies that the configuration names, can be named.",
                param="guardrails.policy",
            )
        return found

    def retriever(self, name: str) -> Retriever:
        """A retriever that a rule names."""
        return self._retrievers[name]


def _retrievers(refs: Mapping[str, str]) -> dict[str, Retriever]:
    return {name: adapt(_imported(name, ref), name=name) for name, ref in refs.items()}


def _imported(name: str, ref: str) -> object:
    module, _, path = ref.partition(":")
    try:
        found: object = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigInvalid(
            f"proxy.retrievers.{name} cannot be imported ({type(error).__name__}); "
            "nothing was started.",
            hint="Write it as package.module:name; the module must be importable here.",
        ) from error
    return found
