"""Finds the citation markers of an answer."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from verifiers.claims.sources import LABELLED, LOCATOR, NUMBER, PREFIX, URL, Resolver
from verifiers.types import Citation, Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BRACKET = re.compile(r"(?<!\\)\[(?P<body>[^\[\]\n]{1,120})\](?!\(|\])")
_LENTICULAR = re.compile(r"【(?P<body>[^【】\n]{1,160})】")
_PAREN = re.compile(r"\((?P<body>[^()\n]{1,160})\)")
_LINK = re.compile(
    r"(?<![!\\])\[(?P<label>(?:\[[^\[\]\n]{1,40}\]|[^\[\]\n]){1,300})\]"
    r"\(<?(?P<url>(?:[^()\s<>]|\([^()\s]*\)){1,2000})>?(?:[ \t]+\"[^\"\n]*\")?\)"
)
_SUPER = re.compile(r"(?<=[.,;:!?)\"”’a-zA-Z])[¹²³⁴⁵⁶⁷⁸⁹][⁰¹²³⁴⁵⁶⁷⁸⁹]{0,2}")  # noqa: RUF001
_SUPER_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_RANGE = re.compile(r"(\d{1,3})\s*[-–—]\s*(\d{1,3})$")  # noqa: RUF001
_LABEL_COLON = re.compile(rf"(?:see\s+(?:also\s+)?)?{PREFIX}\s*:\s*(?P<rest>\S.*)$", re.IGNORECASE)
_SEE = re.compile(r"see\s+(?:also\s+)?(?P<rest>\S.*)$", re.IGNORECASE)
_ARRAY_BEFORE = re.compile(
    r"(?:\b(?:array|list|vector|interval|range|tuple|matrix)s?)\s*$", re.IGNORECASE
)
_DEFINITION = re.compile(
    r"^[ \t>]{0,8}(?:[-*][ \t]+)?\[\^?(?P<label>[\w.-]{1,40})\](?P<colon>:?)"
    r"[ \t]+(?P<text>\S[^\n]*)$",
    re.MULTILINE,
)
# No marker reaches over a line end, of whatever kind.
LINES = str.maketrans("\r\u2028\u2029", "\n\n\n")
_LONGEST_RANGE = 20
LONGEST_LABEL = 400  # characters, nested brackets included
_LEAST_PROSE = 4  # words
# In small letters: titles are written with capitals, and may hold any of these.
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|will|would|can|cannot|could|must|may|should|does|do|"
    r"did|which|that|says?|said|states?|costs?|takes?|offers?|allows?|gives?|pays?|lasts?)\b"
)


# How far a marker looks back; more than any pattern that is read before one.
_LOOK = 32

Definitions: TypeAlias = "Mapping[str, tuple[int, str | None]]"


class Found(NamedTuple):
    """Citation markers of an answer from some place on.

    Attributes:
        citations: In order.
        defined: What its list of references says: for each label, where it was first said and
            the source it means. Those before the place included.
    """

    citations: tuple[Citation, ...]
    defined: Definitions


def find_outside(answer: str, resolver: Resolver, code: Sequence[Span]) -> tuple[Citation, ...]:
    """:func:`find_citations` for a caller that knows the code blocks already."""
    return find_from(answer, resolver, code, 0, {}).citations


def find_from(
    answer: str, resolver: Resolver, code: Sequence[Span], start: int, defined: Definitions
) -> Found:
    """The citation markers of an answer from a line on.

    Args:
        answer: The exact answer.
        resolver: Finds sources.
        code: Its code blocks, those that end before ``start`` left out or not.
        start: Where a line begins; no marker reaches over a line end.
        defined: What the references before it define.
    """
    base = max(0, start - _LOOK)
    inside = [Span(max(0, s.start - base), s.end - base) for s in code if s.end > base]
    known = {label: (at - base, found) for label, (at, found) in defined.items()}
    finder = _Finder(answer[base:], resolver, inside, start - base, known)
    found = finder.run()
    if start:
        found = tuple(
            replace(c, span=Span(c.span.start + base, c.span.end + base))
            for c in found
            if c.span.start + base >= start
        )
    means = {label: (at + base, finder.defined[label]) for label, at in finder.since.items()}
    return Found(found, means)


class _Finder:
    """One search of one answer."""

    def __init__(
        self,
        answer: str,
        resolver: Resolver,
        code: Sequence[Span],
        start: int,
        known: Definitions,
    ) -> None:
        self.answer = answer
        self.resolver = resolver
        self.blank = _blank_code(answer, code)
        self.taken: list[Span] = []
        self.found: list[Citation] = []
        self.since = {label: at for label, (at, _) in known.items()}
        self.defined = {label: found for label, (_, found) in known.items()}
        self._define(start)

    def run(self) -> tuple[Citation, ...]:
        for match in _LINK.finditer(self.blank):
            self._link(match)
        for pattern, read in (
            (_LENTICULAR, self._lenticular),
            (_BRACKET, self._bracket),
            (_PAREN, self._paren),
            (URL, self._url),
            (_SUPER, self._superscript),
        ):
            free = _gaps(self.taken)
            for match in pattern.finditer(self.blank):
                if not free(match.start(), match.end()):
                    continue
                read(match)
        return tuple(sorted(self.found, key=lambda c: (c.span.start, c.span.end)))

    def _define(self, start: int) -> None:
        """Read what the answer's own list of references says its numbers mean."""
        defined = self.defined
        for match in _DEFINITION.finditer(self.blank):
            if match.start() < start:
                continue  # known, or the middle of a line
            text, label = match.group("text").strip(), match.group("label")
            found = self._inside(text)
            if found is not None or match.group("colon"):
                self.since.setdefault(label, match.start())
            if found is not None:
                defined.setdefault(label, found)
            elif match.group("colon"):
                defined.setdefault(
                    label,
                    None
                    if URL.search(text) and self.resolver.has_uris
                    else self.resolver.find(label),
                )

    def _inside(self, text: str) -> str | None:
        """A source named by a reference line: by its link, or by the whole line, or by a part."""
        for match in URL.finditer(text):
            found = self.resolver.find(_trim_url(match.group()))
            if found is not None:
                return found
        for part in (text, *re.split(r"\s[-–—|]\s|[,;:.]\s", text)):  # noqa: RUF001
            bare = part.strip(' .,;*_"“”[]()')
            if bare and not NUMBER.match(bare):
                found = self.resolver.find(bare)
                if found is not None:
                    return found
        return None

    def _add(self, span: Span, targets: Sequence[tuple[str, str | None]]) -> None:
        if any(self._prose(target) for target, _ in targets):
            return  # a statement in brackets names nothing: it is read like any other
        self.taken.append(span)
        marker = span.of(self.answer)
        self.found.extend(Citation(span, marker, target, found) for target, found in targets)

    def _prose(self, target: str) -> bool:
        """Whether a target is a sentence rather than a name, and no source is called that."""
        return (
            len(target.split()) >= _LEAST_PROSE
            and _VERB.search(target) is not None
            and not self.resolver.called(target)
        )

    def _number(self, label: str) -> tuple[str, str | None]:
        if label in self.defined:
            return label, self.defined[label]
        return label, self.resolver.find(label)

    def _names(self, label: str, at: int) -> bool:
        """Whether a number at ``at`` names a source, as far as can be said there.

        What only a list of references further down defines does not count: whether a number is a
        citation at all must not depend on what follows, or no sentence could be read before the
        answer ends. Which source it means may.
        """
        if label in self.defined and self.since[label] < at:
            return self.defined[label] is not None
        return self.resolver.find(label) is not None

    def _bracket(self, match: re.Match[str]) -> None:
        body = match.group("body").strip()
        before = self.blank[max(0, match.start() - 24) : match.start()]
        after = self.blank[match.end() : match.end() + 3]
        if _is_index(before, after) or before.rstrip().endswith("="):
            return
        line = self.blank.rfind("\n", 0, match.start()) + 1
        if after.startswith(":") and not self.blank[line : match.start()].strip(" \t>-*"):
            return  # the definition of a footnote, not a use of it
        targets = self._targets(
            body, match.start(), strict=_ARRAY_BEFORE.search(before) is not None
        )
        if targets:
            self._add(Span(match.start(), match.end()), targets)

    def _targets(self, body: str, at: int, *, strict: bool) -> list[tuple[str, str | None]]:
        """What the inside of a bracket names; nothing when it does not read as a citation."""
        if body.startswith("^"):
            return [self._number(part.strip().lstrip("^")) for part in body[1:].split(",")]
        whole = self.resolver.find(body)
        if whole is not None and not NUMBER.match(body) and not _RANGE.match(body):
            return [(body, whole)]
        found: list[tuple[str, str | None]] = []
        labelled = LABELLED.match(body)
        inner = labelled.group("rest") if labelled else body
        for part in re.split(r"\s*[,;&]\s*(?:and\s+)?|\s+and\s+", inner):
            piece = LABELLED.match(part)
            part = (piece.group("rest") if piece else part).strip()  # noqa: PLW2901
            span = _RANGE.match(part)
            if span and 0 < int(span[1]) < int(span[2]) <= int(span[1]) + _LONGEST_RANGE:
                found.extend(self._number(str(n)) for n in range(int(span[1]), int(span[2]) + 1))
            elif NUMBER.match(part) or self.resolver.find(part) is not None:
                found.append(self._number(part))
            elif labelled and not LOCATOR.match(part):
                found.append((part, None))
            elif not (found and LOCATOR.match(part)):
                return []
        if strict and not all(self._names(target, at) for target, _ in found):
            return []
        # "[0, 1]" is an interval; a citation counts from 1 unless a source is called 0.
        zero = any(target == "0" and not self._names(target, at) for target, _ in found)
        return [] if zero else found

    def _lenticular(self, match: re.Match[str]) -> None:
        number, _, name = match.group("body").partition("†")
        found = self.resolver.find(name) if name.strip() not in {"", "source"} else None
        if found is not None:
            target = name.strip()
        else:
            target = number.strip().split(":")[0] if name else number.strip()
            found = self._number(target)[1]
        if not self._prose(name):
            self._add(Span(match.start(), match.end()), [(target, found)])

    def _paren(self, match: re.Match[str]) -> None:
        body = match.group("body").strip()
        if NUMBER.match(body) or len(body) < 2:  # noqa: PLR2004
            return  # "(3)" is a count or a list number
        colon = _LABEL_COLON.match(body)
        see = _SEE.match(body)
        inner = colon.group("rest") if colon else see.group("rest") if see else body
        url = URL.match(inner)
        if url and _trim_url(url.group()) == inner:
            found = self.resolver.find(inner)
            if found is not None or self.resolver.has_uris:
                self._add(Span(match.start(), match.end()), [(inner, found)])
            return
        targets = [(p, self.resolver.find(p)) for p in re.split(r"\s*;\s*", inner) if p]
        if any(found is not None for _, found in targets):
            self._add(Span(match.start(), match.end()), targets)
            return
        numbered = self._targets(body, match.start(), strict=False) if LABELLED.match(body) else []
        if numbered and (colon or all(NUMBER.match(target) for target, _ in numbered)):
            self._add(Span(match.start(), match.end()), numbered)

    def _link(self, match: re.Match[str]) -> None:
        if len(match.group("label")) > LONGEST_LABEL:
            return
        url = match.group("url")
        found = self.resolver.find(url)
        if found is None and not (URL.match(url) and self.resolver.has_uris):
            # A link to nothing we could know; its label may still be a citation: "[[1]](#ref)".
            label = match.group("label").strip("[]^ ")
            if not NUMBER.match(label):
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
        if self._names(target, match.start()):
            self._add(Span(match.start(), match.end()), [self._number(target)])


def _blank_code(answer: str, code: Sequence[Span]) -> str:
    """The answer with code blanked out, offsets unchanged."""
    parts: list[str] = []
    at = 0
    for span in code:
        parts.append(answer[at : span.start])
        parts.append(re.sub(r"[^\n]", " ", span.of(answer)))
        at = span.end
    parts.append(answer[at:])
    blank = "".join(parts).translate(LINES)
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

        at = bisect_right(self._starts, start) - 1
        clear_left = at < 0 or self._ends[at] <= start
        clear_right = at + 1 >= len(self._starts) or self._starts[at + 1] >= end
        return clear_left and clear_right
