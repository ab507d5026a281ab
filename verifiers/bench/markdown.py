"""The tables of a bench run as Markdown, put into a page: no figure is copied by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from verifiers.bench.page import figure, telling
from verifiers.errors import BenchDataInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from verifiers.bench.report import Report
    from verifiers.bench.resample import Interval
    from verifiers.bench.suite import Figures

BEGIN = "<!-- made by: groundrail bench --markdown -->"
END = "<!-- end of what groundrail bench made -->"


def write(report: Report, path: Path) -> None:
    """Put the tables between the two markers of a page, or into a new file.

    Raises:
        BenchDataInvalid: If there is such a file without the markers: it is somebody's.
    """
    before, after = place(path)
    made = f"{BEGIN}\n\n{markdown(report)}\n{END}"
    path.write_text(before + made + after, encoding="utf-8")


def place(path: Path) -> tuple[str, str]:
    """What stands before and after the place for the tables. Ask before measuring for hours.

    Raises:
        BenchDataInvalid: As :func:`write` does.
    """
    if not path.exists():
        return "", "\n"
    before, begun, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise BenchDataInvalid(
            f"{path} is there and has no place for tables; it was left as it is.",
            hint=f"Put the lines {BEGIN} and {END} where the tables belong, or name a new file.",
        )
    return before, after


def markdown(report: Report) -> str:
    """The tables: what was measured, by set, means, differences, cost, spans."""
    blocks = [
        f"```bash\n{report.command}\n```",
        "\n".join(f"* {key}: {_cell(value)}" for key, value in report.facts.items()),
        "Balanced accuracy at the threshold fixed beforehand / AUROC:",
        _by_set(report),
    ]
    if report.means:
        blocks += ["Means over sets, with 95 % bootstrap intervals:", _means(report)]
        blocks.append(
            "\n".join(
                f"* {_cell(group)}: {_cell(', '.join(sets))}"
                for group, sets in {row.group: row.sets for row in report.means}.items()
            )
        )
    if report.means and len(report.systems) > 1:
        blocks += [
            (
                f"Paired differences of the means from {report.baseline} (bold where the interval "
                "leaves zero out):"
            ),
            _differences(report),
        ]
    blocks += [
        "What it takes, and how far probabilities can be taken at their word:",
        _cost(report),
    ]
    if any(row.span_f1 is not None for row in report.rows):
        blocks += ["Span F1, over characters, where sets mark what is unsupported:", _spans(report)]
    failed = [row for row in report.rows if row.errors]
    if failed:
        blocks.append(
            "Could not look, and counted as called unsupported:\n\n"
            + "\n".join(
                f"* {row.system} on {_cell(row.dataset)}: {row.errors} of {row.items} ({row.why})"
                for row in failed
            )
        )
    return "\n\n".join(blocks) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Names come from files: none of them ends a cell or a line, or opens a tag in the page."""
    flat = " ".join(text.split())
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _grouped(rows: Sequence[Figures]) -> Iterator[tuple[str, list[Figures]]]:
    names = dict.fromkeys(row.dataset for row in rows)
    for name in names:
        yield name, [row for row in rows if row.dataset == name]


def _by_set(report: Report) -> str:
    rows = [
        [
            name,
            str(own[0].items),
            *(f"{figure(r.balanced_accuracy.value)} / {figure(r.auroc.value)}" for r in own),
        ]
        for name, own in _grouped(report.rows)
    ]
    groups = dict.fromkeys(row.group for row in report.means)
    for group in groups:
        means = [row for row in report.means if row.group == group]
        rows.append(
            [
                f"**mean: {group}**",
                f"{len(means[0].sets)} sets",
                *(
                    f"**{figure(r.balanced_accuracy.value)} / {figure(r.auroc.value)}**"
                    for r in means
                ),
            ]
        )
    return _table(["set", "items", *report.systems], rows)


def _means(report: Report) -> str:
    rows = [
        [
            f"{row.group}: {row.system}",
            _interval(row.balanced_accuracy),
            figure(row.best_balanced_accuracy),
            _interval(row.auroc),
            figure(row.f1_unsupported),
            figure(row.calibration_error),
        ]
        for row in report.means
    ]
    head = ["sets and system", "balanced accuracy", "at its best", "AUROC", "F1 of unsupported"]
    return _table([*head, "calibration error"], rows)


def _differences(report: Report) -> str:
    groups = {row.group for row in report.means}
    rows = [
        [f"{one.dataset}: {one.system}", _change(one.balanced_accuracy), _change(one.auroc)]
        for one in report.against_baseline()
        if one.dataset in groups
    ]
    return _table(["sets and system", "balanced accuracy", "AUROC"], rows)


def _cost(report: Report) -> str:
    rows = []
    for system in report.systems:
        own = [row for row in report.rows if row.system == system]
        apart = next((row for row in report.held_out if row.system == system), None)
        clocked = [row for row in own if row.milliseconds is not None]
        rows.append(
            [
                system,
                figure(report.thresholds[system]),
                "–" if apart is None else _interval(apart.calibration_error),  # noqa: RUF001
                figure(_mean([row.pairs for row in own]), 1),
                figure(_mean([row.tokens for row in own]), 0),
                figure(_mean([r.milliseconds[0] for r in clocked if r.milliseconds]), 0),
            ]
        )
    held = f" on {report.held_out[0].dataset}" if report.held_out else " on held-out items"
    head = ["system", "threshold", f"calibration error{held}", "pairs an item", "tokens an item"]
    return _table([*head, "ms an item alone, mean of medians"], rows)


def _spans(report: Report) -> str:
    rows = [
        [name, *(figure(r.span_f1.value if r.span_f1 else None) for r in own)]
        for name, own in _grouped(report.rows)
        if any(row.span_f1 for row in own)
    ]
    return _table(["set", *report.systems], rows)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _interval(found: Interval) -> str:
    return f"{figure(found.value)} ({figure(found.low)} to {figure(found.high)})"


def _change(found: Interval) -> str:
    if math.isnan(found.value):
        return figure(found.value)
    text = f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
    return f"**{text}**" if telling(found) else text
