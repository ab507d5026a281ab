"""An answer checked while it is written: the same verdicts, and only new claims cost."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from verifiers._spacy import SpacyParser
from verifiers.claims import Extractor, make_extractor
from verifiers.claims.boundaries import Boundaries
from verifiers.engine import NLIEngine
from verifiers.errors import BackendFailed, SourceInvalid
from verifiers.pipeline import EvidenceSettings, Verifier
from verifiers.testing import ScriptedScorer
from verifiers.types import Failed, NLIProbs, Scored, Source
from verifiers.windows import WindowIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verifiers.types import Pair, Window

DOC = Source(
    "policy",
    "Unused items may be returned within 30 days. Refunds are paid within 5 business days. "
    "Gift cards cannot be returned.",
)
ANSWER = (
    "Unused items may be returned within 60 days. Gift cards cannot be returned. [1]\n\n"
    "- Refunds are paid within 5 business days.\n- Ask us. We help.\n"
)


@pytest.fixture
def scorer() -> ScriptedScorer:
    return ScriptedScorer()


@pytest.fixture
def verifier(scorer: ScriptedScorer) -> Iterator[Verifier]:
    engine = NLIEngine(lambda: scorer)
    with Verifier(extractor=make_extractor("xx"), engine=engine) as made:
        yield made


def prefixes(text: str) -> list[str]:
    """The text up to each boundary."""
    boundaries = Boundaries()
    return [text[:p] for p in (*boundaries.push(text), *boundaries.finish())]


@pytest.mark.parametrize("sources", [(), (DOC,), (Source("blank", " "),)])
def test_a_session_ends_with_what_one_check_finds(verifier: Verifier, sources) -> None:
    """The last assessment equals a check of the whole answer, claims and scores alike."""
    session = verifier.open(sources=sources)
    session.prepare()
    for part in prefixes(ANSWER):
        found = session.assess(part)
        assert found.assessments == verifier.verify(part, sources=sources).assessments
    whole = session.assess(ANSWER, final=True)
    assert whole.assessments == verifier.verify(ANSWER, sources=sources).assessments


@pytest.mark.parametrize("text", ["", "  \n"])
def test_nothing_to_assess_is_no_error(verifier: Verifier, text: str) -> None:
    """Empty and blank text have no claims."""
    session = verifier.open(sources=[DOC])
    assert session.assess(text).assessments == ()
    assert session.assess(text, final=True).model is None


def test_three_hundred_sentences_are_parsed_and_scored_once(monkeypatch) -> None:
    """Sentence by sentence costs no parse and no pair more than all at once."""
    answer = " ".join(f"Item {n} costs {n} euros." for n in range(300))
    scorer = ScriptedScorer()
    parser = SpacyParser()
    extractor = Extractor(parser)
    parsed: list[str] = []
    nlp = parser._pipeline()
    pipe = nlp.pipe

    def counting(docs, **options):
        seen = list(docs)
        parsed.extend(d.text if hasattr(d, "text") else d[0].text for d in seen)
        return pipe(seen, **options)

    monkeypatch.setattr(nlp, "pipe", counting)
    with Verifier(extractor=extractor, engine=NLIEngine(lambda: scorer)) as verifier:
        once = verifier.verify(answer, sources=[DOC])
        pairs, texts = sum(map(len, scorer.batches)), len(parsed)
        session = verifier.open(sources=[DOC])
        for part in prefixes(answer):
            found = session.assess(part)
    assert found.assessments == once.assessments
    assert sum(map(len, scorer.batches)) - pairs == pairs == found.pairs_scored
    assert len(parsed) - texts <= texts + 1


def test_sources_are_cut_and_indexed_once(verifier: Verifier, monkeypatch) -> None:
    """Before the first sentence where asked for, and never again."""
    made: list[int] = []

    class Counting(WindowIndex):
        def __init__(self, windows: Sequence[Window]) -> None:
            made.append(len(windows))
            super().__init__(windows)

    monkeypatch.setattr("verifiers.windows.WindowIndex", Counting)
    session = verifier.open(sources=[DOC])
    session.prepare()
    session.prepare()
    assert len(made) == 1
    for part in prefixes(ANSWER):
        session.assess(part)
    assert len(made) == 1


def test_a_failure_in_the_middle_leaves_the_session_usable() -> None:
    """What failed is an error until the end, where it is tried once more."""
    down = threading.Event()
    down.set()
    scorer = ScriptedScorer(fail_on=lambda _: BackendFailed("gone.") if down.is_set() else None)
    parts = prefixes(ANSWER)
    with Verifier(extractor=make_extractor("xx"), engine=NLIEngine(lambda: scorer)) as verifier:
        session = verifier.open(sources=[DOC])
        (failed,) = session.assess(parts[0]).assessments
        assert isinstance(failed.outcome, Failed)
        down.clear()
        first, second = session.assess(parts[1]).assessments[:2]
        assert first == failed
        assert isinstance(second.outcome, Scored)
        whole = session.assess(ANSWER, final=True)
        assert whole.assessments == verifier.verify(ANSWER, sources=[DOC]).assessments


def test_a_cancelled_call_leaves_the_session_usable() -> None:
    """The caller goes away while the model scores; the next call finds everything in order."""
    scoring, release = threading.Event(), threading.Event()

    def held(_pair: object) -> None:
        scoring.set()
        assert release.wait(30)

    scorer = ScriptedScorer(fail_on=held)

    async def check(verifier: Verifier) -> None:
        session = verifier.open(sources=[DOC])
        await session.aprepare()
        call = asyncio.create_task(session.aassess(prefixes(ANSWER)[0]))
        await asyncio.to_thread(scoring.wait, 30)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        release.set()
        found = await session.aassess(ANSWER, final=True)
        assert found.assessments == (await verifier.averify(ANSWER, sources=[DOC])).assessments

    with Verifier(extractor=make_extractor("xx"), engine=NLIEngine(lambda: scorer)) as verifier:
        asyncio.run(check(verifier))


def test_sources_are_checked_when_the_session_opens(verifier: Verifier) -> None:
    """Not with the first sentence."""
    with pytest.raises(SourceInvalid):
        verifier.open(sources=[DOC, DOC])


def _unsure_among_others(pair: Pair) -> NLIProbs:
    """Sees what a sentence says only when it stands alone."""
    if "Returns take 30 days" not in pair.premise:
        return NLIProbs(0.02, 0.96, 0.02)
    return NLIProbs(0.4, 0.6, 0.0) if "Whales" in pair.premise else NLIProbs(0.9, 0.1, 0.0)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(("unsure", "support"), [(0.1, 0.9), (1.0, 0.4)])
def test_an_unsure_claim_is_read_against_the_sentence_alone(
    mode: str, unsure: float, support: float
) -> None:
    """What stands around a sentence hides it no more; the setting turns it off."""
    source = Source("s", "Whales sing at night. Returns take 30 days. The sea is wide and cold.")
    scorer = ScriptedScorer(_unsure_among_others)
    engine = NLIEngine(lambda: scorer)
    settings = EvidenceSettings(unsure=unsure)
    with Verifier(extractor=make_extractor("xx"), engine=engine, evidence=settings) as verifier:
        answer = "It takes 30 days for returns."
        found = (
            verifier.verify(answer, sources=[source])
            if mode == "sync"
            else asyncio.run(verifier.averify(answer, sources=[source]))
        )
    engine.close()
    (assessment,) = found.assessments
    assert isinstance(assessment.outcome, Scored)
    assert assessment.outcome.support == support
    assert assessment.outcome.coverage.windows_read == 1
    assert found.pairs == found.pairs_scored == (2 if support > 0.5 else 1)
    assert assessment.outcome.best_support.text == "Returns take 30 days."
