from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.errors import ConfigInvalid, RetrieverFailed
from guardrails.retrievers import adapt, normalise_sources
from verifiers.errors import SourceInvalid
from verifiers.types import Origin, Source, Trust

FACT = "Refunds are paid within 30 days."


class LangChainDocument:
    """The shape of ``langchain_core.documents.Document``."""

    def __init__(self, page_content, metadata=None, id=None):  # noqa: A002
        self.page_content, self.metadata, self.id = page_content, metadata or {}, id


class LlamaNode:
    """The shape of ``llama_index.core.schema.TextNode``."""

    def __init__(self, text, metadata=None, node_id="n1"):
        self._text, self.metadata, self.node_id = text, metadata or {}, node_id

    def get_content(self, metadata_mode="none"):
        return self._text


class LlamaScored(SimpleNamespace):
    """The shape of ``llama_index.core.schema.NodeWithScore``."""

    def get_content(self):
        return self.node.get_content()


RETURNS = {
    "text": FACT,
    "texts": [FACT],
    "source": Source("a", FACT),
    "mapping": {"text": FACT},
    "mappings": [{"content": FACT, "score": 0.4}],
    "nested": {"results": [{"snippet": FACT}]},
    "langchain": [LangChainDocument(FACT, {"source": "https://a"})],
    "scored": [(LangChainDocument(FACT), 0.7)],
    "one scored": (LangChainDocument(FACT), 0.7),
    "llama": [LlamaScored(node=LlamaNode(FACT), score=0.5)],
    "node": LlamaNode(FACT),
    "haystack": [SimpleNamespace(content=FACT, meta={"title": "T"}, id="h")],
    "tuple": (FACT,),
    "generator": (t for t in [FACT]),
}


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("shape", [k for k in RETURNS if k != "generator"])
@pytest.mark.parametrize(
    "kind",
    [
        "function",
        "coroutine",
        "partial",
        "callable object",
        "async callable object",
        "returns awaitable",
        "invoke",
        "ainvoke",
        "both",
        "retrieve",
        "aretrieve",
        "as_retriever",
    ],
)
def test_retrievers_of_every_kind(kind: str, shape: str, mode: str):
    """Each kind of retriever gives the same source, from sync and from async code."""
    value = RETURNS[shape]

    def call(query, **options):
        assert query == "How long?"
        return value

    async def acall(query, **options):
        await asyncio.sleep(0)
        return call(query)

    class Callable:
        def __call__(self, query):
            return call(query)

    class AsyncCallable:
        async def __call__(self, query):
            return call(query)

    retriever = {
        "function": call,
        "coroutine": acall,
        "partial": functools.partial(acall, top_k=3),
        "callable object": Callable(),
        "async callable object": AsyncCallable(),
        "returns awaitable": lambda q: acall(q),  # noqa: PLW0108 - no coroutine function
        "invoke": SimpleNamespace(invoke=call),
        "ainvoke": SimpleNamespace(ainvoke=acall),
        "both": SimpleNamespace(invoke=call, ainvoke=acall),
        "retrieve": SimpleNamespace(retrieve=call, aretrieve=acall),
        "aretrieve": SimpleNamespace(aretrieve=acall),
        "as_retriever": SimpleNamespace(as_retriever=lambda: SimpleNamespace(invoke=call)),
    }[kind]
    adapted = adapt(retriever)
    found = (
        adapted.retrieve("How long?")
        if mode == "sync"
        else asyncio.run(adapted.aretrieve("How long?"))
    )

    assert [s.text for s in found.sources] == [FACT]
    assert found.sources[0].origin is Origin.RETRIEVER
    assert found.sources[0].trust is Trust.EXTERNAL
    assert found.notes == ()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_generators_are_read_to_the_end(mode: str):
    """Generators, sync and async, are retrievers too."""

    def some(query):
        yield FACT
        yield query

    async def asome(query):
        yield FACT
        yield query

    for retriever in (some, asome):
        adapted = adapt(retriever)
        found = adapted.retrieve("q") if mode == "sync" else asyncio.run(adapted.aretrieve("q"))
        assert [s.text for s in found.sources] == [FACT, "q"]


def test_async_retriever_from_sync_code_inside_a_loop():
    """A notebook's running loop does not stop sync code from using an async retriever."""

    async def acall(query):
        return FACT

    async def main():
        return adapt(acall).retrieve("q")

    assert asyncio.run(main()).sources[0].text == FACT


def test_blocking_retrievers_leave_the_loop():
    """A sync retriever runs in another thread, with the caller's context."""
    user = contextvars.ContextVar("user", default="nobody")
    seen = []

    def call(query):
        seen.append((threading.get_ident(), user.get()))
        return []

    async def main():
        user.set("ada")
        await adapt(call).aretrieve("q")
        return threading.get_ident()

    loop_thread = asyncio.run(main())
    ((thread, name),) = seen
    assert thread != loop_thread
    assert name == "ada"


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        b"x",
        object(),
        [None],
        [3],
        {"title": "x", "url": "y"},
        {"a": 1},
        [[FACT]],
        {"results": 5},
    ],
)
def test_nonsense_returns_are_errors(value, mode: str):
    """What is no source is named by its type, never by its content, and never taken as nothing."""
    adapted = adapt(lambda q: value, name="index")
    with pytest.raises(RetrieverFailed, match=r"GR306.*'index' returned") as caught:
        adapted.retrieve("q") if mode == "sync" else asyncio.run(adapted.aretrieve("q"))
    assert FACT not in str(caught.value)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_exceptions_are_wrapped(mode: str):
    """The cause is kept; its message, which may hold user text, is not repeated."""

    def broken(query):
        raise OSError(query)

    def late(query):
        yield FACT
        raise OSError(query)

    for retriever in (broken, late):
        adapted = adapt(retriever)
        with pytest.raises(RetrieverFailed, match="raised OSError") as caught:
            adapted.retrieve("secret") if mode == "sync" else asyncio.run(
                adapted.aretrieve("secret")
            )
        assert isinstance(caught.value.__cause__, OSError)
        assert "secret" not in str(caught.value)


def test_nothing_found_is_no_error():
    """An empty list is an answer."""
    assert adapt(lambda q: []).retrieve("q").sources == ()


def test_repeated_ids_are_renamed_and_noted():
    """Chunks of one document often share its id; none is dropped."""
    chunks = [
        {"id": "d", "text": "One."},
        {"id": "d", "text": "Two."},
        {"id": "d~2", "text": "Three."},
    ]
    found = adapt(lambda q: chunks).retrieve("q")
    assert [s.id for s in found.sources] == ["d", "d~3", "d~2"]
    assert len(found.notes) == 1


def test_metadata_is_read():
    """Title, link, time and id come from the library's own fields."""
    meta = {"title": "Terms", "source": "https://a", "date": "2024-05-01", "page": 3}
    documents = [
        LangChainDocument(FACT, meta, id="d1"),
        LlamaScored(node=LlamaNode(FACT, {"file_name": "a.txt"}), score=1.0),
    ]
    one, two = adapt(lambda q: documents).retrieve("q").sources
    assert (one.id, one.title, one.uri, one.timestamp.isoformat()) == (
        "d1",
        "Terms",
        "https://a",
        "2024-05-01T00:00:00+00:00",
    )
    assert (two.id, two.title) == ("n1", "a.txt")


@pytest.mark.parametrize("thing", [3, None, "text", object(), LangChainDocument])
def test_not_a_retriever(thing):
    """Registering what cannot retrieve fails at once."""
    with pytest.raises(ConfigInvalid, match="GR302"):
        adapt(thing)


def test_adapting_twice_is_the_same():
    """An adapted retriever passes through; names come from the function."""

    def handbook(query):
        return []

    adapted = adapt(handbook)
    assert adapt(adapted) is adapted
    assert adapted.name == "handbook"
    assert adapt(adapted, name="other").name == "other"


# ------------------------------------------------------------------ sources passed with the call


@pytest.mark.parametrize("shape", RETURNS)
def test_sources_of_every_shape(shape: str):
    """``sources=`` takes what retrievers give."""
    value = (t for t in [FACT]) if shape == "generator" else RETURNS[shape]
    (source,) = normalise_sources(value)
    assert (source.text, source.origin, source.trust) == (FACT, Origin.CALL, Trust.APPLICATION)


def test_source_objects_pass_unchanged():
    """A Source is taken as it is, its origin included."""
    source = Source("a", FACT, origin=Origin.TOOL, trust=Trust.EXTERNAL)
    assert normalise_sources([source])[0] is source


def test_names_and_positions():
    """A table of texts names its sources; the rest are numbered by position, around given ids."""
    assert [s.id for s in normalise_sources({"terms": "a", "faq": "b"})] == ["terms", "faq"]
    assert [s.id for s in normalise_sources(["a", {"id": "source-3", "text": "b"}, "c"])] == [
        "source-1",
        "source-3",
        "source-3~",
    ]
    assert normalise_sources(None) == ()


@pytest.mark.parametrize(
    "value",
    [
        5,
        [None],
        [b"x"],
        {"id": "a"},
        [Source("a", "x"), Source("a", "y")],
        [Source(" ", "x")],
        [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}],
    ],
)
def test_bad_sources_are_errors(value):
    """Explicit sources are never repaired in silence."""
    with pytest.raises(SourceInvalid, match="GR110"):
        normalise_sources(value)


@given(
    st.lists(
        st.text(max_size=8)
        | st.builds(
            lambda i, t: {"id": i, "text": t},
            st.sampled_from(["a", "source-1", "source-2", "source-2~"]),
            st.text(),
        ),
        max_size=6,
    )
)
def test_ids_are_unique_or_an_error(values):
    """Whatever is passed, two sources never share an id."""
    try:
        ids = [s.id for s in normalise_sources(values)]
    except SourceInvalid:
        return
    assert len(set(ids)) == len(ids) == len(values)
    found = adapt(lambda q: values).retrieve("q").sources
    assert len({s.id for s in found}) == len(values)
