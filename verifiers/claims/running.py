"""Where the sentences of running text end for good while the text is still being written.

:class:`Running` holds one unit of an answer (see :mod:`verifiers.claims.units`) from its last
sentence on. A sentence's end is given once no continuation can move it: the mark is one that ends
sentences, other text stands behind it, and nothing that began before it can still turn out to be a
link, a citation, inline code or a tag.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from verifiers import rules
from verifiers.claims.constructs import Constructs
from verifiers.claims.finder import find_outside
from verifiers.claims.inline import read
from verifiers.claims.markers import drops
from verifiers.types import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.claims.inline import View
    from verifiers.claims.sources import Resolver

_WORD = re.compile(r"\w")
# A mark that may end a sentence, and what must follow before it can be judged. Entities and
# letters in disguise may stand for one.
_WAKES = re.compile(
    r"[.!?…‽]\S*\s|[.!?][A-Z][a-z]|[。！？｡︒؟۔।॥។።፧៕]"  # noqa: RUF001
    r"|&[#\w]{2,9};|[\U000e0020-\U000e007e]"
)
# What these mean depends on the next character.
_LOOSE = "*_&<\\!`~"
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"
# A longer stretch without an end is let go up to a place that nothing can reach back to.
_LOOK = 60
_TIGHT = re.compile(r"\S*$")
_CALM = re.compile(r"\s(?=\w)")
_LONG = 8_192
_REACH = 4_096


class _Seen(NamedTuple):
    """What one reading of the text says of its sentences' ends; offsets into the text.

    Attributes:
        ends: Where sentences end for certain.
        rests: Where reading may start again, each with what stands in front and whether anything
            was said before.
        limit: From here on nothing is certain yet.
        pending: Whether a mark waits for what follows.
        word: Where the first word stands.
    """

    ends: set[int]
    rests: dict[int, tuple[str, bool]]
    limit: int
    pending: bool
    word: int


class Running:
    """One unit: wrapped text with one beginning."""

    def __init__(self, resolvers: Sequence[Resolver], base: int) -> None:
        """Begin a unit.

        Args:
            resolvers: The worlds an end has to hold in: the sources there are or, when they are
                not known, none that any bracket names and one for each.
            base: Offset in the answer of the first character of its first line.
        """
        self._resolvers = resolvers
        self._base = base
        self._text = ""
        self._spans: list[tuple[int, int]] = []  # content of the lines that are complete
        self._begin = 0  # where the content of the last line begins
        self._from = 0  # where that line begins, the line end before it included
        self._before = ""  # what the reader is told stands in front
        self._stressed = False
        self._said = False
        self._scanned = 0
        self._awake = False
        self._most = _LONG
        self._last = -1

    def take_back(self) -> None:
        """The last line belongs to something else, and what was read of it is forgotten."""
        self._text = self._text[: max(0, self._from)]
        self._begin = len(self._text)
        self._scanned = min(self._scanned, len(self._text))

    def line(self, text: str, begin: int) -> None:
        """Another line begins.

        Args:
            text: All of it as far as it is there, with the line end before it.
            begin: Offset in ``text`` of its content.
        """
        self._from = len(self._text)
        self._begin = self._from + begin
        self._text += text

    def more(self, text: str) -> None:
        """The line goes on."""
        self._text += text

    def end_line(self) -> None:
        """The line is complete."""
        span = rules.strip(self._text, self._begin, len(self._text))
        if span is not None:
            self._spans.append((span.start, span.end))
        self._begin = len(self._text)

    def ends(self) -> list[int]:
        """Ends of sentences that became certain; offsets in the answer, in order."""
        if not self._awake:
            self._awake = _WAKES.search(self._text, self._scanned) is not None
        if not self._awake:
            self._scanned = self._token(len(self._text))
        if not self._awake and len(self._text) < self._most:
            return []
        found = self._settle(whole=False)
        # What cannot be let go yet is not looked at again before there is much more of it.
        self._most = max(_LONG, 2 * len(self._text)) if len(self._text) >= _LONG else _LONG
        return found

    def _token(self, end: int) -> int:
        """Where the last word before ``end`` begins."""
        while end > self._scanned and self._text[end - 1].isspace():
            end -= 1
        while end > self._scanned and not self._text[end - 1].isspace():
            end -= 1
        return end

    def finish(self) -> list[int]:
        """The ends that are left, as nothing more follows. Without the end of the unit itself."""
        return self._settle(whole=True)

    def stands(self, head: str) -> bool:
        """Whether the unit's last line ends a sentence, if ``head`` begins the next line.

        Args:
            head: Letters or digits only.
        """
        if not self._spans:
            return False
        constructs = Constructs(self._text, whole=True)
        end = self._spans[-1][1]
        for resolver in self._resolvers:
            view, markers = self._view(resolver, self._spans)
            text = self._before + view.text
            if not (self._said or _WORD.search(view.text)):
                return False
            marks = list(rules.marks(f"{text} {head}"))
            last = marks[-1] if all(mark.settled for mark in marks) and marks else None
            if last is None or last.end != len(text) or not (last.ends and last.settled):
                return False
            at = view.span(len(view.text) - 1, len(view.text)).end
            for marker in markers:
                if marker.start >= at:
                    at = max(at, marker.end)
            while at < end and not self._text[at].isspace():
                at += 1
            if at != end or constructs.inside(at):
                return False
        return True

    # ------------------------------------------------------------------ reading

    def _view(
        self, resolver: Resolver, spans: Sequence[tuple[int, int]]
    ) -> tuple[View, list[Span]]:
        found = find_outside(self._text, resolver, ())
        lines = [Span(start, end) for start, end in spans if start < end]
        view = read(self._text, lines, drops(self._text, found), stressed=self._stressed)
        return view, [citation.span for citation in found]

    def _settle(self, *, whole: bool) -> list[int]:
        spans = list(self._spans)
        open_line = rules.strip(self._text, self._begin, len(self._text))
        if open_line is not None:
            spans.append((open_line.start, open_line.end))
        if not spans:
            return []
        # A line that is complete closes what it opened, though its last word may be judged later.
        constructs = Constructs(self._text, whole=whole or open_line is None)
        known = min(constructs.opened, len(self._text))
        spans = [(start, min(end, known)) for start, end in spans]
        seen = [
            self._read(resolver, spans, constructs, whole=whole) for resolver in self._resolvers
        ]
        limit = min(s.limit for s in seen)
        common = set.intersection(*(s.ends for s in seen))
        found = sorted(p for p in common if p < limit and p > self._last)
        result = [self._base + p for p in found]
        if found:
            self._last = found[-1]
        if not whole:
            self._rest(seen, limit, constructs)
        return result

    def _read(  # noqa: C901 - one pass over the marks
        self,
        resolver: Resolver,
        spans: Sequence[tuple[int, int]],
        constructs: Constructs,
        *,
        whole: bool,
    ) -> _Seen:
        view, markers = self._view(resolver, spans)
        starts = sorted(markers)
        lead = len(self._before)
        text = self._before + view.text
        ends: set[int] = set()
        rests: dict[int, tuple[str, bool]] = {}
        first = _WORD.search(view.text)
        word = -1 if self._said else self._origin(view, first)
        said_at = -1 if self._said else first.start() if first else len(view.text)
        at_marker = 0
        pending = False
        for mark in rules.marks(text):
            end = mark.end - lead
            if end <= 0:
                continue
            following = end
            while following < len(view.text) and view.text[following].isspace():
                following += 1
            if following == len(view.text):
                pending = True
                break
            last = view.span(end - 1, end)
            after = view.span(following, following + 1)
            if after.start >= constructs.opened or not (mark.settled or whole):
                return _Seen(ends, rests, last.start, pending=True, word=word)
            said = said_at < end
            told = self._told(text, following + lead, after.start, said=said)
            rests[after.start] = told, said
            if not mark.ends or not said:
                continue
            place = last.end
            while at_marker < len(starts) and starts[at_marker].start < place:
                at_marker += 1
            while at_marker < len(starts) and starts[at_marker].start < after.start:
                place = max(place, min(starts[at_marker].end, after.start))
                at_marker += 1
            while place < after.start and not self._text[place].isspace():
                place += 1
            if not constructs.inside(place) and not _torn(self._text, place):
                ends.add(place)
        limit = min(constructs.opened, len(self._text))
        return _Seen(ends, rests, limit + 1, pending=pending, word=word)

    def _origin(self, view: View, first: re.Match[str] | None) -> int:
        return view.origin[first.start()] if first else len(self._text)

    def _told(self, text: str, at: int, raw: int, *, said: bool) -> str:
        """What a reader who starts at ``at`` must know of what stands before it."""
        if not said:
            return text[max(0, at - _LOOK) : at]
        if self._text[raw - 1 : raw].isspace():
            return "x "
        head = _TIGHT.search(text[max(0, at - _LOOK) : at])
        return "x " + head.group() if head else "x "

    def _rest(self, seen: Sequence[_Seen], limit: int, constructs: Constructs) -> None:
        """Let go of what is settled."""
        common = set(seen[0].rests)
        for other in seen[1:]:
            common &= set(other.rests)
        places = [p for p in common if p <= limit and not constructs.inside(p)]
        self._awake = any(s.pending for s in seen)
        self._scanned = 0
        self._scanned = self._token(min(constructs.opened, len(self._text)))
        if places:
            at = max(places)
            before, said = min((s.rests[at] for s in seen), key=lambda rest: rest[1])
            self._cut(at, before, said=said)
        elif len(self._text) > _LONG:
            calm = _CALM.search(self._text, len(self._text) - _REACH)
            said = calm is not None and all(s.word < calm.start() for s in seen)
            if calm and said and calm.end() < limit and not constructs.inside(calm.end()):
                self._cut(calm.end(), "x ", said=True)

    def _cut(self, at: int, before: str, *, said: bool) -> None:
        spans = [(s, e) for s, e in self._spans if e > at]
        done = [(s, min(e, at)) for s, e in self._spans if s < at]
        if self._begin < at:
            done.append((self._begin, at))
        self._stressed = self._view(self._resolvers[0], done)[0].stressed
        self._said = said
        self._before = before
        self._spans = [(max(s, at) - at, e - at) for s, e in spans]
        self._begin = max(self._begin, at) - at
        self._text = self._text[at:]
        self._base += at
        self._last -= at
        self._from -= at
        self._scanned = max(0, self._scanned - at)


def _torn(text: str, at: int) -> bool:
    """Whether a cut at ``at`` would change how the characters on its sides are read."""
    after = text[at : at + 1]
    if not after or after.isspace():
        return False
    joins = (
        after in _JOINERS or unicodedata.category(after)[0] == "M" or "\udc00" <= after <= "\udfff"
    )
    return joins or text[at - 1] in _LOOSE
