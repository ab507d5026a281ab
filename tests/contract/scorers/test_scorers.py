"""One contract, every implementation of PairScorer: fake, ONNX, torch, and the remote servers."""

from __future__ import annotations

import math
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from verifiers.backends import ModelSpec, choose_backend, load_scorer
from verifiers.backends.canary import CANARIES, check_canaries
from verifiers.backends.presets import PRESETS
from verifiers.backends.testing import TEMPLATE, FakeModelServer
from verifiers.cache import cache_key
from verifiers.engine import NLIEngine
from verifiers.errors import InputTooLong, ModelUnavailable
from verifiers.testing import ScriptedScorer, lexical_rule
from verifiers.types import Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from verifiers.protocols import PairScorer

LABELS = ("contradiction", "entailment", "neutral")
PREMISE = "The shop sells 30 kinds of bread and 12 kinds of cheese every day."
PAIRS = (
    Pair(PREMISE, "The shop sells 30 kinds of bread."),
    Pair(PREMISE, "The shop sells 45 kinds of bread."),
    Pair("Whales sing at night.", "The shop does not sell bread."),
    Pair("one two", "three"),
)
WEIGHTLESS = ["scripted", "tei", "vllm-template", "vllm-ids", "kserve-ids", "kserve-texts"]
FORMS = ["onnx-exit@fp32", "onnx-exit@int8"]
MODELS = ["onnx-tiny", "onnx-bundled", *FORMS, "torch-bert", "torch-roberta", "torch-deberta-v2"]
ON_GPU = ["torch-bert@cuda", "preset-minicheck-flan-t5@cuda", "preset-lettucedetect-base@cuda"]
EVERY = [*WEIGHTLESS, *MODELS, *(f"preset-{name}" for name in PRESETS), *ON_GPU]

pytestmark = pytest.mark.filterwarnings(
    # transformers and torch, on import and on saving; nothing we can act on.
    "ignore::DeprecationWarning:transformers.*",
    "ignore::DeprecationWarning:torch.*",
    "ignore::FutureWarning:transformers.*",
)


@pytest.fixture(scope="session")
def make(
    word_tokenizer, decode, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Callable[[], PairScorer]]]:
    """By name, a way to make one of the implementations; servers run until the session ends."""
    with ExitStack() as stack:

        def served(name: str) -> ModelSpec:
            metadata: dict[str, Any] = {}
            spec: dict[str, Any] = {"labels": LABELS, "max_tokens": 64}
            dialect, _, kind = name.partition("-")
            if dialect == "tei":
                spec = {}
            elif kind == "template":
                spec["template"] = TEMPLATE
            else:
                spec["tokenizer"] = str(word_tokenizer)
            if dialect == "kserve":
                spec["model"] = "nli"
            if kind == "texts":
                metadata = {
                    "inputs": [
                        {"name": n, "datatype": "BYTES", "shape": [-1, 1]}
                        for n in ("premise", "hypothesis")
                    ],
                    "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}],
                }
            server = FakeModelServer(
                dialect, labels=LABELS, max_tokens=64, max_batch=3, decode=decode, metadata=metadata
            )
            return ModelSpec(backend=dialect, url=stack.enter_context(server).url, **spec)

        def spec_of(name: str) -> ModelSpec:
            if name == "onnx-tiny":
                folder = request.getfixturevalue("tiny_onnx")
                return ModelSpec(model=str(folder), canaries=False)
            if name == "onnx-bundled":
                return ModelSpec()
            if name in FORMS:
                folder = request.getfixturevalue("tiny_forms")
                form = "fp32" if name.endswith("fp32") else "int8"
                return ModelSpec(model=str(folder), form=form, canaries=False)
            name, _, device = name.partition("@")
            device = device or "cpu"
            if device != "cpu" and not pytest.importorskip("torch").cuda.is_available():
                pytest.skip("no CUDA device here")
            if name.startswith("torch-"):
                folder = request.getfixturevalue("tiny_torch")(name.removeprefix("torch-"))
                return ModelSpec(model=str(folder), backend="torch", device=device, canaries=False)
            if name.startswith("preset-"):
                model = name.removeprefix("preset-")
                folder = request.getfixturevalue("tiny_preset")(model)
                return ModelSpec(
                    model=model,
                    folder=str(folder),
                    device=device,
                    max_tokens=130,
                    canaries=False,
                )
            return served(name)

        specs: dict[str, ModelSpec] = {}

        def factory(name: str) -> Callable[[], PairScorer]:
            if name == "scripted":
                return lambda: ScriptedScorer(max_tokens=64)
            if name not in specs:
                specs[name] = spec_of(name)
            spec = specs[name]
            return lambda: load_scorer(spec)

        yield factory


@pytest.fixture(scope="session")
def loaded(make) -> Iterator[Callable[[str], PairScorer]]:
    """By name, one loaded scorer for all tests."""
    scorers: dict[str, PairScorer] = {}

    def get(name: str) -> PairScorer:
        if name not in scorers:
            scorers[name] = make(name)()
        return scorers[name]

    yield get
    for scorer in scorers.values():
        scorer.close()


@pytest.fixture(params=EVERY)
def factory(request: pytest.FixtureRequest, make) -> Callable[[], PairScorer]:
    """Makes one of the implementations."""
    return make(request.param)


@pytest.fixture(params=EVERY)
def scorer(request: pytest.FixtureRequest, loaded) -> PairScorer:
    """A loaded scorer."""
    return loaded(request.param)


def _close(left: tuple[float, ...], right: tuple[float, ...]) -> bool:
    return all(math.isclose(a, b, abs_tol=1e-4) for a, b in zip(left, right, strict=True))


def test_info_says_what_scores(scorer: PairScorer) -> None:
    """A record of a score can name the model, its revision, form and labels."""
    info = scorer.info
    assert info.name
    assert info.revision
    assert info.backend
    assert info.form
    assert info.max_tokens >= 64
    assert info.labels
    assert info == scorer.info
    assert cache_key(info, PAIRS[0]).startswith("v1:b2:")


def test_scores_are_probabilities_in_order(scorer: PairScorer) -> None:
    """One triple a pair, in [0, 1], summing to 1, whatever the company of the pair."""
    together = scorer.score(PAIRS)
    assert len(PAIRS) == len(together)
    for probs in together:
        assert all(0.0 <= p <= 1.0 for p in probs)
        assert math.isclose(1.0, sum(probs), abs_tol=1e-6)
    # Different lengths: padding must change nothing, order must be kept.
    alone = [scorer.score([pair])[0] for pair in PAIRS]
    assert all(_close(a, b) for a, b in zip(together, alone, strict=True))
    turned = scorer.score(PAIRS[::-1])
    assert all(_close(a, b) for a, b in zip(together, turned[::-1], strict=True))


def test_pairs_are_told_apart(scorer: PairScorer) -> None:
    """Different pairs get different scores: the suite would notice a scorer that mixes them up."""
    assert len({tuple(round(p, 5) for p in probs) for probs in scorer.score(PAIRS)}) > 1


def test_nothing_scores_nothing(scorer: PairScorer) -> None:
    """An empty batch is an empty answer."""
    assert scorer.score([]) == []
    assert scorer.count_tokens([]) == []
    assert scorer.count_text([]) == []


def test_too_long_is_refused_and_never_cut(scorer: PairScorer) -> None:
    """A pair beyond the limit raises; the pair just within it is scored."""
    limit = scorer.info.max_tokens
    long = Pair("word " * (limit + 1), "one two")
    with pytest.raises(InputTooLong) as caught:
        scorer.score([PAIRS[0], long])
    assert "word word" not in str(caught.value)
    assert scorer.count_tokens([long])[0] > limit
    fitting = next(
        pair
        for size in range(limit, 0, -1)
        if scorer.count_tokens([pair := Pair("word " * size, "one")])[0] <= limit
    )
    assert len(scorer.score([fitting])) == 1
    assert limit - scorer.count_tokens([fitting])[0] <= 1


def test_the_last_words_matter(scorer: PairScorer) -> None:
    """What stands at the end of an input that fits is read, not cut: its tokens are counted."""
    short, long = (scorer.count_tokens([Pair("word " * n, "one")])[0] for n in (20, 40))
    assert long - short == 20


def test_counts_are_consistent(scorer: PairScorer) -> None:
    """A pair is at least as long as its texts; text counts need no particular thread."""
    texts = [text for pair in PAIRS for text in pair]
    found: list[list[int]] = []
    thread = threading.Thread(target=lambda: found.append(scorer.count_text(texts)))
    thread.start()
    thread.join()
    counts = found[0]
    assert counts == scorer.count_text(texts)
    for index, length in enumerate(scorer.count_tokens(PAIRS)):
        specials = length - counts[2 * index] - counts[2 * index + 1]
        assert 0 <= specials <= 6
    assert scorer.count_text([""]) == [0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\x00",
        "\ud800 lone",
        "👩‍👩‍👧",
        "שלום",
        "a\r\nb\u2028c",
        "[SEP] [CLS]",
        "{hypothesis}",
    ],
)
def test_any_text_is_scored(scorer: PairScorer, text: str) -> None:
    """Arbitrary Unicode never crashes, on either side."""
    for pair in (Pair(text, "one two"), Pair("one two", text)):
        (probs,) = scorer.score([pair])
        assert math.isclose(1.0, sum(probs), abs_tol=1e-6)


def test_close_twice(factory: Callable[[], PairScorer]) -> None:
    """Closing again is harmless."""
    made = factory()
    made.close()
    made.close()


def test_behind_the_engine(factory: Callable[[], PairScorer]) -> None:
    """The engine gives each pair exactly the scorer's own answer."""
    direct = factory()
    expected = direct.score(PAIRS)
    direct.close()
    with NLIEngine(factory) as engine:
        result = engine.score(PAIRS + PAIRS[:2])
    assert len(PAIRS) == result.scored
    assert all(_close(a, b) for a, b in zip([*expected, *expected[:2]], result.probs, strict=True))


@pytest.mark.parametrize("scorer", WEIGHTLESS, indirect=True)
def test_fakes_answer_by_the_rule(scorer: PairScorer) -> None:
    """Through every protocol, columns end up where they belong."""
    for pair, probs in zip(PAIRS, scorer.score(PAIRS), strict=True):
        assert _close(lexical_rule(pair), probs)


@pytest.mark.integration
@pytest.mark.parametrize("scorer", ["onnx-bundled"], indirect=True)
def test_the_bundled_model_knows_the_obvious(scorer: PairScorer) -> None:
    """Canaries pass, and the best label of most of them is the right one."""
    check_canaries(scorer)
    best = [probs.index(max(probs)) for probs in scorer.score(CANARIES)]
    assert sum(label == index % 3 for index, label in enumerate(best)) >= 15


def test_auto_chooses_by_what_is_there(tiny_onnx, tmp_path) -> None:
    """A folder with an .onnx file is ONNX, a folder without and a hub id are torch."""
    assert choose_backend(ModelSpec(model=str(tiny_onnx))) == "onnx"
    assert choose_backend(ModelSpec()) == "onnx"
    assert choose_backend(ModelSpec(model=str(tmp_path))) == "torch"
    assert choose_backend(ModelSpec(model="owner/name")) == "torch"
    for spec in (
        ModelSpec(model="/no/such/folder"),
        ModelSpec(model="http://127.0.0.1:1"),
        ModelSpec(backend="tei"),
        ModelSpec(backend="tensorflow"),  # type: ignore[arg-type]
    ):
        with pytest.raises(ModelUnavailable) as caught:
            choose_backend(spec)
        assert caught.value.hint


@pytest.mark.parametrize("name", FORMS)
def test_some_of_the_pairs_leave_early(make, name: str) -> None:
    """The contract holds for a batch of which a part answers from the network's middle."""
    scorer = make(name)()
    scorer.score(PAIRS)
    assert 0 < scorer.exited < len(PAIRS)
    assert "exit after 2" in scorer.info.form
    scorer.close()
