"""Documents inside JSON: what tools, search services and retrievers return, made readable.

Shared by :mod:`guardrails.capture` (tool messages) and :mod:`guardrails.retrievers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple, TypeGuard

from verifiers.types import Origin, Source, Trust

TEXT_KEYS = (
    "text",
    "page_content",
    "content",
    "body",
    "passage",
    "chunk",
    "snippet",
    "document",
    "raw_content",
    "markdown",
    "excerpt",
    "summary",
)
_ID_KEYS = ("id", "doc_id", "document_id", "source_id", "chunk_id", "node_id", "file_id", "_id")
_TITLE_KEYS = ("title", "document_title", "name", "heading", "filename", "file_name")
_URI_KEYS = ("uri", "url", "link", "href", "source_url", "source", "file_path")
_TIME_KEYS = (
    "timestamp",
    "date",
    "published_at",
    "published_date",
    "published",
    "updated_at",
    "last_updated",
    "created_at",
)
_META_KEYS = ("metadata", "meta", "attributes")
# Keys that speak of one document, so that a mapping with one of them is no table of documents.
FIELD_KEYS = frozenset({*_ID_KEYS, *_TITLE_KEYS, *_URI_KEYS, *_TIME_KEYS, *_META_KEYS})
_LIST_KEYS = (
    "results",
    "documents",
    "docs",
    "hits",
    "items",
    "data",
    "passages",
    "chunks",
    "matches",
    "sources",
    "nodes",
    "organic",
    "organic_results",
    "search_results",
    "web_results",
    "records",
    "articles",
    "pages",
)
# Numbers about the search and not about the world: they would read as facts.
_NOISE = frozenset(
    {
        "score",
        "relevance_score",
        "relevance",
        "similarity",
        "distance",
        "confidence",
        "rank",
        "index",
        "position",
        "embedding",
        "vector",
        "embeddings",
        "type",
        "object",
        "start_char_idx",
        "end_char_idx",
        "encrypted_content",
        "encrypted_index",
    }
)
# Never text, wherever they stand.
_MACHINE = frozenset({"embedding", "embeddings", "vector", "encrypted_content", "encrypted_index"})
_MAX_DEPTH = 40


class Document(NamedTuple):
    """A text with what is known about where it is from. None where nothing is."""

    text: str
    id: str | None = None
    title: str | None = None
    uri: str | None = None
    timestamp: datetime | None = None

    def source(self, name: str, origin: Origin, trust: Trust) -> Source:
        """It as evidence, under the id ``name``."""
        return Source(
            id=name,
            text=self.text,
            title=self.title,
            uri=self.uri,
            origin=origin,
            trust=trust,
            timestamp=self.timestamp,
        )


def read_mapping(item: Mapping[str, object], *, extras: bool) -> Document | None:
    """One document from a mapping that has a text under a usual key, or None when it has none.

    Args:
        item: Such as ``{"id": "a", "text": "...", "metadata": {"source": "..."}}``.
        extras: Whether the other plain fields are facts too: put after the text, a line each.
    """
    key = next((k for k in TEXT_KEYS if isinstance(item.get(k), str)), None)
    if key is None:
        nested = next((k for k in ("document", "node") if isinstance(item.get(k), Mapping)), None)
        inner = None if nested is None else item[nested]
        return read_mapping(inner, extras=extras) if isinstance(inner, Mapping) else None
    text = item[key]
    if not isinstance(text, str):  # pragma: no cover - for the type checker
        return None
    metas = [item, *(m for k in _META_KEYS if isinstance(m := item.get(k), Mapping))]
    if extras:
        known = {key, *_ID_KEYS, *_TITLE_KEYS, *_URI_KEYS, *_META_KEYS, *_NOISE}
        rest = {k: v for k, v in item.items() if k not in known}
        more = flatten(rest)
        text = f"{text}\n{more}" if more else text
    return Document(
        text,
        id=_first(metas, _ID_KEYS),
        title=_first(metas, _TITLE_KEYS),
        uri=_first(metas, _URI_KEYS),
        timestamp=_time(metas),
    )


def read_json(value: object) -> list[Document]:
    """Documents in a parsed JSON value: each item of a list of documents, or the whole, flattened.

    Beside a document's text a fixed list of search bookkeeping (scores, ranks, vectors) is left
    out, and nothing else.
    """
    if isinstance(value, str):
        return [Document(value)] if value.strip() else []
    if is_list(value):
        return _items(value)
    if isinstance(value, Mapping):
        key = next((k for k in _LIST_KEYS if _documents_under(value.get(k))), None)
        if key is not None:
            rest = {k: v for k, v in value.items() if k != key}
            return [*_items(value[key]), *_whole(rest)]
        one = read_mapping(value, extras=True)
        if one is not None:
            return [one] if one.text.strip() else []
    return _whole(value)


def _items(value: object) -> list[Document]:
    if not is_list(value):
        return []
    if not _documents_under(value):
        return _whole(value)
    found: list[Document] = []
    for item in value:
        if isinstance(item, str):
            read: Document | None = Document(item)
        else:
            read = read_mapping(item, extras=True) if isinstance(item, Mapping) else None
        found += [read] if read is not None else _whole(item)
    return [d for d in found if d.text.strip()]


def _documents_under(value: object) -> bool:
    """Whether this is a list of documents: of texts, or of mappings that hold a text."""
    if not is_list(value) or not value:
        return False
    if all(isinstance(item, str) for item in value):
        return any(" " in item for item in value if isinstance(item, str))
    return any(
        isinstance(item, Mapping) and read_mapping(item, extras=False) is not None for item in value
    )


def _whole(value: object) -> list[Document]:
    text = flatten(value)
    return [Document(text)] if text else []


def flatten(value: object) -> str:
    """Plain lines for a JSON value: ``opening hours monday: 9 to 5``, one a scalar.

    Keys are read as words, lists of scalars stay on one line, and what is nested deeper than
    forty levels is written on one line as it is.
    """
    lines: list[str] = []
    # Our own stack: a hostile tool may nest deeper than Python recurses.
    waiting: list[tuple[str, object, int]] = [("", value, 0)]
    while waiting:
        path, item, depth = waiting.pop()
        if isinstance(item, Mapping) and depth < _MAX_DEPTH:
            inner = [
                (f"{path} {_words(str(k))}".strip(), v, depth + 1)
                for k, v in item.items()
                if str(k) not in _MACHINE
            ]
            waiting += reversed(inner)
        elif is_list(item) and depth < _MAX_DEPTH:
            if all(not isinstance(x, Mapping) and not is_list(x) for x in item):
                lines += _line(path, ", ".join(s for x in item if (s := _scalar(x))))
            else:
                waiting += reversed([(path, x, depth + 1) for x in item])
        else:
            lines += _line(path, _scalar(item))
    return "\n".join(lines)


def _line(path: str, text: str) -> list[str]:
    if not text.strip():
        return []
    return [f"{path}: {text}" if path else text]


def _scalar(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            try:
                return str(value)
            except ValueError:  # beyond Python's limit of digits
                return "(a number too long to read)"
        case str() | float():
            return str(value)
        case _:
            return "(nested too deeply to read)" if is_list(value) else _opaque(value)


def _opaque(value: object) -> str:
    return "(nested too deeply to read)" if isinstance(value, Mapping) else ""


def _words(key: str) -> str:
    return key.replace("_", " ").replace("-", " ").strip()


def is_list(value: object) -> TypeGuard[Sequence[object]]:
    """Whether this is a sequence of items and not a text."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))


def _first(metas: Sequence[Mapping[str, object]], keys: Sequence[str]) -> str | None:
    for meta in metas:
        for key in keys:
            value = meta.get(key)
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if isinstance(value, str) and value.strip():
                return value.strip()
    return None


def _time(metas: Sequence[Mapping[str, object]]) -> datetime | None:
    for meta in metas:
        for key in _TIME_KEYS:
            found = read_time(meta.get(key))
            if found is not None:
                return found
    return None


def read_time(value: object) -> datetime | None:
    """A moment written as a datetime, a date or ISO 8601; without a zone it is read as UTC."""
    match value:
        case datetime():
            moment = value
        case date():
            moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
        case str():
            try:
                moment = datetime.fromisoformat(value.strip())
            except ValueError:
                return None
        case _:
            return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
