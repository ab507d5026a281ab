"""The processes of a benchmark: provider, LiteLLM's proxy, our own; started, watched, ended."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from guardrails.bench.load import Target
from guardrails.bench.provider import FAST, PACED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

START_S: Final = 300.0
_STOP_S: Final = 30.0
_PATH: Final = "/v1/chat/completions"


class Child:
    """One process of ours.

    Attributes:
        url: Where it listens.
        pid: Its id.
    """

    def __init__(self, command: Sequence[str], folder: Path, name: str, *, url: str = "") -> None:
        """Start it, its output in a file of the folder."""
        self.url = url
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own commands
                list(command),
                cwd=folder,
                stdout=subprocess.PIPE if not url else log,
                stderr=log,
            )
        self.pid = self._process.pid

    def first_line(self) -> str:
        """What it says first, which is where it listens."""
        assert self._process.stdout is not None  # noqa: S101 - asked only where it is a pipe
        line = self._process.stdout.readline().decode().strip()
        if not line:
            raise RuntimeError(f"it did not start: {self.tail()}")
        return line

    def wait(self, path: str) -> None:
        """Until it answers at a path with success.

        Raises:
            RuntimeError: If it ends, or does not in time; with the end of its output.
        """
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}{path}", timeout=5):  # noqa: S310 - ours
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError(f"it did not start: {self.tail()}")

    def tail(self) -> str:
        """The end of its output."""
        return self._log.read_text("utf-8", "replace")[-3000:]

    def stop(self) -> int:
        """End it, as a service manager does; gives its exit status."""
        self._process.terminate()
        try:
            return self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()


class Stage:
    """A folder and the processes in it, ended together."""

    def __init__(self, owned: ExitStack) -> None:
        self._owned = owned
        self.folder = Path(owned.enter_context(tempfile.TemporaryDirectory(prefix="gr-bench-")))

    def provider(self) -> Child:
        """The scripted provider."""
        child = self._start([sys.executable, "-m", "guardrails.bench.provider"], "provider")
        child.url = child.first_line()
        return child

    def litellm(self, provider: Child) -> tuple[Child, Target]:
        """LiteLLM's proxy: one worker, no keys, as ours; no guardrails, no database."""
        config = {
            "model_list": _models(provider),
            "litellm_settings": {"telemetry": False},
            # Nobody needs a key on either side of the comparison; LiteLLM wants that in writing.
            "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
        }
        (self.folder / "litellm.yaml").write_text(json.dumps(config))  # JSON is YAML
        port = free_port()
        child = self._start(
            [
                "/usr/bin/env",
                "LITELLM_LOCAL_MODEL_COST_MAP=True",
                "LITELLM_LOG=ERROR",
                str(Path(sys.executable).with_name("litellm")),
                *("--config", "litellm.yaml", "--host", "127.0.0.1", "--port", str(port)),
            ],
            "litellm",
            url=f"http://127.0.0.1:{port}",
        )
        child.wait("/health/liveliness")
        return child, _target("LiteLLM", child.url)

    def groundrail(
        self,
        provider: Child,
        name: str,
        *,
        policy: str,
        unchecked: str | None = None,
        **settings: Any,
    ) -> tuple[Child, Target]:
        """Our proxy, one process.

        Args:
            provider: What it stands in front of.
            name: What the table calls it.
            policy: For every request; ``none`` for no verification.
            unchecked: A model whose answers are not verified all the same.
            **settings: More sections of the settings.
        """
        port = free_port()
        models = self.folder / f"{name}.models.yaml"
        models.write_text(json.dumps({"model_list": _models(provider)}))
        config = {
            "store": {"url": f"sqlite:///{self.folder / name}.db"},
            "proxy": {
                "port": port,
                "auth": "off",
                "model_list": str(models),
                "routes": [
                    *([] if unchecked is None else [{"model": unchecked, "policy": "none"}]),
                    {"policy": policy},
                ],
                "limits": {"concurrency": 128, "queue": 256},
            },
            **settings,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(config))
        child = self._start(
            [sys.executable, "-m", "guardrails.cli", "proxy", "--config", str(path)],
            name,
            url=f"http://127.0.0.1:{port}",
        )
        child.wait("/readyz")
        return child, _target(name, child.url)

    def _start(self, command: Sequence[str], name: str, *, url: str = "") -> Child:
        child = Child(command, self.folder, name, url=url)
        self._owned.callback(child.stop)
        return child


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage whose processes end with it."""
    with ExitStack() as owned:
        yield Stage(owned)


def straight(provider: Child) -> Target:
    """The provider itself."""
    return _target("straight", provider.url)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _target(name: str, url: str) -> Target:
    return Target(name, f"{url}{_PATH}", {"authorization": "Bearer none"})


def _models(provider: Child) -> list[Mapping[str, Any]]:
    return [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/{name}",
                "api_base": f"{provider.url}/v1",
                "api_key": "none",
            },
        }
        for name in (FAST, PACED)
    ]
