"""A report for people: the answer with its claims marked, the evidence, the decision and the deed.

Symbols carry the meaning and colour repeats it, so that a pipe, a printer and a colour-blind reader
get the same. Text from models and sources is shown, never executed: control characters and
bidirectional overrides, which could redraw a terminal or reorder a line, become visible boxes.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple, assert_never

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from guardrails.report import Disposition
from policies.types import Action
from verifiers.types import (
    Basis,
    CheckError,
    Contradicted,
    NotCheckworthy,
    Supported,
    Unsupported,
    Unverifiable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TextIO

    from guardrails.report import Report
    from policies.types import ClaimDecision
    from verifiers.types import EvidenceSpan, Verdict

_QUOTE = 400
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Mark(NamedTuple):
    """How a verdict looks: a symbol, its stand-in where only ASCII can be shown, and a style."""

    symbol: str
    plain: str
    style: str


MARKS = {
    "supported": Mark("✓", "ok", "green"),
    "contradicted": Mark("✗", "WRONG", "bold red"),
    "conflict": Mark("⇄", "CONFLICT", "bold magenta"),
    "unsupported": Mark("?", "?", "yellow"),
    "consistent": Mark("≈", "~", "cyan"),
    "unverifiable": Mark("∅", "-", "yellow"),
    "not_checkworthy": Mark("·", ".", "dim"),
    "error": Mark("!", "!", "bold magenta"),
}

_ACTIONS = {
    Action.PASS: "green",
    Action.ANNOTATE: "green",
    Action.REDACT: "yellow",
    Action.REGENERATE: "yellow",
    Action.REVIEW: "bold magenta",
    Action.REFUSE: "bold red",
}

_DONE = {
    Disposition.RELEASED: "released as written",
    Disposition.REDACTED: "released with sentences taken out",
    Disposition.FLAGGED: "released, and put before a person",
    Disposition.HELD: "held until a person has looked",
    Disposition.REFUSED: "refused: the answer was replaced",
    Disposition.STOPPED: "stopped: released up to a sentence, then cut off",
    Disposition.FAILED: "there was no answer to release",
}


def make_console(stream: TextIO | None = None, *, width: int | None = None) -> Console:
    """A console that obeys NO_COLOR, FORCE_COLOR, COLUMNS and whether it is a terminal."""
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def print_report(
    report: Report, *, console: Console | None = None, explain: Sequence[str] | None = None
) -> None:
    """Print a report for people.

    Args:
        report: What to show.
        console: Where to; standard output when None.
        explain: The decision rule by rule, from :func:`policies.engine.explain`; left out when
            None.
    """
    console = console or make_console()
    unicode = _shows(console)
    for part in _parts(report, unicode=unicode, explain=explain):
        console.print(part)


def _shows(console: Console) -> bool:
    try:
        "".join(mark.symbol for mark in MARKS.values()).encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def visible(text: str) -> str:
    """``text`` with every character that could act on a terminal made visible, length kept."""
    return "".join(
        "\ufffd"
        if char in _BIDI or (unicodedata.category(char) == "Cc" and char not in "\n\t")
        else char
        for char in text
    )


def quoted(text: str, limit: int = _QUOTE) -> str:
    """A quotation on one line: white space joined, cut in the middle where it is very long."""
    joined = " ".join(visible(text).split())
    if len(joined) > limit:
        half = limit // 2
        joined = f"{joined[:half]} [...] {joined[-half:]}"
    return f'"{joined}"'


def _kind(verdict: Verdict) -> str:
    if isinstance(verdict, Contradicted) and verdict.conflict:
        return "conflict"
    if isinstance(verdict, Supported) and verdict.basis is Basis.CONSISTENCY:
        return "consistent"  # a mark of its own: consistency is not truth
    return verdict.label


def basis_line(basis: Basis, label: str, samples: int, *, sources_read: bool) -> str:
    """What a verdict rests on where it is not the evidence alone; empty where it is."""
    match basis:
        case Basis.EVIDENCE:
            return ""
        case Basis.JUDGE:
            return "by a judge that read the sources"
        case Basis.CONSISTENCY:
            unsure = (
                "the sources leave it unsure" if sources_read else "not checked against a source"
            )
            if label == "error":
                return f"samples of the answer could not be had ({unsure})"
            agrees = "consistent" if label == "supported" else "not consistent"
            return f"{agrees} with {samples} samples ({unsure})"
        case _:
            assert_never(basis)


def _basis(verdict: Supported | Contradicted | Unsupported) -> str:
    found = getattr(verdict, "consistency", None)
    samples = 0 if found is None else found.n
    read = verdict.evidence is not None
    return basis_line(verdict.basis, verdict.label, samples, sources_read=read)


def _mark(verdict: Verdict, *, unicode: bool) -> tuple[str, str]:
    mark = MARKS[_kind(verdict)]
    return (mark.symbol if unicode else mark.plain), mark.style


def _parts(
    report: Report, *, unicode: bool, explain: Sequence[str] | None
) -> Iterable[RenderableType]:
    yield _heading("Answer", f"{len(report.answer):,} characters")
    yield _indented(marked_answer(report, unicode=unicode))
    checked = [entry for entry in report.claims if not isinstance(entry.verdict, NotCheckworthy)]
    skipped = len(report.claims) - len(checked)
    yield Text()
    yield _heading("Claims", _tally(report, skipped))
    titles = {source.id: source.title for source in report.sources}
    for entry in checked:
        yield _claim(entry, titles, unicode=unicode)
    if not checked:
        yield _indented(Text("nothing in this answer makes a claim that can be checked"))
    yield Text()
    yield _decision(report)
    if explain is not None:
        yield Text()
        yield _heading("Why", "rule by rule")
        yield from (_indented(Text(visible(line))) for line in explain)
    yield _figures(report)


def _heading(name: str, detail: str = "") -> Text:
    text = Text(name, style="bold")
    if detail:
        text.append(f"  {detail}", style="dim not bold")
    return text


def _indented(body: RenderableType, by: int = 2) -> Padding:
    return Padding(body, (0, 0, 0, by), expand=False)


def marked_answer(report: Report, *, unicode: bool = True) -> Text:
    """The answer, each claim styled, with its mark and id where it ends."""
    answer = visible(report.answer)
    if not answer.strip():
        return Text("(empty)", style="dim")
    base = Text(answer)
    for entry in report.claims:
        span = entry.verdict.claim.span
        base.stylize(_mark(entry.verdict, unicode=unicode)[1], span.start, span.end)
    for removed in report.removed:
        base.stylize("strike", removed.start, removed.end)
    out, at = Text(), 0
    for entry in sorted(report.claims, key=lambda item: item.verdict.claim.span.end):
        if isinstance(entry.verdict, NotCheckworthy):
            continue
        claim = entry.verdict.claim
        symbol, style = _mark(entry.verdict, unicode=unicode)
        out.append_text(base[at : claim.span.end] if claim.span.end > at else Text())
        out.append(f" [{symbol} {claim.id}]", style=style)
        at = max(at, claim.span.end)
    if at < len(answer):
        out.append_text(base[at:])
    out.rstrip()
    return out


def _tally(report: Report, skipped: int) -> str:
    counts: dict[str, int] = {}
    for verdict in report.verdicts:
        if not isinstance(verdict, NotCheckworthy):
            counts[_kind(verdict)] = counts.get(_kind(verdict), 0) + 1
    said = [f"{counts[name]} {name}" for name in MARKS if name in counts]
    if skipped:
        said.append(f"{skipped} with nothing to check")
    return ", ".join(said) or "none"


def _claim(
    entry: ClaimDecision, titles: Mapping[str, str | None], *, unicode: bool
) -> RenderableType:
    verdict = entry.verdict
    symbol, style = _mark(verdict, unicode=unicode)
    head = Text()
    head.append(f"{symbol} {verdict.claim.id} {_kind(verdict).replace('_', ' ')}", style=style)
    lines: list[RenderableType] = [_indented(Text(quoted(verdict.claim.text)), 4)]
    match verdict:
        case Supported() | Contradicted() | Unsupported():
            head.append(
                f"  support {verdict.support:.3f}  contradiction {verdict.contradiction:.3f}"
                f"  {verdict.citation.value}"
            )
            if verdict.basis is not Basis.EVIDENCE:
                lines.append(_indented(Text(_basis(verdict), style="yellow"), 4))
            lines += [_indented(line, 4) for line in _evidence(verdict, titles)]
        case Unverifiable():
            head.append(f"  {verdict.citation.value}")
            lines.append(_indented(Text(visible(verdict.reason)), 4))
        case CheckError():
            head.append(f"  {verdict.code}")
            lines.append(_indented(Text(visible(verdict.reason)), 4))
        case NotCheckworthy():
            lines.append(_indented(Text(verdict.reason.value), 4))
        case _:
            assert_never(verdict)
    if entry.action is not Action.PASS:
        head.append(f"  -> {entry.action.value}", style=_ACTIONS[entry.action])
        head.append(f" ({entry.rule})", style="dim")
    return Group(_indented(head), *lines)


def _evidence(
    verdict: Supported | Contradicted | Unsupported, titles: Mapping[str, str | None]
) -> Iterable[Text]:
    match verdict:
        case Supported():
            if verdict.evidence is not None:
                yield _place("evidence", verdict.evidence, titles)
        case Contradicted():
            yield _place("against", verdict.evidence, titles)
            if verdict.supporting is not None:
                yield _place("for", verdict.supporting, titles)
            for mismatch in verdict.mismatches:
                where = mismatch.evidence
                said = Text(visible(mismatch.message), style="red")
                place = f" ({visible(where.source_id)} {where.span.start}:{where.span.end})"
                yield said.append(place, style="dim")
        case Unsupported():
            if verdict.evidence is not None:
                yield _place("nearest", verdict.evidence, titles)
        case _:
            assert_never(verdict)
    if verdict.basis is not Basis.EVIDENCE:
        yield Text(visible(verdict.reason), style="dim")
    coverage = verdict.coverage
    read = "samples" if verdict.evidence is None else "sources"
    yield Text(
        f"read {coverage.windows_read} of {coverage.windows_total} windows"
        f" in {coverage.sources_read} of {coverage.sources_total} {read}",
        style="dim" if coverage.complete else "yellow",
    )


def _place(role: str, evidence: EvidenceSpan, titles: Mapping[str, str | None]) -> Text:
    text = Text(f"{role} ")
    text.append(visible(evidence.source_id), style="cyan")
    text.append(f" {evidence.span.start}:{evidence.span.end} ", style="dim")
    title = titles.get(evidence.source_id)
    if title and title not in evidence.source_id:
        text.append(f"({visible(title)}) ", style="dim")
    return text.append(quoted(evidence.text))


def _decision(report: Report) -> Group:
    decision = report.decision
    head = _heading("Decision")
    head.append("  ")
    head.append(decision.action.value, style=_ACTIONS[decision.action])
    route = f", route {decision.route}" if decision.route else ""
    head.append(f"  policy {decision.policy}{route} ({decision.digest[:16]})", style="dim not bold")
    lines: list[RenderableType] = [head]
    for hit in decision.hits:
        whose = f" {hit.claim_id}" if hit.claim_id else ""
        lines.append(
            _indented(Text(f"{hit.rule}{whose}: {visible(hit.message)} -> {hit.action.value}"))
        )
    done = _heading("Done")
    done.append(f"      {_DONE[report.disposition]}", style="not bold")
    if len(report.attempts) > 1:
        done.append(f", after {len(report.attempts)} attempts", style="not bold")
    lines.append(done)
    if report.text != report.answer:
        lines.append(_indented(Text(visible(report.text))))
    if report.failure is not None:
        lines.append(_indented(Text(f"{report.failure.code}: {visible(report.failure.message)}")))
    lines += [_indented(Text(f"note: {visible(note)}")) for note in report.notes]
    return Group(*lines)


def _figures(report: Report) -> Text:
    model = report.verification.model
    said = []
    if model is not None:
        said.append(f"model {model.name} ({model.backend}, {model.form})")
    read, scored = report.verification.pairs, report.verification.pairs_scored
    said.append(f"{read} pairs" + (f" ({read - scored} from the cache)" if scored < read else ""))
    usage = report.usage
    if usage.input_tokens is not None or usage.output_tokens is not None:
        said.append(f"{usage.input_tokens or 0}+{usage.output_tokens or 0} tokens")
    if usage.cost_usd is not None:
        said.append(f"${usage.cost_usd:.6f}")
    sampling = report.attempts[report.answered].sampling if report.attempts else None
    if sampling is not None:
        many = f"{len(sampling.samples)} samples, {sampling.distinct} distinct"
        said.append(f"{many} (stopped: {sampling.stop.value})")
    judging = report.attempts[report.answered].judging if report.attempts else None
    if judging is not None:
        said.append(f"judge {visible(judging.model)}, {judging.calls} calls")
    stages = {**report.verification.seconds, **report.seconds}
    total = stages.get("total")
    if total is not None:
        said.append(f"{total:.2f} s")
    said.append(f"record {report.record_id}" + ("" if report.recorded else " (not stored)"))
    return Text(" · ".join(said), style="dim")
