"""The gate: judging a commit that wants to be merged, whoever asks."""

from maa_gitops.change import differences, put_in_place
from maa_gitops.errors import NotAllowedError, RepositoryError
from maa_gitops.history import judge
from maa_gitops.model import ReasonCode
from maa_gitops.tenant import Kind, place, split_record_path
from maa_gitops.tenant.paths import RECORDS
from maa_gitops.workflow.clone import CHANGE_PREFIX, Clone
from maa_gitops.workflow.requests import (
    OutcomeReader,
    Request,
    branches_by_id,
    find_id,
    read_request_at,
    request_id,
)


def judge_head(clone: Clone, named: str | None, head: str, outcomes: OutcomeReader | None) -> Request:
    """Evaluate a commit as the head of a change branch.

    Without a name the request is the one whose branch is there, else the one whose record the commit brings.

    Raises:
        RepositoryError: there is no such commit.
        NotAllowedError: ``notSubmitted``, it belongs to no request and changes something protected.
    """
    commit = clone.repository.resolve(head)
    if commit is None:
        raise RepositoryError(f"there is no commit {head}", hint="git fetch")
    branches = [branch for branch, at in clone.change_branches().items() if at == commit]
    name = find_id(named) if named is not None else _name_of(clone, branches, commit)
    own = [branch for branch in branches if request_id(branch) == name]
    rivals = branches_by_id(clone).get(name, [])[1:]
    return read_request_at(clone, name, own[0] if own else None, commit, rivals=rivals, outcomes=outcomes)


def _name_of(clone: Clone, branches: list[str], commit: str) -> str:
    if branches:
        return request_id(branches[0])
    here = _records_in(clone, commit) - _records_in(clone, clone.good)
    if len(here) == 1:
        return split_record_path(here.pop()[0])[0]
    return "unsubmitted"


def _records_in(clone: Clone, commit: str) -> set[tuple[str, str]]:
    """Path and content of every record of a commit."""
    repository = clone.repository
    top = repository.entry(clone.tree(commit), RECORDS)
    years = (
        [entry for entry in repository.tree(top.oid) if entry.is_folder] if top is not None and top.is_folder else []
    )
    found = {
        (f"{RECORDS}/{year.name}/{entry.name}", entry.oid) for year in years for entry in repository.tree(year.oid)
    }
    return {(path, oid) for path, oid in found if place(path, ()).kind is Kind.RECORD}


def nothing_protected(clone: Clone, request: Request) -> bool:
    """Whether a branch changes nothing that an access policy protects, so that it may be merged as usual."""
    if request.facts.merged is not None or request.changes is None:
        return False
    if any(clone.tenant.protects(governed) for governed in request.changes.objects):
        return False
    if any(reason.code is ReasonCode.RECORD_ALTERED for reason in request.facts.problems):
        return False
    record = (request.path, request.record) if request.record else None
    result = put_in_place(clone.repository, clone.tree(clone.tip), request.changes, record)
    return judge(clone.repository, clone.history.good, result, clone.now).good


def refuse_leftover(clone: Clone, request: Request) -> None:
    """Refuse a head that goes on after its request was merged: nothing of that was approved.

    Raises:
        NotAllowedError: ``alreadyMerged``.
    """
    if request.facts.merged is None:
        return
    branches = clone.change_branches()
    heads = {branches[branch] for branch in branches_by_id(clone).get(request.id, [])}
    if request.head is not None:
        heads.add(request.head)
    if not all(_has_landed(clone, head) for head in heads):
        raise NotAllowedError(
            f"'{request.id}' is merged, but its branch has commits that did not land",
            hint=f"git branch -m {CHANGE_PREFIX}{request.id}-2, then submit",
            code=ReasonCode.ALREADY_MERGED,
        )


def _has_landed(clone: Clone, head: str) -> bool:
    """Whether G holds all that a branch changes: merged, squashed or picked, it is all the same."""
    repository = clone.repository
    bases = repository.merge_bases(clone.good, head)
    if bases == (head,):
        return True
    if len(bases) != 1:
        return False
    good = clone.tree(clone.good)
    changed = differences(repository, clone.tree(bases[0]), clone.tree(head))
    files = {path: new for path, (_, new) in changed.items() if path.split("/", 1)[0] != RECORDS}
    return all(repository.entry(good, path) == new for path, new in files.items())
