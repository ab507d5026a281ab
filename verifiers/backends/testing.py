"""A model server on a loopback socket that says what it is told to: a shipped fake.

Speaks the three protocols :mod:`verifiers.backends.remote` and :mod:`verifiers.backends.kserve`
read, answers by a rule, and fails as scripted: statuses, broken bodies, slow and cut connections.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import log
from typing import TYPE_CHECKING, Any, Literal, Self

from verifiers.backends.labels import read_columns
from verifiers.testing import lexical_rule
from verifiers.types import Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from verifiers.types import NLIProbs

Dialect = Literal["tei", "vllm", "kserve"]

#: How the fake reads a vLLM text back into a pair.
TEMPLATE = "{premise} ||| {hypothesis}"
_SEPARATOR = " ||| "


@dataclass(frozen=True, slots=True)
class Fault:
    """How one scoring call goes wrong.

    Attributes:
        status: HTTP status to answer with.
        body: Exact body to answer with; None answers as usual.
        wait: Seconds before the answer.
        cut: Close the connection half-way through the answer.
        retry_after: Value of the ``Retry-After`` header.
    """

    status: int = 200
    body: bytes | None = None
    wait: float = 0.0
    cut: bool = False
    retry_after: str | None = None


class FakeModelServer:
    """A scripted server; a context manager.

    Attributes:
        url: Where it listens.
        requests: Path and payload of every call, in order.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        rule: Callable[[Pair], NLIProbs] = lexical_rule,
        labels: Sequence[str] = ("contradiction", "entailment", "neutral"),
        faults: Iterable[Fault | None] = (),
        max_tokens: int = 512,
        max_batch: int = 32,
        decode: Callable[[Sequence[int]], Pair] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Script the server.

        Args:
            dialect: Which protocol it speaks.
            rule: Answers pairs.
            labels: The model's labels, in column order.
            faults: How the first scoring calls go wrong, in order; None lets one through.
            max_tokens: Longest pair, in words and four specials.
            max_batch: Most pairs a call may hold (TEI).
            decode: Turns token ids back into a pair, for models that take ids.
            metadata: Replaces parts of what the server says of its model.
        """
        self.requests: list[tuple[str, Any]] = []
        self._dialect = dialect
        self._rule = rule
        self._labels = tuple(labels)
        self._roles = read_columns(self._labels).roles
        self._faults = iter(faults)
        self._max_tokens = max_tokens
        self._max_batch = max_batch
        self._decode = decode
        self._metadata = metadata or {}
        self._stop = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer; two would wait for the first to be confirmed
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                fake._handle(self, None)

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", "0"))
                fake._handle(self, json.loads(self.rfile.read(length)))

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing on the console."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # ------------------------------------------------------------------ one call

    def _handle(self, call: BaseHTTPRequestHandler, payload: Any) -> None:
        self.requests.append((call.path, payload))
        scoring = payload is not None and call.path != "/tokenize"
        fault = (next(self._faults, None) if scoring else None) or Fault()
        if fault.wait:
            self._stop.wait(fault.wait)
        status, answer = self._answer(call.path, payload)
        body = json.dumps(answer).encode() if fault.body is None else fault.body
        if fault.status != 200:  # noqa: PLR2004
            status = fault.status
        try:
            call.send_response(status)
            call.send_header("content-type", "application/json")
            call.send_header("content-length", str(len(body)))
            if fault.retry_after is not None:
                call.send_header("retry-after", fault.retry_after)
            call.end_headers()
            if fault.cut:
                call.wfile.write(body[: len(body) // 2])
                call.close_connection = True
                call.wfile.flush()
                call.connection.close()
                return
            call.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has gone, which is what some tests are about

    def _answer(self, path: str, payload: Any) -> tuple[int, Any]:
        if self._dialect == "tei":
            return self._tei(path, payload)
        if self._dialect == "vllm":
            return self._vllm(path, payload)
        return self._kserve(path, payload)

    def _row(self, pair: Pair) -> list[float]:
        probs = self._rule(pair)
        by_role = {
            "entailment": probs.entailment,
            "neutral": probs.neutral,
            "contradiction": probs.contradiction,
            "rest": probs.neutral + probs.contradiction,
        }
        return [by_role[role] for role in self._roles]

    def _too_long(self, pair: Pair) -> bool:
        return len(pair.premise.split()) + len(pair.hypothesis.split()) + 4 > self._max_tokens

    def _tei(self, path: str, payload: Any) -> tuple[int, Any]:  # noqa: PLR0911 - one a case
        if path == "/info":
            return 200, {
                "model_id": "fake/nli",
                "model_sha": "fca14538aa9956a46526bd1d0d11d69e19b5a101",
                "model_dtype": "float32",
                "model_type": {
                    "classifier": {
                        "id2label": {str(i): name for i, name in enumerate(self._labels)},
                        "label2id": {name: i for i, name in enumerate(self._labels)},
                    }
                },
                "max_input_length": self._max_tokens,
                "max_client_batch_size": self._max_batch,
                "auto_truncate": True,
                "version": "1.8.0",
                **self._metadata,
            }
        if path == "/tokenize":
            if len(payload["inputs"]) > self._max_batch:
                return 413, {"error": "batch size", "error_type": "Validation"}
            return 200, [[{"id": 1, "text": w} for w in text.split()] for text in payload["inputs"]]
        if path != "/predict":
            return 404, {}
        pairs = [Pair(*item) for item in payload["inputs"]]
        if len(pairs) > self._max_batch:
            return 413, {"error": "batch size", "error_type": "Validation"}
        # As the real one: without an explicit false, long inputs are cut in silence.
        if not payload.get("truncate", True) and any(map(self._too_long, pairs)):
            return 413, {"error": "`inputs` must have less tokens", "error_type": "Validation"}
        return 200, [
            sorted(
                (
                    {"score": score, "label": name}
                    for name, score in zip(self._labels, self._row(pair), strict=True)
                ),
                key=lambda entry: -float(entry["score"]),
            )
            for pair in pairs
        ]

    def _vllm(self, path: str, payload: Any) -> tuple[int, Any]:
        if path == "/v1/models":
            model = {"id": "fake/nli", "object": "model", "max_model_len": self._max_tokens}
            return 200, {"object": "list", "data": [{**model, **self._metadata}]}
        if path == "/tokenize":
            count = len(payload["prompt"].replace(_SEPARATOR, " ").split())
            return 200, {"count": count, "max_model_len": self._max_tokens, "tokens": [1] * count}
        if path != "/classify":
            return 404, {}
        pairs = [self._pair(item) for item in payload["input"]]
        lengths = [len(item) for item in payload["input"] if isinstance(item, list)]
        if max(lengths, default=0) > self._max_tokens or (
            not lengths and any(map(self._too_long, pairs))
        ):
            message = f"This model's maximum context length is {self._max_tokens} tokens."
            return 400, {"error": {"message": message, "type": "BadRequestError", "code": 400}}
        data = []
        for index, pair in enumerate(pairs):
            row = self._row(pair)
            label = self._labels[row.index(max(row))]
            data.append({"index": index, "label": label, "probs": row, "num_classes": len(row)})
        return 200, {"id": "classify-1", "object": "list", "model": "fake/nli", "data": data}

    def _kserve(self, path: str, payload: Any) -> tuple[int, Any]:
        if not path.endswith("/infer"):
            if not path.startswith("/v2/models/nli"):
                return 404, {"error": "unknown model"}
            ids = [
                {"name": name, "datatype": "INT64", "shape": [-1, -1]}
                for name in ("input_ids", "attention_mask")
            ]
            output = {"name": "logits", "datatype": "FP32", "shape": [-1, len(self._labels)]}
            return 200, {
                "name": "nli",
                "versions": ["1"],
                "platform": "onnxruntime_onnx",
                "inputs": ids,
                "outputs": [output],
                **self._metadata,
            }
        pairs = self._tensor_pairs({tensor["name"]: tensor for tensor in payload["inputs"]})
        name = payload["outputs"][0]["name"]
        rows = [self._row(pair) for pair in pairs]
        if name == "logits":
            rows = [[log(max(value, 1e-9)) for value in row] for row in rows]
        output = {
            "name": name,
            "shape": [len(pairs), len(self._labels)],
            "datatype": "FP32",
            "data": [value for row in rows for value in row],
        }
        return 200, {"model_name": "nli", "model_version": "1", "outputs": [output]}

    def _tensor_pairs(self, tensors: dict[str, Any]) -> list[Pair]:
        if "input_ids" not in tensors:
            if len(tensors) == 1:
                (tensor,) = tensors.values()
                return [self._pair(text) for text in tensor["data"]]
            return [
                Pair(*texts)
                for texts in zip(
                    tensors["premise"]["data"], tensors["hypothesis"]["data"], strict=True
                )
            ]
        count, width = tensors["input_ids"]["shape"]
        ids, mask = tensors["input_ids"]["data"], tensors["attention_mask"]["data"]
        return [
            self._pair(
                [i for i, m in zip(ids[s : s + width], mask[s : s + width], strict=True) if m]
            )
            for s in range(0, count * width, width)
        ]

    def _pair(self, item: str | list[int]) -> Pair:
        if isinstance(item, str):
            premise, _, hypothesis = item.partition(_SEPARATOR)
            return Pair(premise, hypothesis)
        if self._decode is None:
            raise ValueError("token ids were sent, and nothing says how to read them")
        return self._decode(item)


def wait_until(condition: Callable[[], bool], *, seconds: float = 10.0) -> bool:
    """Poll a condition; whether it came true in time. For tests with threads."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True
