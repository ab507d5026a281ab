"""What a stretch of an answer says once its markup is taken out, with the way back.

A :class:`View` is the clean text a parser and a model read. Every character of it knows which
character of the answer it came from, so that spans are carried and never searched for.
"""

from __future__ import annotations

import html
import re
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifiers.types import Span

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class View:
    """Clean text and, for each of its characters, its place in the answer."""

    text: str
    origin: array[int]
    wide: dict[
        int, int
    ]  # clean characters that stand for more (an entity, a link): where that ends
    early: dict[int, int]  # and where it begins, for those that open a link
    stressed: bool = False  # whether it ends inside a stretch between stars

    @classmethod
    def empty(cls) -> View:
        """A view of nothing."""
        return cls("", array("L"), {}, {})

    def begins(self, other: View, size: int) -> bool:
        """Whether the first ``size`` characters are those of another view, and stand there too."""
        if self.text[:size] != other.text[:size] or self.origin[:size] != other.origin[:size]:
            return False
        return all(
            {at: to for at, to in mine.items() if at < size}
            == {at: to for at, to in theirs.items() if at < size}
            for mine, theirs in ((self.wide, other.wide), (self.early, other.early))
        )

    def span(self, start: int, end: int) -> Span:
        """Where ``text[start:end]`` stands in the answer: from its first character to its last."""
        last = end - 1
        return Span(
            self.early.get(start, self.origin[start]), self.wide.get(last, self.origin[last] + 1)
        )


# Zero-width and formatting characters, and variation selectors: invisible, and a way to hide.
_INVISIBLE = "\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufe0e\ufe0f"
_EMOJI = (
    "\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff"
    "\u231a-\u231b\u23e9-\u23fa\U000e0020-\U000e007f\u20e3"
)
_TITLE = r"""(?:\s+"[^"\n]*")?"""
_TARGET = rf"""\((?:[^()\s]|\([^()\s]*\)){{0,2000}}{_TITLE}\)"""
# A name with a value, or one of the few that stand alone: "<the shop was founded>" is no tag.
_ATTRIBUTE = (
    r"""(?:\s+(?:[A-Za-z_:@][\w:.@-]{0,40}\s?=\s?(?:"[^"\n]{0,500}"|'[^'\n]{0,500}'|[^\s"'<>=]{1,300})"""
    r"""|(?:open|hidden|checked|disabled|controls|selected|async|defer|required|reversed)(?=[\s/>])))"""
)
_TAGS = frozenset(
    """
    a abbr address article aside audio b bdi bdo big blockquote body br button caption center cite
    code col colgroup dd del details dfn div dl dt em fieldset figcaption figure font footer form
    h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label legend li link main mark
    math meta nav ol optgroup option p picture pre q rp rt ruby s samp script section select small
    source span strike strong style sub summary sup svg table tbody td textarea tfoot th thead time
    title tr tt u ul var video wbr
    answer context citation document documents excerpt explanation output passage quote reasoning
    reference reflection response result scratchpad sources text think thinking
    """.split()  # noqa: SIM905
)
# Words a reader may see though they stand in markup: titles of links, alternative texts.
_SHOWN = re.compile(
    r"""(?:\b(?:title|alt|aria-label|label|placeholder|summary|content|value)\s?=\s?|\s)"""
    r"""(?P<quote>["'])(?P<text>(?:(?!(?P=quote))[^\n])+)(?P=quote)"""
)
_LEAST_SHOWN = 3  # words
_TAGGED = range(0xE0020, 0xE007F)  # an invisible copy of ASCII
_FLAG = "\U0001f3f4"  # which they may follow, to say of what
_RINGED = (  # letters in circles and squares, which Unicode calls symbols
    (0x24B6, "A"),
    (0x24D0, "a"),
    (0x1F110, "A"),
    (0x1F130, "A"),
    (0x1F150, "A"),
    (0x1F170, "A"),
)
# Letters of Cyrillic and Greek that look like Latin ones. In a word that has Latin letters too they
# are a disguise: a reader sees the word, a model sees another.
_LATIN = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеіјорсухѕһԁԛԝѵΑΒΕΖΗΙΚΜΝΟΡΤΥΧονα",  # noqa: RUF001
    "ABESIJKMHOPCTYXaeijopcyxshdqwvABEZHIKMNOPTYXova",
)
_MIXED = re.compile(r"\b(?=\w*[A-Za-z])(?=\w*[\u0370-\u052f])\w+")
_TAG = (
    rf"</?(?P<name>[A-Za-z][A-Za-z0-9]{{0,15}})(?P<attributes>{_ATTRIBUTE}{{0,20}})\s*/?>|<!--|-->"
)
TAG = re.compile(_TAG)
# The beginning of one, up to the end of the text.
TAG_BEGUN = re.compile(
    rf"<(?:!-{{0,2}}|/?(?:[A-Za-z][A-Za-z0-9]{{0,15}}(?:{_ATTRIBUTE}{{0,20}}\s*/?"
    rf"|{_ATTRIBUTE}{{0,20}}\s+[A-Za-z_:@][\w:.@-]{{0,40}}"
    r"""(?:\s?(?:=\s?(?:"[^"\n]{0,500}"?|'[^'\n]{0,500}'?|[^\s"'<>=]{0,300})?)?)?)?)?)$"""
)
_MARKUP = re.compile(
    rf"""
      (?P<space>\s{{2,}}|[^\S\ ])
    | (?P<image>!\[(?P<alt>[^\]\n]{{0,300}})\]{_TARGET})
    | (?P<link>\[(?P<label>[^\[\]\n]{{1,300}})\]{_TARGET})
    | (?P<tag>{_TAG})
    | (?P<entity>&(?:\#\d{{1,7}}|\#x[0-9a-fA-F]{{1,6}}|[A-Za-z]{{2,8}});)
    | (?P<escape>\\(?=[\\`*_{{}}\[\]()\#+.!|>~-]))
    | (?P<star>\*{{1,3}})
    | (?P<under>(?<!\w)_{{1,3}}(?=\S)|(?<=\S)_{{1,3}}(?!\w))
    | (?P<strike>~~)
    | (?P<tick>`+)
    | (?P<junk>[{_INVISIBLE}{_EMOJI}\u24b6-\u24e9]+)
    """,
    re.VERBOSE,
)
_STRESSABLE = re.compile(r"[\w\"'“‘«([$€£¥<&_`~]")  # noqa: RUF001
_TIGHT = frozenset(".,;:!?)")


def read(
    answer: str, lines: Sequence[Span], drop: Sequence[Span] = (), *, stressed: bool = False
) -> View:
    """Read content lines as one clean text.

    Args:
        answer: The exact answer.
        lines: Content of the lines, in order. Line ends that are meant arrive as separate calls.
        drop: Stretches to leave out (citation markers), in order, not overlapping.
        stressed: Whether the first line begins inside a stretch between stars.
    """
    reader = _Reader(answer)
    reader.stressed = stressed
    at = 0
    for number, line in enumerate(lines):
        if number:
            reader.space(line.start - 1 if line.start else 0)
        start = line.start
        while at < len(drop) and drop[at].end <= start:
            at += 1
        index = at
        while index < len(drop) and drop[index].start < line.end:
            cut = drop[index]
            if cut.start > start:
                reader.run(start, cut.start)
            reader.dropped = True
            start = max(start, cut.end)
            index += 1
        if start < line.end:
            reader.run(start, line.end)
    return reader.view()


def _unmasked(text: str) -> str:
    """Words in which letters of other scripts stand for Latin ones, in Latin letters."""
    return text if text.isascii() else _MIXED.sub(lambda m: m.group().translate(_LATIN), text)


class _Reader:
    """Builds a view piece by piece."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.parts: list[str] = []
        self.origin: array[int] = array("L")
        self.wide: dict[int, int] = {}
        self.early: dict[int, int] = {}
        self.last = " "
        self.dropped = False
        self.stressed = False

    def space(self, at: int) -> None:
        """A space, unless one is there already."""
        if self.last != " ":
            self.parts.append(" ")
            self.origin.append(at)
            self.last = " "

    def plain(self, start: int, end: int) -> None:
        """Characters taken over as they are."""
        if start >= end:
            return
        if self.dropped and self.last == " " and self.parts and self.answer[start] in _TIGHT:
            # "monthly [1]." reads "monthly.", not "monthly ."
            self.parts[-1] = self.parts[-1][:-1]
            self.origin.pop()
        self.dropped = False
        self.parts.append(self.answer[start:end])
        self.origin.extend(range(start, end))
        self.last = self.answer[end - 1]

    def run(self, start: int, end: int) -> None:
        """A stretch with markup in it."""
        at = start
        for match in _MARKUP.finditer(self.answer, start, end):
            if match.start() < at:
                continue
            self._words(at, match.start())
            self._mark(match)
            at = match.end()
        self._words(at, end)

    def _words(self, start: int, end: int) -> None:
        """Words with single spaces between them, and perhaps one in front."""
        if start < end and self.answer[start] == " ":
            self.space(start)
            start += 1
        self.plain(start, end)

    def _mark(self, match: re.Match[str]) -> None:
        kind = match.lastgroup
        if match.group("space") is not None:
            self.space(match.start())
        elif match.group("image") is not None:
            self._inner(match, "alt")
            self._shown(match.end("alt"), match.end())
        elif match.group("link") is not None:
            self._inner(match, "label")
            self._shown(match.end("label"), match.end())
        elif match.group("entity") is not None:
            self._entity(match)
        elif match.group("junk") is not None:
            self._junk(match)
        elif match.group("tag") is not None:
            self._tag(match)
        elif match.group("star") is not None:
            self._star(match)
        elif kind is None:  # pragma: no cover - every branch is named
            raise AssertionError
        else:
            self.dropped = True

    def _tag(self, match: re.Match[str]) -> None:
        tag = match.group("tag")
        if match.group("attributes"):
            self._shown(*match.span("attributes"))
        elif match.group("name") and match.group("name").lower() not in _TAGS:
            self.plain(*match.span("name"))  # "<pirates>" is a word
            return
        if tag[1:4].lower() in {"br>", "br/", "br ", "p>", "/p>", "li>", "/li"}:
            self.space(match.start())
        else:
            self.dropped = True

    def _shown(self, start: int, end: int) -> None:
        """Prose in a title or an attribute is read where it stands."""
        for match in _SHOWN.finditer(self.answer, start, end):
            if len(match.group("text").split()) >= _LEAST_SHOWN:
                self.space(match.start("text"))
                self.run(*match.span("text"))

    def _junk(self, match: re.Match[str]) -> None:
        """Emoji and invisible characters go; letters in disguise are read as what they say."""
        flag = False
        for at in range(match.start(), match.end()):
            char = self.answer[at]
            code = ord(char)
            letter = next((chr(ord(a) + code - n) for n, a in _RINGED if n <= code < n + 26), None)
            if letter is None and code in _TAGGED and not flag:
                letter = chr(code - 0xE0000)
            flag = char == _FLAG or (flag and code >= _TAGGED.start)
            if letter is None:
                self.dropped = True
            elif letter == " ":
                self.space(at)
            else:
                self.parts.append(letter)
                self.origin.append(at)
                self.last = letter
                self.dropped = False

    def _star(self, match: re.Match[str]) -> None:
        """A run of stars: stress, or a character that is meant ("2*3", "select *", "$30*")."""
        before = self.answer[match.start() - 1 : match.start()]
        after = self.answer[match.end() : match.end() + 1]
        opens = bool(after) and not after.isspace() and not before.isalnum()
        closes = bool(before) and not before.isspace() and self.stressed
        if len(match.group()) > 1 and not (before.isdigit() and after.isdigit()):
            self.dropped = True
        elif closes and not after.isalnum():
            self.stressed = False
            self.dropped = True
        elif opens and _STRESSABLE.match(after):
            self.stressed = True
            self.dropped = True
        else:
            self.plain(match.start(), match.end())

    def _inner(self, match: re.Match[str], group: str) -> None:
        """The label of a link, which may be stressed or hold code itself."""
        before = len(self.origin)
        self.run(*match.span(group))
        if len(self.origin) > before:
            self.early[before] = match.start()
            self.wide[len(self.origin) - 1] = match.end()

    def _entity(self, match: re.Match[str]) -> None:
        decoded = html.unescape(match.group("entity"))
        if decoded == match.group("entity"):
            self.plain(match.start(), match.end())
        elif decoded.isspace():
            self.space(match.start())
        else:
            self.parts.append(decoded)
            for _ in decoded:
                self.wide[len(self.origin)] = match.end()
                self.origin.append(match.start())
            self.last = decoded[-1]
            self.dropped = False

    def view(self) -> View:
        text = _unmasked("".join(self.parts))
        end = len(text.rstrip())
        return View(text[:end], self.origin[:end], self.wide, self.early, self.stressed)
