"""``groundrail check`` from end to end: the bundled model, real files, every exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guardrails.build import build_verifier
from guardrails.cli import check as command
from guardrails.cli.app import main
from guardrails.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (
    "The shop at Pier 4 is open every day from April to October. "
    "A city bicycle costs 18 euros a day. A helmet is included in the price. "
    "Customers pay a deposit of 50 euros."
)
RIGHT = "A city bicycle costs 18 euros a day."
WRONG = "The deposit is 80 euros."
UNSUPPORTED = "The shop also repairs electric scooters."

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def verifier() -> Iterator[Any]:
    """One loaded model for the whole module."""
    with ExitStack() as owned:
        yield build_verifier(Settings(), owned)


@pytest.fixture(autouse=True)
def _loaded_once(verifier: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks with the bundled model share it; any other model is loaded as asked."""

    def build(settings: Settings, owned: ExitStack) -> Any:
        bundled = settings.model.model == "bundled"
        return verifier if bundled else build_verifier(settings, owned)

    monkeypatch.setattr(command, "build_verifier", build)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a source, an answer, and nothing of ours configured."""
    (tmp_path / "source.md").write_text(SOURCE, "utf-8")
    (tmp_path / "answer.txt").write_text(f"{RIGHT} {WRONG}\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["check", *args])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def policy(folder: Path, **keys: str) -> str:
    path = folder / "policy.yaml"
    lines = "".join(f"{key}: {value}\n" for key, value in keys.items())
    path.write_text(f"version: 1\nextends: balanced\n{lines}", "utf-8")
    return str(path)


def test_people_see_the_answer_marked_and_the_evidence(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Claims, evidence with its place, scores, decision, deed, model and time."""
    code, out, err = run(capsys, "--answer", "answer.txt", "--source", "source.md")
    assert code == 11
    assert err == ""
    for part in (
        "✓ c1 supported",
        "✗ c2 contradicted",
        "source.md 60:96",
        "claim says 80 euros",
        "Decision",
        "onnx",
    ):
        assert part in " ".join(out.split()), part


@pytest.mark.parametrize(
    ("text", "keys", "code"),
    [
        (RIGHT, {}, 0),
        (f"{RIGHT} {UNSUPPORTED}", {"on_unsupported": "annotate"}, 0),
        (f"{RIGHT} {UNSUPPORTED}", {}, 10),
        (f"{RIGHT} {WRONG}", {}, 11),
        (f"{RIGHT} {WRONG}", {"on_contradicted": "review"}, 12),
        (f"{RIGHT} {WRONG}", {"on_contradicted": "refuse"}, 13),
        ("", {}, 13),
    ],
)
def test_the_exit_code_is_the_decision(
    files: Path, capsys: pytest.CaptureFixture[str], text: str, keys: dict[str, str], code: int
) -> None:
    """0 pass or annotate, 10 redact, 11 regenerate, 12 review, 13 refuse."""
    got, _, _ = run(
        capsys, "--text", text, "--source", "source.md", "--policy", policy(files, **keys)
    )
    assert got == code


def test_json_is_all_there_is_on_stdout(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stable keys, exact spans, the exit code, what was passed over, why."""
    (files / "docs").mkdir()
    (files / "docs" / "a.md").write_text(SOURCE, "utf-8")
    (files / "docs" / "logo.png").write_bytes(b"\x89PNG\x00")
    code, out, err = run(
        capsys,
        "--answer",
        "answer.txt",
        "--source",
        "docs",
        "--json",
        "--explain",
        "--question",
        "What does it cost?",
    )
    told: dict[str, Any] = json.loads(out)
    assert set(told) == {
        "schema", "groundrail", "exit_code", "wanted", "passed_over", "report", "explanation"
    }  # fmt: skip
    assert err == ""
    assert told["schema"] == "groundrail.check/1"
    assert told["exit_code"] == code == 11
    assert told["wanted"] == "regenerate"
    assert told["passed_over"] == [{"path": "docs/logo.png", "reason": "binary (an image)"}]
    report = told["report"]
    assert report["question"] == "What does it cost?"
    assert report["recorded"] is False
    for claim in report["claims"]:
        start, end = claim["span"]
        assert report["answer"][start:end] == claim["text"]
        start, end = claim["evidence"]["span"]
        assert SOURCE[start:end] == claim["evidence"]["text"]
        assert claim["coverage"]["windows_read"] == claim["coverage"]["windows_total"]
    assert [claim["verdict"] for claim in report["claims"]] == ["supported", "contradicted"]


def test_samples_are_compared_and_never_pass_for_a_source(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the policy looks at them; the line says what the verdict is worth."""
    for number in range(3):
        (files / f"again{number}.txt").write_text(f"I think: {RIGHT}", "utf-8")
    samples = [part for number in range(3) for part in ("--sample", f"again{number}.txt")]
    asked = policy(files, consistency="{when: no_evidence}")
    code, out, _ = run(capsys, "--text", RIGHT, *samples, "--policy", asked)
    said = " ".join(out.split())
    assert code == 0
    assert "c1 consistent" in said
    assert "consistent with 3 samples (not checked against a source)" in said
    assert "3 samples, 1 distinct" in said
    code, _, err = run(capsys, "--text", RIGHT, *samples)
    assert code == 2
    assert "never looks at samples" in err


def test_every_json_key_is_documented() -> None:
    """In cli.md."""
    text = (ROOT / "guardrails" / "docs" / "cli.md").read_text("utf-8")
    for key in (
        "schema",
        "groundrail",
        "exit_code",
        "wanted",
        "passed_over",
        "report",
        "explanation",
    ):
        assert f"| `{key}` |" in text


def test_standard_input_is_an_answer_or_a_source(files: Path) -> None:
    """In a pipe, as a process of its own; and once only."""

    def piped(stdin: str, *args: str) -> int:
        return subprocess.run(
            [sys.executable, "-m", "guardrails.cli", "check", *args],
            input=stdin,
            text=True,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},  # noqa: TID251
            check=False,
            timeout=120,
        ).returncode

    assert piped(f"{RIGHT}\n", "--answer", "-", "--source", "source.md") == 0
    assert piped(SOURCE, "--text", RIGHT, "--source", "-") == 0
    assert piped(RIGHT, "--answer", "-", "--source", "-") == 2


def test_what_was_passed_over_is_said(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, so that a pipe stays clean."""
    (files / "empty.txt").touch()
    code, _, err = run(capsys, "--text", RIGHT, "--source", ".")
    assert "not read: empty.txt (empty)" in err.replace("./", "")
    assert code in {0, 10, 11, 12, 13}


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["--source", "source.md"], 2, "--answer"),
        (["--text", "x"], 2, "--source"),
        (["--text", "x", "--answer", "answer.txt", "--source", "source.md"], 2, "--answer"),
        (["--text", "x\udcff", "--source", "source.md"], 2, "not valid UTF-8"),
        (["--text", "x", "--question", "\ud800", "--source", "source.md"], 2, "not valid UTF-8"),
        (["--text", "x", "--route", "\udcff", "--source", "source.md"], 2, "not valid UTF-8"),
        (["--text", "x", "--source", "no.md"], 2, "GR310"),
        (["--text", "x", "--source", "source.md", "--encoding", "klingon"], 2, "klingon"),
        (["--answer", "no.txt", "--source", "source.md"], 2, "GR310"),
        (["--text", "x", "--source", "source.md", "--policy", "no-such"], 2, "GR202"),
        (["--text", "x", "--source", "source.md", "--config", "no.yaml"], 2, "GR302"),
        (["--text", RIGHT, "--source", "source.md", "--model", "./no/such/model"], 3, "GR101"),
        (
            ["--text", RIGHT, "--source", "source.md", "--store", "sqlite:///answer.txt/r.db"],
            3,
            "GR307",
        ),
    ],
    ids=lambda value: "-".join(value)[:60] if isinstance(value, list) else str(value),
)
def test_bad_input_is_one_clear_error(
    files: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int, says: str
) -> None:
    """What, why, what to do; never a traceback, never 0, and nothing on stdout."""
    got, out, err = run(capsys, *args)
    assert got == code
    assert out == ""
    assert says in " ".join(err.split())
    assert "Traceback" not in err
    if "error GR" in err:
        assert "what to do:" in err


def test_a_policy_with_a_typo_names_the_key(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what was meant."""
    code, _, err = run(
        capsys,
        "--text",
        RIGHT,
        "--source",
        "source.md",
        "--policy",
        policy(files, on_contradictd="refuse"),
    )
    assert code == 2
    assert "GR201" in err
    assert "on_contradictd" in err
    assert "on_contradicted" in err


def test_a_broken_model_file_is_an_error_and_not_a_verdict(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits for a reviewer because of a damaged file."""
    folder = files / "model"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"not a model")
    (folder / "config.json").write_text("{}", "utf-8")
    code, out, err = run(capsys, "--text", RIGHT, "--source", "source.md", "--model", str(folder))
    assert code == 3
    assert out == ""
    assert "error GR10" in err


def test_a_record_is_kept_only_when_asked_for(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --store it is in the store, and the report says so."""
    code, out, _ = run(capsys, "--text", RIGHT, "--source", "source.md", "--json")
    assert code == 0
    assert list(files.rglob("*.db")) == []
    url = f"sqlite:///{files / 'r.db'}"
    code, out, _ = run(capsys, "--text", RIGHT, "--source", "source.md", "--json", "--store", url)
    report = json.loads(out)["report"]
    assert report["recorded"] is True
    from guardrails.store import open_store

    store = open_store(url)
    assert store.get(report["record_id"]).id == report["record_id"]
    store.close()


def test_a_failed_check_never_ends_as_zero(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scoring that fails is an error verdict; balanced sends it to a person."""
    from verifiers.backends.onnx import OnnxScorer
    from verifiers.errors import BackendFailed

    def fail(self: object, pairs: object) -> None:
        raise BackendFailed("the model failed")

    monkeypatch.setattr(command, "build_verifier", _without_canaries(fail, OnnxScorer, monkeypatch))
    code, out, _ = run(capsys, "--text", UNSUPPORTED, "--source", "source.md", "--json")
    assert json.loads(out)["report"]["claims"][0]["verdict"] == "error"
    assert code == 12


def _without_canaries(fail: Any, scorer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    def build_then_break(settings: Any, owned: Any) -> Any:
        verifier = build_verifier(settings, owned)
        verifier.info  # noqa: B018 - loads the model, canaries and all
        monkeypatch.setattr(scorer, "score", fail)
        return verifier

    return build_then_break
