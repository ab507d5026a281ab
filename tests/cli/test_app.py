"""The frame of the command line: help, versions, errors as one block, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from guardrails.cli import app as frame
from guardrails.cli.failures import describe_failure, exit_code_of
from guardrails.errors import GuardrailsError, SourceUnreadable, StoreLocked
from policies.errors import PolicyInvalid, PolicyNotFound, Problem
from verifiers.errors import GroundrailError, ModelUnavailable, SourceInvalid

ROOT = Path(__file__).resolve().parents[2]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "guardrails.cli", *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_lists_every_command_and_loads_none() -> None:
    """--help is fast because it imports no command, and teaches the exit codes."""
    code = (
        "import sys\n"
        "from guardrails.cli.app import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "loaded = set(sys.modules)\n"
        "assert not loaded & {'guardrails.cli.check', 'guardrails.cli.doctor', 'guardrails.cli.policy',"
        " 'guardrails.cli.review', 'spacy', 'litellm', 'sqlalchemy', 'onnxruntime', 'numpy'}, loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    for name in frame.PARTS:
        assert name in done.stdout
    assert "13 refuse" in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", sorted(frame.PARTS))
def test_every_command_loads_and_explains_itself(name: str) -> None:
    """With a help of its own, under its name."""
    assert frame.load_command(name).help
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"groundrail {name}" in done.stdout


def test_version_and_unknown_commands() -> None:
    """A typo is answered with the nearest command, and exit code 2."""
    assert run("--version").stdout.startswith("groundrail ")
    wrong = run("chek")
    assert wrong.returncode == 2
    assert "Did you mean 'check'" in wrong.stderr
    assert run("check", "--no-such-option").returncode == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SourceUnreadable("x"), 2),
        (SourceInvalid("x"), 2),
        (PolicyNotFound("x"), 2),
        (PolicyInvalid("f.yaml", (Problem("a", "b"),)), 2),
        (ModelUnavailable("x"), 3),
        (StoreLocked("x"), 3),
        (GroundrailError("x"), 3),
        (ZeroDivisionError("x"), 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_input_at_fault_is_2_and_failures_are_3(error: Exception, code: int) -> None:
    """Never 0."""
    assert exit_code_of(error) == code


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """A command that raises what the test puts into ``failing.error``."""
    command = typer.Typer()

    @command.command()
    def boom(ctx: typer.Context) -> None:
        ctx.find_root().obj.json = command.json  # type: ignore[attr-defined]
        raise command.error from command.cause  # type: ignore[attr-defined]

    command.error, command.cause, command.json = RuntimeError("x"), None, False  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "guardrails.cli.boom", command)
    command.app = command  # type: ignore[attr-defined]
    monkeypatch.setattr(frame, "import_module", lambda _name: command)
    return command


def _main(*args: str) -> int:
    with pytest.raises(SystemExit) as stop:
        frame.main(list(args))
    return int(stop.value.code or 0)


def test_an_error_is_one_block_without_a_traceback(
    failing: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code, what, why, and what to do; stdout stays empty."""
    failing.error = SourceUnreadable("'a.txt' is empty; nothing was checked", hint="Give text.")  # type: ignore[attr-defined]
    failing.cause = OSError("disk")  # type: ignore[attr-defined]
    assert _main("check") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error GR310: 'a.txt' is empty; nothing was checked\n"
        "  because: OSError: disk\n"
        "  what to do: Give text.\n"
    )


def test_debug_adds_the_traceback(failing: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    """And only then."""
    assert _main("check") == 3
    assert "Traceback" not in capsys.readouterr().err
    assert _main("--debug", "check") == 3
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "error GR000: unexpected RuntimeError: x" in err


def test_with_json_an_error_is_json_too(
    failing: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program that reads stdout gets the same code, and a person the same block."""
    failing.error = GuardrailsError("it broke", hint="Mend it.")  # type: ignore[attr-defined]
    failing.json = True  # type: ignore[attr-defined]
    assert _main("check") == 3
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "error": {"code": "GR300", "message": "it broke", "hint": "Mend it.", "cause": ""},
        "exit_code": 3,
    }
    assert "error GR300" in err


def test_interruption_and_a_closed_pipe_are_quiet(
    failing: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C is 130, as shells expect."""
    failing.error = KeyboardInterrupt()  # type: ignore[attr-defined]
    assert _main("check") == 130
    assert "Traceback" not in capsys.readouterr().err


def test_descriptions_name_the_cause() -> None:
    """What raised it is shown, and a missing one is not."""
    assert describe_failure(GuardrailsError("x"))["cause"] == ""
