"""``groundrail check``: one answer against sources, for people and for programs."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardrails.build import build_verifier
from guardrails.cli.failures import PASSED, REDACTED, REFUSED, REGENERATE, REVIEW
from guardrails.cli.shared import AsOneJson, Config, escaped, wants_json
from guardrails.cli.versions import own_version
from guardrails.client import Guard
from guardrails.errors import ConfigInvalid
from guardrails.settings import load_settings
from policies.engine import decide
from policies.explain import explain_json
from policies.types import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guardrails.cli.readers import Passed, Reading
    from guardrails.report import Report
    from guardrails.settings import Settings
    from policies.schema import Policy

SCHEMA = "groundrail.check/1"

_EXIT = {
    Action.PASS: PASSED,
    Action.ANNOTATE: PASSED,
    Action.REDACT: REDACTED,
    Action.REGENERATE: REGENERATE,
    Action.REVIEW: REVIEW,
    Action.REFUSE: REFUSED,
}

# What was passed over is listed in full with --json.
_LISTED = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's options.

    Attributes:
        store: The URL of a store, True for the configured one, False for no record.
    """

    answer: str | None
    text: str | None
    sources: tuple[str, ...]
    question: str | None = None
    policy: str | None = None
    route: str | None = None
    model: str | None = None
    encoding: str | None = None
    store: str | bool = False
    config: Path | None = None
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What came out.

    Attributes:
        wanted: The action before "there is nobody to ask again"; what the exit code tells.
        passed: Files that were not read.
    """

    report: Report
    wanted: Action
    passed: tuple[Passed, ...]
    policy: Policy

    @property
    def exit_code(self) -> int:
        """By what the policy asked for: a redacted answer that should be asked again is 11."""
        return _EXIT[self.wanted]


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


_EXAMPLES = """Examples:

  groundrail check --text "The fee is 60 euros." --source handbook.md

  groundrail check --answer answer.md --source docs/ --source "notes/**/*.html" --json

  groundrail check -a answer.md --sample again-1.md --sample again-2.md --policy my.yaml

  llm-tool | groundrail check --answer - --source docs/ --question "What is the fee?"
"""


@app.command(epilog=_EXAMPLES)
def check(  # noqa: PLR0917 - typer reads a command's options from its parameters
    ctx: typer.Context,
    answer: Annotated[
        str | None,
        typer.Option(
            "--answer",
            "-a",
            metavar="FILE",
            help="File that holds the answer, or - for standard input.",
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", "-t", metavar="TEXT", help="The answer itself.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            "-s",
            metavar="FILE|DIR|GLOB",
            help="What to check against; may be repeated. Text, Markdown, HTML, PDF (extra pdf), "
            "JSON lines of sources, a folder read recursively, a pattern, or - for standard input.",
        ),
    ] = None,
    question: Annotated[
        str | None,
        typer.Option("--question", "-q", help="What was asked. Short answers are read with it."),
    ] = None,
    sample: Annotated[
        list[str] | None,
        typer.Option(
            "--sample",
            metavar="FILE",
            help="Another answer to the same question; may be repeated. Compared where the "
            "policy's consistency table says so.",
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy", "-p", metavar="NAME|FILE", help="strict, balanced, observe, or a file."
        ),
    ] = None,
    route: Annotated[
        str | None, typer.Option("--route", help="Decide under this route of the policy.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="bundled, a preset, the folder of a model, or a Hugging Face id."
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            "--encoding", help="How text without a byte-order mark is encoded; UTF-8 if left out."
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="Record the check here. Implies --record."),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Record the check in the configured store.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say rule by rule how the decision came about.")
    ] = False,
    as_json: AsOneJson = False,
    config: Config = None,
) -> None:
    """Check an answer against sources: every claim, its evidence, and a decision.

    Exit codes: 0 pass or annotate, 10 redact, 11 regenerate, 12 review, 13 refuse.

    2 is bad input and 3 a failure; both come with a message on stderr.
    """
    wants_json(ctx, wanted=as_json)
    if (answer is None) == (text is None):
        raise typer.BadParameter("give the answer with --answer FILE or with --text TEXT")
    if not source and not sample:
        raise typer.BadParameter("give something to check against: --source FILE|DIR|GLOB")
    for option, given in (("--text", text), ("--question", question), ("--route", route)):
        if given is not None and escaped(given) != given:
            raise typer.BadParameter(
                "it is not valid UTF-8; nothing was checked", param_hint=option
            )
    source, sample = source or [], sample or []
    if [answer, *source, *sample].count("-") > 1:
        raise typer.BadParameter("standard input can be read once: use - for one thing only")
    asked = Asked(
        answer=answer,
        text=text,
        sources=tuple(source),
        question=question,
        policy=policy,
        route=route,
        model=model,
        encoding=encoding,
        store=store if store is not None else record,
        config=config,
        samples=tuple(sample),
    )
    result = run(asked)
    if as_json:
        print(json.dumps(as_dict(result, explain=explain), indent=2, ensure_ascii=False))
    else:
        _show(result, explain=explain)
    raise typer.Exit(result.exit_code)


def run(asked: Asked) -> Result:
    """Read, check, decide. Everything it raises is an error of our tree.

    The model is loaded and spaCy imported while the files are read; both take most of a second.
    """
    settings = _settings(asked)
    store: str | bool | None = None if asked.store is True else asked.store
    with ExitStack() as owned:
        progress = owned.enter_context(_progress())
        progress("loading the model")
        verifier = build_verifier(settings, owned)
        guard = Guard(asked.policy, settings=settings, verifier=verifier, store=store)
        owned.callback(guard.close)
        rules = guard.policy.for_route(asked.route).consistency
        if asked.samples and rules.when == "never":
            raise ConfigInvalid(
                "--sample is given and the policy never looks at samples; nothing was checked.",
                hint="Write `consistency: {when: no_evidence}` in a policy file and pass --policy.",
            )
        pool = owned.enter_context(ThreadPoolExecutor(2))
        # A model or a pipeline that cannot be loaded is an error here, not an "error" verdict:
        # nobody would wait for a person to review a typo in --model.
        model = pool.submit(lambda: verifier.info)
        spacy = pool.submit(verifier.verify, "It opened in 1962.", sources=())
        answer, reading = _read(asked)
        spacy.result()
        model.result()
        progress(f"checking against {len(reading.sources)} sources")
        report = guard.check(
            answer,
            sources=reading.sources,
            question=asked.question,
            route=asked.route,
            blocked="respond",
            samples=_samples(asked),
        ).report
        return Result(report, wanted(report, guard.policy), reading.passed, guard.policy)


def wanted(report: Report, policy: Policy) -> Action:
    """What the policy asked for before "there is nobody to ask again" was taken into account."""
    return decide(
        report.verification.assessments,
        policy,
        route=report.decision.route,
        facts=report.attempts[report.answered].facts,
    ).action


def as_dict(result: Result, *, explain: bool = False) -> dict[str, Any]:
    """What ``--json`` prints; documented in ``guardrails/docs/cli.md``."""
    out: dict[str, Any] = {
        "schema": SCHEMA,
        "groundrail": own_version(),
        "exit_code": result.exit_code,
        "wanted": result.wanted.value,
        "passed_over": [{"path": item.path, "reason": item.reason} for item in result.passed],
        "report": result.report.to_dict(),
    }
    if explain:
        out["explanation"] = explain_json(result.report.decision, result.policy)
    return out


def _settings(asked: Asked) -> Settings:
    settings = load_settings(asked.config)
    if asked.model is not None:
        changed = settings.model.model_copy(update={"model": asked.model, "backend": "auto"})
        settings = settings.model_copy(update={"model": changed})
    if asked.store:
        # Somebody who asks for a record wants to know when there is none.
        strict = settings.store.model_copy(update={"on_error": "fail"})
        settings = settings.model_copy(update={"store": strict})
    if asked.store is True and settings.store.url is None:
        raise ConfigInvalid(
            "--record, but no store is configured; nothing was checked.",
            hint="Name one with --store, or set store.url.",
        )
    return settings


def _samples(asked: Asked) -> list[str] | None:
    from guardrails.cli.readers import read_answer

    if not asked.samples:
        return None
    return [read_answer(path, encoding=asked.encoding) for path in asked.samples]


def _read(asked: Asked) -> tuple[str, Reading]:
    from guardrails.cli.readers import read_answer, read_sources

    reading = read_sources(asked.sources, encoding=asked.encoding)
    if asked.text is not None:
        return asked.text, reading
    return read_answer(asked.answer or "-", encoding=asked.encoding), reading


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Says what is going on, on a terminal's stderr only."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield status.update


def _show(result: Result, *, explain: bool) -> None:
    from guardrails.cli.render import print_report, visible
    from policies.explain import explain as lines_of

    lines = lines_of(result.report.decision, result.policy) if explain else None
    print_report(result.report, explain=lines)
    if result.passed:
        reasons = ", ".join(f"{item.path} ({item.reason})" for item in result.passed[:_LISTED])
        more = len(result.passed) - _LISTED
        rest = f" and {more} more" if more > 0 else ""
        print(visible(f"not read: {reasons}{rest}"), file=sys.stderr)
