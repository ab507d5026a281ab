"""Sentence boundaries by rule, in linear time, for any script and with no dependency.

Three uses: cutting sources of any size into sentences, telling the spaCy parser where sentences
may end (its own guesses break on fragments, colons and lists), and parsing languages for which
no pipeline is configured.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from verifiers.text import Sentence
from verifiers.types import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verifiers.text import Memo

# Never end a sentence: something always follows.
_TITLES = frozenset(
    """
    mr mrs ms mx dr prof st mt ft gen sen rep gov capt cpt lt col sgt maj adm rev hon
    pres fig figs eq eqs no nos vs v cf al approx ca pp p vol vols ed eds sec secs art
    arts ch para e.g i.e eg ie viz resp incl excl tel ext est messrs mme mlle z.b d.h
    u.a bzw vgl nr str hr fr sra sr.a
    """.split()  # noqa: SIM905
)
# May end a sentence: what follows decides.
_MAYBE = frozenset(
    """
    inc ltd corp co cos jr sr etc u.s u.k u.n e.u u.s.a a.m p.m am pm ph.d m.d b.a m.a
    b.sc m.sc d.c l.a n.y a.d b.c b.c.e c.e dept univ assn bros jan feb mar apr jun jul
    aug sep sept oct nov dec mon tue wed thu fri sat sun min max avg ave blvd rd sq oz
    lb lbs hr hrs yr yrs mo mos gal
    """.split()  # noqa: SIM905
)
# Words that open an English sentence and seldom follow an abbreviation inside one.
_STARTERS = frozenset(
    """
    The A An This That These Those It He She They We You I There Here In On At By For
    From With As If When While After Before Since Although Though However But And Or So
    Yet Because Its His Her Their Our Your My What Who Which Where Why How Is Are Was
    Were Do Does Did Can Could Should Would May Not No Yes All Some Many Most Each Every
    Both Another Other One Two Three Also Then Thus Therefore According During Despite
    Once Under Over Between To
    """.split()  # noqa: SIM905
)

# German dates: "3. Mai".
_MONTHS = frozenset(
    """
    Januar Jänner Februar März April Mai Juni Juli August September Oktober November Dezember
    """.split()  # noqa: SIM905
)

# Full stops of scripts that put no space after them.
_WIDE = "。．！？｡︒"  # noqa: RUF001
_OTHER = "؟۔।॥։።፧။។៕།"  # noqa: RUF001
_CLOSERS = "\"'”’»›)\\]}」』）】》〉*_"  # noqa: RUF001
_BOUNDARY = re.compile(
    # The look-behind keeps "?????" linear: a run is tried once, not from each of its marks.
    rf"(?<![.!?…‽])[.!?…‽]+[{_CLOSERS}]*(?=\s)|[{_WIDE}]+[{_CLOSERS}]*|[{_OTHER}]+[{_CLOSERS}]*(?=\s|$)"
    rf"|(?<=[a-z]{{3}})[.!?](?=[A-Z][a-z])",
)
_LAST_WORD = re.compile(r"[^\s(\[{\"“‘'/*_-]*$")  # noqa: RUF001
_NEXT_WORD = re.compile(r"[\s\"“‘'(\[*_]*([^\s,;:.!?)\]]*)")  # noqa: RUF001
_QUOTE_ENDS = frozenset("\"'”’»")  # noqa: RUF001
_LINE = re.compile(r"\r\n|[\n\r\u2028\u2029\x85\x0b\x0c]")
_ROW_START = re.compile(r"\s*(?:[-*+•◦▪●○]\s|\(?\d{1,3}[.)]\s|#{1,6}\s|>|\||\[\^?\w+\]:?\s)")
_WRAP_MIN = 50  # narrower text is not wrapped prose but fields, verse or a list
_WRAP_MAX = 160  # wider text was never wrapped: each line is its own paragraph
LOOK = 48  # characters around a mark that are looked at
_LIST_DIGITS = 3


class Edge(Enum):
    """Whether a sentence ends at a place."""

    YES = "yes"
    NO = "no"
    MAYBE = "maybe"  # after "U.S." and its like: let a parser decide


def _edge(text: str, start: int, end: int) -> Edge:
    """Judge the terminator ``text[start:end]``."""
    following = _NEXT_WORD.match(text, end, min(len(text), end + LOOK))
    return _judge(text, start, end, following.group(1) if following else "")


def _judge(text: str, start: int, end: int, word: str) -> Edge:  # noqa: PLR0911 - by mark, then by word
    """Judge the terminator ``text[start:end]`` with ``word`` behind it."""
    mark = text[start]
    if mark in _WIDE or mark in _OTHER:
        return Edge.YES
    tight = end < len(text) and not text[end].isspace()
    if tight:
        # "monthly.The fee": a missing space, unless it is a name such as "Node.Js".
        return Edge.YES if word in _STARTERS else Edge.NO
    if not word:
        return Edge.YES
    lower = word[0].islower()
    if mark != "." or text[start:end].startswith(("..", ".…")):
        quoted = any(c in _QUOTE_ENDS for c in text[start + 1 : end])
        return Edge.NO if lower and (quoted or mark in {".", "…"}) else Edge.YES
    before = _LAST_WORD.search(text, max(0, start - LOOK), start)
    last = before.group() if before else ""
    if lower and any(c in _QUOTE_ENDS for c in text[start + 1 : end]):
        return Edge.NO
    if last.isdigit() and len(last) <= _LIST_DIGITS and _opens_line(text, start - len(last)):
        return Edge.NO  # "2. Amount": the number of a paragraph
    return _after_word(last, word, lower=lower)


def _opens_line(text: str, at: int) -> bool:
    """Whether only marks stand between the beginning of a line and ``at``."""
    head = text[max(0, at - LOOK) : at]
    if at > LOOK and not _LINE.search(head):
        return False
    return not re.search(r"\w", _LINE.split(head)[-1])


def _after_word(last: str, word: str, *, lower: bool) -> Edge:  # noqa: PLR0911
    """Judge a full stop between the word ``last`` and the word ``word``."""
    key = last.casefold()
    if key in _TITLES:
        # "No. 5" is a number, "The answer is no. We ..." is an end.
        if key in {"no", "nos", "p", "art", "sec", "ch", "fig", "v", "hr", "est", "ed"}:
            return Edge.NO if word[0].isdigit() or (key != "no" and word[0].isupper()) else Edge.YES
        return Edge.NO
    if key in _MAYBE or (
        len(last) > 1 and "." in last and len(last.rsplit(".", maxsplit=1)[-1]) == 1
    ):
        if lower:
            return Edge.NO
        if word in _STARTERS:
            return Edge.YES
        if key in {
            "inc",
            "ltd",
            "corp",
            "co",
            "etc",
            "am",
            "pm",
            "min",
            "max",
            "sat",
            "sun",
            "mar",
        }:
            return Edge.MAYBE if not word[0].isdigit() else Edge.NO
        return Edge.NO if word[0].isdigit() else Edge.MAYBE
    if len(last) == 1 and last.isalpha():
        # An initial ("J. K. Rowling"), unless a sentence clearly begins ("vitamin C. The ...").
        return Edge.YES if word in _STARTERS and last != "I" else Edge.NO
    if last.isdigit() and _counts(last, word):
        return Edge.NO
    return Edge.YES


def _counts(last: str, word: str) -> bool:
    """Whether "3. mai" style ordinals are meant: a digit, a stop and a lower-case word."""
    return len(last) < _LIST_DIGITS and (word[0].islower() or word in _MONTHS)


def _line_breaks(text: str) -> Iterator[tuple[int, int]]:
    """Line ends that end a sentence: ``(start, end)`` of the break itself.

    A line end inside wrapped prose does not. Told apart by whether the next word would still have
    fitted on the line, as long as the paragraph looks wrapped at all.
    """
    lines: list[tuple[int, int, int]] = []  # start, end, after the break
    at = 0
    for match in _LINE.finditer(text):
        lines.append((at, match.start(), match.end()))
        at = match.end()
    lines.append((at, len(text), len(text)))
    begin = 0
    while begin < len(lines):
        stop = begin
        width = 0
        while stop < len(lines):
            start, end, _ = lines[stop]
            if not text[start:end].strip():
                break
            width = max(width, end - start)
            stop += 1
        for index in range(begin, min(stop, len(lines) - 1)):
            start, end, after = lines[index]
            following = text[lines[index + 1][0] : lines[index + 1][1]]
            if _hard(text[start:end], following, width):
                yield end, after
        begin = max(stop, begin + 1)


def _hard(line: str, following: str, width: int) -> bool:
    """Whether the line end between two lines of a paragraph is meant."""
    head = following.lstrip()
    if not head:
        return True
    if "|" in line or "\t" in line.strip() or _ROW_START.match(following):
        return True
    if line.endswith(("  ", "\\")):
        return True
    if head[0].islower():
        return False
    if width < _WRAP_MIN or width > _WRAP_MAX:
        return True
    return len(line.rstrip()) + 1 + len(head.split(maxsplit=1)[0]) <= width


def group_lines(text: str, lines: Sequence[Span]) -> list[list[Span]]:
    """Content lines of one block, grouped: each group is wrapped text.

    How wide the text is set is told from the lines so far, never from those to come: an answer is
    read while it is written.
    """
    width = 0
    groups: list[list[Span]] = []
    for index, line in enumerate(lines):
        if index:
            before = lines[index - 1]
            width = max(width, before.end - before.start)
            trail = _LINE.split(text[before.end : before.end + 2], maxsplit=1)[0]
            if not _hard(before.of(text) + trail, line.of(text), width):
                groups[-1].append(line)
                continue
        groups.append([line])
    return groups


def edges(text: str, start: int = 0) -> Iterator[tuple[int, Edge]]:
    """Places where a sentence ends, or may end, in order; each is the offset after its last mark.

    Line ends are read as spaces here: see :func:`split`.

    Args:
        text: Any text.
        start: Where to begin: 0 or an edge, for all edges behind it.
    """
    for match in _BOUNDARY.finditer(text, start):
        edge = _edge(text, match.start(), match.end())
        if edge is not Edge.NO:
            yield match.end(), edge


class Mark(NamedTuple):
    """A mark that may end a sentence in a text that still grows.

    Attributes:
        end: The offset after it.
        ends: Whether a sentence ends there for certain.
        settled: Whether that holds whatever is written next.
    """

    end: int
    ends: bool
    settled: bool


def marks(text: str) -> Iterator[Mark]:
    """The marks of a text whose last word may still grow, in order, and what can be said of them.

    Give a text whose end is no mark itself: what does not stand before other text is not judged.
    """
    for match in _BOUNDARY.finditer(text):
        start, end = match.span()
        ends = _edge(text, start, end) is Edge.YES
        following = _NEXT_WORD.match(text, end, min(len(text), end + LOOK))
        if following is None or following.end() < len(text) or text[start] in _WIDE + _OTHER:
            yield Mark(end, ends, settled=True)
            continue
        word = following.group(1)
        longer = [w for w in _STARTERS | _MONTHS if w.startswith(word)]
        known = [word, word + "\0"] if word else ["", "a", "\0", "A", "9"]
        guesses = [*known, *longer]
        settled = all((_judge(text, start, end, g) is Edge.YES) is ends for g in guesses)
        yield Mark(end, ends, settled)


def breaks(before: str, following: str, width: int, *, whole: bool) -> bool | None:
    """Whether a line end inside a block is meant; None when the rest of the next line decides.

    Args:
        before: The line before it, without space in front, with up to two characters behind.
        following: The next line as far as it is there.
        width: The longest line of the block so far, in characters.
        whole: Whether ``following`` is there whole.
    """
    head = following.lstrip()
    if not whole and not head[:1].islower() and len(head.split(maxsplit=1)) < 2:  # noqa: PLR2004
        return None  # the first word may go on, or be all there is
    return _hard(before, head.rstrip(), width)


def split(text: str, *, lines: bool = True, start: int = 0) -> list[Span]:
    """Cut a text into sentences.

    Args:
        text: Any text.
        lines: Whether line ends that are meant (a list, a table, fields) end a sentence too.
        start: 0, or where a sentence ends that is known, for those behind it; only without lines.

    Returns:
        Sentences without surrounding space, in order, which together hold every non-space
        character. Linear in the length of the text.
    """
    cuts = {end for end, edge in edges(text, start) if edge is Edge.YES}
    if lines:
        cuts.update(end for end, _ in _line_breaks(text))
        cuts.update(match.end() for match in re.finditer(r"\n\s*\n|\u2029", text))
    spans: list[Span] = []
    at = start
    for cut in [*sorted(cuts), len(text)]:
        span = strip(text, at, cut)
        if span is not None:
            spans.append(span)
        at = cut
    return spans


def strip(text: str, start: int, end: int) -> Span | None:
    """``text[start:end]`` without the space around it, or None when nothing is left."""
    piece = text[start:end]
    kept = piece.strip()
    if not kept:
        return None
    lead = len(piece) - len(piece.lstrip())
    return Span(start + lead, start + lead + len(kept))


class RuleParser:
    """A :class:`~verifiers.text.SentenceParser` that knows sentences but no syntax."""

    @property
    def name(self) -> str:
        """What parses."""
        return "rules"

    @property
    def english(self) -> bool:
        """Never: there is no syntax to read clauses from."""
        return False

    def parse(
        self, texts: Sequence[str], memo: Memo | None = None
    ) -> Iterator[tuple[Sentence, ...]]:
        """The sentences of each text; see the protocol."""
        del memo  # looking up costs as much as splitting
        for text in texts:
            yield tuple(Sentence(span) for span in split(text, lines=False))
