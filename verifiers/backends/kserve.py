"""Models behind a server that speaks the KServe v2 (open inference) protocol, such as Triton.

Two kinds of model are understood, told apart by the model's metadata: token models, with integer
inputs ``input_ids``, ``attention_mask`` and perhaps ``token_type_ids``; and text models, with one
or two ``BYTES`` inputs. Servers in front of text models may cut long texts in silence (KServe's own
Hugging Face runtime does), so tokens are always counted here first: ``tokenizer`` is required.
The protocol knows no labels: ``labels`` is required too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from verifiers.backends.config import longest_input
from verifiers.backends.http import JsonClient, too_long
from verifiers.backends.labels import HINT, read_columns
from verifiers.backends.remote import read_template
from verifiers.backends.tokenizer import PairTokenizer, well_formed
from verifiers.errors import LabelsUnmapped, ModelUnavailable
from verifiers.types import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.backends.spec import ModelSpec
    from verifiers.types import NLIProbs, Pair

_TOKEN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
_PREMISE_NAMES = ("premise", "text", "text_a", "sentence1", "context", "document")
_HYPOTHESIS_NAMES = ("hypothesis", "text_pair", "text_b", "sentence2", "claim", "statement")
_LOGITS_NAMES = frozenset({"logits", "raw_scores"})
_PROBABILITY_NAMES = frozenset({"probs", "probabilities", "scores"})


class KServeScorer:
    """A classifier behind the KServe v2 protocol. See :class:`verifiers.protocols.PairScorer`."""

    def __init__(self, spec: ModelSpec) -> None:
        """Ask the server what it serves.

        Raises:
            ModelUnavailable: If it does not answer, the model's inputs or outputs are not
                understood, or a required setting is missing.
            LabelsUnmapped: If the spec does not name the labels.
        """
        if spec.labels is None:
            raise LabelsUnmapped(
                "The KServe v2 protocol does not tell a model's labels.", hint=HINT
            )
        if spec.tokenizer is None:
            raise ModelUnavailable(
                "A model behind the KServe v2 protocol needs its tokenizer here: servers may cut"
                " long texts in silence, so tokens are counted first.",
                hint="Set `tokenizer` to the model's tokenizer.json.",
            )
        self._columns = read_columns((), override=spec.labels)
        self._tokenizer, max_tokens = _tokenizer(Path(spec.tokenizer).expanduser(), spec.max_tokens)
        self._template = read_template(spec.template)
        self._client = JsonClient(spec, server="The KServe v2 server")
        if self._client.model is None:
            raise ModelUnavailable(
                "The KServe v2 protocol needs the model's name.", hint="Set `model`."
            )
        self._path = f"/v2/models/{quote(self._client.model, safe='')}"
        if spec.revision is not None:
            self._path += f"/versions/{quote(spec.revision, safe='')}"
        try:
            metadata = self._client.load(self._path)
            self._inputs = self._read_inputs(_tensors(metadata.get("inputs")))
            self._output, self._kind = _read_output(_tensors(metadata.get("outputs")), spec.outputs)
        except BaseException:
            self._client.close()
            raise
        versions = metadata.get("versions")
        found = ",".join(map(str, versions)) if isinstance(versions, list) else "unknown"
        how = "token ids" if "input_ids" in self._inputs else f"texts, template {spec.template!r}"
        self._info = ModelInfo(
            name=self._client.model,
            revision=spec.revision or found,
            backend="kserve",
            max_tokens=max_tokens,
            calibration="none",
            form=f"{metadata.get('platform', 'unknown')}, {how}, {self._kind}",
            labels=self._columns.labels,
        )

    @property
    def info(self) -> ModelInfo:
        """What the server serves; its revision is the version asked for or listed."""
        return self._info

    def count_tokens(self, pairs: Sequence[Pair]) -> list[int]:
        """The length of each pair with its special tokens, uncut."""
        return self._tokenizer.count_pairs(pairs)

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text alone."""
        return self._tokenizer.count_text(texts)

    def score(self, pairs: Sequence[Pair]) -> list[NLIProbs]:
        """Score the pairs in one call.

        Raises:
            InputTooLong: If a pair does not fit.
            BackendFailed: If the server fails or answers what makes no sense.
            Overloaded: If it stays busy.
        """
        if not pairs:
            return []
        if max(self.count_tokens(pairs)) > self._info.max_tokens:
            raise too_long(self._info.max_tokens)
        path = f"{self._path}/infer"
        answer = self._client.post(
            path, {"inputs": self._payload(pairs), "outputs": [{"name": self._output}]}
        )
        width = len(self._columns.roles)
        values = self._values(answer, path, [len(pairs), width])
        rows = [values[start : start + width] for start in range(0, len(values), width)]
        if self._kind == "logits":
            return [self._columns.from_logits(row) for row in rows]
        return [self._columns.from_probabilities(row) for row in rows]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _read_inputs(self, inputs: dict[str, str]) -> dict[str, str]:
        """Datatype by input name, checked to be something we can fill."""
        if "input_ids" in inputs and set(inputs) <= _TOKEN_INPUTS:
            return inputs
        texts = [name for name, kind in inputs.items() if kind == "BYTES"]
        if len(texts) == len(inputs) == 1 and self._template is not None:
            return inputs
        if len(texts) == len(inputs) == 2 and _roles(texts) is not None:  # noqa: PLR2004
            return inputs
        raise ModelUnavailable(
            f"The model at {self._client.url}{self._path} has inputs we cannot fill:"
            f" {', '.join(f'{name} ({kind})' for name, kind in inputs.items()) or 'none'}.",
            hint="Serve input_ids and attention_mask, or two BYTES inputs named premise and"
            " hypothesis, or one BYTES input with `template` set.",
        )

    def _payload(self, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
        if "input_ids" in self._inputs:
            return self._tensors(pairs)
        if self._template is not None and len(self._inputs) == 1:
            (name,) = self._inputs
            return [_bytes(name, [self._template(pair) for pair in pairs])]
        roles = _roles(list(self._inputs))
        if roles is None:
            raise ModelUnavailable("The model's inputs cannot be told apart.")
        premise, hypothesis = roles
        return [
            _bytes(premise, [well_formed(pair.premise) for pair in pairs]),
            _bytes(hypothesis, [well_formed(pair.hypothesis) for pair in pairs]),
        ]

    def _tensors(self, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
        encoded = self._tokenizer.encode(pairs)
        longest = max(len(item.ids) for item in encoded)
        columns: dict[str, list[int]] = {name: [] for name in self._inputs}
        for item in encoded:
            padding = longest - len(item.ids)
            filled = {
                "input_ids": item.ids + [self._tokenizer.pad_id] * padding,
                "attention_mask": [1] * len(item.ids) + [0] * padding,
                "token_type_ids": item.type_ids + [0] * padding,
            }
            for name, column in columns.items():
                column.extend(filled[name])
        return [
            {
                "name": name,
                "shape": [len(pairs), longest],
                "datatype": self._inputs[name],
                "data": values,
            }
            for name, values in columns.items()
        ]

    def _values(self, answer: object, path: str, shape: list[int]) -> list[float]:
        """The output, flat and in row order."""
        outputs = answer.get("outputs") if isinstance(answer, dict) else None
        listed = outputs if isinstance(outputs, list) else []
        output = next(
            (o for o in listed if isinstance(o, dict) and o.get("name") == self._output), None
        )
        if output is None:
            raise self._client.unexpected(path, f"no output {self._output!r}")
        if output.get("shape") != shape:
            raise self._client.unexpected(path, f"another shape than {shape}")
        values = list(_flat(output.get("data")))
        numbers = [
            float(value)
            for value in values
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        if len(numbers) != len(values) or len(values) != shape[0] * shape[1]:
            raise self._client.unexpected(path, f"something else than {shape} numbers")
        return numbers


def _tensors(listed: object) -> dict[str, str]:
    """Datatype by name, from a model's metadata."""
    if not isinstance(listed, list):
        return {}
    return {str(t.get("name")): str(t.get("datatype")) for t in listed if isinstance(t, dict)}


def _read_output(
    outputs: dict[str, str], configured: Literal["logits", "probabilities"] | None
) -> tuple[str, Literal["logits", "probabilities"]]:
    """Name of the output to read and what it holds."""
    numeric = [name for name, kind in outputs.items() if kind.startswith(("FP", "BF"))]
    known = [n for n in numeric if n.lower() in _LOGITS_NAMES | _PROBABILITY_NAMES]
    chosen = known if len(known) == 1 else numeric
    if len(chosen) != 1:
        raise ModelUnavailable(
            f"The model has {len(numeric)} outputs of numbers"
            f" ({', '.join(outputs) or 'none listed'}); which to read cannot be told.",
            hint="Serve one output, named logits or probabilities.",
        )
    name = chosen[0]
    if configured is not None:
        return name, configured
    if name.lower() in _LOGITS_NAMES:
        return name, "logits"
    if name.lower() in _PROBABILITY_NAMES:
        return name, "probabilities"
    raise ModelUnavailable(
        f"The name of the output {name!r} does not say whether it holds logits or probabilities.",
        hint="Set `outputs` to logits or probabilities.",
    )


def _roles(names: list[str]) -> tuple[str, str] | None:
    """The premise's and the hypothesis's input among two names."""
    premises = [name for name in names if name.lower() in _PREMISE_NAMES]
    hypotheses = [name for name in names if name.lower() in _HYPOTHESIS_NAMES]
    if len(premises) != 1 or len(hypotheses) != 1:
        return None
    return premises[0], hypotheses[0]


def _bytes(name: str, texts: list[str]) -> dict[str, Any]:
    return {"name": name, "shape": [len(texts), 1], "datatype": "BYTES", "data": texts}


def _flat(data: object) -> list[object]:
    """Tensor data is flat or nested; the protocol allows both."""
    flat: list[object] = []
    rest = [data]
    while rest:
        value = rest.pop()
        if isinstance(value, list):
            rest.extend(reversed(value))
        else:
            flat.append(value)
    return flat


def _tokenizer(path: Path, max_tokens: int | None) -> tuple[PairTokenizer, int]:
    """The tokenizer and the longest input, from the config beside it where there is one."""
    file = path / "tokenizer.json" if path.is_dir() else path
    tokenizer, _ = PairTokenizer.load(file)
    config = file.parent / "config.json"
    raw: object = None
    if config.is_file():
        try:
            raw = json.loads(config.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            raise ModelUnavailable(
                f"Cannot read {config}.", hint="Correct it, or take it away."
            ) from exc
    fields = raw if isinstance(raw, dict) else {}
    return tokenizer, longest_input(fields, config, override=max_tokens)
