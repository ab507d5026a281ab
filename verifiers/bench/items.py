"""Labelled items to measure a verifier on, read from JSONL.

One object a line, plain or gzipped. The keys are those of the common grounding sets; other names
are mapped: ``{"claim": "response", "source": "context"}``. Nothing is guessed: a line that cannot
be read is an error that names the file, the line and the key.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from verifiers.errors import BenchDataInvalid
from verifiers.types import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

Granularity = Literal["claim", "answer"]

_SUPPORTED = frozenset({"supported", "entailment", "true", "1", "consistent", "attributable"})
_UNSUPPORTED = frozenset(
    {
        "unsupported",
        "not_entailment",
        "neutral",
        "contradiction",
        "false",
        "0",
        "inconsistent",
        "hallucinated",
        "not attributable",
    }
)


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled text against its sources.

    Attributes:
        id: As in the file, or ``NAME:LINE``.
        dataset: Name of the set.
        sources: Texts of the evidence; empty where the set has none.
        text: The claim or answer that was labelled.
        question: What was asked, where known.
        granularity: Whether ``text`` is one claim or a whole answer.
        supported: The label.
        spans: The unsupported characters of ``text``, where the set marks them; None where not.
    """

    id: str
    dataset: str
    sources: tuple[str, ...]
    text: str
    question: str | None
    granularity: Granularity
    supported: bool
    spans: tuple[Span, ...] | None

    @property
    def digest(self) -> str:
        """Digest of everything a verifier sees of this item; the label is not part of it."""
        seen = json.dumps([self.sources, self.text, self.question, self.granularity])
        return hashlib.blake2b(seen.encode(), digest_size=16).hexdigest()


def read_items(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> list[Item]:
    """Read a labelled file.

    Args:
        path: JSONL, gzipped when its name ends in ``.gz``.
        columns: Our key -> the file's key, where they differ. Ours are ``id``, ``dataset``,
            ``source``, ``claim``, ``question``, ``granularity``, ``label``, ``spans``.
        limit: At most this many items, drawn at random with ``seed``, in file order.
        seed: Of the draw.

    Raises:
        BenchDataInvalid: If the file cannot be read, a line is not an object, a key is missing
            or a label is not known.
    """
    mapping = {key: key for key in ("id", "dataset", "source", "claim", "question")}
    mapping |= {key: key for key in ("granularity", "label", "spans")}
    named = set(columns or ())
    unknown = set(columns or ()) - set(mapping)
    if unknown:
        raise BenchDataInvalid(
            f"the column mapping names {', '.join(sorted(unknown))}, which are no keys of ours.",
            hint=f"Known keys: {', '.join(sorted(mapping))}.",
        )
    mapping |= columns or {}
    name = set_name(path)
    items = [
        _item(_renamed(row, named, mapping), line, name, path, mapping) for line, row in _rows(path)
    ]
    if limit is not None and limit < len(items):
        kept = sorted(random.Random(seed).sample(range(len(items)), limit))  # noqa: S311
        items = [items[i] for i in kept]
    return items


def set_name(path: Path) -> str:
    """What a file's set is called: its name without endings."""
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


# NLI files call the same two things by other names; both are taken without a mapping.
_ALIASES = {"source": "premise", "claim": "hypothesis"}


def _renamed(
    row: Mapping[str, Any], named: set[str], mapping: Mapping[str, str]
) -> Mapping[str, Any]:
    extra = {
        mapping[ours]: row[alias]
        for ours, alias in _ALIASES.items()
        if ours not in named and mapping[ours] not in row and alias in row
    }
    return {**row, **extra} if extra else row


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    raise BenchDataInvalid(
                        f"{path} line {number} is not JSON ({error.msg} at column {error.colno}).",
                        hint="Give one JSON object a line.",
                    ) from error
                if not isinstance(row, dict):
                    raise BenchDataInvalid(f"{path} line {number} is no JSON object.")
                yield number, row
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise BenchDataInvalid(f"{path} cannot be read: {error}.") from error


def _item(
    row: Mapping[str, Any], line: int, name: str, path: Path, mapping: Mapping[str, str]
) -> Item:
    def get(key: str) -> Any:
        return row.get(mapping[key])

    text, source = get("claim"), get("source")
    if not isinstance(text, str) or not text:
        raise BenchDataInvalid(
            f"{path} line {line}: {mapping['claim']!r} is missing or no text.",
            hint="Map your own column with --column claim=NAME.",
        )
    sources = [source] if isinstance(source, str) else source or []
    if not isinstance(sources, list) or not all(isinstance(s, str) for s in sources):
        raise BenchDataInvalid(
            f"{path} line {line}: {mapping['source']!r} is neither a text nor a list of texts."
        )
    return Item(
        id=str(get("id") or f"{name}:{line}"),
        dataset=str(get("dataset") or name),
        sources=tuple(s for s in sources if s.strip()),
        text=text,
        question=get("question") or None,
        granularity="answer" if get("granularity") == "answer" else "claim",
        supported=_label(get("label"), f"{path} line {line}", mapping["label"]),
        spans=_spans(get("spans"), text, f"{path} line {line}"),
    )


def _label(value: object, where: str, key: str) -> bool:
    label = str(value).strip().lower()
    if label in _SUPPORTED:
        return True
    if label in _UNSUPPORTED:
        return False
    raise BenchDataInvalid(
        f"{where}: label {value!r} in {key!r} is not known.",
        hint=f"Supported: {', '.join(sorted(_SUPPORTED))}. "
        f"Unsupported: {', '.join(sorted(_UNSUPPORTED))}.",
    )


def _spans(value: object, text: str, where: str) -> tuple[Span, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise BenchDataInvalid(f"{where}: spans are no list.")
    spans: list[Span] = []
    for entry in value:
        try:
            start, end = (entry["start"], entry["end"]) if isinstance(entry, dict) else entry[:2]
            spans.append(Span(int(start), min(int(end), len(text))))
        except (KeyError, TypeError, ValueError) as error:
            raise BenchDataInvalid(f"{where}: span {entry!r} is no [start, end].") from error
    return tuple(spans)


def by_dataset(items: Sequence[Item]) -> dict[str, list[Item]]:
    """Items grouped by set, sets in order of name."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.dataset, []).append(item)
    return dict(sorted(groups.items()))
