"""Every example runs offline, as a reader would run it, and does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

# What must be in the output: the example's point.
SAYS = {
    "guarded_call.py": (
        "mock response",
        "The deposit is 80 euros [1]. [✗ c3]",
        "claim says 80 euros, source says 50 euros",
        "Decision",
        "policy balanced",
        "What the application gets:",
    ),
    "check.py": (
        "policy bicycle-hire",
        "claim says 80 euros, source says 50 euros",
        "A city bicycle costs 19 euros a day. -> refuse",
    ),
    "consistency.py": ("30 questions, 5 answered right", "AUROC nli: 1.000 over 30 answers"),
    "decorator.py": ("Pier 4",),
    "retriever.py": ("checked against: paragraph-4",),
}
SAYS_NOT = {
    "guarded_call.py": "What the application gets:\n\nA city bicycle costs 18 euros a day [1]. A helmet is "
    "included in the price [1]. The deposit is 80",
    "decorator.py": "sailed around the world",
}


def test_every_example_is_tested() -> None:
    """None is added without saying what it shows."""
    assert [path.name for path in EXAMPLES] == sorted(SAYS)


@pytest.mark.integration
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example(path: Path, tmp_path: Path) -> None:
    """It ends well, warns of nothing, and shows its point, from any folder."""
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    joined = " ".join(done.stdout.split())
    for part in SAYS[path.name]:
        assert " ".join(part.split()) in joined, done.stdout
    if path.name in SAYS_NOT:
        assert SAYS_NOT[path.name] not in done.stdout
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [], "an example leaves nothing behind, nor does what it uses"


def _environment(home: Path) -> dict[str, str]:
    """No keys, no network worth the name, and our packages from the source tree."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "200",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
