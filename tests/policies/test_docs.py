"""The policy page says what the schema says, and its examples load."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from policies import lint
from policies.load import parse_policy, preset_names
from policies.schema import Policy
from policies.types import Action
from verifiers.types import ClaimKind, Facet

PAGE = Path(__file__).resolve().parents[2] / "guardrails" / "docs" / "policies.md"
TEXT = PAGE.read_text(encoding="utf-8")


def keys() -> list[str]:
    """Every key of a policy file, with its table."""
    found = ["extends"]
    for name, field in Policy.model_fields.items():
        table = field.annotation
        if isinstance(table, type) and issubclass(table, BaseModel):
            found += [f"{name}.{key}" for key in table.model_fields]
        else:
            found.append(name)
    return found


@pytest.mark.parametrize(
    "name",
    [*keys(), *(a.value for a in Action), *ClaimKind, *Facet, *preset_names()],
)
def test_everything_is_on_the_page(name: str) -> None:
    """Each key, action, kind and preset is named."""
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("key", [k for k in keys() if k.startswith("on_")])
def test_what_a_rule_may_be_is_as_documented(key: str) -> None:
    """The page's "may be" column is what the schema accepts."""
    (said,) = re.findall(rf"^\| `{key}` \|.*\| (.*) \|$", TEXT, re.MULTILINE)
    everything = {action.value for action in Action}
    if said == "any":
        allowed = everything
    elif said.startswith("any but "):
        allowed = everything - {said.removeprefix("any but ")}
    else:
        allowed = set(said.split(", "))
    metadata = Policy.model_fields[key].metadata
    adapter: TypeAdapter[Action] = TypeAdapter(
        Annotated[(Action, *metadata)] if metadata else Action
    )
    for action in everything:
        try:
            adapter.validate_python(action)
            accepted = True
        except ValidationError:
            accepted = False
        assert accepted is (action in allowed), (key, action)


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
def test_examples_load(example: str) -> None:
    """What the page shows can be pasted."""
    assert parse_policy(example, source="policies.md").digest


def test_the_findings_are_listed() -> None:
    """Each finding the linter knows is on the page, and no other."""
    source = Path(lint.__file__).read_text(encoding="utf-8")
    known = set(re.findall(r'Finding\(\s*"([a-z-]+)"', source))
    section = TEXT[TEXT.index("## Findings of `lint`") :]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == known


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The page's code is code."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})
    assert capsys.readouterr().out.startswith("pass: policy balanced")
