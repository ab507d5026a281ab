"""Evidence windows: long sources cut into runs of sentences, the best of them chosen per claim.

Three steps, each pure: :func:`cut` makes windows that fit the model and together cover every
non-space character of the source; :class:`WindowIndex` ranks them for a claim and says how many
there were; :func:`narrow` finds the sentences inside a window that a reader should look at.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from verifiers._units import Unit, fit_units
from verifiers.ranking import Ranking, tokenise
from verifiers.types import Coverage, EvidenceSpan, Source, Span, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verifiers._units import CountText

DEFAULT_K = 10
DEFAULT_READ_ALL_UP_TO = 16
DEFAULT_OVERLAP = 1

# Windows read however far behind the best they are: ranks are no measure of truth.
_ALWAYS = 3
# Where the best window has words for less of the claim than this, words cannot tell which windows
# speak of it (another language, a paraphrase throughout), and distance means nothing.
_TELLING = 0.25


def cut(
    source: Source,
    sentences: Sequence[Span],
    *,
    count_text: CountText,
    budget_tokens: int,
    overlap_sentences: int = DEFAULT_OVERLAP,
) -> list[Window]:
    """Cut a source into overlapping sentence windows.

    Args:
        source: What to cut. Its text is not changed: a window's text is a span of it, exactly.
        sentences: Its sentences in order. Text between them is kept as if it were a sentence.
        count_text: Tokens of each text alone; called on batches, a few times a source.
        budget_tokens: The most tokens one window may have.
        overlap_sentences: How many sentences a window repeats of the one before it, where they
            fit beside at least one new sentence.

    Returns:
        Windows in reading order: none over the budget, together covering every non-space
        character. Empty only when the source holds nothing but space. A sentence over the budget
        is split between words, a word over the budget between characters, each with overlap.

    Raises:
        ValueError: If the budget is not positive or the overlap is negative.
        InputTooLong: If a single character has more tokens than the budget.
    """
    if budget_tokens < 1:
        raise ValueError(f"a window needs a budget of at least one token, not {budget_tokens}")
    if overlap_sentences < 0:
        raise ValueError(f"overlap counts sentences and cannot be {overlap_sentences}")
    text = source.text
    units = fit_units(text, sentences, count_text, budget_tokens)
    spans = _checked(
        text, _pack(units, budget_tokens, overlap_sentences), count_text, budget_tokens
    )
    return [Window(source.id, i, s, text[s.start : s.end]) for i, s in enumerate(spans)]


def _pack(units: Sequence[Unit], budget: int, overlap: int) -> list[tuple[Span, Sequence[Unit]]]:
    """Greedy runs of units within the budget, each starting ``overlap`` units back."""
    runs: list[tuple[Span, Sequence[Unit]]] = []
    start = end = total = 0
    while end < len(units):
        while end < len(units) and (end == start or total + units[end].tokens <= budget):
            total += units[end].tokens
            end += 1
        run = units[start:end]
        runs.append(_run(run))
        if end == len(units):
            break
        following = max(end - overlap, start + 1)
        total = sum(u.tokens for u in units[following:end])
        while following < end and total + units[end].tokens > budget:
            total -= units[following].tokens
            following += 1
        start = following
    return runs


def _run(units: Sequence[Unit]) -> tuple[Span, Sequence[Unit]]:
    return Span(units[0].start, max(u.end for u in units)), units


def _checked(
    text: str,
    runs: Sequence[tuple[Span, Sequence[Unit]]],
    count_text: CountText,
    budget: int,
) -> list[Span]:
    """Halve the runs that are over the budget although their units added up to less.

    Tokens of a text are not quite the sum of the tokens of its parts (space between sentences,
    pieces that join across a boundary), so what was packed by sums is counted once more.
    """
    done: list[tuple[int, Span]] = []
    waiting = list(enumerate(runs))
    while waiting:
        counts = count_text([text[span.start : span.end] for _, (span, _) in waiting])
        over: list[tuple[int, tuple[Span, Sequence[Unit]]]] = []
        for (place, (span, run)), tokens in zip(waiting, counts, strict=True):
            if tokens <= budget or len(run) == 1:
                done.append((place, span))
                continue
            middle = len(run) // 2
            over += [(place, _run(part)) for part in (run[:middle], run[middle:])]
        waiting = over
    spans = sorted({span for _, span in done})
    # A half may lie inside its neighbour, which overlapped it; it adds nothing.
    kept: list[Span] = []
    for span in spans:
        while kept and span.contains(kept[-1]):
            kept.pop()
        if not kept or not kept[-1].contains(span):
            kept.append(span)
    return kept


class Cutter:
    """Cuts sources for one model and remembers how, by the digest of their text.

    Safe to share between threads. What is kept is spans, never text.
    """

    def __init__(
        self,
        *,
        sentences: Callable[[str], Sequence[Span]],
        count_text: CountText,
        budget_tokens: int,
        overlap_sentences: int = DEFAULT_OVERLAP,
        remembered: int = 256,
    ) -> None:
        """Bind a sentence splitter, a model's tokenizer and a budget together.

        Args:
            sentences: The sentences of a text, in order.
            count_text: As for :func:`cut`.
            budget_tokens: As for :func:`cut`.
            overlap_sentences: As for :func:`cut`.
            remembered: How many sources to remember; the least recently used is forgotten.
        """
        self._sentences = sentences
        self._count_text = count_text
        self._budget = budget_tokens
        self._overlap = overlap_sentences
        self._remembered = remembered
        self._lock = threading.Lock()
        self._cuts: OrderedDict[str, CutSource] = OrderedDict()

    def windows(self, source: Source) -> list[Window]:
        """The windows of one source; see :func:`cut`."""
        spans = self._cut(source).windows
        text = source.text
        return [Window(source.id, i, s, text[s.start : s.end]) for i, s in enumerate(spans)]

    def sentences(self, source: Source) -> Sequence[Span]:
        """The sentences of one source, as split for its windows."""
        return self._cut(source).sentences

    def _cut(self, source: Source) -> CutSource:
        digest = hashlib.blake2b(source.text.encode("utf-8", "surrogatepass")).hexdigest()
        with self._lock:
            known = self._cuts.get(digest)
            if known is not None:
                self._cuts.move_to_end(digest)
                return known
        sentences = tuple(self._sentences(source.text))
        windows = cut(
            source,
            sentences,
            count_text=self._count_text,
            budget_tokens=self._budget,
            overlap_sentences=self._overlap,
        )
        made = CutSource(sentences, tuple(w.span for w in windows))
        with self._lock:
            self._cuts[digest] = made
            while len(self._cuts) > self._remembered:
                self._cuts.popitem(last=False)
        return made


class CutSource(NamedTuple):
    """Where one text was cut."""

    sentences: tuple[Span, ...]
    windows: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """The windows to read for one claim, best first, and how many there were.

    ``scores`` are BM25 scores beside ``windows``; they say what is near, never what is true.
    """

    windows: tuple[Window, ...]
    scores: tuple[float, ...]
    windows_total: int
    sources_read: int
    sources_total: int

    @property
    def coverage(self) -> Coverage:
        """The counts alone, as a verdict carries them."""
        return Coverage(
            len(self.windows), self.windows_total, self.sources_read, self.sources_total
        )


class WindowIndex:
    """Windows of one set of sources, ranked again and again for the claims of an answer.

    Built once, then read-only and safe to share between threads.
    """

    def __init__(self, windows: Sequence[Window]) -> None:
        """Index ``windows``, given in the order of their sources."""
        self.windows = tuple(windows)
        self._ranking = Ranking([w.text for w in self.windows]) if len(self.windows) > 1 else None
        self._sources = len({w.source_id for w in self.windows})

    def select(
        self,
        query: str,
        *,
        k: int = DEFAULT_K,
        read_all_up_to: int = DEFAULT_READ_ALL_UP_TO,
        near: float = 0.0,
    ) -> Selection:
        """Choose what to read for one claim.

        All windows when there are at most ``read_all_up_to``. Otherwise the ``k`` best by BM25,
        and with them the best window of each of the ``k`` best sources, so that a long source
        cannot crowd out a short one: with at most ``k`` sources each is read. At most ``2k - 1``
        windows. Equal scores keep the order of the sources.

        Of these, windows behind the third are left out when their score is below ``near`` times
        the best one's, unless even the best has words for little of the claim.

        Raises:
            ValueError: If ``k`` is less than one, ``read_all_up_to`` is negative or ``near`` is
                not in [0, 1].
        """
        if k < 1 or read_all_up_to < 0 or not 0.0 <= near <= 1.0:
            raise ValueError(f"cannot select k={k}, read_all_up_to={read_all_up_to}, near={near}")
        if self._ranking is None:
            return self._selection([0] if self.windows else [], [0.0])
        scores = [float(s) for s in self._ranking.scores(query)]
        order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
        if len(order) > read_all_up_to:
            best_of: dict[str, int] = {}
            for i in order:
                best_of.setdefault(self.windows[i].source_id, i)
            kept = {*order[:k], *list(best_of.values())[:k]}
            order = [i for i in order if i in kept]
        if near and len(order) > _ALWAYS and self._ranking.told(query, order[0]) >= _TELLING:
            least = near * scores[order[0]]
            order = [i for place, i in enumerate(order) if place < _ALWAYS or scores[i] >= least]
        return self._selection(order, scores)

    def _selection(self, order: Sequence[int], scores: Sequence[float]) -> Selection:
        chosen = tuple(self.windows[i] for i in order)
        return Selection(
            windows=chosen,
            scores=tuple(scores[i] for i in order),
            windows_total=len(self.windows),
            sources_read=len({w.source_id for w in chosen}),
            sources_total=self._sources,
        )


def select(
    query: str,
    windows: Sequence[Window],
    *,
    k: int = DEFAULT_K,
    read_all_up_to: int = DEFAULT_READ_ALL_UP_TO,
    near: float = 0.0,
) -> Selection:
    """Choose what to read for one claim; see :meth:`WindowIndex.select`.

    For several claims on the same windows, make one :class:`WindowIndex`.
    """
    return WindowIndex(windows).select(query, k=k, read_all_up_to=read_all_up_to, near=near)


def narrow(window: Window, hypothesis: str, sentences: Sequence[Span]) -> EvidenceSpan:
    """The sentences inside a window that are lexically nearest to a claim.

    One sentence, or two neighbours where the second adds words of the claim that the first does
    not have. Words that stand in few sentences of the window count more. The whole window when no
    sentence shares a word with the claim.

    Args:
        window: The window that decided.
        hypothesis: The claim as the model read it.
        sentences: Sentences of the window's source, in order; those outside are passed over, and
            those that stick out are clipped.
    """
    inside = [
        Span(max(s.start, window.span.start), min(s.end, window.span.end))
        for s in sentences
        if s.overlaps(window.span)
    ]
    offset = window.span.start
    terms = [set(tokenise(window.text[s.start - offset : s.end - offset])) for s in inside]
    wanted = set(tokenise(hypothesis))
    weight = {t: 1.0 / (1 + sum(t in words for words in terms)) for t in wanted}

    def worth(words: set[str]) -> float:
        return sum(sorted(weight[t] for t in wanted & words))

    gains = [worth(words) for words in terms]
    best = max(range(len(inside)), key=lambda i: (gains[i], -len(terms[i]), -i), default=None)
    if best is None or gains[best] == 0:
        return EvidenceSpan(window.source_id, window.span, window.text)
    span = inside[best]
    neighbours = [i for i in (best - 1, best + 1) if 0 <= i < len(inside)]
    added = {i: worth(terms[i] - terms[best]) for i in neighbours}
    second = max(neighbours, key=lambda i: (added[i], -i), default=None)
    if second is not None and added[second] >= _SECOND_SENTENCE * worth(wanted):
        span = Span(min(span.start, inside[second].start), max(span.end, inside[second].end))
    return EvidenceSpan(
        window.source_id, span, window.text[span.start - offset : span.end - offset]
    )


# A neighbour is shown when it brings this share of the claim's weight; by eye on dev passages.
_SECOND_SENTENCE = 0.25
