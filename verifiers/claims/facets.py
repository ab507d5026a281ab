"""What a claim talks about, by pattern and by named entity."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verifiers.types import Facet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.text import Token

_NUMBER = re.compile(
    r"\d|\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|"
    r"seven|eigh|nine)teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|"
    r"millions?|billions?|trillions?|dozens?|half|halves|thirds?|quarters?|twice|doubled?|tripled?)\b",
    re.IGNORECASE,
)
# "one" alone is most often a pronoun.
_PRONOUN_ONE = re.compile(
    r"\b(?:no|any|some|every|this|that|the|each|another)[ -]?one\b|\bone's\b", re.IGNORECASE
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = re.compile(
    rf"\b(?:1[0-9]|20|21)\d\d\b|\b{_MONTH}\.?\s+\d|\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?:{_MONTH}|may)\b"
    r"|\bmay\s+\d{1,2}\b|\b\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b|\b(?:january|february|april|august|september|october|"
    r"november|december)\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|\b\d{1,2}(?:st|nd|rd|th) century\b"
    r"|\b\d0s\b|\b\d+\s?(?:BCE?|AD|CE)\b|\b(?:yesterday|today|tomorrow)\b",
    re.IGNORECASE,
)
_QUOTE = re.compile(
    r"[“\"«„「『]([^“”\"«»„」』]{3,400})[”\"»“」』]|(?<!\w)[‘']([^‘’'\n]{3,400})[’'](?!\w)"  # noqa: RUF001
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|neither|nor|nobody|nothing|nowhere|without|cannot|hardly|rarely|"
    r"lacks?|fails? to|failed to|unable)\b|n['’]t\b",  # noqa: RUF001
    re.IGNORECASE,
)
_TWO_WORDS = re.compile(r"\w\s\W*\w|[^\x00-\u2e7f]{2}")  # a single quoted word is mostly irony
_CAPITALISED = re.compile(
    r"(?<=[\w,;:)] )[(\"“‘']?[A-Z][\w'’-]+|\b[A-Z]{2,}\b|\b[A-Z]\w*[A-Z]\w*\b"  # noqa: RUF001
)
_NAMES = frozenset(
    """
    PERSON PER ORG GPE LOC NORP FAC PRODUCT EVENT WORK_OF_ART LAW LANGUAGE MISC
    """.split()  # noqa: SIM905
)


def facets(text: str, tokens: Sequence[Token] = ()) -> frozenset[Facet]:
    """The facets of a claim.

    Args:
        text: The claim, markup and citation markers taken out.
        tokens: Its words, for named entities; without them capitals tell names.
    """
    found: set[Facet] = set()
    if _NUMBER.search(_PRONOUN_ONE.sub(" ", text)):
        found.add(Facet.NUMBER)
    if _DATE.search(text):
        found.add(Facet.DATE)
    if any(_TWO_WORDS.search(match.group()) for match in _QUOTE.finditer(text)):
        found.add(Facet.QUOTE)
    if _NEGATION.search(text):
        found.add(Facet.NEGATION)
    proper = any(t.ent in _NAMES or (t.pos == "PROPN" and not t.ent) for t in tokens)
    if proper or (not tokens and _CAPITALISED.search(text)):
        found.add(Facet.NAME)
    return frozenset(found)
