"""The error tree of ``verifiers``, rooted in the project's one base class.

::

    GroundrailError                     GR000  everything we raise
    ├── VerifierError                   GR100  checking failed
    │   ├── ModelUnavailable            GR101  no such model, broken or truncated weights
    │   ├── LabelsUnmapped              GR102  cannot tell entailment from the model's labels
    │   ├── CanaryFailed                GR103  the model gets the obvious wrong
    │   ├── Overloaded                  GR104  the queue is full; try again later
    │   ├── InputTooLong                GR105  a claim alone does not fit the model
    │   ├── BackendFailed               GR106  the model or its server failed while scoring
    │   ├── MissingExtra                GR107  an optional dependency is not installed
    │   ├── PipelineUnavailable         GR108  the configured spaCy pipeline cannot be loaded
    │   ├── ExtractionFailed            GR109  the answer could not be split into claims
    │   ├── SourceInvalid               GR110  a source is unusable (empty id, duplicate id ...)
    │   ├── EngineClosed                GR111  scoring was asked of an engine that was closed
    │   └── BenchDataInvalid            GR120  a labelled file cannot be read
    ├── policies.errors ...             GR2xx
    └── guardrails.errors ...           GR3xx

Codes are stable: search for them in the documentation. Messages say what happened, what was done
and what to do, and hold no user text.
"""

from __future__ import annotations

from typing import ClassVar


class GroundrailError(Exception):
    """Base of every error this project raises.

    Attributes:
        code: Stable, searchable.
        message: What happened and what was done about it.
        hint: What to do, or an empty string.
    """

    code: ClassVar[str] = "GR000"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        tail = f" {self.hint}" if self.hint else ""
        return f"[{self.code}] {self.message}{tail}"

    def __reduce__(self) -> tuple[object, ...]:
        # Subclasses take keyword-only arguments, which the default reduction would lose.
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(kind: type[GroundrailError], message: str, hint: str) -> GroundrailError:
    error = kind.__new__(kind)
    GroundrailError.__init__(error, message, hint=hint)
    return error


class VerifierError(GroundrailError):
    """Checking failed."""

    code = "GR100"


class ModelUnavailable(VerifierError):
    """The model cannot be loaded: it is not there, or its files are broken."""

    code = "GR101"


class LabelsUnmapped(VerifierError):
    """The model's config does not say which column is entailment."""

    code = "GR102"


class CanaryFailed(VerifierError):
    """The model answered canary pairs wrongly; its labels are probably swapped."""

    code = "GR103"


class Overloaded(VerifierError):
    """The scoring queue is full. Nothing was scored; try again later."""

    code = "GR104"


class InputTooLong(VerifierError):
    """A claim alone does not fit the model, so no window could be read with it."""

    code = "GR105"


class BackendFailed(VerifierError):
    """The model, or the server that runs it, failed while scoring."""

    code = "GR106"


class MissingExtra(VerifierError):
    """An optional dependency is not installed."""

    code = "GR107"


class PipelineUnavailable(VerifierError):
    """The configured spaCy pipeline cannot be loaded."""

    code = "GR108"


class ExtractionFailed(VerifierError):
    """The answer could not be split into claims."""

    code = "GR109"


class SourceInvalid(VerifierError):
    """A source is unusable: an empty or a duplicate id."""

    code = "GR110"


class EngineClosed(VerifierError):
    """Scoring was asked of an engine that was closed."""

    code = "GR111"


class BenchDataInvalid(VerifierError):
    """A labelled file cannot be read."""

    code = "GR120"
