"""What ``groundrail bench`` shows on a terminal: how far it is, and the table."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Self

from rich.text import Text

from verifiers.bench.page import telling
from verifiers.bench.running import Progress, work_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console

    from verifiers.bench.items import Item
    from verifiers.bench.report import Report
    from verifiers.bench.suite import Difference, Figures, Mean

# Into a log file, a line as often as this.
_EVERY_SECONDS = 30.0
# Before this much of a system is done its speed is a guess.
_TELLING_SHARE = 0.02


class Ticker:
    """Says what is measured and how long it will take: a line that changes, or lines in a log.

    Time is told for the system at hand, by the characters it has still to read: what another
    system takes is not known before it runs.
    """

    def __init__(
        self,
        console: Console,
        systems: int,
        sets: Mapping[str, Sequence[Item]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tell of ``systems`` systems over ``sets`` on ``console``."""
        self._console = console
        self._systems = systems
        self._work = {
            name: sum(work_of(one) for one in {item.digest: item for item in items}.values())
            for name, items in sets.items()
        }
        self._clock = clock
        self._status = console.status("") if console.is_terminal else None
        self._place = 0
        self._system = ""
        self._said = -math.inf

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._status is not None:
            self._status.stop()

    def system(self, name: str) -> None:
        """The next system begins."""
        self._place += 1
        self._system = name
        self._begun = self._clock()
        self._behind = 0.0  # work of this system that is behind us, known results included
        self._worked = 0.0  # work of this system that was done in this run
        self._tell(f"{name} ({self._place} of {self._systems})", now=True)

    def reading(self, dataset: str) -> Callable[[Progress], None]:
        """What to call with the progress on one set of the system at hand."""
        size, begun_with = self._work[dataset], self._worked
        start: list[int] = []
        behind = self._behind

        def tell(progress: Progress) -> None:
            if not start:
                start.append(progress.done)
            known = size * start[0] / progress.total
            self._worked = begun_with + progress.work
            self._behind = behind + min(known + progress.work, size)
            finished = progress.done >= progress.total
            if finished:
                self._behind = behind + size
            self._tell(
                f"{self._system} ({self._place} of {self._systems}): "
                f"{dataset} {progress.done} of {progress.total}{self._left()}",
                now=finished and progress.work > 0,
            )

        return tell

    def _left(self) -> str:
        total = sum(self._work.values())
        rest = total - self._behind
        if rest <= 0 or self._worked < _TELLING_SHARE * total:
            return ""
        seconds = (self._clock() - self._begun) / self._worked * rest
        return f", {_spoken(seconds)} left for this system"

    def _tell(self, text: str, *, now: bool) -> None:
        if self._status is not None:
            self._status.update(Text(text))
            return
        if now or self._clock() - self._said >= _EVERY_SECONDS:
            self._said = self._clock()
            self._console.print(Text(text), soft_wrap=True)


def _spoken(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004


def show(report: Report, console: Console) -> None:
    """Print the report: every set, means, then what to know to read it. Fits 80 columns."""
    marks = {(one.dataset, one.system): one for one in report.against_baseline()}
    longest = max(len(name) for name in (*report.systems, "system"))
    width = max(min(longest, console.width - sum(_WIDTHS) - len(_WIDTHS)), 12)
    for line in _lines(report, marks, width):
        console.print(line, no_wrap=True, overflow="crop")
    console.print()
    console.print(_reading(report, bool(marks)))
    for row in report.rows:
        if row.errors:
            console.print(
                Text(
                    f"{row.system} could not look at {row.errors} of {row.items} of {row.dataset}"
                    f" ({row.why}); they count as called unsupported.",
                    style="yellow",
                )
            )


_TITLES = ("b.acc ", "95 %", "best", "AUROC", "F1", "ECE", "span", "pairs", "tok", "ms")
_WIDTHS = (6, 9, 4, 5, 4, 4, 4, 5, 5, 5)


def _lines(
    report: Report, marks: Mapping[tuple[str, str], Difference], width: int
) -> Iterator[Text]:
    head = _line("system", width, [Text(title) for title in _TITLES])
    head.stylize("bold")
    yield head
    for name in dict.fromkeys(row.dataset for row in report.rows):
        own = [row for row in report.rows if row.dataset == name]
        yield from _head(name, f"{own[0].items} items, {own[0].supported} supported")
        for row in own:
            yield _line(row.system, width, _cells(row, marks.get((name, row.system))))
    if report.held_out:
        first = report.held_out[0]
        yield from _head(first.dataset, f"{first.items} items; thresholds were chosen on these")
        for row in report.held_out:
            yield _line(row.system, width, _cells(row, None))
    for group in dict.fromkeys(row.group for row in report.means):
        means = [row for row in report.means if row.group == group]
        yield from _head(f"MEAN {group}", f"{len(means[0].sets)} sets")
        for one in means:
            line = _line(one.system, width, _mean_cells(one, marks.get((group, one.system))))
            line.stylize("bold")
            yield line


def _head(name: str, what: str) -> Iterator[Text]:
    yield Text()
    yield Text.assemble((name, "bold cyan"), "  ", (what, "dim"))


def _line(name: str, width: int, cells: Sequence[Text]) -> Text:
    line = Text(name if len(name) <= width else f"{name[: width - 1]}…".ljust(width))
    line.pad_right(width - len(line))
    for cell, space in zip(cells, _WIDTHS, strict=True):
        cell.align("right", max(space, len(cell)))
        line.append(" ").append(cell)
    return line


def _cells(row: Figures, change: Difference | None) -> list[Text]:
    accuracy = row.balanced_accuracy
    return [
        _marked(accuracy.value, change),
        Text(f"{_short(accuracy.low)}-{_short(accuracy.high)}"),
        Text(_short(row.best_balanced_accuracy.value)),
        Text(_short(row.auroc.value)),
        Text(_short(row.f1_unsupported.value)),
        Text(_short(row.calibration_error.value)),
        Text("" if row.span_f1 is None else _short(row.span_f1.value)),
        Text(f"{row.pairs:.1f}"),
        Text(f"{row.tokens:.0f}"),
        Text("" if row.milliseconds is None else f"{row.milliseconds[0]:.0f}"),
    ]


def _mean_cells(row: Mean, change: Difference | None) -> list[Text]:
    accuracy = row.balanced_accuracy
    return [
        _marked(accuracy.value, change),
        Text(f"{_short(accuracy.low)}-{_short(accuracy.high)}"),
        Text(_short(row.best_balanced_accuracy)),
        Text(_short(row.auroc.value)),
        Text(_short(row.f1_unsupported)),
        Text(_short(row.calibration_error)),
        Text(""),
        Text(f"{row.pairs:.1f}"),
        Text(f"{row.tokens:.0f}"),
        Text(""),
    ]


def _short(value: float) -> str:
    """Three digits without the leading zero, which every figure here would have."""
    if math.isnan(value):
        return "-"
    return f"{value:.3f}".removeprefix("0")


def _marked(value: float, change: Difference | None) -> Text:
    told = "" if change is None else telling(change.balanced_accuracy)
    mark = {"better": "+", "worse": "-"}.get(told, " ")
    return Text(_short(value) + mark, style={"+": "green", "-": "red"}.get(mark, ""))


def _reading(report: Report, marked: bool) -> Text:
    thresholds = ", ".join(f"{name} {at:.3f}" for name, at in report.thresholds.items())
    against = f" + or -: differs from {report.baseline} beyond chance." if marked else ""
    return Text(
        f"b.acc: balanced accuracy at the threshold fixed beforehand ({thresholds}), with its 95 % "
        f"interval.{against} best: at the best threshold for these very items. F1: of the "
        "unsupported class. ECE: calibration error. span: F1 over characters. pairs, tok: read an "
        "item. ms: an item alone, the median.",
        style="dim",
    )
