"""A tokenizer that is not the network's own is refused at load, on no pair that happens to show it."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from verifiers.backends import ModelSpec, load_scorer
from verifiers.backends.load_faults import onnx_untried
from verifiers.backends.tokenizer import PairTokenizer
from verifiers.errors import ModelUnavailable
from verifiers.types import Pair

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = Pair("The shop sells bread.", "The shop sells bread.")


@pytest.fixture
def folder(tiny_onnx: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to break."""
    shutil.copytree(tiny_onnx, tmp_path / "tiny")
    return tmp_path / "tiny"


def change(folder: Path, name: str, change_it: Callable[[dict[str, Any]], object]) -> None:
    path = folder / name
    body = json.loads(path.read_text())
    change_it(body)
    path.write_text(json.dumps(body))


def refused(folder: Path, **extra: Any) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        load_scorer(ModelSpec(model=str(folder), backend="onnx", canaries=False, **extra))
    assert caught.value.hint
    return caught.value.message


def loads(folder: Path) -> None:
    scorer = load_scorer(ModelSpec(model=str(folder), canaries=False))
    assert len(scorer.score([PLAIN])) == 1
    scorer.close()


# ------------------------------------------------------------------ more tokens than vectors


def more_words(body: dict[str, Any]) -> None:
    vocabulary = body["model"]["vocab"]
    vocabulary["zebra"] = len(vocabulary)


def another_special(body: dict[str, Any]) -> None:
    number = len(body["model"]["vocab"])
    body["added_tokens"].append({**body["added_tokens"][0], "id": number, "content": "[NEW]"})


def a_hole(body: dict[str, Any]) -> None:
    """As many words as there are vectors, but not numbered through."""
    body["model"]["vocab"]["bread"] = 4_000


@pytest.mark.parametrize("spoil", [more_words, another_special, a_hole])
def test_a_token_beyond_the_table(folder: Path, spoil: Callable[[dict[str, Any]], None]) -> None:
    """Whichever token it is, and whether or not a pair has it."""

    def changed(body: dict[str, Any]) -> None:
        special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        body["added_tokens"] = [{"id": 0, "content": "[PAD]", "special": True, **special}]
        spoil(body)

    loads(folder)
    change(folder, "tokenizer.json", changed)
    assert "model.onnx does not have a vector for each" in refused(folder)


def test_padding_beyond_the_table(folder: Path) -> None:
    """Only a batch of unlike lengths would show it."""
    change(folder, "config.json", lambda body: body.update(pad_token_id=4_000))
    assert "padded with 4000" in refused(folder)


@pytest.mark.integration
@pytest.mark.parametrize("form", ["fp32", "int8"])
def test_a_token_beyond_the_bundled_table(tmp_path: Path, form: str) -> None:
    """In both forms, whose tables are stored otherwise."""
    bundled = load_scorer(ModelSpec(canaries=False))
    own = Path(str(files("verifiers"))) / "models" / bundled.info.name
    bundled.close()
    for file in own.iterdir():
        if file.suffix != ".json":
            (tmp_path / file.name).symlink_to(file)
        else:
            shutil.copy(file, tmp_path / file.name)
    change(tmp_path, "tokenizer.json", more_words)
    change(tmp_path, "config.json", lambda body: body["sha256"].pop("tokenizer.json"))
    assert "names tokens up to 30522" in refused(tmp_path, form=form)


class OnCuda:
    """A session that is not on the CPU and, as there, answers for tokens it does not have."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def run(self, *_: Any) -> Any:
        raise AssertionError("it would have answered")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


@pytest.mark.parametrize(("rows", "fits"), [(3, False), (100_000, True), (None, True)])
def test_elsewhere_than_on_a_cpu_the_config_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rows: int | None, fits: bool
) -> None:
    """There no fault is told: a vector is made up."""
    from verifiers.backends import onnx

    made = onnx._session
    monkeypatch.setattr(onnx, "_session", lambda *given: OnCuda(made(*given)))
    change(folder, "config.json", lambda body: body.update(vocab_size=rows))
    if fits:
        load_scorer(ModelSpec(model=str(folder), canaries=False)).close()
    else:
        assert "does not have a vector" in refused(folder)


@pytest.mark.parametrize(
    ("error", "says", "hints"),
    [
        (RuntimeError("indices element out of data bounds, idx=20"), "vector", "fetch all"),
        (RuntimeError("Status Message: input index out of range"), "vector", "fetch all"),
        (RuntimeError("Failed to allocate memory"), "memory", "Free memory"),
        (RuntimeError("Got invalid dimensions for input"), "on two tokens", "any length"),
    ],
    ids=str,
)
def test_what_onnx_runtime_says_of_the_last_token(error: Exception, says: str, hints: str) -> None:
    """Another model's tokenizer is told apart from memory and from a graph that takes no pair."""
    found = onnx_untried("model.onnx", 20, 0, error)
    assert says in found.message
    assert hints in found.hint


# ------------------------------------------------------------------ ids of special tokens


def template_of_another(body: dict[str, Any]) -> None:
    body["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [7]


def vocabulary_of_another(body: dict[str, Any]) -> None:
    vocabulary = body["model"]["vocab"]
    vocabulary["[SEP]"], vocabulary["bread"] = vocabulary["bread"], vocabulary["[SEP]"]


def no_such_token(body: dict[str, Any]) -> None:
    vocabulary = body["model"]["vocab"]
    vocabulary["[BEGIN]"] = vocabulary.pop("[CLS]")


def added_elsewhere(body: dict[str, Any]) -> None:
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    body["added_tokens"] = [{"id": 9, "content": "[MASK]", "special": True, **special}]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (template_of_another, "'[CLS]' as 7, but its vocabulary has it as 2"),
        (vocabulary_of_another, "'[SEP]' as 3, but its vocabulary has it as"),
        (no_such_token, "'[CLS]' as 2, but its vocabulary has none such"),
        (added_elsewhere, "'[MASK]' as 9, but its vocabulary has it as 4"),
    ],
)
def test_a_tokenizer_that_contradicts_itself(
    folder: Path, spoil: Callable[[dict[str, Any]], None], says: str
) -> None:
    """The library believes the template and renumbers what was added; whoever reads the file is told."""
    change(folder, "tokenizer.json", spoil)
    assert says in refused(folder)
    with pytest.raises(ModelUnavailable):
        PairTokenizer.load(folder / "tokenizer.json")


@pytest.mark.parametrize("spoil", [template_of_another, vocabulary_of_another])
def test_a_tokenizer_that_contradicts_itself_under_torch(
    tiny_torch: Callable[[str], Path], tmp_path: Path, spoil: Callable[[dict[str, Any]], None]
) -> None:
    """transformers believes the template, too."""
    shutil.copytree(tiny_torch("bert"), tmp_path / "bert")
    change(tmp_path / "bert", "tokenizer.json", spoil)
    with pytest.raises(ModelUnavailable, match="but its vocabulary has"):
        load_scorer(ModelSpec(model=str(tmp_path / "bert"), backend="torch", canaries=False))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"cls_token_id": 101}, "`cls_token_id` 101, but"),
        ({"sep_token_id": 4}, "`sep_token_id` 4, but"),
        ({"model_type": "roberta", "bos_token_id": 0}, "`bos_token_id` 0, but"),
        ({"model_type": "roberta", "bos_token_id": 2, "eos_token_id": 1}, "`eos_token_id` 1, but"),
        ({"model_type": "roberta", "bos_token_id": 2, "eos_token_id": 3}, None),
        ({"cls_token_id": 2, "sep_token_id": 3, "eos_token_id": None}, None),
        # Configs of other families carry these along.
        ({"model_type": "bert", "bos_token_id": 0, "eos_token_id": 1}, None),
    ],
    ids=str,
)
def test_other_tokens_around_a_pair_than_the_config_says(
    folder: Path, fields: dict[str, Any], says: str | None
) -> None:
    """Its tokens are all in the table, so that only the config can tell them for wrong."""
    change(folder, "config.json", lambda body: body.update(fields))
    if says is None:
        loads(folder)
        return
    said = refused(folder)
    assert says in said
    assert "[CLS] 2, [SEP] 3" in said


def test_a_tokenizer_that_knows_no_word(folder: Path) -> None:
    """Every text would read as the same unknown words."""

    def empty(body: dict[str, Any]) -> None:
        vocabulary = body["model"]["vocab"]
        for word in list(vocabulary)[5:]:
            del vocabulary[word]

    change(folder, "tokenizer.json", empty)
    assert "knows no word" in refused(folder)
