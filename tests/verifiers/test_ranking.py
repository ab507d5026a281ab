from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.bench.retrieval import evaluate, main, planted
from verifiers.ranking import Ranking, tokenise


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Prices rose 2,023 points", ["pric", "ros", "2023", "point"]),
        ("version 1.2.3", ["version", "1.2.3"]),
        ("東京都", ["東京", "京都"]),
        ("東", ["東"]),
        ("ＣＡＦÉ", ["café"]),
        ("stopped stopping stops stop", ["stop"] * 4),
        ("cities city", ["city", "city"]),
        ("this is as bus", ["this", "is", "as", "bus"]),
        ("snake_case", ["snak", "cas"]),
        ("", []),
    ],
)
def test_tokens(text: str, terms: list[str]):
    """Digits and unspaced scripts are kept; plain inflections are taken off."""
    assert tokenise(text) == terms


def test_the_nearest_text_is_first():
    """The text that shares the rare words wins."""
    assert Ranking(["a red fox", "a grey heron by the river", "rivers of ice"]).order(
        "herons in rivers"
    ) == [1, 2, 0]


def test_unknown_words_score_nothing():
    """A query without a known word keeps the given order."""
    assert Ranking(["b", "a"]).order("zebra") == [0, 1]
    assert Ranking(["", ""]).order("zebra") == [0, 1]


@given(st.lists(st.text(max_size=30), max_size=8), st.text(max_size=30))
def test_order_is_a_permutation_and_repeats(texts: list[str], query: str):
    """Every text is ranked once, the same each time."""
    order = Ranking(texts).order(query)
    assert sorted(order) == list(range(len(texts)))
    assert order == Ranking(texts).order(query)


def test_the_benchmark_leaves_out_excluded_pairs(tmp_path):
    """An excluded document counts neither as found nor as missed."""
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": "1", "text": "red fox"}\n{"_id": "2", "text": "fox tail of some length"}\n{"_id": "3", "text": "heron"}\n'
    )
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "red fox"}\n')
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\t1\t2\nq\t2\t1\n")
    assert evaluate(tmp_path).mrr_at_10 == 1.0
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\t2\t1\n")
    assert evaluate(tmp_path).mrr_at_10 == 0.5
    (tmp_path / "exclude.tsv").write_text("q\t1\n")
    assert evaluate(tmp_path).mrr_at_10 == 1.0


def test_planted_texts_are_found_again(tmp_path, capsys):
    """A claim's own text, hidden among others, is read with few windows; the command says so."""
    rows = [
        {
            "source": f"The {w} stood on the hill near the village for long.",
            "claim": f"A {w} stood on the hill.",
            "label": "supported",
        }
        for w in ("mill", "castle", "chapel", "barn", "tower", "lighthouse")
    ]
    path = tmp_path / "set.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(r) + "\n" for r in rows)
    found = planted(path, claims=6, others=6)
    assert found.claims == 6
    assert found.recall[16] == 1.0
    main(["--planted", str(path)])
    assert capsys.readouterr().out.startswith("Planted(collection='set.jsonl.gz', claims=6,")


def test_the_retrieval_command_says_what_it_takes(capsys):
    """Help on demand; without a collection, or with an option it does not know, an error."""
    with pytest.raises(SystemExit) as helped:
        main(["--help"])
    assert helped.value.code == 0
    assert "--planted" in capsys.readouterr().out
    for wrong in ([], ["--plantd", "set.jsonl.gz"]):
        with pytest.raises(SystemExit) as refused:
            main(wrong)
        assert refused.value.code == 2


def test_told_is_the_weight_of_the_words_a_text_has():
    """Rare words weigh more than common ones, unknown words most."""
    ranking = Ranking(["a red fox", "a grey heron", "a river of ice"])
    assert ranking.told("a red fox", 0) == 1.0
    assert ranking.told("", 0) == 1.0
    assert ranking.told("zebra", 0) == 0.0
    assert 0 < ranking.told("a zebra", 0) < ranking.told("red zebra", 0) < 0.5
    assert ranking.told("red fox", 1) == 0.0


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5), st.text(max_size=20))
def test_told_is_a_share(texts: list[str], query: str):
    """In [0, 1], and 1 for a text's own words."""
    ranking = Ranking(texts)
    assert all(0.0 <= ranking.told(query, i) <= 1.0 for i in range(len(texts)))
    assert ranking.told(texts[0], 0) == pytest.approx(1.0)
