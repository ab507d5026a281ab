"""Public models by name: where they are, how they want to be asked, and what they answer.

Each entry follows the code its authors published, named in ``follows``; commits and digests are
those that public projects recorded from the hub. Nothing is guessed from a model's name, and what
a config says about itself is checked against the entry when the model is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from verifiers.backends.labels import Columns, names_in_order, role_of
from verifiers.errors import LabelsUnmapped, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verifiers.backends.labels import Role

_NO_DIGESTS: Mapping[str, str] = MappingProxyType({})


class Head(StrEnum):
    """Where in a model's output the answer stands."""

    SEQUENCE = "sequence"  # one row of logits a pair
    FIRST = "first-token"  # a token classifier of which only the first token is read
    NEXT = "next-token"  # a seq2seq model: which answer the decoder would begin with
    TOKENS = "tokens"  # one row of logits for each token of the hypothesis


@dataclass(frozen=True, slots=True)
class Special:
    """A special token inside a template, by its text in the model's own vocabulary."""

    token: str


@dataclass(frozen=True, slots=True)
class Companion:
    """Another repository a preset needs files of, kept in a folder inside its own."""

    repo: str
    revision: str
    folder: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preset:
    """One public model.

    Attributes:
        name: What to write for ``model``.
        repo: Where it is on the Hugging Face hub.
        revision: The commit that is fetched, or None when no commit is known: then ``fetch``
            takes the newest and notes which one it got.
        head: Where the answer stands.
        model_types: What its config may say it is.
        roles: What each output column means, in order.
        max_tokens: Longest input the authors' code reads, template included.
        licence: Of the weights, as the model card states it.
        megabytes: To download.
        languages: What it was trained on.
        about: One line for people.
        follows: The public code the template and the decision rule follow.
        segments: How a pair becomes one text: texts with ``{premise}`` and ``{hypothesis}`` in
            them, between special tokens. Empty: the tokenizer's own form for two texts.
        premise_form: How the premise is worded where the two stay apart.
        question_form: The same when the question is known, with ``{question}`` in it.
        answers: For ``Head.NEXT``: the answer of each column and the id of its first token.
        named: Whether the config names its labels; else generic names are expected.
        digests: SHA-256 of files, where several public projects recorded the same.
        companion: Where config and tokenizer are when not in ``repo``.
        prefix: What its weights' names begin with, to be taken off.
        note: What else an operator should know, or an empty string.
    """

    name: str
    repo: str
    revision: str | None
    head: Head
    model_types: tuple[str, ...]
    roles: tuple[Role, ...]
    max_tokens: int
    licence: str
    megabytes: int
    languages: str
    about: str
    follows: str
    segments: tuple[str | Special, ...] = ()
    premise_form: str = "{premise}"
    question_form: str | None = None
    answers: tuple[tuple[str, int], ...] = ()
    named: bool = False
    digests: Mapping[str, str] = field(default_factory=lambda: _NO_DIGESTS)
    companion: Companion | None = None
    prefix: str = ""
    note: str = ""

    @property
    def three_way(self) -> bool:
        """Whether it tells a contradiction from what is merely not supported."""
        return "contradiction" in self.roles

    def columns(self, id2label: Mapping[str, object] | None) -> Columns:
        """What the columns mean, after comparing the config's names with the preset.

        Args:
            id2label: The config's, or None when it has none.

        Raises:
            LabelsUnmapped: If the config says something else than the preset, or nothing where
                the preset expects names.
        """
        names = names_in_order(id2label) if id2label else ()
        if not names and not self.named:
            return Columns(tuple(f"LABEL_{i}" for i in range(len(self.roles))), self.roles)
        # What training scripts write when nobody named the labels.
        numbers = range(len(self.roles))
        unnamed = (tuple(f"LABEL_{n}" for n in numbers), tuple(str(n) for n in numbers))
        if names in unnamed and not self.named:
            return Columns(names, self.roles)
        if tuple(role_of(name) for name in names) != self.roles:
            raise LabelsUnmapped(
                f"The files of the preset {self.name!r} name the labels"
                f" {', '.join(name[:40] for name in names[:8]) or '(none)'}, where"
                f" {', '.join(self.roles)} is expected. The model was not used.",
                hint=f"They are not the files of {self.repo} at the pinned revision: fetch it"
                f" again with `groundrail models fetch {self.name} --force`.",
            )
        return Columns(names, self.roles)


_LETTUCE_CONTEXT = "passage 1: {premise}"

_TABLE = (
    Preset(
        name="nli-deberta-v3-base",
        repo="MoritzLaurer/DeBERTa-v3-base-mnli-fever-anli",
        revision="6f5cf0a2b59cabb106aca4c287eed12e357e90eb",
        head=Head.SEQUENCE,
        model_types=("deberta-v2",),
        roles=("entailment", "neutral", "contradiction"),
        max_tokens=512,
        licence="MIT",
        megabytes=380,
        languages="English",
        about="three-way NLI trained on MNLI, FEVER and ANLI",
        follows="the model card of MoritzLaurer/DeBERTa-v3-base-mnli-fever-anli: premise and"
        " hypothesis as two texts, labels entailment, neutral, contradiction",
        named=True,
        digests=MappingProxyType(
            {
                "model.safetensors": (
                    "06d6fd89edd4f97816831626daafbdb0b029cf63bae8edc0bccab1d64e2e7707"
                )
            }
        ),
        note="Its training data include ANLI, which is CC BY-NC 4.0.",
    ),
    Preset(
        name="nli-mdeberta-v3-base",
        repo="MoritzLaurer/mDeBERTa-v3-base-xnli-multilingual-nli-2mil7",
        revision="b5113eb38ab63efdd7f280f8c144ea8b13f978ce",
        head=Head.SEQUENCE,
        model_types=("deberta-v2",),
        roles=("entailment", "neutral", "contradiction"),
        max_tokens=512,
        licence="MIT",
        megabytes=580,
        languages="some 100 (26 of them in NLI data)",
        about="three-way NLI in many languages",
        follows="the model card of MoritzLaurer/mDeBERTa-v3-base-xnli-multilingual-nli-2mil7:"
        " premise and hypothesis as two texts, labels entailment, neutral, contradiction",
        named=True,
        digests=MappingProxyType(
            {
                "model.safetensors": (
                    "7c8e29f1115986d032e92b0fbaa0bdef1062a46f658b08705f237c05014a8541"
                )
            }
        ),
        note="Its training data include ANLI, which is CC BY-NC 4.0, translated.",
    ),
    Preset(
        name="factcg-deberta-v3-large",
        repo="yaxili96/FactCG-DeBERTa-v3-Large",
        revision="0430e3509dbd28d2dff7a117c0eae25359ff3e80",
        head=Head.SEQUENCE,
        model_types=("deberta-v2",),
        roles=("rest", "entailment"),
        max_tokens=2048,
        licence="MIT",
        megabytes=1750,
        languages="English",
        about="grounding checker trained on multi-hop claims from graphs (arXiv:2501.17144)",
        follows="github.com/derenlei/FactCG, factcg/utils.py (template) and factcg/inference.py"
        " (one text, 2,048 tokens, column 1 is support, windows of 550 words, best window)",
        segments=(
            (
                "{premise}\n\nChoose your answer: based on the paragraph above can we conclude"
                ' that "{hypothesis}"?\n\nOPTIONS:\n- Yes\n- No\nI think the answer is '
            ),
        ),
    ),
    Preset(
        name="minicheck-roberta",
        repo="lytang/MiniCheck-RoBERTa-Large",
        revision="74c8919647e61ed0f71bc177d94f10930f090068",
        head=Head.SEQUENCE,
        model_types=("roberta",),
        roles=("rest", "entailment"),
        max_tokens=512,
        licence="MIT",
        megabytes=1425,
        languages="English",
        about="grounding checker, the smallest MiniCheck (arXiv:2404.10774)",
        follows="github.com/Liyan06/MiniCheck, minicheck/inference.py: document and claim joined"
        " by one end token, column 1 is support, windows of 400 tokens, best window",
        segments=("{premise}", Special("</s>"), "{hypothesis}"),
        note="Published as a pickle; torch reads it in its weights-only mode.",
    ),
    Preset(
        name="minicheck-deberta",
        repo="lytang/MiniCheck-DeBERTa-v3-Large",
        revision="2f2d01a54fa022a7ffadb76260e1ea8bc88c82bb",
        head=Head.SEQUENCE,
        model_types=("deberta-v2",),
        roles=("rest", "entailment"),
        max_tokens=2048,
        licence="MIT",
        megabytes=1750,
        languages="English",
        about="grounding checker, MiniCheck on DeBERTa-v3 (arXiv:2404.10774)",
        follows="github.com/Liyan06/MiniCheck, minicheck/inference.py: document and claim joined"
        " by one end token, 2,048 tokens, column 1 is support, windows of 400 tokens, best window",
        segments=("{premise}", Special("[SEP]"), "{hypothesis}"),
        note="Published as a pickle; torch reads it in its weights-only mode.",
    ),
    Preset(
        name="minicheck-flan-t5",
        repo="lytang/MiniCheck-Flan-T5-Large",
        revision="96eafd01cee2d16cf81aaa2fb226b14f422a37b3",
        head=Head.NEXT,
        model_types=("t5",),
        roles=("rest", "entailment"),
        max_tokens=2048,
        licence="MIT",
        megabytes=3140,
        languages="English",
        about="grounding checker, the strongest MiniCheck under a billion (arXiv:2404.10774)",
        follows="github.com/Liyan06/MiniCheck, minicheck/inference.py: 'predict: ' before document"
        " and claim joined by one end token, one decoder step, softmax over the tokens 3 (no"
        " support; how '0' begins) and 209 ('1', support), windows of 500 words, best window",
        segments=("predict: {premise}", Special("</s>"), "{hypothesis}"),
        answers=(("0", 3), ("1", 209)),
        digests=MappingProxyType(
            {
                "pytorch_model.bin": (
                    "41291881e13c6235ed47149cec903bee9493e45d9d7325587a9fa2e266c526c0"
                )
            }
        ),
        note="Published as a pickle; torch reads it in its weights-only mode.",
    ),
    Preset(
        name="hhem-2.1-open",
        repo="vectara/hallucination_evaluation_model",
        revision="8e4a2e6e96c708cc76c2344f7e4757df2515292c",
        head=Head.FIRST,
        model_types=("HHEMv2", "HHEMv2Config"),
        roles=("rest", "entailment"),
        # The card says no limit; the foundation was trained on 512, the card measures 2,000.
        max_tokens=2048,
        licence="Apache-2.0",
        megabytes=445,
        languages="English",
        about="Vectara's open grounding checker, small and quick on a CPU",
        follows="the code beside huggingface.co/vectara/hallucination_evaluation_model"
        " (modeling_hhem_v2.py, configuration_hhem_v2.py), which is not run: a flan-t5-base"
        " encoder with a token classifier, this prompt, the first token's column 1 is consistent",
        segments=(
            Special("<pad>"),
            (
                " Determine if the hypothesis is true given the premise?\n\nPremise: {premise}"
                "\n\nHypothesis: {hypothesis}"
            ),
        ),
        companion=Companion(
            repo="google/flan-t5-base",
            revision="7bcac572ce56db69c1ea7c8af255c5d7c9672fc2",
            folder="foundation",
            files=("config.json", "tokenizer.json"),
        ),
        prefix="t5.",
        note="Its own code wants trust_remote_code; here transformers' own T5 is used instead.",
    ),
    Preset(
        name="lettucedetect-base",
        repo="KRLabsOrg/lettucedect-base-modernbert-en-v1",
        revision="bbd77832f52f9bd87546a3924c032467921f5c34",
        head=Head.TOKENS,
        model_types=("modernbert",),
        roles=("entailment", "rest"),
        max_tokens=4096,
        licence="MIT",
        megabytes=600,
        languages="English",
        about="marks the unsupported words of an answer; trained on RAGTruth (arXiv:2502.17125)",
        follows="github.com/KRLabsOrg/LettuceDetect, lettucedetect/datasets/"
        "hallucination_dataset.py and detectors/transformer.py (prompt and answer as two texts,"
        " 4,096 tokens, column 1 is hallucinated, runs of such tokens are spans) and the prompts"
        " qa_prompt_en.txt and summary_prompt_en.txt of release 0.2.3",
        premise_form=f"Summarize the following text:\n{_LETTUCE_CONTEXT}\noutput:",
        question_form="Briefly answer the following question:\n{question}\nBear in mind that your"
        " response should be strictly based on the following 1 passages:\n"
        f"{_LETTUCE_CONTEXT}\nIn case the passages do not contain the necessary information to"
        ' answer the question, please reply with: "Unable to answer based on given passages."'
        "\noutput:",
        note="A pair's support is that of its least supported token.",
    ),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _TABLE})


def find_preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        ModelUnavailable: If there is none.
    """
    try:
        return PRESETS[name]
    except KeyError as exc:
        raise ModelUnavailable(
            f"There is no preset {name[:60]!r}.", hint=f"There are: {', '.join(PRESETS)}."
        ) from exc
