"""Which arithmetic runs where: by the CPU's instructions, the device, and what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardrails.cli.examine_model import _form
from verifiers.backends import ModelSpec, load_scorer
from verifiers.backends.cpu import Advice, int8_advice
from verifiers.backends.onnx_files import locate
from verifiers.errors import ModelUnavailable

YES, NO = Advice(int8=True, why="it can"), Advice(int8=False, why="it cannot")
XEON = "processor : 0\nflags\t\t: fpu sse2 avx2 avx512f avx512_vnni\n\nprocessor : 1\nflags : fpu\n"


@pytest.mark.parametrize(
    ("cpuinfo", "int8", "why"),
    [
        (XEON, True, "avx512_vnni"),
        ("flags : fpu avx2 avx_vnni", True, "avx_vnni"),
        ("Features\t: fp asimd asimddp", True, "asimddp"),
        ("flags : fpu avx2 fma avx512f", False, "neither"),
        ("flags : fpu avx512_vnni_not", False, "neither"),
        ("Features : fp asimd", False, "neither"),
        ("no such line", False, "neither"),
        ("", False, "neither"),
    ],
)
def test_the_instructions_decide(tmp_path: Path, cpuinfo: str, *, int8: bool, why: str) -> None:
    """VNNI and the ARM dot product speak for int8; AVX2 or AVX-512 alone do not."""
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    advice = int8_advice(cpuinfo=tmp_path / "cpuinfo", system="linux", machine="x86_64")
    assert advice.int8 is int8
    assert why in advice.why


@pytest.mark.parametrize(
    ("system", "machine", "int8"),
    [("darwin", "arm64", True), ("darwin", "x86_64", False), ("win32", "AMD64", False)],
)
def test_where_no_file_tells(tmp_path: Path, system: str, machine: str, *, int8: bool) -> None:
    """Apple's chips are known; of other CPUs nothing is guessed."""
    advice = int8_advice(cpuinfo=tmp_path / "none", system=system, machine=machine)
    assert advice.int8 is int8
    assert advice.why


@pytest.mark.parametrize(
    ("form", "device", "advice", "runs"),
    [
        ("auto", "cpu", YES, "int8"),
        ("auto", "cpu", NO, "fp32"),
        ("auto", "cuda", YES, "fp32"),
        ("fp32", "cpu", YES, "fp32"),
        ("int8", "cpu", NO, "int8"),
    ],
)
def test_which_graph_runs(
    tiny_forms: Path, form: str, device: str, advice: Advice, runs: str
) -> None:
    """What was asked for wins; else the CPU decides, and other devices compute in fp32."""
    spec = ModelSpec(model=str(tiny_forms), form=form, device=device)  # type: ignore[arg-type]
    found = locate(spec, advice=lambda: advice)
    assert found.form == runs
    assert found.graph.name == {"fp32": "model.onnx", "int8": "model.int8.onnx"}[runs]
    assert len(found.graphs) == 2


def test_other_backends_have_no_int8() -> None:
    """It is refused and not passed over."""
    with pytest.raises(ModelUnavailable, match="int8 was asked for"):
        load_scorer(ModelSpec(backend="tei", url="http://127.0.0.1:1", form="int8"))


@pytest.mark.parametrize(
    ("form", "asked", "part"),
    [
        ("int8/CPUExecutionProvider", "int8", "int8: as `model.form` says"),
        ("fp32/CPUExecutionProvider, exit after 6", "fp32", "fp32: as `model.form` says"),
        ("int8/CPUExecutionProvider", "auto", "int8: it can"),
        ("fp32/CPUExecutionProvider", "auto", "fp32: the model's one form"),
    ],
)
def test_the_doctor_says_why(
    monkeypatch: pytest.MonkeyPatch, form: str, asked: str, part: str
) -> None:
    """The finding names the arithmetic and the reason."""
    monkeypatch.setattr("verifiers.backends.cpu.int8_advice", lambda: YES)
    found = _form(form, asked=asked)
    assert part in found.message
    assert found.data["form"] == form


def test_the_doctor_says_what_the_cpu_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where int8 would be the slower one, that is the reason."""
    monkeypatch.setattr("verifiers.backends.cpu.int8_advice", lambda: NO)
    assert "fp32: it cannot" in _form("fp32/CPUExecutionProvider", asked="auto").message
