"""Guarded streams: the same answer and the same decisions, however the text arrives."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guardrails import Disposition, Guard, Settings
from guardrails.actions import cut
from guardrails.scripted_provider import ScriptedProvider, Stream
from guardrails.scripted_streams import events_of
from guardrails.testing import ScriptedLLM, chat_response
from policies.load import load_policy
from policies.types import Action
from verifiers.claims import make_extractor
from verifiers.engine import NLIEngine
from verifiers.pipeline import Verifier
from verifiers.testing import CONTRADICTED, ENTAILED, NEUTRAL, ScriptedScorer
from verifiers.types import NLIProbs, Pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

MESSAGES = [{"role": "user", "content": "How is it?"}]
SOURCES = ["The items are as they are."]
REFUSAL = "REFUSED"
REDACTS = {
    "extends": "balanced",
    "refusal": REFUSAL,
    "on_contradicted": "redact",
    "on_empty": "annotate",
    "answer": {"max_unsupported_share": None},
}
PLAIN = {**REDACTS, "on_contradicted": "annotate", "on_unsupported": "annotate"}


def rule(pair: Pair) -> NLIProbs:
    """What says zeta is contradicted, what says theta is carried by nothing."""
    said = pair.hypothesis.lower()
    if "zeta" in said:
        return CONTRADICTED
    return NEUTRAL if "theta" in said else ENTAILED


class Chunks(ScriptedLLM):
    """A gateway whose streams are exactly these events."""

    def __init__(self, events: Sequence[Any], whole: Any = "") -> None:
        super().__init__([whole])
        self.events = events

    async def astream(self, request: Any) -> AsyncIterator[Any]:
        self.requests.append(request)

        async def chunks() -> AsyncIterator[Any]:
            for event in self.events:
                yield event

        return chunks()


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    """The real one, with rules in place of the model."""
    engine = NLIEngine(lambda: ScriptedScorer(rule))
    with Verifier(extractor=make_extractor("xx"), engine=engine) as made:
        yield made


def guard(
    verifier: Any, events: Sequence[Any] = (), policy: Any = REDACTS, **options: Any
) -> Guard:
    options = {"store": False, "gateway": Chunks(events), **options}
    return Guard(load_policy(policy), settings=Settings(), verifier=verifier, **options)


def pieces_of(text: str, cuts: Sequence[int]) -> list[str]:
    edges = [0, *sorted({c for c in cuts if 0 < c < len(text)}), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges) if b > a]


def chunks(response: Any, cuts: Sequence[int] = ()) -> list[dict[str, Any]]:
    return events_of(response, cut=lambda text: pieces_of(text, cuts))


def joined(events: Sequence[Any]) -> list[dict[str, Any]]:
    """What a consumer makes of the chunks: a dict a choice."""
    lanes: dict[int, dict[str, Any]] = {}
    for event in events:
        for choice in event["choices"]:
            into = lanes.setdefault(choice["index"], {"content": "", "calls": {}, "reason": []})
            delta = choice["delta"]
            into["content"] += delta.get("content") or ""
            for key in ("role", "reasoning_content", "refusal"):
                if delta.get(key):
                    into[key] = into.get(key, "") + delta[key]
            for call in delta.get("tool_calls") or ():
                known = into["calls"].setdefault(call["index"], {"arguments": ""})
                known.update({k: v for k, v in call.items() if k != "function"})
                function = call.get("function") or {}
                known["arguments"] += function.get("arguments") or ""
                known["name"] = known.get("name") or function.get("name")
            if choice.get("logprobs"):
                into.setdefault("logprobs", []).extend(choice["logprobs"]["content"])
            if choice.get("finish_reason"):
                into["reason"].append(choice["finish_reason"])
    return [lanes[index] for index in sorted(lanes)]


def usage(events: Sequence[Any]) -> list[Any]:
    return [event["usage"] for event in events if event.get("usage")]


def listened(made: Guard, **options: Any) -> tuple[list[Any], Any]:
    """Everything that came, and the stream, read asynchronously."""

    async def reading() -> tuple[list[Any], Any]:
        stream = await made.acompletion("m", MESSAGES, sources=SOURCES, stream=True, **options)
        async with asyncio.timeout(20):
            return [event async for event in stream], stream

    return asyncio.run(reading())


# ------------------------------------------------------------------ answers

_STARTS = ["", "", "", "- ", "* ", "1. ", "> ", "# ", "  - ", "| x | ", "    "]
_BREAKS = [" ", " ", " ", "  ", "\n", "\r\n", "\n\n", "\r\n\r\n", "\n \n", "\n\n\n"]
_SHAPES = [
    "Item {n} is {w}.",
    "Item {n} is {w}!",
    "**Item {n} is {w}.**",
    "*Item {n}* is {w}.",
    '"Item {n} is {w}."',
    "Item {n} is {w} [1].",
    "Is item {n} {w}?",
    "Item {n} is {w}",
    "Ünïcode {n} ist {w} \N{GRINNING FACE}.",
    "| item {n} | {w} |",
    "**Item {n}:** it is {w}.",
]
_BLOCKS = [
    "```\nitem {n} = '{w}'\n```",
    "| item | is |\n|---|---|\n| {n} | {w} |\n| {n}b | fine |",
    "Title {n}\n===",
    "---",
]


@st.composite
def answers(draw: st.DrawFn, words: Sequence[str] = ("fine", "fine", "zeta", "theta")) -> str:
    """Answers as models write them, with sentences that no source carries."""
    text = ""
    for number in range(draw(st.integers(1, 7))):
        word = draw(st.sampled_from(words))
        if draw(st.integers(0, 5)) == 0:
            block = draw(st.sampled_from(_BLOCKS)).format(n=number, w=word)
            text = f"{text.rstrip()}\n\n{block}\n\n" if text else f"{block}\n\n"
            continue
        said = draw(st.sampled_from(_SHAPES)).format(n=number, w=word)
        text += draw(st.sampled_from(_STARTS)) + said + draw(st.sampled_from(_BREAKS))
    return text


CUTS = st.one_of(
    st.just(()),
    st.just(tuple(range(2000))),
    st.lists(st.integers(1, 300), max_size=40).map(tuple),
)

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": "b c"}'}}


def logprobs(token: str) -> dict[str, Any]:
    """What a provider says of a token."""
    entry = {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": []}
    return {"content": [entry]}


# ------------------------------------------------------------------ lossless


@given(answers(), CUTS, st.booleans())
def test_what_is_accepted_arrives_unchanged(verifier, text, cuts, tools) -> None:
    """Text, role, tool calls, finish reason and usage, after joining the deltas."""
    response = chat_response(text, **({"tool_calls": [CALL]} if tools else {}))
    events = chunks(response, cuts)
    with guard(verifier, events, PLAIN) as made:
        out, stream = listened(made)
    assert joined(out) == joined(events)
    assert usage(out) == usage(events)
    assert stream.text == text
    assert stream.report.disposition is Disposition.RELEASED
    assert stream.report.usage.output_tokens == response["usage"]["completion_tokens"]


def test_log_probabilities_arrive_with_their_text(verifier) -> None:
    """A chunk that is not changed keeps everything the provider said about it."""
    events = chunks(chat_response("Item 1 is fine. Item 2 is fine."), (5, 9, 17))
    for event in events:
        if event["choices"] and (said := event["choices"][0]["delta"].get("content")):
            event["choices"][0]["logprobs"] = logprobs(said)
    with guard(verifier, events) as made:
        out, _ = listened(made)
    assert joined(out) == joined(events)
    texts = [e for e in out if e["choices"] and e["choices"][0]["delta"].get("content")]
    assert [bool(e["choices"][0].get("logprobs")) for e in texts] == [True, True, False, True, True]


@given(st.text("añ€\N{GRINNING FACE}. \n-", min_size=1, max_size=12), st.integers(1, 5))
@example("\N{GRINNING FACE} ist fein.", 1)
def test_bytes_of_a_character_may_come_one_by_one(server, verifier, text, size) -> None:
    """Over a real socket, each write a few bytes, characters split between them."""
    pieces = [json.dumps(e, ensure_ascii=False) for e in chunks(chat_response(text), range(50))]
    raw = "".join(f"data: {piece}\n\n" for piece in pieces).encode()
    server.reply = Stream([raw], size=size)
    made = server.guard(verifier)

    async def reading() -> str:
        stream = await made.acompletion(
            "openai/m",
            MESSAGES,
            sources=SOURCES,
            stream=True,
            api_base=server.url,
            api_key="k",
        )
        async with asyncio.timeout(20):
            return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    with made:
        assert server.runner.run(reading()) == text


class Server:
    """A provider whose next reply can be set."""

    def __init__(self) -> None:
        self.reply: Any = ""
        self.provider = ScriptedProvider(lambda _: self.reply)
        self.url = self.provider.url
        self.runner = asyncio.Runner()  # LiteLLM keeps its connections with the loop

    def guard(self, verifier: Any) -> Guard:
        return Guard(load_policy(PLAIN), settings=Settings(), verifier=verifier, store=False)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    import litellm

    made = Server()
    with made.provider:
        yield made
        made.runner.run(litellm.close_litellm_async_clients())
        litellm.in_memory_llm_clients_cache.flush_cache()
        made.runner.close()


# ------------------------------------------------------------------ tight


def forbidden(report: Any) -> list[str]:
    """The sentences that the decision took out or stopped at, as they stand in the answer."""
    return [
        entry.verdict.claim.sentence.of(report.answer)
        for entry in report.claims
        if entry.action.severity >= Action.REDACT.severity
    ]


def gist(report: Any) -> tuple[Any, ...]:
    """What was decided, claim by claim."""
    claims = [
        (c.verdict.label, c.verdict.claim.span, c.verdict.claim.sentence, c.action, c.rule)
        for c in report.claims
    ]
    return report.action, claims, [(h.rule, h.action) for h in report.decision.hits]


@given(answers(), CUTS)
@example("Item 0 is zeta. 1. Item 1 is zeta.\n\nItem 2 is fine.\n\n", tuple(range(100)))
@example("Item 0 is zeta. 1. Item 1 is zeta.\n\n```\nitem 2 = 'fine'\n```\n\n", tuple(range(100)))
@example("Item 0 is zeta. 1. Item 1 is zeta.\n\n```\nitem 2 = 'fine'\n```\n\n", ())
@example("- Item 0 is zeta.\n- Item 1 is fine.\n", tuple(range(100)))
@example("Item 0 is fine. **Item 1 is zeta.** Item 2 is fine.", tuple(range(100)))
@example("| item | is |\n|---|---|\n| 1 | zeta |\n| 2 | fine |\n", tuple(range(100)))
def test_redacted_streams_join_to_the_redacted_answer(verifier, text, cuts) -> None:
    """The same text, decision and spans as when the answer is checked as a whole."""
    with guard(verifier, chunks(chat_response(text), cuts)) as made:
        out, stream = listened(made)
        whole = made.check(text, question="How is it?", sources=SOURCES).report
    assert gist(stream.report) == gist(whole)
    said = "".join(lane["content"] for lane in joined(out))
    assert said == stream.text == stream.report.text
    bad = forbidden(stream.report)
    if stream.report.disposition in {Disposition.REDACTED, Disposition.RELEASED}:
        spans = [c.verdict.claim.sentence for c in whole.claims if c.action is Action.REDACT]
        assert said == (cut(text, spans)[0] if spans else text) == whole.text
        assert stream.report.removed == whole.removed
        assert stream.report.disposition is whole.disposition
    else:
        assert whole.disposition is Disposition.REFUSED
        assert said.endswith(REFUSAL)
    for sentence in bad:
        assert sentence not in said


STOPS = {**REDACTS, "on_contradicted": "refuse"}
HELD = {**REDACTS, "on_contradicted": "review"}
STRICT = {"extends": "strict", "refusal": REFUSAL}
COUNT = {**PLAIN, "answer": {"max_unsupported": 1, "action": "refuse"}}


@pytest.mark.parametrize(
    "policy", [STOPS, STRICT, COUNT, HELD], ids=["stop", "strict", "count", "held"]
)
@given(text=answers(), cuts=CUTS)
def test_stopped_streams_decide_as_the_whole_answer(verifier, policy, text, cuts) -> None:
    """The action is the same, the claims are the first ones, and nothing from the bad one on."""
    with guard(verifier, chunks(chat_response(text), cuts), policy) as made:
        out, stream = listened(made)
        whole = made.check(text, question="How is it?", sources=SOURCES).report
    report = stream.report
    said = "".join(lane["content"] for lane in joined(out))
    assert said == stream.text
    assert report.action is whole.action
    mine, all_of_them = gist(report)[1], gist(whole)[1]
    assert mine == all_of_them[: len(mine)]
    if report.attempts[-1].stream.whole:
        assert gist(report) == gist(whole)
    if report.blocked:
        closing = joined(out)[0]
        assert closing["reason"] == ["content_filter"]
        gone = said.removesuffix(made.policy.review.text if policy is HELD else REFUSAL)
        stop = [
            c.verdict.claim.sentence
            for c in whole.claims
            if "zeta" in c.verdict.claim.sentence.of(text)
            and c.action.severity > Action.REDACT.severity
        ]
        if stop and policy is not COUNT:
            assert cut(text[: stop[0].start], [])[0].startswith(gone.rstrip()) or "theta" in text
            assert stop[0].of(text) not in said
    else:
        assert said == whole.text
