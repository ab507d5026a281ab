"""Labelled files read, systems run, runs resumed, the page drawn."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest

from verifiers.bench.items import Item, read_items
from verifiers.bench.page import draw, reliability_curve, render, trade_off_curve
from verifiers.bench.suite import ResultFile, arrays, difference, figures, means, run
from verifiers.bench.systems import BareModel, Overlap, Pipeline, Result
from verifiers.claims import make_extractor
from verifiers.engine import NLIEngine
from verifiers.errors import BenchDataInvalid
from verifiers.pipeline import EvidenceSettings, Verifier
from verifiers.testing import ScriptedScorer
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


def write(path, rows):
    opened = gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w")  # noqa: SIM115
    with opened as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


@pytest.fixture
def items(tmp_path) -> list[Item]:
    return read_items(write(tmp_path / "set.jsonl", ROWS))


def test_plain_and_gzipped_files_read_alike(tmp_path, items) -> None:
    """Every field arrives, from either form."""
    assert read_items(write(tmp_path / "set.jsonl.gz", ROWS)) == items
    assert [i.supported for i in items] == [True, False, False]
    assert items[1].spans == (Span(36, 43),)
    assert items[2].sources == (SOURCE, "Shipping is free.")
    assert items[2].granularity == "answer"
    assert items[0].dataset == "set"


def test_columns_of_other_names_are_mapped(tmp_path) -> None:
    """A mapping reaches any file; NLI names need none."""
    path = write(tmp_path / "x.jsonl", [{"ctx": "s", "response": "r", "label": 1}])
    (item,) = read_items(path, columns={"source": "ctx", "claim": "response"})
    assert (item.sources, item.text, item.supported) == (("s",), "r", True)
    path = write(tmp_path / "n.jsonl", [{"premise": "s", "hypothesis": "r", "label": "neutral"}])
    (item,) = read_items(path)
    assert (item.sources, item.text, item.supported) == (("s",), "r", False)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("not json\n", "line 1 is not JSON"),
        ("[1]\n", "line 1 is no JSON object"),
        ('{"source": "s", "label": "supported"}\n', "'claim' is missing"),
        ('{"source": "s", "claim": "c", "label": "perhaps"}\n', "label 'perhaps'"),
        ('{"source": 3, "claim": "c", "label": 1}\n', "'source' is neither"),
        ('{"source": "s", "claim": "c", "label": 1, "spans": [[5, 2]]}\n', "span"),
    ],
)
def test_a_bad_line_is_named(tmp_path, content, says) -> None:
    """File, line and key; nothing is skipped in silence."""
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(BenchDataInvalid, match=says) as caught:
        read_items(path)
    assert caught.value.code == "GR120"


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
    path = write(tmp_path / "many.jsonl", rows)
    drawn = read_items(path, limit=10, seed=3)
    assert drawn == read_items(path, limit=10, seed=3)
    assert drawn != read_items(path, limit=10, seed=4)
    assert [int(i.id) for i in drawn] == sorted(int(i.id) for i in drawn)


def test_the_whole_path_tells_supported_from_not(items) -> None:
    """With a scripted model: scores, flagged spans and claims as they should be."""
    evidence = EvidenceSettings()
    engine = NLIEngine(ScriptedScorer)
    with Verifier(extractor=make_extractor("xx"), engine=engine, evidence=evidence) as verifier:
        found = run(Pipeline(verifier, engine, evidence, version="1"), items)
    right, wrong, answer = found
    assert right.score is not None
    assert right.score > 0.5
    assert wrong.score is not None
    assert wrong.score < 0.5
    assert answer.score is not None
    assert answer.score < 0.5
    assert answer.claims == 2
    row = figures("pipeline", "set", items, found, threshold=0.5, resamples=20)
    assert row.balanced_accuracy.value == 1.0
    assert row.span_f1 is not None
    assert row.span_f1 > 0.5


def test_values_bring_the_bare_model_down(items) -> None:
    """Where a model is fooled by a number, the value layer is not."""
    from verifiers.testing import ENTAILED

    engine = NLIEngine(lambda: ScriptedScorer(lambda _: ENTAILED))
    bare = run(BareModel(engine, EvidenceSettings(), values=False, version="1"), items)
    careful = run(BareModel(engine, EvidenceSettings(), values=True, version="1"), items)
    assert bare[1].score == ENTAILED.entailment
    assert careful[1].score == 0.0
    assert careful[0].score == ENTAILED.entailment


def test_what_could_not_be_looked_at_counts_as_called_unsupported(items) -> None:
    """An item without a score is not left out of the figures."""
    results = [Result(i.digest, 0.9, None, (), 1, 1, 0.0) for i in items]
    failed = [replace(results[0], score=None, error="down"), *results[1:]]
    row = figures("x", "set", items, failed, threshold=0.5, resamples=20)
    assert row.errors == 1
    assert row.items == 3
    assert arrays(items, failed)[0][0] == 0.0


class Counting(Overlap):
    """Counts what it is asked, and may die on the way."""

    def __init__(self, die_after: int | None = None) -> None:
        self.asked = 0
        self.die_after = die_after

    def score(self, item: Item) -> Result:
        if self.die_after is not None and self.asked >= self.die_after:
            raise RuntimeError("killed")
        self.asked += 1
        return super().score(item)


def test_a_stopped_run_goes_on_where_it_was(tmp_path, items) -> None:
    """What was measured is not measured again, and a half-written line is."""
    with pytest.raises(RuntimeError):
        run(Counting(die_after=2), items, folder=tmp_path, workers=1)
    (file,) = tmp_path.glob("overlap-*.jsonl")
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]) + lines[-1][:10])
    known = len(ResultFile(tmp_path, Overlap()).known)
    assert known == len(lines) - 1
    second = Counting()
    done = run(second, items, folder=tmp_path, workers=1)
    assert second.asked == len(items) - known
    assert [r.score for r in done] == [r.score for r in run(Overlap(), items)]


def test_progress_counts_up_to_the_total(items) -> None:
    """The last call says that all is done."""
    seen: list[tuple[int, int]] = []
    run(Overlap(), items, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 3)
    assert seen[-1] == (3, 3)


def test_the_page_loads_nothing_and_escapes_what_it_shows(items) -> None:
    """Names of sets come from files of others."""
    name = "<script>alert(1)</script>"
    found = run(Overlap(), items)
    rows = [figures("overlap", name, items, found, threshold=0.5, resamples=20)]
    scores, labels = arrays(items, found)
    plots = {
        name: [
            draw(name, [reliability_curve(name, scores, labels)], x="x", y="y"),
            draw("t", [trade_off_curve(name, scores, labels)], x="x", y="y"),
        ]
    }
    versus = difference(name, items, ("a", found, 0.5), ("b", found, 0.5), resamples=20)
    page = render(
        command="groundrail bench <x>",
        facts={"model": name},
        rows=rows,
        means=means(rows),
        differences=[versus],
        plots=plots,
    )
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page
