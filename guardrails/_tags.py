"""Tagged context in prompts: ``<context>``, ``<document id="1">``, ``<search_results>`` ...

A tolerant reader in one pass, linear in the text: prompts are not XML. Tags may be nested, upper
case, unclosed or closed twice, and hold ``<`` and ``&``; text is kept exactly as written.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from guardrails._documents import Document, read_time
from verifiers.types import Span

# Tags that mark evidence, and (second row) tags that name it when they stand inside one.
_EVIDENCE = (
    "context|contexts|document|documents|doc|docs|source|sources|passage|passages|search_results|"
    "search_result|reference|references|excerpt|excerpts|retrieved_context|retrieved_documents"
)
_CONTENT = "document_content|document_contents|content|text|page_content|body"
_NAMING = "title|url|uri|link|id|date|metadata"
_TAG = re.compile(
    rf"<(?P<close>/?)(?P<name>{_EVIDENCE}|{_CONTENT}|{_NAMING})"
    r"(?P<attributes>\s[^<>]*?)?(?P<empty>/?)>",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_EVIDENCE_NAMES = frozenset(_EVIDENCE.split("|"))
_CONTENT_NAMES = frozenset(_CONTENT.split("|"))
_WORD = re.compile(r"\w")
# "between <context> and </context>" speaks of the tags and holds nothing.
_BETWEEN = frozenset({"and", "or", "to", "..."})
# A name is short; a longer <source> inside a <document> is a text.
_LONGEST_NAME = 300


class Tagged(NamedTuple):
    """What a text's tags hold.

    Attributes:
        documents: In the order of the text.
        outside: What stands outside every evidence tag.
        unclosed: How many evidence tags were never closed.
    """

    documents: list[Document]
    outside: str
    unclosed: int


@dataclass(slots=True)
class _Element:
    name: str
    start: int  # where the tag starts
    inner: int  # where its content starts
    attributes: dict[str, str]
    at_line_start: bool
    children: list[_Element] = field(default_factory=list)
    end: int = -1  # where its content ends
    after: int = -1  # where its closing tag ends
    closed: bool = True

    @property
    def evidence(self) -> bool:
        return self.name in _EVIDENCE_NAMES


def read_tags(text: str) -> Tagged:
    """Find the evidence in tagged text.

    An unclosed tag counts only at the start of a line ("Use what is in <context> tags" names the
    tag and opens nothing) and then holds the text up to the next tag of ours, or to the end.
    """
    roots = _tree(text)
    documents: list[Document] = []
    taken: list[Span] = []
    unclosed = 0
    waiting = list(reversed(roots))
    while waiting:
        element = waiting.pop()
        if not element.evidence or not (element.closed or element.at_line_start):
            waiting += reversed(element.children)
            continue
        unclosed += not element.closed
        documents += _read(text, element)
        if element.after > element.start:
            taken.append(Span(element.start, element.after))
        waiting += reversed([c for c in element.children if not _names(c, element)])
    return Tagged(documents, _outside(text, taken), unclosed)


def _tree(text: str) -> list[_Element]:
    roots: list[_Element] = []
    stack: list[_Element] = []
    open_names: dict[str, int] = {}

    def leave(end: int, after: int, *, closed: bool) -> None:
        element = stack.pop()
        open_names[element.name] -= 1
        element.end, element.after, element.closed = end, after, closed

    for match in _TAG.finditer(text):
        name = match["name"].lower()
        if match["close"]:
            if not open_names.get(name):
                continue  # closes nothing
            while stack[-1].name != name:
                end = _own_end(stack[-1], match.start())
                leave(end, end, closed=False)
            leave(match.start(), match.end(), closed=True)
            continue
        line = text.rfind("\n", max(0, match.start() - 200), match.start()) + 1
        before = text[line or max(0, match.start() - 200) : match.start()]
        element = _Element(
            name,
            match.start(),
            match.end(),
            _attributes(match["attributes"] or ""),
            at_line_start=not before.strip(),
        )
        (stack[-1].children if stack else roots).append(element)
        if match["empty"]:
            element.end, element.after = match.end(), match.end()
            continue
        stack.append(element)
        open_names[name] = open_names.get(name, 0) + 1
    while stack:
        end = _own_end(stack[-1], len(text))
        leave(end, end, closed=False)
    return roots


def _own_end(element: _Element, limit: int) -> int:
    """Where the text of an unclosed element ends: at its first child, or at the limit."""
    return element.children[0].start if element.children else limit


def _attributes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(text):
        value = html.unescape(double or single or bare).strip()
        if value:
            found.setdefault(name.lower(), value)
    return found


def _names(child: _Element, parent: _Element) -> bool:
    """Whether a child says what its parent is called, and is no text of its own.

    ``<document><source>report.pdf</source><document_content>...`` is how one provider's guide
    writes documents: there ``source`` is a name.
    """
    if child.name != "source" or parent.name in {"sources", "context", "contexts", "documents"}:
        return False
    has_content = any(c.name in _CONTENT_NAMES for c in parent.children)
    return has_content and child.end - child.inner <= _LONGEST_NAME and not child.children


def _read(text: str, element: _Element) -> list[Document]:
    """The element's own text as a document, without its evidence children."""
    names: dict[str, str] = dict(element.attributes)
    pieces: list[str] = []
    at = element.inner
    for child in element.children:
        if child.start >= element.end:
            break
        pieces.append(text[at : child.start])
        inner = text[child.inner : max(child.inner, child.end)]
        if child.name in _CONTENT_NAMES:
            pieces.append(_content(text, child))
        elif not child.evidence and len(inner) > _LONGEST_NAME:
            pieces.append(inner)
        elif not child.evidence or _names(child, element):
            names.setdefault(child.name, inner.strip())
        at = max(child.inner, child.after)
    pieces.append(text[at : max(at, element.end)])
    own = "\n".join(p.strip() for p in pieces if p.strip())
    if not _WORD.search(own) or own.lower() in _BETWEEN:
        return []
    return [
        Document(
            own,
            id=_pick(names, "id", "doc_id", "source_id", "index", "n", "number"),
            title=_pick(names, "title", "name", "source", "filename", "file"),
            uri=_pick(names, "url", "uri", "href", "link", "src") or _uri(names.get("source")),
            timestamp=read_time(_pick(names, "date", "timestamp", "published", "updated")),
        )
    ]


def _content(text: str, element: _Element) -> str:
    """A content tag's text, without evidence tags inside it, which are read on their own."""
    pieces, at = [], element.inner
    for child in element.children:
        if child.evidence:
            pieces.append(text[at : child.start])
            at = max(child.inner, child.after)
    pieces.append(text[at : max(at, element.end)])
    return "".join(pieces)


def _pick(names: dict[str, str], *keys: str) -> str | None:
    return next((names[k] for k in keys if names.get(k)), None)


def _uri(value: str | None) -> str | None:
    return value if value and "://" in value else None


def _outside(text: str, taken: list[Span]) -> str:
    pieces, at = [], 0
    for span in sorted(taken):
        if span.start >= at:
            pieces.append(text[at : span.start])
        at = max(at, span.end)
    pieces.append(text[at:])
    return "".join(pieces).strip()
