"""One command's dealings with GitHub: which pull requests, what was said, what they come to, how they are told.

One pull request that cannot be read, judged or written to stops no other: it is told, and the command ends with 4.
"""

import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import click

from maa_gitops.cli.invocation import Invocation
from maa_gitops.errors import MaaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from maa_gitops.forges import GitHub, Job, PullRequest, User
    from maa_gitops.workflow.clone import Clone
    from maa_gitops.workflow.pull_requests.completing import Step
    from maa_gitops.workflow.pull_requests.judging import Judged
    from maa_gitops.workflow.pull_requests.statements import Statement
    from maa_gitops.workflow.pull_requests.weighing import Heard, Meeting
    from maa_gitops.workflow.requests import Request


@dataclass
class Forge:
    """GitHub, the job that runs here and the clone as it is now; ``failed`` says that something could not be done."""

    invocation: Invocation
    github: "GitHub"
    job: "Job"
    failed: bool = False
    _clone: "Clone | None" = field(default=None, repr=False)

    @property
    def clone(self) -> "Clone":
        """The clone as it was when last looked at."""
        if self._clone is None:
            self._clone = self.invocation.open_clone()
        return self._clone

    @clone.setter
    def clone(self, clone: "Clone") -> None:
        self._clone = clone

    def refresh(self) -> None:
        """Look again."""
        self._clone = self.invocation.open_clone()

    @contextmanager
    def apart(self, what: str) -> "Iterator[None]":
        """Keep a fault of one thing from stopping the others."""
        try:
            yield
        except MaaError as error:
            self.failed = True
            self.invocation.note(f"error: {what}: {error.message}")

    # Pull requests

    def number(self, given: int | None) -> int | None:
        """The pull request that is named, else the event's; None: all of them."""
        return given if given is not None else self.job.pull_request

    def chosen(self, number: int | None) -> "tuple[PullRequest, ...]":
        """One pull request with all that share its head, or every open one."""
        if number is None:
            return self.github.open_pull_requests()
        named = self.github.pull_request(number)
        others = self.github.open_pull_requests() if named.is_open else ()
        return (named, *(one for one in others if one.head_commit == named.head_commit and one.number != number))

    def with_requests(self, number: int | None) -> "tuple[PullRequest, ...]":
        """Those whose change branch is there, closed ones included: a veto is heard on them too."""
        from maa_gitops.workflow.pull_requests.judging import change_branch

        chosen = (self.github.pull_request(number),) if number is not None else self.github.open_pull_requests()
        branches = self.clone.change_branches()
        found = {one.number: one for one in chosen if change_branch(one, self.github.repository) in branches}
        if number is None:
            with_one = {one.head_branch for one in found.values()}
            for branch in sorted(set(branches) - with_one):
                with self.apart(f"the pull requests of {branch} cannot be read"):
                    found |= {one.number: one for one in self._of_branch(branch)}
        return tuple(found.values())

    def _of_branch(self, branch: str) -> "tuple[PullRequest, ...]":
        """Every pull request of a change branch, whatever its state and aim; none of a fork's branch of that name."""
        from maa_gitops.workflow.pull_requests.judging import change_branch

        found = self.github.pull_requests_of(branch)
        return tuple(one for one in found if change_branch(one, self.github.repository) == branch)

    def at_its_head(self, pull_request: "PullRequest") -> "PullRequest":
        """A pull request with the head that its branch has here: GitHub may be a moment behind our own push."""
        from maa_gitops.workflow.pull_requests.judging import change_branch

        branch = change_branch(pull_request, self.github.repository)
        head = self.clone.change_branches().get(branch) if branch is not None else None
        return replace(pull_request, head_commit=head) if head is not None else pull_request

    # What was said

    def spoken(self, pull_request: "PullRequest") -> "tuple[Statement, ...]":
        """Everything that was said on a pull request."""
        from maa_gitops.forges import Happenings
        from maa_gitops.workflow.pull_requests.statements import statements

        number = pull_request.number
        reviews = self.github.reviews(number)
        happenings = self.github.happenings(number) if reviews else Happenings()
        return statements(self.github.comments(number), reviews, happenings)

    def meeting(self, pull_request: "PullRequest") -> "Meeting":
        """What was said on a pull request of what a record can hold."""
        from maa_gitops.workflow.pull_requests.weighing import Meeting

        spoken = tuple(said for said in self.spoken(pull_request) if not said.merges)
        return Meeting(pull_request, spoken, self.github.may_write)

    def hold(self, clone: "Clone", request: "Request") -> str | None:
        """Say why an approved request is left for now: a draft, or a veto that is not recorded yet; None: it is not."""
        from maa_gitops.model import VETOES
        from maa_gitops.workflow.pull_requests.statements import UNTOLD
        from maa_gitops.workflow.pull_requests.weighing import Outcome, listen

        for one in self._of_branch(request.branch) if request.branch is not None else ():
            if one.is_open and one.is_draft and one.base_branch == clone.branch:
                return f"#{one.number} is a draft"
            for heard in listen(clone, request, self.meeting(one)):
                waits = heard.outcome is Outcome.WAITING and heard.statement.action in VETOES
                if waits or heard.statement.fault == UNTOLD:
                    return f"a veto on #{one.number} waits to be recorded"
        return None

    # What they come to

    def judged(self, pull_requests: "Iterable[PullRequest]") -> "list[Judged]":
        """Judge pull requests; one that cannot be judged gets the status 'error'."""
        from maa_gitops.cli.targets import outcome_reader
        from maa_gitops.forges import StatusState
        from maa_gitops.workflow.pull_requests.judging import judge

        found = []
        for pull_request in pull_requests:
            with self.apart(f"#{pull_request.number} cannot be judged"):
                if not self.clone.repository.has(pull_request.head_commit) and self.invocation.fetch:
                    self.refresh()  # it was pushed since
                try:
                    found.append(judge(self.clone, pull_request, self.github.repository, outcome_reader(self.clone)))
                except MaaError as error:
                    with self.apart(f"#{pull_request.number}: its status cannot be written"):
                        text = f"cannot be told: {error.message}"
                        self.github.set_status(pull_request.head_commit, StatusState.ERROR, text, self.job.run_url)
                    raise
        return found

    # How they are told

    def publish(self, judged: "Sequence[Judged]", talkative: "Callable[[Judged], bool]") -> None:
        """Bring statuses and comments to what was judged.

        Where the status is what it was, the comment is looked at only if ``talkative`` says so: a job's token may ask
        a thousand times an hour.
        """
        from maa_gitops.workflow.pull_requests.judging import turn_red, worst, write_status

        changed = set()
        for head, one in worst(judged).items():
            with self.apart(f"#{one.pull_request.number}: its status cannot be written"):
                if write_status(self.github, one, self.job.run_url):
                    changed.add(head)
                for commit in turn_red(self.clone, self.github, one, self.job.run_url):
                    self.invocation.note(f"{commit[:12]} is not green any more")
        for one in judged:
            if one.state is not None and (one.pull_request.head_commit in changed or talkative(one)):
                with self.apart(f"#{one.pull_request.number}: its comment cannot be written"):
                    self._keep_comment(one)

    def _keep_comment(self, judged: "Judged") -> None:
        """Write the one comment, or mend it; a comment of somebody else's that bears the mark is left alone."""
        from maa_gitops.render.markdown import MARK

        number = judged.pull_request.number
        body = self._comment(judged)
        ours = [one for one in self.github.comments(number) if one.body.startswith(MARK) and self._is_ours(one.author)]
        if not ours:
            self.github.write_comment(number, body)
        elif ours[0].body.replace("\r\n", "\n").strip() != body.strip():
            self.github.write_comment(number, body, replace=ours[0].id)

    def _is_ours(self, author: "User | None") -> bool:
        """Whether somebody is who writes here: a workflow's token is an app's, else it is the caller's own."""
        if author is None:
            return False
        return not author.is_person or (not self.job.actions and author == self.github.me())

    def _comment(self, judged: "Judged") -> str:
        from maa_gitops.render.diff import request_diffs
        from maa_gitops.render.markdown import comment_markdown
        from maa_gitops.workflow.pull_requests.weighing import listen, told

        request = judged.request
        if request is None:
            return comment_markdown(judged, ())
        heard = listen(self.clone, request, self.meeting(judged.pull_request))
        return comment_markdown(judged, request_diffs(self.clone.repository, request), told(request, heard))

    def put_out(self, judged: "Sequence[Judged]", heard: "Sequence[Heard]" = (), steps: "Sequence[Step]" = ()) -> None:
        """Put the answer out; in a workflow also for the steps that follow, and for who looks at the run."""
        from maa_gitops.render.plain import document, heard_plain, judged_plain, step_plain

        answer = document(
            pullRequests=[judged_plain(one) for one in judged],
            heard=[heard_plain(one) for one in heard],
            steps=[step_plain(step) for step in steps],
        )

        def text() -> None:
            for found in heard:
                for line in _heard_lines(found):
                    self.invocation.say(line)
            for step in steps:
                self.invocation.say(f"{step.name}: {step.what}: {step.message}")
            for one in judged:
                self.invocation.say(f"#{one.pull_request.number} {one.verdict.value}: {one.summary}")
            if not (heard or steps or judged):
                self.invocation.note("nothing to do")

        self.invocation.emit(answer, text)
        if self.job.actions:
            self._put_out_for_workflow(judged, json.dumps(answer, separators=(",", ":")))

    def _put_out_for_workflow(self, judged: "Sequence[Judged]", report: str) -> None:
        from maa_gitops.forges import announcements
        from maa_gitops.render.diff import request_diffs
        from maa_gitops.render.markdown import judged_markdown

        for line in announcements([problem for one in judged for problem in one.problems]):
            click.echo(line, err=True)
        for one in judged:
            diffs = request_diffs(self.clone.repository, one.request) if one.request is not None else ()
            self.job.summarize(judged_markdown(one, diffs))
        first = judged[0] if judged else None
        request = first.request if first is not None else None
        self.job.put_out(
            {
                "verdict": first.verdict.value if first is not None else "",
                "status": request.evaluation.status.value if request is not None and request.lines else "",
                "request": request.id if request is not None and request.lines else "",
                "report": report,
            }
        )


def _heard_lines(found: "Heard") -> list[str]:
    said = found.statement
    who = found.account or (said.author.login if said.author is not None else "somebody unknown")
    what = said.action.value if said.action is not None else "comment"
    why = f": {found.message} [{found.code}]" if found.message else ""
    return [f"{found.outcome.value}: {what} by {who}{why}", f"  {said.url}"]


def open_forge(invocation: Invocation) -> Forge:
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
    return Forge(invocation, GitHub(client, job.repository), job)
