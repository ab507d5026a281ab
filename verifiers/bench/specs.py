"""What to measure, as it is written on a command line.

A model is ``[NAME=]MODEL[,KEY=VALUE...]``: ``bundled``, ``v0=models/nli-v0``,
``hhem=hhem-2.1-open,device=cuda``, ``tei=served,backend=tei,url=http://127.0.0.1:8080``. Keys are
those of :class:`verifiers.backends.spec.ModelSpec`.

A system is ``[NAME=]KIND[@MODEL][,KEY=VALUE...]``: ``overlap``, ``model@v0``,
``wide=pipeline@bundled,window_tokens=256``. Keys are those of
:class:`verifiers.pipeline.EvidenceSettings`. Without ``@MODEL`` it is measured with every model.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

from verifiers.backends.spec import ModelSpec
from verifiers.pipeline import EvidenceSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.bench.systems import SystemName

KINDS: tuple[SystemName, ...] = ("overlap", "model", "model+values", "pipeline")

# A token on a command line is seen by everyone on the machine.
_NOT_HERE = frozenset({"model", "token", "canaries", "template"})
_SWITCHES = frozenset({"early_exit"})
_NUMBERS = {"threads": int, "max_tokens": int, "timeout": float}
_MODEL_KEYS = tuple(f.name for f in fields(ModelSpec) if f.name not in _NOT_HERE)
_EVIDENCE_KEYS: dict[str, type[int | float]] = {
    name: type(value)
    for name, value in asdict(EvidenceSettings()).items()
    if type(value) in (int, float)
}
_NAME = re.compile(r"[\w.+ -]+")


@dataclass(frozen=True, slots=True)
class SystemSpec:
    """One configuration to measure.

    Attributes:
        name: In every table; unique.
        kind: Which way.
        model: Name of its model; None for word overlap.
        evidence: How sources are read.
    """

    name: str
    kind: SystemName
    model: str | None
    evidence: EvidenceSettings


def parse_models(texts: Sequence[str], *, configured: ModelSpec) -> dict[str, ModelSpec]:
    """Models by name.

    Args:
        texts: As they were written.
        configured: What the model ``settings`` stands for.

    Raises:
        ValueError: If one cannot be read, or two share a name.
    """
    models: dict[str, ModelSpec] = {}
    for text in texts:
        name, model, options = _taken_apart(text)
        base = configured if model == "settings" else ModelSpec(model=model)
        found = replace(base, **_model_options(options, text))
        name = name or PurePath(model).name or model
        if name in models:
            raise ValueError(f"two models are called {name!r}; name them: --model NAME={model}")
        models[name] = found
    return models


def parse_systems(texts: Sequence[str], models: Mapping[str, ModelSpec]) -> list[SystemSpec]:
    """Systems, in order; those that name no model once for each.

    Raises:
        ValueError: If one cannot be read, names an unknown model, or two share a name, or a model
            is measured by none.
    """
    systems: list[SystemSpec] = []
    for text in texts:
        name, what, options = _taken_apart(text)
        kind, at, wanted = what.partition("@")
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no system; choose one of: {', '.join(KINDS)}")
        if at and wanted not in models:
            raise ValueError(f"{text!r} names the model {wanted!r}; known are {', '.join(models)}")
        evidence = _evidence(options, text)
        if kind == "overlap":
            if at or options:
                raise ValueError(f"overlap reads whole texts; {text!r} cannot be set")
            systems.append(SystemSpec(name or kind, kind, None, evidence))
            continue
        for model in [wanted] if at else models:
            own = kind if len(models) == 1 else f"{kind}@{model}"
            own = ",".join([own, *(f"{key}={value}" for key, value in options.items())])
            if name:
                own = name if at or len(models) == 1 else f"{name}@{model}"
            systems.append(SystemSpec(own, cast("SystemName", kind), model, evidence))
    names = [system.name for system in systems]
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise ValueError(f"two systems are called {twice!r}; name them: --system NAME=...")
    unused = [name for name in models if name not in {system.model for system in systems}]
    if unused and any(system.model for system in systems):
        raise ValueError(
            f"no system measures the model {unused[0]!r}; add --system model@{unused[0]}"
        )
    return systems


def parse_evidence(text: str) -> EvidenceSettings:
    """How sources are read, as ``KEY=VALUE[,KEY=VALUE...]``; what is not named is as usual.

    Raises:
        ValueError: If a key or value is not known.
    """
    return _evidence(_taken_apart(f"evidence,{text}")[2], text) if text else EvidenceSettings()


def _taken_apart(text: str) -> tuple[str | None, str, dict[str, str]]:
    """``NAME=WHAT,KEY=VALUE`` as name (or None), what, and options."""
    first, *rest = text.split(",")
    name, found, what = first.partition("=")
    if not found or not _NAME.fullmatch(name):
        name, what = "", first
    options: dict[str, str] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if not equals or not value:
            raise ValueError(f"{part!r} in {text!r} is not KEY=VALUE")
        options[key.strip()] = value.strip()
    if not what.strip():
        raise ValueError(f"{text!r} names nothing")
    return name.strip() or None, what.strip(), options


def _model_options(options: Mapping[str, str], text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in options.items():
        if key not in _MODEL_KEYS:
            raise ValueError(
                f"{key!r} in {text!r} is no option of a model; known are {', '.join(_MODEL_KEYS)}."
                " The model 'settings' is the one your settings name, token and template included"
            )
        if key == "labels":
            found[key] = tuple(value.split("|"))
        elif key in _SWITCHES:
            if value not in ("true", "false"):
                raise ValueError(f"{key} is true or false, not {value!r}")
            found[key] = value == "true"
        else:
            found[key] = _number(_NUMBERS[key], key, value) if key in _NUMBERS else value
    return found


def _evidence(options: Mapping[str, str], text: str) -> EvidenceSettings:
    found: dict[str, Any] = {}
    for key, value in options.items():
        if key not in _EVIDENCE_KEYS:
            raise ValueError(
                f"{key!r} in {text!r} is no setting of evidence; known are "
                f"{', '.join(_EVIDENCE_KEYS)}"
            )
        found[key] = _number(_EVIDENCE_KEYS[key], key, value)
    return EvidenceSettings(**found)


def _number(kind: type[int | float], key: str, value: str) -> float:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{key} is a number, not {value!r}") from None
