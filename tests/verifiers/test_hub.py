"""Fetching presets, against a scripted hub on the loopback interface."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from verifiers.backends.fake_hub import FakeHub
from verifiers.backends.installed import MANIFEST, faults, preset_folder, read_manifest
from verifiers.backends.presets import PRESETS
from verifiers.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

huggingface_hub = pytest.importorskip("huggingface_hub")

from verifiers.backends.hub import fetch  # noqa: E402

PRESET = PRESETS["minicheck-roberta"]
PAIRED = PRESETS["hhem-2.1-open"]
COMMIT = PRESET.revision or ""
FILES = {
    "config.json": b'{"model_type": "roberta"}',
    "tokenizer.json": b'{"version": "1.0"}',
    "tokenizer_config.json": b"{}",
    "pytorch_model.bin": b"weights " * 400,
    "modeling.py": b"raise SystemExit('code of the model')",
    "README.md": b"# card",
    "../../evil.json": b"{}",
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub with MiniCheck's repository, HHEM's and the one HHEM builds on."""
    assert PAIRED.companion is not None
    state = FakeHub(
        repos={
            PRESET.repo: dict(FILES),
            PAIRED.repo: {
                "config.json": b"{}",
                "model.safetensors": b"hhem weights",
                "modeling_hhem_v2.py": b"",
            },
            PAIRED.companion.repo: {
                "config.json": b'{"model_type": "t5"}',
                "tokenizer.json": b"{}",
                "model.safetensors": b"not needed",
            },
        },
        commits={
            PRESET.repo: COMMIT,
            PAIRED.repo: PAIRED.revision or "",
            PAIRED.companion.repo: PAIRED.companion.revision,
        },
    )

    # The library waits a second between its attempts to resume.
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    # The suite is offline by its environment; this hub is on this machine.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    huggingface_hub.close_session()
    with state:
        yield state


def refused(hub: FakeHub, folder: Path, **extra: Any) -> ModelUnavailable:
    """The error of a fetch that fails, and nothing is installed."""
    with pytest.raises(ModelUnavailable) as caught:
        fetch(PRESET, folder, endpoint=hub.url, **extra)
    assert caught.value.hint
    assert read_manifest(PRESET, folder) is None
    return caught.value


def test_what_is_fetched_is_noted_and_kept(hub: FakeHub, tmp_path: Path) -> None:
    """Config, tokenizer and weights, no code and nothing outside the folder; then no network."""
    said: list[str] = []
    manifest, downloaded = fetch(PRESET, tmp_path / "m", endpoint=hub.url, say=said.append)
    assert downloaded
    assert manifest.revision == COMMIT
    assert manifest.pinned
    assert sorted(manifest.files) == [
        "config.json",
        "pytorch_model.bin",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    for name, entry in manifest.files.items():
        assert entry.sha256 == hashlib.sha256(FILES[name]).hexdigest()
    folder = preset_folder(PRESET, tmp_path / "m")
    assert sorted(path.name for path in folder.iterdir()) == sorted([*manifest.files, MANIFEST])
    assert [path.name for path in (tmp_path / "m").iterdir()] == [PRESET.name]
    assert read_manifest(PRESET, tmp_path / "m") == manifest
    assert not faults(PRESET, manifest, tmp_path / "m")
    assert any("pytorch_model.bin" in line for line in said)

    hub.requests.clear()
    again, downloaded = fetch(PRESET, tmp_path / "m", endpoint=hub.url)
    assert (again, downloaded) == (manifest, False)
    assert hub.requests == []
    _, downloaded = fetch(PRESET, tmp_path / "m", endpoint=hub.url, force=True)
    assert downloaded
    assert hub.requests


def test_a_damaged_install_is_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    """A file that changed, or a manifest that broke, is mended by fetching."""
    fetch(PRESET, tmp_path, endpoint=hub.url)
    for name in ("pytorch_model.bin", MANIFEST):
        (preset_folder(PRESET, tmp_path) / name).write_bytes(b"broken")
        _, downloaded = fetch(PRESET, tmp_path, endpoint=hub.url)
        assert downloaded
        manifest = read_manifest(PRESET, tmp_path)
        assert manifest is not None
        assert not faults(PRESET, manifest, tmp_path)


def test_a_preset_in_two_repositories(hub: FakeHub, tmp_path: Path) -> None:
    """HHEM's weights, and config and tokenizer of what it builds on, each at its commit."""
    assert PAIRED.companion is not None
    manifest, _ = fetch(PAIRED, tmp_path, endpoint=hub.url)
    assert sorted(manifest.files) == [
        "config.json",
        "foundation/config.json",
        "foundation/tokenizer.json",
        "model.safetensors",
    ]
    assert any(PAIRED.companion.revision in request for request in hub.requests)
    assert not any(request.endswith(".py") for request in hub.requests)


def test_another_revision(hub: FakeHub, tmp_path: Path) -> None:
    """Named by the operator: noted as found; unpinned presets note what they got."""
    manifest, _ = fetch(PRESET, tmp_path, endpoint=hub.url, revision="main")
    assert (manifest.revision, manifest.pinned) == (COMMIT, False)
    unpinned = replace(PRESET, revision=None)
    manifest, _ = fetch(unpinned, tmp_path / "u", endpoint=hub.url)
    assert (manifest.revision, manifest.pinned) == (COMMIT, False)
    assert "no revision f00" in str(refused(hub, tmp_path / "v", revision="f00"))


@pytest.mark.parametrize(
    ("fail", "says"),
    [
        ((404, "RepoNotFound"), "has no"),
        ((401, "RepoNotFound"), "401"),
        ((401, ""), "401"),
        ((403, "GatedRepo"), "terms"),
        ((403, ""), "403"),
        ((500, ""), "500"),
    ],
)
def test_a_hub_that_refuses(hub: FakeHub, tmp_path: Path, fail: tuple[int, str], says: str) -> None:
    """Each answer has its message and says what to do."""
    hub.fail = fail
    assert says in str(refused(hub, tmp_path))


def test_a_file_that_is_gone(hub: FakeHub, tmp_path: Path) -> None:
    """A repository without tokenizer or weights is told by the file."""
    for name in ("tokenizer.json", "pytorch_model.bin"):
        del hub.repos[PRESET.repo][name]
        with pytest.raises(ModelUnavailable) as caught:
            fetch(PRESET, tmp_path, endpoint=hub.url)
        missing = "model.safetensors" if name.endswith(".bin") else name
        assert missing in str(caught.value)
        hub.repos[PRESET.repo][name] = FILES[name]


def test_safetensors_are_preferred(hub: FakeHub, tmp_path: Path) -> None:
    """Where there are both, the pickle is left."""
    hub.repos[PRESET.repo]["model.safetensors"] = b"safe"
    manifest, _ = fetch(PRESET, tmp_path, endpoint=hub.url)
    assert "model.safetensors" in manifest.files
    assert "pytorch_model.bin" not in manifest.files


def test_a_download_that_is_cut(hub: FakeHub, tmp_path: Path) -> None:
    """Half a file is never installed; the next attempt goes on and succeeds."""
    hub.cut = True
    assert "could not be fetched" in str(refused(hub, tmp_path))
    assert not preset_folder(PRESET, tmp_path).exists()
    hub.cut = False
    manifest, _ = fetch(PRESET, tmp_path, endpoint=hub.url)
    assert not faults(PRESET, manifest, tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "tokenizer.json"])
def test_other_bytes_than_announced(hub: FakeHub, tmp_path: Path, name: str) -> None:
    """Weights are compared by SHA-256, small files by git's digest; what differs is thrown away."""
    hub.wrong[name] = "0" * (64 if name.endswith(".bin") else 40)
    assert "announced" in str(refused(hub, tmp_path))
    assert not list(tmp_path.rglob(name))


def test_other_bytes_than_pinned(hub: FakeHub, tmp_path: Path) -> None:
    """A hub that announces what it sends is not believed over the preset's own digest."""
    pinned = replace(PRESET, digests={"pytorch_model.bin": "0" * 64})
    with pytest.raises(ModelUnavailable, match="pins"):
        fetch(pinned, tmp_path, endpoint=hub.url)
    assert read_manifest(PRESET, tmp_path) is None
    digest = hashlib.sha256(FILES["pytorch_model.bin"]).hexdigest()
    fetch(replace(PRESET, digests={"pytorch_model.bin": digest}), tmp_path, endpoint=hub.url)


def test_what_was_there_stays_when_fetching_fails(hub: FakeHub, tmp_path: Path) -> None:
    """An update that fails leaves the old model usable."""
    manifest, _ = fetch(PRESET, tmp_path, endpoint=hub.url)
    hub.fail = (500, "")
    with pytest.raises(ModelUnavailable):
        fetch(PRESET, tmp_path, endpoint=hub.url, force=True)
    assert read_manifest(PRESET, tmp_path) == manifest
    assert not faults(PRESET, manifest, tmp_path)


def test_nobody_answers(tmp_path: Path) -> None:
    """No hub at all: ModelUnavailable, and to try again."""
    with pytest.raises(ModelUnavailable, match="could not be fetched"):
        fetch(PRESET, tmp_path, endpoint="http://127.0.0.1:9")


def test_offline_is_respected(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HF_HUB_OFFLINE means no request, and what is installed is used all the same."""
    fetch(PRESET, tmp_path, endpoint=hub.url)
    hub.requests.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    try:
        _, downloaded = fetch(PRESET, tmp_path, endpoint=hub.url)
        assert not downloaded
        assert "offline" in str(refused(hub, tmp_path / "other"))
        assert hub.requests == []
    finally:
        monkeypatch.undo()
        huggingface_hub.close_session()


def test_a_place_that_cannot_be_written(hub: FakeHub, tmp_path: Path) -> None:
    """Told as what it is: the disk, not the hub."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelUnavailable, match="could not be written"):
        fetch(PRESET, tmp_path / "file" / "models", endpoint=hub.url)


def test_progress_bars_are_put_back(hub: FakeHub, tmp_path: Path) -> None:
    """Quiet while fetching, and as the application had it afterwards."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled

    before = are_progress_bars_disabled()
    fetch(PRESET, tmp_path, endpoint=hub.url)
    assert are_progress_bars_disabled() == before
