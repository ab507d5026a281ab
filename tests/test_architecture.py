"""The shape of the code base, held by reading it: who imports whom, where heavy things load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("verifiers", "policies", "guardrails")

# A package may import itself and what stands before it.
ALLOWED = {
    "verifiers": {"verifiers"},
    "policies": {"verifiers", "policies"},
    "guardrails": {"verifiers", "policies", "guardrails"},
}

# Library -> the only modules (or packages, ending in a dot) that may import it.
ADAPTERS: dict[str, tuple[str, ...]] = {
    "torch": ("verifiers.backends.network", "verifiers.bench.speed", "verifiers.training."),
    "transformers": ("verifiers.backends.network", "verifiers.bench.speed", "verifiers.training."),
    "safetensors": ("verifiers.backends.network", "verifiers.training."),
    "onnx": ("verifiers.bench.speed", "verifiers.training."),
    "onnxruntime": ("verifiers.backends.onnx", "verifiers.training."),
    "tokenizers": ("verifiers.backends.tokenizer", "verifiers.bench.speed", "verifiers.training."),
    "sentence_transformers": ("verifiers.bench.speed",),
    "spacy": ("verifiers._spacy",),
    "en_core_web_sm": ("verifiers._spacy",),
    "bm25s": ("verifiers.ranking",),
    "aiohttp": ("guardrails.proxy.direct", "guardrails.bench."),
    "litellm": (
        "guardrails.gateway",
        "guardrails.integrations.litellm_guardrail",
        "guardrails.integrations._litellm_streams",
    ),
    "orjson": ("guardrails.proxy.",),
    "huggingface_hub": ("verifiers.backends.hub",),
    "httpx": ("verifiers.backends.http",),
    "sqlalchemy": ("guardrails.store.",),
    "alembic": ("guardrails.store.",),
    "psycopg": ("guardrails.store.",),
    "opentelemetry": ("guardrails.telemetry",),
    "structlog": ("guardrails.telemetry",),
    "pydantic_settings": ("guardrails.settings",),
    "pypdf": ("guardrails.cli.formats",),
    "typer": ("guardrails.cli.",),
    "click": ("guardrails.cli.",),
    "rich": ("guardrails.cli.",),
    "fastapi": ("guardrails.proxy.", "guardrails.integrations."),
    "starlette": ("guardrails.proxy.",),
    "uvicorn": ("guardrails.proxy.",),
    "prometheus_client": ("guardrails.proxy.",),
    "yaml": ("policies._yaml", "guardrails.settings", "guardrails.cli."),
}

HEAVY = (
    "torch",
    "transformers",
    "spacy",
    "litellm",
    "onnxruntime",
    "tokenizers",
    "sqlalchemy",
    "alembic",
    "bm25s",
    "fastapi",
    "uvicorn",
    "openai",
    "typer",
    "rich",
)

BUDGET = 400
OVER_BUDGET: dict[str, str] = {
    "verifiers.types": "the one vocabulary; splitting it would hide half of it",
}

READS_ENVIRONMENT = {
    "guardrails.settings": "the one reader",
    "guardrails.gateway": "sets LiteLLM's switch against its import-time fetch",
    "verifiers.backends.onnx": "sets ONNX Runtime's switch against its telemetry",
}


class Module(NamedTuple):
    name: str
    path: Path
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]


def _modules() -> list[Module]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(Module(name, path, ast.parse(path.read_text("utf-8"))))
    return found


MODULES = _modules()


def _imports(module: Module) -> set[str]:
    """Absolute dotted names a module imports, wherever in it."""
    names = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = module.name.split(".")
                if module.path.name != "__init__.py":
                    base = base[:-1]
                base = base[: len(base) - (node.level - 1)]
                names.add(".".join([*base, node.module] if node.module else base))
            elif node.module:
                names.add(node.module)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute | ast.Name)
            and (node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id)
            in {"import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
        ):
            names.add(node.args[0].value)
    return names


def _may(module: str, owners: tuple[str, ...]) -> bool:
    return any(
        module == owner or (owner.endswith(".") and f"{module}.".startswith(owner))
        for owner in owners
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_imports_go_one_way(module: Module) -> None:
    """verifiers <- policies <- guardrails, type-checking imports included."""
    ours = {name.partition(".")[0] for name in _imports(module)} & set(PACKAGES)
    assert ours <= ALLOWED[module.package], f"{module.name} imports {ours}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_heavy_libraries_have_one_adapter(module: Module) -> None:
    """A heavy library is imported in its adapter and nowhere else."""
    for name in _imports(module):
        library = name.partition(".")[0]
        if library in ADAPTERS:
            assert _may(module.name, ADAPTERS[library]), f"{module.name} imports {name}"


def test_policies_are_pure() -> None:
    """policies read only the vocabulary and the errors of verifiers, and its pure judging."""
    for module in MODULES:
        if module.package == "policies":
            used = {name for name in _imports(module) if name.startswith("verifiers")}
            assert used <= {"verifiers.types", "verifiers.errors", "verifiers.aggregate"}, (
                f"{module.name} imports {used}"
            )


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_only_settings_reads_the_environment(module: Module) -> None:
    """No os.environ, os.getenv or putenv outside the one reader."""
    if module.name in READS_ENVIRONMENT:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert not (
                node.value.id == "os" and node.attr in {"environ", "environb", "getenv", "putenv"}
            ), f"{module.path.name}:{node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            assert not {"environ", "getenv"} & {alias.name for alias in node.names}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_only_the_command_line_prints(module: Module) -> None:
    """A library that prints corrupts somebody's pipe."""
    if module.name.startswith(("guardrails.cli", "verifiers.training", "verifiers.bench")):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"{module.path.name}:{node.lineno}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_modules_stay_small(module: Module) -> None:
    """400 lines a module, or a written reason."""
    lines = len(module.path.read_text("utf-8").splitlines())
    if module.name in OVER_BUDGET:
        assert lines > BUDGET, f"{module.name} fits the budget again: take it off the list"
    else:
        assert lines <= BUDGET, f"{module.name} has {lines} lines"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_exports_are_sorted(module: Module) -> None:
    """__all__ is a literal, sorted, without doubles."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
        ):
            names = ast.literal_eval(node.value)
            assert sorted(set(names)) == sorted(names)
            by_case = sorted(names, key=lambda name: (name.casefold(), name))
            # Ruff's order: constants, then classes, then functions. Both are findable by eye.
            by_ruff = sorted(
                names,
                key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name),
            )
            assert list(names) in (sorted(names), by_case, by_ruff)


def test_no_global_state() -> None:
    """No ``global`` statement anywhere."""
    for module in MODULES:
        for node in ast.walk(module.tree):
            assert not isinstance(node, ast.Global), f"{module.name}:{node.lineno}"


@pytest.mark.parametrize("package", PACKAGES)
def test_import_is_light(package: str) -> None:
    """Importing a package loads no heavy library and opens nothing."""
    code = (
        f"import sys, {package}; "
        f"heavy = set({HEAVY!r}) & set(sys.modules); "
        "sys.exit('loaded ' + ', '.join(sorted(heavy)) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed(package: str) -> None:
    """Each package says that it carries types."""
    assert (ROOT / package / "py.typed").is_file()


def test_the_checks_can_fail() -> None:
    """The readers above see what they look for."""
    source = "import torch\nfrom . import x\nimportlib.import_module('spacy')\n"
    module = Module("policies.bad", Path("policies/bad.py"), ast.parse(source))
    assert _imports(module) == {"torch", "policies", "spacy"}
    assert not _may("policies.bad", ADAPTERS["torch"])
    assert _may("verifiers.training.train", ADAPTERS["torch"])
    assert not _may("verifiers.training_other", ADAPTERS["torch"])
