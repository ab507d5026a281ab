"""Labelled files: what is read, what is mapped, and what is refused."""

from __future__ import annotations

import gzip
import json

import pytest

from verifiers.bench.items import Item, read_items
from verifiers.errors import BenchDataInvalid
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


def labelled(*labels):
    return [{"source": "s", "claim": "c", "label": label} for label in labels]


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
    rows = labelled(1, 0.0, "Good", "entailment")
    path = write_rows(tmp_path / "x.jsonl", rows)
    meanings = {"1": False, "0": True, "good": True}
    assert [i.supported for i in read_items(path, labels=meanings)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("labels", "meanings", "expected"),
    [
        ((True, False), {"1": False, "0": True}, [False, True]),
        ((1, 0, "Yes"), {"true": False, "FALSE": True}, [False, True, False]),
        ((True, 1, 0), {"1": False, "true": True, "0": False}, [True, False, False]),
        ((True, False), {"bad": False}, [True, False]),
        ((1, 0), {"1": True}, [True, False]),
    ],
)
def test_what_is_said_of_one_and_zero_holds_for_true_and_false(
    tmp_path, labels, meanings, expected
) -> None:
    """A file of JSON booleans is not read the other way round of what was said."""
    path = write_rows(tmp_path / "x.jsonl", labelled(*labels))
    assert [i.supported for i in read_items(path, labels=meanings)] == expected


@pytest.mark.parametrize(
    ("label", "meanings"),
    [
        (0, {"1": False}),
        (True, {"0": True}),
        ("yes", {"1": False, "true": True}),
    ],
)
def test_a_label_that_a_mapping_leaves_open_is_refused(tmp_path, label, meanings) -> None:
    """Where 1 means unsupported, 0 hardly means unsupported, too."""
    path = write_rows(tmp_path / "x.jsonl", labelled(label))
    with pytest.raises(BenchDataInvalid, match=r"line 1: label .* is not mapped") as caught:
        read_items(path, labels=meanings)
    assert f"--label {str(label).lower()}=supported" in caught.value.hint


def test_labels_that_differ_in_case_alone_are_refused(tmp_path) -> None:
    """The last one would win in silence."""
    path = write_rows(tmp_path / "x.jsonl", ROWS)
    with pytest.raises(BenchDataInvalid, match="Good, good two differ in case"):
        read_items(path, labels={"Good": True, "good": False})


def test_mapped_labels_that_no_line_has_can_be_told(tmp_path) -> None:
    """By the label itself or one it stands for."""
    met: set[str] = set()
    meanings = {"Good": True, "nice": True, "1": True}
    path = write_rows(tmp_path / "x.jsonl", labelled("good ", True, "supported"))
    read_items(path, labels=meanings, met_labels=met)
    assert met == {"good", "1"}


def test_the_name_of_a_file_is_text(tmp_path) -> None:
    """It becomes the name of the set, which no table could be written with."""
    path = tmp_path / "a\udcff.jsonl"
    with pytest.raises(BenchDataInvalid, match=r"'a\\udcff.jsonl' is no text"):
        read_items(path)


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
        ('{"source": "s", "claim": "c", "label": 1, "spans": [[0, Infinity]]}\n', "is no .start"),
        ('{"source": "s", "claim": "cd", "label": 1, "spans": [[0, 1.5]]}\n', "is no .start"),
        ('{"source": "s", "claim": "c", "label": 1, "spans": ["01"]}\n', "is no .start"),
        ('{"source": "s", "claim": "c", "label": 1, "spans": [[false, true]]}\n', "is no .start"),
        ('{"source": "s", "claim": "c\\ud83d", "label": 1}\n', "claim holds half a character"),
        ('{"source": ["s", "\\udc00"], "claim": "c", "label": 1}\n', "source holds half"),
        ('{"source": "s", "claim": "c", "label": 1, "id": "\\ud800"}\n', "id holds half"),
        ('{"source": "s", "claim": "c", "label": 1, "dataset": "\\ud800"}\n', "dataset holds half"),
        ("[" * 100_000 + "\n", "line 1 cannot be read"),
        (f'{{"id": {"1" * 5_000}}}\n', "line 1 cannot be read"),
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


def test_an_id_of_zero_is_an_id_and_whole_floats_are_places(tmp_path) -> None:
    """Data frames write both."""
    row = {"source": "s", "claim": "c d", "label": 1, "id": 0, "spans": [[0.0, 1.0]]}
    (item,) = read_items(write_rows(tmp_path / "x.jsonl", [row]))
    assert (item.id, item.spans) == ("0", (Span(0, 1),))


def test_mapped_columns_that_no_line_has_can_be_told(tmp_path) -> None:
    """An optional key under a misspelt name would be silently gone."""
    rows = [{"source": "s", "claim": "c", "label": 1}, {**ROWS[0], "marks": []}]
    met: set[str] = set()
    columns = {"spans": "marks", "question": "qestion"}
    read_items(write_rows(tmp_path / "x.jsonl", rows), columns=columns, met=met)
    assert met == {"spans"}
