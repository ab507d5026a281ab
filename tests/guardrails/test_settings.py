"""Settings: where they come from, and every mistake named."""

from __future__ import annotations

import pytest

from guardrails.build import model_spec, spill_path
from guardrails.errors import ConfigInvalid
from guardrails.settings import Settings, _Reader, load_settings, read_table


def load(tmp_path, text=None, name="groundrail.yaml", **variables):
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    return load_settings(environment=variables, directory=tmp_path)


def test_without_file_and_environment_the_defaults_hold(tmp_path):
    """One user-wide database, no text in it, balanced policy."""
    settings = load(tmp_path)
    assert settings == Settings()
    assert settings.store.url.endswith("groundrail/records.db")
    assert not settings.store.text
    assert not settings.telemetry.log_text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("groundrail.yaml", "policy: strict\nstore:\n  url: null\n  text: true\n"),
        ("groundrail.yml", "{policy: strict, store: {url: null, text: true}}"),
        ("groundrail.toml", "policy = 'strict'\n[store]\ntext = true\nurl = 'sqlite://'\n"),
    ],
)
def test_a_file_is_found_and_read(tmp_path, name, text):
    """YAML and TOML."""
    settings = load(tmp_path, text, name)
    assert settings.policy == "strict"
    assert settings.store.text
    assert settings.store.url in {None, "sqlite://"}


def test_the_environment_is_stronger_than_the_file(tmp_path):
    """Key by key, not section by section."""
    settings = load(
        tmp_path,
        "store:\n  url: sqlite:///a.db\n  text: true\n",
        GROUNDRAIL_STORE__URL="sqlite:///b.db",
        GROUNDRAIL_EVIDENCE__READ_ALL_UP_TO="5",
        GROUNDRAIL_MODEL__LABELS='["entailment", "not_entailment"]',
    )
    assert settings.store.url == "sqlite:///b.db"
    assert settings.store.text
    assert settings.evidence.read_all_up_to == 5
    assert settings.model.labels == ("entailment", "not_entailment")


def test_null_in_the_environment_is_no_value(tmp_path):
    """So that records can be switched off there."""
    assert load(tmp_path, GROUNDRAIL_STORE__URL="null").store.url is None


def test_a_named_file_is_read_instead(tmp_path):
    """By GROUNDRAIL_CONFIG, and by argument over it."""
    (tmp_path / "a.yaml").write_text("policy: strict")
    (tmp_path / "b.yaml").write_text("policy: observe")
    named = load(tmp_path, GROUNDRAIL_CONFIG=str(tmp_path / "a.yaml"))
    assert named.policy == "strict"
    argued = load_settings(
        tmp_path / "b.yaml", environment={"GROUNDRAIL_CONFIG": str(tmp_path / "a.yaml")}
    )
    assert argued.policy == "observe"


def test_paths_in_a_file_are_relative_to_it(tmp_path):
    """Wherever the program runs."""
    (tmp_path / "mine.yaml").write_text("extends: balanced")
    settings = load(tmp_path, "policy: mine.yaml\nstore:\n  spill: lost.jsonl\n")
    assert settings.policy == str(tmp_path / "mine.yaml")
    assert settings.store.spill == tmp_path / "lost.jsonl"


@pytest.mark.parametrize(
    ("text", "variables", "said"),
    [
        ("stor:\n  url: x\n", {}, ["groundrail.yaml", "stor ", "store"]),
        ("store:\n  ulr: x\n", {}, ["store.ulr", "Did you mean url", "on_error"]),
        ("store:\n  on_error: maybe\n", {}, ["store.on_error", "'continue' or 'fail'"]),
        ("evidence:\n  k: 0\n", {}, ["evidence.k", "greater than or equal to 1"]),
        ("store: [\n", {}, ["not valid YAML", "line 2"]),
        ("- a\n", {}, ["holds a list"]),
        (None, {"GROUNDRAIL_STOR__URL": "x"}, ["GROUNDRAIL_STOR__URL", "GROUNDRAIL_STORE__URL"]),
        (None, {"GROUNDRAIL_EVIDENCE__K": "many"}, ["GROUNDRAIL_EVIDENCE__K", "integer"]),
        (None, {"GROUNDRAIL_CONFIG": "/nowhere/g.yaml"}, ["/nowhere/g.yaml", "does not exist"]),
    ],
)
def test_mistakes_are_named(tmp_path, text, variables, said):
    """File or variable, key, and what is allowed."""
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path, text, **variables)
    for part in said:
        assert part in str(caught.value)


def test_a_broken_toml_or_encoding_is_named(tmp_path):
    """As for YAML."""
    with pytest.raises(ConfigInvalid, match="not valid TOML"):
        load(tmp_path, "[store\n", "groundrail.toml")
    (tmp_path / "groundrail.toml").unlink()
    (tmp_path / "groundrail.yaml").write_bytes(b"policy: \xff\xfe")
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        load(tmp_path)


def test_secrets_are_not_printed(tmp_path):
    """Neither of good settings nor in the error of bad ones."""
    good = load(tmp_path, GROUNDRAIL_MODEL__TOKEN="hunter2", GROUNDRAIL_STORE__DIGEST_KEY="hunter3")
    assert "hunter" not in repr(good)
    assert model_spec(good).token == "hunter2"
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path, "model:\n  token: [hunter2]\n")
    assert "hunter2" not in str(caught.value)


def test_settings_are_frozen():
    """Read once; nobody changes them under a running guard."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().policy = "observe"


def test_the_environment_reader_has_the_settings_fields():
    """Field by field, or a variable would be accepted and not read."""
    assert list(_Reader.model_fields) == list(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        assert _Reader.model_fields[name].annotation == field.annotation


def test_every_model_setting_reaches_the_model():
    """But for those of the engine around it."""
    from dataclasses import fields

    from guardrails.settings import ModelSettings
    from verifiers.backends import ModelSpec

    known = {field.name for field in fields(ModelSpec)} - {"canaries"}
    assert set(ModelSettings.model_fields) - {"max_queue_pairs", "cache_pairs"} == known


@pytest.mark.parametrize(
    ("url", "end"),
    [
        ("sqlite:///x/records.db", "x/records.db.spill.jsonl"),
        ("sqlite://", "groundrail/records.spill.jsonl"),
        ("postgresql+psycopg://u@h/d", "groundrail/records.spill.jsonl"),
    ],
)
def test_there_is_always_a_spill_file(url, end):
    """Also where the store has none of its own."""
    assert spill_path(Settings(), url).as_posix().endswith(end)


@pytest.mark.parametrize("word", ["off", '"off"'])
def test_off_is_the_word_that_it_looks_like(tmp_path, word):
    """YAML 1.1 reads a bare ``off`` as false; the docs and the error's own hint write it so."""
    assert load(tmp_path, f"proxy:\n  auth: {word}\n").proxy.auth == "off"
    with pytest.raises(ConfigInvalid, match=r"proxy\.auth"):
        load(tmp_path, "proxy:\n  auth: on\n")


def test_a_model_list_that_is_not_there_is_said_to_be_missing(tmp_path):
    """Its encoding is not at fault."""
    with pytest.raises(ConfigInvalid) as caught:
        read_table(tmp_path / "models.yaml")
    assert "no such file" in caught.value.hint
