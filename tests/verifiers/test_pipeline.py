"""Answers checked whole, with a scripted model and sentence rules."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers.claims import make_extractor
from verifiers.engine import NLIEngine
from verifiers.errors import BackendFailed, Overloaded, SourceInvalid
from verifiers.pipeline import EvidenceSettings, Verifier, failed_verification
from verifiers.testing import ScriptedScorer
from verifiers.types import Failed, NoEvidence, Scored, Source, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from verifiers.protocols import PairScorer

DOC = Source(
    "policy",
    "Unused items may be returned within 30 days. Refunds are paid within 5 business days. "
    "Gift cards cannot be returned.",
)


def make(factory: Callable[[], PairScorer] = ScriptedScorer, **evidence: int) -> Verifier:
    engine = NLIEngine(factory)
    # "xx" has no pipeline of its own: sentence rules, so that no test waits for spaCy.
    return Verifier(
        extractor=make_extractor("xx"), engine=engine, evidence=EvidenceSettings(**evidence)
    )


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with make() as made:
        yield made


def run(verifier: Verifier, mode: str, answer: str, *sources: Source) -> Verification:
    if mode == "sync":
        return verifier.verify(answer, sources=sources)
    return asyncio.run(verifier.averify(answer, sources=sources))


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_each_sentence_is_checked_against_its_evidence(verifier: Verifier, mode: str) -> None:
    """A right and a wrong sentence are told apart, and the evidence is quoted from the source."""
    answer = "Unused items may be returned within 60 days. Gift cards cannot be returned."
    found = run(verifier, mode, answer, DOC)
    wrong, right = (a.outcome for a in found.assessments)
    assert isinstance(wrong, Scored)
    assert isinstance(right, Scored)
    assert wrong.support < 0.5
    assert wrong.contradiction > 0.5
    assert right.support > 0.5
    assert right.best_support.text == "Gift cards cannot be returned."
    assert right.best_support.span.of(DOC.text) == right.best_support.text
    assert found.model is not None
    assert found.model.name == "scripted"


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_model_that_fails_fails_every_claim(mode: str) -> None:
    """A dead backend is an error on each claim, never a score and never an empty result."""

    def broken(_pair: object) -> Exception:
        return BackendFailed("the server went away.")

    with make(lambda: ScriptedScorer(fail_on=broken)) as verifier:
        found = run(verifier, mode, "Gift cards cannot be returned here.", DOC)
    (assessment,) = found.assessments
    assert isinstance(assessment.outcome, Failed)
    assert assessment.outcome.code == "GR106"


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_no_source_and_blank_sources_read_alike(verifier: Verifier, mode: str) -> None:
    """A source of nothing but space is no evidence."""
    for sources in ((), (Source("blank", " \n\t "),)):
        found = run(verifier, mode, "Gift cards cannot be returned.", *sources)
        assert [type(a.outcome) for a in found.assessments] == [NoEvidence]
        assert found.pairs == 0


def test_a_model_is_not_loaded_when_nothing_is_to_be_scored() -> None:
    """An answer without claims or evidence costs no model."""

    def never() -> PairScorer:
        pytest.fail("the model was loaded")

    with make(never) as verifier:
        verifier.verify("Gift cards cannot be returned.", sources=())
        verifier.verify("", sources=[DOC])


def test_two_sources_with_one_id_are_refused(verifier: Verifier) -> None:
    """A verdict could not say which of them it means."""
    with pytest.raises(SourceInvalid, match="share the id 'policy'"):
        verifier.verify("x", sources=[DOC, DOC])
    with pytest.raises(SourceInvalid, match="empty id"):
        verifier.verify("x", sources=[Source("", "text")])


def test_a_long_source_reports_what_was_not_read() -> None:
    """Coverage counts the windows left out, and the right one is among those read."""
    filler = " ".join(
        f"Section {i} is about warehouse {i} and its opening hours." for i in range(400)
    )
    source = Source("manual", f"{filler} Gift cards cannot be returned. {filler}")
    with make(window_tokens=64, k=3, read_all_up_to=4) as verifier:
        found = verifier.verify("Gift cards cannot be returned.", sources=[source])
    (assessment,) = found.assessments
    assert isinstance(assessment.outcome, Scored)
    assert assessment.outcome.coverage.windows_read == 3
    assert assessment.outcome.coverage.windows_total > 100
    assert not assessment.outcome.coverage.complete
    assert assessment.outcome.support > 0.5


def test_the_cited_source_is_read_even_when_it_ranks_low() -> None:
    """A citation is called wrong only after its source was looked at."""
    sources = [
        Source(f"s{i}", f"Gift cards cannot be returned, says shop {i}.") for i in range(1, 9)
    ]
    sources.append(Source("s9", "Opening hours are nine to five."))
    with make(k=2, read_all_up_to=2) as verifier:
        found = verifier.verify("Gift cards cannot be returned [9].", sources=sources)
    (assessment,) = found.assessments
    assert isinstance(assessment.outcome, Scored)
    assert "s9" in {w.source_id for w in assessment.outcome.windows}
    assert assessment.citations[0].support is not None


def test_a_claim_too_long_for_the_model_is_an_error_and_not_cut() -> None:
    """Nothing is truncated in silence: the claim is reported as not looked at."""
    with make(lambda: ScriptedScorer(max_tokens=120)) as verifier:
        found = verifier.verify("word " * 200 + "end.", sources=[DOC])
    outcomes = [a.outcome for a in found.assessments if a.claim.checkworthy]
    assert outcomes
    assert all(isinstance(o, Failed) and o.code == "GR105" for o in outcomes)


def test_a_full_queue_is_told_to_the_caller() -> None:
    """Overload is for whoever called to wait out; it is no verdict."""

    class Full:
        def __init__(self) -> None:
            self.info = ScriptedScorer().info

        def count_text(self, texts: object) -> list[int]:
            return [5 for _ in texts]  # type: ignore[attr-defined]

        def submit(self, _pairs: object) -> Future[object]:
            raise Overloaded("full.")

    with (
        Verifier(extractor=make_extractor("xx"), engine=Full()) as verifier,  # type: ignore[arg-type]
        pytest.raises(Overloaded),
    ):
        verifier.verify("Gift cards cannot be returned here.", sources=[DOC])


def test_nothing_of_a_check_runs_on_the_event_loop() -> None:
    """Claims are split and scores are made on other threads than the loop's."""
    seen: set[int] = set()

    class Watching(ScriptedScorer):
        def score(self, pairs):
            seen.add(threading.get_ident())
            return super().score(pairs)

    extractor = make_extractor("xx")

    class Spy:
        sentences = staticmethod(extractor.sentences)

        def extract(self, *args, **kwargs):
            seen.add(threading.get_ident())
            return extractor.extract(*args, **kwargs)

    async def check() -> int:
        with Verifier(extractor=Spy(), engine=NLIEngine(Watching)) as verifier:
            await verifier.averify("Gift cards cannot be returned here.", sources=[DOC])
        return threading.get_ident()

    loop_thread = asyncio.run(check())
    assert len(seen) == 2
    assert loop_thread not in seen


def test_what_could_not_be_looked_at_is_one_error_over_the_whole_answer() -> None:
    """The stand-in for an answer that could not even be split covers all of it."""
    found = failed_verification("Some answer.", BackendFailed("gone."))
    (assessment,) = found.assessments
    assert assessment.claim.span.of("Some answer.") == "Some answer."
    assert assessment.outcome == Failed("GR106", "gone.")
    assert failed_verification("", BackendFailed("gone.")).assessments == ()


@settings(max_examples=50)
@given(st.text(max_size=300), st.lists(st.text(max_size=300), max_size=3))
def test_arbitrary_text_never_crashes_and_every_claim_has_an_outcome(
    verifier: Verifier, answer: str, texts: list[str]
) -> None:
    """Any Unicode, as answer or source; each claim's span is its text."""
    sources = [Source(f"s{i}", text) for i, text in enumerate(texts)]
    found = verifier.verify(answer, sources=sources)
    for assessment in found.assessments:
        assert assessment.claim.span.of(answer) == assessment.claim.text
        if isinstance(assessment.outcome, Scored):
            chosen = {s.id: s.text for s in sources}[assessment.outcome.best_support.source_id]
            assert assessment.outcome.best_support.span.of(chosen)
