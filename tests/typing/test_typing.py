"""The public types are what user-style code takes them for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("path", sorted(HERE.glob("use_*.py")), ids=lambda path: path.name)
def test_user_code_type_checks(path):
    """Under mypy --strict, with its expected errors expected."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=HERE.parent.parent,
    )
    assert done.returncode == 0, done.stdout + done.stderr
