"""Models behind vLLM (``/classify``).

What the server does was read from its source,
``entrypoints/pooling/classify/{protocol,serving}.py``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from verifiers.backends.http import JsonClient, RefusedInput, too_long
from verifiers.backends.labels import HINT, read_columns, role_of
from verifiers.backends.remote import (
    MOST_SPECIALS,
    TokenCounts,
    read_limit,
    read_number,
    read_template,
    read_tokenizer,
)
from verifiers.backends.tokenizer import well_formed
from verifiers.errors import LabelsUnmapped, ModelUnavailable
from verifiers.types import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.backends.spec import ModelSpec
    from verifiers.types import NLIProbs, Pair


class VllmScorer:
    """A classifier under vLLM. See :class:`PairScorer`.

    ``/classify`` takes one text, never a pair, and names only the likeliest label. So two things
    must be told: ``labels``, checked against the label in every answer, and how a pair becomes one
    input: ``tokenizer`` (its token ids are sent, exactly what the model was trained on, except that
    vLLM leaves segment ids at 0) or ``template``.
    """

    def __init__(self, spec: ModelSpec) -> None:
        """Ask the server what it serves.

        Raises:
            ModelUnavailable: If it does not answer, does not serve the model, or the spec does not
                say how pairs are put.
            LabelsUnmapped: If the spec does not name the labels.
        """
        if spec.labels is None:
            raise LabelsUnmapped("vLLM does not name its model's labels in order.", hint=HINT)
        self._columns = read_columns((), override=spec.labels)
        if spec.template is None and spec.tokenizer is None:
            raise ModelUnavailable(
                "vLLM's /classify takes one text, and nothing says how a pair becomes one.",
                hint="Set `tokenizer` to the model's tokenizer.json (best), or `template`, for"
                " example '{premise}</s></s>{hypothesis}' for RoBERTa.",
            )
        self._template = read_template(spec.template)
        self._tokenizer = read_tokenizer(spec)
        self._client = JsonClient(spec, server="vLLM")
        try:
            self._connect(spec)
        except BaseException:
            self._client.close()
            raise

    def _connect(self, spec: ModelSpec) -> None:
        listed = self._client.load("/v1/models").get("data")
        models = [m for m in listed if isinstance(m, dict)] if isinstance(listed, list) else []
        wanted = self._client.model
        chosen = next((m for m in models if wanted in (None, m.get("id"))), None)
        if chosen is None or not isinstance(chosen.get("id"), str):
            raise ModelUnavailable(
                f"vLLM at {self._client.url} does not serve {wanted or 'any model'!r}.",
                hint="Set `model` to a name that /v1/models lists.",
            )
        longest = read_limit(chosen, "max_model_len", self._client.url, default=spec.max_tokens)
        self._name: str = chosen["id"]
        self._count = TokenCounts(lambda texts: [self._ask_count(text) for text in texts])
        how = "token ids" if self._template is None else f"template {spec.template!r}"
        self._info = ModelInfo(
            name=self._name,
            revision=f"unverified:{spec.revision}" if spec.revision else "unknown",
            backend="vllm",
            max_tokens=min(spec.max_tokens or longest, longest),
            calibration="none",
            form=f"vllm, {how}",
            labels=self._columns.labels,
        )

    @property
    def info(self) -> ModelInfo:
        """What the server serves. It does not tell revisions, so none is vouched for."""
        return self._info

    def count_tokens(self, pairs: Sequence[Pair]) -> list[int]:
        """The length of each pair as it is sent."""
        if self._template is not None:
            filled = [self._template(pair) for pair in pairs]
            return [count + MOST_SPECIALS for count in self.count_text(filled)]
        if self._tokenizer is None:
            raise ModelUnavailable("vLLM needs `tokenizer` or `template`.")
        return self._tokenizer.count_pairs(pairs)

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text alone, from a local tokenizer or ``/tokenize``, one by one."""
        if self._tokenizer is not None:
            return self._tokenizer.count_text(texts)
        return self._count(texts)

    def score(self, pairs: Sequence[Pair]) -> list[NLIProbs]:
        """Score the pairs in one call.

        Raises:
            InputTooLong: If the server finds a pair too long.
            BackendFailed: If the server fails, answers what makes no sense, or names a label that
                is not the one configured for its column.
            Overloaded: If it stays busy.
        """
        if not pairs:
            return []
        if max(self.count_tokens(pairs)) > self._info.max_tokens:
            raise too_long(self._info.max_tokens)
        try:
            answer = self._client.post(
                "/classify", {"model": self._name, "input": self._inputs(pairs)}
            )
        except RefusedInput as exc:
            if re.search(r"context length|maximum model length|too long|max_model_len", exc.body):
                raise too_long(self._info.max_tokens) from exc
            raise
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list) or len(data) != len(pairs):
            raise self._client.unexpected("/classify", f"something else than {len(pairs)} results")
        rows: dict[int, NLIProbs] = {}
        for item in data:
            index = item.get("index") if isinstance(item, dict) else None
            if not isinstance(index, int) or index in rows or not 0 <= index < len(pairs):
                raise self._client.unexpected("/classify", "results that are not numbered")
            rows[index] = self._read(item)
        return [rows[index] for index in range(len(pairs))]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _inputs(self, pairs: Sequence[Pair]) -> list[Any]:
        if self._template is not None:
            return [self._template(pair) for pair in pairs]
        if self._tokenizer is None:
            raise ModelUnavailable("vLLM needs `tokenizer` or `template`.")
        return [encoded.ids for encoded in self._tokenizer.encode(pairs)]

    def _read(self, item: dict[str, Any]) -> NLIProbs:
        probs = item.get("probs")
        if not isinstance(probs, list):
            raise self._client.unexpected("/classify", "a result without probabilities")
        row = [read_number(value, self._client, "/classify") for value in probs]
        result = self._columns.from_probabilities(row)
        best = row.index(max(row))
        named = role_of(str(item.get("label")))
        if named is not None and named != self._columns.roles[best]:
            raise self._client.unexpected(
                "/classify",
                f"the label {item['label']!r} for the column configured as"
                f" {self._columns.labels[best]!r}; the `labels` setting is wrong",
            )
        return result

    def _ask_count(self, text: str) -> int:
        answer = self._client.post(
            "/tokenize",
            {"model": self._name, "prompt": well_formed(text), "add_special_tokens": False},
        )
        count = answer.get("count") if isinstance(answer, dict) else None
        if not isinstance(count, int):
            raise self._client.unexpected("/tokenize", "no count")
        return count
