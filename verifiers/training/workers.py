"""Data parallelism in threads: each worker takes a share of every batch, on a core of its own.

Several threads inside one operation wait for each other at every operation, and where another
process holds a core they are slower than one thread. Workers meet once a step. What they share is
the weights; gradients are added up in the workers' order, so the result does not depend on who
was faster.
"""

from __future__ import annotations

import copy
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from verifiers.training.files import require
from verifiers.training.losses import mixed_loss

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]


class Workers:
    """Computes gradients of a network with ``count`` threads.

    Args:
        network: Its ``both(...)`` gives the logits, and an exit head's or None.
        count: Threads, at least 1.
        exit_weight: Weight of the exit head's loss.
    """

    def __init__(self, network: Any, count: int, *, exit_weight: float) -> None:
        if count < 1:
            raise ValueError(f"{count} workers cannot train")
        self._torch = require("torch")
        self._exit_weight = exit_weight
        self._networks = [network, *(self._twin(network) for _ in range(count - 1))]
        self._pool = ThreadPoolExecutor(count, "training") if count > 1 else None

    def backward(self, arrays: Arrays, *, smoothing: float, bf16: bool) -> float:
        """Add the gradients of a batch's mean loss to the network's; returns the last head's loss.

        Args:
            arrays: As :func:`verifiers.training.sampling.collate` makes them.
            smoothing: See :func:`verifiers.training.losses.mixed_loss`.
            bf16: Multiply in bfloat16.
        """
        rows = len(arrays["labels"])
        count = min(len(self._networks), rows)
        bounds = [rows * i // count for i in range(count + 1)]
        parts = [
            {name: value[start:end] for name, value in arrays.items()}
            for start, end in itertools.pairwise(bounds)
        ]

        def share(number: int) -> float:
            part = parts[number]
            weight = len(part["labels"]) / rows
            return self._share(
                self._networks[number], part, weight=weight, smoothing=smoothing, bf16=bf16
            )

        if self._pool is None:
            return share(0)
        loss = sum(self._pool.map(share, range(count)))
        first = self._networks[0]
        for twin in self._networks[1:count]:
            for mine, other in zip(first.parameters(), twin.parameters(), strict=True):
                if other.grad is not None:
                    mine.grad = other.grad if mine.grad is None else mine.grad.add_(other.grad)
                    other.grad = None
        return loss

    def _share(
        self, network: Any, part: Arrays, *, weight: float, smoothing: float, bf16: bool
    ) -> float:
        torch = self._torch
        tensors = {name: torch.from_numpy(array) for name, array in part.items()}
        labels = tensors.pop("labels")
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            logits, early = network.both(**tensors)
        loss = last = weight * mixed_loss(logits, labels, smoothing=smoothing)
        if early is not None:
            other = mixed_loss(early, labels, smoothing=smoothing)
            loss = loss + self._exit_weight * weight * other
        loss.backward()  # type: ignore[no-untyped-call]
        return float(last.detach())

    def _twin(self, network: Any) -> Any:
        """A network with the same weights, in the same memory, and gradients of its own."""
        twin = copy.deepcopy(network)
        for mine, other in zip(network.parameters(), twin.parameters(), strict=True):
            other.data = mine.data
        return twin
