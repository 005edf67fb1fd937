"""Commands for GitHub: the gate, recording what was said there, completing, the rulesets.

Each is one step of a workflow; at a terminal they do the same with a token of one's own.
"""

import json
from typing import TYPE_CHECKING

import click

from maa_gitops.cli.forge import Forge, open_forge
from maa_gitops.cli.invocation import Invocation
from maa_gitops.cli.options import common_options

if TYPE_CHECKING:
    from maa_gitops.forges import PullRequest
    from maa_gitops.git import Identity
    from maa_gitops.workflow.clone import Clone
    from maa_gitops.workflow.pull_requests.completing import Step
    from maa_gitops.workflow.pull_requests.weighing import Heard
    from maa_gitops.workflow.requests import Request

NO = 3
CANNOT = 4

FEW = 25
"""Pull requests up to which every comment is looked at: somebody else's workflow may have put other words there."""


@click.group(epilog="Example:  maa github gate --pull-request 7")
def github() -> None:
    """Gate, sign-off, completion on GitHub; in workflows or with a token of your own."""


number_option = click.option(
    "--pull-request", "number", metavar="N", type=click.IntRange(1), help="Only this one; else the event's, else all."
)


# --- gate ------------------------------------------------------------------------------------------------------------


@github.command(epilog="Example:  maa github gate --pull-request 7")
@number_option
@common_options
@click.pass_context
def gate(ctx: click.Context, number: int | None) -> None:
    """Judge pull requests; write their status 'maa/approval' and keep the comment up to date.

    Exit code 0 while nothing but approval is missing; 3 if documents or the record must be mended.
    """
    forge = open_forge(ctx.ensure_object(Invocation))
    named = forge.number(number)
    judged = forge.judged(forge.chosen(named))
    forge.publish(judged, talkative=lambda one: len(judged) <= FEW or one.pull_request.number == named)
    forge.put_out(judged)
    if forge.failed:
        ctx.exit(CANNOT)
    if any(one.is_faulty for one in judged if named in (None, one.pull_request.number)):
        ctx.exit(NO)


# --- record ----------------------------------------------------------------------------------------------------------


@github.command(epilog="Example:  MAA_SIGNING_KEY=… maa github record --pull-request 7")
@number_option
@common_options
@click.pass_context
def record(ctx: click.Context, number: int | None) -> None:
    """Record what people said on pull requests as events, signed by the attestor's key.

    Reviews, comments such as '/maa approve 3f9a12bc44d0 Checked.', and runs that were dispatched with inputs.
    Recording twice is harmless. Exit code 3 if a dispatched run's own act is refused.
    """
    from maa_gitops.workflow.pull_requests.weighing import Outcome

    forge = open_forge(ctx.ensure_object(Invocation))
    named = forge.number(number)
    dispatched = forge.job.inputs is not None and "action" in forge.job.inputs
    heard, touched = _record_run(forge) if dispatched else _record_said(forge, named)
    forge.refresh()
    others = {one.number: one for one in forge.chosen(named)} if not dispatched else {}
    judged = forge.judged(forge.at_its_head(one) for one in {**others, **touched}.values())
    forge.publish(judged, talkative=lambda one: one.pull_request.number in touched)
    forge.put_out(judged, heard if dispatched else [one for one in heard if one.outcome is not Outcome.KNOWN])
    if forge.failed:
        ctx.exit(CANNOT)
    if dispatched and any(one.outcome is Outcome.REFUSED for one in heard):
        ctx.exit(NO)


def _record_said(forge: Forge, number: int | None) -> "tuple[list[Heard], dict[int, PullRequest]]":
    """Record everything that was said on pull requests and is not recorded yet."""
    from maa_gitops.workflow.pull_requests.recording import record as record_statements
    from maa_gitops.workflow.pull_requests.recording import refuse_other_than_attestor
    from maa_gitops.workflow.pull_requests.weighing import Outcome

    heard: list[Heard] = []
    touched: dict[int, PullRequest] = {}
    with forge.invocation.actor(forge.clone.tenant) as attestor:
        refuse_other_than_attestor(attestor.account)
        for pull_request in forge.with_requests(number):
            with forge.apart(f"#{pull_request.number} is not recorded"):
                meeting = forge.meeting(pull_request)
                branch = pull_request.head_branch
                done = record_statements(forge.invocation.open_clone, forge.clone, branch, meeting, attestor)
                forge.clone = done.clone
                heard += done.heard
                if number is not None or any(one.outcome is not Outcome.KNOWN for one in done.heard):
                    touched[pull_request.number] = pull_request
                _note_final(forge, final=done.final)
    return heard, touched


def _note_final(forge: Forge, *, final: bool) -> None:
    if not final:
        forge.invocation.note(f"not final yet: the veto is not on {forge.clone.branch}; maa github complete does that")


def _record_run(forge: Forge) -> "tuple[list[Heard], dict[int, PullRequest]]":
    """Record what a person asked for by dispatching this run."""
    from maa_gitops.errors import RepositoryError
    from maa_gitops.workflow.pull_requests.judging import request_branch
    from maa_gitops.workflow.pull_requests.recording import record as record_statements
    from maa_gitops.workflow.pull_requests.statements import from_run
    from maa_gitops.workflow.pull_requests.weighing import Meeting
    from maa_gitops.workflow.requests import branch_of, find_id

    if forge.job.run is None:
        raise RepositoryError("GITHUB_RUN_ID does not say which run this is", code="badEvent")
    inputs = forge.job.inputs or {}
    branch = branch_of(forge.clone, find_id(inputs.get("request", "")))
    said = from_run(forge.github.run(forge.job.run), inputs, forge.clone.branch)
    mine = [
        one
        for one in forge.github.open_pull_requests()
        if request_branch(forge.clone, one, forge.github.repository) == branch
    ]
    meeting = Meeting(mine[0] if mine else None, (said,), forge.github.may_write)
    with forge.invocation.actor(forge.clone.tenant) as attestor:
        done = record_statements(forge.invocation.open_clone, forge.clone, branch, meeting, attestor)
    forge.clone = done.clone
    _note_final(forge, final=done.final)
    return list(done.heard), {one.number: one for one in mine}


# --- complete --------------------------------------------------------------------------------------------------------


@github.command(epilog="Example:  maa github complete update-company-portal")
@click.argument("request", metavar="[ID]", required=False)
@common_options
@click.pass_context
def complete(ctx: click.Context, request: str | None) -> None:
    """Merge every approved request and apply; keep vetoes; merge what changes nothing protected, if it was asked for.

    With ID only that request is merged. Exit code 4 if something could not be done, 3 if ID is not approved.
    """
    from maa_gitops.cli.applying import apply_all
    from maa_gitops.model import Role
    from maa_gitops.workflow.pull_requests.completing import complete_approved, keep_vetoes
    from maa_gitops.workflow.requests import find_id, read_request

    forge = open_forge(ctx.ensure_object(Invocation))
    reopen = forge.invocation.open_clone
    only = find_id(request) if request is not None else None
    clone = forge.clone
    if only is not None:
        read_request(clone, only)
    pull_requests = forge.github.open_pull_requests()
    with forge.invocation.actor(clone.tenant) as actor:
        forge.clone, kept = keep_vetoes(reopen, clone, actor.identity)
        unkept = {step.name for step in kept if step.what == "failed"}

        def hold(clone: "Clone", request: "Request") -> str | None:
            return "its veto could not be kept" if request.id in unkept else forge.hold(clone, request)

        forge.clone, merged = complete_approved(reopen, forge.clone, actor, hold, only)
        steps = [*kept, *merged]
        for one in () if only is not None else pull_requests:
            steps += _merge_unprotected(forge, one, actor.identity)
        if Role.DEPLOYER in actor.account.roles and _has_to_apply(forge.clone):
            forge.failed = not apply_all(forge.invocation, forge.clone, actor) or forge.failed
    forge.refresh()
    judged = forge.judged(forge.at_its_head(one) for one in pull_requests)
    forge.publish(judged, talkative=lambda _one: len(judged) <= FEW)
    forge.put_out(judged, (), steps)
    if forge.failed or any(step.what == "failed" for step in steps):
        ctx.exit(CANNOT)
    if only is not None and any(step.what == "waits" for step in steps):
        ctx.exit(NO)


def _merge_unprotected(forge: Forge, pull_request: "PullRequest", identity: "Identity") -> "list[Step]":
    from maa_gitops.workflow.pull_requests.completing import merge_unprotected
    from maa_gitops.workflow.pull_requests.judging import Verdict

    steps = []
    with forge.apart(f"#{pull_request.number} is not merged"):
        for judged in forge.judged([pull_request]):
            if judged.verdict is Verdict.UNPROTECTED:
                said = forge.spoken(pull_request)
                forge.clone, step = merge_unprotected(
                    forge.invocation.open_clone, forge.clone, forge.github, judged, said, identity
                )
                steps += [step] if step is not None else []
    return steps


def _has_to_apply(clone: "Clone") -> bool:
    """Whether a target may lack something that was approved; what was changed around the gate is for drift to tell."""
    from maa_gitops.apply import is_behind
    from maa_gitops.cli.targets import context_of

    context = context_of(clone)
    return any(is_behind(context, target.name) for target in clone.tenant.settings.targets)


# --- rulesets --------------------------------------------------------------------------------------------------------

_RULESETS = ("protected-updates", "protected-history", "change-history", "change-deletion", "receipts")


@github.command(epilog="Example:  maa github ruleset protected-updates > protected-updates.json")
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--merge-queue", is_flag=True, help="For a repository whose merge queue carries what is not protected.")
@common_options
@click.pass_obj
def ruleset(invocation: Invocation, name: str | None, *, merge_queue: bool) -> None:
    """Print the rulesets of the repository as JSON, ready for import.

    Without a name all of them, as a list; with one of protected-updates, protected-history, change-history,
    change-deletion, receipts that one alone, as GitHub's importer wants it.
    """
    from maa_gitops.cli.invocation import json_text
    from maa_gitops.forges.rulesets import rulesets
    from maa_gitops.render.plain import document
    from maa_gitops.workflow.clone import protected_branch

    every = rulesets(protected_branch(invocation.repository), merge_queue=merge_queue)
    found = dict(zip(_RULESETS, every, strict=True))
    if name is not None and name not in found:
        raise click.UsageError(f"there is no ruleset '{name}'; there are: {', '.join(found)}")
    if name is not None:
        chosen = found[name]
        invocation.emit(document(name=name, ruleset=chosen), lambda: click.echo(json_text(chosen)))
        return
    invocation.emit(document(rulesets=list(every)), lambda: click.echo(json.dumps(every, indent=2)))
