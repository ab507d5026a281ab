"""A language model as a judge: asked whether passages bear a statement out, and not trusted.

What it is shown is quoted so that it cannot be mistaken for instructions, what it says is checked,
and what it cannot show word for word in a source counts for nothing. See ``docs/judge.md``.
"""

from guardrails.judging.model import ModelJudge
from guardrails.judging.values import Budget, Judge, Opinions, Question

__all__ = ["Budget", "Judge", "ModelJudge", "Opinions", "Question"]
