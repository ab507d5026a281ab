"""What a judge replied, read strictly: anything unexpected means that it said nothing."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from guardrails.errors import JudgeUnusable
from guardrails.judging.passages import find
from verifiers.types import Failed, Judgement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardrails.judging.frame import Asked
    from guardrails.judging.values import Label
    from verifiers.types import EvidenceSpan

_FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL)
_KEYS = {"statement", "quote", "verdict"}
_MOST = 200_000


class Said(NamedTuple):
    """A verdict in one pass: its label, and the quotation where it was found."""

    label: Label
    quote: EvidenceSpan | None


def read_reply(text: str, asked: Asked) -> Mapping[str, Said]:
    """One pass's verdicts, by claim id.

    Raises:
        JudgeUnusable: If the reply is not exactly what was asked for, or the control shows that
            the judge does not judge.
    """
    entries = _entries(text)
    by_key: dict[str, Said] = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.keys() != _KEYS:
            raise _unusable("an entry is not of the form asked for")
        key, quote, code = entry["statement"], entry["quote"], entry["verdict"]
        if not (isinstance(key, str) and isinstance(quote, str) and isinstance(code, str)):
            raise _unusable("an entry is not of the form asked for")
        if key not in asked.statements or key in by_key:
            raise _unusable("it speaks of a statement it was not asked about, or twice of one")
        label = asked.codes.get(code)
        if label is None:
            raise _unusable("a verdict is none of the code words")
        place = find(quote, asked.passages) if label != "unsupported" else None
        by_key[key] = Said(label, place)
    if by_key.keys() != asked.statements.keys():
        raise _unusable("it leaves out statements it was asked about")
    (control,) = (key for key, claim in asked.statements.items() if claim is None)
    if by_key[control].label != "unsupported":
        raise _unusable("it finds in the passages what cannot be there")
    return {claim: by_key[key] for key, claim in asked.statements.items() if claim is not None}


def agreed(first: Said, second: Said, model: str) -> Judgement | Failed:
    """One judgement of two passes, or why there is none."""
    if first.label != second.label:
        return Failed(JudgeUnusable.code, "the judge says one thing, and another when asked again")
    if first.label == "unsupported":
        return Judgement("unsupported", None, model)
    quote = first.quote or second.quote
    if first.quote is None or second.quote is None or quote is None:
        return Failed(
            JudgeUnusable.code, "the judge quotes what stands in no source; it is not believed"
        )
    return Judgement(first.label, quote, model)


def _entries(text: str) -> list[Any]:
    if len(text) > _MOST:
        raise _unusable("it is far too long")
    fenced = _FENCED.fullmatch(text)
    try:
        value = json.loads(
            fenced[1] if fenced else text, object_pairs_hook=_once, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        raise _unusable("it is not one JSON object") from None
    if not isinstance(value, dict) or value.keys() != {"verdicts"}:
        raise _unusable("it is not of the form asked for")
    entries = value["verdicts"]
    if not isinstance(entries, list):
        raise _unusable("it is not of the form asked for")
    return entries


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a key that stands twice would mean different things to different readers."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _unusable(why: str) -> JudgeUnusable:
    return JudgeUnusable(
        f"The judge's reply cannot be used: {why}. Nothing was concluded from it.",
        hint="Use a judge that keeps to JSON schemas; see docs/judge.md.",
    )
