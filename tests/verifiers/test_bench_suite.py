"""Labelled files read, systems run, runs resumed, figures and pages made."""

from __future__ import annotations

import gzip
import json
import math
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from verifiers.bench import markdown, running
from verifiers.bench.items import Item, read_items
from verifiers.bench.markdown import BEGIN, END, write
from verifiers.bench.page import render
from verifiers.bench.plots import draw, reliability_curve, trade_off_curve
from verifiers.bench.report import Report, figure
from verifiers.bench.resample import draw_counts
from verifiers.bench.running import ResultFile, run
from verifiers.bench.suite import arrays, choose_threshold, difference, groups, mean, measure
from verifiers.bench.systems import BareModel, Overlap, Pipeline, Result
from verifiers.claims import make_extractor
from verifiers.engine import NLIEngine
from verifiers.errors import BackendFailed, BenchDataInvalid
from verifiers.pipeline import EvidenceSettings
from verifiers.testing import ENTAILED, NEUTRAL, ScriptedScorer
from verifiers.types import Span

SOURCE = "Unused items may be returned within 30 days. Gift cards cannot be returned."
ROWS = [
    {
        "id": "a",
        "source": SOURCE,
        "claim": "Gift cards cannot be returned now.",
        "label": "supported",
    },
    {
        "id": "b",
        "source": SOURCE,
        "claim": "Unused items may be returned within 60 days.",
        "label": "unsupported",
        "spans": [[36, 43]],
    },
    {
        "id": "c",
        "source": [SOURCE, "Shipping is free."],
        "claim": "Shipping is free for all. Gift cards can be resold for cash.",
        "label": "unsupported",
        "granularity": "answer",
        "spans": [{"start": 27, "end": 60}],
    },
]


def write_rows(path, rows):
    opened = gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w")  # noqa: SIM115
    with opened as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


@pytest.fixture
def items(tmp_path) -> list[Item]:
    return read_items(write_rows(tmp_path / "set.jsonl", ROWS))


def test_plain_and_gzipped_files_read_alike(tmp_path, items) -> None:
    """Every field arrives, from either form."""
    assert read_items(write_rows(tmp_path / "set.jsonl.gz", ROWS)) == items
    assert [i.supported for i in items] == [True, False, False]
    assert items[1].spans == (Span(36, 43),)
    assert items[2].sources == (SOURCE, "Shipping is free.")
    assert items[2].granularity == "answer"
    assert items[0].dataset == "set"


def test_columns_of_other_names_are_mapped(tmp_path) -> None:
    """A mapping reaches any file; NLI names need none."""
    path = write_rows(tmp_path / "x.jsonl", [{"ctx": "s", "response": "r", "label": 1}])
    (item,) = read_items(path, columns={"source": "ctx", "claim": "response"})
    assert (item.sources, item.text, item.supported) == (("s",), "r", True)
    row = {"premise": "s", "hypothesis": "r", "label": "neutral"}
    (item,) = read_items(write_rows(tmp_path / "n.jsonl", [row]))
    assert (item.sources, item.text, item.supported) == (("s",), "r", False)


def test_labels_of_other_names_are_mapped(tmp_path) -> None:
    """Also those that we would read the other way round: 1 for hallucinated."""
    rows = [{"source": "s", "claim": "c", "label": label} for label in (1, 0.0, "Good", True)]
    path = write_rows(tmp_path / "x.jsonl", rows)
    meanings = {"1": False, "0": True, "good": True}
    assert [i.supported for i in read_items(path, labels=meanings)] == [False, True, True, True]


def test_granularity_is_as_told_where_lines_do_not_say(tmp_path) -> None:
    """A line's own word comes first."""
    rows = [{**ROWS[0], "granularity": "Claim"}, {**ROWS[0], "granularity": None}, ROWS[1]]
    path = write_rows(tmp_path / "x.jsonl", rows)
    found = [i.granularity for i in read_items(path, granularity="answer")]
    assert found == ["claim", "answer", "answer"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("not json\n", "line 1 is not JSON"),
        ("[1]\n", "line 1 is no JSON object"),
        ("\n", "holds no item"),
        ('{"source": "s", "label": "supported"}\n', "'claim' is missing"),
        ('{"source": "s", "claim": " ", "label": "supported"}\n', "'claim' is missing"),
        ('{"claim": "c", "context": "s", "label": 1}\n', "'source' is missing"),
        ('{"source": "s", "claim": "c"}\n', "'label' is missing"),
        ('{"source": "s", "claim": "c", "label": "perhaps"}\n', "label 'perhaps'"),
        ('{"source": 3, "claim": "c", "label": 1}\n', "'source' is neither"),
        ('{"source": "s", "claim": "c", "label": 1, "question": []}\n', "'question' is no text"),
        ('{"source": "s", "claim": "c", "label": 1, "granularity": "x"}\n', "'granularity' is"),
        ('{"source": "s", "claim": "c", "label": 1, "spans": [[5, 2]]}\n', "span"),
        ('{"source": "s", "claim": "c", "label": 1, "spans": 5}\n', "spans are no list"),
    ],
)
def test_a_bad_line_is_named(tmp_path, content, says) -> None:
    """File, line and key; nothing is skipped in silence."""
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(BenchDataInvalid, match=says) as caught:
        read_items(path)
    assert caught.value.code == "GR120"


def test_a_missing_key_is_taught(tmp_path) -> None:
    """What the line has instead, and the option that maps it; an empty source is no mistake."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"claim": "c", "context": "s", "label": 1}\n')
    with pytest.raises(BenchDataInvalid) as caught:
        read_items(path)
    assert "--column source=NAME" in str(caught.value.hint)
    assert "context" in str(caught.value.hint)
    with pytest.raises(BenchDataInvalid, match="no keys of ours"):
        read_items(path, columns={"sauce": "context"})
    path.write_text('{"claim": "c", "source": "", "label": 1}\n')
    assert read_items(path)[0].sources == ()


def test_an_unreadable_file_is_an_error(tmp_path) -> None:
    """Missing, or gzip in name only."""
    with pytest.raises(BenchDataInvalid, match="cannot be read"):
        read_items(tmp_path / "none.jsonl")
    fake = tmp_path / "fake.jsonl.gz"
    fake.write_text("{}")
    with pytest.raises(BenchDataInvalid, match="cannot be read"):
        read_items(fake)


def test_a_draw_is_the_same_for_the_same_seed(tmp_path) -> None:
    """And keeps the order of the file."""
    rows = [{**ROWS[0], "id": str(i), "claim": f"claim {i}"} for i in range(50)]
    path = write_rows(tmp_path / "many.jsonl", rows)
    drawn = read_items(path, limit=10, seed=3)
    assert drawn == read_items(path, limit=10, seed=3)
    assert drawn != read_items(path, limit=10, seed=4)
    assert [int(i.id) for i in drawn] == sorted(int(i.id) for i in drawn)


def counts_of(items, resamples=20):
    return draw_counts(len(items), name="set", resamples=resamples)


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
    assert right.tokens == sum(engine.count_text([SOURCE, right_text(items)]))
    row = measure("pipeline", "s", items, found, threshold=0.5, counts=counts_of(items)).figures
    assert row.balanced_accuracy.value == 1.0
    assert row.best_balanced_accuracy.value == 1.0
    assert row.span_f1 is not None
    assert row.span_f1.value > 0.5
    assert row.granularity == "mixed"


def right_text(items) -> str:
    return items[0].text


def bare(items, engine, *, values):
    system = BareModel(make_extractor("xx"), engine, EvidenceSettings(), values=values)
    try:
        return run(system, items)
    finally:
        system.close()


def test_values_take_a_window_out_of_the_support(items) -> None:
    """Where a model is fooled by a number, the value layer is not."""
    with NLIEngine(lambda: ScriptedScorer(lambda _: ENTAILED)) as engine:
        alone, careful = bare(items, engine, values=False), bare(items, engine, values=True)
    assert alone[1].score == ENTAILED.entailment
    assert careful[1].score == 0.0
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


def test_what_could_not_be_looked_at_counts_as_called_unsupported(items) -> None:
    """An item without a score is not left out of the figures, and the commonest cause is told."""
    results = [result_of(item, 0.9) for item in items]
    failed = [replace(results[0], score=None, error="down"), *results[1:]]
    row = measure("x", "set", items, failed, threshold=0.5, counts=counts_of(items)).figures
    assert (row.errors, row.why, row.items) == (1, "down", 3)
    assert arrays(items, failed)[0][0] == 0.0


def result_of(item: Item, score: float, **more) -> Result:
    return replace(
        Result(item.digest, score, None, ((0, len(item.text), score),), 1, 1, 10, None), **more
    )


def test_sets_without_marks_have_no_span_figure(items) -> None:
    """Empty lists throughout are no marks; an unsupported item without any was not marked."""
    blank = [replace(item, spans=()) for item in items]
    results = [result_of(item, 0.1) for item in items]
    counts = counts_of(items)
    assert measure("x", "s", blank, results, threshold=0.5, counts=counts).figures.span_f1 is None
    some = [replace(items[0], spans=()), replace(items[1], spans=()), items[2]]
    found = measure("x", "s", some, results, threshold=0.5, counts=counts).figures.span_f1
    assert found is not None
    # Flagged: all of the first (no mark in it) and all of the third; the second is left out.
    flagged, marked = len(items[0].text) + len(items[2].text), 33
    assert found.value == pytest.approx(2 * marked / (flagged + marked))


def test_latency_is_of_items_alone_and_pairs_of_all(items) -> None:
    """Median and 95th percentile of those that were timed."""
    results = [result_of(item, 0.5) for item in items]
    results[1] = replace(results[1], seconds=0.04)
    row = measure("x", "s", items, results, threshold=0.5, counts=counts_of(items)).figures
    assert row.timed == 1
    assert row.milliseconds == pytest.approx((40.0, 40.0))
    assert (row.pairs, row.tokens) == (1, 10)


def test_thresholds_give_every_data_set_its_say() -> None:
    """Or every item, where that is asked for."""
    kinds = [("large", 0.1, False)] * 45 + [("large", 0.3, True)] * 45
    kinds += [("small", 0.2, False)] * 3 + [("small", 0.35, False)] * 3 + [("small", 0.4, True)] * 2
    items = [
        Item(str(i), name, ("s",), f"t{i}", None, "claim", label, None)
        for i, (name, _, label) in enumerate(kinds)
    ]
    results = [result_of(item, kinds[i][1]) for i, item in enumerate(items)]
    assert choose_threshold(items, results, rule="pooled") == pytest.approx(0.25)
    kinds[45:90] = [("large", 0.38, True)] * 45
    results = [result_of(item, kinds[i][1]) for i, item in enumerate(items)]
    assert choose_threshold(items, results, rule="equal") == pytest.approx(0.365)


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


def scored(items, shift=0.0):
    """Results that are right by and large."""
    rng = np.random.default_rng(5)
    return [
        result_of(item, float(np.clip(0.5 + (0.2 if item.supported else -0.2) + shift + e, 0, 1)))
        for item, e in zip(items, rng.normal(scale=0.25, size=len(items)), strict=True)
    ]


def many(name: str, n: int, *, granularity="claim") -> list[Item]:
    return [
        Item(str(i), name, ("s",), f"{name} {i}", None, granularity, i % 3 == 0, None)
        for i in range(n)
    ]


def test_the_mean_over_sets_is_as_sure_as_its_sets_together() -> None:
    """Each set counts alike; the interval is narrower than that of any one of them."""
    small, large = many("small", 60), many("large", 240)
    own = [
        measure(
            "x",
            name,
            items,
            scored(items),
            threshold=0.5,
            counts=draw_counts(len(items), name=name),
        )
        for name, items in (("small", small), ("large", large))
    ]
    row, _ = mean("both", own)
    values = [one.figures.balanced_accuracy for one in own]
    assert row.balanced_accuracy.value == pytest.approx(sum(v.value for v in values) / 2)
    assert row.sets == ("small", "large")
    width = row.balanced_accuracy.high - row.balanced_accuracy.low
    assert width < values[0].high - values[0].low
    assert row.balanced_accuracy.low < row.balanced_accuracy.value < row.balanced_accuracy.high


def test_a_set_with_one_class_is_in_no_mean() -> None:
    """Its balanced accuracy does not exist."""
    one_sided = [replace(item, supported=True) for item in many("one", 12)]
    both = many("two", 12)
    own = [
        measure("x", name, items, scored(items), threshold=0.5, counts=counts_of(items))
        for name, items in (("one", one_sided), ("two", both))
    ]
    assert math.isnan(own[0].figures.balanced_accuracy.value)
    assert mean("g", own)[0].sets == ("two",)
    with pytest.raises(ValueError, match="both labels"):
        mean("g", own[:1])


def test_a_system_does_not_differ_from_itself() -> None:
    """Resampled together, equal systems differ by exactly nothing, and better ones by less noise."""
    items = many("s", 120)
    counts = draw_counts(120, name="s")
    first = measure("a", "s", items, scored(items), threshold=0.5, counts=counts)
    same = measure("b", "s", items, scored(items), threshold=0.5, counts=counts)
    assert difference(same, first).balanced_accuracy == (0.0, 0.0, 0.0)
    assert difference(same, first).auroc == (0.0, 0.0, 0.0)
    shifted = measure("c", "s", items, scored(items, 0.05), threshold=0.5, counts=counts)
    apart = difference(shifted, first).balanced_accuracy
    alone = first.figures.balanced_accuracy
    assert apart.high - apart.low < alone.high - alone.low


def test_groups_are_those_asked_for_and_those_of_one_kind() -> None:
    """A group of sets that were not measured is an error."""
    rows = [
        measure("x", name, items, scored(items), threshold=0.5, counts=counts_of(items)).figures
        for name, items in (
            ("a", many("a", 9)),
            ("b", many("b", 9)),
            ("c", many("c", 9, granularity="answer")),
            ("d", many("d", 9, granularity="answer")),
        )
    ]
    found = groups(rows, {"mine": ["a", "c"]})
    assert found == {
        "mine": ("a", "c"),
        "claims": ("a", "b"),
        "answers": ("c", "d"),
        "all sets": ("a", "b", "c", "d"),
    }
    assert groups(rows[:1], {}) == {}
    with pytest.raises(ValueError, match="names e"):
        groups(rows, {"mine": ["a", "e"]})


NAME = "<script>alert(1)</script> | x"


@pytest.fixture
def report() -> Report:
    """Three sets, two systems, thresholds from a fourth; one item could not be looked at."""
    sets = {"held": many("held", 40), NAME: many("n", 60), "b": many("b", 60)}
    sets["b"] = [replace(item, spans=() if item.supported else (Span(0, 1),)) for item in sets["b"]]
    results = {
        (system, name): scored(items, shift)
        for name, items in sets.items()
        for system, shift in (("overlap", 0.0), ("model", 0.02))
    }
    results["model", "b"][0] = replace(
        results["model", "b"][0], score=None, error="there is no source to read", seconds=0.02
    )
    found = figure(
        sets,
        results,
        {"overlap": 0.5, "model": 0.4},
        baseline="overlap",
        named={"mine": [NAME, "b"]},
        held_out="held",
        resamples=50,
    )
    own = {system: arrays(sets[NAME], results[system, NAME]) for system in ("overlap", "model")}
    plots = [
        draw(NAME, [reliability_curve(n, *one) for n, one in own.items()], x="x", y="y"),
        draw("t", [trade_off_curve(n, *one, 0.5) for n, one in own.items()], x="x", y="y"),
    ]
    return Report(
        command="groundrail bench <x>",
        facts={"model": NAME},
        systems=("overlap", "model"),
        baseline="overlap",
        thresholds={"overlap": 0.5, "model": 0.4},
        held_out=found.held_out,
        rows=found.rows,
        means=found.means,
        differences=found.differences,
        plots={NAME: plots},
    )


def test_the_set_thresholds_come_from_is_in_no_mean(report) -> None:
    """It is reported apart; all other sets are there for every system."""
    assert {row.dataset for row in report.held_out} == {"held"}
    assert [(row.dataset, row.system) for row in report.rows] == [
        (name, system) for name in (NAME, "b") for system in ("overlap", "model")
    ]
    assert all("held" not in row.sets for row in report.means)
    assert {one.dataset for one in report.differences} == {"mine", NAME, "b"}


def test_the_page_loads_nothing_and_escapes_what_it_shows(report) -> None:
    """Names of sets come from files of others."""
    page = render(report)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page
    assert "1 of 60 (there is no source to read)" in page
    assert page.count("<svg") == page.count("</svg>") == 2
    for row in report.rows:
        assert f"{row.auroc.value:.3f}" in page


def test_a_plot_is_a_file_of_its_own_too(report) -> None:
    """Well-formed XML with a namespace."""
    from xml.etree import ElementTree as ET

    for plot in report.plots[NAME]:
        tree = ET.fromstring(plot.file)
        assert tree.tag == "{http://www.w3.org/2000/svg}svg"


def test_json_is_plain_and_has_no_nan(report) -> None:
    """Intervals by name; a figure that does not exist is null; names stay as they are."""
    found = report.to_json()
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text) == found
    first = found["figures"][0]
    assert set(first["auroc"]) == {"value", "low", "high"}
    assert first["span_f1"] is None
    assert first["dataset"] == NAME
    assert found["figures"][3]["span_f1"]["value"] is not None
    broken = replace(report, rows=(replace(report.rows[0], best_at=math.nan, dataset="NaN set"),))
    assert broken.to_json()["figures"][0]["best_at"] is None
    assert broken.to_json()["figures"][0]["dataset"] == "NaN set"


def test_markdown_goes_between_its_marks_and_nowhere_else(report, tmp_path) -> None:
    """A page is kept around it, a second run replaces the first, a stranger's file is refused."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nformer figures\n{END}\n\nafter\n")
    write(report, page)
    once = page.read_text()
    assert once.startswith("before\n\n" + BEGIN)
    assert once.endswith(END + "\n\nafter\n")
    assert "former figures" not in once
    write(report, page)
    assert page.read_text() == once
    new = tmp_path / "new.md"
    write(report, new)
    assert new.read_text().startswith(BEGIN)
    other = tmp_path / "other.md"
    other.write_text("mine")
    with pytest.raises(BenchDataInvalid, match="no place"):
        write(report, other)
    assert other.read_text() == "mine"


def test_the_markdown_tables_hold_the_figures(report) -> None:
    """Every row has as many cells as its head, bars in names escaped; the means are in."""
    text = markdown.markdown(report)
    row = report.rows[1]
    assert f"{row.balanced_accuracy.value:.3f} / {row.auroc.value:.3f}" in text
    assert f"**mean: mine** | 2 sets | **{report.means[0].balanced_accuracy.value:.3f} /" in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            cells = {line.replace("\\|", "").count("|") for line in block.splitlines()}
            assert len(cells) == 1
