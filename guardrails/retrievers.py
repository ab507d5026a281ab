"""Retrievers and sources of other people, made ours.

:func:`adapt` takes any callable, sync or async, or a LangChain or LlamaIndex retriever;
:func:`normalise_sources` takes what an application passes as ``sources=``. Both are duck-typed:
none of those libraries is imported.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import NamedTuple, Protocol

from guardrails._documents import FIELD_KEYS, Document, read_mapping, read_time
from guardrails.errors import ConfigInvalid, RetrieverFailed
from verifiers.errors import GroundrailError, SourceInvalid
from verifiers.types import Origin, Source, Trust


class Found(NamedTuple):
    """What a retriever gave, in its order, and what had to be changed about it."""

    sources: tuple[Source, ...]
    notes: tuple[str, ...]


class Retriever(Protocol):
    """What the guarded flow asks for evidence."""

    @property
    def name(self) -> str:
        """For messages and records."""
        ...

    def retrieve(self, query: str) -> Found:
        """Sources for a question, blocking.

        Raises:
            RetrieverFailed: If it raised, or returned something that is not sources.
        """
        ...

    async def aretrieve(self, query: str) -> Found:
        """As :meth:`retrieve`; what blocks is run outside the event loop."""
        ...


class _Adapted:
    """A retriever made from one or two functions."""

    def __init__(
        self,
        name: str,
        call: Callable[[str], object] | None,
        acall: Callable[[str], object] | None,
    ) -> None:
        self.name = name
        self._call = call
        self._acall = acall

    def retrieve(self, query: str) -> Found:
        try:
            if self._call is None:
                return self._read(_blocking(self._settled(query)))
            found = _read_out(self._call, query)
            return self._read(_blocking(_collected(found)) if _needs_loop(found) else found)
        except Exception as error:
            raise self._raised(error) from error

    async def aretrieve(self, query: str) -> Found:
        try:
            return self._read(await self._settled(query))
        except Exception as error:
            raise self._raised(error) from error

    async def _settled(self, query: str) -> object:
        if self._acall is not None:
            return await _collected(self._acall(query))
        if self._call is None:  # pragma: no cover - adapt() gives one or both
            raise TypeError("a retriever without a function")
        # A generator does its work when it is read, so it is read in the thread too.
        return await _collected(await asyncio.to_thread(_read_out, self._call, query))

    def _read(self, found: object) -> Found:
        return _read_all(found, origin=Origin.RETRIEVER, trust=Trust.EXTERNAL, repeated_ids=True)

    def _raised(self, error: Exception) -> GroundrailError:
        if isinstance(error, GroundrailError):
            return error
        if isinstance(error, _Unreadable):
            return RetrieverFailed(
                f"The retriever {self.name!r} returned {error}; nothing of it was used.",
                hint="Return texts, mappings with a 'text', Source objects, or LangChain or "
                "LlamaIndex documents; an empty list when there is nothing.",
            )
        return RetrieverFailed(
            f"The retriever {self.name!r} raised {type(error).__name__}; nothing was retrieved.",
            hint="The original exception is the cause of this one.",
        )


def adapt(retriever: object, *, name: str | None = None) -> Retriever:
    """Make a retriever of anything that can retrieve.

    Args:
        retriever: An object with ``invoke``/``ainvoke`` (LangChain), or ``retrieve``/``aretrieve``
            (LlamaIndex, and what this function returns), or ``as_retriever`` (their indexes and
            vector stores), or a function of the question, sync or async. It gives a text, a
            mapping, a :class:`~verifiers.types.Source`, a document of those libraries, or an
            iterable of these, each alone or as ``(document, score)``.
        name: For messages and records; the function's or class's own name when left out.

    Raises:
        ConfigInvalid: If it is none of these.
    """
    if isinstance(retriever, _Adapted) and name is None:
        return retriever
    if isinstance(retriever, type):
        raise ConfigInvalid(
            f"{retriever.__name__} is a class and no retriever; nothing was registered.",
            hint="Pass an instance of it.",
        )
    label = name or getattr(retriever, "__name__", None) or type(retriever).__name__
    for sync_name, async_name in (("invoke", "ainvoke"), ("retrieve", "aretrieve")):
        call = _method(retriever, sync_name)
        acall = _method(retriever, async_name)
        if inspect.iscoroutinefunction(call):
            call, acall = None, acall or call
        if call is not None or acall is not None:
            return _Adapted(str(label), call, acall)
    maker = _method(retriever, "as_retriever")
    if maker is not None:
        return adapt(maker(), name=str(label))
    if callable(retriever):
        waits = any(
            inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f)
            for f in (retriever, getattr(retriever, "__call__", None))  # noqa: B004
        )
        return _Adapted(str(label), *((None, retriever) if waits else (retriever, None)))
    raise ConfigInvalid(
        f"A {type(retriever).__name__} is no retriever; nothing was registered.",
        hint="Pass a function of the question, or an object with retrieve() or invoke().",
    )


def normalise_sources(sources: object) -> tuple[Source, ...]:
    """Read what an application passes as ``sources=``.

    Args:
        sources: A text, a mapping, a :class:`~verifiers.types.Source`, a document of LangChain or
            LlamaIndex, or an iterable of these; None is no sources. A mapping of names to texts
            (``{"terms": "Refunds are ..."}``) is one source a name. Paths are not opened.

    Returns:
        Sources in the given order; those without an id are called ``source-1``, ``source-2``, by
        their position.

    Raises:
        SourceInvalid: If something is no source, or an id is empty or given twice.
    """
    try:
        return _read_all(
            sources if sources is not None else (),
            origin=Origin.CALL,
            trust=Trust.APPLICATION,
            repeated_ids=False,
        ).sources
    except _Unreadable as error:
        raise SourceInvalid(
            f"The sources hold {error}; nothing was checked.",
            hint="Pass texts, mappings with a 'text', Source objects, or documents of LangChain "
            "or LlamaIndex, each under an id of its own.",
        ) from error


class _Unreadable(ValueError):
    """What is wrong with a value that should hold sources, without its content."""


def _read_all(found: object, *, origin: Origin, trust: Trust, repeated_ids: bool) -> Found:
    kept: list[Source] = []
    notes: list[str] = []
    taken: set[str] = set()
    items = _items(found)
    explicit = {name for item in items if isinstance(name := _explicit_id(item), str)}
    for position, item in enumerate(items, 1):
        source = _source(item, position, origin, trust, avoid=explicit)
        if not source.id.strip():
            raise _Unreadable(f"an empty id at position {position}")
        if source.id in taken:
            if not repeated_ids:
                raise _Unreadable(f"one id twice, again at position {position}")
            name, again = source.id, 2
            while f"{name}~{again}" in taken | explicit:
                again += 1
            source = _renamed(source, f"{name}~{again}")
            notes.append(f"source {position} repeats an id; it is called {source.id!r}")
        taken.add(source.id)
        kept.append(source)
    return Found(tuple(kept), tuple(notes))


def _items(found: object) -> list[object]:
    """The single documents in what was given."""
    if _is_single(found):
        return [found]
    if isinstance(found, Mapping):
        named = bool(found) and found.keys().isdisjoint(FIELD_KEYS)
        if named and all(isinstance(k, str) and isinstance(v, str) for k, v in found.items()):
            return [Source(id=str(k), text=str(v)) for k, v in found.items()]
        inner = next((found[k] for k in ("documents", "results", "sources") if k in found), None)
        if inner is None or isinstance(inner, (str, Mapping)):
            raise _Unreadable("a mapping without a text")
        return _items(inner)
    if isinstance(found, Iterable) and not isinstance(found, (bytes, bytearray)):
        return list(found)
    raise _Unreadable(f"a {type(found).__name__}, which is no source")


def _is_single(value: object) -> bool:
    if isinstance(value, (str, Source)) or _is_scored(value):
        return True
    if isinstance(value, Mapping):
        return read_mapping(value, extras=False) is not None
    return not isinstance(value, (list, tuple, set, frozenset)) and _object_text(value) is not None


def _is_scored(value: object) -> bool:
    """``(document, score)``, as similarity searches return."""
    return (
        isinstance(value, tuple)
        and len(value) == 2  # noqa: PLR2004 - a pair
        and not isinstance(value[1], (str, bool))
        and (isinstance(value[1], (int, float)) or hasattr(value[1], "__float__"))
    )


def _source(
    item: object, position: int, origin: Origin, trust: Trust, *, avoid: set[str]
) -> Source:
    if _is_scored(item) and isinstance(item, tuple):
        item = item[0]
    if isinstance(item, Source):
        # What came through a retriever is external, whoever made the object.
        return item if origin is Origin.CALL else _marked(item, origin, trust)
    document = _document(item)
    if document is None:
        raise _Unreadable(f"a {type(item).__name__} at position {position}, which has no text")
    name = document.id
    if name is None:
        prefix = "source" if origin is Origin.CALL else origin.value
        name = f"{prefix}-{position}"
        while name in avoid:
            name += "~"
    return document.source(name, origin, trust)


def _explicit_id(item: object) -> str | None:
    if _is_scored(item) and isinstance(item, tuple):
        item = item[0]
    if isinstance(item, Source):
        return item.id
    document = _document(item)
    return None if document is None else document.id


def _document(item: object) -> Document | None:
    if isinstance(item, str):
        return Document(item)
    if isinstance(item, Mapping):
        return read_mapping(item, extras=False)
    return _object_document(item)


def _object_document(item: object) -> Document | None:
    """A LangChain ``Document``, a LlamaIndex node with or without score, or the like."""
    text = _object_text(item)
    if text is None:
        return None
    node = getattr(item, "node", item)
    meta: dict[str, object] = {}
    for key in ("metadata", "meta"):
        value = getattr(node, key, None)
        if isinstance(value, Mapping):
            meta |= {str(k): v for k, v in value.items()}
    read = read_mapping({"text": text, "metadata": meta}, extras=False)
    named = (getattr(node, key, None) for key in ("id", "id_", "node_id"))
    own = next((n for n in named if isinstance(n, str) and n.strip()), None)
    if read is None:  # pragma: no cover - it has a text
        return None
    return read._replace(
        id=own or read.id, timestamp=read.timestamp or read_time(getattr(node, "timestamp", None))
    )


def _object_text(item: object) -> str | None:
    content = getattr(item, "page_content", None)
    if isinstance(content, str):
        return content
    reader = _method(getattr(item, "node", item), "get_content")
    if reader is not None and not isinstance(item, type):
        text = reader()
        return text if isinstance(text, str) else None
    for key in ("text", "content"):
        value = getattr(item, key, None)
        if isinstance(value, str):
            return value
    return None


def _method(holder: object, name: str) -> Callable[..., object] | None:
    found = getattr(holder, name, None)
    return found if callable(found) else None


def _renamed(source: Source, name: str) -> Source:
    return Source(
        name, source.text, source.title, source.uri, source.origin, source.trust, source.timestamp
    )


def _marked(source: Source, origin: Origin, trust: Trust) -> Source:
    kept = source.trust if source.trust is Trust.USER else trust
    return Source(source.id, source.text, source.title, source.uri, origin, kept, source.timestamp)


# --------------------------------------------------------------------------- sync and async


def _needs_loop(value: object) -> bool:
    return inspect.isawaitable(value) or isinstance(value, AsyncIterable)


async def _collected(value: object) -> object:
    if inspect.isawaitable(value):
        value = await value
    if isinstance(value, AsyncIterable):
        return [item async for item in value]
    return value


def _read_out(call: Callable[[str], object], query: str) -> object:
    found = call(query)
    return list(found) if inspect.isgenerator(found) else found


def _blocking(work: Coroutine[object, object, object]) -> object:
    """Run a coroutine to its end from sync code, also where a loop already runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_as_coroutine(work))
    with ThreadPoolExecutor(1, thread_name_prefix="groundrail-retriever") as pool:
        return pool.submit(copy_context().run, asyncio.run, _as_coroutine(work)).result()


async def _as_coroutine(work: Awaitable[object]) -> object:
    return await work
