"""The shipped fake answers as its documentation says, and breaks as told."""

from __future__ import annotations

import threading

import pytest

from verifiers.errors import BackendFailed, InputTooLong
from verifiers.testing import CONTRADICTED, ENTAILED, NEUTRAL, ScriptedScorer, lexical_rule
from verifiers.types import NLIProbs, Pair

PREMISE = "The shop sells 30 kinds of bread every day, and its owner is Anna Berg."


@pytest.mark.parametrize(
    ("hypothesis", "expected"),
    [
        ("The shop sells 30 kinds of bread.", ENTAILED),
        ("The owner of the shop is Anna Berg.", ENTAILED),
        ("The shop sells 45 kinds of bread.", CONTRADICTED),
        ("The shop doesn't sell bread every day: sells no bread.", CONTRADICTED),
        ("The shop never sells bread.", CONTRADICTED),
        ("Whales sing at night.", NEUTRAL),
        ("30", ENTAILED),
        ("", NEUTRAL),
        ("of the", NEUTRAL),
    ],
)
def test_the_lexical_rule(hypothesis: str, expected: NLIProbs) -> None:
    """Overlap entails, other numbers and negation contradict, the rest is neutral."""
    assert lexical_rule(Pair(PREMISE, hypothesis)) == expected


def test_scripts() -> None:
    """Tables win over the rule; failures come in order; batches are noted, failed ones too."""
    scorer = ScriptedScorer(
        table={("p", "h"): NEUTRAL},
        failures=[None, BackendFailed("once")],
        fail_on=lambda pair: KeyError("x") if pair.premise == "bad" else None,
        max_tokens=10,
    )
    assert scorer.score([Pair("p", "h")]) == [NEUTRAL]
    with pytest.raises(BackendFailed):
        scorer.score([Pair("p", "h")])
    with pytest.raises(KeyError):
        scorer.score([Pair("p", "h"), Pair("bad", "h")])
    with pytest.raises(InputTooLong):
        scorer.score([Pair("w " * 9, "h")])
    assert [len(batch) for batch in scorer.batches] == [1, 1, 2, 1]
    scorer.close()
    assert scorer.closed


def test_one_thread_only() -> None:
    """Use from a second thread is noticed, as a real model would break."""
    scorer = ScriptedScorer()
    scorer.score([Pair("p", "h")])
    errors: list[BaseException] = []

    def other() -> None:
        try:
            scorer.score([Pair("p", "h")])
        except RuntimeError as exc:
            errors.append(exc)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert "two threads" in str(errors[0])
