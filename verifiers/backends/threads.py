"""How many CPU threads one batch should use."""

from __future__ import annotations

import math
import os
from pathlib import Path

# Beyond four threads a small cross-encoder gains little, and the caller's own work needs cores too.
MOST_THREADS = 4


def default_threads(
    *, cpus: set[int] | None = None, system: Path = Path("/sys"), quota: float | None = None
) -> int:
    """The physical cores this process may use, at most four, at least one.

    Respects CPU affinity and a container's CPU quota, so that a process with two of sixty-four
    cores does not start threads that only wait for each other. Two hyper-threads count as one.

    Args:
        cpus: Logical CPUs to count; None asks the operating system. For tests.
        system: Where sysfs is mounted. For tests.
        quota: CPUs' worth of time allowed; None reads the control group. For tests.
    """
    if cpus is None:
        affinity = getattr(os, "sched_getaffinity", None)
        cpus = affinity(0) if affinity else set(range(os.cpu_count() or 1))
    cores: set[str] = set()
    for cpu in cpus:
        siblings = system / f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        try:
            cores.add(siblings.read_text().strip())
        except OSError:
            cores.add(f"cpu {cpu}")
    if quota is None:
        quota = _quota(system / "fs/cgroup")
    allowed = len(cores) if quota is None else min(len(cores), math.ceil(quota))
    return max(1, min(allowed, MOST_THREADS))


def _quota(cgroup: Path) -> float | None:
    """CPUs' worth of time the control group allows, or None when it sets no limit."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit_us = int((cgroup / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((cgroup / "cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return limit_us / period_us if limit_us > 0 and period_us > 0 else None
