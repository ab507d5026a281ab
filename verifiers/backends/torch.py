"""NLI under PyTorch: any Hugging Face sequence-classification model, on CPU or GPU.

The only import of ``torch`` and ``transformers``. Nothing of theirs that the host application
shares is changed: no thread counts, no default types, no logging. So ``threads`` has no effect
here; set torch's own in the application.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from verifiers.backends.config import longest_input, read_calibration
from verifiers.backends.labels import read_columns
from verifiers.backends.tokenizer import Encoded, PairTokenizer, well_formed
from verifiers.errors import BackendFailed, InputTooLong, MissingExtra, ModelUnavailable
from verifiers.types import ModelInfo

try:
    import torch
    import transformers
except ModuleNotFoundError as exc:
    if exc.name not in ("torch", "transformers"):
        raise  # installed but broken
    raise MissingExtra(
        f"The torch backend needs {exc.name}, which is not installed.",
        hint="Run: pip install 'groundrail[torch]'",
    ) from exc

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
        self._device = _device(spec.device)
        folder = Path(spec.model).expanduser()
        local = folder.is_dir()
        source = str(folder) if local else spec.model
        tokenizer, model = _load(source, None if local else spec.revision)
        config = model.config.to_dict()
        self._columns = read_columns(config.get("id2label") or {}, override=spec.labels)
        if len(self._columns.roles) != model.config.num_labels:
            raise ModelUnavailable(
                f"The model has {model.config.num_labels} outputs, but its labels name"
                f" {len(self._columns.roles)}. It was not used.",
                hint="Correct `labels`.",
            )
        self._temperature, calibration = read_calibration(source, config.get("calibration"))
        self._tokens = _tokens(tokenizer)
        pad = tokenizer.pad_token_id
        self._pad_id: int | None = pad if pad is not None else model.config.pad_token_id
        self._uses_types = "token_type_ids" in tokenizer.model_input_names
        longest = longest_input(config, source, override=spec.max_tokens)
        if tokenizer.model_max_length < _UNSET_LENGTH:
            longest = min(longest, int(tokenizer.model_max_length))
        revision = _digest(folder) if local else str(getattr(model.config, "_commit_hash", None))
        if local and spec.revision is not None and not revision.startswith(spec.revision):
            raise ModelUnavailable(
                f"The model in {folder} is {revision}, but {spec.revision} is pinned."
                " It was not used.",
                hint="Put the pinned files there, or change `revision`.",
            )
        self._model: Any = model.float().eval().to(self._device)
        self._info = ModelInfo(
            name=spec.model,
            revision=revision,
            backend="torch",
            max_tokens=longest,
            calibration=calibration,
            form=f"fp32/{self._device.type}",
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
        batches = [encoded] if self._pad_id is not None else [[item] for item in encoded]
        rows = [row for batch in batches for row in self._forward(batch)]
        return [self._columns.from_logits(row, temperature=self._temperature) for row in rows]

    def close(self) -> None:
        """Let go of the model's memory."""
        self._model = None

    def _forward(self, batch: list[Encoded]) -> list[list[float]]:
        longest = max(len(item.ids) for item in batch)
        pad = self._pad_id or 0
        feed = {
            "input_ids": [item.ids + [pad] * (longest - len(item.ids)) for item in batch],
            "attention_mask": [
                [1] * len(item.ids) + [0] * (longest - len(item.ids)) for item in batch
            ],
        }
        if self._uses_types:
            feed["token_type_ids"] = [
                item.type_ids + [0] * (longest - len(item.ids)) for item in batch
            ]
        try:
            with torch.inference_mode():
                tensors = {
                    name: torch.tensor(values, dtype=torch.long, device=self._device)
                    for name, values in feed.items()
                }
                logits = self._model(**tensors).logits
            rows: list[list[float]] = logits.double().cpu().tolist()
        except (RuntimeError, IndexError, ValueError) as exc:
            raise BackendFailed(
                f"The model failed on a batch of {len(batch)} x {longest} tokens"
                f" ({type(exc).__name__}). Nothing was scored.",
                hint="If the device ran out of memory, lower the batch budget.",
            ) from exc
        if len(rows) != len(batch):
            raise BackendFailed(
                f"The model answered {len(rows)} rows for {len(batch)} pairs. Nothing was scored."
            )
        return rows


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


def _tokens(tokenizer: Any) -> _Tokens:
    if tokenizer.is_fast:
        return PairTokenizer(tokenizer.backend_tokenizer)
    return _SlowTokens(tokenizer)


def _load(source: str, revision: str | None) -> tuple[Any, Any]:
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
        model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
            source, revision=revision, trust_remote_code=False, output_loading_info=True
        )
    except Exception as exc:
        # From deep inside come OSError, ValueError, KeyError, RuntimeError and others.
        raise ModelUnavailable(
            f"transformers cannot load the model {source!r} ({type(exc).__name__})."
            " It was not used.",
            hint="Check the name, the revision and the network, or that the folder holds"
            " config.json, tokenizer and weights, whole. Models that need code from the hub are"
            " not run.",
        ) from exc
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        # transformers fills them with random numbers and only warns.
        raise ModelUnavailable(
            f"The model {source!r} lacks {len(missing)} weights, among them {missing[0]}."
            " It was not used.",
            hint="It was never trained as a classifier, or its file is incomplete.",
        )
    return tokenizer, model


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise ModelUnavailable(
            f"There is no device {name!r}.", hint="Set `device` to cpu, cuda or cuda:N."
        ) from exc
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise ModelUnavailable(
                f"The device {name!r} was asked for, but torch {torch.__version__} sees {count}"
                " CUDA devices.",
                hint="Install torch for CUDA and check the driver, or set `device` to cpu.",
            )
    elif device.type not in ("cpu", "mps", "xpu"):
        raise ModelUnavailable(
            f"The device {name!r} is not supported.", hint="Set `device` to cpu, cuda or cuda:N."
        )
    return device


def _digest(folder: Path) -> str:
    """One digest of all weights and of the tokenizer of a local model."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".safetensors", ".bin") or path.name.startswith("tokenizer"):
            with path.open("rb") as stream:
                part = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{path.name}\0{part}\0".encode())
    return f"sha256:{digest.hexdigest()[:48]}"
