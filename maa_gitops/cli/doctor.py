"""The command that says what is missing; what is looked at is in ``workflow.examining``."""

from typing import TYPE_CHECKING

import click

from maa_gitops.cli.invocation import Invocation
from maa_gitops.cli.options import common_options
from maa_gitops.render.escape import safe_line

if TYPE_CHECKING:
    from maa_gitops.workflow.doctor.checks import Check
    from maa_gitops.workflow.doctor.clone import Examined

NO = 3

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command(epilog="Example:  maa doctor --github")
@click.option("--github", "on_github", is_flag=True, help="Look at the repository on GitHub, too.")
@common_options
@click.pass_context
def doctor(ctx: click.Context, *, on_github: bool) -> None:
    """Say what is missing in this clone, one line a check, with the command that mends it.

    It needs no key and changes nothing. Exit code 0 if there is no problem, 3 if there is one. With --github it asks
    GitHub with GITHUB_TOKEN or GH_TOKEN; an administrator's token is shown most.
    """
    from maa_gitops.render.plain import document
    from maa_gitops.workflow.doctor.checks import has_problem, in_order
    from maa_gitops.workflow.doctor.clone import examine

    invocation = ctx.ensure_object(Invocation)
    with invocation.progress("judging history") as progress:
        examined = examine(
            invocation.repository,
            invocation.key_sources(),
            invocation.now(),
            fetch=invocation.fetch,
            progress=progress,
        )
    checks = in_order([*examined.checks, *(_on_github(invocation, examined) if on_github else ())])

    def text() -> None:
        for check in checks:
            invocation.say(_line(check), colour=_COLOURS[check.level.value])

    invocation.emit(document(checks=[_plain(check) for check in checks]), text)
    if has_problem(checks):
        ctx.exit(NO)


def _on_github(invocation: Invocation, examined: "Examined") -> "tuple[Check, ...]":
    """What is missing on GitHub; that it cannot be reached keeps nothing else from being looked at."""
    from maa_gitops.cli.forge import open_forge
    from maa_gitops.errors import MaaError
    from maa_gitops.workflow.doctor.checks import problem
    from maa_gitops.workflow.doctor.live import examine_live
    from maa_gitops.workflow.doctor.written import examine_written

    written = examine_written(invocation.repository, examined.history)
    try:
        forge = open_forge(invocation)
    except MaaError as error:
        return (problem("forge", error.message, error.hint), *written)
    has_token = forge.job.token is not None
    return (*examine_live(forge.github, examined.branch, examined.tenant, has_token=has_token), *written)


def _line(check: "Check") -> str:
    hint = f"  hint: {check.hint}" if check.hint else ""
    return safe_line(f"{check.level.value:<8} {check.code}: {check.message}{hint}")


def _plain(check: "Check") -> dict[str, object]:
    return {"check": check.code, "level": check.level.value, "message": check.message, "hint": check.hint}
