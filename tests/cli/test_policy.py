"""``groundrail policy``: what people and programs get, and the exit codes."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from guardrails.cli.app import main
from guardrails.record import build_record
from guardrails.report import Entry, Report, RequestInfo
from policies.load import load_policy, parse_policy
from verifiers.types import Assessment, Failed, Verification

HAND = {
    "claims": [{"verdict": "supported"}, {"support": 0.6, "facets": ["number"], "cited": False}],
    "facts": {"cut": True},
}


class Ran:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *argv: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["policy", *argv])
        out, err = self._capsys.readouterr()
        code = stopped.value.code
        assert isinstance(code, int)
        return code, out, err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Ran:
    return Ran(capsys)


# --------------------------------------------------------------------------- lint


def test_lint_looks_at_every_file(run: Ran, tmp_path: Path) -> None:
    """A broken file does not hide what is wrong with the next, and the exit code is 2."""
    (tmp_path / "bad.yaml").write_text("version: 1\non_eror: pass\n")
    (tmp_path / "open.yaml").write_text("on_error: pass\n")
    files = [str(tmp_path / name) for name in ("bad.yaml", "open.yaml", "none.yaml")]
    code, out, err = run("lint", *files, "balanced")
    assert (code, err) == (2, "")
    assert f"{files[0]}: error GR201" in out
    assert "line 2 on_eror: unknown key" in out
    assert f"{files[1]}: 1 to look at" in out
    assert "warning on_error: fails open" in out
    assert f"{files[2]}: error GR202" in out
    assert "balanced: fine" in out


def test_lint_findings_do_not_fail_unless_asked(run: Ran) -> None:
    """A warning is no error; --strict makes it one for CI."""
    assert run("lint", "observe")[0] == 0
    assert run("lint", "--strict", "observe")[0] == 1
    assert run("lint", "--strict", "balanced", "strict")[0] == 0


def test_lint_json(run: Ran, tmp_path: Path) -> None:
    """One object a file, with problems and findings as data."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("on_eror: pass\n")
    code, out, _ = run("lint", "--json", str(bad), "observe")
    first, second = json.loads(out)
    assert code == 2
    assert (first["ok"], first["error"]["code"]) == (False, "GR201")
    assert first["problems"][0]["line"] == 1
    assert first["problems"][0]["key"] == "on_eror"
    assert second["digest"] == load_policy("observe").digest
    assert [found["rule"] for found in second["findings"]] == ["never-blocks"]


# --------------------------------------------------------------------------- show


@pytest.mark.parametrize("name", ["strict", "balanced", "observe"])
def test_show_prints_a_file_that_loads_again(run: Ran, name: str) -> None:
    """The output is the whole policy as YAML, and decides the same."""
    code, out, _ = run("show", name)
    assert code == 0
    assert parse_policy(out, source="shown") == load_policy(name)
    assert out.startswith(f"# {name}  {load_policy(name).digest}\n")


def test_show_a_route(run: Ran, tmp_path: Path) -> None:
    """With --route the rules are those that hold there."""
    file = tmp_path / "p.yaml"
    file.write_text("routes:\n  billing: {on_unsupported: refuse}\n")
    _, out, _ = run("show", str(file), "--route", "billing")
    assert yaml.safe_load(out)["on_unsupported"] == "refuse"
    code, _, err = run("show", str(file), "--route", "biling")
    assert code == 2
    assert "GR203" in err
    assert "billing" in err


def test_show_json(run: Ran) -> None:
    """The same for programs, with the digest."""
    code, out, _ = run("show", "strict", "--json")
    shown = json.loads(out)
    assert code == 0
    assert shown["digest"] == load_policy("strict").digest
    assert load_policy(shown["policy"]) == load_policy("strict")


def test_show_what_is_not_there(run: Ran) -> None:
    """An unknown name is bad input, said on stderr and as JSON where JSON was asked for."""
    code, out, err = run("show", "strickt", "--json")
    assert code == 2
    assert "did you mean 'strict'" in err
    assert json.loads(out)["error"]["code"] == "GR202"


def test_show_colours_only_terminals(run: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    """Colour where it is asked for, none in a pipe."""
    assert "\x1b[" not in run("show", "balanced")[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in run("show", "balanced")[1]


# --------------------------------------------------------------------------- explain


def hand(tmp_path: Path, value: Any) -> str:
    file = tmp_path / "claims.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(file)


def test_explain_verdicts_by_hand(run: Ran, tmp_path: Path) -> None:
    """A policy can be tried on claims one makes up."""
    file = hand(tmp_path, HAND)
    code, out, _ = run("explain", "--verdicts", file)
    assert code == 0
    assert out.startswith("annotate: policy balanced")
    assert "c2 supported -> annotate" in out
    assert "on_miscited: annotate." in out
    code, out, _ = run("explain", "--verdicts", file, "--policy", "strict", "--json")
    told = json.loads(out)
    assert told["action"] == "review"
    assert told["claims"][1]["verdict"] == "unsupported"
    assert told["claims"][1]["thresholds"] == {"support": 0.7, "contradiction": 0.6}


@pytest.mark.parametrize(
    ("verdict", "action"),
    [
        ("supported", "pass"),
        ("contradicted", "regenerate"),
        ("conflict", "review"),
        ("unsupported", "regenerate"),
        ("unverifiable", "annotate"),
        ("not_checkworthy", "pass"),
        ("error", "review"),
    ],
)
def test_explain_every_verdict(run: Ran, tmp_path: Path, verdict: str, action: str) -> None:
    """Each verdict written by hand is the verdict that is decided on."""
    _, out, _ = run(
        "explain", "--json", "--verdicts", hand(tmp_path, {"claims": [{"verdict": verdict}]})
    )
    told = json.loads(out)
    assert (told["claims"][0]["verdict"], told["action"]) == (verdict, action)


def test_explain_budgets_by_hand(run: Ran, tmp_path: Path) -> None:
    """What is spent is part of the question."""
    value = {"claims": [{"verdict": "contradicted"}], "spent": {"attempts": 2}}
    _, out, _ = run("explain", "--verdicts", hand(tmp_path, value))
    assert "2 of 2 attempts were made; refuse instead." in out


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "Invalid JSON"),
        ({"claims": [{"verdict": "true"}]}, "claims.0.verdict"),
        ({"claims": [{"suport": 1}]}, "claims.0.suport: Extra inputs"),
        ({"claims": [{"support": 2}]}, "claims.0.support"),
        ("[]", "file: Input should be an object"),
    ],
)
def test_explain_bad_verdicts(run: Ran, tmp_path: Path, value: Any, said: str) -> None:
    """What cannot be read is said with its place, and the exit code is 2."""
    code, _, err = run("explain", "--verdicts", hand(tmp_path, value))
    assert code == 2
    assert "GR312" in err
    assert said in err


def test_explain_needs_one_input(run: Ran, tmp_path: Path) -> None:
    """Neither or both is a usage error; a file that is not there or no text is bad input."""
    assert run("explain")[0] == 2
    assert run("explain", "a.json", "--verdicts", "b.json")[0] == 2
    code, _, err = run("explain", str(tmp_path / "none.json"))
    assert (code, "GR310" in err) == (2, True)
    (tmp_path / "x").write_bytes(b"\xff")
    code, _, err = run("explain", str(tmp_path / "x"))
    assert (code, "not UTF-8" in err) == (2, True)
    code, _, err = run("explain", hand(tmp_path, "{}"))
    assert (code, "GR312" in err) == (2, True)


def test_explain_stdin(run: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash reads what is piped in."""
    piped = io.TextIOWrapper(io.BytesIO(json.dumps(HAND).encode()))
    monkeypatch.setattr("sys.stdin", piped)
    assert run("explain", "--verdicts", "-")[1].startswith("annotate: ")


def test_explain_a_record(run: Ran, tmp_path: Path, report: Report) -> None:
    """A record is decided again under its own policy, or as another would have decided."""
    policy = load_policy({"name": "own", "on_error": "refuse"})
    claim = report.claims[1].verdict.claim
    found = Verification((Assessment(claim, Failed("GR106", "The model failed.")),), model=None)
    failed = replace(report, attempts=(replace(report.attempts[0], verification=found),))
    built = build_record(failed, request=RequestInfo(Entry.CHECK), policy=policy)
    file = tmp_path / "record.json"
    file.write_text(built.record.to_json())
    code, out, _ = run("explain", str(file))
    assert code == 0
    assert out.startswith(f"refuse: policy own ({policy.digest})")
    _, out, _ = run("explain", str(file), "--policy", "observe", "--json")
    told = json.loads(out)
    assert (told["action"], told["policy"]) == ("annotate", "observe")
    _, out, _ = run("explain", str(file), "--route", "chat", "--json")
    assert json.loads(out)["route"] == "chat"


def test_explain_a_record_without_an_answer(run: Ran, tmp_path: Path, report: Report) -> None:
    """A call that failed was not decided on, and is not made to look as if it was."""
    failed = replace(report, attempts=(replace(report.attempts[0], verification=None),))
    built = build_record(failed, request=RequestInfo(Entry.CHECK), policy=load_policy("balanced"))
    file = tmp_path / "record.json"
    file.write_text(built.record.to_json())
    assert run("explain", str(file))[1].startswith("refuse: The call failed before there was")
    assert json.loads(run("explain", str(file), "--json")[1])["action"] == "refuse"
