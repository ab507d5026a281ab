"""Whatever breaks, wherever in the stream: nothing undecided goes out, nothing hangs or stays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from guardrails import Disposition, Guard, ProviderFailed, Settings
from guardrails.actions import cut
from guardrails.errors import ConfigInvalid, GuardrailsError, ResponseUnreadable, StoreUnavailable
from guardrails.record import Record, replay
from guardrails.scripted_streams import events_of
from guardrails.settings import StoreSettings
from guardrails.testing import ScriptedLLM, chat_response
from policies.load import load_policy
from policies.types import Action
from verifiers.claims import make_extractor
from verifiers.engine import NLIEngine
from verifiers.errors import BackendFailed
from verifiers.pipeline import Verifier
from verifiers.testing import CONTRADICTED, ENTAILED, ScriptedScorer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from verifiers.types import Verification

MESSAGES = [{"role": "user", "content": "How is it?"}]
SOURCES = ["The items are as they are."]
TEXT = "Item 1 is fine. Item 2 is zeta. Item 3 is fine.\n\n- Item 4 is fine.\n- Item 5 is fine."
BAD = "Item 2 is zeta."
GOOD = TEXT.replace(f"{BAD} ", "")
REFUSAL = "REFUSED"
RULES: dict[str, Any] = {
    "extends": "balanced",
    "refusal": REFUSAL,
    "on_contradicted": "redact",
    "on_error": "refuse",
    "answer": {"max_unsupported_share": None},
    "limits": {"seconds": 30},
}
CHUNKS = events_of(
    chat_response(TEXT), cut=lambda text: [text[i : i + 9] for i in range(0, len(text), 9)]
)
# Where something breaks: before the first chunk, at each of them, and behind the last.
PLACES = range(len(CHUNKS) + 1)
FEW = [0, 1, 4, 6, len(CHUNKS) - 2, len(CHUNKS)]


class Upstream:
    """A provider's stream: chunks, and a fault behind so many of them."""

    def __init__(self, at: int = len(CHUNKS), fault: Callable[[], Any] | None = None) -> None:
        self.at = at
        self.fault = fault
        self.closed = asyncio.Event()
        self.reached = asyncio.Event()

    async def events(self) -> AsyncIterator[Any]:
        try:
            for chunk in CHUNKS[: self.at]:
                yield chunk
            self.reached.set()
            if self.fault is not None:
                made = self.fault()
                if isinstance(made, Exception):
                    raise made
                if made is STALL:
                    await asyncio.Event().wait()
                for event in made or ():
                    yield event
        finally:
            self.closed.set()


STALL = object()


class Gateway(ScriptedLLM):
    def __init__(self, upstream: Upstream) -> None:
        super().__init__([TEXT])
        self.upstream = upstream

    async def astream(self, request: Any) -> AsyncIterator[Any]:
        del request
        return self.upstream.events()


class Session:
    """A real session that notes what was decided, and fails where it is told."""

    def __init__(self, spy: Spy, inner: Any) -> None:
        self.spy, self.inner = spy, inner

    async def aprepare(self) -> None:
        await self.inner.aprepare()

    async def aassess(self, text: str, **options: Any) -> Verification:
        self.spy.checks += 1
        if self.spy.checks - 1 in self.spy.faults:
            if self.spy.error is None:
                await asyncio.Event().wait()
            else:
                raise self.spy.error
        made: Verification = await self.inner.aassess(text, **options)
        self.spy.decided = max(self.spy.decided, len(text))
        return made


class Spy:
    """A verifier whose streams can be watched."""

    def __init__(self, inner: Verifier) -> None:
        self.inner = inner
        self.decided = self.checks = 0
        self.faults: set[int] = set()
        self.error: Exception | None = None

    def open(self, **options: Any) -> Session:
        return Session(self, self.inner.open(**options))

    def verify(self, *args: Any, **options: Any) -> Verification:
        return self.inner.verify(*args, **options)

    async def averify(self, *args: Any, **options: Any) -> Verification:
        return await self.inner.averify(*args, **options)


class Shelf:
    """A store in memory that can be down."""

    def __init__(self, *, down: bool = False) -> None:
        self.records: list[Record] = []
        self.items: list[Any] = []
        self.down = down

    def save(self, record: Record, *, texts: Any) -> None:
        del texts
        if self.down:
            raise StoreUnavailable("The store is down.")
        self.records.append(record)

    def enqueue(self, item: Any) -> None:
        if self.down:
            raise StoreUnavailable("The store is down.")
        self.items.append(item)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def inner() -> Iterator[Verifier]:
    engine = NLIEngine(
        lambda: ScriptedScorer(lambda p: CONTRADICTED if "zeta" in p.hypothesis else ENTAILED)
    )
    with Verifier(extractor=make_extractor("xx"), engine=engine) as made:
        yield made


@pytest.fixture
def spy(inner: Verifier) -> Spy:
    return Spy(inner)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


class Seen:
    """What a consumer saw."""

    def __init__(self) -> None:
        self.text = ""
        self.events = 0
        self.reasons: list[str] = []
        self.error: BaseException | None = None
        self.stream: Any = None

    def take(self, event: Any, spy: Spy) -> None:
        """See an event; no character of it may have been undecided."""
        self.events += 1
        for choice in event["choices"]:
            self.text += choice["delta"].get("content") or ""
            if choice["finish_reason"]:
                self.reasons.append(choice["finish_reason"])
        spans = [s for s in [_bad()] if s.end <= spy.decided]
        allowed = cut(TEXT[: spy.decided], spans)[0]
        said = (
            self.text.removesuffix(REFUSAL).rstrip() if self.text.endswith(REFUSAL) else self.text
        )
        assert allowed.startswith(said), (allowed, said)
        assert "zeta" not in self.text


def _bad() -> Any:
    from verifiers.types import Span

    return Span(TEXT.index(BAD), TEXT.index(BAD) + len(BAD))


def guard(spy: Spy, shelf: Any, upstream: Upstream, policy: Any = None, **options: Any) -> Guard:
    options = {"settings": Settings(), **options}
    return Guard(
        load_policy({**RULES, **(policy or {})}),
        verifier=spy,
        store=shelf,
        gateway=Gateway(upstream),
        **options,
    )


def listen(
    spy: Spy,
    shelf: Any,
    at: int = len(CHUNKS),
    fault: Callable[[], Any] | None = None,
    *,
    policy: Any = None,
    call: Any = None,
    **options: Any,
) -> Seen:
    """Read a stream to its end, whatever that is; then nothing is left of it."""

    async def reading() -> Seen:
        upstream, seen = Upstream(at, fault), Seen()
        made = guard(spy, shelf, upstream, policy, **options)
        given = {"sources": SOURCES} if call is None else call
        async with asyncio.timeout(20):
            seen.stream = stream = await made.acompletion("m", MESSAGES, stream=True, **given)
            try:
                async for event in stream:
                    seen.take(event, spy)
            except GuardrailsError as error:
                seen.error = error
            assert upstream.closed.is_set() or not upstream.reached.is_set()
            # The tasks of the run are over; what asyncio itself finalises is not ours.
            left = {t for t in asyncio.all_tasks() if t is not asyncio.current_task()}
            assert not left, left
        await asyncio.to_thread(made.close)
        return seen

    return asyncio.run(reading())


def failed_record(shelf: Shelf, seen: Seen, code: str) -> None:
    """The record tells that it broke, why, and what had gone out."""
    (record,) = shelf.records
    assert record.disposition == Disposition.FAILED.value
    assert record.attempts[-1].failure.code == code
    assert record.delivered.length == len(seen.text)
    assert seen.stream.report.text == seen.text
    assert replay(record) is Action.REFUSE
    assert GOOD.startswith(seen.text)


# ------------------------------------------------------------------ the provider


@pytest.mark.parametrize("at", PLACES)
def test_a_provider_that_dies(spy, shelf, at) -> None:
    """What was decided is out; the error and the record say the rest."""
    seen = listen(spy, shelf, at, lambda: ConnectionResetError("gone"))
    assert isinstance(seen.error, ProviderFailed)
    assert seen.error.report is seen.stream.report
    failed_record(shelf, seen, seen.error.code)


@pytest.mark.parametrize("at", range(len(CHUNKS) - 1))
def test_a_stream_without_an_end(spy, shelf, at) -> None:
    """It broke off: half an answer is not taken for a whole one."""
    seen = listen(spy, shelf, at)
    assert isinstance(seen.error, ProviderFailed if at else ResponseUnreadable)
    failed_record(shelf, seen, seen.error.code)


@pytest.mark.parametrize("at", FEW)
def test_a_provider_that_goes_silent(spy, shelf, at) -> None:
    """After the policy's limit it counts as failed."""
    seen = listen(spy, shelf, at, lambda: STALL, policy={"limits": {"seconds": 0.2}})
    assert isinstance(seen.error, ProviderFailed)
    assert seen.error.status == 408
    failed_record(shelf, seen, seen.error.code)


GARBAGE: list[Any] = [
    "Item 9 is zeta.",
    None,
    42,
    ["Item 9 is zeta."],
    {"error": {"message": "Item 9 is zeta."}},
    {"choices": "Item 9 is zeta."},
    {"choices": ["Item 9 is zeta."]},
    {"choices": [{"index": 0, "delta": "Item 9 is zeta.", "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"content": {"a": "Item 9 is zeta."}}}]},
    {"choices": [{"index": 0, "delta": {"content": 9}}]},
    # The number of a choice says how many there are: nobody may make it say millions.
    *(
        {"choices": [{"index": index, "delta": {"content": "Item 9 is zeta."}}]}
        for index in (4096, -1, True, "0", 0.0, [0])
    ),
]


@pytest.mark.parametrize("at", [0, 3, len(CHUNKS) - 2])
@pytest.mark.parametrize("garbage", GARBAGE, ids=str)
def test_a_provider_that_sends_garbage(spy, shelf, at, garbage) -> None:
    """What cannot be read is never passed on."""
    seen = listen(spy, shelf, at, lambda: [garbage, *CHUNKS[at:]])
    assert isinstance(seen.error, ProviderFailed | ResponseUnreadable)
    assert "zeta" not in str(seen.error)
    failed_record(shelf, seen, seen.error.code)


# ------------------------------------------------------------------ checks and evidence


@pytest.mark.parametrize("late", [False, True], ids=["raises", "late"])
@pytest.mark.parametrize("at", range(6))
def test_a_check_that_fails_stops_the_stream_where_errors_refuse(spy, shelf, at, late) -> None:
    """By ``on_error``: what could not be checked is not let go."""
    spy.faults, spy.error = {at}, None if late else BackendFailed("no model")
    # The checks are held to a sentence each by a provider that waits for them.
    seen = listen(spy, shelf, policy={"stream": {"seconds": 0.3}})
    assert seen.error is None
    (record,) = shelf.records
    assert replay(record).value == record.action == seen.stream.report.action.value
    if spy.checks > at:
        assert seen.reasons == ["content_filter"]
        assert seen.text.endswith(REFUSAL)
        assert seen.stream.report.text == seen.text
        said = seen.text.removesuffix(REFUSAL).strip()
        expected = Disposition.STOPPED if said else Disposition.REFUSED
        assert seen.stream.report.disposition is expected
        errors = [v for v in seen.stream.report.verdicts if v.label == "error"]
        assert errors
    else:
        assert seen.text == GOOD


def test_errors_that_are_let_go_leave_the_answer_whole(spy, shelf) -> None:
    """A policy that says so in writing releases what could not be checked, marked as such."""
    spy.faults, spy.error = set(range(100)), BackendFailed("no model")
    spy.decided = len(TEXT)
    policy = {"on_error": "annotate", "on_contradicted": "annotate", "on_no_evidence": "annotate"}

    async def reading() -> Any:
        made = guard(spy, shelf, Upstream(), policy)
        stream = await made.acompletion("m", MESSAGES, sources=SOURCES, stream=True)
        async with asyncio.timeout(20):
            parts = [
                e["choices"][0]["delta"].get("content") or "" async for e in stream if e["choices"]
            ]
        await asyncio.to_thread(made.close)
        return "".join(parts), stream.report

    said, report = asyncio.run(reading())
    assert said == report.text == TEXT
    assert {v.label for v in report.verdicts} == {"error"}
    (record,) = shelf.records
    assert replay(record) is report.action is Action.ANNOTATE


def test_a_retriever_that_fails_is_no_evidence(spy, shelf) -> None:
    """Every claim is an error, and errors refuse."""

    def broken(question: str) -> Any:
        raise RuntimeError(question)

    seen = listen(spy, shelf, retriever=broken, call={})
    assert seen.text == REFUSAL
    assert seen.stream.report.disposition is Disposition.REFUSED
    (record,) = shelf.records
    assert replay(record) is Action.REFUSE


# ------------------------------------------------------------------ the store


def test_a_store_that_is_down_ends_the_stream_with_an_error(spy) -> None:
    """A record that can be kept nowhere: the end of the answer is withheld."""
    seen = listen(spy, Shelf(down=True))
    assert isinstance(seen.error, StoreUnavailable)
    assert seen.reasons == []
    assert GOOD.startswith(seen.text)


@pytest.mark.parametrize("on_error", ["continue", "fail"])
def test_a_store_that_cannot_be_opened(spy, tmp_path, on_error) -> None:
    """``continue`` ends the stream with a note; ``fail`` ends it with an error. Both spill."""
    (tmp_path / "file").write_text("no folder")
    spill = tmp_path / "spill.jsonl"
    url = f"sqlite:///{tmp_path / 'file' / 'records.db'}"
    settings = Settings(store=StoreSettings(url=url, spill=spill, on_error=on_error))
    seen = listen(spy, None, settings=settings)
    kept = [line for line in spill.read_text("utf-8").splitlines() if '"record"' in line]
    assert len(kept) == 1  # one record an answer, however it ended
    assert seen.stream.report.recorded is False
    if on_error == "continue":
        assert seen.error is None
        assert seen.text == GOOD
        assert "GR307" in seen.stream.report.notes[-1]
    else:
        assert isinstance(seen.error, StoreUnavailable)
        assert GOOD.startswith(seen.text)
        assert seen.reasons == []


# ------------------------------------------------------------------ the consumer


@pytest.mark.parametrize("after", range(1, 7))
@pytest.mark.parametrize("how", ["aclose", "cancel", "guard"])
def test_a_consumer_that_goes_away(spy, shelf, after, how) -> None:
    """The provider is told, what went out is recorded, nothing stays behind."""

    async def reading() -> None:
        upstream, seen = Upstream(), Seen()
        made = guard(spy, shelf, upstream)
        stream = seen.stream = await made.acompletion("m", MESSAGES, sources=SOURCES, stream=True)
        enough = asyncio.Event()

        async def consume() -> None:
            async for event in stream:
                seen.take(event, spy)
                if seen.events == after:
                    enough.set()
                    if how != "cancel":
                        return
                    await asyncio.Event().wait()

        async with asyncio.timeout(20):
            task = asyncio.create_task(consume())
            await enough.wait()
            if how == "cancel":
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if how == "guard":
                await asyncio.to_thread(made.close)
            await stream.aclose()
            assert upstream.closed.is_set()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left
        await asyncio.to_thread(made.close)
        (record,) = shelf.records
        if record.disposition == Disposition.FAILED.value:
            failed_record(shelf, seen, "cancelled")
        else:  # the whole answer had been decided, and recorded, before it was told
            assert replay(record).value == record.action

    asyncio.run(reading())


@pytest.mark.parametrize("at", FEW)
def test_a_consumer_cancelled_while_it_waits(spy, shelf, at) -> None:
    """In the middle of asking for the next event, wherever the provider is."""

    async def reading() -> None:
        upstream, seen = Upstream(at, lambda: STALL), Seen()
        made = guard(spy, shelf, upstream)
        stream = seen.stream = await made.acompletion("m", MESSAGES, sources=SOURCES, stream=True)

        async def consume() -> None:
            async for event in stream:
                seen.take(event, spy)

        async with asyncio.timeout(20):
            task = asyncio.create_task(consume())
            await upstream.reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert upstream.closed.is_set()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left
        await asyncio.to_thread(made.close)
        failed_record(shelf, seen, "cancelled")

    asyncio.run(reading())


@pytest.mark.parametrize("after", [1, 3, 5])
@pytest.mark.parametrize("how", ["close", "with", "guard"])
def test_a_sync_consumer_that_goes_away(spy, shelf, after, how) -> None:
    """``close``, leaving a ``with`` block, and the guard closed under the stream."""
    upstream, seen = Upstream(), Seen()
    made = guard(spy, shelf, upstream)
    stream = seen.stream = made.completion("m", MESSAGES, sources=SOURCES, stream=True)
    for event in stream:
        seen.take(event, spy)
        if seen.events == after:
            break
    if how == "close":
        stream.close()
    elif how == "with":
        with stream:
            pass
    else:
        made.close()
        with pytest.raises(ConfigInvalid, match="closed"):
            next(stream)
        stream.close()
    assert upstream.closed.is_set()
    made.close()
    failed_record(shelf, seen, "cancelled")


# ------------------------------------------------------------------ records


OUTCOMES: dict[str, tuple[dict[str, Any], Disposition]] = {
    "released": ({"on_contradicted": "annotate"}, Disposition.RELEASED),
    "redacted": ({}, Disposition.REDACTED),
    "stopped": ({"on_contradicted": "refuse"}, Disposition.STOPPED),
    "held": ({"on_contradicted": "review"}, Disposition.STOPPED),
    "flagged": ({"on_contradicted": "review", "review": {"hold": False}}, Disposition.FLAGGED),
    "refused": (
        {
            "on_supported": "annotate",
            "answer": {"max_unsupported": 0, "action": "refuse"},
            "on_contradicted": "refuse",
        },
        Disposition.STOPPED,
    ),
}


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("release", ["sentence", "answer"])
def test_records_of_streams_replay(spy, shelf, name, release) -> None:
    """The recorded action comes out again, and the report says what was sent."""
    policy, disposition = OUTCOMES[name]

    async def reading() -> tuple[str, Any]:
        made = guard(spy, shelf, Upstream(), {**policy, "stream": {"release": release}})
        stream = await made.acompletion("m", MESSAGES, sources=SOURCES, stream=True)
        async with asyncio.timeout(20):
            parts = [
                e["choices"][0]["delta"].get("content") or "" async for e in stream if e["choices"]
            ]
        await asyncio.to_thread(made.close)
        return "".join(parts), stream.report

    said, report = asyncio.run(reading())
    (record,) = shelf.records
    assert Record.model_validate_json(record.model_dump_json()) == record
    assert report.text == said
    assert replay(record) is report.action
    assert record.delivered.length == len(said)
    if release == "sentence":
        assert report.disposition is disposition
    assert bool(shelf.items) is (report.action is Action.REVIEW)
