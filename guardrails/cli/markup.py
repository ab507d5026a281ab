"""HTML to text with the standard library's parser: no dependency, and it never gives up on a page.

What a reader would see is kept: blocks on lines of their own, list items and table cells apart,
the lines and inner spaces of preformatted text. Scripts, styles and templates are dropped.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

_DROPPED = frozenset({"script", "style", "template", "noscript", "svg", "math", "iframe", "object"})
_APART = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "pre", "dl"})
_BLOCKS = _APART | frozenset(
    {"address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "div", "dt"}
    | {"fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "legend", "li"}
    | {"main", "nav", "section", "summary", "tbody", "tfoot", "thead", "tr"}
)
_CELLS = frozenset({"td", "th"})
_SPACE = re.compile(r"[ \t\r\n\f]+")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w:.-]{2,40})""", re.IGNORECASE)


def declared_charset(data: bytes) -> str | None:
    """The charset a page declares in its first 1024 bytes, or None."""
    found = _CHARSET.search(data[:1024])
    return found.group(1).decode("ascii") if found else None


def html_text(markup: str) -> tuple[str, str | None]:
    """The visible text of a page and its title, if it has one."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return reader.text(), reader.title.strip() or None


class _Reader(HTMLParser):
    """Collects text; ``self.parts`` holds runs of text and line ends."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title = ""
        self._dropped = 0
        self._pre = 0
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _DROPPED:
            self._dropped += 1
        elif tag == "title":
            self._in_title = True
        elif tag == "br":
            self.parts.append("\n")
        elif tag in _CELLS:
            self.parts.append("\t")
        elif tag in _BLOCKS:
            self.parts.append("\n\n" if tag in _APART else "\n")
            self._pre += tag == "pre"
            if tag == "li":
                self.parts.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _DROPPED:
            self._dropped = max(0, self._dropped - 1)
        elif tag == "title":
            self._in_title = False
        elif tag in _BLOCKS:
            self.parts.append("\n\n" if tag in _APART else "\n")
            if tag == "pre":
                self._pre = max(0, self._pre - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # "<script/>" and "<svg/>" close themselves: they must not swallow the rest of the page.
        if tag not in _DROPPED and tag != "title":
            self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += _SPACE.sub(" ", data)
        elif not self._dropped:
            self.parts.append(data if self._pre else _SPACE.sub(" ", data))

    def text(self) -> str:
        joined = "".join(self.parts).replace("\xa0", " ")
        lines = [line.strip(" ") for line in joined.split("\n")]
        lines = [re.sub(r" *\t *", "\t", line).lstrip("\t") for line in lines]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
