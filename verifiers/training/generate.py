"""More training pairs, made by rule from the training texts: what public NLI data lacks.

NLI pairs are short, and written for each other. A language model's answer is checked against
sources of some hundred words, of which most are about something else; it is phrased as an answer;
it often says two things in a sentence; and where it is wrong, it is nearly right. Each maker here
adds one of these. Their rows carry the data set name ``gen_<maker>``.
"""

# ruff: noqa: PLR2004 - shares and ranges of chance, each used once where it is written

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Final

from verifiers.training.data import Row
from verifiers.training.rules import CORRUPTIONS

if TYPE_CHECKING:
    from verifiers.training.data import Label

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[A-Z0-9\"'(])")

# How answers of language models wrap what they claim. All keep the truth of what they wrap.
FRAMES: Final = (
    "According to the passage, {}", "According to the source, {}", "The text states that {}",
    "The document says that {}", "Based on the provided context, {}", "Yes, {}",
    "In short, {}", "As noted in the article, {}", "The passage mentions that {}",
    "It is stated that {}", "In summary, {}", "**{}**", "- {}", "1. {}",
)  # fmt: skip
JOINS: Final = (
    "{a}, and {b}.", "{a}; {b}.", "{a}. {b}.", "{a}. In addition, {b}.", "{a}, while {b}.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Corpus:
    """Rows to generate from, and what makers look up in them.

    Attributes:
        rows: All of them.
        by_premise: Rows that share a premise.
        by_dataset: Rows of a data set: distractors come from the same one, so that style does
            not tell them apart.
    """

    rows: Sequence[Row]
    by_premise: dict[str, list[Row]]
    by_dataset: dict[str, list[Row]]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Corpus:
        """Index rows."""
        kept = list(rows)
        by_premise: dict[str, list[Row]] = defaultdict(list)
        by_dataset: dict[str, list[Row]] = defaultdict(list)
        for row in kept:
            by_premise[row.premise].append(row)
            by_dataset[row.dataset].append(row)
        return cls(kept, dict(by_premise), dict(by_dataset))


Maker = Callable[[Row, Corpus, Random], "Row | None"]


def sentences(text: str) -> list[str]:
    """Sentences by punctuation; good enough for encyclopedic prose."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def corrupted(row: Row, corpus: Corpus, rng: Random) -> Row | None:
    """An entailed claim, wrong in one detail. The rules are tried in random order."""
    del corpus
    if row.label != "entailment":
        return None
    # Detailed rules first: negation and words apply nearly everywhere and would crowd them out.
    rare = ["number", "date", "unit", "direction", "name", "roles"]
    common = ["negation", "word"]
    rng.shuffle(rare)
    rng.shuffle(common)
    order = [*rare, *common] if rng.random() < 0.75 else [*common, *rare]
    for name in order:
        changed = CORRUPTIONS[name](row.premise, row.hypothesis, rng)
        if changed is not None:
            claim, label = changed
            return _new(row, "corrupted", hypothesis=claim, label=label)
    return None


def verbatim(row: Row, corpus: Corpus, rng: Random) -> Row | None:
    """A sentence of a longer premise as the claim (entailed), or, as often, that sentence wrong.

    It teaches to look for the place, and that almost the same words are not enough.
    """
    del corpus
    parts = sentences(row.premise)
    if len(parts) < 3:
        return None
    pick = rng.choice(parts)
    if not 6 <= len(pick.split()) <= 40 or not _stands_alone(pick):
        return None
    if rng.random() < 0.45:
        return _new(row, "verbatim", hypothesis=pick, label="entailment")
    names = ["number", "date", "unit", "direction", "name", "word"]
    rng.shuffle(names)
    for name in names:
        changed = CORRUPTIONS[name](row.premise, pick, rng)
        if changed is not None:
            return _new(row, "verbatim", hypothesis=changed[0], label=changed[1])
    return None


def withheld(row: Row, corpus: Corpus, rng: Random) -> Row | None:
    """A sentence of a premise as the claim, and the premise without it: a near match, unproven."""
    del corpus
    parts = sentences(row.premise)
    if len(parts) < 4:
        return None
    at = rng.randrange(len(parts))
    claim = parts[at]
    rest = " ".join(parts[:at] + parts[at + 1 :])
    content = set(re.findall(r"[A-Za-z0-9]{4,}", claim.lower()))
    if not 6 <= len(claim.split()) <= 35 or not _stands_alone(claim) or not content:
        return None
    known = content & set(re.findall(r"[A-Za-z0-9]{4,}", rest.lower()))
    # Nothing shared is too easy, nearly all shared may be said twice.
    if not 0.15 <= len(known) / len(content) <= 0.7:
        return None
    return _new(row, "withheld", premise=rest, hypothesis=claim, label="neutral")


def joined(row: Row, corpus: Corpus, rng: Random) -> Row | None:
    """Two claims on one premise as one: entailed only if both are."""
    others = [r for r in corpus.by_premise[row.premise] if r.hypothesis != row.hypothesis]
    if not others or (row.label != "entailment" and rng.random() < 0.5):
        return None
    # Most sets hold one entailed claim in three; joined at random, few would stay entailed.
    same = [r for r in others if r.label == "entailment"]
    other = (
        rng.choice(same)
        if row.label == "entailment" and same and rng.random() < 0.6
        else (rng.choice(others))
    )
    order: tuple[Label, ...] = ("contradiction", "not_entailment", "neutral", "entailment")
    label = next(name for name in order if name in (row.label, other.label))
    a, b = (r.hypothesis.strip().rstrip(".") for r in rng.sample([row, other], 2))
    frame = rng.choice(JOINS)
    if ". " not in frame.partition("{b}")[0] or "In addition" in frame:
        b = _lowered(b)
    return _new(row, "joined", hypothesis=frame.format(a=a, b=b), label=label)


def buried(row: Row, corpus: Corpus, rng: Random) -> Row | None:
    """The premise somewhere among sentences about other things, at 100 to 250 words in all."""
    own = row.premise.strip()
    if row.dataset in {"mnli_train_sub", "contractnli"}:
        return None  # talk and clauses: other lines of theirs may bear on the claim
    goal = rng.randint(100, 250)
    size = len(own.split())
    if size > goal - 30:
        return None
    pool = corpus.by_dataset[row.dataset]
    around: list[str] = []
    for _ in range(40):
        if size >= goal:
            break
        other = rng.choice(pool).premise.strip()
        words = len(other.split())
        if other != own and 5 <= words <= 80:
            around.append(other if other[-1:] in '.!?"' else other + ".")
            size += words
    at = rng.randint(0, len(around))
    own = own if own[-1:] in '.!?"' else own + "."
    premise = " ".join([*around[:at], own, *around[at:]])
    return _new(row, "buried", premise=premise)


def framed(row: Row, corpus: Corpus, rng: Random) -> Row | None:
    """The claim as a language model words it."""
    del corpus
    frame = rng.choice(FRAMES)
    claim = row.hypothesis.strip()
    lower = frame[0] not in "*-1"
    return _new(row, "framed", hypothesis=frame.format(_lowered(claim) if lower else claim))


_IS: Final = re.compile(r"^(.{3,60}?) (is|was|are|were) ((?:an?|the|in|from) .{3,80}?)\.?$")
_PASSIVE: Final = re.compile(
    r"^(.{3,60}?) (is|was|are|were) (\w+(?:ed|en|wn|rn|de|ld)) (in|on|at|by) (.{2,60}?)\.?$"
)
_WHAT: Final = {"in": "Where or when", "on": "When", "at": "Where", "by": "Who or what"}


def asked(row: Row, corpus: Corpus, rng: Random) -> Row | None:
    """The claim as a question with its short answer."""
    del corpus
    claim = row.hypothesis.strip()
    if found := _PASSIVE.match(claim):
        subject, verb, deed, how, answer = found.groups()
        tail = " by" if how == "by" else ""
        question = f"{_WHAT[how]} {verb} {_lowered(subject)} {deed}{tail}?"
        answer = answer if how == "by" else f"{how.capitalize()} {answer}"
    elif found := _IS.match(claim):
        subject, verb, answer = found.groups()
        what = "Where" if answer.startswith(("in ", "from ")) else "What"
        question = f"{what} {verb} {_lowered(subject)}?"
    else:
        return None
    answer = answer[0].upper() + answer[1:]
    layout = rng.choice(("{q} {a}.", "{q} {a}", "Question: {q} Answer: {a}.", "Q: {q} A: {a}"))
    return _new(row, "asked", hypothesis=layout.format(q=question, a=answer))


MAKERS: Final[dict[str, Maker]] = {
    "corrupted": corrupted,
    "verbatim": verbatim,
    "withheld": withheld,
    "joined": joined,
    "buried": buried,
    "framed": framed,
    "asked": asked,
}


# Sets whose premises are single captions, templates or other machine-made text.
UNSUITED: Final = frozenset(
    {
        "drop_nli", "help_monotonicity", "conjnli", "wikiresnli", "breaking_nli",
        "entailmentbank_nli", "negation_nli", "cad_nli", "snli_train_sub",
    }
)  # fmt: skip


def generate(rows: Iterable[Row], *, each: int, seed: int, tries: int = 12) -> Iterator[Row]:
    """Up to ``each`` rows of every maker, without repeats, from rows drawn at random.

    Args:
        rows: Training rows only: what is made from a text is of that text's split. Those of
            :data:`UNSUITED` sets are passed over.
        each: Rows per maker.
        seed: Same seed and rows, same output.
        tries: Draws per wanted row before a maker is given up on as dry.
    """
    corpus = Corpus.of(row for row in rows if row.dataset not in UNSUITED)
    if not corpus.rows:
        return
    for name, maker in MAKERS.items():
        rng = Random(f"{seed}/{name}")  # noqa: S311 - reproducible, not secret
        seen: set[tuple[str, str]] = set()
        for _ in range(each * tries):
            if len(seen) >= each:
                break
            made = maker(rng.choice(corpus.rows), corpus, rng)
            if made is None or (made.premise, made.hypothesis) in seen:
                continue
            seen.add((made.premise, made.hypothesis))
            yield replace(made, id=f"gen_{name}:{len(seen)}")


def summary(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    """Rows by data set and label."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        found[row.dataset][row.label] += 1
    return {name: dict(labels) for name, labels in found.items()}


def _new(
    row: Row,
    maker: str,
    *,
    premise: str | None = None,
    hypothesis: str | None = None,
    label: Label | None = None,
) -> Row:
    return Row(
        dataset=f"gen_{maker}",
        premise=row.premise if premise is None else premise,
        hypothesis=row.hypothesis if hypothesis is None else hypothesis,
        label=row.label if label is None else label,
    )


def _lowered(text: str) -> str:
    """A sentence that can follow others: its first word small, unless it looks like a name."""
    first, _, rest = text.partition(" ")
    common = first in {"The", "A", "An", "There", "It", "This", "These", "In", "He", "She", "They"}
    return f"{first.lower()} {rest}" if common else text


def _stands_alone(sentence: str) -> bool:
    """Whether a sentence can be read without the one before it."""
    return not re.match(r"(He|She|It|They|This|These|That|Those|His|Her|Its|Their|But)\b", sentence)
