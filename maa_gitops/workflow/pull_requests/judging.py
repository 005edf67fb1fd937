"""The gate on the forge: what each pull request's head may claim, and keeping its commit status to that.

The status is for the eye. Whatever is merged is judged again by ``complete``, ``apply`` and ``verify``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from maa_gitops.errors import NotAllowedError, RepositoryError
from maa_gitops.forges import GitHub, PullRequest, StatusState, shortened
from maa_gitops.model import Level, Problem, ReasonCode, Status
from maa_gitops.tenant import validate
from maa_gitops.workflow.clone import CHANGE_PREFIX, Clone
from maa_gitops.workflow.gate import judge_head, nothing_protected, refuse_leftover
from maa_gitops.workflow.pull_requests.statements import SHORTEST_DIGEST
from maa_gitops.workflow.requests import OutcomeReader, Request, change_at

_BAD_DOCUMENTS = frozenset(
    {
        ReasonCode.INVALID_DOCUMENT,
        ReasonCode.MALFORMED_TREE,
        ReasonCode.BROKEN_RECORD,
        ReasonCode.RECORD_ALTERED,
        ReasonCode.BAD_SIGNATURE,
    }
)
"""What somebody must mend before anybody can approve: here the gate fails instead of waiting."""

_WAITING = frozenset(
    {
        ReasonCode.NEEDS_APPROVALS,
        ReasonCode.NOT_SUBMITTED,
        ReasonCode.EDITED_SINCE_SUBMIT,
        ReasonCode.CONTRIBUTORS_INCOMPLETE,
        ReasonCode.SELF_APPROVAL,
        ReasonCode.CONTRIBUTOR,
        ReasonCode.NOT_APPROVER,
        ReasonCode.NOT_ATTESTED,
        ReasonCode.STALE_CHANGE,
        ReasonCode.WITHDRAWN,
        ReasonCode.UNKNOWN_SIGNER,
        ReasonCode.ACCOUNT_DISABLED,
        ReasonCode.SERVICE_ACCOUNT,
    }
)
"""What somebody can still cure by submitting or approving: the status is pending, not failed."""

_OLDER_HEADS = 50
"""Commits of a change branch below its head whose statuses are looked at."""


class Verdict(StrEnum):
    """What the gate says of a pull request."""

    APPROVED = "approved"
    PENDING = "pending"
    REFUSED = "refused"
    UNPROTECTED = "unprotected"
    SKIPPED = "skipped"


_STATES = {
    Verdict.APPROVED: StatusState.SUCCESS,
    Verdict.UNPROTECTED: StatusState.SUCCESS,
    Verdict.PENDING: StatusState.PENDING,
    Verdict.REFUSED: StatusState.FAILURE,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A pull request and what the gate says of it.

    ``summary`` is one line for people. ``change`` is the digest of the change as it is now, which whoever signs off
    repeats. ``is_faulty`` says that documents or the record must be mended first; ``problems`` say where.
    """

    pull_request: PullRequest
    verdict: Verdict
    summary: str
    request: Request | None = None
    change: str | None = None
    is_faulty: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def state(self) -> StatusState | None:
        """The status that the head commit gets; None: none of ours."""
        return _STATES.get(self.verdict)


def concerns(clone: Clone, pull_request: PullRequest) -> bool:
    """Whether a pull request wants to be merged into the protected branch."""
    return pull_request.base_branch == clone.branch


def request_branch(clone: Clone, pull_request: PullRequest, repository: str) -> str | None:
    """The change branch that a pull request wants to merge; None: it has none, or one in a fork, or another aim."""
    return change_branch(pull_request, repository) if concerns(clone, pull_request) else None


def change_branch(pull_request: PullRequest, repository: str) -> str | None:
    """The change branch of a pull request, whatever its aim; None: it has none, or one in a fork."""
    own = (pull_request.head_repository or "").casefold() == repository.casefold()
    return pull_request.head_branch if own and pull_request.head_branch.startswith(CHANGE_PREFIX) else None


def judge(clone: Clone, pull_request: PullRequest, repository: str, outcomes: OutcomeReader | None = None) -> Judged:
    """Judge the head of a pull request of the forge's repository ``OWNER/NAME``.

    Raises:
        RepositoryError: the commit is not here.
    """
    if not concerns(clone, pull_request):
        return Judged(pull_request, Verdict.SKIPPED, f"this pull request is not for {clone.branch}")
    if (pull_request.head_repository or "").casefold() != repository.casefold():
        text = "it comes from a fork; push the branch to this repository instead"
        return Judged(pull_request, Verdict.REFUSED, text)
    head, branch = pull_request.head_commit, request_branch(clone, pull_request, repository)
    try:
        request = judge_head(clone, branch, head, outcomes)
        refuse_leftover(clone, request)
    except NotAllowedError as error:
        return Judged(pull_request, Verdict.REFUSED, error.message)
    change = change_at(clone, head)
    if nothing_protected(clone, request):
        return Judged(pull_request, Verdict.UNPROTECTED, "nothing protected changes", request, change)
    if branch is None and request.facts.merged is None:
        text = f"a protected change needs a branch named {CHANGE_PREFIX}<name>: git branch -m {CHANGE_PREFIX}<name>"
        return Judged(pull_request, Verdict.REFUSED, text, request, change)
    return _judged_request(clone, pull_request, request, change)


def _judged_request(clone: Clone, pull_request: PullRequest, request: Request, change: str | None) -> Judged:
    evaluation = request.evaluation
    codes = {reason.code for reason in evaluation.reasons}
    is_faulty = request.facts.merged is None and bool(codes & _BAD_DOCUMENTS)
    if request.facts.merged is not None:
        verdict, summary = Verdict.APPROVED, f"merged as {request.facts.merged.commit[:12]}"
    elif evaluation.status is Status.APPROVED:
        verdict, summary = Verdict.APPROVED, f"approved by {evaluation.approver or 'its submit'}; it can be completed"
    elif evaluation.status is Status.NEEDS_APPROVAL and codes <= _WAITING:
        verdict, summary = Verdict.PENDING, _what_is_missing(request, change)
    else:
        reason = next((reason for reason in evaluation.reasons if reason.code not in _WAITING), None)
        verdict, summary = Verdict.REFUSED, reason.message if reason is not None else evaluation.status.value
    return Judged(
        pull_request,
        verdict,
        summary,
        request,
        change,
        is_faulty,
        _problems(clone, request) if is_faulty and codes & {ReasonCode.INVALID_DOCUMENT} else (),
    )


def _what_is_missing(request: Request, change: str | None) -> str:
    """What has to happen next, in one line."""
    codes = [reason.code for reason in request.evaluation.obstacles]
    if ReasonCode.NOT_SUBMITTED in codes and change is not None:
        return f"not submitted; say: /maa submit {short(change)}"
    if codes:
        return request.evaluation.obstacles[0].message
    missing = [verdict for verdict in request.evaluation.policies if not verdict.satisfied]
    counts = ", ".join(f"{v.policy.name} {len(v.approved_by)} of {v.policy.quorum}" for v in missing)
    who = ", ".join(sorted({name for verdict in missing for name in verdict.can_approve})) or "nobody"
    return f"needs approval ({counts}); who can: {who}"


def short(change: str) -> str:
    """The digits of a change digest that people repeat."""
    return change.removeprefix("sha256:")[:SHORTEST_DIGEST]


def _problems(clone: Clone, request: Request) -> tuple[Problem, ...]:
    """What is wrong with the changed files, for the forge to show at file and line."""
    if request.head is None or request.changes is None:
        return ()
    paths = set(request.changes.differences)
    found = validate(clone.repository, clone.tree(request.head))
    return tuple(problem for problem in found if problem.level is Level.ERROR and problem.path in paths)


# --- statuses --------------------------------------------------------------------------------------------------------


def worst(judged: Iterable[Judged]) -> Mapping[str, Judged]:
    """What each commit may claim. A status belongs to a commit, so of several pull requests the worst decides."""
    order = (Verdict.APPROVED, Verdict.UNPROTECTED, Verdict.PENDING, Verdict.REFUSED)
    found: dict[str, Judged] = {}
    for one in judged:
        head = one.pull_request.head_commit
        if one.state is None:
            continue
        if head not in found or order.index(one.verdict) > order.index(found[head].verdict):
            found[head] = one
    return found


def write_status(github: GitHub, judged: Judged, url: str | None) -> bool:
    """Bring the status of a head to what was judged; whether it was another one before."""
    if judged.state is None:
        return False
    head = judged.pull_request.head_commit
    there = github.status(head)
    if there is not None and (there.state, there.description) == (judged.state, shortened(judged.summary)):
        return False
    github.set_status(head, judged.state, judged.summary, url)
    return True


def turn_red(clone: Clone, github: GitHub, judged: Judged, url: str | None) -> tuple[str, ...]:
    """Take the green of what was approved once from the commits below a head that is not; returns these commits.

    The heads of other branches are judged for themselves.
    """
    if judged.state is StatusState.SUCCESS:
        return ()
    red = []
    for commit in _once_heads(clone, judged):
        there = github.status(commit)
        if there is not None and there.state is StatusState.SUCCESS:
            github.set_status(commit, StatusState.FAILURE, f"not any more: {judged.summary}", url)
            red.append(commit)
    return tuple(red)


def _once_heads(clone: Clone, judged: Judged) -> list[str]:
    """Commits of a branch that may have been its head, those first that brought a line to its record."""
    head, request = judged.pull_request.head_commit, judged.request
    try:
        below = clone.repository.commits_between(clone.good, head)
    except RepositoryError:
        return []
    others = {head, *clone.change_branches().values()}
    kept = [commit for commit in below if commit not in others]
    path = request.path if request is not None else ""
    return sorted(kept, key=lambda commit: not _brings_a_line(clone, commit, path))[:_OLDER_HEADS]


def _brings_a_line(clone: Clone, commit: str, path: str) -> bool:
    """Whether a commit changes the request's record against its first parent."""
    if not path:
        return False
    try:
        parents = clone.repository.commit(commit).parents
        before = clone.repository.entry(clone.tree(parents[0]), path) if parents else None
        return clone.repository.entry(clone.tree(commit), path) != before
    except RepositoryError:
        return False
