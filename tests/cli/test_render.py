"""What people see: every verdict told apart without colour, nothing from a text acting on the terminal."""

from __future__ import annotations

import dataclasses
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.cli.render import MARKS, make_console, marked_answer, print_report, quoted, visible
from guardrails.report import Report
from policies.types import Decision
from verifiers.types import Span


def shown(report: Report, *, width: int = 100, encoding: str = "utf-8", **options: object) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", newline="\n")
    print_report(report, console=make_console(stream, width=width), **options)  # type: ignore[arg-type]
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_every_part_is_there(report: Report) -> None:
    """Claims, scores, evidence with its place, coverage, citations, decision, deed, model, time."""
    text = shown(report, width=140)
    for part in (
        "It opens at 9 a.m. [✗ c3]",
        "✓ c2 supported  support 0.988  contradiction 0.001  cited",
        "✗ c3 contradicted  support 0.010  contradiction 0.970  miscited  -> regenerate (on_contradicted)",
        "evidence handbook.md 0:21",
        "(Customer handbook)",
        '"A day costs 18 euros."',
        "claim says 9 a.m., source says 8 a.m. (handbook.md 22:59)",
        "nearest handbook.md",
        "read 3 of 90 windows in 1 of 1 sources",
        "∅ c5 unverifiable",
        "⇄ c6 conflict",
        "for handbook.md",
        "! c7 error  GR106",
        "Decision  review  policy balanced (b2:0123456789abc)",
        "on_conflict c6: sources disagree -> review",
        "held until a person has looked",
        "A person is looking.",
        "note: the price of this model is not known",
        "model bundled (onnx, fp32/CPU) · 9 pairs (2 from the cache) · 0.70 s · record rec-1 (not stored)",
        "1 supported, 1 contradicted, 1 conflict, 1 unsupported, 1 unverifiable, 1 error, 1 with nothing to check",
    ):
        assert part in text, part


def test_without_colour_and_without_unicode_nothing_is_lost(report: Report) -> None:
    """Each verdict has a mark of its own in plain ASCII, and no escape code goes into a pipe."""
    text = shown(report, encoding="ascii")
    assert "\x1b" not in text
    for mark in ("[ok c2]", "[WRONG c3]", "[? c4]", "[- c5]", "[CONFLICT c6]", "[! c7]"):
        assert mark in text, mark
    assert len({mark.plain for mark in MARKS.values()}) == len(MARKS)
    assert len({mark.symbol for mark in MARKS.values()}) == len(MARKS)


def test_colour_only_where_wanted(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    """FORCE_COLOR colours a pipe, NO_COLOR wins, and otherwise a pipe gets none."""
    assert "\x1b[" not in shown(report)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in shown(report)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[\d;]*3[1-6]", shown(report))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_fit_the_width(report: Report, width: int) -> None:
    """Whatever the terminal."""
    assert max(map(len, shown(report, width=width).splitlines())) <= width


def test_control_characters_and_overrides_are_shown_not_obeyed(report: Report) -> None:
    """A source cannot clear the screen, forge a line or turn text around."""
    assert visible("a\x1b[2Jb\u202ec\rd\x00\te\n") == "a\ufffd[2Jb\ufffdc\ufffdd\ufffd\te\n"
    assert "\ufffd[31mRED" in shown(report)
    answer = dataclasses.replace(report, answer=report.answer.replace("Hello!", "\x1b[2J!!"))
    assert "\x1b" not in shown(answer)


@given(st.text(max_size=300))
def test_visible_keeps_length_and_quotes_fit_a_line(text: str) -> None:
    """Offsets stay right, and a quotation is one line."""
    assert len(visible(text)) == len(text)
    assert "\n" not in quoted(text)


def test_a_long_quotation_says_that_it_was_cut() -> None:
    """In the middle, with both ends kept."""
    text = quoted("start " + "x " * 500 + "end", limit=100)
    assert len(text) < 120
    assert "[...]" in text
    assert text.startswith('"start')
    assert text.endswith('end"')


def test_the_marked_answer_holds_the_whole_answer(report: Report) -> None:
    """Taking the marks out gives the answer back."""
    marked = marked_answer(report).plain
    assert re.sub(r" \[\S+ c\d+\]", "", marked) == report.answer


def test_nested_claims_do_not_repeat_text(report: Report) -> None:
    """A clause inside a sentence that is a claim itself."""
    outer = report.claims[1]
    inner_claim = dataclasses.replace(
        outer.verdict.claim, id="c9", span=Span(7, 12), text=report.answer[7:12]
    )
    inner = dataclasses.replace(
        outer,
        verdict=dataclasses.replace(outer.verdict, claim=inner_claim),  # type: ignore[arg-type]
    )
    decision = dataclasses.replace(report.decision, claims=(*report.claims, inner))
    marked = marked_answer(dataclasses.replace(report, decision=decision)).plain
    assert re.sub(r" \[\S+ c\d+\]", "", marked) == report.answer


def test_empty_answers_and_explanations(report: Report) -> None:
    """Nothing to mark is said, and the rules are listed when asked for."""
    decision = Decision(report.action, (), (), "strict", "b2:00")
    empty = dataclasses.replace(report, answer="", decision=decision)
    text = shown(empty, explain=["on_empty asks for refuse"])
    assert "(empty)" in text
    assert "nothing in this answer makes a claim" in text
    assert "on_empty asks for refuse" in text
