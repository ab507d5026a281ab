"""The composition root: settings in, a wired guard's parts out. The one place where all meet.

Nothing heavy is imported or loaded before it is used: no model, no spaCy pipeline, no database,
no LiteLLM.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from guardrails.errors import ConfigInvalid
from guardrails.gateway import LiteLLMGateway
from guardrails.recorder import Recorder
from guardrails.retrievers import adapt
from guardrails.runner import Ports, system_clock
from guardrails.sampling.model import Abilities
from guardrails.settings import Settings, load_settings, state_dir
from guardrails.telemetry import Telemetry
from policies.load import load_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from guardrails._second_hands import ConsistencyPort
    from guardrails.gateway import Gateway
    from guardrails.recorder import RecordStore
    from guardrails.retrievers import Retriever
    from guardrails.runner import Clock, VerifierPort
    from policies.schema import Policy
    from verifiers.backends import ModelSpec
    from verifiers.consistency import ConsistencyRun, ConsistencyVerifier, Stopping
    from verifiers.engine import NLIEngine
    from verifiers.pipeline import Verifier
    from verifiers.types import Claim, ConsistencyThresholds, ScorerName

T = TypeVar("T")

# Steps of the flow, and writes to the store, of calls on event loops.
_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a guard is made of.

    Attributes:
        settings: What it was made by.
        policy: The default policy.
        ports: What its drivers work with.
        gateway: Makes model calls.
        retriever: The registered retriever, or None.
        owned: Closed with the guard; what the caller passed in is not in it.
        closed: Set once it was closed.
        connections: LiteLLM's arguments by model: how a sampled or judging model is reached.
        abilities: What providers were seen not to do.
    """

    settings: Settings
    policy: Policy
    ports: Ports
    gateway: Gateway
    retriever: Retriever | None
    owned: ExitStack = field(repr=False)
    closed: threading.Event = field(default_factory=threading.Event, repr=False)
    connections: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)
    abilities: Abilities = field(default_factory=Abilities, repr=False)


def assemble(
    *,
    policy: str | Path | Mapping[str, object] | Policy | None = None,
    settings: Settings | str | Path | None = None,
    verifier: VerifierPort | None = None,
    gateway: Gateway | None = None,
    store: RecordStore | str | bool | None = None,
    retriever: object = None,
    telemetry: Telemetry | None = None,
    clock: Clock = system_clock,
    consistency: ConsistencyPort | None = None,
    connections: Mapping[str, Mapping[str, object]] | None = None,
) -> Parts:
    """Wire a guard.

    Args:
        policy: A preset's name, a file, a mapping or a policy; the settings' by default.
        settings: Settings, or the path of a settings file; by default the file and environment
            are read.
        verifier: Instead of the one the settings describe. Not closed.
        gateway: Instead of LiteLLM.
        store: A store (not closed), or the URL of one; False for none; the settings' by default.
        retriever: Anything ``guardrails.retrievers.adapt`` takes.
        telemetry: Instead of the one the settings describe.
        clock: Read for timings and budgets.
        consistency: Compares samples, instead of the one the settings describe. Not closed.
        connections: LiteLLM's arguments by model, for models that sample or judge.

    Raises:
        ConfigInvalid: If settings or arguments make no sense.
        PolicyError: If the policy cannot be loaded.
    """
    if not isinstance(settings, Settings):
        settings = load_settings(settings)
    with ExitStack() as owned:
        chosen = load_policy(settings.policy if policy is None else policy)
        telemetry = telemetry or Telemetry(
            log_text=settings.telemetry.log_text, spans=settings.telemetry.spans
        )
        executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="groundrail-flow")
        owned.callback(executor.shutdown, wait=False, cancel_futures=False)
        recorder = _recorder(settings, store, telemetry)
        if recorder is not None and not _is_store(store):
            owned.callback(recorder.close)
        engine = _Later(partial(_build_engine, settings))
        owned.callback(engine.close)
        ports = Ports(
            verifier=verifier or _verifier(settings, owned, engine),
            recorder=recorder,
            telemetry=telemetry,
            clock=clock,
            executor=executor,
            consistency=consistency or _Comparing(settings, owned, engine),
        )
        return Parts(
            settings=settings,
            policy=chosen,
            ports=ports,
            gateway=gateway or LiteLLMGateway(),
            retriever=None if retriever is None else adapt(retriever),
            owned=owned.pop_all(),
            connections=connections or {},
        )


def build_verifier(settings: Settings, owned: ExitStack) -> Verifier:
    """The verifier that the settings describe; ``owned`` closes it and its engine.

    The model is loaded on first use.
    """
    engine = _Later(partial(_build_engine, settings))
    owned.callback(engine.close)
    return _verifier(settings, owned, engine)


class _Later(Generic[T]):
    """Something made when it is first asked for, once, and closed with the guard."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: T | None = None
        self._lock = threading.Lock()

    def __call__(self) -> T:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def close(self) -> None:
        with self._lock:
            close = getattr(self._made, "close", None)
        if close is not None:
            close()


def _build_engine(settings: Settings) -> NLIEngine:
    from verifiers.backends import batch_tokens, load_scorer
    from verifiers.cache import MemoryCache
    from verifiers.engine import NLIEngine

    spec = model_spec(settings)
    size = settings.model.cache_pairs
    return NLIEngine(
        lambda: load_scorer(spec),
        cache=MemoryCache(size) if size else None,
        max_batch_tokens=batch_tokens(spec),
        max_queue_pairs=settings.model.max_queue_pairs,
    )


def _verifier(settings: Settings, owned: ExitStack, engine: _Later[NLIEngine]) -> Verifier:
    from verifiers.claims import make_extractor
    from verifiers.pipeline import EvidenceSettings, Verifier

    evidence = settings.evidence
    verifier = Verifier(
        extractor=make_extractor(settings.claims.language, settings.claims.pipeline),
        engine=engine(),
        evidence=EvidenceSettings(
            window_tokens=evidence.window_tokens,
            overlap_sentences=evidence.overlap_sentences,
            read_all_up_to=evidence.read_all_up_to,
            k=evidence.k,
            near=evidence.near,
            first=evidence.first,
            enough=evidence.enough,
            unsure=evidence.unsure,
        ),
    )
    owned.callback(verifier.close)
    return verifier


class _Comparing:
    """Compares samples with the guard's own NLI engine; made when samples first come."""

    def __init__(self, settings: Settings, owned: ExitStack, engine: _Later[NLIEngine]) -> None:
        self._made = _Later(partial(_build_consistency, settings, engine))
        owned.callback(self._made.close)

    def open(
        self,
        *,
        answer: str,
        claims: Sequence[Claim],
        question: str | None,
        scorer: ScorerName,
        thresholds: ConsistencyThresholds | Mapping[str, ConsistencyThresholds],
        stopping: Stopping,
    ) -> ConsistencyRun:
        """A run over the claims of one answer."""
        return self._made().open(
            answer=answer,
            claims=claims,
            question=question,
            scorer=scorer,
            thresholds=thresholds,
            stopping=stopping,
        )


def _build_consistency(settings: Settings, engine: _Later[NLIEngine]) -> ConsistencyVerifier:
    from verifiers.claims import make_extractor
    from verifiers.consistency import ConsistencyVerifier

    extractor = make_extractor(settings.claims.language, settings.claims.pipeline)
    return ConsistencyVerifier(extractor=extractor, engine=engine())


def model_spec(settings: Settings) -> ModelSpec:
    """The NLI model that the settings name."""
    from verifiers.backends import ModelSpec

    model = settings.model
    return ModelSpec(
        model=model.model,
        backend=model.backend,
        revision=model.revision,
        device=model.device,
        form=model.form,
        early_exit=model.early_exit,
        threads=model.threads,
        url=model.url,
        timeout=model.timeout,
        token=None if model.token is None else model.token.get_secret_value(),
        labels=model.labels,
        template=model.template,
        tokenizer=model.tokenizer,
        max_tokens=model.max_tokens,
        outputs=model.outputs,
        folder=None if model.folder is None else str(model.folder),
    )


def spill_path(settings: Settings, url: str | None = None) -> Path:
    """The file that takes what the store does not: as set, else beside a SQLite file, else ours."""
    if settings.store.spill is not None:
        return settings.store.spill
    url = url or settings.store.url or ""
    kind, _, path = url.partition(":///")
    if kind == "sqlite" and path:
        return Path(f"{path}.spill.jsonl")
    return state_dir() / "records.spill.jsonl"


def store_opener(settings: Settings, url: str | None = None) -> Callable[[], RecordStore]:
    """Opens the store that the settings (or ``url``) name."""
    address = url or settings.store.url
    spill = spill_path(settings, address)

    def open_it() -> RecordStore:
        from guardrails.store import open_store

        if address is None:
            raise ConfigInvalid("No store is configured.", hint="Set store.url.")
        kind, _, path = address.partition(":///")
        if kind == "sqlite" and path and address == Settings().store.url:
            Path(path).parent.mkdir(parents=True, exist_ok=True)  # our own folder, made on demand
        return open_store(address, spill=spill, timeout_s=settings.store.timeout)

    return open_it


def _recorder(
    settings: Settings,
    store: RecordStore | str | bool | None,  # noqa: FBT001 - False is "none" for callers
    telemetry: Telemetry,
) -> Recorder | None:
    url = store if isinstance(store, str) else None
    if url is not None and "://" not in url:
        raise ConfigInvalid(
            "store= is no URL; nothing was opened.",
            hint="Write sqlite:///records.db for a file, or pass False for no records.",
        )
    if _is_store(store) and not callable(getattr(store, "save", None)):
        raise ConfigInvalid(
            f"A {type(store).__name__} is no store; nothing was opened.",
            hint="Pass a store, its URL (sqlite:///records.db for a file), or False for none.",
        )
    if store is False or (store in (None, True) and settings.store.url is None):
        return None
    opener = store_opener(settings, url)
    if _is_store(store):
        opener = lambda: store  # type: ignore[assignment, return-value]  # noqa: E731
    key = settings.store.digest_key
    return Recorder(
        opener,
        telemetry=telemetry,
        spill=spill_path(settings, url),
        on_error=settings.store.on_error,
        store_text=settings.store.text,
        digest_key=None if key is None else key.get_secret_value().encode(),
    )


def _is_store(store: object) -> bool:
    return store is not None and not isinstance(store, str | bool)
