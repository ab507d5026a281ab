"""Self-consistency: how far samples of the same model's answer agree with its claims.

What a model makes up it makes up differently each time. That samples agree does not make a claim
true: a model that is wrong in the same way each time is consistent.
"""

from __future__ import annotations

from verifiers.consistency.run import ConsistencyRun
from verifiers.consistency.samples import Sample
from verifiers.consistency.stopping import Stopping, StopReason
from verifiers.consistency.verifier import ConsistencySettings, ConsistencyVerifier

__all__ = [
    "ConsistencyRun",
    "ConsistencySettings",
    "ConsistencyVerifier",
    "Sample",
    "StopReason",
    "Stopping",
]
