"""Whether a folder's tokenizer is the one its network was trained with, as far as can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifiers.errors import ModelUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from verifiers.backends.config import ModelConfig
    from verifiers.backends.tokenizer import PairTokenizer

_PLAIN = "The museum is open every day from nine until six."


def require_fit(folder: Path, tokenizer: PairTokenizer, config: ModelConfig) -> None:
    """Refuse a tokenizer that reads nothing, or frames a pair otherwise than the config says.

    What comes of the wrong ones are scores like any others, only worse.

    Raises:
        ModelUnavailable: If so.
    """
    put = tokenizer.specials()
    for key, number in config.frame.items():
        if number not in put.values():
            said = ", ".join(f"{token} {own}" for token, own in put.items()) or "none"
            raise ModelUnavailable(
                f"config.json in {folder} says `{key}` {number}, but the tokens that tokenizer.json"
                f" puts around a pair are: {said}. It was not used.",
                hint="They belong to different models: fetch both again, or correct the config.",
            )
    (ids,) = tokenizer.texts([_PLAIN])
    if len(set(ids)) <= 1:  # none at all, or all of them the one that stands for unknown words
        raise ModelUnavailable(
            f"The tokenizer in {folder} knows no word of a plain sentence. It was not used.",
            hint="It is empty or another model's: fetch the model again, with tokenizer.json.",
        )
