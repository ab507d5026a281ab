"""More answers to the same question: from the model, from the caller, or from a function of theirs.

One port, ``Sampler``; one object a guarded call. Nothing of the caller's is changed: settings go
with each call, and the conversation is sent exactly as it was, so that a provider's prompt cache
still knows it.
"""

from guardrails.sampling.given import FunctionSampler, GivenSamples, as_samples
from guardrails.sampling.model import Abilities, ModelSampler
from guardrails.sampling.values import Batch, Sampler, SampleSettings

__all__ = [
    "Abilities",
    "Batch",
    "FunctionSampler",
    "GivenSamples",
    "ModelSampler",
    "SampleSettings",
    "Sampler",
    "as_samples",
]
