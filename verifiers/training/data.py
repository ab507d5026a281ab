"""Training pairs: read from local files, turned into token ids, kept in flat arrays.

The input is JSON lines (gzip by name), one object a pair, with ``dataset``, ``premise``,
``hypothesis`` and ``label``. Text is read as a stream and only token ids are kept: a few hundred
thousand pairs are some 70 MB.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from verifiers.training.files import file_digest, read_tokenizer, require

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

Label = Literal["entailment", "neutral", "contradiction", "not_entailment"]
LABELS: Final[tuple[Label, ...]] = get_args(Label)
# Row labels as numbers. The first three are the model's columns; the fourth is no column of its
# own but "one of the other two" (see losses.py).
NOT_ENTAILMENT: Final = LABELS.index("not_entailment")

_CHUNK: Final = 4_096
_HALF: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled pair as text."""

    dataset: str
    premise: str
    hypothesis: str
    label: Label
    id: str = ""

    @classmethod
    def parse(cls, raw: Any, where: str) -> Row:
        """Check one decoded line.

        Raises:
            ValueError: If a key is missing, a text is none, or the label unknown; says where, and
                holds no text of the row.
        """
        try:
            dataset, premise = raw["dataset"], raw["premise"]
            hypothesis, label = raw["hypothesis"], raw["label"]
        except (KeyError, TypeError) as exc:
            raise ValueError(f"{where}: needs dataset, premise, hypothesis and label") from exc
        if label not in LABELS:
            raise ValueError(f"{where}: unknown label {label!r}; expected one of {LABELS}")
        # A null would be trained on as the word "None", and half a character cannot be read at all.
        for key, text in (("premise", premise), ("hypothesis", hypothesis)):
            if not isinstance(text, str):
                raise ValueError(f"{where}: {key} is no text")  # noqa: TRY004 - bad data, no bug
            if half_character(text):
                raise ValueError(f"{where}: {key} holds half a character (a lone surrogate)")
        return cls(str(dataset), premise, hypothesis, label, str(raw.get("id", "")))


def half_character(text: str) -> bool:
    """Whether a text holds a lone surrogate, which no tokenizer can read."""
    return _HALF.search(text) is not None


def read_rows(path: Path) -> Iterator[Row]:
    """Stream the pairs of a ``.jsonl`` or ``.jsonl.gz`` file, in its order.

    Raises:
        ValueError: At the first line that is no pair.
    """
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path.name}:{number}"
        try:
            raw = json.loads(line)
        except (ValueError, RecursionError) as exc:
            raise ValueError(f"{where}: not JSON") from exc
        yield Row.parse(raw, where)


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file that are not blank; unpacked if its name ends in ``.gz``.

    Raises:
        ValueError: If a packed file is cut or damaged, or the text is not UTF-8; names the file.
    """
    open_ = gzip.open if path.suffix == ".gz" else open
    try:
        with open_(path, "rt", encoding="utf-8") as lines:
            yield from (line for line in lines if line.strip())
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise ValueError(f"{path} is no whole gzip file ({exc}); copy or make it again") from exc
    except UnicodeDecodeError as exc:
        raise ValueError(f"{path} is not UTF-8 text ({exc.reason}); save it as UTF-8") from exc


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs as token ids, without special tokens, in flat arrays.

    Attributes:
        tokens: uint16 ``[total]``: premise then hypothesis of each row, one after the other.
        starts: int64 ``[rows + 1]``: where each row begins in ``tokens``.
        cuts: int32 ``[rows]``: how many of a row's tokens are premise.
        labels: int8 ``[rows]``: index into :data:`LABELS`.
        datasets: int16 ``[rows]``: index into ``names``.
        names: The data sets.
        dropped: Rows left out for length, by data set. A premise is never cut: what is cut off
            might be what the label rests on.
    """

    tokens: NDArray[np.uint16]
    starts: NDArray[np.int64]
    cuts: NDArray[np.int32]
    labels: NDArray[np.int8]
    datasets: NDArray[np.int16]
    names: tuple[str, ...]
    dropped: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.cuts)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 ``[rows]``: tokens of each pair as the model reads it, its three specials too."""
        lengths: NDArray[np.int64] = require("numpy").diff(self.starts) + 3
        return lengths

    def pair(self, row: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """The ids of one row: premise, hypothesis."""
        start, end = self.starts[row], self.starts[row + 1]
        cut = start + self.cuts[row]
        return self.tokens[start:cut], self.tokens[cut:end]

    def digest(self) -> str:
        """SHA-256 of all there is to train on, in hex."""
        found = hashlib.sha256(json.dumps(self.names).encode())
        for name in _ARRAYS:
            found.update(getattr(self, name).tobytes())
        return found.hexdigest()

    def counts(self) -> dict[str, dict[str, int]]:
        """Rows by data set and label, for the model card."""
        found = Counter(
            (self.names[d], LABELS[label])
            for d, label in zip(self.datasets.tolist(), self.labels.tolist(), strict=True)
        )
        return {
            name: {label: found[name, label] for label in LABELS if found[name, label]}
            for name in self.names
        }


def encode(rows: Iterable[Row], tokenizer: Path, *, max_length: int) -> Pairs:
    """Turn rows into token ids.

    Args:
        rows: The pairs, in the order they are to keep.
        tokenizer: A ``tokenizer.json``.
        max_length: Longest pair in tokens, specials included; longer rows are left out, counted.
    """
    np = require("numpy")
    reader = read_tokenizer(tokenizer)
    reader.no_truncation()
    reader.no_padding()
    if reader.get_vocab_size() > np.iinfo(np.uint16).max:
        raise ValueError(f"{tokenizer}: more words than fit 16 bits; widen Pairs.tokens")
    names: dict[str, int] = {}
    dropped: Counter[str] = Counter()
    parts: list[NDArray[Any]] = []
    cuts, ends, labels, datasets = [], [0], [], []
    stream = iter(rows)
    while chunk := list(islice(stream, _CHUNK)):
        texts = [text for row in chunk for text in (row.premise, row.hypothesis)]
        ids = [found.ids for found in reader.encode_batch(texts, add_special_tokens=False)]
        for i, row in enumerate(chunk):
            premise, hypothesis = ids[2 * i], ids[2 * i + 1]
            size = len(premise) + len(hypothesis)
            dataset = names.setdefault(row.dataset, len(names))
            if size + 3 > max_length or not premise or not hypothesis:
                dropped[row.dataset] += 1
                continue
            parts.append(np.array(premise + hypothesis, dtype=np.uint16))
            cuts.append(len(premise))
            ends.append(ends[-1] + size)
            labels.append(LABELS.index(row.label))
            datasets.append(dataset)
    return Pairs(
        tokens=np.concatenate(parts) if parts else np.zeros(0, np.uint16),
        starts=np.array(ends, np.int64),
        cuts=np.array(cuts, np.int32),
        labels=np.array(labels, np.int8),
        datasets=np.array(datasets, np.int16),
        names=tuple(names),
        dropped=dict(dropped),
    )


def load_pairs(
    sources: Iterable[Path], tokenizer: Path, *, max_length: int, cache: Path | None = None
) -> Pairs:
    """Read and encode files, or take the result of an earlier call from ``cache``.

    The cache file is named after what it was made from, so a changed file is read again.
    """
    np = require("numpy")
    files = list(sources)
    kept = None
    if cache is not None:
        key = "-".join([*(file_digest(file)[:12] for file in files), file_digest(tokenizer)[:8]])
        kept = cache / f"pairs-{key}-{max_length}.npz"
        if kept.exists() and (found := _cached(kept)) is not None:
            return found
    pairs = encode(
        (row for file in files for row in read_rows(file)), tokenizer, max_length=max_length
    )
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part.npz")
        meta = json.dumps({"names": pairs.names, "dropped": pairs.dropped})
        np.savez(part, meta=np.array(meta), **{name: getattr(pairs, name) for name in _ARRAYS})
        part.replace(kept)
    return pairs


def _cached(path: Path) -> Pairs | None:
    """What an earlier call kept; None if the file was cut, so that it is made again."""
    try:
        # numpy leaves a file open that it opened itself and could not read.
        with path.open("rb") as file, require("numpy").load(file, allow_pickle=False) as stored:
            meta = json.loads(str(stored["meta"]))
            return Pairs(
                **{name: stored[name] for name in _ARRAYS},
                names=tuple(meta["names"]),
                dropped=meta["dropped"],
            )
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError):
        return None


_ARRAYS: Final = ("tokens", "starts", "cuts", "labels", "datasets")
