"""Completing on the forge, where nobody but one job may push to the protected branch.

It puts there what people could not: vetoes that were made at a terminal, approved requests, and pull requests that
change nothing protected. Each step is judged before it is pushed, as everywhere else.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from maa_gitops.change import put_in_place
from maa_gitops.errors import MaaError, NotAllowedError, RemoteError
from maa_gitops.forges import GitHub, StatusState
from maa_gitops.forges.github import APPROVAL
from maa_gitops.git import Identity
from maa_gitops.history import judge
from maa_gitops.model import VETOES, ReasonCode, Status
from maa_gitops.record import read
from maa_gitops.workflow.acts import Actor, on_protected_branch, record_faults
from maa_gitops.workflow.clone import CHANGE_PREFIX, Clone
from maa_gitops.workflow.complete import merge
from maa_gitops.workflow.publish import Move, after_lost_races, publish
from maa_gitops.workflow.pull_requests.judging import Judged, Verdict
from maa_gitops.workflow.pull_requests.statements import Statement
from maa_gitops.workflow.requests import Request, branches_by_id, read_branch, read_request, record_at, request_id

_COMMITS = 1000
"""Commits of a change branch in which a veto is looked for."""

_GREEN = frozenset({"success", "neutral", "skipped"})


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done, or could not be: ``what`` is kept, merged, waits or failed; ``name`` says of what."""

    name: str
    what: str
    message: str
    code: str | None = None


Reopen = Callable[[], Clone]


# --- vetoes ----------------------------------------------------------------------------------------------------------


def keep_vetoes(reopen: Reopen, clone: Clone, identity: Identity) -> tuple[Clone, tuple[Step, ...]]:
    """Put every veto that stands on a change branch alone on the protected branch, where it holds for good."""
    steps = []
    for branch in sorted(clone.change_branches()):
        name = request_id(branch)
        try:
            clone, kept = _keep_veto(reopen, clone, branch, identity)
        except MaaError as error:
            steps.append(Step(name, "failed", error.message, _code(error)))
            continue
        steps += [Step(name, "kept", "its veto holds for good")] if kept else []
    return clone, tuple(steps)


def _keep_veto(reopen: Reopen, clone: Clone, branch: str, identity: Identity) -> tuple[Clone, bool]:
    def once(now: Clone) -> tuple[Clone, bool]:
        there = branch in now.change_branches()
        move = _veto_move(now, read_branch(now, branch), identity) if there else None
        if move is None:
            return now, False
        publish(now, [move], f"maa: keep the veto on {branch}")
        return reopen(), True

    return after_lost_races(reopen, clone, once)


def _veto_move(clone: Clone, request: Request, identity: Identity) -> Move | None:
    """The step that keeps the record up to its newest veto, even if a later commit cut it off; None: nothing to keep.

    Raises:
        NotAllowedError: the step would not be good.
    """
    if request.branch is None or request.head is None or request.facts.merged is not None:
        return None
    entry = clone.repository.entry(clone.tree(clone.good), request.path)
    kept = clone.repository.blob(entry.oid) if entry is not None else b""
    found = (_up_to_veto(clone, request, data) for data in _records_on(clone, request))
    newest = max((data for data in found if data.startswith(kept)), key=len, default=b"")
    if len(newest) <= len(kept):
        return None
    move = on_protected_branch(clone, request.path, newest, identity, f"keep the veto of {request.id}")
    if move is None:
        raise NotAllowedError(f"the veto of '{request.id}' cannot be kept: it would not be good", hint="maa verify")
    return move


def _records_on(clone: Clone, request: Request) -> Iterator[bytes]:
    """The request's record as it is, and as the commits of its branch have had it."""
    yield request.record
    commits = clone.repository.commits_between(clone.good, request.head or clone.good)[:_COMMITS]
    yield from {record_at(clone, commit, request.path) for commit in commits} - {request.record}


def _up_to_veto(clone: Clone, request: Request, record: bytes) -> bytes:
    """The good beginning of a record up to its last veto; nothing if there is none."""
    data, newest = b"", b""
    lines = read(record)
    for line, fault in zip(lines, record_faults(clone, request.id, request.path, lines), strict=True):
        if fault is not None:
            break
        data += line.raw + b"\n"
        if line.event is not None and line.event.action in VETOES:
            newest = data
    return newest


# --- approved requests -----------------------------------------------------------------------------------------------


def complete_approved(
    reopen: Reopen, clone: Clone, actor: Actor, hold: Callable[[Clone, Request], str | None], only: str | None = None
) -> tuple[Clone, tuple[Step, ...]]:
    """Merge every approved request, or only one. ``hold`` says why one is left for now; None: it is not."""
    steps = []
    for name in branches_by_id(clone):
        if only is not None and name != only:
            continue
        try:
            request = read_request(clone, name)
            if request.facts.merged is not None or request.evaluation.status is not Status.APPROVED:
                if only is not None:
                    steps.append(Step(name, "waits", _why_not(request)))
                continue
            held = hold(clone, request)
            if held is not None:
                steps.append(Step(name, "waits", held))
                continue
            done = merge(reopen, clone, request, actor)
        except MaaError as error:
            what = "waits" if error.code == ReasonCode.NOT_REQUESTOR else "failed"
            steps.append(Step(name, what, error.message, _code(error)))
            continue
        clone = done.clone
        merged = done.request.facts.merged
        steps.append(Step(name, "merged", f"as {merged.commit[:12]}" if merged is not None else "into the branch"))
    return clone, tuple(steps)


def _why_not(request: Request) -> str:
    if request.facts.merged is not None:
        return "it is merged already"
    reason = next(iter(request.evaluation.reasons), None)
    return reason.message if reason is not None else request.evaluation.status.value


# --- what is not protected -------------------------------------------------------------------------------------------


def merge_unprotected(
    reopen: Reopen, clone: Clone, github: GitHub, judged: Judged, spoken: Iterable[Statement], identity: Identity
) -> tuple[Clone, Step | None]:
    """Merge a pull request that changes nothing protected, if somebody asked for just this head and all is green.

    ``judged`` was judged with this clone.
    """
    pull_request, request = judged.pull_request, judged.request
    name = f"#{pull_request.number}"
    if judged.verdict is not Verdict.UNPROTECTED or request is None or not _asked_for(github, judged, spoken):
        return clone, None
    hindrance = next(_hindrances(github, judged), None)
    if hindrance is not None:
        return clone, Step(name, "waits", hindrance)
    try:
        moves = _unprotected_moves(clone, judged, request, identity)
        publish(clone, moves, f"maa: merge {name}")
    except RemoteError as error:
        if error.code != "lostRace":
            return clone, Step(name, "failed", error.message, _code(error))
        return reopen(), Step(name, "waits", "somebody else was faster; the next run merges it")
    except MaaError as error:
        return clone, Step(name, "failed", error.message, _code(error))
    return reopen(), Step(name, "merged", f"as {moves[0].new}"[:15])


def _asked_for(github: GitHub, judged: Judged, spoken: Iterable[Statement]) -> bool:
    """Whether a person who may write asked for this very head to be merged."""
    head = judged.pull_request.head_commit
    for said in spoken:
        about_this = said.merges and said.fault is None and head.startswith(said.digest or "?")
        if about_this and said.author is not None and said.author.is_person and github.may_write(said.author):
            return True
    return False


def _hindrances(github: GitHub, judged: Judged) -> Iterator[str]:
    pull_request = judged.pull_request
    if pull_request.is_draft:
        yield "it is a draft"
    for context, status in sorted(github.statuses(pull_request.head_commit).items()):
        if context != APPROVAL and status.state is not StatusState.SUCCESS:
            yield f"{context} is not green"
    for check in github.checks(pull_request.head_commit):
        if check.conclusion not in _GREEN:
            yield f"{check.name} is not green"


def _unprotected_moves(clone: Clone, judged: Judged, request: Request, identity: Identity) -> list[Move]:
    """The merge of whole files on top of the tip.

    Raises:
        NotAllowedError: ``outdated``, the protected branch has other content at a path; or it would not be good.
    """
    pull_request, repository = judged.pull_request, clone.repository
    tip = clone.tree(clone.tip)
    differences = request.changes.differences if request.changes is not None else {}
    moved = sorted(path for path, pair in differences.items() if repository.entry(tip, path) not in pair)
    if moved or request.changes is None:
        raise NotAllowedError(
            f"{clone.branch} has moved on: {', '.join(moved)}",
            hint=f"git merge {clone.shown_branch}",
            code=ReasonCode.OUTDATED,
        )
    record = (request.path, request.record) if request.record else None
    tree = put_in_place(repository, tip, request.changes, record)
    verdict = judge(repository, clone.history.good, tree, clone.now)
    if not verdict.good:
        raise NotAllowedError(verdict.faults[0].message, code=verdict.faults[0].code)
    head = pull_request.head_commit
    commit = repository.write_commit(
        tree=tree,
        parents=(clone.tip, head),
        message=f"merge #{pull_request.number}, which changes nothing protected",
        identity=identity,
        at=clone.now,
    )
    moves = [Move(clone.branch, clone.tip, commit)]
    if pull_request.head_branch.startswith(CHANGE_PREFIX):
        moves.append(Move(pull_request.head_branch, head, None))
    return moves


def _code(error: MaaError) -> str | None:
    return str(error.code) if error.code is not None else None
