"""The documentation says what the code does: codes, settings, keys, options, commands, examples."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path

import pytest

from guardrails.settings import Settings
from verifiers.errors import GroundrailError

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "guardrails" / "docs"
README = (ROOT / "README.md").read_text("utf-8")


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text("utf-8")


def error_classes() -> list[type[GroundrailError]]:
    """Every error class of the three trees that stands in an errors module."""
    for name in ("verifiers.errors", "policies.errors", "guardrails.errors"):
        importlib.import_module(name)
    found: list[type[GroundrailError]] = []
    waiting = [GroundrailError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting.extend(kind.__subclasses__())
    return sorted(
        (kind for kind in found if kind.__module__.endswith(".errors")), key=lambda kind: kind.code
    )


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_every_error_code_is_documented_once(kind: type[GroundrailError]) -> None:
    """Under its code and its name, with something to do about it."""
    heading = f"### {kind.code} {kind.__name__}"
    assert page("errors").splitlines().count(heading) == 1
    body = page("errors").split(heading, 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]
    assert len(body.strip()) > 40


def test_documented_codes_exist_and_are_unique() -> None:
    """No page for an error that is gone, and no code used twice."""
    headings = re.findall(r"^### (GR\d{3}) (\w+)$", page("errors"), re.MULTILINE)
    assert sorted(headings) == sorted((kind.code, kind.__name__) for kind in error_classes())
    assert len({code for code, _ in headings}) == len(headings)


def test_the_command_reference_is_the_commands() -> None:
    """Every command and option, word for word. Mend it as the marker says."""
    from guardrails.cli.reference import MARKER, reference

    text = page("cli")
    assert text[text.index(MARKER) :] == reference()


def test_the_routes_of_the_proxy_are_documented() -> None:
    """Every route with its roles, word for word. Mend it as the marker says."""
    from guardrails.proxy.table import MARKER, markdown

    text = page("proxy")
    shown = text[text.index(MARKER) :].partition("\n\nNo role")[0]
    assert shown == markdown().strip()


def test_deployment_files_say_what_the_settings_know() -> None:
    """Settings in the example files are settings, and time enough is given to stop."""
    import configparser

    import yaml

    from guardrails.settings import load_settings

    deploy = ROOT / "examples" / "deploy"
    compose = yaml.safe_load((deploy / "compose.yaml").read_text("utf-8"))
    replica = compose["services"]["one"]
    ours = {key: "x" * 40 for key in replica["environment"] if key.startswith("GROUNDRAIL_")}
    del ours["GROUNDRAIL_CONFIG"]
    settings = load_settings(deploy / "groundrail.yaml", environment=ours)
    needed = settings.proxy.shutdown_delay + settings.proxy.shutdown
    assert needed < int(replica["stop_grace_period"].removesuffix("s"))
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string((deploy / "groundrail.service").read_text("utf-8"))
    assert needed < int(unit["Service"]["TimeoutStopSec"])
    assert settings.proxy.model_list == deploy / "models.yaml"
    assert settings.proxy.model_list.is_file()


def test_every_exit_code_is_documented() -> None:
    """As the code has them."""
    from guardrails.cli import failures
    from guardrails.cli.app import app

    codes = {
        value for name, value in vars(failures).items() if name.isupper() and isinstance(value, int)
    }
    rows = set(map(int, re.findall(r"^\| (\d+) \|", page("cli"), re.MULTILINE)))
    assert codes <= rows
    epilog = app.info.epilog
    assert isinstance(epilog, str)
    assert all(f"{code} " in epilog for code in (0, 2, 3, 10, 11, 12, 13))


def test_every_setting_is_documented() -> None:
    """By its dotted key, however deep."""
    from guardrails.settings import _keys

    text = page("configuration")
    keys = list(_keys(Settings))
    sections = {key.rpartition(".")[0] for key in keys} - {"proxy.limits"}
    for key in keys:
        assert key in sections or re.search(rf"`{re.escape(key)}`", text), key


def test_every_policy_key_is_documented() -> None:
    """Nested ones by their last part."""
    from pydantic import BaseModel

    from policies.schema import Policy

    text = page("policies")
    waiting: list[type[BaseModel]] = [Policy]
    while waiting:
        for name, field in waiting.pop().model_fields.items():
            assert re.search(rf"\b{name}\b", text), name
            kind = field.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                waiting.append(kind)


def test_every_action_verdict_and_preset_is_documented() -> None:
    """In the pages that a reader starts with."""
    from policies.load import preset_names
    from policies.types import Action

    for action in Action:
        assert f"`{action.value}`" in page("index")
        assert action.value in page("cli")
    for verdict in ("supported", "contradicted", "unsupported", "unverifiable", "not_checkworthy"):
        assert f"`{verdict}`" in page("index") or f"`{verdict}`" in page("policies")
    for name in preset_names():
        assert name in page("quickstart")


@pytest.mark.parametrize(
    "path", [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"], ids=lambda p: p.name
)
def test_links_lead_somewhere(path: Path) -> None:
    """Relative links name files that are there."""
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text("utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.integration
@pytest.mark.parametrize("number", range(len(_blocks(page("quickstart"), "python"))))
def test_quickstart_code_runs(number: int) -> None:
    """Offline, as it stands."""
    code = _blocks(page("quickstart"), "python")[number]
    exec(compile(code, f"quickstart-{number}", "exec"), {"__name__": "quickstart"})


def readme_command(name: str) -> str:
    """The one-line command behind its marker, read as ``.ci/run`` reads it."""
    match = re.search(rf"<!-- command: {name} -->\n```bash\n(.*)\n```", README)
    assert match, name
    return match[1]


def test_the_readme_gives_two_commands_of_one_line() -> None:
    """One runs the main job, one the tests, each from nothing but Python 3.11 and a registry."""
    run, test = readme_command("run"), readme_command("test")
    for command in (run, test):
        assert command.startswith("python3.11 -m venv .venv && .venv/bin/pip install")
        assert "torch" not in command
    assert run.endswith(".venv/bin/python examples/guarded_call.py")
    assert test.endswith(".venv/bin/python -m pytest -n 2 --dist loadfile")


def test_ci_runs_the_readmes_own_test_command() -> None:
    """Extracted from the README, not copied."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    start = script.index("readme_command() {")
    function = script[start : script.index("\n}", start) + 2]
    for name in ("run", "test"):
        done = subprocess.run(
            ["bash", "-c", f"{function}\nreadme_command {name}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == readme_command(name)
    assert "-m pytest" not in script


def test_nothing_names_a_machine_or_a_registry() -> None:
    """No address of a package registry and no path of the machine this was made on."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    banned = re.compile(r"/wor[k]/|\b(files\.)?py" + r"thonhosted\.org|\bpy" + r"pi\.org")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if not path.is_file() or path.suffix in {".onnx", ".data", ".gz", ".png"}:
            continue
        text = path.read_text("utf-8", errors="replace")
        assert not banned.search(text), name


def test_the_changelog_names_the_version_or_what_is_coming() -> None:
    """Keep a Changelog: an Unreleased section, or the version in pyproject."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]" in text


def test_help_of_every_option_says_something() -> None:
    """``--help`` teaches: no option without a sentence."""
    from guardrails.cli.app import PARTS, load_command

    def look(path: str, command: object) -> None:
        for param in command.params:  # type: ignore[attr-defined]
            if "--help" not in param.opts and not getattr(param, "hidden", False):
                assert (getattr(param, "help", None) or "").strip(), f"{path} {param.opts}"
        for name, inner in getattr(command, "commands", {}).items():
            look(f"{path} {name}", inner)

    for name in PARTS:
        look(name, load_command(name))
