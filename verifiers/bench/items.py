"""Labelled items to measure a verifier on, read from JSONL.

One object a line, plain or gzipped. The keys are those of the common grounding sets; other names
and other labels are mapped: ``{"claim": "response", "source": "context"}``, ``{"good": True}``.
Nothing is guessed: a line that cannot be read is an error that names the file, the line and the
key, and says how to map it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import random
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from verifiers.errors import BenchDataInvalid
from verifiers.types import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

Granularity = Literal["claim", "answer"]

KEYS = ("id", "dataset", "source", "claim", "question", "granularity", "label", "spans")

_SUPPORTED = frozenset(
    {
        "supported",
        "supports",
        "entailment",
        "entailed",
        "true",
        "1",
        "yes",
        "consistent",
        "attributable",
        "grounded",
        "faithful",
        "factual",
    }
)
_UNSUPPORTED = frozenset(
    {
        "unsupported",
        "not supported",
        "refutes",
        "refuted",
        "not enough info",
        "not_entailment",
        "neutral",
        "contradiction",
        "contradicted",
        "false",
        "0",
        "no",
        "inconsistent",
        "hallucinated",
        "hallucination",
        "not attributable",
        "ungrounded",
        "unfaithful",
        "non-factual",
    }
)
# Each answers a question that only the file knows: "supported?", or "hallucinated?".
_ANSWERS = (frozenset({"1", "true", "yes"}), frozenset({"0", "false", "no"}))
_SHOWN = 12


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
    labels: Mapping[str, bool] | None = None,
    granularity: Granularity = "claim",
    limit: int | None = None,
    seed: int = 0,
    met: set[str] | None = None,
    met_labels: set[str] | None = None,
) -> list[Item]:
    """Read a labelled file.

    Args:
        path: JSONL, gzipped when its name ends in ``.gz``.
        columns: Our key (one of ``KEYS``) -> the file's key, where they differ.
        labels: The file's label -> whether it means supported, where we do not know it or would
            read it otherwise. Case does not matter. What is said of 1 holds for true and yes, too,
            and of 0 for false and no, and the other way round, unless they are mapped themselves.
        granularity: Of lines that do not say.
        limit: At most this many items, drawn at random with ``seed``, in file order.
        seed: Of the draw.
        met: Filled with those of ``columns`` that some line has: a name that no line of any file
            has is a slip, also where the key is optional.
        met_labels: The same for ``labels``, as :func:`label_key` writes them.

    Raises:
        BenchDataInvalid: If the file cannot be read or holds nothing, a line is not an object, a
            key is missing, or a value is not known or no text; if two of ``labels`` differ in case
            alone, or say of 1 or 0 the opposite of what we would read and leave a label of the kind
            open; or if the file's name is no text.
    """
    unknown = set(columns or ()) - set(KEYS)
    if unknown:
        raise BenchDataInvalid(
            f"the column mapping names {', '.join(sorted(unknown))}, which are no keys of ours.",
            hint=f"Known keys: {', '.join(KEYS)}.",
        )
    if not _is_text(path.name):
        raise BenchDataInvalid(
            f"the name of the file {path.name!a} is no text; it would stand in the results.",
            hint="Rename the file.",
        )
    meanings = {label_key(label): meaning for label, meaning in (labels or {}).items()}
    if len(meanings) < len(labels or ()):
        raise BenchDataInvalid(
            f"of the mapped labels {', '.join(labels or ())} two differ in case alone.",
            hint="Case does not matter: say of each label once what it means.",
        )
    reader = _Reader(
        path,
        {key: key for key in KEYS} | dict(columns or {}),
        frozenset(columns or ()),
        meanings,
        granularity,
    )
    items = [reader.item(row, line) for line, row in _rows(path)]
    if met is not None:
        met |= reader.met
    if met_labels is not None:
        met_labels |= reader.met_labels
    if not items:
        raise BenchDataInvalid(f"{path} holds no item.", hint="Give one JSON object a line.")
    if limit is not None and limit < len(items):
        kept = sorted(random.Random(seed).sample(range(len(items)), limit))  # noqa: S311
        items = [items[i] for i in kept]
    return items


def label_key(label: object) -> str:
    """A label as labels are compared: without case, spaces around it, or the type it had."""
    return str(label).strip().lower()


def set_name(path: Path) -> str:
    """What a file's set is called: its name without endings."""
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


# NLI files call the same two things by other names; both are taken without a mapping.
_ALIASES = {"source": "premise", "claim": "hypothesis"}


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(
            path, "rt", encoding="utf-8-sig"
        ) as lines:
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
                except (ValueError, RecursionError) as error:
                    # An integer of thousands of digits; brackets in brackets in brackets.
                    raise BenchDataInvalid(f"{path} line {number} cannot be read.") from error
                if not isinstance(row, dict):
                    raise BenchDataInvalid(f"{path} line {number} is no JSON object.")
                yield number, row
    except (OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise BenchDataInvalid(f"{path} cannot be read: {error}.") from error


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns the lines of one file into items."""

    path: Path
    mapping: Mapping[str, str]
    named: frozenset[str]
    labels: Mapping[str, bool]
    granularity: Granularity
    met: set[str] = field(default_factory=set)
    met_labels: set[str] = field(default_factory=set)

    def item(self, row: Mapping[str, Any], line: int) -> Item:
        where = f"{self.path} line {line}"
        name = set_name(self.path)
        self.met.update(key for key in self.named if self.mapping[key] in row)
        text, source = self._get(row, "claim"), self._source(row, where)
        if not isinstance(text, str) or not text.strip():
            raise self._missing("claim", "missing or no text", row, where)
        question = self._get(row, "question")
        if question is not None and not isinstance(question, str):
            raise BenchDataInvalid(f"{where}: {self.mapping['question']!r} is no text.")
        own = self._get(row, "id")
        number = f"{name}:{line}" if own is None or own == "" else str(own)
        dataset = str(self._get(row, "dataset") or name)
        _whole(
            {
                "claim": [text],
                "source": source,
                "question": [question or ""],
                "id": [number],
                "dataset": [dataset],
            },
            where,
        )
        return Item(
            id=number,
            dataset=dataset,
            sources=tuple(s for s in source if s.strip()),
            text=text,
            question=question or None,
            granularity=self._granularity(row, where),
            supported=self._label(row, where),
            spans=_spans(self._get(row, "spans"), text, where),
        )

    def _get(self, row: Mapping[str, Any], key: str) -> Any:
        theirs = self.mapping[key]
        if theirs not in row and key not in self.named:
            return row.get(_ALIASES.get(key, theirs))
        return row.get(theirs)

    def _source(self, row: Mapping[str, Any], where: str) -> list[str]:
        theirs = self.mapping["source"]
        if theirs not in row and ("source" in self.named or _ALIASES["source"] not in row):
            # A key that is not there is a mistake; one that is empty is an item without a source.
            raise self._missing("source", "missing", row, where)
        source = self._get(row, "source")
        sources = [source] if isinstance(source, str) else source or []
        if not isinstance(sources, list) or not all(isinstance(s, str) for s in sources):
            raise BenchDataInvalid(
                f"{where}: {theirs!r} is neither a text nor a list of texts.",
                hint="Give the texts alone; titles and ids are not read.",
            )
        return sources

    def _missing(self, key: str, what: str, row: Mapping[str, Any], where: str) -> BenchDataInvalid:
        there = sorted(row)
        more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
        return BenchDataInvalid(
            f"{where}: {self.mapping[key]!r} is {what}.",
            hint=f"Map your own column with --column {key}=NAME."
            f" This line has: {', '.join(there[:_SHOWN]) or 'nothing'}{more}.",
        )

    def _granularity(self, row: Mapping[str, Any], where: str) -> Granularity:
        value = self._get(row, "granularity")
        if value is None:
            return self.granularity
        told = str(value).strip().lower()
        if told not in ("claim", "answer"):
            raise BenchDataInvalid(
                f"{where}: {self.mapping['granularity']!r} is {value!r}.",
                hint="It is 'claim' or 'answer'; leave the key out to use --granularity.",
            )
        return cast("Granularity", told)

    def _label(self, row: Mapping[str, Any], where: str) -> bool:
        value = self._get(row, "label")
        if value is None:
            raise self._missing("label", "missing", row, where)
        if isinstance(value, float) and math.isfinite(value) and value == int(value):
            value = int(value)
        label = label_key(value)
        if label in self.labels:
            self.met_labels.add(label)
            return self.labels[label]
        for answers in _ANSWERS:
            if label in answers:
                return self._answer(label, answers, where)
        if label in _SUPPORTED:
            return True
        if label in _UNSUPPORTED:
            return False
        raise BenchDataInvalid(
            f"{where}: label {value!r} in {self.mapping['label']!r} is not known.",
            hint=f"Say what it means: --label '{value}=supported' or --label '{value}=unsupported'."
            f" Known without: {', '.join(sorted(_SUPPORTED))};"
            f" and {', '.join(sorted(_UNSUPPORTED))}.",
        )

    def _answer(self, label: str, alike: frozenset[str], where: str) -> bool:
        """What a label means that says yes or no and is not mapped itself."""
        said = {key: self.labels[key] for own in _ANSWERS for key in own if key in self.labels}
        near = {said[key] for key in alike if key in said}
        if len(near) == 1:
            self.met_labels.update(alike & said.keys())
            return near.pop()
        if near or any(meaning != (key in _SUPPORTED) for key, meaning in said.items()):
            raise BenchDataInvalid(
                f"{where}: label {label!r} in {self.mapping['label']!r} is not mapped, and what the"
                " mapped ones say of their like does not tell what it means.",
                hint=f"Map it, too: --label {label}=supported or --label {label}=unsupported.",
            )
        return label in _SUPPORTED


def _spans(value: object, text: str, where: str) -> tuple[Span, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise BenchDataInvalid(f"{where}: spans are no list.")
    spans: list[Span] = []
    for entry in value:
        try:
            start, end = (entry["start"], entry["end"]) if isinstance(entry, dict) else entry[:2]
            spans.append(Span(_offset(start), min(_offset(end), len(text))))
        except (KeyError, TypeError, ValueError) as error:
            raise BenchDataInvalid(f"{where}: span {entry!r} is no [start, end].") from error
    return tuple(spans)


def _offset(value: object) -> int:
    """A place in a text: 3 and 3.0 (as data frames write it), and nothing else is taken for one."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(value)
    return value


def _whole(texts: Mapping[str, Sequence[str]], where: str) -> None:
    """JSON can hold half a character (a lone surrogate), which is no text to any tokenizer."""
    for key, own in texts.items():
        for text in own:
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise BenchDataInvalid(
                    f"{where}: {key} holds half a character, {text[error.start]!a}.",
                    hint="It was cut in the middle of an emoji or the like; write the file anew.",
                ) from error


def _is_text(name: str) -> bool:
    """Names of files are bytes; those that are no UTF-8 come as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def by_dataset(items: Sequence[Item]) -> dict[str, list[Item]]:
    """Items grouped by set, sets in order of name."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.dataset, []).append(item)
    return dict(sorted(groups.items()))
