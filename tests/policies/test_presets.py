"""The presets as decision tables, kept under ``tests/golden/policy``.

After a change that is meant, write them again and read the difference::

    python tests/policies/test_presets.py --write-golden
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from policies.engine import decide, settle
from policies.lint import lint
from policies.load import load_policy, preset_names
from policies.schema import Policy
from policies.types import Action, AnswerFacts, Decision, Spent

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "policy"


def scenarios(make: Any) -> list[tuple[str, list[Any], AnswerFacts]]:
    """What can come of an answer, the common first."""
    none = AnswerFacts()
    good = [make.supported() for _ in range(3)]
    return [
        ("all supported", good, none),
        ("supported, each cited", [make.supported(cited=1.0)], none),
        ("supported, wrongly cited", [*good, make.supported(cited=0.0)], none),
        ("1 of 4 unsupported", [*good, make.unsupported()], none),
        ("2 of 4 unsupported", [*good[:2], make.unsupported(), make.unsupported()], none),
        ("3 of 4 unsupported", [*good[:1], *[make.unsupported() for _ in range(3)]], none),
        ("1 of 4 contradicted", [*good, make.contradicted()], none),
        ("the only claim contradicted", [make.contradicted()], none),
        ("1 contradicted, 1 unsupported", [*good, make.contradicted(), make.unsupported()], none),
        ("sources disagree on 1 of 4", [*good, make.conflict()], none),
        ("1 of 4 could not be checked", [*good, make.error()], none),
        ("none could be checked", [make.error()], none),
        ("no sources", [make.unverifiable(), make.unverifiable()], AnswerFacts(has_evidence=False)),
        ("support 0.70", [*good, make.scored(0.7, 0.0)], none),
        ("support 0.50", [*good, make.scored(0.5, 0.0)], none),
        ("support 0.49", [*good, make.scored(0.49, 0.0)], none),
        ("contradiction 0.70", [*good, make.scored(0.0, 0.7)], none),
        ("nothing to check", [make.skipped()], none),
        ("no claims at all", [], none),
        ("empty", [], AnswerFacts(empty=True)),
        ("tool calls only", [], AnswerFacts(tool_calls=True)),
        ("the model declined", [make.skipped()], AnswerFacts(refused=True)),
        ("cut, all supported", good, AnswerFacts(cut=True)),
        ("cut, 1 of 4 contradicted", [*good, make.contradicted()], AnswerFacts(cut=True)),
    ]


def table(policy: Policy, make: Any) -> str:
    """A line a scenario: the decision, what it becomes without attempts left, and the rule."""
    lines = [
        f"# {policy.name} {policy.digest}",
        f"{'answer':<32}{'decision':<12}{'no attempt left':<17}claims then, and the first rule",
    ]
    for name, found, known in scenarios(make):
        first = decide(found, policy, facts=known)
        last = settle(first, policy, Spent(attempts=99), can_regenerate=True)
        then = "same" if last.action is first.action else last.action.value
        lines.append(f"{name:<32}{first.action.value:<12}{then:<17}{_claims(last)}".rstrip())
    return "\n".join(lines) + "\n"


def _claims(decision: Decision) -> str:
    did = [claim.action.value for claim in decision.claims if claim.action is not Action.PASS]
    rule = decision.hits[0].rule if decision.hits else "-"
    return f"{', '.join(did) or '-'} | {rule}"


@pytest.mark.parametrize("name", preset_names())
def test_golden(name: str, make: Any) -> None:
    """Every preset decides as its reviewed table says, digest included."""
    assert table(load_policy(name), make) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_there_is_a_table_a_preset() -> None:
    """No preset without a reviewed table, no table without a preset."""
    assert sorted(path.stem for path in GOLDEN.glob("*.txt")) == list(preset_names())
    assert preset_names() == ("balanced", "observe", "strict")


def test_defaults_are_balanced() -> None:
    """What a policy leaves out is as in balanced, whether it says so or not."""
    balanced = load_policy("balanced")
    own = {"name": "x"}
    assert load_policy(own) == load_policy({**own, "extends": "balanced"})
    assert Policy(name="balanced", description=balanced.description) == balanced


def test_only_observe_lets_a_failed_check_through() -> None:
    """Failing open is something an operator writes down; the one preset that does says so."""
    open_ones = {
        name
        for name in preset_names()
        if load_policy(name).on_error.severity <= Action.ANNOTATE.severity
    }
    assert open_ones == {"observe"}
    assert "fails open on purpose" in load_policy("observe").description
    assert [finding.rule for finding in lint(load_policy("observe"))] == ["never-blocks"]
    assert lint(load_policy("strict")) == lint(load_policy("balanced")) == ()


def test_observe_never_does_more_than_annotate(make: Any) -> None:
    """Under observe no answer is changed, held or stopped, whatever was found."""
    policy = load_policy("observe")
    for _, found, known in scenarios(make):
        decision = decide(found, policy, facts=known)
        settled = settle(decision, policy, Spent(), can_regenerate=True)
        assert settled.action in {Action.PASS, Action.ANNOTATE}


def _write() -> None:
    spec = importlib.util.spec_from_file_location(
        "by_hand", Path(__file__).with_name("conftest.py")
    )
    assert spec is not None
    assert spec.loader is not None
    by_hand = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(by_hand)
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name in preset_names():
        text = table(load_policy(name), by_hand.Make())
        (GOLDEN / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write-golden"]:
        sys.exit("usage: python tests/policies/test_presets.py --write-golden")
    _write()
