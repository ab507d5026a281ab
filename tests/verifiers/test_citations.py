"""Citation markers, and the sources they name."""

from __future__ import annotations

import pytest

from verifiers.citations import find_citations, resolve
from verifiers.types import Source

SOURCES = (
    Source("s1", "x", title="Refund Policy 2023", uri="https://www.Example.com/refunds/"),
    Source("doc-2", "y", title="handbook.md"),
    Source("kb/fees.pdf", "z", title="Smith, The Fees, 2021"),
)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("1", "s1"),
        ("3", "kb/fees.pdf"),
        ("4", None),
        ("0", None),
        ("s1", "s1"),
        ("doc-2", "doc-2"),
        ("Doc 2", "doc-2"),
        ("Source 2", "doc-2"),
        ("handbook", "doc-2"),
        ("HANDBOOK.MD", "doc-2"),
        ("handbook.md, section 2", "doc-2"),
        ("fees.pdf", "kb/fees.pdf"),
        ("refund policy 2023", "s1"),
        ("http://example.com/refunds#top", "s1"),
        ("https://example.com/refunds/?utm_source=x", "s1"),
        ("https://example.com/other", None),
        ("Smith, 2021", "kb/fees.pdf"),
        ("Smith, 2020", None),
        ("", None),
        ("nothing of ours", None),
    ],
)
def test_resolve(target, expected):
    """A target names a source by id, place, title, file name, link, or author and year."""
    assert expected == resolve(target, SOURCES)


def test_an_id_goes_before_a_place():
    """Sources numbered by the application keep their numbers."""
    assert resolve("1", [Source("0", "a"), Source("1", "b")]) == "1"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The fee is $30 [1].", [("[1]", "s1")]),
        ("The fee is $30[2].", [("[2]", "doc-2")]),
        ("So it is [1, 2].", [("[1, 2]", "s1"), ("[1, 2]", "doc-2")]),
        ("So it is [1-3].", [("[1-3]", "s1"), ("[1-3]", "doc-2"), ("[1-3]", "kb/fees.pdf")]),
        ("So it is [1][2].", [("[1]", "s1"), ("[2]", "doc-2")]),
        ("So it is [9].", [("[9]", None)]),
        ("So it is [doc-2].", [("[doc-2]", "doc-2")]),
        ("So it is [handbook.md].", [("[handbook.md]", "doc-2")]),
        ("So it is [Source 3].", [("[Source 3]", "kb/fees.pdf")]),
        ("So it is [Source: unknown.md].", [("[Source: unknown.md]", None)]),
        ("So it is (Source: handbook.md).", [("(Source: handbook.md)", "doc-2")]),
        (
            "So it is (Sources: s1; doc-2).",
            [("(Sources: s1; doc-2)", "s1"), ("(Sources: s1; doc-2)", "doc-2")],
        ),
        ("So it is (handbook.md).", [("(handbook.md)", "doc-2")]),
        ("So it is (Smith, 2021).", [("(Smith, 2021)", "kb/fees.pdf")]),
        ("So it is (Jones, 2021).", []),
        ("So it is 【1†source】.", [("【1†source】", "s1")]),
        ("So it is 【4:2†fees.pdf】.", [("【4:2†fees.pdf】", "kb/fees.pdf")]),
        (
            "See the [policy](https://example.com/refunds).",
            [("[policy](https://example.com/refunds)", "s1")],
        ),
        ("See the [page](https://example.com/gone).", [("[page](https://example.com/gone)", None)]),
        ("See https://example.com/refunds.", [("https://example.com/refunds", "s1")]),
        ("So it is.¹", [("¹", "s1")]),
        ("So it is [^1].\n\n[^1]: handbook.md", [("[^1]", "doc-2")]),
        ("So it is [1].\n\nSources:\n[1] handbook.md", [("[1]", "doc-2"), ("[1]", "doc-2")]),
        ("The array [1, 2, 9] is sorted.", []),
        ("x = [1, 2]", []),
        ("Take a[1] and rows_x[2].", []),
        ("Call `a[1]` twice.", []),
        ("```\nb = items[1];\nfoo(); [2]\n```", []),
        ("    y = foo[1]; bar[2] = {3};", []),
        ("In [0, 1] it rises.", []),
        ("He said [sic] that [he] left in [2023].", []),
        ("The area is 30 m² (3).", []),
    ],
)
def test_find_citations(answer, expected):
    """Markers are read in every common form; code, arrays and asides are not."""
    assert expected == [(c.marker, c.source_id) for c in find_citations(answer, SOURCES)]


def test_a_link_counts_only_where_sources_have_links():
    """Without any URI there is nothing a link could name, so it is no citation."""
    assert find_citations("See [docs](https://example.com/x).", [Source("a", "b")]) == ()
