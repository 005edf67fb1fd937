"""Commands that sign: submit, the approver's acts, cancel, merge, complete; and what tidies up after them."""

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import click

from maa_gitops.cli.completion import complete_request
from maa_gitops.cli.invocation import Invocation
from maa_gitops.cli.options import common_options
from maa_gitops.cli.reading import read_named, show_diff, show_request

if TYPE_CHECKING:
    from maa_gitops.model import Action
    from maa_gitops.workflow.acts import Actor
    from maa_gitops.workflow.clone import Clone
    from maa_gitops.workflow.requests import Request

CANNOT = 4
"""Exit code: it could not be done."""

_SHOWN = 10
"""Of so many uncommitted files the paths are told."""

request_argument = click.argument("request", metavar="ID", shell_complete=complete_request)


def _notes(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse notes that no record could hold."""
    from maa_gitops.record import prose_problem

    problem = prose_problem(value) if value is not None else None
    if problem is not None:
        raise click.BadParameter(f"the notes are refused: {problem}")
    return value


notes_option = click.option("-m", "--message", "notes", metavar="NOTES", callback=_notes, help="Approver notes.")
required_notes_option = click.option(
    "-m", "--message", "notes", metavar="NOTES", required=True, callback=_notes, help="Approver notes: why not."
)


# --- submit ----------------------------------------------------------------------------------------------------------


@click.command(epilog="Example:  maa submit -a -m 'Version 11.2 fixes the enrolment loop.'")
@click.option("-m", "--message", "justification", metavar="TEXT", help="The business justification; else git's editor.")
@click.option(
    "-a", "--all", "take_all", is_flag=True, help="Commit new, changed and deleted files of the tenant first."
)
@click.option("--dry-run", is_flag=True, help="Say what would happen, and who could approve; sign and push nothing.")
@common_options
@click.pass_obj
def submit(invocation: Invocation, justification: str | None, *, take_all: bool, dry_run: bool) -> None:
    """Send the current branch for approval."""
    from maa_gitops.render.text import whom_to_ask
    from maa_gitops.workflow import submit as workflow

    if not dry_run:
        _refuse_justification(invocation, justification)  # before anything is committed
    clone = invocation.open_clone()
    branch, head, name = workflow.change_branch(clone)
    loose = workflow.uncommitted(clone.repository)
    if loose and take_all and dry_run:
        head = workflow.head_with(clone, head, loose)
    elif loose and take_all:
        first_line = next(iter((justification or "").strip().splitlines()), "") or f"Change for {name}"
        workflow.commit_all(clone.repository, loose, first_line)
        head = clone.repository.ref(f"refs/heads/{branch}") or head
    elif loose:
        more = f" and {len(loose) - _SHOWN} more" if len(loose) > _SHOWN else ""
        named = ", ".join(loose[:_SHOWN])
        invocation.note(f"not sent, because not committed: {named}{more} (maa submit -a takes them in)")
    with invocation.actor(clone.tenant) as actor:
        head = _bring_up_to_date(invocation, clone, branch, head, name, actor, dry_run=dry_run)
        preview = workflow.preview(clone, branch, head, name)
        prospect = workflow.prospect(clone, preview, actor, justification or "-")
        workflow.refuse_submit(clone, preview, prospect)
        if dry_run:
            _show_prospect(invocation, clone, preview, actor)
            return
        text = _justification(invocation, preview, justification)
        done = workflow.submit(invocation.open_clone, clone, branch, actor, text)
    for note in done.notes:
        invocation.note(note)
    if not done.changed:
        invocation.note("nothing to do: exactly this change is submitted already")
    show_request(invocation, done.clone, done.request)
    for line in () if invocation.wants_json else whom_to_ask(done.request):
        invocation.say(line)


def _bring_up_to_date(
    invocation: Invocation, clone: "Clone", branch: str, head: str, name: str, actor: "Actor", *, dry_run: bool
) -> str:
    """Offer to merge the protected branch into a branch that is behind where it matters."""
    from maa_gitops.model import ReasonCode
    from maa_gitops.workflow import submit as workflow
    from maa_gitops.workflow.joining import merge_protected

    preview = workflow.preview(clone, branch, head, name)
    obstacles = workflow.prospect(clone, preview, actor, "-").obstacles
    outdated = any(reason.code is ReasonCode.OUTDATED for reason in obstacles)
    if not outdated or dry_run or not (invocation.asks or invocation.yes):
        return head
    invocation.confirm(f"{clone.branch} has moved on; merge it into {branch}?")
    merge_protected(clone, branch, name)
    return clone.repository.ref(f"refs/heads/{branch}") or head


def _justification(invocation: Invocation, preview: "Request", given: str | None) -> str:
    """The business justification: as given, else from git's editor if there is a terminal."""
    from maa_gitops.render.text import operations

    text = given
    if text is None:
        what = "".join(f"#   {line}\n" for line in operations(preview))
        text = invocation.repository.edit_text(f"\n# Why is this change wanted? Approvers read it.\n#\n{what}")
    _refuse_justification(invocation, text)
    return text.strip()


def _refuse_justification(invocation: Invocation, given: str | None) -> None:
    from maa_gitops.record import prose_problem

    if given is None and not invocation.asks:
        raise click.UsageError("a business justification is needed: -m TEXT")
    problem = prose_problem(given.strip()) if given is not None else None
    if problem is not None:
        raise click.UsageError(f"the business justification is refused: {problem}")


def _show_prospect(invocation: Invocation, clone: "Clone", preview: "Request", actor: "Actor") -> None:
    from dataclasses import replace

    from maa_gitops.workflow.submit import prospect

    request = replace(preview, evaluation=prospect(clone, preview, actor, "-"), record=b"", lines=())
    invocation.note("dry run: nothing was signed or pushed")
    show_request(invocation, clone, replace(request, evaluation=replace(request.evaluation, events=())))


# --- decisions -------------------------------------------------------------------------------------------------------


@click.command(epilog="Example:  maa approve update-company-portal -m 'Checked against the release notes.'")
@request_argument
@notes_option
@click.option("--change", metavar="DIGEST", help="Approve only if this is the change: sha256:…")
@common_options
@click.pass_obj
def approve(invocation: Invocation, request: str, notes: str | None, change: str | None) -> None:
    """Approve a request that somebody else submitted."""
    from maa_gitops.errors import NotAllowedError
    from maa_gitops.model import Action, ReasonCode
    from maa_gitops.workflow.acts import has_approved

    clone = invocation.open_clone()
    found = read_named(invocation, clone, request)
    if change is not None and found.evaluation.change != change:
        raise NotAllowedError(
            f"the change of '{found.id}' is {found.evaluation.change}",
            hint=f"look again: maa show {found.id}",
            code=ReasonCode.STALE_CHANGE,
        )
    with invocation.actor(clone.tenant) as actor:
        if has_approved(found, actor.account.name) and notes is None:
            invocation.note("nothing to do: you have approved this change already")
            show_request(invocation, clone, found)
            return
        _decide(invocation, clone, found, Action.APPROVE, actor, notes)


@click.command(epilog="Example:  maa reject update-company-portal -m 'Wait for the pilot.'")
@request_argument
@required_notes_option
@common_options
@click.pass_obj
def reject(invocation: Invocation, request: str, notes: str) -> None:
    """Reject a request; only a new submit opens it again."""
    from maa_gitops.model import Action

    _act(invocation, request, Action.REJECT, notes)


@click.command(epilog="Example:  maa withdraw update-company-portal")
@request_argument
@notes_option
@common_options
@click.pass_obj
def withdraw(invocation: Invocation, request: str, notes: str | None) -> None:
    """Take your own approval back."""
    from maa_gitops.model import Action

    _act(invocation, request, Action.WITHDRAW, notes)


@click.command(epilog="Example:  maa cancel update-company-portal")
@request_argument
@notes_option
@common_options
@click.pass_obj
def cancel(invocation: Invocation, request: str, notes: str | None) -> None:
    """Cancel your own request while it needs approval."""
    from maa_gitops.model import Action

    _act(invocation, request, Action.CANCEL, notes)


def _act(invocation: Invocation, named: str, action: "Action", notes: str | None) -> None:
    clone = invocation.open_clone()
    found = read_named(invocation, clone, named)
    with invocation.actor(clone.tenant) as actor:
        _decide(invocation, clone, found, action, actor, notes)


def _decide(
    invocation: Invocation, clone: "Clone", found: "Request", action: "Action", actor: "Actor", notes: str | None
) -> None:
    """Show the change, ask, sign, publish, and show what the request has come to."""
    from maa_gitops.render.text import asked_text
    from maa_gitops.workflow.acts import act, refuse_unless_open

    refuse_unless_open(found, action, actor.account)
    if invocation.asks:
        with redirect_stdout(sys.stderr):  # it belongs to the question: what comes of it is the answer
            for line in asked_text(found):
                invocation.say(line)
            show_diff(invocation, clone, found)
        invocation.confirm(f"{action.value} '{found.id}' as {actor.account.name}?")
    done = act(invocation.open_clone, clone, found, action, actor, notes)
    for note in done.notes:
        invocation.note(note)
    if not done.final:
        why = "where only some may push" if done.clone.history.tip_is_good else "whose tip is not good (maa verify)"
        invocation.note(f"not final yet: the record is not on {clone.branch}, {why}")
    fresh = invocation.open_clone()
    show_request(invocation, fresh, read_named(invocation, fresh, found.id))


# --- merge and complete ----------------------------------------------------------------------------------------------


@click.command(epilog="Example:  maa merge update-company-portal")
@request_argument
@common_options
@click.pass_obj
def merge(invocation: Invocation, request: str) -> None:
    """Merge a request if it is approved: exactly what was signed, and nothing else."""
    clone = invocation.open_clone()
    found = read_named(invocation, clone, request)
    with invocation.actor(clone.tenant) as actor:
        clone, found = _merge(invocation, clone, found, actor)
    show_request(invocation, clone, found)


def _merge(invocation: Invocation, clone: "Clone", found: "Request", actor: "Actor") -> "tuple[Clone, Request]":
    from maa_gitops.workflow.complete import merge as merge_request
    from maa_gitops.workflow.complete import refuse_merge

    if found.facts.merged is None:
        refuse_merge(found, actor.account)
        invocation.confirm(f"merge '{found.id}' into {clone.branch}?")
    done = merge_request(invocation.open_clone, clone, found, actor)
    for note in done.notes:
        invocation.note(note)
    if not done.merged_now:
        invocation.note(f"'{found.id}' is merged already")
    return done.clone, read_named(invocation, done.clone, found.id)


@click.command(epilog="Example:  maa complete update-company-portal")
@request_argument
@common_options
@click.pass_context
def complete(ctx: click.Context, request: str) -> None:
    """Merge a request if it is approved, then apply it if you are a deployer."""
    from maa_gitops.cli.applying import apply_all, deployers
    from maa_gitops.model import Role, Status

    invocation = ctx.ensure_object(Invocation)
    clone = invocation.open_clone()
    found = read_named(invocation, clone, request)
    failed = False
    with invocation.actor(clone.tenant) as actor:
        clone, found = _merge(invocation, clone, found, actor)
        account = clone.tenant.accounts.get(actor.account.name)
        if account is not None and Role.DEPLOYER in account.roles:
            failed = not apply_all(invocation, clone, actor)
        elif found.evaluation.status is not Status.COMPLETED:
            who = ", ".join(deployers(clone.tenant)) or "nobody"
            invocation.note(f"merged; a deployer applies it with: maa apply (deployers: {who})")
    found = read_named(invocation, clone, found.id)
    show_request(invocation, clone, found)
    if failed:
        ctx.exit(CANNOT)


# --- afterwards ------------------------------------------------------------------------------------------------------


@click.command(epilog="Example:  maa archive -y")
@common_options
@click.pass_context
def archive(ctx: click.Context) -> None:
    """Keep ended requests on the protected branch, and delete landed and ended branches."""
    from maa_gitops.render.plain import document
    from maa_gitops.workflow.housekeeping import archive as archive_requests

    invocation = ctx.ensure_object(Invocation)
    clone = invocation.open_clone()
    invocation.confirm("keep the records of ended requests and delete branches that are over?")
    results = archive_requests(clone, clone.repository.identity())

    def text() -> None:
        invocation.table(
            ("Request", "Outcome", "Branch", "Why"), [(r.request, r.outcome, r.branch, r.message) for r in results]
        )
        if not results:
            invocation.note("nothing to archive")

    rows = [{"request": r.request, "branch": r.branch, "outcome": r.outcome, "message": r.message} for r in results]
    invocation.emit(document(archived=rows), text)
    if any(result.outcome == "failed" for result in results):
        ctx.exit(CANNOT)


@click.command(epilog="Example:  maa revert update-company-portal")
@request_argument
@common_options
@click.pass_obj
def revert(invocation: Invocation, request: str) -> None:
    """Make a change branch that puts back what a merged request changed, ready to submit."""
    from maa_gitops.model import ACCESS_POLICY_TYPE, Operation
    from maa_gitops.render.plain import document
    from maa_gitops.workflow.housekeeping import revert as revert_request

    clone = invocation.open_clone()
    found = read_named(invocation, clone, request)
    branch = revert_request(clone, found, clone.repository.identity())
    made = [governed for governed, operation in found.operations.items() if operation is Operation.CREATE]
    if any(governed.type != ACCESS_POLICY_TYPE for governed in made):
        invocation.note("warning: what the request created, or adopted, goes from the targets with it; see maa plan")

    def text() -> None:
        invocation.say(f"branch {branch} puts back what '{found.id}' changed; to ask for it:")
        invocation.say(f"  git switch {branch}")
        invocation.say(f"  maa submit -m 'Put back {found.id}: ...'")

    invocation.emit(document(branch=branch, reverts=found.id), text)
