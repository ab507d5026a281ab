"""How review items look: for people, and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from guardrails._plain import full_json, review_json
from guardrails.cli.render import MARKS, make_console, quoted, visible
from guardrails.record import EvidenceRecord, ScoredRecord
from guardrails.review import ReviewState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from guardrails.record import AssessmentRecord, Record, VerdictRecord
    from guardrails.review import HistoryEntry, Review

__all__ = ["full_json", "print_json", "print_list", "print_review", "print_state", "review_json"]

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
    kind = "conflict" if verdict.conflict else verdict.verdict
    mark = MARKS[kind]
    head = Text(f"  {claim.id} {kind.replace('_', ' ')}", style=mark.style)
    if isinstance(result, ScoredRecord):
        head.append(f"  support {result.support:.3f}  contradiction {result.contradiction:.3f}")
    head.append(f"  -> {verdict.action.value} ({visible(verdict.rule)})", style="dim")
    _say(console, head)
    _say(console, _text_or_place(texts, claim.text, f"answer {claim.span[0]}:{claim.span[1]}"))
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
