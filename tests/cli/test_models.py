"""``groundrail models``: list, fetch from a scripted hub, verify; exit codes and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guardrails.cli import app as frame
from guardrails.cli.model_table import MARKER, table, tells
from verifiers.backends.fake_hub import FakeHub
from verifiers.backends.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterator

PRESET = PRESETS["nli-mdeberta-v3-base"]
ROOT = Path(__file__).resolve().parents[2]


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``groundrail models ...``."""
    with pytest.raises(SystemExit) as stop:
        frame.main(["models", *args])
    out, err = capsys.readouterr()
    code = stop.value.code
    return (code if isinstance(code, int) else 0), out, err


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub with one preset's repository; its weights are not those the preset pins."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    # The suite is offline by its environment; this hub is on this machine.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    huggingface_hub.close_session()
    files = {
        "config.json": b"{}",
        "tokenizer.json": b"{}",
        "model.safetensors": b"weights",
    }
    with FakeHub({PRESET.repo: files}, {PRESET.repo: "c" * 40}) as made:
        yield made


def test_list_says_what_there_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every preset with licence, size, what it tells and whether it is here."""
    code, out, _ = run(capsys, "list", "--folder", str(tmp_path))
    assert code == 0
    for preset in PRESETS.values():
        (line,) = [line for line in out.splitlines() if line.startswith(f"{preset.name} ")]
        assert preset.licence in line
        assert f"{preset.megabytes} MB" in line
        assert tells(preset) in line
        assert "not installed" in line
    code, out, _ = run(capsys, "list", "--folder", str(tmp_path), "--json")
    rows: list[dict[str, Any]] = json.loads(out)
    assert [row["name"] for row in rows] == list(PRESETS)
    assert all(row["installed"] is None and row["follows"] for row in rows)


def test_fetch_verify_and_damage(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, hub: FakeHub
) -> None:
    """Fetched, noted, whole; then a byte changes and verify exits with 1."""
    here = ("--folder", str(tmp_path))
    assert run(capsys, "verify", *here)[:2] == (0, "No preset is installed.\n")
    code, out, _ = run(capsys, "verify", PRESET.name, *here)
    assert code == 1
    assert "not installed" in out
    args = ("fetch", PRESET.name, *here, "--endpoint", hub.url, "--revision", "main")
    code, out, err = run(capsys, *args)
    assert code == 0
    assert out.startswith(f"fetched {PRESET.name} {'c' * 40}")
    assert "set model.revision to ccc" in out
    assert "model.safetensors" in err
    code, out, _ = run(capsys, "list", *here)
    assert "installed cccccccccccc" in out
    assert run(capsys, "verify", *here)[0] == 0
    code, out, _ = run(capsys, "verify", PRESET.name, *here, "--json")
    assert json.loads(out) == [{"name": PRESET.name, "revision": "c" * 40, "faults": []}]

    (tmp_path / PRESET.name / "model.safetensors").write_bytes(b"wEights")
    code, out, _ = run(capsys, "verify", *here)
    assert code == 1
    assert "model.safetensors is not the file that was fetched" in out
    (tmp_path / PRESET.name / "groundrail-manifest.json").write_text("broken")
    code, out, _ = run(capsys, "verify", *here, "--json")
    assert code == 1
    assert "manifest" in json.loads(out)[0]["faults"][0]
    assert run(capsys, "list", *here)[0] == 0

    code, out, _ = run(capsys, *args, "--json")
    assert code == 0
    body = json.loads(out)
    assert body["downloaded"]
    assert body["folder"] == str(tmp_path / PRESET.name)
    assert run(capsys, "verify", *here)[0] == 0


def test_fetch_refuses_other_bytes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, hub: FakeHub
) -> None:
    """The commit the preset pins must have the bytes it pins: exit code 3, nothing installed."""
    hub.commits = {PRESET.repo: PRESET.revision or ""}
    args = ("fetch", PRESET.name, "--folder", str(tmp_path), "--endpoint", hub.url)
    code, out, err = run(capsys, *args)
    assert (code, out) == (3, "")
    assert "error GR101" in err
    assert "what to do:" in err
    hub.fail = (404, "RepoNotFound")
    code, out, err = run(capsys, *args, "--json")
    assert code == 3
    assert json.loads(out)["error"]["code"] == "GR101"
    assert run(capsys, "verify", "--folder", str(tmp_path))[1] == "No preset is installed.\n"


@pytest.mark.parametrize("command", ["fetch", "verify"])
def test_a_name_that_is_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    """Exit code 2 and the names there are."""
    code, _, err = run(capsys, command, "gpt-9", "--folder", str(tmp_path))
    assert code == 2
    assert "hhem-2.1-open" in err


def test_the_folder_of_the_settings(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    hub: FakeHub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """model.folder says where models are kept, for fetching and for loading."""
    from guardrails.build import model_spec
    from guardrails.settings import load_settings

    monkeypatch.setenv("GROUNDRAIL_MODEL__FOLDER", str(tmp_path / "kept"))
    args = ("fetch", PRESET.name, "--endpoint", hub.url, "--revision", "main")
    assert run(capsys, *args)[0] == 0
    assert (tmp_path / "kept" / PRESET.name / "config.json").is_file()
    assert model_spec(load_settings()).folder == str(tmp_path / "kept")


def test_the_page_has_the_table() -> None:
    """guardrails/docs/models.md says what the presets say. Mend it as its marker says."""
    text = (ROOT / "guardrails" / "docs" / "models.md").read_text("utf-8")
    assert text[text.index(MARKER) :] == table()
