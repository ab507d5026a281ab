"""Where the training data comes from, and under which terms: for the docs and the model card.

The data itself is not part of this project. All sources permit commercial use; share-alike terms
cover the texts, which the project does not distribute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Source:
    """One public source of labelled pairs."""

    dataset: str
    origin: str
    licence: str
    note: str = ""


_WIKI: Final = "CC BY-SA 3.0"

SOURCES: Final[dict[str, Source]] = {
    s.dataset: s
    for s in (
        Source("fever_train", "FEVER, official training claims with evidence", _WIKI, "human"),
        Source("vitaminc_test", "VitaminC (TalSchuster), test split, split anew by page", _WIKI),
        Source(
            "synth_corruption",
            "made by rule from wiki-split, SQuAD and QED passages",
            "CC BY-SA 4.0 / 3.0",
            "number, date, entity, antonym and negation swaps, added detail",
        ),
        Source("fever_long", "made from FEVER: gold evidence among distractors", _WIKI),
        Source("mnli_train_sub", "MultiNLI, part of the training split", "OANC, CC BY, CC BY-SA"),
        Source("snli_train_sub", "SNLI, part of the training split", "CC BY-SA 4.0"),
        Source("infotabs", "InfoTabS, training and development tables", "Apache-2.0"),
        Source(
            "qa_claims_synth",
            "made by rule from SQuAD 1.1, AdversarialQA and QED questions",
            "CC BY-SA 4.0 / 3.0",
        ),
        Source("conjnli", "ConjNLI, adversarial training part and dev", "MIT"),
        Source("cad_nli", "Counterfactually augmented SNLI (acmi-lab)", "Apache-2.0, CC BY-SA"),
        Source("drop_nli", "DROP recast as NLI (curriculum-ling)", "MIT; DROP CC BY-SA 4.0"),
        Source("help_monotonicity", "HELP", "CC BY-SA 4.0"),
        Source("contractnli", "ContractNLI", "CC BY 4.0"),
        Source("negation_nli", "NLI with negation (mosharafhossain)", "MIT"),
        Source("breaking_nli", "Breaking NLI (BIU-NLP)", "CC BY-SA 4.0"),
        Source("wikiresnli", "WikiResNLI", "CC BY 4.0"),
        Source("entailmentbank_nli", "EntailmentBank recast (curriculum-ling)", "CC BY 4.0"),
    )
}

GENERATED: Final = Source(
    "gen_*", "made by verifiers.training.generate from the sources above", "as their texts"
)

WRITTEN: Final = Source(
    "written_*",
    "written for this project by a language model (verifiers/training/written)",
    "Apache-2.0",
)


def source_of(dataset: str) -> Source:
    """The source of a data set; what is made here shares entries, unknown ones say so."""
    if dataset.startswith("gen_"):
        return GENERATED
    if dataset.startswith("written_"):
        return WRITTEN
    return SOURCES.get(dataset, Source(dataset, "not a source this project knows", "unknown"))
