# ruff: noqa: SIM905 - word lists are easier to read as text
"""How a value is written otherwise, and how it is made wrong. Shares nothing with the parser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_MONTHS = (
    "January February March April May June July August September October November December".split()
)
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty".split()
)
_TENS = {
    30: "thirty",
    40: "forty",
    50: "fifty",
    60: "sixty",
    70: "seventy",
    80: "eighty",
    90: "ninety",
}
_ORDINALS = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth".split()
_UNIT_SWAPS = {
    "days": "weeks", "day": "week", "weeks": "months", "months": "years", "years": "months",
    "hours": "days", "minutes": "hours", "seconds": "minutes", "milliseconds": "seconds",
    "metres": "kilometres", "kilometres": "miles", "km": "metres", "kg": "g", "g": "kg",
    "grams": "kilograms", "mg": "g", "cm": "metres", "mm": "cm", "MW": "kW", "kWh": "MWh",
    "MB": "GB",
    "GB": "TB", "tonnes": "kilograms", "hectares": "acres", "Celsius": "Fahrenheit",
}  # fmt: skip
_CONVERSIONS = {
    "years": (12, "months"), "weeks": (7, "days"), "hours": (60, "minutes"),
    "minutes": (60, "seconds"), "km": (1000, "metres"), "kilometres": (1000, "metres"),
    "kg": (1000, "grams"), "grams": (0.001, "kg"), "g": (0.001, "kg"), "metres": (1, "m"),
    "cm": (10, "mm"), "mm": (1, "millimetres"), "MW": (1000, "kW"), "GB": (1000, "MB"),
    "milliseconds": (1, "ms"), "MB": (1, "megabytes"), "kWh": (1, "kilowatt-hours"),
}  # fmt: skip
_MONEY = {
    "dollars": "$", "euros": "€", "pounds sterling": "£", "Swiss francs": "CHF ", "kroner": "NOK ",
}  # fmt: skip
_DIRECTIONS = {
    "rose": ("increased", "fell"), "fell": ("declined", "rose"), "dropped": ("fell", "rose"),
    "decreased": ("fell", "increased"), "grown": ("increased", "shrunk"),
}  # fmt: skip


def same(kind: str, value: str) -> tuple[str, str]:
    """The value in other words, with the name of the rule."""
    makers: dict[str, Callable[[str], str]] = {
        "number": _same_number,
        "duration": _same_quantity,
        "measure": _same_quantity,
        "money": _same_money,
        "percent": lambda v: (
            v.replace("%", " per cent") if "%" in v else v.replace(" percent", "%")
        ),
        "points": lambda v: f"{float(v.split()[0]) * 100:g} basis points",
        "date": _same_date,
        "time": lambda v: f"{v} am" if "m" not in v else v.replace("am", "a.m."),
        "ordinal": lambda v: (
            f"{_ORDINALS.index(v)}{_suffix(_ORDINALS.index(v))}" if v in _ORDINALS else "fifth"
        ),
        "identifier": lambda v: (
            v.replace("version ", "v") if "version" in v else v.replace("-", " ")
        ),
        "direction": lambda v: _DIRECTIONS[v][0],
        "name": lambda v: v,
        "quotation": lambda v: "\u201c" + v.strip('"') + "\u201d",
        "range": lambda v: v.replace(" to ", "\u2013"),
        **dict.fromkeys(_WORDED, lambda v: _worded(kind, v)[0]),
    }
    made = makers[kind](value)
    return ("reworded" if made != written(kind, value) else "again"), made


def wrong(
    kind: str,
    value: str,
    *,
    others: Sequence[str],
    names: Sequence[str],
    passage: str,
    chance: random.Random,
) -> list[tuple[str, str]]:
    """Two wrong values, with the names of the rules."""
    if kind in {"direction", "quotation", "range", *_WORDED}:
        return _turned(kind, value, chance)
    if kind == "name":
        shape = len(value.split())
        pool = [n for n in names if len(n.split()) == shape and n not in passage]
        return list(zip(("other name", "another name"), chance.sample(pool, 2), strict=True))
    made = [("other value", _changed(kind, value, chance))]
    if others and chance.random() < 0.25:  # noqa: PLR2004
        return [*made, ("borrowed", chance.choice(list(others)))]
    swapped = _swapped_unit(kind, value)
    if swapped is not None and chance.random() < 0.4:  # noqa: PLR2004
        return [*made, ("other unit", swapped)]
    for _ in range(50):
        second = _changed(kind, value, chance)
        if second != made[0][1]:
            return [*made, ("another value", second)]
    raise AssertionError(value)


def _turned(kind: str, value: str, chance: random.Random) -> list[tuple[str, str]]:
    """Two wrong wordings of what is no single value."""
    if kind == "quotation":
        return _misquoted(value, chance)
    if kind == "range":
        return _other_range(value, chance)
    if kind in _WORDED:
        return _worded(kind, value)[1]
    synonym = {
        "fell": "declined",
        "rose": "grew",
        "increased": "rose",
        "shrunk": "decreased",
        "shrank": "fell",
    }
    first = _DIRECTIONS[value][1]
    return [("opposite", first), ("opposite, reworded", synonym[first])]


def written(kind: str, value: str) -> str:
    """A marked value as it stands in the claim."""
    if kind in {"role", "comparison"}:
        return value.replace(" > ", " ").replace("The ", "the ")
    return value.partition(" ~ ")[0]


# Kinds whose right and wrong wordings are made together.
_WORDED = frozenset({"role", "comparison", "negation", "hedging"})
_OPPOSITES = {
    "deeper": "shallower", "larger": "smaller", "faster": "slower", "smaller": "larger",
    "older": "younger", "taller": "shorter", "quieter": "louder", "heavier": "lighter",
}  # fmt: skip
_PARTICIPLES = {"bought": "bought", "beat": "beaten", "taught": "taught", "supports": "supported"}


def _worded(kind: str, value: str) -> tuple[str, list[tuple[str, str]]]:
    """Another right wording, and the wrong ones with the names of their rules."""
    if kind in {"role", "comparison"}:
        one, middle, other = (part.replace("The ", "the ") for part in value.split(" > "))
        turn = _passive if kind == "role" else _opposite
        return turn(other, middle, one), [
            ("sides swapped", f"{other} {middle} {one}"),
            ("sides swapped, reworded", turn(one, middle, other)),
        ]
    right_words, _, wrong_words = value.partition(" ~ ")
    if kind == "hedging":
        again = right_words.replace("may", "might") if "may" in right_words else right_words
        firm = wrong_words.replace("will ", "will certainly ")
        return again, [
            ("stated flatly", wrong_words),
            ("stated firmly", firm if firm != wrong_words else f"certainly {wrong_words}"),
        ]
    denied = " not " in right_words
    short = right_words.replace("will not", "won't").replace(" not", "n't") if denied else ""
    return short or right_words, [
        ("opposite", wrong_words),
        ("opposite, reworded", right_words.replace(" not ", " in fact ")),
    ]


def _passive(patient: str, verb: str, doer: str) -> str:
    plural = patient.endswith("s") and not patient[:1].isupper()
    return f"{patient} {'were' if plural else 'was'} {_PARTICIPLES.get(verb, verb)} by {doer}"


def _opposite(other: str, middle: str, one: str) -> str:
    word = middle.split()[1]
    return f"{other} {middle.replace(word, _OPPOSITES[word])} {one}"


# Words of the quotations and what they may be misquoted as.
_MISQUOTED = {
    "never": "always", "bakery": "brewery", "hardest": "easiest", "match": "day",
    "lifeboats": "nets", "water": "harbour", "wall": "gate", "size": "age", "tax": "gift",
    "garden": "kitchen", "rare": "great", "power": "beauty", "stable": "lower", "end": "middle",
    "knight": "queen", "time": "full", "sea": "desert", "given": "owed", "ice": "frost",
    "both": "all", "empty": "open", "town": "street",
}  # fmt: skip


def _misquoted(value: str, chance: random.Random) -> list[tuple[str, str]]:
    words = value.split(" ")
    known = [i for i, word in enumerate(words) if word.strip('"').lower() in _MISQUOTED]
    at = chance.choice(known)
    # The first and the last word left out, it would still be quoted rightly.
    inner = [i for i in known if 0 < i < len(words) - 1]
    left_out = chance.choice(inner)
    bare = words[at].strip('"')
    other = words[at].replace(bare, _MISQUOTED[bare.lower()])
    replaced = " ".join([*words[:at], other, *words[at + 1 :]])
    quoted = value.strip('"').split(" ")
    kept = " ".join(word for i, word in enumerate(quoted) if i != left_out)
    return [("other word", replaced), ("word left out", f'"{kept}"')]


def _other_range(value: str, chance: random.Random) -> list[tuple[str, str]]:
    low, high = (int(part) for part in value.split(" to "))
    more = high + chance.choice((2, 3, 5)) * max(1, (high - low) // 2)
    less = max(1, low - max(1, (high - low) // chance.choice((2, 3))))
    return [("other value", f"{low} to {more}"), ("another value", f"{less} to {more}")]


def _changed(kind: str, value: str, chance: random.Random) -> str:
    if kind in {"date", "time"}:
        return _changed_date(value, chance)
    if kind == "ordinal":
        if value in _ORDINALS:
            at = _ORDINALS.index(value)
            return chance.choice([w for w in _ORDINALS[1:8] if w != _ORDINALS[at]])
        return f"{chance.choice([7, 9, 12, 20])}th"
    if kind == "identifier":
        digits = [i for i, c in enumerate(value) if c.isdigit()]
        at = chance.choice(digits)
        digit = chance.choice([d for d in "123456789" if d != value[at]])
        return value[:at] + digit + value[at + 1 :]
    match = _NUMBER.search(value)
    if match is None:
        word = next(w for w in value.split() if w in _WORDS)
        at = _WORDS.index(word)
        other = chance.choice([n for n in range(2, 13) if n != at])
        return value.replace(word, _WORDS[other])
    return value[: match.start()] + _other_number(match.group(), chance) + value[match.end() :]


def _other_number(text: str, chance: random.Random) -> str:
    number = float(text.replace(",", ""))
    decimals = len(text.partition(".")[2])
    for _ in range(100):
        factor = chance.choice((0.2, 0.5, 0.7, 0.8, 1.3, 1.5, 2, 3, 10))
        other = number * factor
        if number <= 12 and not decimals:  # noqa: PLR2004
            other = number + chance.choice((-3, -2, -1, 1, 2, 3, 5))
        other = round(other, decimals)
        if other > 0 and other != number and abs(other - number) > 0.1 * number:
            break
    shown = f"{other:,.{decimals}f}"
    return shown if "," in text or other < 10_000 else shown.replace(",", "")  # noqa: PLR2004


def _changed_date(value: str, chance: random.Random) -> str:  # noqa: PLR0911 - one a form
    if value in _DAYS or value.rstrip("s") in _DAYS:
        plural = "s" if value.endswith("s") and value not in _DAYS else ""
        return chance.choice([d for d in _DAYS if d != value.removesuffix(plural)]) + plural
    clock = re.match(r"(\d+)(:\d\d)?(.*)", value)
    if ":" in value or value.endswith("am"):
        assert clock is not None  # noqa: S101
        hour = chance.choice([h for h in range(6, 13) if h != int(clock[1])])
        return f"{hour}{clock[2] or ''}{clock[3]}"
    if "century" in value:
        return f"{chance.choice((13, 14, 15, 17, 18))}th century"
    if "quarter" in value:
        return value.replace("third", chance.choice(("first", "second", "fourth")))
    parts = [p for p in ("year", "month", "day") if _part(value, p)]
    part = chance.choice(parts)
    if part == "month":
        month = next(m for m in _MONTHS if m in value)
        return value.replace(month, chance.choice([m for m in _MONTHS if m != month]))
    if part == "day":
        day = re.match(r"\d{1,2}\b", value)
        assert day is not None  # noqa: S101
        other = chance.choice([d for d in range(1, 29) if d != int(day.group())])
        return f"{other}{value[day.end() :]}"
    year = re.search(r"\d{4}", value)
    assert year is not None  # noqa: S101
    other = int(year.group()) + chance.choice((-30, -11, -5, -2, -1, 1, 2, 4, 9, 20))
    return value.replace(year.group(), str(other))


def _part(value: str, part: str) -> bool:
    return {
        "year": bool(re.search(r"\d{4}", value)),
        "month": any(m in value for m in _MONTHS),
        "day": bool(re.match(r"\d{1,2}\s", value)),
    }[part]


def _swapped_unit(kind: str, value: str) -> str | None:
    if kind == "percent":
        return re.sub(r"\s?(?:%|percent)", " percentage points", value)
    if kind == "points":
        return value.replace("percentage points", "percent")
    if kind == "money":
        for one, other in (
            ("dollars", "euros"),
            ("euros", "dollars"),
            ("pounds sterling", "euros"),
        ):
            if one in value:
                return value.replace(one, other)
        return value.replace("$", "€") if "$" in value else value.replace("£", "$")
    for unit, other in _UNIT_SWAPS.items():
        if re.search(rf"\b{unit}\b", value) and "square" not in value:
            return re.sub(rf"\b{unit}\b", other, value)
    return None


def _same_number(value: str) -> str:
    if "million" in value:
        return f"{float(value.split(maxsplit=1)[0]) * 1e6:,.0f}"
    number = int(value.replace(",", ""))
    if number <= 20:  # noqa: PLR2004
        return _WORDS[number]
    if number % 1000 == 0:
        return f"{number // 1000} thousand"
    return str(number) if "," in value else _spelled(number) or value


def _spelled(number: int) -> str | None:
    if number in _TENS:
        return _TENS[number]
    tens = number // 10 * 10
    names = {20: "twenty", **_TENS}
    return f"{names[tens]}-{_WORDS[number % 10]}" if tens in names else None


def _same_quantity(value: str) -> str:
    number, _, unit = value.partition(" ")
    if "and" in value:
        return "151 minutes"
    if number in _WORDS:
        return f"{_WORDS.index(number)} {unit}"
    conversion = _CONVERSIONS.get(unit)
    if conversion is None or "million" in value:
        spelled = _spelled(int(float(number.replace(",", "")))) if "." not in number else None
        return f"{spelled} {unit}" if spelled else value
    factor, other = conversion
    amount = float(number.replace(",", "")) * factor
    return f"{amount:,.6g} {other}" if amount < 1e6 else value  # noqa: PLR2004


def _same_money(value: str) -> str:
    for word, sign in _MONEY.items():
        if value.endswith(word):
            amount = value.removesuffix(word).strip().replace(" million", " million")
            return f"{sign}{amount}"
    if value.startswith("$"):
        return f"{value[1:]} dollars"
    return f"{value[1:]} pounds sterling"


def _same_date(value: str) -> str:
    full = re.fullmatch(r"(\d{1,2}) (\w+)(?: (\d{4}))?", value)
    if full and full[2] in _MONTHS:
        year = f", {full[3]}" if full[3] else ""
        return f"{full[2]} {full[1]}{year}"
    if "century" in value:
        return "sixteenth century"
    return value.replace("third quarter of", "Q3")


def _suffix(number: int) -> str:
    return {1: "st", 2: "nd", 3: "rd"}.get(number, "th")
