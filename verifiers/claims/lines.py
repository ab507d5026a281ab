"""What kind of block a line of an answer begins: the patterns, for reading it whole or growing."""

from __future__ import annotations

import json
import re
from enum import Enum

from verifiers.rules import edges

ENDS = "\r\n\u2028\u2029"
LINE = re.compile(rf"[^{ENDS}]*(?:\r\n|[{ENDS}])?")
FENCE = re.compile(r"\s{0,12}(`{3,}|~{3,})([^`\n]*)$")
HEADING = re.compile(r"\s{0,3}(#{1,6})(?:\s+|$)")
RULE = re.compile(r"\s{0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,}|={3,}|[─━—–═]{2,})\s*$")  # noqa: RUF001
_BULLET = "-*+•◦▪▫●○■□‣⁃→►▶➤✓✔✅❌✗·–—"  # noqa: RUF001
ITEM = re.compile(
    rf"(\s*)(?:([{_BULLET}])[ \t]+|(\d{{1,3}})[.)](?=[ \t])[ \t]+"
    r"|\((\d{1,3}|[a-z]|[ivx]{1,4})\)[ \t]+|([a-z]|[ivx]{1,4})\)[ \t]+)(?:\[[ xX]\][ \t]+)?(?=\S)"
)
QUOTE = re.compile(r"(?:[ \t]{0,3}>[ \t]?){1,40}")
FOOTNOTE = re.compile(r"\s{0,3}\[(\^?[^\]\s]{1,40})\]:\s*")
SEPARATOR = re.compile(
    r"\s{0,40}\|?\s{0,40}:?-+:?\s{0,40}(?:\|\s{0,40}:?-+:?\s{0,40})*\|?\s{0,40}$"
)
BOLD_LINE = re.compile(r"\s*(\*\*|__)(?!\s)([^*_\n]{1,120})\1\s*:?\s*$")
INDENTED = re.compile(r"(?: {4}|\t)")
# Prose is told from code by its function words and its few symbols: a fence must not hide it.
_FUNCTION_WORD = re.compile(
    r"\b(?:the|a|an|of|is|are|was|were|to|in|and|that|for|on|with|by|has|have|will|from)\b",
    re.IGNORECASE,
)
_CODE_SIGN = re.compile(
    r"[{}()\[\];=<>\\$|&@#_]|::|->|\b(?:def|import|return|var|let|const|SELECT)\b"
)
_WORD = re.compile(r"\w+")
_OPTION = re.compile(r"""[\w.-]{1,40}=(?:"[^"]{0,80}"|'[^']{0,80}'|\S{1,80})|\{[^{}]{0,80}\}""")
_SAID = re.compile(r"(?<!\S)[$€£]?\w+(?:['’]\w+)?[.,;:!?]*(?!\S)")  # noqa: RUF001
_LEAST_SAID = 3  # plain words
# Before the first bar: a mark that ends sentences, what may stand behind it, and more text.
_STOPPED = re.compile(
    r"[.!?…‽][^\s|]*\s+[^\s|]|[。！？｡︒؟۔।॥։።፧។៕]\s*[^\s|]|[a-z]{3}[.!?][A-Z][a-z]"  # noqa: RUF001
)
_PLAIN = re.compile(r"[\w\s.,;:'!?/%$€£-]*$", re.ASCII)


def names_language(info: str) -> bool:
    """Whether what stands behind the marks of a fence is a language and its options."""
    return len(_SAID.findall(_OPTION.sub(" ", info))) < _LEAST_SAID


def is_object(text: str) -> bool:
    """Whether a text is a JSON object or array."""
    if text.strip()[:1] not in {"{", "["}:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def is_code(text: str) -> bool:
    """Whether lines are code rather than prose someone put into a code block."""
    words = len(_WORD.findall(text))
    if not words:
        return True
    signs = len(_CODE_SIGN.findall(text))
    return signs * 6 > words or len(_FUNCTION_WORD.findall(text)) * 12 < words


def may_head_table(content: str) -> bool:
    """Whether a line may be the head of a table, should the next one show that it is.

    Without a bar in front, the first column's name holds no whole sentence: text that reads as a
    sentence stays one, whatever follows, so that it can be judged before its line is complete.
    """
    first, bar, _ = content.partition("|")
    if not bar:
        return False
    if not first.strip() or not _STOPPED.search(first + "|"):
        return True
    return bool(_PLAIN.match(first)) and not any(edges(first.rstrip()))


def is_table(content: str, following: str) -> bool:
    """Whether a line heads a table, given the next one."""
    if not may_head_table(content):
        return False
    if "|" in following and SEPARATOR.match(following) and "-" in following:
        return True
    edged = [c.strip() for c in (content, following)]
    return all(len(c) > len("||") and c[0] == "|" and c[-1] == "|" for c in edged)


class Start(Enum):
    """What a line that is not blank may begin."""

    TEXT = "text"
    FENCE = "fence"
    RULE = "rule"
    HEADING = "heading"
    ITEM = "item"
    FOOTNOTE = "footnote"
    BOLD = "bold"
    OPEN = "open"  # what is there of it does not tell yet


_RULE_BEGUN = re.compile(r"[\s*_=─━—–═-]*$")  # noqa: RUF001
_MARKS_BEGUN = re.compile(r"\s*(?:#{1,6}|[`~]{1,2})$")
_FOOTNOTE_BEGUN = re.compile(r"\s{0,3}\[\^?[^\]\s]{0,40}(?:\](?::\s*)?)?$")
_ITEM_BEGUN = re.compile(
    rf"\s*(?:[{_BULLET}][ \t]*|\d{{1,3}}(?:[.)][ \t]*)?"
    r"|\((?:[a-z]|\d{0,3}|[ivx]{0,4})(?:\)[ \t]*)?"
    r"|(?:[a-z]|[ivx]{1,4})(?:\)[ \t]*)?)$"
)
_BOX_BEGUN = re.compile(r"\[(?:[ xX](?:\](?:[ \t]+)?)?)?$")
_BOLD_BEGUN = re.compile(
    r"\s*(?:\*|_|(?:\*\*|__)(?:(?!\s)[^*_\n]{0,120}"
    r"|(?!\s)[^*_\n]{1,120}(?:[*_]|\*\*\s*:?\s*|__\s*:?\s*)))$"
)


def start_of(content: str, *, whole: bool) -> Start:  # noqa: C901, PLR0911 - one branch for each
    """What a line begins, tables and indented code aside.

    Args:
        content: The line, not blank, without quote marks.
        whole: Whether it is there whole. When not, the answer is ``OPEN`` as long as more of the
            line could change it.
    """
    fence = FENCE.match(content)
    if fence:
        return Start.FENCE if whole else Start.OPEN
    if whole and RULE.match(content):
        return Start.RULE
    if HEADING.match(content) and (whole or not _MARKS_BEGUN.match(content)):
        return Start.HEADING
    if not whole and (_RULE_BEGUN.match(content) or _MARKS_BEGUN.match(content)):
        return Start.OPEN
    if not whole and _FOOTNOTE_BEGUN.match(content):
        return Start.OPEN
    if FOOTNOTE.match(content):
        return Start.FOOTNOTE
    if not whole and _ITEM_BEGUN.match(content):
        return Start.OPEN
    item = ITEM.match(content)
    if item:
        if not whole and _BOX_BEGUN.match(content, item.end()):
            return Start.OPEN
        return Start.ITEM
    if not whole and _BOLD_BEGUN.match(content):
        return Start.OPEN
    return Start.BOLD if BOLD_LINE.match(content) and whole else Start.TEXT


def content_of(content: str, kind: Start) -> int:
    """Where what a block says begins in its first line."""
    match kind:
        case Start.ITEM:
            item = ITEM.match(content)
            return item.end() if item else 0
        case Start.FOOTNOTE:
            note = FOOTNOTE.match(content)
            return note.end() if note else 0
        case _:
            return 0
