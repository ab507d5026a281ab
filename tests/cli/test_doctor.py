"""``groundrail doctor``: it finds what is broken, says what to do, and shows no secret."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from guardrails.cli import examine as examination
from guardrails.cli.app import main
from guardrails.cli.examine import examine, masked
from guardrails.cli.examine_model import _largest_batch
from guardrails.cli.findings import Finding, Level
from guardrails.names import Collision
from verifiers.errors import BackendFailed
from verifiers.testing import ScriptedScorer


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings(folder: Path, text: str) -> Path:
    path = folder / "groundrail.yaml"
    path.write_text(text, "utf-8")
    return path


def of(findings: list[Finding], area: str) -> list[Finding]:
    return [finding for finding in findings if finding.area == area]


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main(["doctor", *args])
    return int(stop.value.code or 0), capsys.readouterr().out


@pytest.mark.integration
def test_a_sound_installation_has_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """Model, canaries, labels, speed, claims, policy, store and settings are each said."""
    code, out = run(capsys, "--json")
    told: dict[str, Any] = json.loads(out)
    assert code == 0, out
    assert set(told) == {"schema", "python", "platform", "ok", "findings"}
    assert told["schema"] == "groundrail.doctor/1"
    areas = {finding["area"] for finding in told["findings"]}
    assert areas == {
        "installed",
        "extras",
        "names",
        "settings",
        "policy",
        "claims",
        "model",
        "store",
    }
    text = " ".join(finding["message"] for finding in told["findings"])
    for part in (
        "canaries passed",
        "computes in",
        "labels in the order",
        "pairs of",
        "fits into memory",
        "onnxruntime",
        "CPUExecutionProvider",
    ):
        assert part in text
    speed = next(f for f in told["findings"] if "pairs_per_second" in f["data"])
    assert speed["data"]["pairs_per_second"] > 0
    code, out = run(capsys, "--no-speed")
    assert code == 0
    assert "0 failed" in out


@pytest.mark.parametrize(("memory", "fits"), [(2000, 1024), (900, 473), (100, 86)])
def test_a_batch_that_does_not_fit_into_memory_is_told(memory: int, fits: int) -> None:
    """Tried as the engine would make it, and how much does fit; a warning, for verdicts hold."""
    scorer = ScriptedScorer(memory_tokens=memory)
    found = _largest_batch(scorer, 1024)
    assert found.data == {"batch_tokens": 1024, "fits": fits}
    assert found.level is (Level.OK if fits == 1024 else Level.WARN)
    assert ("473" in found.message) is (fits == 473)
    assert bool(found.hint) is (fits < 1024)


def test_a_model_without_memory_for_a_pair_is_a_failure() -> None:
    """As any other fault while it scores: there is nothing smaller to try."""
    broken = ScriptedScorer(fail_on=lambda _: BackendFailed("It ran out of memory."))
    (found,) = examination._guarded(lambda: iter([_largest_batch(broken, 1024)]))
    assert (found.level, found.data["code"]) == (Level.FAIL, "GR106")
    assert len(broken.batches) > 3


@pytest.mark.integration
def test_what_is_broken_is_a_finding_and_the_rest_is_still_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that is not there, a policy that is not there, a store that cannot be written."""
    (tmp_path / "file").touch()
    settings(
        tmp_path,
        "policy: nonesuch\nmodel:\n  model: ./no/such/model\nstore:\n  url: sqlite:///file/r.db\n",
    )
    code, out = run(capsys, "--json")
    assert code == 3
    findings = json.loads(out)["findings"]
    failed = {f["area"]: f for f in findings if f["level"] == "fail"}
    assert set(failed) == {"policy", "model", "store"}
    assert "GR202" in failed["policy"]["message"]
    assert "GR101" in failed["model"]["message"]
    assert all(f["hint"] for f in failed.values())
    assert any(f["area"] == "claims" and f["level"] == "ok" for f in findings)


def test_settings_with_a_mistake_end_the_examination(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing else can be looked at by settings that do not load."""
    settings(tmp_path, "polcy: strict\n")
    code, out = run(capsys)
    assert code == 3
    assert "polcy" in out
    assert "fail" in out


def test_changed_settings_are_shown_and_secrets_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the file and the environment; a password, a token and a key never appear."""
    path = settings(
        tmp_path,
        "model:\n  model: ./nowhere\n  token: t0psecret\n"
        "store:\n  url: postgresql+psycopg://me:hunter2@127.0.0.1:1/db\n  timeout: 0.2\n",
    )
    monkeypatch.setenv("GROUNDRAIL_STORE__DIGEST_KEY", "k3y")
    monkeypatch.setenv("GROUNDRAIL_EVIDENCE__K", "7")
    findings = examine(path, speed=False)
    text = repr(findings)
    for secret in ("t0psecret", "hunter2", "k3y"):
        assert secret not in text
    (found,) = of(findings, "settings")
    assert "evidence.k=7" in found.message
    assert "model.token=(set)" in found.message or "model.token=**********" in found.message
    assert "me:***@127.0.0.1" in found.message


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("model.token", "x", "(set)"),
        ("model.token", None, None),
        ("store.digest_key", "x", "(set)"),
        ("evidence.k", 5, 5),
        ("store.url", "postgresql://a:b@h/d", "postgresql://a:***@h/d"),
        ("store.url", "sqlite:///a.db", "sqlite:///a.db"),
        ("model.max_tokens", 512, 512),
        ("evidence.window_tokens", 256, 256),
    ],
)
def test_masking(name: str, value: object, shown: object) -> None:
    """What is set is shown, what is secret is only said to be set."""
    assert masked(name, value) == shown


def test_a_collision_and_a_backdoored_release_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each names the distribution and the way out."""
    monkeypatch.setattr(
        "guardrails.names.find_collisions",
        lambda: (Collision("guardrails", ("guardrails-ai",), None),),
    )
    (found,) = list(examination._names())
    assert found.level is Level.FAIL
    assert "guardrails-ai" in found.message
    assert "pip uninstall guardrails-ai" in found.hint
    monkeypatch.setattr(
        examination, "installed_version", lambda name: "1.82.7" if name == "litellm" else "1.0"
    )
    failed = [finding for finding in examination._installed() if finding.level is Level.FAIL]
    assert len(failed) == 1
    assert "backdoor" in failed[0].message


def test_missing_extras_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are optional, so that is no fault."""
    monkeypatch.setattr(examination, "installed_version", lambda _name: None)
    extras = of(list(examination._installed()), "extras")
    assert {finding.level for finding in extras} == {Level.OK}
    assert all("pip install 'groundrail[" in finding.hint for finding in extras)


def test_a_read_only_store_is_found_without_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests may run as root, whom no permission stops: access is asked through os.access."""
    from guardrails.settings import Settings, StoreSettings

    path = tmp_path / "r.db"
    real = os.access
    monkeypatch.setattr(os, "access", lambda place, mode: mode != os.W_OK and real(place, mode))
    path.touch()
    given = Settings(store=StoreSettings(url=f"sqlite:///{path}"))
    (found,) = list(examination._store(given))
    assert found.level is Level.FAIL
    assert "GR308" in found.message
    assert path.stat().st_size == 0
    (none,) = list(examination._store(Settings(store=StoreSettings(url=None))))
    assert none.level is Level.WARN
