"""Golden cases: answers and the claims they make.

A case is an answer and one line for each of its claims: ``kind: text -> hypothesis`` for what is
checked, ``kind (reason): text`` for what is skipped. The hypothesis is left out where it is the text.
"""

from __future__ import annotations

import textwrap

import pytest

from verifiers.claims import make_extractor
from verifiers.errors import PipelineUnavailable
from verifiers.types import Citation, ClaimKind, Facet, SkipReason, Source, Span

pytestmark = pytest.mark.integration

SOURCES = (
    Source("s1", "x", title="policy.md", uri="https://example.com/policy"),
    Source("s2", "y"),
)


@pytest.fixture(scope="module")
def extractor():
    """One English extractor; its pipeline is loaded once."""
    return make_extractor()


def lines(claims) -> str:
    """Claims as the golden cases write them."""
    shown = []
    for claim in claims:
        text = claim.text.replace("\n", "⏎")
        if claim.skip is not None:
            shown.append(f"{claim.kind} ({claim.skip}): {text}")
        elif claim.hypothesis == claim.text:
            shown.append(f"{claim.kind}: {text}")
        else:
            shown.append(f"{claim.kind}: {text} -> {claim.hypothesis}")
    return "\n".join(shown)


def dedent(text: str) -> str:
    """A case without its indentation."""
    return textwrap.dedent(text).strip()


CASES = {
    "plain sentences": (
        "The fee is $30. Refunds take 14 days.",
        """
        sentence: The fee is $30.
        sentence: Refunds take 14 days.
        """,
    ),
    "abbreviations, decimals, initials and links do not split": (
        "Dr. J. K. Rowling paid 3.5 million dollars, e.g. in U.S. cash. See https://a.com/b.c?d=1 for it. Apple Inc. is big.",
        """
        sentence: Dr. J. K. Rowling paid 3.5 million dollars, e.g. in U.S. cash.
        sentence: See https://a.com/b.c?d=1 for it.
        sentence: Apple Inc. is big.
        """,
    ),
    "clauses with their own subject": (
        "The fee is due on Monday and the deposit is due on Friday.",
        """
        clause: The fee is due on Monday -> The fee is due on Monday.
        clause: the deposit is due on Friday. -> The deposit is due on Friday.
        """,
    ),
    "predicates that share a subject and what stands before it": (
        "In 2010, Apple released a tablet and bought a firm.",
        """
        clause: In 2010, Apple released a tablet -> In 2010, Apple released a tablet.
        clause: bought a firm. -> In 2010, Apple bought a firm.
        """,
    ),
    "predicates that share an auxiliary": (
        "The bridge was designed by Strauss and completed in 1937.",
        """
        clause: The bridge was designed by Strauss -> The bridge was designed by Strauss.
        clause: completed in 1937. -> The bridge was completed in 1937.
        """,
    ),
    "a relative clause after the subject": (
        "The Eiffel Tower, which was built in 1889, is located in Paris.",
        """
        clause: The Eiffel Tower, which was built in 1889 -> The Eiffel Tower was built in 1889.
        clause: is located in Paris. -> The Eiffel Tower is located in Paris.
        """,
    ),
    "a relative clause at the end": (
        "The book was written by Jane Austen, who also wrote Emma.",
        """
        clause: The book was written by Jane Austen -> The book was written by Jane Austen.
        clause: who also wrote Emma -> Jane Austen also wrote Emma.
        """,
    ),
    "an apposition, and a pronoun inside the sentence": (
        "Marie Curie, a Polish physicist, won two Nobel Prizes, and she died in 1934.",
        """
        clause: Marie Curie, a Polish physicist -> Marie Curie was a Polish physicist.
        clause: won two Nobel Prizes -> Marie Curie won two Nobel Prizes.
        clause: she died in 1934. -> Marie Curie died in 1934.
        """,
    ),
    "statements parted by a semicolon": (
        "Tesla acquired SolarCity in 2016; it paid 2.6 billion dollars.",
        """
        clause: Tesla acquired SolarCity in 2016 -> Tesla acquired SolarCity in 2016.
        clause: it paid 2.6 billion dollars. -> Tesla paid 2.6 billion dollars.
        """,
    ),
    "doubtful scope stays whole": (
        (
            "If the order is late, you get a refund and we send a voucher. You can call us or write a letter. "
            "He said that the bank was closed and the shop was open. Apple designs and builds phones. "
            "No employee works on Sunday and gets paid."
        ),
        """
        sentence: If the order is late, you get a refund and we send a voucher.
        sentence: You can call us or write a letter.
        sentence: He said that the bank was closed and the shop was open.
        sentence: Apple designs and builds phones.
        sentence: No employee works on Sunday and gets paid.
        """,
    ),
    "opening pronouns read with the subject before": (
        "Marie Curie was a physicist. She was born in Warsaw. Her husband was Pierre Curie.",
        """
        sentence: Marie Curie was a physicist.
        sentence: She was born in Warsaw. -> Marie Curie was born in Warsaw.
        sentence: Her husband was Pierre Curie. -> Marie Curie's husband was Pierre Curie.
        """,
    ),
    "a pronoun that agrees with nothing, or stands for a clause, stays": (
        "Marie Curie was a physicist. It rained. It is important that we pay.",
        """
        sentence: Marie Curie was a physicist.
        sentence: It rained.
        sentence: It is important that we pay.
        """,
    ),
    "openers are taken off, not skipped": (
        (
            "Sure! The fee is $30. I think the fee is $30. According to the documents, the fee is $30. "
            "As an AI, I believe that the fee is $30. Please note that the fee is $30."
        ),
        """
        sentence (greeting): Sure!
        sentence: The fee is $30.
        sentence: I think the fee is $30. -> The fee is $30.
        sentence: According to the documents, the fee is $30. -> The fee is $30.
        sentence: As an AI, I believe that the fee is $30. -> The fee is $30.
        sentence: Please note that the fee is $30. -> The fee is $30.
        """,
    ),
    "talk about the conversation": (
        (
            "Hello! Great question! As an AI, I cannot say. I could not find this in the documents. "
            "The provided context does not mention the price. Let me know if you need more. I hope this helps! Anything else?"
        ),
        """
        sentence (greeting): Hello!
        sentence (greeting): Great question!
        sentence (hedge): As an AI, I cannot say.
        sentence (hedge): I could not find this in the documents.
        sentence (hedge): The provided context does not mention the price.
        sentence (instruction): Let me know if you need more.
        sentence (meta): I hope this helps!
        sentence (question): Anything else?
        """,
    ),
    "a statement behind a hedge is checked": (
        "I'm not sure, but the fee is $30. The documents do not mention the fee, so it is free of charge.",
        """
        clause (hedge): I'm not sure
        clause: the fee is $30. -> The fee is $30.
        sentence: The documents do not mention the fee, so it is free of charge.
        """,
    ),
    "what only looks like talk is checked": (
        (
            "Take 2 tablets daily. We do not offer refunds. There is no evidence of water on Mars. "
            "Ask your doctor before use. The text does not rhyme."
        ),
        """
        sentence: Take 2 tablets daily.
        sentence: We do not offer refunds.
        sentence: There is no evidence of water on Mars.
        sentence: Ask your doctor before use.
        sentence: The text does not rhyme.
        """,
    ),
    "headings": (
        "# Refund policy\n\n## Revenue rose 40% in 2023\n\n**Eligibility**\n\nIt is open.\n\n### Who can apply?",
        """
        heading (heading): Refund policy
        heading: Revenue rose 40% in 2023 -> Revenue rose 40% in 2023.
        heading (heading): **Eligibility**
        sentence: It is open.
        heading (question): Who can apply?
        """,
    ),
    "a list read with its lead-in": (
        "The plan includes:\n- 30 days of *support*\n- Unlimited users\n  1. guests\n\nThe plan offers the following benefits:\n* Free shipping",
        """
        sentence (heading): The plan includes:
        list_item: 30 days of *support* -> The plan includes 30 days of support.
        list_item: Unlimited users -> The plan includes unlimited users.
        list_item: guests -> The plan includes guests.
        sentence (heading): The plan offers the following benefits:
        list_item: Free shipping -> The plan offers free shipping.
        """,
    ),
    "items that are statements stand alone": (
        "Key points:\n1. **Carry-over:** Up to 5 days can be carried over.\n2. Unused days expire in March.",
        """
        sentence (heading): Key points:
        list_item: **Carry-over:** Up to 5 days can be carried over. -> Carry-over: Up to 5 days can be carried over.
        list_item: Unused days expire in March.
        """,
    ),
    "a lead-in that states something is checked too": (
        "Revenue rose 40% for two reasons:\n- Higher prices",
        """
        sentence: Revenue rose 40% for two reasons: -> Revenue rose 40% for two reasons.
        list_item: Higher prices -> Revenue rose 40% for two reasons: Higher prices.
        """,
    ),
    "a table read with its header": (
        "| Plan | Price | SSO |\n|---|---|---|\n| Basic | $10 | ❌ |\n| Pro | $20 | ✅ |",
        """
        table_row (heading): | Plan | Price | SSO |⏎|---|---|---|
        table_row: Basic | $10 -> Basic: Price is $10.
        table_row: ❌ -> Basic: SSO is no.
        table_row: Pro | $20 -> Pro: Price is $20.
        table_row: ✅ -> Pro: SSO is yes.
        """,
    ),
    "quotations": (
        '> The fee is $30.\n> It is due.\n\n"The fee is $30," he said.',
        """
        quotation: The fee is $30.
        quotation: It is due. -> The fee is due.
        sentence: "The fee is $30," he said.
        """,
    ),
    "code is skipped, prose in a code block is not": (
        "```python\nfee = {'a': 30}\n```\n\n```\nThe fee is $30 for all of the members.\n```",
        """
        code (code): ```python⏎fee = {'a': 30}⏎```
        sentence (no_content): ```
        sentence: The fee is $30 for all of the members.
        sentence (no_content): ```
        """,
    ),
    "markup, entities, tags, emoji and invisible characters": (
        "<p>AT&amp;T's **fee** is <b>$30</b> 🎉.</p> It\u200b is [due](https://a.b) now.",
        """
        sentence: AT&amp;T's **fee** is <b>$30</b> 🎉. -> AT&T's fee is $30.
        sentence: It\u200b is [due](https://a.b) now. -> AT&T's fee is due now.
        """,
    ),
    "a list of references": (
        "Revenue rose [1].\n\nSources:\n[1] policy.md\n[2] https://example.com/x\n- The fee rose to $40 in 2023.",
        """
        sentence: Revenue rose [1]. -> Revenue rose.
        sentence (citation_list): Sources:
        sentence (citation_list): policy.md
        sentence (citation_list): [2] https://example.com/x
        list_item: The fee rose to $40 in 2023.
        """,
    ),
    "footnotes that state something are checked": (
        "Revenue rose[^1].\n\n[^1]: https://example.com/policy\n[^2]: The fee is three dollars for everybody.",
        """
        sentence: Revenue rose[^1]. -> Revenue rose.
        sentence (citation_list): https://example.com/policy
        sentence: The fee is three dollars for everybody.
        """,
    ),
    "wrapped lines are one sentence, meant lines are two": (
        "The office in the old part of the town is open on every day of the\nweek except Sunday.\n\nName: Bob\nAge: 30",
        """
        sentence: The office in the old part of the town is open on every day of the⏎week except Sunday. -> The office in the old part of the town is open on every day of the week except Sunday.
        sentence: Name: Bob -> Name: Bob.
        sentence: Age: 30 -> Age: 30.
        """,
    ),
    "nothing said": ("---\n\n🎉", "sentence (no_content): ---\nsentence (no_content): 🎉"),
}


@pytest.mark.parametrize(("answer", "expected"), CASES.values(), ids=CASES)
def test_claims(extractor, answer, expected):
    """The claims of an answer, their kinds, what is skipped, and what the model will read."""
    assert dedent(expected) == lines(extractor.extract(answer, sources=SOURCES))


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("What is the capital of France?", "Paris.", "The capital of France is Paris."),
        ("How many days of leave do employees get?", "30.", "Employees get 30 days of leave."),
        ("When was the tower built?", "1889", "The tower was built in 1889."),
        ("Where was Einstein born?", "Ulm", "Einstein was born in Ulm."),
        ("In which city was Mozart born?", "Salzburg", "Mozart was born in Salzburg."),
        (
            "Who invented the telephone?",
            "Alexander Graham Bell",
            "Alexander Graham Bell invented the telephone.",
        ),
        (
            "Which actor played Bond in 1995?",
            "Pierce Brosnan",
            "Pierce Brosnan played Bond in 1995.",
        ),
        ("How much does the basic plan cost?", "$30", "The basic plan costs $30."),
        (
            "Why was the fee raised?",
            "Because of inflation.",
            "The fee was raised because of inflation.",
        ),
        ("Is the fee refundable?", "Yes.", "The fee is refundable."),
        ("Is the fee refundable?", "No, it isn't.", "The fee is not refundable."),
        ("Does the plan include support?", "No.", "The plan does not include support."),
        ("Hi! I have a question. Is the fee refundable?", "Yes", "The fee is refundable."),
        ("Who is older, Ann or Bob?", "Bob", "Who is older, Ann or Bob? Bob."),
        (
            "Who wrote it and when was it sold?",
            "Dylan",
            "Who wrote it and when was it sold? Dylan.",
        ),
    ],
)
def test_short_answers(extractor, question, answer, expected):
    """A fragment makes a statement with its question, or is read after it when in doubt."""
    (claim,) = extractor.extract(answer, question=question)
    assert (ClaimKind.FRAGMENT, expected) == (claim.kind, claim.hypothesis)


def test_an_answer_in_full_does_not_need_its_question(extractor):
    """A full sentence stands alone, yes or no taken off; "it" is what was asked about."""
    claims = extractor.extract(
        "Yes, employees may carry over 5 days.", question="May employees carry over days?"
    )
    assert claims[0].hypothesis == "Employees may carry over 5 days."
    claims = extractor.extract("It is in Paris.", question="Where is the Eiffel Tower?")
    assert claims[0].hypothesis == "The Eiffel Tower is in Paris."


def test_a_list_of_fragments_answers_item_by_item(extractor):
    """Each item of a bare list is an answer of its own."""
    claims = extractor.extract("- red\n- blue", question="What are the colors of the flag?")
    assert [c.hypothesis for c in claims] == [
        "The colors of the flag are red.",
        "The colors of the flag are blue.",
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The fee is $30 [1]. It is due [2].", [["s1"], ["s2"]]),
        ("The fee is $30.[1] It is due.", [["s1"], []]),
        ("The fee is $30.[1][2] It is due.", [["s1", "s2"], []]),
        ("The fee is $30 [1] and the deposit is $100 [2].", [["s1"], ["s2"]]),
        ("The fee is due and the deposit is $100.[1]", [["s1"], ["s1"]]),
        ("- The fee is $30. [1]\n- It is due.", [["s1"], []]),
        ("| Plan | Price |\n|---|---|\n| Basic | $10 [1] |", [[], ["s1"]]),
        ("[1] The fee is $30.", [["s1"]]),
        ("The fee is $30 [7].", [[None]]),
        ("The fee is $30 (https://example.com/policy).", [["s1"]]),
    ],
)
def test_citations_stand_behind_claims(extractor, answer, expected):
    """A marker backs what stands between the marker before it and itself, and is not read."""
    claims = extractor.extract(answer, sources=SOURCES)
    assert expected == [[c.source_id for c in claim.citations] for claim in claims]
    assert not any("[" in claim.hypothesis or "http" in claim.hypothesis for claim in claims)


def test_provider_annotations_are_citations(extractor):
    """What the provider returned beside the text is attached by its place."""
    note = Citation(Span(16, 17), "", "s2", "s2")
    claims = extractor.extract("The fee is $30. It is due.", sources=SOURCES, annotations=[note])
    assert [[c.source_id for c in claim.citations] for claim in claims] == [[], ["s2"]]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The fee is $30.", {Facet.NUMBER}),
        ("It opened on 3 May 1999.", {Facet.NUMBER, Facet.DATE}),
        ("Paris lies in France.", {Facet.NAME}),
        ("The fee is not due.", {Facet.NEGATION}),
        ("The sign says “keep off the grass”.", {Facet.QUOTE}),
        ("Water is wet.", set()),
    ],
)
def test_facets(extractor, answer, expected):
    """What a claim talks about."""
    (claim,) = extractor.extract(answer)
    assert expected == claim.facets


def test_a_text_nobody_can_parse_stays_whole(extractor):
    """Other languages under the English pipeline keep their sentences."""
    claims = extractor.extract("Der Vertrag läuft z. B. bis 2025. Er kostet 30 Euro.")
    assert [c.text for c in claims] == ["Der Vertrag läuft z. B. bis 2025.", "Er kostet 30 Euro."]


@pytest.mark.parametrize(
    ("language", "answer", "expected"),
    [
        ("zh", "费用是30元。押金是100元！要付吗？", ["费用是30元。", "押金是100元！", "要付吗？"]),
        (
            "ar",
            "الرسوم ٣٠ دولارا. هل هي مستحقة؟ نعم.",
            ["الرسوم ٣٠ دولارا.", "هل هي مستحقة؟", "نعم."],
        ),
        ("hi", "शुल्क ३० है। यह देय है।", ["शुल्क ३० है।", "यह देय है।"]),
        ("th", "ค่าธรรมเนียมคือ 30 บาท ต้องจ่ายทันที", ["ค่าธรรมเนียมคือ 30 บาท ต้องจ่ายทันที"]),
        (
            "de",
            "Der Vertrag läuft z. B. bis 3. Mai. Er kostet 30 Euro.",
            ["Der Vertrag läuft z. B. bis 3. Mai.", "Er kostet 30 Euro."],
        ),
    ],
)
def test_other_languages_by_rule(language, answer, expected):
    """Without a pipeline, sentences are cut by rule and questions still skipped."""
    claims = make_extractor(language).extract(answer)
    assert expected == [c.text for c in claims]
    assert all((c.skip is SkipReason.QUESTION) is c.text.endswith(("?", "？", "؟")) for c in claims)


def test_a_pipeline_that_is_not_there_is_a_clear_error():
    """The name of the pipeline and what to do are in the message."""
    with pytest.raises(PipelineUnavailable, match="xx_not_there") as caught:
        make_extractor(pipeline="xx_not_there").extract("Some text.")
    assert caught.value.code == "GR108"
    assert caught.value.hint
