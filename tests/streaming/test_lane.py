"""What of one answer may go out, when, and what ends it; and all ways into a stream alike."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guardrails import Blocked, Disposition, Guard, Settings
from guardrails.scripted_streams import events_of
from guardrails.testing import ScriptedLLM, chat_response, chat_responses
from policies.load import load_policy
from policies.types import Action
from verifiers.claims import make_extractor
from verifiers.engine import NLIEngine
from verifiers.pipeline import Verifier
from verifiers.testing import CONTRADICTED, ENTAILED, NEUTRAL, ScriptedScorer
from verifiers.types import NLIProbs, Pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from verifiers.types import Verification

MESSAGES = [{"role": "user", "content": "How is it?"}]
SOURCES = ["The items are as they are."]
GOOD, BAD, OPEN = "Item 1 is fine.", "Item 2 is zeta.", "Item 3 is theta."
REFUSAL = "REFUSED"
RULES: dict[str, Any] = {
    "extends": "balanced",
    "refusal": REFUSAL,
    "on_contradicted": "redact",
    "answer": {"max_unsupported_share": None},
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": "b c"}'}}


def rule(pair: Pair) -> NLIProbs:
    said = pair.hypothesis.lower()
    if "zeta" in said:
        return CONTRADICTED
    return NEUTRAL if "theta" in said else ENTAILED


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    engine = NLIEngine(lambda: ScriptedScorer(rule))
    with Verifier(extractor=make_extractor("xx"), engine=engine) as made:
        yield made


class Slow:
    """The verifier's sessions, each check after a number of turns of the loop."""

    def __init__(self, inner: Verifier, seed: int) -> None:
        self.inner, self.random = inner, random.Random(seed)

    def open(self, **options: Any) -> Any:
        return _SlowSession(self, self.inner.open(**options))

    def verify(self, *args: Any, **options: Any) -> Verification:
        return self.inner.verify(*args, **options)

    async def averify(self, *args: Any, **options: Any) -> Verification:
        return await self.inner.averify(*args, **options)


class _SlowSession:
    def __init__(self, slow: Slow, inner: Any) -> None:
        self.slow, self.inner = slow, inner

    async def aprepare(self) -> None:
        await self.inner.aprepare()

    async def aassess(self, text: str, **options: Any) -> Verification:
        for _ in range(self.slow.random.randrange(40)):
            await asyncio.sleep(0)
        made: Verification = await self.inner.aassess(text, **options)
        return made


class Chunks(ScriptedLLM):
    """A gateway whose streams are exactly these events, with turns of the loop between them."""

    def __init__(self, events: Sequence[Any], seed: int = 0, whole: Any = "") -> None:
        super().__init__([whole])
        self.events, self.random = events, random.Random(seed)

    async def astream(self, request: Any) -> AsyncIterator[Any]:
        self.requests.append(request)

        async def chunks() -> AsyncIterator[Any]:
            for event in self.events:
                for _ in range(self.random.randrange(8)):
                    await asyncio.sleep(0)
                yield event

        return chunks()


def guard(verifier: Any, events: Sequence[Any], policy: Any = None, **options: Any) -> Guard:
    gateway = options.pop("gateway", None) or Chunks(events)
    rules = load_policy({**RULES, **(policy or {})})
    return Guard(rules, settings=Settings(), verifier=verifier, store=False, gateway=gateway)


def listened(made: Guard, **options: Any) -> tuple[list[Any], Any]:
    async def reading() -> tuple[list[Any], Any]:
        stream = await made.acompletion("m", MESSAGES, sources=SOURCES, stream=True, **options)
        async with asyncio.timeout(20):
            return [event async for event in stream], stream

    with made:
        return asyncio.run(reading())


def said(events: Sequence[Any], lane: int = 0) -> str:
    return "".join(
        choice["delta"].get("content") or ""
        for event in events
        for choice in event["choices"]
        if choice["index"] == lane
    )


def kinds(events: Sequence[Any]) -> list[str]:
    """What each event says, in order, neighbours of one kind as one."""
    out: list[str] = []
    for event in events:
        found = ["usage"] if event.get("usage") else []
        for choice in event["choices"]:
            delta = choice["delta"]
            found += [k for k in ("reasoning_content", "content", "tool_calls") if delta.get(k)]
            found += ["end"] if choice["finish_reason"] else []
        out += [kind for kind in found if [kind] != out[-1:]]
    return out


# ------------------------------------------------------------------ all ways alike


def gist(report: Any) -> Any:
    claims = [(c.verdict.label, c.verdict.claim.span, c.action) for c in report.claims]
    return report.action, report.disposition, report.text, claims, report.removed


def fours(text: str) -> list[str]:
    return [text[i : i + 4] for i in range(0, len(text), 4)]


@given(
    st.lists(st.sampled_from([GOOD, BAD, OPEN, "Hello!", "\n\n- Item 4 is fine.\n"]), max_size=6),
    st.integers(0, 9),
    st.sampled_from(["redact", "refuse", "review", "annotate"]),
)
@example([GOOD, BAD, GOOD], 1, "refuse")
def test_client_and_decorator_decide_alike_whatever_the_timing(verifier, parts, seed, on) -> None:
    """Sync and async, client and generators, slow checks and slow providers."""
    text = " ".join(parts)
    pieces = fours(text)
    events = events_of(chat_response(text), cut=fours)
    policy = {"on_contradicted": on, "on_empty": "annotate"}

    def made(gateway: Any = None) -> Guard:
        return guard(Slow(verifier, seed), events, policy, gateway=gateway)

    out, stream = listened(made(Chunks(events, seed)))
    seen = [(said(out), gist(stream.report))]
    with made() as client:
        sync = client.completion("m", MESSAGES, sources=SOURCES, stream=True)
        out = list(sync)
        seen.append((said(out), gist(sync.report)))

        @client.guarded(sources_from="sources")
        def yielding(sources: Any) -> Any:
            del sources
            yield from pieces

        strings = yielding(sources=SOURCES)
        yielded = "".join(strings)
        seen.append((yielded, gist(strings.report)))

        @client.guarded(sources_from="sources")
        async def ayielding(sources: Any) -> Any:
            del sources
            for piece in pieces:
                await asyncio.sleep(0)
                yield piece

        async def reading() -> None:
            stream = ayielding(sources=SOURCES)
            async with asyncio.timeout(20):
                yielded = "".join([piece async for piece in stream])
            seen.append((yielded, gist(stream.report)))

        asyncio.run(reading())
        whole = client.check(text, question="How is it?", sources=SOURCES).report
    sent, first = seen[0]
    assert seen == [seen[0]] * 4
    assert first[0] is whole.action
    assert first[2] == sent
    if on in {"redact", "annotate"} and whole.disposition is not Disposition.REFUSED:
        assert sent == whole.text


@given(st.data())
def test_choices_are_kept_apart(verifier, data) -> None:
    """Each choice of ``n > 1`` is decided and told for itself."""
    sentences = st.lists(st.sampled_from([GOOD, BAD, OPEN]), min_size=1, max_size=4)
    texts = [" ".join(data.draw(sentences)) for _ in range(3)]
    out, stream = listened(guard(verifier, events_of(chat_responses(texts))), n=3)
    for index, (text, report) in enumerate(zip(texts, stream.reports, strict=True)):
        alone, one = listened(guard(verifier, events_of(chat_response(text))))
        assert said(out, index) == said(alone) == report.text
        assert gist(report) == gist(one.report)
        assert report.choice == index


# ------------------------------------------------------------------ what waits


@pytest.mark.parametrize("text", [None, GOOD, f"{GOOD} {BAD}"])
def test_tool_calls_wait_for_the_answer_and_survive(verifier, text) -> None:
    """Behind the text, before the finish reason, complete."""
    events = events_of(chat_response(text, finish_reason="tool_calls", tool_calls=[CALL]))
    out, stream = listened(guard(verifier, events))
    assert kinds(out) == [*(["content"] if text else []), "tool_calls", "end", "usage"]
    calls = [c for e in out for ch in e["choices"] for c in ch["delta"].get("tool_calls") or ()]
    assert calls[0]["id"] == "call_1"
    assert "".join(c["function"]["arguments"] for c in calls) == CALL["function"]["arguments"]
    assert "zeta" not in said(out)
    assert stream.report.attempts[-1].tool_calls == 1


@pytest.mark.parametrize(
    ("mode", "text", "order"),
    [
        ("hold", GOOD, ["content", "reasoning_content", "end", "usage"]),
        ("release", GOOD, ["reasoning_content", "content", "end", "usage"]),
        ("hold", f"{GOOD} {BAD}", ["content", "end", "usage"]),
        ("release", f"{GOOD} {BAD}", ["reasoning_content", "content", "end", "usage"]),
    ],
)
def test_reasoning_waits_unless_it_is_released(verifier, mode, text, order) -> None:
    """Held, it comes at the end, or never when words of the answer were withheld."""
    events = events_of(chat_response(text, reasoning_content="Think of zeta."))
    out, _ = listened(guard(verifier, events, {"stream": {"reasoning": mode}}))
    assert kinds(out) == order


def test_text_that_states_nothing_waits_where_that_is_refused(verifier) -> None:
    """With ``on_no_claims: refuse``, a greeting goes only with a statement."""
    policy = {
        **RULES,
        "on_no_claims": "refuse",
        "on_contradicted": "refuse",
        "on_conflict": "refuse",
        "on_unsupported": "refuse",
        "on_no_evidence": "refuse",
        "on_error": "refuse",
        "after_attempts": "refuse",
    }
    out, stream = listened(guard(verifier, events_of(chat_response("Is it? Is it so?")), policy))
    assert said(out) == REFUSAL
    assert stream.report.disposition is Disposition.REFUSED
    text = f"Is it? Is it so? {GOOD}"
    out, stream = listened(guard(verifier, events_of(chat_response(text)), policy))
    assert said(out) == text


# ------------------------------------------------------------------ what ends it


def test_a_count_stops_the_stream_where_it_is_reached(verifier) -> None:
    """What stands before the claim that is one too many has gone out."""
    policy = {
        "on_unsupported": "annotate",
        "answer": {"max_unsupported": 1, "action": "refuse", "max_unsupported_share": None},
    }
    text = f"{GOOD} {OPEN} Item 4 is fine. Item 5 is theta. Item 6 is fine."
    out, stream = listened(guard(verifier, events_of(chat_response(text)), policy))
    assert said(out) == f"{GOOD} {OPEN} Item 4 is fine.\n\n{REFUSAL}"
    assert "end" in kinds(out)
    assert stream.report.disposition is Disposition.STOPPED
    assert not stream.report.attempts[-1].stream.whole


def test_a_share_comes_too_late_and_the_record_says_so(verifier) -> None:
    """Sentences are out; the refusal stands behind them."""
    policy = {
        "on_unsupported": "annotate",
        "answer": {"max_unsupported_share": 0.4, "action": "refuse"},
    }
    text = f"{GOOD} {OPEN}"
    out, stream = listened(guard(verifier, events_of(chat_response(text)), policy))
    assert said(out) == stream.report.text
    assert said(out).endswith(REFUSAL)
    assert stream.report.action is Action.REFUSE
    assert stream.report.disposition is Disposition.STOPPED
    assert any("beginning had gone out" in note for note in stream.report.notes)


def test_a_held_review_reads_the_answer_to_its_end(verifier) -> None:
    """Nothing more goes out, and the person gets to see all of it."""
    text = f"{GOOD} {BAD} Item 4 is fine."
    out, stream = listened(
        guard(verifier, events_of(chat_response(text)), {"on_contradicted": "review"})
    )
    assert said(out).startswith(f"{GOOD}\n\n")
    assert said(out) == stream.report.text
    assert "Item 4" not in said(out)
    assert stream.report.answer == text
    assert len(stream.report.claims) == 3
    assert stream.report.attempts[-1].stream.whole


def test_a_flag_lets_it_go(verifier) -> None:
    """Review without holding: the answer as it is."""
    text = f"{GOOD} {BAD}"
    policy = {"on_contradicted": "review", "review": {"hold": False}}
    out, stream = listened(guard(verifier, events_of(chat_response(text)), policy))
    assert said(out) == text
    assert stream.report.disposition is Disposition.FLAGGED


@pytest.mark.parametrize("on", ["refuse", "review"])
def test_blocked_is_raised_where_asked(verifier, on) -> None:
    """Instead of the refusal, with the report."""
    made = guard(verifier, events_of(chat_response(f"{GOOD} {BAD}")), {"on_contradicted": on})
    with pytest.raises(Blocked) as caught:
        listened(made, blocked="raise")
    assert caught.value.report.blocked
    assert BAD not in str(caught.value)


@pytest.mark.parametrize("on", ["redact", "refuse", "review", "regenerate"])
def test_release_answer_decides_before_a_word_goes_out(verifier, on) -> None:
    """The ordinary flow, told as a stream: it can even ask again."""
    text = f"{GOOD} {BAD}"
    policy = {"on_contradicted": on, "stream": {"release": "answer"}}
    gateway = ScriptedLLM([text, GOOD])
    out, stream = listened(guard(verifier, (), policy, gateway=gateway))
    again = ScriptedLLM([text, GOOD])
    with guard(verifier, (), policy, gateway=again) as made:
        whole = made.completion("m", MESSAGES, sources=SOURCES)
    assert said(out) == stream.report.text
    assert gist(stream.report)[:2] == gist(whole.report)[:2]
    if on in {"redact", "regenerate"}:
        assert said(out) == GOOD == whole.text
    assert "zeta" not in said(out)


@pytest.mark.parametrize("table", ["consistency", "judge"])
def test_a_second_opinion_that_nobody_asked_for_is_said_to_be_missing(verifier, table) -> None:
    """Sentence by sentence there is none, and the report does not keep quiet about it."""
    policy = {table: {"when": "grey"}}
    _, stream = listened(guard(verifier, events_of(chat_response(GOOD)), policy))
    assert any("samples or a judge" in note for note in stream.report.notes)
    _, plain = listened(guard(verifier, events_of(chat_response(GOOD)), {}))
    assert not any("samples or a judge" in note for note in plain.report.notes)
