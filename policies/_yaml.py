"""YAML as a policy needs it: plain tables of plain values, with the line of every key.

PyYAML reads YAML 1.1, where ``no`` is false, ``1:30`` is ninety, ``010`` is eight, a repeated key
silently wins over the first, and a few anchors make a gigabyte. None of that belongs into a file
that decides what is released. So the events of its parser are read here: scalars as YAML 1.2 has
them, and duplicate keys, anchors, aliases, tags, several documents and deep nesting are errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from policies.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str, ...]

_MAX_DEPTH = 12
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}


class YamlProblem(Exception):
    """What stopped the reading."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(slots=True)
class Document:
    """What a file says.

    Attributes:
        value: The top-level value.
        lines: For each key and item by its path, its line from 1.
    """

    value: object = None
    lines: dict[Path, int] = field(default_factory=dict)


def read(text: str) -> Document:
    """The one document of ``text``.

    Raises:
        YamlProblem: With the line, for anything but plain YAML.
    """
    try:
        return _read(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        what = error.problem or error.context or "cannot be read"
        raise YamlProblem(Problem("", f"this is not YAML: {what}", line)) from None
    except yaml.YAMLError as error:
        what = " ".join(str(getattr(error, "reason", "cannot be read")).split())
        raise YamlProblem(Problem("", f"this is not YAML: {what}")) from None


def _read(events: Iterator[yaml.Event]) -> Document:
    document = Document()
    documents = 0
    for event in events:
        match event:
            case yaml.DocumentStartEvent():
                documents += 1
                if documents > 1:
                    raise _stop(event, (), "holds several documents (`---`); a policy is one")
            case yaml.StreamStartEvent() | yaml.StreamEndEvent() | yaml.DocumentEndEvent():
                continue
            case _:
                document.value = _value(event, events, (), document)
    return document


def _value(event: yaml.Event, events: Iterator[yaml.Event], path: Path, into: Document) -> object:
    if isinstance(event, yaml.AliasEvent):
        raise _stop(event, path, "aliases (`*name`) are not allowed; write it out")
    anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
    if anchor is not None:
        raise _stop(event, path, f"anchors (`&{anchor}`) are not allowed; write it out")
    if tag is not None:
        raise _stop(event, path, f"tags (`{tag}`) are not allowed; write the plain value")
    if len(path) > _MAX_DEPTH:
        raise _stop(event, path[:3], f"is nested more than {_MAX_DEPTH} deep")
    match event:
        case yaml.ScalarEvent():
            return _scalar(event)
        case yaml.SequenceStartEvent():
            return _sequence(events, path, into)
        case _:
            return _mapping(events, path, into)


def _sequence(events: Iterator[yaml.Event], path: Path, into: Document) -> list[object]:
    items: list[object] = []
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        here = (*path, str(len(items)))
        into.lines[here] = _line(event)
        items.append(_value(event, events, here, into))
    return items


def _mapping(events: Iterator[yaml.Event], path: Path, into: Document) -> dict[str, object]:
    table: dict[str, object] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        if not isinstance(event, yaml.ScalarEvent):
            raise _stop(event, path, "a key must be plain text")
        key = event.value
        here = (*path, key)
        if key in table:
            first = into.lines[here]
            raise _stop(event, here, f"is set twice; the first is on line {first}. Remove one")
        into.lines[here] = _line(event)
        table[key] = _value(next(events), events, here, into)
    return table


def _scalar(event: yaml.ScalarEvent) -> object:
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a block of text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.get(text.lower())
    return text if special is None else float(special)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _stop(event: yaml.Event, path: Path, message: str) -> YamlProblem:
    return YamlProblem(Problem(".".join(path), message, _line(event)))
