"""Commands that only read: lists, one request, the gate, documents, history, the log. None of them needs a key."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from maa_gitops.cli.completion import complete_request
from maa_gitops.cli.invocation import Invocation
from maa_gitops.cli.options import common_options
from maa_gitops.render.escape import safe_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maa_gitops.apply import ObjectReach
    from maa_gitops.history import History
    from maa_gitops.model import Account, Problem
    from maa_gitops.workflow.clone import Clone
    from maa_gitops.workflow.listing import Listed
    from maa_gitops.workflow.requests import Request

NO = 3
"""Exit code: the answer is no."""

request_argument = click.argument("request", metavar="[ID]", required=False, shell_complete=complete_request)


def overview(invocation: Invocation) -> None:
    """What waits for the caller, and what became of the caller's own requests."""
    from maa_gitops.model import Status
    from maa_gitops.render.plain import document, requests_plain
    from maa_gitops.workflow.listing import waiting_for

    clone, viewer, listed = _lists(invocation, ended=True)
    waiting = [item for item in waiting_for(listed) if item.request.evaluation.status is Status.NEEDS_APPROVAL]
    mine = [item for item in listed if item.is_mine]
    ready = [item for item in listed if item.request.evaluation.status is Status.APPROVED and item not in mine]

    def text() -> None:
        name = viewer.display_name if viewer is not None else "somebody without an account"
        invocation.say(f"Tenant {clone.tenant.settings.tenant}, as {name}", bold=True)
        if not clone.history.tip_is_good:
            invocation.say(f"The tip of {clone.branch} is not good: maa verify", colour="red")
        _section(invocation, "Waits for you", waiting, "maa show ID, then maa approve ID or maa reject ID -m NOTES")
        _section(invocation, "Yours", mine, "maa show ID")
        _section(invocation, "Approved", ready, "maa complete ID")
        if not (waiting or mine or ready):
            invocation.say(
                "Nothing waits. To change something: git switch -c change/<name>, edit, maa submit -a -m TEXT"
            )

    lists = {"waiting": waiting, "mine": mine, "approved": ready}
    plain = {name: requests_plain(items) for name, items in lists.items()}
    invocation.emit(
        document(tenant=clone.tenant.settings.tenant, account=viewer.name if viewer else None, **plain), text
    )


def _section(invocation: Invocation, title: str, items: "Sequence[Listed]", hint: str) -> None:
    from maa_gitops.render.text import LIST_HEADS, list_row

    if items:
        invocation.say()
        invocation.say(f"{title} ({hint})", bold=True)
        invocation.table(LIST_HEADS, [list_row(item) for item in items])


def _lists(invocation: Invocation, *, ended: bool) -> "tuple[Clone, Account | None, tuple[Listed, ...]]":
    from maa_gitops.cli.targets import outcome_reader
    from maa_gitops.workflow.listing import list_requests

    clone = invocation.open_clone()
    viewer = invocation.viewer(clone.tenant)
    with invocation.progress("reading requests") as progress:
        listed = list_requests(clone, viewer, outcome_reader(clone), ended=ended, progress=progress)
    return clone, viewer, listed


@click.command(epilog="Example:  maa requests --received --status needsApproval")
@click.option("--mine", "which", flag_value="mine", help="My requests.")
@click.option("--received", "which", flag_value="received", help="Requests for an approver group that I am in.")
@click.option("--all", "which", flag_value="all", help="Every request (the default).")
@click.option(
    "--status",
    type=click.Choice(["needsApproval", "approved", "completed", "rejected", "cancelled", "expired"]),
    help="Only those in this status.",
)
@common_options
@click.pass_obj
def requests(invocation: Invocation, which: str | None, status: str | None) -> None:
    """List requests: active ones, and those that ended within 30 days."""
    from maa_gitops.render.plain import document, requests_plain
    from maa_gitops.render.text import LIST_HEADS, list_row

    _, _, listed = _lists(invocation, ended=True)
    shown = [
        item
        for item in listed
        if (which != "mine" or item.is_mine)
        and (which != "received" or item.received)
        and (status is None or item.request.evaluation.status.value == status)
    ]

    def text() -> None:
        if shown:
            invocation.table(LIST_HEADS, [list_row(item) for item in shown])
        else:
            invocation.note("no requests")

    invocation.emit(document(requests=requests_plain(shown)), text)


def read_named(invocation: Invocation, clone: "Clone", named: str | None) -> "Request":
    """The request that is named, else the one of the branch that is checked out."""
    from maa_gitops.cli.targets import outcome_reader
    from maa_gitops.errors import NotAllowedError
    from maa_gitops.model import ReasonCode
    from maa_gitops.workflow.clone import CHANGE_PREFIX
    from maa_gitops.workflow.requests import find_id, read_request

    if named is None:
        branch = invocation.repository.current_branch()
        if branch is None or not branch.startswith(CHANGE_PREFIX):
            raise NotAllowedError(
                "name a request, or be on its branch", hint="maa requests", code=ReasonCode.NO_OPEN_REQUEST
            )
        named = branch
    return read_request(clone, find_id(named), outcome_reader(clone))


def show_request(invocation: Invocation, clone: "Clone", request: "Request", *, asks: bool = False) -> None:
    """Put out one request, as every act does at its end; with whom it reaches, if targets are to be asked."""
    from maa_gitops.cli.targets import request_reach
    from maa_gitops.render.plain import document, request_plain
    from maa_gitops.render.text import STATUS_COLOURS, request_text
    from maa_gitops.workflow.listing import look

    listed = look(request, invocation.viewer(clone.tenant))
    reach = request_reach(invocation, clone, request) if asks else []

    def text() -> None:
        first, *rest = request_text(listed)
        invocation.say(first, colour=STATUS_COLOURS[request.evaluation.status], bold=True)
        for line in rest:
            invocation.say(line, bold=not line.startswith(" "))
        _say_reach(invocation, reach)

    invocation.emit(document(**request_plain(listed), **_reach_plain(reach)), text)


def _say_reach(invocation: Invocation, reach: "Sequence[tuple[str, ObjectReach]]") -> None:
    from maa_gitops.cli.targets import reach_lines

    for target, found in reach:
        if not found.reach and found.problem is None:
            continue
        invocation.say(f"On {target}: {found.object}", bold=True)
        for line in reach_lines(found.reach):
            invocation.say(safe_line(f"  {line}"))
        if found.problem is not None:
            invocation.say(safe_line(f"  cannot be applied: {found.problem}"), colour="red")


def _reach_plain(reach: "Sequence[tuple[str, ObjectReach]]") -> "dict[str, object]":
    """Whom a change reaches, as plain data; nothing where no target was asked."""
    from maa_gitops.cli.targets import reach_plain

    plain = [
        {"target": target, "object": found.object, "reach": reach_plain(found.reach), "problem": found.problem}
        for target, found in reach
    ]
    return {"reach": plain} if plain else {}


@click.command(epilog="Example:  maa show update-company-portal")
@request_argument
@common_options
@click.pass_obj
def show(invocation: Invocation, request: str | None) -> None:
    """Show everything about one request, ending with what you can do."""
    clone = invocation.open_clone()
    show_request(invocation, clone, read_named(invocation, clone, request), asks=True)


@click.command(epilog="Example:  maa diff update-company-portal")
@request_argument
@common_options
@click.pass_obj
def diff(invocation: Invocation, request: str | None) -> None:
    """Show the change of one request, script text included."""
    clone = invocation.open_clone()
    show_diff(invocation, clone, read_named(invocation, clone, request))


def show_diff(invocation: Invocation, clone: "Clone", request: "Request") -> None:
    """Put out the change of a request."""
    from maa_gitops.cli.targets import request_reach
    from maa_gitops.render.diff import request_diffs
    from maa_gitops.render.plain import diff_plain, document

    diffs = request_diffs(clone.repository, request)
    reach = request_reach(invocation, clone, request)
    colours = {"+": "green", "-": "red", "@": "cyan"}

    def text() -> None:
        for found in diffs:
            what = f"{found.operation.value} {found.governed}" if found.operation is not None else "not protected"
            invocation.say(f"# {what}", bold=True)
            for line in found.text.removesuffix("\n").split("\n"):  # no other character begins a line
                invocation.say(line, colour=colours.get(line[:1]))
        if not diffs:
            invocation.note("nothing is changed, or the change cannot be computed (maa show says why)")
        _say_reach(invocation, reach)

    invocation.emit(document(changes=[diff_plain(found) for found in diffs], **_reach_plain(reach)), text)


@click.command(epilog="Example:  maa check update-company-portal && echo it may be merged")
@request_argument
@click.option("--head", metavar="COMMIT", help="Judge this commit instead of the branch's head.")
@common_options
@click.pass_context
def check(ctx: click.Context, request: str | None, head: str | None) -> None:
    """The gate: may this be merged? Exit code 0 if so, 3 if not."""
    from maa_gitops.cli.targets import outcome_reader
    from maa_gitops.model import Status
    from maa_gitops.workflow.gate import judge_head, nothing_protected, refuse_leftover

    invocation = ctx.ensure_object(Invocation)
    clone = invocation.open_clone()
    if head is not None:
        found = judge_head(clone, request, head, outcome_reader(clone))
    else:
        found = read_named(invocation, clone, request)
    refuse_leftover(clone, found)
    if nothing_protected(clone, found):
        _say_unprotected(invocation, found)
        return
    show_request(invocation, clone, found)
    if found.evaluation.status is not Status.APPROVED and found.facts.merged is None:
        ctx.exit(NO)


def _say_unprotected(invocation: Invocation, request: "Request") -> None:
    from maa_gitops.model import Reason, ReasonCode
    from maa_gitops.render.plain import document, reason_plain, request_plain
    from maa_gitops.workflow.listing import look

    reason = Reason(ReasonCode.NOTHING_PROTECTED, "nothing protected changes")
    plain = {**request_plain(look(request, None)), "status": None, "reasons": [reason_plain(reason)]}
    invocation.emit(document(**plain), lambda: invocation.say("nothing protected changes: merge it as usual"))


@click.command(epilog="Example:  maa explain resources/apps/company-portal.yaml")
@click.argument("object_or_path", metavar="[PATH|OBJECT]", required=False)
@common_options
@click.pass_obj
def explain(invocation: Invocation, object_or_path: str | None) -> None:
    """Say which access policies cover an object, and who could approve a change to it.

    Without argument: what is covered, and what is not.
    """
    from maa_gitops.cli.explaining import explain_one, explain_tenant

    clone = invocation.open_clone()
    if object_or_path is None:
        explain_tenant(invocation, clone)
    else:
        explain_one(invocation, clone, object_or_path)


@click.command(epilog="Example:  maa validate resources/apps")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--commit", "revision", metavar="REV", help="Look at this commit instead of the work tree.")
@common_options
@click.pass_context
def validate(ctx: click.Context, paths: tuple[Path, ...], revision: str | None) -> None:
    """Check documents, schemas and cross references, and say where each problem is."""
    from maa_gitops.errors import RepositoryError
    from maa_gitops.model import Level
    from maa_gitops.render.plain import document, problem_plain
    from maa_gitops.tenant import validate as find_problems

    invocation = ctx.ensure_object(Invocation)
    repository = invocation.repository
    if revision is None:
        tree = repository.snapshot()
    else:
        commit = repository.resolve(revision)
        if commit is None:
            raise RepositoryError(f"there is no commit {revision}", hint="git log --oneline")
        tree = repository.commit(commit).tree
    wanted = [_in_tree(invocation, tree, path) for path in paths]
    problems = [problem for problem in find_problems(repository, tree) if _is_below(problem, wanted)]
    errors = [problem for problem in problems if problem.level is Level.ERROR]

    def text() -> None:
        for problem in problems:
            where = f"{problem.path}:{problem.line}:{problem.column}" if problem.line else problem.path
            colour = "red" if problem.level is Level.ERROR else "yellow"
            invocation.say(f"{where}: {problem.level.value}: {problem.message} [{problem.code}]", colour=colour)
        if not problems:
            invocation.note("no problems")

    invocation.emit(document(problems=[problem_plain(problem) for problem in problems]), text)
    if errors:
        ctx.exit(NO)


def _in_tree(invocation: Invocation, tree: str, path: Path) -> PurePosixPath:
    """A path that was named where the caller is, as the tree has it; one that is not there is no "no problems"."""
    top = (invocation.repository.work_tree or invocation.directory).resolve()
    place = (invocation.directory / path).resolve()
    found = PurePosixPath(place.relative_to(top).as_posix()) if place.is_relative_to(top) else None
    is_top = found == PurePosixPath()
    if found is None or not (is_top or invocation.repository.entry(tree, str(found)) is not None):
        raise click.UsageError(f"there is no file or folder {path} in what is looked at")
    return found


def _is_below(problem: "Problem", wanted: "Sequence[PurePosixPath]") -> bool:
    """Whether a problem is in one of the named files or folders; all are, if none is named."""
    place = PurePosixPath(problem.path)
    return not wanted or any(place.is_relative_to(want) for want in wanted)


def _late_receipts(invocation: Invocation, history: "History") -> tuple[str, ...]:
    """What receipts tell of completions that may be dated back: a warning, never a violation."""
    from maa_gitops.apply import Context
    from maa_gitops.audit import late_receipts

    repository = invocation.repository
    has_remote = repository.remote() is not None
    return late_receipts(Context(repository, history, history.start, has_remote, invocation.now()))


@click.command(epilog="Example:  maa verify --from v1.0 --format json")
@click.argument("revision", metavar="[REV]", required=False)
@click.option("--from", "start", metavar="COMMIT", help="The trusted start; else git config maa.trustedStart.")
@common_options
@click.pass_context
def verify(ctx: click.Context, revision: str | None, start: str | None) -> None:
    """Prove from this clone alone that nothing landed which was not approved.

    Every step of the protected branch is judged again, from the trusted start on. Exit code 0 if the commit is good,
    3 if it is not.
    """
    from maa_gitops.render.plain import history_plain
    from maa_gitops.render.text import counted
    from maa_gitops.workflow.verifying import verify_history

    invocation = ctx.ensure_object(Invocation)
    with invocation.progress("judging history") as progress:
        history = verify_history(
            invocation.repository, invocation.now(), revision, start, fetch=invocation.fetch, progress=progress
        )

    def text() -> None:
        for violation in history.violations:
            healed = f" (healed by {violation.healed_by[:12]})" if violation.healed_by else ""
            colour = "yellow" if violation.healed_by else "red"
            invocation.say(
                f"{violation.commit[:12]} {violation.code.value}: {violation.message}{healed}", colour=colour
            )
        steps = f"{counted(history.steps, 'step')} from {history.start[:12]}"
        if history.tip_is_good:
            invocation.say(f"good: {history.tip[:12]}, {steps}", colour="green")
        else:
            last = history.good.commit
            invocation.say(f"NOT GOOD: {history.tip[:12]}, {steps}; last good commit: {last}", colour="red")
            invocation.note(f"hint: a commit that puts every path back to {last[:12]} heals it and needs no approval")

    if start is None and not invocation.repository.config("maa.trustedStart"):
        invocation.note(f"trusted start: {history.start}; pin it with: git config maa.trustedStart {history.start}")
    warnings = _late_receipts(invocation, history) if revision is None else ()
    for warning in warnings:
        invocation.note(f"warning: {warning}")
    invocation.emit({**history_plain(history), "warnings": list(warnings)}, text)
    if not history.tip_is_good:
        ctx.exit(NO)
