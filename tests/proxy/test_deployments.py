"""``model_list`` as LiteLLM writes it: names, patterns, references, and who can be spoken to directly."""

from __future__ import annotations

import pytest

from guardrails.errors import ConfigInvalid
from guardrails.proxy.deployments import Deployments, read_deployments


def of(*entries: dict[str, object], env: dict[str, str] | None = None, **router: object):
    config = {"model_list": list(entries), **({"router_settings": router} if router else {})}
    return read_deployments(config, env or {})


def entry(name: str, model: str, **params: object) -> dict[str, object]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def test_references_to_the_environment_are_resolved() -> None:
    """As LiteLLM writes them, anywhere in the entry; keys stay out of ``repr``."""
    found = of(
        entry("m", "openai/gpt-x", api_key="os.environ/MY_KEY", api_base="os.environ/MY_BASE"),
        env={"MY_KEY": "secret-1", "MY_BASE": "http://here/v1/"},
    ).items[0]
    assert (found.key, found.base, found.model) == ("secret-1", "http://here/v1", "gpt-x")
    assert "secret-1" not in repr(found)


def test_a_reference_to_nothing_is_an_error_without_values() -> None:
    """The message names the key and the variable."""
    with pytest.raises(ConfigInvalid, match=r"litellm_params.api_key .* MY_KEY"):
        of(entry("m", "openai/gpt-x", api_key="os.environ/MY_KEY"))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_list": []},
        {"model_list": ["x"]},
        {"model_list": [{"model_name": "m"}]},
        {"model_list": [{"litellm_params": {"model": "openai/x"}}]},
        {"model_list": [entry("m", "openai/x", timeout="soon")]},
        {"model_list": [entry("m", "openai/x", weight=-1)]},
        {"model_list": [entry("m", "openai/x")], "router_settings": ["x"]},
        {
            "model_list": [entry("m", "openai/x")],
            "router_settings": {"model_group_alias": {"a": 1}},
        },
    ],
)
def test_what_is_no_list_of_deployments_is_refused(config: dict[str, object]) -> None:
    """Each with the key it is about."""
    with pytest.raises(ConfigInvalid, match=r"model_|router_settings"):
        read_deployments(config, {})


@pytest.mark.parametrize(
    ("model", "params", "direct"),
    [
        ("openai/gpt-x", {}, {"chat", "responses"}),
        ("gpt-x", {}, {"chat", "responses"}),
        ("openai/local", {"api_base": "http://x/v1", "temperature": 0}, {"chat", "responses"}),
        ("hosted_vllm/q", {"api_base": "http://x/v1"}, {"chat"}),
        ("hosted_vllm/q", {}, set()),
        ("anthropic/claude-x", {"max_tokens": 9}, {"messages"}),
        ("claude-x", {}, {"messages"}),
        ("bedrock/claude-x", {}, set()),
        ("openai/gpt-x", {"drop_params": True}, set()),
        ("openai/gpt-x", {"rpm": 6}, set()),
        ("gpt-x", {"custom_llm_provider": "azure"}, set()),
    ],
)
def test_who_can_be_spoken_to_directly(model: str, params: dict, direct: set[str]) -> None:
    """Where the provider speaks the protocol and every setting is one we carry out ourselves."""
    found = of(entry("m", model, **params))
    for wire in ("chat", "responses", "messages"):
        assert found.direct(found.group("m"), wire) == (wire in direct)


def test_a_group_goes_direct_only_as_a_whole() -> None:
    """And only where the router has no orders of its own."""
    both = [entry("m", "openai/a"), entry("m", "openai/b")]
    assert of(*both).direct(of(*both).group("m"), "chat")
    mixed = of(entry("m", "openai/a"), entry("m", "azure/b"))
    assert not mixed.direct(mixed.group("m"), "chat")
    ordered = of(*both, fallbacks=[{"m": ["n"]}])
    assert not ordered.direct(ordered.group("m"), "chat")
    retried = of(*both, num_retries=2, routing_strategy="simple-shuffle")
    assert retried.direct(retried.group("m"), "chat")


def test_names_patterns_and_aliases() -> None:
    """Exact names first, then the longest pattern; a star stands for what was asked."""
    found: Deployments = of(
        entry("exact", "openai/e"),
        entry("open/*", "openai/*"),
        entry("open/big-*", "openai/large-*"),
        model_group_alias={"short": "exact", "hidden": {"model": "exact", "hidden": True}},
    )
    assert [d.model for d in found.group("exact")] == ["e"]
    assert [d.model for d in found.group("short")] == ["e"]
    assert [d.model for d in found.group("open/x.y")] == ["x.y"]
    assert [d.model for d in found.group("open/big-1")] == ["large-1"]
    assert found.group("nobody") == ()
    assert [model.name for model in found.models()] == ["exact", "short", "hidden"]


def test_the_usual_variables_of_providers() -> None:
    """A deployment without a key or address of its own takes them from there."""
    env = {"OPENAI_API_KEY": "k1", "ANTHROPIC_API_KEY": "k2", "OPENAI_BASE_URL": "http://o/v1"}
    one, two = of(entry("a", "openai/a"), entry("b", "anthropic/b"), env=env).items
    assert (one.key, one.base) == ("k1", "http://o/v1")
    assert (two.key, two.base) == ("k2", "https://api.anthropic.com")


def test_litellm_gets_the_list_as_it_was_written() -> None:
    """With references resolved, nothing else changed."""
    written = entry("m", "bedrock/x", aws_region_name="os.environ/REGION", rpm=4)
    assert of(written, env={"REGION": "eu"}).litellm_list() == [
        entry("m", "bedrock/x", aws_region_name="eu", rpm=4)
    ]
