"""After the end: keep records of ended requests, delete landed and ended branches, put back what was changed."""

from dataclasses import dataclass, replace

from maa_gitops.errors import MaaError, NotAllowedError
from maa_gitops.git import Identity, RefUpdate
from maa_gitops.history import judge
from maa_gitops.model import ReasonCode, Status
from maa_gitops.tenant.paths import NAME
from maa_gitops.workflow.acts import commit_record
from maa_gitops.workflow.clone import CHANGE_PREFIX, Clone, judged, no_progress
from maa_gitops.workflow.listing import VISIBLE, last_modified
from maa_gitops.workflow.publish import Move, publish
from maa_gitops.workflow.requests import Request, branches_by_id, read_request

_ENDED = (Status.REJECTED, Status.CANCELLED, Status.EXPIRED)


@dataclass(frozen=True, slots=True)
class Archived:
    """What became of one change branch; ``message`` says why.

    ``outcome`` is kept (the record is on the protected branch), deleted (the branch is gone), left (the record cannot
    be kept: its events are older than the newest step, say; so the branch stays) or failed.
    """

    request: str
    branch: str
    outcome: str
    message: str


def archive(clone: Clone, identity: Identity) -> tuple[Archived, ...]:
    """Keep the records of requests that ended, and delete their branches 30 days after the end; landed ones at once.

    Goes on over whatever cannot be kept, and names it.
    """
    results: list[Archived] = []
    for name, branches in branches_by_id(clone).items():
        if len(branches) > 1:
            results.append(Archived(name, branches[0], "failed", f"{', '.join(branches)} map to one id"))
            continue
        try:
            found, clone = _archive_one(clone, read_request(clone, name), identity)
        except MaaError as error:
            found = Archived(name, branches[0], "failed", error.message)
        if found is not None:
            results.append(found)
    return tuple(results)


def _archive_one(clone: Clone, request: Request, identity: Identity) -> tuple[Archived | None, Clone]:
    if request.branch is None or request.head is None:
        return None, clone
    if request.facts.merged is not None:
        if clone.repository.merge_bases(clone.good, request.head) != (request.head,):
            return Archived(request.id, request.branch, "failed", "it has commits that did not land"), clone
        publish(clone, [Move(request.branch, request.head, None)], f"maa: archive {request.id}")
        return Archived(request.id, request.branch, "deleted", "it has landed"), clone
    ended = last_modified(request)
    if request.evaluation.status not in _ENDED or ended is None:
        return None, clone
    if request.evaluation.status is Status.EXPIRED and request.evaluation.expires_at is not None:
        ended = max(ended, request.evaluation.expires_at)
    moves = []
    entry = clone.repository.entry(clone.tree(clone.tip), request.path)
    if entry is None or clone.repository.blob(entry.oid) != request.record:
        commit = commit_record(clone, clone.tip, request.path, request.record, identity, f"archive {request.id}")
        verdict = judge(clone.repository, clone.history.good, clone.tree(commit), clone.now)
        if not verdict.good:
            return Archived(request.id, request.branch, "left", verdict.faults[0].message), clone
        moves.append(Move(clone.branch, clone.tip, commit))
    over = clone.now - ended > VISIBLE
    if over:
        moves.append(Move(request.branch, request.head, None))
    if not moves:
        return None, clone
    publish(clone, moves, f"maa: archive {request.id}")
    outcome, message = (
        ("deleted", f"{request.evaluation.status.value}") if over else ("kept", "its branch stays for 30 days")
    )
    return Archived(request.id, request.branch, outcome, message), _moved(clone, moves)


def _moved(clone: Clone, moves: list[Move]) -> Clone:
    """The clone after its own record step, which was judged good before it was pushed."""
    new = next((move.new for move in moves if move.branch == clone.branch and move.new is not None), None)
    if new is None:
        return clone
    return replace(clone, history=judged(clone.repository, clone.branch, new, clone.now, no_progress))


def revert(clone: Clone, request: Request, identity: Identity) -> str:
    """Make a change branch that puts back what a merged request changed; returns its name.

    Raises:
        NotAllowedError: it is not merged, the branch exists, or G no longer holds what it brought.
    """
    merged = request.facts.merged
    if merged is None or request.changes is None:
        raise NotAllowedError(
            f"'{request.id}' is not merged, so there is nothing to put back",
            hint=f"maa show {request.id}",
            code="notMerged",
        )
    name = f"revert-{request.id}"
    branch = CHANGE_PREFIX + name
    repository = clone.repository
    if not NAME.fullmatch(name):
        raise NotAllowedError(f"'{name}' is too long for an id", hint="make the branch yourself", code="invalidName")
    if repository.ref(f"refs/heads/{branch}") is not None or branch in clone.change_branches():
        raise NotAllowedError(f"branch {branch} exists already", hint=f"git switch {branch}", code="branchExists")
    good = clone.tree(clone.good)
    moved = sorted(
        path for path, (_, new) in request.changes.differences.items() if repository.entry(good, path) != new
    )
    if moved:
        raise NotAllowedError(
            f"changed again since: {', '.join(moved)}", hint="change it back by hand", code=ReasonCode.OUTDATED
        )
    back = {
        path: (old.mode, old.oid) if old is not None else None for path, (old, _) in request.changes.differences.items()
    }
    commit = repository.write_commit(
        tree=repository.replace_paths(good, back),
        parents=(clone.good,),
        message=f"Put back what {request.id} changed",
        identity=identity,
        at=clone.now,
    )
    repository.update_refs([RefUpdate(f"refs/heads/{branch}", None, commit)], f"maa: revert {request.id}")
    return branch
