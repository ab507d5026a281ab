"""The training loop: steps, log, checkpoints, pauses, and going on where a killed run stood."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from verifiers.training import model as models
from verifiers.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from verifiers.training.files import require
from verifiers.training.folders import verifier_config
from verifiers.training.recipe import Recipe, save_recipe
from verifiers.training.sampling import Sampler, collate
from verifiers.training.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import torch

    from verifiers.training.data import Pairs

CHECKPOINT = "checkpoint.safetensors"
PAUSE = "PAUSE"
_PAUSE_POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run does beside training; none of it changes the result.

    Attributes:
        folder: Where log, recipe and checkpoints go. A checkpoint found there is gone on from.
        stop_at: Stop after so many tokens in all; None: at the recipe's end.
        checkpoint_every: Tokens between checkpoints.
        milestone_every: Tokens between checkpoints that are kept beside the newest; 0 for none.
        evaluate_every: Tokens between calls of the evaluation, if there is one; 0 for none.
        log_every: Steps between lines of the log.
        workers: Threads that share each batch, one core each. Another number adds gradients up in
            another order: the same up to rounding, and not bit for bit.
    """

    folder: Path
    stop_at: int | None = None
    checkpoint_every: int = 200_000
    milestone_every: int = 0
    evaluate_every: int = 0
    log_every: int = 50
    workers: int = 1


class Trainer:
    """One run. Make it, call :meth:`run`; a second process with the same folder goes on."""

    def __init__(
        self,
        pairs: Pairs,
        recipe: Recipe,
        start: Path,
        options: RunOptions,
        *,
        evaluate: Callable[[torch.nn.Module], Mapping[str, float]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._torch = torch = require("torch")
        # Threads inside an operation wait for each other at every operation; workers only once a
        # step, and lose nothing but their own time where another process holds a core.
        torch.set_num_threads(1)
        self.recipe, self.options, self._pairs = recipe, options, pairs
        self._evaluate, self._clock, self._sleep = evaluate, clock, sleep
        self._tokenizer = start / "tokenizer.json"
        self._cls, self._sep, self._pad = models.special_ids(self._tokenizer)
        self._config = verifier_config(start)
        if len(pairs) and int(pairs.tokens.max()) >= int(self._config["vocab_size"]):
            raise ValueError(f"{start}: its tokenizer knows more words than its network")
        self._stopping = False
        if recipe.dropout and options.workers > 1:
            raise ValueError("workers would take turns at one generator: use 1, or no dropout")
        torch.manual_seed(recipe.seed)
        self.network = models.load(start, seed=recipe.seed, dropout=recipe.dropout)
        models.freeze(self.network, words=recipe.freeze_words, layers=recipe.freeze_layers)
        self._workers = Workers(self.network, options.workers, exit_weight=recipe.exit_weight)
        self._trained = {n: p for n, p in self.network.named_parameters() if p.requires_grad}
        self._optimizer = self._make_optimizer()
        self._average = (
            {n: p.detach().clone() for n, p in self._trained.items()} if recipe.ema else {}
        )
        self._sampler = Sampler(pairs, recipe)
        self._meta = _meta(pairs, recipe)
        if (options.folder / CHECKPOINT).exists():
            self._restore(load_checkpoint(options.folder / CHECKPOINT))
        self._loss_sum, self._loss_rows = 0.0, 0

    @property
    def tokens(self) -> int:
        """Tokens trained on so far."""
        return self._sampler.position.tokens

    @property
    def steps(self) -> int:
        """Batches trained on so far."""
        return self._sampler.position.steps

    def run(self) -> bool:
        """Train until the end, or until SIGTERM or SIGINT, and write a checkpoint.

        Returns:
            Whether the end, or ``stop_at``, was reached.

        Raises:
            ValueError: If nothing says when to stop, or if loss, gradients or weights are no longer
                finite numbers. The last checkpoint stays as it is.
        """
        options, recipe = self.options, self.recipe
        options.folder.mkdir(parents=True, exist_ok=True)
        save_recipe(recipe, options.folder / "recipe.json")
        stop = min((s for s in (options.stop_at, recipe.end) if s is not None), default=None)
        if stop is None:
            raise ValueError("nothing says when to stop: set decay_start or stop_at")
        due = {
            name: (self.tokens // every + 1) * every if every else None
            for name, every in (
                ("checkpoint", options.checkpoint_every),
                ("milestone", options.milestone_every),
                ("evaluate", options.evaluate_every),
            )
        }
        self.network.train()
        mark_time, mark_tokens = self._clock(), self.tokens
        with self._signals():
            while self.tokens < stop and not self._stopping:
                self._wait_while_paused()
                self._step()
                position = self._sampler.position
                if position.steps % options.log_every == 0:
                    now = self._clock()
                    rate = (self.tokens - mark_tokens) / max(now - mark_time, 1e-9)
                    self._log_progress(rate)
                    mark_time, mark_tokens = now, self.tokens
                for name, at in due.items():
                    if at is not None and self.tokens >= at:
                        every = int(getattr(options, f"{name}_every"))
                        due[name] = (self.tokens // every + 1) * every
                        self._do(name)
        self._do("checkpoint")
        return self.tokens >= stop

    def averaged(self) -> dict[str, torch.Tensor]:
        """All weights, the trained ones as their running average if one is kept."""
        weights = {n: p.detach() for n, p in self.network.named_parameters()}
        return {**weights, **self._average}

    def save_model(self, folder: Path) -> None:
        """Write the averaged weights as a checkpoint folder of a model."""
        longest = max(stage.max_length for stage in self.recipe.stages)
        config = {**self._config, "max_length": longest, "dtype": "float32"}
        models.save(self.averaged(), config, self._tokenizer, folder)

    # One step ------------------------------------------------------------------------------

    def _step(self) -> None:
        torch, recipe = self._torch, self.recipe
        factor = recipe.lr_factor(self.tokens)
        batch = self._sampler.next()
        arrays = collate(self._pairs, batch, cls=self._cls, sep=self._sep, pad=self._pad)
        loss = self._workers.backward(arrays, smoothing=recipe.smoothing, bf16=recipe.bf16)
        norm = torch.nn.utils.clip_grad_norm_(self._trained.values(), recipe.clip)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise self._diverged(f"loss {loss}, gradient norm {float(norm)}")
        for group in self._optimizer.param_groups:
            group["lr"] = recipe.lr * group["times"] * factor
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self._average:
            # Young averages follow closely, or the start checkpoint would linger in them.
            steps = self._sampler.position.steps
            keep = min(recipe.ema, (1 + steps) / (10 + steps))
            with torch.no_grad():
                torch._foreach_lerp_(
                    list(self._average.values()), list(self._trained.values()), 1 - keep
                )
        self._loss_sum += loss * len(batch)
        self._loss_rows += len(batch)

    def _diverged(self, what: str) -> ValueError:
        at = f"step {self.steps:,}, {self.tokens:,} tokens"
        return ValueError(
            f"training came apart at {at}: {what}. Nothing was written since the last checkpoint."
            " Begin in another folder with a lower lr or a longer warm-up."
        )

    def _make_optimizer(self) -> Any:
        groups: dict[tuple[float, float], list[Any]] = {}
        for name, parameter in self._trained.items():
            times = self.recipe.head_factor if name.startswith(_HEAD) else 1.0
            decay = self.recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((times, decay), []).append(parameter)
        return self._torch.optim.AdamW(
            [
                {"params": found, "times": times, "weight_decay": decay}
                for (times, decay), found in groups.items()
            ],
            lr=self.recipe.lr,
            fused=True,
        )

    # State ---------------------------------------------------------------------------------

    def _snapshot(self) -> Checkpoint:
        moments = {}
        for name, parameter in self._trained.items():
            for moment, value in self._optimizer.state.get(parameter, {}).items():
                moments[f"{moment}/{name}"] = value
        return Checkpoint(
            weights=dict(self.network.named_parameters()),
            average=self._average,
            moments=moments,
            rng=self._torch.get_rng_state(),
            position=self._sampler.position,
            meta=self._meta,
        )

    def _restore(self, state: Checkpoint) -> None:
        if state.meta["seed"] != self.recipe.seed:
            raise ValueError(
                f"{self.options.folder} was begun with seed {state.meta['seed']}, not "
                f"{self.recipe.seed}: its order of data would change. Use another folder."
            )
        self._refuse_another_run(state.meta)
        try:
            self.network.load_state_dict(dict(state.weights))
        except RuntimeError as exc:  # torch's word for other names or shapes
            raise ValueError(
                f"{self.options.folder} was begun from another network than the start checkpoint"
                " given. Use that one, or another folder."
            ) from exc
        for name, mine in self._average.items():
            # A run that kept no average so far begins one where it stands.
            mine.copy_(state.average.get(name, self._trained[name].detach()))
        for key, value in state.moments.items():
            moment, _, name = key.partition("/")
            if name in self._trained:
                self._optimizer.state[self._trained[name]][moment] = value
        self._torch.set_rng_state(state.rng)
        self._sampler = Sampler(self._pairs, self.recipe, state.position)

    def _refuse_another_run(self, meta: Mapping[str, Any]) -> None:
        """Data or a recipe other than the run's own: its figures would be of neither.

        Checkpoints of versions that kept no word of it are taken as they are.
        """
        kept, mine = meta.get("recipe", {}), self._meta["recipe"]
        other = sorted(key for key in kept.keys() & mine.keys() if kept[key] != mine[key])
        if meta.get("pairs", self._meta["pairs"]) != self._meta["pairs"]:
            other.insert(0, "the training pairs")
        if other:
            raise ValueError(
                f"{self.options.folder} was begun with other values of: {', '.join(other)}."
                " Go on with what it was begun with, or use another folder. Only decay_start and"
                " decay_tokens may change."
            )

    # Beside the steps ----------------------------------------------------------------------

    def _do(self, what: str) -> None:
        folder = self.options.folder
        if what != "evaluate":
            # The last step's loss was measured before its update.
            for name, parameter in self._trained.items():
                if not self._torch.isfinite(parameter).all():
                    raise self._diverged(f"{name} holds what is no number")
        match what:
            case "checkpoint":
                save_checkpoint(self._snapshot(), folder / CHECKPOINT)
            case "milestone":
                save_checkpoint(self._snapshot(), folder / f"tokens-{self.tokens}.safetensors")
            case "evaluate" if self._evaluate is not None:
                with self._with_average():
                    scores = self._evaluate(self.network)
                self._write({"event": "evaluated", "tokens": self.tokens, **scores})
            case _:
                pass

    @contextlib.contextmanager
    def _with_average(self) -> Iterator[None]:
        """The network with averaged weights, for a while; torch's generator is left as it was."""
        torch = self._torch
        rng = torch.get_rng_state()
        own = {name: p.detach().clone() for name, p in self._trained.items()}
        try:
            self._load_trained(self._average)
            self.network.eval()
            yield
        finally:
            self._load_trained(own)
            self.network.train()
            torch.set_rng_state(rng)

    def _load_trained(self, values: Mapping[str, torch.Tensor]) -> None:
        with self._torch.no_grad():
            for name, value in values.items():
                self._trained[name].copy_(value)

    def _log_progress(self, rate: float) -> None:
        position = self._sampler.position
        stage = self.recipe.stages[self.recipe.stage_at(position.pool_tokens)].name
        self._write(
            {
                "event": "trained",
                "step": position.steps,
                "tokens": position.tokens,
                "stage": stage,
                "loss": round(self._loss_sum / max(self._loss_rows, 1), 4),
                "lr": round(self.recipe.lr * self.recipe.lr_factor(position.tokens), 8),
                "tokens_per_s": round(rate),
            }
        )
        self._loss_sum, self._loss_rows = 0.0, 0

    def _write(self, event: Mapping[str, Any]) -> None:
        with (self.options.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(event) + "\n")

    def _wait_while_paused(self) -> None:
        while (self.options.folder / PAUSE).exists() and not self._stopping:
            self._sleep(_PAUSE_POLL_S)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Finish the step, save and return on SIGTERM and SIGINT, where signals can be had."""

        def stop(*_: object) -> None:
            self._stopping = True

        try:
            before = {s: signal.signal(s, stop) for s in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:  # not the main thread
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _meta(pairs: Pairs, recipe: Recipe) -> dict[str, Any]:
    """What a checkpoint remembers of its run: what may not change when it goes on."""
    kept = {k: v for k, v in asdict(recipe).items() if k not in ("decay_start", "decay_tokens")}
    return {"seed": recipe.seed, "pairs": pairs.digest(), "recipe": json.loads(json.dumps(kept))}


_HEAD = ("bert.pooler.", "classifier.", "exit.")
