"""User-style code that must type-check under mypy --strict. Never run."""

from __future__ import annotations

from typing import assert_type

from guardrails import Action, Blocked, Guard, Guarded, Report

guard = Guard(policy="strict")


@guard.guarded(question_from="question", feedback_to="feedback")
def answer(question: str, feedback: str | None = None) -> str:
    return question + (feedback or "")


@guard.guarded(messages_from="messages")
async def chat(messages: list[dict[str, str]]) -> dict[str, object]:
    return {"choices": messages}


def use() -> Report:
    try:
        result = answer("How long?")
    except Blocked as blocked:
        return blocked.reports[0]
    assert_type(result, Guarded[str])
    assert_type(result.response, str)
    assert_type(result.text, str)
    assert_type(result.action, Action)
    response: dict[str, list[str]] = {"choices": []}
    assert_type(guard.check(response, sources=["a"]), Guarded[dict[str, list[str]]])
    return result.report


async def use_async() -> str:
    assert_type(await chat([{"role": "user", "content": "x"}]), Guarded[dict[str, object]])
    assert_type(await guard.acheck("a"), Guarded[str])
    return (await guard.acompletion("m", [])).text


answer(3)  # type: ignore[arg-type]
answer("a", nothing=1)  # type: ignore[call-arg]
