from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.errors import InputTooLong
from verifiers.types import Source, Span, Window
from verifiers.windows import Cutter, WindowIndex, cut, narrow, select

WORDS = st.sampled_from(
    [
        "river",
        "rose",
        "12",
        "metres",
        "in",
        "2024.",
        "Prices",
        "fell.",
        "x" * 40,
        "é",
        "東京は",
        "\n",
        "🙂",
    ]
)
TEXTS = st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=80).map(" ".join))


def words(texts: Sequence[str]) -> list[int]:
    return [len(t.split()) for t in texts]


def letters(texts: Sequence[str]) -> list[int]:
    return [len(t.encode("utf-8", "surrogatepass")) for t in texts]


def jumpy(texts: Sequence[str]) -> list[int]:
    """Not additive: a text has more tokens than its parts together."""
    return [len(t.split()) + t.count(".") + len(t) // 17 for t in texts]


def split(text: str) -> list[Span]:
    return [Span(m.start(), m.end()) for m in re.finditer(r"[^.!?\s][^.!?]*[.!?]?", text)]


def source(text: str, name: str = "s") -> Source:
    return Source(id=name, text=text)


@given(TEXTS, st.sampled_from([words, letters, jumpy]), st.integers(8, 60), st.integers(0, 3))
def test_windows_are_exact_fit_and_cover(text: str, count, budget: int, overlap: int):
    """Every window is an exact span within the budget, and no non-space character is lost."""
    windows = cut(
        source(text), split(text), count_text=count, budget_tokens=budget, overlap_sentences=overlap
    )

    covered = set()
    for index, window in enumerate(windows):
        assert (window.index, window.source_id) == (index, "s")
        assert window.span.of(text) == window.text
        assert count([window.text])[0] <= budget
        covered.update(range(window.span.start, window.span.end))
    assert {i for i, c in enumerate(text) if not c.isspace()} <= covered
    assert [w.span for w in windows] == sorted(w.span for w in windows)


@given(TEXTS, st.integers(8, 40))
def test_sentences_need_not_cover_the_text(text: str, budget: int):
    """Text that no sentence covers is kept all the same."""
    spans = split(text)[::2]
    windows = cut(source(text), spans, count_text=words, budget_tokens=budget)

    covered = {i for w in windows for i in range(w.span.start, w.span.end)}
    assert {i for i, c in enumerate(text) if not c.isspace()} <= covered


def test_overlap_repeats_sentences():
    """With room for two, each window starts with the last sentence of the one before."""
    text = "One two three. Four five six. Seven eight nine. Ten eleven twelve."
    windows = cut(source(text), split(text), count_text=words, budget_tokens=6, overlap_sentences=1)

    assert [w.text for w in windows] == [
        "One two three. Four five six.",
        "Four five six. Seven eight nine.",
        "Seven eight nine. Ten eleven twelve.",
    ]


def test_long_sentence_is_split_between_words_with_overlap():
    """A sentence over the budget falls apart at spaces, and its pieces share words."""
    text = " ".join(f"w{i}" for i in range(100))
    windows = cut(source(text), [Span(0, len(text))], count_text=words, budget_tokens=24)

    assert all(re.fullmatch(r"(w\d+ ?)+", w.text + " ") for w in windows)
    assert all(a.span.overlaps(b.span) for a, b in itertools.pairwise(windows))


def test_a_character_over_the_budget_is_an_error():
    """Nothing is cut in silence: what cannot fit is named."""
    with pytest.raises(InputTooLong, match="GR105"):
        cut(source("🙂"), [], count_text=letters, budget_tokens=3)


@pytest.mark.parametrize(
    "options", [{"budget_tokens": 0}, {"budget_tokens": 5, "overlap_sentences": -1}]
)
def test_nonsense_options_are_errors(options):
    """A budget of nothing and a negative overlap are refused."""
    with pytest.raises(ValueError):
        cut(source("a"), [], count_text=words, **options)


def test_cutting_counts_in_batches():
    """A source of 20,000 sentences asks the tokenizer in large batches, not sentence by sentence."""
    calls: list[int] = []

    def count(texts: Sequence[str]) -> list[int]:
        calls.append(len(texts))
        return words(texts)

    text = "Water is wet. " * 20_000
    cut(source(text), split(text), count_text=count, budget_tokens=100)

    assert len(calls) < 60


def test_cutter_remembers_by_text():
    """The same text under another id is not split again, and its windows carry the new id."""
    calls: list[str] = []

    def sentences(text: str) -> list[Span]:
        calls.append(text)
        return split(text)

    cutter = Cutter(sentences=sentences, count_text=words, budget_tokens=6, remembered=1)
    first = cutter.windows(source("One two. Three four.", "a"))
    second = cutter.windows(source("One two. Three four.", "b"))
    cutter.windows(source("Other."))
    cutter.windows(source("One two. Three four.", "a"))

    assert [w.source_id for w in second] == ["b"]
    assert [w.span for w in first] == [w.span for w in second]
    assert len(calls) == 3


TOPICS = [
    "The heron nests near water.",
    "A violin has four strings.",
    "Granite is an igneous rock.",
    "Rye bread keeps for days.",
]


def many(n: int, per: int) -> list:
    made = []
    for i in range(n):
        text = " ".join(f"{TOPICS[(i + j) % 4]} Note {i}-{j}." for j in range(per))
        made += cut(
            source(text, f"s{i}"),
            split(text),
            count_text=words,
            budget_tokens=8,
            overlap_sentences=0,
        )
    return made


def test_few_windows_are_all_read_best_first():
    """With few windows every one is read, the nearest first."""
    selection = select("violin strings", many(2, 2), k=1, read_all_up_to=99)

    assert selection.coverage.complete
    assert "violin" in selection.windows[0].text
    assert list(selection.scores) == sorted(selection.scores, reverse=True)


def test_many_windows_are_chosen_by_rank():
    """With many windows the best are read, and the counts say how many there were."""
    windows = many(3, 40)
    selection = select("How many strings has a violin?", windows, k=5, read_all_up_to=16)

    assert selection.windows_total == len(windows)
    assert 5 <= len(selection.windows) <= 9
    assert "violin" in selection.windows[0].text


@given(
    st.integers(1, 6),
    st.integers(1, 12),
    st.integers(1, 8),
    st.integers(0, 20),
    st.text(max_size=40),
)
def test_selection_never_loses_a_source(n: int, per: int, k: int, read_all: int, query: str):
    """Each source is read when there are at most k, and counted always."""
    windows = many(n, per)
    selection = select(query, windows, k=k, read_all_up_to=read_all)

    assert selection.sources_total == n
    assert selection.sources_read >= min(n, k)
    assert len(set(selection.windows)) == len(selection.windows) >= min(k, len(windows))
    assert set(selection.windows) <= set(windows)
    assert selection.coverage.windows_total == len(windows)


@given(st.permutations(range(8)))
def test_ties_keep_the_order_of_the_sources(order):
    """Equal scores are broken by position and by nothing else."""
    windows = [
        w
        for i in order
        for w in cut(source("Same words here.", f"s{i}"), [], count_text=words, budget_tokens=9)
    ]
    selection = WindowIndex(windows).select("same words", k=3, read_all_up_to=0)

    assert [w.source_id for w in selection.windows] == [f"s{i}" for i in order[:3]]


def test_no_windows_is_an_empty_selection():
    """Nothing to read gives counts of nothing."""
    selection = select("anything", [])

    assert (
        selection.windows,
        selection.coverage.windows_total,
        selection.coverage.sources_total,
    ) == ((), 0, 0)


FACTS = [
    "The violin has four strings and is tuned in fifths.",
    "A viola has four strings and sounds deeper than a violin.",
    "Strings were once made of gut.",
    "The harbour was closed in winter.",
    "Bread is baked at five in the morning.",
    "The council met twice in May.",
]


def facts() -> list[Window]:
    return [
        w
        for i, fact in enumerate(FACTS)
        for w in cut(source(fact, f"s{i}"), [], count_text=words, budget_tokens=20)
    ]


@given(
    st.lists(st.text(st.sampled_from("abc "), min_size=1, max_size=30), min_size=1, max_size=9),
    st.text(st.sampled_from("abcd "), max_size=20),
    st.floats(0, 1),
    st.integers(1, 9),
)
def test_near_only_takes_the_tail_away(texts: list[str], query: str, near: float, k: int):
    """What is left is what would be read without it, up to some place behind the third."""
    windows = [
        Window(f"s{i}", 0, Span(0, len(text)), text) for i, text in enumerate(texts) if text.strip()
    ]
    everything = select(query, windows, k=k, read_all_up_to=0)
    some = select(query, windows, k=k, read_all_up_to=0, near=near)

    assert some.windows == everything.windows[: len(some.windows)]
    assert len(some.windows) >= min(3, len(everything.windows))
    assert some.windows_total == everything.windows_total
    gone = everything.scores[len(some.windows) :]
    assert all(score < near * some.scores[0] for score in gone)


def test_windows_far_behind_the_best_are_left_out():
    """They share next to nothing with the claim; the third is read even so."""
    claim = "A violin has four strings, tuned in fifths."
    assert len(select(claim, facts()).windows) == 6
    read = select(claim, facts(), near=0.5).windows
    assert [w.source_id for w in read] == ["s0", "s1", "s2"]


def test_rank_is_not_trusted_where_words_cannot_tell():
    """A claim in another language, or in words of its own: everything is read."""
    for claim in ("Die Geige hat vier Saiten.", "That fiddle sounds the same when bowed twice"):
        assert len(select(claim, facts(), near=0.5).windows) == 6


@pytest.mark.parametrize("options", [{"k": 0}, {"read_all_up_to": -1}, {"near": -0.1}, {"near": 2}])
def test_nonsense_selection_is_refused(options):
    """Selecting nothing is a mistake of the caller."""
    with pytest.raises(ValueError):
        select("x", [], **options)


def test_narrow_finds_the_sentence():
    """The evidence is the sentence that says it, as an exact span of the source."""
    text = "Intro. The bridge opened in 1932. It carries eight lanes. Birds nest there."
    sentences = split(text)
    (window,) = cut(source(text), sentences, count_text=words, budget_tokens=99)
    found = narrow(window, "The bridge was opened in 1931.", sentences)

    assert found.text == "The bridge opened in 1932."
    assert found.span.of(text) == found.text


def test_narrow_adds_a_neighbour_that_completes_the_claim():
    """Two sentences are shown when the claim rests on both."""
    text = "Rain fell. Ada Byron was a mathematician. She died in London in 1852. The sun rose."
    sentences = split(text)
    (window,) = cut(source(text), sentences, count_text=words, budget_tokens=99)

    assert narrow(
        window, "The mathematician Ada Byron died in London in 1852.", sentences
    ).text == ("Ada Byron was a mathematician. She died in London in 1852.")


@given(TEXTS, TEXTS)
def test_narrow_stays_inside(text: str, claim: str):
    """The evidence is always an exact span inside its window."""
    for window in cut(source(text), split(text), count_text=words, budget_tokens=12):
        found = narrow(window, claim, split(text))
        assert window.span.contains(found.span)
        assert found.span.of(text) == found.text
