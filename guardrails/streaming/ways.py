"""The ways into a guarded stream: a job and an open hand in, a stream out.

With ``stream.release: answer`` the answer is held, decided as a whole by the ordinary flow (asked
again where the policy says so), and then told as a stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardrails.streaming.guarded import AsyncGuardedStream
from guardrails.streaming.run import StreamRun
from guardrails.streaming.shapes import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from guardrails._flow_values import Job
    from guardrails.engine import Engine, Options
    from guardrails.report import Guarded, Report
    from guardrails.runner import Hands
    from guardrails.streaming.hands import StreamHands


def reasoning_of(job: Job) -> Kind:
    """When what the model thinks aloud may go out, for the shapes."""
    rules = job.policy.for_route(job.route).stream
    return Kind.ALOUD if rules.reasoning == "hold" else Kind.ORDERED


def holds_answers(job: Job) -> bool:
    """Whether the policy holds streamed answers until they were decided as a whole."""
    return bool(job.policy.for_route(job.route).stream.release == "answer")


def raises(job: Job, options: Options) -> bool:
    """Whether a withheld answer is an error and not a text."""
    return bool((options.blocked or job.policy.for_route(job.route).blocked) == "raise")


def by_sentence(engine: Engine, job: Job, hands: StreamHands) -> AsyncGuardedStream:
    """A stream that lets each sentence go once it was decided."""
    run = StreamRun(job, hands, engine.parts.ports)
    return AsyncGuardedStream(run.events(), lambda: run.reports)


def by_answer(
    engine: Engine,
    job: Job,
    hands: Hands,
    options: Options,
    told: Callable[[Guarded[Any]], Sequence[Any]],
) -> AsyncGuardedStream:
    """A stream that tells an answer which was decided as a whole.

    Args:
        engine: Runs the call.
        job: The call.
        hands: Make the call, not streamed.
        options: What the caller said about it.
        told: The events that tell what came of it.
    """
    reports: tuple[Report, ...] = ()

    async def events() -> AsyncGenerator[Any, None]:
        nonlocal reports
        try:
            guarded = await engine.arun(job, hands, options)
        except Exception as error:
            found = getattr(error, "report", None)
            reports = () if found is None else (found,)
            raise
        reports = guarded.reports
        for event in told(guarded):
            yield event

    return AsyncGuardedStream(events(), lambda: reports)
