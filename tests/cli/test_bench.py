"""``groundrail bench`` from end to end, on a small file: table, JSON, page, Markdown, errors."""

from __future__ import annotations

import io
import json
from itertools import count
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from guardrails.cli import app as frame
from guardrails.cli.bench_args import command_line, thresholds_of
from guardrails.cli.bench_view import Ticker
from verifiers.bench.items import Item
from verifiers.bench.running import Progress

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "The library opens at nine. Members may borrow four books for three weeks."
TRUE = ["The library opens at nine.", "Members may borrow four books.", "It opens at nine."]
FALSE = ["The library opens at six.", "Members may borrow ten books.", "It is closed for ever."]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two labelled sets and a file to choose thresholds on."""
    for name in ("one", "two", "held"):
        rows = [
            {"source": SOURCE, "claim": f"{claim}{'' if name == 'one' else ' Really.'}",
             "label": label, "dataset": name}
            for label, claims in (("supported", TRUE), ("unsupported", FALSE))
            for claim in claims
        ]  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bench(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``groundrail bench ...``."""
    with pytest.raises(SystemExit) as stop:
        frame.main(["bench", *args])
    out, err = capsys.readouterr()
    code = stop.value.code
    return (code if isinstance(code, int) else 0), out, err


ALL = ("--system", "overlap", "--system", "model", "--system", "model+values",
       "--system", "pipeline", "--resamples", "20", "--timed", "1")  # fmt: skip


def test_everything_comes_out_of_one_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON, page, Markdown and diagram agree; a second run measures nothing again."""
    args = ["one.jsonl", "two.jsonl", *ALL, "--threshold-from", "held.jsonl", "--group", "g=one,two",
            "--html", "b.html", "--markdown", "b.md", "--diagram", "d.svg", "--json"]  # fmt: skip
    code, out, _ = bench(capsys, *args)
    assert code == 0
    found = json.loads(out)
    assert found["systems"] == ["overlap", "model", "model+values", "pipeline"]
    assert {row["dataset"] for row in found["figures"]} == {"one", "two"}
    assert [row["dataset"] for row in found["held_out"]] == ["held"] * 4
    assert {row["group"] for row in found["means"]} == {"g"}
    pipeline = next(r for r in found["figures"] if r["system"] == "pipeline")
    assert pipeline["auroc"]["value"] > 0.5
    assert pipeline["tokens"] > 0
    assert pipeline["milliseconds"][0] > 0
    assert "each data set with an equal say" in found["facts"]["thresholds"]
    shown = f"{pipeline['auroc']['value']:.3f}"
    assert shown in (folder / "b.html").read_text()
    assert shown in (folder / "b.md").read_text()
    assert "held" in (folder / "d.svg").read_text()
    kept = {
        file.name: file.stat().st_size for file in (folder / ".groundrail-bench").glob("*.jsonl")
    }
    assert len(kept) == 4
    again = json.loads(bench(capsys, *args)[1])
    assert again["figures"] == found["figures"]
    assert kept == {
        file.name: file.stat().st_size for file in (folder / ".groundrail-bench").glob("*.jsonl")
    }


def test_the_table_fits_eighty_columns(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every system on every set and in the mean, however long the names."""
    from guardrails.cli import bench as command

    monkeypatch.setattr(command, "_console", lambda: Console(width=80))
    name = "a=pipeline,window_tokens=64"
    _, out, err = bench(
        capsys, "one.jsonl", "two.jsonl", "--system", "overlap",
        "--system", "a very long name of a system to look at=model", "--system", name,
        "--timed", "0", "--resamples", "20",
    )  # fmt: skip
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("overlap ") for line in lines) == 3
    assert any(line.startswith("a very long") for line in lines)
    assert "MEAN claims  2 sets" in lines
    assert "two 6 of 6" in err


def test_wrong_words_are_answered_before_anything_is_loaded(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what there is instead."""
    (folder / "mine.md").write_text("a page without a place")
    (folder / "true.jsonl").write_text('{"source": "s", "claim": "c", "label": 1}')
    (folder / "linked.svg").symlink_to("one.jsonl")
    before = (folder / "one.jsonl").read_bytes()
    for args, says in (
        (["one.jsonl", "--system", "guess"], "choose one of"),
        (["one.jsonl", "--baseline", "x"], "there are overlap, model, pipeline"),
        (["one.jsonl", "--threshold", "x=0.5"], "no system is called 'x'"),
        (["one.jsonl", "--threshold", "2"], "no number from 0 to 1"),
        (["one.jsonl", "--group", "g=three"], "there is no set 'three'; there are one"),
        (["one.jsonl", "--group", "g"], "is not NAME=SET"),
        (["one.jsonl", "--column", "claim"], "is not OURS=YOURS"),
        (["one.jsonl", "--column", "claim=a", "--column", "claim=b"], "given twice"),
        (["one.jsonl", "--label", "good=fine"], "supported or unsupported"),
        (["one.jsonl", "--label", "X=supported"], "no line has the label 'X'"),
        (
            ["one.jsonl", "--label", "Bad=supported", "--label", "bad=unsupported"],
            "differ in case",
        ),
        (["one.jsonl", "--group", "g=one,one"], "names 'one' twice"),
        (["one.jsonl", "--group", "\udcff=one"], "not valid UTF-8"),
        (["one.jsonl", "--html", "./one.jsonl"], "read, or written"),
        (["one.jsonl", "--diagram", "linked.svg"], "read, or written"),
        (
            ["one.jsonl", "--threshold-from", "held.jsonl", "--markdown", "held.jsonl"],
            "read, or written",
        ),
        (["one.jsonl", "--html", "new.html", "--diagram", "./new.html"], "read, or written"),
        (["one.jsonl", "--html", "no/folder/x.html"], "there is no folder"),
        (["one.jsonl", "--threshold-from", "one.jsonl"], "is measured, too"),
        (
            ["one.jsonl", "--split", "--column", "dataset=label", "--threshold-from", "one.jsonl"],
            "is measured, too",
        ),
        (["one.jsonl", "--threshold-from", "true.jsonl"], "true has one label only"),
        (["one.jsonl", "two.jsonl", "--column", "spans=marks"], "no line has 'marks' for spans"),
        (["one.jsonl", "./one.jsonl"], "two files are called one"),
        (["one.jsonl", "--markdown", "mine.md"], "no place for tables"),
        (["none.jsonl"], "cannot be read"),
    ):
        code, out, err = bench(capsys, *args)
        assert code == 2, args
        assert out == ""
        assert says in " ".join(err.replace("│", " ").split()), args
    assert not (folder / ".groundrail-bench").exists()
    assert (folder / "one.jsonl").read_bytes() == before


@pytest.mark.parametrize("option", ["--cache", "--html", "--diagram"])
def test_what_cannot_be_written_is_told_before_anything_is_measured(
    folder: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """A file where a folder is wanted, or the other way round, is no bug of ours."""
    there = folder / "one.jsonl" if option == "--cache" else folder
    code, out, err = bench(capsys, "two.jsonl", "--system", "overlap", option, str(there))
    assert (code, out) == (2, "")
    assert "cannot be written" in " ".join(err.replace("│", " ").split())
    assert "of 6" not in err


def test_a_cache_that_is_none_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not a bug, and not measured without one in silence."""
    (folder / "kept").mkdir()
    (folder / "kept" / "scores.sqlite").write_text("something else, and long enough to be read")
    code, _, err = bench(capsys, "two.jsonl", "--system", "model", "--cache", "kept")
    assert code == 2
    assert "GR120" in err
    assert "scores.sqlite holds no scores" in err
    assert "--cache" in err


def test_own_names_are_mapped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns, labels and granularity of a file that knows nothing of ours."""
    rows = [{"ctx": SOURCE, "out": text, "bad": bad} for text, bad in ((TRUE[0], 0), (FALSE[0], 1))]
    (folder / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    code, out, _ = bench(
        capsys, "mine.jsonl", "--column", "source=ctx", "--column", "claim=out",
        "--column", "label=bad", "--label", "0=supported", "--label", "1=unsupported",
        "--granularity", "answer", "--system", "overlap", "--resamples", "10", "--json",
    )  # fmt: skip
    assert code == 0
    (row,) = json.loads(out)["figures"]
    assert (row["granularity"], row["supported"], row["auroc"]["value"]) == ("answer", 1, 1.0)


def test_json_booleans_are_mapped_like_one_and_zero(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Read the other way round, a good verifier would look worse than chance."""
    rows = [{"source": SOURCE, "claim": text, "label": bad}
            for text, bad in ((TRUE[0], False), (FALSE[0], True))]  # fmt: skip
    (folder / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    code, out, _ = bench(
        capsys, "mine.jsonl", "--label", "0=supported", "--label", "1=unsupported",
        "--system", "overlap", "--resamples", "10", "--json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["figures"][0]["auroc"]["value"] == 1.0


@pytest.mark.parametrize(
    ("seen", "says"), [("none", "at no item of it"), ("true", "at supported items alone")]
)
def test_a_threshold_is_not_chosen_on_what_could_not_be_looked_at(
    folder: Path, capsys: pytest.CaptureFixture[str], seen: str, says: str
) -> None:
    """Without sources the model says nothing; what it says of one label alone is no choice."""
    rows = [
        {"source": SOURCE if label and seen == "true" else "", "claim": claim, "label": label}
        for label, claims in ((1, TRUE), (0, FALSE))
        for claim in claims
    ]
    (folder / "blank.jsonl").write_text("\n".join(map(json.dumps, rows)))
    code, out, err = bench(
        capsys, "one.jsonl", "--system", "model", "--timed", "0", "--threshold-from", "blank.jsonl"
    )
    assert (code, out) == (2, "")
    assert "GR120" in err
    assert says.replace("at ", "could look at ", 1) in " ".join(err.split())
    assert "no source to read" in err
    assert "--threshold" in err


def test_items_without_a_source_count_as_called_unsupported_at_zero(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the report says, and also when the threshold is 0."""
    rows = [{"source": "", "claim": TRUE[0], "label": 1}, {"source": "", "claim": "x", "label": 0}]
    (folder / "blank.jsonl").write_text("\n".join(map(json.dumps, rows)))
    code, out, _ = bench(
        capsys, "blank.jsonl", "--system", "model", "--timed", "0", "--threshold", "0",
        "--resamples", "10", "--json", "--html", "b.html",
    )  # fmt: skip
    assert code == 0
    (row,) = json.loads(out)["figures"]
    assert (row["errors"], row["best_at"]) == (2, 0.0)
    assert row["f1_unsupported"]["value"] == pytest.approx(2 / 3)
    # The dot of the trade-off plot stands at its upper right: every item is flagged.
    assert 'cx="306.0" cy="34.0" r="2.6"' in (folder / "b.html").read_text()


def test_a_file_name_that_is_no_text_is_told_before_anything_is_measured(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rather than by the page that cannot be written; a folder's name is shown escaped."""
    (folder / "a\udcff.jsonl").write_bytes((folder / "one.jsonl").read_bytes())
    code, out, err = bench(capsys, "a\udcff.jsonl", "--system", "overlap")
    assert (code, out) == (2, "")
    assert "GR120" in err
    assert "is no text" in err
    assert command_line(["bench", "d\udcff/a.jsonl"]) == "groundrail bench 'd\\udcff/a.jsonl'"


def test_a_number_alone_is_for_all_and_a_named_one_for_its_system() -> None:
    """In whatever order they stand; names may hold an equals sign."""
    systems = ["model", "pipeline,k=3"]
    assert thresholds_of([], systems) == {"model": 0.5, "pipeline,k=3": 0.5}
    assert thresholds_of(["pipeline,k=3=0.2", "0.4"], systems) == {
        "model": 0.4,
        "pipeline,k=3": 0.2,
    }


def test_the_command_is_shown_without_the_places_of_one_machine(folder: Path) -> None:
    """Many files of a folder become a pattern, a path its name; what is no path stays."""
    (folder / "dev").mkdir()
    files = [folder / "dev" / f"{name}.jsonl.gz" for name in "abcd"]
    for file in files:
        file.write_bytes(b"")
    shown = command_line(
        ["bench", *map(str, files), "--model", f"v0={folder / 'dev'}", "--model", "org/model,k=1",
         "--group", "all of it=a,b", "--threshold-from", str(folder / "held.jsonl"), "--markdown", "docs/b.md", "--html",
         "../b.html"]
    )  # fmt: skip
    assert shown == (
        "groundrail bench dev/*.jsonl.gz --model v0=dev --model org/model,k=1 "
        "--group 'all of it=a,b' --threshold-from held.jsonl --markdown docs/b.md --html b.html"
    )


def test_progress_in_a_log_says_how_long_it_will_take() -> None:
    """By the work left for the system at hand, known results apart; seldom, in a log."""
    sets = {
        name: [Item(f"{i}", name, ("s" * 100,), f"{name}{i:02}", None, "claim", True, None)
               for i in range(10)]
        for name in ("a", "b")
    }  # fmt: skip
    out = io.StringIO()
    seconds = count(step=10)
    with Ticker(Console(file=out, width=200), 2, sets, clock=lambda: float(next(seconds))) as told:
        told.system("model")
        tell = told.reading("a")
        for done in range(11):
            tell(Progress(done, 10, done * 103))
        # All of this set is known from before: nothing to tell of, and no work done.
        tell = told.reading("b")
        tell(Progress(10, 10, 0))
    lines = out.getvalue().splitlines()
    assert lines[0] == "model (1 of 2)"
    assert "model (1 of 2): a 10 of 10" in lines[-1]
    assert "left for this system" in lines[-1]
    assert len(lines) < 12
