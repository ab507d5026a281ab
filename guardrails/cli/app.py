"""The ``groundrail`` command: global options, commands loaded when they are called, exit codes.

Commands live in modules of their own and are imported only when invoked, so ``--help`` stays fast
and a broken part does not take the others down.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperGroup

from guardrails.cli.failures import INTERNAL, INTERRUPTED, report_failure


@dataclass(slots=True)
class State:
    """What the global options said, for commands: ``ctx.find_root().obj``.

    Attributes:
        debug: Show tracebacks.
        json: The command was asked for JSON; a failure is then JSON on stdout, too.
    """

    debug: bool = False
    json: bool = False


class Part(NamedTuple):
    """A command: the module whose ``app`` it is, and its line in ``groundrail --help``."""

    module: str
    summary: str


PARTS = {
    "check": Part(
        "guardrails.cli.check",
        "Check an answer against sources: every claim, its evidence, and a decision.",
    ),
    "proxy": Part(
        "guardrails.cli.proxy",
        "Run the proxy in front of providers; make, list and revoke its keys.",
    ),
    "policy": Part(
        "guardrails.cli.policy",
        "Check a policy file, show what it means, explain a decision.",
    ),
    "review": Part(
        "guardrails.cli.review",
        "List, show and resolve the answers that wait for a person.",
    ),
    "records": Part(
        "guardrails.cli.records",
        "List, show and replay what was recorded; export and import it; bring in what was spilled.",
    ),
    "bench": Part(
        "guardrails.cli.bench",
        "Measure how well verifiers tell supported from unsupported, on labelled data.",
    ),
    "models": Part(
        "guardrails.cli.models",
        "List the public models there are presets for, fetch them, verify their files.",
    ),
    "doctor": Part(
        "guardrails.cli.doctor",
        "Say what is installed, which model runs and how fast, and what to mend.",
    ),
}


def load_command(name: str) -> Any:
    """Import one of ``PARTS`` and give its command, without options for shell completion."""
    app = import_module(PARTS[name].module).app
    app._add_completion = False  # noqa: SLF001 - a constructor argument each part would repeat
    command = typer.main.get_command(app)
    command.name = name
    return command


class LazyGroup(TyperGroup):
    """A group whose commands are imported when invoked, not when listed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Replace the placeholder of the named command by the command itself."""
        if args and args[0] in PARTS:
            self.commands[args[0]] = load_command(args[0])
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=LazyGroup,
    name="groundrail",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Start with:  groundrail check --text 'The fee is 60 euros.' --source handbook.md     "
        "Exit codes: 0 pass or annotate, 10 redact, 11 regenerate, 12 review, 13 refuse, "
        "2 bad input, 3 something failed."
    ),
)


def _placeholder() -> None:
    raise AssertionError("replaced when invoked")


for _name, _part in PARTS.items():
    app.command(_name, help=_part.summary)(_placeholder)


def _show_version(wanted: bool) -> None:
    if wanted:
        from guardrails.cli.versions import own_version

        typer.echo(f"groundrail {own_version()}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, for a bug report.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Check every claim of a language model's answer against sources before anyone relies on it."""
    del version
    if isinstance(ctx.obj, State):
        ctx.obj.debug = debug


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line and exit. Errors become one clear block and an exit code.

    Args:
        argv: Arguments without the program's name; the process's own when None.
    """
    state = State()
    try:
        typer.main.get_command(app)(args=argv, prog_name="groundrail", obj=state)
    except BrokenPipeError:
        # The reader of our output went away ("| head"): nothing to say, and nobody to say it to.
        sys.stderr.close()
        sys.exit(INTERNAL)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the outermost edge: shown, and never exit code 0
        if state.debug:
            import traceback

            traceback.print_exc()
        sys.exit(report_failure(error, as_json=state.json))
    sys.exit(0)
