"""Models behind Text Embeddings Inference (``/predict``), and what all remote backends share.

What the server does was read from its source, ``router/src/http/{server,types}.rs``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from verifiers.backends.http import JsonClient, RefusedInput, too_long
from verifiers.backends.labels import HINT, names_in_order, read_columns
from verifiers.backends.tokenizer import PairTokenizer, well_formed
from verifiers.errors import LabelsUnmapped, ModelUnavailable
from verifiers.types import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verifiers.backends.spec import ModelSpec
    from verifiers.types import NLIProbs, Pair

# RoBERTa puts four special tokens into a pair, BERT three; counting one too many refuses a pair
# one token early, counting one too few would let the server refuse it.
MOST_SPECIALS = 4
_COUNTS_KEPT = 20_000

_T = TypeVar("_T")
_R = TypeVar("_R")


class TokenCounts:
    """Token counts a server told us, kept: the same windows are read with every claim."""

    def __init__(self, ask: Callable[[Sequence[str]], list[int]]) -> None:
        self._ask = ask
        self._known: dict[str, int] = {}

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text; only unknown ones are asked for."""
        known = {text: self._known.get(text) for text in texts}
        new = [text for text, count in known.items() if count is None]
        asked = dict(zip(new, self._ask(new), strict=True)) if new else {}
        if len(self._known) > _COUNTS_KEPT:
            self._known.clear()
        self._known.update(asked)
        return [asked[text] if (count := known[text]) is None else count for text in texts]


class TeiScorer:
    """A classifier under Text Embeddings Inference. See :class:`PairScorer`.

    ``/info`` names the labels in column order, the longest input and the largest batch;
    ``/predict`` takes pairs and answers labels with scores, best first. ``truncate`` is always sent
    as false: left out, newer servers cut long inputs in silence.
    """

    def __init__(self, spec: ModelSpec) -> None:
        """Ask the server what it serves.

        Raises:
            ModelUnavailable: If it does not answer, serves no classifier, or another revision.
            LabelsUnmapped: If its labels cannot be told apart.
        """
        self._client = JsonClient(spec, server="Text Embeddings Inference")
        try:
            self._connect(spec)
        except BaseException:
            self._client.close()
            raise

    def _connect(self, spec: ModelSpec) -> None:
        info = self._client.load("/info")
        self._names = _classifier_labels(info.get("model_type"), self._client.url)
        self._columns = read_columns(self._names, override=spec.labels)
        if len(self._columns.labels) != len(self._names):
            raise LabelsUnmapped(
                f"{len(self._columns.labels)} labels are configured, but the server's model has"
                f" {len(self._names)}. It was not used.",
                hint=HINT,
            )
        name = str(info.get("model_id") or "unknown")
        if self._client.model is not None and self._client.model != name:
            raise ModelUnavailable(
                f"The server at {self._client.url} serves {name!r}, not {self._client.model!r}."
                " It was not used.",
                hint="Correct `model`, or leave it out.",
            )
        sha = info.get("model_sha")
        if spec.revision is not None and (not sha or not str(sha).startswith(spec.revision)):
            raise ModelUnavailable(
                f"The server at {self._client.url} serves revision {sha or 'unknown'}, but"
                f" {spec.revision} is pinned. It was not used.",
                hint="Start the server with --revision, or change `revision`.",
            )
        longest = read_limit(info, "max_input_length", self._client.url)
        self._batch = read_limit(info, "max_client_batch_size", self._client.url)
        self._tokenizer = read_tokenizer(spec)
        self._count = TokenCounts(lambda texts: _in_chunks(texts, self._batch, self._ask_counts))
        self._info = ModelInfo(
            name=name,
            revision=str(sha) if sha else "unknown",
            backend="tei",
            max_tokens=min(spec.max_tokens or longest, longest),
            calibration="none",
            form=f"{info.get('model_dtype', 'unknown')}/tei {info.get('version', 'unknown')}",
            labels=self._columns.labels,
        )

    @property
    def info(self) -> ModelInfo:
        """What the server serves."""
        return self._info

    def count_tokens(self, pairs: Sequence[Pair]) -> list[int]:
        """The length of each pair; without a local tokenizer at most one token too many."""
        if self._tokenizer is not None:
            return self._tokenizer.count_pairs(pairs)
        counts = self.count_text([text for pair in pairs for text in pair])
        return [
            premise + hypothesis + MOST_SPECIALS
            for premise, hypothesis in zip(counts[::2], counts[1::2], strict=True)
        ]

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text alone, from a local tokenizer or ``/tokenize``."""
        if self._tokenizer is not None:
            return self._tokenizer.count_text(texts)
        return self._count(texts)

    def score(self, pairs: Sequence[Pair]) -> list[NLIProbs]:
        """Score the pairs, in as many calls as the server's largest batch needs.

        Raises:
            InputTooLong: If the server finds a pair too long.
            BackendFailed: If the server fails or answers what makes no sense.
            Overloaded: If it stays busy.
        """
        return _in_chunks(pairs, self._batch, self._predict)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _predict(self, pairs: Sequence[Pair]) -> list[NLIProbs]:
        payload = {
            "inputs": [[well_formed(pair.premise), well_formed(pair.hypothesis)] for pair in pairs],
            "raw_scores": False,
            "truncate": False,
        }
        try:
            answer = self._client.post("/predict", payload)
        except RefusedInput as exc:
            # 413 is both "too many pairs" and "too many tokens"; we never send too many pairs.
            if exc.status == 413:  # noqa: PLR2004
                raise too_long(self._info.max_tokens) from exc
            raise
        if not isinstance(answer, list) or len(answer) != len(pairs):
            raise self._client.unexpected("/predict", f"something else than {len(pairs)} results")
        return [self._columns.from_probabilities(self._row(item)) for item in answer]

    def _row(self, item: object) -> list[float]:
        """One result in column order; the server sorts by score."""
        if not isinstance(item, list):
            raise self._client.unexpected("/predict", "a result that is no list")
        by_label: dict[object, float] = {}
        for entry in item:
            if not isinstance(entry, dict):
                raise self._client.unexpected("/predict", "a label that is no object")
            by_label[entry.get("label")] = read_number(entry.get("score"), self._client, "/predict")
        if len(item) != len(self._names) or set(by_label) != set(self._names):
            raise self._client.unexpected("/predict", "other labels than /info names")
        return [by_label[name] for name in self._names]

    def _ask_counts(self, texts: Sequence[str]) -> list[int]:
        answer = self._client.post(
            "/tokenize",
            {"inputs": [well_formed(text) for text in texts], "add_special_tokens": False},
        )
        if (
            not isinstance(answer, list)
            or len(answer) != len(texts)
            or not all(isinstance(tokens, list) for tokens in answer)
        ):
            raise self._client.unexpected("/tokenize", "something else than lists of tokens")
        return [len(tokens) for tokens in answer]


def read_template(template: str | None) -> Callable[[Pair], str] | None:
    """A function that puts a pair into a template.

    Both places are filled at once, so that a premise which contains ``{hypothesis}`` stays text.

    Raises:
        ModelUnavailable: If the template does not hold each place exactly once.
    """
    if template is None:
        return None
    if template.count("{premise}") != 1 or template.count("{hypothesis}") != 1:
        raise ModelUnavailable(
            "`template` does not hold {premise} and {hypothesis}, once each.",
            hint="For example '{premise}</s></s>{hypothesis}'.",
        )
    parts = re.split(r"(\{premise\}|\{hypothesis\})", template)

    def fill(pair: Pair) -> str:
        values = {
            "{premise}": well_formed(pair.premise),
            "{hypothesis}": well_formed(pair.hypothesis),
        }
        return "".join(values.get(part, part) for part in parts)

    return fill


def read_tokenizer(spec: ModelSpec) -> PairTokenizer | None:
    """The local tokenizer of a remote model, if one is configured."""
    if spec.tokenizer is None:
        return None
    path = Path(spec.tokenizer).expanduser()
    return PairTokenizer.load(path / "tokenizer.json" if path.is_dir() else path)[0]


def _classifier_labels(model_type: object, url: str) -> tuple[str, ...]:
    """The labels in column order, from the ``model_type`` of ``/info``."""
    kinds = model_type if isinstance(model_type, dict) else {}
    for kind, detail in kinds.items():
        if str(kind).lower() in ("classifier", "reranker") and isinstance(detail, dict):
            id2label = detail.get("id2label")
            if isinstance(id2label, dict):
                return names_in_order(id2label)
    raise ModelUnavailable(
        f"The server at {url} serves no sequence-classification model.",
        hint="Start it with an NLI model.",
    )


def read_limit(info: dict[str, Any], key: str, url: str, *, default: int | None = None) -> int:
    """A limit the server states.

    Raises:
        ModelUnavailable: If it does not, and there is no default.
    """
    value = info.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelUnavailable(
            f"The server at {url} does not say its {key}.",
            hint="Check `url` and `backend`; where the server cannot tell, set `max_tokens`.",
        )
    return value


def read_number(value: object, client: JsonClient, path: str) -> float:
    """A number of an answer; strings, null and booleans are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise client.unexpected(path, "a score that is no number")
    return float(value)


def _in_chunks(
    items: Sequence[_T], size: int, call: Callable[[Sequence[_T]], list[_R]]
) -> list[_R]:
    return [
        result
        for start in range(0, len(items), size)
        for result in call(items[start : start + size])
    ]
