"""Citations in an answer, and the sources they name.

Markers are read as models write them: ``[1]``, ``[1, 2]``, ``[1-3]``, ``[^1]`` with its definition,
``【1†source】``, ``(Source: name)``, ``[policy.md]``, links and bare URLs. What a marker names is a
source's id, title, URI or place (from 1). A marker that reads as a citation but names nothing we
have keeps ``source_id=None``: that is itself a finding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from verifiers.types import Citation, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from verifiers.types import Source

_PREFIX = (
    r"(?:sources?|src|documents?|docs?|refs?|references?|citations?|passages?|contexts?|"
    r"articles?|excerpts?|snippets?|chunks?|results?|files?)"
)
_BRACKET = re.compile(r"(?<!\\)\[(?P<body>[^\[\]\n]{1,120})\](?!\(|\])")
_LENTICULAR = re.compile(r"【(?P<body>[^【】\n]{1,160})】")
_PAREN = re.compile(r"\((?P<body>[^()\n]{1,160})\)")
_LINK = re.compile(
    r"(?<![!\\])\[(?P<label>(?:\[[^\[\]\n]{1,40}\]|[^\[\]\n]){1,300})\]"
    r"\(<?(?P<url>(?:[^()\s<>]|\([^()\s]*\)){1,2000})>?(?:\s+\"[^\"\n]*\")?\)"
)
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\[\]\"“”‘’`|]{3,2000}", re.I)  # noqa: RUF001
_SUPER = re.compile(r"(?<=[.,;:!?)\"”’a-zA-Z])[¹²³⁴⁵⁶⁷⁸⁹][⁰¹²³⁴⁵⁶⁷⁸⁹]{0,2}")  # noqa: RUF001
_SUPER_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_NUMBER = re.compile(r"\d{1,3}$")
_RANGE = re.compile(r"(\d{1,3})\s*[-–—]\s*(\d{1,3})$")  # noqa: RUF001
_LABELLED = re.compile(rf"(?:see\s+(?:also\s+)?)?{_PREFIX}\s*[:#.\s]?\s*(?P<rest>\S.*)$", re.I)
_LABEL_COLON = re.compile(rf"(?:see\s+(?:also\s+)?)?{_PREFIX}\s*:\s*(?P<rest>\S.*)$", re.I)
_SEE = re.compile(r"see\s+(?:also\s+)?(?P<rest>\S.*)$", re.I)
_LOCATOR = re.compile(
    r",?\s*(?:pp?\.|pages?|sections?|sec\.|§|chapters?|ch\.|lines?|paras?\.?|paragraphs?)\s*[\w.–-]+$",  # noqa: RUF001
    re.I,
)
_AUTHOR_YEAR = re.compile(r"(?P<who>[A-Z][\w'’-]+)(?:[^\d]{0,60}?),?\s*(?P<year>(?:19|20)\d\d)[a-z]?$")  # noqa: RUF001
_ARRAY_BEFORE = re.compile(r"(?:=|\b(?:array|list|vector|interval|range|tuple|matrix)s?)\s*$", re.I)
_DEFINITION = re.compile(r"^[ \t>]{0,8}(?:[-*][ \t]+)?\[\^?(?P<label>[\w.-]{1,40})\](?P<colon>:?)[ \t]+(?P<text>\S[^\n]*)$", re.M)
_LONGEST_RANGE = 20


@dataclass(frozen=True, slots=True)
class Resolver:
    """Finds the source a target names. Build it once per answer; each look-up is then one step."""

    sources: tuple[Source, ...]
    _ids: dict[str, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _uris: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, sources: Iterable[Source]) -> Resolver:
        """A resolver over sources in their order. The first one wins where two share a name."""
        made = cls(tuple(sources))
        for source in made.sources:
            made._ids.setdefault(source.id.strip(), source.id)
        for source in made.sources:
            for name in _names(source):
                made._names.setdefault(name, source.id)
            if source.uri:
                made._uris.setdefault(_normal_uri(source.uri), source.id)
            if _URL.match(source.id):
                made._uris.setdefault(_normal_uri(source.id), source.id)
        return made

    @property
    def has_uris(self) -> bool:
        """Whether a link could name a source at all."""
        return bool(self._uris)

    def find(self, target: str) -> str | None:
        """The id of the source ``target`` names, or None."""
        target = target.strip().strip("\"'“”‘’`*_ ")  # noqa: RUF001
        if not target:
            return None
        if target in self._ids:
            return self._ids[target]
        if _URL.match(target):
            return self._uris.get(_normal_uri(target))
        named = self._names.get(_normal_name(target))
        if named is not None:
            return named
        if _NUMBER.match(target):
            return self.at(int(target))
        labelled = _LABELLED.match(target)
        if labelled and labelled.group("rest") != target:
            return self.find(labelled.group("rest"))
        located = _LOCATOR.sub("", target)
        if located != target:
            return self.find(located)
        return self._by_author(target)

    def at(self, number: int) -> str | None:
        """The id of the source in place ``number``, from 1."""
        return self.sources[number - 1].id if 1 <= number <= len(self.sources) else None

    def _by_author(self, target: str) -> str | None:
        match = _AUTHOR_YEAR.match(target)
        if not match:
            return None
        for source in self.sources:
            title = source.title or ""
            if match.group("who") in title and match.group("year") in title:
                return source.id
        return None


def _names(source: Source) -> Iterator[str]:
    for name in (source.id, source.title, source.uri):
        if name:
            yield _normal_name(name)
            base = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
            yield _normal_name(base)
            stem, dot, extension = base.rpartition(".")
            if dot and stem and extension.isalnum() and len(extension) <= 5:
                yield _normal_name(stem)


def _normal_name(name: str) -> str:
    return " ".join(re.sub(r"[\s_-]+", " ", name.casefold()).split())


def _normal_uri(uri: str) -> str:
    """A link without what does not tell pages apart: scheme, ``www.``, fragment, final slash."""
    bare = re.sub(r"^[a-z][a-z0-9+.-]*://", "", uri.strip(), flags=re.I)
    bare = unquote(bare.split("#", 1)[0]).rstrip("/")
    host, slash, path = bare.partition("/")
    host = host.casefold().removeprefix("www.").removesuffix(":80").removesuffix(":443")
    query = re.sub(r"([?&])utm_[^&]*", r"\1", path).rstrip("?&")
    return host + slash + query if query else host


def resolve(target: str, sources: Sequence[Source]) -> str | None:
    """The id of the source that ``target`` names: by id, URI, title, or place from 1.

    Args:
        target: What a marker names, as written.
        sources: The sources in their order.

    Returns:
        The source's id, or None when it names none of them.
    """
    return Resolver.of(sources).find(target)


def find_citations(answer: str, sources: Sequence[Source] = ()) -> tuple[Citation, ...]:
    """The citation markers of an answer, in order.

    A marker that names several sources (``[1, 2]``, ``[1-3]``) gives one citation for each, all
    with the marker's span. Code is not searched: ``a[1]`` and arrays are not citations.

    Args:
        answer: The exact answer.
        sources: The sources in their order, for numbers, ids, titles and links.
    """
    from verifiers.claims.blocks import BlockKind, segment  # noqa: PLC0415 - avoids a cycle

    code = [block.span for block in segment(answer) if block.kind is BlockKind.CODE]
    return find_outside(answer, Resolver.of(sources), code)


def find_outside(
    answer: str, resolver: Resolver, code: Sequence[Span]
) -> tuple[Citation, ...]:
    """:func:`find_citations` for a caller that knows the code blocks already."""
    return _Finder(answer, resolver, code).run()


class _Finder:
    """One search of one answer."""

    def __init__(self, answer: str, resolver: Resolver, code: Sequence[Span]) -> None:
        self.answer = answer
        self.resolver = resolver
        self.blank = _blank_code(answer, code)
        self.taken: list[Span] = []
        self.found: list[Citation] = []
        self.defined = self._definitions()

    def run(self) -> tuple[Citation, ...]:
        for match in _LINK.finditer(self.blank):
            self._link(match)
        for pattern, read in (
            (_LENTICULAR, self._lenticular),
            (_BRACKET, self._bracket),
            (_PAREN, self._paren),
            (_URL, self._url),
            (_SUPER, self._superscript),
        ):
            free = _gaps(self.taken)
            for match in pattern.finditer(self.blank):
                if not free(match.start(), match.end()):
                    continue
                read(match)
        return tuple(sorted(self.found, key=lambda c: (c.span.start, c.span.end)))

    def _definitions(self) -> dict[str, str | None]:
        """What the answer's own list of references says its numbers mean."""
        defined: dict[str, str | None] = {}
        for match in _DEFINITION.finditer(self.blank):
            text, label = match.group("text").strip(), match.group("label")
            found = self._inside(text)
            if found is not None:
                defined.setdefault(label, found)
            elif match.group("colon"):
                defined.setdefault(label, None if _URL.search(text) and self.resolver.has_uris
                                   else self.resolver.find(label))
        return defined

    def _inside(self, text: str) -> str | None:
        """A source named by a reference line: by its link, or by the whole line, or by a part."""
        for match in _URL.finditer(text):
            found = self.resolver.find(_trim_url(match.group()))
            if found is not None:
                return found
        for part in (text, *re.split(r"\s[-–—|]\s|[,;:.]\s", text)):  # noqa: RUF001
            bare = part.strip(" .,;*_\"“”[]()")
            if bare and not _NUMBER.match(bare):
                found = self.resolver.find(bare)
                if found is not None:
                    return found
        return None

    def _add(self, span: Span, targets: Sequence[tuple[str, str | None]]) -> None:
        self.taken.append(span)
        marker = span.of(self.answer)
        self.found.extend(Citation(span, marker, target, found) for target, found in targets)

    def _number(self, label: str) -> tuple[str, str | None]:
        if label in self.defined:
            return label, self.defined[label]
        return label, self.resolver.find(label)

    def _bracket(self, match: re.Match[str]) -> None:
        body = match.group("body").strip()
        before = self.blank[max(0, match.start() - 24) : match.start()]
        after = self.blank[match.end() : match.end() + 3]
        if _is_index(before, after):
            return
        line = self.blank.rfind("\n", 0, match.start()) + 1
        if after.startswith(":") and not self.blank[line : match.start()].strip(" \t>-*"):
            return  # the definition of a footnote, not a use of it
        targets = self._targets(body, strict=_ARRAY_BEFORE.search(before) is not None)
        if targets:
            self._add(Span(match.start(), match.end()), targets)

    def _targets(self, body: str, *, strict: bool) -> list[tuple[str, str | None]]:
        """What the inside of a bracket names; nothing when it does not read as a citation."""
        if body.startswith("^"):
            return [self._number(part.strip().lstrip("^")) for part in body[1:].split(",")]
        whole = self.resolver.find(body)
        if whole is not None and not _NUMBER.match(body) and not _RANGE.match(body):
            return [(body, whole)]
        found: list[tuple[str, str | None]] = []
        labelled = _LABELLED.match(body)
        inner = labelled.group("rest") if labelled else body
        for part in re.split(r"\s*[,;&]\s*(?:and\s+)?|\s+and\s+", inner):
            piece = _LABELLED.match(part)
            part = (piece.group("rest") if piece else part).strip()  # noqa: PLW2901
            span = _RANGE.match(part)
            if span and 0 < int(span[1]) < int(span[2]) <= int(span[1]) + _LONGEST_RANGE:
                found.extend(self._number(str(n)) for n in range(int(span[1]), int(span[2]) + 1))
            elif _NUMBER.match(part) or self.resolver.find(part) is not None:
                found.append(self._number(part))
            elif labelled and not _LOCATOR.match(part):
                found.append((part, None))
            elif not (found and _LOCATOR.match(part)):
                return []
        if strict and any(source is None for _, source in found):
            return []
        # "[0, 1]" is an interval; a citation counts from 1 unless a source is called 0.
        return [] if any(target == "0" and source is None for target, source in found) else found

    def _lenticular(self, match: re.Match[str]) -> None:
        number, _, name = match.group("body").partition("†")
        found = self.resolver.find(name) if name.strip() not in {"", "source"} else None
        if found is not None:
            target = name.strip()
        else:
            target = number.strip().split(":")[0] if name else number.strip()
            found = self._number(target)[1]
        self._add(Span(match.start(), match.end()), [(target, found)])

    def _paren(self, match: re.Match[str]) -> None:
        body = match.group("body").strip()
        if _NUMBER.match(body) or len(body) < 2:  # noqa: PLR2004
            return  # "(3)" is a count or a list number
        colon = _LABEL_COLON.match(body)
        see = _SEE.match(body)
        inner = colon.group("rest") if colon else see.group("rest") if see else body
        url = _URL.match(inner)
        if url and _trim_url(url.group()) == inner:
            found = self.resolver.find(inner)
            if found is not None or self.resolver.has_uris:
                self._add(Span(match.start(), match.end()), [(inner, found)])
            return
        targets = [(p, self.resolver.find(p)) for p in re.split(r"\s*;\s*", inner) if p]
        if any(found is not None for _, found in targets):
            self._add(Span(match.start(), match.end()), targets)
            return
        numbered = self._targets(body, strict=False) if _LABELLED.match(body) else []
        if numbered and (colon or all(_NUMBER.match(target) for target, _ in numbered)):
            self._add(Span(match.start(), match.end()), numbered)

    def _link(self, match: re.Match[str]) -> None:
        url = match.group("url")
        found = self.resolver.find(url)
        if found is None and not (_URL.match(url) and self.resolver.has_uris):
            # A link to nothing we could know; its label may still be a citation: "[[1]](#ref)".
            label = match.group("label").strip("[]^ ")
            if not _NUMBER.match(label):
                return
            found, url = self._number(label)[1], label
        self._add(Span(match.start(), match.end()), [(url, found)])

    def _url(self, match: re.Match[str]) -> None:
        url = _trim_url(match.group())
        found = self.resolver.find(url)
        if url and (found is not None or self.resolver.has_uris):
            self._add(Span(match.start(), match.start() + len(url)), [(url, found)])

    def _superscript(self, match: re.Match[str]) -> None:
        target = match.group().translate(_SUPER_DIGITS)
        before = self.blank[max(0, match.start() - 3) : match.start()]
        if before[-1:].isalpha() and not (len(before) > 2 and before.isalpha()):  # noqa: PLR2004
            return  # a unit: m², cm³
        found = self._number(target)[1]
        if found is not None:
            self._add(Span(match.start(), match.end()), [(target, found)])


def _blank_code(answer: str, code: Sequence[Span]) -> str:
    """The answer with code blanked out, offsets unchanged."""
    parts: list[str] = []
    at = 0
    for span in code:
        parts.append(answer[at : span.start])
        parts.append(re.sub(r"[^\n]", " ", span.of(answer)))
        at = span.end
    parts.append(answer[at:])
    blank = "".join(parts)
    return re.sub(r"(`{1,2})(?!`)[^`\n]{1,400}?\1(?!`)", _keep_ids, blank)


def _keep_ids(match: re.Match[str]) -> str:
    """Inline code is blanked, but a source is often named in it: "(`policy.md`)"."""
    inner = match.group().strip("`")
    if re.fullmatch(r"[\w./:-]{3,200}", inner):
        return match.group()
    return " " * len(match.group())


def _is_index(before: str, after: str) -> bool:
    """Whether a bracket indexes a variable: "a[1]", "x[1] = 5", "rows[2].name"."""
    word = re.search(r"[A-Za-z_]\w*$", before)
    if word is None:
        return False
    name = word.group()
    coded = len(name) == 1 or "_" in name or bool(re.search(r"\w\.\w+$", before))
    return coded or bool(re.match(r"\s?=|\.[a-z]|\[\d+\]\s*=", after))


def _trim_url(url: str) -> str:
    """A bare URL without the punctuation of the sentence around it."""
    url = url.rstrip(".,;:!?*_'\"")
    while url.endswith(")") and url.count("(") < url.count(")"):
        url = url[:-1].rstrip(".,;:!?*_'\"")
    return url


class _gaps:  # noqa: N801 - used like a function
    """Whether a stretch overlaps none of the spans taken so far. Snapshot; logarithmic look-ups."""

    def __init__(self, taken: Sequence[Span]) -> None:
        ordered = sorted(taken)
        self._starts = [span.start for span in ordered]
        self._ends = [span.end for span in ordered]

    def __call__(self, start: int, end: int) -> bool:
        from bisect import bisect_right  # noqa: PLC0415

        at = bisect_right(self._starts, start) - 1
        clear_left = at < 0 or self._ends[at] <= start
        clear_right = at + 1 >= len(self._starts) or self._starts[at + 1] >= end
        return clear_left and clear_right
