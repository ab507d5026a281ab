"""Which parser reads which language."""

from __future__ import annotations

from verifiers._spacy import ENGLISH, SpacyParser
from verifiers.claims.extractor import ClaimExtractor, Extractor
from verifiers.rules import RuleParser


def make_extractor(language: str = "en", pipeline: str | None = None) -> ClaimExtractor:
    """The extractor for a language.

    Args:
        language: BCP 47 tag of the answers, such as ``en`` or ``de-CH``.
        pipeline: Name of an installed spaCy pipeline; ``rules`` for sentence rules without spaCy.
            By default English is parsed by its small pipeline and other languages by rules.

    Returns:
        An extractor. Nothing is loaded before its first use.
    """
    english = language.split("-", maxsplit=1)[0].split("_", maxsplit=1)[0].casefold() in {
        "en",
        "eng",
        "english",
    }
    if pipeline == "rules" or (pipeline is None and not english):
        return Extractor(RuleParser())
    names = ENGLISH if pipeline is None else (pipeline,)
    return Extractor(SpacyParser(names, english=english))
