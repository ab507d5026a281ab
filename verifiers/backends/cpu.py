"""What this CPU multiplies fastest: 8-bit integers, where it has instructions for that.

They are VNNI on x86 (``avx512_vnni``, ``avx_vnni``) and the dot product on ARM (``asimddp``).
Without them 8-bit products are slower than single precision: with AVX2 alone by a quarter.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import NamedTuple

# As Linux names them; each multiplies four 8-bit pairs and adds them up in one step.
_FAST = ("avx512_vnni", "avx_vnni", "asimddp")


class Advice(NamedTuple):
    """Whether to compute in int8, and why, for people."""

    int8: bool
    why: str


def int8_advice(
    *,
    cpuinfo: Path = Path("/proc/cpuinfo"),
    system: str = sys.platform,
    machine: str | None = None,
) -> Advice:
    """Whether 8-bit products are the faster ones here.

    Args:
        cpuinfo: Where Linux tells the CPU's features. For tests.
        system: As ``sys.platform``. For tests.
        machine: As ``platform.machine()``. For tests.
    """
    kind = (platform.machine() if machine is None else machine).lower()
    if system == "darwin" and kind == "arm64":
        return Advice(int8=True, why="every Apple chip has the ARM dot product")
    try:
        features = _features(cpuinfo.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return Advice(
            int8=False, why=f"{system} on {kind} does not tell the features of its CPU in a file"
        )
    found = next((name for name in _FAST if name in features), None)
    if found is None:
        return Advice(int8=False, why="the CPU has neither VNNI nor the ARM dot product")
    return Advice(int8=True, why=f"the CPU has {found}")


def _features(text: str) -> set[str]:
    """Of the first processor that lists them; ``flags`` on x86, ``Features`` on ARM."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()
