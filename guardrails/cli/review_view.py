"""How review items look: for people, and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from guardrails._plain import full_json, review_json
from guardrails.cli.render import MARKS, basis_line, make_console, quoted, visible
from guardrails.record import (
    ConsistencyRecord,
    EvidenceRecord,
    JudgementRecord,
    ScoredRecord,
)
from guardrails.review import ReviewState
from verifiers.types import Basis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from guardrails.agreement import Agreement
    from guardrails.record import (
        AssessmentRecord,
        AttemptRecord,
        FailureRecord,
        Record,
        UsageRecord,
        VerdictRecord,
    )
    from guardrails.review import HistoryEntry, Review

__all__ = [
    "agreement_json",
    "full_json",
    "print_agreement",
    "print_json",
    "print_list",
    "print_review",
    "print_state",
    "review_json",
]

TEXT_OFF = (
    "The texts are not stored, so places and digests are shown. To store texts of calls from now "
    "on, set `store.text: true` in groundrail.yaml, or GROUNDRAIL_STORE__TEXT=true."
)
TEXT_GONE = "Some texts were deleted since, or belong to a record that is not in this store."

_STYLES = {
    ReviewState.OPEN: "yellow",
    ReviewState.CLAIMED: "cyan",
    ReviewState.RESOLVED: "green",
    ReviewState.EXPIRED: "dim",
}


# --------------------------------------------------------------------------- JSON


def print_json(value: object) -> None:
    """One JSON value on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=True))


def agreement_json(rows: Sequence[Agreement]) -> list[dict[str, Any]]:
    """Verifiers against reviewers."""
    return [
        {
            "verifier": row.verifier,
            "asked": row.asked,
            "answered": row.answered,
            "agreement": row.share,
            "interval": row.interval,
            "kappa": row.kappa,
            "both_supported": row.both_supported,
            "both_not": row.both_not,
            "missed": row.missed,
            "flagged": row.flagged,
        }
        for row in rows
    ]


# --------------------------------------------------------------------------- people


def print_list(reviews: Sequence[Review], state: str, limit: int) -> None:
    """A table of items."""
    console = make_console()
    if not reviews:
        console.print(Text("Nothing there." if state == "all" else f"Nothing is {state}."))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    # The id is what the next command takes: never wrapped, never cut.
    table.add_column("id", no_wrap=True, overflow="ignore")
    for name in ("state", "since", "delivery", "route", "why"):
        table.add_column(name, overflow="fold")
    for review in reviews:
        item = review.item
        why = item.reasons[0].rule if item.reasons else item.action.value
        more = f" +{len(item.reasons) - 1}" if len(item.reasons) > 1 else ""
        table.add_row(
            Text(visible(item.id)),
            _state(review),
            Text(item.created.strftime("%Y-%m-%d %H:%M")),
            Text(item.delivery.value),
            Text(visible(item.route or "-")),
            Text(f"{visible(why)}{more}"),
        )
    console.print(table)
    if len(reviews) == limit:
        console.print(Text(f"The first {limit}; see --limit.", style="dim"))


def print_agreement(rows: Sequence[Agreement]) -> None:
    """A table of verifiers against reviewers."""
    console = make_console()
    if not rows:
        console.print(Text("No claim was labelled in a resolved review."))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("verifier", "asked", "answered", "agree", "95 %", "kappa", "missed", "flagged"):
        table.add_column(name, justify="left" if name == "verifier" else "right")
    for row in rows:
        share, interval, kappa = row.share, row.interval, row.kappa
        table.add_row(
            row.verifier,
            str(row.asked),
            str(row.answered),
            "-" if share is None else f"{share:.3f}",
            "-" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}",
            "-" if kappa is None else f"{kappa:.2f}",
            str(row.missed),
            str(row.flagged),
        )
    console.print(table)
    console.print(
        Text(
            "missed: it said supported, the reviewer did not. flagged: the other way round. "
            "Claims that a policy sent to people, not a fair draw.",
            style="dim",
        )
    )


def print_state(review: Review) -> None:
    """One line on where an item stands now."""
    line = Text.assemble((visible(review.id), "bold"), ": ", _state(review))
    if review.lease_until is not None:
        line.append(f" until {review.lease_until.isoformat(timespec='seconds')}")
    if review.resolution is not None:
        line.append(f", {review.resolution.ruling.value}")
    make_console().print(line, soft_wrap=True)


def print_review(
    review: Review,
    history: Sequence[HistoryEntry],
    record: Record | None,
    texts: Mapping[str, str],
    *,
    why: str = "",
) -> None:
    """Everything about an item. ``why``: why its record is not shown."""
    console = make_console()
    item = review.item
    head = Text.assemble(("Review ", "bold"), (visible(item.id), "bold"), "  ", _state(review))
    head.append(f"  {item.delivery.value}  policy says {item.action.value}")
    _say(console, head)
    for reason in item.reasons:
        whose = f" {reason.claim_id}" if reason.claim_id else ""
        _say(console, Text(f"  {visible(reason.rule)}{whose}: {visible(reason.message)}"))
    if record is None:
        _say(console, Text(f"\nIts record cannot be shown: {visible(why)}.", style="yellow"))
        _say(console, Text("If it was spilled, recover() brings it into the store.", style="dim"))
    else:
        _print_record(console, record, texts)
    if review.resolution is not None:
        _print_resolution(console, review)
    _say(console, Text("\nHistory", style="bold"))
    for entry in history:
        who = f" by {visible(entry.reviewer)}" if entry.reviewer else ""
        _say(console, Text(f"  {entry.at.isoformat(timespec='seconds')} {entry.event.value}{who}"))


def _print_record(console: Console, record: Record, texts: Mapping[str, str]) -> None:
    question = record.question
    if question is not None:
        _say(console, Text("\nQuestion", style="bold"))
        _say(console, _text_or_place(texts, question.digest, f"{question.length} characters"))
    attempt = record.attempt
    _say(console, Text("\nAnswer", style="bold"))
    answer = texts.get(attempt.answer.digest)
    if answer is None:
        _say(console, _place(f"{attempt.answer.length} characters", attempt.answer.digest))
    else:
        _say(console, Text(visible(answer)))
    _say(console, Text("\nClaims", style="bold"))
    found = attempt.verification.assessments if attempt.verification is not None else ()
    verdicts = attempt.decision.verdicts if attempt.decision is not None else ()
    for assessment, verdict in zip(found, verdicts, strict=False):
        _print_claim(console, assessment, verdict, texts)
    if not found:
        _say(console, Text("  none"))
    _print_second(console, attempt, texts)
    if not record.text_stored:
        _say(console, Text(f"\n{TEXT_OFF}", style="yellow"))
    elif answer is None:
        _say(console, Text(f"\n{TEXT_GONE}", style="yellow"))


def _print_claim(
    console: Console,
    assessment: AssessmentRecord,
    verdict: VerdictRecord,
    texts: Mapping[str, str],
) -> None:
    claim, result = assessment.claim, assessment.result
    kind: str = "conflict" if verdict.conflict else verdict.verdict
    if verdict.basis is Basis.CONSISTENCY and kind == "supported":
        kind = "consistent"
    mark = MARKS[kind]
    head = Text(f"  {claim.id} {kind.replace('_', ' ')}", style=mark.style)
    if isinstance(result, ScoredRecord):
        head.append(f"  support {result.support:.3f}  contradiction {result.contradiction:.3f}")
    head.append(f"  -> {verdict.action.value} ({visible(verdict.rule)})", style="dim")
    _say(console, head)
    _say(console, _text_or_place(texts, claim.text, f"answer {claim.span[0]}:{claim.span[1]}"))
    for line in _second_opinions(assessment, verdict, texts):
        _say(console, line)
    if not isinstance(result, ScoredRecord):
        return
    against = verdict.verdict == "contradicted"
    evidence = result.best_contradiction if against else result.best_support
    _say(console, _evidence("against" if against else "evidence", evidence, texts))
    if verdict.conflict:
        _say(console, _evidence("for", result.best_support, texts))
    for mismatch in result.mismatches:
        message = texts.get(mismatch.message, f"the {mismatch.kind.value} differs")
        _say(console, Text(f"    {visible(message)}", style="red"))


def _second_opinions(
    assessment: AssessmentRecord, verdict: VerdictRecord, texts: Mapping[str, str]
) -> Iterator[Text]:
    """What samples and a judge said, and whether the verdict rests on it."""
    found, said = assessment.consistency, assessment.judgement
    read = isinstance(assessment.result, ScoredRecord)
    samples = found.n if isinstance(found, ConsistencyRecord) else 0
    line = basis_line(verdict.basis, verdict.verdict, samples, sources_read=read)
    if line:
        yield Text(f"    {line}", style="yellow")
    if isinstance(found, ConsistencyRecord):
        score = "none" if found.score is None else f"{found.score:.3f}"
        silent = found.refused + found.empty
        yield Text(
            f"    samples: agreement {score} of {found.n} read ({found.distinct} distinct, "
            f"{silent} silent), scorer {found.scorer.value}",
            style="dim",
        )
    elif found is not None:
        yield Text(f"    samples: {found.code} {visible(found.cause)}", style="red")
    if isinstance(said, JudgementRecord):
        yield Text(f"    judge {visible(said.model)}: {said.label}", style="dim")
        if said.quote is not None:
            yield _evidence("quoted", said.quote, texts)
    elif said is not None:
        yield Text(f"    judge: {said.code} {visible(said.cause)}", style="red")


def _print_second(console: Console, attempt: AttemptRecord, texts: Mapping[str, str]) -> None:
    """What second opinions were asked for, and what they cost."""
    sampling, judging = attempt.sampling, attempt.judging
    if sampling is not None:
        _say(console, Text("\nSamples", style="bold"))
        model = visible(sampling.model) if sampling.model else "given with the call"
        _say(
            console,
            Text(
                f"  {len(sampling.samples)} compared, {sampling.distinct} distinct, "
                f"{sampling.drawn} drawn ({model}); stopped: {sampling.stop.value}"
                f"{_spent(sampling.usage, known=sampling.cost_known)}"
            ),
        )
        shown: set[str] = set()
        for number, sample in enumerate(sampling.samples):
            if sample.digest in shown:
                continue
            shown.add(sample.digest)
            refused = " (declined)" if sample.refused else ""
            _say(console, Text(f"  {number}{refused}", style="dim"))
            _say(console, _text_or_place(texts, sample.digest, f"{sample.length} characters"))
        _print_failures(console, sampling.failures)
    if judging is not None:
        _say(console, Text("\nJudge", style="bold"))
        asked = f"{visible(judging.model)}, {len(judging.claims)} claims, {judging.calls} calls"
        _say(console, Text(f"  {asked}{_spent(judging.usage, known=judging.cost_known)}"))
        _print_failures(console, judging.failures)


def _spent(usage: UsageRecord, *, known: bool) -> str:
    said = ""
    if usage.input_tokens is not None or usage.output_tokens is not None:
        said += f", {usage.input_tokens or 0}+{usage.output_tokens or 0} tokens"
    if usage.cost_usd is not None:
        said += f", ${usage.cost_usd:.6f}"
    return said if known else f"{said} (not all of the cost is known)"


def _print_failures(console: Console, failures: Sequence[FailureRecord]) -> None:
    for failure in failures:
        _say(console, Text(f"  failed: {failure.code} {visible(failure.message)}", style="red"))


def _evidence(role: str, evidence: EvidenceRecord, texts: Mapping[str, str]) -> Text:
    place = f"{visible(evidence.source)} {evidence.span[0]}:{evidence.span[1]}"
    line = Text(f"    {role} ")
    line.append(f"{place} ", style="cyan")
    text = texts.get(evidence.digest)
    return line.append(quoted(text) if text is not None else evidence.digest[:18] + "...")


def _text_or_place(texts: Mapping[str, str], digest: str, place: str) -> Text:
    text = texts.get(digest)
    return _place(place, digest) if text is None else Text(f"    {quoted(text)}")


def _place(place: str, digest: str) -> Text:
    return Text(f"    {place}, {digest[:18]}...", style="dim")


def _print_resolution(console: Console, review: Review) -> None:
    resolution = review.resolution
    if resolution is None:
        return
    _say(console, Text("\nResolution", style="bold"))
    _say(console, Text(f"  {resolution.ruling.value} by {visible(review.reviewer or '?')}"))
    if resolution.text is not None:
        _say(console, Text(f"  instead: {visible(resolution.text)}"))
    for claim, label in resolution.labels:
        _say(console, Text(f"  {visible(claim)}: {label.value}"))
    if review.note is not None:
        _say(console, Text(f"  note: {visible(review.note)}"))


def _state(review: Review) -> Text:
    text = Text(review.state.value, style=_STYLES[review.state])
    if review.state is ReviewState.CLAIMED:
        text.append(f" by {visible(review.reviewer or '?')}")
    if review.lapses and not review.final:
        text.append(f" ({review.lapses} lapsed)", style="dim")
    return text


def _say(console: Console, line: Text) -> None:
    console.print(line, soft_wrap=True)
