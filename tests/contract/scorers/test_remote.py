"""Model servers that fail, lie, stall or cut the line: each a clear error, never a score."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from verifiers.backends import ModelSpec, load_scorer
from verifiers.backends.remote import read_template
from verifiers.backends.testing import TEMPLATE, FakeModelServer, Fault
from verifiers.engine import NLIEngine
from verifiers.errors import (
    BackendFailed,
    CanaryFailed,
    InputTooLong,
    LabelsUnmapped,
    ModelUnavailable,
    Overloaded,
)
from verifiers.testing import lexical_rule
from verifiers.types import NLIProbs, Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verifiers.protocols import PairScorer

LABELS = ("contradiction", "entailment", "neutral")
PAIRS = [
    Pair("The shop sells 30 kinds of bread.", "The shop sells 30 kinds of bread."),
    Pair("The shop sells 30 kinds of bread.", "Whales sing at night."),
]
DIALECTS = ["tei", "vllm", "kserve"]


@pytest.fixture
def connect(word_tokenizer, decode) -> Callable[..., PairScorer]:
    """Connects to a fake server, canaries off so that faults hit the test's own call."""

    def make(server: FakeModelServer, dialect: str, **extra: Any) -> PairScorer:
        spec: dict[str, Any] = {"labels": LABELS, "max_tokens": 64, "canaries": False}
        if dialect == "vllm":
            spec["template"] = TEMPLATE
        if dialect == "kserve":
            spec |= {"model": "nli", "tokenizer": str(word_tokenizer)}
        if dialect == "tei":
            del spec["labels"]
        spec |= {"timeout": 5.0, **extra}
        return load_scorer(ModelSpec(backend=dialect, url=server.url, **spec))

    return make


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        (Fault(status=500), BackendFailed, "HTTP 500"),
        (Fault(status=424, body=b'{"error":"x","error_type":"backend"}'), BackendFailed, "424"),
        (Fault(status=422, body=b'{"detail":"secret"}'), BackendFailed, "refused"),
        (Fault(status=401), BackendFailed, "let us in"),
        (Fault(status=404), BackendFailed, "does not exist"),
        (Fault(status=302), BackendFailed, "HTTP 302"),
        (Fault(body=b"<html>secret"), BackendFailed, "no JSON"),
        (Fault(body=b""), BackendFailed, "no JSON"),
        (Fault(body=b"[" * 100_000), BackendFailed, "no JSON"),
        (Fault(body=b"null"), BackendFailed, "answered with"),
        (Fault(body=b"[]"), BackendFailed, "answered with"),
        (Fault(body=b'{"data":[{}],"outputs":[{}]}'), BackendFailed, "answered with"),
        (Fault(wait=3.0), BackendFailed, "within"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else None,
)
def test_every_failure_is_a_clear_error(  # noqa: PLR0917
    connect, decode, dialect: str, fault: Fault, error: type[Exception], says: str
) -> None:
    """The message says what happened and what to do, and quotes nothing of the input or body."""
    with FakeModelServer(dialect, labels=LABELS, faults=[fault], decode=decode) as server:
        scorer = connect(server, dialect, timeout=0.5 if fault.wait else 5.0)
        with pytest.raises(error, match=says) as caught:
            scorer.score(PAIRS)
        assert caught.value.hint
        assert "secret" not in str(caught.value)
        assert "Whales" not in str(caught.value)
        assert len([path for path, payload in server.requests if _scores(path, payload)]) == 1
        if not fault.wait:
            # The next call is answered: nothing about the scorer broke.
            assert right(scorer.score(PAIRS))
        scorer.close()


def right(scores: Sequence[NLIProbs]) -> bool:
    """Whether these are the rule's own scores of PAIRS."""
    expected = [value for pair in PAIRS for value in lexical_rule(pair)]
    return [value for probs in scores for value in probs] == pytest.approx(expected, abs=1e-6)


def _scores(path: str, payload: Any) -> bool:
    return payload is not None and path != "/tokenize"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_cut_connection_is_tried_again(connect, decode, dialect: str) -> None:
    """Twice; then it is an error."""
    cut = Fault(cut=True)
    with FakeModelServer(dialect, labels=LABELS, faults=[cut, cut], decode=decode) as server:
        scorer = connect(server, dialect)
        assert right(scorer.score(PAIRS))
        scorer.close()
    with FakeModelServer(dialect, labels=LABELS, faults=[cut] * 3, decode=decode) as server:
        scorer = connect(server, dialect)
        with pytest.raises(BackendFailed, match="cut the connection"):
            scorer.score(PAIRS)
        scorer.close()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_busy_is_waited_out_for_a_moment(connect, decode, dialect: str, status: int) -> None:
    """A server that stays busy is Overloaded, which callers show as 429."""
    busy = Fault(status=status, retry_after="0")
    with FakeModelServer(dialect, labels=LABELS, faults=[busy, busy], decode=decode) as server:
        scorer = connect(server, dialect)
        assert len(scorer.score(PAIRS)) == 2
        scorer.close()
    patient = Fault(status=status, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    with FakeModelServer(dialect, labels=LABELS, faults=[patient] * 3, decode=decode) as server:
        scorer = connect(server, dialect)
        with pytest.raises(Overloaded) as caught:
            scorer.score(PAIRS)
        assert caught.value.code == "GR104"
        scorer.close()


def test_a_retry_never_outlives_the_timeout(connect, decode) -> None:
    """A server that asks to wait longer than our timeout is not waited for."""
    busy = Fault(status=429, retry_after="60")
    with FakeModelServer("tei", labels=LABELS, faults=[busy] * 3) as server:
        scorer = connect(server, "tei", timeout=0.3)
        with pytest.raises(Overloaded):
            scorer.score(PAIRS)
        assert len([1 for path, _ in server.requests if path == "/predict"]) == 1
        scorer.close()


def test_a_trickling_answer_meets_the_deadline() -> None:
    """One deadline for the whole answer, not one for each of its bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            while not stop.is_set():
                try:
                    connection.sendall(b" ")
                except OSError:
                    return
                stop.wait(0.05)

    thread = threading.Thread(target=trickle)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    start = time.monotonic()
    with pytest.raises(ModelUnavailable, match="within"):
        load_scorer(ModelSpec(backend="tei", url=url, timeout=0.4))
    assert time.monotonic() - start < 20  # without the deadline it would be 50 s
    stop.set()
    thread.join()
    listener.close()


def test_nobody_at_home() -> None:
    """A closed port at load is ModelUnavailable, with the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for dialect in ("tei", "vllm"):
        with pytest.raises(ModelUnavailable, match=f"127.0.0.1:{port}") as caught:
            load_scorer(
                ModelSpec(
                    backend=dialect,
                    url=f"http://127.0.0.1:{port}",
                    labels=LABELS,
                    template=TEMPLATE,
                )
            )
        assert caught.value.code == "GR101"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("bad", ["NaN", "Infinity", "1e999", '"0.5"', "null", "true", "7.5"])
def test_what_is_no_probability_is_refused(connect, decode, dialect: str, bad: str) -> None:
    """NaN, infinity, strings, null, booleans and logits are not scores."""
    if dialect == "tei":
        body = f'[[{{"score":{bad},"label":"entailment"}},{{"score":0.1,"label":"neutral"}},{{"score":0.1,"label":"contradiction"}}]]'
    elif dialect == "vllm":
        body = f'{{"data":[{{"index":0,"label":"entailment","probs":[0.1,{bad},0.1],"num_classes":3}}]}}'
    else:
        body = f'{{"outputs":[{{"name":"probs","shape":[1,3],"datatype":"FP32","data":[0.1,{bad},0.1]}}]}}'
    metadata = {}
    if dialect == "kserve":
        metadata = {"outputs": [{"name": "probs", "datatype": "FP32", "shape": [-1, 3]}]}
    with FakeModelServer(
        dialect, labels=LABELS, faults=[Fault(body=body.encode())], decode=decode, metadata=metadata
    ) as server:
        scorer = connect(server, dialect)
        with pytest.raises(BackendFailed):
            scorer.score(PAIRS[:1])
        scorer.close()


def test_a_failing_server_behind_the_engine(connect, decode) -> None:
    """The request fails with what the server did; the next one is answered."""
    fault = Fault(status=500)
    with (
        FakeModelServer("tei", labels=LABELS, faults=[fault] * 3) as server,
        NLIEngine(lambda: connect(server, "tei")) as engine,
    ):
        with pytest.raises(BackendFailed, match="HTTP 500"):
            engine.score(PAIRS)
        assert right(engine.score(PAIRS).probs)


# ------------------------------------------------------------------ TEI


def test_tei_is_asked_not_to_truncate(connect) -> None:
    """Every call says truncate: false; the server's own default would cut in silence."""
    with FakeModelServer("tei", labels=LABELS, max_tokens=20, max_batch=2) as server:
        scorer = connect(server, "tei")
        scorer.score(PAIRS * 3)
        calls = [payload for path, payload in server.requests if path == "/predict"]
        assert [len(call["inputs"]) for call in calls] == [2, 2, 2]
        assert all(call["truncate"] is False and call["raw_scores"] is False for call in calls)
        assert calls[0]["inputs"][0] == list(PAIRS[0])
        with pytest.raises(InputTooLong):
            scorer.score([Pair("word " * 30, "h")])
        scorer.close()


def test_tei_names_its_labels(connect) -> None:
    """The order is the server's; labels that say nothing must be explained."""
    for labels in (("entailment", "neutral", "contradiction"), ("SUPPORTS", "REFUTES", "NEI")):
        with FakeModelServer("tei", labels=labels) as server:
            scorer = connect(server, "tei", canaries=True)
            assert scorer.info.labels == labels
            assert right(scorer.score(PAIRS))
            scorer.close()
    anonymous = {"classifier": {"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}}
    with FakeModelServer("tei", metadata={"model_type": anonymous}) as server:
        with pytest.raises(LabelsUnmapped) as caught:
            connect(server, "tei")
        assert "labels" in caught.value.hint
        with pytest.raises(LabelsUnmapped, match="2 labels are configured"):
            connect(server, "tei", labels=("entailment", "not_entailment"))


def test_tei_swapped_labels_are_caught(connect) -> None:
    """Canaries run over the wire too."""
    swapped = {"0": "entailment", "1": "contradiction", "2": "neutral"}
    with FakeModelServer(
        "tei", labels=LABELS, metadata={"model_type": {"classifier": {"id2label": swapped}}}
    ) as server:
        # The fake answers by its own names; put them where /info says they are.
        server._labels = ("entailment", "contradiction", "neutral")
        with pytest.raises(CanaryFailed):
            connect(server, "tei", canaries=True)


@pytest.mark.parametrize(
    "metadata",
    [
        {"model_type": {"embedding": {"pooling": "cls"}}},
        {"max_input_length": None},
        {"max_client_batch_size": 0},
        {"model_sha": "0000"},
        {"model_sha": None},
        {"model_id": "another/model"},
    ],
)
def test_tei_with_the_wrong_model(connect, metadata: dict[str, Any]) -> None:
    """Embeddings, no limits, another model or another revision than configured: refused at load."""
    with FakeModelServer("tei", labels=LABELS, metadata=metadata) as server:
        with pytest.raises(ModelUnavailable) as caught:
            connect(server, "tei", revision="fca14538", model="fake/nli")
        assert caught.value.hint


def test_tei_pinned_and_with_a_token(connect) -> None:
    """The right revision is accepted and recorded; the token is never shown."""
    with FakeModelServer("tei", labels=LABELS) as server:
        spec = ModelSpec(backend="tei", url=server.url, token="hunter2", revision="fca14538")
        scorer = load_scorer(spec)
        assert scorer.info.revision.startswith("fca14538")
        assert "hunter2" not in repr(spec) + repr(scorer.info)
        scorer.close()


def test_another_server_at_the_address(connect) -> None:
    """vLLM where TEI was configured: a clear refusal."""
    with FakeModelServer("vllm", labels=LABELS) as server, pytest.raises(ModelUnavailable):
        connect(server, "tei")


# ------------------------------------------------------------------ vLLM


def test_vllm_needs_to_be_told(word_tokenizer) -> None:
    """Labels, and how a pair is put; nothing is assumed."""
    with FakeModelServer("vllm", labels=LABELS) as server:
        with pytest.raises(LabelsUnmapped):
            load_scorer(ModelSpec(backend="vllm", url=server.url, template=TEMPLATE))
        with pytest.raises(ModelUnavailable, match="takes one text"):
            load_scorer(ModelSpec(backend="vllm", url=server.url, labels=LABELS))
        with pytest.raises(ModelUnavailable, match="does not serve"):
            load_scorer(
                ModelSpec(
                    model="other", backend="vllm", url=server.url, labels=LABELS, template=TEMPLATE
                )
            )


def test_vllm_contradicts_wrong_labels(connect) -> None:
    """The label the server names for the best column must be the configured one."""
    with FakeModelServer("vllm", labels=LABELS) as server:
        scorer = connect(server, "vllm", labels=("entailment", "contradiction", "neutral"))
        with pytest.raises(BackendFailed, match="`labels` setting is wrong"):
            scorer.score(PAIRS[:1])
        scorer.close()


def test_vllm_results_are_matched_by_index(connect) -> None:
    """Results out of order are put back; numbers that repeat are refused."""
    rows = [
        {"index": i, "label": None, "probs": [0.1, 0.8 - i / 10, 0.1 + i / 10], "num_classes": 3}
        for i in range(2)
    ]
    bodies = [{"data": rows[::-1]}, {"data": [rows[0], rows[0]]}]
    faults = [Fault(body=json.dumps(body).encode()) for body in bodies]
    with FakeModelServer("vllm", labels=LABELS, faults=faults) as server:
        scorer = connect(server, "vllm")
        assert [p.entailment for p in scorer.score(PAIRS)] == pytest.approx([0.8, 0.7])
        with pytest.raises(BackendFailed, match="not numbered"):
            scorer.score(PAIRS)
        scorer.close()


def test_templates_are_filled_at_once() -> None:
    """A premise that contains the other place stays text; a template holds each place once."""
    fill = read_template("P: {premise} H: {hypothesis}")
    assert fill is not None
    assert fill(Pair("{hypothesis}", "{premise}")) == "P: {hypothesis} H: {premise}"
    for template in ("{premise}", "{premise} {premise} {hypothesis}", "plain"):
        with pytest.raises(ModelUnavailable):
            read_template(template)


# ------------------------------------------------------------------ KServe


TEXT = [{"name": n, "datatype": "BYTES", "shape": [-1, 1]} for n in ("premise", "hypothesis")]


@pytest.mark.parametrize(
    ("metadata", "extra", "error"),
    [
        ({}, {"labels": None}, LabelsUnmapped),
        ({}, {"tokenizer": None}, ModelUnavailable),
        ({}, {"model": "bundled"}, ModelUnavailable),
        ({}, {"model": "unknown"}, ModelUnavailable),
        ({"inputs": []}, {}, ModelUnavailable),
        ({"inputs": TEXT[:1]}, {}, ModelUnavailable),
        ({"inputs": [{"name": "image", "datatype": "FP32"}]}, {}, ModelUnavailable),
        ({"outputs": []}, {}, ModelUnavailable),
        ({"outputs": [{"name": "output-0", "datatype": "FP32"}]}, {}, ModelUnavailable),
        (
            {"outputs": [{"name": "a", "datatype": "FP32"}, {"name": "b", "datatype": "FP16"}]},
            {},
            ModelUnavailable,
        ),
    ],
)
def test_kserve_needs_to_be_understood(
    connect, metadata: dict[str, Any], extra: dict[str, Any], error: type[Exception]
) -> None:
    """Missing settings, inputs we cannot fill and outputs we cannot read are refused at load."""
    with FakeModelServer("kserve", labels=LABELS, metadata=metadata) as server:
        with pytest.raises(error) as caught:
            connect(server, "kserve", **extra)
        assert caught.value.hint


def test_kserve_one_text_with_a_template(connect) -> None:
    """A model that takes one text is given the filled template, and told what its output holds."""
    metadata = {"inputs": TEXT[:1], "outputs": [{"name": "output-0", "datatype": "FP32"}]}
    with FakeModelServer("kserve", labels=LABELS, metadata=metadata) as server:
        scorer = connect(server, "kserve", template=TEMPLATE, outputs="probabilities")
        assert right(scorer.score(PAIRS))
        assert "template" in scorer.info.form
        scorer.close()


def test_kserve_pads_and_masks(connect, decode) -> None:
    """Tensors are rectangular, padding is masked, shapes are told."""
    with FakeModelServer("kserve", labels=LABELS, decode=decode) as server:
        scorer = connect(server, "kserve", revision="1")
        scorer.score([PAIRS[0], Pair("one", "two")])
        path, payload = server.requests[-1]
        assert path == "/v2/models/nli/versions/1/infer"
        ids, mask = (
            next(t for t in payload["inputs"] if t["name"] == name)
            for name in ("input_ids", "attention_mask")
        )
        assert ids["shape"] == mask["shape"]
        assert math.prod(ids["shape"]) == len(ids["data"]) == len(mask["data"])
        assert sum(mask["data"]) == sum(scorer.count_tokens([PAIRS[0], Pair("one", "two")]))
        scorer.close()


@pytest.mark.parametrize("data", [[0.2, 0.7, 0.1, 0.2, 0.7, 0.1], [[0.2, 0.7, 0.1]] * 2])
def test_kserve_data_is_flat_or_nested(connect, decode, data: list[Any]) -> None:
    """The protocol allows both."""
    body = {"outputs": [{"name": "probs", "shape": [2, 3], "datatype": "FP32", "data": data}]}
    metadata = {"outputs": [{"name": "probs", "datatype": "FP32", "shape": [-1, 3]}]}
    fault = Fault(body=json.dumps(body).encode())
    with FakeModelServer(
        "kserve", labels=LABELS, faults=[fault], metadata=metadata, decode=decode
    ) as server:
        scorer = connect(server, "kserve")
        assert scorer.score(PAIRS) == [pytest.approx(NLIProbs(0.7, 0.1, 0.2))] * 2
        scorer.close()


@pytest.mark.parametrize("url", ["", "ftp://host", "http://", "not a url", "http://[::1"])
def test_addresses_that_are_none(url: str) -> None:
    """A broken address is a configuration error, not a traceback."""
    with pytest.raises(ModelUnavailable):
        load_scorer(ModelSpec(backend="vllm", url=url or None, labels=LABELS, template=TEMPLATE))
