"""Presets on disk: a folder each, with a manifest that names every file's SHA-256.

A folder without a manifest, or one that differs from it in a single byte, is not loaded. Fetching
writes the manifest last, so a folder that is there is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from verifiers.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verifiers.backends.presets import Preset

MANIFEST = "groundrail-manifest.json"
_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of an installed model: its SHA-256 (hexadecimal) and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``groundrail models fetch`` got.

    Attributes:
        preset: Name of the preset.
        repo: Where it came from.
        revision: The commit.
        pinned: Whether that is the commit the preset pins (or the operator named one).
        files: By path inside the folder, with ``/``.
    """

    preset: str
    repo: str
    revision: str
    pinned: bool
    files: Mapping[str, FileEntry]

    @property
    def digest(self) -> str:
        """One digest of all files: of ``path NUL sha256 NUL`` in the order of their paths."""
        digest = hashlib.sha256()
        for path in sorted(self.files):
            digest.update(f"{path}\0{self.files[path].sha256}\0".encode())
        return f"sha256:{digest.hexdigest()[:48]}"

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(entry.size for entry in self.files.values())


def default_folder() -> Path:
    """Where presets are kept unless the operator says otherwise."""
    return Path.home() / ".local" / "share" / "groundrail" / "models"


def preset_folder(preset: Preset, folder: str | Path | None = None) -> Path:
    """The folder of one preset, whether or not it is there."""
    base = Path(folder).expanduser() if folder is not None else default_folder()
    return base / preset.name


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into a model's folder, at once or not at all."""
    body = {
        "version": _VERSION,
        "preset": manifest.preset,
        "repo": manifest.repo,
        "revision": manifest.revision,
        "pinned": manifest.pinned,
        "files": {
            path: {"sha256": entry.sha256, "size": entry.size}
            for path, entry in sorted(manifest.files.items())
        },
    }
    part = folder / f"{MANIFEST}.part"
    part.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    os.replace(part, folder / MANIFEST)  # noqa: PTH105 - the atomic one, by its usual name


def read_manifest(preset: Preset, folder: str | Path | None = None) -> Manifest | None:
    """The manifest of an installed preset, or None when it is not installed.

    Raises:
        ModelUnavailable: If there is one that cannot be read, or that is another preset's.
    """
    path = preset_folder(preset, folder) / MANIFEST
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as exc:
        raise _broken(preset, path) from exc
    manifest = _parsed(raw)
    if manifest is None or manifest.preset != preset.name or manifest.repo != preset.repo:
        raise _broken(preset, path)
    return manifest


def describe_files(folder: Path) -> dict[str, FileEntry]:
    """Every file below a folder but the manifest, hidden ones left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.name != MANIFEST and not name.parts[0].startswith("."):
            found[name.as_posix()] = FileEntry(file_sha256(path), path.stat().st_size)
    return found


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def faults(preset: Preset, manifest: Manifest, folder: str | Path | None = None) -> list[str]:
    """What differs between the files on disk and the manifest; empty when nothing does.

    Reads every file once.
    """
    base = preset_folder(preset, folder)
    said = []
    for name, entry in sorted(manifest.files.items()):
        path = base / name
        try:
            size = path.stat().st_size
            if not path.is_file():
                said.append(f"{name} is no file")
            elif size != entry.size:
                said.append(f"{name} has {size} bytes, not {entry.size}")
            elif file_sha256(path) != entry.sha256:
                said.append(f"{name} is not the file that was fetched: its SHA-256 differs")
        except FileNotFoundError:
            said.append(f"{name} is missing")
        except OSError as exc:
            said.append(f"{name} cannot be read ({exc.strerror or type(exc).__name__})")
    for name, expected in preset.digests.items():
        entry_of = manifest.files.get(name)
        if manifest.revision == preset.revision and entry_of and entry_of.sha256 != expected:
            said.append(f"{name} is not the file the preset pins: its SHA-256 differs")
    return said


def installed(
    preset: Preset, folder: str | Path | None = None, *, revision: str | None = None
) -> tuple[Path, Manifest]:
    """The folder of an installed preset, every file of it compared with the manifest.

    Args:
        preset: Which.
        folder: Where presets are kept; None for the usual place.
        revision: The commit, or the beginning of the digest, that the operator pins.

    Raises:
        ModelUnavailable: If it is not installed, a file is missing, cut or another one, or it is
            another revision than pinned.
    """
    manifest = read_manifest(preset, folder)
    base = preset_folder(preset, folder)
    if manifest is None:
        raise ModelUnavailable(
            f"The preset {preset.name!r} is not in {base.parent}. Nothing was downloaded: loading a"
            " model never does.",
            hint=f"Run: groundrail models fetch {preset.name}",
        )
    if revision is not None and not (
        manifest.revision.startswith(revision) or manifest.digest.startswith(revision)
    ):
        raise ModelUnavailable(
            f"The preset {preset.name!r} in {base.parent} is {manifest.revision}"
            f" ({manifest.digest}), but {revision} is pinned. It was not used.",
            hint=f"Run: groundrail models fetch {preset.name} --revision {revision} --force, or"
            " change `revision`.",
        )
    said = faults(preset, manifest, folder)
    if said:
        raise ModelUnavailable(
            f"The files of the preset {preset.name!r} in {base} are damaged: {'; '.join(said[:3])}."
            " It was not used.",
            hint=f"Run: groundrail models fetch {preset.name} --force",
        )
    return base, manifest


def _parsed(raw: Any) -> Manifest | None:
    try:
        files = {
            str(path): FileEntry(str(entry["sha256"]), int(entry["size"]))
            for path, entry in raw["files"].items()
        }
        if raw["version"] != _VERSION or not files:
            return None
        if not all(_inside(path) and _SHA256.fullmatch(e.sha256) for path, e in files.items()):
            return None
        return Manifest(
            preset=str(raw["preset"]),
            repo=str(raw["repo"]),
            revision=str(raw["revision"]),
            pinned=bool(raw["pinned"]),
            files=files,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _broken(preset: Preset, path: Path) -> ModelUnavailable:
    return ModelUnavailable(
        f"The manifest {path} cannot be read, or is not that of {preset.name!r}. The model was not"
        " used.",
        hint=f"Run: groundrail models fetch {preset.name} --force",
    )
