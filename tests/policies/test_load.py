"""Reading policies: what is refused, and what the error says of it."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest

from policies.errors import PolicyInvalid, PolicyNotFound, Problem
from policies.load import MAX_BYTES, load_policy, parse_policy, preset_names
from policies.schema import Policy
from policies.types import Action


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(text, source="p.yaml")
    assert caught.value.code == "GR201"
    assert caught.value.source == "p.yaml"
    return [str(problem) for problem in caught.value.problems]


# --------------------------------------------------------------------------- keys and values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("on_eror: pass", ["line 1, on_eror: unknown key; allowed: after_", "mean 'on_error'?"]),
        (
            "version: 1\nlimits:\n  atempts: 3",
            ["line 3, limits.atempts: unknown key; allowed: attempts, cost_usd, seconds"],
        ),
        (
            "routes:\n  a:\n    answer: {max: 3}",
            ["line 3, routes.a.answer.max: unknown key; allowed: action, after_attempts,"],
        ),
        (
            "routes: {a: {kinds: {number: {on_suported: pass}}}}",
            ["routes.a.kinds.number.on_suported: unknown key", "'on_supported'"],
        ),
        ("kinds: {nmber: {}}", ["kinds.nmber: unknown kind of claim", "did you mean 'number'?"]),
        ("on_unsupported: redakt", ["'redakt' is not an action", "did you mean 'redact'?"]),
        ("on_unsupported: zzz", ["'zzz' is not an action; allowed: pass, annotate"]),
        # YAML 1.1 would read these as false, 90, 8 and a date.
        ("on_error: no", ["'no' is not an action"]),
        ("on_error: off", ["'off' is not an action"]),
        ("on_error: false", ["False is not an action"]),
        ("limits: {seconds: 1:30}", ["'1:30' is not a number"]),
        ("limits: {attempts: 010}", ["'010' is not a whole number"]),
        ("limits: {attempts: 2.5}", ["2.5 is not a whole number"]),
        ("limits: {attempts: true}", ["True is not a whole number"]),
        ("limits: {attempts: 0}", ["0 should be greater than or equal to 1"]),
        ("limits: {attempts: 99999999999999999999}", ["is not a whole number"]),
        ("thresholds: {support: 0}", ["0 should be greater than 0"]),
        ("thresholds: {support: 1.01}", ["1.01 should be less than or equal to 1"]),
        ("thresholds: {support: .nan}", ["nan is not a finite number"]),
        ("thresholds: {support: -.inf}", ["-inf is not a finite number"]),
        ("thresholds: {support: 1e999}", ["inf is not a finite number"]),
        ("thresholds: {support: '0.5'}", ["'0.5' is not a number"]),
        ("thresholds: {support: true}", ["True is not a number"]),
        ("thresholds:", ["no value stands where a table of keys belongs"]),
        ("thresholds: 0.5", ["0.5 stands where a table of keys belongs"]),
        ("kinds: [number]", ["['number'] stands where a table of keys belongs"]),
        ("review: {hold: yes}", ["'yes' is not true or false"]),
        ("blocked: rais", ["'rais' should be 'respond' or 'raise'"]),
        ("refusal: '  '", ["'  ' is blank"]),
        ("refusal: ''", ["'' is blank"]),
        ("name: ' x'", ["' x' is blank, or begins or ends with white space"]),
        ("name: 7", ["7 should be a valid string"]),
        ("routes: {a b: {}}", ["a route's name is letters, digits and"]),
        ("version: 2", ["the only version is 1"]),
        ("version: 1.0", ["the only version is 1"]),
        ("version: true", ["the only version is 1"]),
        # Rules that make no sense where they stand.
        (
            "on_error: regenerate",
            ["regenerate makes no sense here", "allowed: pass, annotate, red"],
        ),
        ("on_no_evidence: regenerate", ["regenerate makes no sense here"]),
        ("after_attempts: regenerate", ["it is what happens when no attempt is left"]),
        ("on_supported: redact", ["there is nothing wrong with a supported claim"]),
        ("on_empty: redact", ["no claim is at fault"]),
        ("answer: {action: pass}", ["a limit that only passes limits nothing"]),
        # A forgotten value in an override must not read as "not overridden".
        ("kinds: {number: {on_unsupported: }}", ["on_unsupported: has no value"]),
        ("routes: {a: {refusal: null}}", ["routes.a.refusal: has no value"]),
        ("extends: balancd", ["'balancd' is no preset", "did you mean 'balanced'?"]),
        ("extends: [strict]", ["['strict'] is no preset"]),
        (f"on_error: {'x' * 500}", ["xxx... is not an action"]),
    ],
)
def test_what_is_wrong_is_said(text: str, said: list[str]) -> None:
    """Each mistake is named with its key, what is allowed, and the nearest allowed name."""
    (found,) = problems(text)
    assert found.startswith("line ")
    for part in said:
        assert part in found


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("on_supported: review\non_contradicted: annotate", "on_supported"),
        ("on_no_claims: refuse", "on_no_claims"),
        ("on_supported: annotate\non_error: pass", "on_supported"),
        ("on_supported: annotate\nafter_attempts: pass", "on_supported"),
        ("on_no_claims: annotate\nanswer: {after_attempts: pass}", "on_no_claims"),
        ("kinds:\n  number: {on_supported: review}", "kinds.number.on_supported"),
        ("routes:\n  a: {on_supported: review}", "routes.a"),
    ],
)
def test_an_unordered_policy_is_refused(text: str, key: str) -> None:
    """No policy loads under which a worse answer would be treated more softly."""
    (found,) = problems(text)
    assert f"{key}: " in found
    assert "so a worse answer would be treated more softly" in found


def test_every_problem_is_listed_in_the_order_of_the_file() -> None:
    """One run of the linter is enough to mend a file."""
    found = problems("on_eror: pass\nlimits: {attempts: 0}\nthresholds:\n  support: 2")
    assert [text.partition(":")[0] for text in found] == [
        "line 1, on_eror",
        "line 2, limits.attempts",
        "line 4, thresholds.support",
    ]


def test_a_long_list_is_cut_in_the_message_only() -> None:
    """The message names twenty problems and how many more there are; the error holds them all."""
    text = "\n".join(f"key{number}: 1" for number in range(30))
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(text, source="p.yaml")
    assert len(caught.value.problems) == 30
    assert "and 10 more" in str(caught.value)


def test_problems_without_a_file_have_no_line() -> None:
    """A mapping has keys and no lines."""
    with pytest.raises(PolicyInvalid, match=r"\n  on_eror: unknown key"):
        load_policy({"on_eror": "pass"})
    with pytest.raises(PolicyInvalid, match="'balance' is no preset"):
        load_policy({"extends": "balance"})


# --------------------------------------------------------------------------- YAML


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "on_error: pass\non_error: refuse",
            "line 2, on_error: is set twice; the first is on line",
        ),
        ("kinds:\n  number: {}\n  number: {}", "line 3, kinds.number: is set twice"),
        ("a: &x 1\nb: *x", "line 1, a: anchors (`&x`) are not allowed"),
        ("a: *x", "line 1, a: aliases"),
        ("<<: *x", "line 1, <<: aliases"),
        ("a: !!python/object/apply:os.system [ls]", "tags (`tag:yaml.org,2002:python/"),
        ("a: !!binary aGk=", "tags (`tag:yaml.org,2002:binary`)"),
        ("version: 1\n---\nversion: 1", "holds several documents"),
        ("? [a, b]\n: 1", "a key must be plain text"),
        ("a: [1, [2, [3, [4, [5, [6, [7, [8, [9, [10, [11, [12, [13, [14]]]]]]]]]]]]]]", "deep"),
        ("a: {" * 5000, "nested more than"),
        ("a: b: c", "line 1, this is not YAML: mapping values are not allowed here"),
        ("a: 'x", "this is not YAML"),
        ("a: \x07", "this is not YAML: special characters are not allowed"),
        ("\tversion: 1", "this is not YAML"),
        ("", "a policy is a table of keys, and this is empty"),
        ("# nothing", "and this is empty"),
        ("balanced", "and this is text"),
        ("- version: 1", "and this is a list"),
        ("17", "and this is a single value"),
    ],
)
def test_only_plain_yaml_is_read(text: str, said: str) -> None:
    """Whatever could mean something else than it shows is refused, with its line."""
    (found,) = problems(text)
    assert said in found


def test_a_list_has_lines_of_its_own() -> None:
    """A problem inside a list is told with the item's line."""
    (found,) = problems("a:\n  - 1\n  - b: 1\n    b: 2")
    assert found.startswith("line 4, a.1.b: is set twice")


def test_scalars_are_what_they_show() -> None:
    """Quoted words stay words; numbers, null and truth are read as YAML 1.2 has them."""
    policy = parse_policy(
        "name: 'null'\ndescription: \"1\"\nthresholds: {support: 1, contradiction: 6.0e-1}\n"
        "limits: {seconds: ~, cost_usd: 1.}\nreview: {hold: False}\nrefusal: 2024-01-01",
        source="p",
    )
    assert policy.name == "null"
    assert policy.description == "1"
    assert (policy.thresholds.support, policy.thresholds.contradiction) == (1.0, 0.6)
    assert (policy.limits.seconds, policy.limits.cost_usd) == (None, 1.0)
    assert policy.review.hold is False
    assert policy.refusal == "2024-01-01"


# --------------------------------------------------------------------------- files


def test_files(tmp_path: Path) -> None:
    """A file by path or by string, with or without a byte order mark, named after itself."""
    file = tmp_path / "billing.yaml"
    file.write_bytes(b"\xef\xbb\xbfversion: 1\non_error: refuse\n")
    for ref in (file, str(file)):
        policy = load_policy(ref)
        assert (policy.name, policy.on_error) == ("billing", Action.REFUSE)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"name: \xff\xfe", "line 1, is not UTF-8 text (byte 0xff)"),
        (b"version: 1\nname: caf\xe9", "line 2, is not UTF-8 text (byte 0xe9)"),
        ("version: 1".encode("utf-16"), "is not UTF-8 text (byte 0xff)"),
        ("version: 1".encode("utf-16-le"), "is a binary file (or UTF-16 text)"),
        (b"PK\x03\x04\x00\x00", "is a binary file"),
        (b"#" * (MAX_BYTES + 1), "is larger than 256 KiB"),
        (b"", "this is empty"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, data: bytes, said: str) -> None:
    """What cannot be a policy is refused before it is parsed."""
    file = tmp_path / "policy.yaml"
    file.write_bytes(data)
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(file)
    assert caught.value.source == str(file)
    assert said in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    """A name that is neither preset nor file lists the presets and the nearest."""
    with pytest.raises(
        PolicyNotFound, match=r"GR202.*'strickt'.*balanced, observe, strict.*'strict'"
    ):
        load_policy("strickt")
    (tmp_path / "file").write_text("version: 1")
    with pytest.raises(PolicyNotFound):
        load_policy(tmp_path / "file" / "below.yaml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A folder, a pipe, a NUL in the name and an endless name are each said to be that."""
    os.mkfifo(tmp_path / "pipe")
    for ref, said in (
        (tmp_path, "this is not a file"),
        (tmp_path / "pipe", "this is not a file"),  # and is not waited for
        ("a\0b", "cannot be read"),
        ("x" * 5000, "cannot be read"),
    ):
        with pytest.raises(PolicyInvalid, match=said):
            load_policy(ref)


def test_a_preset_wins_over_a_file_of_its_name(tmp_path: Path, monkeypatch: Any) -> None:
    """``balanced`` is the preset wherever the program runs; ``./balanced`` is the file."""
    (tmp_path / "balanced").write_text("version: 1\nname: mine\n")
    monkeypatch.chdir(tmp_path)
    assert load_policy("balanced").name == "balanced"
    assert load_policy("./balanced").name == "mine"
    assert load_policy(Path("balanced")).name == "mine"


# --------------------------------------------------------------------------- merging, identity


def test_extends_merges_table_by_table() -> None:
    """Only what is written changes; a name and a description are not inherited."""
    strict = load_policy("strict")
    policy = load_policy(
        {"extends": "strict", "thresholds": {"support": 0.95}, "limits": {"seconds": None}}
    )
    assert policy.thresholds.support == 0.95
    assert policy.thresholds.contradiction == strict.thresholds.contradiction
    assert (policy.limits.attempts, policy.limits.seconds) == (3, None)
    assert policy.after_attempts is Action.REFUSE
    assert (policy.name, policy.description) == ("custom", "")


def test_a_policy_is_taken_as_it_is() -> None:
    """Whoever has a policy need not load it again."""
    policy = load_policy("observe")
    assert load_policy(policy) is policy


def test_a_route_lifts_a_limit_with_null() -> None:
    """Where null means "no limit", a route may write it."""
    policy = load_policy(
        {
            "routes": {
                "a": {
                    "limits": {"seconds": None},
                    "answer": {"max_unsupported_share": None},
                    "thresholds": {"support": 0.9},
                    "review": {"hold": False},
                }
            }
        }
    )
    route = policy.for_route("a")
    assert route.limits.seconds is None
    assert route.answer.max_unsupported_share is None
    assert route.answer.action is Action.REGENERATE
    assert (route.thresholds.support, route.thresholds.contradiction) == (0.9, 0.8)
    assert (route.review.hold, policy.review.hold) == (False, True)
    assert route.routes == {}


def test_a_policy_cannot_be_changed() -> None:
    """What decides is what was loaded, down to its tables; a copy may differ and is checked."""
    policy = load_policy({"kinds": {"number": {"on_error": "refuse"}}})
    with pytest.raises(TypeError, match="cannot be changed"):
        policy.kinds.clear()
    with pytest.raises(ValueError, match="frozen"):
        policy.on_error = Action.PASS  # type: ignore[misc]
    digest = policy.digest
    assert copy.deepcopy(policy) == policy
    other = policy.model_copy(update={"on_error": "pass"})
    assert other.on_error is Action.PASS
    assert policy.model_copy() == policy
    assert policy.digest == digest != other.digest
    with pytest.raises(ValueError, match="Input should be"):
        policy.model_copy(update={"on_error": "not an action"})


def test_the_digest_is_pinned() -> None:
    """The digest of a policy does not change between releases without being noticed."""
    assert Policy(name="pinned").digest == (
        "v1:b2:1759df6fa4656a677b0ef0cc5fe3f9427734322cc87f133a9c220c32bfa0c872"
    )


def test_errors_survive_being_sent(tmp_path: Path) -> None:
    """An error copied to another process keeps its problems and its words."""
    with pytest.raises(PolicyInvalid) as caught:
        load_policy({"on_eror": "pass"})
    again = copy.copy(caught.value)
    assert (str(again), again.problems, again.source) == (
        str(caught.value),
        caught.value.problems,
        caught.value.source,
    )
    assert str(Problem("", "is empty")) == "is empty"


def test_presets_are_listed() -> None:
    """Names for ``--help`` and for error messages."""
    assert preset_names() == ("balanced", "observe", "strict")
