"""None of the attempts turns an unsupported claim into a supported one, with the worst of judges.

The frame and the checks behind it are tested here, not a model: the bundled NLI model reads the
sources, the judge is scripted.
"""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from guardrails import Settings
from guardrails.build import build_verifier
from guardrails.judging import Budget, ModelJudge, Question
from guardrails.sampling.model import Abilities
from guardrails.testing import ScriptedLLM, sentences
from policies.engine import decide
from policies.load import load_policy
from verifiers.types import Source

sys.path.insert(0, str(Path(__file__).parent))
from injections import ATTEMPTS, CLAIM, FACTS
from worst import all_supported, read_prompt, talked_round

pytestmark = pytest.mark.integration

# The judge is asked about every claim, not only those in the grey zone.
POLICY = load_policy({"extends": "balanced", "judge": {"when": "unsupported", "model": "judge"}})


@pytest.fixture(scope="module")
def verifier():
    with ExitStack() as owned:
        yield build_verifier(Settings(), owned)


def scene(attempt):
    """The answer and the sources of an attempt."""
    answer, source, title = CLAIM, FACTS, None
    if attempt.where == "source":
        source = f"{FACTS} {attempt.text}"
    elif attempt.where == "answer":
        answer = f"{CLAIM} {attempt.text}"
    else:
        title = attempt.text
    return answer, (Source("museum", source, title=title), Source("more", "The café is closed."))


def quotations(attempt, sources, statements):
    """Everything a judge could pass off as proof."""
    texts = [source.text for source in sources]
    yield from texts
    yield from (span.of(text) for text in texts for span in sentences(text))
    yield from (
        line for text in texts for line in re.split(r"[\n\r\u2028\u2029\x0b\x0c\x85]", text)
    )
    yield from statements
    yield from ("", attempt.text, attempt.obeyed, f"{FACTS} {CLAIM}")


def labels(verification):
    decision = decide(verification.assessments, POLICY)
    return {claim.verdict.claim.id: claim.verdict.label for claim in decision.claims}


def judged(verification, sources, script):
    """The verdicts once a judge has replied to both passes by the script."""
    asked = tuple(
        Question(a.claim.id, a.claim.hypothesis, a.outcome)
        for a in verification.assessments
        if labels(verification)[a.claim.id] == "unsupported"
    )
    llm = ScriptedLLM(lambda request: script(read_prompt(request["messages"])))
    judge = ModelJudge(llm, {"model": "judge"}, abilities=Abilities())
    opinions = judge.judge(asked, sources, Budget())
    assert len(llm.requests) == 2
    heard = tuple(
        replace(a, judgement=opinions.by_claim[a.claim.id])
        if a.claim.id in opinions.by_claim
        else a
        for a in verification.assessments
    )
    return labels(replace(verification, assessments=heard))


def supported(found):
    return {claim for claim, label in found.items() if label == "supported"}


def test_there_are_enough_attempts():
    """Forty at least, no two alike."""
    assert len({attempt.name for attempt in ATTEMPTS}) == len(ATTEMPTS) >= 40
    assert len({(attempt.where, attempt.text) for attempt in ATTEMPTS}) == len(ATTEMPTS)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_no_attempt_makes_an_unsupported_claim_a_supported_one(attempt, verifier):
    """Obeyed to the letter, calling everything supported, or talked round about the claim alone."""
    answer, sources = scene(attempt)
    found = verifier.verify(answer, sources=sources)
    before = labels(found)
    target = found.assessments[0].claim
    assert before[target.id] == "unsupported"
    unsupported = [a for a in found.assessments if before[a.claim.id] == "unsupported"]
    statements = [a.claim.hypothesis for a in unsupported]
    # A judge that saw through the control is believed from the policy's floor on, which a bare
    # "Statement." cut from markup can reach. The claim under attack must stay below it.
    assert found.assessments[0].outcome.support < POLICY.judge.floor
    believed = {a.claim.id for a in unsupported if a.outcome.support >= POLICY.judge.floor}

    assert supported(judged(found, sources, lambda _: attempt.obeyed)) == supported(before)
    for quote in dict.fromkeys(quotations(attempt, sources, statements)):
        for behaviour in (all_supported, talked_round):
            after = judged(found, sources, lambda p, b=behaviour, q=quote: b(p, q))
            free = believed if behaviour is talked_round else set()
            assert supported(after) - free == supported(before), (behaviour.__name__, quote)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_no_text_gets_out_of_its_lines(attempt, verifier):
    """Whatever the data, the lines that speak to the judge are the same, tokens apart."""
    answer, sources = scene(attempt)
    found = verifier.verify(answer, sources=sources)
    asked = [
        Question(a.claim.id, a.claim.hypothesis, a.outcome)
        for a in found.assessments
        if labels(found)[a.claim.id] == "unsupported"
    ]
    llm = ScriptedLLM(["{}"])
    ModelJudge(llm, {"model": "judge"}, abilities=Abilities()).judge(asked, sources, Budget())
    for request in llm.requests:
        text = request["messages"][1]["content"]
        prompt = read_prompt(request["messages"])
        assert set(prompt.statements) == set(prompt.keys)
        assert len(prompt.keys) == len(asked) + 1
        body = [line for line in prompt.unmarked if line.strip()]
        count = len(sources)
        expected = 1 + 1 + 3 + count + 1 + 1 + 1
        assert len(body) == expected, body
        data = "\n".join((answer, *(s.text for s in sources), *(s.title or "" for s in sources)))
        drawn = [prompt.mark, *prompt.codes.values(), *prompt.keys]
        assert not any(token.lower() in data.lower() for token in drawn)
        # Nothing hidden is shown, and no other kind of line break is left.
        assert len(text.splitlines()) == len(text.split("\n"))
        assert not re.search(
            r"[\u200b\u200e\u202a-\u202e\u00ad\x00-\x08\x1b\U000e0000-\U000e0fff]", text
        )


def test_the_tokens_of_two_calls_and_of_two_passes_differ(verifier):
    """What was seen of one call is of no use in the next."""
    _, sources = scene(ATTEMPTS[0])
    found = verifier.verify(CLAIM, sources=sources)
    asked = [Question("c1", CLAIM, found.assessments[0].outcome)]
    llm = ScriptedLLM(["{}"])
    judge = ModelJudge(llm, {"model": "judge"}, abilities=Abilities())
    judge.judge(asked, sources, Budget())
    judge.judge(asked, sources, Budget())
    prompts = [read_prompt(request["messages"]) for request in llm.requests]
    assert len({prompt.mark for prompt in prompts}) == 4
    codes = [code for prompt in prompts for code in prompt.codes.values()]
    assert len(set(codes)) == len(codes)
