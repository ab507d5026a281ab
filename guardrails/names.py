"""Whether the import names ``guardrails``, ``verifiers`` and ``policies`` are ours alone.

Other distributions install packages of these names (guardrails-ai, openai-guardrails, verifiers).
Installed side by side, files overwrite each other and what is imported depends on the order of
installation. That must be said at the first import, before half of one and half of another runs.

:func:`check_names` runs at import, so it costs a few directory look-ups (well under a millisecond
beside the 100 ms that asking every installed distribution takes). It looks for signs: a package
found elsewhere, a second package of the name on the path, files in our packages that we did not
install. Only a sign starts the full scan, which names the other distribution.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DISTRIBUTION = "groundrail"
NAMES = ("guardrails", "policies", "verifiers")

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - speed


class Collision(NamedTuple):
    """One import name with another claimant.

    Attributes:
        name: The import name.
        owners: Distributions that installed it, other than ours; may be empty for a loose folder.
        place: The other package's folder, or None when it shares ours.
    """

    name: str
    owners: tuple[str, ...]
    place: str | None


def check_names() -> None:
    """Make sure that our import names are ours alone.

    Source checkouts and editable installs pass, with or without installed metadata.

    Raises:
        guardrails.errors.NameCollision: Another distribution owns one of them, or one is imported
            from somewhere else. The message names it and says what to do.
        SystemExit: The same, with the message and without a traceback, in the groundrail command.
    """
    suspects = list(_suspects())
    if not suspects:
        return
    collisions = _explain(suspects)
    if not collisions:
        return
    error = _collision_error(collisions)
    if os.path.basename(sys.argv[0]) == DISTRIBUTION:  # noqa: PTH119
        # Our own command starts with this import: a sentence helps there, a traceback does not.
        raise SystemExit(f"error {error}")
    raise error


def find_collisions() -> tuple[Collision, ...]:
    """Every collision, from the full scan of installed distributions. Slow; for ``doctor``."""
    return _explain([*_suspects(), *((name, None, False) for name in NAMES)])


def _suspects() -> Iterator[tuple[str, str | None, bool]]:
    """``(name, other folder or None, whether it is certain)`` for every sign of a second owner."""
    for name in NAMES:
        first = True
        for entry in sys.path:
            folder = os.path.join(entry or os.getcwd(), name)  # noqa: PTH109, PTH118 - speed
            if not os.path.isfile(os.path.join(folder, "__init__.py")):  # noqa: PTH113, PTH118
                continue
            ours = os.path.join(_OURS, name)  # noqa: PTH118
            if not os.path.samefile(folder, ours):  # noqa: PTH121
                # The first on the path is what an import gives, whoever owns it.
                yield name, folder, first
            first = False
    yield from ((name, None, False) for name in _foreign_files())


def _foreign_files() -> Iterator[str]:
    """Names of our packages that hold files which our own installation did not put there."""
    listed = _recorded()
    if listed is None:
        return
    for name in NAMES:
        try:
            present = os.listdir(os.path.join(_OURS, name))  # noqa: PTH118, PTH208 - speed
        except OSError:
            continue
        if any(f"{name}/{entry}" not in listed for entry in present if entry != "__pycache__"):
            yield name


def _recorded() -> set[str] | None:
    """The first two path parts of every file of our installed RECORD; None in a checkout."""
    prefix = f"{DISTRIBUTION}-"
    try:
        entries = os.listdir(_OURS)  # noqa: PTH208 - speed
    except OSError:  # inside a zip
        return None
    for entry in entries:
        if entry.startswith(prefix) and entry.endswith(".dist-info"):
            try:
                record = os.path.join(_OURS, entry, "RECORD")  # noqa: PTH118
                with open(record, encoding="utf-8") as lines:  # noqa: PTH123 - speed
                    return {"/".join(line.split(",", 1)[0].split("/")[:2]) for line in lines}
            except OSError:
                return None
    return None


def _explain(suspects: Iterable[tuple[str, str | None, bool]]) -> tuple[Collision, ...]:
    from importlib.metadata import packages_distributions

    owners = packages_distributions()
    found: dict[str, Collision] = {}
    for name, place, certain in suspects:
        others = tuple(
            sorted({owner for owner in owners.get(name, ()) if owner.lower() != DISTRIBUTION})
        )
        if (others or certain) and name not in found:
            found[name] = Collision(name, others, place)
    return tuple(found.values())


def describe(collisions: Iterable[Collision]) -> tuple[str, str]:
    """What is wrong and what to do about it, for people."""
    said: list[str] = []
    remove: list[str] = []
    for name, owners, place in collisions:
        who = " and ".join(repr(owner) for owner in owners)
        where = f" in {place}" if place else ""
        if who:
            said.append(f"the import name {name!r} also belongs to the distribution {who}{where}")
            remove.extend(owner for owner in owners if owner not in remove)
        else:
            said.append(f"the import name {name!r} is taken by another package{where}")
    message = "; ".join(said)
    if remove:
        hint = (
            "Install groundrail in an environment of its own, or run: "
            f"pip uninstall {' '.join(remove)} && "
            f"pip install --force-reinstall --no-deps {DISTRIBUTION}"
        )
    else:
        hint = "Rename that package or start Python from another folder."
    return message, hint


def _collision_error(collisions: Iterable[Collision]) -> Exception:
    # Our error tree is rooted in verifiers.errors. When "verifiers" is someone else's package that
    # module must come from beside us all the same, so it is loaded by place.
    module = "verifiers.errors"
    borrowed = module not in sys.modules
    if borrowed:
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location(
            module,
            os.path.join(_OURS, "verifiers", "errors.py"),  # noqa: PTH118
        )
        if spec is None or spec.loader is None:
            return ImportError(" ".join(describe(collisions)))
        loaded = module_from_spec(spec)
        sys.modules[module] = loaded
        spec.loader.exec_module(loaded)
    try:
        from guardrails.errors import NameCollision

        message, hint = describe(collisions)
        return NameCollision(f"{message}; nothing was loaded.", hint=hint)
    finally:
        if borrowed:
            del sys.modules[module]
