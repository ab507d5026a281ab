"""What headings, list items and table rows are read together with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from verifiers.claims.inline import read
from verifiers.claims.tree import as_sentence
from verifiers.claims.units import overlapping
from verifiers.rules import strip
from verifiers.types import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.claims.blocks import Block

# Characters of context repeated with each of many claims; more would let a short answer make
# gigabytes of hypotheses.
LONGEST_CONTEXT = 400
_FOLLOWING = re.compile(
    r"(?:,?\s*(?:as follows|(?:which\s+)?includ(?:es?|ing)(?: the following)?|"
    r"(?:are\s+)?(?:listed|given|shown|described)?\s*below"
    r"|such as)|\s+the following)\s*:$",
    re.IGNORECASE,
)
_FOLLOWING_NOUN = re.compile(
    r"\b(?:the\s+)?following\s+(?P<noun>(?:[\w-]+\s+){0,3}?[\w-]+)\s*:$", re.IGNORECASE
)
_HERE = re.compile(
    r"(?:here(?:['’]s|\s+is|\s+are)|below(?:\s+is|\s+are)|the\s+following(?:\s+is|\s+are)|these\s+are|this\s+is)\s+"  # noqa: RUF001
    r"(?:(?:a|an|the|some|my|your|quick|brief)\s+){0,2}(?:(?:list|summary|overview|breakdown)\s+of\s+(?:the\s+)?)?",
    re.IGNORECASE,
)
_ENDS_OPEN = re.compile(
    r"\b(?:is|are|was|were|be|includes?|included|contains?|offers?|provides?|covers?|requires?|has|have|had|of|for|by|in|"
    r"to|with|from|at|on|needs?|gets?|supports?|allows?|comprises?|and|or|that|can|will|must|should|may|do|does|lists?|states?|says?)\s*:$",
    re.IGNORECASE,
)
_BARE_LEAD = re.compile(
    r"\b(?:following|below|as follows|steps?|here\b.*|these|includes?|including|such as|tips?|"
    r"points?|examples?|ways?|"
    r"reasons?|benefits?|features?|options?|details?|are|is|highlights?|summary|takeaways?|facts?)\s*:$",
    re.IGNORECASE,
)
_LABEL = re.compile(r"(?P<label>[^\s:.!?][^:.!?\n]{0,58}?)\s*[:–—]\s+(?=\S)")  # noqa: RUF001
_TICK = re.compile(r"[✓✔✅☑🗸]")
_CROSS = re.compile(r"[✗✘❌✕✖❎]")
_KEY_HEADER = re.compile(
    r"(?:#|no\.?|field|attribute|property|item|parameter|metric|feature|category|aspect|detail|key|name|topic|characteristic|"
    r"specification|criteri(?:on|a)|question|information|fact)s?$",
    re.IGNORECASE,
)
_VALUE_HEADER = re.compile(
    r"(?:value|detail|description|information|info|answer|data|result|specification|notes?|fact|explanation|content)s?$",
    re.IGNORECASE,
)
_ASSERTS_NUMBER = re.compile(
    r"\d[\d.,]*\s?%|[$€£¥₹]\s?\d|\d[\d.,]*\s?(?:percent|million|billion|dollars|euros)\b",
    re.IGNORECASE,
)


_LIMIT = re.compile(
    r"(?:no|not|never|only|just|within|up\s+to|at\s+(?:least|most)|(?:more|less|fewer)\s+than)\b.*\d",
    re.IGNORECASE,
)
_DONE = re.compile(r"\b\w{2,}ed\s+(?:by|in|on|since)\b.*\d{4}", re.IGNORECASE)
_ANSWER = re.compile(r"(?:final\s+|short\s+|the\s+)?(?:answer|result|verdict)\s*:", re.IGNORECASE)
# Labels that number what follows, and years that only date it.
_NUMBERED = re.compile(
    r"(?:\d|(?:step|part|section|chapter|phase|option|day|week|month|year|lesson|module|example|"
    r"figure|fig|table|question|q|tip|case|method|stage|level|round|scenario|appendix|exercise|"
    r"article|annex|item|version|source|reference)\b)",
    re.IGNORECASE,
)
_FIGURE = re.compile(r"\b(?:19|20)\d\d\b")


def with_lead(lead: str, item: str) -> str:
    """A list item read with the sentence that leads into its list.

    Args:
        lead: The lead-in, ending in a colon, or an empty string.
        item: The item.
    """
    if not lead or len(lead) > LONGEST_CONTEXT:
        return as_sentence(item)
    item = item.strip()
    if _HERE.match(lead):
        topic = _HERE.sub("", lead, count=1)
        return as_sentence(f"{topic} {item}")
    noun = _FOLLOWING_NOUN.search(lead)
    if noun:
        return as_sentence(f"{lead[: noun.start()]}{_lowered(item)}")
    if _FOLLOWING.search(lead) and not re.search(r"as follows|below", lead, re.IGNORECASE):
        verb = _FOLLOWING.search(lead)
        kept = (
            re.match(
                r"\s*,?\s*(?:which\s+)?(includ(?:es?|ing)|such as)", verb.group(), re.IGNORECASE
            )
            if verb
            else None
        )
        middle = f" {kept.group(1)}" if kept else ""
        stem = lead[: verb.start()] if verb else lead
        return as_sentence(f"{stem}{middle} {_lowered(item)}")
    if _ENDS_OPEN.search(lead):
        return as_sentence(f"{lead[:-1].rstrip()} {_lowered(item)}")
    return as_sentence(f"{lead} {item}")


def says_nothing_alone(lead: str) -> bool:
    """Whether a lead-in only introduces its list, so that its items say all there is."""
    if not re.search(r"[:：]\s*$", lead):  # noqa: RUF001
        return False
    bare = lead.strip()
    if _ASSERTS_NUMBER.search(bare):
        return False
    return bool(_BARE_LEAD.search(bare) or _ENDS_OPEN.search(bare) or len(bare.split()) <= 4)  # noqa: PLR2004


def figures(text: str) -> bool:
    """Whether a text gives an amount: "40% revenue growth", "Fee: 500 euros"."""
    return bool(_ASSERTS_NUMBER.search(text))


def asserts(heading: str) -> bool:
    """Whether a heading states something, though it is no sentence.

    A figure ("40% revenue growth"), a limit ("No refunds after 3 days"), what was done when
    ("Founded by pirates in 1720"), or a label with its value ("Returns: 90 days", "Answer: Paris").
    """
    if figures(heading) or _LIMIT.match(heading) or _DONE.search(heading):
        return True
    label = label_of(heading)
    if label is None:
        return False
    if _ANSWER.match(heading):
        return True
    value = heading[label.end() :]
    digits = _FIGURE.sub("", value) if len(value.split()) > 1 else value
    return not _NUMBERED.match(heading) and any(c.isdigit() for c in digits)


def value(line: str) -> str:
    """A line of JSON as words: ``"fee": "30 euros",`` says "fee: 30 euros"."""
    return " ".join(re.sub(r'[{}\[\]]|(?<!\\)"|,\s*$', " ", line).replace(" :", ":").split())


def label_of(text: str) -> re.Match[str] | None:
    """The label a text opens with: "Price: ...", "Shipping - ..."."""
    match = _LABEL.match(text)
    return match if match and len(match.group("label").split()) <= 6 else None  # noqa: PLR2004


def _lowered(item: str) -> str:
    """An item inside a sentence: "Free support" after "includes" loses its capital, "Paris" not."""
    words = item.split(maxsplit=1)
    first = words[0] if words else ""
    if first[1:] == first[1:].lower() and first.casefold() in _COMMON:
        return first[0].lower() + item[1:]
    return item


# Lower-casing a name would be worse than a stray capital, so only words that cannot be one.
_COMMON = frozenset(
    """
    a an the free all any each every one two three four five six seven eight nine ten up
    unlimited full no not more less your our their its his her this that these those
    access support to in on at by for from with of and or as twenty thirty forty fifty
    sixty hundred single double triple basic advanced daily weekly monthly annual new
    many most some several both
    """.split()  # noqa: SIM905
)


_LONGEST_VALUE = 8  # words; a longer cell is a text of its own


class Cell(NamedTuple):
    """One statement of a table row: where it stands, and how it reads."""

    span: Span
    hypothesis: str


def cells(answer: str, line: Span) -> list[Span | None]:
    """The cells of a table line, None for an empty one. An escaped bar does not part cells."""
    start, end = line.start, line.end
    if answer[start] == "|":
        start += 1
    if end > start and answer[end - 1] == "|" and answer[end - 2 : end - 1] != "\\":
        end -= 1
    found: list[Span | None] = []
    at = start
    for match in re.finditer(r"(?<!\\)\|", answer[start:end]):
        found.append(strip(answer, at, start + match.start()))
        at = start + match.end()
    found.append(strip(answer, at, end))
    return found


def heads(answer: str, header: Block, drop: Sequence[Span]) -> list[str]:
    """The column names of a table; an empty string where a column has none."""
    found = [_cell(answer, span, drop) if span else "" for span in cells(answer, header.lines[0])]
    return [head if len(head) <= LONGEST_CONTEXT else "" for head in found]


def row_statements(
    answer: str, row: Block, columns: Sequence[str], drop: Sequence[Span]
) -> list[Cell]:
    """The statements of a table row: each cell with the row's first cell and its column's name.

    The first statement's span begins at the row's first cell, so that together they hold the row.

    Args:
        answer: The exact answer.
        row: The row.
        columns: The names of its columns, as far as there are any.
        drop: Stretches not to be read (citation markers), in order.
    """
    filled = [
        (index, span, text)
        for index, span in enumerate(cells(answer, row.lines[0]))
        if span is not None and (text := _cell(answer, span, drop))
    ]
    if not filled:
        return []
    first_index, first, subject = filled[0]
    if len(filled) == 1:
        return [Cell(first, as_sentence(_named(columns, first_index, subject)))]
    if len(subject) > LONGEST_CONTEXT:
        # Repeating a long text with every cell would make much of little.
        whole = Span(first.start, filled[-1][1].end)
        return [Cell(whole, as_sentence("; ".join(_named(columns, i, t) for i, _, t in filled)))]
    statements: list[Cell] = []
    for index, span, text in filled[1:]:
        head = columns[index] if index < len(columns) else ""
        start = span.start if statements else first.start
        hypothesis = _read_cell(subject, head, text, keyed=len(columns) <= len(("key", "value")))
        statements.append(Cell(Span(start, span.end), hypothesis))
    return statements


def _read_cell(subject: str, head: str, value: str, *, keyed: bool) -> str:
    """One cell as a statement.

    Of seven phrasings tried on 22 hand-written cells with the bootstrap MiniLM model, "S: H is V"
    told true from false best (AUC .82, against .80 for "The H of S is V" and .79 for "S, H V").
    """
    if not head or (keyed and _VALUE_HEADER.match(head)):
        return as_sentence(f"{subject}: {value}")
    if len(value.split()) > _LONGEST_VALUE:
        return as_sentence(f"{subject}: {head}: {value}")
    return as_sentence(f"{subject}: {head} is {value}")


def _named(columns: Sequence[str], index: int, text: str) -> str:
    head = columns[index] if index < len(columns) else ""
    return f"{head}: {text}" if head and not _KEY_HEADER.match(head) else text


def _cell(answer: str, span: Span, drop: Sequence[Span]) -> str:
    raw = span.of(answer)
    text = read(answer, [span], overlapping(drop, span)).text
    if not re.search(r"\w", text):
        if _TICK.search(raw):
            return "yes"
        return "no" if _CROSS.search(raw) else ""
    return text
