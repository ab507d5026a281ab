"""NLI under PyTorch: any Hugging Face sequence-classification model, on CPU or GPU.

``threads`` has no effect here: torch's thread count belongs to the application and is not touched.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from verifiers.backends.config import longest_input, read_calibration
from verifiers.backends.labels import read_columns
from verifiers.backends.network import Network, folder_digest, load_classifier, open_device
from verifiers.backends.tokenizer import Encoded, PairTokenizer, well_formed
from verifiers.errors import InputTooLong, ModelUnavailable
from verifiers.types import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.backends.spec import ModelSpec
    from verifiers.types import NLIProbs, Pair

# What a tokenizer's model_max_length is when its author did not set it.
_UNSET_LENGTH = 1_000_000


class _Tokens(Protocol):
    def encode(self, pairs: Sequence[Pair]) -> list[Encoded]: ...
    def count_pairs(self, pairs: Sequence[Pair]) -> list[int]: ...
    def count_text(self, texts: Sequence[str]) -> list[int]: ...


class TorchScorer:
    """One transformers model, in fp32. See :class:`verifiers.protocols.PairScorer`."""

    def __init__(self, spec: ModelSpec) -> None:
        """Load the model from a folder, the hub's cache or the hub. Runs no code from the hub.

        Raises:
            ModelUnavailable: If it cannot be loaded, is no classifier, is not the pinned revision,
                or the device is not there.
            LabelsUnmapped: If the labels cannot be told apart.
        """
        device = open_device(spec.device)
        folder = Path(spec.model).expanduser()
        local = folder.is_dir()
        source = str(folder) if local else spec.model
        tokenizer, model = load_classifier(source, None if local else spec.revision)
        config = model.config.to_dict()
        self._columns = read_columns(config.get("id2label") or {}, override=spec.labels)
        if len(self._columns.roles) != model.config.num_labels:
            raise ModelUnavailable(
                f"The model has {model.config.num_labels} outputs, but its labels name"
                f" {len(self._columns.roles)}. It was not used.",
                hint="Correct `labels`.",
            )
        self._temperature, calibration = read_calibration(source, config.get("calibration"))
        self._tokens = _tokens(source, tokenizer)
        pad = tokenizer.pad_token_id
        if pad is None:
            pad = model.config.pad_token_id
        self._uses_types = "token_type_ids" in tokenizer.model_input_names
        longest = longest_input(config, source, override=spec.max_tokens)
        if tokenizer.model_max_length < _UNSET_LENGTH:
            longest = min(longest, int(tokenizer.model_max_length))
        revision = (
            folder_digest(folder) if local else str(getattr(model.config, "_commit_hash", None))
        )
        if local and spec.revision is not None and not revision.startswith(spec.revision):
            raise ModelUnavailable(
                f"The model in {folder} is {revision}, but {spec.revision} is pinned."
                " It was not used.",
                hint="Put the pinned files there, or change `revision`.",
            )
        self._network = Network(model, device, pad_id=pad)
        self._info = ModelInfo(
            name=spec.model,
            revision=revision,
            backend="torch",
            max_tokens=longest,
            calibration=calibration,
            form=self._network.form,
            labels=self._columns.labels,
        )

    @property
    def info(self) -> ModelInfo:
        """What produces the scores."""
        return self._info

    def count_tokens(self, pairs: Sequence[Pair]) -> list[int]:
        """The length of each pair with its special tokens, uncut."""
        return self._tokens.count_pairs(pairs)

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text alone."""
        return self._tokens.count_text(texts)

    def score(self, pairs: Sequence[Pair]) -> list[NLIProbs]:
        """Score one batch in one forward pass (pair by pair for a model without padding).

        Raises:
            InputTooLong: If a pair does not fit. Nothing is cut.
            BackendFailed: If the model fails or answers what is no number.
        """
        if not pairs:
            return []
        encoded = self._tokens.encode(pairs)
        longest = max(len(item.ids) for item in encoded)
        if longest > self._info.max_tokens:
            raise InputTooLong(
                f"A pair of {longest} tokens does not fit the model, which reads"
                f" {self._info.max_tokens}. Nothing was cut and nothing was scored.",
                hint="Cut the source into windows, or the claim into sentences.",
            )
        rows = self._network.rows(encoded, types=self._uses_types)
        return [self._columns.from_logits(row, temperature=self._temperature) for row in rows]

    def close(self) -> None:
        """Let go of the model's memory."""
        self._network.close()


class _SlowTokens:
    """A tokenizer written in Python, one call at a time: those keep state while they work."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()

    def encode(self, pairs: Sequence[Pair]) -> list[Encoded]:
        """The ids of each pair with its special tokens."""
        found = []
        with self._lock:
            for pair in pairs:
                encoding = self._tokenizer(
                    well_formed(pair.premise),
                    well_formed(pair.hypothesis),
                    truncation=False,
                    split_special_tokens=True,
                    return_token_type_ids=True,
                    verbose=False,
                )
                found.append(Encoded(encoding["input_ids"], encoding["token_type_ids"]))
        return found

    def count_pairs(self, pairs: Sequence[Pair]) -> list[int]:
        """The length of each pair with its special tokens."""
        return [len(encoded.ids) for encoded in self.encode(pairs)]

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text without special tokens."""
        with self._lock:
            return [len(self._tokenizer.tokenize(well_formed(text))) for text in texts]


def _tokens(source: str, tokenizer: Any) -> _Tokens:
    if tokenizer.is_fast:
        made = PairTokenizer(tokenizer.backend_tokenizer)
        made.require_own_ids(f"The tokenizer of {source!r}")
        return made
    return _SlowTokens(tokenizer)
