"""Who is asked for second opinions in one call: from the policy and the caller to samplers, judges.

Part of ``guardrails.engine``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardrails.judging.model import ModelJudge
from guardrails.sampling import FunctionSampler, GivenSamples, ModelSampler, as_samples
from guardrails.sampling.model import connection_for
from guardrails.sampling.values import SampleSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardrails._flow_values import Job
    from guardrails.build import Parts
    from guardrails.engine import Options
    from guardrails.judging.values import Judge
    from guardrails.sampling.values import Sampler


def sampler_of(
    parts: Parts, job: Job, options: Options, request: Mapping[str, Any] | None
) -> Sampler | None:
    """Who draws samples in this call, or None.

    Raises:
        ConfigInvalid: If ``samples`` holds something that is no answer.
    """
    if options.samples is not None:
        return GivenSamples(as_samples(options.samples))
    if options.sampler is not None:
        return FunctionSampler(options.sampler)
    rules = job.policy.for_route(job.route).consistency
    if request is None or rules.when == "never":
        return None
    settings = SampleSettings(
        temperature=rules.temperature,
        seed=rules.seed,
        logprobs=rules.logprobs,
        at_once=rules.at_once,
        model=rules.model,
    )
    return ModelSampler(parts.gateway, request, settings, parts.abilities, parts.connections)


def judge_of(parts: Parts, job: Job, request: Mapping[str, Any] | None) -> Judge | None:
    """Who judges in this call, or None."""
    rules = job.policy.for_route(job.route).judge
    if rules.when == "never" or job.judge is None:
        return None
    own = parts.connections.get(job.judge, {})
    return ModelJudge(
        parts.gateway,
        connection_for(request or {}, job.judge, own),
        abilities=parts.abilities,
        at_once=rules.at_once,
        characters=rules.characters,
    )
