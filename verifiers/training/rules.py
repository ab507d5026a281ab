"""Corruption rules: one entailed claim -> one that its premise no longer entails.

Each rule is a pure function of a pair and a random generator, and returns the new claim with the
label it is sure of, or None where it does not apply. Where a change may leave the claim merely
unproven, the label is ``not_entailment``: a wrong "contradiction" teaches more harm than a wide
label costs. English only, by regular expressions, so that generating needs no other model.
"""

# ruff: noqa: PLR2004 - shares and ranges of chance, each used once where it is written

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

    from verifiers.training.data import Label

Rule = Callable[[str, str, "Random"], "tuple[str, Label] | None"]

NUMBER: Final = re.compile(
    r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)"
    r"|(?<![\w.,])\d+(?:\.\d+)?(?![\w,]*\d)(?!\w)"
)
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
WEEKDAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip
NAME: Final = re.compile(
    r"\b[A-Z][\w'\u2019-]+(?: (?:of|de|the|von|van) (?=[A-Z])| [A-Z][\w'\u2019-]+)*"
)
_NOT_NAMES: Final = frozenset(
    {
        "The", "A", "An", "In", "On", "At", "It", "He", "She", "They", "There", "This", "That",
        "These", "Those", "His", "Her", "Its", "Their", "After", "Before", "When", "While", "As",
        "For", "From", "By", "With", "During", "And", "But", "If", "No", "Not", "Some", "Many",
        "Most", "All", "One", "Two", "Both", "However", "Although", "Since", "Under", "Over",
        "Between", "According", "I", "You", "We",
    }
)  # fmt: skip

# Each pair is read both ways. Words whose opposite is not an opposite in common phrases
# ("right", "well") are left out.
OPPOSITES: Final = (
    ("rose", "fell"), ("rises", "falls"), ("increased", "decreased"), ("increase", "decrease"),
    ("increases", "decreases"), ("increasing", "decreasing"), ("grew", "shrank"),
    ("gained", "lost"), ("won", "lost"), ("higher", "lower"), ("highest", "lowest"),
    ("more", "fewer"), ("most", "fewest"), ("larger", "smaller"), ("largest", "smallest"),
    ("longer", "shorter"), ("longest", "shortest"), ("older", "younger"), ("oldest", "youngest"),
    ("before", "after"), ("earlier", "later"), ("above", "below"), ("over", "under"),
    ("first", "last"), ("best", "worst"), ("better", "worse"), ("north", "south"),
    ("northern", "southern"), ("east", "west"), ("eastern", "western"), ("male", "female"),
    ("accepted", "rejected"), ("allowed", "forbidden"), ("began", "ended"), ("always", "never"),
    ("opened", "closed"), ("success", "failure"), ("successful", "unsuccessful"),
    ("supported", "opposed"), ("agreed", "refused"), ("positive", "negative"),
    ("father", "mother"), ("son", "daughter"), ("brother", "sister"), ("husband", "wife"),
    ("maximum", "minimum"), ("up to", "at least"), ("at least", "at most"), ("all", "none"),
)  # fmt: skip
_OPPOSITE: Final = {a: b for pair in OPPOSITES for a, b in (pair, pair[::-1])}

UNITS: Final = (
    ("thousand", "million", "billion", "trillion"),
    ("seconds", "minutes", "hours", "days", "weeks", "months", "years", "decades"),
    ("second", "minute", "hour", "day", "week", "month", "year"),
    ("metres", "kilometres", "feet", "miles", "centimetres"), ("meters", "kilometers", "miles"),
    ("grams", "kilograms", "tonnes", "pounds"), ("dollars", "euros", "pounds", "yen"),
    ("percent", "percentage points"), ("mg", "g", "kg"), ("mm", "cm", "km"),
)  # fmt: skip

_AUX: Final = re.compile(
    r"\b(is|are|was|were|has|have|had|can|could|will|would|should|must|does|did|do)\b( not\b)?"
)


def change_number(premise: str, claim: str, rng: Random) -> tuple[str, Label] | None:
    """Another value for a number that the premise states: another of its numbers, or near it."""
    stated = NUMBER.findall(premise)
    places = [m for m in NUMBER.finditer(claim) if m.group() in stated]
    if not places:
        return None
    place = rng.choice(places)
    old = place.group()
    used = {plain(n) for n in NUMBER.findall(claim)}
    others = [n for n in stated if plain(n) not in used and len(n) == len(old)]
    new = rng.choice(others) if others and rng.random() < 0.5 else near_number(old, rng)
    if plain(new) in used:
        return None
    # Another number of the premise may be true of the claim in another sense ("5 of 12").
    return _put(claim, place.span(), new), "contradiction"


def plain(number: str) -> str:
    """A number without its thousands separators."""
    return number.replace(",", "")


def near_number(number: str, rng: Random) -> str:
    """A different number of the same look: a year stays near, a percentage stays one."""
    bare = plain(number)
    if "." in bare:
        digits = len(bare.partition(".")[2])
        value = float(bare)
        sign, step = rng.choice((-1, 1)), max(value * rng.uniform(0.1, 0.6), 2 * 10.0**-digits)
        new = value + sign * step if value + sign * step > 0 else value + step
        return f"{new:.{digits}f}"
    value = int(bare)
    if 1000 <= value <= 2100 and "," not in number:
        return str(value + rng.choice((-1, 1)) * rng.randint(1, 30))
    step = max(1, round(value * rng.uniform(0.05, 0.8)))
    new_value = value + step if rng.random() < 0.5 or value - step < 1 else value - step
    return f"{new_value:,}" if "," in number else str(new_value)


def change_date(premise: str, claim: str, rng: Random) -> tuple[str, Label] | None:
    """Another month or weekday for one that the premise names."""
    for family in (MONTHS, WEEKDAYS):
        found = re.search(r"\b(" + "|".join(family) + r")\b", claim)
        if found and found.group() in premise:
            # "May" is a verb as well: only next to a day or a year is it a month.
            if found.group() == "May" and not re.search(r"\d ?May\b|\bMay \d", claim):
                continue
            new = rng.choice([name for name in family if name not in claim])
            return _put(claim, found.span(), new), "contradiction"
    return None


def change_unit(premise: str, claim: str, rng: Random) -> tuple[str, Label] | None:
    """Another unit or scale word behind a number."""
    for family in UNITS:
        found = re.search(r"(?<=\d )(" + "|".join(map(re.escape, family)) + r")\b", claim)
        if found and found.group() in premise:
            new = rng.choice([unit for unit in family if unit != found.group()])
            return _put(claim, found.span(), new), "contradiction"
    return None


def change_direction(premise: str, claim: str, rng: Random) -> tuple[str, Label] | None:
    """The opposite of a comparison, direction, order or outcome."""
    del premise
    words = [m for m in re.finditer(r"\b[a-z]+(?: to| least)?\b", claim) if m.group() in _OPPOSITE]
    words += [m for m in re.finditer(r"\b[a-z]+\b", claim) if m.group() in _OPPOSITE]
    if not words:
        return None
    place = rng.choice(words)
    return _put(claim, place.span(), _OPPOSITE[place.group()]), "contradiction"


def negate(premise: str, claim: str, rng: Random) -> tuple[str, Label] | None:
    """``not`` put behind the first auxiliary verb, or taken away from there."""
    del premise, rng
    if re.search(r"\b(never|no|none|nobody|nothing|neither|only|n't)\b|n't", claim):
        return None  # two negations, or one whose reach is unclear
    place = _AUX.search(claim)
    if place is None:
        return None
    new = place.group(1) if place.group(2) else place.group(1) + " not"
    return _put(claim, place.span(), new), "contradiction"


def change_name(premise: str, claim: str, rng: Random) -> tuple[str, Label] | None:
    """A name of the claim replaced by another name of the premise."""
    places = [m for m in names(claim) if m.group() in premise]
    others = sorted({m.group() for m in names(premise)} - {m.group() for m in places})
    others = [name for name in others if name not in claim]
    if not places or not others:
        return None
    place = rng.choice(places)
    size = len(place.group().split())
    alike = [name for name in others if len(name.split()) == size] or others
    new = rng.choice(alike)
    if new in place.group() or place.group() in new:
        return None  # "Obama" for "Barack Obama" changes nothing
    return _put(claim, place.span(), new), "not_entailment"


def swap_roles(premise: str, claim: str, rng: Random) -> tuple[str, Label] | None:
    """Two names of the claim in each other's place: who did it, and to whom."""
    del premise, rng
    found = names(claim)
    if len(found) != 2 or re.search(r"\b(and|or|with|met|married|like|same|between)\b", claim):
        return None  # relations that hold both ways
    a, b = found
    middle = claim[a.end() : b.start()]
    if not re.search(r"\w{3}", middle):
        return None
    changed = claim[: a.start()] + b.group() + middle + a.group() + claim[b.end() :]
    return changed, "not_entailment"


def change_word(premise: str, claim: str, rng: Random) -> tuple[str, Label] | None:
    """A content word replaced by one of the premise's with the same ending, from elsewhere."""
    mine = {word.lower() for word in re.findall(r"[A-Za-z]+", claim)}
    places = [m for m in re.finditer(r"\b[a-z]{5,}\b", claim) if m.group() in premise]
    rng.shuffle(places)
    spare = sorted({w for w in re.findall(r"\b[a-z]{5,}\b", premise) if w not in mine})
    for place in places:
        word = place.group()
        alike = [w for w in spare if w[-2:] == word[-2:] and w[:4] != word[:4]]
        if alike:
            return _put(claim, place.span(), rng.choice(alike)), "not_entailment"
    return None


def names(text: str) -> list[re.Match[str]]:
    """Runs of capitalised words, without those that are capital only for opening a sentence."""
    return [m for m in NAME.finditer(text) if m.group().split()[0] not in _NOT_NAMES]


def _put(text: str, span: tuple[int, int], new: str) -> str:
    return text[: span[0]] + new + text[span[1] :]


CORRUPTIONS: Final[dict[str, Rule]] = {
    "number": change_number,
    "date": change_date,
    "unit": change_unit,
    "direction": change_direction,
    "negation": negate,
    "name": change_name,
    "roles": swap_roles,
    "word": change_word,
}
