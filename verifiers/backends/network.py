"""Networks under PyTorch: loading without code from the hub, and one forward pass at a time.

The only import of ``torch``, ``transformers`` and ``safetensors`` for scoring. Nothing of theirs
that the host application shares is changed: no thread counts, no default types, no random state,
no logging.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from verifiers.backends.load_faults import TOO_BIG, require_weights, unloadable, wants_code
from verifiers.backends.presets import Head
from verifiers.errors import BackendFailed, MissingExtra, ModelUnavailable
from verifiers.memory import out_of_memory

try:
    import torch
    import transformers
    from safetensors.torch import load_file
    from transformers.utils import logging as bars
except ModuleNotFoundError as exc:
    if exc.name not in ("torch", "transformers", "safetensors"):
        raise  # installed but broken
    raise MissingExtra(
        f"The torch backend needs {exc.name}, which is not installed.",
        hint="Run: pip install 'groundrail[torch]'",
    ) from exc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from verifiers.backends.tokenizer import Encoded

_PLAIN = "The museum is open every day from nine until six."


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
            self._model: Any = _in_memory(model.float().eval().to(device))
        except (MemoryError, RuntimeError) as exc:
            raise ModelUnavailable(
                f"The model could not be moved to {device}"
                f"{': out of memory' if out_of_memory(exc) else ''} ({type(exc).__name__})."
                " It was not used.",
                hint=TOO_BIG,
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
            out = out_of_memory(exc)
            raise BackendFailed(
                f"The model {'ran out of memory' if out else 'failed'} on a batch of {len(batch)}"
                f" x {longest} tokens ({type(exc).__name__}). Nothing was scored.",
                hint="Lower the batch budget, or `max_tokens` of the model."
                if out
                else "Run `groundrail doctor`; if it says the model is well, report this.",
            ) from exc
        return logits

    @staticmethod
    def _checked(logits: torch.Tensor, batch: Sequence[Encoded]) -> Any:
        rows = logits.tolist()
        if len(rows) != len(batch):
            raise BackendFailed(
                f"The model answered {len(rows)} rows for {len(batch)} pairs. Nothing was scored.",
                hint="Run `groundrail doctor`.",
            )
        return rows


def _in_memory(model: Any) -> Any:
    """The model with weights of its own, on no file any more.

    Loaded weights are the file itself, mapped: were it overwritten in place, the model would go on
    with other weights than those whose digest was checked, and say nothing.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.device.type == "cpu":
            tensor.data = tensor.data.clone()
    return model


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
    # First, because it is what says that a model wants to run code.
    config = _config_of(source, revision)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
        with _no_bars():
            model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
                source,
                config=config,
                revision=revision,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # told in the report, and refused below
            )
    except Exception as exc:
        # From deep inside come OSError, ValueError, KeyError, RuntimeError and others.
        raise unloadable(source, exc, memory=out_of_memory(exc)) from exc
    require_weights(source, report)
    _require_own_tokenizer(source, tokenizer, model)
    return tokenizer, model


def _config_of(source: str, revision: str | None) -> Any:
    try:
        config = transformers.AutoConfig.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
    except Exception as exc:
        raise unloadable(source, exc, memory=out_of_memory(exc)) from exc
    if "AutoModelForSequenceClassification" in (getattr(config, "auto_map", None) or {}):
        # Where it knows the family, transformers runs its own code in the place of theirs.
        raise wants_code(source)
    return config


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
        with _no_bars():
            model, report = kinds[head].from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # told in the report, and refused below
            )
    except Exception as exc:
        raise unloadable(str(folder), exc, memory=out_of_memory(exc)) from exc
    require_weights(str(folder), report)
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
        raise unloadable(name, exc, memory=out_of_memory(exc)) from exc
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


def require_rows(source: str, model: Any, highest: int) -> None:
    """See that the model has a vector for every token its tokenizer can name.

    Args:
        source: For the message.
        model: A loaded network.
        highest: The largest token id of the tokenizer's vocabulary.

    Raises:
        ModelUnavailable: If not: on a CPU such a token is an error in the middle of scoring, on a
            GPU it breaks the device for the whole process.
    """
    rows = int(model.get_input_embeddings().weight.shape[0])
    if highest >= rows:
        raise ModelUnavailable(
            f"The tokenizer of {source!r} names tokens up to {highest}, but the model knows"
            f" {rows}. It was not used.",
            hint="Tokenizer and weights belong to different models: fetch both again.",
        )


def _require_own_tokenizer(source: str, tokenizer: Any, model: Any) -> None:
    """Refuse a tokenizer of another model, and one made up where its files are missing."""
    require_rows(source, model, max(tokenizer.get_vocab().values(), default=-1))
    ids = tokenizer(_PLAIN, add_special_tokens=False)["input_ids"]
    if not set(ids) - {tokenizer.unk_token_id}:
        raise ModelUnavailable(
            f"The tokenizer of {source!r} knows no word of a plain sentence. It was not used.",
            hint="Its files are missing, empty or another model's: fetch the model again, with"
            " tokenizer.json.",
        )


@contextmanager
def _no_bars() -> Iterator[None]:
    """Progress bars of transformers, put back afterwards as the application had them."""
    if not bars.is_progress_bar_enabled():
        yield
        return
    bars.disable_progress_bar()
    try:
        yield
    finally:
        bars.enable_progress_bar()
