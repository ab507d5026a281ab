"""Systems and their runs: scores, what they cost, what is kept, and what a stopped run loses."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import pytest

from verifiers.bench import running
from verifiers.bench.items import Item
from verifiers.bench.resample import draw_counts
from verifiers.bench.running import ResultFile, run
from verifiers.bench.suite import measure
from verifiers.bench.systems import BareModel, Overlap, Pipeline, Result
from verifiers.claims import make_extractor
from verifiers.engine import NLIEngine
from verifiers.errors import BackendFailed
from verifiers.pipeline import EvidenceSettings
from verifiers.testing import ENTAILED, NEUTRAL, ScriptedScorer
from verifiers.types import Span

SOURCE = "Unused items may be returned within 30 days. Gift cards cannot be returned."


@pytest.fixture
def items() -> list[Item]:
    """A supported claim, one with a wrong number, and an answer with one sentence too many."""
    wrong = "Unused items may be returned within 60 days."
    answer = "Shipping is free for all. Gift cards can be resold for cash."
    return [
        Item("a", "s", (SOURCE,), "Gift cards cannot be returned now.", None, "claim", True, None),
        Item("b", "s", (SOURCE,), wrong, None, "claim", False, (Span(36, 43),)),
        Item(
            "c", "s", (SOURCE, "Shipping is free."), answer, None, "answer", False, (Span(27, 60),)
        ),
    ]


@pytest.fixture
def engine():
    with NLIEngine(ScriptedScorer) as made:
        yield made


def test_the_whole_path_tells_supported_from_not(items, engine) -> None:
    """With a scripted model: scores, flagged spans, claims, pairs and tokens as they should be."""
    system = Pipeline(make_extractor("xx"), engine, EvidenceSettings())
    found = run(system, items)
    system.close()
    right, wrong, answer = found
    assert right.score is not None
    assert right.score > 0.5
    assert wrong.score is not None
    assert wrong.score < 0.5
    assert answer.score is not None
    assert answer.score < 0.5
    assert (right.claims, answer.claims) == (1, 2)
    assert answer.pairs >= 2
    assert right.tokens == sum(engine.count_text([SOURCE, items[0].text]))
    row = measure(
        "pipeline", "s", items, found, threshold=0.5, counts=draw_counts(3, name="s", resamples=20)
    ).figures
    assert row.balanced_accuracy.value == 1.0
    assert row.best_balanced_accuracy.value == 1.0
    assert row.span_f1 is not None
    assert row.span_f1.value > 0.5
    assert row.granularity == "mixed"


def test_what_was_labelled_as_a_claim_is_judged_also_where_it_looks_like_none(engine) -> None:
    """A question labelled as a claim is read whole; as an answer it has nothing to contradict."""
    text = "Can gift cards be resold for cash?"
    as_claim = Item("q", "s", (SOURCE,), text, None, "claim", False, None)
    as_answer = Item("q", "s", (SOURCE,), text, None, "answer", False, None)
    system = Pipeline(make_extractor("xx"), engine, EvidenceSettings())
    claim, answer = run(system, [as_claim, as_answer])
    system.close()
    (whole,) = bare([as_claim], engine, values=True)
    assert (answer.score, answer.claims) == (1.0, 0)
    assert claim.score == whole.score
    assert claim.score is not None
    assert claim.score < 0.5
    assert (claim.claims, claim.flagged, claim.pairs) == (1, ((0, len(text), claim.score),), 1)


def bare(items, engine, *, values):
    system = BareModel(make_extractor("xx"), engine, EvidenceSettings(), values=values)
    try:
        return run(system, items)
    finally:
        system.close()


def test_values_lower_the_support_of_a_window(items) -> None:
    """Where a model is fooled by a number, the value layer is not."""
    with NLIEngine(lambda: ScriptedScorer(lambda _: ENTAILED)) as engine:
        alone, careful = bare(items, engine, values=False), bare(items, engine, values=True)
    assert alone[1].score == ENTAILED.entailment
    assert careful[1].score is not None
    assert careful[1].score < 0.5
    assert careful[0].score == ENTAILED.entailment


def test_the_best_window_counts_and_all_are_read() -> None:
    """However many others say nothing; the pairs and tokens of all of them are counted."""
    text = "The fee is waived for members of the club. "
    item = Item("x", "s", ("Other words stand here. " * 60, text), text, None, "claim", True, None)
    with NLIEngine(
        lambda: ScriptedScorer(lambda pair: ENTAILED if "fee" in pair.premise else NEUTRAL)
    ) as engine:
        (result,) = bare([item], engine, values=False)
    assert result.score == ENTAILED.entailment
    assert result.pairs > 2
    assert result.tokens > 240


def test_systems_on_one_engine_share_their_scores(items) -> None:
    """What the bare model scored costs the pipeline nothing: both read the same windows."""
    from verifiers.cache import MemoryCache

    claims = [item for item in items if item.granularity == "claim"]
    with NLIEngine(ScriptedScorer, cache=MemoryCache()) as engine:
        bare(claims, engine, values=False)
        scored = engine.stats.scored
        bare(claims, engine, values=True)
        piped = Pipeline(make_extractor("xx"), engine, EvidenceSettings())
        run(piped, claims)
        piped.close()
        assert engine.stats.scored == scored > 0
        assert engine.stats.cached >= 2 * scored


def test_many_items_fill_a_batch() -> None:
    """Short pairs of different items are scored together, not one by one."""
    items = [
        Item(str(i), "s", (f"Item {i} is here.",), f"Item {i} is there.", None, "claim", True, None)
        for i in range(200)
    ]
    held = threading.Event()

    def slow(_pair):
        held.wait(0.002)
        return ENTAILED

    with NLIEngine(lambda: ScriptedScorer(slow)) as engine:
        bare(items, engine, values=False)
        assert engine.stats.scored == 200
        assert engine.stats.batches < 40


def test_a_failure_is_a_result_and_is_tried_again(tmp_path, items) -> None:
    """A server that was down scores nothing; the next run asks it again, not what it knew."""

    def down(_pair):
        raise BackendFailed("the server does not answer")

    with NLIEngine(lambda: ScriptedScorer(down)) as engine:
        for system in (
            BareModel(make_extractor("xx"), engine, EvidenceSettings(), values=True),
            Pipeline(make_extractor("xx"), engine, EvidenceSettings()),
        ):
            failed = run(system, items, folder=tmp_path)
            assert [r.score for r in failed] == [None] * 3
            assert all(r.error and r.passing for r in failed)
            assert ResultFile(tmp_path, system).known == {}
            system.close()


def test_what_has_no_source_or_does_not_fit_is_said(engine) -> None:
    """Neither is a score, and neither will go better next time."""
    nothing = Item("a", "s", (), "A claim.", None, "claim", True, None)
    endless = Item("b", "s", ("A source.",), "word " * 600, None, "claim", True, None)
    first, second = bare([nothing, endless], engine, values=False)
    assert first.score is None
    assert "no source" in str(first.error)
    assert second.score is None
    assert "tokens" in str(second.error)
    assert not first.passing
    assert not second.passing


class Counting(Overlap):
    """Counts what it is asked, and may die on the way."""

    def __init__(self, die_after: int | None = None) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.die_after = die_after

    def score(self, item: Item) -> Result:
        if self.die_after is not None and len(self.asked) >= self.die_after:
            raise RuntimeError("killed")
        self.asked.append(item.id)
        return super().score(item)


def test_a_stopped_run_goes_on_where_it_was(tmp_path, items) -> None:
    """What was measured is not measured again; half a line, or a broken one, is."""
    with pytest.raises(RuntimeError):
        run(Counting(die_after=2), items, folder=tmp_path, workers=1)
    (file,) = tmp_path.glob("results-*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 2
    file.write_bytes(lines[0] + b'{"item": 3}\n' + lines[1][:10])
    assert len(ResultFile(tmp_path, Overlap()).known) == 1
    second = Counting()
    done = run(second, items, folder=tmp_path, workers=1)
    assert len(second.asked) == 2
    assert [r.score for r in done] == [r.score for r in run(Overlap(), items)]
    third = Counting()
    run(third, items, folder=tmp_path)
    assert third.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": float("nan")},
        {"score": 7.5},
        {"score": -0.1},
        {"score": "x"},
        {"score": True},
        {"score": None},
        {"error": 3},
        {"error": "down"},
        {"item": 3},
        {"item": ["a"]},
        {"flagged": [[0, 1]]},
        {"flagged": [[0, 1.5, 0.5]]},
        {"flagged": [[0, 1, float("nan")]]},
        {"flagged": [["a", "b", 0.5]]},
        {"claims": -1},
        {"pairs": None},
        {"tokens": 1.5},
        {"seconds": float("inf")},
        {"seconds": "1"},
        {"passing": 1},
        {"more": 1},
    ],
)
def test_a_kept_result_that_cannot_be_is_measured_again(tmp_path, items, wrong) -> None:
    """Files can be edited; NaN would go through every figure without a word."""
    right = run(Overlap(), items, folder=tmp_path)
    (file,) = tmp_path.glob("results-*.jsonl")
    lines = file.read_text().splitlines()
    file.write_text("\n".join([json.dumps(json.loads(lines[0]) | wrong), *lines[1:]]) + "\n")
    assert len(ResultFile(tmp_path, Overlap()).known) == 2
    again = Counting()
    assert run(again, items, folder=tmp_path) == right
    assert len(again.asked) == 1


def test_changed_code_is_measured_anew(tmp_path, items, monkeypatch) -> None:
    """Results know what made them: model, settings and code."""
    run(Overlap(), items, folder=tmp_path)
    assert len(ResultFile(tmp_path, Overlap()).known) == 3
    monkeypatch.setattr("verifiers.bench.systems.code_digest", lambda: "another")
    assert ResultFile(tmp_path, Overlap()).known == {}


def test_settings_and_layers_are_part_of_what_results_are_kept_by(engine) -> None:
    """Two configurations never share a result file."""
    extractor, wide = make_extractor("xx"), EvidenceSettings(window_tokens=256)
    systems = [
        Overlap(),
        BareModel(extractor, engine, EvidenceSettings(), values=False),
        BareModel(extractor, engine, EvidenceSettings(), values=True),
        BareModel(extractor, engine, wide, values=False),
        Pipeline(extractor, engine, EvidenceSettings()),
        Pipeline(extractor, engine, EvidenceSettings(near=0.2)),
        Pipeline(extractor, engine, EvidenceSettings(), language="de"),
    ]
    assert len({system.digest for system in systems}) == len(systems)
    for system in systems[1:]:
        system.close()


def test_code_is_known_by_its_digest() -> None:
    """The same twice; every module that makes scores is in it, training is not."""
    from importlib import resources

    from verifiers.bench.code import _files, code_digest

    assert code_digest() == code_digest()
    names = {name for name, _ in _files(resources.files("verifiers"), "")}
    assert {"aggregate.py", "values/__init__.py", "claims/clauses.py", "windows.py"} <= names
    assert not any(name.startswith(("training/", "models/", "bench/")) for name in names)


def test_some_items_are_timed_alone_and_only_once(tmp_path, items) -> None:
    """Without the help of the cache; the others have no latency of their own."""
    inside: list[bool] = []

    @contextmanager
    def alone():
        inside.append(True)
        yield

    done = run(Counting(), items, folder=tmp_path, timed=2, alone=alone)
    assert sum(result.seconds is not None for result in done) == 2
    assert inside == [True]
    again = Counting()
    run(again, items, folder=tmp_path, timed=2, alone=alone)
    assert again.asked == []
    assert inside == [True]
    # More are asked for than were timed: those are scored once more, alone.
    run(again, items, folder=tmp_path, timed=3, alone=alone)
    assert inside == [True, True]
    assert len(set(again.asked)) == 1


def test_a_paused_cache_knows_nothing_and_still_learns() -> None:
    """So that what is timed is worked for, and worked for once."""
    from verifiers.bench.meter import PausedCache
    from verifiers.cache import MemoryCache

    cache = PausedCache(MemoryCache())
    with cache.paused():
        cache.put_many({"k": ENTAILED})
        assert cache.get_many(["k", "other"]) == [None, None]
    assert cache.get_many(["k", "other"]) == [ENTAILED, None]


def test_progress_counts_up_to_the_total(items) -> None:
    """The first call says what is known already, the last that all is done."""
    seen: list[running.Progress] = []
    run(Overlap(), items, timed=1, progress=seen.append)
    assert (seen[0].done, seen[0].total, seen[0].work) == (0, 3, 0)
    assert (seen[-1].done, seen[-1].total) == (3, 3)
    assert seen[-1].work == sum(running.work_of(item) for item in items)
    assert [one.done for one in seen] == [0, 1, 2, 3]
