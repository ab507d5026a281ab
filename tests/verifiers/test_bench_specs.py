"""What to measure, as written on a command line: models, systems, and what is wrong with them."""

from __future__ import annotations

import pytest

from verifiers.backends.spec import ModelSpec
from verifiers.bench.specs import parse_models, parse_systems
from verifiers.pipeline import EvidenceSettings

CONFIGURED = ModelSpec(model="mine", backend="tei", url="http://127.0.0.1:1", token="secret")


def models(*texts: str) -> dict[str, ModelSpec]:
    return parse_models(texts, configured=CONFIGURED)


def test_a_model_has_a_name_and_options() -> None:
    """Its own name by default; options are those of a model, typed."""
    found = models("bundled,threads=2", "v0=some/folder", "a/b=c", "org/model")
    assert found["bundled"] == ModelSpec(threads=2)
    assert found["v0"] == ModelSpec(model="some/folder")
    assert found["b=c"].model == "a/b=c"  # an equals sign in a path makes no name of what precedes
    assert found["model"].model == "org/model"
    (served,) = models("x,backend=vllm,url=http://h:1,labels=yes|no,timeout=2.5").values()
    assert served.backend == "vllm"
    assert served.url == "http://h:1"
    assert served.labels == ("yes", "no")
    assert served.timeout == 2.5
    (whole,) = models("bundled,early_exit=false,form=fp32").values()
    assert (whole.early_exit, whole.form) == (False, "fp32")


def test_the_model_of_the_settings_keeps_what_no_command_line_should_hold() -> None:
    """Its token among them; options still change it."""
    found = models("served=settings,threads=1")["served"]
    assert found.token == "secret"
    assert (found.model, found.threads) == ("mine", 1)
    with pytest.raises(ValueError, match="'token'"):
        models("x,token=abc")


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["a/m", "b/m"], "two models are called 'm'"),
        (["m,colour=red"], "no option of a model"),
        (["m,threads"], "not KEY=VALUE"),
        (["m,threads=two"], "threads is a number"),
        (["m,early_exit=no"], "early_exit is true or false"),
        ([",threads=1"], "names nothing"),
    ],
)
def test_a_model_that_cannot_be_read_is_explained(texts, says) -> None:
    """Nothing is loaded before all are understood."""
    with pytest.raises(ValueError, match=says):
        models(*texts)


def test_a_system_without_a_model_is_measured_with_each() -> None:
    """Names stay apart; word overlap has no model."""
    found = parse_systems(["overlap", "model", "pipeline@v0"], models("bundled", "v0=x"))
    assert [(s.name, s.kind, s.model) for s in found] == [
        ("overlap", "overlap", None),
        ("model@bundled", "model", "bundled"),
        ("model@v0", "model", "v0"),
        ("pipeline@v0", "pipeline", "v0"),
    ]
    (one,) = parse_systems(["model"], models("bundled"))
    assert one.name == "model"
    both = parse_systems(["mine=model"], models("a", "b"))
    assert [s.name for s in both] == ["mine@a", "mine@b"]


def test_a_system_may_read_sources_in_its_own_way() -> None:
    """Settings are typed, stand in the name, and leave the others as they are."""
    plain, wide = parse_systems(["model", "model,window_tokens=256,near=0.2"], models("bundled"))
    assert plain.evidence == EvidenceSettings()
    assert wide.evidence == EvidenceSettings(window_tokens=256, near=0.2)
    assert wide.name == "model,window_tokens=256,near=0.2"
    (named,) = parse_systems(["wide=pipeline@bundled,k=3"], models("bundled"))
    assert (named.name, named.evidence.k) == ("wide", 3)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["guess"], "no system; choose one of: overlap, model"),
        (["model@nobody"], "names the model 'nobody'; known are bundled, v0"),
        (["model", "model@v0"], "two systems are called 'model@v0'"),
        (["model@v0"], "no system measures the model 'bundled'"),
        (["overlap@v0"], "overlap reads whole texts"),
        (["overlap,k=3"], "overlap reads whole texts"),
        (["model,depth=3"], "no setting of evidence; known are window_tokens"),
        (["model,k=many"], "k is a number"),
        (["model,k=0"], "k must be 1 or more"),
    ],
)
def test_a_system_that_cannot_be_read_is_explained(texts, says) -> None:
    """And what there is instead."""
    with pytest.raises(ValueError, match=says):
        parse_systems(texts, models("bundled", "v0=x"))


def test_every_option_of_a_model_can_be_written() -> None:
    """A new field of a model's spec is read as what it is, or is left to the settings."""
    from dataclasses import fields

    from verifiers.bench.specs import _MODEL_KEYS, _NUMBERS, _SWITCHES

    for field in fields(ModelSpec):
        if field.name in _MODEL_KEYS:
            number = str(field.type).split(" | ")[0] in {"int", "float"}
            assert number == (field.name in _NUMBERS), field.name
            assert ("bool" in str(field.type)) == (field.name in _SWITCHES), field.name
