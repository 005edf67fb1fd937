"""Commands for GitHub: the gate, recording what was said there, completing, the rulesets.

Each is one step of a workflow; at a terminal they do the same with a token of one's own.
"""

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from maa_gitops.cli.invocation import Invocation
from maa_gitops.cli.options import common_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from maa_gitops.forges import GitHub, Job, PullRequest
    from maa_gitops.workflow.clone import Clone
    from maa_gitops.workflow.pull_requests.completing import Step
    from maa_gitops.workflow.pull_requests.judging import Judged
    from maa_gitops.workflow.pull_requests.statements import Statement
    from maa_gitops.workflow.pull_requests.weighing import Heard, Meeting

NO = 3
CANNOT = 4


@click.group(epilog="Example:  maa github gate --pull-request 7")
def github() -> None:
    """Gate, sign-off, completion on GitHub; in workflows or with a token of your own."""


number_option = click.option(
    "--pull-request", "number", metavar="N", type=click.IntRange(1), help="Only this one; else the event's, else all."
)


# --- the forge -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Forge:
    """GitHub and the job that runs here."""

    github: "GitHub"
    job: "Job"

    def chosen(self, number: int | None) -> "tuple[PullRequest, ...]":
        """The pull request that is named, else the event's, else every open one; with all that share its head."""
        number = number if number is not None else self.job.pull_request
        if number is None:
            return self.github.open_pull_requests()
        named = self.github.pull_request(number)
        others = self.github.open_pull_requests() if named.is_open else ()
        same_head = [one for one in others if one.head_commit == named.head_commit and one.number != number]
        return (named, *same_head)

    def with_requests(self, clone: "Clone", number: int | None) -> "tuple[PullRequest, ...]":
        """The same, with those that were closed while their change branch is there, for a veto is heard on them too."""
        from maa_gitops.workflow.pull_requests.judging import change_branch

        chosen = self.chosen(number)
        named = number if number is not None else self.job.pull_request
        closed = self.github.lately_closed() if named is None else ()
        branches = clone.change_branches()
        return tuple(one for one in (*chosen, *closed) if change_branch(one, self.github.repository) in branches)

    def meeting(self, pull_request: "PullRequest") -> "Meeting":
        """What was said on a pull request of what a record can hold."""
        from maa_gitops.workflow.pull_requests.weighing import Meeting

        spoken = tuple(said for said in self.spoken(pull_request) if not said.merges)
        return Meeting(pull_request, spoken, self.github.may_write)

    def spoken(self, pull_request: "PullRequest") -> "tuple[Statement, ...]":
        """Everything that was said on a pull request."""
        from maa_gitops.workflow.pull_requests.statements import statements

        number = pull_request.number
        reviews = self.github.reviews(number)
        dismissals = self.github.dismissals(number) if any(r.state.value == "DISMISSED" for r in reviews) else ()
        return statements(self.github.comments(number), reviews, dismissals)


def open_forge(invocation: Invocation) -> _Forge:
    """Reach the forge: as the job's variables say, else as the remote's address says."""
    from maa_gitops import __version__
    from maa_gitops.errors import RepositoryError
    from maa_gitops.forges import GitHub, Job, RestClient, repository_of

    job = Job.read(invocation.environment)
    if job.repository is None:
        found = repository_of(invocation.repository.config("remote.origin.url") or "")
        if found is None:
            raise RepositoryError(
                "the remote 'origin' is no repository on GitHub",
                hint="GITHUB_REPOSITORY=OWNER/NAME maa github …",
                code="noForge",
            )
        job = replace(job, repository=found[1], api_url=invocation.environment.get("GITHUB_API_URL") or found[0])
    if job.repository is None:
        raise RepositoryError("which repository is it?", code="noForge")
    client = RestClient(job.api_url, job.token, proxy=job.proxy, agent=f"maa-gitops/{__version__}")
    return _Forge(GitHub(client, job.repository), job)


# --- gate ------------------------------------------------------------------------------------------------------------


@github.command(epilog="Example:  maa github gate --pull-request 7")
@number_option
@common_options
@click.pass_context
def gate(ctx: click.Context, number: int | None) -> None:
    """Judge pull requests; write their status 'maa/approval' and keep the comment up to date.

    Exit code 0 while nothing but approval is missing; 3 if documents or the record must be mended.
    """
    invocation = ctx.ensure_object(Invocation)
    forge = open_forge(invocation)
    clone = invocation.open_clone()
    clone, judged, failed = _judge_all(invocation, forge, clone, forge.chosen(number))
    _publish(invocation, forge, clone, judged)
    _put_out(invocation, forge, clone, judged)
    if failed:
        ctx.exit(CANNOT)
    if any(one.is_faulty for one in judged):
        ctx.exit(NO)


def _judge_all(
    invocation: Invocation, forge: _Forge, clone: "Clone", pull_requests: "Iterable[PullRequest]"
) -> "tuple[Clone, list[Judged], bool]":
    """Judge pull requests; one that cannot be judged gets the status 'error', and the others are judged all the same.

    A head that was pushed since this clone fetched is fetched once more.
    """
    from maa_gitops.cli.targets import outcome_reader
    from maa_gitops.errors import MaaError
    from maa_gitops.forges import StatusState
    from maa_gitops.workflow.pull_requests.judging import judge

    judged, failed = [], False
    for pull_request in pull_requests:
        if not clone.repository.has(pull_request.head_commit) and invocation.fetch:
            clone = invocation.open_clone()
        try:
            judged.append(judge(clone, pull_request, forge.github.repository, outcome_reader(clone)))
        except MaaError as error:
            failed = True
            invocation.note(f"error: #{pull_request.number} cannot be judged: {error.message}")
            forge.github.set_status(
                pull_request.head_commit, StatusState.ERROR, f"cannot be told: {error.message}", forge.job.run_url
            )
    return clone, judged, failed


def _publish(invocation: Invocation, forge: _Forge, clone: "Clone", judged: "Sequence[Judged]") -> None:
    """Bring statuses and comments on the forge to what was judged."""
    from maa_gitops.workflow.pull_requests.judging import write_statuses

    changed = write_statuses(clone, forge.github, judged, forge.job.run_url)
    for commit in changed:
        invocation.note(f"status written on {commit[:12]}")
    for one in judged:
        if one.state is not None:
            _keep_comment(forge, one, _comment(forge, clone, one))


def _comment(forge: _Forge, clone: "Clone", judged: "Judged", heard: "Sequence[Heard] | None" = None) -> str:
    from maa_gitops.render.diff import request_diffs
    from maa_gitops.render.markdown import comment_markdown
    from maa_gitops.workflow.pull_requests.weighing import listen, told

    request = judged.request
    if request is None:
        return comment_markdown(judged, ())
    if heard is None:
        heard = listen(clone, request, forge.meeting(judged.pull_request))
    return comment_markdown(judged, request_diffs(clone.repository, request), told(request, heard))


def _keep_comment(forge: _Forge, judged: "Judged", body: str) -> None:
    """Write the one comment, or mend it; a person's comment that bears the mark is left alone."""
    from maa_gitops.render.markdown import MARK

    number = judged.pull_request.number
    ours = [
        comment
        for comment in forge.github.comments(number)
        if comment.body.startswith(MARK) and comment.author is not None and not comment.author.is_person
    ]
    if not ours:
        forge.github.write_comment(number, body)
    elif ours[0].body.replace("\r\n", "\n").strip() != body.strip():
        forge.github.write_comment(number, body, replace=ours[0].id)


def _put_out(
    invocation: Invocation,
    forge: _Forge,
    clone: "Clone",
    judged: "Sequence[Judged]",
    heard: "Sequence[Heard]" = (),
    steps: "Sequence[Step]" = (),
) -> None:
    """Put the answer out, and for the steps that follow and the people who look at the run."""
    from maa_gitops.forges import announcements
    from maa_gitops.render.diff import request_diffs
    from maa_gitops.render.markdown import judged_markdown
    from maa_gitops.render.plain import document, heard_plain, judged_plain, step_plain

    answer = document(
        pullRequests=[judged_plain(one) for one in judged],
        heard=[heard_plain(one) for one in heard],
        steps=[step_plain(step) for step in steps],
    )

    def text() -> None:
        for found in heard:
            for line in _heard_lines(found):
                invocation.say(line)
        for step in steps:
            invocation.say(f"{step.name}: {step.what}: {step.message}")
        for one in judged:
            invocation.say(f"#{one.pull_request.number} {one.verdict.value}: {one.summary}")
        if not (heard or steps or judged):
            invocation.note("nothing to do")

    invocation.emit(answer, text)
    if not forge.job.actions:
        return
    for line in announcements([problem for one in judged for problem in one.problems]):
        click.echo(line, err=True)
    for one in judged:
        diffs = request_diffs(clone.repository, one.request) if one.request is not None else ()
        forge.job.summarize(judged_markdown(one, diffs))
    first = judged[0] if judged else None
    request = first.request if first is not None else None
    forge.job.put_out(
        {
            "verdict": first.verdict.value if first is not None else "",
            "status": request.evaluation.status.value if request is not None and request.lines else "",
            "request": request.id if request is not None and request.lines else "",
            "report": json.dumps(answer, separators=(",", ":")),
        }
    )


def _heard_lines(found: "Heard") -> list[str]:
    said = found.statement
    who = found.account or (said.author.login if said.author is not None else "somebody unknown")
    what = said.action.value if said.action is not None else "comment"
    why = f": {found.message} [{found.code}]" if found.message else ""
    return [f"{found.outcome.value}: {what} by {who}{why}", f"  {said.url}"]


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
    invocation = ctx.ensure_object(Invocation)
    forge = open_forge(invocation)
    clone = invocation.open_clone()
    dispatched = forge.job.inputs if forge.job.inputs and "action" in forge.job.inputs else None
    if dispatched is not None:
        heard, touched = _record_run(invocation, forge, clone)
        failed = False
    else:
        heard, touched, failed = _record_said(invocation, forge, clone, number)
    clone = invocation.open_clone()
    clone, judged, broken = _judge_all(invocation, forge, clone, [_at_its_head(clone, one) for one in touched])
    _publish(invocation, forge, clone, judged)
    shown = heard if dispatched is not None else [one for one in heard if one.outcome.value != "known"]
    _put_out(invocation, forge, clone, judged, shown)
    if failed or broken:
        ctx.exit(CANNOT)
    if dispatched is not None and any(one.outcome.value == "refused" for one in heard):
        ctx.exit(NO)


def _at_its_head(clone: "Clone", pull_request: "PullRequest") -> "PullRequest":
    """A pull request with the head that its branch has here: the forge may be a moment behind our own push."""
    head = clone.change_branches().get(pull_request.head_branch)
    return replace(pull_request, head_commit=head) if head is not None else pull_request


def _record_said(
    invocation: Invocation, forge: _Forge, clone: "Clone", number: int | None
) -> "tuple[list[Heard], list[PullRequest], bool]":
    """Record everything that was said on pull requests and is not recorded yet; one that fails stops no other."""
    from maa_gitops.errors import MaaError
    from maa_gitops.workflow.pull_requests.recording import record as record_statements
    from maa_gitops.workflow.pull_requests.recording import refuse_other_than_attestor
    from maa_gitops.workflow.requests import request_id

    heard: list[Heard] = []
    touched: list[PullRequest] = []
    failed = False
    with invocation.actor(clone.tenant) as attestor:
        refuse_other_than_attestor(attestor.account)
        for pull_request in forge.with_requests(clone, number):
            touched.append(pull_request)
            name = request_id(pull_request.head_branch)
            try:
                done = record_statements(invocation.open_clone, clone, name, forge.meeting(pull_request), attestor)
            except MaaError as error:
                failed = True
                invocation.note(f"error: #{pull_request.number}: {error.message}")
                continue
            clone = done.clone
            heard += done.heard
            _note_final(invocation, clone, final=done.final)
    return heard, touched, failed


def _note_final(invocation: Invocation, clone: "Clone", *, final: bool) -> None:
    if not final:
        invocation.note(f"not final yet: the veto is not on {clone.branch}; maa github complete puts it there")


def _record_run(invocation: Invocation, forge: _Forge, clone: "Clone") -> "tuple[list[Heard], list[PullRequest]]":
    """Record what a person asked for by dispatching this run."""
    from maa_gitops.errors import RepositoryError
    from maa_gitops.workflow.pull_requests.judging import request_branch
    from maa_gitops.workflow.pull_requests.recording import record as record_statements
    from maa_gitops.workflow.pull_requests.statements import from_run
    from maa_gitops.workflow.pull_requests.weighing import Meeting
    from maa_gitops.workflow.requests import find_id, request_id

    if forge.job.run is None:
        raise RepositoryError("GITHUB_RUN_ID does not say which run this is", code="badEvent")
    inputs = forge.job.inputs or {}
    name = find_id(inputs.get("request", ""))
    said = from_run(forge.github.run(forge.job.run), inputs, clone.branch)
    mine = [
        one
        for one in forge.github.open_pull_requests()
        if (branch := request_branch(clone, one, forge.github.repository)) is not None and request_id(branch) == name
    ]
    pull_request = mine[0] if mine else None
    with invocation.actor(clone.tenant) as attestor:
        meeting = Meeting(pull_request, (said,), forge.github.may_write)
        done = record_statements(invocation.open_clone, clone, name, meeting, attestor)
    _note_final(invocation, done.clone, final=done.final)
    return list(done.heard), mine


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
    from maa_gitops.workflow.pull_requests.completing import complete_approved, keep_vetoes, merge_unprotected
    from maa_gitops.workflow.pull_requests.judging import request_branch
    from maa_gitops.workflow.requests import find_id, request_id

    invocation = ctx.ensure_object(Invocation)
    forge = open_forge(invocation)
    clone = invocation.open_clone()
    only = find_id(request) if request is not None else None
    pull_requests = forge.github.open_pull_requests()
    drafts = {
        request_id(branch): "its pull request is a draft"
        for one in pull_requests
        if one.is_draft and (branch := request_branch(clone, one, forge.github.repository)) is not None
    }
    failed = False
    with invocation.actor(clone.tenant) as actor:
        clone, kept = keep_vetoes(invocation.open_clone, clone, actor.identity)
        clone, merged = complete_approved(invocation.open_clone, clone, actor, drafts, only)
        steps = [*kept, *merged]
        for one in () if only is not None else pull_requests:
            clone, judged, broken = _judge_all(invocation, forge, clone, [one])
            failed = failed or broken
            for verdict in judged:
                said = forge.spoken(one) if verdict.verdict.value == "unprotected" else ()
                clone, step = merge_unprotected(
                    invocation.open_clone, clone, forge.github, verdict, said, actor.identity
                )
                steps += [step] if step is not None else []
        if Role.DEPLOYER in actor.account.roles and _has_to_apply(clone):
            failed = not apply_all(invocation, clone, actor) or failed
    clone = invocation.open_clone()
    clone, judged, broken = _judge_all(invocation, forge, clone, [_at_its_head(clone, one) for one in pull_requests])
    _publish(invocation, forge, clone, judged)
    _put_out(invocation, forge, clone, judged, (), steps)
    if failed or broken or any(step.what == "failed" for step in steps):
        ctx.exit(CANNOT)
    if only is not None and any(step.what == "waits" for step in steps):
        ctx.exit(NO)


def _has_to_apply(clone: "Clone") -> bool:
    """Whether a target may lack something that was approved; what was changed around the gate is for drift to tell."""
    from maa_gitops.apply import is_behind
    from maa_gitops.cli.targets import context_of

    context = context_of(clone)
    return any(is_behind(context, target.name) for target in clone.tenant.settings.targets)


# --- rulesets --------------------------------------------------------------------------------------------------------


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

    found = dict(
        zip(_RULESETS, rulesets(protected_branch(invocation.repository), merge_queue=merge_queue), strict=True)
    )
    if name is not None and name not in found:
        raise click.UsageError(f"there is no ruleset '{name}'; there are: {', '.join(found)}")
    if name is not None:
        chosen = found[name]
        invocation.emit(document(name=name, ruleset=chosen), lambda: click.echo(json_text(chosen)))
        return
    everything = list(found.values())
    invocation.emit(document(rulesets=everything), lambda: click.echo(json.dumps(everything, indent=2)))


_RULESETS = ("protected-updates", "protected-history", "change-history", "change-deletion", "receipts")
