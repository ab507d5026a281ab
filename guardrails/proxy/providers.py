"""One upstream out of both adapters: each request goes direct where that is possible."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from guardrails.gateway import load_litellm
from guardrails.proxy.deployments import read_deployments
from guardrails.proxy.direct import DirectUpstream
from guardrails.proxy.routed import RoutedUpstream, tokens_price
from guardrails.proxy.upstream import JSON, Answer, Events, ModelUnknown, Relayed, Wire
from guardrails.responses import read_usage
from guardrails.settings import environment_variables, read_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from guardrails.proxy.deployments import Deployments
    from guardrails.proxy.upstream import ModelInfo
    from guardrails.report import Usage


def open_providers(path: Path) -> Providers:
    """The upstream of a file with a ``model_list``. Reads the file; opens nothing.

    Raises:
        ConfigInvalid: If the file cannot be read, or is no list of deployments.
    """
    return Providers(read_deployments(read_table(path), environment_variables()))


class Providers:
    """The ``Upstream`` of a configuration. One for a whole process and event loop."""

    def __init__(self, deployments: Deployments) -> None:
        """Make one; nothing is imported or opened before the first call."""
        retries = deployments.router.get("num_retries")
        timeout = deployments.router.get("timeout")
        self._deployments = deployments
        self._direct = DirectUpstream(
            deployments.group,
            retries=retries if isinstance(retries, int) else 0,
            timeout=float(timeout) if isinstance(timeout, int | float) else None,
        )
        self._routed = RoutedUpstream(deployments)
        self._prices: ModuleType | None = None

    def models(self) -> tuple[ModelInfo, ...]:
        """Every model callers may name."""
        return self._deployments.models()

    async def prepare(self) -> None:
        """Import LiteLLM, for its prices and, where a deployment needs it, for calls."""
        self._prices = await asyncio.to_thread(load_litellm)
        if not all(d.direct for d in self._deployments.items):
            await self._routed.prepare()

    def _for(self, wire: Wire, body: JSON) -> DirectUpstream | RoutedUpstream:
        """Which adapter answers.

        Raises:
            ModelUnknown: No deployment has the name.
        """
        group = self._deployments.group(str(body.get("model")))
        if not group:
            raise ModelUnknown
        return self._direct if self._deployments.direct(group, wire) else self._routed

    async def call(
        self, wire: Wire, body: JSON, headers: Mapping[str, str], *, within: float | None = None
    ) -> Answer:
        """One whole response, with what it cost."""
        answer = await self._for(wire, body).call(wire, body, headers, within=within)
        if answer.cost_usd is None:
            usage = read_usage(answer.response)
            answer = replace(answer, cost_usd=self.price(str(body.get("model")), usage))
        return answer

    async def stream(
        self, wire: Wire, body: JSON, headers: Mapping[str, str], *, within: float | None = None
    ) -> Events:
        """The stream, once the provider began to answer."""
        return await self._for(wire, body).stream(wire, body, headers, within=within)

    async def relay(self, wire: Wire, body: JSON, headers: Mapping[str, str]) -> Relayed:
        """Status, headers and bytes as they come."""
        return await self._for(wire, body).relay(wire, body, headers)

    def price(self, model: str, usage: Usage) -> float | None:
        """By the configuration's prices, else by LiteLLM's table once that is loaded."""
        group = self._deployments.group(model)
        if not group or usage.input_tokens is None or usage.output_tokens is None:
            return None
        prices = group[0].prices
        if prices is not None:
            return usage.input_tokens * prices[0] + usage.output_tokens * prices[1]
        if self._prices is None:
            return None
        return tokens_price(self._prices, group[0].model, usage)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._direct.aclose()
        await self._routed.aclose()
