"""A scripted model hub on the loopback interface, for tests of fetching without a network."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_WEIGHTS = (".bin", ".safetensors")
_LARGE = 100  # bytes; smaller files are never cut


@dataclass(slots=True)
class FakeHub:
    """Speaks what ``huggingface_hub`` asks: a repository's listing, and its files by commit.

    Attributes:
        repos: Files by repository and name.
        commits: The one commit of each repository.
        wrong: Digests to announce for a file instead of its own.
        fail: Status and error code to answer to everything, or None.
        cut: Send half of every larger file and then close the connection.
        hold: A file of which half is sent, and no more as long as the hub is there.
        held: Set once that half was sent.
        requests: Method and path of everything that was asked.
        url: Where it listens, once entered.
    """

    repos: Mapping[str, dict[str, bytes]]
    commits: Mapping[str, str]
    wrong: dict[str, str] = field(default_factory=dict)
    fail: tuple[int, str] | None = None
    cut: bool = False
    hold: str | None = None
    held: threading.Event = field(default_factory=threading.Event)
    requests: list[str] = field(default_factory=list)
    url: str = ""
    _leaving: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Listen on a free port."""
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self})
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._leaving.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def wait(self, handler: BaseHTTPRequestHandler) -> None:
        """Send nothing more until the hub is left; then the connection is closed."""
        handler.close_connection = True
        self.held.set()
        self._leaving.wait()

    def listing(self, repo: str) -> dict[str, Any]:
        """What the hub's API says of a repository, digests included."""
        siblings = []
        for name, content in self.repos[repo].items():
            header = f"blob {len(content)}\0".encode()
            blob = hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
            entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
            if name.endswith(_WEIGHTS):
                sha256 = self.wrong.get(name, hashlib.sha256(content).hexdigest())
                entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
            elif name in self.wrong:
                entry["blobId"] = self.wrong[name]
            siblings.append(entry)
        return {"id": repo, "sha": self.commits[repo], "siblings": siblings}


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.requests.append(f"{self.command} {path}")
        if self.hub.fail is not None:
            self._refuse(*self.hub.fail)
        elif path.startswith("api/models/"):
            self._list(path.removeprefix("api/models/"), body=body)
        else:
            repo, _, rest = path.partition("/resolve/")
            self._file(repo, *rest.split("/", 1), body=body)

    def _list(self, path: str, *, body: bool) -> None:
        repo, _, revision = path.partition("/revision/")
        if repo not in self.hub.repos:
            self._refuse(404, "RepoNotFound")
        elif revision not in ("", "main", self.hub.commits[repo]):
            self._refuse(404, "RevisionNotFound")
        else:
            self._send(json.dumps(self.hub.listing(repo)).encode(), {}, body=body)

    def _file(self, repo: str, revision: str, name: str = "", *, body: bool) -> None:
        content = self.hub.repos.get(repo, {}).get(name)
        if content is None:
            self._refuse(404, "EntryNotFound" if repo in self.hub.repos else "RepoNotFound")
            return
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        self._send(content, {"ETag": etag, "X-Repo-Commit": revision}, body=body, name=name)

    def _send(
        self, content: bytes, headers: Mapping[str, str], *, body: bool, name: str = ""
    ) -> None:
        start = 0
        wanted = self.headers.get("Range")
        if wanted and body:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not body:
            return
        if self.hub.cut and headers and len(content) > _LARGE:
            self.wfile.write(content[: len(content) // 2] if start == 0 else b"")
            self.close_connection = True
        elif name and name == self.hub.hold:
            self.wfile.write(content[start : (start + len(content)) // 2])
            self.hub.wait(self)
        else:
            self.wfile.write(content[start:])

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
