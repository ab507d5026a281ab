"""Networks under PyTorch: loading without code from the hub, and one forward pass at a time.

The only import of ``torch``, ``transformers`` and ``safetensors`` for scoring. Nothing of theirs
that the host application shares is changed: no thread counts, no default types, no random state,
no logging.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from verifiers.backends.presets import Head
from verifiers.errors import BackendFailed, MissingExtra, ModelUnavailable

try:
    import torch
    import transformers
    from safetensors.torch import load_file
except ModuleNotFoundError as exc:
    if exc.name not in ("torch", "transformers", "safetensors"):
        raise  # installed but broken
    raise MissingExtra(
        f"The torch backend needs {exc.name}, which is not installed.",
        hint="Run: pip install 'groundrail[torch]'",
    ) from exc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verifiers.backends.tokenizer import Encoded

_TOO_BIG = "Free memory, take a smaller model, or set `device` to one with more memory."


class Network:
    """One loaded model on its device, in fp32 and inference mode."""

    def __init__(self, model: Any, device: torch.device, *, pad_id: int | None) -> None:
        """Take over a loaded model and move it to its device.

        Raises:
            ModelUnavailable: If it does not fit the device's memory.
        """
        self.device = device
        self._pad_id = pad_id
        try:
            self._model: Any = model.float().eval().to(device)
        except (MemoryError, RuntimeError) as exc:
            raise ModelUnavailable(
                f"The model could not be moved to {device}"
                f"{': out of memory' if _out_of_memory(exc) else ''} ({type(exc).__name__})."
                " It was not used.",
                hint=_TOO_BIG,
            ) from exc

    @property
    def form(self) -> str:
        """Numeric form and device, for records."""
        return f"fp32/{self.device.type}"

    def rows(self, batch: Sequence[Encoded], *, types: bool = False) -> list[list[float]]:
        """One row of logits an input: of the pair, or of each input's first token.

        Raises:
            BackendFailed: If the model fails.
        """
        logits = self._run(batch, types=types)
        if logits.dim() == 3:  # noqa: PLR2004 - batch, tokens, columns: a token classifier
            logits = logits[:, 0, :]
        rows: list[list[float]] = self._checked(logits, batch)
        return rows

    def token_rows(self, batch: Sequence[Encoded]) -> list[list[list[float]]]:
        """One row of logits for every token of every input, padding included.

        Raises:
            BackendFailed: If the model fails.
        """
        found: list[list[list[float]]] = self._checked(self._run(batch), batch)
        return found

    def next_token_rows(self, batch: Sequence[Encoded], tokens: Sequence[int]) -> list[list[float]]:
        """The logits of some tokens as the first the decoder would write, one row an input.

        Raises:
            BackendFailed: If the model fails.
        """
        logits = self._run(batch, decode=True)
        rows: list[list[float]] = self._checked(logits[:, 0, list(tokens)], batch)
        return rows

    def close(self) -> None:
        """Let go of the model's memory."""
        self._model = None

    def _run(
        self, batch: Sequence[Encoded], *, types: bool = False, decode: bool = False
    ) -> torch.Tensor:
        if self._pad_id is None and len(batch) > 1:
            return torch.cat([self._run([item], types=types, decode=decode) for item in batch])
        longest = max(len(item.ids) for item in batch)
        pad = self._pad_id or 0
        feed = {
            "input_ids": [item.ids + [pad] * (longest - len(item.ids)) for item in batch],
            "attention_mask": [
                [1] * len(item.ids) + [0] * (longest - len(item.ids)) for item in batch
            ],
        }
        if types:
            feed["token_type_ids"] = [
                item.type_ids + [0] * (longest - len(item.ids)) for item in batch
            ]
        if decode:
            start = self._model.config.decoder_start_token_id
            feed["decoder_input_ids"] = [[0 if start is None else start]] * len(batch)
        try:
            with torch.inference_mode():
                tensors = {
                    name: torch.tensor(values, dtype=torch.long, device=self.device)
                    for name, values in feed.items()
                }
                logits: torch.Tensor = self._model(**tensors).logits.double().cpu()
        except (RuntimeError, IndexError, ValueError, MemoryError) as exc:
            out = _out_of_memory(exc)
            raise BackendFailed(
                f"The model {'ran out of memory' if out else 'failed'} on a batch of {len(batch)}"
                f" x {longest} tokens ({type(exc).__name__}). Nothing was scored.",
                hint="Lower the batch budget, or `max_tokens` of the model." if out else "",
            ) from exc
        return logits

    @staticmethod
    def _checked(logits: torch.Tensor, batch: Sequence[Encoded]) -> Any:
        rows = logits.tolist()
        if len(rows) != len(batch):
            raise BackendFailed(
                f"The model answered {len(rows)} rows for {len(batch)} pairs. Nothing was scored."
            )
        return rows


def open_device(name: str) -> torch.device:
    """The device of this name.

    Raises:
        ModelUnavailable: If it is not there. Nothing falls back in silence.
    """
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


def load_classifier(source: str, revision: str | None) -> tuple[Any, Any]:
    """Tokenizer and model of any sequence classifier: a folder, or a hub id.

    Raises:
        ModelUnavailable: If it cannot be loaded, wants code from the hub, or lacks weights.
    """
    try:
        # First, because it is what says that a model wants to run code.
        config = transformers.AutoConfig.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
        model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
            source,
            config=config,
            revision=revision,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as exc:
        # From deep inside come OSError, ValueError, KeyError, RuntimeError and others.
        raise _unloadable(source, exc) from exc
    _require_weights(source, report)
    return tokenizer, model


def load_head(folder: Path, head: Head) -> Any:
    """The model of an installed preset, from its folder alone.

    Raises:
        ModelUnavailable: If it cannot be loaded, wants code from the hub, or lacks weights.
    """
    kinds = {
        Head.SEQUENCE: transformers.AutoModelForSequenceClassification,
        Head.NEXT: transformers.AutoModelForSeq2SeqLM,
        Head.TOKENS: transformers.AutoModelForTokenClassification,
    }
    try:
        model, report = kinds[head].from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, output_loading_info=True
        )
    except Exception as exc:
        raise _unloadable(str(folder), exc) from exc
    _require_weights(str(folder), report)
    return model


def load_t5_token_classifier(
    config_folder: Path, weights: Path, *, columns: int, prefix: str
) -> Any:
    """A T5 encoder with a token classifier, from a config and weights that lie apart.

    Args:
        config_folder: Holds the encoder's ``config.json``.
        weights: The safetensors file.
        columns: Outputs of the classifier.
        prefix: What the weights' names begin with, to be taken off.

    Raises:
        ModelUnavailable: If a file cannot be read, or the weights are not exactly the network's.
    """
    name = str(weights)
    try:
        config = transformers.T5Config.from_pretrained(
            str(config_folder), local_files_only=True, num_labels=columns
        )
        state = {key.removeprefix(prefix): value for key, value in load_file(weights).items()}
        # The encoder's own table is the shared one; files hold either or both.
        shared, own = "transformer.shared.weight", "transformer.encoder.embed_tokens.weight"
        table = state.get(shared, state.get(own))
        if table is not None:
            state[shared] = state[own] = table
        # On the meta device nothing is drawn from the host's random state.
        with torch.device("meta"):
            model = transformers.T5ForTokenClassification(config)
        missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
    except Exception as exc:
        raise _unloadable(name, exc) from exc
    if missing or unexpected:
        raise ModelUnavailable(
            f"The weights {name} are not those of a T5 token classifier: {len(missing)} are missing"
            f" and {len(unexpected)} too many, among them {(*missing, *unexpected)[0]}."
            " It was not used.",
            hint="The file is incomplete, or of another model.",
        )
    return model


def folder_digest(folder: Path) -> str:
    """One digest of all weights and of the tokenizer of a local model."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".safetensors", ".bin") or path.name.startswith("tokenizer"):
            with path.open("rb") as stream:
                part = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{path.name}\0{part}\0".encode())
    return f"sha256:{digest.hexdigest()[:48]}"


def _require_weights(source: str, report: dict[str, Any]) -> None:
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        # transformers fills them with random numbers and only warns.
        raise ModelUnavailable(
            f"The model {source!r} lacks {len(missing)} weights, among them {missing[0]}."
            " It was not used.",
            hint="It was never trained as a classifier, or its file is incomplete.",
        )


def _unloadable(source: str, exc: Exception) -> ModelUnavailable:
    if "trust_remote_code" in str(exc):
        return ModelUnavailable(
            f"The model {source!r} wants to run code from the hub (trust_remote_code), which"
            " groundrail never does. It was not used.",
            hint="For Vectara's HHEM use the preset 'hhem-2.1-open', which needs none of it.",
        )
    if _out_of_memory(exc):
        return ModelUnavailable(
            f"There is not enough memory for the model {source!r} ({type(exc).__name__})."
            " It was not used.",
            hint=_TOO_BIG,
        )
    return ModelUnavailable(
        f"transformers cannot load the model {source!r} ({type(exc).__name__}). It was not used.",
        hint="Check the name, the revision and the network, or that the folder holds config.json,"
        " tokenizer and weights, whole. Models that need code from the hub are not run.",
    )


def _out_of_memory(exc: BaseException) -> bool:
    said = str(exc).lower()
    return (
        isinstance(exc, MemoryError | torch.OutOfMemoryError)
        or "out of memory" in said
        or "can't allocate memory" in said
    )
