"""What is left open: LiteLLM's fails no test, anybody else's does, and says where it comes from."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Each leaves one thing open in a cycle, so that it is found when garbage is collected.
KINDS = {
    "socket": "made = socket.socket()",
    "loop": "made = asyncio.SelectorEventLoop()",
    "transport": """
listening = socket.create_server(("127.0.0.1", 0))
async def connect():
    connected = await asyncio.open_connection(*listening.getsockname())
    return connected[1].transport
loop = asyncio.SelectorEventLoop()
made = loop.run_until_complete(connect())
loop.close()
listening.close()
""",
    "session": """
async def begin():
    return aiohttp.ClientSession()
made = asyncio.run(begin())
""",
}
_AROUND = """
import asyncio, gc, socket
import aiohttp
class Box: pass
def leave(inner=None):
    if inner is not None:
        return inner()
    {}
    box = Box()
    box.made, box.box = made, box
"""


def package(name: str, kind: str) -> Callable[..., None]:
    """A function of a package of that name that leaves something open, or calls another."""
    made: dict[str, Any] = {"__name__": f"{name}.made_up"}
    code = _AROUND.format(KINDS[kind].replace("\n", "\n    "))
    exec(compile(code, f"/site-packages/{name}/made_up.py", "exec"), made)
    leave: Callable[..., None] = made["leave"]
    return leave


@pytest.fixture
def judged(makers: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What is told of finalizers, each with what the fixture for all tests made of it."""
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: found.append(makers.judge(told)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield found


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
def test_litellms_is_told_apart(judged: list[Any], kind: str) -> None:
    """Whatever it is, and also where our code called LiteLLM."""
    gc.collect()
    judged.clear()
    package("litellm", kind)()
    gc.collect()
    package("guardrails", kind)(package("litellm", kind))
    gc.collect()
    assert len(judged) >= 2
    assert set(judged) == {None}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["guardrails", "openai"])
def test_ours_is_told_with_its_maker(judged: list[Any], kind: str, name: str) -> None:
    """Our code's, a test's through a library, and ours where LiteLLM called it."""
    gc.collect()
    for leave in (
        package(name, kind),
        partial(package("litellm", kind), package("guardrails", kind)),
    ):
        judged.clear()
        leave()
        gc.collect()
        said = [told.err_msg for told in judged if told is not None]
        assert said
        assert any("something made in" in text for text in said)
        assert any("test_ours_is_told_with_its_maker" in text for text in said)
    assert all(issubclass(told.exc_type, ResourceWarning) for told in judged if told)


@pytest.mark.parametrize(("name", "told"), [("litellm", False), ("guardrails", True)])
def test_coroutines_nobody_awaited(judged: list[Any], name: str, told: bool) -> None:
    """Python names no maker of those, but the file they are from."""
    made: dict[str, Any] = {}
    code = compile("async def late(): pass", f"/site-packages/{name}/made_up.py", "exec")
    exec(code, made)
    made["late"]()
    gc.collect()
    assert [found is not None for found in judged] == [told]


def test_an_id_is_used_again(makers: Any) -> None:
    """Who made the last object there counts."""
    made = object()
    there: dict[str, Any] = {"__name__": "litellm", "note": makers.note, "made": made}
    exec("note(made)", there)
    assert (id(made), object) in makers._foreign
    makers.note(made)
    assert (id(made), object) not in makers._foreign


@pytest.mark.parametrize(("name", "outcome"), [("litellm", "1 passed"), ("guardrails", "1 failed")])
def test_pytest_is_told(tmp_path: Path, name: str, outcome: str) -> None:
    """In a run of its own: one of our leaks fails, with the maker, and LiteLLM's does not."""
    (tmp_path / "conftest.py").write_bytes((Path(__file__).parent / "conftest.py").read_bytes())
    (tmp_path / "made_up.py").write_text(
        f"__name__ = '{name}.made_up'\nimport socket\ndef leave():\n    socket.socket()\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import sys\nsys.path.insert(0, '.')\nimport made_up\ndef test_it():\n    made_up.leave()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:randomly", "-q", "test_it.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert outcome in ran.stdout
    assert ("something made in" in ran.stdout) is (name == "guardrails")


def test_loops_still_work() -> None:
    """Noting changes nothing of what is made."""

    async def look() -> str:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        read = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return repr(read)

    assert asyncio.run(look()) == "b''"
