"""The proxy's benchmark and soak run, and say what they must; their figures are not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


def run(module: str, *arguments: str, to: Path) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, "-m", f"guardrails.bench.{module}", *arguments, "--json", str(to)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert to.exists(), done.stderr[-3000:]
    return done.returncode, json.loads(to.read_text("utf-8")), done.stdout


def test_the_benchmark_runs(tmp_path: Path) -> None:
    """Every target answers every request with the provider's answer; a table and JSON come out."""
    status, result, table = run("proxy", "--quick", "--without-litellm", to=tmp_path / "bench.json")
    rows = {
        (row["scenario"], row["clients"], row["stream"], row["target"]): row
        for row in result["rows"]
    }
    assert {key[3] for key in rows} == {"straight", "groundrail", "groundrail-checked"}
    for (scenario, _, stream, _), row in rows.items():
        assert row["errors"] == 0, row
        assert row["requests"] > 0, row
        if scenario == "1,000 words" and stream:
            assert row["sentence_ms"]["median"] > 0
    assert "| groundrail |" in table
    assert status == 0


def test_the_soak_runs(tmp_path: Path) -> None:
    """It watches the process, counts what was answered, and ends it in order."""
    status, result, table = run(
        "soak", "--seconds", "4", "--clients", "2", to=tmp_path / "soak.json"
    )
    assert {"checked_whole", "plain_whole", "nonsense"} <= set(result["answered"])
    assert len(result["seen"]) >= 3
    assert result["after"]["tasks"] > 0
    assert (status == 1) == bool(result["faults"])
    assert "rss_kib" in table
    assert result["errors"] == {}
