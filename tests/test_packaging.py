"""What is shipped and pinned: the lock file, the metadata, the scripts."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
# Everything CI installs by hash. torch is left out: its one pin is in pyproject.toml, and which
# build a machine gets (CPU or CUDA) is the machine's choice.
LOCKED_EXTRAS = ("dev", "otel", "pdf", "postgres")


def _locked() -> dict[str, list[tuple[str, int]]]:
    """Name -> (version, number of hashes), once per environment marker."""
    found: dict[str, list[tuple[str, int]]] = {}
    for block in re.split(r"\n(?=\S)", LOCK):
        match = re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", block)
        if match:
            entry = (match[2], block.count("--hash=sha256:"))
            found.setdefault(canonicalize_name(match[1]), []).append(entry)
    return found


def _requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for name in LOCKED_EXTRAS for line in extras[name])]
    return [Requirement(line) for line in lines if not line.startswith("groundrail")]


@pytest.mark.parametrize("requirement", _requirements(), ids=str)
def test_every_dependency_is_locked(requirement: Requirement) -> None:
    """At a version the project allows."""
    locked = _locked().get(canonicalize_name(requirement.name))
    assert locked, f"{requirement.name} is not in requirements.lock"
    for version, _ in locked:
        assert requirement.specifier.contains(Version(version), prereleases=True)


def test_every_pin_has_hashes() -> None:
    """``pip install --require-hashes`` refuses anything else."""
    locked = _locked()
    assert len(locked) > 50
    assert [name for name, pins in locked.items() if any(hashes == 0 for _, hashes in pins)] == []


def test_the_lock_names_no_place() -> None:
    """No index, no address, no path of the machine that made it."""
    assert "://" not in LOCK
    assert not re.search(r"(^|\s)/\w", LOCK)
    assert "--index-url" not in LOCK
    assert "--find-links" not in LOCK


def test_backdoored_litellm_is_excluded() -> None:
    """1.82.7 and 1.82.8 cannot be installed with us, whatever a range would allow."""
    # The extra for tests names it once more, for its proxy; what is installed meets both.
    litellm, *_ = (item for item in _requirements() if item.name == "litellm" and item.specifier)
    for version in ("1.82.7", "1.82.8"):
        assert not litellm.specifier.contains(Version(version))
        assert version not in {pin for pin, _ in _locked()["litellm"]}


def test_torch_is_pinned_and_stays_out_of_the_test_command() -> None:
    """A range of torch downloads gigabytes; the README's commands download none of it."""
    extras = PROJECT["optional-dependencies"]
    (torch,) = (line for line in extras["torch"] if line.startswith("torch"))
    assert SpecifierSet("==2.13.0") == Requirement(torch).specifier
    named = {Requirement(line).name for line in [*PROJECT["dependencies"], *extras["dev"]]}
    assert not named & {"torch", "transformers"}
    assert "torch" not in _locked()


def test_ci_script_is_strict_and_parses() -> None:
    """It stops at the first failure, and is a script that can be run."""
    script = ROOT / ".ci" / "run"
    assert "set -euo pipefail" in script.read_text("utf-8")
    assert script.stat().st_mode & 0o100
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_metadata_is_complete() -> None:
    """Name, licence, Python and the console script are what the README says."""
    assert PROJECT["name"] == "groundrail"
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["requires-python"] == ">=3.11"
    assert PROJECT["scripts"] == {"groundrail": "guardrails.cli.app:main"}
    assert (ROOT / "LICENSE").read_text("utf-8").lstrip().startswith("Apache License")
