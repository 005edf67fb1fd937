"""The entry point: the group of commands, the options that every command has, and the one handler of errors."""

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from itertools import pairwise
from keyword import iskeyword
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from maa_gitops import __version__
from maa_gitops.cli.invocation import Invocation
from maa_gitops.cli.options import common_options
from maa_gitops.errors import MaaError
from maa_gitops.render.escape import safe_line

USAGE_EXIT = 2
CANNOT_EXIT = 4
INTERRUPTED_EXIT = 130

SECTIONS: dict[str, dict[str, str]] = {
    "For everybody": {
        "requests": "reading",
        "show": "reading",
        "diff": "reading",
        "explain": "reading",
    },
    "For administrators": {
        "validate": "reading",
        "import": "importing",
        "submit": "acting",
        "cancel": "acting",
        "merge": "acting",
        "complete": "acting",
        "revert": "acting",
    },
    "For approvers": {
        "approve": "acting",
        "reject": "acting",
        "withdraw": "acting",
    },
    "For operators": {
        "check": "reading",
        "plan": "applying",
        "apply": "applying",
        "drift": "applying",
        "tenant": "applying",
        "lint": "linting",
        "archive": "acting",
    },
    "For GitHub": {
        "github": "github",
    },
    "For auditors": {
        "verify": "reading",
        "audit": "auditing",
    },
    "To begin": {
        "demo": "beginning",
        "init": "beginning",
        "doctor": "doctor",
        "schema": "beginning",
    },
}
"""The commands by who uses them, with the module of this package that holds each."""


class Commands(click.Group):
    """The group; a command's module is imported when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click's signature
        """Every command, in the order of the sections."""
        return [name for commands in SECTIONS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - Click's signature
        """Import the command."""
        module = next((commands[cmd_name] for commands in SECTIONS.values() if cmd_name in commands), None)
        if module is None:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command = getattr(import_module(f"maa_gitops.cli.{module}"), name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by who uses them."""
        for title, names in SECTIONS.items():
            commands = ((name, self.get_command(ctx, name)) for name in names)
            rows = [(name, command.get_short_help_str(90)) for name, command in commands if command is not None]
            with formatter.section(title):
                formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say what was probably meant when a command is not known."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not close:
                raise
            raise click.UsageError(f"{error.format_message()} Did you mean '{close[0]}'?", ctx) from error


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example:  maa submit -m 'Version 11.2 fixes the enrolment loop.'",
)
@click.version_option(__version__, prog_name="maa")
@click.option(
    "-C",
    "directory",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Run as if started in DIR.",
)
@common_options
@click.pass_context
def cli(ctx: click.Context, directory: Path | None) -> None:
    """Multi Admin Approval for a tenant kept as code.

    Administrators change files on a branch and submit it; somebody else approves; what was approved, and nothing
    else, is merged and applied. Without a command: what waits for you.
    """
    invocation = ctx.ensure_object(Invocation)
    if directory is not None:
        invocation.directory = directory
    if ctx.invoked_subcommand is None:
        from maa_gitops.cli.reading import overview

        overview(invocation)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a letter that the terminal does not have is no crash
    try:
        code = _run(Invocation(), arguments)
    except BrokenPipeError:
        code = INTERRUPTED_EXIT
        _silence()
    sys.exit(code)


def _run(invocation: Invocation, arguments: Sequence[str] | None) -> int:
    """Run a command line to its exit code.

    Raises:
        BrokenPipeError: whoever was to read of an error has left.
    """
    try:
        code = cli.main(args=arguments, prog_name="maa", obj=invocation, standalone_mode=False)
    except MaaError as error:
        return _report(invocation, error)
    except click.ClickException as error:
        return _usage(invocation, error, arguments)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED_EXIT
    except SystemExit as left:  # Click's own: 0 after shell completion, 1 when the reader of a pipe has left
        return INTERRUPTED_EXIT if left.code else 0
    return code if isinstance(code, int) else 0


def _silence() -> None:
    """Let nothing that is still to be written, as Python does at its end, meet the closed pipe again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Let what is cleaned up at the end be cleaned up: a private key in a temporary file, say."""
    raise KeyboardInterrupt


def _report(invocation: Invocation, error: MaaError) -> int:
    from maa_gitops.errors import DocumentError
    from maa_gitops.render.plain import error_plain

    if invocation.wants_json:
        invocation.emit(error_plain(error), lambda: None)
        return error.exit_code
    where = ""
    if isinstance(error, DocumentError):
        where = ":".join(str(part) for part in (error.path, error.line, error.column) if part) + ": "
    click.echo(safe_line(f"error: {where}{error.message}"), err=True)
    if error.hint:
        click.echo(safe_line(f"hint: {error.hint}"), err=True)
    return error.exit_code


def _usage(invocation: Invocation, error: click.ClickException, arguments: Sequence[str] | None) -> int:
    if invocation.wants_json or _asks_for_json(arguments):
        from maa_gitops.render.plain import document

        fields = {"kind": "usage", "code": "usage", "message": error.format_message(), "hint": "maa --help"}
        nothing = {"path": None, "line": None, "column": None, "retry": False}
        invocation.format = "json"
        invocation.emit(document(error={**fields, **nothing}), lambda: None)
    else:
        context = error.ctx if isinstance(error, click.UsageError) else None
        click.UsageError(safe_line(error.format_message()), context).show()
    return USAGE_EXIT


def _asks_for_json(arguments: Sequence[str] | None) -> bool:
    """Whether JSON was asked for in a command line that could not be read."""
    given = list(arguments if arguments is not None else sys.argv[1:])
    return "--format=json" in given or any(pair == ("--format", "json") for pair in pairwise(given))
