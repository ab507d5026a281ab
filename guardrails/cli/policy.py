"""``groundrail policy``: check a policy file, show what it means, explain a decision."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardrails.cli.failures import BAD_INPUT, describe_failure
from guardrails.cli.shared import AsJson, read_small, wants_json
from guardrails.errors import RecordInvalid, SourceUnreadable
from policies.errors import PolicyError, PolicyInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.text import Text

    from policies.lint import Finding
    from policies.schema import Policy
    from policies.types import Decision

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help=(
        "What to do with an answer, written in YAML. Start from a preset: strict, balanced or "
        "observe."
    ),
    epilog=(
        "Start with:  groundrail policy show balanced > policy.yaml     then edit it, and:  "
        "groundrail policy lint policy.yaml     Exit codes: 0 fine, 1 findings with --strict, "
        "2 bad input."
    ),
)

_FINDINGS = 1
_MAX_BYTES = 64 * 1024 * 1024
_ACTION_STYLES = {
    "pass": "green",
    "annotate": "green",
    "redact": "yellow",
    "regenerate": "yellow",
    "review": "bold magenta",
    "refuse": "bold red",
}

Route = Annotated[str | None, typer.Option(help="The policy as it stands on this route.")]


# --------------------------------------------------------------------------- lint


@app.command()
def lint(
    ctx: typer.Context,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Policy files, or names of presets.")
    ],
    *,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 when there are findings, for CI.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with a policy, and what is legal in it but risky.

    Every file is looked at, whatever is wrong with the others. Errors name the file, the line, the
    key and what is allowed. Findings are about what loads and may not do what you want: a rule
    that fails open, a threshold below one half, a regenerate that can never happen.

    Try:

        groundrail policy lint policy.yaml
        groundrail policy lint --strict policies/*.yaml
    """
    wants_json(ctx, wanted=as_json)
    from policies.lint import lint as find
    from policies.load import load_policy

    told: list[dict[str, Any]] = []
    for file in files:
        try:
            policy = load_policy(file)
        except PolicyError as error:
            told.append({"file": file, "ok": False, **_failed(error)})
        else:
            told.append(
                {
                    "file": file,
                    "ok": True,
                    "name": policy.name,
                    "digest": policy.digest,
                    "findings": [_finding(found) for found in find(policy)],
                }
            )
    if as_json:
        _json(told)
    else:
        for item in told:
            _tell_lint(_console(), item)
    if not all(item["ok"] for item in told):
        raise typer.Exit(BAD_INPUT)
    if strict and any(item["findings"] for item in told):
        raise typer.Exit(_FINDINGS)


def _finding(found: Finding) -> dict[str, str]:
    return {"rule": found.rule, "key": found.key, "message": found.message}


def _failed(error: PolicyError) -> dict[str, Any]:
    problems = error.problems if isinstance(error, PolicyInvalid) else ()
    return {
        "error": describe_failure(error),
        "problems": [
            {"line": problem.line, "key": problem.key, "message": problem.message}
            for problem in problems
        ],
    }


def _tell_lint(console: Console, item: dict[str, Any]) -> None:
    for line in _lint_lines(item):
        console.print(line, soft_wrap=True)


def _lint_lines(item: dict[str, Any]) -> Iterable[Text]:
    file = item["file"]
    if item["ok"]:
        findings = item["findings"]
        count = f"{len(findings)} to look at" if findings else "fine"
        yield _text((f"{file}: ", "bold"), (count, "yellow" if findings else "green"))
        for found in findings:
            yield _text(
                ("  warning ", "yellow"),
                (found["key"], "bold"),
                (f": {found['message']}", ""),
                (f" [{found['rule']}]", "dim"),
            )
        return
    error = item["error"]
    yield _text((f"{file}: ", "bold"), (f"error {error['code']}", "bold red"))
    for problem in item["problems"]:
        line = f"line {problem['line']} " if problem["line"] is not None else ""
        key = f"{problem['key']}: " if problem["key"] else ""
        yield _text((f"  {line}", "dim"), (key, "bold"), (problem["message"], ""))
    if not item["problems"]:
        yield _text((f"  {error['message']}", ""))
    if error["hint"]:
        yield _text((f"  {error['hint']}", "dim"))


# --------------------------------------------------------------------------- show


@app.command()
def show(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A preset, or a policy file.")],
    *,
    route: Route = None,
    as_json: AsJson = False,
) -> None:
    """Print a policy in full: what it extends read in, every default spelled out.

    The output is YAML that loads again and decides the same, so it is a good file to start from.

    Try:

        groundrail policy show balanced > policy.yaml
        groundrail policy show policy.yaml --route billing
    """
    wants_json(ctx, wanted=as_json)
    from policies.lint import lint as find
    from policies.load import load_policy

    whole = load_policy(ref)
    policy = whole.for_route(route)
    body = policy.model_dump(mode="json")
    if as_json:
        findings = [_finding(found) for found in find(policy)]
        _json({"digest": policy.digest, "policy": body, "findings": findings})
        return
    console = _console()
    title = f"# {policy.name}" + (f", route {route}" if route is not None else "")
    for line in (f"{title}  {policy.digest}", *_yaml_lines(body)):
        # Not wrapped: a wrapped line would be another file.
        console.print(_coloured(line), soft_wrap=True)


def _yaml_lines(body: dict[str, Any]) -> Iterable[str]:
    import yaml

    for key, value in body.items():
        if key in {"thresholds", "on_no_claims", "kinds", "limits", "routes"}:
            yield ""
        text = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=96)
        yield from text.rstrip("\n").split("\n")


def _coloured(line: str) -> Text:
    if line.startswith("#"):
        return _text((line, "dim"))
    key, colon, value = line.partition(": ")
    style = _ACTION_STYLES.get(value)
    return _text((key + colon, "bold" if style else ""), (value, style or ""))


# --------------------------------------------------------------------------- explain


@app.command()
def explain(
    ctx: typer.Context,
    record: Annotated[
        str | None,
        typer.Argument(metavar="RECORD", help="A record as a JSON file; - for standard input."),
    ] = None,
    *,
    verdicts: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Verdicts or scores by hand instead of a record."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Decide under this policy. Else: the record's own, or balanced for verdicts.",
        ),
    ] = None,
    route: Route = None,
    as_json: AsJson = False,
) -> None:
    """Say why an answer was decided as it was, rule by rule.

    A record holds its scores and its policy, so it is decided again and explained; with --policy
    it is decided as that policy would have. With --verdicts you try a policy on claims you make
    up: JSON with a list of claims, each with a verdict, or with scores.

    Try:

        groundrail policy explain record.json
        groundrail policy explain record.json --policy strict
        groundrail policy explain --verdicts claims.json --policy policy.yaml

    where claims.json holds, say,

        {"claims": [{"verdict": "supported"}, {"support": 0.4, "facets": ["number"]}]}
    """
    wants_json(ctx, wanted=as_json)
    if (record is None) == (verdicts is None):
        raise typer.BadParameter("give either a RECORD or --verdicts FILE")
    decision, used = (
        _decided_record(record, policy, route)
        if record is not None
        else _decided_verdicts(verdicts or "-", policy, route)
    )
    from policies.engine import explain as lines_of
    from policies.engine import explain_json

    if decision is None:
        text = "The call failed before there was an answer, so there was nothing to decide on."
        _json({"action": "refuse", "because": [text]}) if as_json else typer.echo(f"refuse: {text}")
    elif as_json:
        _json(explain_json(decision, used))
    else:
        from guardrails.cli.render import visible

        for line in lines_of(decision, used):
            _console().print(_explained(visible(line)), soft_wrap=True)


def _decided_record(
    file: str, ref: str | None, route: str | None
) -> tuple[Decision | None, Policy]:
    from guardrails.record import load_record, redecide
    from policies.load import load_policy

    record = load_record(_read(file))
    if route is not None:
        record = record.model_copy(update={"route": route})
    policy = load_policy(record.policy.body if ref is None else ref)
    return redecide(record, policy), policy


def _decided_verdicts(file: str, ref: str | None, route: str | None) -> tuple[Decision, Policy]:
    from guardrails.cli.verdicts import load_verdicts
    from policies.engine import decide, settle
    from policies.load import load_policy

    given = load_verdicts(_read(file))
    policy = load_policy(ref or "balanced")
    decision = decide(given.assessments(), policy, route=route, facts=given.answer_facts())
    return settle(
        decision, policy, given.spent_so_far(), can_regenerate=given.can_regenerate
    ), policy


def _explained(line: str) -> Text:
    """The line with the words that name an action in their colour."""
    text = _text((line, ""))
    for action, style in _ACTION_STYLES.items():
        text.highlight_regex(rf"(?<=: ){action}(?=\.)|(?<=-> ){action}$|^{action}(?=:)", style)
    return text


# --------------------------------------------------------------------------- shared


def _read(file: str) -> str:
    try:
        data = read_small(file, _MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceUnreadable(
            f"{file!r} cannot be read: {reason}; nothing was explained.",
            hint="Give the path of a JSON file, or - for standard input.",
        ) from error
    if len(data) > _MAX_BYTES:
        raise RecordInvalid(f"{file!r} is larger than any record; nothing was explained.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RecordInvalid(
            f"{file!r} is not UTF-8 text; nothing was explained.", hint="Records are JSON in UTF-8."
        ) from None


def _json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _console() -> Console:
    from guardrails.cli.render import make_console

    return make_console()


def _text(*parts: tuple[str, str]) -> Text:
    from rich.text import Text

    return Text.assemble(*parts)
