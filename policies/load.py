"""Policies from presets, files and mappings. The only I/O of this package.

A reference is the name of a preset (``balanced``), the path of a YAML file, a mapping of the same
keys, or a ``Policy``. A preset's name wins over a file of the same name: write ``./balanced`` for
the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from policies._problems import nearest, problems_of
from policies._yaml import Document, YamlProblem, read
from policies.errors import PolicyInvalid, PolicyNotFound, Problem
from policies.schema import Policy, merged

if TYPE_CHECKING:
    from policies._yaml import Path as KeyPath

MAX_BYTES = 256 * 1024


def preset_names() -> tuple[str, ...]:
    """The names of the policies that come with the package, in alphabetical order."""
    folder = resources.files("policies") / "presets"
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def load_policy(ref: str | Path | Mapping[str, object] | Policy) -> Policy:
    """The policy that ``ref`` names, with what it extends read in, checked as a whole.

    A file without a ``name`` is named after itself.

    Raises:
        PolicyNotFound: If there is no preset and no file of that name.
        PolicyInvalid: If it cannot be read or breaks the schema; lists every problem with its key
            and, for a file, its line.
    """
    if isinstance(ref, Policy):
        return ref
    if isinstance(ref, Mapping):
        return _resolve(Document(dict(ref)), source="(given as a mapping)", name="custom")
    if isinstance(ref, str) and ref in preset_names():
        return parse_policy(_preset_text(ref), source=f"preset {ref}", name=ref)
    path = Path(ref)
    return parse_policy(_decode(_read_bytes(path), path), source=str(path), name=path.stem)


def parse_policy(text: str, *, source: str, name: str = "custom") -> Policy:
    """The policy that YAML text spells out.

    Args:
        text: The text.
        source: What to call it in errors.
        name: The policy's name where the text gives none.

    Raises:
        PolicyInvalid: As for ``load_policy``.
    """
    try:
        document = read(text)
    except YamlProblem as stopped:
        raise PolicyInvalid(source, (stopped.problem,)) from None
    return _resolve(document, source=source, name=name)


def _resolve(document: Document, *, source: str, name: str) -> Policy:
    if not isinstance(document.value, dict):
        found = _NAMED.get(type(document.value), "a single value")
        message = f"a policy is a table of keys, and this is {found}"
        hint = "Start with `version: 1` and `extends: balanced`."
        raise PolicyInvalid(source, (Problem("", message),), hint=hint)
    own = {"name": name, **document.value}
    base: dict[str, object] = {}
    if "extends" in own:
        base = _extended(own.pop("extends"), source, document.lines)
    try:
        return Policy.model_validate(merged(base, own))
    except ValidationError as error:
        raise PolicyInvalid(source, problems_of(error, document.lines), hint=_SEE) from None


def _extended(preset: object, source: str, lines: Mapping[KeyPath, int]) -> dict[str, object]:
    names = preset_names()
    if not isinstance(preset, str) or preset not in names:
        message = f"{preset!r} is no preset; allowed: {', '.join(names)}{nearest(preset, names)}"
        problem = Problem("extends", message, lines.get(("extends",)))
        raise PolicyInvalid(source, (problem,), hint=_SEE)
    base = load_policy(preset).model_dump(mode="json")
    # A description is of the policy it was written for. So is a name, which _resolve sets anew.
    return {key: value for key, value in base.items() if key != "description"}


_NAMED = {type(None): "empty", str: "text", list: "a list"}
_SEE = "`groundrail policy show balanced` prints a complete policy."


def _preset_text(name: str) -> str:
    return (resources.files("policies") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


def _read_bytes(path: Path) -> bytes:
    names = preset_names()
    try:
        if path.exists() and not path.is_file():
            raise PolicyInvalid(str(path), (Problem("", "this is not a file"),))
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise PolicyNotFound(
            f"There is no preset and no file {str(path)!r}; no policy was loaded.",
            hint=f"Presets: {', '.join(names)}{nearest(str(path), names)}.",
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise PolicyInvalid(str(path), (Problem("", f"cannot be read: {reason}"),)) from error
    if len(data) > MAX_BYTES:
        message = f"is larger than {MAX_BYTES // 1024} KiB, which no policy is"
        raise PolicyInvalid(str(path), (Problem("", message),))
    return data


def _decode(data: bytes, path: Path) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8 text (byte 0x{data[error.start]:02x}); save it as UTF-8"
        raise PolicyInvalid(str(path), (Problem("", message, line),)) from None
    if "\0" in text:
        message = "is a binary file (or UTF-16 text); save the policy as UTF-8 text"
        raise PolicyInvalid(str(path), (Problem("", message),))
    return text
