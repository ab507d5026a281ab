"""One answer of a stream: what of it is certain, what may go out, and where it stops. Pure.

A lane is told the pieces of its answer in order and the findings about its beginning, and gives
the events that may go out. It never gives a character that was not decided. What it decides, it
decides claim by claim in the order of the answer, so that the outcome does not depend on how the
text was cut into chunks, nor on how many sentences were checked at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from guardrails._flow_values import unchecked
from guardrails.streaming.cutting import Cutting
from guardrails.streaming.shapes import Closing, Kind, Piece
from guardrails.streaming.values import Out
from policies.types import Action
from verifiers.types import NotCheckworthy, Span, Supported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guardrails.report import Disposition
    from guardrails.streaming.shapes import Shape
    from policies.schema import Policy
    from policies.types import ClaimDecision, Decision
    from verifiers.claims.boundaries import Boundaries
    from verifiers.types import Assessment, Failed

    Decide: TypeAlias = Callable[[Sequence[Assessment], bool], Decision]


class _Text(NamedTuple):
    piece: Piece
    start: int
    end: int


@dataclass(slots=True)
class Lane:
    """One answer.

    Attributes:
        index: Which answer of the stream.
        rules: The policy as it stands on the route.
        shape: The stream's protocol.
        boundaries: Says where the answer may be cut.
        decide: The settled decision on assessments; the second argument is whether they are of
            the whole answer.
        ordered: Whether pieces keep their order whatever they are (blocks and items); else those
            that wait for the whole answer let the others by.
        hold: Whether everything waits until the whole answer was decided.
    """

    index: int
    rules: Policy
    shape: Shape
    boundaries: Boundaries
    decide: Decide
    ordered: bool = False
    hold: bool = False

    decision: Decision | None = None
    assessments: tuple[Assessment, ...] = ()
    delivered: list[str] = field(default_factory=list)
    handed: list[str] = field(default_factory=list)  # of it, what the consumer has taken
    decided: int = 0  # everything before was decided
    whole: bool = False  # the decision is on the answer read to its end
    over: bool = False  # the answer was decided on as far as it ever will be
    collecting: bool = False  # nothing goes out any more; a person will want to see the rest

    _parts: list[str] = field(default_factory=list)
    _size: int = 0
    _ended: bool = False
    _offsets: list[int] = field(default_factory=list)
    _items: deque[_Text | Piece] = field(default_factory=deque)
    _later: list[Piece] = field(default_factory=list)
    _cutting: Cutting = field(default_factory=Cutting)
    _sent: int = 0
    _patches: list[Assessment] = field(default_factory=list)
    _closing: Closing | None = None
    _fresh: list[ClaimDecision] = field(default_factory=list)
    _settled: bool = False

    # ------------------------------------------------------------------ what comes in

    def add(self, piece: Piece) -> None:
        """Take in the next piece."""
        if piece.kind is Kind.TEXT:
            if self._ended or not piece.text:
                return
            start, self._size = self._size, self._size + len(piece.text)
            self._parts.append(piece.text)
            self._items.append(_Text(piece, start, self._size))
            self._offsets += self.boundaries.push(piece.text)
        elif piece.kind in {Kind.HELD, Kind.ALOUD} and not self.ordered:
            self._later.append(piece)
        else:
            self._items.append(piece)

    def end(self) -> None:
        """No more text comes."""
        if not self._ended:
            self._ended = True
            self._offsets += self.boundaries.finish()

    @property
    def ended(self) -> bool:
        """Whether all text is there."""
        return self._ended

    @property
    def text(self) -> str:
        """The answer so far."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    @property
    def waiting(self) -> int:
        """How many characters were not decided yet."""
        return self._size - self.decided

    def due(self) -> int | None:
        """Up to where the answer is to be checked next; None for not now."""
        if self.over:
            return None
        if self._ended:
            return self._size
        if self.hold or self.collecting or not self._offsets or self._offsets[-1] <= self.decided:
            return None
        return self._offsets[-1]

    # ------------------------------------------------------------------ findings

    def found(self, upto: int, assessments: Sequence[Assessment], *, final: bool) -> None:
        """Take in what was found out about the answer up to ``upto``.

        Args:
            upto: A boundary, or the end.
            assessments: Of all claims of the text up to there.
            final: Whether that is the whole answer.
        """
        taken = [patch.claim.sentence for patch in self._patches]
        rest = [
            a
            for a in assessments
            if a not in self._patches and not any(t.overlaps(a.claim.sentence) for t in taken)
        ]
        everything = (*rest, *self._patches)
        self.assessments = tuple(sorted(everything, key=lambda a: a.claim.span))
        self._judge(upto, final=final)

    def missed(self, upto: int, failed: Failed, *, final: bool) -> None:
        """The text from where it was decided up to ``upto`` could not be checked: one claim."""
        if upto > self.decided and self.text[self.decided : upto].strip():
            blank = unchecked(self.text[self.decided : upto], failed).assessments[0]
            at = blank.claim.span
            span = Span(at.start + self.decided, at.end + self.decided)
            name = f"u{len(self._patches) + 1}"
            claim = replace(blank.claim, id=name, span=span, sentence=span)
            self._patches.append(replace(blank, claim=claim))
        self.found(upto, self.assessments, final=final)

    def _judge(self, upto: int, *, final: bool) -> None:
        known = [a for a in self.assessments if a.claim.sentence.end <= self.decided]
        new = self.assessments[len(known) :]
        if not self.collecting and not self.hold:
            stop = self._stop(len(known), len(new))
            if stop is not None:
                self._stopped(stop, upto)
                if not final or not self.collecting:
                    return
        if final:
            self._whole(new, upto)
        elif not self.collecting:
            self.decision = self.decide(self.assessments, False)
            self._release(upto, new)

    def _stop(self, known: int, new: int) -> int | None:
        """The first claim after which nothing more may go out, by its place; None for none."""
        if not new or not self._stops(self.decide(self.assessments, False)):
            return None
        low, high = known + 1, known + new
        while low < high:  # what stops the beginning of an answer stops every longer one
            middle = (low + high) // 2
            if self._stops(self.decide(self.assessments[:middle], False)):
                high = middle
            else:
                low = middle + 1
        return low - 1

    def _stops(self, decision: Decision) -> bool:
        if decision.action is Action.REVIEW:
            return self.rules.review.hold
        return decision.action in {Action.REFUSE, Action.REGENERATE}

    def _stopped(self, place: int, upto: int) -> None:
        """Release what stands before the claim at ``place``, and nothing after it."""
        before = self.assessments[: place + 1]
        decision = self.decide(before, False)
        limit = len(self.text[: min(before[-1].claim.sentence.start, upto)].rstrip())
        fine = [a for a in before[:-1] if self.decided < a.claim.sentence.end <= limit]
        self._decided_claims(decision, fine)
        self._release(max(limit, self.decided), fine, decision=decision)
        self.decision = decision
        if decision.action is Action.REVIEW:
            self.collecting = True
            return
        self.assessments = before
        self._closing = Closing.REFUSED
        self.over = True

    def _whole(self, new: Sequence[Assessment], upto: int) -> None:
        """The decision on the whole answer, and what it can still do."""
        self.whole = self.over = True
        self.decision = decision = self.decide(self.assessments, True)
        if self.collecting:
            held = decision.action is Action.REVIEW
            self._closing = Closing.HELD if held else Closing.REFUSED
            return
        if self._stops(decision):
            held = decision.action is Action.REVIEW
            self._closing = Closing.HELD if held else Closing.REFUSED
            self._fresh.clear()
            return
        self._release(upto, new, last=True)
        if decision.action is Action.REDACT and not self._anything_left(decision):
            self._closing = Closing.REFUSED

    def _anything_left(self, decision: Decision) -> bool:
        gone = self._cutting.removed
        return bool(gone) and any(
            entry.verdict.claim.checkworthy
            and not any(span.overlaps(entry.verdict.claim.span) for span in gone)
            for entry in decision.claims
        )

    def _release(
        self,
        upto: int,
        new: Sequence[Assessment],
        *,
        last: bool = False,
        decision: Decision | None = None,
    ) -> None:
        """Let the text up to ``upto`` go, without the sentences that are to be taken out."""
        decision = decision or self.decision
        assert decision is not None  # noqa: S101 - set before
        bad = self._bad(decision, new, last=last)
        states = any(a.claim.checkworthy for a in self.assessments)
        self.decided = max(self.decided, upto)
        if not last and not states and self.rules.on_no_claims.severity >= Action.REDACT.severity:
            return  # it may turn out to state nothing, and then it must not have gone out
        self._cutting.grow(self.text[: self.decided], bad, last=last)
        self._decided_claims(decision, new)

    def _decided_claims(self, decision: Decision, new: Sequence[Assessment]) -> None:
        ids = {assessment.claim.id for assessment in new}
        known = {entry.verdict.claim.id for entry in self._fresh}
        self._fresh += [
            entry
            for entry in decision.claims
            if entry.verdict.claim.id in ids and entry.verdict.claim.id not in known
        ]

    def _bad(self, decision: Decision, new: Sequence[Assessment], *, last: bool) -> list[Span]:
        ids = {assessment.claim.id for assessment in new}
        entries = [entry for entry in decision.claims if entry.verdict.claim.id in ids]
        gone = [entry for entry in entries if self._goes(entry.action)]
        named = any(self._goes(entry.action) for entry in decision.claims)
        if last and decision.action is Action.REDACT and not named:
            # A rule about the whole answer asked for it: what is not supported goes, as far as it
            # has not gone out.
            gone = [e for e in entries if not isinstance(e.verdict, Supported | NotCheckworthy)]
        spans = [entry.verdict.claim.sentence for entry in gone]
        return [Span(max(s.start, self._sent), s.end) for s in spans if s.end > self._sent]

    def _goes(self, action: Action) -> bool:
        if action is Action.REGENERATE:
            action = self.rules.after_attempts
        return action is Action.REDACT

    # ------------------------------------------------------------------ what goes out

    @property
    def removed(self) -> tuple[Span, ...]:
        """What was taken out of the answer."""
        return self._cutting.removed

    @property
    def closing(self) -> Closing | None:
        """Why the lane ends with a text of ours; None when it does not."""
        return self._closing

    @property
    def released(self) -> int:
        """How much of the answer went out, or was taken out of what did."""
        return self._sent

    @property
    def disposition(self) -> Disposition:
        """What was done with the answer, once it is over."""
        from guardrails.report import Disposition

        if self._closing is not None:
            if "".join(self.delivered).strip():
                return Disposition.STOPPED
            held = self._closing is Closing.HELD
            return Disposition.HELD if held else Disposition.REFUSED
        if self.decision is not None and self.decision.action is Action.REVIEW:
            return Disposition.FLAGGED
        return Disposition.REDACTED if self.removed else Disposition.RELEASED

    def take(self) -> list[Out]:
        """The events that may go out now, in order. Each is given once."""
        out: list[Out] = []
        while self._items:
            item = self._items[0]
            if isinstance(item, _Text):
                if not self._text_out(item, out):
                    break
            elif not self._piece_out(item, out):
                break
            self._items.popleft()
        return out

    def _text_out(self, item: _Text, out: list[Out]) -> bool:
        """Whether all of an item is dealt with."""
        upto = min(item.end, self._cutting.certain)
        start = max(item.start, self._sent)
        if upto > start:
            kept = self._cutting.kept(start, upto)
            self._sent = upto
            if kept:
                event = self._told(item, kept, upto)
                out.append(Out(event, tuple(self._fresh), self.index, kept))
                self._fresh.clear()
                self.delivered.append(kept)
        # What is left of a lane that is closed never goes out.
        return upto >= item.end or (self.over and self._closing is not None)

    def _told(self, item: _Text, kept: str, upto: int) -> Any:
        """The event that says what is left of an item."""
        piece = item.piece
        if kept == piece.text:
            return piece.event
        make = self.shape.with_text
        if upto == item.end and self._cutting.kept(item.start, upto) == piece.text:
            # All of the item has gone out with this: what the provider says of it may follow.
            make = getattr(self.shape, "with_rest", make)
        return make(piece, kept)

    def _piece_out(self, piece: Piece, out: list[Out]) -> bool:
        match piece.kind:
            case Kind.ORDERED:
                if self._closing is not None or self.collecting:
                    return self.over  # dropped with what it belongs to
                out.append(Out(piece.event))
                return True
            case Kind.HELD | Kind.ALOUD | Kind.END:
                return self._settled and self._at_end(piece, out)
            case _:
                return True

    def _at_end(self, piece: Piece, out: list[Out]) -> bool:
        if self._closing is not None or (piece.kind is Kind.ALOUD and self.removed):
            return True
        event = piece.event
        if piece.kind is Kind.END:
            event = self.shape.ending(piece, {self.index: "".join(self.delivered)})
        out.append(Out(event))
        return True

    def settle(self, closing_text: str) -> list[Out]:
        """Everything that is left, once the answer is over and its record is kept.

        Args:
            closing_text: The refusal or holding text, for a lane that ends with one.
        """
        self._settled = True
        ends = [i for i in self._items if isinstance(i, Piece) and i.kind is Kind.END]
        if self._later and self._closing is None:
            self._items = deque(i for i in self._items if i not in ends)
            self._items.extend(self._later)
            self._items.extend(ends)
        self._later = []
        out = self.take()
        if self._closing is not None:
            text = f"\n\n{closing_text}" if self.delivered and not self.ordered else closing_text
            out += [Out(event) for event in self.shape.closing(self.index, text, self._closing)]
            self.delivered.append(text)
        if self._fresh and out:
            out[0] = out[0]._replace(claims=tuple(self._fresh))
            self._fresh.clear()
        return out
