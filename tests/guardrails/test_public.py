"""The public surface: listed, sorted, lazy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import guardrails


def test_the_list_is_sorted_and_complete():
    """Every name has a home, and every home a name."""
    assert guardrails.__all__ == sorted(guardrails.__all__)
    assert set(guardrails.__all__) == set(guardrails._HOME)


@pytest.mark.parametrize("name", guardrails.__all__)
def test_every_name_is_there(name):
    """And comes from where the table says."""
    assert getattr(guardrails, name) is not None
    assert name in dir(guardrails)


def test_an_unknown_name_is_an_attribute_error():
    """As for any module."""
    with pytest.raises(AttributeError, match="nope"):
        guardrails.nope  # noqa: B018


def test_importing_and_making_a_guard_loads_nothing_heavy():
    """Not torch, transformers, spaCy, LiteLLM, ONNX Runtime; nor, for the import, pydantic."""
    code = """
import sys, guardrails
assert not {"pydantic", "sqlalchemy", "structlog"} & set(sys.modules), sorted(sys.modules)
guard = guardrails.Guard(settings=guardrails.Settings())
heavy = {"torch", "transformers", "spacy", "litellm", "onnxruntime", "sqlalchemy", "bm25s"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
