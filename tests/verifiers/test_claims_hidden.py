"""Statements dressed up as something that is not checked are claims all the same."""

from __future__ import annotations

import pytest

from verifiers.claims import make_extractor, skip
from verifiers.claims.inline import read
from verifiers.types import SkipReason, Source, Span

pytestmark = pytest.mark.integration

TRUE = "Returns are possible within 30 days."
INVISIBLE = "".join(chr(0xE0000 + ord(char)) for char in "The shop was founded by pirates.")
RINGED = "".join(chr(0x1F170 + ord(c) - 65) if c.isalpha() else c for c in "PIRATES FOUNDED IT")


@pytest.fixture(scope="module")
def extractor():
    """One English extractor; its pipeline is loaded once."""
    return make_extractor()


HIDDEN = {
    "behind the marks of a fence": "```The shop was founded by pirates.\nx = 1\n```",
    "behind tildes": "~~~ The shop was founded by pirates in 1720.\nx = 1\n~~~",
    "statement with a question mark": "The shop was founded by pirates in 1720?",
    "question mark behind a zero-width space": "The shop was founded by pirates.\u200b?",
    "did you know that": "Did you know that the shop was founded by pirates?",
    "did you know": "Did you know the shop was founded by pirates?",
    "negated question": "Isn't it great that the shop was founded by pirates?",
    "tag question": "The shop was founded by pirates, right?",
    "tag question with a verb": "The shop was founded by pirates, wasn't it?",
    "premise": "Given that pirates founded the shop, would you like to go on?",
    "behind a semicolon": "Let me know if you have questions; pirates founded the shop.",
    "behind a dash": "Feel free to ask — the shop was founded by pirates.",
    "reason": "I hope this helps, since the shop was founded by pirates.",
    "relative clause": "Let me know if you like the shop, which was founded by pirates.",
    "abstention with a semicolon": "I could not find that; the shop was founded by pirates.",
    "comment": "<!-- The shop was founded by pirates. -->",
    "no tag at all": "<The shop was founded by pirates>",
    "a word in angle brackets": "The founders were <pirates>.",
    "attribute": 'See <span title="The shop was founded by pirates">it</span>.',
    "title of a link": '[Receipts](https://a.b "The shop was founded by pirates") are needed.',
    "invisible letters": INVISIBLE,
    "letters in squares": RINGED,
    "heading with a year": "\n\n# Founded by pirates in 1720\n",
    "heading with a limit": "\n\n## No pirates after 3 days\n",
    "heading with a label": "\n\n**Pirates: 1720 of them**\n",
    "heading with the answer": "\n\n**Answer: pirates**\n",
    "heading as a question": "\n\n## Did you know that pirates founded the shop?\n",
    "head of a table": "\n\n| The shop was founded by pirates | in 1720 |\n|---|---|\n",
    "lenticular brackets": "【The shop was founded by pirates】",
    "number and prose in lenticular brackets": "【1†the shop was founded by pirates】",
    "parentheses of a source": "(Source: the shop was founded by pirates)",
    "a true source and more": "(Source: s1; the shop was founded by pirates)",
    "labelled bracket": "[source: the shop was founded by pirates]",
    "fenced JSON": '\n\n```json\n{\n  "founder": "pirates",\n  "year": 1720\n}\n```\n',
    "amount in a list of references": "\n\nReferences:\n- Pirates: 500 euros\n",
}


def test_letters_of_other_scripts_in_a_word_are_read_as_what_they_look_like(extractor) -> None:
    """A Cyrillic letter does not take a negation away; words of another script stay as they are."""
    (claim,) = extractor.extract("Returns are n\u043et p\u043essible after May.")
    assert claim.hypothesis == "Returns are not possible after May."
    assert claim.text == "Returns are n\u043et p\u043essible after May."
    russian = "\u041c\u043e\u0441\u043a\u0432\u0430"
    (claim,) = extractor.extract(f"The shop has a branch in {russian}.")
    assert russian in claim.hypothesis


@pytest.mark.parametrize("info", ["python", 'ts title="a small demo of it"', "{.python .line}", ""])
def test_a_language_behind_the_marks_of_a_fence_is_no_claim(extractor, info) -> None:
    """Nor are its options."""
    assert not any(c.checkworthy for c in extractor.extract(f"```{info}\nx = f(1)\ny = [x]\n```"))


@pytest.mark.parametrize("name", HIDDEN)
def test_a_hidden_statement_is_read(extractor, name: str) -> None:
    """Somewhere in the answer there is a claim to check that speaks of pirates."""
    answer = f"{TRUE} {HIDDEN[name]}"
    claims = extractor.extract(answer, sources=[Source("s1", "x")])
    read = [claim.hypothesis for claim in claims if claim.checkworthy]
    assert any("pirates" in text.casefold() for text in read), read
    for claim in claims:
        assert claim.span.of(answer) == claim.text


def test_json_in_a_fence_is_one_sentence_with_a_claim_a_value(extractor) -> None:
    """Taken out, it goes as a whole: half of it would be of no use to a program."""
    answer = 'Here:\n\n```json\n{\n  "fee": "30 euros",\n  "days": [14]\n}\n```\nDone.'
    claims = [claim for claim in extractor.extract(answer) if '"' in claim.text]
    assert [claim.hypothesis for claim in claims] == ["Fee: 30 euros.", "Days: 14."]
    assert {claim.sentence.of(answer) for claim in claims} == {
        '{\n  "fee": "30 euros",\n  "days": [14]\n}'
    }
    bare = extractor.extract('\n{\n  "fee": "30 euros",\n  "days": [14]\n}\n')
    assert [claim.hypothesis for claim in bare] == ["Fee: 30 euros.", "Days: 14."]
    assert [claim.hypothesis for claim in extractor.extract("[1, 2]")] == ["1, 2."]
    code = extractor.extract('```python\nx = {"fee": 30}\n```')
    assert [claim.checkworthy for claim in code] == [False]


TALK = [
    "What is the fee?",
    "Would you like to know more?",
    "Is it true that the shop was founded in 1990?",
    "Do you know what the fee is?",
    "You want a refund?",
    "Is the fee 30 or 60 euros?",
    "Could you share your order number, please?",
    "Since when do you have the bicycle, and where did you buy it?",
    "## How long can I return it?",
    "## Step 2: Call 3 people",
    "**Section 4: The year 2023**",
    "## Overview: Sales in 2023",
    "| Plan | Price |\n|---|---|",
    "I could not find this in the documents, which only speak of returns.",
    "I cannot answer that, because the documents do not mention it.",
    "Let me know if you have any questions; I am happy to help.",
    "I hope this helps!",
    "<br><p></p><!-- -->",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f ✅",
    "```python\nfee = {'a': 30}\n```",
]


@pytest.mark.parametrize("answer", TALK)
def test_talk_is_no_claim(extractor, answer: str) -> None:
    """What asks, greets or abstains is still skipped."""
    claims = extractor.extract(answer, sources=[Source("s1", "x")])
    assert [claim.hypothesis for claim in claims if claim.checkworthy] == []


def test_a_source_with_a_long_name_is_cited_by_it(extractor) -> None:
    """A title may hold verbs: only what is no name at all is read as prose."""
    title = "how returns are handled and what that costs"
    answer = f"Returns take 30 days (Source: {title})."
    claims = extractor.extract(answer, sources=[Source("s1", "x", title=title)])
    assert [c.source_id for claim in claims for c in claim.citations] == ["s1"]


@pytest.mark.parametrize(
    "question",
    [
        "did you know that " + "! " * 40_000 + "x?",
        "since a, " + "! " * 40_000 + "x?",
        ", right" * 20_000 + "?",
        "let me know" + "; so" * 3_000,
    ],
)
def test_hostile_questions_end(question: str) -> None:
    """Patterns that look for statements in talk do not run away: the test would never end."""
    assert skip.stated(question) != ""
    assert skip.reason(question) is not SkipReason.NO_CONTENT


@pytest.mark.parametrize(
    "piece",
    [
        "<a " + 't="x" ' * 20_000,
        '<a t="' * 20_000,
        "<!--" * 20_000,
        '[a](b "' + 'title="x y z ' * 10_000,
        "\U0001f170\U000e0041" * 20_000,
    ],
)
def test_hostile_markup_ends(piece: str) -> None:
    """Nor do those that take markup out."""
    view = read(piece, [Span(0, len(piece))])
    assert len(view.text) <= len(piece)
