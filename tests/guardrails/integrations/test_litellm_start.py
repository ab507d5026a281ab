"""What keeps LiteLLM from starting: everything that would let answers out unchecked.

LiteLLM's own set-up runs on each configuration, in one process of its own without its server:
importing LiteLLM's proxy takes long and leaves much behind.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.litellm

ROOT = Path(__file__).resolve().parents[3]
CLASS = "guardrails.integrations.litellm_guardrail.GroundrailGuardrail"
GOOD: dict[str, Any] = {
    "guardrail": CLASS,
    "mode": ["pre_call", "post_call"],
    "default_on": True,
    "groundrail": {"warm": False},
}
# Name -> changed parameters, and what the error must name.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no post_call": ({"mode": "pre_call"}, "mode"),
    "another mode besides": ({"mode": ["post_call", "during_call"]}, "mode"),
    "only logged": ({"mode": "logging_only"}, "mode"),
    "mode by tag": ({"mode": {"tags": {"a": "post_call"}, "default": "post_call"}}, "mode"),
    "in parallel": ({"run_in_parallel": True}, "run_in_parallel"),
    "streams only": ({"stream_scope": "streaming"}, "stream_scope"),
    "all but streams": ({"stream_scope": "non_streaming"}, "stream_scope"),
    "no such parameter": ({"polcy": "strict"}, "polcy"),
    "no such option": ({"groundrail": {"polcy": "strict"}}, "groundrail.polcy"),
    "no such value": ({"groundrail": {"unseen": "maybe"}}, "groundrail.unseen"),
    "no options at all": ({"groundrail": "strict"}, "groundrail"),
    "no such policy": ({"groundrail": {"policy": "no-such-policy"}}, "no-such-policy"),
    "no such route": ({"groundrail": {"policy": "routes.yaml", "route": "nowhere"}}, "nowhere"),
    "no such model": ({"groundrail": {"settings": "no-model.yaml"}}, "GR1"),
}
STARTED: dict[str, dict[str, Any]] = {
    "as documented": {},
    "not for every request": {"default_on": False},
    "a model that comes later": {"groundrail": {"settings": "no-model.yaml", "warm": False}},
}

SCRIPT = """
import json, logging, sys
from guardrails.gateway import load_litellm
litellm = load_litellm()
from guardrails.integrations.litellm_guardrail import GroundrailGuardrail
from guardrails.errors import ConfigInvalid
results = {}
try:
    GroundrailGuardrail("x", ["post_call"], True)
    results["outside"] = None
except ConfigInvalid as error:
    results["outside"] = error.message
import litellm.proxy.proxy_server
from litellm.proxy.guardrails.guardrail_registry import IN_MEMORY_GUARDRAIL_HANDLER as HANDLER
from litellm.proxy.guardrails.init_guardrails import init_guardrails_v2
from litellm.types.guardrails import GuardrailEventHooks, LitellmParams
from litellm._logging import verbose_proxy_logger

class Lines(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())

lines = []
verbose_proxy_logger.addHandler(Lines())
for name, params in json.load(sys.stdin).items():
    lines.clear()
    before = len(litellm.callbacks)
    try:
        init_guardrails_v2([{"guardrail_name": name, "litellm_params": params}], "config.yaml")
    except Exception as error:
        results[name] = {
            "error": f"{getattr(error, 'code', '')} {error}",
            "skipped": isinstance(error, (ValueError, TypeError)),
        }
        continue
    made = [one for one in litellm.callbacks[before:] if isinstance(one, GroundrailGuardrail)]
    hooks = (GuardrailEventHooks.pre_call, GuardrailEventHooks.post_call)
    found = {"made": len(made), "lines": list(lines)}
    for one in made:
        found["runs"] = [
            one.should_run_guardrail(data, hook) for data in ({}, {"stream": True}) for hook in hooks
        ]
        try:
            one.update_in_memory_litellm_params(LitellmParams(guardrail="x", mode="pre_call"))
        except ConfigInvalid:
            found["changed"] = one.event_hook
    results[name] = found
class Mine(GroundrailGuardrail):
    pass
results["subclass"] = sorted(name for name in vars(Mine) if name.startswith("async_"))
print("RESULTS" + json.dumps(results))
"""


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What LiteLLM's set-up made of each configuration."""
    folder = tmp_path_factory.mktemp("start")
    (folder / "groundrail.yaml").write_text("store: {url: null}\n")
    (folder / "no-model.yaml").write_text(
        "store: {url: null}\nmodel: {model: m, backend: tei, url: 'http://127.0.0.1:9'}\n"
    )
    (folder / "routes.yaml").write_text(
        "version: 1\nname: routes\nextends: balanced\nroutes: {faq: {}}\n"
    )
    changes = {name: params for name, (params, _) in REFUSED.items()} | STARTED
    cases = {name: {**GOOD, **params} for name, params in changes.items()}
    cases["no such model"]["groundrail"] = {"settings": "no-model.yaml"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        input=json.dumps(cases),
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULTS")]
    assert lines, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(lines[0].removeprefix("RESULTS"))
    return found


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}  # noqa: TID251


@pytest.mark.parametrize("name", REFUSED)
def test_what_lets_answers_out_does_not_start(results: dict[str, Any], name: str) -> None:
    """By an error LiteLLM does not swallow: for others it starts without the guardrail."""
    found = results[name]
    assert REFUSED[name][1] in found["error"]
    assert not found["skipped"]


@pytest.mark.parametrize("name", STARTED)
def test_what_starts_is_there(results: dict[str, Any], name: str) -> None:
    """Before and after the call, for streams and whole answers, where it is default_on."""
    found = results[name]
    assert found["made"] == 1
    assert found["runs"] == [name != "not for every request"] * 4
    warned = any("not default_on" in line for line in found["lines"])
    assert warned == (name == "not for every request")


def test_a_running_guardrail_is_not_changed(results: dict[str, Any]) -> None:
    assert results["as documented"]["changed"] == ["pre_call", "post_call"]


def test_outside_of_the_proxy_it_is_not_made(results: dict[str, Any]) -> None:
    """LiteLLM's SDK runs no hook for sync calls: a guardrail there would be one in name only."""
    assert "proxy only" in results["outside"]


def test_a_subclass_has_the_hooks_in_its_own_class(results: dict[str, Any]) -> None:
    """LiteLLM looks nowhere else, and would let streams through."""
    assert results["subclass"] == [
        "async_post_call_failure_hook",
        "async_post_call_streaming_iterator_hook",
        "async_post_call_success_hook",
        "async_pre_call_hook",
    ]
