"""A fetch that is killed, at any moment: no half model can be used, and the next fetch recovers.

Real processes and SIGKILL, against a scripted hub on the loopback interface.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from verifiers.backends import ModelSpec, load_scorer
from verifiers.backends.fake_hub import FakeHub
from verifiers.backends.installed import Manifest, faults, installed, preset_folder
from verifiers.backends.presets import PRESETS
from verifiers.backends.testing import wait_until
from verifiers.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

huggingface_hub = pytest.importorskip("huggingface_hub")

from verifiers.backends.hub import fetch  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")

PRESET = PRESETS["minicheck-roberta"]
WEIGHTS = "pytorch_model.bin"
# The library writes ten megabytes at a time: half of this leaves some on disk and some under way.
LARGE = bytes(range(256)) * 98_304
WAIT_S = 120.0


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub with one preset's repository."""
    files = {
        "config.json": b'{"model_type": "roberta"}',
        "tokenizer.json": b'{"version": "1.0"}',
        "tokenizer_config.json": b"{}",
        WEIGHTS: b"weights " * 400,
    }
    # The suite is offline by its environment; this hub is on this machine.
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    huggingface_hub.close_session()
    with FakeHub({PRESET.repo: files}, {PRESET.repo: PRESET.revision or ""}) as made:
        yield made
    huggingface_hub.close_session()


def command(hub: FakeHub, folder: Path, *more: str) -> list[str]:
    fetching = ["models", "fetch", PRESET.name, "--endpoint", hub.url, "--folder", str(folder)]
    return [sys.executable, "-m", "guardrails.cli", *fetching, *more]


@contextmanager
def killed(hub: FakeHub, ran: list[str]) -> Iterator[None]:
    """A process that waits in the middle of the file the hub holds, and is killed there."""
    with subprocess.Popen(ran, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as fetching:
        try:
            assert wait_until(
                lambda: hub.held.is_set() or fetching.poll() is not None, seconds=WAIT_S
            )
            assert fetching.poll() is None, fetching.communicate()
            yield
        finally:
            fetching.kill()
    assert fetching.returncode == -signal.SIGKILL


def not_there(folder: Path) -> None:
    """Neither as installed, nor for a scorer."""
    with pytest.raises(ModelUnavailable, match="is not in"):
        installed(PRESET, folder)
    if find_spec("torch"):
        with pytest.raises(ModelUnavailable, match="is not in"):
            load_scorer(ModelSpec(model=PRESET.name, folder=str(folder), canaries=False))


def whole(hub: FakeHub, folder: Path) -> Manifest:
    """It is there, every byte of it, and nothing else is."""
    place, manifest = installed(PRESET, folder)
    listed = hub.repos[PRESET.repo]
    assert {name: (place / name).read_bytes() for name in manifest.files} == listed
    assert {path.name for path in place.iterdir()} == {*listed, "groundrail-manifest.json"}
    assert [path.name for path in folder.iterdir()] == [PRESET.name]
    return manifest


@pytest.mark.parametrize("name", ["tokenizer.json", WEIGHTS])
def test_a_first_fetch_that_is_killed(hub: FakeHub, tmp_path: Path, name: str) -> None:
    """In the middle of a file: nothing is there before or after; whole files had arrived for good."""
    hub.repos[PRESET.repo][WEIGHTS] = LARGE
    hub.hold = name
    folder = tmp_path / "m"
    with killed(hub, command(hub, folder)):
        if name == WEIGHTS:
            assert wait_until(lambda: any(_partial(folder)), seconds=WAIT_S)
        not_there(folder)
    not_there(folder)

    hub.hold = None
    hub.requests.clear()
    again = subprocess.run(command(hub, folder), capture_output=True, timeout=WAIT_S, check=False)
    assert again.returncode == 0, again.stderr
    whole(hub, folder)
    fetched = {asked.rpartition("/")[2] for asked in hub.requests if asked.startswith("GET")}
    assert name in fetched
    assert "config.json" not in fetched


def _partial(folder: Path) -> list[int]:
    """The bytes on disk of files that are not whole yet."""
    return [path.stat().st_size for path in folder.rglob("*.incomplete") if path.stat().st_size]


def test_an_update_that_is_killed(hub: FakeHub, tmp_path: Path) -> None:
    """What was there stays usable, and the next fetch brings the new one."""
    before, _ = fetch(PRESET, tmp_path, endpoint=hub.url)
    hub.repos[PRESET.repo][WEIGHTS] = LARGE
    hub.hold = WEIGHTS
    with killed(hub, command(hub, tmp_path, "--force")):
        assert installed(PRESET, tmp_path)[1] == before
    assert installed(PRESET, tmp_path)[1] == before
    hub.hold = None
    fetch(PRESET, tmp_path, endpoint=hub.url, force=True)
    assert whole(hub, tmp_path) != before


# A process that kills itself at a step of putting the model in place.
_DYING = """
import os, signal, sys
from pathlib import Path
from verifiers.backends import hub, installed
from verifiers.backends.presets import PRESETS
name, step, url, folder = sys.argv[1:]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def second(real, done=[]):
    def call(*given, **more):
        done.append(1)
        return real(*given, **more) if len(done) == 1 else die()
    return call

if step == "no manifest":
    hub.write_manifest = die
elif step == "half a manifest":
    installed.os.replace = die
elif step == "not in place":
    hub._put_in_place = die
elif step == "old one set aside":
    Path.rename = second(Path.rename)
elif step == "old one not removed":
    hub.shutil.rmtree = second(hub.shutil.rmtree)
hub.fetch(PRESETS[name], folder, endpoint=url, force=True)
"""
STEPS = ["no manifest", "half a manifest", "not in place", "old one set aside"]


def dying(hub: FakeHub, folder: Path, step: str) -> None:
    ran = [sys.executable, "-c", _DYING, PRESET.name, step, hub.url, str(folder)]
    done = subprocess.run(ran, capture_output=True, timeout=WAIT_S, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("step", STEPS[:-1])
def test_a_first_fetch_that_is_killed_at_its_end(hub: FakeHub, tmp_path: Path, step: str) -> None:
    """All files have arrived, and it is no model yet."""
    dying(hub, tmp_path, step)
    not_there(tmp_path)
    fetch(PRESET, tmp_path, endpoint=hub.url)
    whole(hub, tmp_path)


@pytest.mark.parametrize("step", [*STEPS, "old one not removed"])
def test_an_update_that_is_killed_at_its_end(hub: FakeHub, tmp_path: Path, step: str) -> None:
    """One of the two is there, or none; then the old one is put back, without a network."""
    before, _ = fetch(PRESET, tmp_path, endpoint=hub.url)
    hub.repos[PRESET.repo][WEIGHTS] = b"others " * 400
    dying(hub, tmp_path, step)
    if step == "old one set aside":
        not_there(tmp_path)
        with pytest.raises(ModelUnavailable):
            fetch(PRESET, tmp_path, endpoint="http://127.0.0.1:9", force=True)
    now = installed(PRESET, tmp_path)[1]
    assert (now == before) is (step != "old one not removed")
    fetch(PRESET, tmp_path, endpoint=hub.url, force=True)
    assert whole(hub, tmp_path) != before


def test_nothing_of_another_revision_is_left(hub: FakeHub, tmp_path: Path) -> None:
    """What a killed fetch had got is not taken for a part of the model that is fetched next."""
    files = hub.repos[PRESET.repo]
    files["added_tokens.json"] = b'{"[NEW]": 7}'
    dying(hub, tmp_path, "no manifest")
    del files["added_tokens.json"], files[WEIGHTS]
    files["model.safetensors"] = b"weights of the other revision"
    hub.commits = {PRESET.repo: "f" * 40}
    manifest, _ = fetch(PRESET, tmp_path, endpoint=hub.url, revision="main")
    assert set(manifest.files) == set(files)
    assert whole(hub, tmp_path) == manifest
    assert not faults(PRESET, manifest, tmp_path)
    assert preset_folder(PRESET, tmp_path).is_dir()
