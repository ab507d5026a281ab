"""Presets fetched from the Hugging Face hub. The only import of ``huggingface_hub``.

Only the files a preset needs are taken, never code. Each is compared with the digest the hub
states for it at that commit and with the one the preset pins, if it does; the manifest is written
last, and the folder moved into place whole.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifiers.backends.installed import (
    Manifest,
    describe_files,
    faults,
    file_sha256,
    preset_folder,
    read_manifest,
    write_manifest,
)
from verifiers.errors import MissingExtra, ModelUnavailable

try:
    import huggingface_hub
    from huggingface_hub import errors as hub_errors
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )
except ModuleNotFoundError as exc:
    if exc.name != "huggingface_hub":
        raise  # installed but broken
    raise MissingExtra(
        "Fetching models needs huggingface_hub, which is not installed.",
        hint="Run: pip install 'groundrail[torch]'",
    ) from exc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from verifiers.backends.presets import Preset

_NEEDED = ("config.json", "tokenizer.json")
_HELPFUL = (
    "added_tokens.json",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
)
# In order of preference. A .bin is a pickle; torch reads it in its weights-only mode.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")

# Of the place where the model is to lie, not of the hub.
_DISK_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS})


def fetch(
    preset: Preset,
    folder: str | Path | None = None,
    *,
    revision: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    force: bool = False,
    quiet: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Manifest, bool]:
    """Get a preset's files, unless they are there already and whole.

    Args:
        preset: Which.
        folder: Where presets are kept; None for the usual place.
        revision: Another commit, tag or branch than the preset's.
        endpoint: Another hub than huggingface.co.
        token: For a hub that asks for one; None for the one huggingface_hub knows of.
        force: Get them again even when they are there.
        quiet: Show no progress bars.
        say: Told what is being done.

    Returns:
        The manifest, and whether anything was downloaded.

    Raises:
        ModelUnavailable: If the hub cannot be reached, does not have it, asks for a token, or
            sends other bytes than it or the preset promised. What was installed stays.
    """
    target = preset_folder(preset, folder)
    staging = target.with_name(f".{preset.name}.part")
    try:
        _undo_half_a_swap(target)
        if not force:
            manifest = _usable(preset, folder, revision)
            if manifest is not None:
                return manifest, False
        staging.mkdir(parents=True, exist_ok=True)
        source = _Source(endpoint=endpoint, token=token, say=say)
        wanted = revision or preset.revision
        with _bars(shown=not quiet):
            commit, names = source.get(
                preset.repo,
                wanted,
                staging,
                needed=_NEEDED[:1] if preset.companion else _NEEDED,
                helpful=() if preset.companion else _HELPFUL,
                weights=_WEIGHTS,
                pinned=preset.digests if wanted == preset.revision else {},
            )
            if preset.companion is not None:
                _, others = source.get(
                    preset.companion.repo,
                    preset.companion.revision,
                    staging / preset.companion.folder,
                    needed=preset.companion.files,
                )
                names += [f"{preset.companion.folder}/{name}" for name in others]
        _leave_only(staging, names)
        manifest = Manifest(
            preset=preset.name,
            repo=preset.repo,
            revision=commit,
            pinned=wanted is not None and commit.startswith(wanted),
            files=describe_files(staging),
        )
        write_manifest(staging, manifest)
        _put_in_place(staging, target)
    except OSError as exc:
        raise ModelUnavailable(
            f"The preset {preset.name!r} could not be written to {target}:"
            f" {exc.strerror or type(exc).__name__}. What was there before stays.",
            hint=f"{preset.megabytes} MB are needed; choose another place with --folder.",
        ) from exc
    return manifest, True


@contextmanager
def _bars(*, shown: bool) -> Iterator[None]:
    """Progress bars of huggingface_hub, put back afterwards as the application had them."""
    if shown or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


class _Source:
    """One hub, asked for a few files at one commit."""

    def __init__(
        self, *, endpoint: str | None, token: str | None, say: Callable[[str], None]
    ) -> None:
        self._endpoint = endpoint
        self._token = token
        self._say = say
        self._api = huggingface_hub.HfApi(endpoint=endpoint, token=token)

    def get(
        self,
        repo: str,
        revision: str | None,
        folder: Path,
        *,
        needed: Sequence[str],
        helpful: Sequence[str] = (),
        weights: Sequence[str] = (),
        pinned: Any = None,
    ) -> tuple[str, list[str]]:
        """Download the files of one repository and check them; their commit, and their names."""
        try:
            info = self._api.model_info(repo, revision=revision, files_metadata=True)
        except Exception as exc:
            raise _unreachable(repo, revision, exc) from exc
        commit = str(info.sha or "")
        there = {item.rfilename: item for item in info.siblings or ()}
        chosen = [*needed, *(name for name in helpful if name in there)]
        if weights:
            chosen.append(next((name for name in weights if name in there), weights[0]))
        for name in chosen:
            if name not in there:
                raise ModelUnavailable(
                    f"{repo} has no {name} at {commit or revision}. Nothing was installed.",
                    hint="Leave out --revision to get the commit the preset was made for.",
                )
        for name in chosen:
            self._say(f"{repo} {commit[:12]} {name}")
            try:
                path = huggingface_hub.hf_hub_download(
                    repo,
                    name,
                    revision=commit or revision,
                    local_dir=folder,
                    endpoint=self._endpoint,
                    token=self._token,
                )
            except Exception as exc:
                if isinstance(exc, OSError) and exc.errno in _DISK_FAULTS:
                    raise
                raise _unreachable(repo, revision, exc, file=name) from exc
            _compare(Path(path), repo, name, there[name], (pinned or {}).get(name))
        return commit, chosen


def _leave_only(staging: Path, names: Sequence[str]) -> None:
    """Take away what is not of this fetch.

    That is the library's notes, and files of another revision that a fetch which was killed had
    got already. Noted in the manifest, those would be part of a model that never was.
    """
    wanted = {staging / name for name in names}
    for path in sorted(staging.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path.is_dir() and not path.is_symlink():
            if not any(path in keep.parents for keep in wanted):
                path.rmdir()
        elif path not in wanted:
            path.unlink()


def _compare(path: Path, repo: str, name: str, told: Any, pinned: str | None) -> None:
    """A downloaded file against what the hub and the preset say of it; removed when it differs."""
    sha256 = file_sha256(path)
    lfs = getattr(told, "lfs", None)
    blob = getattr(told, "blob_id", None)
    if lfs is not None:
        same = sha256 == str(lfs.sha256).lower()
    elif blob:
        content = path.read_bytes()
        # How git names a file, which is what the hub goes by for small ones.
        header = f"blob {len(content)}\0".encode()
        same = hashlib.sha1(header + content, usedforsecurity=False).hexdigest() == blob
    else:
        same = True
    if same and pinned in (None, sha256):
        return
    path.unlink(missing_ok=True)
    raise ModelUnavailable(
        f"{name} of {repo} is not the file that"
        f" {'the preset pins' if same else 'the hub announced'}: its SHA-256 starts with"
        f" {sha256[:12]}. It was thrown away and nothing was installed.",
        hint="Try again; if it stays so, the file was replaced on the hub or on its way here.",
    )


def _usable(preset: Preset, folder: str | Path | None, revision: str | None) -> Manifest | None:
    try:
        manifest = read_manifest(preset, folder)
    except ModelUnavailable:
        return None  # fetched again
    wanted = revision or preset.revision
    if manifest is None or (wanted is not None and not manifest.revision.startswith(wanted)):
        return None
    return None if faults(preset, manifest, folder) else manifest


def _set_aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _undo_half_a_swap(target: Path) -> None:
    """Put back the model that a fetch had set aside when it was killed."""
    old = _set_aside(target)
    if old.exists() and not target.exists():
        old.rename(target)


def _put_in_place(staging: Path, target: Path) -> None:
    old = _set_aside(target)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    staging.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _unreachable(
    repo: str, revision: str | None, exc: Exception, *, file: str | None = None
) -> ModelUnavailable:
    what = f"{file} of {repo}" if file else repo
    nothing = "Nothing was installed."
    if isinstance(exc, hub_errors.OfflineModeIsEnabled):
        return ModelUnavailable(
            f"{what} was not fetched: huggingface_hub is told to stay offline. {nothing}",
            hint="Unset HF_HUB_OFFLINE, or fetch on another machine and copy the folder.",
        )
    if isinstance(exc, hub_errors.GatedRepoError):
        return ModelUnavailable(
            f"{repo} asks for its terms to be accepted first. {nothing}",
            hint="Accept them on its page on the hub, then give a token: set HF_TOKEN.",
        )
    if isinstance(exc, hub_errors.RevisionNotFoundError):
        return ModelUnavailable(
            f"{repo} has no revision {revision}. {nothing}",
            hint="Leave out --revision to get the commit the preset was made for.",
        )
    status = getattr(getattr(exc, "response", None), "status_code", None)
    if status in (401, 403):
        return ModelUnavailable(
            f"The hub refused {what} (HTTP {status}): it is private, gated or gone, or the token is"
            f" wrong. {nothing}",
            hint="Set HF_TOKEN to a token that may read it, or unset a wrong one.",
        )
    if status == 404:  # noqa: PLR2004 - HTTP's own number
        return ModelUnavailable(
            f"The hub has no {what}{f' at {revision}' if revision else ''}. {nothing}",
            hint="It was moved or taken down; see `groundrail models list` for others.",
        )
    told = f"HTTP {status}" if status else type(exc).__name__
    return ModelUnavailable(
        f"{what} could not be fetched ({told}). {nothing}",
        hint="Check the network and try again: files that have arrived are not fetched twice.",
    )
