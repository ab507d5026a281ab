"""The pairs written for this project: their form, their labels, and what is kept aside."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.training.written import FOLDER, KEPT_ASIDE, read_documents, written_rows

DOCUMENT = """\
# ferry
A: The ferry sails at nine.
B: The ferry sails at ten, and is new.
EC It leaves at nine.
NE  The ship is a new one.
"""
LINES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1).map(
    lambda text: " ".join(text.split())
)


@pytest.fixture
def folder(tmp_path):
    """Writes files of documents into a folder and gives the folder."""

    def make(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
        return tmp_path

    return make


def test_each_claim_stands_against_both_passages(folder):
    """With the label of its own for each."""
    rows = list(written_rows(folder(boats=DOCUMENT)))
    assert [(r.dataset, r.premise[:20], r.hypothesis, r.label) for r in rows] == [
        ("written_boats", "The ferry sails at n", "It leaves at nine.", "entailment"),
        ("written_boats", "The ferry sails at t", "It leaves at nine.", "contradiction"),
        ("written_boats", "The ferry sails at n", "The ship is a new one.", "neutral"),
        ("written_boats", "The ferry sails at t", "The ship is a new one.", "entailment"),
    ]
    assert [r.id for r in rows] == ["ferry/0A", "ferry/0B", "ferry/1A", "ferry/1B"]


def test_neutral_pairs_are_half_at_most(folder):
    """What a search finds mostly leaves a claim open; not all of that is handed out."""
    lines = ["# many", *(f"{letter}: Text {letter}." for letter in "ABCD")]
    lines += ["ENNN one", "NNNN two", "CNNN three", "NNNE four"]
    rows = list(written_rows(folder(boats="\n".join(lines))))
    assert Counter(row.label for row in rows) == {
        "entailment": 2, "contradiction": 1, "neutral": 3,
    }  # fmt: skip
    assert [row.id for row in rows if row.label == "neutral"] == ["many/1B", "many/2C", "many/3C"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DOCUMENT + "E It is blue.\n", "boats.txt:6: neither"),
        (DOCUMENT + "ECN It is blue.\n", "boats.txt:6: neither"),
        (DOCUMENT + "D: The ferry again.\n", "boats.txt:6: neither"),
        (DOCUMENT + "XY It is blue.\n", "boats.txt:6: neither"),
        (DOCUMENT + "\n" + DOCUMENT.replace("A: ", "D: "), "boats.txt:8: neither"),
        (DOCUMENT + "B: The ferry again.\n", "boats.txt:6: neither"),
        (DOCUMENT.replace("EC It leaves at nine.\n", "EC\n"), "boats.txt:4: neither"),
        ("# ferry\nA: It sails.\nE It sails.\n", "boats.txt:1: a document needs"),
        ("A: It sails.\nB: It sails.\nEE It sails.\n", "boats.txt:1: a document needs"),
        ("# ferry\nA: It sails.\nB: It sails.\n", "boats.txt:1: a document needs"),
    ],
)
def test_what_does_not_fit_is_an_error_with_its_line(folder, text, said):
    """Nothing is skipped."""
    with pytest.raises(ValueError, match=said):
        list(written_rows(folder(boats=text)))


def test_no_file_is_an_error(tmp_path):
    """A folder without texts is a mistake, and not an empty data set."""
    with pytest.raises(FileNotFoundError, match=r"holds no \.txt file"):
        list(written_rows(tmp_path))


@given(
    passages=st.lists(LINES.filter(bool), min_size=2, max_size=8),
    claims=st.lists(LINES.filter(bool), min_size=1),
    data=st.data(),
)
def test_what_is_written_is_read(tmp_path_factory, passages, claims, data):
    """Texts of any signs come back as they were."""
    labels = [
        data.draw(st.text("ENC", min_size=n, max_size=n)) for n in [len(passages)] * len(claims)
    ]
    lines = [f"{letter}: {text}" for letter, text in zip("ABCDEFGH", passages, strict=False)]
    lines += [f"{found} {claim}" for found, claim in zip(labels, claims, strict=True)]
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_text("\n".join(["# any", *lines]), encoding="utf-8")
    (document,) = read_documents(path)
    assert list(document.passages) == passages
    read = [("".join(label[0].upper() for label in found), c) for found, c in document.claims]
    assert read == list(zip(labels, claims, strict=True))


def test_one_document_in_ten_is_never_trained_on():
    """And the two parts share no text."""
    rows = [
        row
        for path in FOLDER.glob("*.txt")
        for doc in read_documents(path)
        for row in doc.rows("any")
    ]
    parts = [list(written_rows(aside=aside)) for aside in (False, True)]
    assert sum(map(len, parts)) == len(rows)
    assert len(parts[1]) * (KEPT_ASIDE - 2) < len(parts[0]) < len(parts[1]) * (KEPT_ASIDE + 2)
    for key in ("premise", "hypothesis"):
        assert not {getattr(r, key) for r in parts[0]} & {getattr(r, key) for r in parts[1]}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_the_packages_own_documents(path):
    """No claim tells its label by itself, and no label prevails."""
    documents = list(read_documents(path))
    assert len({doc.topic for doc in documents}) == len(documents)
    claims = [labels for doc in documents for labels, _ in doc.claims]
    shares = Counter(row.label for doc in documents for row in doc.rows("any"))
    for label, count in shares.items():
        assert 0.15 < count / shares.total() <= 0.5, label
    assert sum(len(set(labels)) > 1 for labels in claims) > len(claims) / 2
    for doc in documents:
        assert len(set(doc.passages)) == len(doc.passages), doc.topic
        assert len({claim for _, claim in doc.claims}) == len(doc.claims), doc.topic
