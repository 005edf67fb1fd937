"""Verify: judge the whole protected branch again, trusting nothing that this clone remembers."""

from datetime import datetime

from maa_gitops.errors import RepositoryError
from maa_gitops.git import Repository
from maa_gitops.history import History, Memory, chain, remembered_commit, walk
from maa_gitops.workflow.clone import (
    Progress,
    command_to_put_back,
    no_progress,
    protected_branch,
    refuse_other_branch,
    tip_of,
    trusted_start,
)


def verify_history(
    repository: Repository,
    now: datetime,
    revision: str | None = None,
    start: str | None = None,
    *,
    fetch: bool = True,
    progress: Progress = no_progress,
) -> History:
    """Walk from the trusted start to a commit, by default the tip of the protected branch.

    Raises:
        NotAllowedError: ``lostChain``, the tip has lost a commit that this clone has seen as good, or the start.
        RepositoryError: the question cannot be answered here.
    """
    has_remote = repository.remote() is not None
    if has_remote and fetch:
        repository.fetch()
    if revision is not None:
        tip = repository.resolve(revision)
        if tip is None:
            raise RepositoryError(f"there is no commit {revision}", hint="git log --oneline")
        return walk(repository, Memory(trusted_start(repository, tip, start)), tip, now, progress)
    branch = protected_branch(repository)
    put_back = command_to_put_back(repository, branch)
    tip = tip_of(repository, branch, has_remote=has_remote)
    seen = remembered_commit(repository, branch)
    if seen is not None:
        chain(repository, seen, tip, put_back)
    begin = Memory(trusted_start(repository, tip, start))
    history = walk(repository, begin, tip, now, progress, put_back=put_back if start is None else None)
    refuse_other_branch(history, branch)
    return history
