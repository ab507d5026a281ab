"""JSON over HTTP to a model server: one deadline a call, every failure a clear error.

The only import of ``httpx`` in ``verifiers``.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx

from verifiers.backends.spec import BUNDLED
from verifiers.errors import BackendFailed, InputTooLong, ModelUnavailable, Overloaded

if TYPE_CHECKING:
    from verifiers.backends.spec import ModelSpec

# Scoring changes nothing on the server, so a call may be repeated.
_PAUSES = (0.05, 0.25)
_LONGEST_PAUSE = 1.0
_MOST_BYTES = 64 * 2**20
_BUSY = frozenset({429, 503})


class RefusedInput(BackendFailed):
    """The server found the request itself wrong: 400, 413 or 422.

    Attributes:
        status: The HTTP status.
        body: What the server said, for us to classify; never shown, it may quote the input.
    """

    status: int = 0
    body: str = ""


class JsonClient:
    """Calls one server. Thread-safe.

    Cut connections and "busy" answers (429, 503) are tried again twice within the timeout;
    anything else is not.
    """

    def __init__(self, spec: ModelSpec, *, server: str) -> None:
        """Prepare; nothing is sent yet.

        Args:
            spec: Address, token and timeout.
            server: Name of the server for messages.
        """
        self.url, self.model = address(spec)
        self._server = server
        self._timeout = spec.timeout
        headers = {"accept": "application/json"}
        if spec.token:
            headers["authorization"] = f"Bearer {spec.token}"
        self._client = httpx.Client(
            base_url=self.url, headers=headers, timeout=spec.timeout, follow_redirects=False
        )

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        return self._call("GET", path, None)

    def post(self, path: str, payload: object) -> Any:
        """The JSON a path answers to a JSON payload.

        Raises:
            BackendFailed: If the server cannot be reached, takes too long, fails, or answers what
                is no JSON; as ``RefusedInput`` when it finds the request wrong.
            Overloaded: If it stays busy.
        """
        return self._call("POST", path, payload)

    def load(self, path: str) -> dict[str, Any]:
        """The JSON object at a path, at load time.

        Raises:
            ModelUnavailable: If there is none.
        """
        try:
            answer = self.get(path)
        except (BackendFailed, Overloaded) as exc:
            raise ModelUnavailable(
                f"{self._server} at {self.url} cannot be used: {exc.message}", hint=exc.hint
            ) from exc
        if not isinstance(answer, dict):
            raise ModelUnavailable(
                f"What answers at {self.url}{path} is not {self._server}.",
                hint="Check `url` and `backend`.",
            )
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _call(self, method: str, path: str, payload: object) -> Any:
        deadline = time.monotonic() + self._timeout
        content = None if payload is None else json.dumps(payload).encode()
        for pause in (*_PAUSES, None):
            try:
                status, body, wait = self._once(method, path, content, deadline)
            except httpx.TimeoutException as exc:
                raise self._late() from exc
            except httpx.TransportError as exc:
                if pause is None or time.monotonic() + pause >= deadline:
                    raise BackendFailed(
                        f"{self._server} at {self.url} cannot be reached or cut the connection"
                        f" ({type(exc).__name__}). Nothing was scored.",
                        hint="Check that it runs, and `url`.",
                    ) from exc
            else:
                if status not in _BUSY:
                    return self._read(status, body, path)
                pause = None if pause is None else max(pause, wait)  # noqa: PLW2901
                if pause is None or time.monotonic() + pause >= deadline:
                    raise Overloaded(
                        f"{self._server} at {self.url} is busy (HTTP {status}), also when asked"
                        " again. Nothing was scored.",
                        hint="Try again later, or give the server more capacity.",
                    )
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _once(
        self, method: str, path: str, content: bytes | None, deadline: float
    ) -> tuple[int, bytes, float]:
        """Status, body and the pause the server asks for."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise self._late()
        headers = {"content-type": "application/json"} if content is not None else None
        with self._client.stream(
            method, path, content=content, headers=headers, timeout=left
        ) as response:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                # httpx limits the wait for each piece, not for all of them.
                if time.monotonic() > deadline:
                    raise self._late()
                if len(body) > _MOST_BYTES:
                    raise self._malformed(path, f"more than {_MOST_BYTES} bytes")
            return response.status_code, bytes(body), _retry_after(response)

    def _read(self, status: int, body: bytes, path: str) -> Any:
        where = f"{self._server} at {self.url}{path}"
        if status in (400, 413, 422):
            refused = RefusedInput(
                f"{where} refused the request (HTTP {status}). Nothing was scored.",
                hint="Its log says why.",
            )
            refused.status = status
            refused.body = body[:4096].decode("utf-8", "replace")
            raise refused
        if status in (401, 403):
            raise BackendFailed(
                f"{where} does not let us in (HTTP {status}). Nothing was scored.",
                hint="Check the token of the model server.",
            )
        if status in (404, 405):
            raise BackendFailed(
                f"{where} does not exist (HTTP {status}). Nothing was scored.",
                hint="Check `url`, `model` and `backend`.",
            )
        if not 200 <= status < 300:  # noqa: PLR2004
            raise BackendFailed(
                f"{where} failed (HTTP {status}). Nothing was scored.", hint="Its log says why."
            )
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise self._malformed(path, "no JSON") from exc

    def _late(self) -> BackendFailed:
        return BackendFailed(
            f"{self._server} at {self.url} did not answer within {self._timeout:g} s."
            " Nothing was scored.",
            hint="Raise `timeout`, or lower the batch budget.",
        )

    def _malformed(self, path: str, what: str) -> BackendFailed:
        return BackendFailed(
            f"{self._server} at {self.url}{path} answered with {what}. Nothing was scored.",
            hint="Check that `url` and `backend` name the right server.",
        )

    def unexpected(self, path: str, what: str) -> BackendFailed:
        """An error for an answer of the wrong form."""
        return self._malformed(path, what)


def address(spec: ModelSpec) -> tuple[str, str | None]:
    """The server's address, and the model's name on it if one is configured.

    Raises:
        ModelUnavailable: If there is no address, or it is none.
    """
    is_url = spec.model.startswith(("http://", "https://"))
    url = (spec.url or (spec.model if is_url else "")).rstrip("/")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as exc:
        raise ModelUnavailable(
            "The address of the model server is no URL.", hint="Set `url`, as in http://host:8080."
        ) from exc
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ModelUnavailable(
            "The address of the model server is no http or https URL.",
            hint="Set `url`, as in http://host:8080.",
        )
    return url, None if is_url or spec.model == BUNDLED else spec.model


def too_long(limit: int) -> InputTooLong:
    """An error for a pair the server finds too long."""
    return InputTooLong(
        f"The model server refused a pair as too long; it reads {limit} tokens."
        " Nothing was cut and nothing was scored.",
        hint="Cut the source into windows, or the claim into sentences.",
    )


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(max(float(response.headers.get("retry-after", "0")), 0.0), _LONGEST_PAUSE)
    except ValueError:
        return 0.0  # a date: the pauses are shorter than its resolution
