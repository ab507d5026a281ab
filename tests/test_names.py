"""Our import names are ours alone, or the first import says whose they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from guardrails import names
from guardrails.errors import NameCollision

ROOT = Path(__file__).resolve().parent.parent


def install(site: Path, distribution: str, files: list[str], version: str = "1.0") -> None:
    """Write a distribution as pip would: its files and a dist-info with a RECORD."""
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
    )
    for name in files:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).touch()
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in [*files, f"{info.name}/RECORD"]))


OURS = [
    f"{name}/{file}" for name in names.NAMES for file in ("__init__.py", "errors.py", "sub/x.py")
]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site-packages folder that holds our wheel, and nothing else on the path."""
    folder = tmp_path / "site"
    install(folder, "groundrail", OURS)
    monkeypatch.setattr(names, "_OURS", str(folder))
    monkeypatch.setattr(sys, "path", [str(folder)])
    return folder


def test_our_wheel_alone_is_fine(site: Path) -> None:
    """Also with compiled files beside it."""
    (site / "guardrails/__pycache__").mkdir()
    names.check_names()
    assert names.find_collisions() == ()


@pytest.mark.parametrize(
    ("rival", "files", "name"),
    [
        ("guardrails-ai", ["guardrails/__init__.py", "guardrails/guard.py"], "guardrails"),
        ("openai-guardrails", ["guardrails/__init__.py", "guardrails/checks/a.py"], "guardrails"),
        ("verifiers", ["verifiers/__init__.py", "verifiers/envs/a.py"], "verifiers"),
        ("somebodys-policies", ["policies/__init__.py", "policies/mine.py"], "policies"),
    ],
)
def test_a_rival_in_the_same_folder_is_named(
    site: Path, rival: str, files: list[str], name: str
) -> None:
    """Files overwrote each other: the message names the distribution and the way out."""
    install(site, rival, files)
    with pytest.raises(NameCollision, match=rival) as error:
        names.check_names()
    assert error.value.code == "GR303"
    assert repr(name) in error.value.message
    assert f"pip uninstall {rival}" in error.value.hint
    assert [item.name for item in names.find_collisions()] == [name]


def test_the_command_says_it_without_a_traceback(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``groundrail doctor`` cannot start either: it ends with the message and a non-zero code."""
    install(site, "guardrails-ai", ["guardrails/__init__.py", "guardrails/guard.py"])
    monkeypatch.setattr(sys, "argv", ["/usr/bin/groundrail", "doctor"])
    with pytest.raises(SystemExit, match=r"error \[GR303\].*guardrails-ai"):
        names.check_names()


def test_a_rival_elsewhere_on_the_path_is_named(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours is imported first today; the order of the path decides tomorrow."""
    other = tmp_path / "other"
    install(other, "guardrails-ai", ["guardrails/__init__.py"])
    monkeypatch.setattr(sys, "path", [str(site), str(other)])
    with pytest.raises(NameCollision, match="guardrails-ai"):
        names.check_names()


def test_a_loose_package_before_ours_is_refused(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application's own ``policies`` package would be imported instead of ours."""
    (tmp_path / "app/policies").mkdir(parents=True)
    (tmp_path / "app/policies/__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "app"), str(site)])
    with pytest.raises(NameCollision, match="'policies' is taken by another package") as error:
        names.check_names()
    assert "Rename" in error.value.hint


def test_a_folder_of_policy_files_is_no_package(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without ``__init__.py`` never wins over a package."""
    (tmp_path / "app/policies").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "app"), str(site)])
    names.check_names()


def test_an_editable_install_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata lies in site-packages, the packages in a checkout; or there is no metadata."""
    site, checkout = tmp_path / "site", tmp_path / "checkout"
    install(site, "groundrail", ["__editable__.groundrail.pth"])
    for name in OURS:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    monkeypatch.setattr(names, "_OURS", str(checkout))
    monkeypatch.setattr(sys, "path", [str(site), str(checkout)])
    names.check_names()
    monkeypatch.setattr(sys, "path", [str(checkout)])
    names.check_names()


def test_a_checkout_beside_an_installed_copy_passes(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are ours."""
    checkout = tmp_path / "checkout"
    for name in OURS:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    monkeypatch.setattr(names, "_OURS", str(checkout))
    monkeypatch.setattr(sys, "path", [str(checkout), str(site)])
    names.check_names()


def test_the_first_import_says_so(tmp_path: Path) -> None:
    """``import guardrails`` fails before half of one package and half of another run."""
    install(tmp_path, "verifiers", ["verifiers/__init__.py"])
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import guardrails"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "NameCollision: [GR303]" in done.stderr
    assert "distribution 'verifiers'" in done.stderr
