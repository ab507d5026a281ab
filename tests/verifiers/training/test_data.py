"""Reading and encoding pairs."""

from __future__ import annotations

import gzip
import json

import pytest

from verifiers.training.data import LABELS, Row, encode, load_pairs, read_rows

GOOD = {"dataset": "d", "premise": "a", "hypothesis": "b", "label": "neutral"}


def test_plain_and_packed_files_read_alike(tmp_path):
    """The name decides; blank lines are nothing."""
    text = json.dumps(GOOD) + "\n\n" + json.dumps({**GOOD, "id": "7"}) + "\n"
    (tmp_path / "a.jsonl").write_text(text)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    rows = list(read_rows(tmp_path / "a.jsonl"))
    assert rows == list(read_rows(tmp_path / "a.jsonl.gz"))
    assert [row.id for row in rows] == ["", "7"]


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("{not json", "x.jsonl:2: not JSON"),
        ('{"premise": "secret words"}', "x.jsonl:2: needs"),
        (json.dumps({**GOOD, "label": "maybe"}), "unknown label 'maybe'"),
        ('"text"', "x.jsonl:2: needs"),
        ("[" * 100_000, "x.jsonl:2: not JSON"),
        (json.dumps({**GOOD, "hypothesis": None}), "x.jsonl:2: hypothesis is no text"),
        (json.dumps({**GOOD, "premise": ["secret"]}), "x.jsonl:2: premise is no text"),
        (json.dumps({**GOOD, "premise": "secret \ud83d"}), "premise holds half a character"),
    ],
)
def test_a_bad_line_is_named_by_its_place_and_not_by_its_text(tmp_path, line, match):
    """The error says file and line, and quotes no text of the pair."""
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line + "\n")
    with pytest.raises(ValueError, match=match) as caught:
        list(read_rows(path))
    assert "secret" not in str(caught.value)


def test_half_a_packed_file_is_named(tmp_path):
    """Cut anywhere, or packed by another program than its name says."""
    whole = gzip.compress((json.dumps(GOOD) + "\n").encode() * 500)
    for data in (whole[:40], whole[:-4], b"plain", whole[:30] + b"\xff" * 30 + whole[60:]):
        (tmp_path / "x.jsonl.gz").write_bytes(data)
        with pytest.raises(ValueError, match=r"x\.jsonl\.gz is no whole gzip file"):
            list(read_rows(tmp_path / "x.jsonl.gz"))


def test_text_in_another_encoding_is_named(tmp_path):
    """Such as what a spreadsheet saves."""
    (tmp_path / "x.jsonl").write_bytes(json.dumps(GOOD).encode("utf-16"))
    with pytest.raises(ValueError, match=r"x\.jsonl is not UTF-8"):
        list(read_rows(tmp_path / "x.jsonl"))


@pytest.mark.parametrize("keep", [0, 100, 2_000, -10])
def test_a_cut_cache_is_made_again(tiny_start, toy_data, tmp_path, keep):
    """It holds nothing that could not be."""
    tokenizer = tiny_start / "tokenizer.json"
    one = load_pairs([toy_data], tokenizer, max_length=40, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:keep])
    two = load_pairs([toy_data], tokenizer, max_length=40, cache=tmp_path)
    assert two.digest() == one.digest()


def test_a_tokenizer_that_is_none_is_named(toy_data, tmp_path):
    """By its file."""
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match=r"tokenizer\.json is no tokenizer"):
        load_pairs([toy_data], tmp_path / "tokenizer.json", max_length=40)


def test_encoding_keeps_every_token_and_counts_what_it_leaves_out(tiny_start):
    """Nothing is cut: a pair is kept whole, or left out and counted."""
    rows = [
        Row("d", "Anna built a house.", "Anna built.", "entailment"),
        Row("d", "Anna " * 60, "Anna built.", "neutral"),
        Row("e", "Boris sold a boat.", "", "not_entailment"),
        Row("e", "Boris sold a boat.", "Boris sold.", "not_entailment"),
    ]
    pairs = encode(rows, tiny_start / "tokenizer.json", max_length=30)
    assert pairs.dropped == {"d": 1, "e": 1}
    assert [LABELS[i] for i in pairs.labels] == ["entailment", "not_entailment"]
    assert pairs.lengths.tolist() == [5 + 3 + 3, 5 + 3 + 3]
    premise, hypothesis = pairs.pair(1)
    assert (len(premise), len(hypothesis)) == (5, 3)
    assert pairs.counts() == {"d": {"entailment": 1}, "e": {"not_entailment": 1}}


def test_the_cache_gives_back_what_was_encoded(tiny_start, toy_data, tmp_path):
    """A second call reads the cache, and a changed file is not taken for the old one."""
    tokenizer = tiny_start / "tokenizer.json"
    one = load_pairs([toy_data], tokenizer, max_length=40, cache=tmp_path)
    two = load_pairs([toy_data], tokenizer, max_length=40, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert one.names == two.names
    assert one.dropped == two.dropped
    for name in ("tokens", "starts", "cuts", "labels", "datasets"):
        assert getattr(one, name).tolist() == getattr(two, name).tolist()
    load_pairs([toy_data], tokenizer, max_length=41, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
