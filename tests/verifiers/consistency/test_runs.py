"""Runs: every scorer on the one contract, sharing, stopping, and failures that stay failures."""

from __future__ import annotations

import asyncio
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from verifiers import rules
from verifiers.consistency import (
    ConsistencySettings,
    ConsistencyVerifier,
    Sample,
    Stopping,
    StopReason,
)
from verifiers.engine import NLIEngine
from verifiers.errors import BackendFailed
from verifiers.testing import ScriptedScorer
from verifiers.types import (
    Claim,
    ClaimKind,
    Consistency,
    ConsistencyThresholds,
    Failed,
    Pair,
    ScorerName,
    Span,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AT = ConsistencyThresholds(0.6, 0.4, min_samples=2)
ALL = Stopping(cap=12, step=12, level=0.0)
QUESTION = "How tall is the tower in Arlen?"
ANSWER = "The tower in Arlen is 40 metres tall."
SAME = "Tall indeed: the tower in Arlen is 40 metres tall."
OTHER = "The tower in Arlen is 55 metres tall."
WORDS = [ANSWER, SAME, OTHER, "It is 70 metres.", "40 m", "Nobody built one.", "", "   "]

scorers = pytest.mark.parametrize("scorer", list(ScorerName))


class Sentences:
    """The one thing a run asks of an extractor."""

    def sentences(self, text: str) -> list[Span]:
        return rules.split(text)

    def extract(self, answer: str, **_: Any) -> tuple[Claim, ...]:
        raise NotImplementedError


def claim(text: str = ANSWER, id: str = "c1") -> Claim:  # noqa: A002
    span = Span(0, len(text))
    return Claim(id, span, text, ClaimKind.SENTENCE, span, text)


@pytest.fixture
def fake() -> ScriptedScorer:
    return ScriptedScorer()


@pytest.fixture
def engine(fake: ScriptedScorer) -> Iterator[NLIEngine]:
    with NLIEngine(lambda: fake) as made:
        yield made


@pytest.fixture
def verifier(engine: NLIEngine) -> Iterator[ConsistencyVerifier]:
    with ConsistencyVerifier(extractor=Sentences(), engine=engine) as made:
        yield made


@cache
def shared() -> ConsistencyVerifier:
    """One for all examples of a property."""
    return ConsistencyVerifier(extractor=Sentences(), engine=NLIEngine(ScriptedScorer))


def found(
    verifier: ConsistencyVerifier,
    samples: Sequence[Sample],
    scorer: ScorerName,
    *,
    stopping: Stopping = ALL,
    claims: Sequence[Claim] | None = None,
) -> Consistency:
    run = verifier.open(
        answer=ANSWER,
        claims=claims or [claim()],
        question=QUESTION,
        scorer=scorer,
        thresholds=AT,
        stopping=stopping,
    )
    run.add(samples)
    result = run.result()["c1"]
    assert isinstance(result, Consistency)
    return result


samples = st.lists(
    st.builds(
        Sample,
        st.sampled_from(WORDS),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=10,
)


# --------------------------------------------------------------------------- the contract


@scorers
@given(given_samples=samples, chance=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_order_of_samples_does_not_matter(
    scorer: ScorerName, given_samples: list[Sample], chance: Any
) -> None:
    """Score, counts and entropy are of the samples, not of the order they came in."""
    shuffled = list(given_samples)
    chance.shuffle(shuffled)
    one, other = (found(shared(), some, scorer) for some in (given_samples, shuffled))
    assert (one.score, one.n, one.distinct, one.refused, one.empty) == (
        other.score,
        other.n,
        other.distinct,
        other.refused,
        other.empty,
    )
    assert one.entropy == (other.entropy and pytest.approx(other.entropy))


@scorers
@given(given_samples=samples)
@settings(max_examples=40, deadline=None)
def test_scores_are_in_range_and_everything_is_counted(
    scorer: ScorerName, given_samples: list[Sample]
) -> None:
    """Every sample is read, refused or empty; a score is there exactly when one was read."""
    result = found(shared(), given_samples, scorer)
    assert result.n + result.refused + result.empty == len(given_samples)
    assert (result.score is None) == (result.n == 0)
    if result.score is not None:
        assert 0.0 <= result.score <= 1.0
    assert sum(sample.count for sample in result.samples) == result.n
    assert result.distinct == len(result.samples)


@scorers
@given(given_samples=samples, more=st.integers(1, 2), text=st.sampled_from([ANSWER, SAME]))
@settings(max_examples=40, deadline=None)
def test_more_agreement_never_lowers_support(
    scorer: ScorerName, given_samples: list[Sample], more: int, text: str
) -> None:
    """Samples that say at least as much for the claim as the others do not make it weaker."""
    agreeing = found(shared(), [Sample(text)], scorer).score
    before = found(shared(), given_samples, scorer).score
    after = found(shared(), [*given_samples, *[Sample(text)] * more], scorer).score
    assert agreeing is not None
    assert after is not None
    if before is not None and agreeing >= before:
        assert after >= before - 1e-12


@scorers
def test_duplicates_count_and_are_read_once(
    scorer: ScorerName, verifier: ConsistencyVerifier, fake: ScriptedScorer
) -> None:
    """Five times one text is one text of weight five: no pair is asked twice."""
    listed = found(verifier, [Sample(OTHER), Sample(SAME), *[Sample(f" {OTHER}\n")] * 4], scorer)
    assert (listed.n, listed.distinct) == (6, 2)
    assert [sample.count for sample in listed.samples] == [5, 1]
    single = {s.sample: s for s in found(verifier, [Sample(OTHER)], scorer).samples}[0]
    assert listed.samples[0].support == single.support
    asked = [pair for batch in fake.batches for pair in batch]
    assert sum(SAME not in pair.premise and SAME not in pair.hypothesis for pair in asked) <= 4


@scorers
def test_equal_texts_agree_whatever_the_model_says(
    scorer: ScorerName, verifier: ConsistencyVerifier, fake: ScriptedScorer
) -> None:
    """A sample that is the answer itself supports it and is not read."""
    result = found(verifier, [Sample(ANSWER)] * 3, scorer)
    assert (result.score, result.n, result.distinct) == (1.0, 3, 1)
    assert fake.batches == []


@scorers
def test_disagreement_is_told_from_agreement(
    scorer: ScorerName, verifier: ConsistencyVerifier
) -> None:
    """The scorers order an answer that is repeated above one that is not."""
    agreed = found(verifier, [Sample(SAME)] * 3, scorer).score
    denied = found(verifier, [Sample(OTHER)] * 3, scorer)
    assert agreed is not None
    assert denied.score is not None
    assert agreed > 0.8
    assert denied.score < 0.2
    assert denied.samples[0].against > 0.8


@scorers
def test_silence_is_no_evidence(scorer: ScorerName, verifier: ConsistencyVerifier) -> None:
    """Refusals and empty samples move no score, and are counted apart."""
    silent = [Sample("I cannot say.", refused=True), Sample(" "), Sample("", refused=True)]
    alone = found(verifier, silent, scorer)
    assert (alone.score, alone.n, alone.refused, alone.empty) == (None, 0, 2, 1)
    mixed = found(verifier, [*silent, Sample(SAME), Sample(OTHER)], scorer)
    assert mixed.score == found(verifier, [Sample(SAME), Sample(OTHER)], scorer).score


@scorers
def test_the_async_run_gives_the_same(scorer: ScorerName, verifier: ConsistencyVerifier) -> None:
    """One set of rules, two drivers."""

    async def asked() -> Consistency | Failed:
        run = verifier.open(
            answer=ANSWER,
            claims=[claim()],
            question=QUESTION,
            scorer=scorer,
            thresholds=AT,
            stopping=ALL,
        )
        await run.aadd([Sample(SAME), Sample(OTHER)])
        return run.result()["c1"]

    assert asyncio.run(asked()) == found(verifier, [Sample(SAME), Sample(OTHER)], scorer)


# --------------------------------------------------------------------------- the scorers


def test_clusters_say_how_many_meanings_there_are(verifier: ConsistencyVerifier) -> None:
    """Two samples with the answer, two with another value: half the mass, entropy of a coin."""
    mixed = [Sample(ANSWER), Sample(SAME), Sample(OTHER), Sample("Its height is 55 metres.")]
    result = found(verifier, mixed, ScorerName.VALUES)
    assert result.score == 0.5
    assert result.entropy == pytest.approx(0.6931471806)
    assert [sample.cluster for sample in result.samples] == [0, 0, 1, 1]


def test_log_probabilities_weigh_meanings(verifier: ConsistencyVerifier) -> None:
    """With a log probability on every sample, distinct texts weigh what they are worth."""
    mixed = [Sample(ANSWER, logprob=-0.1), Sample(OTHER, logprob=-2.0)]
    result = found(verifier, mixed, ScorerName.SEMANTIC_ENTROPY)
    assert result.score == pytest.approx(1 / (1 + 2.718281828459045**-1.9))
    counted = found(verifier, [Sample(ANSWER), *mixed[1:]], ScorerName.SEMANTIC_ENTROPY)
    assert counted.score == 0.5


def test_claims_without_values_are_not_judged_by_values(verifier: ConsistencyVerifier) -> None:
    """Nothing is read, nothing more is wanted, nothing is concluded."""
    vague = claim("Many people like to look at it from the far side of the river on warm evenings.")
    run = verifier.open(
        answer=vague.text,
        claims=[vague],
        question=None,
        scorer=ScorerName.VALUES,
        thresholds=AT,
        stopping=ALL,
    )
    assert (run.wanted, run.stop) == (0, StopReason.DECIDED)
    result = run.result()["c1"]
    assert isinstance(result, Consistency)
    assert result.score is None


def test_long_samples_are_read_in_windows(engine: NLIEngine, fake: ScriptedScorer) -> None:
    """A sample longer than the model is cut; nothing is cut off, and the count says so."""
    long = " ".join(f"Street number {i} runs past the old mill and the bridge." for i in range(90))
    how = ConsistencySettings(read_all_up_to=100)
    with ConsistencyVerifier(extractor=Sentences(), engine=engine, settings=how) as made:
        result = found(made, [Sample(f"{long} {SAME}")], ScorerName.NLI)
    assert result.score is not None
    assert result.score > 0.8
    assert result.coverage.windows_read == result.coverage.windows_total > 10
    assert sum(len(batch) for batch in fake.batches) == result.coverage.windows_read
    few = ConsistencySettings(read_all_up_to=4, k=2)
    with ConsistencyVerifier(extractor=Sentences(), engine=engine, settings=few) as made:
        result = found(made, [Sample(f"{long} {SAME}")], ScorerName.NLI)
    assert result.coverage.windows_read < result.coverage.windows_total
    assert result.score is not None
    assert result.score > 0.8


# --------------------------------------------------------------------------- the run


def opened(
    verifier: ConsistencyVerifier,
    claims: Sequence[Claim],
    stopping: Stopping,
    scorer: ScorerName = ScorerName.NLI,
) -> Any:
    return verifier.open(
        answer=ANSWER,
        claims=claims,
        question=None,
        scorer=scorer,
        thresholds=AT,
        stopping=stopping,
    )


def test_samples_are_drawn_until_no_decision_can_change(verifier: ConsistencyVerifier) -> None:
    """The one claim the samples are torn over keeps the run going; the settled one is left."""
    agreed, torn = claim(ANSWER, "c1"), claim("Copper covers its roof.", "c2")
    run = opened(verifier, [agreed, torn], Stopping(cap=20, step=2, level=0.1))
    both = f"{SAME} It is painted red."
    texts = iter([f"{both} Sample {i}." + (f" {torn.text}" if i % 2 else "") for i in range(20)])
    while run.wanted:
        run.add([Sample(next(texts)) for _ in range(run.wanted)])
    result = run.result()
    assert result["c1"].n < 10
    assert result["c2"].n > result["c1"].n
    assert run.given == result["c2"].n
    assert run.stop in {StopReason.DECIDED, StopReason.CAP}


def test_the_cap_and_the_end_of_samples_stop_a_run(verifier: ConsistencyVerifier) -> None:
    """Silent samples count against the cap: they were paid for."""
    run = opened(verifier, [claim()], Stopping(cap=3, step=2, level=0.0))
    assert run.wanted == 2
    run.add([Sample(SAME), Sample("")])
    assert run.wanted == 1
    run.add([Sample(OTHER)])
    assert (run.wanted, run.stop, run.given) == (0, StopReason.CAP, 3)
    with pytest.raises(ValueError, match="cap leaves 0"):
        run.add([Sample(SAME)])
    short = opened(verifier, [claim()], Stopping(cap=9, step=3, level=0.0))
    short.add([Sample(SAME)])
    assert short.wanted == 3
    short.add([])
    assert (short.wanted, short.stop) == (0, StopReason.EXHAUSTED)


def test_a_model_that_fails_makes_failed_claims() -> None:
    """Never a score. Claims that were settled before keep theirs."""
    broken = ScriptedScorer(failures=[None, BackendFailed("The model failed.")])
    with (
        NLIEngine(lambda: broken) as engine,
        ConsistencyVerifier(extractor=Sentences(), engine=engine) as made,
    ):
        run = opened(made, [claim()], Stopping(cap=8, step=1, level=0.0))
        run.add([Sample(SAME)])
        run.add([Sample(OTHER)])
        assert run.result() == {"c1": Failed("GR106", "The model failed.")}
        assert (run.wanted, run.stop) == (0, StopReason.FAILED)


@pytest.mark.parametrize("scorer", [ScorerName.NLI, ScorerName.SEMANTIC_ENTROPY])
def test_a_claim_too_long_for_the_model_fails_alone(scorer: ScorerName) -> None:
    """The other claims are read all the same."""
    small = ScriptedScorer(max_tokens=80)
    long = claim(" ".join(f"word{i}" for i in range(79)), "c2")
    with (
        NLIEngine(lambda: small) as engine,
        ConsistencyVerifier(extractor=Sentences(), engine=engine) as made,
    ):
        run = opened(made, [claim(), long], ALL, scorer)
        run.add([Sample(SAME)])
        result = run.result()
    assert isinstance(result["c1"], Consistency)
    assert isinstance(result["c2"], Failed)
    assert result["c2"].code == "GR105"


def test_a_cancelled_step_takes_nothing_in() -> None:
    """The run can go on afterwards as if it had not been asked."""
    entered, leave = threading.Event(), threading.Event()

    def slow(pair: Pair) -> None:
        entered.set()
        assert leave.wait(30)

    held = ScriptedScorer(fail_on=slow)
    with (
        NLIEngine(lambda: held) as engine,
        ConsistencyVerifier(extractor=Sentences(), engine=engine) as made,
    ):
        run = opened(made, [claim()], Stopping(cap=4, step=2, level=0.0))

        async def cancelled() -> None:
            task = asyncio.create_task(run.aadd([Sample(OTHER)]))
            await asyncio.to_thread(entered.wait, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancelled())
        leave.set()
        assert run.given == 0
        run.add([Sample(SAME)])
        assert run.result()["c1"].n == 1


def test_pairs_are_counted_before_and_after_sharing(verifier: ConsistencyVerifier) -> None:
    """Two claims, three samples of which two are equal: four pairs asked, four scored."""
    run = opened(verifier, [claim(), claim(OTHER, "c2")], ALL)
    run.add([Sample(SAME), Sample(SAME), Sample("It is 70 metres.")])
    assert (run.pairs, run.pairs_distinct, run.pairs_scored) == (4, 4, 4)


def test_entropy_can_be_left_out(engine: NLIEngine, fake: ScriptedScorer) -> None:
    """The score is the same, for fewer pairs."""
    mixed = [Sample(SAME), Sample(OTHER), Sample("Its height is 55 metres.")]
    asked = []
    for wanted in (True, False):
        how = ConsistencySettings(entropy=wanted)
        with ConsistencyVerifier(extractor=Sentences(), engine=engine, settings=how) as made:
            before = sum(map(len, fake.batches))
            result = found(made, mixed, ScorerName.SEMANTIC_ENTROPY)
            asked.append(sum(map(len, fake.batches)) - before)
            assert (result.entropy is not None) is wanted
            assert result.score == pytest.approx(1 / 3)
    assert asked == [12, 6]


@pytest.mark.parametrize("scorer", [ScorerName.NLI, ScorerName.SEMANTIC_ENTROPY])
@pytest.mark.parametrize(("words", "read"), [(8, True), (500, False)])
def test_short_samples_are_read_with_a_question_not_with_a_prompt(
    verifier: ConsistencyVerifier, fake: ScriptedScorer, scorer: ScorerName, words: int, read: bool
) -> None:
    """A bare value means something only as an answer; a long prompt would leave no room for it."""
    asked = f"{'well ' * words}how tall is it?"
    run = verifier.open(
        answer=ANSWER,
        claims=[claim()],
        question=asked,
        scorer=scorer,
        thresholds=AT,
        stopping=ALL,
    )
    run.add([Sample("40 m")])
    assert isinstance(run.result()["c1"], Consistency)
    premises = [pair.premise for batch in fake.batches for pair in batch]
    assert any(asked in premise for premise in premises) is read
