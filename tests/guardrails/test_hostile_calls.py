"""Calls that are made wrongly, at the wrong time, or in the wrong process."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from guardrails import Guard
from guardrails._copies import own_copy
from guardrails.errors import ConfigInvalid
from guardrails.gateway import LiteLLMGateway
from guardrails.store import open_store
from guardrails.testing import ScriptedLLM, ScriptedVerifier
from verifiers.types import Verification

SOURCE = "Returns are possible within 30 days."
ASKED = [{"role": "user", "content": "How long?"}]


def make(**parts: Any) -> Guard:
    """A guard that needs no model."""
    parts.setdefault("store", False)
    parts.setdefault("verifier", ScriptedVerifier())
    return Guard(**parts)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("blocked", "bogus"),
        ("route", 5),
        ("question", 5),
        ("record_metadata", {"user": 7}),
        ("record_metadata", ["user"]),
        ("policy", 5),
    ],
)
def test_a_senseless_argument_is_an_error_before_anything_is_sent(name: str, value: Any) -> None:
    """What could only fail when the record is written, or would be ignored, is refused at once."""
    model = ScriptedLLM([SOURCE])
    with make(gateway=model) as guard, pytest.raises(ConfigInvalid, match=name) as caught:
        guard.completion("m", ASKED, sources=[SOURCE], **{name: value})
    assert caught.value.code == "GR302"
    assert model.requests == []


@pytest.mark.parametrize("store", [5, Path("records.db"), "records.db", ""])
def test_a_store_that_is_none_is_an_error_when_the_guard_is_made(store: Any) -> None:
    """A path or a number is not a store, and an empty URL does not mean the default one."""
    with pytest.raises(ConfigInvalid):
        make(store=store)


def test_a_closed_guard_says_so_in_every_way_in() -> None:
    """After ``close`` sync and async calls fail alike, with an error of ours."""
    guard = make()
    guard.close()
    guard.close()
    with pytest.raises(ConfigInvalid, match="closed"):
        guard.check(SOURCE, sources=[SOURCE])
    with pytest.raises(ConfigInvalid, match="closed"):
        asyncio.run(guard.acheck(SOURCE, sources=[SOURCE]))


def test_a_call_that_began_before_close_ends_and_is_recorded(tmp_path: Path) -> None:
    """Closing a guard under an async call takes neither its answer nor its record."""
    url = f"sqlite:///{tmp_path}/r.db"
    begun, closed = asyncio.Event(), asyncio.Event()

    class Held(ScriptedVerifier):
        async def averify(self, answer: str, **given: Any) -> Verification:
            begun.set()
            await closed.wait()
            return await super().averify(answer, **given)

    guard = make(store=url, verifier=Held())

    async def call() -> str:
        task = asyncio.create_task(guard.acheck(SOURCE, sources=[SOURCE]))
        await asyncio.wait_for(begun.wait(), 30)
        await asyncio.to_thread(guard.close)
        closed.set()
        return (await task).action.value

    assert asyncio.run(call()) == "pass"
    store = open_store(url)
    assert [record.action.value for record in store.records()] == ["pass"]
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_guard_works_in_a_forked_process() -> None:
    """Threads do not live through a fork: a worker makes its own and does not wait for ever."""
    with make() as guard:
        asyncio.run(guard.acheck(SOURCE, sources=[SOURCE]))
        child = os.fork()
        if not child:
            code = 1
            try:
                code = asyncio.run(guard.acheck(SOURCE, sources=[SOURCE])).action.value != "pass"
            finally:
                os._exit(int(code))
        for _ in range(600):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            time.sleep(0.05)
        else:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the forked process hangs")
        assert status == 0
        assert guard.check(SOURCE, sources=[SOURCE]).action.value == "pass"


def test_sources_of_a_decorator_given_as_a_generator_hold_for_every_call() -> None:
    """The second call is checked against the same sources as the first."""
    with make() as guard:

        @guard.guarded(sources=(text for text in [SOURCE]))
        def answer() -> str:
            return SOURCE

        assert [answer().action.value for _ in range(3)] == ["pass"] * 3


def test_messages_given_as_an_iterator_are_read_and_sent() -> None:
    """Looking for evidence in an iterator must not leave the model without messages."""
    model = ScriptedLLM([SOURCE])
    with make(gateway=model) as guard:
        result = guard.completion("m", iter(ASKED), sources=[SOURCE])
    assert model.requests[0]["messages"] == ASKED
    assert result.report.question == "How long?"


def test_nothing_the_caller_passed_is_changed_by_the_provider_library() -> None:
    """LiteLLM adds keys to ``metadata`` and rewrites messages; it gets copies."""

    class Scribbler:
        def completion(self, **request: Any) -> dict[str, Any]:
            request["metadata"]["added"] = 1
            request["messages"][0]["content"] = "changed"
            request["extra_body"]["deep"]["x"].append(1)
            return {"choices": [{"message": {"content": SOURCE}}]}

        def completion_cost(self, **_: Any) -> float:
            return 0.0

    lock = threading.Lock()
    given = {
        "metadata": {"k": lock},
        "messages": [{"role": "user", "content": "How long?"}],
        "extra_body": {"deep": {"x": []}},
    }
    LiteLLMGateway(load=Scribbler).complete(given)  # type: ignore[arg-type]
    assert given == {
        "metadata": {"k": lock},
        "messages": [{"role": "user", "content": "How long?"}],
        "extra_body": {"deep": {"x": []}},
    }


def test_a_message_that_holds_what_cannot_be_copied_is_no_error() -> None:
    """A lock or a client inside a message stays the caller's own; a loop of lists ends."""
    loop: list[Any] = []
    loop.append(loop)
    copied = own_copy(loop)
    assert copied is not loop
    assert copied[0] is copied
    with make() as guard:
        messages = [{"role": "user", "content": "x", "own": threading.Lock()}]
        assert guard.check(SOURCE, sources=[SOURCE], messages=messages).action.value == "pass"
